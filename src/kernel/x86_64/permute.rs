//! Look-ups by AVX-512 with VBMI: a permutation of bytes looks two columns up at once, each in its own tables. What it
//! cannot do, AVX2 does.
#![expect(unsafe_code, reason = "intrinsics; entered only through kernels that `detect` hands out")]

use std::arch::x86_64::*;

use super::lookup::safe_lookup;
use crate::kernel::TileOutput;
use crate::kernel::lookup::{ENTRIES, LookupInput, Steps};
use crate::lists::block::{BLOCK, NARROW};

pub(super) fn safe_lookup_avx512(input: LookupInput<'_>, output: &mut TileOutput) -> u32 {
    let has = is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl");
    if has && input.bias.len() >= BLOCK {
        // SAFETY: the CPU has the features, and `Kernels::lookup` checked the shape.
        unsafe { tile(input, output) }
    } else {
        safe_lookup(input, output)
    }
}

/// Queries that share a block's bytes.
const QUERIES: usize = 6;

/// Bytes between a load and what is prefetched.
const AHEAD: usize = 2048;

/// # Safety
/// The CPU must have the features, and `input` the shape that [`LookupInput`] tells, of whole blocks.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn tile(input: LookupInput<'_>, output: &mut TileOutput) -> u32 {
    let mut any = 0;
    for block in 0..input.bias.len() / BLOCK {
        for query in (0..input.count).step_by(QUERIES) {
            // SAFETY: as for this function; the queries are those of the input.
            any |= unsafe {
                match input.count - query {
                    1 => queries::<1>(&input, block, query, output),
                    2 => queries::<2>(&input, block, query, output),
                    3 => queries::<3>(&input, block, query, output),
                    4 => queries::<4>(&input, block, query, output),
                    5 => queries::<5>(&input, block, query, output),
                    _ => queries::<QUERIES>(&input, block, query, output),
                }
            };
        }
    }
    any
}

/// Scores a block for the queries from `first` on.
///
/// # Safety
/// As for [`tile`]; the block and the queries are those of the input.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn queries<const Q: usize>(
    input: &LookupInput<'_>,
    block: usize,
    first: usize,
    output: &mut TileOutput,
) -> u32 {
    let (codes, _, _) = input.block(block, BLOCK);
    let tables = std::array::from_fn::<_, Q, _>(|q| input.tables[first + q].as_ptr());
    let half = _mm512_set1_epi8(15);
    // Which of the 64 bytes of two columns' tables their halves of bytes choose from.
    let (lower, upper) = (of_columns(0, 2), of_columns(1, 3));
    // Sums of both lanes of each pair, the upper one's times 256, and of the upper ones.
    let mut sums = [[_mm512_setzero_si512(); 2]; Q];
    for column in (0..input.columns).step_by(2) {
        let whole = column + 1 < input.columns;
        // SAFETY: a row of codes is 32 bytes, and so are each query's tables of a column.
        unsafe {
            let row = codes.as_ptr().add(column * BLOCK);
            _mm_prefetch::<_MM_HINT_T0>(row.wrapping_add(AHEAD).cast());
            let bytes = columns(row, whole);
            // Half of a byte, or the table.
            let low = _mm512_ternarylogic_epi32::<AND_OR>(bytes, half, lower);
            let high = _mm512_ternarylogic_epi32::<AND_OR>(_mm512_srli_epi16::<4>(bytes), half, upper);
            for (sums, tables) in sums.iter_mut().zip(&tables) {
                let entries = columns(tables.add(column * BLOCK), whole);
                let found = _mm512_add_epi8(
                    _mm512_permutexvar_epi8(low, entries),
                    _mm512_permutexvar_epi8(high, entries),
                );
                sums[0] = _mm512_add_epi16(sums[0], found);
                sums[1] = _mm512_add_epi16(sums[1], _mm512_srli_epi16::<8>(found));
            }
        }
    }
    // SAFETY: as for this function.
    let finished = |(q, &sums)| unsafe { finish(input, block, first + q, sums, output) };
    sums.iter().enumerate().map(finished).fold(0, |any, hit| any | hit)
}

/// `a & b | c`.
const AND_OR: i32 = 0xea;

/// The first entry of one table for all bytes of a column, and of another for those of the next.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn of_columns(one: i8, next: i8) -> __m512i {
    #[expect(clippy::cast_possible_truncation, reason = "16")]
    const EACH: i8 = ENTRIES as i8;
    let one = _mm512_castsi256_si512(_mm256_set1_epi8(one * EACH));
    _mm512_inserti64x4::<1>(one, _mm256_set1_epi8(next * EACH))
}

/// The bytes of two columns, or of the last one.
///
/// # Safety
/// There must be 64 bytes, or 32.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn columns(bytes: *const u8, whole: bool) -> __m512i {
    // SAFETY: as for this function.
    unsafe {
        if whole {
            _mm512_loadu_si512(bytes.cast())
        } else {
            _mm512_zextsi256_si512(_mm256_loadu_si256(bytes.cast()))
        }
    }
}

/// Makes scores of a query's sums with a block, and tells which are hits: a bit for the query if there are any.
///
/// # Safety
/// As for [`tile`]; the block and the query are those of the input.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn finish(
    input: &LookupInput<'_>,
    block: usize,
    query: usize,
    sums: [__m512i; 2],
    output: &mut TileOutput,
) -> u32 {
    let (_, bias, factors) = input.block(block, BLOCK);
    let [all, odd] =
        sums.map(|sums| _mm256_add_epi16(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64::<1>(sums)));
    let even = _mm256_sub_epi16(all, _mm256_slli_epi16::<8>(odd));
    // Lanes 0 to 7 and 16 to 23, then the others.
    let (a, b) = (_mm256_unpacklo_epi16(even, odd), _mm256_unpackhi_epi16(even, odd));
    let halves = [_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b)];
    let Steps { base, step } = input.steps[query];
    let (base, step) = (_mm512_set1_ps(base), _mm512_set1_ps(step));
    let threshold = _mm512_set1_ps(input.thresholds[query]);
    let mut hits = 0;
    let mut scores = [_mm512_setzero_ps(); 2];
    for (part, (score, sums)) in scores.iter_mut().zip(halves).enumerate() {
        // SAFETY: 16 lanes from `part * 16` on are those of the block.
        unsafe {
            let sum = _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(sums));
            let factor = _mm512_loadu_ps(factors.as_ptr().add(part * NARROW));
            let bias = _mm512_loadu_ps(bias.as_ptr().add(part * NARROW));
            *score =
                _mm512_add_ps(_mm512_mul_ps(factor, _mm512_add_ps(_mm512_mul_ps(step, sum), base)), bias);
        }
        hits |= u32::from(_mm512_cmp_ps_mask::<_CMP_GE_OQ>(*score, threshold)) << (part * NARROW);
    }
    output.hits[query][block] = hits;
    if hits == 0 {
        return 0;
    }
    let to = output.scores[query][block].as_mut_ptr();
    // SAFETY: a block has 32 scores.
    unsafe {
        _mm512_storeu_ps(to, scores[0]);
        _mm512_storeu_ps(to.add(NARROW), scores[1]);
    }
    1 << query
}
