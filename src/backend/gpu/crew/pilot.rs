//! The thread that talks to the device.

use std::collections::VecDeque;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::tasks::{Kind, State, Stretch};
use super::{ALERT, Crew};
use crate::backend::gpu::exact::Judged;
use crate::backend::gpu::health::{Fault, Outcome};
use crate::backend::gpu::planner::Planner;
use crate::backend::gpu::round::Round;
use crate::backend::gpu::rounds::Limits;
use crate::backend::gpu::scratch::TURNS;
use crate::backend::gpu::staging::Portion;
use crate::backend::{Codes, ScanJob};

/// The thread that talks to the device.
pub(in crate::backend::gpu) struct Pilot<'s, 'a, 'p> {
    pub(super) crew: &'s Crew<'a>,
    pub(super) helpers: Option<&'p rayon::Scope<'s>>,
    pub(super) planner: Planner<'a>,
    pub(super) job: &'a ScanJob<'a>,
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
    pub(in crate::backend::gpu) fn plan(&mut self, limits: &Limits) -> Outcome<Option<Round>> {
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
    pub(in crate::backend::gpu) fn reuse(&self, round: Round) {
        self.crew.lock().spare.rounds.push(round);
    }

    /// Has these portions copied, and does `meanwhile`; nothing holds on to them any more then.
    pub(in crate::backend::gpu) fn copy<T>(
        &self,
        portions: Vec<Portion<'a>>,
        meanwhile: impl FnOnce() -> T,
    ) -> T {
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
    pub(in crate::backend::gpu) fn begin(&self, judged: Judged) {
        let queries = judged.from..judged.to;
        let mut state = self.crew.lock();
        state.judged = Some((Arc::new(judged), queries));
        self.ask(&mut state);
    }

    /// Waits until what was begun is judged.
    pub(in crate::backend::gpu) fn end(&self) -> Outcome<Judged> {
        let mut state = self.wait(Kind::Judge, State::is_judged)?;
        let (judged, _) = state.judged.take().expect("invariant: begun before");
        Ok(Arc::into_inner(judged).expect("invariant: who judged has let it go"))
    }
}
