//! What there is to do for a job's crew, and what is being done.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use crate::backend::gpu::exact::Judged;
use crate::backend::gpu::round::Round;
use crate::backend::gpu::rounds::{Limits, Rounds, Sorter};
use crate::backend::gpu::staging::Portion;
use crate::error::Error;

/// Rounds of one stretch that are planned ahead.
const AHEAD: usize = 2;

/// What rounds use again.
#[derive(Default)]
pub(in crate::backend::gpu) struct Spare {
    pub(super) sorters: Vec<Sorter>,
    pub(super) rounds: Vec<Round>,
}

/// Work, the most urgent first.
pub(super) enum Task<'a> {
    Copy(Portion<'a>),
    Judge(Arc<Judged>, Range<usize>),
    Plan(Box<Plan<'a>>),
}

/// A round that is to be planned.
pub(super) struct Plan<'a> {
    /// The number of its stretch.
    pub(super) stretch: usize,
    pub(super) rounds: Rounds<'a>,
    pub(super) limits: Limits,
    pub(super) memory: Round,
}

/// What a task is at most, for those who have to wait for it.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(super) enum Kind {
    Copy,
    Judge,
    /// Of the next stretch that rounds are taken from, or of any.
    PlanNext,
    Plan,
}

/// Some queries of the job, and the rounds that they make.
pub(super) struct Stretch<'a> {
    /// `None` while one of them is planned, and when there are no more.
    pub(super) rounds: Option<(Rounds<'a>, Limits)>,
    pub(super) planned: VecDeque<Round>,
    pub(super) over: bool,
}

/// What there is to do, and what is being done.
#[derive(Default)]
pub(super) struct State<'a> {
    pub(super) copies: Vec<Portion<'a>>,
    pub(super) copying: usize,
    /// What is judged, and the queries that nobody judges yet.
    pub(super) judged: Option<(Arc<Judged>, Range<usize>)>,
    pub(super) judging: usize,
    /// How many are judged at a time.
    pub(super) portion: usize,
    pub(super) stretches: VecDeque<Stretch<'a>>,
    /// The number of the first of them.
    pub(super) first: usize,
    pub(super) spare: Spare,
    pub(super) helpers: usize,
    pub(super) failure: Option<Error>,
    /// A helper panicked, or the pilot is gone.
    pub(super) over: bool,
}

impl<'a> State<'a> {
    /// The most urgent task that is no less so than this kind.
    pub(super) fn next(&mut self, most: Kind) -> Option<Task<'a>> {
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

    pub(super) fn is_copied(&self) -> bool {
        self.copies.is_empty() && self.copying == 0
    }

    pub(super) fn is_judged(&self) -> bool {
        self.judging == 0 && self.judged.as_ref().is_none_or(|(_, left)| left.is_empty())
    }

    /// How many helpers there is work for.
    pub(super) fn tasks(&self) -> usize {
        let judged = self.judged.as_ref().map_or(0, |(_, left)| left.len().div_ceil(self.portion));
        let open = |stretch: &&Stretch<'_>| stretch.rounds.is_some() && stretch.planned.len() < AHEAD;
        self.copies.len() + judged + self.stretches.iter().filter(open).count()
    }
}
