//! Packed codes to bytes, written once for every instruction set.
//!
//! Eight codes of any width begin a byte, so that rows of `BITS` columns become eight rows by constant shifts and masks.
//! Everything here is `inline(always)`, as in [`super::tile`].
#![expect(unsafe_code, reason = "raw loads and stores; the bounds are checked once by Kernels::unpack")]

use super::bitpack::Packed;
use crate::lists::block::{BLOCK, NARROW};

/// A vector register of bytes.
///
/// # Safety
/// Each method may only be called where the CPU has the instruction set; pointers must be good for `LANES` bytes.
pub(super) trait Bytes: Copy {
    const LANES: usize;
    unsafe fn load(p: *const u8) -> Self;
    unsafe fn store(self, p: *mut u8);
    /// Shifts each byte, by less than 8; what comes in from beside it may be anything.
    unsafe fn right(self, by: u32) -> Self;
    /// As `right`.
    unsafe fn left(self, by: u32) -> Self;
    unsafe fn and(self, mask: u8) -> Self;
    unsafe fn or(self, other: Self) -> Self;
}

/// Unpacks whole blocks by the registers `W`, a narrow one by `N`.
///
/// # Safety
/// The CPU must have the instruction sets of `W` and `N`, and both the shape that [`super::Kernels::unpack`] checks.
#[inline(always)]
pub(super) unsafe fn unpack<W: Bytes, N: Bytes>(packed: Packed<'_>, out: &mut [u8]) {
    // SAFETY: as for this function.
    unsafe {
        match packed.bits {
            1 => blocks::<W, N, 1>(packed, out),
            2 => blocks::<W, N, 2>(packed, out),
            3 => blocks::<W, N, 3>(packed, out),
            4 => blocks::<W, N, 4>(packed, out),
            5 => blocks::<W, N, 5>(packed, out),
            6 => blocks::<W, N, 6>(packed, out),
            7 => blocks::<W, N, 7>(packed, out),
            _ => blocks::<W, N, 8>(packed, out),
        }
    }
}

#[inline(always)]
unsafe fn blocks<W: Bytes, N: Bytes, const BITS: usize>(packed: Packed<'_>, out: &mut [u8]) {
    let Packed { dim, columns, blocks, .. } = packed;
    for (block, out) in blocks.chunks(columns * BLOCK).zip(out.chunks_mut(dim * BLOCK)) {
        // SAFETY: a block is `dim` rows of codes, all of one width, of at least as many columns as those take.
        unsafe {
            if out.len() == dim * BLOCK {
                rows::<W, BITS, BLOCK>(block.as_ptr(), dim, out.as_mut_ptr());
            } else {
                rows::<N, BITS, NARROW>(block.as_ptr(), dim, out.as_mut_ptr());
            }
        }
    }
}

/// Unpacks a block of `dim` codes a lane.
#[inline(always)]
unsafe fn rows<B: Bytes, const BITS: usize, const WIDTH: usize>(
    mut block: *const u8,
    dim: usize,
    mut out: *mut u8,
) {
    // SAFETY: eight codes take `BITS` rows of the block and eight of `out`, and the last ones their part.
    unsafe {
        for _ in 0..dim / 8 {
            for d in 0..8 {
                row::<B, BITS, WIDTH>(block, d, out.add(d * WIDTH));
            }
            block = block.add(BITS * WIDTH);
            out = out.add(8 * WIDTH);
        }
        for d in 0..dim % 8 {
            row::<B, BITS, WIDTH>(block, d, out.add(d * WIDTH));
        }
    }
}

/// Code `d` of every lane.
#[inline(always)]
unsafe fn row<B: Bytes, const BITS: usize, const WIDTH: usize>(block: *const u8, d: usize, out: *mut u8) {
    let column = d * BITS / 8;
    #[expect(clippy::cast_possible_truncation, reason = "below 8")]
    let shift = (d * BITS % 8) as u32;
    let mask = 0xff >> (8 - BITS);
    // The bits that the first byte has of the code.
    let low = 0xff >> shift;
    for lane in (0..WIDTH).step_by(B::LANES) {
        // SAFETY: the row of `column`, and of the next one if the code goes on there, lies within the block.
        unsafe {
            let place = block.add(column * WIDTH + lane);
            let mut code = B::load(place).right(shift).and(mask & low);
            if shift as usize + BITS > 8 {
                code = code.or(B::load(place.add(WIDTH)).left(8 - shift).and(mask & !low));
            }
            code.store(out.add(lane));
        }
    }
}
