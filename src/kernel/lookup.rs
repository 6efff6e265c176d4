//! Scores by look-ups (André et al., VLDB 2015): a code of four bits chooses one of a table's 16 bytes, and a table
//! fits a vector register, so that a shuffle looks up 16 or 32 lanes at once. A score is made of whole numbers, and of
//! products and sums that are rounded apart: all instruction sets give the same bits.

use super::{MAX_BLOCKS, MAX_QUERIES, TileOutput, prefetch};
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

impl Steps {
    /// A sum below which `step * sum + base` is below a threshold, however it is rounded.
    pub(crate) fn least(self, threshold: f32) -> u16 {
        let (base, step) = (f64::from(self.base), f64::from(self.step));
        let most = f64::from(u16::MAX);
        // By more than two roundings of numbers of that size make.
        let rounding = (base.abs() + step * most) * f64::from(f32::EPSILON);
        let sum = (f64::from(threshold) - base - rounding) / step;
        // A step of 0 makes it NaN or infinite: nothing is known of sums that count nothing.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let least = sum.clamp(0.0, most) as u16;
        if sum.is_finite() { least } else { 0 }
    }
}

/// What a tile of look-ups reads.
#[derive(Clone, Copy)]
pub(crate) struct LookupInput<'a> {
    /// Queries in the tile, at most [`MAX_QUERIES`].
    pub(crate) count: usize,
    /// Columns of codes; a byte is two of them, the lower half first.
    pub(crate) columns: usize,
    /// `[count]` of `[columns][2][ENTRIES]`, none larger than [`MOST`]; what a query looks up adds up to less than 2^16.
    pub(crate) tables: &'a [&'a [u8]],
    /// `[count]`.
    pub(crate) steps: &'a [Steps],
    /// A score at or above its query's threshold is a hit; `[count]`.
    pub(crate) thresholds: &'a [f32],
    /// Sums below which no lane of a query can be one, as [`Steps::least`] tells where factors are 1 and no bias is
    /// above 0: lanes need not be looked at closely then; `[count]`.
    pub(crate) least: &'a [u16],
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
        assert!(self.tables.len() >= self.count);
        assert!(self.tables[..self.count].iter().all(|tables| tables.len() == self.columns * 2 * ENTRIES));
        assert!(self.steps.len() >= self.count && self.thresholds.len() >= self.count);
        assert!(self.least.len() >= self.count);
        assert!(self.codes.len() == self.stride * lanes && self.factors.len() == lanes);
    }

    /// The tables of a query.
    #[inline(always)]
    pub(super) fn tables_of(&self, query: usize) -> &[[u8; ENTRIES]] {
        self.tables[query].as_chunks().0
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

/// Lanes of a run: what one query is compared with at once.
pub(crate) const RUN: usize = 8 * BLOCK;

/// The hits of a run, and room for as many as a register holds beyond them.
pub(crate) struct Found {
    /// Rising.
    pub(crate) lanes: [u32; RUN + BLOCK],
    pub(crate) scores: [f32; RUN + BLOCK],
}

impl Found {
    pub(crate) const fn new() -> Self {
        Self { lanes: [0; RUN + BLOCK], scores: [0.0; RUN + BLOCK] }
    }
}

/// Scores a run for one query, while what is scanned next is fetched; the number of hits. See
/// [`super::Kernels::lookup_run`].
pub(super) type LookupRunFn = fn(LookupInput<'_>, &[u8], &mut TileOutput, &mut Found) -> usize;

/// The same by tiles.
pub(super) fn run_of_tiles(
    lookup: LookupFn,
    input: LookupInput<'_>,
    next: &[u8],
    output: &mut TileOutput,
    found: &mut Found,
) -> usize {
    prefetch(next);
    let mut hits = 0;
    let each = MAX_BLOCKS * BLOCK;
    let tiles = input.bias.chunks(each).zip(input.factors.chunks(each));
    for (tile, ((bias, factors), codes)) in tiles.zip(input.codes.chunks(each * input.stride)).enumerate() {
        if lookup(LookupInput { codes, bias, factors, ..input }, output) == 0 {
            continue;
        }
        for (block, (&mask, scores)) in output.hits[0].iter().zip(&output.scores[0]).enumerate() {
            let mut mask = if block * BLOCK < bias.len() { mask } else { 0 };
            while mask != 0 {
                let lane = mask.trailing_zeros() as usize;
                mask &= mask - 1;
                #[expect(clippy::cast_possible_truncation, reason = "below RUN")]
                let number = (tile * each + block * BLOCK + lane) as u32;
                (found.lanes[hits], found.scores[hits]) = (number, scores[lane]);
                hits += 1;
            }
        }
    }
    hits
}

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

/// Values of a column of codes of one bit each.
const VALUES: usize = 8;

/// What a column's values add to sums, in whole steps above the least: those of its bits that are set, then of those
/// that are not.
pub(super) type Parts = [u8; 2 * VALUES];

/// Two tables.
pub(super) type Pair = [u8; 2 * ENTRIES];

/// The most that four values may add up to in whole steps, so that tables of so many columns add up to less than 2^16.
#[inline(always)]
pub(crate) fn most(columns: usize) -> f32 {
    let room = usize::from(u16::MAX) / (2 * columns).max(1);
    // Four values may be rounded up by a half each.
    f32::from(u8::try_from(room).unwrap_or(MOST).min(MOST) - 2)
}

/// Tables for codes of one bit a value, which stands for -1/2 or 1/2: each tells what four values add up to under every
/// code. `tables` is `[columns][2][ENTRIES]` for the columns that hold so many bits. The values become whole numbers of
/// steps, of which a table's entries are sums; `expand` makes a column's.
///
/// To be inlined where an instruction set is enabled.
#[inline(always)]
pub(super) fn subsets(values: &[f32], tables: &mut [u8], expand: impl Fn(&Parts, &mut Pair)) -> Steps {
    let pairs = tables.as_chunks_mut().0;
    let most = most(pairs.len());
    let (whole, rest) = values.as_chunks::<VALUES>();
    let mut last = [0.0; VALUES];
    last[..rest.len()].copy_from_slice(rest);
    let columns = || whole.iter().chain((!rest.is_empty()).then_some(&last));
    let widest = widest(values);
    // Smaller ones are as good as 0.
    let (step, inverse) = if widest > 1e-30 { (widest / most, most / widest) } else { (0.0, 0.0) };
    let mut sizes = [0u32; VALUES];
    for (pair, eight) in pairs.iter_mut().zip(columns()) {
        let mut parts = [0; 2 * VALUES];
        let (set, unset) = parts.split_at_mut(VALUES);
        for (((value, set), unset), size) in eight.iter().zip(set).zip(unset).zip(&mut sizes) {
            (*set, *unset) = (rounded((value * inverse).max(0.0)), rounded((-value * inverse).max(0.0)));
            *size += u32::from(*set | *unset);
        }
        expand(&parts, pair);
    }
    #[expect(clippy::cast_precision_loss, reason = "below 2^16")]
    let sizes = sizes.iter().sum::<u32>() as f32;
    Steps { base: -0.5 * sizes * step, step }
}

/// The largest sum of the sizes of four values that share a table.
#[inline(always)]
fn widest(values: &[f32]) -> f32 {
    // Side by side, so that the compiler can use vector registers. A plain comparison: `max` would look for NaN.
    const SUMS: usize = 4;
    let larger = |a: f32, b: f32| if a > b { a } else { b };
    let (whole, rest) = values.as_chunks::<{ 4 * SUMS }>();
    let mut widest = [0f32; SUMS];
    for part in whole {
        let sizes = part.map(f32::abs);
        for (widest, four) in widest.iter_mut().zip(sizes.as_chunks::<4>().0) {
            *widest = larger((four[0] + four[1]) + (four[2] + four[3]), *widest);
        }
    }
    let last = rest.chunks(4).map(|four| four.iter().map(|value| value.abs()).sum());
    widest.into_iter().chain(last).fold(0.0, larger)
}

/// The nearest whole number, of one below 128. Adding 2^23 rounds to it, and the lowest byte holds it.
#[inline(always)]
fn rounded(value: f32) -> u8 {
    (value + 8_388_608.0).to_bits().to_le_bytes()[0]
}

/// The tables of a column, entry by entry.
pub(super) fn expand(parts: &Parts, pair: &mut Pair) {
    for (place, to) in pair.iter_mut().enumerate() {
        let (first, code) = (place / ENTRIES * 4, place % ENTRIES);
        let part = |bit: usize| parts[first + bit + if code >> bit & 1 == 1 { 0 } else { VALUES }];
        *to = part(0) + part(1) + part(2) + part(3);
    }
}

/// For each bit of a code, which of [`Parts`] every entry of a pair of tables takes.
pub(super) const CHOICES: [Pair; 4] = [choices(0), choices(1), choices(2), choices(3)];

const fn choices(bit: u8) -> Pair {
    let mut choices = [0; 2 * ENTRIES];
    let mut place: u8 = 0;
    while (place as usize) < choices.len() {
        let (first, code) = (place / 16 * 4, place % 16);
        choices[place as usize] = first + bit + if code >> bit & 1 == 1 { 0 } else { 8 };
        place += 1;
    }
    choices
}

/// What a query and a centroid have to do with each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Residual {
    /// The squared length of the difference.
    pub(crate) norm: f32,
    /// The product.
    pub(crate) product: f32,
    /// The sum of the differences.
    pub(crate) sum: f32,
}

/// Writes the differences of a query from a centroid; see [`super::Kernels::residual`].
///
/// To be inlined where an instruction set is enabled.
#[inline(always)]
pub(super) fn residual(query: &[f32], centroid: &[f32], out: &mut [f32]) -> Residual {
    // Side by side, so that the compiler can use vector registers.
    const SUMS: usize = 16;
    let (mut norm, mut product, mut sum) = ([0f32; SUMS], [0f32; SUMS], [0f32; SUMS]);
    let mut add = |query: &[f32], centroid: &[f32], out: &mut [f32]| {
        for (lane, ((&q, &c), out)) in query.iter().zip(centroid).zip(out).enumerate() {
            let value = q - c;
            *out = value;
            norm[lane] += value * value;
            product[lane] += q * c;
            sum[lane] += value;
        }
    };
    let (queries, query_rest) = query.as_chunks::<SUMS>();
    let (centroids, centroid_rest) = centroid.as_chunks::<SUMS>();
    let (outs, out_rest) = out.as_chunks_mut::<SUMS>();
    for ((query, centroid), out) in queries.iter().zip(centroids).zip(outs) {
        add(query, centroid, out);
    }
    add(query_rest, centroid_rest, out_rest);
    let [norm, product, sum] = [norm, product, sum].map(|sums| sums.iter().sum());
    Residual { norm, product, sum }
}

/// See [`super::Kernels::residual`].
pub(super) type ResidualFn = fn(&[f32], &[f32], &mut [f32]) -> Residual;

/// [`subsets`] of no instruction set in particular.
pub(super) fn scalar_subsets(values: &[f32], tables: &mut [u8]) -> Steps {
    subsets(values, tables, expand)
}
