//! Look-ups by NEON: 16 lanes an instruction.
#![expect(unsafe_code, reason = "intrinsics; entered only through kernels that `detect` hands out")]

use std::arch::aarch64::*;

use crate::kernel::TileOutput;
use crate::kernel::lookup::{self, CHOICES, LookupInput, Pair, Parts, Residual, Steps};
use crate::lists::block::BLOCK;

pub(super) fn safe_lookup(input: LookupInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: the kernels are only reached through `detect`; `Kernels::lookup` checked the shape.
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

#[target_feature(enable = "neon")]
unsafe fn residual(query: &[f32], centroid: &[f32], out: &mut [f32]) -> Residual {
    lookup::residual(query, centroid, out)
}

#[target_feature(enable = "neon")]
unsafe fn subsets(values: &[f32], tables: &mut [u8]) -> Steps {
    lookup::subsets(values, tables, |parts: &Parts, pair: &mut Pair| {
        for half in 0..2 {
            // SAFETY: 16 parts, 16 choices from the half's first on, 16 entries likewise.
            unsafe {
                let parts = vld1q_u8(parts.as_ptr());
                let [a, b, c, d] =
                    CHOICES.map(|choice| vqtbl1q_u8(parts, vld1q_u8(choice.as_ptr().add(half * LANES))));
                vst1q_u8(pair.as_mut_ptr().add(half * LANES), vaddq_u8(vaddq_u8(a, b), vaddq_u8(c, d)));
            }
        }
    })
}

/// Lanes of a register of bytes.
const LANES: usize = 16;

/// # Safety
/// The CPU must have NEON, and `input` the shape that [`LookupInput`] tells.
#[target_feature(enable = "neon")]
unsafe fn tile(input: LookupInput<'_>, output: &mut TileOutput) -> u32 {
    let width = input.bias.len().min(BLOCK);
    let mut any = 0;
    for block in 0..input.bias.len() / width {
        let (codes, bias, factors) = input.block(block, width);
        for query in 0..input.count {
            let tables = input.tables_of(query);
            let mut sums = [0u16; BLOCK];
            for (lane, sums) in sums.chunks_exact_mut(LANES).take(width / LANES).enumerate() {
                let (mut first, mut second) = (vdupq_n_u16(0), vdupq_n_u16(0));
                for (column, pair) in tables.chunks_exact(2).enumerate() {
                    // SAFETY: 16 lanes of a row of `width` bytes, and two tables of 16.
                    unsafe {
                        let bytes = vld1q_u8(codes.as_ptr().add(column * width + lane * LANES));
                        let low = vqtbl1q_u8(vld1q_u8(pair[0].as_ptr()), vandq_u8(bytes, vdupq_n_u8(15)));
                        let high = vqtbl1q_u8(vld1q_u8(pair[1].as_ptr()), vshrq_n_u8::<4>(bytes));
                        let found = vaddq_u8(low, high);
                        first = vaddw_u8(first, vget_low_u8(found));
                        second = vaddw_high_u8(second, found);
                    }
                }
                // SAFETY: 16 sums.
                unsafe {
                    vst1q_u16(sums.as_mut_ptr(), first);
                    vst1q_u16(sums.as_mut_ptr().add(LANES / 2), second);
                }
            }
            let (steps, threshold) = (input.steps[query], input.thresholds[query]);
            let scores = &mut output.scores[query][block];
            let hits = lookup::score(&sums, steps, threshold, (bias, factors), scores);
            output.hits[query][block] = hits;
            any |= u32::from(hits != 0) << query;
        }
    }
    any
}
