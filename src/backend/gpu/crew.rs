//! The CPU's part of a job on the device, shared out: while one thread, the pilot, talks to the device, whoever else is
//! free plans rounds ahead, copies queries to where the device reads them, and judges what it found.
//!
//! Threads of the context's pool are asked to help whenever there is work, and leave when there is none. Where the pilot
//! has to wait for work it does it itself, so that it needs nobody.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::arithmetic::Arithmetic;
use super::device::{Fault, Outcome};
use super::exact::{Judged, Judges};
use super::planner::Planner;
use super::resident::Resident;
use super::round::Round;
use super::rounds::{Limits, Rounds, Sorter};
use super::scratch::TURNS;
use super::staging::Portion;
use crate::backend::{Codes, ScanJob};
use crate::collect::Sink;
use crate::context::Context;
use crate::error::{Error, Result};

/// Queries that are judged at a time: enough to be worth a thread, few enough that all have some.
const QUERIES: std::ops::RangeInclusive<usize> = 8..=32;

/// Rounds of one stretch that are planned ahead.
const AHEAD: usize = 2;

/// How long the pilot looks out for what it waits for before it sleeps.
const ALERT: Duration = Duration::from_micros(100);

/// What rounds use again.
#[derive(Default)]
pub(super) struct Spare {
    sorters: Vec<Sorter>,
    rounds: Vec<Round>,
}

/// Work, the most urgent first.
enum Task<'a> {
    Copy(Portion<'a>),
    Judge(Arc<Judged>, Range<usize>),
    Plan(Box<Plan<'a>>),
}

/// A round that is to be planned.
struct Plan<'a> {
    /// The number of its stretch.
    stretch: usize,
    rounds: Rounds<'a>,
    limits: Limits,
    memory: Round,
}

/// What a task is at most, for those who have to wait for it.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Kind {
    Copy,
    Judge,
    /// Of the next stretch that rounds are taken from, or of any.
    PlanNext,
    Plan,
}

/// Some queries of the job, and the rounds that they make.
struct Stretch<'a> {
    /// `None` while one of them is planned, and when there are no more.
    rounds: Option<(Rounds<'a>, Limits)>,
    planned: VecDeque<Round>,
    over: bool,
}

/// What there is to do, and what is being done.
#[derive(Default)]
struct State<'a> {
    copies: Vec<Portion<'a>>,
    copying: usize,
    /// What is judged, and the queries that nobody judges yet.
    judged: Option<(Arc<Judged>, Range<usize>)>,
    judging: usize,
    /// How many are judged at a time.
    portion: usize,
    stretches: VecDeque<Stretch<'a>>,
    /// The number of the first of them.
    first: usize,
    spare: Spare,
    helpers: usize,
    failure: Option<Error>,
    /// A helper panicked, or the pilot is gone.
    over: bool,
}

/// All that helpers need.
pub(super) struct Crew<'a> {
    context: &'a Context,
    judge: &'a dyn Judges<'a>,
    sink: &'a dyn Sink,
    resident: &'a Resident,
    state: Mutex<State<'a>>,
    changed: Condvar,
}

/// The thread that talks to the device.
pub(super) struct Pilot<'s, 'a, 'p> {
    crew: &'s Crew<'a>,
    helpers: Option<&'p rayon::Scope<'s>>,
    planner: Planner<'a>,
    job: &'a ScanJob<'a>,
}

impl<'a> State<'a> {
    fn next(&mut self, most: Kind) -> Option<Task<'a>> {
        // Whatever else happened: they are of memory that is given back.
        if let Some(portion) = self.copies.pop() {
            self.copying += 1;
            return Some(Task::Copy(portion));
        }
        if most == Kind::Copy || self.over {
            return None;
        }
        if let Some((judged, left)) = &mut self.judged
            && left.start < left.end
        {
            let some = left.start..(left.start + self.portion).min(left.end);
            left.start = some.end;
            self.judging += 1;
            return Some(Task::Judge(judged.clone(), some));
        }
        let among = match most {
            Kind::Plan => self.stretches.len(),
            Kind::PlanNext => 1,
            Kind::Copy | Kind::Judge => 0,
        };
        let mut stretches = (self.first..).zip(&mut self.stretches).take(among);
        stretches.find_map(|(number, stretch)| {
            let (rounds, limits) = stretch.rounds.take_if(|_| stretch.planned.len() < AHEAD)?;
            let memory = self.spare.rounds.pop().unwrap_or_default();
            Some(Task::Plan(Box::new(Plan { stretch: number, rounds, limits, memory })))
        })
    }

    fn is_copied(&self) -> bool {
        self.copies.is_empty() && self.copying == 0
    }

    fn is_judged(&self) -> bool {
        self.judging == 0 && self.judged.as_ref().is_none_or(|(_, left)| left.is_empty())
    }

    /// How many helpers there is work for.
    fn tasks(&self) -> usize {
        let judged = self.judged.as_ref().map_or(0, |(_, left)| left.len().div_ceil(self.portion));
        let open = |stretch: &&Stretch<'_>| stretch.rounds.is_some() && stretch.planned.len() < AHEAD;
        self.copies.len() + judged + self.stretches.iter().filter(open).count()
    }
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

impl<'s, 'a> Pilot<'s, 'a, '_> {
    /// Asks as many to help as there is work for.
    fn ask(&self, state: &mut State<'a>) {
        let Some(helpers) = self.helpers else { return };
        let crew = self.crew;
        let most = state.tasks().min(self.job.workers - 1);
        for _ in state.helpers..most {
            state.helpers += 1;
            helpers.spawn(move |_| crew.help());
        }
    }

    /// Waits until something is done; does work of that kind meanwhile, and what is more urgent.
    fn wait(&self, kind: Kind, done: impl Fn(&State<'a>) -> bool) -> Outcome<MutexGuard<'s, State<'a>>> {
        let mut arithmetic = None;
        let start = Instant::now();
        loop {
            let mut state = self.crew.lock();
            if done(&state) {
                return Ok(state);
            }
            if let Some(error) = state.failure.take() {
                return Err(Fault::Call(error));
            }
            if state.over {
                return Err(Fault::Lost("a thread that helped is gone".into()));
            }
            if let Some(task) = state.next(kind) {
                drop(state);
                self.crew.run_task(task, &mut arithmetic);
            } else if start.elapsed() < ALERT {
                drop(state);
                (0..64).for_each(|_| std::hint::spin_loop());
            } else {
                // Another look now and then costs little.
                let nap = Duration::from_millis(1);
                drop(self.crew.changed.wait_timeout(state, nap).unwrap_or_else(PoisonError::into_inner));
            }
        }
    }

    /// The next round; `None` when there is none.
    pub(super) fn plan(&mut self, limits: &Limits) -> Outcome<Option<Round>> {
        self.job.cancel.check()?;
        loop {
            let mut state = self.crew.lock();
            // Tables take memory.
            let most = if matches!(self.job.codes, Codes::Product(_)) { 1 } else { self.job.workers } + TURNS;
            while state.stretches.len() < most {
                let spare = &mut state.spare.sorters;
                let sorter = || spare.pop().unwrap_or_default();
                let Some(rounds) = self.planner.next(limits, self.crew.resident, sorter) else { break };
                let planned = VecDeque::new();
                state.stretches.push_back(Stretch { rounds: Some((rounds, *limits)), planned, over: false });
            }
            if state.stretches.is_empty() {
                return Ok(None);
            }
            self.ask(&mut state);
            drop(state);
            let has_come = |stretch: &Stretch<'_>| stretch.over || !stretch.planned.is_empty();
            let mut state =
                self.wait(Kind::PlanNext, |state| state.stretches.front().is_some_and(has_come))?;
            let stretch = state.stretches.front_mut().expect("invariant: not empty above");
            if let Some(round) = stretch.planned.pop_front() {
                self.ask(&mut state);
                return Ok(Some(round));
            }
            state.stretches.pop_front();
            state.first += 1;
        }
    }

    /// Takes the memory of a round that is done with.
    pub(super) fn reuse(&self, round: Round) {
        self.crew.lock().spare.rounds.push(round);
    }

    /// Has these portions copied, and does `meanwhile`; nothing holds on to them any more then.
    pub(super) fn copy<T>(&self, portions: Vec<Portion<'a>>, meanwhile: impl FnOnce() -> T) -> T {
        if !portions.is_empty() {
            let mut state = self.crew.lock();
            state.copies.extend(portions);
            self.ask(&mut state);
        }
        let result = meanwhile();
        while !self.crew.lock().is_copied() {
            let task = self.crew.lock().next(Kind::Copy);
            match task {
                Some(task) => self.crew.run_task(task, &mut None),
                None => (0..64).for_each(|_| std::hint::spin_loop()),
            }
        }
        result
    }

    /// Has this judged.
    pub(super) fn begin(&self, judged: Judged) {
        let queries = judged.from..judged.to;
        let mut state = self.crew.lock();
        state.judged = Some((Arc::new(judged), queries));
        self.ask(&mut state);
    }

    /// Waits until what was begun is judged.
    pub(super) fn end(&self) -> Outcome<Judged> {
        let mut state = self.wait(Kind::Judge, State::is_judged)?;
        let (judged, _) = state.judged.take().expect("invariant: begun before");
        Ok(Arc::into_inner(judged).expect("invariant: who judged has let it go"))
    }
}
