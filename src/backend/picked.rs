//! The best of keys that are all written down: faster than to offer each to a selection, where there are some hundreds or
//! thousands.

use crate::collect::{from_ordered, ordered};
use crate::topk::Hit;

/// The best of a query's keys.
#[derive(Default)]
pub(super) struct Picked {
    pub(super) minima: Vec<f32>,
    /// Keys, as numbers of the same order, before ids.
    ranks: Vec<u64>,
    hits: Vec<Hit>,
}

impl Picked {
    /// The `k` best, by key and then by id; NaN is none.
    pub(super) fn pick(&mut self, keys: &[f32], ids: &[i64], k: usize) -> &[Hit] {
        let Self { minima, ranks, hits } = self;
        let bar = bar(keys, k, minima);
        ranks.resize(keys.len().max(ranks.len()), 0);
        let mut count = 0;
        for (slot, &key) in (0u64..).zip(keys) {
            // Written before it is known whether it is kept: no branch that is guessed wrong.
            ranks[count] = u64::from(ordered(key)) << 32 | slot;
            count += usize::from(key <= bar);
        }
        let mut best = &mut ranks[..count];
        for rank in &mut *best {
            #[expect(clippy::cast_possible_truncation, reason = "the slot is the lower half")]
            let slot = *rank as u32 as usize;
            *rank = *rank >> 32 << 32 | ids[slot].cast_unsigned();
        }
        if count > 2 * k {
            best.select_nth_unstable(k);
            best = &mut best[..k];
        }
        best.sort_unstable();
        hits.clear();
        #[expect(clippy::cast_possible_truncation, reason = "the upper half, and the lower")]
        let hit = |rank: &u64| Hit { key: from_ordered((rank >> 32) as u32), id: i64::from(*rank as u32) };
        hits.extend(best.iter().take(k).map(hit));
        hits
    }
}

/// Halvings of the span in which the bar lies: what is left of it is a millionth.
const HALVINGS: usize = 20;

/// Groups of keys at least.
const GROUPS: usize = 256;

/// A key that `k` of `keys` at least do not lie beyond, and not many more do not; infinite if there are not so many.
///
/// Of groups of keys the least are looked at: as many groups as have one below a bar, so many keys at least lie below.
pub(super) fn bar(keys: &[f32], k: usize, minima: &mut Vec<f32>) -> f32 {
    if k >= keys.len() {
        return f32::INFINITY;
    }
    let groups = (4 * k).max(GROUPS).min(keys.len());
    minima.clear();
    minima.resize(groups, f32::INFINITY);
    for keys in keys.chunks(groups) {
        minima
            .iter_mut()
            .zip(keys)
            .for_each(|(least, &key)| *least = if key < *least { key } else { *least });
    }
    let (mut low, mut high) = (f32::INFINITY, f32::NEG_INFINITY);
    for &key in &*minima {
        low = if key < low { key } else { low };
        high = if key > high { key } else { high };
    }
    for _ in 0..HALVINGS {
        let middle = low + (high - low) * 0.5;
        // Nor if that is no number.
        if !(middle > low && middle < high) {
            break;
        }
        let count: u32 = minima.iter().map(|&key| u32::from(key <= middle)).sum();
        if (count as usize) < k {
            low = middle;
        } else {
            high = middle;
            if count as usize <= k + k / 8 {
                break;
            }
        }
    }
    high
}
