//! Training: the lists' centroids, by k-means or as given.

use super::Index;
use crate::coarse::Coarse;
use crate::error::{Error, Result};
use crate::factory::{ListsSpec, choose_nlist};
use crate::kmeans::{KMeansOptions, Purpose, cluster};
use crate::lists::Lists;
use crate::matrix::MatrixRef;
use crate::metric::Metric;
use crate::progress::Control;
use crate::rows::RowsRef;

/// How [`Index::train`] finds centroids.
#[derive(Clone, Debug, Default)]
pub struct TrainOptions {
    /// Threads to use; 0 = all of the context's.
    pub threads: usize,
    /// Iterations, seeding, sampling; `spherical` is set by the metric.
    pub kmeans: KMeansOptions,
}

/// Iterations of k-means when training an index: lists need no better, and faiss does as many.
const ITERATIONS: usize = 10;

impl Index {
    /// Finds the lists' centroids in `x` (`[n, dim]`, of any element type). A flat index needs no training and only checks `x`.
    pub fn train<'x>(
        &mut self,
        x: impl Into<RowsRef<'x>>,
        options: &TrainOptions,
        control: &Control<'_>,
    ) -> Result<()> {
        self.train_rows(x.into(), options, control)
    }

    fn train_rows(&mut self, x: RowsRef<'_>, options: &TrainOptions, control: &Control<'_>) -> Result<()> {
        x.check_dim("training rows", self.dim)?;
        self.check_empty()?;
        let nlist = match self.description.lists {
            None => return x.check_finite("training rows"),
            Some(lists) => lists.nlist.unwrap_or_else(|| choose_nlist(x.rows())),
        };
        let mut options = KMeansOptions { threads: options.threads, ..options.kmeans.clone() };
        options.spherical = self.metric != Metric::L2;
        if options.iterations == 0 {
            options.iterations = ITERATIONS;
        }
        let x = self.prepared(x);
        let found = cluster(&self.context, x, nlist, &options, Purpose::Lists, control)?;
        self.accept(MatrixRef::new("centroids", &found.centroids, nlist, self.dim)?)
    }

    /// Takes `centroids` (`[nlist, dim]`) as the result of training; for cosine, their directions.
    pub fn set_centroids(&mut self, centroids: MatrixRef<'_>) -> Result<()> {
        centroids.check_dim("centroids", self.dim)?;
        centroids.check_finite("centroids")?;
        self.check_empty()?;
        let got = centroids.rows();
        match self.description.lists {
            None => return Err(Error::State("a Flat index has no centroids".into())),
            Some(ListsSpec { nlist: Some(nlist), .. }) if nlist != got => {
                return Err(Error::Length {
                    what: "centroids",
                    expected: nlist * self.dim,
                    got: got * self.dim,
                });
            }
            Some(_) if got == 0 => {
                return Err(Error::argument("centroids: expected at least 1 row, got 0"));
            }
            Some(_) => {}
        }
        let mut buffer = Vec::new();
        let data = self.prepared(centroids.into()).matrix(&mut buffer);
        self.accept(MatrixRef::new("centroids", data, got, self.dim)?)
    }

    fn accept(&mut self, centroids: MatrixRef<'_>) -> Result<()> {
        let coarse = Coarse::new(&self.context, centroids, self.coarse_metric())?;
        let element = self.description.element();
        if let Some(lists) = &mut self.description.lists {
            lists.nlist = Some(coarse.nlist());
        }
        self.lists = Lists::new(coarse.nlist(), element);
        self.coarse = Some(coarse);
        Ok(())
    }

    /// How vectors find their list. Cosine compares normalised vectors, so inner product does.
    pub(super) fn coarse_metric(&self) -> Metric {
        if self.metric == Metric::L2 { Metric::L2 } else { Metric::InnerProduct }
    }

    fn check_empty(&self) -> Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        Err(Error::State(format!(
            "training needs an empty index, but this one holds {} vectors: call reset first",
            self.count
        )))
    }
}
