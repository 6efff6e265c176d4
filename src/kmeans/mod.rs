//! k-means: centroids that make the mean squared distance small.

mod centroids;
mod few;
mod hierarchical;
mod lloyd;
mod means;
mod mini_batch;
mod near;
mod seeding;
mod task;
#[cfg(test)]
mod tests;

use crate::backend::{self, AssignJob, Rows, check_finite};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::matrix::MatrixRef;
use crate::metric::Metric;
use crate::progress::Control;
use crate::random::Random;
use crate::rows::RowsRef;
use centroids::Centroids;
use task::Task;

/// How the first centroids are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seeding {
    /// Whatever is best for the size: random.
    #[default]
    Default,
    /// Random points.
    Random,
    /// Points drawn with probability in proportion to their distance from those drawn before.
    PlusPlus,
    /// The centroids of groups, which are found first: for thousands of lists a fraction of the time. Then points are
    /// only compared with centroids near their own.
    Hierarchical,
}

/// How [`kmeans`] works; zero means default.
#[derive(Clone, Debug, Default)]
pub struct KMeansOptions {
    /// Threads to use; 0 = all of the context's.
    pub threads: usize,
    /// Lloyd iterations, 0 = 25; or mini-batch steps, 0 = 100.
    pub iterations: usize,
    /// How the first centroids are chosen.
    pub seeding: Seeding,
    /// 0 = 1234. The same seed, data and options give the same centroids on any number of threads.
    pub seed: u64,
    /// Points sampled for each centroid; 0 = 256, `usize::MAX` or `u32::MAX` = all. Mini-batches draw from
    /// all points.
    pub max_points_per_centroid: usize,
    /// Runs with other seeds, of which the best is kept; 0 = 1.
    pub restarts: usize,
    /// Centroids of length 1, assignment by inner product.
    pub spherical: bool,
    /// 0 = full; else points a mini-batch step.
    pub mini_batch: usize,
}

/// What [`kmeans`] found.
#[derive(Clone, Debug)]
pub struct KMeans {
    /// `[k, dim]`.
    pub centroids: Vec<f32>,
    /// Mean squared distance (spherical: similarity) of the points used to their centroid, as the last
    /// iteration met them.
    pub objective: f64,
}

/// Finds `k` centroids in `x` (`[n, dim]`), telling `control` of every iteration under "kmeans".
///
/// Fails if there are fewer points than centroids, if `k` is 0 and if a row is not finite.
pub fn kmeans<'x>(
    context: &Context,
    x: impl Into<RowsRef<'x>>,
    k: usize,
    options: &KMeansOptions,
    control: &Control<'_>,
) -> Result<KMeans> {
    cluster(context, x.into(), k, options, Purpose::Caller, control)
}

/// What centroids are found for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// For the caller, who expects each iteration to be one of Lloyd's over all points.
    Caller,
    /// For the lists of an index: what counts is a low objective after so many iterations' work.
    Lists,
    /// For a part of a larger run: the same, unreported.
    Part,
    /// For the words of a part of a product quantizer: the same, by rows side by side where that is faster.
    Words,
}

impl Purpose {
    /// The stage that progress goes by.
    fn stage(self) -> &'static str {
        match self {
            Self::Caller => "kmeans",
            Self::Lists | Self::Part | Self::Words => "train",
        }
    }
}

/// As [`kmeans`], for either purpose.
pub(crate) fn cluster(
    context: &Context,
    x: RowsRef<'_>,
    k: usize,
    options: &KMeansOptions,
    purpose: Purpose,
    control: &Control<'_>,
) -> Result<KMeans> {
    if k == 0 {
        return Err(Error::argument("k: expected at least 1 centroid, got 0"));
    }
    if x.rows() < k {
        return Err(Error::TooFewPoints { expected: k, got: x.rows() });
    }
    if x.rows() > u32::MAX as usize {
        return Err(Error::argument(format!(
            "training rows: expected at most {}, got {}",
            u32::MAX,
            x.rows()
        )));
    }
    if x.rows() < k.saturating_mul(FEW_POINTS) {
        context.warn(|| {
            format!(
                "training {k} centroids: expected at least {} points ({FEW_POINTS} each), got {}: the lists will be uneven",
                k.saturating_mul(FEW_POINTS),
                x.rows()
            )
        });
    }
    let mut task = Task::new(context, x, k, options, purpose, control);
    check_finite(context, x, "training rows", task.workers, control.cancel())?;
    let seed = if options.seed == 0 { SEED } else { options.seed };
    let mut best: Option<(Centroids, f64)> = None;
    for restart in 0..options.restarts.max(1) {
        let mut random = Random::new(seed.wrapping_add(restart as u64));
        task.done = restart * task.iterations;
        let found = match task.mini_batch {
            0 => lloyd::run(&task, &mut random)?,
            _ => mini_batch::run(&task, &mut random)?,
        };
        let better = |best: f64| if task.spherical { found.1 > best } else { found.1 < best };
        if best.as_ref().is_none_or(|best| better(best.1)) {
            best = Some(found);
        }
    }
    let (centroids, objective) = best.expect("invariant: at least one run");
    Ok(KMeans { centroids: centroids.rows, objective })
}

/// Assigns each row of `x` (`[n, dim]`, finite) to the nearest of `words` (`[k, dim]`) and moves these to the means of theirs.
/// Tells the words of the rows, and the mean squared distance before they moved.
pub(crate) fn improve(
    context: &Context,
    x: RowsRef<'_>,
    words: &mut [f32],
    threads: usize,
    control: &Control<'_>,
) -> Result<(Vec<u32>, f64)> {
    let options = KMeansOptions { threads, ..KMeansOptions::default() };
    let task = Task::new(context, x, words.len() / x.dim(), &options, Purpose::Words, control);
    let mut centroids = Centroids::new(task.k, task.dim(), task.metric())?;
    centroids.rows.copy_from_slice(words);
    let fit = lloyd::once(&task, centroids)?;
    words.copy_from_slice(&fit.centroids.rows);
    Ok((fit.labels, fit.objective))
}

/// Points a centroid below which training is warned of, as in faiss.
const FEW_POINTS: usize = 39;

/// The seed of those who name none.
pub(crate) const SEED: u64 = 1234;

/// Writes the nearest of `centroids` (ties: the first) for each row of `x`, and its squared distance, or
/// similarity if `spherical`. Both slices are `[n]`.
pub fn assign<'x>(
    context: &Context,
    x: impl Into<RowsRef<'x>>,
    centroids: MatrixRef<'_>,
    spherical: bool,
    threads: usize,
    labels: &mut [u32],
    distances: &mut [f32],
    control: &Control<'_>,
) -> Result<()> {
    let x = x.into();
    x.check_dim("rows", centroids.dim())?;
    for (what, got) in [("labels", labels.len()), ("distances", distances.len())] {
        if got != x.rows() {
            return Err(Error::Length { what, expected: x.rows(), got });
        }
    }
    if centroids.rows() == 0 {
        return Err(Error::argument("centroids: expected at least 1 row, got 0"));
    }
    centroids.check_finite("centroids")?;
    check_finite(context, x, "rows", context.workers(threads), control.cancel())?;
    let metric = if spherical { Metric::InnerProduct } else { Metric::L2 };
    let mut packed = Centroids::new(centroids.rows(), centroids.dim(), metric)?;
    packed.rows.copy_from_slice(centroids.data());
    packed.pack(context);
    let job = AssignJob {
        rows: Rows { x, numbers: None },
        kept: None,
        centroids: &packed,
        metric,
        hints: None,
        near: None,
        workers: context.workers(threads),
        cancel: control.cancel(),
    };
    backend::assign(context, &job, labels, distances)?;
    distances.iter_mut().for_each(|key| *key = metric.value_of_key(*key));
    Ok(())
}
