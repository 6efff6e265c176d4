//! Vectors added to a list: rows that are encoded, or those of another list as they are.

use super::block::{BLOCK, NARROW, lanes, locate};
use super::list::{FIRST, List, NEVER};
use super::storage::Check;
use crate::codec::{Encoder, Keeper};
use crate::element::{Scalar, Values, with_element};
use crate::error::Result;
use crate::rows::RowsRef;

impl List {
    /// Allocates for `more` vectors: exactly on the first call, then with room to grow, so that adding
    /// one by one costs amortised constant time. Changes nothing else; on failure nothing is lost. What
    /// is there may have to move: `check` is asked now and then whether to go on.
    pub(crate) fn reserve(&mut self, more: usize, columns: usize, check: Check<'_>) -> Result<()> {
        let len = self.len() + more;
        let first = self.len() == 0;
        let room = |capacity: usize| if first { len } else { len.max(capacity + capacity / 8) };
        let lane = self.lane_bytes(columns);
        // Without columns (a check of a file) no vector takes room.
        let vectors = self.vectors.len().checked_div(lane).unwrap_or(0);
        let (vectors, bias, ids) = (room(vectors), room(self.bias.len()), room(self.ids.len()));
        self.vectors.reserve(lanes(len) * lane, lanes(vectors) * lane, check)?;
        self.bias.reserve(lanes(len), lanes(bias), check)?;
        self.ids.reserve(len, ids, check)?;
        self.rows.reserve(len, room, check)?;
        self.ranks.reserve(len, room, check)
    }

    /// Appends `rows` (indices into `x`, and into the rows that are kept) with their ids and, where the list is kept in
    /// order, their ranks.
    pub(crate) fn append(
        &mut self,
        x: RowsRef<'_>,
        rows: &[u32],
        id_of: impl Fn(usize) -> i64,
        encoder: &Encoder<'_>,
        kept: Option<&Keeper<'_>>,
        ranks: &[f32],
    ) -> Result<()> {
        let columns = encoder.columns(x.dim());
        let old = self.len();
        if let Some(keeper) = kept {
            self.rows.append(rows.len(), |to| keeper.keep(rows, to))?;
        }
        self.ranks.append(rows.len(), |to| to.copy_from_slice(ranks))?;
        let lane = self.lane_bytes(columns);
        let size = self.element.size();
        self.spread(old + rows.len(), columns)?;
        let new_lanes = lanes(old + rows.len());
        let vectors = self.vectors.grow()?.as_mut_slice();
        let mut buffer = Vec::new();
        let mut slot = old;
        let mut rest = rows;
        while !rest.is_empty() {
            let (base, stride) = locate(slot, new_lanes, columns);
            let (now, later) = rest.split_at(rest.len().min(BLOCK - slot % BLOCK));
            encode(x, now, encoder, &mut vectors[base * size..], stride, &mut buffer);
            slot += now.len();
            rest = later;
        }
        let ids = self.ids.grow()?;
        ids.resize(slot)?;
        for (id, &row) in ids.as_mut_slice()[old..].iter_mut().zip(rows) {
            *id = id_of(row as usize);
        }
        let bias = self.bias.grow()?;
        bias.resize(new_lanes)?;
        let bias = bias.as_mut_slice();
        let mut scratch = [0f32; BLOCK];
        for block in old / BLOCK..new_lanes.div_ceil(BLOCK) {
            let width = super::block::width(block, new_lanes);
            let start = block * BLOCK;
            let values = Values::of_bytes(self.element, &vectors[start * lane..(start + width) * lane]);
            encoder.bias(values, &mut scratch[..width]);
            // Lanes before `old` keep theirs: some are removed.
            let from = start.max(old);
            let to = (start + width).min(slot);
            bias[from..to].copy_from_slice(&scratch[from - start..to - start]);
            bias[to.max(from)..start + width].fill(NEVER);
        }
        Ok(())
    }

    /// Appends the vectors in `slots` of `from`, which holds the same kind, as they are; their ranks, where this list is
    /// kept in order, are `from`'s unless given.
    pub(crate) fn append_from(
        &mut self,
        from: &Self,
        slots: &[usize],
        id_of: impl Fn(i64) -> i64,
        ranks: Option<&[f32]>,
        columns: usize,
    ) -> Result<()> {
        let old = self.len();
        let len = old + slots.len();
        self.rows.append_from(&from.rows, slots)?;
        match ranks {
            Some(ranks) => self.ranks.append(slots.len(), |to| to.copy_from_slice(ranks))?,
            None => self.ranks.append_from(&from.ranks, slots)?,
        }
        self.spread(len, columns)?;
        let vectors = self.vectors.grow()?.as_mut_slice();
        with_element!(self.element, E => {
            let (from, from_lanes) = (bytemuck::cast_slice(&from.vectors), lanes(from.len()));
            let to = bytemuck::cast_slice_mut(vectors);
            repack::<E>((from, from_lanes), slots, (to, old, lanes(len)), columns);
        });
        let ids = self.ids.grow()?;
        ids.resize(len)?;
        for (id, &slot) in ids.as_mut_slice()[old..].iter_mut().zip(slots) {
            *id = id_of(from.ids[slot]);
        }
        let bias = self.bias.grow()?;
        bias.resize(lanes(len))?;
        let bias = &mut bias.as_mut_slice()[old..];
        bias[slots.len()..].fill(NEVER);
        for (bias, &slot) in bias.iter_mut().zip(slots) {
            *bias = from.bias[slot];
        }
        Ok(())
    }

    /// Makes room for the blocks of `len` vectors. A narrow block that is no longer the last, or too narrow, is spread
    /// to full width.
    fn spread(&mut self, len: usize, columns: usize) -> Result<()> {
        let (old, old_lanes, new_lanes) = (self.len(), lanes(self.len()), lanes(len));
        let (lane, size) = (self.lane_bytes(columns), self.element.size());
        let vectors = self.vectors.grow()?;
        vectors.resize(new_lanes * lane)?;
        if old_lanes % BLOCK == NARROW && new_lanes > old_lanes {
            let tail = old / BLOCK;
            let block = &mut vectors.as_mut_slice()[tail * BLOCK * lane..(tail + 1) * BLOCK * lane];
            let (narrow, full) = (NARROW * size, BLOCK * size);
            for column in (0..columns).rev() {
                block.copy_within(column * narrow..(column + 1) * narrow, column * full);
                block[column * full + narrow..(column + 1) * full].fill(0);
            }
        }
        Ok(())
    }
}

/// Writes rows of `x` as neighbouring lanes of a block; see [`Encoder::encode`]. At most [`BLOCK`] rows: those of another
/// type than float32 are widened in `buffer`.
pub(super) fn encode(
    x: RowsRef<'_>,
    rows: &[u32],
    encoder: &Encoder<'_>,
    out: &mut [u8],
    stride: usize,
    buffer: &mut Vec<f32>,
) {
    match x.as_matrix() {
        Some(matrix) => encoder.encode(matrix.data(), x.dim(), rows, out, stride),
        None => {
            x.gather(rows.iter().map(|&row| row as usize), buffer);
            encoder.encode(buffer, x.dim(), &FIRST[..rows.len()], out, stride);
        }
    }
}

/// Writes the slots `keep` of a list, given with its number of lanes, as those of `to` from `first` on, a list of
/// `to_lanes`: block after block, so that what is written stays in L1.
fn repack<E: Scalar>(
    (from, from_lanes): (&[E], usize),
    keep: &[usize],
    (to, first, to_lanes): (&mut [E], usize, usize),
    columns: usize,
) {
    let (mut slot, mut rest) = (first, keep);
    let mut places = [(0, 0); BLOCK];
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(BLOCK - slot % BLOCK));
        let places = &mut places[..now.len()];
        for (place, &old) in places.iter_mut().zip(now) {
            *place = locate(old, from_lanes, columns);
        }
        let (base, stride) = locate(slot, to_lanes, columns);
        for column in 0..columns {
            let lanes = &mut to[base + column * stride..][..now.len()];
            for (value, (place, stride)) in lanes.iter_mut().zip(&mut *places) {
                *value = from[*place];
                *place += *stride;
            }
        }
        slot += now.len();
        rest = later;
    }
}
