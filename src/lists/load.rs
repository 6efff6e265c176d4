//! Making a list of a known length and filling it in place, from several threads if need be.

use super::Lists;
use super::block::{BLOCK, lanes, width};
use super::list::{List, NEVER, scatter};
use crate::element::{Element, Values, with_element};
use crate::error::Result;

/// All of a list, to be written. The blocks of `vectors` and of `bias` are contiguous, so that they can be
/// filled apart.
pub(crate) struct ListSlices<'a> {
    /// Bytes of elements.
    pub(crate) vectors: &'a mut [u8],
    pub(crate) bias: &'a mut [f32],
    pub(crate) ids: &'a mut [i64],
}

impl Lists {
    /// Lists of these lengths, of zeros with no one's bias yet. Memory takes its time to be had; `check` is
    /// asked now and then whether to go on.
    pub(crate) fn with_lens(
        element: Element,
        lens: impl Iterator<Item = usize> + Clone,
        dim: usize,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<Self> {
        let mut lists = Self::new(0, element);
        for len in lens.clone() {
            let mut list = List::new(element);
            list.reserve(len, dim)?;
            lists.lists.push(list);
        }
        lists.advise_huge_pages();
        for (list, len) in lists.lists.iter_mut().zip(lens) {
            list.resize(len, dim, check)?;
        }
        Ok(lists)
    }
}

impl List {
    /// Sets the length of an empty list.
    fn resize(&mut self, len: usize, dim: usize, check: &dyn Fn() -> Result<()>) -> Result<()> {
        let lanes = lanes(len);
        self.vectors.to_mut()?.resize_in_steps(lanes * dim * self.element.size(), check)?;
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
        })
    }
}

/// Writes `rows` (`[n, dim]`), rounded to `element`, into blocks that begin a list or lie within one; `bias_of`
/// fills a block's biases. Lanes beyond n become padding.
pub(crate) fn fill_blocks(
    rows: &[f32],
    dim: usize,
    element: Element,
    vectors: &mut [u8],
    bias: &mut [f32],
    bias_of: impl Fn(Values<'_>, &mut [f32]),
) {
    let lane = dim * element.size();
    let all_lanes = bias.len();
    for (block, rows) in rows.chunks(BLOCK * dim).enumerate() {
        let width = width(block, all_lanes);
        let vectors = &mut vectors[block * BLOCK * lane..][..width * lane];
        let bias = &mut bias[block * BLOCK..][..width];
        let count = rows.len() / dim;
        with_element!(element, E => {
            scatter::<E>(rows, dim, &ROWS[..count], bytemuck::cast_slice_mut(vectors), width);
        });
        bias_of(Values::of_bytes(element, vectors), bias);
        bias[count..].fill(NEVER);
    }
}

/// 0 to 31.
const ROWS: [u32; BLOCK] = {
    let mut rows = [0; BLOCK];
    let mut row = 1;
    while row < BLOCK {
        rows[row] = rows[row - 1] + 1;
        row += 1;
    }
    rows
};
