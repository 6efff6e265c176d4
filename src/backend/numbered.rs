//! Queries against some hundreds or thousands of vectors that are numbered, as the coarse step has them: plans and a
//! selection that each hit passes by itself would take longer than the products. All keys of a query are written down, then
//! the best of them are picked; of many queries a panel at a time. Where a sketch of the vectors is there, only those that
//! may be among the best have their keys computed.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::keys::settle;
use super::left::{Left, Sketched, is_proven};
use super::multiply::multiply_panel;
use super::picked::Picked;
use super::scan::Scratch;
use super::sketch::Rounding;
use super::workspace::Workspace;
use super::{Codes, ListView, Probes, ScanJob};
use crate::collect::Sink;
use crate::context::Context;
use crate::error::Result;
use crate::kernel::MAX_QUERIES;
use crate::matrix::MatrixRef;

/// Most queries that are few, and most keys of all of them.
const QUERIES: usize = 8;
const KEYS: usize = 1 << 16;

/// Multiply-adds from which on threads that share vectors, not queries, are faster, if there are not enough of these.
const WORTH_THREADS: usize = 1 << 20;

/// Most vectors that many queries are compared with so.
const VECTORS: usize = 1 << 14;

/// Many queries are taken in panels of so many at most, tiles of the widest kernels, of so many keys.
const PANEL: usize = 8 * MAX_QUERIES;
const PANEL_KEYS: usize = 1 << 17;

/// Where a sketch is looked at.
struct Trust {
    /// Where one of so many vectors at most is wanted.
    wanted: usize,
    /// Of so many dimensions at least.
    dim: usize,
    /// It tells enough where it leaves one of so many.
    left: usize,
}

/// A few queries wait for memory, of which a sketch is less.
const FEW: Trust = Trust { wanted: 8, dim: 0, left: 4 };

/// Many are compared by tiles as fast as may be.
const MANY: Trust = Trust { wanted: 32, dim: 48, left: 8 };

/// Queries of a tile whose keys are computed one by one where a sketch tells too little: of more, all are at once. A sketch
/// that leaves one of so many in doubt is not trusted any longer.
const ALONE: usize = 2;
const DOUBTED: usize = MAX_QUERIES / ALONE;

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
    let fits = match job.count {
        0 => false,
        1..=QUERIES => keys <= KEYS,
        _ => is_one_list(job) && job.vectors <= VECTORS,
    };
    // Fewer tiles than workers leave some without work.
    let shared = job.count.div_ceil(MAX_QUERIES) >= job.workers;
    plain && fits && (shared || keys.saturating_mul(job.dim) <= WORTH_THREADS)
}

fn is_one_list(job: &ScanJob<'_>) -> bool {
    matches!(job.probes, Probes::All) && job.lists.list_count() == 1
}

/// The `k` best of each query, of ids below 2^32.
pub(super) fn best(
    context: &Context,
    job: &ScanJob<'_>,
    k: usize,
    sketched: Option<Sketched<'_>>,
    sink: &dyn Sink,
) -> Result<()> {
    let panel = Panel { context, job, k, sink };
    let trusted = |trust: &Trust| {
        sketched.filter(|_| k <= job.lists.list(0).live / trust.wanted && job.dim >= trust.dim)
    };
    if job.count > QUERIES {
        return panel.best_of_many(trusted(&MANY));
    }
    let queries = 0..job.count;
    with_workspace(context, |workspace| match is_one_list(job) {
        false => panel.best_of_lists(queries, workspace),
        true => match trusted(&FEW) {
            Some(of) => panel.best_by_sketch(queries, of, FEW.left, workspace).map(|_| ()),
            None => panel.best_of_all(queries, workspace),
        },
    })
}

/// Lends a workspace.
fn with_workspace<T>(context: &Context, work: impl FnOnce(&mut Workspace) -> T) -> T {
    let mut workspace = context.workspaces().take();
    let result = work(&mut workspace);
    context.workspaces().put(workspace);
    result
}

/// Queries that are worked on together.
struct Panel<'a> {
    context: &'a Context,
    job: &'a ScanJob<'a>,
    k: usize,
    sink: &'a dyn Sink,
}

impl Panel<'_> {
    /// Those of all queries in the only list, as many at a time as have their keys in cache.
    fn best_of_many(&self, sketched: Option<Sketched<'_>>) -> Result<()> {
        let &Self { context, job, .. } = self;
        let of_keys = PANEL_KEYS / job.vectors.max(1) / MAX_QUERIES * MAX_QUERIES;
        let share = job.count.div_ceil(job.workers).next_multiple_of(MAX_QUERIES);
        let each = of_keys.clamp(MAX_QUERIES, PANEL).min(share);
        // Until it tells too little of some: of the others it will not tell more.
        let trusted = AtomicBool::new(true);
        let panels = (0..job.count).step_by(each).map(|from| from..job.count.min(from + each));
        context.each(job.workers.min(job.count.div_ceil(each)), panels, &|panel: Range<usize>| {
            with_workspace(context, |workspace| match sketched {
                Some(of) if trusted.load(Ordering::Relaxed) => {
                    let doubtful = self.best_by_sketch(panel.clone(), of, MANY.left, workspace)?;
                    if doubtful > panel.len() / DOUBTED {
                        trusted.store(false, Ordering::Relaxed);
                    }
                    Ok(())
                }
                _ => self.best_of_all(panel, workspace),
            })
        })
    }

    /// Those of some queries, at most [`PANEL`], in the only list; tells of how many the sketch left more than one vector of
    /// `left_of`.
    fn best_by_sketch(
        &self,
        queries: Range<usize>,
        of: Sketched<'_>,
        left_of: usize,
        workspace: &mut Workspace,
    ) -> Result<usize> {
        let &Self { context, job, k, sink } = self;
        job.cancel.check()?;
        let Workspace { scratch, numbered: Room { keys, picked, rounding, left, .. }, .. } = workspace;
        let (kernels, list) = (context.kernels(), job.lists.list(0));
        let most = list.live / left_of;
        keys.resize(queries.len() * list.live, 0.0);
        of.sketch.estimate(kernels, job.rows(queries.clone()), scratch, rounding, keys);
        let (mut doubtful, mut count) = ([0; PANEL], 0);
        for ((at, query), keys) in queries.enumerate().zip(keys.chunks_exact(list.live)) {
            let margin = rounding.margin(at);
            if margin.is_some_and(|margin| left.choose(keys, k, margin, most, &mut picked.minima)) {
                left.score(kernels, job.metric, job.row(query), of.rows, &list);
                let best = picked.pick(&left.keys, &left.ids, k);
                if is_proven(job.metric, best, k) {
                    sink.take(query, best);
                    continue;
                }
            }
            doubtful[count] = query;
            count += 1;
        }
        for near in doubtful[..count].chunk_by(|a, b| a / MAX_QUERIES == b / MAX_QUERIES) {
            match near {
                [first, .., last] if near.len() > ALONE => self.best_of_all(*first..*last + 1, workspace)?,
                _ => near.iter().try_for_each(|&query| self.best_of_all(query..query + 1, workspace))?,
            }
        }
        Ok(count)
    }

    /// Those of some queries in the only list.
    fn best_of_all(&self, queries: Range<usize>, workspace: &mut Workspace) -> Result<()> {
        let &Self { context, job, k, sink } = self;
        job.cancel.check()?;
        let Workspace { scratch, numbered: Room { keys, picked, .. }, .. } = workspace;
        let list = job.lists.list(0);
        keys.resize(queries.len() * list.live, 0.0);
        score(context, job, queries.clone(), &list, scratch, keys)?;
        for (at, query) in queries.enumerate() {
            sink.take(query, picked.pick(&keys[at * list.live..][..list.live], list.ids, k));
        }
        Ok(())
    }

    /// Those of some queries in any lists.
    fn best_of_lists(&self, queries: Range<usize>, workspace: &mut Workspace) -> Result<()> {
        let &Self { context, job, k, sink } = self;
        let Workspace { scratch, numbered: Room { keys, ids, picked, .. }, .. } = workspace;
        for query in queries {
            job.cancel.check()?;
            keys.clear();
            ids.clear();
            for number in visited(job, query) {
                let list = job.lists.list(number);
                let start = keys.len();
                keys.resize(start + list.live, 0.0);
                ids.extend_from_slice(list.ids);
                score(context, job, query..query + 1, &list, scratch, &mut keys[start..])?;
            }
            sink.take(query, picked.pick(keys, ids, k));
        }
        Ok(())
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

/// Writes the keys of some queries with every vector of a list, `[queries, vectors]`.
fn score(
    context: &Context,
    job: &ScanJob<'_>,
    queries: Range<usize>,
    list: &ListView<'_>,
    scratch: &mut Scratch,
    keys: &mut [f32],
) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let queries = MatrixRef::new("queries", job.rows(queries.clone()), queries.len(), job.dim)?;
    let Scratch { packed, tile, .. } = scratch;
    // As in any scan, what is less is no hit.
    multiply_panel(context.kernels(), queries, list, f32::MIN, packed, tile, keys);
    for (query, keys) in keys.chunks_exact_mut(list.live).enumerate() {
        settle(job.metric, queries.row(query), list, keys);
    }
    Ok(())
}
