//! Products in whole numbers, eight lanes a register: by AVX2, and by AVX-VNNI where it is.
#![expect(unsafe_code, reason = "intrinsics; entered only through kernels that `detect` hands out")]

use std::arch::x86_64::*;

use super::multiply::{AvxVnni, Multiply, Wide};
use crate::kernel::TileOutput;
use crate::kernel::dot::{DotInput, GROUP};
use crate::lists::block::BLOCK;

pub(super) fn safe_avx2(input: DotInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: the kernels are only reached through `detect`, which saw AVX2; `Kernels::dots` checked the shape.
    unsafe { if is_x86_feature_detected!("avxvnni") { avxvnni(input, output) } else { avx2(input, output) } }
}

#[target_feature(enable = "avx2")]
unsafe fn avx2(input: DotInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: the features are enabled here, as below.
    unsafe { tile::<Wide>(&input, output) }
}

#[target_feature(enable = "avx2,avxvnni")]
unsafe fn avxvnni(input: DotInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: as above.
    unsafe { tile::<AvxVnni>(&input, output) }
}

/// Lanes of a register.
pub(super) const EIGHT: usize = 8;

/// Queries that share a block's codes: their sums fit in 16 registers.
const QUERIES: usize = 2;

/// # Safety
/// The CPU must have AVX2 and what `M` needs, and `input` the shape that [`DotInput`] tells.
#[inline(always)]
unsafe fn tile<M: Multiply>(input: &DotInput<'_>, output: &mut TileOutput) -> u32 {
    let width = input.bias.len().min(BLOCK);
    let mut any = 0;
    for block in 0..input.bias.len() / width {
        for query in (0..input.count).step_by(QUERIES) {
            // SAFETY: as for this function; the queries are those of the input.
            any |= unsafe {
                match input.count - query {
                    1 => queries::<M, 1>(input, block, width, query, output),
                    _ => queries::<M, QUERIES>(input, block, width, query, output),
                }
            };
        }
    }
    any
}

/// Scores a block for `Q` queries from `first` on.
///
/// # Safety
/// As for [`tile`]; the block and the queries are those of the input.
#[inline(always)]
unsafe fn queries<M: Multiply, const Q: usize>(
    input: &DotInput<'_>,
    block: usize,
    width: usize,
    first: usize,
    output: &mut TileOutput,
) -> u32 {
    let (codes, _) = input.block(block, width);
    // SAFETY: a group of a block is `width` lanes of four bytes, and each query has a word for it.
    unsafe {
        let mut sums = [[_mm256_setzero_si256(); BLOCK / EIGHT]; Q];
        for group in 0..input.groups {
            let codes = codes.as_ptr().add(group * width * GROUP);
            let factors: [_; Q] = std::array::from_fn(|q| {
                M::factor(*input.queries.as_ptr().add(input.place(first + q, group)))
            });
            for part in 0..width / EIGHT {
                let codes = _mm256_loadu_si256(codes.add(part * EIGHT * GROUP).cast());
                for (sums, &factor) in sums.iter_mut().zip(&factors) {
                    sums[part] = M::add(sums[part], codes, factor);
                }
            }
        }
        let reached = |(q, sums)| reach(input, block, width, first + q, sums, output);
        sums.iter().enumerate().map(reached).fold(0, |any, hit| any | hit)
    }
}

/// Makes scores of a query's sums with a block, and tells which are hits: a bit for the query if there are any.
///
/// # Safety
/// The CPU must have AVX2, and `input` such a block.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn reach(
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

/// Both ways, where this CPU knows them.
#[cfg(test)]
pub(in crate::kernel) fn ways() -> Vec<(&'static str, crate::kernel::dot::DotFn)> {
    super::multiply::known(
        // SAFETY: only what the CPU knows is handed out.
        |input, output| unsafe { avx2(input, output) },
        // SAFETY: as above.
        |input, output| unsafe { avxvnni(input, output) },
        None,
    )
}
