//! Products in whole numbers by AVX-512 with VNNI, and what comes before them: rounded queries, codes by fours.
#![expect(unsafe_code, reason = "intrinsics; entered only through kernels that `detect` hands out")]

use std::arch::x86_64::*;

use super::eights::safe_avx2;
use super::multiply::fours;
use crate::kernel::dot::{DotInput, GROUP};
use crate::kernel::round::{self, RoundInput, Rounded};
use crate::kernel::{CHUNK, TileOutput};
use crate::lists::block::{BLOCK, NARROW};

pub(super) fn safe_avx512(input: DotInput<'_>, output: &mut TileOutput) -> u32 {
    if is_x86_feature_detected!("avx512vnni") {
        // SAFETY: the kernels are only reached through `detect`, which saw AVX-512F, and the CPU has VNNI;
        // `Kernels::dots` checked the shape.
        unsafe { sixteens(input, output) }
    } else {
        safe_avx2(input, output)
    }
}

pub(super) fn safe_interleave(codes: &[u8], width: usize, out: &mut [u8]) {
    // SAFETY: as above, by `Kernels::interleave`.
    unsafe { interleave(codes, width, out) }
}

pub(super) fn safe_round_avx2(input: RoundInput<'_>, factors: &mut [f32], out: &mut [i8]) -> Rounded {
    // SAFETY: as above.
    unsafe { round_avx2(input, factors, out) }
}

pub(super) fn safe_round_avx512(input: RoundInput<'_>, factors: &mut [f32], out: &mut [i8]) -> Rounded {
    // SAFETY: as above.
    unsafe { round_avx512(input, factors, out) }
}

#[target_feature(enable = "avx2")]
unsafe fn round_avx2(input: RoundInput<'_>, factors: &mut [f32], out: &mut [i8]) -> Rounded {
    round::round(input, factors, out)
}

#[target_feature(enable = "avx512f")]
unsafe fn round_avx512(input: RoundInput<'_>, factors: &mut [f32], out: &mut [i8]) -> Rounded {
    round::round(input, factors, out)
}

/// # Safety
/// The CPU must have AVX2, and the slices the lengths that [`crate::kernel::Kernels::interleave`] checks.
#[target_feature(enable = "avx2")]
unsafe fn interleave(codes: &[u8], width: usize, out: &mut [u8]) {
    let dim = codes.len() / width;
    for (group, out) in out.chunks_exact_mut(width * GROUP).enumerate() {
        let first = group * GROUP;
        // SAFETY: rows below `dim` are `width` bytes, 32 or 16, and a group's lanes four times as many.
        unsafe {
            let row = |place: usize| codes.as_ptr().add((first + place) * width);
            // What follows in memory is read next; hints of it stop at no page's end.
            for line in 0..GROUP * width / LINE {
                _mm_prefetch::<_MM_HINT_T1>(row(0).wrapping_add(4 * AHEAD + line * LINE).cast());
            }
            if width == BLOCK && first + GROUP <= dim {
                let row = |place: usize| _mm256_loadu_si256(row(place).cast());
                let to: *mut __m128i = out.as_mut_ptr().cast();
                for (place, four) in fours([row(0), row(1), row(2), row(3)]).into_iter().enumerate() {
                    // Their upper halves are those of the lanes from 16 on.
                    _mm_storeu_si128(to.add(place), _mm256_castsi256_si128(four));
                    _mm_storeu_si128(to.add(4 + place), _mm256_extracti128_si256::<1>(four));
                }
                continue;
            }
            let zero = _mm_setzero_si128();
            for lane in (0..width).step_by(NARROW) {
                let row = |place: usize| {
                    if first + place < dim { _mm_loadu_si128(row(place).add(lane).cast()) } else { zero }
                };
                let (a, b, c, d) = (row(0), row(1), row(2), row(3));
                let (low, high) = (_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b));
                let (low_too, high_too) = (_mm_unpacklo_epi8(c, d), _mm_unpackhi_epi8(c, d));
                let to: *mut __m128i = out.as_mut_ptr().add(lane * GROUP).cast();
                _mm_storeu_si128(to, _mm_unpacklo_epi16(low, low_too));
                _mm_storeu_si128(to.add(1), _mm_unpackhi_epi16(low, low_too));
                _mm_storeu_si128(to.add(2), _mm_unpacklo_epi16(high, high_too));
                _mm_storeu_si128(to.add(3), _mm_unpackhi_epi16(high, high_too));
            }
        }
    }
}

/// Bytes of a cache line, and between a load and what is prefetched.
pub(super) const LINE: usize = 64;
pub(super) const AHEAD: usize = 2048;

/// Sixteen lanes a register.
///
/// # Safety
/// The CPU must have AVX-512F and VNNI, and `input` the shape that [`DotInput`] tells.
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn sixteens(input: DotInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: as for this function; `count` picks the tile of its own size.
    unsafe {
        match input.count {
            1 => few::<1>(&input, output),
            2 => few::<2>(&input, output),
            3 => many::<3>(&input, output),
            4 => many::<4>(&input, output),
            5 => many::<5>(&input, output),
            6 => many::<6>(&input, output),
            7 => many::<7>(&input, output),
            8 => many::<8>(&input, output),
            9 => many::<9>(&input, output),
            10 => many::<10>(&input, output),
            11 => many::<11>(&input, output),
            _ => many::<12>(&input, output),
        }
    }
}

/// One or two queries against up to four blocks: as many sums side by side.
///
/// # Safety
/// As for [`sixteens`].
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn few<const Q: usize>(input: &DotInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: as for this function; so many blocks have so many registers of lanes.
    unsafe {
        match input.bias.len() / NARROW {
            8 => score::<Q, 8>(input, 0, BLOCK, output),
            6 => score::<Q, 6>(input, 0, BLOCK, output),
            4 => score::<Q, 4>(input, 0, BLOCK, output),
            _ => many::<Q>(input, output),
        }
    }
}

/// Block after block.
///
/// # Safety
/// As for [`sixteens`].
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn many<const Q: usize>(input: &DotInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: as for this function.
    unsafe {
        if input.bias.len() == NARROW {
            return score::<Q, 1>(input, 0, NARROW, output);
        }
        (0..input.bias.len() / BLOCK).fold(0, |any, block| any | score::<Q, 2>(input, block, BLOCK, output))
    }
}

/// `Q` queries by `C` registers of lanes from a block on.
///
/// # Safety
/// As for [`sixteens`]; the lanes are those of the input, whose blocks are `width` wide.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn score<const Q: usize, const C: usize>(
    input: &DotInput<'_>,
    block: usize,
    width: usize,
    output: &mut TileOutput,
) -> u32 {
    // SAFETY: a group of a block is `width` lanes of four bytes, `q * CHUNK + group` lies within the chunk's packed
    // queries, and `C` registers of lanes within the input.
    unsafe {
        let mut sums = [[_mm512_setzero_si512(); C]; Q];
        let each = input.groups * GROUP * width;
        let codes = input.codes.as_ptr().add(block * each);
        // Where a register's lanes lie from a group's place on.
        let places: [usize; C] =
            std::array::from_fn(|c| c * NARROW / BLOCK * each + c * NARROW % BLOCK * GROUP);
        for from in (0..input.groups).step_by(CHUNK) {
            let queries = input.queries.as_ptr().add(from * Q);
            for group in 0..(input.groups - from).min(CHUNK) {
                let codes = codes.add((from + group) * width * GROUP);
                let values: [__m512i; C] =
                    std::array::from_fn(|c| _mm512_loadu_si512(codes.add(places[c]).cast()));
                for (q, sums) in sums.iter_mut().enumerate() {
                    let query = _mm512_set1_epi32(*queries.add(q * CHUNK + group));
                    for (sum, &value) in sums.iter_mut().zip(&values) {
                        *sum = _mm512_dpbusd_epi32(*sum, value, query);
                    }
                }
            }
        }
        let mut any = 0;
        for (q, sums) in sums.iter().enumerate() {
            any |= reach::<C>(input, block, q, sums, output);
        }
        any
    }
}

/// Makes scores of a query's sums with `C` registers of lanes from a block on, and tells which are hits: a bit for the
/// query if there are any.
///
/// # Safety
/// The CPU must have AVX-512F, and `input` so many lanes.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn reach<const C: usize>(
    input: &DotInput<'_>,
    block: usize,
    query: usize,
    sums: &[__m512i; C],
    output: &mut TileOutput,
) -> u32 {
    let (step, threshold) = (_mm512_set1_ps(input.steps[query]), _mm512_set1_ps(input.thresholds[query]));
    let mut scores = [_mm512_setzero_ps(); C];
    let mut reached = 0;
    for (c, (score, &sum)) in scores.iter_mut().zip(sums).enumerate() {
        // SAFETY: as for this function.
        let bias = unsafe { _mm512_loadu_ps(input.bias.as_ptr().add(block * BLOCK + c * NARROW)) };
        *score = _mm512_add_ps(_mm512_mul_ps(step, _mm512_cvtepi32_ps(sum)), bias);
        let mask = u32::from(_mm512_cmp_ps_mask::<_CMP_GE_OQ>(*score, threshold));
        reached |= mask;
        let (block, lane) = (block + c * NARROW / BLOCK, c * NARROW % BLOCK);
        let hits = &mut output.hits[query][block];
        *hits = if lane == 0 { mask } else { *hits | mask << lane };
    }
    if reached == 0 {
        return 0;
    }
    for (c, &score) in scores.iter().enumerate() {
        let (block, lane) = (block + c * NARROW / BLOCK, c * NARROW % BLOCK);
        // SAFETY: 16 scores of a block's 32.
        unsafe { _mm512_storeu_ps(output.scores[query][block].as_mut_ptr().add(lane), score) };
    }
    1 << query
}
