//! Dense matrices in float64, with a look at the control before each step that may be long. A product is taken a few
//! columns at a time; a decomposition is nalgebra's, as a whole.

use nalgebra::{DMatrix, Dyn, SymmetricEigen};

use crate::error::Result;
use crate::progress::Control;

/// Columns of a product between two looks at the control.
const COLUMNS: usize = 32;

/// `a * b`.
pub(super) fn product(a: &DMatrix<f64>, b: &DMatrix<f64>, control: &Control<'_>) -> Result<DMatrix<f64>> {
    let mut out = DMatrix::zeros(a.nrows(), b.ncols());
    for from in (0..b.ncols()).step_by(COLUMNS) {
        control.check()?;
        let count = COLUMNS.min(b.ncols() - from);
        out.columns_mut(from, count).gemm(1.0, a, &b.columns(from, count), 0.0);
    }
    Ok(out)
}

/// The decomposition of a symmetric matrix; `None` if it does not converge, as for values that are not finite.
pub(super) fn eigen(matrix: DMatrix<f64>, control: &Control<'_>) -> Result<Option<SymmetricEigen<f64, Dyn>>> {
    control.check()?;
    let steps = 100 * matrix.nrows().max(100);
    Ok(SymmetricEigen::try_new(matrix, f64::EPSILON, steps))
}

/// The numbers of the eigenvectors, those of the largest eigenvalues first.
pub(super) fn falling(eigen: &SymmetricEigen<f64, Dyn>) -> Vec<usize> {
    let values = &eigen.eigenvalues;
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    order
}

/// The Q of `matrix` = Q R in which R's diagonal is positive. `matrix` is no wider than high.
pub(super) fn orthonormal(matrix: DMatrix<f64>, control: &Control<'_>) -> Result<DMatrix<f64>> {
    control.check()?;
    let factors = matrix.qr();
    let (mut q, r) = (factors.q(), factors.r());
    for (mut column, &pivot) in q.column_iter_mut().zip(r.diagonal().iter()) {
        if pivot < 0.0 {
            column.neg_mut();
        }
    }
    Ok(q)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::random::Random;
    use std::sync::atomic::AtomicI32;

    fn random(rows: usize, columns: usize) -> DMatrix<f64> {
        let mut random = Random::new(7);
        DMatrix::from_fn(rows, columns, |_, _| random.normal())
    }

    fn far_from_orthonormal(q: &DMatrix<f64>) -> f64 {
        (q.tr_mul(q) - DMatrix::identity(q.ncols(), q.ncols())).amax()
    }

    #[test]
    fn orthonormal_is_the_q_of_a_positive_diagonal() {
        for (rows, columns) in [(1, 1), (5, 3), (60, 60)] {
            let matrix = random(rows, columns);
            let q = orthonormal(matrix.clone(), &Control::default()).unwrap();
            assert!(far_from_orthonormal(&q) < 1e-13);
            let r = q.tr_mul(&matrix);
            assert!((0..columns).all(|at| r[(at, at)] > 0.0));
            assert!((&q * r - matrix).amax() < 1e-12);
        }
    }

    #[test]
    fn product_is_that_of_the_whole_matrices() {
        let (a, b) = (random(40, 70), random(70, 75));
        assert!((product(&a, &b, &Control::default()).unwrap() - a * b).amax() < 1e-12);
    }

    #[test]
    fn dense_cancelled_is_an_error() {
        let flag = AtomicI32::new(1);
        let control = Control::new(None, Some(&flag));
        let matrix = random(9, 9);
        assert!(matches!(product(&matrix, &matrix, &control), Err(Error::Cancelled)));
        assert!(matches!(orthonormal(matrix.clone(), &control), Err(Error::Cancelled)));
        assert!(matches!(eigen(matrix, &control), Err(Error::Cancelled)));
    }
}
