//! Scanning one unit of work: tiles of queries pass over blocks; what reaches a query's bar is collected.

use super::packed::{Kept, Packed, restrict, worthwhile};
use super::plan::{Pair, Plan, Unit};
use super::{ListView, ScanJob};
use crate::collect::Collector;
use crate::context::Context;
use crate::element::{Scalar, with_values};
use crate::error::Result;
use crate::kernel::{CHUNK, Kernels, MAX_QUERIES, TileInput, TileOutput, pack};
use crate::lists::block::{BLOCK, NARROW, blocks, locate};
use crate::metric::Metric;
use crate::topk::Hit;

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
    with_values!(list.vectors, vectors => squared_difference(query, vectors[base..].iter().step_by(stride)))
}

fn squared_difference<'a, E: Scalar>(query: &[f32], vector: impl Iterator<Item = &'a E>) -> f32 {
    query.iter().zip(vector).map(|(&q, &v)| q - v.into()).map(|difference| difference * difference).sum()
}

/// One worker's way through its units.
pub(super) struct Scanner<'a, C> {
    kernels: &'static Kernels,
    job: &'a ScanJob<'a>,
    /// The query that the plan calls 0.
    first_query: usize,
    norms: &'a [f32],
    scratch: &'a mut Scratch,
    collector: C,
}

/// Memory that a scanner uses again for each unit.
pub(crate) struct Scratch {
    /// A tile's queries.
    pub(super) packed: Vec<f32>,
    /// What the kernel writes.
    pub(super) tile: Box<TileOutput>,
    filtered: Filtered,
}

/// What a filter leaves of a unit.
#[derive(Default)]
struct Filtered {
    kept: Vec<Kept>,
    packed: Packed,
    /// The unit's biases, `-inf` where the filter lets no result through.
    bias: Vec<f32>,
    /// Runs of blocks that hold anything to find.
    runs: Vec<(usize, usize)>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        let tile = Box::new(TileOutput::new());
        Self { packed: Vec::new(), tile, filtered: Filtered::default() }
    }
}

impl<'a, C: Collector> Scanner<'a, C> {
    /// A scanner for queries from `first_query` on, whose squared lengths are `norms`.
    pub(super) fn new(
        context: &Context,
        job: &'a ScanJob<'a>,
        first_query: usize,
        norms: &'a [f32],
        scratch: &'a mut Scratch,
        collector: C,
    ) -> Self {
        Self { kernels: context.kernels(), job, first_query, norms, scratch, collector }
    }

    /// Scans a unit for all its pairs.
    pub(super) fn scan(&mut self, plan: &Plan, unit: &Unit) -> Result<()> {
        let list = self.job.lists.list(unit.list as usize);
        let pairs = &plan.pairs[unit.pairs.0 as usize..unit.pairs.1 as usize];
        let unit = (unit.blocks.0 as usize, unit.blocks.1 as usize);
        let Some(filter) = self.job.filter else { return self.scan_runs(&list, &[unit], pairs) };
        let mut room = std::mem::take(&mut self.scratch.filtered);
        let Filtered { kept, packed, bias, runs } = &mut room;
        restrict(&list, unit, filter, kept);
        let whole = pairs.iter().all(|pair| pair.slots as usize >= list.ids.len());
        let result = if whole && worthwhile(kept, pairs.len()) {
            let list = packed.pack(&list, self.job.dim, kept);
            self.scan_runs(&list, &[(0, blocks(list.ids.len()))], pairs)
        } else {
            mask(&list, kept, bias, runs);
            self.scan_runs(&ListView { bias, ..list }, runs, pairs)
        };
        self.scratch.filtered = room;
        result
    }

    fn scan_runs(&mut self, list: &ListView<'_>, runs: &[(usize, usize)], pairs: &[Pair]) -> Result<()> {
        // Tiles of even size: 7 + 6 rather than 12 + 1.
        let tiles = pairs.len().div_ceil(self.kernels.max_queries);
        for tile in pairs.chunks(pairs.len().div_ceil(tiles)) {
            self.job.cancel.check()?;
            self.scan_tile(list, runs, tile);
        }
        Ok(())
    }

    fn scan_tile(&mut self, list: &ListView<'_>, runs: &[(usize, usize)], pairs: &[Pair]) {
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
            thresholds[q] = scorers[q].threshold(self.collector.bar(query));
        }
        pack(&rows[..count], dim, &mut self.scratch.packed);
        let step = self.kernels.blocks_per_tile(count);
        let lanes = list.bias.len();
        let slots = pairs.iter().map(|pair| pair.slots as usize).max().unwrap_or(0);
        for &(begin, end) in runs {
            let mut block = begin;
            let end = end.min(slots.div_ceil(BLOCK));
            while block < end {
                let first = block * BLOCK;
                let mut last = (first + step * BLOCK).min(end * BLOCK).min(lanes);
                if last - first > BLOCK && (last - first) % BLOCK == NARROW {
                    // The narrow last block is a tile of its own.
                    last -= NARROW;
                }
                let input = TileInput {
                    dim,
                    count,
                    queries: &self.scratch.packed,
                    thresholds: &thresholds,
                    vectors: list.vectors.slice(first * dim..last * dim),
                    bias: &list.bias[first..last],
                };
                let mut reached = self.kernels.tile(input, &mut self.scratch.tile);
                while reached != 0 {
                    let q = reached.trailing_zeros() as usize;
                    reached &= reached - 1;
                    if self.select(list, &pairs[q], &scorers[q], q, first, last) {
                        let query = pairs[q].query as usize;
                        self.collector.moved(query);
                        thresholds[q] = scorers[q].threshold(self.collector.bar(query));
                    }
                }
                block += (last - first).div_ceil(BLOCK);
            }
        }
    }

    /// Offers the hits of one query in the lanes `first..last` to its collector; true if its bar moved.
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
        let end = list.ids.len().min(pair.slots as usize);
        let mut moved = false;
        for (part, start) in (first..last).step_by(BLOCK).enumerate() {
            let mut mask = self.scratch.tile.hits[q][part];
            while mask != 0 {
                let lane = mask.trailing_zeros() as usize;
                mask &= mask - 1;
                let slot = start + lane;
                if slot >= end {
                    break;
                }
                let key = scorer.key(self.scratch.tile.scores[q][part][lane], list, slot);
                moved |= self.collector.offer(query, Hit { key, id: list.ids[slot] });
            }
        }
        moved
    }
}

/// The biases of a list with those of filtered vectors at `-inf`, in `bias`, and in `runs` the blocks that still
/// hold something: a narrow filter skips the others unread.
fn mask(list: &ListView<'_>, kept: &[Kept], bias: &mut Vec<f32>, runs: &mut Vec<(usize, usize)>) {
    runs.clear();
    bias.resize(list.bias.len(), f32::NEG_INFINITY);
    for &(block, mask) in kept {
        let first = block * BLOCK;
        let last = list.bias.len().min(first + BLOCK);
        for (lane, (to, &from)) in bias[first..last].iter_mut().zip(&list.bias[first..last]).enumerate() {
            *to = if mask >> lane & 1 == 1 { from } else { f32::NEG_INFINITY };
        }
        match runs.last_mut() {
            Some(run) if run.1 == block => run.1 = block + 1,
            _ => runs.push((block, block + 1)),
        }
    }
}
