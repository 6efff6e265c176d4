//! Memory that searches use again and again, so that the steady state allocates nothing.

use std::sync::atomic::AtomicU32;
use std::sync::{Mutex, PoisonError};

use super::numbered;
use super::plan::Plan;
use super::prepared::Prepared;
use super::scan::Scratch;
use crate::collect::Sink;
use crate::error::{Error, Result};
use crate::topk::{Hit, State};

/// One worker's scratch memory.
pub(crate) struct Workspace {
    /// What a scanner uses for each unit.
    pub(crate) scratch: Scratch,
    /// The keys of queries with numbered vectors.
    pub(crate) numbered: numbered::Room,
    /// Selection buffers, one a query.
    pub(crate) hits: Vec<Hit>,
    /// Selection states, one a query.
    pub(crate) states: Vec<State>,
    /// What a range search found.
    pub(crate) found: Vec<(u32, Hit)>,
    /// What is known of the queries.
    pub(crate) prepared: Prepared,
    /// Which queries visit which lists.
    pub(crate) plan: Plan,
    /// The bars that workers share.
    pub(crate) bars: Vec<AtomicU32>,
    /// Other workers' workspaces while their selections are merged.
    #[expect(clippy::vec_box, reason = "they come from the pool and go back")]
    pub(crate) parts: Vec<Box<Workspace>>,
    /// Queries, normalised or of another type.
    pub(crate) floats: Vec<f32>,
    /// A panel of rows, the same.
    pub(crate) panel: Vec<f32>,
    /// Transformed queries, in the first.
    pub(crate) between: [Vec<f32>; 2],
    /// The coarse step's lists.
    pub(crate) lists: Vec<i64>,
    /// Their distances.
    pub(crate) keys: Vec<f32>,
    /// The gaps to which lists are visited, by rank.
    pub(crate) limits: Limits,
    /// What the first stage of a search leaves for the second.
    pub(crate) candidates: Candidates,
    /// Where the rows of those lie, and which they are of.
    pub(crate) order: Vec<(i64, usize)>,
    /// A row of the second stage.
    pub(crate) row: Vec<f32>,
}

impl Workspace {
    fn new() -> Self {
        Self {
            scratch: Scratch::new(),
            numbered: numbered::Room::default(),
            found: Vec::new(),
            hits: Vec::new(),
            states: Vec::new(),
            prepared: Prepared::default(),
            plan: Plan::default(),
            bars: Vec::new(),
            parts: Vec::new(),
            floats: Vec::new(),
            panel: Vec::new(),
            between: Default::default(),
            lists: Vec::new(),
            keys: Vec::new(),
            limits: Limits::default(),
            candidates: Candidates::default(),
            order: Vec::new(),
            row: Vec::new(),
        }
    }
}

/// Limits by rank, and what they were computed of: searches ask for the same again and again.
#[derive(Default)]
pub(crate) struct Limits {
    scale: f32,
    by_rank: Vec<f32>,
}

impl Limits {
    /// Those of the first `ranks` ranks, from 1 on, for a scale; `limit` computes one.
    pub(crate) fn of(&mut self, ranks: usize, scale: f32, limit: impl Fn(usize) -> f32) -> &[f32] {
        if self.by_rank.len() != ranks || self.scale != scale {
            self.by_rank.clear();
            self.by_rank.extend((1..=ranks).map(limit));
            self.scale = scale;
        }
        &self.by_rank
    }
}

/// What the first stage of a search leaves for the second.
#[derive(Default)]
pub(crate) struct Candidates {
    /// `[queries, most]`.
    pub(crate) hits: Vec<Hit>,
    /// How many of them each query has.
    pub(crate) counts: Vec<usize>,
    pub(crate) most: usize,
}

impl Candidates {
    /// Makes room for `most` of each query.
    pub(crate) fn clear(&mut self, queries: usize, most: usize) -> Result<()> {
        let Self { hits, counts, most: old } = self;
        let room = queries * most;
        hits.try_reserve(room.saturating_sub(hits.len())).map_err(|_| Error::Memory {
            what: "candidates to refine",
            bytes: (room * size_of::<Hit>()) as u64,
        })?;
        hits.resize(room, Hit::NONE);
        counts.clear();
        counts.resize(queries, 0);
        *old = most;
        Ok(())
    }

    /// What takes a scan's hits in.
    pub(crate) fn sink(&mut self) -> impl Sink + '_ {
        CandidateSink(Mutex::new(self))
    }
}

struct CandidateSink<'a>(Mutex<&'a mut Candidates>);

impl Sink for CandidateSink<'_> {
    fn take(&self, query: usize, found: &[Hit]) {
        let mut candidates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Candidates { hits, counts, most } = &mut **candidates;
        hits[query * *most..][..found.len()].copy_from_slice(found);
        counts[query] = found.len();
    }

    fn wants_order(&self) -> bool {
        false
    }
}

/// Workspaces at rest, each in its place: a search takes several, and to move them would take longer than its lists' plan.
#[derive(Default)]
#[expect(clippy::vec_box, reason = "what is taken out is not moved")]
pub(crate) struct WorkspacePool(Mutex<Vec<Box<Workspace>>>);

impl WorkspacePool {
    /// Takes a workspace, with whatever the last user left in it.
    pub(crate) fn take(&self) -> Box<Workspace> {
        let rested = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        rested.unwrap_or_else(|| Box::new(Workspace::new()))
    }

    /// Gives a workspace back.
    pub(crate) fn put(&self, workspace: Box<Workspace>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
    }
}
