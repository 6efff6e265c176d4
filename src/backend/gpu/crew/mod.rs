//! The CPU's part of a job on the device, shared out: while one thread, the pilot, talks to the device, whoever else is
//! free plans rounds ahead, copies queries to where the device reads them, and judges what it found.
//!
//! Threads of the context's pool are asked to help whenever there is work, and leave when there is none. Where the pilot
//! has to wait for work it does it itself, so that it needs nobody.

mod pilot;
mod tasks;

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tasks::{Kind, Plan, State, Task};

use super::arithmetic::Arithmetic;
use super::exact::Judges;
use super::health::Outcome;
use super::planner::Planner;
use super::resident::Resident;
use crate::backend::ScanJob;
use crate::collect::Sink;
use crate::context::Context;
use crate::error::Result;

pub(super) use pilot::Pilot;
pub(super) use tasks::Spare;

/// Queries that are judged at a time: enough to be worth a thread, few enough that all have some.
const QUERIES: std::ops::RangeInclusive<usize> = 8..=32;

/// How long the pilot looks out for what it waits for before it sleeps.
const ALERT: Duration = Duration::from_micros(100);

/// All that helpers need.
pub(super) struct Crew<'a> {
    context: &'a Context,
    judge: &'a dyn Judges<'a>,
    sink: &'a dyn Sink,
    resident: &'a Resident,
    state: Mutex<State<'a>>,
    changed: Condvar,
}

impl<'a> Crew<'a> {
    pub(super) fn new(
        context: &'a Context,
        judge: &'a dyn Judges<'a>,
        sink: &'a dyn Sink,
        resident: &'a Resident,
        spare: Spare,
    ) -> Self {
        let job = judge.job();
        let portion = (job.count / (2 * job.workers)).clamp(*QUERIES.start(), *QUERIES.end());
        let state = Mutex::new(State { spare, portion, ..State::default() });
        Self { context, judge, sink, resident, state, changed: Condvar::new() }
    }

    /// Runs `work` with a pilot for `job`, whose crew its workers are.
    pub(super) fn run<'s, T>(
        &'s self,
        job: &'a ScanJob<'a>,
        work: impl FnOnce(&mut Pilot<'s, 'a, '_>) -> Outcome<T>,
    ) -> Outcome<T> {
        let workers = job.workers.min(1 + job.count / QUERIES.start());
        self.context.assisted(workers, |helpers| {
            let _leaving = Leaving(self);
            let result = work(&mut Pilot { crew: self, helpers, planner: Planner::new(job), job });
            self.see_off();
            result
        })?
    }

    /// Waits for helpers who are about to leave: whoever sleeps until they are gone wakes up later.
    fn see_off(&self) {
        let start = Instant::now();
        while self.lock().helpers > 0 && start.elapsed() < ALERT {
            (0..64).for_each(|_| std::hint::spin_loop());
        }
    }

    /// What the next job can use.
    pub(super) fn into_spare(self) -> Spare {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).spare
    }

    fn lock(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what there is to do, until there is nothing.
    fn help(&self) {
        let leaving = Leaving(self);
        let mut arithmetic = None;
        loop {
            let mut state = self.lock();
            let Some(task) = state.next(Kind::Plan) else {
                state.helpers -= 1;
                std::mem::forget(leaving);
                return;
            };
            drop(state);
            self.run_task(task, &mut arithmetic);
        }
    }

    fn run_task(&self, task: Task<'a>, arithmetic: &mut Option<Arithmetic<'a>>) {
        let failed = match task {
            Task::Copy(portion) => {
                portion.copy();
                self.lock().copying -= 1;
                Ok(())
            }
            Task::Judge(judged, queries) => {
                let arithmetic = arithmetic.get_or_insert_with(|| Arithmetic::new(self.context));
                self.judge.some(&judged, queries, arithmetic, self.sink);
                drop(judged);
                self.lock().judging -= 1;
                Ok(())
            }
            Task::Plan(plan) => self.plan(*plan),
        };
        if let Err(error) = failed {
            self.lock().failure.get_or_insert(error);
        }
        self.changed.notify_all();
    }

    fn plan(&self, plan: Plan<'a>) -> Result<()> {
        let Plan { stretch: number, mut rounds, limits, memory } = plan;
        let mut round = rounds.next(&limits, self.resident, memory)?;
        round.prepare(self.context.kernels(), self.judge.job());
        let mut state = self.lock();
        let first = state.first;
        let stretch = &mut state.stretches[number - first];
        stretch.planned.push_back(round);
        if rounds.are_over() {
            stretch.over = true;
            state.spare.sorters.push(rounds.into_sorter());
        } else {
            stretch.rounds = Some((rounds, limits));
        }
        Ok(())
    }
}

/// Whoever is gone without having finished leaves word, so that nobody waits for it.
struct Leaving<'s, 'a>(&'s Crew<'a>);

impl Drop for Leaving<'_, '_> {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.changed.notify_all();
    }
}
