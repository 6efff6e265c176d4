//! Which ids a bitmap holds: the innermost loop of a filter.

/// A set of ids: `first + i` belongs to it if bit `i` is set.
#[derive(Clone, Copy)]
pub(crate) struct Bitmap<'a> {
    pub(crate) first: i64,
    pub(crate) words: &'a [u64],
}

impl Bitmap<'_> {
    /// Whether an id belongs to it.
    #[inline]
    fn contains(&self, id: i64) -> bool {
        // An id below the first wraps to a bit far beyond the last word.
        let bit = id.wrapping_sub(self.first).cast_unsigned();
        usize::try_from(bit / 64)
            .is_ok_and(|word| self.words.get(word).is_some_and(|word| word >> (bit % 64) & 1 == 1))
    }
}

/// A bit for each of up to 32 ids; see [`super::Kernels::members`].
pub(super) type MembersFn = fn(Bitmap<'_>, &[i64]) -> u32;

/// The oracle.
pub(super) fn scalar(bitmap: Bitmap<'_>, ids: &[i64]) -> u32 {
    ids.iter().enumerate().fold(0, |mask, (lane, &id)| mask | u32::from(bitmap.contains(id)) << lane)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Kernels;

    #[test]
    fn members_any_ids_agree_with_a_search_of_the_set() {
        let bits: Vec<bool> = (0..448).map(|i| (i * i + i / 7) % 3 == 0).collect();
        let word = |bits: &[bool]| (0..64).fold(0, |word, i| word | u64::from(bits[i]) << i);
        let words: Vec<u64> = bits.chunks(64).map(word).collect();
        let set: Vec<i64> = (0..448).zip(&bits).filter(|(_, bit)| **bit).map(|(i, _)| i).collect();
        for first in [0, -7, 1000, i64::MIN, i64::MAX - 500] {
            let near = (-100..600).map(|i| first.wrapping_add(i));
            let far = [i64::MIN, i64::MIN + 1, -1, 0, 1, 1 << 40, i64::MAX - 1, i64::MAX];
            let ids: Vec<i64> = near.chain(far).collect();
            for kernels in Kernels::available() {
                for count in 0..=32 {
                    for ids in ids.chunks(count.max(1)).map(|ids| &ids[..count.min(ids.len())]) {
                        let got = kernels.members(Bitmap { first, words: &words }, ids);
                        let holds =
                            |id: i64| id >= first && set.binary_search(&id.wrapping_sub(first)).is_ok();
                        let want = (0..ids.len()).filter(|&i| holds(ids[i])).fold(0, |mask, i| mask | 1 << i);
                        assert_eq!(got, want, "{} {first} {ids:?}", kernels.name);
                    }
                    let none = kernels.members(Bitmap { first, words: &[] }, &ids[..count]);
                    assert_eq!(none, 0);
                }
            }
        }
    }
}
