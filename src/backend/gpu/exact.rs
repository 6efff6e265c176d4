//! What the device found, as the CPU would have: its distances, and the proof that nothing else belongs to them.
//!
//! The shaders add as the CPU's fused kernels do, so on a device whose arithmetic was seen to be theirs
//! ([`super::verify`]) its keys are the CPU's. Elsewhere they differ by rounding, and the CPU computes them again. By how
//! much they can differ is known ([`super::bounds`]): if the best key that the device left out lies above the k-th exact
//! key by more than that, none of those left out can be among the k best, and none can tie.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::arithmetic::Arithmetic;
use super::bounds::Sizes;
use super::encode::to32;
use super::land::Landed;
use super::round::Round;
use super::verify::{LEAST, least};
use crate::backend::scorer::Scorer;
use crate::backend::{Codes, ListView, Place, ScanJob};
use crate::collect::Sink;
use crate::context::Context;
use crate::error::Result;
use crate::lists::block::BLOCK;
use crate::matrix::squared_norm;
use crate::metric::Metric;
use crate::topk::Hit;

/// A vector that the device thinks is near, and its key there.
#[derive(Clone, Copy)]
pub(super) struct Candidate {
    pub(super) list: u32,
    pub(super) slot: u32,
    pub(super) key: u32,
}

impl Candidate {
    /// What stands for it in hits; `list` is its own.
    pub(super) fn name(&self, job: &ScanJob<'_>, list: &ListView<'_>) -> i64 {
        let (number, slot) = (self.list as usize, self.slot as usize);
        if job.places { Place { list: number, slot }.to_id() } else { list.ids[slot] }
    }
}

/// What earlier rounds found for the query that the next begins with.
#[derive(Default)]
pub(super) struct Carried {
    candidates: Vec<Candidate>,
    bar: Option<u32>,
}

/// What is to be judged: the queries `from..to`, of which the round is the last.
pub(super) struct Judged {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Of each so many are wanted.
    k: usize,
    pub(super) landed: Landed,
    /// Of the first query.
    before: Carried,
    /// Queries for which it is not proven that nothing else belongs to what was found.
    unproven: Mutex<Vec<usize>>,
}

impl Judged {
    /// What a round found of which the queries before `from` were judged. What there is of the query after its last waits in
    /// `carried`, where that of its first was.
    pub(super) fn new(from: usize, k: usize, landed: Landed, carried: &mut Carried) -> Self {
        let to = landed.round.ready;
        let mut before = std::mem::take(carried);
        if to == from {
            std::mem::swap(&mut before, carried);
        }
        let bar = landed.add(to, &mut carried.candidates);
        carried.bar = bar.into_iter().chain(carried.bar).min();
        Self { from, to, k, landed, before, unproven: Mutex::default() }
    }

    /// Leaves a query to the CPU.
    pub(super) fn leave(&self, query: usize) {
        self.unproven.lock().unwrap_or_else(PoisonError::into_inner).push(query);
    }

    /// The round, and the queries that are left to the CPU.
    pub(super) fn into_parts(self) -> (Round, Vec<usize>) {
        (self.landed.round, self.unproven.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whoever makes results of what a job's rounds found.
pub(super) trait Judges<'a>: Sync {
    fn job(&self) -> &'a ScanJob<'a>;

    /// Hands over what is best of some of the queries to be judged.
    fn some(&self, judged: &Judged, queries: Range<usize>, arithmetic: &mut Arithmetic<'a>, sink: &dyn Sink);
}

impl<'a> Judges<'a> for Judge<'a> {
    fn job(&self) -> &'a ScanJob<'a> {
        self.job
    }

    fn some(&self, judged: &Judged, queries: Range<usize>, arithmetic: &mut Arithmetic<'a>, sink: &dyn Sink) {
        let (mut hits, mut own) = (Vec::new(), Vec::new());
        for query in queries {
            own.clear();
            let mut bar = judged.landed.add(query, &mut own);
            if query == judged.from {
                own.extend_from_slice(&judged.before.candidates);
                bar = bar.into_iter().chain(judged.before.bar).min();
            }
            if self.best((query, judged.k), (&own, bar), arithmetic, &mut hits) {
                sink.take(query, &hits);
            } else {
                judged.leave(query);
            }
        }
    }
}

/// Makes the device's keys the CPU's.
pub(super) struct Judge<'a> {
    context: &'a Context,
    job: &'a ScanJob<'a>,
    sizes: Sizes,
    /// Whether the device's arithmetic is the CPU's, but for queries with factors below [`LEAST`].
    same: bool,
}

impl<'a> Judge<'a> {
    pub(super) fn new(context: &'a Context, job: &'a ScanJob<'a>, sizes: Sizes, same: bool) -> Self {
        Self { context, job, sizes, same }
    }

    pub(super) fn query(&self, query: usize) -> &'a [f32] {
        self.job.row(query)
    }

    /// How far the device's key of a vector can be from the CPU's, if that is at most `key`.
    fn error(&self, norm: f32, key: f32) -> f64 {
        self.sizes.rounding(self.job.metric, self.job.dim, norm, key)
    }

    /// The device's keys of all vectors whose key is below `key` are at most this.
    pub(super) fn reach(&self, query: usize, key: f32) -> f32 {
        let reach = f64::from(key) + self.error(squared_norm(self.query(query)), key);
        #[expect(clippy::cast_possible_truncation, reason = "rounded up below")]
        (reach as f32).next_up()
    }

    /// The `k` best of these candidates, all of `query`, of which the device left out only what it thinks is at `bar` or
    /// beyond, into `hits`; whether that is proven.
    pub(super) fn best(
        &self,
        (query, k): (usize, usize),
        (candidates, bar): (&[Candidate], Option<u32>),
        arithmetic: &mut Arithmetic<'_>,
        hits: &mut Vec<Hit>,
    ) -> bool {
        hits.clear();
        let norm = squared_norm(self.query(query));
        let same = self.same && least(self.query(query)) >= LEAST;
        if same {
            self.accept(arithmetic, query, norm, candidates, hits);
        } else {
            arithmetic.keys(self, query, norm, candidates, hits);
        }
        // What is no number is not found.
        let all = hits.len() == candidates.len();
        hits.sort_unstable_by(Hit::order);
        hits.truncate(k);
        all && self.proven(same, norm, k, hits, bar)
    }

    /// Adds a hit for each of `candidates`, all of `query`, with the key that the device has; of codes with the CPU's where
    /// that may be another.
    fn accept(
        &self,
        arithmetic: &mut Arithmetic<'_>,
        query: usize,
        norm: f32,
        candidates: &[Candidate],
        hits: &mut Vec<Hit>,
    ) {
        let coded = !matches!(self.job.codes, Codes::Plain);
        let scorer = Scorer::new(self.job.metric, self.query(query), norm);
        if !coded && !self.job.places {
            return self.accept_vectors(&scorer, norm, candidates, hits);
        }
        let mut again = Vec::new();
        let mut known: Option<(u32, ListView<'_>)> = None;
        for candidate in candidates {
            // Centroids are all in one.
            let list = match &known {
                Some((number, list)) if *number == candidate.list => *list,
                _ => self.job.lists.list(candidate.list as usize),
            };
            known = Some((candidate.list, list));
            let (slot, key) = (candidate.slot as usize, from_ordered(candidate.key));
            let key = match coded {
                false => scorer.settled(key, &list, slot),
                // + 0.0: a similarity of 0 has one key, not two.
                true if self.sizes.is_settled(self.job.metric, self.job.dim, norm, key) => key + 0.0,
                true => {
                    again.push(*candidate);
                    continue;
                }
            };
            hits.push(Hit { key, id: candidate.name(self.job, &list) });
        }
        if !again.is_empty() {
            arithmetic.keys(self, query, norm, &again, hits);
        }
    }

    /// The same of vectors that go by their ids. Each id is a cache miss: all are on their way before the first is needed,
    /// and no bias is read where a key is far enough.
    fn accept_vectors(&self, scorer: &Scorer<'_>, norm: f32, candidates: &[Candidate], hits: &mut Vec<Hit>) {
        let (metric, dim) = (self.job.metric, self.job.dim);
        for part in candidates.chunks(BLOCK) {
            let mut found = [(0.0, &0); BLOCK];
            for (found, candidate) in found.iter_mut().zip(part) {
                let list = self.job.lists.list(candidate.list as usize);
                let (slot, key) = (candidate.slot as usize, from_ordered(candidate.key));
                let far = metric == Metric::L2 && self.sizes.is_settled(metric, dim, norm, key);
                *found = (if far { key } else { scorer.settled(key, &list, slot) }, &list.ids[slot]);
            }
            hits.extend(found[..part.len()].iter().map(|&(key, &id)| Hit { key, id }));
        }
    }

    /// Whether these are the k best, if the device left out only what it thinks is at `bar` or beyond; `same`: its keys
    /// are the CPU's.
    fn proven(&self, same: bool, norm: f32, k: usize, hits: &[Hit], bar: Option<u32>) -> bool {
        if hits.iter().any(|hit| !hit.key.is_finite()) {
            return false;
        }
        let Some(bar) = bar else { return true };
        let Some(last) = hits.get(k - 1) else { return false };
        let bar = from_ordered(bar);
        // Cut off at the largest cosine, all further keys are equal.
        let cut = self.job.metric == Metric::Cosine && last.key >= 1.0;
        if !bar.is_finite() || cut {
            return false;
        }
        if same && self.sizes.is_settled(self.job.metric, self.job.dim, norm, bar) {
            return bar > last.key;
        }
        f64::from(bar) > f64::from(last.key) + self.error(norm, last.key)
    }

    /// Adds those of `candidates`, in the order of their queries, whose key is below `key` to `found`, and empties
    /// `candidates`.
    pub(super) fn within(
        &self,
        key: f32,
        candidates: &mut Vec<(usize, Candidate)>,
        found: &mut Vec<(u32, Hit)>,
    ) -> Result<()> {
        let all = Mutex::new(std::mem::take(found));
        let parts: Vec<&[(usize, Candidate)]> = candidates.chunk_by(|a, b| a.0 == b.0).collect();
        let next = AtomicUsize::new(0);
        self.context.parallel(self.job.workers.min(1 + candidates.len() / 256), &|_| {
            let mut arithmetic = Arithmetic::new(self.context);
            let (mut hits, mut places, mut own) = (Vec::new(), Vec::new(), Vec::new());
            while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                let query = part[0].0;
                hits.clear();
                places.clear();
                places.extend(part.iter().map(|candidate| candidate.1));
                arithmetic.keys(self, query, squared_norm(self.query(query)), &places, &mut hits);
                own.extend(hits.iter().filter(|hit| hit.key < key).map(|&hit| (to32(query), hit)));
            }
            all.lock().unwrap_or_else(PoisonError::into_inner).append(&mut own);
        })?;
        *found = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        candidates.clear();
        Ok(())
    }

    /// Whether every key of these rows is what the CPU computes.
    pub(super) fn agrees(&self, landed: &Landed) -> bool {
        let mut arithmetic = Arithmetic::new(self.context);
        let (mut hits, mut own) = (Vec::new(), Vec::new());
        landed.round.queries.clone().all(|query| {
            own.clear();
            hits.clear();
            landed.add(query, &mut own);
            let norm = squared_norm(self.query(query));
            arithmetic.keys(self, query, norm, &own, &mut hits);
            let count = hits.len();
            self.accept(&mut arithmetic, query, norm, &own, &mut hits);
            let (want, got) = hits.split_at_mut(count);
            want.sort_unstable_by(Hit::order);
            got.sort_unstable_by(Hit::order);
            want.len() == got.len()
                && want.iter().zip(got).all(|(want, got)| want.key.to_bits() == got.key.to_bits())
        })
    }
}

pub(super) fn from_ordered(bits: u32) -> f32 {
    f32::from_bits(if bits >> 31 == 1 { bits & !(1 << 31) } else { !bits })
}
