//! AVX2 with FMA and F16C: 16 registers of 8 floats, so tiles of 6 queries by 16 vectors.
#![expect(unsafe_code, reason = "intrinsics; entered only through kernels that `detect` hands out")]

use std::arch::x86_64::*;

use super::bitmap::safe_members;
use super::lookup::{safe_lookup, safe_lookup_run, safe_residual, safe_subsets};
use super::unpack::safe_unpack;
use crate::element::{Values, bf16, f16, with_values};
use crate::kernel::tile::{self, Finish, Load, Simd};
use crate::kernel::{Kernels, TileInput, TileOutput};

static KERNELS: Kernels = Kernels {
    name: "avx2",
    max_queries: F32x8::QUERIES,
    tile: safe_tile,
    squares: safe_squares,
    unpack: safe_unpack,
    lookup: safe_lookup,
    lookup_run: safe_lookup_run,
    subsets: safe_subsets,
    residual: safe_residual,
    dots: super::eights::safe_avx2,
    dots_of_rows: Some(super::rows::safe_avx2),
    interleave: super::dot::safe_interleave,
    round: super::dot::safe_round_avx2,
    pairs: super::pair::AVX2,
    tables: super::tables::AVX2,
    members: safe_members,
};

/// The kernels, if the CPU has AVX2, FMA and F16C, as all have that have AVX2.
pub(super) fn detect() -> Option<&'static Kernels> {
    let has = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c");
    has.then_some(&KERNELS)
}

fn safe_tile(input: TileInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: `KERNELS` is only reached through `detect`; `Kernels::tile` checked the shape.
    unsafe { with_values!(input.vectors, vectors => tile(input, vectors, output)) }
}

fn safe_squares(vectors: Values<'_>, out: &mut [f32]) {
    // SAFETY: as above, by `Kernels::squares`.
    unsafe { with_values!(vectors, vectors => squares(vectors, out)) }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn tile<E: Load<F32x8>>(input: TileInput<'_>, vectors: &[E], output: &mut TileOutput) -> u32 {
    // SAFETY: the features are enabled here.
    unsafe { tile::tile::<F32x8, E>(input, vectors, output) }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn squares<E: Load<F32x8>>(vectors: &[E], out: &mut [f32]) {
    // SAFETY: the features are enabled here.
    unsafe { tile::squares::<F32x8, E>(vectors, out) }
}

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn finish(
    input: &TileInput<'_>,
    totals: &[F32x8],
    columns: usize,
    lane: usize,
    output: &mut TileOutput,
) -> u32 {
    // SAFETY: the features are enabled here.
    unsafe { tile::finish(input, totals, columns, lane, output) }
}

#[derive(Clone, Copy)]
struct F32x8(__m256);

impl Simd for F32x8 {
    const LANES: usize = 8;
    const COLUMNS: usize = 2;
    const QUERIES: usize = 6;
    const FINISH: Finish<Self> = finish;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has AVX2.
        Self(unsafe { _mm256_setzero_ps() })
    }
    #[inline(always)]
    unsafe fn splat(p: *const f32) -> Self {
        // SAFETY: the caller has AVX2 and `p` points to a float.
        Self(unsafe { _mm256_set1_ps(*p) })
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller has AVX2 and `p` points to 8 floats.
        Self(unsafe { _mm256_loadu_ps(p) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller has AVX2 and `p` points to 8 floats.
        unsafe { _mm256_storeu_ps(p, self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller has AVX2.
        Self(unsafe { _mm256_add_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn mul_add(self, other: Self, sum: Self) -> Self {
        // SAFETY: the caller has FMA.
        Self(unsafe { _mm256_fmadd_ps(self.0, other.0, sum.0) })
    }
    #[inline(always)]
    unsafe fn ge(self, other: Self) -> u32 {
        // SAFETY: the caller has AVX2.
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(self.0, other.0)).cast_unsigned() }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const u8) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
}

impl Load<F32x8> for f16 {
    #[inline(always)]
    unsafe fn load(p: *const Self) -> F32x8 {
        // SAFETY: the caller has F16C and `p` points to 8 halves.
        F32x8(unsafe { _mm256_cvtph_ps(_mm_loadu_si128(p.cast())) })
    }
}

impl Load<F32x8> for bf16 {
    #[inline(always)]
    unsafe fn load(p: *const Self) -> F32x8 {
        // SAFETY: the caller has AVX2 and `p` points to 8 halves.
        unsafe {
            let bits = _mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast()));
            F32x8(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(bits)))
        }
    }
}

impl Load<F32x8> for u8 {
    #[inline(always)]
    unsafe fn load(p: *const Self) -> F32x8 {
        // SAFETY: the caller has AVX2 and `p` points to 8 bytes.
        F32x8(unsafe { _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(p.cast()))) })
    }
}
