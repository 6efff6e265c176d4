//! Runs a job on the device, round by round: keys of all that the queries visit, then what is best of each row.
//!
//! While the device works on a round, the CPU has planned the next, sends it and judges the last: a little more than k is
//! selected, and [`super::exact`] proves that nothing else can be among the k best; queries for which it cannot go to
//! the CPU.

use std::collections::VecDeque;

use super::assign;
use super::call::{Call, under_way};
use super::device::Gpu;
use super::encode::ordered;
use super::engine::Engine;
use super::exact::{Carried, Judge, Judged};
use super::health::{Fault, Outcome};
use super::held::Form;
use super::land::Flight;
use super::resident::Resident;
use super::scratch::TURNS;
use super::sinks::Nobody;
use super::sums;
use super::verify::arithmetic_is_the_cpus;
use crate::backend::{AssignJob, Backend, Both, ScanJob, SumJob, cpu};
use crate::collect::Sink;
use crate::context::Context;
use crate::error::Result;
use crate::topk::Hit;

impl Backend for Gpu {
    fn best(&self, context: &Context, job: &ScanJob<'_>, k: usize, sink: &dyn Sink) -> Result<bool> {
        let left = self.with_lists(context, job, |engine, resident| {
            let held = resident.held(&job.codes);
            let same = arithmetic_is_the_cpus(context, self, engine, resident, (held, job.dim))?;
            if !same && held.is_whole() {
                return Err(Fault::Unfit);
            }
            let more = more_than(k, same);
            let judge = Judge::new(context, job, resident.sizes(&job.codes), same);
            under_way(engine, context, &judge, resident, sink, |call| best(call, k, more))
        })?;
        match left {
            None => Ok(false),
            Some(left) => {
                cpu::best_of(context, job, &left, k, sink)?;
                Ok(true)
            }
        }
    }

    fn both(
        &self,
        context: &Context,
        both: &Both<'_>,
        lists: &dyn Sink,
        sink: &dyn Sink,
    ) -> Result<Option<Vec<usize>>> {
        self.search(context, both, lists, sink)
    }

    fn within(&self, context: &Context, job: &ScanJob<'_>, key: f32) -> Result<Option<Vec<(u32, Hit)>>> {
        self.with_lists(context, job, |engine, resident| {
            let held = resident.held(&job.codes);
            if held.is_whole() && !arithmetic_is_the_cpus(context, self, engine, resident, (held, job.dim))? {
                return Err(Fault::Unfit);
            }
            let judge = Judge::new(context, job, resident.sizes(&job.codes), false);
            let mut found = Vec::new();
            let mut candidates = Vec::new();
            under_way(engine, context, &judge, resident, &Nobody, |call| {
                while let Some(round) = call.plan()? {
                    let bar = |query| ordered(judge.reach(query, key));
                    let round = call.gather(round, bar, &mut candidates)?;
                    judge.within(key, &mut candidates, &mut found)?;
                    call.reuse(round);
                }
                Ok(())
            })?;
            Ok(found)
        })
    }

    fn assign(
        &self,
        context: &Context,
        job: &AssignJob<'_>,
        labels: &mut [u32],
        keys: &mut [f32],
    ) -> Result<Option<Vec<u32>>> {
        assign::assign(self, context, job, labels, keys)
    }

    fn sums(&self, job: &SumJob<'_>, take: &mut dyn FnMut(usize, &[f64])) -> Result<usize> {
        sums::sums(self, job, take)
    }
}

/// How many to select, so that the last is, as a rule, far enough from the k-th to tell; `same`: keys are the CPU's.
pub(super) fn more_than(k: usize, same: bool) -> usize {
    if same { k + 2 } else { k + k / 16 + 16 }
}

/// Hands over the `k` best of each query, of which the device selects `more`; the queries that the CPU has to search for.
pub(super) fn best(call: &mut Call<'_, '_, '_, '_>, k: usize, more: usize) -> Outcome<Vec<usize>> {
    rounds(call, k, |call| match call.plan()? {
        None => Ok(None),
        Some(round) => call.launch(round, more).map(Some),
    })
}

/// Launches one round after another, as long as there are any, and has judged what they found; the queries that the CPU has
/// to search for.
pub(super) fn rounds<'a>(
    call: &mut Call<'_, '_, 'a, '_>,
    k: usize,
    mut launch: impl FnMut(&mut Call<'_, '_, 'a, '_>) -> Outcome<Option<Flight>>,
) -> Outcome<Vec<usize>> {
    let (mut left, mut carried, mut done) = (Vec::new(), Carried::default(), 0);
    let mut flying = VecDeque::new();
    loop {
        while flying.len() < TURNS - 1
            && let Some(flight) = launch(call)?
        {
            flying.push_back(flight);
        }
        let Some(flight) = flying.pop_front() else { break };
        let judged = Judged::new(done, k, call.land(flight)?, &mut carried);
        done = judged.to;
        let (launched, judged) = call.judge(judged, &mut launch)?;
        flying.extend(launched);
        let (round, mut unproven) = judged.into_parts();
        left.append(&mut unproven);
        call.reuse(round);
    }
    Ok(left)
}

impl Gpu {
    /// Runs `work` with a copy of the job's lists on the device; `None` if that cannot be.
    fn with_lists<T>(
        &self,
        context: &Context,
        job: &ScanJob<'_>,
        mut work: impl FnMut(&mut Engine, &Resident) -> Outcome<T>,
    ) -> Result<Option<T>> {
        let Some(slot) = job.lists.device() else { return Ok(None) };
        self.with(|engine| {
            let mut copy = slot.copy.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let form = Form::of(job);
            let resident = Resident::sync(&mut copy, self, engine, (context, job.workers), job.lists, form)?;
            work(engine, resident)
        })
    }
}
