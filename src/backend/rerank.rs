//! The second stage of a search: the keys of a query's candidates are computed again from rows that are better than
//! what they were found by.

use crate::context::Context;
use crate::kernel::{Kernels, begin, prefetch};
use crate::metric::Metric;
use crate::topk::Hit;

/// The vector that a kept row stands for: in place, or written to the memory given.
type Read<'a> = &'a dyn for<'b> Fn(&'b [u8], &'b mut [f32]) -> &'b [f32];

/// Rows that are on their way while one is compared.
const AHEAD: usize = 6;

/// What is kept of a hit that carries its place.
#[derive(Clone, Copy)]
pub(crate) struct KeptRow<'a> {
    pub(crate) row: &'a [u8],
    pub(crate) id: &'a i64,
}

impl KeptRow<'_> {
    /// Has it fetched.
    fn fetch(self) {
        prefetch(begin(self.row));
        prefetch(bytemuck::bytes_of(self.id));
    }
}

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

    /// Gives each of `hits` the key of `query` with its vector: `kept` tells what is kept of it, and `read` the vector
    /// that this stands for. Their ids stay as they are: few of them are wanted.
    pub(crate) fn rekey<'r>(
        &mut self,
        query: &[f32],
        hits: &mut [Hit],
        kept: &dyn Fn(&Hit) -> KeptRow<'r>,
        read: Read<'_>,
    ) {
        let fetch = |hit: &Hit| prefetch(begin(kept(hit).row));
        hits.iter().take(AHEAD).for_each(fetch);
        for at in 0..hits.len() {
            hits.get(at + AHEAD).into_iter().for_each(fetch);
            hits[at].key = self.key(query, kept(&hits[at]).row, read);
        }
    }

    /// The same of the hits of many queries, `query` being that of the hit in a place, and their ids with it. In the order
    /// of `places`, which is best that of the rows: memory is read as it lies.
    pub(crate) fn rekey_in_order<'q, 'r>(
        &mut self,
        query: &dyn Fn(usize) -> &'q [f32],
        hits: &mut [Hit],
        places: impl Iterator<Item = usize> + Clone,
        kept: &dyn Fn(&Hit) -> KeptRow<'r>,
        read: Read<'_>,
    ) {
        let fetch = |place: usize, hits: &[Hit]| {
            kept(&hits[place]).fetch();
            prefetch(begin(bytemuck::cast_slice(query(place))));
        };
        places.clone().take(AHEAD).for_each(|place| fetch(place, hits));
        let mut later = places.clone().skip(AHEAD);
        for place in places {
            if let Some(later) = later.next() {
                fetch(later, hits);
            }
            let KeptRow { row, id } = kept(&hits[place]);
            hits[place] = Hit { key: self.key(query(place), row, read), id: *id };
        }
    }

    /// The key of `query` with the vector of which `kept` is.
    #[inline]
    fn key(&mut self, query: &[f32], kept: &[u8], read: Read<'_>) -> f32 {
        let Self { kernels, metric, row } = self;
        row.resize(query.len(), 0.0);
        let (vector, pairs) = (read(kept, row), &kernels.pairs);
        match metric {
            Metric::L2 => pairs.difference(query, vector),
            // + 0.0: a similarity of 0 has one key, not two.
            Metric::InnerProduct => 0.0 - pairs.product(query, vector) + 0.0,
            Metric::Cosine => 0.0 - pairs.product(query, vector).clamp(-1.0, 1.0) + 0.0,
        }
    }
}
