//! As many lists as a query needs: one in the midst of a list needs few, one between lists many.
//!
//! Of its `nprobe` nearest lists a query visits the r-th while `r * exp(gap / scale) <= 4 * nprobe`, where the gap tells
//! how much farther that list is than the nearest, in units of the query's own: ranks alone (a fixed nprobe) leave out near lists of
//! hard queries, distances alone visit too many lists of queries that are far from all. Of what is known before a
//! list is read, logarithms of the rank and relative distances tell best how many neighbours it holds; see
//! `benches/peers/adaptive.py`.

use crate::backend::workspace::Limits;
use crate::matrix::squared_norm;
use crate::metric::Metric;

/// How much farther than nprobe the rule reaches. Without this hardly a query would visit `nprobe` lists, and finding
/// that many in order would cost more than is saved; with far more it would be cut off where it does best.
const REACH: f64 = 4.0;

/// The rule for one nprobe.
pub(crate) struct Reach<'a> {
    metric: Metric,
    /// Of each rank the largest gap.
    limits: &'a [f32],
}

impl<'a> Reach<'a> {
    /// `scale` is above 0; `limits` keeps the logarithms, which take a single query longer than to pass over its lists.
    pub(crate) fn new(metric: Metric, nprobe: usize, scale: f32, limits: &'a mut Limits) -> Self {
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "numbers of lists")]
        let limit = |rank: usize| (f64::from(scale) * (REACH * nprobe as f64 / rank as f64).ln()) as f32;
        Self { metric, limits: limits.of(nprobe, scale, limit) }
    }

    /// Makes -1 of the lists of each query (`[count, nprobe]`, nearest first) that it need not visit, and their keys
    /// infinite. `queries` are `[count, dim]`.
    pub(crate) fn cut(&self, queries: &[f32], dim: usize, lists: &mut [i64], keys: &mut [f32]) {
        let nprobe = self.limits.len();
        let rows = lists.chunks_exact_mut(nprobe).zip(keys.chunks_exact_mut(nprobe));
        for (query, (lists, keys)) in queries.chunks_exact(dim).zip(rows) {
            let (nearest, unit) = (keys[0], unit(self.metric, query, keys[0]));
            let near = |(&key, &limit): (&f32, &f32)| key - nearest <= limit * unit;
            // The nearest is visited whatever its key is.
            let end = 1 + keys[1..].iter().zip(&self.limits[1..]).take_while(|&pair| near(pair)).count();
            lists[end..].fill(-1);
            keys[end..].fill(f32::INFINITY);
        }
    }
}

/// How much farther the last list of `keys` (nearest first) is than the first, in the query's units; `None` if that
/// is no number.
pub(crate) fn gap(metric: Metric, query: &[f32], keys: &[f32]) -> Option<f32> {
    let gap = (keys.last()? - keys[0]) / unit(metric, query, keys[0]);
    gap.is_finite().then_some(gap)
}

/// What a query's gaps are measured in: the squared distance of its nearest list, for inner products its length.
fn unit(metric: Metric, query: &[f32], nearest: f32) -> f32 {
    match metric {
        Metric::L2 => nearest.max(0.0),
        // Half the squared distance between vectors of length 1.
        Metric::Cosine => (1.0 + nearest).max(0.0),
        Metric::InnerProduct => squared_norm(query).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists left of 4 with these keys, `nprobe` 4.
    fn left(metric: Metric, scale: f32, query: [f32; 2], keys: [f32; 4]) -> usize {
        let (mut lists, mut cut) = ([5, 3, 8, 0], keys);
        Reach::new(metric, 4, scale, &mut Limits::default()).cut(&query, 2, &mut lists, &mut cut);
        let end = lists.iter().position(|&list| list < 0).unwrap_or(4);
        assert_eq!(lists[..end], [5, 3, 8, 0][..end]);
        assert!(lists[end..].iter().all(|&list| list == -1));
        assert_eq!(cut[..end], keys[..end]);
        assert!(cut[end..].iter().all(|&key| key == f32::INFINITY));
        end
    }

    #[test]
    fn reach_cuts_by_rank_and_by_relative_distance() {
        let l2 = |scale, keys| left(Metric::L2, scale, [9.0, 9.0], keys);
        // The gaps that 16 leaves to ranks 2, 3 and 4: ln 8, ln 16/3 and ln 4.
        assert_eq!(l2(1.0, [1.0, 1.0, 1.0, 1.0]), 4);
        assert_eq!(l2(1.0, [1.0, 2.0, 2.0, 2.38]), 4);
        assert_eq!(l2(1.0, [1.0, 2.0, 2.0, 2.39]), 3);
        assert_eq!(l2(1.0, [1.0, 3.07, 3.07, 3.07]), 2);
        assert_eq!(l2(1.0, [1.0, 3.08, 3.08, 3.08]), 1);
        // The same ratios, and other scales.
        assert_eq!(l2(1.0, [10.0, 30.7, 30.7, 30.7]), 2);
        assert_eq!(l2(0.5, [1.0, 2.03, 2.03, 2.03]), 2);
        assert_eq!(l2(100.0, [1.0, 9.0, 9.0, 99.0]), 4);
        // A query at a centroid, and what is nowhere.
        assert_eq!(l2(1.0, [0.0, 0.0, 1e-9, 1.0]), 2);
        assert_eq!(l2(1.0, [f32::INFINITY; 4]), 1);
        // Half of squared distances between unit vectors: 0.1, then 0.3.
        assert_eq!(left(Metric::Cosine, 1.0, [1.0, 0.0], [-0.9, -0.7, 0.0, 0.0]), 2);
        // The query's length is the unit.
        assert_eq!(left(Metric::InnerProduct, 1.0, [3.0, 4.0], [-9.0, 1.3, 1.4, 2.0]), 2);
        assert_eq!(left(Metric::InnerProduct, 1.0, [0.3, 0.4], [-9.0, 1.3, 1.4, 2.0]), 1);
    }

    #[test]
    fn limits_of_one_rule_are_not_another_s() {
        let mut limits = Limits::default();
        for (nprobe, scale) in [(4, 1.0), (4, 0.5), (3, 0.5), (4, 1.0)] {
            let kept = Reach::new(Metric::L2, nprobe, scale, &mut limits).limits.to_vec();
            assert_eq!(kept, Reach::new(Metric::L2, nprobe, scale, &mut Limits::default()).limits);
            assert_eq!(kept.len(), nprobe);
        }
    }

    #[test]
    fn gap_is_relative_and_a_number() {
        assert_eq!(gap(Metric::L2, &[7.0], &[2.0, 3.0, 5.0]), Some(1.5));
        assert_eq!(gap(Metric::Cosine, &[1.0], &[-0.5, 0.0]), Some(1.0));
        assert_eq!(gap(Metric::InnerProduct, &[2.0], &[-3.0, 1.0]), Some(2.0));
        assert_eq!(gap(Metric::L2, &[7.0], &[0.0, 3.0]), None);
        assert_eq!(gap(Metric::L2, &[7.0], &[1.0, f32::INFINITY]), None);
    }
}
