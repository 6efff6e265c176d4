//! Look-ups by AVX2, for AVX-512 without VBMI too: 256 bits a shuffle are no slower there than 512 are.
#![expect(unsafe_code, reason = "intrinsics; entered only through kernels that `detect` hands out")]

use std::arch::x86_64::*;

use crate::kernel::lookup::{self, CHOICES, ENTRIES, Found, LookupInput, Pair, Parts, Residual, Steps};
use crate::kernel::{TileOutput, prefetch_early};
use crate::lists::block::BLOCK;

pub(super) fn safe_lookup(input: LookupInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: the kernels are only reached through `detect`, which saw AVX2; `Kernels::lookup` checked the shape.
    unsafe { tile(input, output) }
}

pub(super) fn safe_lookup_run(
    input: LookupInput<'_>,
    next: &[u8],
    _output: &mut TileOutput,
    found: &mut Found,
) -> usize {
    // SAFETY: as above, by `Kernels::lookup_run`.
    unsafe { run(input, next, found) }
}

pub(super) fn safe_subsets(values: &[f32], tables: &mut [u8]) -> Steps {
    // SAFETY: as above.
    unsafe { subsets(values, tables) }
}

pub(super) fn safe_residual(query: &[f32], centroid: &[f32], out: &mut [f32]) -> Residual {
    // SAFETY: as above.
    unsafe { residual(query, centroid, out) }
}

#[target_feature(enable = "avx2")]
unsafe fn residual(query: &[f32], centroid: &[f32], out: &mut [f32]) -> Residual {
    lookup::residual(query, centroid, out)
}

#[target_feature(enable = "avx2")]
unsafe fn subsets(values: &[f32], tables: &mut [u8]) -> Steps {
    let choices = CHOICES.map(|choice| {
        // SAFETY: an array of 32 bytes.
        unsafe { _mm256_loadu_si256(choice.as_ptr().cast()) }
    });
    lookup::subsets(values, tables, |parts: &Parts, pair: &mut Pair| {
        // SAFETY: an array of 16 bytes.
        let parts = _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(parts.as_ptr().cast()) });
        let [a, b, c, d] = choices.map(|choice| _mm256_shuffle_epi8(parts, choice));
        let sums = _mm256_add_epi8(_mm256_add_epi8(a, b), _mm256_add_epi8(c, d));
        // SAFETY: an array of 32 bytes.
        unsafe { _mm256_storeu_si256(pair.as_mut_ptr().cast(), sums) }
    })
}

/// Queries that share a block's bytes: their sums and what they look up fit in 16 registers.
const QUERIES: usize = 4;

/// Bytes between a load and what is prefetched.
const AHEAD: usize = 2048;

/// Lanes of a register of scores.
const EIGHT: usize = 8;

/// Bytes of a column's two tables.
const TABLES: usize = 2 * ENTRIES;

/// # Safety
/// The CPU must have AVX2, and `input` the shape that [`LookupInput`] tells.
#[target_feature(enable = "avx2")]
unsafe fn tile(input: LookupInput<'_>, output: &mut TileOutput) -> u32 {
    let width = input.bias.len().min(BLOCK);
    let mut any = 0;
    for block in 0..input.bias.len() / width {
        for query in (0..input.count).step_by(QUERIES) {
            // SAFETY: as for this function; the queries are those of the input.
            any |= unsafe {
                match input.count - query {
                    1 => queries::<1>(&input, block, width, query, output),
                    2 => queries::<2>(&input, block, width, query, output),
                    3 => queries::<3>(&input, block, width, query, output),
                    _ => queries::<QUERIES>(&input, block, width, query, output),
                }
            };
        }
    }
    any
}

/// Scores blocks for one query; beside each its share of `next` is fetched.
///
/// # Safety
/// As for [`tile`]; there are at most [`RUN`](lookup::RUN) lanes.
#[target_feature(enable = "avx2")]
unsafe fn run(input: LookupInput<'_>, next: &[u8], found: &mut Found) -> usize {
    let width = input.bias.len().min(BLOCK);
    let blocks = input.bias.len() / width;
    let each = input.stride * width;
    // As many of its blocks beside each, if it has more.
    let mut shares = next.chunks((next.len() / each).div_ceil(blocks).max(1) * each);
    let mut scores = [0.0; BLOCK];
    let mut hits = 0;
    for block in 0..blocks {
        let own = &input.codes[block * each..];
        // Without another block its own: those are there already.
        let (ahead, more) = shares.next().unwrap_or_default().split_at_checked(each).unwrap_or((own, &[]));
        prefetch_early(more);
        // SAFETY: as for this function; the block is one of the input.
        let [sums] = unsafe { sums::<1>(&input, block, width, 0, ahead.as_ptr()) };
        let Some(eights) = reaching(sums, input.least[0]) else { continue };
        // SAFETY: as above.
        let mut mask = unsafe { score(&input, block, width, 0, eights, &mut scores) };
        while mask != 0 {
            let lane = mask.trailing_zeros();
            mask &= mask - 1;
            #[expect(clippy::cast_possible_truncation, reason = "below RUN")]
            let number = (block * BLOCK) as u32 + lane;
            (found.lanes[hits], found.scores[hits]) = (number, scores[lane as usize]);
            hits += 1;
        }
    }
    hits
}

/// Scores a block for the queries from `first` on.
///
/// # Safety
/// As for [`tile`]; the block and the queries are those of the input.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn queries<const Q: usize>(
    input: &LookupInput<'_>,
    block: usize,
    width: usize,
    first: usize,
    output: &mut TileOutput,
) -> u32 {
    let (codes, _, _) = input.block(block, width);
    // SAFETY: as for this function.
    let sums = unsafe { sums::<Q>(input, block, width, first, codes.as_ptr().wrapping_add(AHEAD)) };
    let mut any = 0;
    for (query, sums) in (first..).zip(sums) {
        // SAFETY: as above.
        let hits = reaching(sums, input.least[query]).map_or(0, |eights| unsafe {
            score(input, block, width, query, eights, &mut output.scores[query][block])
        });
        output.hits[query][block] = hits;
        any |= u32::from(hits != 0) << query;
    }
    any
}

/// A query's sums with a block: of both lanes of each pair, the upper one's times 256, and of the upper ones.
type Sums = [__m256i; 2];

/// Adds up what the queries from `first` on look up in a block; as many bytes are fetched from `ahead`.
///
/// # Safety
/// As for [`tile`]; the block and the queries are those of the input.
// Always inlined, so that sums stay in registers: where AVX2 is enabled, then.
#[inline(always)]
unsafe fn sums<const Q: usize>(
    input: &LookupInput<'_>,
    block: usize,
    width: usize,
    first: usize,
    ahead: *const u8,
) -> [Sums; Q] {
    let (codes, _, _) = input.block(block, width);
    let tables = std::array::from_fn::<_, Q, _>(|q| input.tables[first + q].as_ptr());
    // SAFETY: the CPU has AVX2.
    let mut sums = [[unsafe { _mm256_setzero_si256() }; 2]; Q];
    if width == BLOCK {
        for column in 0..input.columns {
            // SAFETY: a row of codes is 32 bytes, and each query has two tables of 16 a column.
            unsafe {
                let at = column * BLOCK;
                if column % 2 == 0 {
                    _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(at).cast());
                }
                let bytes = _mm256_loadu_si256(codes.as_ptr().add(at).cast());
                let twice = |from: *const u8| _mm256_broadcastsi128_si256(_mm_loadu_si128(from.cast()));
                let entries =
                    tables.map(|tables| [0, ENTRIES].map(|upper| twice(tables.add(column * TABLES + upper))));
                look_up(&mut sums, bytes, entries);
            }
        }
        return sums;
    }
    // The next column's bytes and tables in the upper halves of registers.
    for column in (0..input.columns & !1).step_by(2) {
        // SAFETY: a row of codes is 16 bytes, and each query has two tables of 16 a column; there is another.
        unsafe {
            let (bytes, at) = (codes.as_ptr().add(column * width), column * TABLES);
            let entries = tables.map(|tables| {
                [0, ENTRIES].map(|upper| halves(tables.add(at + upper), tables.add(at + TABLES + upper)))
            });
            look_up(&mut sums, _mm256_loadu_si256(bytes.cast()), entries);
        }
    }
    if input.columns % 2 == 1 {
        let column = input.columns - 1;
        // SAFETY: as above, of one.
        unsafe {
            let low = |from: *const u8| _mm256_zextsi128_si256(_mm_loadu_si128(from.cast()));
            let entries =
                tables.map(|tables| [0, ENTRIES].map(|upper| low(tables.add(column * TABLES + upper))));
            look_up(&mut sums, low(codes.as_ptr().add(column * width)), entries);
        }
    }
    // The upper halves' lanes are the lower ones'.
    // SAFETY: the CPU has AVX2.
    sums.map(|sums| sums.map(|sum| unsafe { folded(sum) }))
}

/// Two registers' worth of 16 bytes as one.
///
/// # Safety
/// The CPU must have AVX2, and there must be so many bytes.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn halves(low: *const u8, high: *const u8) -> __m256i {
    // SAFETY: as for this function.
    unsafe {
        let low = _mm256_castsi128_si256(_mm_loadu_si128(low.cast()));
        _mm256_inserti128_si256::<1>(low, _mm_loadu_si128(high.cast()))
    }
}

/// Both halves' sums in the lower one.
#[inline]
#[target_feature(enable = "avx2")]
fn folded(sums: __m256i) -> __m256i {
    let halves = _mm_add_epi16(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    _mm256_zextsi128_si256(halves)
}

/// Adds what bytes choose from each query's tables of their lower halves and of their upper ones.
#[inline]
#[target_feature(enable = "avx2")]
fn look_up<const Q: usize>(sums: &mut [Sums; Q], bytes: __m256i, tables: [[__m256i; 2]; Q]) {
    let half = _mm256_set1_epi8(15);
    let low = _mm256_and_si256(bytes, half);
    let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half);
    for (sums, [one, other]) in sums.iter_mut().zip(tables) {
        let found = _mm256_add_epi8(_mm256_shuffle_epi8(one, low), _mm256_shuffle_epi8(other, high));
        sums[0] = _mm256_add_epi16(sums[0], found);
        sums[1] = _mm256_add_epi16(sums[1], _mm256_srli_epi16::<8>(found));
    }
}

/// A query's sums with every eight lanes of a block, if any is so large.
#[inline]
#[target_feature(enable = "avx2")]
fn reaching([all, odd]: Sums, least: u16) -> Option<[__m128i; BLOCK / EIGHT]> {
    let even = _mm256_sub_epi16(all, _mm256_slli_epi16::<8>(odd));
    let least = _mm256_set1_epi16(least.cast_signed());
    // No number of 16 bits is larger than the largest of two of which it is one.
    let largest = _mm256_max_epu16(_mm256_max_epu16(even, odd), least);
    let reached = _mm256_or_si256(_mm256_cmpeq_epi16(largest, even), _mm256_cmpeq_epi16(largest, odd));
    if _mm256_testz_si256(reached, reached) == 1 {
        return None;
    }
    // Lanes 0 to 7 and 16 to 23, then the others.
    let (a, b) = (_mm256_unpacklo_epi16(even, odd), _mm256_unpackhi_epi16(even, odd));
    Some([
        _mm256_castsi256_si128(a),
        _mm256_castsi256_si128(b),
        _mm256_extracti128_si256::<1>(a),
        _mm256_extracti128_si256::<1>(b),
    ])
}

/// Writes the scores that a query's sums with a block make, and tells which are hits: a bit a lane.
///
/// # Safety
/// As for [`tile`]; the block and the query are those of the input.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn score(
    input: &LookupInput<'_>,
    block: usize,
    width: usize,
    query: usize,
    eights: [__m128i; BLOCK / EIGHT],
    scores: &mut [f32; BLOCK],
) -> u32 {
    let (_, bias, factors) = input.block(block, width);
    let Steps { base, step } = input.steps[query];
    let (base, step) = (_mm256_set1_ps(base), _mm256_set1_ps(step));
    let threshold = _mm256_set1_ps(input.thresholds[query]);
    let mut hits = 0;
    for (part, &sums) in eights[..width / EIGHT].iter().enumerate() {
        // SAFETY: eight lanes from `part * 8` on lie within the block's `width`, and so do eight scores.
        unsafe {
            let sum = _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(sums));
            let factor = _mm256_loadu_ps(factors.as_ptr().add(part * EIGHT));
            let bias = _mm256_loadu_ps(bias.as_ptr().add(part * EIGHT));
            let score = _mm256_add_ps(_mm256_mul_ps(step, sum), base);
            let score = _mm256_add_ps(_mm256_mul_ps(factor, score), bias);
            let reached = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(score, threshold));
            hits |= reached.cast_unsigned() << (part * EIGHT);
            _mm256_storeu_ps(scores.as_mut_ptr().add(part * EIGHT), score);
        }
    }
    hits
}
