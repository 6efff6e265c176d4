//! Sharing a query's budget out over the lists that it visits.

use crate::budget::{Budget, Sharing, Switch};
use crate::lists::block::BLOCK;

/// The least weight of a list, so that none is worthless.
const LEAST_WEIGHT: f32 = 0.02;

/// Rounds in which what full lists leave over goes to the others; what is left after them is next to nothing.
const ROUNDS: usize = 6;

/// Memory for one query's shares.
#[derive(Default)]
pub(super) struct Allotter {
    /// The most that each list may give.
    caps: Vec<f32>,
    weights: Vec<f32>,
    shares: Vec<f32>,
}

impl Allotter {
    /// Replaces `sizes`, the vectors of each list in probe order, by how many of them the query looks at.
    /// `keys` are the lists' distances in the same order, nearest first; without them lists count alike.
    pub(super) fn allot(&mut self, budget: &Budget, keys: Option<&[f32]>, sizes: &mut [u32]) {
        let all: u64 = sizes.iter().map(|&size| u64::from(size)).sum();
        if budget.list_max > 0 {
            let most = u32::try_from(budget.list_max).unwrap_or(u32::MAX);
            sizes.iter_mut().for_each(|size| *size = most.min(*size));
        }
        let total = match (budget.codes, budget.share) {
            (0, 0.0) => return,
            (0, share) => share_of(all, share),
            (codes, _) => codes as u64,
        };
        if sizes.iter().map(|&size| u64::from(size)).sum::<u64>() <= total {
            return;
        }
        let strict = budget.strict == Switch::On;
        if matches!(budget.sharing, Sharing::Default | Sharing::ProbeOrder) {
            return cut(sizes, total);
        }
        self.weigh(budget, keys, sizes);
        self.fill(budget, total);
        let mut left = total;
        for (size, &share) in sizes.iter_mut().zip(&self.shares) {
            let share = if strict { whole(share).min(left) } else { blocks(share) };
            *size = u32::try_from(share).map_or(*size, |share| share.min(*size));
            left = left.saturating_sub(u64::from(*size));
        }
        // What rounding down has left goes to the nearest lists that have more.
        if strict {
            for (size, &cap) in sizes.iter_mut().zip(&self.caps) {
                let more = (whole(cap) - u64::from(*size).min(whole(cap))).min(left);
                *size += u32::try_from(more).unwrap_or(0);
                left -= more;
            }
        }
    }

    fn weigh(&mut self, budget: &Budget, keys: Option<&[f32]>, sizes: &[u32]) {
        self.caps.clear();
        #[expect(clippy::cast_precision_loss, reason = "a share is rounded anyway")]
        self.caps.extend(sizes.iter().map(|&size| size as f32));
        self.weights.clear();
        match keys.filter(|_| budget.sharing == Sharing::DistanceWeighted) {
            None => self.weights.resize(sizes.len(), 1.0),
            Some(keys) => {
                let ends = keys.iter().filter(|key| key.is_finite());
                let (near, far) = ends.fold((f32::INFINITY, f32::NEG_INFINITY), |(near, far), &key| {
                    (near.min(key), far.max(key))
                });
                let span = far - near;
                let weight = |&key: &f32| {
                    let way = if span > 0.0 && key.is_finite() { (far - key) / span } else { 1.0 };
                    way * way + LEAST_WEIGHT
                };
                self.weights.extend(keys.iter().map(weight));
            }
        }
    }

    /// Fills `shares` up to the caps, in proportion to the weights.
    fn fill(&mut self, budget: &Budget, total: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a share is rounded anyway")]
        let (mut left, least) = (total as f32, budget.list_min as f32);
        let Self { caps, weights, shares } = self;
        shares.clear();
        if budget.dynamic_nprobe == Switch::On {
            #[expect(clippy::cast_precision_loss, reason = "32")]
            let worth = least.max(BLOCK as f32);
            let sum: f32 = weights.iter().sum();
            // The nearest list is visited whatever it gets.
            for (list, weight) in weights.iter_mut().enumerate().skip(1) {
                if *weight / sum * left < worth.min(caps[list]) {
                    *weight = 0.0;
                }
            }
        }
        for (cap, weight) in caps.iter().zip(&*weights) {
            let share = if *weight > 0.0 { least.min(*cap).min(left) } else { 0.0 };
            left -= share;
            shares.push(share);
        }
        for _ in 0..ROUNDS {
            let open = |i: usize, shares: &[f32]| shares[i] < caps[i];
            let sum: f32 = (0..caps.len()).filter(|&i| open(i, shares)).map(|i| weights[i]).sum();
            if left < 1.0 || sum <= 0.0 {
                break;
            }
            let rate = left / sum;
            for i in 0..caps.len() {
                let more = (weights[i] * rate).min(caps[i] - shares[i]);
                shares[i] += more;
                left -= more;
            }
        }
    }
}

/// Lets `total` pass from the front on.
pub(super) fn cut(sizes: &mut [u32], total: u64) {
    let mut left = total;
    for size in sizes {
        *size = u32::try_from(left).map_or(*size, |left| left.min(*size));
        left -= u64::from(*size);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a count is a count"
)]
fn share_of(all: u64, share: f32) -> u64 {
    (all as f64 * f64::from(share)).ceil() as u64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares are not negative")]
fn whole(share: f32) -> u64 {
    share as u64
}

fn blocks(share: f32) -> u64 {
    whole(share.ceil()).next_multiple_of(BLOCK as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allot(budget: Budget, keys: &[f32], sizes: &[u32]) -> Vec<u32> {
        let mut sizes = sizes.to_vec();
        Allotter::default().allot(&budget, Some(keys), &mut sizes);
        sizes
    }

    const KEYS: [f32; 4] = [1.0, 2.0, 3.0, 5.0];

    #[test]
    fn allot_uniform_gives_alike_and_full_lists_pass_theirs_on() {
        let budget =
            Budget { codes: 400, sharing: Sharing::Uniform, strict: Switch::On, ..Budget::default() };
        assert_eq!(allot(budget, &KEYS, &[1000; 4]), [100; 4]);
        let shares = allot(budget, &KEYS, &[1000, 10, 1000, 1000]);
        assert_eq!((shares.iter().sum::<u32>(), shares[1]), (400, 10));
        assert!(shares[0].abs_diff(130) <= 2 && shares[3].abs_diff(130) <= 1, "{shares:?}");
    }

    #[test]
    fn allot_distance_weighted_gives_nearer_lists_more() {
        let budget = Budget {
            share: 0.25,
            sharing: Sharing::DistanceWeighted,
            strict: Switch::On,
            ..Budget::default()
        };
        let shares = allot(budget, &KEYS, &[1000; 4]);
        assert_eq!(shares.iter().sum::<u32>(), 1000);
        assert!(shares.is_sorted_by(|a, b| a > b), "{shares:?}");
        assert!(shares[3] > 0);
        let dynamic = Budget { dynamic_nprobe: Switch::On, ..budget };
        let shares = allot(dynamic, &KEYS, &[1000; 4]);
        assert_eq!((shares.iter().sum::<u32>(), shares[3]), (1000, 0), "{shares:?}");
    }

    #[test]
    fn allot_strict_keeps_the_budget_and_else_blocks_are_filled() {
        for codes in [1, 7, 31, 32, 33, 500, 3999] {
            for sharing in [Sharing::Uniform, Sharing::DistanceWeighted, Sharing::ProbeOrder] {
                for list_min in [0, 5, 100] {
                    let strict = Budget { codes, sharing, list_min, strict: Switch::On, ..Budget::default() };
                    let shares = allot(strict, &KEYS, &[1000; 4]);
                    assert_eq!(shares.iter().sum::<u32>() as usize, codes, "{strict:?}: {shares:?}");
                    let loose = Budget { strict: Switch::Default, ..strict };
                    let shares = allot(loose, &KEYS, &[1000; 4]);
                    assert!((codes..=codes + 4 * BLOCK).contains(&(shares.iter().sum::<u32>() as usize)));
                }
            }
        }
    }

    #[test]
    fn allot_list_sizes_hold_within_the_budget() {
        let budget = Budget { codes: 600, sharing: Sharing::DistanceWeighted, ..Budget::default() };
        let sized = Budget { list_min: 96, list_max: 256, ..budget };
        let shares = allot(sized, &KEYS, &[1000, 50, 1000, 1000]);
        assert_eq!((shares[0], shares[1]), (256, 50));
        assert!(shares[2] >= 96 && shares[3] >= 96, "{shares:?}");
        let only_max = Budget { list_max: 70, ..Budget::default() };
        assert_eq!(allot(only_max, &KEYS, &[1000, 50, 1000, 1000]), [70, 50, 70, 70]);
    }

    #[test]
    fn allot_budget_of_all_cuts_nothing() {
        let budget = Budget { codes: 4000, sharing: Sharing::Uniform, ..Budget::default() };
        assert_eq!(allot(budget, &KEYS, &[1000; 4]), [1000; 4]);
    }
}
