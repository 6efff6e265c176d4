//! What lists keep of each vector beside what is scanned: rows that a two-stage search compares again with, and the
//! the ranks by which a list is ordered. One vector's follow another's: whoever needs a row reads it as a whole, and
//! dimension-major blocks would spread it over as many cache lines as it has dimensions.

use bytemuck::Pod;

use super::storage::{Check, Storage};
use crate::error::Result;

/// So many values of each vector of a list, in the order of its slots; without values where they are not wanted.
pub(crate) struct Beside<T> {
    /// Of a vector.
    width: usize,
    pub(crate) data: Storage<T>,
}

impl<T: Pod> Beside<T> {
    pub(crate) const fn new(width: usize) -> Self {
        Self { width, data: Storage::new() }
    }

    /// Those that lie there already.
    pub(crate) fn of(width: usize, data: Storage<T>) -> Self {
        Self { width, data }
    }

    /// Values of a vector.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// What is kept of the vector in `slot`.
    #[inline]
    pub(crate) fn row(&self, slot: usize) -> &[T] {
        &self.data[slot * self.width..(slot + 1) * self.width]
    }

    fn len(&self) -> usize {
        self.data.len().checked_div(self.width).unwrap_or(0)
    }

    /// Allocates for `len` vectors in all, or for as many as `room` makes of what there is room for.
    pub(super) fn reserve(
        &mut self,
        len: usize,
        room: impl Fn(usize) -> usize,
        check: Check<'_>,
    ) -> Result<()> {
        if self.width == 0 {
            return Ok(());
        }
        let vectors = room(self.len());
        self.data.reserve(len * self.width, vectors * self.width, check)
    }

    /// Appends what `fill` writes of `count` vectors.
    pub(super) fn append(&mut self, count: usize, fill: impl FnOnce(&mut [T])) -> Result<()> {
        if self.width == 0 {
            return Ok(());
        }
        let old = self.data.len();
        let own = self.data.grow()?;
        own.resize(old + count * self.width)?;
        fill(&mut own.as_mut_slice()[old..]);
        Ok(())
    }

    /// Appends what is kept in `slots` of `from`, as it is.
    pub(super) fn append_from(&mut self, from: &Self, slots: &[usize]) -> Result<()> {
        let width = self.width;
        self.append(slots.len(), |to| {
            for (to, &slot) in to.chunks_exact_mut(width).zip(slots) {
                to.copy_from_slice(from.row(slot));
            }
        })
    }

    /// Lets `fill` write what is kept of the vectors in `slots`, one after another.
    pub(super) fn replace(
        &mut self,
        slots: impl Iterator<Item = u32>,
        mut fill: impl FnMut(usize, &mut [T]),
    ) -> Result<()> {
        if self.width == 0 {
            return Ok(());
        }
        let own = self.data.to_mut()?.as_mut_slice();
        for (place, slot) in slots.enumerate() {
            let slot = slot as usize;
            fill(place, &mut own[slot * self.width..(slot + 1) * self.width]);
        }
        Ok(())
    }

    /// Cuts off what is kept from slot `len` on.
    pub(super) fn truncate(&mut self, len: usize) -> Result<()> {
        let values = len * self.width;
        if self.data.len() <= values { Ok(()) } else { self.data.to_mut()?.resize(values) }
    }

    pub(super) fn shrink(&mut self) {
        self.data.shrink();
    }

    /// As [`Storage::room`].
    pub(super) fn room(&self) -> Result<Self> {
        Ok(Self { width: self.width, data: self.data.room()? })
    }
}
