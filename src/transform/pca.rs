//! Principal components: the directions of largest variance, as faiss's `PCAMatrix`.

use std::sync::{Mutex, PoisonError};

use nalgebra::{DMatrix, DMatrixView};

use super::{Linear, Training, dense, rotation};
use crate::error::{Error, Result};
use crate::matrix::MatrixRef;
use crate::progress::Control;
use crate::random::Random;

/// Rows sampled for each dimension at most: more change the components little (faiss's number).
const ROWS_A_DIMENSION: usize = 1000;

/// Directions whose variance is below this share of the largest hold nothing but rounding.
const NOTHING: f64 = 1e-10;

/// A trained PCA, with what faiss's files tell of it.
pub(crate) struct Pca {
    /// What is applied.
    pub(crate) linear: Linear,
    /// `[d_in]`.
    pub(crate) mean: Vec<f32>,
    /// Variances, largest first; `[d_in]`.
    pub(crate) eigenvalues: Vec<f32>,
    /// A component a row; `[d_in, d_in]`.
    pub(crate) components: Vec<f32>,
    /// What the variances are raised to before they scale a component: 0, or -1/2 for whitening.
    pub(crate) power: f32,
    /// Added to the variances before that.
    pub(crate) epsilon: f32,
    pub(crate) rotate: bool,
    pub(crate) balanced_bins: i32,
}

impl Pca {
    pub(super) fn memory_bytes(&self) -> usize {
        let rest = self.mean.len() + self.eigenvalues.len() + self.components.len();
        self.linear.memory_bytes() + rest * size_of::<f32>()
    }
}

/// The `d_out` first components of `x`.
#[expect(clippy::cast_possible_truncation, reason = "rounds to float32")]
pub(super) fn train(
    x: MatrixRef<'_>,
    d_out: usize,
    whiten: bool,
    rotate: bool,
    training: &Training<'_, '_>,
) -> Result<Pca> {
    let dim = x.dim();
    let found = Components::of(x, d_out, training)?;
    let power: f32 = if whiten { -0.5 } else { 0.0 };
    let largest = found.variances.first().copied().unwrap_or(0.0);
    let mut matrix = found.rows.rows(0, d_out).into_owned();
    if whiten {
        for (mut row, &variance) in matrix.row_iter_mut().zip(&found.variances) {
            row *= if variance > largest * NOTHING { variance.powf(f64::from(power)) } else { 0.0 };
        }
    }
    if rotate {
        let turn = rotation::random(d_out, d_out, training.seed, training.control)?;
        matrix = DMatrix::from_row_slice(d_out, d_out, &turn).map(f64::from) * matrix;
    }
    let mean = DMatrix::from_row_slice(dim, 1, &found.mean);
    let offset = (&matrix * mean).iter().map(|&v| -v as f32).collect();
    let centre: Vec<f32> = found.mean.iter().map(|&v| v as f32).collect();
    let rounded = |matrix: &DMatrix<f64>| matrix.transpose().iter().map(|&v| v as f32).collect::<Vec<_>>();
    Ok(Pca {
        linear: Linear::new(rounded(&matrix), offset, dim, d_out)?.around(&centre),
        mean: centre,
        eigenvalues: found.variances.iter().map(|&v| v as f32).collect(),
        components: rounded(&found.rows),
        power,
        epsilon: 0.0,
        rotate,
        balanced_bins: 0,
    })
}

/// All principal components, in float64.
pub(super) struct Components {
    pub(super) mean: Vec<f64>,
    /// Largest first.
    pub(super) variances: Vec<f64>,
    /// A component a row; of each the value of largest magnitude is positive.
    pub(super) rows: DMatrix<f64>,
}

impl Components {
    /// Of `x`, or of a sample of it; `wanted` = how many are used.
    pub(super) fn of(x: MatrixRef<'_>, wanted: usize, training: &Training<'_, '_>) -> Result<Self> {
        if x.rows() < wanted {
            return Err(Error::argument(format!(
                "training rows: expected at least {wanted}, one for each component, got {}",
                x.rows()
            )));
        }
        let sample = sample(x, ROWS_A_DIMENSION.saturating_mul(x.dim()), training.seed)?;
        let x = sample.as_ref(x)?;
        let mean = mean_f64(x, training.control)?;
        let covariance = covariance(x, &mean, training)?;
        training.control.check()?;
        let dim = x.dim();
        let eigen = dense::eigen(covariance, training.control)?.ok_or_else(|| {
            Error::State("training rows: their principal components do not converge; look for columns of extreme values".into())
        })?;
        let order = dense::falling(&eigen);
        let mut rows = DMatrix::zeros(dim, dim);
        for (row, &component) in order.iter().enumerate() {
            let vector = eigen.eigenvectors.column(component);
            let sign = if vector[vector.iamax()] < 0.0 { -1.0 } else { 1.0 };
            rows.row_mut(row).tr_copy_from(&(vector * sign));
        }
        let variances = order.iter().map(|&component| eigen.eigenvalues[component].max(0.0)).collect();
        Ok(Self { mean, variances, rows })
    }
}

/// Rows drawn at random, or all of them.
pub(super) struct Sample(Option<Vec<f32>>);

impl Sample {
    pub(super) fn as_ref<'a>(&'a self, x: MatrixRef<'a>) -> Result<MatrixRef<'a>> {
        match &self.0 {
            None => Ok(x),
            Some(rows) => MatrixRef::new("training rows", rows, rows.len() / x.dim(), x.dim()),
        }
    }
}

/// At most `most` rows of `x`.
pub(super) fn sample(x: MatrixRef<'_>, most: usize, seed: u64) -> Result<Sample> {
    if x.rows() <= most {
        return Ok(Sample(None));
    }
    if u32::try_from(x.rows()).is_err() {
        return Err(Error::argument(format!(
            "training rows: expected at most {}, got {}",
            u32::MAX,
            x.rows()
        )));
    }
    let numbers = Random::new(seed).deal(x.rows(), &[most]);
    let mut rows = Vec::with_capacity(most * x.dim());
    numbers.iter().for_each(|&row| rows.extend_from_slice(x.row(row as usize)));
    Ok(Sample(Some(rows)))
}

/// The mean row.
#[expect(clippy::cast_possible_truncation, reason = "rounds to float32")]
pub(super) fn mean(x: MatrixRef<'_>, control: &Control<'_>) -> Result<Vec<f32>> {
    Ok(mean_f64(x, control)?.iter().map(|&v| v as f32).collect())
}

pub(super) fn mean_f64(x: MatrixRef<'_>, control: &Control<'_>) -> Result<Vec<f64>> {
    let mut sums = vec![0f64; x.dim()];
    for rows in x.data().chunks(ROWS * x.dim()) {
        control.check()?;
        for row in rows.chunks_exact(x.dim()) {
            sums.iter_mut().zip(row).for_each(|(sum, &v)| *sum += f64::from(v));
        }
    }
    let count = x.rows().max(1) as f64;
    sums.iter_mut().for_each(|sum| *sum /= count);
    Ok(sums)
}

/// Rows between two looks at the control.
const ROWS: usize = 1024;

/// The covariance of the rows, in float64. Workers share its columns, so that it is the same on any number
/// of them.
fn covariance(x: MatrixRef<'_>, mean: &[f64], training: &Training<'_, '_>) -> Result<DMatrix<f64>> {
    const COLUMNS: usize = 64;
    let dim = x.dim();
    let mut strips: Vec<DMatrix<f64>> =
        (0..dim).step_by(COLUMNS).map(|from| DMatrix::zeros(dim, COLUMNS.min(dim - from))).collect();
    let mut centred = Vec::new();
    for from in (0..x.rows()).step_by(ROWS) {
        training.control.check()?;
        let rows = x.slice(from, (from + ROWS).min(x.rows()));
        centred.clear();
        for row in rows.data().chunks_exact(dim) {
            centred.extend(row.iter().zip(mean).map(|(&v, mean)| f64::from(v) - mean));
        }
        // Row-major [rows, dim] is column-major [dim, rows].
        let rows = DMatrixView::from_slice(&centred, dim, rows.rows());
        let queue = Mutex::new(strips.iter_mut().enumerate());
        training.context.parallel(training.workers.min(dim.div_ceil(COLUMNS)), &|_| {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((number, strip)) = next else { break };
                let own = rows.rows(number * COLUMNS, strip.ncols()).transpose();
                strip.gemm(1.0, &rows, &own, 1.0);
            }
        })?;
    }
    let mut whole = DMatrix::zeros(dim, dim);
    for (number, strip) in strips.iter().enumerate() {
        whole.columns_mut(number * COLUMNS, strip.ncols()).copy_from(strip);
    }
    // Rounding may differ on the two sides of the diagonal.
    let transposed = whole.transpose();
    Ok((whole + transposed) * (0.5 / x.rows().max(1) as f64))
}
