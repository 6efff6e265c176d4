//! NEON: 32 registers of 4 floats, so tiles of 6 queries by 16 vectors.
#![expect(unsafe_code, reason = "intrinsics; entered only through kernels that `detect` hands out")]

use std::arch::aarch64::*;

use super::lookup::{safe_lookup, safe_residual, safe_subsets};
use super::unpack::safe_unpack;
use crate::element::{Values, bf16, f16, with_values};
use crate::kernel::lookup::run_of_tiles;
use crate::kernel::tile::{self, Finish, Load, Simd};
use crate::kernel::{Kernels, TileInput, TileOutput, bitmap, dot, pair, round, tables};

static KERNELS: Kernels = Kernels {
    name: "neon",
    max_queries: F32x4::QUERIES,
    tile: safe_tile,
    squares: safe_squares,
    unpack: safe_unpack,
    lookup: safe_lookup,
    lookup_run: |input, next, output, found| run_of_tiles(safe_lookup, input, next, output, found),
    subsets: safe_subsets,
    residual: safe_residual,
    dots: super::dot::safe_dots,
    dots_of_rows: None,
    // Compiled for NEON as all code for this processor is.
    interleave: dot::interleave,
    round: round::round,
    pairs: pair::FUSED,
    tables: tables::SCALAR,
    members: bitmap::scalar,
};

/// The kernels, if the CPU has NEON.
pub(super) fn detect() -> Option<&'static Kernels> {
    std::arch::is_aarch64_feature_detected!("neon").then_some(&KERNELS)
}

fn safe_tile(input: TileInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: `KERNELS` is only reached through `detect`; `Kernels::tile` checked the shape.
    unsafe { with_values!(input.vectors, vectors => tile(input, vectors, output)) }
}

fn safe_squares(vectors: Values<'_>, out: &mut [f32]) {
    // SAFETY: as above, by `Kernels::squares`.
    unsafe { with_values!(vectors, vectors => squares(vectors, out)) }
}

#[target_feature(enable = "neon")]
unsafe fn tile<E: Load<F32x4>>(input: TileInput<'_>, vectors: &[E], output: &mut TileOutput) -> u32 {
    // SAFETY: the feature is enabled here.
    unsafe { tile::tile::<F32x4, E>(input, vectors, output) }
}

#[target_feature(enable = "neon")]
unsafe fn squares<E: Load<F32x4>>(vectors: &[E], out: &mut [f32]) {
    // SAFETY: the feature is enabled here.
    unsafe { tile::squares::<F32x4, E>(vectors, out) }
}

#[inline(never)]
#[target_feature(enable = "neon")]
unsafe fn finish(
    input: &TileInput<'_>,
    totals: &[F32x4],
    columns: usize,
    lane: usize,
    output: &mut TileOutput,
) -> u32 {
    // SAFETY: the feature is enabled here.
    unsafe { tile::finish(input, totals, columns, lane, output) }
}

#[derive(Clone, Copy)]
struct F32x4(float32x4_t);

impl Simd for F32x4 {
    const LANES: usize = 4;
    const COLUMNS: usize = 4;
    const QUERIES: usize = 6;
    const FINISH: Finish<Self> = finish;

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
    unsafe fn prefetch(_: *const u8) {
        // The CPU's own prefetchers do; stable Rust has no NEON prefetch.
    }
}

impl Load<F32x4> for f16 {
    #[inline(always)]
    unsafe fn load(p: *const Self) -> F32x4 {
        // SAFETY: the caller has NEON and `p` points to 4 halves; the instruction reads and writes its registers only.
        unsafe {
            let bits = vld1_u16(p.cast());
            let wide: float32x4_t;
            // Rust has no stable type for what vcvt_f32_f16 takes.
            core::arch::asm!(
                "fcvtl {wide:v}.4s, {bits:v}.4h",
                wide = lateout(vreg) wide,
                bits = in(vreg) bits,
                options(pure, nomem, nostack, preserves_flags),
            );
            F32x4(wide)
        }
    }
}

impl Load<F32x4> for bf16 {
    #[inline(always)]
    unsafe fn load(p: *const Self) -> F32x4 {
        // SAFETY: the caller has NEON and `p` points to 4 halves.
        F32x4(unsafe { vreinterpretq_f32_u32(vshlq_n_u32::<16>(vmovl_u16(vld1_u16(p.cast())))) })
    }
}

impl Load<F32x4> for u8 {
    #[inline(always)]
    unsafe fn load(p: *const Self) -> F32x4 {
        // SAFETY: the caller has NEON and `p` points to 4 bytes.
        unsafe {
            let bytes = vreinterpret_u8_u32(vdup_n_u32(p.cast::<u32>().read_unaligned()));
            F32x4(vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes)))))
        }
    }
}
