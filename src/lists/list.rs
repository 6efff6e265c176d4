//! One inverted list: vectors in blocks, a bias and an id for each.

use super::beside::Beside;
use super::block::{BLOCK, NARROW, lanes, locate};
use super::storage::{Check, Storage};
use crate::backend::{ListView, Version};
use crate::codec::{Encoder, Keeper};
use crate::element::{Element, Scalar, Values, with_element};
use crate::error::Result;
use crate::rows::RowsRef;

/// The bias of a lane that no scan may return: padding, or a removed vector.
pub(crate) const NEVER: f32 = f32::NEG_INFINITY;

/// The numbers of the rows of a block.
pub(super) const FIRST: [u32; BLOCK] = {
    let mut first = [0; BLOCK];
    let mut row = 1;
    while row < BLOCK {
        first[row] = first[row - 1] + 1;
        row += 1;
    }
    first
};

/// Vectors of one list.
///
/// Invariant: `vectors` holds the bytes of `lanes(len)` times as many elements as a vector has (its columns), `bias` has `lanes(len)` and `ids` `len`. The bias
/// is what a vector's score starts from: `-|v|^2/2` for L2 (of `v` as it is stored), 0 for inner product, [`NEVER`] for padding and
/// for removed vectors, which a scan then passes over without another test. `rows` has `len` rows, and `ranks` as many,
/// rising unless an ordering was cut short.
pub(crate) struct List {
    pub(crate) element: Element,
    pub(crate) vectors: Storage<u8>,
    pub(crate) bias: Storage<f32>,
    pub(crate) ids: Storage<i64>,
    /// What the best by their codes are compared again with.
    pub(crate) rows: Beside<u8>,
    /// Where the list is kept in order, what by: less for a vector that is likelier to be a result.
    pub(crate) ranks: Beside<f32>,
    pub(crate) dead: usize,
    /// Whether vectors may lie in other slots than their copies say, see `copies`.
    pub(crate) moved: bool,
}

impl List {
    /// An empty list whose vectors keep rows of so many bytes beside their codes.
    pub(crate) const fn new(element: Element, row_bytes: usize) -> Self {
        Self {
            element,
            vectors: Storage::new(),
            bias: Storage::new(),
            ids: Storage::new(),
            rows: Beside::new(row_bytes),
            ranks: Beside::new(0),
            dead: 0,
            moved: false,
        }
    }

    /// An empty list of the same kind.
    pub(crate) fn like(&self) -> Self {
        Self { ranks: Beside::new(self.ranks.width()), ..Self::new(self.element, self.rows.width()) }
    }

    /// Vectors stored, removed ones included.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Vectors that can be found.
    pub(crate) fn live(&self) -> usize {
        self.len() - self.dead
    }

    pub(crate) fn is_live(&self, slot: usize) -> bool {
        self.bias[slot] != NEVER
    }

    pub(crate) fn view(&self) -> ListView<'_> {
        ListView { vectors: self.values(), bias: &self.bias, ids: &self.ids, live: self.live() }
    }

    /// The states of the vectors and of the biases.
    pub(crate) fn version(&self) -> [Version; 2] {
        [self.vectors.version(), self.bias.version()]
    }

    /// All blocks.
    fn values(&self) -> Values<'_> {
        Values::of_bytes(self.element, &self.vectors)
    }

    /// Bytes of a lane.
    fn lane_bytes(&self, columns: usize) -> usize {
        columns * self.element.size()
    }

    /// Writes what is stored of a vector of so many columns, element after element.
    pub(crate) fn stored(&self, slot: usize, columns: usize, out: &mut [u8]) {
        let (base, stride) = locate(slot, lanes(self.len()), columns);
        with_element!(self.element, E => {
            let all: &[E] = bytemuck::cast_slice(&self.vectors);
            let values = all[base..].iter().step_by(stride);
            for (out, value) in out.chunks_exact_mut(size_of::<E>()).zip(values) {
                out.copy_from_slice(bytemuck::bytes_of(value));
            }
        });
    }

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

    /// Cuts off the slots from `len` on, none of them removed: what [`List::append`] has added is gone, to the last
    /// byte. Allocates nothing if the list owns its memory.
    pub(crate) fn truncate(&mut self, len: usize, columns: usize) -> Result<()> {
        self.rows.truncate(len)?;
        self.ranks.truncate(len)?;
        if len >= self.len() {
            return Ok(());
        }
        let (old_lanes, new_lanes) = (lanes(self.len()), lanes(len));
        let lane = self.lane_bytes(columns);
        let size = self.element.size();
        let vectors = self.vectors.to_mut()?;
        let tail = len / BLOCK;
        if new_lanes % BLOCK == NARROW && old_lanes > new_lanes {
            let block = &mut vectors.as_mut_slice()[tail * BLOCK * lane..(tail + 1) * BLOCK * lane];
            let (narrow, full) = (NARROW * size, BLOCK * size);
            for column in 0..columns {
                block.copy_within(column * full..column * full + narrow, column * narrow);
            }
        }
        vectors.resize(new_lanes * lane)?;
        if len < new_lanes {
            let width = super::block::width(tail, new_lanes) * size;
            let block = &mut vectors.as_mut_slice()[tail * BLOCK * lane..];
            let used = len % BLOCK * size;
            block.chunks_exact_mut(width).for_each(|values| values[used..].fill(0));
        }
        let bias = self.bias.to_mut()?;
        bias.resize(new_lanes)?;
        bias.as_mut_slice()[len..].fill(NEVER);
        self.ids.to_mut()?.resize(len)
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

    /// Replaces the vectors in slots, in rising order, by rows of `x`, and what is kept of them, `ranks` where the list is
    /// kept in order; the ids stay.
    pub(crate) fn replace(
        &mut self,
        x: RowsRef<'_>,
        slots_and_rows: &[(u32, u32)],
        encoder: &Encoder<'_>,
        kept: Option<&Keeper<'_>>,
        ranks: &[f32],
    ) -> Result<()> {
        if slots_and_rows.is_empty() {
            return Ok(());
        }
        if let Some(keeper) = kept {
            let slots = slots_and_rows.iter().map(|&(slot, _)| slot);
            self.rows.replace(slots, |place, to| keeper.keep(&[slots_and_rows[place].1], to))?;
        }
        let slots = slots_and_rows.iter().map(|&(slot, _)| slot);
        self.ranks.replace(slots, |place, to| to.fill(ranks[place]))?;
        let all = lanes(self.len());
        let columns = encoder.columns(x.dim());
        let lane = self.lane_bytes(columns);
        let vectors = self.vectors.to_mut()?.as_mut_slice();
        let bias = self.bias.to_mut()?.as_mut_slice();
        let (mut buffer, mut scratch) = (Vec::new(), [0f32; BLOCK]);
        for replaced in slots_and_rows.chunk_by(|(a, _), (b, _)| *a as usize / BLOCK == *b as usize / BLOCK) {
            for neighbours in replaced.chunk_by(|(a, _), (b, _)| a + 1 == *b) {
                let mut rows = [0; BLOCK];
                rows.iter_mut().zip(neighbours).for_each(|(row, &(_, number))| *row = number);
                let (base, stride) = locate(neighbours[0].0 as usize, all, columns);
                let out = &mut vectors[base * self.element.size()..];
                encode(x, &rows[..neighbours.len()], encoder, out, stride, &mut buffer);
            }
            // Of the whole block, as when it was added: the same vector has the same bias.
            let block = replaced[0].0 as usize / BLOCK;
            let (start, width) = (block * BLOCK, super::block::width(block, all));
            let values = Values::of_bytes(self.element, &vectors[start * lane..(start + width) * lane]);
            encoder.bias(values, &mut scratch[..width]);
            for &(slot, _) in replaced {
                bias[slot as usize] = scratch[slot as usize - start];
            }
        }
        Ok(())
    }
}

/// Writes rows of `x` as neighbouring lanes of a block; see [`Encoder::encode`]. At most [`BLOCK`] rows: those of another
/// type than float32 are widened in `buffer`.
fn encode(
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
