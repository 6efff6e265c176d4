//! Sets of ids that a search may return, combined by and, or, not.

use std::sync::Arc;

use crate::backend::IdFilter;
use crate::kernel::{Bitmap, Kernels};

/// Ids that pass. Cheap to clone; combining shares the parts.
#[derive(Clone, Debug)]
pub struct Filter(Arc<Node>);

#[derive(Debug)]
enum Node {
    /// `from <= id < to`.
    Range {
        from: i64,
        to: i64,
    },
    /// Bit `id - first`.
    Bitmap {
        first: i64,
        words: Vec<u64>,
    },
    /// Ascending.
    Sorted(Vec<i64>),
    And(Filter, Filter),
    Or(Filter, Filter),
    Not(Filter),
}

/// A bitmap is used for ids whose span takes at most this many bits for each, or fits in a cache anyway.
const BITS_PER_ID: u64 = 256;
const SMALL_BITMAP_BITS: u64 = 1 << 22;

impl Filter {
    /// The ids `from <= id < to`.
    pub fn range(from: i64, to: i64) -> Self {
        Self(Arc::new(Node::Range { from, to }))
    }

    /// The ids whose bit is set: id `i` is bit `i % 8` (the lowest is 0) of byte `i / 8`, as faiss and NumPy's
    /// little-endian `packbits` have it.
    pub fn bitmap(bytes: &[u8]) -> Self {
        let word = |chunk: &[u8]| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        };
        Self(Arc::new(Node::Bitmap { first: 0, words: bytes.chunks(8).map(word).collect() }))
    }

    /// These ids, in any order.
    pub fn ids(ids: &[i64]) -> Self {
        let (Some(&first), Some(&last)) = (ids.iter().min(), ids.iter().max()) else {
            return Self::range(0, 0);
        };
        let span = last.abs_diff(first);
        let node = if span < SMALL_BITMAP_BITS.max(ids.len() as u64 * BITS_PER_ID) {
            let mut words = vec![0u64; usize::try_from(span / 64 + 1).unwrap_or(usize::MAX)];
            for &id in ids {
                let bit = id.abs_diff(first);
                if let Ok(word) = usize::try_from(bit / 64) {
                    words[word] |= 1 << (bit % 64);
                }
            }
            Node::Bitmap { first, words }
        } else {
            let mut sorted = ids.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            Node::Sorted(sorted)
        };
        Self(Arc::new(node))
    }

    /// Ids that pass both.
    pub fn and(&self, other: &Self) -> Self {
        Self(Arc::new(Node::And(self.clone(), other.clone())))
    }

    /// Ids that pass either.
    pub fn or(&self, other: &Self) -> Self {
        Self(Arc::new(Node::Or(self.clone(), other.clone())))
    }

    /// Ids that do not pass.
    pub fn negate(&self) -> Self {
        Self(Arc::new(Node::Not(self.clone())))
    }

    /// Whether an id passes.
    pub fn contains(&self, id: i64) -> bool {
        self.mask(Kernels::scalar(), &[id]) == 1
    }
}

impl IdFilter for Filter {
    fn mask(&self, kernels: &Kernels, ids: &[i64]) -> u32 {
        let all = if ids.len() >= 32 { u32::MAX } else { (1u32 << ids.len()) - 1 };
        match &*self.0 {
            // Each kind has a loop of its own: the kind is looked at once a block.
            &Node::Range { from, to } => bits(ids, |id| from <= id && id < to),
            Node::Bitmap { first, words } => kernels.members(Bitmap { first: *first, words }, ids),
            Node::Sorted(sorted) => bits(ids, |id| sorted.binary_search(&id).is_ok()),
            Node::And(a, b) => match a.mask(kernels, ids) {
                0 => 0,
                mask => mask & b.mask(kernels, ids),
            },
            Node::Or(a, b) => match a.mask(kernels, ids) {
                mask if mask == all => mask,
                mask => mask | b.mask(kernels, ids),
            },
            Node::Not(a) => !a.mask(kernels, ids) & all,
        }
    }
}

#[inline]
fn bits(ids: &[i64], passes: impl Fn(i64) -> bool) -> u32 {
    ids.iter().enumerate().fold(0, |mask, (lane, &id)| mask | u32::from(passes(id)) << lane)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing(filter: &Filter, ids: impl Iterator<Item = i64>) -> Vec<i64> {
        ids.filter(|&id| filter.contains(id)).collect()
    }

    #[test]
    fn contains_every_kind_knows_its_ids() {
        assert_eq!(passing(&Filter::range(3, 6), 0..10), [3, 4, 5]);
        assert_eq!(passing(&Filter::range(6, 3), 0..10), []);
        assert_eq!(passing(&Filter::bitmap(&[0b101, 0b10]), -70..100), [0, 2, 9]);
        assert_eq!(passing(&Filter::bitmap(&[]), 0..100), []);
        assert_eq!(passing(&Filter::ids(&[7, 2, 7]), -100..100), [2, 7]);
        assert_eq!(passing(&Filter::ids(&[]), -10..10), []);
        let far = Filter::ids(&[5, i64::MAX, 1 << 40]);
        assert_eq!(
            passing(&far, [0, 5, 6, 1 << 40, i64::MAX - 1, i64::MAX].into_iter()),
            [5, 1 << 40, i64::MAX]
        );
    }

    #[test]
    fn combined_follows_set_algebra() {
        let (a, b) = (Filter::range(0, 8), Filter::ids(&[2, 4, 20, 1000]));
        assert_eq!(passing(&a.and(&b), 0..2000), [2, 4]);
        assert_eq!(passing(&a.or(&b), 6..2000), [6, 7, 20, 1000]);
        assert_eq!(passing(&b.negate(), 0..6), [0, 1, 3, 5]);
        assert_eq!(passing(&a.and(&b).negate().and(&a), 0..2000), [0, 1, 3, 5, 6, 7]);
    }

    #[test]
    fn mask_partial_block_has_no_bit_beyond_it() {
        let ids: Vec<i64> = (0..32).collect();
        for count in 0..=32 {
            let want = if count == 32 { u32::MAX } else { (1 << count) - 1 };
            assert_eq!(Filter::ids(&[99]).negate().mask(Kernels::scalar(), &ids[..count]), want);
            assert_eq!(
                Filter::range(0, 99).or(&Filter::range(0, 1)).mask(Kernels::scalar(), &ids[..count]),
                want
            );
        }
    }
}
