//! What has to hold for the content of lists before an index may use them.

use crate::error::{Error, Result};
use crate::lists::{Lists, NEVER};

/// Whether all values are finite. Counts instead of leaving at the first, so that the compiler can use
/// vector registers.
pub(super) fn finite(values: &[f32]) -> bool {
    const EXPONENT: u32 = 0x7f80_0000;
    values.iter().map(|value| usize::from(value.to_bits() & EXPONENT == EXPONENT)).sum::<usize>() == 0
}

/// Whether none is positive or NaN.
fn at_most_zero(values: &[f32]) -> bool {
    values.iter().map(|&value| usize::from(value <= 0.0)).sum::<usize>() == values.len()
}

/// Whether all values can be ids.
pub(super) fn not_negative(values: &[i64]) -> bool {
    values.iter().fold(0, |all, id| all | id) >= 0
}

/// Fails unless every bias can be one, padding is marked as such, and as many vectors are marked as removed
/// as each list says. A scan relies on it: behind a bias that may win there has to be an id.
pub(super) fn biases(lists: &Lists) -> Result<()> {
    for (number, list) in lists.lists.iter().enumerate() {
        let (used, padding) = list.bias.split_at(list.len());
        let dead = used.iter().filter(|&&bias| bias == NEVER).count();
        if dead != list.dead || padding.iter().any(|&bias| bias != NEVER) || !at_most_zero(used) {
            return Err(Error::corrupt(format!(
                "list {number}: expected biases of 0 or less, {} of them for removed vectors and {} for padding, got others",
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

impl Ids {
    /// Looks at every id of `lists`, none of which is negative. Takes eight bytes a vector at most.
    pub(super) fn of(lists: &Lists) -> Result<Self> {
        let largest = lists.lists.iter().flat_map(|list| list.ids.iter().copied()).max();
        let count = lists.live();
        let bits = largest.and_then(|id| usize::try_from(id).ok()).and_then(|id| id.checked_add(1));
        let live = lists.live_ids().map(|(id, _, _)| id);
        let repeated = match bits {
            // Ids without large gaps: one bit each.
            Some(bits) if bits / 64 <= count => {
                let mut seen: Vec<u64> = room(bits.div_ceil(64))?;
                live.into_iter().find(|&id| {
                    let (word, bit) =
                        (usize::try_from(id >> 6).expect("invariant: below the largest"), 1 << (id & 63));
                    let known = seen[word] & bit != 0;
                    seen[word] |= bit;
                    known
                })
            }
            _ => {
                let mut sorted = room(count)?;
                sorted.iter_mut().zip(live).for_each(|(slot, id)| *slot = id);
                sorted.sort_unstable();
                sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
            }
        };
        Ok(Self { largest, repeated })
    }
}

fn room<T: Default + Clone>(count: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    values
        .try_reserve_exact(count)
        .map_err(|_| Error::Memory { what: "checking ids", bytes: (count * size_of::<T>()) as u64 })?;
    values.resize(count, T::default());
    Ok(values)
}
