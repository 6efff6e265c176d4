//! Vectors back from their ids.

use std::collections::{HashMap, HashSet};

use super::Index;
use crate::error::{Error, Result};

impl Index {
    /// Writes the vectors with these ids into `out` (`[ids, dim]`); normalised ones for cosine. Of an id
    /// that is there more than once, the first found.
    pub fn reconstruct(&self, ids: &[i64], out: &mut [f32]) -> Result<()> {
        let expected = ids.len().checked_mul(self.dim).ok_or(Error::Overflow {
            what: "vectors",
            rows: ids.len() as u64,
            dim: self.dim as u64,
        })?;
        if out.len() != expected {
            return Err(Error::Length { what: "vectors", expected, got: out.len() });
        }
        if ids.is_empty() {
            return Ok(());
        }
        let directory = self.directory.get_or_init(|| {
            let mut places = HashMap::with_capacity(self.count);
            for (id, list, slot) in self.lists.live_ids() {
                places.entry(id).or_insert((list, slot));
            }
            places
        });
        // Every id is looked up before the first is written.
        if let Some(&id) = ids.iter().find(|id| !directory.contains_key(id)) {
            return Err(Error::NotFound { id });
        }
        for (id, row) in ids.iter().zip(out.chunks_exact_mut(self.dim)) {
            let (list, slot) = directory[id];
            self.lists.lists[list as usize].read(slot as usize, self.dim, row);
        }
        Ok(())
    }

    /// One of `ids` that the index holds, if any.
    pub(super) fn find_any(&self, ids: &[i64]) -> Option<i64> {
        if self.count == 0 {
            return None;
        }
        if let Some(directory) = self.directory.get() {
            return ids.iter().find(|id| directory.contains_key(id)).copied();
        }
        let wanted: HashSet<i64> = ids.iter().copied().collect();
        self.lists.live_ids().map(|(id, ..)| id).find(|id| wanted.contains(id))
    }
}
