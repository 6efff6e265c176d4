//! AVX-512: 32 registers of 16 floats, so tiles of 12 queries by 32 vectors.
#![expect(unsafe_code, reason = "intrinsics; entered only through kernels that `detect` hands out")]

use std::arch::x86_64::*;

use super::bitmap::safe_members;
use super::lookup::{safe_residual, safe_subsets};
use super::permute::{safe_lookup_avx512, safe_lookup_run_avx512};
use super::unpack::safe_unpack;
use crate::element::{Values, bf16, f16, with_values};
use crate::kernel::tile::{self, Finish, Load, Simd};
use crate::kernel::{Kernels, TileInput, TileOutput};

static KERNELS: Kernels = Kernels {
    name: "avx512",
    max_queries: F32x16::QUERIES,
    tile: safe_tile,
    squares: safe_squares,
    unpack: safe_unpack,
    lookup: safe_lookup_avx512,
    lookup_run: safe_lookup_run_avx512,
    subsets: safe_subsets,
    residual: safe_residual,
    dots: super::dot::safe_avx512,
    dots_of_rows: Some(super::rows::safe_avx512),
    interleave: super::dot::safe_interleave,
    round: super::dot::safe_round_avx512,
    pairs: super::pair::AVX512,
    tables: super::tables::AVX512,
    members: safe_members,
};

/// The kernels, if the CPU has AVX-512F and, as all have that have it, AVX2.
pub(super) fn detect() -> Option<&'static Kernels> {
    (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx2")).then_some(&KERNELS)
}

fn safe_tile(input: TileInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: `KERNELS` is only reached through `detect`; `Kernels::tile` checked the shape.
    unsafe { with_values!(input.vectors, vectors => tile(input, vectors, output)) }
}

fn safe_squares(vectors: Values<'_>, out: &mut [f32]) {
    // SAFETY: as above, by `Kernels::squares`.
    unsafe { with_values!(vectors, vectors => squares(vectors, out)) }
}

#[target_feature(enable = "avx512f")]
unsafe fn tile<E: Load<F32x16>>(input: TileInput<'_>, vectors: &[E], output: &mut TileOutput) -> u32 {
    // SAFETY: the features are enabled here.
    unsafe { tile::tile::<F32x16, E>(input, vectors, output) }
}

#[target_feature(enable = "avx512f")]
unsafe fn squares<E: Load<F32x16>>(vectors: &[E], out: &mut [f32]) {
    // SAFETY: the features are enabled here.
    unsafe { tile::squares::<F32x16, E>(vectors, out) }
}

#[inline(never)]
#[target_feature(enable = "avx512f")]
unsafe fn finish(
    input: &TileInput<'_>,
    totals: &[F32x16],
    columns: usize,
    lane: usize,
    output: &mut TileOutput,
) -> u32 {
    // SAFETY: the features are enabled here.
    unsafe { tile::finish(input, totals, columns, lane, output) }
}

#[derive(Clone, Copy)]
struct F32x16(__m512);

impl Simd for F32x16 {
    const LANES: usize = 16;
    const COLUMNS: usize = 2;
    const QUERIES: usize = 12;
    const FINISH: Finish<Self> = finish;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the caller has AVX-512F.
        Self(unsafe { _mm512_setzero_ps() })
    }
    #[inline(always)]
    unsafe fn splat(p: *const f32) -> Self {
        // SAFETY: the caller has AVX-512F and `p` points to a float.
        Self(unsafe { _mm512_set1_ps(*p) })
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller has AVX-512F and `p` points to 16 floats.
        Self(unsafe { _mm512_loadu_ps(p) })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller has AVX-512F and `p` points to 16 floats.
        unsafe { _mm512_storeu_ps(p, self.0) }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the caller has AVX-512F.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn mul_add(self, other: Self, sum: Self) -> Self {
        // SAFETY: the caller has AVX-512F.
        Self(unsafe { _mm512_fmadd_ps(self.0, other.0, sum.0) })
    }
    #[inline(always)]
    unsafe fn ge(self, other: Self) -> u32 {
        // SAFETY: the caller has AVX-512F.
        u32::from(unsafe { _mm512_cmp_ps_mask::<_CMP_GE_OQ>(self.0, other.0) })
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const u8) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
}

impl Load<F32x16> for f16 {
    #[inline(always)]
    unsafe fn load(p: *const Self) -> F32x16 {
        // SAFETY: the caller has AVX-512F and `p` points to 16 halves.
        F32x16(unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(p.cast())) })
    }
}

impl Load<F32x16> for bf16 {
    #[inline(always)]
    unsafe fn load(p: *const Self) -> F32x16 {
        // SAFETY: the caller has AVX-512F and `p` points to 16 halves.
        unsafe {
            let bits = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast()));
            F32x16(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits)))
        }
    }
}

impl Load<F32x16> for u8 {
    #[inline(always)]
    unsafe fn load(p: *const Self) -> F32x16 {
        // SAFETY: the caller has AVX-512F and `p` points to 16 bytes.
        F32x16(unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(p.cast()))) })
    }
}
