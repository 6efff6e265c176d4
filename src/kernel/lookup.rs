//! Scores by look-ups (André et al., VLDB 2015): a code of four bits chooses one of a table's 16 bytes, and a table
//! fits a vector register, so that a shuffle looks up 16 or 32 lanes at once. A score is made of whole numbers, and of
//! products and sums that are rounded apart: all instruction sets give the same bits.

use super::{MAX_QUERIES, TileOutput};
use crate::lists::block::BLOCK;

/// Entries of a table.
pub(crate) const ENTRIES: usize = 16;

/// The largest entry: those of a byte's two tables add up within a byte.
pub(crate) const MOST: u8 = 127;

/// What sums of entries stand for: `base + step * sum`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Steps {
    pub(crate) base: f32,
    pub(crate) step: f32,
}

/// What a tile of look-ups reads.
#[derive(Clone, Copy)]
pub(crate) struct LookupInput<'a> {
    /// Queries in the tile, at most [`MAX_QUERIES`].
    pub(crate) count: usize,
    /// Columns of codes; a byte is two of them, the lower half first.
    pub(crate) columns: usize,
    /// `[count][columns][2][ENTRIES]`, none larger than [`MOST`]; what a query looks up adds up to less than 2^16.
    pub(crate) tables: &'a [u8],
    /// `[count]`.
    pub(crate) steps: &'a [Steps],
    /// A score at or above its query's threshold is a hit; `[count]`.
    pub(crate) thresholds: &'a [f32],
    /// Blocks of bytes, `[blocks][stride][width]`, the first columns of each those of codes.
    pub(crate) codes: &'a [u8],
    /// Columns of a block.
    pub(crate) stride: usize,
    /// What each lane's score starts from; its length tells the number of lanes: 16, or 32 a block.
    pub(crate) bias: &'a [f32],
    /// What a lane's sum counts in its score; `[lanes]`.
    pub(crate) factors: &'a [f32],
}

impl LookupInput<'_> {
    /// Fails unless the slices are as long as told.
    pub(super) fn check(&self) {
        let lanes = self.bias.len();
        assert!((1..=MAX_QUERIES).contains(&self.count) && self.stride >= self.columns);
        assert!(lanes.is_multiple_of(BLOCK) || lanes == BLOCK / 2);
        assert!(self.tables.len() == self.count * self.columns * 2 * ENTRIES);
        assert!(self.steps.len() >= self.count && self.thresholds.len() >= self.count);
        assert!(self.codes.len() == self.stride * lanes && self.factors.len() == lanes);
    }

    /// The tables of a query.
    #[inline(always)]
    pub(super) fn tables_of(&self, query: usize) -> &[[u8; ENTRIES]] {
        let each = self.columns * 2 * ENTRIES;
        self.tables[query * each..(query + 1) * each].as_chunks().0
    }

    /// The bytes of a block's codes, its biases and its factors.
    #[inline(always)]
    pub(super) fn block(&self, block: usize, width: usize) -> (&[u8], &[f32], &[f32]) {
        let (start, lanes) = (block * self.stride * width, block * width..(block + 1) * width);
        let codes = &self.codes[start..start + self.columns * width];
        (codes, &self.bias[lanes.clone()], &self.factors[lanes])
    }
}

/// Scores a tile; a bit for each query that has a hit, as for [`super::TileFn`].
pub(super) type LookupFn = fn(LookupInput<'_>, &mut TileOutput) -> u32;

/// Fills tables; see [`super::Kernels::subsets`].
pub(super) type SubsetsFn = fn(&[f32], &mut [u8]) -> Steps;

/// Makes of every lane's sum its score, and tells which are hits: a bit a lane.
#[inline(always)]
pub(super) fn score(
    sums: &[u16; BLOCK],
    steps: Steps,
    threshold: f32,
    (bias, factors): (&[f32], &[f32]),
    scores: &mut [f32; BLOCK],
) -> u32 {
    let mut hits = 0;
    let lanes = scores.iter_mut().zip(sums).zip(bias.iter().zip(factors)).enumerate();
    for (lane, ((score, &sum), (bias, factor))) in lanes {
        *score = factor * (steps.step * f32::from(sum) + steps.base) + bias;
        hits |= u32::from(*score >= threshold) << lane;
    }
    hits
}

/// The oracle.
pub(super) fn scalar(input: LookupInput<'_>, output: &mut TileOutput) -> u32 {
    let width = input.bias.len().min(BLOCK);
    let mut any = 0;
    for block in 0..input.bias.len() / width {
        let (codes, bias, factors) = input.block(block, width);
        for query in 0..input.count {
            let mut sums = [0u16; BLOCK];
            for (row, tables) in codes.chunks_exact(width).zip(input.tables_of(query).chunks_exact(2)) {
                for (sum, &byte) in sums.iter_mut().zip(row) {
                    let (low, high) = (usize::from(byte & 15), usize::from(byte >> 4));
                    *sum += u16::from(tables[0][low]) + u16::from(tables[1][high]);
                }
            }
            let (steps, threshold) = (input.steps[query], input.thresholds[query]);
            let hits = score(&sums, steps, threshold, (bias, factors), &mut output.scores[query][block]);
            output.hits[query][block] = hits;
            any |= u32::from(hits != 0) << query;
        }
    }
    any
}

/// Tables for codes of one bit a value: each tells what the subsets of four values add up to. `tables` is
/// `[columns][2][ENTRIES]` for the columns that hold so many bits.
///
/// To be inlined where an instruction set is enabled.
#[inline(always)]
pub(super) fn subsets(values: &[f32], tables: &mut [u8]) -> Steps {
    // 2^23: adding it rounds to a whole number, which the lowest bits then hold.
    const WHOLE: f32 = 8_388_608.0;
    let (tables, _) = tables.as_chunks_mut::<ENTRIES>();
    let room = usize::from(u16::MAX) / tables.len().max(1);
    let most = f32::from(u8::try_from(room).unwrap_or(MOST).min(MOST));
    let (whole, rest) = values.as_chunks::<4>();
    let mut last = [0.0; 4];
    last[..rest.len()].copy_from_slice(rest);
    let groups = || whole.iter().chain((!rest.is_empty()).then_some(&last));
    let (mut negative, mut widest) = ([0f32; 4], 0f32);
    for four in groups() {
        negative.iter_mut().zip(four).for_each(|(sum, value)| *sum += value.min(0.0));
        widest = widest.max(four[0].abs() + four[1].abs() + (four[2].abs() + four[3].abs()));
    }
    // Smaller ones are as good as 0.
    let (step, inverse) = if widest > 1e-30 { (widest / most, most / widest) } else { (0.0, 0.0) };
    let mut filled = 0;
    for (table, four) in tables.iter_mut().zip(groups()) {
        // What a value adds to the smallest sum, where it is absent and where it is present.
        let [a, b, c, d] = four.map(|value| [(-value).max(0.0) * inverse, value.max(0.0) * inverse]);
        let low = [a[0] + b[0], a[1] + b[0], a[0] + b[1], a[1] + b[1]];
        let high = [c[0] + d[0], c[1] + d[0], c[0] + d[1], c[1] + d[1]];
        for (high, out) in high.iter().zip(table.chunks_exact_mut(4)) {
            for (low, to) in low.iter().zip(out) {
                *to = (low + high + WHOLE).to_bits().to_le_bytes()[0];
            }
        }
        filled += 1;
    }
    tables[filled..].iter_mut().for_each(|table| table.fill(0));
    Steps { base: (negative[0] + negative[1]) + (negative[2] + negative[3]), step }
}
