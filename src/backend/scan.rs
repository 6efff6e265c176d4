//! Scanning one unit of work: tiles of queries pass over blocks; what reaches a query's bar is selected.

use std::sync::atomic::{AtomicU32, Ordering};

use super::plan::{Pair, Plan, Unit};
use super::workspace::Workspace;
use super::{ListView, ScanJob};
use crate::context::Context;
use crate::error::Result;
use crate::kernel::{CHUNK, Kernels, MAX_QUERIES, TileInput, TileOutput, pack};
use crate::lists::block::{BLOCK, NARROW, locate};
use crate::metric::Metric;
use crate::topk::{self, Hit, State, TopK};

/// An L2 distance below this share of `|q|^2 + |v|^2` has lost digits in `|q|^2 + |v|^2 - 2qv` and is
/// summed again from differences.
const CANCELLED: f32 = 1.0 / 64.0;

/// How a query's scores become keys, and its bar a threshold on scores.
#[derive(Clone, Copy)]
pub(super) struct Scorer<'a> {
    metric: Metric,
    query: &'a [f32],
    norm: f32,
    slack: f32,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(metric: Metric, query: &'a [f32], norm: f32) -> Self {
        // A bound on the rounding error of a score, as a share of |q|^2: it decides which vectors near
        // the query are looked at closely, never which are returned.
        let dim = query.len();
        let steps = dim.min(CHUNK) + dim.div_ceil(CHUNK) + 8;
        #[expect(clippy::cast_precision_loss, reason = "a bound; a few thousand at most")]
        let slack = 2.0 * steps as f32 * (f32::EPSILON / 2.0) * norm;
        Self { metric, query, norm, slack }
    }

    /// Scores below this cannot reach the bar.
    #[inline]
    pub(super) fn threshold(&self, bar: f32) -> f32 {
        // Never -inf: that is the score of lanes that hold nothing.
        let threshold = match self.metric {
            Metric::L2 => (self.norm - bar) * 0.5 - self.slack - 4.0 * f32::EPSILON * bar,
            Metric::InnerProduct | Metric::Cosine => -bar,
        };
        threshold.max(f32::MIN)
    }

    /// The key of the vector in `slot`, whose score is `score`.
    #[inline]
    pub(super) fn key(&self, score: f32, list: &ListView<'_>, slot: usize) -> f32 {
        match self.metric {
            Metric::L2 => {
                let distance = self.norm - 2.0 * score;
                if distance >= CANCELLED * (self.norm - 2.0 * list.bias[slot]) {
                    return distance;
                }
                difference(self.query, list, slot)
            }
            // + 0.0: a similarity of 0 has one key, not two.
            Metric::InnerProduct => 0.0 - score + 0.0,
            Metric::Cosine => 0.0 - score.clamp(-1.0, 1.0) + 0.0,
        }
    }
}

/// The squared distance, summed from differences.
#[cold]
#[inline(never)]
fn difference(query: &[f32], list: &ListView<'_>, slot: usize) -> f32 {
    let (base, stride) = locate(slot, list.bias.len(), query.len());
    let vector = list.vectors[base..].iter().step_by(stride);
    query.iter().zip(vector).map(|(q, v)| (q - v) * (q - v)).sum()
}

/// One worker's selections and scratch memory, as a scan uses them.
pub(super) struct Scanner<'a> {
    kernels: &'static Kernels,
    job: &'a ScanJob<'a>,
    /// The query that the plan calls 0.
    first_query: usize,
    capacity: usize,
    hits: &'a mut [Hit],
    states: &'a mut [State],
    norms: &'a [f32],
    packed: &'a mut Vec<f32>,
    tile: &'a mut TileOutput,
    /// The best bar that any worker has for each query, where several share them.
    shared: Option<&'a [AtomicU32]>,
}

impl<'a> Scanner<'a> {
    /// A scanner whose selections, states and norms the workspace holds, for queries from `first_query`.
    pub(super) fn new(
        context: &Context,
        job: &'a ScanJob<'a>,
        first_query: usize,
        workspace: &'a mut Workspace,
        shared: Option<&'a [AtomicU32]>,
    ) -> Self {
        let Workspace { hits, states, norms, packed, tile, .. } = workspace;
        let (kernels, capacity) = (context.kernels(), topk::capacity(job.k));
        Self { kernels, job, first_query, capacity, hits, states, norms, packed, tile, shared }
    }

    /// Scans a unit for all its pairs.
    pub(super) fn scan(&mut self, plan: &Plan, unit: &Unit) -> Result<()> {
        let list = self.job.lists.list(unit.list as usize);
        let pairs = &plan.pairs[unit.pairs.0 as usize..unit.pairs.1 as usize];
        let blocks = (unit.blocks.0 as usize, unit.blocks.1 as usize);
        // Tiles of even size: 7 + 6 rather than 12 + 1.
        let tiles = pairs.len().div_ceil(self.kernels.max_queries);
        for tile in pairs.chunks(pairs.len().div_ceil(tiles)) {
            self.job.cancel.check()?;
            self.scan_tile(&list, blocks, tile);
        }
        Ok(())
    }

    fn scan_tile(&mut self, list: &ListView<'_>, blocks: (usize, usize), pairs: &[Pair]) {
        let dim = self.job.dim;
        let count = pairs.len();
        let mut rows = [&[][..]; MAX_QUERIES];
        let mut scorers = [Scorer::new(self.job.metric, &[], 0.0); MAX_QUERIES];
        let mut thresholds = [0f32; MAX_QUERIES];
        for (q, pair) in pairs.iter().enumerate() {
            let query = pair.query as usize;
            let start = (self.first_query + query) * dim;
            rows[q] = &self.job.queries[start..start + dim];
            scorers[q] = Scorer::new(self.job.metric, rows[q], self.norms[query]);
            thresholds[q] = scorers[q].threshold(self.bar(query));
        }
        pack(&rows[..count], dim, self.packed);
        let step = self.kernels.blocks_per_tile(count);
        let lanes = list.bias.len();
        let mut block = blocks.0;
        while block < blocks.1 {
            let first = block * BLOCK;
            let mut last = (first + step * BLOCK).min(blocks.1 * BLOCK).min(lanes);
            if last - first > BLOCK && (last - first) % BLOCK == NARROW {
                // The narrow last block is a tile of its own.
                last -= NARROW;
            }
            let input = TileInput {
                dim,
                count,
                queries: self.packed,
                thresholds: &thresholds,
                vectors: &list.vectors[first * dim..last * dim],
                bias: &list.bias[first..last],
            };
            let mut reached = self.kernels.tile(input, self.tile);
            while reached != 0 {
                let q = reached.trailing_zeros() as usize;
                reached &= reached - 1;
                if self.select(list, &pairs[q], &scorers[q], q, first, last) {
                    thresholds[q] = scorers[q].threshold(self.bar(pairs[q].query as usize));
                }
            }
            block += (last - first).div_ceil(BLOCK);
        }
    }

    /// Offers the hits of one query in the lanes `first..last` to its selection; true if its bar moved.
    #[inline]
    fn select(
        &mut self,
        list: &ListView<'_>,
        pair: &Pair,
        scorer: &Scorer<'_>,
        q: usize,
        first: usize,
        last: usize,
    ) -> bool {
        let query = pair.query as usize;
        let mut topk = TopK {
            hits: &mut self.hits[query * self.capacity..(query + 1) * self.capacity],
            state: &mut self.states[query],
            k: self.job.k,
        };
        let end = list.ids.len().min(pair.slots as usize);
        let mut moved = false;
        for (part, start) in (first..last).step_by(BLOCK).enumerate() {
            let mut mask = self.tile.hits[q][part];
            let scores = &self.tile.scores[q][part];
            while mask != 0 {
                let lane = mask.trailing_zeros() as usize;
                mask &= mask - 1;
                let slot = start + lane;
                if slot >= end {
                    break;
                }
                let key = scorer.key(scores[lane], list, slot);
                moved |= topk.push(Hit { key, id: list.ids[slot] });
            }
        }
        if moved && let Some(shared) = self.shared {
            shared[query].fetch_min(ordered(self.states[query].bar.key), Ordering::Relaxed);
        }
        moved
    }

    /// The key that a candidate of this query must not exceed.
    #[inline]
    fn bar(&self, query: usize) -> f32 {
        let own = self.states[query].bar.key;
        match self.shared {
            Some(shared) => own.min(from_ordered(shared[query].load(Ordering::Relaxed))),
            None => own,
        }
    }
}

/// A bar that nothing has moved yet.
pub(super) const NO_BAR: u32 = 0xff80_0000;

/// A float as an integer of the same order.
fn ordered(key: f32) -> u32 {
    let bits = key.to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

fn from_ordered(bits: u32) -> f32 {
    f32::from_bits(if bits >> 31 == 1 { bits & !(1 << 31) } else { !bits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordered_any_float_keeps_order_and_comes_back() {
        let floats = [f32::NEG_INFINITY, -3.0, -1e-30, 0.0, 1e-30, 2.5, f32::INFINITY];
        for pair in floats.windows(2) {
            assert!(ordered(pair[0]) < ordered(pair[1]));
        }
        for float in floats {
            assert_eq!(from_ordered(ordered(float)), float);
        }
        assert_eq!(from_ordered(NO_BAR), f32::INFINITY);
    }
}
