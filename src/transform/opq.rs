//! Optimised product quantisation (Ge et al. 2013): the rotation under which codebooks for parts of a
//! vector lose least, as faiss's `OPQMatrix`.

use std::sync::{Mutex, PoisonError};

use nalgebra::{DMatrix, DMatrixView};

use super::pca::{self, Components};
use super::{Linear, Training, procrustes};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::kmeans::{KMeansOptions, Purpose, assign, cluster};
use crate::matrix::MatrixRef;
use crate::progress::Control;
use crate::random::Random;

/// Rotations tried, and rows used, at most (faiss's numbers).
pub(super) const ITERATIONS: usize = 50;
const MAX_ROWS: usize = 256 * 256;

/// Steps of k-means before the first rotation, and before each later one.
const FIRST_STEPS: usize = 10;
const STEPS: usize = 2;

/// Ends when an iteration lowers the error by less than this share.
const ENOUGH: f64 = 1e-4;

/// Centroids of a codebook: 8 bits.
const CENTROIDS: usize = 256;

/// A rotation of `x` to `d_out` columns for `m` codebooks.
#[expect(clippy::cast_possible_truncation, reason = "rounds to float32")]
pub(super) fn train(x: MatrixRef<'_>, m: usize, d_out: usize, training: &Training<'_, '_>) -> Result<Linear> {
    let d_in = x.dim();
    if x.rows() < CENTROIDS {
        return Err(Error::TooFewPoints { expected: CENTROIDS, got: x.rows() });
    }
    let sample = pca::sample(x, MAX_ROWS, training.seed)?;
    let x = sample.as_ref(x)?;
    let found = Components::of(x, 0, training)?;
    // Rows are centred, and padded where there are more dimensions out than in.
    let dim = d_in.max(d_out);
    let mut rows = vec![0f32; x.rows() * dim];
    for (to, from) in rows.chunks_exact_mut(dim).zip(x.data().chunks_exact(d_in)) {
        to.iter_mut()
            .zip(from)
            .zip(&found.mean)
            .for_each(|((to, &v), mean)| *to = (f64::from(v) - mean) as f32);
    }
    let x = MatrixRef::new("training rows", &rows, x.rows(), dim)?;
    let mut random = Random::new(training.seed);
    let mut rotation = balanced(&found, m, d_out, dim);
    let mut books = Books { m, part: d_out / m, centroids: Vec::new() };
    let mut best = f64::INFINITY;
    for iteration in 0..ITERATIONS {
        let turn = rounded(&rotation);
        let turned = turned(&turn, x, training)?;
        let y = MatrixRef::new("training rows", &turned, x.rows(), d_out)?;
        let steps = if iteration == 0 { FIRST_STEPS } else { STEPS };
        let (decoded, error) = books.fit(y, steps, training)?;
        training.control.report("train", iteration + 1, ITERATIONS, error)?;
        if best - error < ENOUGH * best && iteration > 0 {
            break;
        }
        best = error;
        let alike = products(&decoded, x, training)?;
        rotation = procrustes::rotation(&alike, &mut random, training.control)?;
    }
    let rows = rounded(&rotation);
    let matrix = rows.chunks_exact(dim).flat_map(|row| &row[..d_in]).copied().collect();
    Linear::new(matrix, Vec::new(), d_in, d_out)
}

/// Row-major, rounded.
#[expect(clippy::cast_possible_truncation, reason = "rounds to float32")]
fn rounded(matrix: &DMatrix<f64>) -> Vec<f32> {
    matrix.transpose().iter().map(|&v| v as f32).collect()
}

/// Principal components dealt out so that the parts' variances have like products: where the search begins
/// (section 5 of the paper).
fn balanced(found: &Components, m: usize, d_out: usize, dim: usize) -> DMatrix<f64> {
    let part = d_out / m;
    let mut parts = vec![(0f64, Vec::new()); m];
    for component in 0..d_out {
        let variance = found.variances.get(component).copied().unwrap_or(0.0).max(f64::MIN_POSITIVE);
        let open = parts.iter_mut().filter(|(_, members)| members.len() < part);
        let least = open.min_by(|a, b| a.0.total_cmp(&b.0)).expect("invariant: there is room for all");
        least.0 += variance.ln();
        least.1.push(component);
    }
    let mut rotation = DMatrix::zeros(d_out, dim);
    for (row, &component) in parts.iter().flat_map(|(_, members)| members).enumerate() {
        if component < found.rows.nrows() {
            rotation.view_mut((row, 0), (1, found.rows.ncols())).copy_from(&found.rows.row(component));
        } else {
            // Padding: a direction of its own.
            rotation[(row, component)] = 1.0;
        }
    }
    rotation
}

/// The rows turned by a `[d_out, dim]` matrix.
fn turned(turn: &[f32], x: MatrixRef<'_>, training: &Training<'_, '_>) -> Result<Vec<f32>> {
    let d_out = turn.len() / x.dim();
    let mut out = vec![0f32; x.rows() * d_out];
    let linear = Linear::new(turn.to_vec(), Vec::new(), x.dim(), d_out)?;
    const ROWS: usize = 4096;
    for (from, out) in (0..).step_by(ROWS).zip(out.chunks_mut(ROWS * d_out)) {
        training.control.check()?;
        let rows = x.slice(from, from + out.len() / d_out);
        linear.apply(training.context, rows, training.workers, out)?;
    }
    Ok(out)
}

/// `decoded^T * x`, `[d_out, dim]`; workers share its columns.
fn products(decoded: &[f32], x: MatrixRef<'_>, training: &Training<'_, '_>) -> Result<DMatrix<f64>> {
    const COLUMNS: usize = 64;
    const ROWS: usize = 1024;
    let (dim, d_out) = (x.dim(), decoded.len() / x.rows());
    let mut strips: Vec<DMatrix<f64>> =
        (0..dim).step_by(COLUMNS).map(|from| DMatrix::zeros(d_out, COLUMNS.min(dim - from))).collect();
    let queue = Mutex::new(strips.iter_mut().enumerate());
    let cancel = training.control.cancel();
    training.context.parallel(training.workers.min(dim.div_ceil(COLUMNS)), &|_| {
        loop {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((number, strip)) = next else { break };
            for (decoded, rows) in decoded.chunks(ROWS * d_out).zip(x.data().chunks(ROWS * dim)) {
                if cancel.is_set() {
                    return;
                }
                let count = rows.len() / dim;
                let own = DMatrixView::from_slice(rows, dim, count)
                    .rows(number * COLUMNS, strip.ncols())
                    .transpose();
                // Float32 within a thousand rows, float64 beyond.
                let part = DMatrixView::from_slice(decoded, d_out, count) * own;
                strip.zip_apply(&part, |sum, part: f32| *sum += f64::from(part));
            }
        }
    })?;
    training.control.check()?;
    let mut whole = DMatrix::zeros(d_out, dim);
    for (number, strip) in strips.iter().enumerate() {
        whole.columns_mut(number * COLUMNS, strip.ncols()).copy_from(strip);
    }
    Ok(whole)
}

/// A codebook for each part.
struct Books {
    m: usize,
    part: usize,
    /// `[m][256, part]`; empty before the first fit.
    centroids: Vec<Vec<f32>>,
}

impl Books {
    /// Moves the centroids towards `y` by some steps of k-means, then gives what the rows are decoded to, and
    /// the mean squared error.
    fn fit(
        &mut self,
        y: MatrixRef<'_>,
        steps: usize,
        training: &Training<'_, '_>,
    ) -> Result<(Vec<f32>, f64)> {
        let (n, part) = (y.rows(), self.part);
        let mut decoded = vec![0f32; y.data().len()];
        let mut error = 0.0;
        let mut rows = vec![0f32; n * part];
        let (mut labels, mut distances) = (vec![0u32; n], vec![0f32; n]);
        for number in 0..self.m {
            training.control.check()?;
            for (to, from) in rows.chunks_exact_mut(part).zip(y.data().chunks_exact(y.dim())) {
                to.copy_from_slice(&from[number * part..][..part]);
            }
            let x = MatrixRef::new("training rows", &rows, n, part)?;
            if self.centroids.len() == number {
                let options = KMeansOptions {
                    threads: training.workers,
                    iterations: steps,
                    seed: training.seed,
                    ..KMeansOptions::default()
                };
                let silent = training.control.silent();
                let found =
                    cluster(training.context, x.into(), CENTROIDS, &options, Purpose::Caller, &silent)?;
                self.centroids.push(found.centroids);
            }
            let centroids = &mut self.centroids[number];
            for step in 0..steps.min(STEPS) + 1 {
                let known = MatrixRef::new("centroids", centroids, CENTROIDS, part)?;
                nearest(
                    training.context,
                    x,
                    known,
                    training.workers,
                    &mut labels,
                    &mut distances,
                    training.control,
                )?;
                if step < steps.min(STEPS) {
                    update(x, &labels, centroids);
                }
            }
            for ((to, &label), &distance) in decoded.chunks_exact_mut(y.dim()).zip(&labels).zip(&distances) {
                let centroid = &centroids[label as usize * part..][..part];
                to[number * part..][..part].copy_from_slice(centroid);
                error += f64::from(distance);
            }
        }
        Ok((decoded, error / n as f64))
    }
}

fn nearest(
    context: &Context,
    x: MatrixRef<'_>,
    centroids: MatrixRef<'_>,
    workers: usize,
    labels: &mut [u32],
    distances: &mut [f32],
    control: &Control<'_>,
) -> Result<()> {
    assign(context, x, centroids, false, workers, labels, distances, &control.silent())
}

/// Moves each centroid to the mean of its rows; one without any stays.
#[expect(clippy::cast_possible_truncation, reason = "rounds to float32")]
fn update(x: MatrixRef<'_>, labels: &[u32], centroids: &mut [f32]) {
    let part = x.dim();
    let (mut sums, mut counts) = (vec![0f64; centroids.len()], vec![0usize; centroids.len() / part]);
    for (row, &label) in x.data().chunks_exact(part).zip(labels) {
        let sums = &mut sums[label as usize * part..][..part];
        sums.iter_mut().zip(row).for_each(|(sum, &v)| *sum += f64::from(v));
        counts[label as usize] += 1;
    }
    for ((to, sums), &count) in centroids.chunks_exact_mut(part).zip(sums.chunks_exact(part)).zip(&counts) {
        if count > 0 {
            to.iter_mut().zip(sums).for_each(|(to, sum)| *to = (sum / count as f64) as f32);
        }
    }
}
