//! Comparing candidates again with the rows that are kept of them.

use std::sync::{Mutex, PoisonError};

use super::Index;
use super::range::sort_by_query;
use crate::backend::workspace::{Candidates, Workspace};
use crate::backend::{KeptRow, Place, Reading, ScanJob, Scores};
use crate::codec::Codec;
use crate::collect::Sink;
use crate::error::Result;
use crate::kernel::prefetch;
use crate::progress::Cancel;
use crate::rows::RowsRef;
use crate::topk::{self, Hit};

/// Multiply-adds that another worker is worth while for.
const WORTH_A_THREAD: usize = 1 << 16;

/// Queries that a worker takes at a time, at most.
const QUERIES: usize = 16;

/// Queries whose candidates a worker compares in the order of their rows: so many that rows are read more than once, or
/// lie near one another at least; and so few that the queries stay in cache, as do so many candidates.
const IN_ORDER: (usize, usize) = (256, 4096);
const CANDIDATES_IN_ORDER: usize = 1 << 18;

/// Pairs that are compared between two looks at the cancel flag.
const PAIRS: usize = 1 << 12;

/// Hits of a range search that a worker takes at a time.
const HITS: usize = 1 << 10;

/// What is done with a query's candidates: given its number, its row, and them.
type Compare<'a> = &'a (dyn Fn(usize, &[f32], &mut [Hit], &mut Scores<'_>) + Sync);

impl Index {
    /// Hands the `k` best of each query's candidates to `sink`, compared by the rows that `codec` keeps.
    pub(super) fn rerank_best(
        &self,
        codec: &Codec,
        queries: RowsRef<'_>,
        candidates: &mut Candidates,
        job: &ScanJob<'_>,
        k: usize,
        sink: &dyn Sink,
    ) -> Result<()> {
        let workers = job.workers.min(1 + candidates.hits.len() * queries.dim() / WORTH_A_THREAD);
        let (least, most) = IN_ORDER;
        let most = most.min(CANDIDATES_IN_ORDER / candidates.most.max(1));
        let each = candidates.counts.len().div_ceil(workers);
        if each.min(most) < least {
            return self.rerank(queries, &|query| query, candidates, job, &|query, row, hits, scores| {
                self.rekey(codec, row, hits, scores);
                let reaching = topk::reaching(hits, k);
                self.name(reaching);
                sink.take(query, best(reaching, k));
            });
        }
        // Even shares.
        let each = candidates.counts.len().div_ceil(workers * each.div_ceil(most));
        let queries = self.measured(queries);
        let Candidates { hits, counts, most } = candidates;
        let jobs = hits.chunks_mut(*most * each).zip(counts.chunks_mut(each)).enumerate();
        self.context.each(workers, jobs, &|(chunk, (hits, counts)): (usize, (&mut [Hit], &mut [usize]))| {
            let mut workspace = self.context.workspaces().take();
            let Workspace { row, panel, order, .. } = &mut *workspace;
            let first = chunk * each;
            let rows = queries.slice(first, first + counts.len());
            let rows = rows.matrix(panel);
            if job.copies {
                for (hits, count) in hits.chunks_mut(*most).zip(&mut *counts) {
                    self.find_rows(hits[..*count].iter_mut());
                    *count = topk::distinct(&mut hits[..*count]).len();
                }
            }
            order.clear();
            for (query, &count) in counts.iter().enumerate() {
                order.extend((query * *most..query * *most + count).map(|at| (hits[at].id, at)));
            }
            order.sort_unstable();
            let mut scores = Scores::new(&self.context, self.metric, row);
            let query = |at: usize| &rows[at / *most * queries.dim()..][..queries.dim()];
            let kernels = self.context.kernels();
            for pairs in order.chunks(PAIRS) {
                job.cancel.check()?;
                let reading = Reading {
                    halves: codec.keeps_halves(),
                    read: &|row, out| codec.row_values(kernels, row, out),
                };
                scores.rekey_in_order(&query, hits, pairs, &|place| self.kept(place), reading);
            }
            for (query, (hits, &mut count)) in hits.chunks_mut(*most).zip(counts).enumerate() {
                sink.take(first + query, best(&mut hits[..count], k));
            }
            self.context.workspaces().put(workspace);
            Ok(())
        })
    }

    /// Calls `compare` for each query of the job that has `candidates`: with its number, which `number` tells, its row
    /// of `queries`, and them.
    pub(super) fn rerank(
        &self,
        queries: RowsRef<'_>,
        number: &(dyn Fn(usize) -> usize + Sync),
        candidates: &mut Candidates,
        job: &ScanJob<'_>,
        compare: Compare<'_>,
    ) -> Result<()> {
        let queries = self.measured(queries);
        let Candidates { hits, counts, most } = candidates;
        let work = hits.len() * queries.dim();
        let workers = job.workers.min(1 + work / WORTH_A_THREAD);
        let step = (counts.len() / (4 * workers)).clamp(1, QUERIES);
        let jobs = Mutex::new(hits.chunks_mut(*most).zip(&*counts).enumerate());
        self.context.parallel(workers, &|_| {
            let mut workspace = self.context.workspaces().take();
            let Workspace { row, panel, .. } = &mut *workspace;
            let mut scores = Scores::new(&self.context, self.metric, row);
            let mut taken = [const { None }; QUERIES];
            while !job.cancel.is_set() {
                {
                    let mut jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
                    taken[..step].iter_mut().for_each(|place| *place = jobs.next());
                }
                if taken[0].is_none() {
                    break;
                }
                for (query, (hits, &count)) in taken.iter_mut().filter_map(Option::take) {
                    let query = number(query);
                    let mut hits = &mut hits[..count];
                    if job.copies {
                        self.find_rows(hits.iter_mut());
                        hits = topk::distinct(hits);
                    }
                    compare(query, queries.row(query, panel), hits, &mut scores);
                }
            }
            self.context.workspaces().put(workspace);
        })?;
        job.cancel.check()
    }

    /// Gives hits the places of their rows, which copies have not.
    fn find_rows<'h>(&self, hits: impl Iterator<Item = &'h mut Hit>) {
        hits.for_each(|hit| hit.id = self.lists.kept_at(Place::of_id(hit.id)).to_id());
    }

    /// Gives hits that carry places their keys by the kept rows.
    pub(super) fn rekey(&self, codec: &Codec, query: &[f32], hits: &mut [Hit], scores: &mut Scores<'_>) {
        let kernels = self.context.kernels();
        let reading =
            Reading { halves: codec.keeps_halves(), read: &|row, out| codec.row_values(kernels, row, out) };
        scores.rekey(query, hits, &|place| self.kept(place), reading);
    }

    /// Gives hits that carry places their ids.
    pub(super) fn name(&self, hits: &mut [Hit]) {
        hits.iter().for_each(|hit| prefetch(bytemuck::bytes_of(self.kept(hit.id).id)));
        hits.iter_mut().for_each(|hit| hit.id = *self.kept(hit.id).id);
    }

    /// What is kept at a place, as hits carry it.
    #[inline]
    fn kept(&self, place: i64) -> KeptRow<'_> {
        let Place { list, slot } = Place::of_id(place);
        let list = &self.lists.lists[list];
        KeptRow { row: list.rows.row(slot), id: &list.ids[slot] }
    }

    /// The same for what a range search has found; what then lies beyond `key` goes.
    pub(super) fn rekey_found(
        &self,
        codec: &Codec,
        queries: RowsRef<'_>,
        key: f32,
        found: &mut Vec<(u32, Hit)>,
        workers: usize,
        cancel: Cancel<'_>,
    ) -> Result<()> {
        let queries = self.measured(queries);
        if self.lists.copies.is_some() {
            self.find_rows(found.iter_mut().map(|(_, hit)| hit));
        }
        sort_by_query(found);
        cancel.check()?;
        let workers = workers.min(1 + found.len() * queries.dim() / WORTH_A_THREAD);
        let pieces = found.chunk_by_mut(|a, b| a.0 == b.0).flat_map(|piece| piece.chunks_mut(HITS));
        let jobs = Mutex::new(pieces);
        self.context.parallel(workers, &|_| {
            let mut workspace = self.context.workspaces().take();
            let Workspace { row, panel, hits, .. } = &mut *workspace;
            let mut scores = Scores::new(&self.context, self.metric, row);
            while !cancel.is_set() {
                let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(piece) = next else { break };
                hits.clear();
                hits.extend(piece.iter().map(|&(_, hit)| hit));
                self.rekey(codec, queries.row(piece[0].0 as usize, panel), hits, &mut scores);
                self.name(hits);
                piece.iter_mut().zip(&*hits).for_each(|((_, to), hit)| *to = *hit);
            }
            self.context.workspaces().put(workspace);
        })?;
        cancel.check()?;
        found.retain(|(_, hit)| hit.key < key);
        Ok(())
    }
}

/// The `k` best, best first.
pub(super) fn best(hits: &mut [Hit], k: usize) -> &[Hit] {
    let k = hits.len().min(k);
    if k > 0 && k < hits.len() {
        topk::select(hits, k);
    }
    hits[..k].sort_unstable_by(Hit::order);
    &hits[..k]
}
