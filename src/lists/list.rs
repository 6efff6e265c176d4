//! One inverted list: vectors in blocks, a bias and an id for each.

use super::append::encode;
use super::beside::Beside;
use super::block::{BLOCK, NARROW, lanes, locate};
use super::storage::Storage;
use crate::backend::{ListView, Version};
use crate::codec::{Encoder, Keeper};
use crate::element::{Element, Values, with_element};
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
    pub(super) fn lane_bytes(&self, columns: usize) -> usize {
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
