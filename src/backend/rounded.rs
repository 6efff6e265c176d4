//! Codes of a scale and an offset a dimension, scanned in whole numbers: of each query the factors for the codes are
//! rounded to 8 bits. For the first stage of a search in two: what rounding moves is about what the codes have lost
//! already, and whole numbers are several times as fast.
//!
//! Where codes are of residuals and distances are wanted, a query has factors of its own for each list; else all lists
//! share them.

use std::ops::Range;

use super::ListView;
use super::affine::Affine;
use super::rabitq::Seen;
use super::scorer::{Margin, Scorer, rounding_of_score};
use crate::kernel::{GROUP, Kernels, MOST_DIMENSIONS, RoundInput, prefetch_early};
use crate::matrix::squared_norm;
use crate::metric::Metric;

/// A query is fetched while the one so many before it is rounded.
const AHEAD: usize = 1;

/// Codes that are scanned so.
#[derive(Clone, Copy)]
pub(crate) struct Rounded<'a> {
    pub(crate) affine: Affine<'a>,
    /// The code about which those of each dimension lie, `[dim]`.
    pub(super) centre: &'a [f32],
    /// Of each list, where keys are to be the least that they can be.
    pub(super) bounds: Option<&'a [Bound]>,
}

/// What holds of all vectors of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Bound {
    /// The most that one lies from what its codes stand for.
    pub(crate) error: f32,
    /// The most that codes lie from their centre, as a length.
    pub(crate) spread: f32,
    /// The most that the lengths add up to of what its score is summed up from.
    pub(crate) length: f32,
}

impl Bound {
    /// What holds of both.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            error: self.error.max(other.error),
            spread: self.spread.max(other.spread),
            length: self.length.max(other.length),
        }
    }
}

impl<'a> Rounded<'a> {
    /// These codes, unless sums of so many products would not fit, or a query's own size would drown its distances.
    pub(crate) fn new(affine: Affine<'a>, centre: &'a [f32], metric: Metric) -> Option<Self> {
        let rounded = Self { affine, centre, bounds: None };
        let near = metric != Metric::L2 || rounded.is_by_list(metric) || !rounded.lies_far();
        (near && affine.dim() <= MOST_DIMENSIONS).then_some(rounded)
    }

    /// The same, with keys that are the least that they can be: what is left out is no nearer.
    pub(crate) fn with_bounds(self, bounds: &'a [Bound]) -> Self {
        Self { bounds: Some(bounds), ..self }
    }

    /// Measures some slots of a list; `read` writes the vector in a slot.
    pub(crate) fn bound(
        &self,
        view: &ListView<'_>,
        list: usize,
        slots: Range<usize>,
        mut read: impl FnMut(usize, &mut [f32]),
    ) -> Bound {
        let length = |values: &[f32]| squared_norm(values).sqrt();
        let Affine { scale, offset, .. } = self.affine;
        let (mut stored, mut vector) = (vec![0.0; self.affine.dim()], vec![0.0; self.affine.dim()]);
        let centroid = self.affine.centroid(list);
        let mut most = Bound::default();
        for slot in slots {
            let values = self.affine.values(view, list, slot);
            stored.iter_mut().zip(values).for_each(|(to, value)| *to = value);
            read(slot, &mut vector);
            let error: f32 = stored.iter().zip(&vector).map(|(a, b)| (a - b) * (a - b)).sum();
            most.error = most.error.max(error.sqrt() + f32::EPSILON * (length(&vector) + length(&stored)));
            let codes = stored.iter_mut().enumerate();
            // What codes stand for becomes the codes again.
            codes.for_each(|(d, value)| {
                let residual = *value - centroid.get(d).copied().unwrap_or(0.0);
                *value =
                    if scale[d] == 0.0 { 0.0 } else { (residual - offset[d]) / scale[d] - self.centre[d] };
            });
            most.spread = most.spread.max(length(&stored));
            most.length = most.length.max(length(&vector));
        }
        // What rounding took in measuring.
        most.spread = most.spread * 1.001 + 1.0;
        most.error *= 1.001;
        most.length = 2.0 * (most.length + length(centroid) + length(offset)) + most.error;
        most
    }

    /// Groups of dimensions.
    pub(super) fn groups(&self) -> usize {
        self.affine.dim().div_ceil(GROUP)
    }

    /// Whether a query is rounded anew for each list.
    pub(super) fn is_by_list(&self, metric: Metric) -> bool {
        metric == Metric::L2 && self.affine.centroids.is_some()
    }

    /// Whether what codes stand for lies farther from the origin than from its middle.
    fn lies_far(&self) -> bool {
        let values = self.affine.offset.iter().zip(self.affine.scale).zip(self.centre);
        let (middle, half) = values.fold((0f32, 0f32), |(middle, half), ((offset, scale), centre)| {
            let reach = scale * centre;
            (middle + (offset + reach).powi(2), half + reach.powi(2))
        });
        middle > half
    }
}

/// Some queries, rounded.
#[derive(Default)]
pub(crate) struct Roundings {
    /// `[queries][groups]`, four values each.
    words: Vec<i32>,
    known: Vec<Known>,
    factors: Vec<f32>,
}

/// What is known of a query.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// What 1 stands for.
    pub(super) step: f32,
    seen: Seen,
    /// The squared lengths of what is compared, and of what rounding took from its factors.
    length: f32,
    lost: f32,
}

impl Known {
    /// How scores of the codes of list number `list` become keys; `product` = the query's with the centroid, where that
    /// counts.
    pub(super) fn scorer<'a>(
        self,
        metric: Metric,
        codes: &Rounded<'_>,
        list: usize,
        product: f32,
    ) -> Scorer<'a> {
        let Self { seen, length, lost, .. } = self;
        let seen = Seen { constant: seen.constant + product, ..seen };
        let Some(bounds) = codes.bounds else {
            return Scorer::of_estimates(metric, seen);
        };
        let Bound { error, spread, length: reach } = bounds[list];
        let length = length.sqrt();
        let size = if metric == Metric::L2 { (length + reach) * (length + reach) } else { length * reach };
        let above = lost.sqrt() * spread + 2.0 * rounding_of_score(codes.affine.dim()) * size;
        match metric {
            Metric::L2 => Scorer::of_least(metric, seen, Margin { error, above }),
            _ => Scorer::of_least(metric, seen, Margin { error: 0.0, above: above + length * error }),
        }
    }
}

impl Roundings {
    /// Rounds queries for the codes of list number `list`, in place of all others; no matter which list, where all share
    /// them.
    pub(super) fn fill<'q>(
        &mut self,
        kernels: &Kernels,
        metric: Metric,
        codes: &Rounded<'_>,
        list: usize,
        queries: impl ExactSizeIterator<Item = &'q [f32]> + Clone,
    ) {
        let &Rounded { affine, centre, .. } = codes;
        let (dim, groups) = (affine.dim(), codes.groups());
        let centroid = if codes.is_by_list(metric) { affine.centroid(list) } else { &[] };
        let Self { words, known, factors } = self;
        factors.resize(dim, 0.0);
        words.resize(queries.len() * groups, 0);
        known.clear();
        let mut ahead = queries.clone().skip(AHEAD);
        for (query, words) in queries.zip(words.chunks_exact_mut(groups)) {
            ahead.next().into_iter().for_each(prefetch_early);
            let out: &mut [i8] = bytemuck::cast_slice_mut(words);
            out[dim..].fill(0);
            let Affine { scale, offset, .. } = affine;
            let input = RoundInput { query, centroid, scale, offset, centre };
            let rounded = kernels.round(input, factors, &mut out[..dim]);
            let norm = if metric == Metric::L2 { rounded.norm } else { 0.0 };
            let seen = Seen { norm, constant: rounded.constant, ..Seen::default() };
            known.push(Known { step: rounded.step, seen, length: rounded.norm, lost: rounded.lost });
        }
    }

    pub(super) fn known(&self, query: usize) -> Known {
        self.known[query]
    }

    /// A query's groups of values.
    pub(super) fn words(&self, query: usize) -> &[i32] {
        let groups = self.words.len() / self.known.len();
        &self.words[query * groups..(query + 1) * groups]
    }
}
