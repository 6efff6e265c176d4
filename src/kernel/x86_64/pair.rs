//! Single rows by AVX2 and by AVX-512.
#![expect(
    unsafe_code,
    reason = "intrinsics and functions of an instruction set; entered only through kernels that `detect` hands out"
)]

use std::arch::x86_64::*;

use super::sums::{self, LANES};
use crate::element::{Scalar, Values, f16};
use crate::kernel::CHUNK;
use crate::kernel::pair::{self, Coded, Pairs, ROWS, Term};

/// Those of AVX2.
pub(super) const AVX2: Pairs = Pairs {
    // SAFETY: the kernels are only reached through `detect`, which saw AVX2, FMA and F16C; `Pairs` checked the lengths.
    in_order: |query, rows, scores| unsafe { in_order_avx2(query, rows, scores) },
    products: |pairs, out| sums::safe_avx2(Term::Product, pairs, out),
    differences: |pairs, out| sums::safe_avx2(Term::Difference, pairs, out),
    // SAFETY: as above.
    decode: |row, out| unsafe { decode_avx2(row, out) },
    // SAFETY: as above.
    widen: |row, out| unsafe { widen_avx2(row, out) },
    halves: Some(sums::safe_avx2),
};

/// Those of AVX-512.
pub(super) const AVX512: Pairs = Pairs {
    // SAFETY: the kernels are only reached through `detect`, which saw AVX-512F; `Pairs` checked the lengths.
    in_order: |query, rows, scores| unsafe { in_order_avx512(query, rows, scores) },
    products: |pairs, out| sums::safe_avx512(Term::Product, pairs, out),
    differences: |pairs, out| sums::safe_avx512(Term::Difference, pairs, out),
    // SAFETY: as above.
    decode: |row, out| unsafe { decode_avx512(row, out) },
    // SAFETY: as above.
    widen: |row, out| unsafe { widen_avx512(row, out) },
    halves: Some(sums::safe_avx512),
};

/// A row a lane, eight at a time: values of their rows are brought together four by four.
///
/// # Safety
/// The CPU has AVX2 and FMA, and rows are as long as the query.
#[target_feature(enable = "avx2,fma")]
unsafe fn in_order_avx2(query: &[f32], rows: &[&[f32]; ROWS], scores: &mut [f32; ROWS]) {
    let rows = rows.map(<[f32]>::as_ptr);
    let (halves, scores) = (rows.as_chunks::<{ ROWS / 2 }>().0, scores.as_chunks_mut::<{ ROWS / 2 }>().0);
    // SAFETY: values from `d` on, or the one at `d`, are those of rows as long as the query; there are twice 8 scores.
    unsafe {
        let mut totals = [_mm256_loadu_ps(scores[0].as_ptr()), _mm256_loadu_ps(scores[1].as_ptr())];
        for from in (0..query.len()).step_by(CHUNK) {
            let to = (from + CHUNK).min(query.len());
            let (fours, rest) = query[from..to].as_chunks::<4>();
            let mut sums = [_mm256_setzero_ps(); 2];
            let mut d = from;
            for values in fours {
                for (sum, rows) in sums.iter_mut().zip(halves) {
                    for (&value, lanes) in values.iter().zip(four_of_eight(rows, d)) {
                        *sum = _mm256_fmadd_ps(_mm256_set1_ps(value), lanes, *sum);
                    }
                }
                d += 4;
            }
            for &value in rest {
                for (sum, rows) in sums.iter_mut().zip(halves) {
                    let lanes = rows.map(|row| *row.add(d));
                    *sum = _mm256_fmadd_ps(_mm256_set1_ps(value), _mm256_loadu_ps(lanes.as_ptr()), *sum);
                }
                d += 1;
            }
            totals = [_mm256_add_ps(totals[0], sums[0]), _mm256_add_ps(totals[1], sums[1])];
        }
        _mm256_storeu_ps(scores[0].as_mut_ptr(), totals[0]);
        _mm256_storeu_ps(scores[1].as_mut_ptr(), totals[1]);
    }
}

/// Four values of each row from `d` on, a row a lane.
///
/// # Safety
/// The CPU has AVX2, and rows so many values.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn four_of_eight(rows: &[*const f32; ROWS / 2], d: usize) -> [__m256; 4] {
    // Those of a row and of the fourth after it.
    let both = |first: usize| {
        // SAFETY: as for this function.
        let [low, high] = [first, first + 4].map(|row| unsafe { _mm_loadu_ps(rows[row].add(d)) });
        _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high)
    };
    let (a, b, c, d) = (both(0), both(1), both(2), both(3));
    let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
    let (ab_too, cd_too) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
    [
        _mm256_shuffle_ps::<0b01_00_01_00>(ab, cd),
        _mm256_shuffle_ps::<0b11_10_11_10>(ab, cd),
        _mm256_shuffle_ps::<0b01_00_01_00>(ab_too, cd_too),
        _mm256_shuffle_ps::<0b11_10_11_10>(ab_too, cd_too),
    ]
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
unsafe fn decode_avx2(row: Coded<'_>, out: &mut [f32]) {
    pair::decode(row, out);
}

/// # Safety
/// The CPU has AVX2 and F16C, and `out` as many values.
#[target_feature(enable = "avx2,f16c")]
unsafe fn widen_avx2(row: Values<'_>, out: &mut [f32]) {
    const EIGHT: usize = 8;
    let Values::F16(row) = row else { return pair::widen(row, out) };
    let (whole, rest) = row.as_chunks::<EIGHT>();
    let (whole_out, rest_out) = out.as_chunks_mut::<EIGHT>();
    for (row, out) in whole.iter().zip(whole_out) {
        // SAFETY: eight values of two bytes, and of four.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), _mm256_cvtph_ps(_mm_loadu_si128(row.as_ptr().cast()))) };
    }
    f16::widen(rest, rest_out);
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
