//! How eight lanes of AVX2 multiply codes with queries: four bytes each, added up.
#![expect(unsafe_code, reason = "intrinsics; called where the instruction set is enabled")]

use std::arch::x86_64::*;

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
pub(super) struct AvxVnni;

impl Multiply for AvxVnni {
    type Factor = __m256i;

    #[inline(always)]
    unsafe fn factor(word: i32) -> __m256i {
        // SAFETY: the caller has AVX-VNNI, here and below.
        unsafe { _mm256_set1_epi32(word) }
    }

    #[inline(always)]
    unsafe fn add(sums: __m256i, codes: __m256i, factor: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_dpbusd_avx_epi32(sums, codes, factor) }
    }
}

/// By the VNNI of AVX-512.
pub(super) struct Avx512Vnni;

impl Multiply for Avx512Vnni {
    type Factor = __m256i;

    #[inline(always)]
    unsafe fn factor(word: i32) -> __m256i {
        // SAFETY: the caller has AVX-512 with VNNI and VL, here and below.
        unsafe { _mm256_set1_epi32(word) }
    }

    #[inline(always)]
    unsafe fn add(sums: __m256i, codes: __m256i, factor: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_dpbusd_epi32(sums, codes, factor) }
    }
}
