//! Tables of product quantizers by AVX2, for AVX-512 too, but for the sums: these have kernels of their own.
#![expect(
    unsafe_code,
    reason = "functions of an instruction set; entered only through kernels that `detect` hands out"
)]

use std::arch::x86_64::*;

use crate::kernel::TileOutput;
use crate::kernel::along::{self, Along};
use crate::kernel::lookup::{ENTRIES, Steps};
use crate::kernel::tables::{self, Book, SumInput, Tables, WHOLE, most_of, steps_of};
use crate::kernel::words::{self, LANES, Words};
use crate::lists::block::BLOCK;

pub(super) const AVX2: Tables = Tables {
    // SAFETY: the kernels are only reached through `detect`, which saw AVX2.
    products: |book, query, out| unsafe { products(book, query, out) },
    // SAFETY: as above.
    quantize: |tables, out| unsafe { quantize(tables, out) },
    // SAFETY: as above.
    nearest: |book, vector, codes| unsafe { nearest(book, vector, codes) },
    // SAFETY: as above.
    nearest_of_rows: |words, rows, numbers, distances| unsafe {
        nearest_of_rows(words, rows, numbers, distances);
    },
    // SAFETY: as above.
    nearest_along: |book, along, vector, scale, aims, codes| unsafe {
        nearest_along(book, along, vector, scale, aims, codes);
    },
    // SAFETY: as above.
    nearest_of_rows_along: |words, along, rows, scales, aims, numbers| unsafe {
        nearest_of_rows_along(words, along, rows, scales, aims, numbers);
    },
    // SAFETY: as above.
    add_up: |input, query, output| unsafe { add_up_avx2(input, query, output) },
};

/// The same with the sums of AVX-512.
pub(super) const AVX512: Tables = Tables {
    // SAFETY: the kernels are only reached through `detect`, which saw AVX2 and AVX-512F.
    add_up: |input, query, output| unsafe { add_up_avx512(input, query, output) },
    ..AVX2
};

#[target_feature(enable = "avx2")]
unsafe fn products(book: &Book<'_>, query: &[f32], out: &mut [f32]) {
    tables::products(book, query, out);
}

/// See [`Tables::quantize`](crate::kernel::tables::Tables::quantize).
#[target_feature(enable = "avx2")]
fn quantize(tables: &[f32], out: &mut [u8]) -> Steps {
    let (tables, outs) = (tables.as_chunks().0, out.as_chunks_mut().0);
    let most = most_of(outs.len());
    let (mut base, mut widest) = (0.0, _mm_setzero_ps());
    for table in tables {
        let (least, greatest) = extremes(halves(table));
        base += _mm_cvtss_f32(least);
        widest = _mm_max_ss(_mm_sub_ss(greatest, least), widest);
    }
    let (steps, inverse) = steps_of(base, _mm_cvtss_f32(widest), most);
    let (inverse, shift) = (_mm256_set1_ps(inverse), _mm256_set1_ps(WHOLE));
    let lowest = _mm256_set1_epi32(0xff);
    for (out, table) in outs.iter_mut().zip(tables) {
        let halves = halves(table);
        let least = _mm256_broadcastss_ps(extremes(halves).0);
        let [a, b] = halves.map(|half| {
            let whole = _mm256_add_ps(_mm256_mul_ps(_mm256_sub_ps(half, least), inverse), shift);
            _mm256_and_si256(_mm256_castps_si256(whole), lowest)
        });
        // Values 0 to 3 and 8 to 11, then the others.
        let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(a, b));
        let packed = _mm_packus_epi16(_mm256_castsi256_si128(packed), _mm256_extracti128_si256::<1>(packed));
        let bytes = _mm_min_epu8(packed, _mm_set1_epi8(most.cast_signed()));
        // SAFETY: 16 bytes.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), bytes) };
    }
    outs[tables.len()..].iter_mut().for_each(|table| *table = [0; ENTRIES]);
    steps
}

/// Both halves of a table.
#[inline]
#[target_feature(enable = "avx2")]
fn halves(table: &[f32; ENTRIES]) -> [__m256; 2] {
    // SAFETY: eight values each.
    unsafe { [_mm256_loadu_ps(table.as_ptr()), _mm256_loadu_ps(table.as_ptr().add(ENTRIES / 2))] }
}

/// The least and the greatest of a table, each the first of its register; operands are in the oracle's order, which
/// counts where a value is no number.
#[inline]
#[target_feature(enable = "avx2")]
fn extremes([a, b]: [__m256; 2]) -> (__m128, __m128) {
    let (least, most) = (_mm256_min_ps(a, b), _mm256_max_ps(b, a));
    let least = _mm_min_ps(_mm256_extractf128_ps::<1>(least), _mm256_castps256_ps128(least));
    let most = _mm_max_ps(_mm256_extractf128_ps::<1>(most), _mm256_castps256_ps128(most));
    let (least, most) =
        (_mm_min_ps(_mm_movehl_ps(least, least), least), _mm_max_ps(_mm_movehl_ps(most, most), most));
    (_mm_min_ss(_mm_movehdup_ps(least), least), _mm_max_ss(_mm_movehdup_ps(most), most))
}

#[target_feature(enable = "avx2")]
unsafe fn nearest(book: &Book<'_>, vector: &[f32], codes: &mut [u8]) {
    tables::nearest(book, vector, codes);
}

#[target_feature(enable = "avx2")]
unsafe fn nearest_of_rows(
    book: &Words<'_>,
    rows: &[[f32; LANES]],
    numbers: &mut [u32; LANES],
    distances: &mut [f32; LANES],
) {
    words::nearest_of_rows(book, rows, numbers, distances);
}

#[target_feature(enable = "avx2")]
unsafe fn nearest_along(
    book: &Book<'_>,
    along: Along<'_>,
    vector: &[f32],
    scale: f32,
    aims: &[f32],
    codes: &mut [u8],
) {
    along::nearest_along(book, along, vector, scale, aims, codes);
}

#[target_feature(enable = "avx2")]
unsafe fn nearest_of_rows_along(
    words: &Words<'_>,
    along: Along<'_>,
    rows: &[[f32; LANES]],
    scales: &[f32; LANES],
    aims: &[[f32; LANES]],
    numbers: &mut [[u32; LANES]],
) {
    along::nearest_of_rows_along(words, along, rows, scales, aims, numbers);
}

/// # Safety
/// The CPU must have AVX2, and `input` the shape that [`SumInput`] tells.
#[target_feature(enable = "avx2")]
unsafe fn add_up_avx2(input: SumInput<'_>, query: usize, output: &mut TileOutput) -> bool {
    const LANES: usize = 8;
    let (width, columns) = (input.width(), input.columns());
    let threshold = _mm256_set1_ps(input.threshold);
    let mut any = 0;
    for (block, bias) in input.bias.chunks_exact(width).enumerate() {
        let codes = &input.codes[block * columns * width..(block + 1) * columns * width];
        let scores = &mut output.scores[query][block];
        let mut hits = 0;
        for lane in (0..width).step_by(LANES) {
            // SAFETY: eight lanes from `lane` on lie within the block, a code within its table, and a column of codes
            // of four bits has a second table unless the parts are at their end.
            unsafe {
                let mut sum = _mm256_setzero_ps();
                let mut table = input.tables.as_ptr();
                let end = input.tables.as_ptr_range().end;
                for column in 0..columns {
                    let bytes = _mm_loadl_epi64(codes.as_ptr().add(column * width + lane).cast());
                    let bytes = _mm256_cvtepu8_epi32(bytes);
                    if input.words == ENTRIES {
                        sum = _mm256_add_ps(
                            sum,
                            entry_avx2(table, _mm256_and_si256(bytes, _mm256_set1_epi32(15))),
                        );
                        table = table.add(ENTRIES);
                        if table < end {
                            sum = _mm256_add_ps(sum, entry_avx2(table, _mm256_srli_epi32::<4>(bytes)));
                            table = table.add(ENTRIES);
                        }
                    } else {
                        sum = _mm256_add_ps(sum, _mm256_i32gather_ps::<4>(table, bytes));
                        table = table.add(input.words);
                    }
                }
                let score = _mm256_add_ps(_mm256_loadu_ps(bias.as_ptr().add(lane)), sum);
                let reached = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(score, threshold));
                hits |= reached.cast_unsigned() << lane;
                _mm256_storeu_ps(scores.as_mut_ptr().add(lane), score);
            }
        }
        output.hits[query][block] = hits;
        any |= hits;
    }
    any != 0
}

/// The entries of a table of 16 for codes below 16.
///
/// # Safety
/// The CPU must have AVX2; `table` points to 16 values.
#[target_feature(enable = "avx2")]
unsafe fn entry_avx2(table: *const f32, codes: __m256i) -> __m256 {
    // SAFETY: as for this function.
    let (low, high) = unsafe { (_mm256_loadu_ps(table), _mm256_loadu_ps(table.add(8))) };
    let (low, high) = (_mm256_permutevar8x32_ps(low, codes), _mm256_permutevar8x32_ps(high, codes));
    // The fourth bit, where a blend looks for it.
    _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32::<28>(codes)))
}

/// # Safety
/// The CPU must have AVX-512F, and `input` the shape that [`SumInput`] tells.
#[target_feature(enable = "avx512f")]
unsafe fn add_up_avx512(input: SumInput<'_>, query: usize, output: &mut TileOutput) -> bool {
    // SAFETY: as for this function; the width picks the code of its own size.
    unsafe {
        if input.width() == BLOCK {
            blocks_avx512::<2>(input, query, output)
        } else {
            blocks_avx512::<1>(input, query, output)
        }
    }
}

/// Scores blocks of so many registers.
///
/// # Safety
/// As for [`add_up_avx512`]; blocks are `REGISTERS * 16` wide.
#[target_feature(enable = "avx512f")]
unsafe fn blocks_avx512<const REGISTERS: usize>(
    input: SumInput<'_>,
    query: usize,
    output: &mut TileOutput,
) -> bool {
    const LANES: usize = 16;
    let (width, columns) = (REGISTERS * LANES, input.columns());
    let threshold = _mm512_set1_ps(input.threshold);
    let mut any = 0;
    for (block, bias) in input.bias.chunks_exact(width).enumerate() {
        let codes = &input.codes[block * columns * width..(block + 1) * columns * width];
        let scores = &mut output.scores[query][block];
        let mut sums = [_mm512_setzero_ps(); REGISTERS];
        // SAFETY: 16 lanes a register lie within the block, a code within its table, and a column of codes of four
        // bits has a second table unless the parts are at their end.
        unsafe {
            let mut table = input.tables.as_ptr();
            let end = input.tables.as_ptr_range().end;
            for column in 0..columns {
                let bytes = std::array::from_fn::<_, REGISTERS, _>(|part| {
                    let place = codes.as_ptr().add(column * width + part * LANES);
                    _mm512_cvtepu8_epi32(_mm_loadu_si128(place.cast()))
                });
                if input.words == ENTRIES {
                    let entries = _mm512_loadu_ps(table);
                    for (sum, &bytes) in sums.iter_mut().zip(&bytes) {
                        // Only the lower four bits of an index count.
                        *sum = _mm512_add_ps(*sum, _mm512_permutexvar_ps(bytes, entries));
                    }
                    table = table.add(ENTRIES);
                    if table < end {
                        let entries = _mm512_loadu_ps(table);
                        for (sum, &bytes) in sums.iter_mut().zip(&bytes) {
                            let high = _mm512_srli_epi32::<4>(bytes);
                            *sum = _mm512_add_ps(*sum, _mm512_permutexvar_ps(high, entries));
                        }
                        table = table.add(ENTRIES);
                    }
                } else {
                    for (sum, &bytes) in sums.iter_mut().zip(&bytes) {
                        *sum = _mm512_add_ps(*sum, _mm512_i32gather_ps::<4>(bytes, table));
                    }
                    table = table.add(input.words);
                }
            }
            let mut hits = 0;
            for (part, &sum) in sums.iter().enumerate() {
                let score = _mm512_add_ps(_mm512_loadu_ps(bias.as_ptr().add(part * LANES)), sum);
                let reached = _mm512_cmp_ps_mask::<_CMP_GE_OQ>(score, threshold);
                hits |= u32::from(reached) << (part * LANES);
                _mm512_storeu_ps(scores.as_mut_ptr().add(part * LANES), score);
            }
            output.hits[query][block] = hits;
            any |= hits;
        }
    }
    any != 0
}
