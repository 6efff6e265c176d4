//! Sums over pairs of vectors by AVX2 and by AVX-512, some pairs side by side: written once, of sixteen values at a time.
#![expect(unsafe_code, reason = "intrinsics; entered only through kernels that `detect` hands out")]

use std::arch::x86_64::*;

use crate::element::f16;
use crate::kernel::pair::{SIDE_BY_SIDE, SUMS, Term};

pub(super) fn safe_avx2<E: Lanes<[__m256; 2]>>(term: Term, pairs: &[(&[f32], &[E])], out: &mut [f32]) {
    // SAFETY: the kernels are only reached through `detect`, which saw AVX2 and F16C; `Pairs` checked the lengths.
    unsafe { avx2(term, pairs, out) }
}

pub(super) fn safe_avx512<E: Lanes<__m512>>(term: Term, pairs: &[(&[f32], &[E])], out: &mut [f32]) {
    // SAFETY: as above, AVX-512F.
    unsafe { avx512(term, pairs, out) }
}

#[target_feature(enable = "avx2,f16c")]
unsafe fn avx2<E: Lanes<[__m256; 2]>>(term: Term, pairs: &[(&[f32], &[E])], out: &mut [f32]) {
    // SAFETY: the features are enabled here, and the caller promises the rest.
    unsafe { of_term(term, pairs, out) }
}

#[target_feature(enable = "avx512f")]
unsafe fn avx512<E: Lanes<__m512>>(term: Term, pairs: &[(&[f32], &[E])], out: &mut [f32]) {
    // SAFETY: as above.
    unsafe { of_term(term, pairs, out) }
}

/// Values that a sum takes at once.
pub(super) const LANES: usize = 16;

/// How many times they are a pair's sums.
const TIMES: usize = SUMS / LANES;

/// Sixteen numbers in registers. All is to be inlined where the instruction set is enabled, which callers have to have.
trait Sixteen: Copy {
    unsafe fn zero() -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn subtract(self, other: Self) -> Self;
    unsafe fn multiply(self, other: Self) -> Self;
    /// The upper half on the lower one.
    unsafe fn folded(self) -> __m256;
}

/// Values of a type as sixteen numbers.
pub(super) trait Lanes<S>: Copy {
    /// Those from `from` on.
    ///
    /// # Safety
    /// The CPU has the instruction set, and there are so many.
    unsafe fn load(from: *const Self) -> S;

    /// The first of them, the others 0.
    ///
    /// # Safety
    /// The CPU has the instruction set, and there are so many, at most [`LANES`].
    unsafe fn load_some(count: usize, from: *const Self) -> S;
}

impl Sixteen for __m512 {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has AVX-512F, here and below.
        unsafe { _mm512_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_add_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn subtract(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_sub_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn multiply(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { _mm512_mul_ps(self, other) }
    }
    #[inline(always)]
    unsafe fn folded(self) -> __m256 {
        // SAFETY: as above.
        unsafe {
            let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(self)));
            _mm256_add_ps(_mm512_castps512_ps256(self), high)
        }
    }
}

impl Sixteen for [__m256; 2] {
    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has AVX2, here and below.
        unsafe { [_mm256_setzero_ps(); 2] }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { [_mm256_add_ps(self[0], other[0]), _mm256_add_ps(self[1], other[1])] }
    }
    #[inline(always)]
    unsafe fn subtract(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { [_mm256_sub_ps(self[0], other[0]), _mm256_sub_ps(self[1], other[1])] }
    }
    #[inline(always)]
    unsafe fn multiply(self, other: Self) -> Self {
        // SAFETY: as above.
        unsafe { [_mm256_mul_ps(self[0], other[0]), _mm256_mul_ps(self[1], other[1])] }
    }
    #[inline(always)]
    unsafe fn folded(self) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_add_ps(self[0], self[1]) }
    }
}

impl Lanes<__m512> for f32 {
    #[inline(always)]
    unsafe fn load(from: *const Self) -> __m512 {
        // SAFETY: as for this function.
        unsafe { _mm512_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn load_some(count: usize, from: *const Self) -> __m512 {
        // SAFETY: as for this function.
        unsafe { _mm512_maskz_loadu_ps(__mmask16::MAX >> (LANES - count), from) }
    }
}

impl Lanes<__m512> for f16 {
    #[inline(always)]
    unsafe fn load(from: *const Self) -> __m512 {
        // SAFETY: as for this function.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }
    #[inline(always)]
    unsafe fn load_some(count: usize, from: *const Self) -> __m512 {
        // SAFETY: as for this function.
        unsafe { Self::load(padded(count, from, Self::ZERO).as_ptr()) }
    }
}

impl Lanes<[__m256; 2]> for f32 {
    #[inline(always)]
    unsafe fn load(from: *const Self) -> [__m256; 2] {
        // SAFETY: as for this function.
        unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
    }
    #[inline(always)]
    unsafe fn load_some(count: usize, from: *const Self) -> [__m256; 2] {
        // SAFETY: as for this function: lanes whose mask is not set are not read.
        unsafe {
            let mask = |first: usize| _mm256_loadu_si256(MASKS.as_ptr().add(LANES - count + first).cast());
            [_mm256_maskload_ps(from, mask(0)), _mm256_maskload_ps(from.wrapping_add(8), mask(8))]
        }
    }
}

/// As many lanes as are wanted, and none.
const MASKS: [i32; 2 * LANES] = {
    let mut masks = [0; 2 * LANES];
    let mut lane = 0;
    while lane < LANES {
        masks[lane] = -1;
        lane += 1;
    }
    masks
};

impl Lanes<[__m256; 2]> for f16 {
    #[inline(always)]
    unsafe fn load(from: *const Self) -> [__m256; 2] {
        // SAFETY: as for this function.
        unsafe {
            let eight = |from: *const Self| _mm256_cvtph_ps(_mm_loadu_si128(from.cast()));
            [eight(from), eight(from.add(8))]
        }
    }
    #[inline(always)]
    unsafe fn load_some(count: usize, from: *const Self) -> [__m256; 2] {
        // SAFETY: as for this function.
        unsafe { <Self as Lanes<[__m256; 2]>>::load(padded(count, from, Self::ZERO).as_ptr()) }
    }
}

/// A copy of some values, with zeros behind.
///
/// # Safety
/// There are so many, at most [`LANES`].
#[inline(always)]
unsafe fn padded<E: Copy>(count: usize, from: *const E, zero: E) -> [E; LANES] {
    let mut values = [zero; LANES];
    // SAFETY: as for this function.
    unsafe { from.copy_to_nonoverlapping(values.as_mut_ptr(), count) };
    values
}

/// # Safety
/// As for [`each`].
#[inline(always)]
unsafe fn of_term<S: Sixteen, E: Lanes<S>>(term: Term, pairs: &[(&[f32], &[E])], out: &mut [f32])
where
    f32: Lanes<S>,
{
    // SAFETY: the caller promises the same.
    unsafe {
        match term {
            Term::Product => each(pairs, out, |a: S, b: S| a.multiply(b)),
            Term::Difference => each(pairs, out, |a: S, b: S| {
                let difference = a.subtract(b);
                difference.multiply(difference)
            }),
        }
    }
}

/// Adds up what `term` makes of the values of each pair, some pairs side by side.
///
/// # Safety
/// The CPU has the instruction set, and all vectors are of one length.
#[inline(always)]
unsafe fn each<S: Sixteen, E: Lanes<S>>(
    pairs: &[(&[f32], &[E])],
    out: &mut [f32],
    term: impl Fn(S, S) -> S + Copy,
) where
    f32: Lanes<S>,
{
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
unsafe fn sums<const N: usize, S: Sixteen, E: Lanes<S>>(
    pairs: &[(&[f32], &[E]); N],
    term: impl Fn(S, S) -> S + Copy,
) -> [f32; N]
where
    f32: Lanes<S>,
{
    let len = pairs[0].0.len();
    // SAFETY: `at` and the lanes beyond it that are read lie within vectors of this length.
    unsafe {
        let mut sums = [[S::zero(); TIMES]; N];
        let mut at = 0;
        while at + SUMS <= len {
            for (sums, (a, b)) in sums.iter_mut().zip(pairs) {
                for (sum, at) in sums.iter_mut().zip((at..).step_by(LANES)) {
                    let (a, b) = (f32::load(a.as_ptr().add(at)), E::load(b.as_ptr().add(at)));
                    *sum = sum.add(term(a, b));
                }
            }
            at += SUMS;
        }
        // Terms of 0 for the lanes without values: they leave a sum that began with 0 as it is.
        // A number of times that the compiler knows: sums chosen by a number that it does not know lie in memory.
        for time in 0..TIMES {
            let at = at + time * LANES;
            if at >= len {
                break;
            }
            let count = (len - at).min(LANES);
            for (sums, (a, b)) in sums.iter_mut().zip(pairs) {
                let (a, b) = (a.as_ptr().add(at), b.as_ptr().add(at));
                let (a, b) = if count == LANES {
                    (f32::load(a), E::load(b))
                } else {
                    (f32::load_some(count, a), E::load_some(count, b))
                };
                sums[time] = sums[time].add(term(a, b));
            }
        }
        sums.map(|sums| total(sums))
    }
}

/// The sum of all lanes, in the order of the oracle: half of them on the other, again and again.
///
/// # Safety
/// The CPU has the instruction set.
#[inline(always)]
unsafe fn total<S: Sixteen>([low, high]: [S; TIMES]) -> f32 {
    // SAFETY: as for this function; both sets have AVX2.
    unsafe {
        let sum = low.add(high).folded();
        let sum = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
        let sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
        _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)))
    }
}
