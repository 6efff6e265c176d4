//! A refined search that finds what a search of the kept rows themselves would find, by the codes' bounds: first-stage
//! keys are the least that those of the vectors can be, so that all which was left out is no nearer than the last
//! candidate. A query whose k-th best lies beyond that gets more candidates.

use std::sync::{Mutex, PoisonError};

use super::Index;
use super::refine::{CANDIDATES, best};
use super::stats::Clock;
use crate::backend::workspace::Candidates;
use crate::backend::{self, Codes, Rounded, ScanJob, Scores, Subset};
use crate::codec::Codec;
use crate::collect::Sink;
use crate::error::Result;
use crate::rows::RowsRef;
use crate::topk::Hit;

/// How many candidates a query has to begin with.
pub(super) fn first_candidates(k: usize) -> usize {
    k.saturating_mul(2).max(k.saturating_add(16))
}

/// Candidates that are compared before it is asked whether those were enough, at least: rows are on their way while
/// others are compared.
const LEAST_STEP: usize = 8;

/// How many times as many it gets where those are not enough.
const MORE: usize = 4;

impl Index {
    /// Whether the error of the first stage is bounded.
    pub(super) fn has_bounds(&self) -> bool {
        self.transforms.is_empty() && self.rounded().is_some()
    }

    /// Hands the `k` best of each query of `job` to `sink`; `most` = candidates to begin with.
    pub(super) fn search_exactly(
        &self,
        codec: &Codec,
        rounded: &Rounded<'_>,
        queries: RowsRef<'_>,
        job: ScanJob<'_>,
        (k, mut most): (usize, usize),
        candidates: &mut Candidates,
        sink: &dyn Sink,
        clock: &mut Clock<'_>,
    ) -> Result<()> {
        let bounds = self.bounds(rounded, codec, job.workers, job.cancel)?;
        let job = ScanJob { codes: Codes::Rounded(rounded.with_bounds(&bounds)), ..job };
        let open = Mutex::new(Vec::new());
        let mut compare =
            |job: &ScanJob<'_>, most, number: &(dyn Fn(usize) -> usize + Sync)| {
                candidates.clear(job.count, most)?;
                backend::scan_best(&self.context, job, most, &candidates.sink())?;
                clock.lap(|stats| &mut stats.scan_ns);
                let compared =
                    self.rerank(queries, number, candidates, job, &|query, row, hits, scores| match self
                        .proven(codec, row, hits, (k, most), scores)
                    {
                        Some(best) => sink.take(query, best),
                        None => open.lock().unwrap_or_else(PoisonError::into_inner).push(query),
                    });
                clock.lap(|stats| &mut stats.refine_ns);
                compared
            };
        compare(&job, most, &|query| query)?;
        loop {
            let left = std::mem::take(&mut *open.lock().unwrap_or_else(PoisonError::into_inner));
            if left.is_empty() {
                return Ok(());
            }
            most = most.saturating_mul(MORE).min(self.count);
            for numbers in left.chunks((CANDIDATES / most).max(1)) {
                let subset = Subset::of(&job, numbers);
                compare(&subset.job(&job), most, &|query| numbers[query])?;
            }
        }
    }

    /// The `k` best of a query's candidates, of which there are `most` if there may be others; `None` if one of those may
    /// be among the best.
    fn proven<'h>(
        &self,
        codec: &Codec,
        query: &[f32],
        hits: &'h mut [Hit],
        (k, most): (usize, usize),
        scores: &mut Scores<'_>,
    ) -> Option<&'h [Hit]> {
        hits.sort_unstable_by(Hit::order);
        let last = hits.last().map_or(f32::INFINITY, |hit| hit.key);
        let all = k == 0 || hits.len() < most || most >= self.count;
        let (mut seen, mut kept, mut worst) = (0, 0, f32::INFINITY);
        // `worst` is infinite until there are k.
        while k > 0 && seen < hits.len() && hits[seen].key <= worst {
            let to = (seen + if kept < k { k } else { (k / 2).max(LEAST_STEP) }).min(hits.len());
            self.rekey(codec, query, &mut hits[seen..to], scores);
            hits.copy_within(seen..to, kept);
            kept = best(&mut hits[..kept + to - seen], k).len();
            worst = if kept < k { f32::INFINITY } else { hits[k - 1].key };
            seen = to;
        }
        (all || seen < hits.len() || last > worst).then_some(&hits[..kept])
    }
}
