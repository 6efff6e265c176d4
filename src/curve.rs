//! The operating curve of an index: what recall a way to search gives, as measured on sample queries.
//!
//! A recall is believed only as far as the sample bears it: each point has the lower end of a confidence
//! interval (Wilson 1927), and a choice is made by that end.

use crate::error::{Error, Result};

/// What one way to search gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Lists looked into, at most.
    pub nprobe: usize,
    /// By what queries visit fewer, as [`SearchOptions::probe_scale`](crate::SearchOptions::probe_scale); 0 = none does.
    pub probe_scale: f32,
    /// How many times k candidates are compared again; 0 = nothing is, or as many as the index says.
    pub k_factor: f32,
    /// The share of the true nearest that was found, over the sample.
    pub recall: f64,
    /// What the recall of other queries like the sample is at least, with 95 % confidence.
    pub low: f64,
    /// Vectors compared with a query on average, centroids included; one that is compared again counts for as many as
    /// codes have its bytes.
    pub cost: f64,
}

/// How to search for a recall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Choice {
    pub(crate) nprobe: usize,
    pub(crate) probe_scale: f32,
    /// As in a [`CurvePoint`], for the k asked for.
    pub(crate) k_factor: f32,
    /// What the sample had so, or at the next point of the curve.
    pub(crate) recall: f64,
}

/// Recall against cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Neighbours a query that the recall counts.
    pub k: usize,
    /// Sample queries.
    pub queries: usize,
    /// Vectors that the index held.
    pub count: usize,
    /// Vectors added or removed since.
    pub changed: usize,
    /// In rising order of what they cost and find.
    pub points: Vec<CurvePoint>,
}

/// Share of vectors that may be added or removed before a curve is stale, as a divisor: 20 %.
const STALE_AT: usize = 5;

/// Standard deviations of a confidence of 95 % on one side.
const CONFIDENCE: f64 = 1.645;

impl Curve {
    /// Whether so much has changed that the curve says little: more vectors were added or removed than a
    /// fifth of those that it was measured on.
    pub fn is_stale(&self) -> bool {
        self.changed > self.count / STALE_AT
    }

    /// The cheapest way to find `recall` of the `k` nearest; `nlist` lists give everything that there is to find.
    ///
    /// Between two points of the curve `low` is taken to be a straight line over the logarithm of nprobe, or of the
    /// scale where nprobe is the same. Fewer neighbours are chosen among as many candidates as `k` of the curve.
    pub(crate) fn choice(&self, recall: f64, k: usize, nlist: usize) -> Result<Choice> {
        if k > self.k {
            return Err(Error::State(format!(
                "recall {recall} of the {k} nearest: the curve was measured for k = {}; call tune with k = {k}",
                self.k
            )));
        }
        if self.is_stale() {
            return Err(Error::State(format!(
                "recall {recall}: the curve is stale: it was measured on {} vectors, and {} were added or removed since; call tune again",
                self.count, self.changed
            )));
        }
        let choice = self.reaching(recall, nlist)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "a small number of any kind"
        )]
        let k_factor = (f64::from(choice.k_factor) * self.k as f64 / k as f64) as f32;
        Ok(Choice { k_factor, ..choice })
    }

    fn reaching(&self, recall: f64, nlist: usize) -> Result<Choice> {
        let most = self.points.iter().map(|point| point.recall).fold(0.0, f64::max);
        if recall > most {
            return Err(Error::State(format!(
                "recall {recall}: the most that this index was measured to reach is {most}"
            )));
        }
        // Without a miss all lists are the one sure answer to "everything".
        if recall >= 1.0 {
            let k_factor = self.points.iter().map(|point| point.k_factor).fold(0.0, f32::max);
            return Ok(Choice { nprobe: nlist, probe_scale: 0.0, k_factor, recall: most });
        }
        let Some(at) = self.points.iter().position(|point| point.low >= recall) else {
            // The sample is too small to be sure of so much: the first point that had it.
            let best = self.points.iter().position(|point| point.recall >= most).unwrap_or(0);
            return Ok(self.points[best].choice());
        };
        let to = self.points[at];
        let Some(from) = at.checked_sub(1).map(|before| self.points[before]) else {
            return Ok(to.choice());
        };
        Ok(between(&from, &to, (recall - from.low) / (to.low - from.low)))
    }

    /// What finding `recall` costs, as far as it is measured.
    pub(crate) fn cost(&self, recall: f64) -> f64 {
        let Some(at) = self.points.iter().position(|point| point.low >= recall) else {
            return self.points.last().map_or(f64::INFINITY, |point| point.cost);
        };
        let to = &self.points[at];
        match at.checked_sub(1).map(|before| &self.points[before]) {
            None => to.cost,
            Some(from) => {
                let share = (recall - from.low) / (to.low - from.low);
                from.cost * (to.cost / from.cost).powf(share)
            }
        }
    }
}

impl CurvePoint {
    fn choice(&self) -> Choice {
        let Self { nprobe, probe_scale, k_factor, recall, .. } = *self;
        Choice { nprobe, probe_scale, k_factor, recall }
    }
}

/// A share of the way from one point to the next, where there is a way.
fn between(from: &CurvePoint, to: &CurvePoint, share: f64) -> Choice {
    let mut choice = to.choice();
    choice.k_factor = from.k_factor.max(to.k_factor);
    let way = |from: f64, to: f64| from * (to / from).powf(share);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between two nprobes, or two scales"
    )]
    if from.probe_scale == to.probe_scale {
        let nprobe = way(from.nprobe as f64, to.nprobe as f64).ceil() as usize;
        choice.nprobe = nprobe.clamp(from.nprobe, to.nprobe);
    } else if from.nprobe == to.nprobe && from.probe_scale > 0.0 && to.probe_scale > 0.0 {
        choice.probe_scale = way(from.probe_scale.into(), to.probe_scale.into()) as f32;
    }
    choice
}

/// Of points in any order those worth having, by rising cost and nprobe: none costs less and finds as much, surely and
/// in the sample. (Of a sample without a miss less is sure than of one with few.)
pub(crate) fn worthwhile(mut points: Vec<CurvePoint>) -> Vec<CurvePoint> {
    points.sort_by(|a, b| a.cost.total_cmp(&b.cost).then(b.low.total_cmp(&a.low)));
    let mut kept: Vec<CurvePoint> = Vec::new();
    for point in points {
        let finds_more = |last: &CurvePoint| point.low > last.low || point.recall > last.recall;
        if kept.last().is_none_or(|last| finds_more(last) && point.nprobe >= last.nprobe) {
            kept.push(point);
        }
    }
    kept
}

/// The mean of the recalls of single queries, and the lower end of its confidence interval.
pub(crate) fn mean_and_low(recalls: &[f64]) -> (f64, f64) {
    let n = recalls.len() as f64;
    let mean = recalls.iter().sum::<f64>() / n;
    let variance = recalls.iter().map(|recall| (recall - mean) * (recall - mean)).sum::<f64>() / n;
    // Wilson's interval is one for a share of n coins. Queries whose recalls differ less than coins count
    // for more of them; a query never counts for less than one.
    let coins = if variance > 0.0 { n * (mean * (1.0 - mean) / variance).max(1.0) } else { n };
    let z = CONFIDENCE * CONFIDENCE / coins;
    let spread = CONFIDENCE * (mean * (1.0 - mean) / coins + z / (4.0 * coins)).sqrt();
    (mean, ((mean + z / 2.0 - spread) / (1.0 + z)).clamp(0.0, mean))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: CurvePoint =
        CurvePoint { nprobe: 1, probe_scale: 0.0, k_factor: 0.0, recall: 0.0, low: 0.0, cost: 0.0 };

    fn curve() -> Curve {
        let point =
            |nprobe: usize, recall, low| CurvePoint { nprobe, recall, low, cost: nprobe as f64, ..ORIGIN };
        let points = vec![point(1, 0.5, 0.4), point(4, 0.9, 0.8), point(16, 1.0, 0.95)];
        Curve { k: 10, queries: 100, count: 1000, changed: 0, points }
    }

    #[test]
    fn nprobe_recall_between_points_lies_between_them() {
        let nprobe = |recall| curve().choice(recall, 10, 64).unwrap().nprobe;
        assert_eq!((nprobe(0.1), nprobe(0.4), nprobe(0.6), nprobe(0.8)), (1, 1, 2, 4));
        assert_eq!(nprobe(0.95), 16);
        // Measured, but not with confidence.
        assert_eq!(nprobe(0.99), 16);
        assert_eq!(nprobe(1.0), 64);
    }

    #[test]
    fn choice_between_points_has_the_larger_factor_and_as_many_candidates() {
        let mut curve = curve();
        (curve.points[0].k_factor, curve.points[1].k_factor, curve.points[2].k_factor) = (2.0, 4.0, 3.0);
        let choice = |recall, k| {
            let Choice { nprobe, k_factor, .. } = curve.choice(recall, k, 64).unwrap();
            (nprobe, k_factor)
        };
        assert_eq!([choice(0.4, 10), choice(0.6, 10), choice(0.9, 10)], [(1, 2.0), (2, 4.0), (11, 4.0)]);
        assert_eq!([choice(0.99, 10), choice(1.0, 10), choice(0.6, 4)], [(16, 3.0), (64, 4.0), (2, 10.0)]);
    }

    #[test]
    fn choice_between_scales_lies_between_them_and_all_lists_are_a_step() {
        let point = |nprobe, probe_scale, low, cost| CurvePoint {
            nprobe,
            probe_scale,
            recall: low,
            low,
            cost,
            ..ORIGIN
        };
        let points = vec![
            point(32, 0.5, 0.6, 10.0),
            point(64, 0.5, 0.8, 40.0),
            point(64, 2.0, 0.9, 80.0),
            point(64, 0.0, 1.0, 100.0),
        ];
        let curve = Curve { points, ..curve() };
        let choice = |recall| {
            let Choice { nprobe, probe_scale, .. } = curve.choice(recall, 10, 64).unwrap();
            (nprobe, probe_scale)
        };
        assert_eq!([choice(0.1), choice(0.7), choice(0.8)], [(32, 0.5), (46, 0.5), (64, 0.5)]);
        assert_eq!([choice(0.85), choice(0.95), choice(1.0)], [(64, 1.0), (64, 0.0), (64, 0.0)]);
        assert_eq!([curve.cost(0.5), curve.cost(0.9)], [10.0, 80.0]);
        assert!((curve.cost(0.7) - 20.0).abs() < 1e-9);
    }

    #[test]
    fn worthwhile_keeps_what_nothing_cheaper_reaches() {
        let point =
            |nprobe, k_factor, low, cost| CurvePoint { nprobe, k_factor, recall: low, low, cost, ..ORIGIN };
        let all = vec![
            point(1, 1.0, 0.3, 10.0),
            point(1, 2.0, 0.4, 20.0),
            point(2, 1.0, 0.35, 18.0),
            point(2, 2.0, 0.6, 28.0),
            point(2, 4.0, 0.55, 48.0),
            point(4, 1.0, 0.36, 34.0),
            point(4, 4.0, 0.9, 64.0),
            point(3, 8.0, 0.95, 90.0),
        ];
        let kept: Vec<_> = worthwhile(all).iter().map(|point| (point.nprobe, point.k_factor)).collect();
        assert_eq!(kept, [(1, 1.0), (2, 1.0), (2, 2.0), (4, 4.0)]);
        let (few, none) = (mean_and_low(&[vec![1.0; 199], vec![0.9]].concat()), mean_and_low(&[1.0; 200]));
        assert!(few.1 > none.1);
        let of = |nprobe, (recall, low): (f64, f64)| CurvePoint {
            recall,
            ..point(nprobe, 1.0, low, nprobe as f64)
        };
        assert_eq!(worthwhile(vec![of(1, few), of(2, none)]).len(), 2);
    }

    #[test]
    fn nprobe_beyond_the_curve_is_an_error_that_tells_why() {
        let text = |curve: &Curve, recall, k| curve.choice(recall, k, 64).unwrap_err().to_string();
        let mut curve = curve();
        assert!(text(&curve, 0.5, 11).contains("call tune with k = 11"));
        curve.changed = 200;
        assert!(curve.choice(0.5, 1, 64).is_ok());
        curve.changed = 201;
        assert!(text(&curve, 0.5, 10).contains("stale"));
        curve.changed = 0;
        curve.points.truncate(2);
        assert!(text(&curve, 0.95, 10).contains("reach is 0.9"));
    }

    #[test]
    fn mean_and_low_more_queries_are_surer() {
        let coins = |n: usize| (0..n).map(|i| f64::from(i % 10 != 0)).collect::<Vec<_>>();
        let (mean, few) = mean_and_low(&coins(100));
        // Wilson's lower end of 90 of 100 at 95 % on one side.
        assert!((mean - 0.9).abs() < 1e-12 && (few - 0.8395).abs() < 5e-4, "{mean} {few}");
        let (_, many) = mean_and_low(&coins(10_000));
        assert!(few < many && many < mean);
        // Every query alike: ten times as sure as coins.
        let (_, alike) =
            mean_and_low(&(0..100).map(|i| 0.9 + 0.1 * f64::from(i % 2 * 2 - 1)).collect::<Vec<_>>());
        assert!(alike > few && alike < 0.9);
        assert_eq!(mean_and_low(&[1.0; 4]).0, 1.0);
        assert!(mean_and_low(&[1.0; 4]).1 < 0.7);
    }

    /// Of many samples of queries, the lower end lies below the truth in about 95 of 100.
    #[test]
    fn mean_and_low_holds_as_often_as_it_says() {
        let mut state = 1u64;
        let mut unit = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        // Easy queries and hard ones, ten neighbours each.
        let mut query = || {
            let share = if unit() < 0.8 { 0.99 } else { 0.7 };
            (0..10).filter(|_| unit() < share).count() as f64 / 10.0
        };
        let truth = 0.8 * 0.99 + 0.2 * 0.7;
        let held = (0..2000).filter(|_| {
            let sample: Vec<f64> = (0..200).map(|_| query()).collect();
            mean_and_low(&sample).1 <= truth
        });
        let held = held.count();
        assert!((1860..1960).contains(&held), "{held}");
    }
}
