//! A job in stretches of queries, each about a round's, so that several workers can plan rounds at once.

use std::ops::Range;

use super::resident::Resident;
use super::rounds::{Limits, Rounds, Sorter};
use crate::backend::{Probes, ScanJob};
use crate::lists::block::{BLOCK, blocks};

/// Queries whose lists tell how many lanes one needs.
const SAMPLE: usize = 64;

/// How much more a stretch may need than the sample has it, so that few are cut in two.
const MARGIN: f64 = 1.05;

/// Lanes of a round where more would leave the job fewer than so many rounds: while the device works on one, the CPU has
/// its part of others. More queries at once leave fewer rows of tiles empty.
const LANES: usize = 1 << 26;
const ROUNDS: f64 = 4.0;

/// Lanes, or queries, that are worth a round of their own where a job is cut for the CPU's sake.
const LEAST: f64 = 1e7;
const QUERIES: usize = 1 << 10;

/// The first stretches are these parts of the others, so that the device need not wait long for them.
const FIRST: [f64; 2] = [0.25, 0.5];

/// The way through a job.
pub(super) struct Planner<'a> {
    job: &'a ScanJob<'a>,
    /// The first query that no stretch has, and how many stretches there were.
    next: usize,
    number: usize,
}

impl<'a> Planner<'a> {
    pub(super) fn new(job: &'a ScanJob<'a>) -> Self {
        Self { job, next: 0, number: 0 }
    }

    /// The rounds of the next stretch; `None` when there is none. With a filter there is one: rounds share what passes it,
    /// so they are planned one after another.
    pub(super) fn next(
        &mut self,
        limits: &Limits,
        resident: &Resident,
        sorter: impl FnOnce() -> Sorter,
    ) -> Option<Rounds<'a>> {
        let left = self.next..self.job.count;
        if left.is_empty() {
            return None;
        }
        let stretch = match self.job.filter {
            Some(_) => left,
            None => {
                let (most, least) = self.queries_a_round(limits, resident);
                first_of(left, (most, least), self.number)
            }
        };
        self.next = stretch.end;
        self.number += 1;
        Some(Rounds::new(self.job, stretch, sorter()))
    }

    /// How many of the queries that are left a round has at most, and how many are worth one, as far as a sample of them
    /// tells.
    fn queries_a_round(&self, limits: &Limits, resident: &Resident) -> (usize, usize) {
        let left = self.job.count - self.next;
        let lanes_of = |list: usize| BLOCK * blocks(resident.slots[list] as usize);
        let lanes = limits.a_query.unwrap_or_else(|| match self.job.probes {
            Probes::All => (0..self.job.lists.list_count()).map(lanes_of).sum::<usize>() as f64,
            Probes::Lists { lists, nprobe } => {
                let sample = SAMPLE.min(left);
                let of_query = |number: usize| {
                    let query = self.next + number * left / sample;
                    let lists = &lists[query * nprobe..][..nprobe];
                    lists.iter().filter_map(|&list| usize::try_from(list).ok()).map(lanes_of).sum::<usize>()
                };
                (0..sample).map(of_query).sum::<usize>() as f64 / sample.max(1) as f64 * MARGIN
            }
        });
        let shared_out = (lanes * self.job.count as f64 / ROUNDS).max(LANES as f64);
        let queries = |lanes_of_all: f64| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
            let queries = (lanes_of_all / lanes.max(1.0)) as usize;
            queries.clamp(1, limits.queries)
        };
        (queries(shared_out.min(limits.lanes as f64)), queries(LEAST).min(QUERIES))
    }
}

/// The next stretch of these queries: as many as a round has at most, but fewer at the job's begin, when the device has
/// nothing to do, and at its end, when the CPU has nothing to do meanwhile; not fewer than are worth it.
fn first_of(queries: Range<usize>, (most, least): (usize, usize), number: usize) -> Range<usize> {
    let left = queries.len();
    let share = match FIRST.get(number) {
        Some(share) => share * left.min(most) as f64,
        None if left > 2 * most => most as f64,
        // Each the double of the next.
        None => (left as f64 / 1.5).min(most as f64),
    };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of the queries")]
    let some = (share.ceil() as usize).max(least.min(most)).min(left);
    // What is left is worth a round, or it is part of this one.
    let some = if left - some < least && left <= most { left } else { some };
    queries.start..queries.start + some
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ends of all stretches of so many queries.
    fn ends(queries: usize, most: usize, least: usize) -> Vec<usize> {
        let mut ends = vec![0];
        while ends[ends.len() - 1] < queries {
            let stretch = first_of(ends[ends.len() - 1]..queries, (most, least), ends.len() - 1);
            assert!(!stretch.is_empty() && stretch.len() <= most);
            ends.push(stretch.end);
        }
        ends
    }

    #[test]
    fn stretches_are_shorter_at_both_ends() {
        assert_eq!(ends(0, 7, 1), [0]);
        assert_eq!(ends(1, 1, 1), [0, 1]);
        assert_eq!(ends(3, 1, 1), [0, 1, 2, 3]);
        assert_eq!(ends(3, 1, 10), [0, 1, 2, 3]);
        assert_eq!(ends(10, 10, 10), [0, 10]);
        assert_eq!(ends(10, 100, 20), [0, 10]);
        assert_eq!(ends(1000, 2000, 300), [0, 300, 650, 1000]);
        assert_eq!(ends(19600, 4096, 300), [0, 1024, 3072, 7168, 11264, 15360, 18187, 19129, 19600]);
    }
}
