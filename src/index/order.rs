//! What a range search found, put in order: hits are dealt out to their queries, then workers sort each query's.

use std::sync::{Mutex, PoisonError};

use super::RangeOutput;
use crate::context::Context;
use crate::error::Result;
use crate::metric::Metric;
use crate::progress::Cancel;
use crate::topk::Hit;

/// Hits between two looks at the flag.
const HITS_A_STEP: usize = 1 << 17;

/// Hits that a worker takes at a time: whole queries, at least so many.
const HITS_A_PIECE: usize = 1 << 12;

impl RangeOutput {
    /// Appends what workers found for the next `queries` queries, (query, hit) in no order.
    pub(super) fn append(
        &mut self,
        context: &Context,
        metric: Metric,
        queries: usize,
        found: Vec<(u32, Hit)>,
        workers: usize,
        cancel: Cancel<'_>,
    ) -> Result<()> {
        let before = self.ids.len();
        let (mut hits, ends) = deal(queries, found, cancel)?;
        self.offsets.extend(ends.iter().map(|&end| (before + end) as u64));
        self.distances.resize(before + hits.len(), 0.0);
        self.ids.resize(before + hits.len(), 0);
        let workers = workers.min(1 + hits.len() / HITS_A_PIECE);
        let (distances, ids) = (&mut self.distances[before..], &mut self.ids[before..]);
        let pieces = Mutex::new(Pieces { start: 0, ends: &ends, hits: &mut hits, distances, ids });
        context.parallel(workers, &|_| {
            while !cancel.is_set() {
                let next = pieces.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(piece) = next else { break };
                piece.sort(metric, cancel);
            }
        })?;
        cancel.check()
    }
}

/// The hits in the order of their queries, and where each query's end.
fn deal(queries: usize, found: Vec<(u32, Hit)>, cancel: Cancel<'_>) -> Result<(Vec<Hit>, Vec<usize>)> {
    let mut next = vec![0; queries + 1];
    for part in found.chunks(HITS_A_STEP) {
        part.iter().for_each(|(query, _)| next[*query as usize + 1] += 1);
        cancel.check()?;
    }
    let mut sum = 0;
    next.iter_mut().for_each(|start| {
        sum += *start;
        *start = sum;
    });
    let mut hits = vec![Hit::NONE; found.len()];
    for part in found.chunks(HITS_A_STEP) {
        for &(query, hit) in part {
            let place = &mut next[query as usize];
            hits[*place] = hit;
            *place += 1;
        }
        cancel.check()?;
    }
    // Now `next[query]` is where the hits of `query` end.
    next.truncate(queries);
    Ok((hits, next))
}

/// Queries that follow one another, and where their results go.
struct Pieces<'a> {
    /// Where the first one's hits begin.
    start: usize,
    ends: &'a [usize],
    hits: &'a mut [Hit],
    distances: &'a mut [f32],
    ids: &'a mut [i64],
}

impl Iterator for Pieces<'_> {
    type Item = Self;

    fn next(&mut self) -> Option<Self> {
        let last = self.ends.len().checked_sub(1)?;
        let enough = self.ends.iter().position(|&end| end - self.start >= HITS_A_PIECE);
        let (ends, rest) = self.ends.split_at(enough.unwrap_or(last) + 1);
        let count = ends[ends.len() - 1] - self.start;
        let piece = Self {
            start: self.start,
            ends,
            hits: self.hits.split_off_mut(..count)?,
            distances: self.distances.split_off_mut(..count)?,
            ids: self.ids.split_off_mut(..count)?,
        };
        (self.start, self.ends) = (self.start + count, rest);
        Some(piece)
    }
}

impl Pieces<'_> {
    /// Sorts each query's hits and writes them out, unless the flag is set in between.
    fn sort(self, metric: Metric, cancel: Cancel<'_>) {
        let mut start = 0;
        for end in self.ends.iter().map(|end| end - self.start) {
            sort(&mut self.hits[start..end], cancel);
            start = end;
        }
        for ((distance, id), hit) in self.distances.iter_mut().zip(self.ids).zip(self.hits) {
            (*distance, *id) = (metric.value_of_key(hit.key), hit.id);
        }
    }
}

/// Sorts hits best first, in halves where they are many: the flag is looked at between them.
fn sort(hits: &mut [Hit], cancel: Cancel<'_>) {
    if cancel.is_set() {
        return;
    }
    if hits.len() <= HITS_A_STEP {
        hits.sort_unstable_by(Hit::order);
        return;
    }
    let half = hits.len() / 2;
    hits.select_nth_unstable_by(half, Hit::order);
    let (better, worse) = hits.split_at_mut(half);
    sort(better, cancel);
    sort(worse, cancel);
}
