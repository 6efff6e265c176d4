//! A refined search that finds what a search of the kept rows themselves would find, by the codes' bounds: first-stage
//! keys are the least that those of the vectors can be, so that all which was left out is no nearer than the last
//! candidate. A query whose k-th best lies beyond that gets more candidates.

use std::sync::{Mutex, PoisonError};

use super::Index;
use super::refine::CANDIDATES;
use super::rerank::best;
use super::stats::Clock;
use crate::backend::workspace::Candidates;
use crate::backend::{self, Codes, ScanJob, Scores, Subset};
use crate::codec::Codec;
use crate::collect::Sink;
use crate::error::Result;
use crate::metric::Metric;
use crate::rows::RowsRef;
use crate::topk::Hit;

/// Candidates that are compared before it is asked whether those were enough, at least: rows are on their way while
/// others are compared. Also what share of those before that is, as a divisor.
const STEP: usize = 8;

/// A query that wants more candidates.
struct Open {
    query: usize,
    /// What its k-th best does not lie beyond.
    bar: f32,
    /// How many may reach that.
    wanted: usize,
}

impl Index {
    /// Whether the error of the first stage is bounded; if `likely` is enough, by bounds that hold for nearly all.
    pub(super) fn has_bounds(&self, likely: bool) -> bool {
        match &*self.codec {
            // A vector and its copy would count as two candidates.
            _ if self.lists.copies.is_some() => false,
            Codec::RaBitQ(_) => likely && self.transforms.is_isometry(self.metric != Metric::L2),
            _ => self.transforms.is_empty() && self.rounded().is_some(),
        }
    }

    /// How many candidates a query has to begin with.
    pub(super) fn first_candidates(&self, k: usize) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "2 to 10")]
        let factor = self.usual_k_factor().ceil() as usize;
        self.bounds.room.times(k.saturating_mul(factor).max(k.saturating_add(16)))
    }

    /// Hands the `k` best of each query of `job` to `sink`; `most` = candidates to begin with.
    pub(super) fn search_exactly(
        &self,
        codec: &Codec,
        queries: RowsRef<'_>,
        job: ScanJob<'_>,
        (k, most): (usize, usize),
        candidates: &mut Candidates,
        sink: &dyn Sink,
        clock: &mut Clock<'_>,
    ) -> Result<()> {
        let (bounds, deviations);
        let codes = match job.codes {
            Codes::Rounded(codes) => {
                bounds = self.bounds(&codes, codec, job.workers, job.cancel)?;
                Codes::Rounded(codes.with_bounds(&bounds))
            }
            Codes::RaBitQ(codes) => {
                deviations = self.deviations(&codes, job.workers, job.cancel)?;
                Codes::RaBitQ(codes.with_deviations(&deviations))
            }
            _ => unreachable!("invariant: has_bounds"),
        };
        let job = ScanJob { codes, ..job };
        let open = Mutex::new(Vec::<Open>::new());
        let mut compare =
            |job: &ScanJob<'_>, most, number: &(dyn Fn(usize) -> usize + Sync)| {
                candidates.clear(job.count, most)?;
                backend::scan_best(&self.context, job, most, &candidates.sink())?;
                clock.lap(|stats| &mut stats.scan_ns);
                let compared =
                    self.rerank(queries, number, candidates, job, &|query, row, hits, scores| match self
                        .proven(codec, row, hits, (k, most), scores)
                    {
                        Ok(best) => sink.take(query, best),
                        Err(more) => {
                            open.lock().unwrap_or_else(PoisonError::into_inner).push(Open { query, ..more });
                        }
                    });
                clock.lap(|stats| &mut stats.refine_ns);
                compared
            };
        compare(&job, most, &|query| query)?;
        self.bounds.room.learn(job.count, open.lock().unwrap_or_else(PoisonError::into_inner).len());
        let mut bars = vec![f32::INFINITY; job.count];
        loop {
            let mut left = std::mem::take(&mut *open.lock().unwrap_or_else(PoisonError::into_inner));
            if left.is_empty() {
                return Ok(());
            }
            left.iter().for_each(|open| bars[open.query] = open.bar);
            let job = ScanJob { bars: Some(&bars), ..job };
            left.sort_unstable_by_key(|open| open.wanted);
            for alike in left.chunk_by(|a, b| a.wanted.ilog2() == b.wanted.ilog2()) {
                let most = alike.last().map_or(0, |open| open.wanted);
                for alike in alike.chunks((CANDIDATES / most).max(1)) {
                    let numbers: Vec<_> = alike.iter().map(|open| open.query).collect();
                    let subset = Subset::of(&job, &numbers);
                    compare(&subset.job(&job), most, &|query| numbers[query])?;
                }
            }
        }
    }

    /// How many candidates reach a bar, of which `most` reach `last` and a quarter of them `quarter`, if they go on to grow
    /// so: near the least of all fewer do.
    fn wanted(&self, most: usize, quarter: f32, last: f32, bar: f32) -> usize {
        let quadruplings = (bar - last) / (last - quarter).max(f32::MIN_POSITIVE);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "cut to the vectors there are"
        )]
        let wanted = (most as f32 * 4f32.powf(quadruplings)) as usize;
        wanted.max(most.saturating_mul(2)).min(self.count)
    }

    /// The `k` best of a query's candidates, of which there are `most` if there may be others that reach its bar. If one
    /// of those may be among the best: what the k-th best does not lie beyond.
    ///
    /// As many are compared however many candidates there are: where bounds are no proof, so are the results the same.
    fn proven<'h>(
        &self,
        codec: &Codec,
        query: &[f32],
        hits: &'h mut [Hit],
        (k, most): (usize, usize),
        scores: &mut Scores<'_>,
    ) -> std::result::Result<&'h [Hit], Open> {
        hits.sort_unstable_by(Hit::order);
        let key = |place: usize| hits.get(place).map_or(f32::INFINITY, |hit| hit.key);
        let (quarter, last) = (key(hits.len() / 4), key(hits.len().wrapping_sub(1)));
        let all = hits.len() < most || most >= self.count;
        let (mut seen, mut kept, mut worst) = (0, 0, f32::INFINITY);
        // `worst` is infinite until there are k.
        loop {
            let step = if kept < k { k } else { (k / 2).max(STEP).max(seen / STEP) };
            let next = &hits[seen..hits.len().min(seen + step)];
            let count = next.partition_point(|hit| hit.key <= worst);
            if count < step && seen + count == hits.len() && !all && last <= worst {
                return Err(Open { query: 0, bar: worst, wanted: self.wanted(most, quarter, last, worst) });
            }
            if count == 0 {
                return Ok(&hits[..kept]);
            }
            let to = seen + count;
            self.rekey(codec, query, &mut hits[seen..to], scores);
            self.name(&mut hits[seen..to]);
            hits.copy_within(seen..to, kept);
            kept = best(&mut hits[..kept + count], k).len();
            worst = if kept < k { f32::INFINITY } else { hits[k - 1].key };
            seen = to;
        }
    }
}
