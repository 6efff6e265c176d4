//! Optimised product quantisation (Ge et al. 2013): the rotation under which codebooks for parts of a
//! vector lose least, as faiss's `OPQMatrix`.

use std::sync::{Mutex, PoisonError};

use nalgebra::{DMatrix, DMatrixView};

use super::books::Books;
use super::pca::{self, Components};
use super::{Linear, Training, dense, procrustes};
use crate::error::{Error, Result};
use crate::matrix::MatrixRef;
use crate::random::Random;

/// Rotations tried, at most: twice as many as faiss tries, each for a fraction of the time.
pub(super) const ITERATIONS: usize = 100;

/// Rows used at most, in all (faiss's number) and for each word.
const SAMPLE: (usize, usize) = (1 << 16, 1 << 11);

/// How much further than to the best rotation for the codes at hand, as a share of the way there: codes follow rotations
/// with a delay, and so half of the iterations do. Until it leads nowhere.
const FURTHER: f64 = 1.0;

/// Ends when an iteration lowers the error by less than this share.
const ENOUGH: f64 = 1e-4;

/// A rotation of `x` to `d_out` columns for `m` codebooks.
#[expect(clippy::cast_possible_truncation, reason = "rounds to float32")]
pub(super) fn train(x: MatrixRef<'_>, m: usize, d_out: usize, training: &Training<'_, '_>) -> Result<Linear> {
    let d_in = x.dim();
    if x.rows() < training.words {
        return Err(Error::TooFewPoints { expected: training.words, got: x.rows() });
    }
    let sample = pca::sample(x, SAMPLE.0.min(SAMPLE.1 * training.words), training.seed)?;
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
    let begin = |rotation: DMatrix<f64>| -> Result<State<'_>> {
        let mut books = Books::new(training, m, d_out / m);
        let error = books.fit(&turned(&rotation, x, training)?, x.rows())?;
        Ok(State { rotation, books, error })
    };
    let mut state = begin(balanced(&found, m, d_out, dim))?;
    if d_out >= d_in {
        // Columns as they are: where they vary alike, few words do better there than on components, and stay ahead.
        let plain = begin(DMatrix::identity(d_out, dim))?;
        if plain.error < state.error {
            state = plain;
        }
    }
    let mut random = Random::new(training.seed);
    let mut further = FURTHER;
    for iteration in 0..ITERATIONS {
        training.control.report("train", iteration + 1, ITERATIONS, state.error)?;
        let alike = products(&state.books.decoded()?, x, training)?;
        let mut next = procrustes::rotation(&alike, &mut random, training.control)?;
        if further > 0.0 {
            let beyond = &next * (1.0 + further) - &state.rotation * further;
            next = dense::orthonormal(beyond.transpose(), training.control)?.transpose();
        }
        state.rotation = next;
        let before = state.error;
        state.error = state.books.fit(&turned(&state.rotation, x, training)?, x.rows())?;
        if before - state.error <= ENOUGH * before {
            if further == 0.0 {
                break;
            }
            further = 0.0;
        }
    }
    let rows = rounded(&state.rotation);
    let matrix = rows.chunks_exact(dim).flat_map(|row| &row[..d_in]).copied().collect();
    Linear::new(matrix, Vec::new(), d_in, d_out)
}

/// How far a search is.
struct State<'a> {
    /// `[d_out, dim]`.
    rotation: DMatrix<f64>,
    books: Books<'a>,
    /// The mean squared error before the last step.
    error: f64,
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
fn turned(rotation: &DMatrix<f64>, x: MatrixRef<'_>, training: &Training<'_, '_>) -> Result<Vec<f32>> {
    let d_out = rotation.nrows();
    let mut out = vec![0f32; x.rows() * d_out];
    let linear = Linear::new(rounded(rotation), Vec::new(), x.dim(), d_out)?;
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
