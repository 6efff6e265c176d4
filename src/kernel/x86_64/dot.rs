//! Products in whole numbers by AVX2, and by AVX-512 with VNNI.
#![expect(unsafe_code, reason = "intrinsics; entered only through kernels that `detect` hands out")]

use std::arch::x86_64::*;

use crate::kernel::dot::{DotInput, GROUP};
use crate::kernel::round::{self, RoundInput, Rounded};
use crate::kernel::{CHUNK, TileOutput};
use crate::lists::block::{BLOCK, NARROW};

pub(super) fn safe_avx2(input: DotInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: the kernels are only reached through `detect`, which saw AVX2; `Kernels::dots` checked the shape.
    unsafe { eights(input, output) }
}

pub(super) fn safe_avx512(input: DotInput<'_>, output: &mut TileOutput) -> u32 {
    if is_x86_feature_detected!("avx512vnni") {
        // SAFETY: as above, and the CPU has AVX-512F and VNNI.
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
                _mm_prefetch::<_MM_HINT_T0>(row(0).wrapping_add(AHEAD + line * LINE).cast());
            }
            if width == BLOCK && first + GROUP <= dim {
                let row = |place: usize| _mm256_loadu_si256(row(place).cast());
                let (a, b, c, d) = (row(0), row(1), row(2), row(3));
                let (low, high) = (_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
                let (low_too, high_too) = (_mm256_unpacklo_epi8(c, d), _mm256_unpackhi_epi8(c, d));
                let fours = [
                    _mm256_unpacklo_epi16(low, low_too),
                    _mm256_unpackhi_epi16(low, low_too),
                    _mm256_unpacklo_epi16(high, high_too),
                    _mm256_unpackhi_epi16(high, high_too),
                ];
                let to: *mut __m128i = out.as_mut_ptr().cast();
                for (place, four) in fours.into_iter().enumerate() {
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

/// Lanes of a register of AVX2.
pub(super) const EIGHT: usize = 8;

/// Queries that share a block's codes: their sums fit in 16 registers.
const QUERIES: usize = 2;

/// Eight lanes a register.
///
/// # Safety
/// The CPU must have AVX2, and `input` the shape that [`DotInput`] tells.
#[target_feature(enable = "avx2")]
unsafe fn eights(input: DotInput<'_>, output: &mut TileOutput) -> u32 {
    let width = input.bias.len().min(BLOCK);
    let mut any = 0;
    for block in 0..input.bias.len() / width {
        for query in (0..input.count).step_by(QUERIES) {
            // SAFETY: as for this function; the queries are those of the input.
            any |= unsafe {
                match input.count - query {
                    1 => eights_of::<1>(&input, block, width, query, output),
                    _ => eights_of::<QUERIES>(&input, block, width, query, output),
                }
            };
        }
    }
    any
}

/// Scores a block for `Q` queries from `first` on.
///
/// # Safety
/// As for [`eights`]; the block and the queries are those of the input.
#[target_feature(enable = "avx2")]
unsafe fn eights_of<const Q: usize>(
    input: &DotInput<'_>,
    block: usize,
    width: usize,
    first: usize,
    output: &mut TileOutput,
) -> u32 {
    let (codes, _) = input.block(block, width);
    let byte = _mm256_set1_epi16(0xff);
    let mut sums = [[_mm256_setzero_si256(); BLOCK / EIGHT]; Q];
    for group in 0..input.groups {
        // SAFETY: a group of a block is `width` lanes of four bytes, and each query has a word for it.
        unsafe {
            let codes = codes.as_ptr().add(group * width * GROUP);
            let mut values = [(_mm256_setzero_si256(), _mm256_setzero_si256()); Q];
            for (q, (even, odd)) in values.iter_mut().enumerate() {
                let word = _mm256_set1_epi32(*input.queries.as_ptr().add(input.place(first + q, group)));
                *even = _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(word));
                *odd = _mm256_srai_epi16::<8>(word);
            }
            for part in 0..width / EIGHT {
                let codes = _mm256_loadu_si256(codes.add(part * EIGHT * GROUP).cast());
                // Products of bytes would not fit in 16 bits by twos.
                let (even, odd) = (_mm256_and_si256(codes, byte), _mm256_srli_epi16::<8>(codes));
                for (sums, values) in sums.iter_mut().zip(&values) {
                    let both =
                        _mm256_add_epi32(_mm256_madd_epi16(even, values.0), _mm256_madd_epi16(odd, values.1));
                    sums[part] = _mm256_add_epi32(sums[part], both);
                }
            }
        }
    }
    let mut any = 0;
    for (query, sums) in (first..).zip(&sums) {
        // SAFETY: as for this function.
        any |= unsafe { reach_eights(input, block, width, query, sums, output) };
    }
    any
}

/// Makes scores of a query's sums with a block, and tells which are hits: a bit for the query if there are any.
///
/// # Safety
/// The CPU must have AVX2, and `input` such a block.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn reach_eights(
    input: &DotInput<'_>,
    block: usize,
    width: usize,
    query: usize,
    sums: &[__m256i; BLOCK / EIGHT],
    output: &mut TileOutput,
) -> u32 {
    let (_, bias) = input.block(block, width);
    let (step, threshold) = (_mm256_set1_ps(input.steps[query]), _mm256_set1_ps(input.thresholds[query]));
    let scores = &mut output.scores[query][block];
    let mut hits = 0;
    for (part, &sum) in sums[..width / EIGHT].iter().enumerate() {
        // SAFETY: eight lanes from `part * 8` on lie within the block's `width`, and so do eight scores.
        unsafe {
            let bias = _mm256_loadu_ps(bias.as_ptr().add(part * EIGHT));
            let score = _mm256_add_ps(_mm256_mul_ps(step, _mm256_cvtepi32_ps(sum)), bias);
            let reached = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(score, threshold));
            hits |= reached.cast_unsigned() << (part * EIGHT);
            _mm256_storeu_ps(scores.as_mut_ptr().add(part * EIGHT), score);
        }
    }
    output.hits[query][block] = hits;
    u32::from(hits != 0) << query
}

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
