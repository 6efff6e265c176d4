//! Single rows by AVX2 and by AVX-512.
#![expect(
    unsafe_code,
    reason = "intrinsics and functions of an instruction set; entered only through kernels that `detect` hands out"
)]

use std::arch::x86_64::*;

use half::f16;

use crate::element::{Scalar, Values};
use crate::kernel::CHUNK;
use crate::kernel::pair::{self, Coded, HalfPair, Pair, Pairs, ROWS, SIDE_BY_SIDE, SUMS, Term};

/// Those of AVX2.
pub(super) const AVX2: Pairs = Pairs {
    // One number a register: wider ones would not serve a sum that is in order.
    // SAFETY: the kernels are only reached through `detect`, which saw AVX2 and FMA.
    in_order: |query, rows, scores| unsafe { in_order_fused(query, rows, scores) },
    // SAFETY: as above.
    products: |pairs, out| unsafe { products_avx2(pairs, out) },
    // SAFETY: as above.
    differences: |pairs, out| unsafe { differences_avx2(pairs, out) },
    // SAFETY: as above.
    decode: |row, out| unsafe { decode_avx2(row, out) },
    widen: pair::widen,
    halves: None,
};

/// Those of AVX-512.
pub(super) const AVX512: Pairs = Pairs {
    // SAFETY: the kernels are only reached through `detect`, which saw AVX-512F; `Pairs` checked the lengths.
    in_order: |query, rows, scores| unsafe { in_order_avx512(query, rows, scores) },
    // SAFETY: as above.
    products: |pairs, out| unsafe { products_avx512(pairs, out) },
    // SAFETY: as above.
    differences: |pairs, out| unsafe { differences_avx512(pairs, out) },
    // SAFETY: as above.
    decode: |row, out| unsafe { decode_avx512(row, out) },
    // SAFETY: as above.
    widen: |row, out| unsafe { widen_avx512(row, out) },
    // SAFETY: as above.
    halves: Some(|term, pairs, out| unsafe { halves_avx512(term, pairs, out) }),
};

#[target_feature(enable = "avx2,fma")]
unsafe fn in_order_fused(query: &[f32], rows: &[&[f32]; ROWS], scores: &mut [f32; ROWS]) {
    pair::in_order(query, rows, scores, f32::mul_add);
}

/// A row a lane: values of all rows are brought together four by four.
///
/// # Safety
/// The CPU has AVX-512F, and rows are as long as the query.
#[target_feature(enable = "avx512f")]
unsafe fn in_order_avx512(query: &[f32], rows: &[&[f32]; ROWS], scores: &mut [f32; ROWS]) {
    let rows = rows.map(<[f32]>::as_ptr);
    // SAFETY: values from `d` on, or the one at `d`, are those of rows as long as the query; there are 16 scores.
    unsafe {
        let mut total = _mm512_loadu_ps(scores.as_ptr());
        for from in (0..query.len()).step_by(CHUNK) {
            let to = (from + CHUNK).min(query.len());
            let (fours, rest) = query[from..to].as_chunks::<4>();
            let mut sum = _mm512_setzero_ps();
            let mut d = from;
            for values in fours {
                for (&value, lanes) in values.iter().zip(four_of_each(&rows, d)) {
                    sum = _mm512_fmadd_ps(_mm512_set1_ps(value), lanes, sum);
                }
                d += 4;
            }
            for &value in rest {
                let lanes = rows.map(|row| *row.add(d));
                sum = _mm512_fmadd_ps(_mm512_set1_ps(value), _mm512_loadu_ps(lanes.as_ptr()), sum);
                d += 1;
            }
            total = _mm512_add_ps(total, sum);
        }
        _mm512_storeu_ps(scores.as_mut_ptr(), total);
    }
}

/// Four values of each row from `d` on, a row a lane.
///
/// # Safety
/// The CPU has AVX-512F, and rows so many values.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn four_of_each(rows: &[*const f32; ROWS], d: usize) -> [__m512; 4] {
    // Those of the rows `first`, `first + 4` and so on.
    let quarters = |first: usize| {
        (0..4).fold(_mm512_setzero_ps(), |lanes, quarter| {
            // SAFETY: as for this function.
            let values = unsafe { _mm_loadu_ps(rows[first + 4 * quarter].add(d)) };
            _mm512_mask_broadcast_f32x4(lanes, 0xf << (4 * quarter), values)
        })
    };
    let (a, b, c, d) = (quarters(0), quarters(1), quarters(2), quarters(3));
    let [ab, cd] = [(a, b), (c, d)].map(|(a, b)| {
        [_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)].map(|both| _mm512_castps_pd(both))
    });
    let pairs = |half: usize| {
        [_mm512_unpacklo_pd(ab[half], cd[half]), _mm512_unpackhi_pd(ab[half], cd[half])]
            .map(|lanes| _mm512_castpd_ps(lanes))
    };
    let ([a, b], [c, d]) = (pairs(0), pairs(1));
    [a, b, c, d]
}

#[target_feature(enable = "avx2")]
unsafe fn products_avx2(pairs: &[Pair<'_>], out: &mut [f32]) {
    pair::products(pairs, out);
}

#[target_feature(enable = "avx2")]
unsafe fn differences_avx2(pairs: &[Pair<'_>], out: &mut [f32]) {
    pair::differences(pairs, out);
}

#[target_feature(enable = "avx512f")]
unsafe fn products_avx512(pairs: &[Pair<'_>], out: &mut [f32]) {
    // SAFETY: the caller promises the same.
    unsafe { each(pairs, out, |a, b| _mm512_mul_ps(a, b)) }
}

#[target_feature(enable = "avx512f")]
unsafe fn differences_avx512(pairs: &[Pair<'_>], out: &mut [f32]) {
    let square = |a| _mm512_mul_ps(a, a);
    // SAFETY: the caller promises the same.
    unsafe { each(pairs, out, |a, b| square(_mm512_sub_ps(a, b))) }
}

#[target_feature(enable = "avx512f")]
unsafe fn halves_avx512(term: Term, pairs: &[HalfPair<'_>], out: &mut [f32]) {
    let square = |a| _mm512_mul_ps(a, a);
    // SAFETY: the caller promises the same.
    unsafe {
        match term {
            Term::Product => each(pairs, out, |a, b| _mm512_mul_ps(a, b)),
            Term::Difference => each(pairs, out, |a, b| square(_mm512_sub_ps(a, b))),
        }
    }
}

/// Values of a type as registers of float32.
trait Lanes {
    /// Those from `from` on.
    ///
    /// # Safety
    /// The CPU has AVX-512F, and there are so many.
    unsafe fn load(from: *const Self) -> __m512;

    /// Of those the ones whose bit is set, which are the first; the others are 0.
    ///
    /// # Safety
    /// The CPU has AVX-512F, and there are as many as bits are set.
    unsafe fn load_some(mask: __mmask16, from: *const Self) -> __m512;
}

impl Lanes for f32 {
    #[inline(always)]
    unsafe fn load(from: *const Self) -> __m512 {
        // SAFETY: as for this function.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_some(mask: __mmask16, from: *const Self) -> __m512 {
        // SAFETY: as for this function.
        unsafe { _mm512_maskz_loadu_ps(mask, from) }
    }
}

impl Lanes for f16 {
    #[inline(always)]
    unsafe fn load(from: *const Self) -> __m512 {
        // SAFETY: as for this function.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_some(mask: __mmask16, from: *const Self) -> __m512 {
        let mut values = [Self::ZERO; LANES];
        // SAFETY: as for this function.
        unsafe {
            from.copy_to_nonoverlapping(values.as_mut_ptr(), mask.count_ones() as usize);
            Self::load(values.as_ptr())
        }
    }
}

/// Registers that the sums of a pair are in, and the lanes of one.
const REGISTERS: usize = SUMS / LANES;
const LANES: usize = 16;

/// Adds up what `term` makes of the values of each pair, some pairs side by side.
///
/// # Safety
/// The CPU has AVX-512F, and all vectors are of one length.
#[inline(always)]
unsafe fn each<E: Lanes>(
    pairs: &[(&[f32], &[E])],
    out: &mut [f32],
    term: impl Fn(__m512, __m512) -> __m512 + Copy,
) {
    let (several, rest) = pairs.as_chunks::<SIDE_BY_SIDE>();
    let (several_out, rest_out) = out.as_chunks_mut::<SIDE_BY_SIDE>();
    // SAFETY: the caller promises the same.
    unsafe {
        several.iter().zip(several_out).for_each(|(pairs, out)| *out = sums(pairs, term));
        rest.as_chunks().0.iter().zip(rest_out).for_each(|(pair, out)| [*out] = sums(pair, term));
    }
}

/// # Safety
/// As for [`each`].
#[inline(always)]
unsafe fn sums<const N: usize, E: Lanes>(
    pairs: &[(&[f32], &[E]); N],
    term: impl Fn(__m512, __m512) -> __m512 + Copy,
) -> [f32; N] {
    let len = pairs[0].0.len();
    // SAFETY: `at` and the lanes beyond it that are read lie within vectors of this length.
    unsafe {
        let mut sums = [[_mm512_setzero_ps(); REGISTERS]; N];
        let mut at = 0;
        while at + SUMS <= len {
            for (sums, (a, b)) in sums.iter_mut().zip(pairs) {
                for (sum, at) in sums.iter_mut().zip((at..).step_by(LANES)) {
                    let (a, b) = (f32::load(a.as_ptr().add(at)), E::load(b.as_ptr().add(at)));
                    *sum = _mm512_add_ps(*sum, term(a, b));
                }
            }
            at += SUMS;
        }
        if at < len {
            // Terms of 0 for the lanes without values: they leave a sum that began with 0 as it is.
            let lanes = u32::MAX >> (SUMS - (len - at));
            for (sums, (a, b)) in sums.iter_mut().zip(pairs) {
                for (register, sum) in sums.iter_mut().enumerate() {
                    let mask = (lanes >> (register * LANES) & 0xffff) as __mmask16;
                    let at = at + register * LANES;
                    let a = f32::load_some(mask, a.as_ptr().wrapping_add(at));
                    let b = E::load_some(mask, b.as_ptr().wrapping_add(at));
                    *sum = _mm512_add_ps(*sum, term(a, b));
                }
            }
        }
        sums.map(|sums| total(sums))
    }
}

/// The sum of all lanes, in the order of the oracle: half of them on the other, again and again.
///
/// # Safety
/// The CPU has AVX-512F.
#[inline(always)]
unsafe fn total([low, high]: [__m512; REGISTERS]) -> f32 {
    // SAFETY: the caller has AVX-512F.
    unsafe {
        let sum = _mm512_add_ps(low, high);
        let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(sum)));
        let sum = _mm256_add_ps(_mm512_castps512_ps256(sum), high);
        let sum = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
        let sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
        _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)))
    }
}

#[target_feature(enable = "avx2")]
unsafe fn decode_avx2(row: Coded<'_>, out: &mut [f32]) {
    pair::decode(row, out);
}

/// # Safety
/// The CPU has AVX-512F, and `out` as many values.
#[target_feature(enable = "avx512f")]
unsafe fn widen_avx512(row: Values<'_>, out: &mut [f32]) {
    // SAFETY: a register of values is read where there are so many, and written where as many are.
    unsafe {
        match row {
            Values::F16(row) => {
                widen_by(row, out, |row| _mm512_cvtph_ps(_mm256_loadu_si256(row.cast())));
            }
            Values::Bf16(row) => widen_by(row, out, |row| {
                let words = _mm512_cvtepu16_epi32(_mm256_loadu_si256(row.cast()));
                _mm512_castsi512_ps(_mm512_slli_epi32::<16>(words))
            }),
            Values::U8(row) => {
                widen_by(row, out, |row| {
                    _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(row.cast())))
                });
            }
            Values::F32(row) => out.copy_from_slice(row),
        }
    }
}

/// # Safety
/// As for [`widen_avx512`]; `load` reads a register's values.
#[inline(always)]
unsafe fn widen_by<E: Scalar>(row: &[E], out: &mut [f32], load: impl Fn(*const E) -> __m512) {
    let (whole, rest) = row.as_chunks::<LANES>();
    let (whole_out, rest_out) = out.as_chunks_mut::<LANES>();
    for (row, out) in whole.iter().zip(whole_out) {
        // SAFETY: as for this function.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), load(row.as_ptr())) };
    }
    E::widen(rest, rest_out);
}

#[target_feature(enable = "avx512f")]
unsafe fn decode_avx512(row: Coded<'_>, out: &mut [f32]) {
    if row.bits < 8 {
        return pair::decode(row, out);
    }
    let Coded { codes, scale, offset, .. } = row;
    for (d, out) in (0..).step_by(LANES).zip(out.chunks_mut(LANES)) {
        let mask = __mmask16::MAX >> (LANES - out.len());
        // SAFETY: codes, scales and offsets are as many as the values, of which these are.
        unsafe {
            let bytes = if out.len() == LANES {
                _mm_loadu_si128(codes.as_ptr().add(d).cast())
            } else {
                let mut last = [0; LANES];
                last[..out.len()].copy_from_slice(&codes[d..]);
                _mm_loadu_si128(last.as_ptr().cast())
            };
            let code = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
            let scale = _mm512_maskz_loadu_ps(mask, scale.as_ptr().add(d));
            let offset = _mm512_maskz_loadu_ps(mask, offset.as_ptr().add(d));
            let values = _mm512_add_ps(offset, _mm512_mul_ps(scale, code));
            _mm512_mask_storeu_ps(out.as_mut_ptr(), mask, values);
        }
    }
}
