//! The second stage of a search: the best by their codes are compared again with better rows.
//!
//! Rows are kept in the order of the lists' slots, as they came in: before the transforms, normalised for cosine. So
//! the first stage tells places, no id is looked up, and distances are those of the vectors themselves. As in faiss's
//! `IndexRefine` (Jegou et al., Searching in one billion vectors: re-rank with source coding, 2011).

use std::sync::{Arc, Mutex, PoisonError};

use super::range::sort_by_query;
use super::search::Request;
use super::stats::Clock;
use super::{Index, SearchOptions, SearchOutput};
use crate::backend::workspace::Candidates;
use crate::backend::workspace::Workspace;
use crate::backend::{self, Codes, Place, Rounded, ScanJob, Scores};
use crate::codec::{Codec, Scalar};
use crate::collect::Sink;
use crate::error::{Error, Result};
use crate::factory::{Code, Description};
use crate::output::TopKSink;
use crate::progress::{Cancel, Control};
use crate::rows::RowsRef;
use crate::topk::{self, Hit};

/// Multiply-adds that another worker is worth while for.
const WORTH_A_THREAD: usize = 1 << 16;

/// Queries that a worker takes at a time, at most.
const QUERIES: usize = 16;

/// Hits of a range search that a worker takes at a time.
const HITS: usize = 1 << 10;

/// Candidates that a step of a search may have: 64 MiB.
pub(super) const CANDIDATES: usize = 1 << 22;

/// What is done with a query's candidates: given its number, its row, and them.
type Compare<'a> = &'a (dyn Fn(usize, &[f32], &mut [Hit], &mut Scores<'_>) + Sync);

/// What a description keeps rows in, not trained.
pub(super) fn codec(description: &Description) -> Option<Codec> {
    Some(match description.refine? {
        Code::Plain(element) => Codec::Plain(element),
        Code::Scalar { bits } => Codec::Scalar(Scalar::new(bits, false)),
        Code::Product { .. } | Code::RaBitQ { .. } => unreachable!("invariant: `parse` refuses other codes"),
    })
}

impl Index {
    /// What rows are kept in, as `x` (`[n, dim]`) trains it.
    pub(super) fn trained_refine(
        &self,
        x: RowsRef<'_>,
        threads: usize,
        control: &Control<'_>,
    ) -> Result<Option<Arc<Codec>>> {
        match self.refine.as_deref() {
            Some(Codec::Scalar(scalar)) => {
                self.check_finite(x, "training rows", threads, control)?;
                let codec = self.trained_scalar(scalar, self.measured(x), None, threads, control)?;
                Ok(Some(Arc::new(codec)))
            }
            _ => Ok(self.refine.clone()),
        }
    }

    /// Fails unless the index can search with this factor, or, in `a_search`, with any number of candidates.
    pub(super) fn check_k_factor(&self, k_factor: f32, a_search: bool) -> Result<()> {
        if self.refine.is_none() {
            return self.check_no_k_factor(
                k_factor,
                &format!("\"{}\" does not end in a refinement such as \"RFlat\"", self.description),
            );
        }
        if k_factor == 0.0 || (k_factor >= 1.0 && (a_search || k_factor.is_finite())) {
            return Ok(());
        }
        let all = if a_search { ", infinity for all candidates" } else { "" };
        Err(Error::argument(format!(
            "k_factor: expected 1 or more{all}, or 0 for the default, got {k_factor}"
        )))
    }

    /// Fails if a factor is given where there is no use for one.
    pub(super) fn check_no_k_factor(&self, k_factor: f32, why: &str) -> Result<()> {
        if k_factor == 0.0 {
            return Ok(());
        }
        Err(Error::argument(format!("k_factor: expected 0, for {why}, got {k_factor}")))
    }

    /// What `k_factor = 0` means where there is a refinement.
    pub(super) fn default_k_factor(&self) -> f32 {
        if self.k_factor != 0.0 {
            return self.k_factor;
        }
        self.usual_k_factor()
    }

    /// How many times k candidates the codes want for good results.
    pub(super) fn usual_k_factor(&self) -> f32 {
        let bits = 8 * self.codec.row_bytes(self.dim) / self.dim;
        match bits {
            8.. => 2.0,
            4.. => 4.0,
            _ => 10.0,
        }
    }

    fn k_factor(&self, options: &SearchOptions<'_>) -> f32 {
        if options.k_factor == 0.0 { self.default_k_factor() } else { options.k_factor }
    }

    /// How many candidates a search for `k` asks for.
    fn asked(&self, k: usize, options: &SearchOptions<'_>) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "in float32 and cut off, as faiss does; what is too large is cut to the vectors there are"
        )]
        let candidates = (k as f32 * self.k_factor(options)) as usize;
        candidates.max(k).min(self.count)
    }

    /// Whether all vectors are asked for, and bounds tell which of them need not be compared.
    fn is_bounded(&self, k: usize, options: &SearchOptions<'_>) -> bool {
        let all = self.k_factor(options) == f32::INFINITY;
        self.asked(k, options) == self.count && k < self.count && self.has_bounds(all)
    }

    /// How many candidates a search for `k` compares again, to begin with. Where there are copies both of a vector count.
    fn candidates(&self, k: usize, options: &SearchOptions<'_>) -> usize {
        let asked = self.asked(k, options);
        if self.is_bounded(k, options) {
            self.first_candidates(k).min(asked)
        } else if self.lists.copies.is_none() {
            asked
        } else if asked == self.count {
            asked.saturating_mul(2)
        } else {
            asked.max(2 * k.min(self.count))
        }
    }

    /// How many queries a step may have for its candidates.
    pub(super) fn most_refined(&self, k: usize, options: &SearchOptions<'_>) -> usize {
        match &self.refine {
            Some(_) => (CANDIDATES / self.candidates(k, options).max(1)).max(1),
            None => usize::MAX,
        }
    }

    /// A search in two stages; `codec` = what rows are kept in.
    pub(super) fn search_twice(
        &self,
        codec: &Codec,
        request: &Request<'_>,
        options: &SearchOptions<'_>,
        output: SearchOutput<'_>,
        control: &Control<'_>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let &Request { k, queries, .. } = request;
        let most = self.candidates(k, options);
        let cancel = control.cancel();
        let mut room = std::mem::take(&mut workspace.candidates);
        let mut clock = Clock::start(options.stats);
        let mut job = self.job(request, options, cancel, workspace, &mut clock)?;
        // What rounding moves is made up for by candidates to spare.
        let rounded = if most > k { self.rounded() } else { None };
        if let Some(rounded) = rounded {
            job.codes = Codes::Rounded(rounded);
        }
        let sink = TopKSink::new(self.metric, k, output);
        if self.is_bounded(k, options) {
            self.search_exactly(codec, queries, job, (k, most), &mut room, &sink, &mut clock)?;
        } else {
            room.clear(job.count, most)?;
            backend::scan_best(&self.context, &job, most, &room.sink())?;
            clock.lap(|stats| &mut stats.scan_ns);
            self.rerank(queries, &|query| query, &mut room, &job, &|query, row, hits, scores| {
                self.rekey(codec, row, hits, scores);
                sink.take(query, best(hits, k));
            })?;
            clock.lap(|stats| &mut stats.refine_ns);
        }
        workspace.candidates = room;
        Ok(())
    }

    /// The codes as the first stage scans them, where it rounds queries.
    pub(super) fn rounded(&self) -> Option<Rounded<'_>> {
        match &*self.codec {
            Codec::Scalar(scalar) if self.refine.is_some() => {
                Rounded::new(scalar.affine(self.coarse_centroids()), scalar.centre(), self.metric)
            }
            _ => None,
        }
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
            let Workspace { row, panel, .. } = &mut workspace;
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

    /// Gives hits that carry places their keys by the kept rows, and their ids.
    pub(super) fn rekey(&self, codec: &Codec, query: &[f32], hits: &mut [Hit], scores: &mut Scores<'_>) {
        let lists = &self.lists.lists;
        let kept = |hit: &Hit| {
            let Place { list, slot } = Place::of_id(hit.id);
            lists[list].rows.row(slot)
        };
        scores.rekey(query, hits, &kept, &|row, out| codec.row_values(row, out));
        for hit in hits {
            let Place { list, slot } = Place::of_id(hit.id);
            hit.id = lists[list].ids[slot];
        }
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
            let Workspace { row, panel, hits, .. } = &mut workspace;
            let mut scores = Scores::new(&self.context, self.metric, row);
            while !cancel.is_set() {
                let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(piece) = next else { break };
                hits.clear();
                hits.extend(piece.iter().map(|&(_, hit)| hit));
                self.rekey(codec, queries.row(piece[0].0 as usize, panel), hits, &mut scores);
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
        hits.select_nth_unstable_by(k - 1, Hit::order);
    }
    hits[..k].sort_unstable_by(Hit::order);
    &hits[..k]
}
