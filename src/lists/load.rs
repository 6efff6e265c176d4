//! Making a list of a known length and filling it in place, from several threads if need be.

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

impl List {
    /// A list of `len` vectors of zeros with no one's bias yet. Memory takes its time to be had; `check` is
    /// asked now and then whether to go on.
    pub(crate) fn with_len(
        element: Element,
        len: usize,
        dim: usize,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<Self> {
        let mut list = Self::new(element);
        let lanes = lanes(len);
        list.vectors.to_mut()?.resize_in_steps(lanes * dim * element.size(), check)?;
        list.bias.to_mut()?.resize(lanes)?;
        list.bias.to_mut()?.as_mut_slice().fill(NEVER);
        list.ids.to_mut()?.resize(len)?;
        Ok(list)
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
