//! The layout of a list: blocks of 32 vectors, dimension-major inside a block.
//!
//! Element `d` of vector `i` lies at `base + d * width + lane`: one SIMD lane (one GPU thread) is one
//! vector, so a scan needs no horizontal sums and loads whole lines. The last block is only 16 wide when
//! 16 lanes are enough, which halves what short lists waste.

use crate::element::Scalar;

/// Vectors in a full block.
pub(crate) const BLOCK: usize = 32;

/// Values written between two looks at a cancel flag.
const VALUES_A_STEP: usize = 1 << 20;

/// Vectors in a narrow last block.
pub(crate) const NARROW: usize = 16;

/// Vectors of so many columns that are written between two looks at a cancel flag: whole blocks, so that no step ends
/// in a narrow one.
#[inline]
pub(crate) fn rows_a_step(columns: usize) -> usize {
    // Without columns (a check of a file) a vector takes no time.
    (VALUES_A_STEP / columns.max(1)).next_multiple_of(BLOCK).max(BLOCK)
}

/// Lanes that a list of `len` vectors occupies: whole blocks, the last one narrow if that is enough.
#[inline]
pub(crate) fn lanes(len: usize) -> usize {
    len.next_multiple_of(NARROW)
}

/// Blocks of a list of `len` vectors, the narrow one included.
#[inline]
pub(crate) fn blocks(len: usize) -> usize {
    len.div_ceil(BLOCK)
}

/// The width of block `block` in a list of `lanes` lanes.
#[inline]
pub(crate) fn width(block: usize, lanes: usize) -> usize {
    (lanes - block * BLOCK).min(BLOCK)
}

/// Where a part of a list ends that begins with lane `first` and has `most` lanes at most, of lanes that end at `end`: a narrow
/// last block is a part of its own.
#[inline]
pub(crate) fn part_end(first: usize, most: usize, end: usize) -> usize {
    let last = (first + most).min(end);
    if last - first > BLOCK && (last - first) % BLOCK == NARROW { last - NARROW } else { last }
}

/// Where element 0 of vector `slot` lies in a list of `lanes` lanes, and the stride to its next element.
#[inline]
pub(crate) fn locate(slot: usize, lanes: usize, dim: usize) -> (usize, usize) {
    let block = slot / BLOCK;
    (block * BLOCK * dim + slot % BLOCK, width(block, lanes))
}

/// Writes `rows` of `x` as neighbouring lanes, rounded to `E`. Sixteen dimensions at a time: the lines written
/// stay in L1 while every row passes over them.
pub(crate) fn scatter<E: Scalar>(x: &[f32], dim: usize, rows: &[u32], out: &mut [E], stride: usize) {
    const STEP: usize = 16;
    let mut buffer = [E::zeroed(); STEP];
    let mut from = 0;
    while from < dim {
        let to = (from + STEP).min(dim);
        for (lane, &row) in rows.iter().enumerate() {
            let row = row as usize * dim;
            let values = E::narrow(&x[row + from..row + to], &mut buffer[..to - from]);
            for (d, &value) in values.iter().enumerate() {
                out[(from + d) * stride + lane] = value;
            }
        }
        from = to;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_end_before_a_narrow_block_behind_others() {
        assert_eq!(part_end(0, 64, 16), 16);
        assert_eq!(part_end(0, 64, 32), 32);
        assert_eq!(part_end(0, 64, 48), 32);
        assert_eq!(part_end(32, 64, 48), 48);
        assert_eq!(part_end(0, 64, 112), 64);
        assert_eq!(part_end(64, 64, 112), 96);
    }
}
