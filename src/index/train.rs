//! Training: the lists' centroids, by k-means or as given.

use std::sync::Arc;

use super::Index;
use crate::coarse::Coarse;
use crate::codec::{Codec, Extremes, Product, Scalar};
use crate::error::{Error, Result};
use crate::factory::{ListsSpec, choose_nlist};
use crate::kmeans::{KMeansOptions, Purpose, cluster};
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

/// Rows that codes are trained on at most: as many as faiss uses.
const CODE_ROWS: usize = 100_000;

/// Rows that are assigned at a time.
const ROWS_A_STEP: usize = 1 << 12;

/// Iterations of k-means when training an index: lists need no better, and faiss does as many.
const ITERATIONS: usize = 10;

fn iterations(options: &TrainOptions) -> usize {
    if options.kmeans.iterations == 0 { ITERATIONS } else { options.kmeans.iterations }
}

impl Index {
    /// Trains the transforms with `x` (`[n, dim]`, of any element type), then finds the lists' centroids, then the
    /// ranges of codes, or the mean that they count from. A flat index of plain values without transforms needs no training and only checks `x`.
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
        let refine = self.trained_refine(x, options.threads, control)?;
        if self.transforms.is_empty() {
            self.train_lists(x, population, options, control)?;
            self.refine = refine;
            return Ok(());
        }
        let training = self.training_of_transforms(options, control);
        let mut between = Between::default();
        let lists = match self.description.lists {
            None => 0,
            Some(_) => iterations(options).saturating_mul(options.kmeans.restarts.max(1)),
        };
        let first = self.transforms.units();
        let total = first.saturating_add(lists);
        let trained = self.trained_transforms(x, &training, &mut between, total)?;
        let x = MatrixRef::new("training rows", &between[0], x.rows(), self.dim)?;
        control.within(first, total, |control| self.train_lists(x.into(), population, options, control))?;
        self.transforms = Arc::new(trained);
        self.refine = refine;
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
        let x = self.measured(x);
        // Centroids that were set wait for their codes.
        let kept = self.coarse.is_some() && !self.is_trained();
        let found = match self.description.lists.filter(|_| !kept) {
            None => {
                self.check_finite(x, "training rows", options.threads, control)?;
                None
            }
            Some(lists) => {
                let nlist = lists.nlist.unwrap_or_else(|| choose_nlist(population));
                self.check_second(nlist)?;
                let kmeans = KMeansOptions {
                    threads: options.threads,
                    iterations: iterations(options),
                    spherical: self.metric != Metric::L2,
                    ..options.kmeans.clone()
                };
                let found = cluster(&self.context, x, nlist, &kmeans, Purpose::Lists, control)?;
                let centroids = MatrixRef::new("centroids", &found.centroids, nlist, self.dim)?;
                Some(self.coarse_of(centroids, options.threads, control)?)
            }
        };
        let coarse = if kept { self.coarse.as_ref() } else { found.as_ref() };
        let codec = self.trained_codec(x, coarse, options, control)?;
        let coarse = if kept { self.coarse.take() } else { found };
        self.accept(coarse, codec);
        Ok(())
    }

    /// The codec as `x` trains it, behind these centroids.
    fn trained_codec(
        &self,
        x: RowsRef<'_>,
        coarse: Option<&Coarse>,
        options: &TrainOptions,
        control: &Control<'_>,
    ) -> Result<Codec> {
        let codec = match &*self.codec {
            Codec::Scalar(scalar) => self.trained_scalar(scalar, x, coarse, options.threads, control)?,
            Codec::Product(codes) => {
                Codec::Product(self.trained_product(codes, x, coarse, options, control)?)
            }
            Codec::RaBitQ(codes) if !codes.by_list => Codec::RaBitQ(codes.with_mean(self.mean(x, control)?)),
            codec => codec.clone(),
        };
        Ok(codec)
    }

    /// A scalar quantizer with the ranges of `x`.
    pub(super) fn trained_scalar(
        &self,
        scalar: &Scalar,
        x: RowsRef<'_>,
        coarse: Option<&Coarse>,
        threads: usize,
        control: &Control<'_>,
    ) -> Result<Codec> {
        let (minimum, range) = self.ranges(scalar, x, coarse, threads, control)?;
        Ok(Codec::Scalar(scalar.with_ranges(minimum, range)))
    }

    /// A product quantizer with words for `x`.
    fn trained_product(
        &self,
        codes: &Product,
        x: RowsRef<'_>,
        coarse: Option<&Coarse>,
        options: &TrainOptions,
        control: &Control<'_>,
    ) -> Result<Product> {
        let workers = self.context.workers(options.threads);
        let coarse = coarse.filter(|_| codes.by_residual);
        let mut residuals = Vec::new();
        self.visit(x, codes.training_rows(), coarse, options.threads, control, &mut |row| {
            residuals.extend(row)
        })?;
        let count = residuals.len() / self.dim;
        let residuals = MatrixRef::new("training rows", &residuals, count, self.dim)?;
        codes.trained(&self.context, residuals, workers, options.kmeans.seed, control)
    }

    /// The rows that codes are trained on, at most so many.
    fn sampled(&self, x: RowsRef<'_>, most: usize) -> Result<Vec<usize>> {
        if x.rows() == 0 {
            return Err(Error::argument(format!("{}: expected rows to train with, got 0", self.description)));
        }
        Ok((0..x.rows()).step_by(x.rows().div_ceil(most)).collect())
    }

    /// The mean of `x`.
    fn mean(&self, x: RowsRef<'_>, control: &Control<'_>) -> Result<Vec<f32>> {
        let sampled = self.sampled(x, CODE_ROWS)?;
        let mut sums = vec![0f64; self.dim];
        let mut rows = Vec::new();
        for numbers in sampled.chunks(ROWS_A_STEP) {
            control.check()?;
            x.gather(numbers.iter().copied(), &mut rows);
            for row in rows.chunks_exact(self.dim) {
                sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
            }
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "rounded to float32; at most 100 000 rows"
        )]
        let mean = sums.iter().map(|sum| (sum / sampled.len() as f64) as f32).collect();
        Ok(mean)
    }

    /// The least of each dimension in `x`, or in its residuals, and the width of its range.
    fn ranges(
        &self,
        scalar: &Scalar,
        x: RowsRef<'_>,
        coarse: Option<&Coarse>,
        threads: usize,
        control: &Control<'_>,
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let mut extremes = Extremes::new(x.dim());
        let coarse = coarse.filter(|_| scalar.by_residual);
        self.visit(x, CODE_ROWS, coarse, threads, control, &mut |row| extremes.add(row.iter().copied()))?;
        Ok(extremes.ranges())
    }

    /// Shows `take` the rows that codes are trained on, at most so many, or their residuals behind `coarse`.
    fn visit(
        &self,
        x: RowsRef<'_>,
        most: usize,
        coarse: Option<&Coarse>,
        threads: usize,
        control: &Control<'_>,
        take: &mut dyn FnMut(&[f32]),
    ) -> Result<()> {
        let sampled = self.sampled(x, most)?;
        let workers = self.context.workers(threads);
        let dim = x.dim();
        let (mut rows, mut residual) = (Vec::new(), Vec::new());
        let (mut labels, mut keys) = (vec![0; ROWS_A_STEP], vec![0.0; ROWS_A_STEP]);
        for numbers in sampled.chunks(ROWS_A_STEP) {
            control.check()?;
            x.gather(numbers.iter().copied(), &mut rows);
            let Some(coarse) = coarse else {
                rows.chunks_exact(dim).for_each(&mut *take);
                continue;
            };
            let (labels, keys) = (&mut labels[..numbers.len()], &mut keys[..numbers.len()]);
            let matrix = MatrixRef::new("training rows", &rows, numbers.len(), dim)?;
            let copied_to = self.place(coarse, matrix.into(), workers, labels, keys, control.cancel())?;
            let mut show = |row: &[f32], list: usize| {
                let centroid = &coarse.centroids()[list * dim..][..dim];
                residual.clear();
                residual.extend(row.iter().zip(centroid).map(|(value, centroid)| value - centroid));
                take(&residual);
            };
            rows.chunks_exact(dim).zip(&*labels).for_each(|(row, &list)| show(row, list as usize));
            // Copies are of other residuals.
            let nlist = coarse.nlist();
            rows.chunks_exact(dim).zip(copied_to).for_each(|(row, list)| show(row, list as usize - nlist));
        }
        Ok(())
    }

    /// Takes `centroids` (`[nlist, list_dim]`) as the result of training; for cosine, their directions. Codes such as
    /// `SQ8` still have to be trained, which then leaves the centroids as they are.
    pub fn set_centroids(&mut self, centroids: MatrixRef<'_>) -> Result<()> {
        self.set_centroids_under(centroids, 0, &Control::default())
    }

    /// The same, on so many threads (0 = all), with progress (of the iterations in which many centroids are grouped) and
    /// cancel, after which the index is as before.
    pub fn set_centroids_under(
        &mut self,
        centroids: MatrixRef<'_>,
        threads: usize,
        control: &Control<'_>,
    ) -> Result<()> {
        centroids.check_dim("centroids", self.dim)?;
        centroids.check_finite("centroids")?;
        self.check_empty()?;
        let got = centroids.rows();
        match self.description.lists {
            None => return Err(self.no_centroids()),
            Some(ListsSpec { nlist: Some(nlist), .. }) if nlist != got => {
                return Err(Error::argument(format!(
                    "centroids: expected {nlist} rows, one for each list of \"{}\", got {got}",
                    self.description
                )));
            }
            Some(_) if got == 0 => {
                return Err(Error::argument("centroids: expected at least 1 row, got 0"));
            }
            Some(_) => self.check_second(got)?,
        }
        if !self.transforms.is_trained() {
            return Err(Error::State(
                "centroids cannot be set before the index's transforms are trained: call train".into(),
            ));
        }
        control.check()?;
        let mut buffer = Vec::new();
        let data = if self.metric == Metric::Cosine {
            RowsRef::from(centroids).normalized().matrix(&mut buffer)
        } else {
            centroids.data()
        };
        let centroids = MatrixRef::new("centroids", data, got, self.dim)?;
        let coarse = self.coarse_of(centroids, threads, control)?;
        control.check()?;
        // Codes of residuals are of other ranges now.
        let codec = match &*self.codec {
            Codec::Scalar(scalar) if scalar.by_residual => Codec::Scalar(scalar.untrained()),
            Codec::Product(codes) if codes.by_residual => Codec::Product(codes.untrained()),
            codec => codec.clone(),
        };
        self.accept(Some(coarse), codec);
        Ok(())
    }

    /// A quantizer over `centroids` as the description wants it.
    fn coarse_of(&self, centroids: MatrixRef<'_>, threads: usize, control: &Control<'_>) -> Result<Coarse> {
        let metric = self.coarse_metric();
        match self.description.lists {
            Some(ListsSpec { hnsw: Some(_), .. }) => {
                Coarse::grouped(&self.context, centroids, metric, threads, control)
            }
            _ => Coarse::new(&self.context, centroids, metric, None),
        }
    }

    fn accept(&mut self, coarse: Option<Coarse>, codec: Codec) {
        if let (Some(lists), Some(coarse)) = (&mut self.description.lists, &coarse) {
            lists.nlist = Some(coarse.nlist());
        }
        let nlist = coarse.as_ref().map_or(1, Coarse::nlist);
        self.lists = self.lists.like(nlist);
        self.coarse = coarse;
        self.codec = Arc::new(codec);
        self.curve = None;
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
