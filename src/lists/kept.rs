//! The rows that a two-stage search compares again with, one after another: whoever needs one reads it as a whole, and
//! dimension-major blocks would spread it over as many cache lines as it has dimensions.

use super::storage::{Check, Storage};
use crate::codec::Keeper;
use crate::error::Result;

/// Rows of one list, in the order of its slots; without bytes where the index compares but once.
pub(crate) struct KeptRows {
    /// Of a row.
    bytes: usize,
    pub(crate) data: Storage<u8>,
}

impl KeptRows {
    pub(crate) const fn new(bytes: usize) -> Self {
        Self { bytes, data: Storage::new() }
    }

    /// Those that lie there already.
    pub(crate) fn of(bytes: usize, data: Storage<u8>) -> Self {
        Self { bytes, data }
    }

    /// Bytes of a row.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is kept of the vector in `slot`.
    #[inline]
    pub(crate) fn row(&self, slot: usize) -> &[u8] {
        &self.data[slot * self.bytes..(slot + 1) * self.bytes]
    }

    fn len(&self) -> usize {
        self.data.len().checked_div(self.bytes).unwrap_or(0)
    }

    /// Allocates for `len` rows in all, or for as many as `room` makes of what there is room for.
    pub(super) fn reserve(
        &mut self,
        len: usize,
        room: impl Fn(usize) -> usize,
        check: Check<'_>,
    ) -> Result<()> {
        if self.bytes == 0 {
            return Ok(());
        }
        let rows = room(self.len());
        self.data.reserve(len * self.bytes, rows * self.bytes, check)
    }

    /// Appends these rows.
    pub(super) fn append(&mut self, keeper: &Keeper<'_>, numbers: &[u32]) -> Result<()> {
        let old = self.data.len();
        let own = self.data.grow()?;
        own.resize(old + numbers.len() * self.bytes)?;
        keeper.keep(numbers, &mut own.as_mut_slice()[old..]);
        Ok(())
    }

    /// Appends what is kept in `slots` of `from`, as it is.
    pub(super) fn append_from(&mut self, from: &Self, slots: &[usize]) -> Result<()> {
        if self.bytes == 0 {
            return Ok(());
        }
        let old = self.data.len();
        let own = self.data.grow()?;
        own.resize(old + slots.len() * self.bytes)?;
        for (to, &slot) in own.as_mut_slice()[old..].chunks_exact_mut(self.bytes).zip(slots) {
            to.copy_from_slice(from.row(slot));
        }
        Ok(())
    }

    /// Replaces what is kept in slots by rows of these numbers.
    pub(super) fn replace(&mut self, slots_and_rows: &[(u32, u32)], keeper: &Keeper<'_>) -> Result<()> {
        let own = self.data.to_mut()?.as_mut_slice();
        for &(slot, row) in slots_and_rows {
            let slot = slot as usize;
            keeper.keep(&[row], &mut own[slot * self.bytes..(slot + 1) * self.bytes]);
        }
        Ok(())
    }

    /// Cuts off what is kept from slot `len` on.
    pub(super) fn truncate(&mut self, len: usize) -> Result<()> {
        let bytes = len * self.bytes;
        if self.data.len() <= bytes { Ok(()) } else { self.data.to_mut()?.resize(bytes) }
    }

    pub(super) fn shrink(&mut self) {
        self.data.shrink();
    }

    pub(super) fn copy(&self) -> Result<Self> {
        Ok(Self { bytes: self.bytes, data: self.data.copy()? })
    }
}
