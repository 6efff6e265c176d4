//! Seeded random numbers: the same seed, the same choices, on every machine.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

/// A stream of random numbers (xoshiro256++, Blackman and Vigna 2018).
pub(crate) struct Random(Xoshiro256PlusPlus);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// A number below `n`, which must not be 0.
    #[expect(clippy::cast_possible_truncation, reason = "the high half of the product is below n")]
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }

    /// A number from 0 to 1, 1 excluded.
    pub(crate) fn unit(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1u64 << 53) as f64;
        (self.0.next_u64() >> 11) as f64 * STEP
    }

    /// A number of the normal distribution of mean 0 and variance 1 (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        // 1 - unit: never the logarithm of 0.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Deals numbers below `n` out to hands of these sizes (in all at most `n`), one hand after another,
    /// each in ascending order, none twice. One pass, and no memory beyond the result.
    pub(crate) fn deal(&mut self, n: usize, sizes: &[usize]) -> Vec<u32> {
        let mut dealt = vec![0u32; sizes.iter().sum()];
        let mut places: Vec<_> = sizes
            .iter()
            .scan(0, |end, size| {
                let start = *end;
                *end += size;
                Some((start, *size))
            })
            .collect();
        let mut missing = dealt.len();
        for number in 0..n {
            if missing == 0 {
                break;
            }
            let mut draw = self.below(n - number);
            if draw >= missing {
                continue;
            }
            for (place, left) in &mut places {
                if draw < *left {
                    dealt[*place] = u32::try_from(number).expect("invariant: fewer than 2^32 rows");
                    (*place, *left, missing) = (*place + 1, *left - 1, missing - 1);
                    break;
                }
                draw -= *left;
            }
        }
        dealt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deal_hands_are_sorted_disjoint_and_full() {
        let mut random = Random::new(1);
        let dealt = random.deal(1000, &[10, 300, 0, 690]);
        let hands = [&dealt[..10], &dealt[10..310], &dealt[310..]];
        assert!(hands.iter().all(|hand| hand.is_sorted_by(|a, b| a < b)));
        let mut all = dealt.clone();
        all.sort_unstable();
        assert_eq!(all, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn deal_many_times_every_number_is_as_likely() {
        let mut random = Random::new(2);
        let mut counts = [0; 20];
        for _ in 0..20_000 {
            random.deal(20, &[2, 3]).iter().for_each(|&number| counts[number as usize] += 1);
        }
        // 5000 each, with a standard deviation of 61.
        assert!(counts.iter().all(|count| (4700..5300).contains(count)), "{counts:?}");
    }

    #[test]
    fn normal_many_times_has_mean_0_and_variance_1() {
        let mut random = Random::new(4);
        let values: Vec<f64> = (0..100_000).map(|_| random.normal()).collect();
        let moment = |power| values.iter().map(|v: &f64| v.powi(power)).sum::<f64>() / 100_000.0;
        assert!(moment(1).abs() < 0.02 && (moment(2) - 1.0).abs() < 0.03, "{} {}", moment(1), moment(2));
        assert!(moment(3).abs() < 0.08 && (moment(4) - 3.0).abs() < 0.2, "{} {}", moment(3), moment(4));
    }

    #[test]
    fn below_and_unit_stay_in_range() {
        let mut random = Random::new(3);
        assert!((0..1000).all(|_| random.below(7) < 7));
        assert!((0..1000).all(|_| (0.0..1.0).contains(&random.unit())));
    }
}
