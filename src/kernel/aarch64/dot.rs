//! Products in whole numbers by NEON: four lanes a register.
#![expect(unsafe_code, reason = "intrinsics; entered only through kernels that `detect` hands out")]

use std::arch::aarch64::*;

use crate::kernel::TileOutput;
use crate::kernel::dot::{self, DotInput, GROUP};
use crate::lists::block::BLOCK;

pub(super) fn safe_dots(input: DotInput<'_>, output: &mut TileOutput) -> u32 {
    // SAFETY: the kernels are only reached through `detect`; `Kernels::dots` checked the shape.
    unsafe { tile(input, output) }
}

/// Lanes of a register of sums.
const LANES: usize = 4;

/// # Safety
/// The CPU must have NEON, and `input` the shape that [`DotInput`] tells.
#[target_feature(enable = "neon")]
unsafe fn tile(input: DotInput<'_>, output: &mut TileOutput) -> u32 {
    let width = input.bias.len().min(BLOCK);
    let mut any = 0;
    for block in 0..input.bias.len() / width {
        let (codes, bias) = input.block(block, width);
        for query in 0..input.count {
            let mut sums = [vdupq_n_s32(0); BLOCK / LANES];
            for (group, codes) in codes.chunks_exact(width * GROUP).enumerate() {
                let word = input.queries[input.place(query, group)];
                // The four values twice.
                let values = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(word)));
                for (sum, codes) in sums.iter_mut().zip(codes.chunks_exact(LANES * GROUP)) {
                    // SAFETY: 16 bytes.
                    let codes = unsafe { vld1q_u8(codes.as_ptr()) };
                    let low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(codes)));
                    let high = vreinterpretq_s16_u16(vmovl_high_u8(codes));
                    let pairs = |codes, values| {
                        vpaddq_s32(
                            vmull_s16(vget_low_s16(codes), vget_low_s16(values)),
                            vmull_high_s16(codes, values),
                        )
                    };
                    *sum = vaddq_s32(*sum, vpaddq_s32(pairs(low, values), pairs(high, values)));
                }
            }
            let mut lanes = [0; BLOCK];
            for (lanes, &sum) in lanes.chunks_exact_mut(LANES).zip(&sums) {
                // SAFETY: four sums.
                unsafe { vst1q_s32(lanes.as_mut_ptr(), sum) };
            }
            let (step, threshold) = (input.steps[query], input.thresholds[query]);
            let hits = dot::score(&lanes, step, threshold, bias, &mut output.scores[query][block]);
            output.hits[query][block] = hits;
            any |= u32::from(hits != 0) << query;
        }
    }
    any
}
