//! Making a list of a known length and filling it in place, from several threads if need be.

use super::Lists;
use super::beside::Beside;
use super::block::{BLOCK, lanes, width};
use super::list::{FIRST, List, NEVER};
use super::storage::Check;
use crate::codec::Encoder;
use crate::element::{Element, Values, with_element};
use crate::error::Result;

/// All of a list, to be written. The blocks of `vectors` and of `bias` are contiguous, so that they can be
/// filled apart.
pub(crate) struct ListSlices<'a> {
    /// Bytes of elements.
    pub(crate) vectors: &'a mut [u8],
    pub(crate) bias: &'a mut [f32],
    pub(crate) ids: &'a mut [i64],
    /// What is kept of each vector, one after another.
    pub(crate) rows: &'a mut [u8],
    /// What lists are ordered by, where they are.
    pub(crate) ranks: &'a mut [f32],
}

impl Lists {
    /// Lists of these lengths, of zeros with no one's bias yet, whose vectors keep rows of `row_bytes`. Memory takes its time to be had; `check` is
    /// asked now and then whether to go on.
    pub(crate) fn with_lens(
        element: Element,
        lens: impl Iterator<Item = usize> + Clone,
        columns: usize,
        row_bytes: usize,
        check: Check<'_>,
    ) -> Result<Self> {
        let mut lists = Self::new(0, element, row_bytes);
        for len in lens.clone() {
            let mut list = List::new(element, row_bytes);
            list.reserve(len, columns, check)?;
            lists.lists.push(list);
        }
        lists.advise_huge_pages();
        for (list, len) in lists.lists.iter_mut().zip(lens) {
            list.resize(len, columns, check)?;
        }
        Ok(lists)
    }

    /// Makes room for rows of `row_bytes` beside vectors that keep none yet: zeros.
    pub(crate) fn keep_rows(&mut self, row_bytes: usize, check: Check<'_>) -> Result<()> {
        self.row_bytes = row_bytes;
        for list in &mut self.lists {
            list.rows = Beside::new(row_bytes);
            let bytes = list.len() * row_bytes;
            list.rows.data.to_mut()?.resize_in_steps(bytes, check)?;
        }
        Ok(())
    }

    /// The same for ranks, by which the lists are then kept in order.
    pub(crate) fn keep_ranks(&mut self, check: Check<'_>) -> Result<()> {
        self.ordered = true;
        for list in &mut self.lists {
            list.ranks = Beside::new(1);
            list.ranks.data.to_mut()?.resize_in_steps(list.ids.len(), check)?;
        }
        Ok(())
    }
}

impl List {
    /// Sets the length of an empty list.
    fn resize(&mut self, len: usize, columns: usize, check: Check<'_>) -> Result<()> {
        let lanes = lanes(len);
        self.vectors.to_mut()?.resize_in_steps(lanes * columns * self.element.size(), check)?;
        let bytes = len * self.rows.width();
        self.rows.data.to_mut()?.resize_in_steps(bytes, check)?;
        self.bias.to_mut()?.resize(lanes)?;
        self.bias.to_mut()?.as_mut_slice().fill(NEVER);
        self.ids.to_mut()?.resize(len)
    }

    /// The list's memory, copied out of a shared region if need be.
    pub(crate) fn slices_mut(&mut self) -> Result<ListSlices<'_>> {
        Ok(ListSlices {
            vectors: self.vectors.to_mut()?.as_mut_slice(),
            bias: self.bias.to_mut()?.as_mut_slice(),
            ids: self.ids.to_mut()?.as_mut_slice(),
            rows: self.rows.data.to_mut()?.as_mut_slice(),
            ranks: self.ranks.data.to_mut()?.as_mut_slice(),
        })
    }
}

/// Writes `rows` (`[n, dim]`) into blocks that begin a list or lie within one. Lanes beyond n become padding.
pub(crate) fn fill_blocks(
    rows: &[f32],
    dim: usize,
    vectors: &mut [u8],
    bias: &mut [f32],
    encoder: &Encoder<'_>,
) {
    let lane = encoder.columns(dim) * encoder.element().size();
    let all_lanes = bias.len();
    for (block, rows) in rows.chunks(BLOCK * dim).enumerate() {
        let width = width(block, all_lanes);
        let vectors = &mut vectors[block * BLOCK * lane..][..width * lane];
        let bias = &mut bias[block * BLOCK..][..width];
        let count = rows.len() / dim;
        encoder.encode(rows, dim, &FIRST[..count], vectors, width);
        encoder.bias(Values::of_bytes(encoder.element(), vectors), bias);
        bias[count..].fill(NEVER);
    }
}

/// The same with rows of what lists hold (`[n, columns]` elements), as they are.
pub(crate) fn fill_stored(
    rows: &[u8],
    columns: usize,
    vectors: &mut [u8],
    bias: &mut [f32],
    encoder: &Encoder<'_>,
) {
    let element = encoder.element();
    let lane = columns * element.size();
    let all_lanes = bias.len();
    for (block, rows) in rows.chunks(BLOCK * lane).enumerate() {
        let width = width(block, all_lanes);
        let vectors = &mut vectors[block * BLOCK * lane..][..width * lane];
        let bias = &mut bias[block * BLOCK..][..width];
        with_element!(element, E => {
            transpose::<E>(bytemuck::cast_slice(rows), columns, bytemuck::cast_slice_mut(vectors), width);
        });
        encoder.bias(Values::of_bytes(element, vectors), bias);
        bias[rows.len() / lane..].fill(NEVER);
    }
}

/// Writes rows as lanes of a block.
fn transpose<E: Copy>(rows: &[E], columns: usize, block: &mut [E], width: usize) {
    for (lane, row) in rows.chunks_exact(columns).enumerate() {
        for (column, &value) in row.iter().enumerate() {
            block[column * width + lane] = value;
        }
    }
}
