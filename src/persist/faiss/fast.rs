//! PQ codes of 4 bits for fast scan, `IndexPQFastScan` (`IPfs`) and `IndexIVFPQFastScan` (`IwPf`), which lie interleaved
//! in blocks of a multiple of 32 vectors, the last one filled up with zeros.
//!
//! A block holds column after column, a column being one byte of each code: two parts. Of every 32 vectors a column
//! has 16 bytes of the even part and 16 of the odd one, and each byte a vector of the first 16 in its low half and the
//! one 16 further in its high half, in the order 0, 8, 1, 9, ... 7, 15.

use super::bytes::Bytes;
use super::lists::{self, Place};
use super::product::{self, name, read};
use super::read::{Header, Reader, fault, loaded};
use super::{BLOCK_LISTS, FAST, IVF_FAST};
use crate::codec::{Codec, Product};
use crate::error::Result;
use crate::persist::LoadedParts;

/// Vectors that are interleaved; those of a block as it is written.
pub(super) const GROUP: usize = 32;

/// As faiss has it in its files.
const BLOCK: i32 = 32;

/// Most vectors of a block that is read, for a block is read whole.
const MOST: usize = 1 << 12;

/// Vectors in the low halves of a group.
const HALF: usize = GROUP / 2;

/// Writes at most [`GROUP`] codes (`[n, columns]`) as a block of them: `[columns][GROUP]`.
pub(super) fn pack(codes: &[u8], columns: usize, out: &mut [u8]) {
    let byte = |vector: usize, column: usize| codes.get(vector * columns + column).copied().unwrap_or(0);
    for (column, out) in out.chunks_exact_mut(GROUP).enumerate() {
        let (even, odd) = out.split_at_mut(HALF);
        for (place, (even, odd)) in even.iter_mut().zip(odd).enumerate() {
            let vector = place / 2 + place % 2 * (HALF / 2);
            let (low, high) = (byte(vector, column), byte(vector + HALF, column));
            *even = low & 0x0f | high << 4;
            *odd = low >> 4 | high & 0xf0;
        }
    }
}

/// Writes the codes (`[n, columns]`) from vector `first` on that lie in blocks of `block` vectors.
pub(super) fn unpack(blocks: &[u8], block: usize, columns: usize, first: usize, out: &mut [u8]) {
    for (vector, out) in (first..).zip(out.chunks_exact_mut(columns)) {
        let blocks = &blocks[vector / block * block * columns..][..block * columns];
        let (group, lane) = (vector % block / GROUP, vector % GROUP);
        let place = lane % (HALF / 2) * 2 + lane % HALF / (HALF / 2);
        let shift = if lane < HALF { 0 } else { 4 };
        for (out, column) in out.iter_mut().zip(blocks.chunks_exact(block)) {
            let pair = &column[group * GROUP..][..GROUP];
            *out = pair[place] >> shift & 0x0f | pair[place + HALF] >> shift << 4;
        }
    }
}

/// Bytes of so many codes.
pub(super) fn packed_bytes(columns: usize, count: usize) -> usize {
    count.next_multiple_of(GROUP) * columns
}

/// The vectors of a block, if such blocks there can be of these codes.
fn check_block(codes: &Product, vectors: i32, parts: u64) -> Result<usize> {
    let even = codes.parts.next_multiple_of(2);
    match usize::try_from(vectors) {
        Ok(block @ 1..=MOST) if block.is_multiple_of(GROUP) && parts == even as u64 && codes.bits == 4 => {
            Ok(block)
        }
        _ => Err(fault(format!(
            "fast scan: expected blocks of a multiple of {GROUP} up to {MOST} vectors and {even} parts of 4 bits, got {vectors} and {parts} of {}",
            codes.bits
        ))),
    }
}

impl Reader<'_, '_> {
    pub(super) fn flat_fast(&mut self) -> Result<LoadedParts> {
        let header = self.header()?;
        let codes = read(&mut self.cursor, FAST, &header, false, true)?;
        // How it is searched.
        self.cursor.i32()?;
        let vectors = self.cursor.i32()?;
        // Queries at a time; vectors with those that fill up the last block, which the count tells, too.
        self.cursor.i32()?;
        self.cursor.u64()?;
        let parts = self.cursor.u64()?;
        let block = check_block(&codes, vectors, parts)?;
        let bytes = self.cursor.u64()?;
        let expected = blocks_of(header.count, block, codes.columns());
        if expected != Some(bytes) || (bytes > 0 && !codes.is_trained()) {
            return Err(fault(format!(
                "fast scan: expected blocks of {} codes of {} bytes, got {bytes} bytes",
                header.count,
                codes.columns()
            )));
        }
        let rows = self.cursor.skip("fast scan: codes", bytes, 1)?;
        let place = Place { len: self.fits(header.count, header.dim)?, rows, ids: None };
        let (name, codec) = (name(&codes, "fs"), Codec::Product(codes));
        let lists = lists::read(&mut self.transfer, &[place], &header, &codec, None, Some(block))?;
        Ok(loaded(&header, name, None, codec, lists, 0))
    }

    /// The quantizer of an IVF index, its name in index strings, and the vectors of a block.
    pub(super) fn ivf_fast(&mut self, header: &Header) -> Result<(Codec, String, usize)> {
        let by_residual = self.cursor.bool("by_residual")?;
        let (got, vectors, parts) = (self.cursor.u64()?, self.cursor.i32()?, self.cursor.u64()?);
        // How it is searched, and queries at a time.
        self.cursor.i32()?;
        self.cursor.u64()?;
        let codes = read(&mut self.cursor, IVF_FAST, header, by_residual, true)?;
        let each = codes.columns() as u64;
        if each != got {
            return Err(fault(format!("fast scan: expected codes of {each} bytes, got {got}")));
        }
        let block = check_block(&codes, vectors, parts)?;
        let name = name(&codes, if by_residual { "fsr" } else { "fs" });
        Ok((Codec::Product(codes), name, block))
    }
}

/// Bytes of so many codes in whole blocks.
pub(super) fn blocks_of(count: u64, block: usize, columns: usize) -> Option<u64> {
    count.div_ceil(block as u64).checked_mul(block as u64)?.checked_mul(columns as u64)
}

/// Appends what an `IPfs` has between its header and `count` codes.
pub(super) fn write_flat(codes: &Product, count: usize, out: &mut Bytes) {
    product::write(codes, out);
    out.int(0).int(BLOCK).int(0);
    out.size(count.next_multiple_of(GROUP)).size(codes.parts.next_multiple_of(2));
    out.size(packed_bytes(codes.columns(), count));
}

/// Appends what an `IwPf` has between its direct map and its lists, and what these begin with.
pub(super) fn write_ivf(codes: &Product, nlist: usize, out: &mut Bytes) {
    out.bytes(&[u8::from(codes.by_residual)]).size(codes.columns()).int(BLOCK);
    out.size(codes.parts.next_multiple_of(2)).int(0).size(0);
    product::write(codes, out);
    // No bytes of a code by itself.
    out.code(BLOCK_LISTS).size(nlist).bytes(&u64::MAX.to_le_bytes());
    out.size(GROUP).size(packed_bytes(codes.columns(), GROUP));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pack_any_codes_come_back_from_blocks_of_any_size() {
        for columns in [1, 2, 5] {
            for count in [1, 15, 16, 17, 31, 32, 33, 100, 128] {
                let codes: Vec<u8> =
                    (0..count * columns).map(|i: usize| (i * 37 + i / 7).to_le_bytes()[0]).collect();
                let mut groups = vec![0xff; packed_bytes(columns, count)];
                for (codes, out) in codes.chunks(GROUP * columns).zip(groups.chunks_mut(GROUP * columns)) {
                    pack(codes, columns, out);
                }
                for block in [GROUP, 2 * GROUP, 3 * GROUP] {
                    // Blocks of several groups hold a column of all of them before the next column.
                    let vectors = count.next_multiple_of(block);
                    let mut blocks = vec![0; vectors * columns];
                    for (number, group) in groups.chunks(GROUP * columns).enumerate() {
                        for (column, bytes) in group.chunks(GROUP).enumerate() {
                            let first = number * GROUP;
                            let at = first / block * block * columns + column * block + first % block;
                            blocks[at..at + GROUP].copy_from_slice(bytes);
                        }
                    }
                    for first in [0, count / 2] {
                        let mut out = vec![0; (count - first) * columns];
                        unpack(&blocks, block, columns, first, &mut out);
                        assert_eq!(out, codes[first * columns..], "{columns} columns, {count}, {block}");
                    }
                }
            }
        }
    }

    #[test]
    fn pack_of_faiss_order() {
        // The code of vector v is its number.
        let codes: Vec<u8> = (0..32).collect();
        let mut out = [0; 32];
        pack(&codes, 1, &mut out);
        assert_eq!(out[..4], [0x00, 0x88, 0x11, 0x99]);
        assert_eq!(out[16..20], [0x10, 0x10, 0x10, 0x10]);
    }
}
