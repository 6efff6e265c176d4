//! Tables of a product quantizer (Jégou et al., PAMI 2011): what each part of a query gives with each word of the
//! part's codebook, in whole or rounded to bytes for [`super::lookup`]; and how vectors are coded by words.
//!
//! All is written once, without intrinsics, to be inlined where an instruction set is enabled; x86-64 has kernels of its
//! own for the sums. Products and sums are rounded apart and in one order: all instruction sets give the same bits.

use super::along::{
    Along, NearestAlongFn, NearestOfRowsAlongFn, first_of_least, nearest_along, nearest_of_rows_along,
};
use super::lookup::{ENTRIES, MOST, Steps};
use super::words::{LANES, NearestOfRowsFn, Words, nearest_of_rows};
use super::{TileOutput, bitpack};
use crate::lists::block::BLOCK;

/// Words that are handled side by side, and what their number is a multiple of.
pub(super) const WORDS: usize = 16;

/// The words of all parts of a vector, as kernels read them.
#[derive(Clone, Copy)]
pub(crate) struct Book<'a> {
    /// Words a part: 16 or 256.
    pub(crate) words: usize,
    /// `[parts][dim / parts][words]`.
    pub(crate) values: &'a [f32],
    /// Half the squared length of each word, `[parts][words]`.
    pub(crate) halves: &'a [f32],
}

impl Book<'_> {
    /// Fails unless the slices fit a vector of `dim` values.
    fn check(&self, dim: usize) {
        assert!(self.words.is_multiple_of(WORDS) && self.halves.len().is_multiple_of(self.words));
        let parts = self.halves.len() / self.words;
        assert!(parts > 0 && dim.is_multiple_of(parts) && self.values.len() == dim * self.words);
    }

    /// Words of a part, their halves, and the part of a vector.
    #[inline(always)]
    pub(super) fn parts<'b>(
        &'b self,
        vector: &'b [f32],
    ) -> impl Iterator<Item = (&'b [f32], &'b [f32], &'b [f32])> {
        let each = vector.len() / (self.halves.len() / self.words);
        let words = self.values.chunks_exact(each * self.words);
        words
            .zip(self.halves.chunks_exact(self.words))
            .zip(vector.chunks_exact(each))
            .map(|((words, halves), part)| (words, halves, part))
    }
}

/// What adds up table entries of floats for one query.
#[derive(Clone, Copy)]
pub(crate) struct SumInput<'a> {
    /// `[parts][words]`; 16 words if a code has four bits, 256 if it has eight.
    pub(crate) tables: &'a [f32],
    pub(crate) words: usize,
    /// A score at or above it is a hit.
    pub(crate) threshold: f32,
    /// Blocks of bytes, `[blocks][columns][width]`.
    pub(crate) codes: &'a [u8],
    /// What each lane's score starts from; its length tells the number of lanes: 16, or 32 a block.
    pub(crate) bias: &'a [f32],
}

impl SumInput<'_> {
    /// Lanes of a block.
    #[inline(always)]
    pub(super) fn width(&self) -> usize {
        self.bias.len().min(BLOCK)
    }

    /// Bytes of a lane.
    #[inline(always)]
    pub(super) fn columns(&self) -> usize {
        self.codes.len() / self.bias.len()
    }

    fn bits(&self) -> u32 {
        if self.words == ENTRIES { 4 } else { 8 }
    }

    fn check(&self) {
        let lanes = self.bias.len();
        assert!(lanes.is_multiple_of(BLOCK) || lanes == BLOCK / 2);
        assert!(self.words == ENTRIES || self.words == 256);
        let columns = bitpack::columns(self.tables.len() / self.words, self.bits());
        assert!(self.tables.len().is_multiple_of(self.words) && self.codes.len() == columns * lanes);
    }
}

/// The functions of one instruction set.
pub(crate) struct Tables {
    pub(super) products: fn(&Book<'_>, &[f32], &mut [f32]),
    pub(super) quantize: fn(&[f32], &mut [u8]) -> Steps,
    pub(super) nearest: fn(&Book<'_>, &[f32], &mut [u8]),
    pub(super) nearest_of_rows: NearestOfRowsFn,
    pub(super) nearest_along: NearestAlongFn,
    pub(super) nearest_of_rows_along: NearestOfRowsAlongFn,
    pub(super) add_up: fn(SumInput<'_>, usize, &mut TileOutput) -> bool,
}

/// Those of none in particular: the oracle.
pub(super) const SCALAR: Tables =
    Tables { products, quantize, nearest, nearest_of_rows, nearest_along, nearest_of_rows_along, add_up };

impl Tables {
    /// Writes the product of each part of `query` with each word: `[parts][words]`.
    pub(crate) fn products(&self, book: &Book<'_>, query: &[f32], out: &mut [f32]) {
        book.check(query.len());
        assert!(out.len() == book.halves.len());
        (self.products)(book, query, out);
    }

    /// Rounds tables (`[parts][ENTRIES]`) to bytes, `[columns][2][ENTRIES]`; the last one is 0 if there is one more
    /// than parts. No sum of entries passes 2^16.
    pub(crate) fn quantize(&self, tables: &[f32], out: &mut [u8]) -> Steps {
        assert!(out.len() == (tables.len() / ENTRIES).next_multiple_of(2) * ENTRIES);
        (self.quantize)(tables, out)
    }

    /// Writes the number of the word nearest to each part of `vector`, the first of equals: `[parts]`.
    pub(crate) fn nearest(&self, book: &Book<'_>, vector: &[f32], codes: &mut [u8]) {
        book.check(vector.len());
        assert!(book.words <= 256 && codes.len() == book.halves.len() / book.words);
        (self.nearest)(book, vector, codes);
    }

    /// Writes the number of the word nearest to each of some rows (`[dim][LANES]`), the first of equals, and its squared
    /// distance, as products tell it: not below 0.
    #[inline]
    pub(crate) fn nearest_of_rows(
        &self,
        words: &Words<'_>,
        rows: &[[f32; LANES]],
        numbers: &mut [u32; LANES],
        distances: &mut [f32; LANES],
    ) {
        assert!(words.values.len() == words.halves.len() * rows.len());
        (self.nearest_of_rows)(words, rows, numbers, distances);
    }

    /// The same as [`Self::nearest`] for inner products: an error along the vector (which is what `vector` is the residual
    /// of, behind a centroid) counts more than one across it. `scale` is 1 by the vector's length, or 0; `aims` is what
    /// each part's product with the vector's direction is to be, `[parts]`.
    pub(crate) fn nearest_along(
        &self,
        book: &Book<'_>,
        along: Along<'_>,
        vector: &[f32],
        scale: f32,
        aims: &[f32],
        codes: &mut [u8],
    ) {
        book.check(vector.len());
        let parts = book.halves.len() / book.words;
        assert!(book.words <= 256 && aims.len() == parts && codes.len() == parts);
        assert!(along.of_centroid.is_empty() || along.of_centroid.len() == book.halves.len());
        (self.nearest_along)(book, along, vector, scale, aims, codes);
    }

    /// The same for some rows (`[dim][LANES]`) side by side; `words` are those of all parts, one part after another,
    /// `aims` and `numbers` `[parts][LANES]`.
    pub(crate) fn nearest_of_rows_along(
        &self,
        words: &Words<'_>,
        along: Along<'_>,
        rows: &[[f32; LANES]],
        scales: &[f32; LANES],
        aims: &[[f32; LANES]],
        numbers: &mut [[u32; LANES]],
    ) {
        let (dim, parts, all) = (rows.len(), numbers.len(), words.halves.len());
        assert!(parts > 0 && dim.is_multiple_of(parts) && all.is_multiple_of(parts) && all <= 256 * parts);
        assert!(words.values.len() == all * (dim / parts) && aims.len() == parts);
        assert!(along.of_centroid.is_empty() || along.of_centroid.len() == all);
        (self.nearest_of_rows_along)(words, along, rows, scales, aims, numbers);
    }

    /// Scores blocks by tables of floats, as query number `query` of the output; whether there is a hit.
    pub(crate) fn add_up(&self, input: SumInput<'_>, query: usize, output: &mut TileOutput) -> bool {
        input.check();
        (self.add_up)(input, query, output)
    }
}

/// The products of a part with [`WORDS`] words from `first` on.
#[inline(always)]
pub(super) fn products_of(part: &[f32], words: &[f32], count: usize, first: usize) -> [f32; WORDS] {
    let mut sums = [0f32; WORDS];
    for (value, row) in part.iter().zip(words.chunks_exact(count)) {
        let row: &[f32; WORDS] = &row.as_chunks().0[first];
        for (sum, word) in sums.iter_mut().zip(row) {
            *sum += value * word;
        }
    }
    sums
}

/// See [`Tables::products`].
#[inline(always)]
pub(super) fn products(book: &Book<'_>, query: &[f32], out: &mut [f32]) {
    for ((words, _, part), out) in book.parts(query).zip(out.chunks_exact_mut(book.words)) {
        for (first, out) in out.as_chunks_mut::<WORDS>().0.iter_mut().enumerate() {
            *out = products_of(part, words, book.words, first);
        }
    }
}

/// The least and the greatest of a table.
#[inline(always)]
fn extremes(table: &[f32; ENTRIES]) -> (f32, f32) {
    const HALF: usize = ENTRIES / 2;
    // Plain comparisons: `min` and `max` would look for NaN.
    let (mut least, mut most) = ([0f32; HALF], [0f32; HALF]);
    for lane in 0..HALF {
        let (a, b) = (table[lane], table[lane + HALF]);
        (least[lane], most[lane]) = if a < b { (a, b) } else { (b, a) };
    }
    let mut width = HALF / 2;
    while width > 0 {
        for lane in 0..width {
            least[lane] = if least[lane + width] < least[lane] { least[lane + width] } else { least[lane] };
            most[lane] = if most[lane + width] > most[lane] { most[lane + width] } else { most[lane] };
        }
        width /= 2;
    }
    (least[0], most[0])
}

/// Added to a number below 256 it rounds it to a whole one, which the lowest byte holds.
pub(super) const WHOLE: f32 = 8_388_608.0;

/// The largest entry of so many tables that are rounded to bytes: their sum is below 2^16.
#[inline(always)]
pub(super) fn most_of(tables: usize) -> u8 {
    let room = usize::from(u16::MAX) / tables.max(1);
    u8::try_from(room).unwrap_or(MOST).min(MOST)
}

/// What sums of entries stand for, if tables begin with values that add up to `base` and the widest is so wide; and how
/// many steps 1 is.
#[inline(always)]
pub(super) fn steps_of(base: f32, widest: f32, most: u8) -> (Steps, f32) {
    // Smaller ones are as good as 0.
    let (step, inverse) =
        if widest > 1e-30 { (widest / f32::from(most), f32::from(most) / widest) } else { (0.0, 0.0) };
    (Steps { base, step }, inverse)
}

/// See [`Tables::quantize`].
#[inline(always)]
pub(super) fn quantize(tables: &[f32], out: &mut [u8]) -> Steps {
    let tables = tables.as_chunks::<ENTRIES>().0;
    let outs = out.as_chunks_mut::<ENTRIES>().0;
    let most = most_of(outs.len());
    let (mut base, mut widest) = (0f32, 0f32);
    for table in tables {
        let (least, greatest) = extremes(table);
        base += least;
        widest = if greatest - least > widest { greatest - least } else { widest };
    }
    let (steps, inverse) = steps_of(base, widest, most);
    for (out, table) in outs.iter_mut().zip(tables) {
        let (least, _) = extremes(table);
        for (out, value) in out.iter_mut().zip(table) {
            // No entry may pass the most, not even one that is no number.
            let whole = (value - least) * inverse + WHOLE;
            *out = whole.to_bits().to_le_bytes()[0].min(most);
        }
    }
    outs[tables.len()..].iter_mut().for_each(|table| *table = [0; ENTRIES]);
    steps
}

/// See [`Tables::nearest`].
#[inline(always)]
pub(super) fn nearest(book: &Book<'_>, vector: &[f32], codes: &mut [u8]) {
    for ((words, halves, part), code) in book.parts(vector).zip(codes) {
        let (mut best, mut firsts) = ([f32::INFINITY; WORDS], [0u32; WORDS]);
        for (first, halves) in (0u32..).zip(halves.as_chunks::<WORDS>().0) {
            let products = products_of(part, words, book.words, first as usize);
            for lane in 0..WORDS {
                let far = halves[lane] - products[lane];
                let nearer = far < best[lane];
                best[lane] = if nearer { far } else { best[lane] };
                firsts[lane] = if nearer { first } else { firsts[lane] };
            }
        }
        let found = first_of_least(best, firsts);
        *code = u8::try_from(found).unwrap_or(u8::MAX);
    }
}

/// What `take` leaves of all lanes, half of them with the other half, again and again.
#[inline(always)]
pub(super) fn side_by_side<T: Copy>(mut lanes: [T; WORDS], take: impl Fn(T, T) -> T) -> T {
    let mut width = WORDS / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] = take(lanes[lane], lanes[lane + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// See [`Tables::add_up`].
#[inline(always)]
pub(super) fn add_up(input: SumInput<'_>, query: usize, output: &mut TileOutput) -> bool {
    let (width, columns) = (input.width(), input.columns());
    let mut any = false;
    let blocks = input.codes.chunks_exact(columns * width).zip(input.bias.chunks_exact(width));
    for (block, (codes, bias)) in blocks.enumerate() {
        let scores = &mut output.scores[query][block][..width];
        scores.copy_from_slice(bias);
        let mut sums = [0f32; BLOCK];
        let sums = &mut sums[..width];
        if input.words == ENTRIES {
            let tables = input.tables.as_chunks::<ENTRIES>().0;
            for (pair, row) in tables.chunks(2).zip(codes.chunks_exact(width)) {
                for (sum, &byte) in sums.iter_mut().zip(row) {
                    *sum += pair[0][usize::from(byte & 15)];
                }
                let Some(table) = pair.get(1) else { continue };
                for (sum, &byte) in sums.iter_mut().zip(row) {
                    *sum += table[usize::from(byte >> 4)];
                }
            }
        } else {
            let tables = input.tables.as_chunks::<256>().0;
            for (table, row) in tables.iter().zip(codes.chunks_exact(width)) {
                for (sum, &byte) in sums.iter_mut().zip(row) {
                    *sum += table[usize::from(byte)];
                }
            }
        }
        let mut hits = 0;
        for (lane, (score, sum)) in scores.iter_mut().zip(&*sums).enumerate() {
            *score += sum;
            hits |= u32::from(*score >= input.threshold) << lane;
        }
        output.hits[query][block] = hits;
        any |= hits != 0;
    }
    any
}
