//! The second stage of a search: the keys of a query's candidates are computed again from rows that are better than
//! what they were found by.

use crate::context::Context;
use crate::kernel::{Kernels, begin, prefetch};
use crate::metric::Metric;
use crate::topk::Hit;

/// The vector that a kept row stands for: in place, or written to the memory given.
type Read<'a> = &'a dyn for<'b> Fn(&'b [u8], &'b mut [f32]) -> &'b [f32];

/// Rows that are on their way while one is compared.
const AHEAD: usize = 4;

/// What keys are computed with.
pub(crate) struct Scores<'a> {
    kernels: &'static Kernels,
    metric: Metric,
    /// Memory for a row that is not held as float32.
    row: &'a mut Vec<f32>,
}

impl<'a> Scores<'a> {
    pub(crate) fn new(context: &Context, metric: Metric, row: &'a mut Vec<f32>) -> Self {
        Self { kernels: context.kernels(), metric, row }
    }

    /// Replaces the key of each of `hits` by that of `query` with its vector: `kept` tells what is kept of it, and
    /// `read` the vector that this stands for.
    pub(crate) fn rekey<'r>(
        &mut self,
        query: &[f32],
        hits: &mut [Hit],
        kept: &dyn Fn(&Hit) -> &'r [u8],
        read: Read<'_>,
    ) {
        let Self { kernels, metric, row } = self;
        row.resize(query.len(), 0.0);
        hits.iter().take(AHEAD).for_each(|hit| prefetch(begin(kept(hit))));
        for at in 0..hits.len() {
            if let Some(later) = hits.get(at + AHEAD) {
                prefetch(begin(kept(later)));
            }
            let vector = read(kept(&hits[at]), row);
            let pairs = &kernels.pairs;
            hits[at].key = match metric {
                Metric::L2 => pairs.difference(query, vector),
                // + 0.0: a similarity of 0 has one key, not two.
                Metric::InnerProduct => 0.0 - pairs.product(query, vector) + 0.0,
                Metric::Cosine => 0.0 - pairs.product(query, vector).clamp(-1.0, 1.0) + 0.0,
            };
        }
    }
}
