//! Removing vectors: gone from results at once, their space at compaction.

use std::collections::HashSet;

use super::Index;
use crate::error::Result;
use crate::lists::NEVER;

/// Share of removed vectors in a list, as a divisor, past which it is packed: 20 %.
const COMPACT_AT: usize = 5;

impl Index {
    /// Removes the vectors with these ids; returns how many there were. Unknown ids are passed over.
    pub fn remove(&mut self, ids: &[i64]) -> Result<usize> {
        if ids.is_empty() || self.count == 0 {
            return Ok(0);
        }
        let wanted: HashSet<i64> = ids.iter().copied().collect();
        // Memory first: copying a mapped list out may fail, and then nothing has changed.
        let mut found = Vec::new();
        for (list, store) in self.lists.lists.iter_mut().enumerate() {
            let slots: Vec<usize> = (0..store.len())
                .filter(|&slot| wanted.contains(&store.ids[slot]) && store.is_live(slot))
                .collect();
            if !slots.is_empty() {
                store.bias.to_mut()?;
                found.push((list, slots));
            }
        }
        let mut removed = 0;
        for (list, slots) in found {
            let store = &mut self.lists.lists[list];
            let bias = store.bias.to_mut()?.as_mut_slice();
            for &slot in &slots {
                bias[slot] = NEVER;
            }
            store.dead += slots.len();
            removed += slots.len();
            if store.dead * COMPACT_AT > store.len() {
                // A list that cannot be packed for want of memory is still right.
                let _ = store.compact(self.dim);
            }
        }
        self.count -= removed;
        self.directory.take();
        Ok(removed)
    }
}
