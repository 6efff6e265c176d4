//! The vectors of a list that a filter lets pass, copied together: queries then meet full blocks of them, where
//! the list's own blocks would hold one or two each. A score does not depend on the lane that it is computed in,
//! so results are the same bits either way.

use super::{IdFilter, ListView};
use crate::element::{Scalar, with_values};
use crate::kernel::Kernels;
use crate::lists::block::{BLOCK, NARROW, lanes, width};

/// A block, and a bit for each of its vectors that passes.
pub(super) type Kept = (usize, u32);

/// The blocks among `blocks` of which something passes, in `kept`.
pub(super) fn restrict(
    list: &ListView<'_>,
    blocks: (usize, usize),
    filter: &dyn IdFilter,
    kernels: &Kernels,
    kept: &mut Vec<Kept>,
) {
    kept.clear();
    for block in blocks.0..blocks.1 {
        let mask = filter.mask(kernels, ids_of(list, block));
        if mask != 0 {
            kept.push((block, mask));
        }
    }
}

/// The ids of a block.
pub(super) fn ids_of<'a>(list: &ListView<'a>, block: usize) -> &'a [i64] {
    let first = block * BLOCK;
    &list.ids[first..list.ids.len().min(first + BLOCK)]
}

/// Of so many blocks one is looked at to tell how much passes.
const SAMPLED: usize = 4;

/// Whether a filter lets something pass of nearly all halves of blocks, as a sample tells: then few queries had better
/// scan them all and ask the filter about hits alone. It is never asked about most ids.
pub(super) fn is_wide(
    list: &ListView<'_>,
    blocks: (usize, usize),
    filter: &dyn IdFilter,
    kernels: &Kernels,
) -> bool {
    let (mut halves, mut empty) = (0, 0);
    for block in (blocks.0..blocks.1).step_by(SAMPLED) {
        let ids = ids_of(list, block);
        let mask = filter.mask(kernels, ids);
        for half in [mask & 0xffff, mask >> NARROW].into_iter().take(ids.len().div_ceil(NARROW)) {
            halves += 1;
            empty += usize::from(half == 0);
        }
    }
    empty * WIDE <= halves
}

/// A filter is wide if of so many halves at most one is empty, as measured: what skipping saves is less than it costs.
const WIDE: usize = 4;

/// Queries that a unit meets at most where it is worth telling wide filters.
pub(super) const FEW: usize = 3;

/// Queries that halves of blocks are read for at most: tiles of more take no more than one block at a time, and wait for
/// the products, not for memory.
pub(super) const HALVED: usize = 2;

/// The halves of full blocks of which something passes, in `halves`, and their biases in `bias`, `-inf` for what does
/// not pass; how many of `kept` these are. Only a narrow last block is left over.
pub(super) fn halve(list: &ListView<'_>, kept: &[Kept], halves: &mut Vec<u32>, bias: &mut Vec<f32>) -> usize {
    halves.clear();
    bias.clear();
    let full = list.bias.len() / BLOCK;
    let end = kept.partition_point(|&(block, _)| block < full);
    for &(block, mask) in &kept[..end] {
        for (half, mask) in [mask & 0xffff, mask >> NARROW].into_iter().enumerate() {
            if mask != 0 {
                let half = block * 2 + half;
                halves.push(u32::try_from(half).expect("invariant: the slots of a list fit in u32"));
                bias.extend(masked(&list.bias[half * NARROW..(half + 1) * NARROW], mask));
            }
        }
    }
    end
}

/// Biases with those of the lanes whose bit is not set at `-inf`.
pub(super) fn masked(bias: &[f32], mask: u32) -> impl Iterator<Item = f32> {
    bias.iter()
        .enumerate()
        .map(move |(lane, &bias)| if mask >> lane & 1 == 1 { bias } else { f32::NEG_INFINITY })
}

/// Vectors that pass.
pub(super) fn count(kept: &[Kept]) -> usize {
    kept.iter().map(|(_, mask)| mask.count_ones() as usize).sum()
}

/// Whether `queries` are enough to make up for copying: each saves the lanes that do not pass.
pub(super) fn worthwhile(kept: &[Kept], queries: usize) -> bool {
    let passing = count(kept);
    (kept.len() * BLOCK - passing) * queries > (passing + kept.len() * VECTORS_A_BLOCK) * LANES_A_VECTOR
}

/// What copying costs, as measured: a vector takes the time in which so many lanes are scored for one query, and
/// the way through a block that of so many vectors.
const LANES_A_VECTOR: usize = 20;
const VECTORS_A_BLOCK: usize = 3;

/// Memory for the copies.
#[derive(Default)]
pub(super) struct Packed {
    /// Values of any type, hence of the widest one's size and alignment.
    vectors: Vec<u32>,
    bias: Vec<f32>,
    ids: Vec<i64>,
}

impl Packed {
    /// The passing vectors as a list of their own; `name` tells what stands for the id of a slot.
    pub(super) fn pack(
        &mut self,
        list: &ListView<'_>,
        dim: usize,
        kept: &[Kept],
        name: impl Fn(usize) -> i64,
    ) -> ListView<'_> {
        let passing = count(kept);
        self.ids.clear();
        self.bias.clear();
        for slot in slots(kept) {
            self.ids.push(name(slot));
            self.bias.push(list.bias[slot]);
        }
        self.bias.resize(lanes(passing), f32::NEG_INFINITY);
        with_values!(list.vectors, vectors => {
            let values = self.bias.len() * dim;
            // Whole words: the lanes are a multiple of 16.
            let words = values * size_of_val(&vectors[..1]) / size_of::<u32>();
            if self.vectors.len() < words {
                self.vectors.resize(words, 0);
            }
            let out = &mut bytemuck::cast_slice_mut(&mut self.vectors)[..values];
            copy(vectors, list.bias.len(), dim, kept, out);
            ListView { vectors: Scalar::values(out), bias: &self.bias, ids: &self.ids, live: passing }
        })
    }
}

/// Copies what is kept of a list of `lanes_in` lanes, block by block and column by column.
fn copy<T: Scalar>(from: &[T], lanes_in: usize, dim: usize, kept: &[Kept], out: &mut [T]) {
    let lanes_out = out.len() / dim;
    let mut place = 0;
    for &(block, mask) in kept {
        let width_in = width(block, lanes_in);
        let from = &from[block * BLOCK * dim..][..width_in * dim];
        let mut rest = mask;
        while rest != 0 {
            // As many as the block that is being filled has room for.
            let (start, width_out) = (place % BLOCK, width(place / BLOCK, lanes_out));
            let (mut picked, mut n) = ([0; BLOCK], 0);
            while rest != 0 && start + n < width_out {
                picked[n] = rest.trailing_zeros() as usize;
                rest &= rest - 1;
                n += 1;
            }
            let to = &mut out[place / BLOCK * BLOCK * dim..][..width_out * dim];
            for (from, to) in from.chunks_exact(width_in).zip(to.chunks_exact_mut(width_out)) {
                for (to, &lane) in to[start..start + n].iter_mut().zip(&picked[..n]) {
                    *to = from[lane];
                }
            }
            place += n;
        }
    }
}

/// The slots that are kept, rising.
fn slots(kept: &[Kept]) -> impl Iterator<Item = usize> + '_ {
    kept.iter().flat_map(|&(block, mask)| {
        let mut rest = mask;
        std::iter::from_fn(move || {
            let lane = rest.trailing_zeros() as usize;
            rest &= rest.wrapping_sub(1);
            (lane < BLOCK).then_some(block * BLOCK + lane)
        })
    })
}
