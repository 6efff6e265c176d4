//! Look-ups by AVX2, for AVX-512 without VBMI too: 256 bits a shuffle are no slower there than 512 are.
#![expect(unsafe_code, reason = "intrinsics; entered only through kernels that `detect` hands out")]

use std::arch::x86_64::*;

use crate::kernel::TileOutput;
use crate::kernel::lookup::{self, CHOICES, ENTRIES, LookupInput, Pair, Parts, Residual, Steps};
use crate::lists::block::BLOCK;

pub(super) fn safe_lookup(input: LookupInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: the kernels are only reached through `detect`, which saw AVX2; `Kernels::lookup` checked the shape.
    unsafe { tile(input, output) }
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

/// # Safety
/// The CPU must have AVX2, and `input` the shape that [`LookupInput`] tells.
#[target_feature(enable = "avx2")]
unsafe fn tile(input: LookupInput<'_>, output: &mut TileOutput) -> u32 {
    let width = input.bias.len().min(BLOCK);
    let mut any = 0;
    for block in 0..input.bias.len() / width {
        let mut query = 0;
        while query < input.count {
            // SAFETY: as for this function; the queries are those of the input.
            unsafe {
                match input.count - query {
                    1 => any |= queries::<1>(&input, block, width, query, output),
                    2 => any |= queries::<2>(&input, block, width, query, output),
                    3 => any |= queries::<3>(&input, block, width, query, output),
                    _ => any |= queries::<QUERIES>(&input, block, width, query, output),
                }
            }
            query += QUERIES;
        }
    }
    any
}

/// Scores a block for the queries from `first` on.
///
/// # Safety
/// As for [`tile`]; the block and the queries are those of the input.
#[target_feature(enable = "avx2")]
unsafe fn queries<const Q: usize>(
    input: &LookupInput<'_>,
    block: usize,
    width: usize,
    first: usize,
    output: &mut TileOutput,
) -> u32 {
    let (codes, bias, factors) = input.block(block, width);
    let tables = std::array::from_fn::<_, Q, _>(|q| input.tables_of(first + q));
    let half = _mm256_set1_epi8(15);
    // Sums of both lanes of each pair, the upper one's times 256, and of the upper ones.
    let mut sums = [[_mm256_setzero_si256(); 2]; Q];
    for column in 0..input.columns {
        // SAFETY: a row of codes is `width` bytes, 32 or 16, and each query has two tables a column.
        unsafe {
            let row = codes.as_ptr().add(column * width);
            let bytes = if width == BLOCK {
                _mm256_loadu_si256(row.cast())
            } else {
                _mm256_zextsi128_si256(_mm_loadu_si128(row.cast()))
            };
            let low = _mm256_and_si256(bytes, half);
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half);
            for (sums, tables) in sums.iter_mut().zip(&tables) {
                let pair = tables.as_ptr().add(2 * column).cast::<[u8; ENTRIES]>();
                let table =
                    |which: usize| _mm256_broadcastsi128_si256(_mm_loadu_si128(pair.add(which).cast()));
                let found =
                    _mm256_add_epi8(_mm256_shuffle_epi8(table(0), low), _mm256_shuffle_epi8(table(1), high));
                sums[0] = _mm256_add_epi16(sums[0], found);
                sums[1] = _mm256_add_epi16(sums[1], _mm256_srli_epi16::<8>(found));
            }
        }
    }
    let mut any = 0;
    for (query, sums) in (first..).zip(&sums) {
        let even = _mm256_sub_epi16(sums[0], _mm256_slli_epi16::<8>(sums[1]));
        // Lanes 0 to 7 and 16 to 23, then the others.
        let (a, b) = (_mm256_unpacklo_epi16(even, sums[1]), _mm256_unpackhi_epi16(even, sums[1]));
        let eights = [
            _mm256_castsi256_si128(a),
            _mm256_castsi256_si128(b),
            _mm256_extracti128_si256::<1>(a),
            _mm256_extracti128_si256::<1>(b),
        ];
        let Steps { base, step } = input.steps[query];
        let (base, step) = (_mm256_set1_ps(base), _mm256_set1_ps(step));
        let threshold = _mm256_set1_ps(input.thresholds[query]);
        let scores = &mut output.scores[query][block];
        let mut hits = 0;
        for (part, &sums) in eights[..width / 8].iter().enumerate() {
            // SAFETY: eight lanes from `part * 8` on lie within the block's `width`, and so do eight scores.
            unsafe {
                let sum = _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(sums));
                let factor = _mm256_loadu_ps(factors.as_ptr().add(part * 8));
                let bias = _mm256_loadu_ps(bias.as_ptr().add(part * 8));
                let score = _mm256_add_ps(_mm256_mul_ps(step, sum), base);
                let score = _mm256_add_ps(_mm256_mul_ps(factor, score), bias);
                let reached = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(score, threshold));
                hits |= reached.cast_unsigned() << (part * 8);
                _mm256_storeu_ps(scores.as_mut_ptr().add(part * 8), score);
            }
        }
        output.hits[query][block] = hits;
        any |= u32::from(hits != 0) << query;
    }
    any
}
