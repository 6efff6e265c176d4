//! Removing vectors: gone from results at once, their space at compaction.

use super::Index;
use super::add::IDS_A_STEP;
use crate::backend::IdFilter;
use crate::error::Result;
use crate::filter::Filter;
use crate::kernel::Kernels;
use crate::lists::block::BLOCK;
use crate::lists::{Check, List, NEVER};
use crate::progress::Control;

/// Share of removed vectors in a list, as a divisor, past which it is packed: 20 %.
const COMPACT_AT: usize = 5;

impl Index {
    /// Removes the vectors with these ids; returns how many there were. Unknown ids are passed over.
    pub fn remove(&mut self, ids: &[i64]) -> Result<usize> {
        self.remove_filter(&Filter::ids(ids))
    }

    /// The same, on so many threads (0 = all), with progress and cancel.
    pub fn remove_under(&mut self, ids: &[i64], threads: usize, control: &Control<'_>) -> Result<usize> {
        self.remove_filter_under(&Filter::ids(ids), threads, control)
    }

    /// Removes the vectors whose ids pass; returns how many there were.
    pub fn remove_filter(&mut self, filter: &Filter) -> Result<usize> {
        self.remove_filter_under(filter, 0, &Control::default())
    }

    /// The same, on so many threads (0 = all), with progress and cancel. Where the vectors are gone a cancel leaves lists
    /// unpacked, and the removal succeeds.
    pub fn remove_filter_under(
        &mut self,
        filter: &Filter,
        threads: usize,
        control: &Control<'_>,
    ) -> Result<usize> {
        // Memory first: copying a mapped list out may fail, and then nothing has changed.
        let mut found = Vec::new();
        for (list, store) in self.lists.all_mut().enumerate() {
            let mut slots = Vec::new();
            each_passing(store, filter, &|| control.check(), &mut |slot| slots.push(slot))?;
            if !slots.is_empty() {
                store.bias.to_mut()?;
                found.push((list, slots));
            }
        }
        control.check()?;
        let mut removed = 0;
        for (list, slots) in found {
            bury(self.lists.any_mut(list), &slots)?;
            removed += if list < self.lists.lists.len() { slots.len() } else { 0 };
        }
        if removed > 0 {
            self.count -= removed;
            self.age_curve(removed);
            self.directory.take();
            let (columns, cancel) = (self.codec.columns(self.dim), control.cancel());
            let due = self.lists.all_mut().filter(|list| is_packing_due(list));
            // A list that is left as it is is right.
            let _ = self.context.each(self.context.workers(threads), due, &|list: &mut List| {
                cancel.check()?;
                pack_if_due(list, columns, &|| cancel.check());
                Ok(())
            });
        }
        control.report("remove", removed, removed, 0.0).or(Ok(())).map(|()| removed)
    }
}

/// Hands on the live slots of a list whose ids pass, rising. Asks `check` now and then whether to go on.
pub(super) fn each_passing(
    list: &List,
    filter: &Filter,
    check: Check<'_>,
    take: &mut dyn FnMut(u32),
) -> Result<()> {
    for (start, ids) in (0u32..).step_by(BLOCK).zip(list.ids.chunks(BLOCK)) {
        if (start as usize).is_multiple_of(IDS_A_STEP) {
            check()?;
        }
        let mut mask = filter.mask(Kernels::scalar(), ids);
        while mask != 0 {
            let slot = start + mask.trailing_zeros();
            mask &= mask - 1;
            if list.is_live(slot as usize) {
                take(slot);
            }
        }
    }
    Ok(())
}

/// Marks live slots as removed. Cannot fail once the biases are the list's own.
pub(super) fn bury(list: &mut List, slots: &[u32]) -> Result<()> {
    let bias = list.bias.to_mut()?.as_mut_slice();
    for &slot in slots {
        bias[slot as usize] = NEVER;
    }
    list.dead += slots.len();
    Ok(())
}

fn is_packing_due(list: &List) -> bool {
    list.dead * COMPACT_AT > list.len()
}

/// Packs a list with too many removed vectors; tells whether slots moved. One that cannot be packed, for want of memory
/// or because `check` says no, is still right.
pub(super) fn pack_if_due(list: &mut List, columns: usize, check: Check<'_>) -> bool {
    is_packing_due(list) && list.compact(columns, check).is_ok()
}
