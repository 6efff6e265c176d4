//! The CPU's own distances for what the device found, and the proof that nothing else belongs to it.
//!
//! The device sums in another order than the CPU, so its keys differ by rounding. Both errors are bounded by
//! gamma |q| |v| a dot product and gamma |v|^2 a norm (Higham, Accuracy and Stability of Numerical Algorithms, 3.1),
//! with gamma = steps * epsilon for the longer of both chains of additions. If the best key that the device left out
//! lies above the k-th exact key by more than the bound, none of those left out can be among the k best, and none
//! can tie.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::backend::scorer::Scorer;
use crate::backend::{ListView, ScanJob};
use crate::collect::Sink;
use crate::context::Context;
use crate::element::{Scalar, with_values};
use crate::error::Result;
use crate::kernel::{CHUNK, Kernels, TileInput, TileOutput, pack};
use crate::lists::block::{BLOCK, locate};
use crate::matrix::squared_norm;
use crate::metric::Metric;
use crate::topk::Hit;

/// A vector that the device thinks is near.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub(super) query: usize,
    pub(super) list: u32,
    pub(super) slot: u32,
}

/// Queries that a worker takes at a time.
const QUERIES: usize = 16;

/// Recomputes a job's keys.
pub(super) struct Judge<'a> {
    context: &'a Context,
    job: &'a ScanJob<'a>,
    /// No vector's squared length is larger.
    largest: f32,
}

impl<'a> Judge<'a> {
    pub(super) fn new(context: &'a Context, job: &'a ScanJob<'a>, largest: f32) -> Self {
        Self { context, job, largest }
    }

    fn query(&self, query: usize) -> &'a [f32] {
        &self.job.queries[query * self.job.dim..(query + 1) * self.job.dim]
    }

    /// How far the device's key of a vector can be from the CPU's, if that is at most `key`.
    fn error(&self, norm: f32, key: f32) -> f64 {
        let dim = self.job.dim;
        // scan.wgsl sums 64 products at a time, then their sums.
        rounding(self.job.metric, dim, dim.min(CHUNK) + dim.div_ceil(64) + 16, self.largest, norm, key)
    }

    /// The device's keys of all vectors whose key is below `key` are at most this.
    pub(super) fn reach(&self, query: usize, key: f32) -> f32 {
        let reach = f64::from(key) + self.error(squared_norm(self.query(query)), key);
        #[expect(clippy::cast_possible_truncation, reason = "rounded up below")]
        (reach as f32).next_up()
    }

    /// Hands over the `k` best of the queries `from..to` of those in `candidates`, of which none but theirs may be
    /// there then; those of which `bars` does not prove that nothing else belongs to them go to `left`.
    pub(super) fn best(
        &self,
        (from, to): (usize, usize),
        k: usize,
        candidates: &mut Vec<Candidate>,
        bars: &mut Vec<(usize, u32)>,
        sink: &dyn Sink,
        left: &mut Vec<usize>,
    ) -> Result<()> {
        // What is there of the next query waits for the rest of it.
        let ready = candidates.iter().position(|candidate| candidate.query >= to).unwrap_or(candidates.len());
        let later = candidates.split_off(ready);
        let unproven = Mutex::new(Vec::new());
        let next = AtomicUsize::new(from);
        let candidates_now = &*candidates;
        let bars_now = &*bars;
        self.context.parallel(self.job.workers.min(1 + (to - from) / QUERIES), &|_| {
            let mut arithmetic = Arithmetic::new(self.context.kernels());
            let mut hits = Vec::new();
            loop {
                let first = next.fetch_add(QUERIES, Ordering::Relaxed);
                for query in first..(first + QUERIES).min(to) {
                    let own = of_query(candidates_now, query, |candidate| candidate.query);
                    hits.clear();
                    let norm = arithmetic.keys(self, query, own, &mut hits);
                    hits.sort_unstable_by(Hit::order);
                    hits.truncate(k);
                    let bar = of_query(bars_now, query, |bar| bar.0).iter().map(|bar| bar.1).min();
                    if self.proven(norm, k, &hits, bar) {
                        sink.take(query, &hits);
                    } else {
                        unproven.lock().unwrap_or_else(PoisonError::into_inner).push(query);
                    }
                }
                if first + QUERIES >= to {
                    break;
                }
            }
        })?;
        left.append(&mut unproven.into_inner().unwrap_or_else(PoisonError::into_inner));
        *candidates = later;
        bars.retain(|bar| bar.0 >= to);
        Ok(())
    }

    /// Whether these are the k best, if the device left out only what it thinks is at `bar` or beyond.
    fn proven(&self, norm: f32, k: usize, hits: &[Hit], bar: Option<u32>) -> bool {
        if hits.iter().any(|hit| !hit.key.is_finite()) {
            return false;
        }
        let Some(bar) = bar else { return true };
        let Some(last) = hits.get(k - 1) else { return false };
        let bar = f64::from(from_ordered(bar));
        // Cut off at the largest cosine, all further keys are equal.
        let cut = self.job.metric == Metric::Cosine && last.key >= 1.0;
        bar.is_finite() && !cut && bar > f64::from(last.key) + self.error(norm, last.key)
    }

    /// Adds those of `candidates` whose key is below `key` to `found`, and empties `candidates`.
    pub(super) fn within(
        &self,
        key: f32,
        candidates: &mut Vec<Candidate>,
        found: &mut Vec<(u32, Hit)>,
    ) -> Result<()> {
        let all = Mutex::new(std::mem::take(found));
        let parts: Vec<&[Candidate]> = candidates.chunk_by(|a, b| a.query == b.query).collect();
        let next = AtomicUsize::new(0);
        self.context.parallel(self.job.workers.min(1 + candidates.len() / 256), &|_| {
            let mut arithmetic = Arithmetic::new(self.context.kernels());
            let (mut hits, mut own) = (Vec::new(), Vec::new());
            while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                hits.clear();
                arithmetic.keys(self, part[0].query, part, &mut hits);
                let query = super::scan::to32(part[0].query);
                own.extend(hits.iter().filter(|hit| hit.key < key).map(|&hit| (query, hit)));
            }
            all.lock().unwrap_or_else(PoisonError::into_inner).append(&mut own);
        })?;
        *found = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        candidates.clear();
        Ok(())
    }
}

/// How far two ways to compute a key can lie apart that add at most `steps` numbers one after another, for vectors
/// whose key is at most `key` and squared length at most `largest`, and a query of squared length `norm`.
pub(super) fn rounding(metric: Metric, dim: usize, steps: usize, largest: f32, norm: f32, key: f32) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a bound; a few thousand at most")]
    let (gamma, dim) = (f64::from(f32::EPSILON) * steps as f64, dim as f64);
    let q = f64::from(norm).sqrt();
    let size = match metric {
        // |v| <= |q| + |q - v|, whatever else the lists hold.
        Metric::L2 => (2.0 * q + (f64::from(key.max(0.0)) * 1.01).sqrt()).powi(2),
        Metric::InnerProduct | Metric::Cosine => q * f64::from(largest).sqrt() * 1.01,
    };
    // Where a sum might overflow on its way, nothing is known.
    if size >= f64::from(f32::MAX) / 8.0 {
        return f64::INFINITY;
    }
    // A product below float32's smallest normal number may be flushed to zero.
    2.0 * gamma * size + dim * 1e-37
}

/// The part of `all`, which is in the order of queries, that is of `query`.
fn of_query<T>(all: &[T], query: usize, number: impl Fn(&T) -> usize) -> &[T] {
    let from = all.partition_point(|one| number(one) < query);
    let to = from + all[from..].partition_point(|one| number(one) == query);
    &all[from..to]
}

/// One worker's memory for recomputing keys as the CPU's scan computes them: with the same kernel, which adds the
/// same terms in the same order whichever vectors share a block.
struct Arithmetic {
    kernels: &'static Kernels,
    packed: Vec<f32>,
    block: Vec<f32>,
    tile: Box<TileOutput>,
}

impl Arithmetic {
    fn new(kernels: &'static Kernels) -> Self {
        Self { kernels, packed: Vec::new(), block: Vec::new(), tile: Box::new(TileOutput::new()) }
    }

    /// Adds a hit for each of `candidates`, all of `query`; the query's squared length.
    fn keys(
        &mut self,
        judge: &Judge<'_>,
        query: usize,
        candidates: &[Candidate],
        hits: &mut Vec<Hit>,
    ) -> f32 {
        let job = judge.job;
        let row = judge.query(query);
        let norm = squared_norm(row);
        let scorer = Scorer::new(job.metric, row, norm);
        pack(&[row], job.dim, &mut self.packed);
        for part in candidates.chunks(BLOCK) {
            self.block.clear();
            self.block.resize(job.dim * BLOCK, 0.0);
            let mut bias = [f32::NEG_INFINITY; BLOCK];
            for (lane, candidate) in part.iter().enumerate() {
                let list = job.lists.list(candidate.list as usize);
                bias[lane] = list.bias[candidate.slot as usize];
                copy_lane(&list, candidate.slot as usize, job.dim, &mut self.block[lane..]);
            }
            let input = TileInput {
                dim: job.dim,
                count: 1,
                queries: &self.packed,
                thresholds: &[f32::NEG_INFINITY],
                vectors: self.block.as_slice().into(),
                halves: &[],
                bias: &bias,
                scaled: None,
            };
            self.kernels.tile(input, &mut self.tile);
            for (lane, candidate) in part.iter().enumerate() {
                let list = job.lists.list(candidate.list as usize);
                let slot = candidate.slot as usize;
                let key = scorer.key(self.tile.scores[0][0][lane], &list, slot);
                hits.push(Hit { key, id: list.ids[slot] });
            }
        }
        norm
    }
}

/// Writes a vector as a lane of a block of float32.
fn copy_lane(list: &ListView<'_>, slot: usize, dim: usize, block: &mut [f32]) {
    let (base, stride) = locate(slot, list.bias.len(), dim);
    with_values!(list.vectors, values => widen(values[base..].iter().step_by(stride), block));
}

fn widen<'a, E: Scalar>(from: impl Iterator<Item = &'a E>, block: &mut [f32]) {
    block.iter_mut().step_by(BLOCK).zip(from).for_each(|(to, &value)| *to = value.into());
}

pub(super) fn from_ordered(bits: u32) -> f32 {
    f32::from_bits(if bits >> 31 == 1 { bits & !(1 << 31) } else { !bits })
}
