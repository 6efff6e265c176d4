//! Codes of a scale and an offset a dimension, scanned in whole numbers: of each query the factors for the codes are
//! rounded to 8 bits. For the first stage of a search in two: what rounding moves is about what the codes have lost
//! already, and whole numbers are several times as fast.
//!
//! Where codes are of residuals and distances are wanted, a query has factors of its own for each list; else all lists
//! share them.

use super::affine::Affine;
use super::rabitq::Seen;
use crate::kernel::{GROUP, Kernels, MOST_DIMENSIONS, RoundInput};
use crate::metric::Metric;

/// Codes that are scanned so.
#[derive(Clone, Copy)]
pub(crate) struct Rounded<'a> {
    pub(crate) affine: Affine<'a>,
    /// The code about which those of each dimension lie, `[dim]`.
    centre: &'a [f32],
}

impl<'a> Rounded<'a> {
    /// These codes, unless sums of so many products would not fit, or a query's own size would drown its distances.
    pub(crate) fn new(affine: Affine<'a>, centre: &'a [f32], metric: Metric) -> Option<Self> {
        let rounded = Self { affine, centre };
        let near = metric != Metric::L2 || rounded.is_by_list(metric) || !rounded.lies_far();
        (near && affine.dim() <= MOST_DIMENSIONS).then_some(rounded)
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
    pub(super) seen: Seen,
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
        queries: impl ExactSizeIterator<Item = &'q [f32]>,
    ) {
        let &Rounded { affine, centre, .. } = codes;
        let (dim, groups) = (affine.dim(), codes.groups());
        let centroid = if codes.is_by_list(metric) { affine.centroid(list) } else { &[] };
        let Self { words, known, factors } = self;
        factors.resize(dim, 0.0);
        words.resize(queries.len() * groups, 0);
        known.clear();
        for (query, words) in queries.zip(words.chunks_exact_mut(groups)) {
            let out: &mut [i8] = bytemuck::cast_slice_mut(words);
            out[dim..].fill(0);
            let Affine { scale, offset, .. } = affine;
            let input = RoundInput { query, centroid, scale, offset, centre };
            let rounded = kernels.round(input, factors, &mut out[..dim]);
            let norm = if metric == Metric::L2 { rounded.norm } else { 0.0 };
            known.push(Known {
                step: rounded.step,
                seen: Seen { norm, constant: rounded.constant, base: 0.0 },
            });
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
