//! Vectors moved within a list: packed where some were removed, put in the order of their ranks.

use super::block::rows_a_step;
use super::list::List;
use super::storage::Check;
use crate::collect::ordered;
use crate::error::Result;

impl List {
    /// Drops the slots that are not live and gives memory back. `check` is asked now and then whether to go on; if not,
    /// the list is as before.
    pub(crate) fn compact(&mut self, columns: usize, check: Check<'_>) -> Result<()> {
        if self.dead > 0 {
            let keep: Vec<usize> = (0..self.len()).filter(|&slot| self.is_live(slot)).collect();
            let mut packed = self.like();
            // Another state than any of this list: a device's copy of that is none of it.
            packed.vectors.to_mut()?;
            packed.bias.to_mut()?;
            packed.take(self, &keep, columns, check)?;
            packed.moved = true;
            *self = packed;
        } else {
            self.vectors.shrink();
            self.bias.shrink();
            self.ids.shrink();
            self.rows.shrink();
            self.ranks.shrink();
        }
        Ok(())
    }

    /// Puts the vectors in the order of their ranks, where these are kept; equal ones stay as they are. Tells whether any
    /// moved; none has where `check`, asked now and then, fails. `room` is a list of the same kind whose memory is used,
    /// and can be used again.
    pub(crate) fn sort(&mut self, columns: usize, room: &mut Self, check: Check<'_>) -> Result<bool> {
        if self.ranks.data.is_sorted() {
            return Ok(false);
        }
        let slots = rising(&self.ranks.data);
        check()?;
        room.truncate(0, columns)?;
        room.take(self, &slots, columns, check)?;
        // All that can fail comes first. The list stays where it lies, next to others: see `huge`.
        let (vectors, bias, ids) = (self.vectors.to_mut()?, self.bias.to_mut()?, self.ids.to_mut()?);
        let (rows, ranks) = (self.rows.data.to_mut()?, self.ranks.data.to_mut()?);
        vectors.as_mut_slice().copy_from_slice(&room.vectors);
        bias.as_mut_slice().copy_from_slice(&room.bias);
        ids.as_mut_slice().copy_from_slice(&room.ids);
        rows.as_mut_slice().copy_from_slice(&room.rows.data);
        ranks.as_mut_slice().copy_from_slice(&room.ranks.data);
        Ok(true)
    }

    /// Appends the vectors in `slots` of `from`, with their ids.
    fn take(&mut self, from: &Self, slots: &[usize], columns: usize, check: Check<'_>) -> Result<()> {
        self.reserve(slots.len(), columns, check)?;
        for slots in slots.chunks(rows_a_step(columns)) {
            check()?;
            self.append_from(from, slots, |id| id, None, columns)?;
        }
        Ok(())
    }
}

/// The places of ranks in rising order, equal ones as they are.
pub(crate) fn rising(ranks: &[f32]) -> Vec<usize> {
    let mut keys: Vec<u64> =
        (0u64..).zip(ranks).map(|(place, &rank)| u64::from(ordered(rank)) << 32 | place).collect();
    keys.sort_unstable();
    let place =
        |key: u64| usize::try_from(key & u64::from(u32::MAX)).expect("invariant: a slot or row number");
    keys.into_iter().map(place).collect()
}
