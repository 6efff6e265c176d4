//! How eight lanes of AVX2 multiply codes with queries: four bytes each, added up; and how codes in rows become those.
#![expect(unsafe_code, reason = "intrinsics; called where the instruction set is enabled")]

use std::arch::x86_64::*;

use super::eights::EIGHT;
#[cfg(test)]
use crate::kernel::dot::DotFn;
use crate::kernel::dot::GROUP;
use crate::lists::block::BLOCK;

/// A way to multiply. Everything is to be inlined where what it needs is enabled.
pub(super) trait Multiply {
    /// Four values of a query, as they are multiplied.
    type Factor: Copy;

    /// # Safety
    /// The CPU must have the instruction set.
    unsafe fn factor(word: i32) -> Self::Factor;

    /// `sums` and the products of the four codes of each lane with a factor.
    ///
    /// # Safety
    /// As for [`Multiply::factor`].
    unsafe fn add(sums: __m256i, codes: __m256i, factor: Self::Factor) -> __m256i;
}

/// By AVX2 alone, in 16 bits: products of bytes would not fit there by twos.
pub(super) struct Wide;

impl Multiply for Wide {
    type Factor = (__m256i, __m256i);

    #[inline(always)]
    unsafe fn factor(word: i32) -> Self::Factor {
        // SAFETY: the caller has AVX2, here and below.
        unsafe {
            let word = _mm256_set1_epi32(word);
            (_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(word)), _mm256_srai_epi16::<8>(word))
        }
    }

    #[inline(always)]
    unsafe fn add(sums: __m256i, codes: __m256i, (even, odd): Self::Factor) -> __m256i {
        // SAFETY: as above.
        unsafe {
            let even = _mm256_madd_epi16(_mm256_and_si256(codes, _mm256_set1_epi16(0xff)), even);
            let odd = _mm256_madd_epi16(_mm256_srli_epi16::<8>(codes), odd);
            _mm256_add_epi32(sums, _mm256_add_epi32(even, odd))
        }
    }
}

/// By AVX-VNNI, which processors without AVX-512 have.
pub(super) type AvxVnni = Vnni<false>;

/// By the VNNI of AVX-512, with VL.
pub(super) type Avx512Vnni = Vnni<true>;

/// By one instruction, which has two encodings.
pub(super) struct Vnni<const AVX512: bool>;

impl<const AVX512: bool> Multiply for Vnni<AVX512> {
    type Factor = __m256i;

    #[inline(always)]
    unsafe fn factor(word: i32) -> __m256i {
        // SAFETY: the caller has the instruction set, here and below.
        unsafe { _mm256_set1_epi32(word) }
    }

    #[inline(always)]
    unsafe fn add(sums: __m256i, codes: __m256i, factor: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe {
            if AVX512 {
                _mm256_dpbusd_epi32(sums, codes, factor)
            } else {
                _mm256_dpbusd_avx_epi32(sums, codes, factor)
            }
        }
    }
}

/// Rows of 32 codes by fours: the lanes 0 to 3 and 16 to 19 of all of them, and so on.
///
/// # Safety
/// The CPU must have AVX2.
#[inline(always)]
pub(super) unsafe fn fours([a, b, c, d]: [__m256i; GROUP]) -> [__m256i; BLOCK / EIGHT] {
    // SAFETY: as for this function.
    unsafe {
        let (low, high) = (_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
        let (low_too, high_too) = (_mm256_unpacklo_epi8(c, d), _mm256_unpackhi_epi8(c, d));
        [
            _mm256_unpacklo_epi16(low, low_too),
            _mm256_unpackhi_epi16(low, low_too),
            _mm256_unpacklo_epi16(high, high_too),
            _mm256_unpackhi_epi16(high, high_too),
        ]
    }
}

/// Those of three ways to multiply that this CPU knows.
#[cfg(test)]
pub(super) fn known(avx2: DotFn, avxvnni: DotFn, avx512vnni: Option<DotFn>) -> Vec<(&'static str, DotFn)> {
    let by_avx512 = is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512vl");
    let ways = [
        ("avx2", Some(avx2).filter(|_| is_x86_feature_detected!("avx2"))),
        ("avxvnni", Some(avxvnni).filter(|_| is_x86_feature_detected!("avxvnni"))),
        ("avx512vnni", avx512vnni.filter(|_| by_avx512)),
    ];
    ways.into_iter().filter_map(|(name, way)| Some((name, way?))).collect()
}
