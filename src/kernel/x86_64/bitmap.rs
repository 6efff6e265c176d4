//! Bitmaps by AVX2, for AVX-512 too: four ids at a time, their words gathered.
#![expect(unsafe_code, reason = "intrinsics; entered only through kernels that `detect` hands out")]

use std::arch::x86_64::*;

use crate::kernel::bitmap::{self, Bitmap};

pub(super) fn safe_members(bitmap: Bitmap<'_>, ids: &[i64]) -> u32 {
    // SAFETY: the kernels are only reached through `detect`, which saw AVX2.
    unsafe { members(bitmap, ids) }
}

#[target_feature(enable = "avx2")]
unsafe fn members(bitmap: Bitmap<'_>, ids: &[i64]) -> u32 {
    let (fours, rest) = ids.as_chunks::<4>();
    let first = _mm256_set1_epi64x(bitmap.first);
    let words = _mm256_set1_epi64x(bitmap.words.len().cast_signed() as i64);
    let nothing = _mm256_setzero_si256();
    let mut mask = 0;
    for (four, ids) in fours.iter().enumerate() {
        // SAFETY: `ids` are four. A word is gathered only where it lies within `words`: an id below the first, or far
        // above it, has one that is not, and none is negative.
        let found = unsafe {
            let bit = _mm256_sub_epi64(_mm256_loadu_si256(ids.as_ptr().cast()), first);
            let word = _mm256_srli_epi64::<6>(bit);
            let held = _mm256_cmpgt_epi64(words, word);
            let base = bitmap.words.as_ptr().cast();
            let word = _mm256_mask_i64gather_epi64::<8>(nothing, base, word, held);
            // Each id's bit moves to the sign.
            let up = _mm256_andnot_si256(bit, _mm256_set1_epi64x(63));
            _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_sllv_epi64(word, up)))
        };
        mask |= found.cast_unsigned() << (four * 4);
    }
    match rest {
        [] => mask,
        rest => mask | bitmap::scalar(bitmap, rest) << (ids.len() - rest.len()),
    }
}
