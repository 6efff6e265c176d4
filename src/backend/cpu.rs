//! The CPU backend: shares a scan out to the context's threads.
//!
//! With many queries each worker takes a chunk of them and plans and scans it alone; with few the workers
//! share the lists, each with collections of its own that are merged at the end. The results are the same:
//! a selection is a function of the set of candidates, not of their order.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

#[cfg(feature = "gpu")]
use super::Subset;
use super::plan::{Plan, Shape};
use super::prepared::Prepared;
use super::scan::Scanner;
use super::workspace::Workspace;
use super::{Probes, ScanJob};
use crate::collect::{Best, NO_BAR, Sink, Within};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::topk::{self, Hit, State};

/// Pairs a list that make a worker's own chunk of queries pay: it reads each list alone.
const PAIRS_PER_LIST: usize = 64;

/// Multiply-adds below which a second thread costs more than it brings, even if it is awake.
const WORTH_A_THREAD: usize = 1 << 17;

/// Bytes of selection buffers a worker.
const SELECTION_BYTES: usize = 16 << 20;

/// Bytes of tables a worker: each is read again at every list, so all should stay in a core's own cache.
const TABLE_BYTES: usize = 1 << 20;

/// Most queries in a chunk: enough to use each list well, few enough for the selections to stay in cache.
const MAX_CHUNK: usize = 4096;

/// Hits that are handed on between two looks at the cancel flag.
const HITS_A_STEP: usize = 1 << 17;

/// How a job is shared out.
struct Shares {
    workers: usize,
    /// Most queries at a time.
    most: usize,
    /// Whether each worker has queries of its own.
    by_query: bool,
}

impl Shares {
    /// Shares for collections of `bytes` a query.
    fn of(job: &ScanJob<'_>, bytes: usize) -> Self {
        let nlist = job.lists.list_count().max(1);
        let nprobe = match job.probes {
            Probes::All => nlist,
            Probes::Lists { nprobe, .. } => nprobe.min(nlist),
        };
        let work = (job.count * nprobe).saturating_mul(job.vectors.div_ceil(nlist)).saturating_mul(job.dim);
        let workers = job.workers.min(work / WORTH_A_THREAD + 1);
        let most = (SELECTION_BYTES / bytes.max(1)).min(TABLE_BYTES / Prepared::bytes_a_query(job).max(1));
        let most = most.clamp(1, MAX_CHUNK);
        let least = (PAIRS_PER_LIST * nlist).div_ceil(nprobe.max(1));
        Self { workers, most, by_query: workers == 1 || job.count >= least.min(most) * workers }
    }

    /// The size of the workers' own chunks: even, and as many for each worker, so that none waits for a
    /// last one.
    fn chunk(&self, count: usize) -> usize {
        let rounds = count.div_ceil(self.most * self.workers);
        count.div_ceil(rounds.max(1) * self.workers).max(1)
    }
}

/// The `k` best of each query.
pub(super) fn best(context: &Context, job: &ScanJob<'_>, k: usize, sink: &dyn Sink) -> Result<()> {
    let shares = Shares::of(job, topk::capacity(k) * size_of::<Hit>());
    if shares.by_query {
        return best_by_query(context, job, k, &shares, sink);
    }
    for from in (0..job.count).step_by(shares.most) {
        let to = (from + shares.most).min(job.count);
        best_by_list(context, job, k, &shares, (from, to), sink)?;
    }
    Ok(())
}

/// Each worker scans chunks of queries of its own.
fn best_by_query(
    context: &Context,
    job: &ScanJob<'_>,
    k: usize,
    shares: &Shares,
    sink: &dyn Sink,
) -> Result<()> {
    let chunk = shares.chunk(job.count);
    let next = AtomicUsize::new(0);
    run(context, shares.workers, |mut workspace| {
        loop {
            let from = next.fetch_add(chunk, Ordering::Relaxed);
            if from >= job.count {
                context.workspaces().put(workspace);
                return Ok(());
            }
            let to = (from + chunk).min(job.count);
            workspace.prepared.fill(context.kernels(), job, from, to);
            workspace.plan.make(&Shape::for_scan(context.kernels(), job), from, to)?;
            let Workspace { plan, hits, states, prepared, scratch, .. } = &mut *workspace;
            let best = selections(hits, states, job, (from, to), k, None)?;
            let capacity = best.capacity;
            let mut scanner = Scanner::new(context, job, from, prepared, scratch, best);
            let mut list = None;
            for (number, unit) in plan.units.iter().enumerate() {
                let next = scanner.approach(plan, number + 1);
                scanner.scan_of(plan, unit, list.unwrap_or_else(|| job.lists.list(unit.list as usize)))?;
                list = next;
            }
            for (query, (hits, state)) in hits.chunks_exact_mut(capacity).zip(states).enumerate() {
                finish(job, &mut hits[..state.len as usize], k, from + query, sink);
            }
        }
    })
}

/// All workers share the lists that the queries visit.
fn best_by_list(
    context: &Context,
    job: &ScanJob<'_>,
    k: usize,
    shares: &Shares,
    (from, to): (usize, usize),
    sink: &dyn Sink,
) -> Result<()> {
    let mut lead = context.workspaces().take();
    lead.plan.make(&Shape::for_scan(context.kernels(), job), from, to)?;
    lead.bars.clear();
    lead.bars.resize_with(to - from, || AtomicU32::new(NO_BAR));
    let parts = Mutex::new(std::mem::take(&mut lead.parts));
    let next = AtomicUsize::new(0);
    let Workspace { plan, bars, .. } = &*lead;
    let result = run(context, shares.workers, |mut workspace| {
        workspace.prepared.fill(context.kernels(), job, from, to);
        let Workspace { hits, states, prepared, scratch, .. } = &mut *workspace;
        let best = selections(hits, states, job, (from, to), k, Some(bars))?;
        let mut scanner = Scanner::new(context, job, from, prepared, scratch, best);
        while let Some(unit) = plan.units.get(next.fetch_add(1, Ordering::Relaxed)) {
            scanner.scan(plan, unit)?;
        }
        parts.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
        Ok(())
    });
    let mut parts = parts.into_inner().unwrap_or_else(PoisonError::into_inner);
    if result.is_ok() {
        let capacity = topk::capacity(k);
        let merged = &mut lead.hits;
        for query in 0..to - from {
            merged.clear();
            for part in &parts {
                let len = part.states[query].len as usize;
                merged.extend_from_slice(&part.hits[query * capacity..query * capacity + len]);
            }
            finish(job, merged, k, from + query, sink);
        }
    }
    for part in parts.drain(..) {
        context.workspaces().put(part);
    }
    lead.parts = parts;
    context.workspaces().put(lead);
    result
}

/// The `k` best of some of the job's queries.
#[cfg(feature = "gpu")]
pub(super) fn best_of(
    context: &Context,
    job: &ScanJob<'_>,
    numbers: &[usize],
    k: usize,
    sink: &dyn Sink,
) -> Result<()> {
    if numbers.is_empty() {
        return Ok(());
    }
    let subset = Subset::of(job, numbers);
    best(context, &subset.job(job), k, &subset.renumbered(sink))
}

/// All vectors whose key is below `key`, as (query, hit) in no order.
pub(super) fn within(context: &Context, job: &ScanJob<'_>, key: f32) -> Result<Vec<(u32, Hit)>> {
    let shares = Shares::of(job, 0);
    let all = Mutex::new(Vec::new());
    // What a worker does with a plan for the queries from `from` on.
    let scan =
        |workspace: &mut Workspace, plan: &Plan, (from, to), units: &mut dyn Iterator<Item = usize>| {
            workspace.prepared.fill(context.kernels(), job, from, to);
            let Workspace { prepared, scratch, found, .. } = workspace;
            found.clear();
            let first_query = u32::try_from(from).expect("invariant: a job's queries fit in u32");
            let mut scanner =
                Scanner::new(context, job, from, prepared, scratch, Within { key, first_query, found });
            for unit in units {
                scanner.scan(plan, &plan.units[unit])?;
            }
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            for part in found.chunks(HITS_A_STEP) {
                job.cancel.check()?;
                all.extend_from_slice(part);
            }
            Ok(())
        };
    let next = AtomicUsize::new(0);
    if shares.by_query {
        let chunk = shares.chunk(job.count);
        run(context, shares.workers, |mut workspace| {
            loop {
                let from = next.fetch_add(chunk, Ordering::Relaxed);
                if from >= job.count {
                    context.workspaces().put(workspace);
                    return Ok(());
                }
                let to = (from + chunk).min(job.count);
                let mut plan = std::mem::take(&mut workspace.plan);
                plan.make(&Shape::for_scan(context.kernels(), job), from, to)?;
                scan(&mut workspace, &plan, (from, to), &mut (0..plan.units.len()))?;
                workspace.plan = plan;
            }
        })?;
    } else {
        let mut lead = context.workspaces().take();
        lead.plan.make(&Shape::for_scan(context.kernels(), job), 0, job.count)?;
        let plan = &lead.plan;
        run(context, shares.workers, |mut workspace| {
            let units = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&unit| unit < plan.units.len());
            scan(&mut workspace, plan, (0, job.count), &mut std::iter::from_fn(units))?;
            context.workspaces().put(workspace);
            Ok(())
        })?;
        context.workspaces().put(lead);
    }
    Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Runs `work` on every worker, each with a workspace of its own to keep or give back; the first failure
/// is the call's.
fn run(context: &Context, workers: usize, work: impl Fn(Box<Workspace>) -> Result<()> + Sync) -> Result<()> {
    let failure = Mutex::new(None);
    context.parallel(workers, &|_| {
        if let Err(error) = work(context.workspaces().take()) {
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    })?;
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Empty selections of the `k` best for the queries `from..to` of a job.
fn selections<'a>(
    hits: &'a mut Vec<Hit>,
    states: &'a mut Vec<State>,
    job: &ScanJob<'_>,
    (from, to): (usize, usize),
    k: usize,
    shared: Option<&'a [AtomicU32]>,
) -> Result<Best<'a>> {
    let capacity = topk::capacity(k);
    let places = (to - from) * capacity;
    hits.try_reserve(places.saturating_sub(hits.len())).map_err(|_| Error::Memory {
        what: "selection of the k best",
        bytes: (places * size_of::<Hit>()) as u64,
    })?;
    hits.resize(places, Hit::NONE);
    states.clear();
    states.resize(to - from, State::EMPTY);
    if let Some(bars) = job.bars {
        states.iter_mut().zip(&bars[from..to]).for_each(|(state, &key)| state.bar.key = key);
    }
    let distinct = job.copies && job.repeats_hits() && k <= topk::SORTED;
    Ok(Best { k, hits, capacity, states, distinct, shared })
}

/// Brings the k best of `hits` to the front and hands them over, of two with one id the better.
fn finish(job: &ScanJob<'_>, hits: &mut [Hit], k: usize, query: usize, sink: &dyn Sink) {
    let hits = if job.copies && !job.places { topk::distinct(hits) } else { hits };
    let best = if hits.len() > k {
        topk::select(hits, k);
        &mut hits[..k]
    } else {
        hits
    };
    if sink.wants_order() {
        best.sort_unstable_by(Hit::order);
    }
    sink.take(query, best);
}
