//! Scores: how a query's become keys, and its bar a threshold on them.

use super::ListView;
use super::affine::{Affine, Shifted};
use super::product::Product;
use super::rabitq::{Deviations, Seen};
use crate::element::{Scalar, with_values};
use crate::kernel::CHUNK;
use crate::lists::block::locate;
use crate::metric::Metric;

/// An L2 distance below this share of `|q|^2 + |v|^2` has lost digits in `|q|^2 + |v|^2 - 2qv` and is
/// summed again from differences.
pub(super) const CANCELLED: f32 = 1.0 / 64.0;

/// A share of a squared distance by which its least is lower still: more than rounding takes when it is summed up.
const LEAST: f32 = 1e-5;

/// How far estimates by the codes of a list may lie off.
#[derive(Clone, Copy)]
pub(super) struct Margin {
    /// The most that a vector lies from what its codes stand for.
    pub(super) error: f32,
    /// The most that is to be added to a score.
    pub(super) above: f32,
}

/// How far estimates by RaBitQ codes of a list may lie off, for the factor 1.
#[derive(Clone, Copy)]
pub(super) struct Width<'a> {
    /// For a deviation of 1.
    pub(super) of_one: f32,
    pub(super) deviations: &'a Deviations,
}

impl Width<'_> {
    /// The largest, which scores have in them.
    pub(super) fn most(&self) -> f32 {
        self.of_one * self.deviations.most
    }
}

/// How a query's scores become keys, and its bar a threshold on scores.
#[derive(Clone, Copy)]
pub(super) struct Scorer<'a> {
    metric: Metric,
    query: &'a [f32],
    norm: f32,
    slack: f32,
    /// Added to every score.
    constant: f32,
    /// What may have cancelled in a distance beside the two squared lengths.
    spread: f32,
    /// The rounding of a bar, as a share of it.
    rounding: f32,
    of: Scored<'a>,
}

/// What scores are those of.
#[derive(Clone, Copy)]
enum Scored<'a> {
    /// The vectors themselves.
    Values,
    /// What codes stand for, in a list of this number.
    Codes(&'a Affine<'a>, usize),
    /// What the words of codes stand for, in a list of this number.
    Words(&'a Product<'a>, usize),
    /// Estimates: no closer look is to be had.
    Estimates,
    /// The most that estimates can be by this bound: keys are the least that those of the vectors can be.
    Bounded(Width<'a>),
    /// Estimates of the distances from what codes stand for; keys are the least that those from the vectors can be,
    /// which lie within this of it.
    Least(f32),
}

impl<'a> Scorer<'a> {
    pub(super) fn new(metric: Metric, query: &'a [f32], norm: f32) -> Self {
        let slack = 2.0 * rounding_of_score(query.len()) * norm;
        let rounding = if metric == Metric::L2 { 4.0 * f32::EPSILON } else { 0.0 };
        Self { metric, query, norm, slack, constant: 0.0, spread: 0.0, rounding, of: Scored::Values }
    }

    /// For the codes of list number `list`.
    pub(super) fn of_codes(
        metric: Metric,
        query: &'a [f32],
        shifted: Shifted,
        affine: &'a Affine<'a>,
        list: usize,
    ) -> Self {
        let Shifted { norm, constant, reach } = shifted;
        let rounding = 4.0 * f32::EPSILON;
        // What a score lacks is added after it was compared, and rounded once more.
        let mut slack = rounding * (norm + constant.abs());
        if metric == Metric::L2 {
            slack += rounding_of_score(query.len()) * (reach + norm);
        }
        let of = Scored::Codes(affine, list);
        Self { metric, query, norm, slack, constant, spread: reach, rounding, of }
    }

    /// For estimates.
    pub(super) fn of_estimates(metric: Metric, seen: Seen) -> Self {
        let Seen { norm, constant, .. } = seen;
        let rounding = 4.0 * f32::EPSILON;
        let slack = rounding * (norm + constant.abs());
        Self { metric, query: &[], norm, slack, constant, spread: 0.0, rounding, of: Scored::Estimates }
    }

    /// For keys that are the least that a vector's can be.
    pub(super) fn of_least(metric: Metric, seen: Seen, Margin { error, above }: Margin) -> Self {
        let seen = Seen { constant: seen.constant + above, ..seen };
        let of = if metric == Metric::L2 { Scored::Least(error) } else { Scored::Estimates };
        Self { of, ..Self::of_estimates(metric, seen) }
    }

    /// The same for estimates that have the most of this width in them: keys that are the least that they can be.
    pub(super) fn within(self, width: Width<'a>) -> Self {
        Self { of: Scored::Bounded(width), ..self }
    }

    /// A score with what is the vector's own of its bound, where there is one: `slot` is that of the index's list.
    #[inline]
    pub(super) fn own(&self, score: f32, slot: impl FnOnce() -> usize, factor: impl FnOnce() -> f32) -> f32 {
        match self.of {
            Scored::Bounded(Width { of_one, deviations }) => {
                score - factor() * of_one * (deviations.most - deviations.each[slot()])
            }
            _ => score,
        }
    }

    /// For the codes by words of list number `list`: the query's squared length, its product with the centroid, and
    /// the most that its tables add up to; `None` = they are rounded, which makes estimates.
    pub(super) fn of_words(
        metric: Metric,
        query: &'a [f32],
        (norm, constant): (f32, f32),
        reach: Option<f32>,
        codes: &'a Product<'a>,
        list: usize,
    ) -> Self {
        let Some(reach) = reach else {
            return Self::of_estimates(metric, Seen { norm, constant, ..Seen::default() });
        };
        let rounding = 4.0 * f32::EPSILON;
        let spread = reach + constant.abs();
        let slack = rounding * (norm + constant.abs()) + rounding_of_score(query.len()) * (spread + norm);
        Self { metric, query, norm, slack, constant, spread, rounding, of: Scored::Words(codes, list) }
    }

    /// Scores below this cannot reach the bar.
    #[inline]
    pub(super) fn threshold(&self, bar: f32) -> f32 {
        let bar = match self.of {
            Scored::Least(error) => ((bar * (1.0 + LEAST)).sqrt() + error).powi(2),
            _ => bar,
        };
        // Never -inf: that is the score of lanes that hold nothing.
        let threshold = match self.metric {
            Metric::L2 => (self.norm - bar) * 0.5 - self.slack - self.rounding * bar.abs(),
            Metric::InnerProduct | Metric::Cosine => {
                -bar - self.slack - (self.rounding * bar.abs()).min(f32::MAX)
            }
        };
        (threshold - self.constant).max(f32::MIN)
    }

    /// The key of the vector in `slot`, whose score is `score`.
    #[inline]
    pub(super) fn key(&self, score: f32, list: &ListView<'_>, slot: usize) -> f32 {
        let score = score + self.constant;
        let key = match self.metric {
            Metric::L2 => self.norm - 2.0 * score,
            Metric::InnerProduct | Metric::Cosine => 0.0 - score,
        };
        self.settled(key, list, slot)
    }

    /// The same from what a key is before it is looked at closely: the squared distance by its expansion, or minus the
    /// similarity.
    #[inline]
    pub(super) fn settled(&self, key: f32, list: &ListView<'_>, slot: usize) -> f32 {
        match self.metric {
            Metric::L2 => {
                if let Scored::Least(error) = self.of {
                    let least = (key.max(0.0).sqrt() - error).max(0.0);
                    return least * least * (1.0 - LEAST);
                }
                if key >= CANCELLED * (self.norm - 2.0 * list.bias[slot] + self.spread) {
                    return key;
                }
                match self.of {
                    Scored::Values => difference(self.query, list, slot),
                    Scored::Codes(affine, number) => {
                        difference_of(self.query, affine.values(list, number, slot))
                    }
                    Scored::Words(codes, number) => {
                        difference_of(self.query, codes.values(list, number, slot))
                    }
                    Scored::Estimates | Scored::Bounded(_) | Scored::Least(_) => key,
                }
            }
            // + 0.0: a similarity of 0 has one key, not two.
            Metric::InnerProduct => key + 0.0,
            // The order of what codes stand for is not lost where it passes 1.
            Metric::Cosine if matches!(self.of, Scored::Values) => key.clamp(-1.0, 1.0) + 0.0,
            Metric::Cosine => key + 0.0,
        }
    }
}

/// Whether the key of any vector no longer than `largest` (squared) is the squared distance's expansion where that is
/// at least `key`, for a query of squared length `norm`.
#[cfg(feature = "gpu")]
pub(super) fn is_settled(metric: Metric, key: f32, norm: f32, largest: f32) -> bool {
    metric != Metric::L2 || key >= CANCELLED * 1.01 * (norm + largest)
}

/// A bound on the rounding error of a score, as a share of the size of what is added up: it decides which vectors near
/// the query are looked at closely, never which are returned.
pub(super) fn rounding_of_score(dim: usize) -> f32 {
    let steps = dim.min(CHUNK) + dim.div_ceil(CHUNK) + 8;
    #[expect(clippy::cast_precision_loss, reason = "a bound; a few thousand at most")]
    let steps = steps as f32;
    steps * (f32::EPSILON / 2.0)
}

/// The squared distance, summed from differences.
#[cold]
#[inline(never)]
fn difference(query: &[f32], list: &ListView<'_>, slot: usize) -> f32 {
    let (base, stride) = locate(slot, list.bias.len(), query.len());
    with_values!(list.vectors, vectors => squared_difference(query, vectors[base..].iter().step_by(stride)))
}

fn squared_difference<'a, E: Scalar>(query: &[f32], vector: impl Iterator<Item = &'a E>) -> f32 {
    difference_of(query, vector.map(|&v| v.into()))
}

/// The same from what codes stand for.
#[cold]
#[inline(never)]
fn difference_of(query: &[f32], vector: impl Iterator<Item = f32>) -> f32 {
    query.iter().zip(vector).map(|(&q, v)| q - v).map(|difference| difference * difference).sum()
}
