//! What has to hold for the content of lists before an index may use them.

use crate::element::Element;
use crate::error::{Error, Result};
use crate::lists::{Lists, NEVER};
use crate::progress::Control;

/// Tells of the bytes of whole elements whether all values are finite.
pub(super) fn finite(element: Element) -> fn(&[u8]) -> bool {
    match element {
        Element::F32 => {
            |bytes| none_set(bytes, |value| u32::from_le_bytes(value) & 0x7f80_0000 == 0x7f80_0000)
        }
        Element::F16 => |bytes| none_set(bytes, |value| u16::from_le_bytes(value) & 0x7c00 == 0x7c00),
        Element::Bf16 => |bytes| none_set(bytes, |value| u16::from_le_bytes(value) & 0x7f80 == 0x7f80),
        Element::U8 => |_| true,
    }
}

/// Whether none of the values is `bad`. Counts instead of leaving at the first, so that the compiler can use
/// vector registers.
fn none_set<const N: usize>(bytes: &[u8], bad: impl Fn([u8; N]) -> bool) -> bool {
    bytes.as_chunks::<N>().0.iter().map(|&value| usize::from(bad(value))).sum::<usize>() == 0
}

/// Whether none is infinite upwards or NaN.
fn below_infinity(values: &[f32]) -> bool {
    values.iter().map(|&value| usize::from(value < f32::INFINITY)).sum::<usize>() == values.len()
}

/// Whether none is positive or NaN.
fn at_most_zero(values: &[f32]) -> bool {
    values.iter().map(|&value| usize::from(value <= 0.0)).sum::<usize>() == values.len()
}

/// Whether all values can be ranks.
pub(super) fn not_nan(values: &[f32]) -> bool {
    values.iter().map(|&value| usize::from(!value.is_nan())).sum::<usize>() == values.len()
}

/// Whether all values can be ids.
pub(super) fn not_negative(values: &[i64]) -> bool {
    values.iter().fold(0, |all, id| all | id) >= 0
}

/// Fails unless every bias can be one, padding is marked as such, and as many vectors are marked as removed
/// as each list says. A scan relies on it: behind a bias that may win there has to be an id. `signed`: products with
/// centroids, which may be positive.
pub(super) fn biases(lists: &Lists, signed: bool) -> Result<()> {
    let (sound, what) = if signed {
        (below_infinity as fn(&[f32]) -> bool, "finite biases")
    } else {
        (at_most_zero as _, "biases of 0 or less")
    };
    for (number, list) in lists.lists.iter().enumerate() {
        let (used, padding) = list.bias.split_at(list.len());
        let dead = used.iter().filter(|&&bias| bias == NEVER).count();
        if dead != list.dead || padding.iter().any(|&bias| bias != NEVER) || !sound(used) {
            return Err(Error::corrupt(format!(
                "list {number}: expected {what}, {} of them for removed vectors and {} for padding, got others",
                list.dead,
                padding.len()
            )));
        }
    }
    Ok(())
}

/// What is to be known of all ids.
pub(super) struct Ids {
    /// The largest, removed ones included.
    pub(super) largest: Option<i64>,
    /// One that two live vectors have, if there is any.
    pub(super) repeated: Option<i64>,
}

/// Ids between two looks at the control.
const STEP: usize = 1 << 16;

impl Ids {
    /// Looks at every id of `lists`, none of which is negative. Takes eight bytes a vector or less.
    pub(super) fn of(lists: &Lists, control: &Control<'_>) -> Result<Self> {
        let mut largest = None;
        for ids in lists.lists.iter().flat_map(|list| list.ids.chunks(STEP)) {
            largest = largest.max(ids.iter().copied().max());
            control.check()?;
        }
        let count = lists.live();
        let bits = largest.and_then(|id| usize::try_from(id).ok()).and_then(|id| id.checked_add(1));
        let repeated = match bits {
            Some(bits) if bits / 64 <= count => repeated_by_bits(lists, bits, control)?,
            _ => repeated_by_sorting(lists, count, control)?,
        };
        Ok(Self { largest, repeated })
    }
}

/// Every live id, with a look at the control now and then.
fn live_ids<'a>(lists: &'a Lists, control: &'a Control<'_>) -> impl Iterator<Item = Result<usize>> + 'a {
    lists.live_ids().enumerate().map(|(place, (id, ..))| {
        if place % STEP == 0 {
            control.check()?;
        }
        usize::try_from(id).map_err(|_| Error::Unsupported(format!("id {id} in a 32-bit process")))
    })
}

/// For ids without large gaps: one bit each.
fn repeated_by_bits(lists: &Lists, bits: usize, control: &Control<'_>) -> Result<Option<i64>> {
    let mut seen: Vec<u64> = room(bits.div_ceil(64))?;
    for id in live_ids(lists, control) {
        let id = id?;
        let (word, bit) = (&mut seen[id / 64], 1 << (id % 64));
        if *word & bit != 0 {
            return Ok(i64::try_from(id).ok());
        }
        *word |= bit;
    }
    Ok(None)
}

/// For any ids: spread over buckets by a hash, each of which is sorted within the caches.
fn repeated_by_sorting(lists: &Lists, count: usize, control: &Control<'_>) -> Result<Option<i64>> {
    let bits = (count / STEP).next_power_of_two().ilog2();
    let bucket_of = |id: usize| {
        let hash = (id as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(hash.checked_shr(64 - bits).unwrap_or(0)).expect("invariant: few bits")
    };
    let mut ends: Vec<usize> = room((1 << bits) + 1)?;
    for id in live_ids(lists, control) {
        ends[bucket_of(id?) + 1] += 1;
    }
    for bucket in 1..ends.len() {
        ends[bucket] += ends[bucket - 1];
    }
    // From here on `ends[b]` is where bucket b has got to; when all are placed, where it ends.
    let mut sorted: Vec<usize> = room(count)?;
    for id in live_ids(lists, control) {
        let id = id?;
        let end = &mut ends[bucket_of(id)];
        sorted[*end] = id;
        *end += 1;
    }
    let mut start = 0;
    for &end in &ends[..1 << bits] {
        control.check()?;
        let bucket = &mut sorted[start..end];
        bucket.sort_unstable();
        if let Some(pair) = bucket.windows(2).find(|pair| pair[0] == pair[1]) {
            return Ok(i64::try_from(pair[0]).ok());
        }
        start = end;
    }
    Ok(None)
}

fn room<T: Default + Clone>(count: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values
        .try_reserve_exact(count)
        .map_err(|_| Error::Memory { what: "checking ids", bytes: (count * size_of::<T>()) as u64 })?;
    values.resize(count, T::default());
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists of these ids, in turn, without vectors.
    fn lists(ids: impl IntoIterator<Item = i64>) -> Lists {
        let ids: Vec<i64> = ids.into_iter().collect();
        let parts: Vec<Vec<i64>> =
            (0..3).map(|list| ids.iter().copied().skip(list).step_by(3).collect()).collect();
        let mut lists =
            Lists::with_lens(Element::F32, parts.iter().map(Vec::len), 1, 0, &|| Ok(())).expect("small");
        for (store, ids) in lists.lists.iter_mut().zip(&parts) {
            let slices = store.slices_mut().expect("owned");
            slices.ids.copy_from_slice(ids);
            slices.bias[..ids.len()].fill(0.0);
        }
        lists
    }

    fn of(lists: &Lists) -> (Option<i64>, Option<i64>) {
        let ids = Ids::of(lists, &Control::default()).expect("small");
        (ids.largest, ids.repeated)
    }

    /// Far apart, so that they are sorted.
    const FAR: i64 = 46_116_860_184_273_879;

    #[test]
    fn ids_all_different_have_no_repetition() {
        let n = 200_000;
        assert_eq!(of(&lists(0..n)), (Some(n - 1), None));
        assert_eq!(of(&lists((0..200).map(|i| i * FAR))), (Some(199 * FAR), None));
        assert_eq!(
            of(&lists((0..n).map(|i| i * 40_000_000_000_003))),
            (Some((n - 1) * 40_000_000_000_003), None)
        );
        assert_eq!(of(&lists([])), (None, None));
    }

    #[test]
    fn ids_one_twice_is_found_near_and_far() {
        let n = 200_000;
        assert_eq!(of(&lists((0..n).chain([777]))).1, Some(777));
        assert_eq!(of(&lists((0..200).map(|i| i * FAR).chain([77 * FAR]))).1, Some(77 * FAR));
        let far = (0..n).chain([31]).map(|i| i * 40_000_000_000_003);
        assert_eq!(of(&lists(far)).1, Some(31 * 40_000_000_000_003));
    }

    #[test]
    fn ids_of_a_removed_vector_may_be_there_again() {
        let mut lists = lists([5, 6, 5]);
        lists.lists[0].slices_mut().expect("owned").bias[0] = NEVER;
        lists.lists[0].dead = 1;
        assert_eq!(of(&lists), (Some(6), None));
    }

    #[test]
    fn ids_looked_at_when_cancelled_end_early() {
        let flag = std::sync::atomic::AtomicI32::new(1);
        let control = Control::new(None, Some(&flag));
        assert!(matches!(Ids::of(&lists(0..9), &control), Err(Error::Cancelled)));
    }
}
