//! Look-ups by AVX-512 with VBMI: a permutation of bytes looks two columns up at once, each in its own tables. Of a narrow
//! block four columns are looked up at once, each in a quarter of a register. CPUs without VBMI do as AVX2 does.
#![expect(unsafe_code, reason = "intrinsics; entered only through kernels that `detect` hands out")]

use std::arch::x86_64::*;

use super::lookup::{safe_lookup, safe_lookup_run};
use crate::kernel::lookup::{ENTRIES, Found, LookupInput, Steps};
use crate::kernel::{TileOutput, prefetch_early};
use crate::lists::block::{BLOCK, NARROW};

pub(super) fn safe_lookup_avx512(input: LookupInput<'_>, output: &mut TileOutput) -> u32 {
    if permutes() {
        // SAFETY: the CPU has the features, and `Kernels::lookup` checked the shape.
        unsafe { tile(input, output) }
    } else {
        safe_lookup(input, output)
    }
}

pub(super) fn safe_lookup_run_avx512(
    input: LookupInput<'_>,
    next: &[u8],
    output: &mut TileOutput,
    found: &mut Found,
) -> usize {
    if permutes() {
        // SAFETY: the CPU has the features, and `Kernels::lookup_run` checked the shape.
        unsafe { run(input, next, found) }
    } else {
        safe_lookup_run(input, next, output, found)
    }
}

/// Whether the CPU has the features.
fn permutes() -> bool {
    is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
}

/// Queries that share a block's bytes.
const QUERIES: usize = 6;

/// Bytes between a load and what is prefetched.
const AHEAD: usize = 2048;

/// # Safety
/// The CPU must have the features, and `input` the shape that [`LookupInput`] tells.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn tile(input: LookupInput<'_>, output: &mut TileOutput) -> u32 {
    let mut any = 0;
    if input.bias.len() == NARROW {
        for query in 0..input.count {
            // SAFETY: as for this function, of a narrow block; the query is one of the input.
            let (score, hits) = unsafe { narrow(&input, query) }.unwrap_or((_mm512_setzero_ps(), 0));
            output.hits[query][0] = hits.into();
            // SAFETY: a block has room for 32 scores.
            unsafe { _mm512_storeu_ps(output.scores[query][0].as_mut_ptr(), score) };
            any |= u32::from(hits != 0) << query;
        }
        return any;
    }
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

/// Scores blocks for one query; beside each its share of `next` is fetched.
///
/// # Safety
/// As for [`tile`]; there are at most [`RUN`](crate::kernel::lookup::RUN) lanes.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn run(input: LookupInput<'_>, next: &[u8], found: &mut Found) -> usize {
    let first = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let mut lanes = [first, _mm512_add_epi32(first, _mm512_set1_epi32(16))];
    let each = input.stride * BLOCK;
    if input.bias.len() == NARROW {
        prefetch_early(next);
        // SAFETY: as for this function, of a narrow block; `found` has room for a register.
        return unsafe { narrow(&input, 0).map_or(0, |(score, hits)| found.keep(0, first, score, hits)) };
    }
    let blocks = input.bias.len() / BLOCK;
    // As many of its blocks beside each, if it has more.
    let mut shares = next.chunks((next.len() / each).div_ceil(blocks).max(1) * each);
    let mut hits = 0;
    for block in 0..blocks {
        let own = &input.codes[block * each..];
        // Without another block its own: those are there already.
        let (ahead, more) = shares.next().unwrap_or_default().split_at_checked(each).unwrap_or((own, &[]));
        prefetch_early(more);
        // SAFETY: as for this function; the block is one of the input.
        let [sums] = unsafe { sums::<1>(&input, block, 0, ahead.as_ptr()) };
        if let Some(halves) = reaching(sums, input.least[0]) {
            // SAFETY: as above.
            let (scores, masks) = unsafe { scores(&input, block, 0, halves) };
            for ((score, mask), lanes) in scores.into_iter().zip(masks).zip(lanes) {
                // SAFETY: `found` has room for a register beyond the hits of all lanes before these.
                hits += unsafe { found.keep(hits, lanes, score, mask) };
            }
        }
        lanes = lanes.map(|lanes| _mm512_add_epi32(lanes, _mm512_set1_epi32(32)));
    }
    hits
}

impl Found {
    /// Puts hits behind those that are there; how many they are.
    ///
    /// # Safety
    /// The CPU must have AVX-512F, and there must be room for a register.
    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn keep(&mut self, behind: usize, lanes: __m512i, scores: __m512, hits: __mmask16) -> usize {
        // SAFETY: as for this function.
        unsafe {
            let to = self.lanes.as_mut_ptr().add(behind);
            _mm512_storeu_si512(to.cast(), _mm512_maskz_compress_epi32(hits, lanes));
            let to = self.scores.as_mut_ptr().add(behind);
            _mm512_storeu_ps(to, _mm512_maskz_compress_ps(hits, scores));
        }
        hits.count_ones() as usize
    }
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
    // SAFETY: as for this function.
    let sums = unsafe { sums::<Q>(input, block, first, codes.as_ptr().wrapping_add(AHEAD)) };
    // SAFETY: as above.
    let finished = |(q, &sums)| unsafe { finish(input, block, first + q, sums, output) };
    sums.iter().enumerate().map(finished).fold(0, |any, hit| any | hit)
}

/// A query's sums with a block: of both lanes of each pair, the upper one's times 256, and of the upper ones; the even
/// columns' apart from the odd ones'.
type Sums = [__m512i; 2];

/// Adds up what the queries from `first` on look up in a block; as many bytes are fetched from `ahead`.
///
/// # Safety
/// As for [`tile`]; the block and the queries are those of the input.
// Always inlined, so that sums stay in registers: where the features are enabled, then.
#[inline(always)]
unsafe fn sums<const Q: usize>(
    input: &LookupInput<'_>,
    block: usize,
    first: usize,
    ahead: *const u8,
) -> [Sums; Q] {
    let (codes, _, _) = input.block(block, BLOCK);
    let tables = std::array::from_fn::<_, Q, _>(|q| input.tables[first + q].as_ptr());
    // SAFETY: the CPU has the features.
    let mut sums = [[unsafe { _mm512_setzero_si512() }; 2]; Q];
    for column in (0..input.columns & !1).step_by(2) {
        let at = column * BLOCK;
        // SAFETY: a row of codes is 32 bytes, and so are each query's tables of a column; there is another.
        unsafe {
            _mm_prefetch::<_MM_HINT_T1>(ahead.wrapping_add(at).cast());
            let bytes = _mm512_loadu_si512(codes.as_ptr().add(at).cast());
            look_up(&mut sums, bytes, tables.map(|tables| _mm512_loadu_si512(tables.add(at).cast())));
        }
    }
    if input.columns % 2 == 1 {
        let at = (input.columns - 1) * BLOCK;
        // SAFETY: as above, of one.
        unsafe {
            _mm_prefetch::<_MM_HINT_T1>(ahead.wrapping_add(at).cast());
            let bytes = _mm256_loadu_si256(codes.as_ptr().add(at).cast());
            let entries =
                tables.map(|tables| _mm512_zextsi256_si512(_mm256_loadu_si256(tables.add(at).cast())));
            look_up(&mut sums, _mm512_zextsi256_si512(bytes), entries);
        }
    }
    sums
}

/// Adds what the bytes of two columns choose from each query's tables of them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn look_up<const Q: usize>(sums: &mut [Sums; Q], bytes: __m512i, tables: [__m512i; Q]) {
    let half = _mm512_set1_epi8(15);
    // Half of a byte, or which of the 64 bytes of tables it chooses from.
    let low = _mm512_ternarylogic_epi32::<AND_OR>(bytes, half, of_columns(0, 2));
    let high = _mm512_ternarylogic_epi32::<AND_OR>(_mm512_srli_epi16::<4>(bytes), half, of_columns(1, 3));
    for (sums, entries) in sums.iter_mut().zip(tables) {
        let found =
            _mm512_add_epi8(_mm512_permutexvar_epi8(low, entries), _mm512_permutexvar_epi8(high, entries));
        sums[0] = _mm512_add_epi16(sums[0], found);
        sums[1] = _mm512_add_epi16(sums[1], _mm512_srli_epi16::<8>(found));
    }
}

/// Adds what the bytes of four columns of a narrow block choose from their tables, two columns' each.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn look_up_narrow(sums: &mut Sums, bytes: __m512i, [one, other]: [__m512i; 2]) {
    let half = _mm512_set1_epi8(15);
    // The tables of lower halves of bytes and those of upper ones: every other.
    let (low, high) = (_mm512_shuffle_i32x4::<0x88>(one, other), _mm512_shuffle_i32x4::<0xdd>(one, other));
    let upper = _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), half);
    let found = _mm512_add_epi8(
        _mm512_shuffle_epi8(low, _mm512_and_si512(bytes, half)),
        _mm512_shuffle_epi8(high, upper),
    );
    sums[0] = _mm512_add_epi16(sums[0], found);
    sums[1] = _mm512_add_epi16(sums[1], _mm512_srli_epi16::<8>(found));
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

/// A query's sums with lanes 0 to 15 and 16 to 31 of a block, if any is so large.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
fn reaching(sums: Sums, least: u16) -> Option<[__m256i; 2]> {
    let [all, odd] =
        sums.map(|sums| _mm256_add_epi16(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64::<1>(sums)));
    let even = _mm256_sub_epi16(all, _mm256_slli_epi16::<8>(odd));
    let least = _mm256_set1_epi16(least.cast_signed());
    if _mm256_cmpge_epu16_mask(even, least) | _mm256_cmpge_epu16_mask(odd, least) == 0 {
        return None;
    }
    // Lanes 0 to 7 and 16 to 23, then the others.
    let (a, b) = (_mm256_unpacklo_epi16(even, odd), _mm256_unpackhi_epi16(even, odd));
    Some([_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b)])
}

/// The scores that a query's sums with a block make, and which are hits.
///
/// # Safety
/// As for [`tile`]; the block and the query are those of the input.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn scores(
    input: &LookupInput<'_>,
    block: usize,
    query: usize,
    halves: [__m256i; 2],
) -> ([__m512; 2], [__mmask16; 2]) {
    let mut scores = [_mm512_setzero_ps(); 2];
    let mut hits = [0; 2];
    for (part, ((score, hits), sums)) in scores.iter_mut().zip(&mut hits).zip(halves).enumerate() {
        // SAFETY: as for this function; a block has two halves.
        (*score, *hits) = unsafe { half(input, block * BLOCK + part * NARROW, query, sums) };
    }
    (scores, hits)
}

/// The scores that a query's sums with the 16 lanes from `first` on make, and which are hits.
///
/// # Safety
/// As for [`tile`]; the lanes and the query are those of the input.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn half(input: &LookupInput<'_>, first: usize, query: usize, sums: __m256i) -> (__m512, __mmask16) {
    let Steps { base, step } = input.steps[query];
    let sum = _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(sums));
    // SAFETY: so many lanes have a bias and a factor.
    let (bias, factor) = unsafe {
        let at = |values: &[f32]| _mm512_loadu_ps(values.as_ptr().add(first));
        (at(input.bias), at(input.factors))
    };
    let score = _mm512_add_ps(_mm512_mul_ps(_mm512_set1_ps(step), sum), _mm512_set1_ps(base));
    let score = _mm512_add_ps(_mm512_mul_ps(factor, score), bias);
    (score, _mm512_cmp_ps_mask::<_CMP_GE_OQ>(score, _mm512_set1_ps(input.thresholds[query])))
}

/// The scores of a query with a narrow block, and which are hits, if any sum is large enough.
///
/// # Safety
/// As for [`tile`], of a narrow block; the query is one of the input.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn narrow(input: &LookupInput<'_>, query: usize) -> Option<(__m512, __mmask16)> {
    /// Columns that are looked up at once.
    const FOUR: usize = 4;
    let (codes, tables) = (input.codes.as_ptr(), input.tables[query].as_ptr());
    let mut sums = [_mm512_setzero_si512(); 2];
    for column in (0..input.columns / FOUR * FOUR).step_by(FOUR) {
        // SAFETY: a column has 16 bytes of codes and 32 of tables, and there are three more.
        unsafe {
            let tables = tables.add(column * 2 * ENTRIES);
            let entries = [tables, tables.add(4 * ENTRIES)].map(|part| _mm512_loadu_si512(part.cast()));
            look_up_narrow(&mut sums, _mm512_loadu_si512(codes.add(column * NARROW).cast()), entries);
        }
    }
    let (rest, column) = (input.columns % FOUR, input.columns / FOUR * FOUR);
    if rest > 0 {
        // Eight bytes each.
        let eights = |count: usize| if count >= 8 { 0xff } else { (1u8 << count) - 1 };
        // SAFETY: as above, of as many columns as there are.
        unsafe {
            let tables = tables.add(column * 2 * ENTRIES);
            let one = _mm512_maskz_loadu_epi64(eights(4 * rest), tables.cast());
            let behind = tables.wrapping_add(4 * ENTRIES);
            let other = _mm512_maskz_loadu_epi64(eights((4 * rest).saturating_sub(8)), behind.cast());
            let bytes = _mm512_maskz_loadu_epi64(eights(2 * rest), codes.add(column * NARROW).cast());
            look_up_narrow(&mut sums, bytes, [one, other]);
        }
    }
    let [all, odd] = sums.map(|sums| {
        let halves = _mm256_add_epi16(_mm512_castsi512_si256(sums), _mm512_extracti64x4_epi64::<1>(sums));
        _mm_add_epi16(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves))
    });
    let even = _mm_sub_epi16(all, _mm_slli_epi16::<8>(odd));
    let sums = _mm256_set_m128i(_mm_unpackhi_epi16(even, odd), _mm_unpacklo_epi16(even, odd));
    let least = _mm256_set1_epi16(input.least[query].cast_signed());
    if _mm256_cmpge_epu16_mask(sums, least) == 0 {
        return None;
    }
    // SAFETY: as for this function; the block has 16 lanes.
    Some(unsafe { half(input, 0, query, sums) })
}

/// Writes the scores of a query with a block, and tells which are hits: a bit for the query if there are any.
///
/// # Safety
/// As for [`tile`]; the block and the query are those of the input.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn finish(
    input: &LookupInput<'_>,
    block: usize,
    query: usize,
    sums: Sums,
    output: &mut TileOutput,
) -> u32 {
    let Some(halves) = reaching(sums, input.least[query]) else {
        output.hits[query][block] = 0;
        return 0;
    };
    // SAFETY: as for this function.
    let (scores, [low, high]) = unsafe { scores(input, block, query, halves) };
    let hits = u32::from(low) | u32::from(high) << NARROW;
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
