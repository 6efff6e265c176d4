//! The innermost loops, one set an instruction set, chosen once a context.
//!
//! A tile scores a few queries against a few blocks of 32 vectors with all sums in registers and tells
//! which lanes reach their query's threshold. Vectors may be of any element type and are widened to float32 as
//! they are loaded. [`scalar`] is the oracle that the others are tested against; those with fused multiply-add
//! agree bit by bit, since all add the same terms in the same order.

mod along;
mod bitmap;
pub(crate) mod bitpack;
mod dot;
mod lookup;
mod pair;
mod round;
mod scalar;
mod tables;
mod tile;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod unpack;
mod words;

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub(crate) use along::Along;
pub(crate) use bitmap::Bitmap;
use dot::ROWS_QUERIES;
pub(crate) use dot::{DotInput, GROUP, MOST_DIMENSIONS};
#[cfg(feature = "gpu")]
pub(crate) use lookup::most;
pub(crate) use lookup::{ENTRIES, Found, LookupInput, RUN, Residual, Steps};
pub(crate) use pair::{
    Coded, HalfPair, Pair, Pairs, ROWS, SIDE_BY_SIDE, Term, begin, prefetch, prefetch_early,
};
pub(crate) use round::{RoundInput, Rounded};
pub(crate) use tables::{Book, SumInput, Tables};
pub(crate) use words::{LANES, Words};

use crate::element::Values;
use crate::error::{Error, Result};
use crate::lists::block::{BLOCK, NARROW};

/// Most queries in a tile, on any instruction set.
pub(crate) const MAX_QUERIES: usize = 12;

/// Most blocks in a tile, on any instruction set.
pub(crate) const MAX_BLOCKS: usize = 4;

/// Dimensions summed before the sum is added to the score: bounds the rounding error of long vectors and
/// keeps a tile's operands in L1.
pub(crate) const CHUNK: usize = 256;

/// What a tile reads: queries packed by [`pack`], blocks one after another, a bias a lane.
#[derive(Clone, Copy)]
pub(crate) struct TileInput<'a> {
    pub(crate) dim: usize,
    /// Queries in the tile, at most [`Kernels::max_queries`].
    pub(crate) count: usize,
    /// `[dim / CHUNK][count][CHUNK]`.
    pub(crate) queries: &'a [f32],
    /// A score at or above its query's threshold is a hit; `[count]`.
    pub(crate) thresholds: &'a [f32],
    /// Blocks, dimension-major, of any element type; `[blocks][dim][width]`.
    pub(crate) vectors: Values<'a>,
    /// Which halves of blocks, all of them full ones, the lanes are, 16 by 16, and behind those the ones that come
    /// next, which are prefetched; nothing is scaled then. Empty = all of `vectors`, one after another.
    pub(crate) halves: &'a [u32],
    /// What each lane's score starts from; its length tells the number of lanes: 16, or 32 a block.
    pub(crate) bias: &'a [f32],
    /// How what a lane adds up counts.
    pub(crate) scaled: Option<Scaled<'a>>,
}

impl TileInput<'_> {
    /// From a lane's value to its next.
    #[inline(always)]
    fn stride(&self) -> usize {
        if self.halves.is_empty() { self.bias.len().min(BLOCK) } else { BLOCK }
    }

    /// Where the values of the 16 lanes with this number begin.
    #[inline(always)]
    fn place(&self, number: usize) -> usize {
        let half = self.halves.get(number).map_or(number, |&half| half as usize);
        half / 2 * BLOCK * self.dim + half % 2 * NARROW
    }
}

/// A lane's score is its bias plus its own factor times the sum of the query's base and the products.
#[derive(Clone, Copy)]
pub(crate) struct Scaled<'a> {
    /// `[lanes]`.
    pub(crate) factors: &'a [f32],
    /// `[count]`.
    pub(crate) bases: &'a [f32],
}

/// What a tile tells: scores (written where a block has a hit) and which lanes are hits.
pub(crate) struct TileOutput {
    /// `[query][block][lane]`.
    pub(crate) scores: [[[f32; BLOCK]; MAX_BLOCKS]; MAX_QUERIES],
    /// A bit a lane; `[query][block]`.
    pub(crate) hits: [[u32; MAX_BLOCKS]; MAX_QUERIES],
}

impl TileOutput {
    pub(crate) const fn new() -> Self {
        Self { scores: [[[0.0; BLOCK]; MAX_BLOCKS]; MAX_QUERIES], hits: [[0; MAX_BLOCKS]; MAX_QUERIES] }
    }
}

/// Scores a tile; a bit for each query that has a hit (only then are its `hits` and `scores` meaningful).
type TileFn = fn(TileInput<'_>, &mut TileOutput) -> u32;

/// Lays queries of `len` values out as a tile reads them: a chunk of values after another, in it row after row. The
/// stride from query to query is a constant, so that a tile needs one pointer for all of them.
pub(crate) fn pack<T: Copy + Default>(rows: &[&[T]], len: usize, packed: &mut Vec<T>) {
    packed.resize(len.div_ceil(CHUNK) * rows.len() * CHUNK, T::default());
    for (q, row) in rows.iter().enumerate() {
        rows.get(q + 1).into_iter().for_each(|&next| prefetch_early(next));
        for (chunk, values) in row.chunks(CHUNK).enumerate() {
            let start = (chunk * rows.len() + q) * CHUNK;
            packed[start..start + values.len()].copy_from_slice(values);
        }
    }
}

/// The sum of squares of each lane of a block: `vectors` is `[dim][width]`, `out` `[width]`.
type SquaresFn = fn(Values<'_>, &mut [f32]);

/// A byte a code.
type UnpackFn = fn(bitpack::Packed<'_>, &mut [u8]);

/// The kernels of one instruction set.
pub(crate) struct Kernels {
    pub(crate) name: &'static str,
    /// Most queries that a tile takes.
    pub(crate) max_queries: usize,
    tile: TileFn,
    squares: SquaresFn,
    unpack: UnpackFn,
    lookup: lookup::LookupFn,
    /// The same for one query.
    lookup_run: lookup::LookupRunFn,
    subsets: lookup::SubsetsFn,
    residual: lookup::ResidualFn,
    dots: dot::DotFn,
    /// The same of codes in rows.
    dots_of_rows: Option<dot::DotFn>,
    interleave: dot::InterleaveFn,
    round: round::RoundFn,
    /// Those of single rows.
    pub(crate) pairs: pair::Pairs,
    /// Those of product quantizers.
    pub(crate) tables: tables::Tables,
    members: bitmap::MembersFn,
}

impl Kernels {
    /// The best kernels of this CPU, or those of this name.
    pub(crate) fn select(name: Option<&str>) -> Result<&'static Self> {
        let known = Self::available();
        match name {
            None => Ok(known.last().copied().unwrap_or(&scalar::KERNELS)),
            Some(name) => known.iter().find(|kernels| kernels.name == name).copied().ok_or_else(|| {
                let names: Vec<_> = known.iter().map(|kernels| kernels.name).collect();
                Error::argument(format!("kernel: this CPU has {}, got {name:?}", names.join(", ")))
            }),
        }
    }

    /// Those that any CPU runs.
    pub(crate) fn scalar() -> &'static Self {
        &scalar::KERNELS
    }

    /// All kernels that this CPU can run, slowest first.
    pub(crate) fn available() -> Vec<&'static Self> {
        let mut known = vec![&scalar::KERNELS];
        #[cfg(target_arch = "x86_64")]
        known.extend(x86_64::available());
        #[cfg(target_arch = "aarch64")]
        known.extend(aarch64::available());
        known
    }

    /// How many blocks a tile of `count` queries takes at once.
    #[inline]
    pub(crate) fn blocks_per_tile(&self, count: usize) -> usize {
        // Few queries fill the registers with more blocks: independent sums hide the latency of the adds.
        if count <= 2 { MAX_BLOCKS } else { 1 }
    }

    /// Scores a tile; see [`TileInput`]. A bit for each query that has a hit.
    #[inline]
    pub(crate) fn tile(&self, input: TileInput<'_>, output: &mut TileOutput) -> u32 {
        let lanes = input.bias.len();
        assert!(input.count <= self.max_queries && lanes <= BLOCK * self.blocks_per_tile(input.count));
        if input.halves.is_empty() {
            assert!(lanes.is_multiple_of(BLOCK) || lanes == NARROW);
            assert!(input.vectors.len() == input.dim * lanes);
        } else {
            assert!(lanes > 0 && lanes.is_multiple_of(NARROW) && lanes / NARROW <= input.halves.len());
            assert!(input.scaled.is_none());
            let blocks = input.vectors.len() / (input.dim * BLOCK);
            assert!(input.halves.iter().all(|&half| half as usize / 2 < blocks));
        }
        assert!(input.queries.len() == input.dim.div_ceil(CHUNK) * input.count * CHUNK);
        assert!(input.thresholds.len() >= input.count);
        assert!(
            input
                .scaled
                .is_none_or(|scaled| { scaled.factors.len() == lanes && scaled.bases.len() >= input.count })
        );
        (self.tile)(input, output)
    }

    /// Scores a tile by look-ups; see [`LookupInput`]. A bit for each query that has a hit.
    #[inline]
    pub(crate) fn lookup(&self, input: LookupInput<'_>, output: &mut TileOutput) -> u32 {
        input.check();
        assert!(input.bias.len() <= BLOCK * MAX_BLOCKS);
        (self.lookup)(input, output)
    }

    /// Scores up to [`RUN`] lanes for one query by look-ups and writes what it finds to `found`; the number of hits.
    /// Meanwhile `next` is fetched. `output` is memory.
    #[inline]
    pub(crate) fn lookup_run(
        &self,
        input: LookupInput<'_>,
        next: &[u8],
        output: &mut TileOutput,
        found: &mut Found,
    ) -> usize {
        input.check();
        assert!(input.count == 1 && input.bias.len() <= RUN);
        (self.lookup_run)(input, next, output, found)
    }

    /// Writes the differences of a query from a centroid.
    pub(crate) fn residual(&self, query: &[f32], centroid: &[f32], out: &mut [f32]) -> Residual {
        assert!(query.len() == centroid.len() && query.len() == out.len());
        (self.residual)(query, centroid, out)
    }

    /// Tables for codes of one bit a value, which stands for -1/2 or 1/2, `[columns][2][ENTRIES]`: what every four
    /// values add up to. Sums of their entries fit in 16 bits.
    pub(crate) fn subsets(&self, values: &[f32], tables: &mut [u8]) -> Steps {
        assert!(tables.len() == values.len().div_ceil(8) * 2 * ENTRIES);
        (self.subsets)(values, tables)
    }

    /// Scores a tile by products in whole numbers; see [`DotInput`]. A bit for each query that has a hit.
    #[inline]
    pub(crate) fn dots(&self, input: DotInput<'_>, output: &mut TileOutput) -> u32 {
        input.check();
        assert!(input.bias.len() <= BLOCK * MAX_BLOCKS);
        let dots = if input.rows.is_some() { self.dots_of_rows } else { Some(self.dots) };
        dots.expect("invariant: asked before")(input, output)
    }

    /// Whether a tile of so many queries may read codes in rows.
    pub(crate) fn reads_rows(&self, count: usize) -> bool {
        self.dots_of_rows.is_some() && count <= ROWS_QUERIES
    }

    /// Lays the codes of a block of `width` lanes (`[dim][width]`) out by fours, as [`DotInput`] has them.
    pub(crate) fn interleave(&self, codes: &[u8], width: usize, out: &mut [u8]) {
        assert!(width == BLOCK || width == NARROW);
        assert!(codes.len().is_multiple_of(width));
        assert!(out.len() == (codes.len() / width).div_ceil(GROUP) * GROUP * width);
        (self.interleave)(codes, width, out);
    }

    /// Rounds a query to 8 bits; see [`RoundInput`]. `factors` is memory for as many values.
    pub(crate) fn round(&self, input: RoundInput<'_>, factors: &mut [f32], out: &mut [i8]) -> Rounded {
        input.check(factors, out);
        (self.round)(input, factors, out)
    }

    /// A bit for each of up to 32 ids: whether the bitmap holds it.
    #[inline]
    pub(crate) fn members(&self, bitmap: Bitmap<'_>, ids: &[i64]) -> u32 {
        assert!(ids.len() <= BLOCK);
        (self.members)(bitmap, ids)
    }

    /// Writes packed codes, a byte each, `[blocks][dim][width]`.
    pub(crate) fn unpack(&self, packed: bitpack::Packed<'_>, out: &mut [u8]) {
        let lanes = packed.blocks.len() / packed.columns;
        assert!(packed.columns >= bitpack::columns(packed.dim, packed.bits));
        assert!(lanes * packed.columns == packed.blocks.len() && lanes * packed.dim == out.len());
        assert!(lanes.is_multiple_of(NARROW));
        (self.unpack)(packed, out);
    }

    /// The squared length of each lane of a block.
    pub(crate) fn squares(&self, vectors: Values<'_>, out: &mut [f32]) {
        assert!(out.len() == BLOCK || out.len() == BLOCK / 2);
        assert!(vectors.len().is_multiple_of(out.len()));
        (self.squares)(vectors, out);
    }
}

#[cfg(test)]
mod tests;
