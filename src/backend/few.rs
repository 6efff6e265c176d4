//! A few queries against some hundreds or thousands of vectors, as the coarse step has them: what a scan of many pays for
//! once (plans, tiles of queries, a selection that each hit passes by itself) would take longer than the products. All
//! keys of a query are written down, then the best of them are picked.

use super::keys::settle;
use super::multiply::multiply_panel;
use super::scan::Scratch;
use super::workspace::Workspace;
use super::{Codes, ListView, Probes, ScanJob};
use crate::collect::{Sink, from_ordered, ordered};
use crate::context::Context;
use crate::error::Result;
use crate::matrix::MatrixRef;
use crate::topk::Hit;

/// Most queries of a job, and most keys of all of them.
const QUERIES: usize = 8;
const KEYS: usize = 1 << 16;

/// Multiply-adds from which on several threads that share them are faster.
const WORTH_THREADS: usize = 1 << 20;

/// Memory for keys and for what is picked of them.
#[derive(Default)]
pub(crate) struct Room {
    /// `[queries, vectors]`; NaN = none.
    keys: Vec<f32>,
    /// `[vectors]`, where they lie in several lists.
    ids: Vec<i64>,
    picked: Picked,
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
        && job.count <= QUERIES
        && keys <= KEYS
        && (job.workers == 1 || keys.saturating_mul(job.dim) <= WORTH_THREADS)
}

/// The `k` best of each query, of ids below 2^32.
pub(super) fn best(context: &Context, job: &ScanJob<'_>, k: usize, sink: &dyn Sink) -> Result<()> {
    let mut workspace = context.workspaces().take();
    let Workspace { scratch, few: Room { keys, ids, picked }, .. } = &mut workspace;
    if let (Probes::All, 1) = (job.probes, job.lists.list_count()) {
        job.cancel.check()?;
        let list = job.lists.list(0);
        keys.resize(job.count * list.live, 0.0);
        score(context, job, (0, job.count), &list, scratch, keys)?;
        for (query, keys) in keys.chunks_exact(list.live.max(1)).enumerate() {
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

/// A key that `k` of `keys` at least do not lie beyond, and not many more do not; infinite if there are not so many.
///
/// Of groups of keys the least are looked at: as many groups as have one below a bar, so many keys at least lie below.
fn bar(keys: &[f32], k: usize, minima: &mut Vec<f32>) -> f32 {
    if k >= keys.len() {
        return f32::INFINITY;
    }
    let groups = (2 * k).next_multiple_of(16).clamp(16, keys.len().max(16));
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
