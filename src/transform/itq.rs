//! Iterative quantisation: principal components rotated to be near their signs (Gong et al. 2013), as faiss's
//! `ITQTransform`: rows are centred and normalised first.

use nalgebra::DMatrix;

use super::pca::{self, Components};
use super::{Linear, Training, dense, normalize_rows, procrustes};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::matrix::MatrixRef;
use crate::random::Random;

/// Steps of the rotation, and rows a dimension at most (faiss's numbers).
const ITERATIONS: usize = 50;
const ROWS_A_DIMENSION: usize = 32;

/// A trained ITQ.
pub(crate) struct Itq {
    /// `[d_in]`, subtracted before rows are normalised.
    pub(crate) mean: Vec<f32>,
    /// Components, then the rotation.
    pub(crate) linear: Linear,
}

impl Itq {
    pub(super) fn apply(
        &self,
        context: &Context,
        x: MatrixRef<'_>,
        workers: usize,
        out: &mut [f32],
    ) -> Result<()> {
        let rows = centred(x, &self.mean);
        self.linear.apply(context, MatrixRef::new("rows", &rows, x.rows(), x.dim())?, workers, out)
    }

    /// The lengths are lost: rows come back as if they had been 1.
    pub(super) fn reverse(
        &self,
        context: &Context,
        y: MatrixRef<'_>,
        workers: usize,
        out: &mut [f32],
    ) -> Result<()> {
        self.linear.reverse(context, y, workers, out)?;
        for row in out.chunks_exact_mut(self.mean.len()) {
            row.iter_mut().zip(&self.mean).for_each(|(v, mean)| *v += mean);
        }
        Ok(())
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.linear.memory_bytes() + size_of_val(&self.mean[..])
    }
}

/// Rows less their mean, normalised.
fn centred(x: MatrixRef<'_>, mean: &[f32]) -> Vec<f32> {
    let mut rows: Vec<f32> = Vec::with_capacity(x.data().len());
    for row in x.data().chunks_exact(x.dim()) {
        rows.extend(row.iter().zip(mean).map(|(v, mean)| v - mean));
    }
    normalize_rows(&mut rows, x.dim());
    rows
}

#[expect(clippy::cast_possible_truncation, reason = "rounds to float32")]
pub(super) fn train(x: MatrixRef<'_>, d_out: usize, training: &Training<'_, '_>) -> Result<Itq> {
    let dim = x.dim();
    if x.rows() == 0 {
        return Err(Error::argument("training rows: expected at least 1, got 0"));
    }
    let mean = pca::mean(x, training.control)?;
    let rows = centred(x, &mean);
    let x = MatrixRef::new("training rows", &rows, x.rows(), dim)?;
    let found = Components::of(x, d_out, training)?;
    let components = found.rows.rows(0, d_out).into_owned();
    let sample = pca::sample(x, ROWS_A_DIMENSION * d_out.max(32), training.seed)?;
    let x = sample.as_ref(x)?;
    let wide: Vec<f64> = x.data().iter().map(|&v| f64::from(v)).collect();
    // [d_out, rows]: column-major, so a row of `x` is a column.
    let wide = DMatrix::from_vec(dim, x.rows(), wide);
    let projected = dense::product(&components, &wide, training.control)?;
    let mut random = Random::new(training.seed);
    let rotation = super::rotation::random(d_out, d_out, training.seed, training.control)?;
    let mut turn = DMatrix::from_row_slice(d_out, d_out, &rotation).map(f64::from);
    let transposed = projected.transpose();
    for _ in 0..ITERATIONS {
        let turned = dense::product(&turn, &projected, training.control)?;
        let signs = turned.map(|v| if v < 0.0 { -1.0 } else { 1.0 });
        let alike = dense::product(&signs, &transposed, training.control)?;
        turn = procrustes::rotation(&alike, &mut random, training.control)?;
    }
    let matrix: Vec<f32> = (turn * components).transpose().iter().map(|&v| v as f32).collect();
    Ok(Itq { mean, linear: Linear::new(matrix, Vec::new(), dim, d_out)? })
}
