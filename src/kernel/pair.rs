//! A query against rows that lie in memory by themselves, as values or as codes that stand for them: what the second
//! stage of a search compares.
//!
//! Terms are added up side by side in one order and rounded apart: all instruction sets give the same bits.

use half::f16;

use super::{CHUNK, bitpack};
use crate::element::Values;

/// Sums side by side: enough to hide the latency of the adds.
pub(super) const SUMS: usize = 32;

/// Two vectors, as long as one another.
pub(crate) type Pair<'a> = (&'a [f32], &'a [f32]);

/// A vector and one of float16.
pub(crate) type HalfPair<'a> = (&'a [f32], &'a [f16]);

/// What is added up of the values of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Term {
    Product,
    /// The square of their difference.
    Difference,
}

/// Pairs that are worth handing over together: rows that lie apart are then waited for together.
pub(crate) const SIDE_BY_SIDE: usize = 4;

/// Rows that are scored at a time in the order of a tile: sums that do not wait for each other.
pub(crate) const ROWS: usize = 16;

/// As many of them as have a register each.
const HALF: usize = ROWS / 2;

/// See [`Pairs::in_order`].
pub(super) type InOrderFn = fn(&[f32], &[&[f32]; ROWS], &mut [f32; ROWS]);

/// The functions of one instruction set.
pub(crate) struct Pairs {
    pub(super) in_order: InOrderFn,
    pub(super) products: fn(&[Pair<'_>], &mut [f32]),
    pub(super) differences: fn(&[Pair<'_>], &mut [f32]),
    pub(super) decode: fn(Coded<'_>, &mut [f32]),
    pub(super) widen: fn(Values<'_>, &mut [f32]),
    /// Where it is faster than to widen the row first.
    pub(super) halves: Option<HalvesFn>,
}

/// See [`Pairs::halves`].
pub(super) type HalvesFn = fn(Term, &[HalfPair<'_>], &mut [f32]);

/// A row of codes that each stand for `offset + scale * code`.
#[derive(Clone, Copy)]
pub(crate) struct Coded<'a> {
    /// Of a code: 4, 6 or 8.
    pub(crate) bits: u32,
    /// Packed by [`bitpack`].
    pub(crate) codes: &'a [u8],
    /// `[dim]`.
    pub(crate) scale: &'a [f32],
    /// `[dim]`.
    pub(crate) offset: &'a [f32],
}

/// Those of none in particular: the oracle.
pub(super) const SCALAR: Pairs = Pairs {
    in_order: |query, rows, scores| in_order(query, rows, scores, |a, b, sum| sum + a * b),
    products,
    differences,
    decode,
    widen,
    halves: None,
};

/// The same where multiply-adds are fused by default.
#[cfg(target_arch = "aarch64")]
pub(super) const FUSED: Pairs =
    Pairs { in_order: |query, rows, scores| in_order(query, rows, scores, f32::mul_add), ..SCALAR };

impl Pairs {
    /// The product of two vectors.
    #[inline]
    pub(crate) fn product(&self, a: &[f32], b: &[f32]) -> f32 {
        let mut product = [0.0];
        self.products(&[(a, b)], &mut product);
        product[0]
    }

    /// Adds the products of a query with rows to `scores`, which start from the rows' biases: bit by bit what a tile of
    /// these kernels has, see [`super::Kernels::tile`].
    #[inline]
    pub(crate) fn in_order(&self, query: &[f32], rows: &[&[f32]; ROWS], scores: &mut [f32; ROWS]) {
        assert!(rows.iter().all(|row| row.len() == query.len()));
        (self.in_order)(query, rows, scores);
    }

    /// The squared length of the difference of two vectors.
    #[inline]
    pub(crate) fn difference(&self, a: &[f32], b: &[f32]) -> f32 {
        let mut difference = [0.0];
        self.differences(&[(a, b)], &mut difference);
        difference[0]
    }

    /// The products of pairs that are all of one length; `[pairs]`.
    #[inline]
    pub(crate) fn products(&self, pairs: &[Pair<'_>], out: &mut [f32]) {
        check(pairs, out);
        (self.products)(pairs, out);
    }

    /// The same, or the squared lengths of their differences, of rows of float16: bit by bit what rows that were widened
    /// have. `None` if these kernels are no faster so.
    #[inline]
    pub(crate) fn halves(&self) -> Option<impl Fn(Term, &[HalfPair<'_>], &mut [f32]) + use<>> {
        let halves = self.halves?;
        Some(move |term, pairs: &[HalfPair<'_>], out: &mut [f32]| {
            check(pairs, out);
            halves(term, pairs, out);
        })
    }

    /// The squared lengths of the differences of pairs that are all of one length; `[pairs]`.
    #[inline]
    pub(crate) fn differences(&self, pairs: &[Pair<'_>], out: &mut [f32]) {
        check(pairs, out);
        (self.differences)(pairs, out);
    }

    /// Writes a row of values as float32.
    #[inline]
    pub(crate) fn widen(&self, row: Values<'_>, out: &mut [f32]) {
        assert!(row.len() == out.len());
        (self.widen)(row, out);
    }

    /// Writes what a row of codes stands for.
    #[inline]
    pub(crate) fn decode(&self, row: Coded<'_>, out: &mut [f32]) {
        let dim = out.len();
        assert!(row.scale.len() == dim && row.offset.len() == dim);
        assert!(row.codes.len() == bitpack::columns(dim, row.bits));
        (self.decode)(row, out);
    }
}

#[inline]
fn check<E>(pairs: &[(&[f32], &[E])], out: &[f32]) {
    let len = pairs.first().map_or(0, |(a, _)| a.len());
    assert!(pairs.len() == out.len() && pairs.iter().all(|(a, b)| a.len() == len && b.len() == len));
}

/// Adds up what `term` makes of each pair of values.
#[inline(always)]
fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0f32; SUMS];
    let (whole_a, rest_a) = a.as_chunks::<SUMS>();
    let (whole_b, rest_b) = b.as_chunks::<SUMS>();
    for (a, b) in whole_a.iter().zip(whole_b) {
        for (sum, (&a, &b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += term(a, b);
        }
    }
    for (sum, (&a, &b)) in sums.iter_mut().zip(rest_a.iter().zip(rest_b)) {
        *sum += term(a, b);
    }
    let mut width = SUMS / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

/// See [`Pairs::in_order`]; `add` gives the product of two numbers plus a third.
#[inline(always)]
pub(super) fn in_order(
    query: &[f32],
    rows: &[&[f32]; ROWS],
    scores: &mut [f32; ROWS],
    add: impl Fn(f32, f32, f32) -> f32 + Copy,
) {
    for (rows, scores) in rows.as_chunks().0.iter().zip(scores.as_chunks_mut().0) {
        in_order_half(query, rows, scores, add);
    }
}

#[inline(always)]
fn in_order_half(
    query: &[f32],
    rows: &[&[f32]; HALF],
    scores: &mut [f32; HALF],
    add: impl Fn(f32, f32, f32) -> f32,
) {
    // So many values at a time, whose number the compiler knows.
    const STEP: usize = 16;
    for from in (0..query.len()).step_by(CHUNK) {
        let to = (from + CHUNK).min(query.len());
        let (query, rest) = query[from..to].as_chunks::<STEP>();
        let rows = rows.map(|row| row[from..to].as_chunks::<STEP>());
        let mut sums = [0f32; HALF];
        for (at, values) in query.iter().enumerate() {
            let rows = rows.map(|(row, _)| &row[at]);
            for (d, &value) in values.iter().enumerate() {
                for (sum, row) in sums.iter_mut().zip(&rows) {
                    *sum = add(value, row[d], *sum);
                }
            }
        }
        for (d, &value) in rest.iter().enumerate() {
            for (sum, (_, row)) in sums.iter_mut().zip(&rows) {
                *sum = add(value, row[d], *sum);
            }
        }
        scores.iter_mut().zip(sums).for_each(|(score, sum)| *score += sum);
    }
}

/// See [`Pairs::products`].
#[inline(always)]
pub(super) fn products(pairs: &[Pair<'_>], out: &mut [f32]) {
    pairs.iter().zip(out).for_each(|((a, b), out)| *out = sum(a, b, |a, b| a * b));
}

/// See [`Pairs::differences`].
#[inline(always)]
pub(super) fn differences(pairs: &[Pair<'_>], out: &mut [f32]) {
    pairs.iter().zip(out).for_each(|((a, b), out)| *out = sum(a, b, |a, b| (a - b) * (a - b)));
}

/// See [`Pairs::widen`].
pub(super) fn widen(row: Values<'_>, out: &mut [f32]) {
    row.widen(out);
}

/// See [`Pairs::decode`].
#[inline(always)]
pub(super) fn decode(Coded { bits, codes, scale, offset }: Coded<'_>, out: &mut [f32]) {
    match bits {
        4 => decode_packed::<4>(codes, scale, offset, out),
        6 => decode_packed::<6>(codes, scale, offset, out),
        _ => decode_packed::<8>(codes, scale, offset, out),
    }
}

/// Eight codes of any width begin a byte: they are one word's shifts.
#[inline(always)]
fn decode_packed<const BITS: usize>(codes: &[u8], scale: &[f32], offset: &[f32], out: &mut [f32]) {
    const CODES: usize = 8;
    let mask = 0xff >> (8 - BITS);
    let scaled = scale.chunks(CODES).zip(offset.chunks(CODES));
    for ((codes, (scale, offset)), out) in codes.chunks(BITS).zip(scaled).zip(out.chunks_mut(CODES)) {
        let mut word = [0; 8];
        word[..codes.len()].copy_from_slice(codes);
        let word = u64::from_le_bytes(word);
        for (d, ((&scale, &offset), out)) in scale.iter().zip(offset).zip(out).enumerate() {
            let [code, ..] = (word >> (d * BITS)).to_le_bytes();
            *out = offset + scale * f32::from(code & mask);
        }
    }
}

/// As much of what is soon to be read as has to be asked for: what follows comes by itself.
#[inline]
pub(crate) fn begin(bytes: &[u8]) -> &[u8] {
    const BYTES: usize = 2048;
    &bytes[..bytes.len().min(BYTES)]
}

/// Has a value fetched that is soon to be read.
#[inline]
pub(crate) fn prefetch<T: ?Sized>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    hint::<{ std::arch::x86_64::_MM_HINT_T0 }, T>(value);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// Has one fetched that is to be read after others: to the second cache, to which twice as many lines can be on their
/// way as to the first, and no load waits for their places.
#[inline]
pub(crate) fn prefetch_early<T: ?Sized>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    hint::<{ std::arch::x86_64::_MM_HINT_T1 }, T>(value);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn hint<const HINT: i32, T: ?Sized>(value: &T) {
    const LINE: usize = 64;
    let start = std::ptr::from_ref(value).cast::<i8>();
    for line in (0..size_of_val(value)).step_by(LINE) {
        #[expect(unsafe_code, reason = "a hint")]
        // SAFETY: a prefetch of any address does no harm.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<HINT>(start.wrapping_add(line));
        }
    }
}
