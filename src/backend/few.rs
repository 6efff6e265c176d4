//! A few queries against some hundreds or thousands of vectors, as the coarse step has them: what a scan of many pays for
//! once (plans, tiles of queries, a selection that each hit passes by itself) would take longer than the products. All
//! keys of a query are written down, then the best of them are picked. Where a sketch of them is there, only those that may be
//! among the best have theirs computed.

use super::keys::settle;
use super::multiply::multiply_panel;
use super::scan::Scratch;
use super::scorer::Scorer;
use super::sketch::{Rounding, Sketch};
use super::workspace::Workspace;
use super::{Codes, ListView, Probes, ScanJob};
use crate::collect::{Sink, from_ordered, ordered};
use crate::context::Context;
use crate::error::Result;
use crate::kernel::{Kernels, ROWS, prefetch};
use crate::matrix::{MatrixRef, squared_norm};
use crate::metric::Metric;
use crate::topk::Hit;

/// Most queries of a job, and most keys of all of them.
const QUERIES: usize = 8;
const KEYS: usize = 1 << 16;

/// Multiply-adds from which on several threads that share them are faster.
const WORTH_THREADS: usize = 1 << 20;

/// A sketch is looked at where one of so many vectors at most is wanted, and trusted where it leaves one of so many.
const WANTED: usize = 8;
const LEFT: usize = 4;

/// Bytes of a row that are fetched before its turn: what follows comes by itself.
const AHEAD: usize = 256;

/// What is known of the vectors of a list besides: a sketch of them, and they themselves as rows.
#[derive(Clone, Copy)]
pub(crate) struct Sketched<'a> {
    pub(crate) sketch: &'a Sketch,
    /// `[vectors, dim]`.
    pub(crate) rows: &'a [f32],
}

/// Memory for keys and for what is picked of them.
#[derive(Default)]
pub(crate) struct Room {
    /// `[queries, vectors]`; NaN = none.
    keys: Vec<f32>,
    /// `[vectors]`, where they lie in several lists.
    ids: Vec<i64>,
    picked: Picked,
    rounding: Rounding,
    left: Left,
}

/// Whether [`best`] is the faster way, and can do it.
pub(super) fn fits(job: &ScanJob<'_>) -> bool {
    let plain = matches!(job.codes, Codes::Plain)
        && !(job.places || job.copies)
        && job.filter.is_none()
        && job.bars.is_none()
        && job.budget.is_none()
        && job.max_codes == usize::MAX;
    let keys = job.count.saturating_mul(job.vectors);
    plain
        && (1..=QUERIES).contains(&job.count)
        && keys <= KEYS
        && (job.workers == 1 || keys.saturating_mul(job.dim) <= WORTH_THREADS)
}

/// The `k` best of each query, of ids below 2^32.
pub(super) fn best(
    context: &Context,
    job: &ScanJob<'_>,
    k: usize,
    sketched: Option<Sketched<'_>>,
    sink: &dyn Sink,
) -> Result<()> {
    let mut workspace = context.workspaces().take();
    let Workspace { scratch, few: Room { keys, ids, picked, rounding, left }, .. } = &mut workspace;
    if let (Probes::All, 1) = (job.probes, job.lists.list_count()) {
        job.cancel.check()?;
        let (kernels, list) = (context.kernels(), job.lists.list(0));
        keys.resize(job.count * list.live, 0.0);
        let sketched = sketched.filter(|_| k <= list.live / WANTED);
        match &sketched {
            Some(of) => of.sketch.estimate(kernels, job.queries, scratch, rounding, keys),
            None => score(context, job, (0, job.count), &list, scratch, keys)?,
        }
        for (query, keys) in keys.chunks_exact_mut(list.live.max(1)).enumerate() {
            if let Some(of) = &sketched {
                let margin = rounding.margin(query);
                if margin.is_some_and(|margin| left.choose(keys, k, margin, &mut picked.minima)) {
                    let row = &job.queries[query * job.dim..][..job.dim];
                    left.score(kernels, job.metric, row, of.rows, &list);
                    let best = picked.pick(&left.keys, &left.ids, k);
                    if is_proven(job.metric, best, k) {
                        sink.take(query, best);
                        continue;
                    }
                }
                score(context, job, (query, query + 1), &list, scratch, keys)?;
            }
            sink.take(query, picked.pick(keys, list.ids, k));
        }
    } else {
        for query in 0..job.count {
            job.cancel.check()?;
            keys.clear();
            ids.clear();
            for number in visited(job, query) {
                let list = job.lists.list(number);
                let start = keys.len();
                keys.resize(start + list.live, 0.0);
                ids.extend_from_slice(list.ids);
                score(context, job, (query, query + 1), &list, scratch, &mut keys[start..])?;
            }
            sink.take(query, picked.pick(keys, ids, k));
        }
    }
    context.workspaces().put(workspace);
    Ok(())
}

/// Whether the `k` best of what a sketch leaves are those of all: there are so many, and the last one's key is not one that
/// similarities beyond 1 are cut to, which a vector that was left out could share.
fn is_proven(metric: Metric, best: &[Hit], k: usize) -> bool {
    best.len() == k && (metric != Metric::Cosine || best.last().is_some_and(|hit| hit.key.abs() < 1.0))
}

/// What a sketch leaves of a query's vectors.
#[derive(Default)]
struct Left {
    /// Those that may be among the best, their ids, and their keys.
    slots: Vec<u32>,
    ids: Vec<i64>,
    keys: Vec<f32>,
}

impl Left {
    /// Chooses those that may be among the `k` best by keys that lie off by `margin` at most; false = too many.
    fn choose(&mut self, keys: &[f32], k: usize, margin: f32, minima: &mut Vec<f32>) -> bool {
        // So many have a key up to a margin above the bar, and what is more than two above it has a larger one.
        let bar = bar(keys, k, minima) + 2.0 * margin;
        self.slots.resize(keys.len(), 0);
        let mut count = 0;
        for (slot, &key) in (0u32..).zip(keys) {
            self.slots[count] = slot;
            count += usize::from(key <= bar);
        }
        self.slots.truncate(count);
        count <= keys.len() / LEFT
    }

    /// Computes their keys as a scan does, bit by bit; NaN = none.
    fn score(&mut self, kernels: &Kernels, metric: Metric, query: &[f32], rows: &[f32], list: &ListView<'_>) {
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

/// The lists that a query visits.
fn visited<'a>(job: &ScanJob<'a>, query: usize) -> impl Iterator<Item = usize> + use<'a> {
    let (all, some) = match job.probes {
        Probes::All => (0..job.lists.list_count(), &[][..]),
        Probes::Lists { lists, nprobe } => (0..0, &lists[query * nprobe..(query + 1) * nprobe]),
    };
    all.chain(some.iter().filter_map(|&list| usize::try_from(list).ok()))
}

/// Writes the keys of the queries `from..to` with every vector of a list, `[queries, vectors]`.
fn score(
    context: &Context,
    job: &ScanJob<'_>,
    (from, to): (usize, usize),
    list: &ListView<'_>,
    scratch: &mut Scratch,
    keys: &mut [f32],
) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let queries = MatrixRef::new("queries", &job.queries[from * job.dim..to * job.dim], to - from, job.dim)?;
    let Scratch { packed, tile, .. } = scratch;
    // As in any scan, what is less is no hit.
    multiply_panel(context.kernels(), queries, list, f32::MIN, packed, tile, keys);
    for (query, keys) in keys.chunks_exact_mut(list.live).enumerate() {
        settle(job.metric, queries.row(query), list, keys);
    }
    Ok(())
}

/// The best of a query's keys.
#[derive(Default)]
struct Picked {
    minima: Vec<f32>,
    /// Keys, as numbers of the same order, before ids.
    ranks: Vec<u64>,
    hits: Vec<Hit>,
}

impl Picked {
    /// The `k` best, by key and then by id; NaN is none.
    fn pick(&mut self, keys: &[f32], ids: &[i64], k: usize) -> &[Hit] {
        let Self { minima, ranks, hits } = self;
        let bar = bar(keys, k, minima);
        ranks.resize(keys.len().max(ranks.len()), 0);
        let mut count = 0;
        for (slot, &key) in (0u64..).zip(keys) {
            // Written before it is known whether it is kept: no branch that is guessed wrong.
            ranks[count] = u64::from(ordered(key)) << 32 | slot;
            count += usize::from(key <= bar);
        }
        let mut best = &mut ranks[..count];
        for rank in &mut *best {
            #[expect(clippy::cast_possible_truncation, reason = "the slot is the lower half")]
            let slot = *rank as u32 as usize;
            *rank = *rank >> 32 << 32 | ids[slot].cast_unsigned();
        }
        if count > 2 * k {
            best.select_nth_unstable(k);
            best = &mut best[..k];
        }
        best.sort_unstable();
        hits.clear();
        #[expect(clippy::cast_possible_truncation, reason = "the upper half, and the lower")]
        let hit = |rank: &u64| Hit { key: from_ordered((rank >> 32) as u32), id: i64::from(*rank as u32) };
        hits.extend(best.iter().take(k).map(hit));
        hits
    }
}

/// Halvings of the span in which the bar lies: what is left of it is a millionth.
const HALVINGS: usize = 20;

/// Groups of keys at least.
const GROUPS: usize = 256;

/// A key that `k` of `keys` at least do not lie beyond, and not many more do not; infinite if there are not so many.
///
/// Of groups of keys the least are looked at: as many groups as have one below a bar, so many keys at least lie below.
fn bar(keys: &[f32], k: usize, minima: &mut Vec<f32>) -> f32 {
    if k >= keys.len() {
        return f32::INFINITY;
    }
    let groups = (4 * k).max(GROUPS).min(keys.len());
    minima.clear();
    minima.resize(groups, f32::INFINITY);
    for keys in keys.chunks(groups) {
        minima
            .iter_mut()
            .zip(keys)
            .for_each(|(least, &key)| *least = if key < *least { key } else { *least });
    }
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    for &key in &*minima {
        low = if key < low { key } else { low };
        high = if key > high { key } else { high };
    }
    for _ in 0..HALVINGS {
        let middle = low + (high - low) * 0.5;
        // Nor if that is no number.
        if !(middle > low && middle < high) {
            break;
        }
        let count: u32 = minima.iter().map(|&key| u32::from(key <= middle)).sum();
        if (count as usize) < k {
            low = middle;
        } else {
            high = middle;
            if count as usize <= k + k / 8 {
                break;
            }
        }
    }
    high
}
