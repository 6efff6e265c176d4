//! A random rotation in O(d log d): signs and a Walsh-Hadamard transform, three times over, as faiss's `HR`.
//!
//! Rows are padded with zeros to a power of two, so the result is longer than the row unless d is one. With
//! H the transform scaled to keep lengths and D1, D2, D3 random signs, y = H D3 H D2 H D1 x.

use std::sync::{Mutex, PoisonError};

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use crate::context::Context;
use crate::error::Result;
use crate::matrix::MatrixRef;

/// Rows that a worker takes at a time.
const PANEL: usize = 64;

/// The signs, which follow from the seed.
pub(crate) struct Hadamard {
    seed: u32,
    /// `[3][n]`, each 1 or -1; n is the padded length.
    pub(super) signs: Vec<f32>,
}

impl Hadamard {
    /// For rows of `d_in` columns. The same seed gives the same signs as in faiss.
    pub(crate) fn new(d_in: usize, seed: u32) -> Self {
        let mut bits = SplitMix64::seed_from_u64(u64::from(seed));
        let sign = |_| if bits.next_u64() & 1 == 1 { 1.0 } else { -1.0 };
        Self { seed, signs: (0..3 * d_in.next_power_of_two()).map(sign).collect() }
    }

    pub(crate) fn seed(&self) -> u32 {
        self.seed
    }

    fn len(&self) -> usize {
        self.signs.len() / 3
    }

    /// What keeps lengths: a transform alone makes them sqrt(n) times as long.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "rounds to float32")]
    fn scale(&self) -> f32 {
        let n = self.len() as f64;
        (1.0 / (n * n.sqrt())) as f32
    }

    pub(super) fn apply(
        &self,
        context: &Context,
        x: MatrixRef<'_>,
        workers: usize,
        out: &mut [f32],
    ) -> Result<()> {
        let (n, scale) = (self.len(), self.scale());
        each_row(context, x, workers, n, out, &|row, out| {
            out[..row.len()].copy_from_slice(row);
            out[row.len()..].fill(0.0);
            for signs in self.signs.chunks_exact(n) {
                out.iter_mut().zip(signs).for_each(|(v, sign)| *v *= sign);
                transform(out);
            }
            out.iter_mut().for_each(|v| *v *= scale);
        })
    }

    pub(super) fn reverse(
        &self,
        context: &Context,
        y: MatrixRef<'_>,
        workers: usize,
        out: &mut [f32],
    ) -> Result<()> {
        let (n, scale) = (self.len(), self.scale());
        let dim = out.len() / y.rows().max(1);
        each_row(context, y, workers, dim, out, &|row, out| {
            let mut values = row.to_vec();
            for signs in self.signs.rchunks_exact(n) {
                transform(&mut values);
                values.iter_mut().zip(signs).for_each(|(v, sign)| *v *= sign);
            }
            out.iter_mut().zip(&values).for_each(|(out, v)| *out = v * scale);
        })
    }

    pub(super) fn memory_bytes(&self) -> usize {
        size_of_val(&self.signs[..])
    }
}

/// Calls `work(row, out)` for each row and its `dim` places in `out`, on all workers.
fn each_row(
    context: &Context,
    x: MatrixRef<'_>,
    workers: usize,
    dim: usize,
    out: &mut [f32],
    work: &(impl Fn(&[f32], &mut [f32]) + Sync),
) -> Result<()> {
    let panels = Mutex::new(x.data().chunks(PANEL * x.dim()).zip(out.chunks_mut(PANEL * dim)));
    context.parallel(workers.min(x.rows().div_ceil(PANEL)), &|_| {
        loop {
            let next = panels.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((rows, out)) = next else { break };
            rows.chunks_exact(x.dim()).zip(out.chunks_exact_mut(dim)).for_each(|(row, out)| work(row, out));
        }
    })
}

/// The unscaled Walsh-Hadamard transform, in place; the length is a power of two.
pub(super) fn transform(values: &mut [f32]) {
    let mut half = 1;
    while half < values.len() {
        for pair in values.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (low, high) in low.iter_mut().zip(high) {
                (*low, *high) = (*low + *high, *low - *high);
            }
        }
        half *= 2;
    }
}
