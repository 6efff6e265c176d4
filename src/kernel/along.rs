//! Vectors coded by words for inner products (Guo et al., ICML 2020, "anisotropic" quantization): what a code loses
//! along the vector counts more than what it loses across it, since queries that the vector answers lie its way.
//!
//! Along the vector nothing is asked of a code but that it keeps the same share of every vector: that all scores shrink
//! alike changes no order, and words that are means shrink what they stand for. Parts are coded one after another, each
//! by what the ones before have lost so far, and those of few words once more by what all others have.
//!
//! Written once, without intrinsics, to be inlined where an instruction set is enabled. Products and sums are rounded
//! apart and in one order: all instruction sets give the same bits, and one row those of rows side by side.

use super::tables::{Book, WORDS, products_of, side_by_side};
use super::words::{LANES, Words};

/// How much more a squared error along the vector counts than one across it: three times as much, of which 1 is in the
/// distance; halved, as distances are halves. Twice this finds a little more and loses twice as much in reconstruction.
const HALF_WEIGHT: f32 = 1.0;

/// How often a part of so many words is coded: many words are fine enough for what parts before have lost.
fn passes(words: usize) -> usize {
    if words > WORDS { 1 } else { 2 }
}

/// Products of a centroid that is none.
static NONE: [f32; 256] = [0.0; 256];

/// What vectors are coded by, beside their words.
#[derive(Clone, Copy)]
pub(crate) struct Along<'a> {
    /// The products of the words with the centroid that vectors are residuals from, `[parts][words]`; nothing = from 0.
    pub(crate) of_centroid: &'a [f32],
}

impl<'a> Along<'a> {
    /// Those of a part of `count` words.
    #[inline(always)]
    fn of(&self, part: usize, count: usize) -> &'a [f32] {
        self.of_centroid.get(part * count..(part + 1) * count).unwrap_or(&NONE[..count])
    }
}

/// See [`super::Tables::nearest_along`].
pub(super) type NearestAlongFn = fn(&Book<'_>, Along<'_>, &[f32], f32, &[f32], &mut [u8]);

/// See [`super::Tables::nearest_of_rows_along`].
pub(super) type NearestOfRowsAlongFn =
    fn(&Words<'_>, Along<'_>, &[[f32; LANES]], &[f32; LANES], &[[f32; LANES]], &mut [[u32; LANES]]);

/// See [`super::Tables::nearest_along`].
#[inline(always)]
pub(super) fn nearest_along(
    book: &Book<'_>,
    along: Along<'_>,
    vector: &[f32],
    scale: f32,
    aims: &[f32],
    codes: &mut [u8],
) {
    let mut owns = vec![0f32; codes.len()];
    let mut off = 0f32;
    for _ in 0..passes(book.words) {
        let parts = book.parts(vector).zip(aims).enumerate();
        for ((part, ((words, halves, vector), aim)), (code, own)) in
            parts.zip(codes.iter_mut().zip(&mut owns))
        {
            let rest = off - *own;
            let base = rest - aim;
            let of_centroid = along.of(part, book.words);
            let (mut best, mut firsts) = ([f32::INFINITY; WORDS], [0f32; WORDS]);
            let groups = halves.as_chunks::<WORDS>().0.iter().zip(of_centroid.as_chunks::<WORDS>().0);
            for (first, (halves, of_centroid)) in (0u8..).zip(groups) {
                let products = products_of(vector, words, book.words, usize::from(first));
                // As a float: what is chosen by one comparison stays in registers if it is of one kind.
                let number = f32::from(first);
                let mut far = [0f32; WORDS];
                for lane in 0..WORDS {
                    let off = base + (products[lane] + of_centroid[lane]) * scale;
                    far[lane] = lost(halves[lane], products[lane], off);
                }
                for lane in 0..WORDS {
                    let nearer = far[lane] < best[lane];
                    firsts[lane] = if nearer { number } else { firsts[lane] };
                    best[lane] = if nearer { far[lane] } else { best[lane] };
                }
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 15")]
            let found = first_of_least(best, firsts.map(|first| first as u32));
            let values = vector.iter().zip(words.chunks_exact(book.words));
            let product = values.fold(0.0, |sum, (value, row)| sum + value * row[found as usize]);
            off = base + (product + of_centroid[found as usize]) * scale;
            *own = off - rest;
            *code = u8::try_from(found).unwrap_or(u8::MAX);
        }
    }
}

/// The number of the first of the words whose distance is least: of each lane the least, and which of the lane's words
/// it is of.
#[inline(always)]
pub(super) fn first_of_least(best: [f32; WORDS], firsts: [u32; WORDS]) -> u32 {
    let least = side_by_side(best, |a, b| if b < a { b } else { a });
    let mut numbers = [u32::MAX; WORDS];
    for lane in 0..WORDS {
        #[expect(clippy::cast_possible_truncation, reason = "below 16")]
        let number = firsts[lane] * WORDS as u32 + lane as u32;
        numbers[lane] = if best[lane] == least { number } else { u32::MAX };
    }
    side_by_side(numbers, |a, b| if b < a { b } else { a })
}

/// What is to be least: half the squared distance of a part, less a constant, and what the whole is off along the vector.
#[inline(always)]
fn lost(half: f32, product: f32, off: f32) -> f32 {
    (half - product) + HALF_WEIGHT * off * off
}

/// See [`super::Tables::nearest_of_rows_along`].
#[inline(always)]
pub(super) fn nearest_of_rows_along<'w>(
    words: &Words<'w>,
    along: Along<'w>,
    rows: &[[f32; LANES]],
    scales: &[f32; LANES],
    aims: &[[f32; LANES]],
    numbers: &mut [[u32; LANES]],
) {
    // As in [`super::words`].
    match rows.len() / numbers.len() {
        1 => of_dimensions::<1>(words, along, rows, scales, aims, numbers),
        2 => of_dimensions::<2>(words, along, rows, scales, aims, numbers),
        3 => of_dimensions::<3>(words, along, rows, scales, aims, numbers),
        4 => of_dimensions::<4>(words, along, rows, scales, aims, numbers),
        6 => of_dimensions::<6>(words, along, rows, scales, aims, numbers),
        8 => of_dimensions::<8>(words, along, rows, scales, aims, numbers),
        each => code(words, along, rows, scales, aims, numbers, |values| values.chunks_exact(each)),
    }
}

/// As [`code`], in parts of `D` dimensions.
#[inline(always)]
fn of_dimensions<'w, const D: usize>(
    words: &Words<'w>,
    along: Along<'w>,
    rows: &[[f32; LANES]],
    scales: &[f32; LANES],
    aims: &[[f32; LANES]],
    numbers: &mut [[u32; LANES]],
) {
    code(words, along, rows, scales, aims, numbers, |values| {
        values.as_chunks::<D>().0.iter().map(|word| &word[..])
    });
}

/// See [`super::Tables::nearest_of_rows_along`]; `words_of` walks over the words of a part.
#[inline(always)]
fn code<'w, I: Iterator<Item = &'w [f32]>>(
    words: &Words<'w>,
    along: Along<'w>,
    rows: &[[f32; LANES]],
    scales: &[f32; LANES],
    aims: &[[f32; LANES]],
    numbers: &mut [[u32; LANES]],
    words_of: impl Fn(&'w [f32]) -> I,
) {
    let (parts, each) = (numbers.len(), rows.len() / numbers.len());
    let count = words.halves.len() / parts;
    let mut owns = vec![[0f32; LANES]; parts];
    let mut off = [0f32; LANES];
    for _ in 0..passes(count) {
        for (part, (numbers, own)) in numbers.iter_mut().zip(&mut owns).enumerate() {
            let (mut rest, mut base) = ([0f32; LANES], [0f32; LANES]);
            for lane in 0..LANES {
                rest[lane] = off[lane] - own[lane];
                base[lane] = rest[lane] - aims[part][lane];
            }
            let values = words_of(&words.values[part * count * each..(part + 1) * count * each]);
            let halves = &words.halves[part * count..(part + 1) * count];
            let words = values.zip(halves.iter().zip(along.of(part, count)));
            off = nearest(words, &rows[part * each..(part + 1) * each], scales, &base, numbers);
            for lane in 0..LANES {
                own[lane] = off[lane] - rest[lane];
            }
        }
    }
}

/// Codes a part of rows that without it are off by `base` along their directions; tells by how much they are with it.
#[inline(always)]
fn nearest<'w>(
    words: impl Iterator<Item = (&'w [f32], (&'w f32, &'w f32))>,
    rows: &[[f32; LANES]],
    scales: &[f32; LANES],
    base: &[f32; LANES],
    numbers: &mut [u32; LANES],
) -> [f32; LANES] {
    let (mut best, mut firsts, mut offs) = ([f32::INFINITY; LANES], [0u32; LANES], [0f32; LANES]);
    for (number, (word, (&half, &of_centroid))) in (0u32..).zip(words) {
        let mut products = [0f32; LANES];
        for (row, value) in rows.iter().zip(word) {
            products.iter_mut().zip(row).for_each(|(sum, of_row)| *sum += of_row * value);
        }
        // In loops of their own, and the least last: else the compiler keeps what is chosen in memory.
        let (mut off, mut far) = ([0f32; LANES], [0f32; LANES]);
        for lane in 0..LANES {
            off[lane] = base[lane] + (products[lane] + of_centroid) * scales[lane];
            far[lane] = lost(half, products[lane], off[lane]);
        }
        for lane in 0..LANES {
            let nearer = far[lane] < best[lane];
            firsts[lane] = if nearer { number } else { firsts[lane] };
            offs[lane] = if nearer { off[lane] } else { offs[lane] };
            best[lane] = if nearer { far[lane] } else { best[lane] };
        }
    }
    *numbers = firsts;
    offs
}
