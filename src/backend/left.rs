//! What a sketch leaves of a query's vectors: only those that may be among the best are compared as they are.

use super::ListView;
use super::picked::bar;
use super::scorer::Scorer;
use super::sketch::Sketch;
use crate::kernel::{Kernels, ROWS, prefetch};
use crate::matrix::squared_norm;
use crate::metric::Metric;
use crate::topk::Hit;

/// Bytes of a row that are fetched before its turn: what follows comes by itself.
const AHEAD: usize = 256;

/// What is known of the vectors of a list besides: a sketch of them, and they themselves as rows.
#[derive(Clone, Copy)]
pub(crate) struct Sketched<'a> {
    pub(crate) sketch: &'a Sketch,
    /// `[vectors, dim]`.
    pub(crate) rows: &'a [f32],
}

/// Whether the `k` best of what a sketch leaves are those of all: there are so many, and the last one's key is not one that
/// similarities beyond 1 are cut to, which a vector that was left out could share.
pub(super) fn is_proven(metric: Metric, best: &[Hit], k: usize) -> bool {
    best.len() == k && (metric != Metric::Cosine || best.last().is_some_and(|hit| hit.key.abs() < 1.0))
}

/// What a sketch leaves of a query's vectors.
#[derive(Default)]
pub(super) struct Left {
    /// Those that may be among the best, their ids, and their keys.
    slots: Vec<u32>,
    pub(super) ids: Vec<i64>,
    pub(super) keys: Vec<f32>,
}

impl Left {
    /// Chooses those that may be among the `k` best by keys that lie off by `margin` at most; false = more than `most`.
    pub(super) fn choose(
        &mut self,
        keys: &[f32],
        k: usize,
        margin: f32,
        most: usize,
        minima: &mut Vec<f32>,
    ) -> bool {
        // So many have a key up to a margin above the bar, and what is more than two above it has a larger one.
        let bar = bar(keys, k, minima) + 2.0 * margin;
        self.slots.resize(keys.len(), 0);
        let mut count = 0;
        for (slot, &key) in (0u32..).zip(keys) {
            self.slots[count] = slot;
            count += usize::from(key <= bar);
        }
        self.slots.truncate(count);
        count <= most
    }

    /// Computes their keys as a scan does, bit by bit; NaN = none.
    pub(super) fn score(
        &mut self,
        kernels: &Kernels,
        metric: Metric,
        query: &[f32],
        rows: &[f32],
        list: &ListView<'_>,
    ) {
        let Self { slots, ids, keys, .. } = self;
        let norm = if metric == Metric::L2 { squared_norm(query) } else { 0.0 };
        let scorer = Scorer::new(metric, query, norm);
        let row = |slot: u32| &rows[slot as usize * query.len()..][..query.len()];
        ids.clear();
        keys.clear();
        ids.extend(slots.iter().map(|&slot| list.ids[slot as usize]));
        let mut parts = slots.chunks(ROWS).peekable();
        while let Some(part) = parts.next() {
            for &slot in parts.peek().copied().unwrap_or_default() {
                let bytes: &[u8] = bytemuck::cast_slice(row(slot));
                prefetch(&bytes[..bytes.len().min(AHEAD)]);
            }
            // The last is there several times, if need be.
            let place = |at: usize| part[at.min(part.len() - 1)];
            let mut scores: [f32; ROWS] = std::array::from_fn(|at| list.bias[place(at) as usize]);
            kernels.pairs.in_order(query, &std::array::from_fn(|at| row(place(at))), &mut scores);
            keys.extend(part.iter().zip(scores).map(|(&slot, score)| {
                // As in any scan, what is less is no hit.
                if score >= f32::MIN { scorer.key(score, list, slot as usize) } else { f32::NAN }
            }));
        }
    }
}
