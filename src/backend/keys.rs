//! The distance keys of rows with every vector of a list, for who wants more of them than the best.

use super::scorer::{CANCELLED, Scorer};
use super::{ListView, multiply};
use crate::context::Context;
use crate::error::Result;
use crate::matrix::{MatrixRef, squared_norm};
use crate::metric::Metric;

/// Writes the key of each row of `x` with each vector, by L2 or inner product: `[rows, vectors]`, where `vectors` is how
/// many the list of float32 holds. The same, bit by bit, as a scan has them; NaN where a product overflows. On the calling
/// thread.
pub(crate) fn keys(
    context: &Context,
    metric: Metric,
    x: MatrixRef<'_>,
    list: ListView<'_>,
    out: &mut [f32],
) -> Result<()> {
    multiply(context, x, list, 1, out)?;
    for (number, keys) in out.chunks_exact_mut(list.live).enumerate() {
        settle(metric, x.row(number), &list, keys);
    }
    Ok(())
}

/// Makes the keys of a row of its scores with every vector of a list, NaN of NaN.
pub(super) fn settle(metric: Metric, row: &[f32], list: &ListView<'_>, keys: &mut [f32]) {
    match metric {
        // + 0.0: a similarity of 0 has one key, not two.
        Metric::InnerProduct => keys.iter_mut().for_each(|key| *key = 0.0 - *key + 0.0),
        Metric::Cosine => keys.iter_mut().for_each(|key| *key = (0.0 - *key).clamp(-1.0, 1.0) + 0.0),
        Metric::L2 => {
            let norm = squared_norm(row);
            let mut cancelled = false;
            for (key, bias) in keys.iter_mut().zip(list.bias) {
                *key = norm - 2.0 * *key;
                cancelled |= *key < CANCELLED * (norm - 2.0 * bias);
            }
            if cancelled {
                let scorer = Scorer::new(metric, row, norm);
                let keys = keys.iter_mut().enumerate().filter(|(_, key)| !key.is_nan());
                keys.for_each(|(slot, key)| *key = scorer.settled(*key, list, slot));
            }
        }
    }
}
