//! Packed codes by NEON.
#![expect(unsafe_code, reason = "intrinsics; entered only through kernels that `detect` hands out")]

use std::arch::aarch64::*;

use crate::kernel::bitpack::Packed;
use crate::kernel::unpack::{self, Bytes};

pub(super) fn safe_unpack(packed: Packed<'_>, out: &mut [u8]) {
    // SAFETY: the kernels are only reached through `detect`, which saw NEON; `Kernels::unpack` checked the shape.
    unsafe { unpack(packed, out) }
}

#[target_feature(enable = "neon")]
unsafe fn unpack(packed: Packed<'_>, out: &mut [u8]) {
    // SAFETY: the feature is enabled here.
    unsafe { unpack::unpack::<U8x16, U8x16>(packed, out) }
}

#[derive(Clone, Copy)]
struct U8x16(uint8x16_t);

impl Bytes for U8x16 {
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn load(p: *const u8) -> Self {
        // SAFETY: the caller has NEON and `p` points to 16 bytes.
        Self(unsafe { vld1q_u8(p) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut u8) {
        // SAFETY: the caller has NEON and `p` points to 16 bytes.
        unsafe { vst1q_u8(p, self.0) }
    }
    #[inline(always)]
    unsafe fn right(self, by: u32) -> Self {
        // SAFETY: the caller has NEON.
        unsafe { self.shift(-by.cast_signed()) }
    }
    #[inline(always)]
    unsafe fn left(self, by: u32) -> Self {
        // SAFETY: the caller has NEON.
        unsafe { self.shift(by.cast_signed()) }
    }
    #[inline(always)]
    unsafe fn and(self, mask: u8) -> Self {
        // SAFETY: the caller has NEON.
        Self(unsafe { vandq_u8(self.0, vdupq_n_u8(mask)) })
    }
    #[inline(always)]
    unsafe fn or(self, other: Self) -> Self {
        // SAFETY: the caller has NEON.
        Self(unsafe { vorrq_u8(self.0, other.0) })
    }
}

impl U8x16 {
    /// To the left, or by a negative number to the right.
    ///
    /// # Safety
    /// The CPU must have NEON.
    #[inline(always)]
    unsafe fn shift(self, by: i32) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "less than 8")]
        let by = by as i8;
        // SAFETY: the caller has NEON.
        Self(unsafe { vshlq_u8(self.0, vdupq_n_s8(by)) })
    }
}
