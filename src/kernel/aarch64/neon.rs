//! NEON: 32 registers of 4 floats, so tiles of 6 queries by 16 vectors.
#![expect(unsafe_code, reason = "intrinsics; entered only through kernels that `detect` hands out")]

use std::arch::aarch64::*;

use crate::kernel::tile::{self, Simd};
use crate::kernel::{Kernels, TileInput, TileOutput};

static KERNELS: Kernels = Kernels { name: "neon", max_queries: 6, tile: safe_tile, squares: safe_squares };

/// The kernels, if the CPU has NEON.
pub(super) fn detect() -> Option<&'static Kernels> {
    std::arch::is_aarch64_feature_detected!("neon").then_some(&KERNELS)
}

fn safe_tile(input: TileInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: `KERNELS` is only reached through `detect`; `Kernels::tile` checked the shape.
    unsafe { tile(input, output) }
}

fn safe_squares(vectors: &[f32], out: &mut [f32]) {
    // SAFETY: as above, by `Kernels::squares`.
    unsafe { squares(vectors, out) }
}

#[target_feature(enable = "neon")]
unsafe fn tile(input: TileInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: the feature is enabled here.
    unsafe { tile::tile::<F32x4>(input, output) }
}

#[target_feature(enable = "neon")]
unsafe fn squares(vectors: &[f32], out: &mut [f32]) {
    // SAFETY: the feature is enabled here.
    unsafe { tile::squares::<F32x4>(vectors, out) }
}

#[derive(Clone, Copy)]
struct F32x4(float32x4_t);

impl Simd for F32x4 {
    const LANES: usize = 4;
    const COLUMNS: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has NEON.
        Self(unsafe { vdupq_n_f32(0.0) })
    }
    #[inline(always)]
    unsafe fn splat(p: *const f32) -> Self {
        // SAFETY: the caller has NEON and `p` points to a float.
        Self(unsafe { vld1q_dup_f32(p) })
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller has NEON and `p` points to 4 floats.
        Self(unsafe { vld1q_f32(p) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller has NEON and `p` points to 4 floats.
        unsafe { vst1q_f32(p, self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller has NEON.
        Self(unsafe { vaddq_f32(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn mul_add(self, other: Self, sum: Self) -> Self {
        // SAFETY: the caller has NEON.
        Self(unsafe { vfmaq_f32(sum.0, self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn ge(self, other: Self) -> u32 {
        const BITS: [u32; 4] = [1, 2, 4, 8];
        // SAFETY: the caller has NEON.
        unsafe { vaddvq_u32(vandq_u32(vcgeq_f32(self.0, other.0), vld1q_u32(BITS.as_ptr()))) }
    }
    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {
        // The CPU's own prefetchers do; stable Rust has no NEON prefetch.
    }
}
