//! Packed codes by AVX2, for AVX-512 too: a row of a block is 256 bits.
#![expect(unsafe_code, reason = "intrinsics; entered only through kernels that `detect` hands out")]

use std::arch::x86_64::*;

use crate::kernel::bitpack::Packed;
use crate::kernel::unpack::{self, Bytes};

pub(super) fn safe_unpack(packed: Packed<'_>, out: &mut [u8]) {
    // SAFETY: the kernels are only reached through `detect`, which saw AVX2; `Kernels::unpack` checked the shape.
    unsafe { unpack(packed, out) }
}

#[target_feature(enable = "avx2")]
unsafe fn unpack(packed: Packed<'_>, out: &mut [u8]) {
    // SAFETY: the features are enabled here.
    unsafe { unpack::unpack::<U8x32, U8x16>(packed, out) }
}

#[derive(Clone, Copy)]
struct U8x32(__m256i);

#[derive(Clone, Copy)]
struct U8x16(__m128i);

/// Shifts are of 16 bits: there are none of bytes.
macro_rules! bytes {
    ($type:ident, $lanes:literal, $load:ident, $store:ident, $right:ident, $left:ident, $and:ident, $or:ident, $all:ident) => {
        impl Bytes for $type {
            const LANES: usize = $lanes;

            #[inline(always)]
            unsafe fn load(p: *const u8) -> Self {
                // SAFETY: the caller has AVX2 and `p` points to so many bytes.
                Self(unsafe { $load(p.cast()) })
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut u8) {
                // SAFETY: the caller has AVX2 and `p` points to so many bytes.
                unsafe { $store(p.cast(), self.0) }
            }
            #[inline(always)]
            unsafe fn right(self, by: u32) -> Self {
                // SAFETY: the caller has AVX2.
                Self(unsafe { $right(self.0, _mm_cvtsi32_si128(by.cast_signed())) })
            }
            #[inline(always)]
            unsafe fn left(self, by: u32) -> Self {
                // SAFETY: the caller has AVX2.
                Self(unsafe { $left(self.0, _mm_cvtsi32_si128(by.cast_signed())) })
            }
            #[inline(always)]
            unsafe fn and(self, mask: u8) -> Self {
                // SAFETY: the caller has AVX2.
                Self(unsafe { $and(self.0, $all(mask.cast_signed())) })
            }
            #[inline(always)]
            unsafe fn or(self, other: Self) -> Self {
                // SAFETY: the caller has AVX2.
                Self(unsafe { $or(self.0, other.0) })
            }
        }
    };
}

bytes!(
    U8x32,
    32,
    _mm256_loadu_si256,
    _mm256_storeu_si256,
    _mm256_srl_epi16,
    _mm256_sll_epi16,
    _mm256_and_si256,
    _mm256_or_si256,
    _mm256_set1_epi8
);
bytes!(
    U8x16,
    16,
    _mm_loadu_si128,
    _mm_storeu_si128,
    _mm_srl_epi16,
    _mm_sll_epi16,
    _mm_and_si128,
    _mm_or_si128,
    _mm_set1_epi8
);
