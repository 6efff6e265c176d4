//! Training: the lists' centroids, by k-means or as given.

use std::sync::Arc;

use super::{Index, transforms};
use crate::coarse::Coarse;
use crate::error::{Error, Result};
use crate::factory::{ListsSpec, choose_nlist};
use crate::kmeans::{KMeansOptions, Purpose, cluster};
use crate::lists::Lists;
use crate::matrix::MatrixRef;
use crate::metric::Metric;
use crate::progress::Control;
use crate::rows::RowsRef;
use crate::transform::Between;

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
    /// Trains the transforms with `x` (`[n, dim]`, of any element type), then finds the lists' centroids. A
    /// flat index without transforms needs no training and only checks `x`.
    pub fn train<'x>(
        &mut self,
        x: impl Into<RowsRef<'x>>,
        options: &TrainOptions,
        control: &Control<'_>,
    ) -> Result<()> {
        let x = x.into();
        self.train_as_of(x, x.rows(), options, control)
    }

    /// The same with a sample of `population` rows, by which the number of lists is chosen.
    pub(super) fn train_as_of(
        &mut self,
        x: RowsRef<'_>,
        population: usize,
        options: &TrainOptions,
        control: &Control<'_>,
    ) -> Result<()> {
        x.check_dim("training rows", self.input_dim())?;
        self.check_empty()?;
        if self.transforms.is_empty() {
            return self.train_lists(x, population, options, control);
        }
        let training = transforms::training(&self.context, options.threads, options.kmeans.seed, control);
        let mut between = Between::default();
        let trained = self.trained_transforms(x, &training, &mut between)?;
        self.train_lists(
            MatrixRef::new("training rows", &between[0], x.rows(), self.dim)?.into(),
            population,
            options,
            control,
        )?;
        self.transforms = Arc::new(trained);
        Ok(())
    }

    /// The same for rows that the transforms have been applied to.
    fn train_lists(
        &mut self,
        x: RowsRef<'_>,
        population: usize,
        options: &TrainOptions,
        control: &Control<'_>,
    ) -> Result<()> {
        let nlist = match self.description.lists {
            None => return x.check_finite("training rows"),
            Some(lists) => lists.nlist.unwrap_or_else(|| choose_nlist(population)),
        };
        let mut options = KMeansOptions { threads: options.threads, ..options.kmeans.clone() };
        options.spherical = self.metric != Metric::L2;
        if options.iterations == 0 {
            options.iterations = ITERATIONS;
        }
        let x = self.measured(x);
        let found = cluster(&self.context, x, nlist, &options, Purpose::Lists, control)?;
        self.accept(MatrixRef::new("centroids", &found.centroids, nlist, self.dim)?)
    }

    /// Takes `centroids` (`[nlist, list_dim]`) as the result of training; for cosine, their directions.
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
        if !self.transforms.is_trained() {
            return Err(Error::State(
                "centroids cannot be set before the index's transforms are trained: call train".into(),
            ));
        }
        let mut buffer = Vec::new();
        let data = if self.metric == Metric::Cosine {
            RowsRef::from(centroids).normalized().matrix(&mut buffer)
        } else {
            centroids.data()
        };
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
        self.curve = None;
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
