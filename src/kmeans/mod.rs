//! k-means: centroids that make the mean squared distance small.

use crate::coarse::Coarse;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::matrix::MatrixRef;
use crate::metric::Metric;
use crate::progress::Control;

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
}

/// How [`kmeans`] works; zero means default.
#[derive(Clone, Debug, Default)]
pub struct KMeansOptions {
    /// Threads to use; 0 = all of the context's.
    pub threads: usize,
    /// Lloyd iterations, or mini-batch steps.
    pub iterations: usize,
    /// How the first centroids are chosen.
    pub seeding: Seeding,
    /// 0 = 1234.
    pub seed: u64,
    /// Points sampled for each centroid; 0 = 256.
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
    /// Mean squared distance (spherical: similarity) of the points used to their centroid.
    pub objective: f64,
}

/// Finds `k` centroids in `x` (`[n, dim]`).
pub fn kmeans(
    context: &Context,
    x: MatrixRef<'_>,
    k: usize,
    options: &KMeansOptions,
    control: &Control<'_>,
) -> Result<KMeans> {
    if x.rows() < k {
        return Err(Error::TooFewPoints { expected: k, got: x.rows() });
    }
    x.check_finite("training rows")?;
    let (n, dim) = (x.rows(), x.dim());
    let metric = if options.spherical { Metric::InnerProduct } else { Metric::L2 };
    let mut centroids: Vec<f32> = (0..k).flat_map(|i| x.row(i * (n / k)).to_vec()).collect();
    let (mut labels, mut keys) = (vec![0; n], vec![0.0; n]);
    let mut objective = 0.0;
    for iteration in 0..options.iterations.max(1) {
        let coarse = Coarse::new(context, MatrixRef::new("centroids", &centroids, k, dim)?, metric)?;
        let workers = context.workers(options.threads);
        coarse.assign(context, x, workers, &mut labels, &mut keys, control.cancel())?;
        let mut sums = vec![0f64; k * dim];
        let mut counts = vec![0usize; k];
        for (row, &label) in labels.iter().enumerate() {
            counts[label as usize] += 1;
            let sums = &mut sums[label as usize * dim..][..dim];
            sums.iter_mut().zip(x.row(row)).for_each(|(sum, &v)| *sum += f64::from(v));
        }
        for (c, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            for d in 0..dim {
                #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "rounding")]
                (centroids[c * dim + d] = (sums[c * dim + d] / count as f64) as f32);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a mean")]
        (objective = keys.iter().map(|&k| f64::from(k)).sum::<f64>() / n as f64);
        control.report("train", iteration + 1, options.iterations, objective)?;
    }
    Ok(KMeans { centroids, objective })
}
