//! The orthogonal Procrustes problem (Schönemann 1966): the rotation that turns one set of rows into another.

use nalgebra::DMatrix;

use super::dense;
use crate::error::{Error, Result};
use crate::progress::Control;
use crate::random::Random;

/// Singular values below this share of the largest say nothing about their direction.
const NOTHING: f64 = 1e-6;

/// The matrix R with orthonormal rows that maximises the trace of `R * m^T`: U V^T, where `m` = U S V^T is
/// no higher than wide. Directions in which `m` vanishes are filled up at random.
pub(super) fn rotation(m: &DMatrix<f64>, random: &mut Random, control: &Control<'_>) -> Result<DMatrix<f64>> {
    assert!(m.nrows() <= m.ncols(), "invariant: a rotation has no more rows than columns");
    let (rows, columns) = m.shape();
    let transposed = m.transpose();
    // U from m * m^T is cheaper than a decomposition of m; what accuracy is lost is restored below.
    let eigen = dense::eigen(dense::product(m, &transposed, control)?, control)?.ok_or_else(|| {
        Error::State(
            "training rows: the rotation does not converge; look for columns of extreme values".into(),
        )
    })?;
    let order = dense::falling(&eigen);
    let u = DMatrix::from_fn(rows, rows, |row, column| eigen.eigenvectors[(row, order[column])]);
    let mut v = dense::product(&transposed, &u, control)?;
    let largest = v.column(0).norm();
    for mut column in v.column_iter_mut() {
        let length = column.norm();
        if length > largest * NOTHING {
            column /= length;
        } else {
            column.iter_mut().for_each(|value| *value = random.normal());
        }
    }
    let v = dense::orthonormal(v, control)?;
    debug_assert!(v.shape() == (columns, rows));
    dense::product(&u, &v.transpose(), control)
}
