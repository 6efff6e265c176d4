//! Copies of vectors in a second list each, beside the lists that hold them: in lists of their own, numbered behind those.
//!
//! Invariant: the copies that are live have the ids of the vectors that are. A copy holds codes and an id alone. Where
//! vectors keep rows, it says instead where its vector lies: the list, which stays right, and the slot, which may be
//! wrong in a list that has `moved`; there the vector is looked for by its id.

use std::collections::HashMap;

use super::{Check, List, Lists, NEVER};
use crate::backend::Place;
use crate::error::{Error, Result};

/// Bytes of what a copy says: a list and a slot, each a u32.
pub(crate) const PLACE_BYTES: usize = 8;

impl Lists {
    /// These lists, which are empty, with as many for copies.
    pub(crate) fn with_copies(mut self) -> Self {
        let place = if self.row_bytes == 0 { 0 } else { PLACE_BYTES };
        self.copies = Some(Box::new(Self::new(self.lists.len(), self.element, place)));
        self
    }

    /// Takes the lists that a file has of copies. Fails unless they are those of these vectors.
    pub(crate) fn take_copies(&mut self, mut copies: Self, check: Check<'_>) -> Result<()> {
        if copies.lists.len() != self.lists.len() {
            return Err(Error::corrupt(format!(
                "section SLST: expected {} lists of copies, got {}",
                self.lists.len(),
                copies.lists.len()
            )));
        }
        if self.row_bytes > 0 {
            copies.keep_rows(PLACE_BYTES, check)?;
        }
        self.copies = Some(Box::new(copies));
        self.link(check)
    }

    /// Those of copies; none where there are no copies.
    pub(crate) fn copy_lists(&self) -> &[List] {
        self.copies.as_ref().map_or(&[], |copies| &copies.lists)
    }

    /// All lists, those of copies last.
    pub(crate) fn all(&self) -> impl Iterator<Item = &List> {
        self.lists.iter().chain(self.copy_lists())
    }

    /// The same, to be changed.
    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut List> {
        let copies = self.copies.as_mut().map_or(&mut [][..], |copies| &mut copies.lists);
        self.lists.iter_mut().chain(copies)
    }

    /// One of all.
    pub(crate) fn any(&self, list: usize) -> &List {
        match (self.lists.get(list), &self.copies) {
            (None, Some(copies)) => &copies.lists[list - self.lists.len()],
            _ => &self.lists[list],
        }
    }

    /// The same, to be changed.
    pub(crate) fn any_mut(&mut self, list: usize) -> &mut List {
        match &mut self.copies {
            Some(copies) if list >= self.lists.len() => &mut copies.lists[list - self.lists.len()],
            _ => &mut self.lists[list],
        }
    }

    /// Where the row of a vector is kept that was met at `place`, be it in a copy.
    #[inline]
    pub(crate) fn kept_at(&self, place: Place) -> Place {
        if place.list < self.lists.len() { place } else { self.kept_of(place) }
    }

    fn kept_of(&self, place: Place) -> Place {
        let copy = self.any(place.list);
        let (list, slot) = place_of(copy.rows.row(place.slot));
        let kept = &self.lists[list];
        if !kept.moved {
            return Place { list, slot };
        }
        let id = copy.ids[place.slot];
        let is_it = |slot: usize| kept.ids.get(slot) == Some(&id) && kept.is_live(slot);
        let slot = if is_it(slot) { Some(slot) } else { (0..kept.len()).find(|&slot| is_it(slot)) };
        Place { list, slot: slot.expect("invariant: a copy is one of a vector in its list") }
    }

    /// Writes into the copies where their vectors lie, if they say that. Fails unless there is a copy of each vector, and
    /// none of others.
    pub(crate) fn link(&mut self, check: Check<'_>) -> Result<()> {
        let other = || Error::corrupt("expected a copy of each vector and none of others, got other copies");
        let (mut places, count) = (HashMap::new(), self.live());
        places.try_reserve(count).map_err(|_| Error::Memory {
            what: "finding copies",
            bytes: (count * size_of::<(i64, (u32, u32))>()) as u64,
        })?;
        for (number, (id, list, slot)) in self.live_ids().enumerate() {
            if number.is_multiple_of(STEP) {
                check()?;
            }
            places.insert(id, (list, slot));
        }
        let Some(copies) = &mut self.copies else { return Ok(()) };
        let width = copies.row_bytes;
        for copy in &mut copies.lists {
            check()?;
            let rows = copy.rows.data.to_mut()?.as_mut_slice();
            for slot in (0..copy.ids.len()).filter(|&slot| copy.bias[slot] != NEVER) {
                let (list, kept) = places.remove(&copy.ids[slot]).ok_or_else(other)?;
                if width > 0 {
                    rows[slot * width..][..width].copy_from_slice(bytemuck::cast_slice(&[list, kept]));
                }
            }
        }
        if !places.is_empty() {
            return Err(other());
        }
        self.lists.iter_mut().for_each(|list| list.moved = false);
        Ok(())
    }

    /// The same where vectors have moved. Whatever fails leaves copies that are right, and found more slowly.
    pub(crate) fn link_anew(&mut self, check: Check<'_>) {
        if self.copies.as_ref().is_some_and(|copies| copies.row_bytes > 0) && self.link(check).is_err() {
            self.lists.iter_mut().for_each(|list| list.moved = true);
        }
    }
}

/// Vectors between two looks at a cancel flag.
const STEP: usize = 1 << 16;

/// What a copy says.
fn place_of(row: &[u8]) -> (usize, usize) {
    let [list, slot]: [u32; 2] = bytemuck::pod_read_unaligned(row);
    (list as usize, slot as usize)
}
