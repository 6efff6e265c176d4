//! Random orthonormal matrices.

use nalgebra::DMatrix;

use super::dense;
use crate::error::Result;
use crate::progress::Control;
use crate::random::Random;

/// A random `[d_out, d_in]` matrix whose rows are orthonormal, or its columns where there are more rows:
/// the Q of a Gaussian matrix, its signs made unique, which is uniform among rotations (Mezzadri 2007).
pub(super) fn random(d_in: usize, d_out: usize, seed: u64, control: &Control<'_>) -> Result<Vec<f32>> {
    let (long, short) = (d_in.max(d_out), d_in.min(d_out));
    let mut random = Random::new(seed);
    let q = dense::orthonormal(DMatrix::from_fn(long, short, |_, _| random.normal()), control)?;
    #[expect(clippy::cast_possible_truncation, reason = "rounds to float32")]
    let round = |matrix: &DMatrix<f64>| matrix.iter().map(|&v| v as f32).collect();
    // Column-major: [long, short] as it lies in memory is [short, long] row after row.
    Ok(if d_out <= d_in { round(&q) } else { round(&q.transpose()) })
}
