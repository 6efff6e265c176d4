//! The register tile, written once for every instruction set with fused multiply-add.
//!
//! Everything here is `inline(always)`: it has no instruction set of its own and takes that of the
//! `#[target_feature]` function that it is inlined into.
#![expect(unsafe_code, reason = "raw loads and stores; the bounds are checked once a tile by Kernels::tile")]

use super::{CHUNK, MAX_BLOCKS, TileInput, TileOutput};
use crate::element::Scalar;
use crate::lists::block::{BLOCK, NARROW};

/// A vector register of floats.
///
/// # Safety
/// Each method may only be called where the CPU has the instruction set; pointers must be good for
/// `LANES` floats.
pub(super) trait Simd: Copy {
    const LANES: usize;
    /// Registers of one block side by side in a tile of more than two queries.
    const COLUMNS: usize;
    /// Most queries in a tile.
    const QUERIES: usize;
    unsafe fn zero() -> Self;
    unsafe fn splat(p: *const f32) -> Self;
    unsafe fn load(p: *const f32) -> Self;
    unsafe fn store(self, p: *mut f32);
    unsafe fn add(self, other: Self) -> Self;
    /// `self * other + sum`, rounded once.
    unsafe fn mul_add(self, other: Self, sum: Self) -> Self;
    /// A bit a lane: `self >= other`.
    unsafe fn ge(self, other: Self) -> u32;
    unsafe fn prefetch(p: *const u8);
    /// [`finish`] for these registers, which the tiles of narrower types than float32 share: it would be most of their code.
    const FINISH: Finish<Self>;
}

/// See [`finish`].
pub(super) type Finish<S> = unsafe fn(&TileInput<'_>, &[S], usize, usize, &mut TileOutput) -> u32;

/// An element type that the registers `S` widen as they load it.
pub(super) trait Load<S: Simd>: Scalar {
    /// # Safety
    /// As for the methods of [`Simd`]: `p` must be good for `S::LANES` elements.
    unsafe fn load(p: *const Self) -> S;
}

impl<S: Simd> Load<S> for f32 {
    #[inline(always)]
    unsafe fn load(p: *const Self) -> S {
        // SAFETY: the caller promises the same.
        unsafe { S::load(p) }
    }
}

/// Scores a tile of any shape; `vectors` are those of the input. See [`super::Kernels::tile`], which checks it.
///
/// # Safety
/// The CPU must have the instruction set of `S`, and `input` the shape that [`TileInput`] tells.
#[inline(always)]
pub(super) unsafe fn tile<S: Simd, E: Load<S>>(
    input: TileInput<'_>,
    vectors: &[E],
    output: &mut TileOutput,
) -> u32 {
    // SAFETY: as for this function; `count` picks the tile of its own size.
    unsafe {
        match input.count {
            1 => wide::<S, E, 1>(input, vectors, output),
            2 => wide::<S, E, 2>(input, vectors, output),
            3 => narrow::<S, E, 3>(input, vectors, output),
            4 => narrow::<S, E, 4>(input, vectors, output),
            5 => narrow::<S, E, 5>(input, vectors, output),
            6 => narrow::<S, E, 6>(input, vectors, output),
            // Not so much as compiled where registers are few.
            _ if S::QUERIES <= 6 => unreachable!("invariant: a tile has at most max_queries"),
            7 => narrow::<S, E, 7>(input, vectors, output),
            8 => narrow::<S, E, 8>(input, vectors, output),
            9 => narrow::<S, E, 9>(input, vectors, output),
            10 => narrow::<S, E, 10>(input, vectors, output),
            11 => narrow::<S, E, 11>(input, vectors, output),
            _ => narrow::<S, E, 12>(input, vectors, output),
        }
    }
}

/// One or two queries against up to four blocks, or eight halves of blocks: as many registers side by side.
#[inline(always)]
unsafe fn wide<S: Simd, E: Load<S>, const Q: usize>(
    input: TileInput<'_>,
    vectors: &[E],
    output: &mut TileOutput,
) -> u32 {
    // SAFETY: `columns` stays within the lanes that the input has.
    unsafe {
        let lanes = input.bias.len();
        let mut any = 0;
        if S::LANES != NARROW || lanes <= BLOCK || (input.halves.is_empty() && lanes < MAX_BLOCKS * BLOCK) {
            return narrow::<S, E, Q>(input, vectors, output);
        }
        if input.halves.is_empty() {
            let columns = std::array::from_fn::<_, 8, _>(|c| column(&input, vectors, c * NARROW));
            score::<S, E, Q, 8, SIDE_BY_SIDE>(&input, columns, BLOCK, output, &mut any);
        } else {
            let columns = std::array::from_fn::<_, 8, _>(|c| match c * NARROW {
                lane if lane < lanes => column(&input, vectors, lane),
                // The sums of a few registers wait for each other anyway: one half more costs nothing.
                lane => Column { lane, bias: NOTHING.as_ptr(), ..column(&input, vectors, 0) },
            });
            score::<S, E, Q, 8, SCATTERED>(&input, columns, BLOCK, output, &mut any);
        }
        any
    }
}

/// The biases of lanes that no threshold lets pass.
static NOTHING: [f32; NARROW] = [f32::NEG_INFINITY; NARROW];

/// Lanes one after another, `COLUMNS` registers at a time.
#[inline(always)]
unsafe fn narrow<S: Simd, E: Load<S>, const Q: usize>(
    input: TileInput<'_>,
    vectors: &[E],
    output: &mut TileOutput,
) -> u32 {
    // SAFETY: registers divide the lanes, and so do groups of them, up to a last one of fewer.
    unsafe {
        let lanes = input.bias.len();
        let width = input.stride();
        let mut any = 0;
        let mut lane = 0;
        while lane < lanes {
            let group = S::COLUMNS * S::LANES;
            // Lanes come in halves of blocks: where one is a group, nothing is left over.
            if lanes - lane >= group || group <= NARROW {
                match S::COLUMNS {
                    2 => {
                        let columns =
                            std::array::from_fn::<_, 2, _>(|c| column(&input, vectors, lane + c * S::LANES));
                        score::<S, E, Q, 2, IN_LINE>(&input, columns, width, output, &mut any);
                    }
                    _ => {
                        let columns =
                            std::array::from_fn::<_, 4, _>(|c| column(&input, vectors, lane + c * S::LANES));
                        score::<S, E, Q, 4, IN_LINE>(&input, columns, width, output, &mut any);
                    }
                }
                lane += group;
            } else {
                let columns = [column(&input, vectors, lane)];
                score::<S, E, Q, 1, IN_LINE>(&input, columns, width, output, &mut any);
                lane += S::LANES;
            }
        }
        any
    }
}

/// A register's place: which lane of the input, where its first value and its bias lie, and how many bytes behind the
/// end of its block the one begins that comes next.
#[derive(Clone, Copy)]
struct Column<E> {
    lane: usize,
    vectors: *const E,
    bias: *const f32,
    jump: usize,
}

/// # Safety
/// `lane` must lie within the input.
#[inline(always)]
unsafe fn column<E>(input: &TileInput<'_>, vectors: &[E], lane: usize) -> Column<E> {
    // SAFETY: within the slices, as the caller promises and `Kernels::tile` has checked.
    unsafe {
        let (bias, half) = (input.bias.as_ptr().add(lane), lane / NARROW);
        let place = input.place(half);
        let next = half + input.bias.len() / NARROW;
        let jump = if next < input.halves.len() {
            input.place(next).wrapping_sub(place + BLOCK * input.dim).wrapping_mul(size_of::<E>())
        } else {
            0
        };
        Column { lane, vectors: vectors.as_ptr().add(place + lane % NARROW), bias, jump }
    }
}

/// How the registers of a tile lie to what is read next: in line, side by side in `MAX_BLOCKS` blocks, or anywhere.
const IN_LINE: usize = 0;
const SIDE_BY_SIDE: usize = 1;
const SCATTERED: usize = 2;

/// `Q` queries by `C` registers: all sums in registers over a chunk of dimensions. What is read next is prefetched: a few
/// queries wait for memory, and for many a block may be larger than L1.
///
/// # Safety
/// The columns lie within the input, whose blocks are `width` lanes wide.
#[inline(always)]
unsafe fn score<S: Simd, E: Load<S>, const Q: usize, const C: usize, const LIE: usize>(
    input: &TileInput<'_>,
    columns: [Column<E>; C],
    width: usize,
    output: &mut TileOutput,
    any: &mut u32,
) {
    // SAFETY: `d < dim` throughout, so that `d * width + LANES` lies within a block and
    // `q * CHUNK + d` within the chunk's packed queries; a prefetch may point anywhere.
    unsafe {
        let mut totals = [[S::zero(); C]; Q];
        for (q, total) in totals.iter_mut().enumerate() {
            for (sum, column) in total.iter_mut().zip(&columns) {
                *sum = match input.scaled {
                    None => S::load(column.bias),
                    Some(scaled) => S::splat(scaled.bases.as_ptr().add(q)),
                };
            }
        }
        // Bytes of a block.
        let block = input.dim * width * size_of::<E>();
        let mut from = 0;
        while from < input.dim {
            let to = (from + CHUNK).min(input.dim);
            let mut sums = [[S::zero(); C]; Q];
            // `from` is a multiple of CHUNK, so this is the first query's part of its chunk.
            let queries = input.queries.as_ptr().add(from * Q);
            let mut offset = from * width;
            for d in 0..to - from {
                let mut values = [S::zero(); C];
                // Past the end of these blocks come others.
                let last = (from + d) * width * size_of::<E>() + AHEAD >= block;
                for (value, column) in values.iter_mut().zip(&columns) {
                    let place = column.vectors.add(offset);
                    *value = E::load(place);
                    let ahead = match LIE {
                        SIDE_BY_SIDE if last => AHEAD + (MAX_BLOCKS - 1) * block,
                        SCATTERED if last => AHEAD.wrapping_add(column.jump),
                        _ => AHEAD,
                    };
                    // Once a line, which two registers may share.
                    if LIE == SCATTERED || (column.lane % BLOCK * size_of::<E>()).is_multiple_of(64) {
                        S::prefetch(place.cast::<u8>().wrapping_add(ahead));
                    }
                }
                for (q, row) in sums.iter_mut().enumerate() {
                    let factor = S::splat(queries.add(q * CHUNK + d));
                    for (sum, &value) in row.iter_mut().zip(&values) {
                        *sum = factor.mul_add(value, *sum);
                    }
                }
                offset += width;
            }
            for (total, row) in totals.iter_mut().zip(&sums) {
                for (total, &sum) in total.iter_mut().zip(row) {
                    *total = total.add(sum);
                }
            }
            from = to;
        }
        let lane = columns[0].lane;
        *any |= if size_of::<E>() == size_of::<f32>() {
            finish(input, totals.as_flattened(), C, lane, output)
        } else {
            // A number that the compiler knew it would clone the function for, and then inline it.
            (S::FINISH)(input, totals.as_flattened(), std::hint::black_box(C), lane, output)
        };
    }
}

/// Makes scores of sums, `[query][columns]` registers side by side from `lane` on, and tells which are hits: a bit for
/// each query that has any.
///
/// # Safety
/// The lanes and the queries are those of the input, and the CPU has the instruction set of `S`.
#[inline(always)]
pub(super) unsafe fn finish<S: Simd>(
    input: &TileInput<'_>,
    totals: &[S],
    columns: usize,
    lane: usize,
    output: &mut TileOutput,
) -> u32 {
    // SAFETY: as for this function.
    unsafe {
        match columns {
            1 => reach(input, totals.as_chunks::<1>().0, lane, output),
            2 => reach(input, totals.as_chunks::<2>().0, lane, output),
            4 => reach(input, totals.as_chunks::<4>().0, lane, output),
            _ => reach(input, totals.as_chunks::<8>().0, lane, output),
        }
    }
}

/// [`finish`] of so many columns.
///
/// # Safety
/// As for [`finish`].
#[inline(always)]
unsafe fn reach<S: Simd, const C: usize>(
    input: &TileInput<'_>,
    totals: &[[S; C]],
    lane: usize,
    output: &mut TileOutput,
) -> u32 {
    let mut any = 0;
    // SAFETY: as for this function.
    unsafe {
        for (q, row) in totals.iter().enumerate() {
            let mut row = *row;
            if let Some(scaled) = input.scaled {
                for (c, total) in row.iter_mut().enumerate() {
                    let lane = lane + c * S::LANES;
                    let bias = S::load(input.bias.as_ptr().add(lane));
                    *total = S::load(scaled.factors.as_ptr().add(lane)).mul_add(*total, bias);
                }
            }
            let threshold = S::splat(input.thresholds.as_ptr().add(q));
            let masks = row.map(|score| score.ge(threshold));
            for (c, mask) in masks.into_iter().enumerate() {
                let (block, lane) = ((lane + c * S::LANES) / BLOCK, (lane + c * S::LANES) % BLOCK);
                let hits = &mut output.hits[q][block];
                // The first register of a block starts its mask anew.
                *hits = if lane == 0 { mask } else { *hits | mask << lane };
            }
            if masks.iter().fold(0, |all, mask| all | mask) != 0 {
                any |= 1 << q;
                for (c, &score) in row.iter().enumerate() {
                    let (block, lane) = ((lane + c * S::LANES) / BLOCK, (lane + c * S::LANES) % BLOCK);
                    score.store(output.scores[q][block].as_mut_ptr().add(lane));
                }
            }
        }
    }
    any
}

/// Bytes between a load and what is prefetched: a few lines ahead in each of the streams.
const AHEAD: usize = 2048;

/// The squared length of each lane of a block. See [`super::Kernels::squares`].
///
/// # Safety
/// The CPU must have the instruction set of `S`; `vectors` is `[dim][width]`, `out` `[width]`.
#[inline(always)]
pub(super) unsafe fn squares<S: Simd, E: Load<S>>(vectors: &[E], out: &mut [f32]) {
    let width = out.len();
    for lane in (0..width).step_by(S::LANES) {
        // SAFETY: every row of `vectors` has `width` elements, a multiple of `LANES`.
        unsafe {
            let mut sum = S::zero();
            for row in vectors.chunks_exact(width) {
                let value = E::load(row.as_ptr().add(lane));
                sum = value.mul_add(value, sum);
            }
            sum.store(out.as_mut_ptr().add(lane));
        }
    }
}
