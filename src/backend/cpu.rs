//! The CPU backend: shares a scan out to the context's threads.
//!
//! With many queries each worker takes a chunk of them and plans and scans it alone; with few the workers
//! share the lists, each with selections of its own that are merged at the end. The results are the same:
//! a selection is a function of the set of candidates, not of their order.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::plan::Shape;
use super::scan::{NO_BAR, Scanner};
use super::workspace::Workspace;
use super::{Probes, ScanJob, Sink};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::matrix::squared_norm;
use crate::metric::Metric;
use crate::topk::{self, Hit, State};

/// Pairs a list that make a worker's own chunk of queries pay: it reads each list alone.
const PAIRS_PER_LIST: usize = 64;

/// Multiply-adds below which waking a thread costs more than it brings.
const WORTH_A_THREAD: usize = 1 << 20;

/// Bytes of selection buffers a worker.
const SELECTION_BYTES: usize = 16 << 20;

/// Runs a scan; `vectors` is the number of vectors in all lists.
pub(crate) fn scan(context: &Context, job: &ScanJob<'_>, vectors: usize, sink: &dyn Sink) -> Result<()> {
    let nlist = job.lists.list_count().max(1);
    let nprobe = match job.probes {
        Probes::All => nlist,
        Probes::Lists { nprobe, .. } => nprobe.min(nlist),
    };
    let work = (job.count * nprobe).saturating_mul(vectors.div_ceil(nlist)).saturating_mul(job.dim);
    let workers = job.workers.min(work / WORTH_A_THREAD + 1);
    let capacity = topk::capacity(job.k);
    let most = (SELECTION_BYTES / (capacity * size_of::<Hit>())).clamp(1, MAX_CHUNK);
    let least = (PAIRS_PER_LIST * nlist).div_ceil(nprobe.max(1));
    if workers == 1 || job.count >= least.min(most) * workers {
        by_query(context, job, workers, most, sink)
    } else {
        let mut from = 0;
        while from < job.count {
            let to = (from + most).min(job.count);
            by_list(context, job, workers, from, to, sink)?;
            from = to;
        }
        Ok(())
    }
}

/// Most queries in a chunk: enough to use each list well, few enough for the selections to stay in cache.
const MAX_CHUNK: usize = 4096;

/// Each worker scans chunks of queries of its own.
fn by_query(
    context: &Context,
    job: &ScanJob<'_>,
    workers: usize,
    most: usize,
    sink: &dyn Sink,
) -> Result<()> {
    // Chunks of even size and as many for each worker, so that none waits for a last one.
    let rounds = job.count.div_ceil(most * workers);
    let chunk = job.count.div_ceil(rounds * workers);
    let next = AtomicUsize::new(0);
    run(context, workers, |mut workspace| {
        loop {
            let from = next.fetch_add(chunk, Ordering::Relaxed);
            if from >= job.count {
                context.workspaces().put(workspace);
                return Ok(());
            }
            let to = (from + chunk).min(job.count);
            let mut plan = std::mem::take(&mut workspace.plan);
            plan.make(&shape(job), from, to)?;
            prepare(&mut workspace, job, from, to)?;
            let mut scanner = Scanner::new(context, job, from, &mut workspace, None);
            for unit in &plan.units {
                scanner.scan(&plan, unit)?;
            }
            workspace.plan = plan;
            let Workspace { hits, states, .. } = &mut workspace;
            for (query, (hits, state)) in hits.chunks_exact_mut(topk::capacity(job.k)).zip(states).enumerate()
            {
                finish(&mut hits[..state.len as usize], job.k, |hits| sink.take(from + query, hits));
            }
        }
    })
}

/// All workers share the lists that the queries `from..to` visit.
fn by_list(
    context: &Context,
    job: &ScanJob<'_>,
    workers: usize,
    from: usize,
    to: usize,
    sink: &dyn Sink,
) -> Result<()> {
    let mut lead = context.workspaces().take();
    lead.plan.make(&shape(job), from, to)?;
    lead.bars.clear();
    lead.bars.resize_with(to - from, || AtomicU32::new(NO_BAR));
    let capacity = topk::capacity(job.k);
    let parts = Mutex::new(std::mem::take(&mut lead.parts));
    let next = AtomicUsize::new(0);
    let Workspace { plan, bars, .. } = &lead;
    let result = run(context, workers, |mut workspace| {
        prepare(&mut workspace, job, from, to)?;
        let mut scanner = Scanner::new(context, job, from, &mut workspace, Some(bars));
        while let Some(unit) = plan.units.get(next.fetch_add(1, Ordering::Relaxed)) {
            scanner.scan(plan, unit)?;
        }
        parts.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
        Ok(())
    });
    let mut parts = parts.into_inner().unwrap_or_else(PoisonError::into_inner);
    if result.is_ok() {
        let merged = &mut lead.hits;
        for query in 0..to - from {
            merged.clear();
            for part in &parts {
                let len = part.states[query].len as usize;
                merged.extend_from_slice(&part.hits[query * capacity..query * capacity + len]);
            }
            finish(merged, job.k, |hits| sink.take(from + query, hits));
        }
    }
    for part in parts.drain(..) {
        context.workspaces().put(part);
    }
    lead.parts = parts;
    context.workspaces().put(lead);
    result
}

/// Runs `work` on every worker, each with a workspace of its own to keep or give back; the first failure
/// is the call's.
fn run(context: &Context, workers: usize, work: impl Fn(Workspace) -> Result<()> + Sync) -> Result<()> {
    let failure = Mutex::new(None);
    context.parallel(workers, &|_| {
        if let Err(error) = work(context.workspaces().take()) {
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    })?;
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Empty selections and the squared lengths for the queries `from..to`.
fn prepare(workspace: &mut Workspace, job: &ScanJob<'_>, from: usize, to: usize) -> Result<()> {
    let count = to - from;
    let places = count * topk::capacity(job.k);
    let missing = places.saturating_sub(workspace.hits.len());
    workspace.hits.try_reserve(missing).map_err(|_| Error::Memory {
        what: "selection of the k best",
        bytes: (places * size_of::<Hit>()) as u64,
    })?;
    workspace.hits.resize(places, Hit::NONE);
    workspace.states.clear();
    workspace.states.resize(count, State::EMPTY);
    workspace.norms.clear();
    let rows = job.queries[from * job.dim..to * job.dim].chunks_exact(job.dim);
    let norm = |row| if job.metric == Metric::L2 { squared_norm(row) } else { 0.0 };
    workspace.norms.extend(rows.map(norm));
    Ok(())
}

fn shape<'a>(job: &ScanJob<'a>) -> Shape<'a> {
    Shape { dim: job.dim, lists: job.lists, probes: job.probes, max_codes: job.max_codes, cancel: job.cancel }
}

/// Sorts the k best of `hits` to the front and hands them over.
fn finish(hits: &mut [Hit], k: usize, take: impl FnOnce(&[Hit])) {
    let best = if hits.len() > k {
        hits.select_nth_unstable_by(k - 1, Hit::order);
        &mut hits[..k]
    } else {
        hits
    };
    best.sort_unstable_by(Hit::order);
    take(best);
}
