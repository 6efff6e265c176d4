//! Making a list of a known length and filling it in place, from several threads if need be.

use super::block::{BLOCK, lanes, width};
use super::list::{List, NEVER, scatter};
use crate::error::Result;

/// All of a list, to be written. The blocks of `vectors` and of `bias` are contiguous, so that they can be
/// filled apart.
pub(crate) struct ListSlices<'a> {
    pub(crate) vectors: &'a mut [f32],
    pub(crate) bias: &'a mut [f32],
    pub(crate) ids: &'a mut [i64],
}

impl List {
    /// A list of `len` vectors of zeros with no one's bias yet. Memory takes its time to be had; `check` is
    /// asked now and then whether to go on.
    pub(crate) fn with_len(len: usize, dim: usize, check: &dyn Fn() -> Result<()>) -> Result<Self> {
        let mut list = Self::new();
        let lanes = lanes(len);
        list.vectors.to_mut()?.resize_in_steps(lanes * dim, check)?;
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

/// Writes `rows` (`[n, dim]`) into blocks that begin a list or lie within one; `bias_of` fills a block's
/// biases. Lanes beyond n become padding.
pub(crate) fn fill_blocks(
    rows: &[f32],
    dim: usize,
    vectors: &mut [f32],
    bias: &mut [f32],
    bias_of: impl Fn(&[f32], &mut [f32]),
) {
    let all_lanes = bias.len();
    for (block, rows) in rows.chunks(BLOCK * dim).enumerate() {
        let width = width(block, all_lanes);
        let vectors = &mut vectors[block * BLOCK * dim..][..width * dim];
        let bias = &mut bias[block * BLOCK..][..width];
        let count = rows.len() / dim;
        scatter(rows, dim, &ROWS[..count], vectors, width);
        bias_of(vectors, bias);
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
