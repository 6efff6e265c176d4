//! Products in whole numbers of a query or two with codes as lists hold them, in rows: what a tile of many queries finds
//! laid out by fours is made in registers here, which a few queries notice less than a pass over memory more.
//!
//! Written once for AVX2 and for both kinds of VNNI (that of AVX-512 and AVX-VNNI), to be inlined where they are enabled.
#![expect(unsafe_code, reason = "intrinsics; entered only through kernels that `detect` hands out")]

use std::arch::x86_64::*;

use super::dot::{AHEAD, LINE};
use super::eights::{EIGHT, reach};
use super::multiply::{Avx512Vnni, AvxVnni, Multiply, Wide, fours};
use crate::kernel::TileOutput;
use crate::kernel::dot::{DotInput, GROUP};
use crate::lists::block::{BLOCK, NARROW};

pub(super) fn safe_avx2(input: DotInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: the kernels are only reached through `detect`, which saw AVX2; `Kernels::dots` checked the shape.
    unsafe { if is_x86_feature_detected!("avxvnni") { avxvnni(input, output) } else { avx2(input, output) } }
}

pub(super) fn safe_avx512(input: DotInput<'_>, output: &mut TileOutput) -> u32 {
    if is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512vl") {
        // SAFETY: as above, and the CPU has what is asked for.
        unsafe { avx512vnni(input, output) }
    } else {
        safe_avx2(input, output)
    }
}

#[target_feature(enable = "avx2")]
unsafe fn avx2(input: DotInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: the features are enabled here, as in the others.
    unsafe { tile::<Wide>(&input, output) }
}

#[target_feature(enable = "avx2,avxvnni")]
unsafe fn avxvnni(input: DotInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: as above.
    unsafe { tile::<AvxVnni>(&input, output) }
}

#[target_feature(enable = "avx2,avx512vnni,avx512vl")]
unsafe fn avx512vnni(input: DotInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: as above.
    unsafe { tile::<Avx512Vnni>(&input, output) }
}

/// # Safety
/// The CPU must have AVX2 and what `M` needs, and `input` the shape that [`DotInput`] tells.
#[inline(always)]
unsafe fn tile<M: Multiply>(input: &DotInput<'_>, output: &mut TileOutput) -> u32 {
    let width = input.bias.len().min(BLOCK);
    let mut any = 0;
    for block in 0..input.bias.len() / width {
        // SAFETY: as for this function.
        any |= unsafe {
            match input.count {
                1 => queries::<M, 1>(input, block, width, output),
                _ => queries::<M, 2>(input, block, width, output),
            }
        };
    }
    any
}

/// Scores a block for `Q` queries.
///
/// # Safety
/// As for [`tile`]; the block is one of the input.
#[inline(always)]
unsafe fn queries<M: Multiply, const Q: usize>(
    input: &DotInput<'_>,
    block: usize,
    width: usize,
    output: &mut TileOutput,
) -> u32 {
    // SAFETY: a row of a block is `width` bytes, 32 or 16, there are `dim`, and each query has a word for each group.
    unsafe {
        let (codes, _) = input.block(block, width);
        let dim = codes.len() / width;
        let mut sums = [[_mm256_setzero_si256(); BLOCK / EIGHT]; Q];
        for group in 0..input.groups {
            let first = codes.as_ptr().add(group * GROUP * width);
            for line in 0..GROUP * BLOCK / LINE {
                _mm_prefetch::<_MM_HINT_T0>(first.wrapping_add(AHEAD + line * LINE).cast());
            }
            let row = |place: usize| match width {
                _ if group * GROUP + place >= dim => _mm256_setzero_si256(),
                NARROW => _mm256_zextsi128_si256(_mm_loadu_si128(first.add(place * width).cast())),
                _ => _mm256_loadu_si256(first.add(place * width).cast()),
            };
            let fours = fours([row(0), row(1), row(2), row(3)]);
            for (q, sums) in sums.iter_mut().enumerate() {
                let factor = M::factor(*input.queries.as_ptr().add(input.place(q, group)));
                for (sum, &codes) in sums.iter_mut().zip(&fours) {
                    *sum = M::add(*sum, codes, factor);
                }
            }
        }
        let mut any = 0;
        for (q, &[a, b, c, d]) in sums.iter().enumerate() {
            let in_order = [
                _mm256_permute2x128_si256::<0x20>(a, b),
                _mm256_permute2x128_si256::<0x20>(c, d),
                _mm256_permute2x128_si256::<0x31>(a, b),
                _mm256_permute2x128_si256::<0x31>(c, d),
            ];
            any |= reach(input, block, width, q, &in_order, output);
        }
        any
    }
}

/// Each of the ways that this CPU knows.
#[cfg(test)]
pub(in crate::kernel) fn ways() -> Vec<(&'static str, crate::kernel::dot::DotFn)> {
    super::multiply::known(
        // SAFETY: only what the CPU knows is handed out.
        |input, output| unsafe { avx2(input, output) },
        // SAFETY: as above.
        |input, output| unsafe { avxvnni(input, output) },
        // SAFETY: as above.
        Some(|input, output| unsafe { avx512vnni(input, output) }),
    )
}
