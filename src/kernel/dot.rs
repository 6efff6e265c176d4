//! Products in whole numbers: queries rounded to 8 bits with codes of a byte a dimension. A multiplier of bytes adds up
//! four at a time, so codes are laid out by fours. Sums are exact, and scores are made of them by a product and a sum
//! that are rounded apart: all instruction sets give the same bits.

use super::{CHUNK, MAX_QUERIES, TileOutput};
use crate::lists::block::BLOCK;

/// Dimensions that are multiplied and added up at once.
pub(crate) const GROUP: usize = 4;

/// The most dimensions whose products, each below 2^15, add up within 31 bits.
pub(crate) const MOST_DIMENSIONS: usize = 1 << 16;

/// The most queries of a tile that reads codes in rows: for more it pays to lay them out by fours first.
pub(crate) const ROWS_QUERIES: usize = 2;

/// What a tile of products in whole numbers reads.
#[derive(Clone, Copy)]
pub(crate) struct DotInput<'a> {
    /// Queries in the tile, at most [`MAX_QUERIES`].
    pub(crate) count: usize,
    /// Groups of dimensions.
    pub(crate) groups: usize,
    /// `[groups / CHUNK][count][CHUNK]`: a group's four bytes each, as [`super::pack`] lays them out.
    pub(crate) queries: &'a [i32],
    /// What 1 stands for; `[count]`.
    pub(crate) steps: &'a [f32],
    /// A score at or above its query's threshold is a hit; `[count]`.
    pub(crate) thresholds: &'a [f32],
    /// Blocks of codes by fours, `[blocks][groups][width][GROUP]`, or in rows.
    pub(crate) codes: &'a [u8],
    /// Dimensions of codes that lie in rows, `[blocks][dim][width]`, as in a list; see [`super::Kernels::reads_rows`].
    pub(crate) rows: Option<usize>,
    /// What each lane's score starts from; its length tells the number of lanes: 16, or 32 a block.
    pub(crate) bias: &'a [f32],
}

impl DotInput<'_> {
    /// Fails unless the slices are as long as told.
    pub(super) fn check(&self) {
        let lanes = self.bias.len();
        assert!((1..=MAX_QUERIES).contains(&self.count));
        assert!(lanes.is_multiple_of(BLOCK) || lanes == BLOCK / 2);
        assert!(self.groups <= MOST_DIMENSIONS / GROUP);
        assert!(self.queries.len() == self.groups.div_ceil(CHUNK) * self.count * CHUNK);
        assert!(self.steps.len() >= self.count && self.thresholds.len() >= self.count);
        assert!(self.codes.len() == self.columns() * lanes);
        assert!(self.rows.is_none_or(|dim| dim.div_ceil(GROUP) == self.groups && self.count <= ROWS_QUERIES));
    }

    /// Bytes of a lane.
    #[inline(always)]
    fn columns(&self) -> usize {
        self.rows.unwrap_or(self.groups * GROUP)
    }

    /// A block's codes and its biases.
    #[inline(always)]
    pub(super) fn block(&self, block: usize, width: usize) -> (&[u8], &[f32]) {
        let each = self.columns() * width;
        (&self.codes[block * each..(block + 1) * each], &self.bias[block * width..(block + 1) * width])
    }

    /// Where the bytes of a query's group lie.
    #[inline(always)]
    pub(super) fn place(&self, query: usize, group: usize) -> usize {
        (group / CHUNK * self.count + query) * CHUNK + group % CHUNK
    }
}

/// Scores a tile; a bit for each query that has a hit, as for [`super::TileFn`].
pub(super) type DotFn = fn(DotInput<'_>, &mut TileOutput) -> u32;

/// Lays a block out by fours; see [`interleave`].
pub(super) type InterleaveFn = fn(&[u8], usize, &mut [u8]);

/// The oracle.
pub(super) fn scalar(input: DotInput<'_>, output: &mut TileOutput) -> u32 {
    let width = input.bias.len().min(BLOCK);
    let mut any = 0;
    for block in 0..input.bias.len() / width {
        let (codes, bias) = input.block(block, width);
        for query in 0..input.count {
            let mut sums = [0i32; BLOCK];
            for (group, codes) in codes.chunks_exact(width * GROUP).enumerate() {
                let values = input.queries[input.place(query, group)].to_le_bytes().map(u8::cast_signed);
                for (sum, codes) in sums.iter_mut().zip(codes.chunks_exact(GROUP)) {
                    *sum += codes.iter().zip(values).map(|(&c, q)| i32::from(c) * i32::from(q)).sum::<i32>();
                }
            }
            let (step, threshold) = (input.steps[query], input.thresholds[query]);
            let hits = score(&sums, step, threshold, bias, &mut output.scores[query][block]);
            output.hits[query][block] = hits;
            any |= u32::from(hits != 0) << query;
        }
    }
    any
}

/// Makes of every lane's sum its score, and tells which are hits: a bit a lane.
#[inline(always)]
pub(super) fn score(
    sums: &[i32; BLOCK],
    step: f32,
    threshold: f32,
    bias: &[f32],
    scores: &mut [f32; BLOCK],
) -> u32 {
    let mut hits = 0;
    for (lane, ((score, &sum), bias)) in scores.iter_mut().zip(sums).zip(bias).enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "rounded, as the vector units round")]
        let sum = sum as f32;
        *score = step * sum + bias;
        hits |= u32::from(*score >= threshold) << lane;
    }
    hits
}

/// Lays the codes of a block (`[dim][width]`) out by fours (`[groups][width][GROUP]`), zeros behind the last dimension.
pub(super) fn interleave(codes: &[u8], width: usize, out: &mut [u8]) {
    let mut rows = codes.chunks_exact(width);
    for group in out.chunks_exact_mut(width * GROUP) {
        for place in 0..GROUP {
            match rows.next() {
                Some(row) => {
                    group[place..].iter_mut().step_by(GROUP).zip(row).for_each(|(to, &code)| *to = code);
                }
                None => group[place..].iter_mut().step_by(GROUP).for_each(|to| *to = 0),
            }
        }
    }
}
