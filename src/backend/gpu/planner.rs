//! Rounds planned ahead of the device, by several workers at once: each takes a range of queries that makes a round.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::resident::Resident;
use super::rounds::{Limits, Round, Rounds, Sorter};
use crate::backend::{Probes, ScanJob};
use crate::context::Context;
use crate::error::Result;
use crate::lists::block::{BLOCK, blocks};

/// Queries whose lists tell how many lanes one needs.
const SAMPLE: usize = 64;

/// How much more a range may need than the sample has it, so that few are cut in two.
const MARGIN: f64 = 1.05;

/// Lanes of a round where more would leave the job fewer than so many rounds: while the device works on one, the CPU has
/// its part of others. More queries at once leave fewer rows of tiles empty.
const LANES: usize = 1 << 25;
const ROUNDS: f64 = 8.0;

/// The rounds of a job, in order.
pub(super) struct Planner<'a> {
    context: &'a Context,
    job: &'a ScanJob<'a>,
    /// The first query that no range has.
    next: usize,
    planned: VecDeque<Round>,
    /// With a filter: rounds share what passes it, so they are planned one after another.
    alone: Option<Rounds<'a>>,
    spare: Spare,
}

/// What rounds use again.
#[derive(Default)]
pub(super) struct Spare {
    sorters: Vec<Sorter>,
    rounds: Vec<Round>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(context: &'a Context, job: &'a ScanJob<'a>, mut spare: Spare) -> Self {
        let alone = job.filter.map(|_| {
            let sorter = spare.sorters.pop().unwrap_or_default();
            Rounds::new(job, 0..job.count, sorter, std::mem::take(&mut spare.rounds))
        });
        Self { context, job, next: 0, planned: VecDeque::new(), alone, spare }
    }

    /// What the next job can use.
    pub(super) fn take_spare(&mut self) -> Spare {
        let mut spare = std::mem::take(&mut self.spare);
        if let Some(rounds) = self.alone.take() {
            rounds.give_back(&mut spare.sorters, &mut spare.rounds);
        }
        spare
    }

    /// Takes the memory of a round that is done with.
    pub(super) fn reuse(&mut self, round: Round) {
        match &mut self.alone {
            Some(rounds) => rounds.reuse(round),
            None => self.spare.rounds.push(round),
        }
    }

    /// The next round; `None` when there is none.
    pub(super) fn next(&mut self, limits: &Limits, resident: &Resident) -> Result<Option<Round>> {
        if let Some(rounds) = &mut self.alone {
            return rounds.next(limits, resident);
        }
        if self.planned.is_empty() {
            self.plan(limits, resident)?;
        }
        Ok(self.planned.pop_front())
    }

    /// Plans a range for each worker.
    fn plan(&mut self, limits: &Limits, resident: &Resident) -> Result<()> {
        let ranges =
            ranges(self.next..self.job.count, self.queries_a_round(limits, resident), self.job.workers);
        self.next = ranges.last().map_or(self.next, |range| range.end);
        let spare = Mutex::new(std::mem::take(&mut self.spare));
        let made = Mutex::new(Vec::new());
        let work = |queries: Range<usize>| -> Result<()> {
            let first = queries.start;
            let (sorter, round) = {
                let mut spare = spare.lock().unwrap_or_else(PoisonError::into_inner);
                (spare.sorters.pop().unwrap_or_default(), spare.rounds.pop())
            };
            let mut rounds = Rounds::new(self.job, queries, sorter, Vec::from_iter(round));
            let mut all = Vec::new();
            while let Some(round) = rounds.next(limits, resident)? {
                all.push(round);
            }
            made.lock().unwrap_or_else(PoisonError::into_inner).push((first, all));
            let mut spare = spare.lock().unwrap_or_else(PoisonError::into_inner);
            let Spare { sorters, rounds: unused } = &mut *spare;
            rounds.give_back(sorters, unused);
            Ok(())
        };
        let done = self.context.each(self.job.workers.min(ranges.len()), ranges.into_iter(), &work);
        self.spare = spare.into_inner().unwrap_or_else(PoisonError::into_inner);
        done?;
        let mut made = made.into_inner().unwrap_or_else(PoisonError::into_inner);
        made.sort_unstable_by_key(|&(first, _)| first);
        self.planned.extend(made.into_iter().flat_map(|(_, rounds)| rounds));
        Ok(())
    }

    /// How many of the queries that are left fit in a round, as far as a sample of them tells.
    fn queries_a_round(&self, limits: &Limits, resident: &Resident) -> usize {
        let left = self.job.count - self.next;
        let lanes_of = |list: usize| BLOCK * blocks(resident.slots[list] as usize);
        let lanes = match self.job.probes {
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
        };
        let shared_out = (lanes * left as f64 / ROUNDS).max(LANES as f64);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let most = (shared_out.min(limits.lanes as f64) / lanes.max(1.0)) as usize;
        most.clamp(1, limits.queries)
    }
}

/// The first ranges of as many that are equal and have at most `most` of these queries each; so many of them.
fn ranges(queries: Range<usize>, most: usize, so_many: usize) -> Vec<Range<usize>> {
    let parts = queries.len().div_ceil(most).max(1);
    let begin = |part: usize| queries.start + part * queries.len() / parts;
    (0..parts.min(so_many.max(1))).map(|part| begin(part)..begin(part + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_equal_and_follow_each_other() {
        assert_eq!(ranges(0..10, 4, 8), [0..3, 3..6, 6..10]);
        assert_eq!(ranges(0..10, 1, 3), [0..1, 1..2, 2..3]);
        assert_eq!(ranges(5..15, 6, 2), [5..10, 10..15]);
        let one = |queries, most, so_many| ranges(queries, most, so_many).pop();
        assert_eq!(one(5..10, 5, 8), Some(5..10));
        assert_eq!(one(5..10, 100, 8), Some(5..10));
        assert_eq!(one(0..10, 6, 0), Some(0..5));
    }
}
