//! Candidates with the CPU's own keys, whatever the lists hold: its scan, of copies of them alone.
//!
//! A score does not depend on the lane that it is computed in, so a scan of the whole list gives the same bits.

use super::encode::to32;
use super::exact::Candidate;
use crate::backend::packed::{Kept, Packed};
use crate::backend::plan::{Pair, Unit};
use crate::backend::scan::Scanner;
use crate::backend::workspace::Workspace;
use crate::backend::{DeviceSlot, ListSource, ListView, ScanJob, Version};
use crate::collect::Within;
use crate::context::Context;
use crate::lists::block::{BLOCK, blocks};
use crate::progress::Cancel;
use crate::topk::Hit;

/// One worker's memory.
pub(super) struct Rescan<'a> {
    context: &'a Context,
    workspace: Option<Box<Workspace>>,
    packed: Packed,
    kept: Vec<Kept>,
    sorted: Vec<Candidate>,
}

impl<'a> Rescan<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        let workspace = Some(context.workspaces().take());
        Self { context, workspace, packed: Packed::default(), kept: Vec::new(), sorted: Vec::new() }
    }

    /// Adds what the CPU finds of `candidates`, all of `query`.
    pub(super) fn keys(
        &mut self,
        job: &ScanJob<'_>,
        query: usize,
        candidates: &[Candidate],
        hits: &mut Vec<Hit>,
    ) {
        let Self { context, packed, kept, sorted, workspace } = self;
        let Some(workspace) = workspace else { return };
        let Workspace { scratch, prepared, plan, found, .. } = &mut **workspace;
        prepared.fill(context.kernels(), job, query, query + 1);
        found.clear();
        sorted.clear();
        sorted.extend_from_slice(candidates);
        sorted.sort_unstable_by_key(|candidate| (candidate.list, candidate.slot));
        for own in sorted.chunk_by(|a, b| a.list == b.list) {
            let number = own[0].list as usize;
            kept.clear();
            for slot in own.iter().map(|candidate| candidate.slot as usize) {
                let bit = 1 << (slot % BLOCK);
                match kept.last_mut() {
                    Some((block, mask)) if *block == slot / BLOCK => *mask |= bit,
                    _ => kept.push((slot / BLOCK, bit)),
                }
            }
            let list = job.lists.list(number);
            let name = |slot| Candidate { slot: to32(slot), ..own[0] }.name(job, &list);
            let list = packed.pack(&list, job.columns(), kept, name);
            plan.pairs.clear();
            let product = job.product(context.kernels(), query, number);
            plan.pairs.push(Pair { list: own[0].list, query: 0, slots: to32(own.len()), product });
            let blocks = (0, to32(blocks(own.len())));
            let unit = Unit { list: own[0].list, blocks, pairs: (0, 1) };
            let lists = Alone { list, count: job.lists.list_count() };
            // Only a cancel could stop it.
            let job =
                ScanJob { lists: &lists, places: false, filter: None, cancel: Cancel::default(), ..*job };
            let all = Within { key: f32::INFINITY, first_query: 0, found };
            let scanned = Scanner::new(context, &job, query, prepared, scratch, all).scan(plan, &unit);
            debug_assert!(scanned.is_ok());
            hits.extend(found.drain(..).map(|(_, hit)| hit));
        }
    }
}

impl Drop for Rescan<'_> {
    fn drop(&mut self) {
        self.workspace.take().into_iter().for_each(|workspace| self.context.workspaces().put(workspace));
    }
}

/// A list in place of all.
struct Alone<'a> {
    list: ListView<'a>,
    count: usize,
}

impl ListSource for Alone<'_> {
    fn list_count(&self) -> usize {
        self.count
    }

    fn list(&self, _: usize) -> ListView<'_> {
        self.list
    }

    fn version(&self, _: usize) -> [Version; 2] {
        [Version::new(); 2]
    }

    fn device(&self) -> Option<&DeviceSlot> {
        None
    }
}
