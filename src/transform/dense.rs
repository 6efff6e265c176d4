//! Dense matrices in float64, a few columns at a time, so that a cancel is heard in between: a decomposition of a
//! thousand columns takes most of a second.
//!
//! The eigenvectors are by Householder's tridiagonalisation and implicit QL (Golub and Van Loan, Matrix Computations,
//! section 8.3; the shifts are those of EISPACK's `tql2`).

use nalgebra::{DMatrix, DVector};

use crate::error::Result;
use crate::progress::Control;

/// Columns of a product between two looks at the control.
const COLUMNS: usize = 32;

/// QL steps for one eigenvalue, far more than any takes.
const STEPS: usize = 100;

/// An orthogonalised column that keeps less than this share of its length has lost digits, and is done again.
const KEPT: f64 = 0.7;

/// Twice is enough (Parlett, The Symmetric Eigenvalue Problem, section 6.9); once more looks whether it was.
const PASSES: usize = 3;

/// Eigenvalues of a symmetric matrix, in no order, and the vector of each as a column.
pub(super) struct Eigen {
    pub(super) values: Vec<f64>,
    pub(super) vectors: DMatrix<f64>,
}

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
pub(super) fn eigen(matrix: DMatrix<f64>, control: &Control<'_>) -> Result<Option<Eigen>> {
    let (mut values, mut beside, mut vectors) = tridiagonal(matrix, control)?;
    let n = values.len();
    for first in 0..n {
        for step in 0.. {
            // The block from `first` to `last` that nothing splits.
            let small =
                |at: &usize| beside[*at].abs() <= f64::EPSILON * (values[*at].abs() + values[at + 1].abs());
            let last = (first..n - 1).find(small).unwrap_or(n - 1);
            if last == first {
                break;
            }
            control.check()?;
            if step == STEPS {
                return Ok(None);
            }
            ql_step(&mut values, &mut beside, &mut vectors, first, last);
        }
    }
    Ok(values.iter().all(|value| value.is_finite()).then_some(Eigen { values, vectors }))
}

/// The diagonal, the one beside it, and the orthogonal Q of `matrix` = Q T Q^T. Only the lower triangle is read.
fn tridiagonal(
    mut matrix: DMatrix<f64>,
    control: &Control<'_>,
) -> Result<(Vec<f64>, Vec<f64>, DMatrix<f64>)> {
    let n = matrix.nrows();
    let (mut beside, mut reflections) = (vec![0.0; n], Vec::new());
    for (column, beside) in beside.iter_mut().enumerate().take(n.saturating_sub(1)) {
        control.check()?;
        let below = n - column - 1;
        // The reflection 1 - 2 v v^T that leaves of the column below the diagonal one value.
        let mut v: DVector<f64> = matrix.view((column + 1, column), (below, 1)).column(0).into_owned();
        let length = v.norm();
        if length == 0.0 {
            reflections.push(v);
            continue;
        }
        let sign = if v[0] < 0.0 { -1.0 } else { 1.0 };
        *beside = -sign * length;
        v[0] += sign * length;
        v.normalize_mut();
        // A - 2 (v w^T + w v^T), w = A v - (v^T A v) v, of which the lower half is kept.
        let rest = matrix.view((column + 1, column + 1), (below, below));
        let mut w = DVector::zeros(below);
        w.sygemv(1.0, &rest, &v, 0.0);
        let along = v.dot(&w);
        w.axpy(-along, &v, 1.0);
        let (v_all, w_all) = (v.as_slice(), w.as_slice());
        for at in 0..below {
            let (by_w, by_v) = (2.0 * v_all[at], 2.0 * w_all[at]);
            let start = (column + 1 + at) * (n + 1);
            let lower = &mut matrix.as_mut_slice()[start..][..below - at];
            for ((to, v), w) in lower.iter_mut().zip(&v_all[at..]).zip(&w_all[at..]) {
                *to -= by_v * v + by_w * w;
            }
        }
        reflections.push(v);
    }
    let values = matrix.diagonal().iter().copied().collect();
    // Q is the reflections one after another: from the last on, only what lies below is touched.
    let mut vectors = DMatrix::identity(n, n);
    for (column, v) in reflections.iter().enumerate().rev() {
        control.check()?;
        let mut rest = vectors.view_mut((column + 1, column + 1), (v.len(), v.len()));
        for mut to in rest.column_iter_mut() {
            let by = -2.0 * v.dot(&to);
            to.axpy(by, v, 1.0);
        }
    }
    Ok((values, beside, vectors))
}

/// An implicit QL step with Wilkinson's shift on the block `first..=last`.
fn ql_step(values: &mut [f64], beside: &mut [f64], vectors: &mut DMatrix<f64>, first: usize, last: usize) {
    let half = (values[first + 1] - values[first]) / (2.0 * beside[first]);
    let root = half.hypot(1.0);
    let mut g = values[last] - values[first] + beside[first] / (half + root.copysign(half));
    let (mut sine, mut cosine, mut p) = (1.0, 1.0, 0.0);
    for at in (first..last).rev() {
        let (f, b) = (sine * beside[at], cosine * beside[at]);
        let r = f.hypot(g);
        beside[at + 1] = r;
        if r == 0.0 {
            // The block has split; the next step begins with what is left of it.
            values[at + 1] -= p;
            beside[last] = 0.0;
            return;
        }
        (sine, cosine) = (f / r, g / r);
        g = values[at + 1] - p;
        let turned = (values[at] - g) * sine + 2.0 * cosine * b;
        p = sine * turned;
        values[at + 1] = g + p;
        g = cosine * turned - b;
        // Slices: the compiler then uses vector registers.
        let rows = vectors.nrows();
        let (left, right) = vectors.as_mut_slice()[at * rows..][..2 * rows].split_at_mut(rows);
        for (a, b) in left.iter_mut().zip(right) {
            (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
        }
    }
    values[first] -= p;
    beside[first] = g;
    beside[last] = 0.0;
}

/// The Q of `matrix` = Q R in which R's diagonal is positive. `matrix` is of full rank and no wider than high.
pub(super) fn orthonormal(mut matrix: DMatrix<f64>, control: &Control<'_>) -> Result<DMatrix<f64>> {
    for column in 0..matrix.ncols() {
        control.check()?;
        let (done, mut rest) = matrix.columns_range_pair_mut(0..column, column..);
        let mut own = rest.column_mut(0);
        for _ in 0..PASSES {
            let before = own.norm();
            let along = done.tr_mul(&own);
            own.gemv(-1.0, &done, &along, 1.0);
            if own.norm() >= KEPT * before {
                break;
            }
        }
        own.normalize_mut();
    }
    Ok(matrix)
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
    fn eigen_vectors_and_values_make_the_matrix_again() {
        for n in [1, 2, 3, 17, 100] {
            // Of full rank, of rank 2, and with values that repeat.
            let wide = random(n, n);
            let thin = random(n, 2.min(n));
            for matrix in [&wide * wide.transpose(), &thin * thin.transpose(), DMatrix::identity(n, n) * 3.0]
            {
                let found = eigen(matrix.clone(), &Control::default()).unwrap().unwrap();
                assert!(far_from_orthonormal(&found.vectors) < 1e-13 * n as f64);
                let values = DMatrix::from_diagonal(&DVector::from_vec(found.values.clone()));
                let again = &found.vectors * values * found.vectors.transpose();
                assert!((again - &matrix).amax() < 1e-13 * n as f64 * matrix.amax());
                let known = matrix.symmetric_eigenvalues();
                let (mut known, mut got) = (known.iter().copied().collect::<Vec<_>>(), found.values);
                known.sort_by(f64::total_cmp);
                got.sort_by(f64::total_cmp);
                let scale = known.last().copied().unwrap_or(0.0);
                assert!(known.iter().zip(&got).all(|(a, b)| (a - b).abs() <= 1e-12 * scale));
            }
        }
    }

    #[test]
    fn eigen_of_values_that_are_not_finite_ends() {
        for bad in [f64::NAN, f64::INFINITY] {
            let mut matrix = DMatrix::identity(5, 5);
            matrix[(3, 1)] = bad;
            assert!(eigen(matrix, &Control::default()).unwrap().is_none());
        }
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
