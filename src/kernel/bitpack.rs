//! Codes of fewer than 8 bits, packed as faiss does: value after value from the lowest bit of a vector's first byte on.
//!
//! A block holds bytes as it holds any values, `[columns][width]`, so that unpacking is the same shift and mask in
//! every lane.

use crate::lists::block::BLOCK;

/// Bytes of a vector of `dim` codes of `bits` (1 to 8).
pub(crate) fn columns(dim: usize, bits: u32) -> usize {
    (dim * bits as usize).div_ceil(8)
}

/// The byte in which code `d` begins, and at which bit.
#[inline]
fn locate(d: usize, bits: u32) -> (usize, u32) {
    let bit = d * bits as usize;
    #[expect(clippy::cast_possible_truncation, reason = "below 8")]
    (bit / 8, (bit % 8) as u32)
}

#[inline]
fn mask(bits: u32) -> u8 {
    0xff >> (8 - bits)
}

/// Code `d` of a vector whose bytes `byte` tells by their column.
#[inline]
pub(crate) fn code(bits: u32, d: usize, byte: impl Fn(usize) -> u8) -> u8 {
    let (column, shift) = locate(d, bits);
    let low = byte(column) >> shift;
    let high = if shift + bits > 8 { byte(column + 1) << (8 - shift) } else { 0 };
    (low | high) & mask(bits)
}

/// Packs `codes` into `out`, which is [`columns`] long. A run that begins at a multiple of eight codes begins a byte.
#[inline]
pub(crate) fn pack(bits: u32, codes: &[u8], out: &mut [u8]) {
    if bits == 8 {
        out.copy_from_slice(codes);
        return;
    }
    if bits == 4 {
        for (out, codes) in out.iter_mut().zip(codes.chunks(2)) {
            *out = codes[0] | codes.get(1).map_or(0, |code| code << 4);
        }
        return;
    }
    out.fill(0);
    for (d, &code) in codes.iter().enumerate() {
        let (column, shift) = locate(d, bits);
        out[column] |= code << shift;
        if shift + bits > 8 {
            out[column + 1] |= code >> (8 - shift);
        }
    }
}

/// Code `d` of every lane of a block, `out.len()` of them.
#[inline]
pub(crate) fn unpack_row(bits: u32, d: usize, block: &[u8], out: &mut [u8]) {
    let width = out.len();
    let (column, shift) = locate(d, bits);
    let row = |column: usize| &block[column * width..(column + 1) * width];
    let mask = mask(bits);
    if shift + bits > 8 {
        for ((to, low), high) in out.iter_mut().zip(row(column)).zip(row(column + 1)) {
            *to = (low >> shift | high << (8 - shift)) & mask;
        }
    } else {
        for (to, low) in out.iter_mut().zip(row(column)) {
            *to = low >> shift & mask;
        }
    }
}

/// What is unpacked: blocks of so many columns each, the first of which are `dim` codes.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a> {
    pub(crate) bits: u32,
    pub(crate) dim: usize,
    pub(crate) columns: usize,
    pub(crate) blocks: &'a [u8],
}

/// Unpacks blocks: a byte a code into `out`. The oracle; see [`super::Kernels::unpack`].
pub(super) fn unpack(Packed { bits, dim, columns, blocks }: Packed<'_>, out: &mut [u8]) {
    for (block, out) in blocks.chunks(columns * BLOCK).zip(out.chunks_mut(dim * BLOCK)) {
        let width = out.len() / dim;
        for (d, out) in out.chunks_exact_mut(width).enumerate() {
            unpack_row(bits, d, block, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Kernels;

    #[test]
    fn pack_any_codes_come_back_alone_and_in_blocks() {
        for bits in 1..=8 {
            for dim in [1, 2, 3, 4, 5, 7, 16, 31] {
                let lanes = BLOCK + BLOCK / 2;
                let code_of = |lane: usize, d: usize| (lane * 37 + d * 11 + 5).to_le_bytes()[0] & mask(bits);
                let columns = columns(dim, bits);
                let mut blocks = vec![0; columns * lanes];
                for lane in 0..lanes {
                    let codes: Vec<u8> = (0..dim).map(|d| code_of(lane, d)).collect();
                    let mut row = vec![0xff; columns];
                    pack(bits, &codes, &mut row);
                    for (d, &want) in codes.iter().enumerate() {
                        assert_eq!(code(bits, d, |column| row[column]), want);
                    }
                    let (block, width) = (lane / BLOCK, if lane < BLOCK { BLOCK } else { BLOCK / 2 });
                    for (column, &byte) in row.iter().enumerate() {
                        blocks[block * BLOCK * columns + column * width + lane % BLOCK] = byte;
                    }
                }
                for kernels in Kernels::available() {
                    let mut out = vec![0xff; dim * lanes];
                    kernels.unpack(Packed { bits, dim, columns, blocks: &blocks }, &mut out);
                    for lane in 0..lanes {
                        let (block, width) = (lane / BLOCK, if lane < BLOCK { BLOCK } else { BLOCK / 2 });
                        for d in 0..dim {
                            let got = out[block * BLOCK * dim + d * width + lane % BLOCK];
                            assert_eq!(got, code_of(lane, d), "{}: {bits} bits, dim {dim}", kernels.name);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn pack_of_faiss_order() {
        let mut out = [0; 3];
        pack(6, &[1, 2, 3, 4], &mut out);
        assert_eq!(u32::from_le_bytes([out[0], out[1], out[2], 0]), 1 | 2 << 6 | 3 << 12 | 4 << 18);
        pack(4, &[1, 2, 3, 4, 5, 6], &mut out);
        assert_eq!(out, [0x21, 0x43, 0x65]);
    }
}
