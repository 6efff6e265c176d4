//! The second stage of a search: the keys of a query's candidates are computed again from rows that are better than
//! what they were found by.

use crate::context::Context;
use crate::kernel::{HalfPair, Kernels, Pair, SIDE_BY_SIDE, Term, begin, prefetch, prefetch_early};
use crate::metric::Metric;
use crate::topk::Hit;

/// The vector that a kept row stands for: in place, or written to the memory given.
type Read<'a> = &'a dyn for<'b> Fn(&'b [u8], &'b mut [f32]) -> &'b [f32];

/// How kept rows are read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// Whether they are float16.
    pub(crate) halves: bool,
    pub(crate) read: Read<'a>,
}

/// Bytes that are on their way while rows are compared: more than all lines that can be at a time. None are while the first
/// stage ends, when most of the best are known: tried, its codes waited as much longer (rows of 384 and 784 values, Zen 4).
const AHEAD: usize = 12 << 10;

/// Of so many rows at least, and at most.
const ROWS_AHEAD: (usize, usize) = (SIDE_BY_SIDE, 60);

/// What is kept at a place.
#[derive(Clone, Copy)]
pub(crate) struct KeptRow<'a> {
    pub(crate) row: &'a [u8],
    pub(crate) id: &'a i64,
}

impl KeptRow<'_> {
    /// How many rows such as this are fetched before one is compared.
    fn ahead(self) -> usize {
        let (least, most) = ROWS_AHEAD;
        (AHEAD / self.row.len().max(1)).clamp(least, most)
    }

    /// Has the row fetched.
    #[inline]
    fn fetch(self) {
        prefetch_early(&self.row[..self.row.len().min(AHEAD)]);
    }
}

/// What keys are computed with.
pub(crate) struct Scores<'a> {
    kernels: &'static Kernels,
    metric: Metric,
    /// Memory for rows that are not held as float32.
    rows: &'a mut Vec<f32>,
}

impl<'a> Scores<'a> {
    pub(crate) fn new(context: &Context, metric: Metric, rows: &'a mut Vec<f32>) -> Self {
        Self { kernels: context.kernels(), metric, rows }
    }

    /// Gives each of `hits` the key of `query` with its vector: `kept` tells what is kept at the place that it carries,
    /// and `reading` the vector that this stands for. Their ids stay as they are: few of them are wanted.
    pub(crate) fn rekey<'r>(
        &mut self,
        query: &[f32],
        hits: &mut [Hit],
        kept: &dyn Fn(i64) -> KeptRow<'r>,
        reading: Reading<'_>,
    ) {
        self.rekey_some(&|_| query, hits, None, kept, reading);
    }

    /// The same of the hits of many queries, `query` being that of the hit in a place, and their ids with it. In the order
    /// of `places`, each behind what its hit carries, which is best that of the rows: memory is read as it lies.
    pub(crate) fn rekey_in_order<'q, 'r>(
        &mut self,
        query: &dyn Fn(usize) -> &'q [f32],
        hits: &mut [Hit],
        places: &[(i64, usize)],
        kept: &dyn Fn(i64) -> KeptRow<'r>,
        reading: Reading<'_>,
    ) {
        self.rekey_some(query, hits, Some(places), kept, reading);
    }

    /// Gives the hits in these places, or all, their keys; those in places their ids too.
    fn rekey_some<'q, 'r>(
        &mut self,
        query: &dyn Fn(usize) -> &'q [f32],
        hits: &mut [Hit],
        places: Option<&[(i64, usize)]>,
        kept: &dyn Fn(i64) -> KeptRow<'r>,
        reading: Reading<'_>,
    ) {
        let count = places.map_or(hits.len(), <[_]>::len);
        let place = |nth: usize| places.map_or(nth, |places| places[nth].1);
        // Not of the hits where they are in another order: each would be waited for.
        let carried = |hits: &[Hit], nth: usize| places.map_or_else(|| hits[nth].id, |places| places[nth].0);
        if count == 0 {
            return;
        }
        let (dim, first) = (query(place(0)).len(), kept(carried(hits, 0)));
        let ahead = first.ahead();
        let mut on_their_way = [first; ROWS_AHEAD.1 + SIDE_BY_SIDE];
        let mut fetched = 0;
        for from in (0..count).step_by(SIDE_BY_SIDE) {
            let now = from..count.min(from + SIDE_BY_SIDE);
            while fetched < count.min(now.end + ahead) {
                let kept = kept(carried(hits, fetched));
                kept.fetch();
                if places.is_some() {
                    prefetch(kept.id);
                    prefetch(begin(bytemuck::cast_slice(query(place(fetched)))));
                }
                on_their_way[fetched % on_their_way.len()] = kept;
                fetched += 1;
            }
            let kept = |nth: usize| on_their_way[nth % on_their_way.len()];
            let mut pairs: [(&[f32], &[u8]); SIDE_BY_SIDE] = [(&[], &[]); SIDE_BY_SIDE];
            let rows = now.clone().map(|nth| (query(place(nth)), kept(nth).row));
            pairs.iter_mut().zip(rows).for_each(|(pair, row)| *pair = row);
            let keys = self.keys(dim, &pairs[..now.len()], reading);
            for (nth, key) in now.zip(keys) {
                let hit = &mut hits[place(nth)];
                hit.key = key;
                if places.is_some() {
                    hit.id = *kept(nth).id;
                }
            }
        }
    }

    /// The keys of queries with the vectors of which these rows are kept.
    #[inline]
    fn keys(&mut self, dim: usize, rows: &[(&[f32], &[u8])], reading: Reading<'_>) -> [f32; SIDE_BY_SIDE] {
        let Self { kernels, metric, rows: memory } = self;
        let mut keys = [0.0; SIDE_BY_SIDE];
        let out = &mut keys[..rows.len()];
        let term = if *metric == Metric::L2 { Term::Difference } else { Term::Product };
        if let Some(halves) = kernels.pairs.halves().filter(|_| reading.halves) {
            let mut pairs: [HalfPair<'_>; SIDE_BY_SIDE] = [(&[], &[]); SIDE_BY_SIDE];
            let rows_as = rows.iter().map(|&(query, row)| (query, bytemuck::cast_slice(row)));
            pairs.iter_mut().zip(rows_as).for_each(|(pair, row)| *pair = row);
            halves(term, &pairs[..rows.len()], out);
        } else {
            let mut pairs: [Pair<'_>; SIDE_BY_SIDE] = [(&[], &[]); SIDE_BY_SIDE];
            memory.resize(SIDE_BY_SIDE * dim, 0.0);
            let mut last: (&[u8], &[f32]) = (&[], &[]);
            let places = pairs.iter_mut().zip(memory.chunks_exact_mut(dim));
            for (&(query, row), (pair, memory)) in rows.iter().zip(places) {
                // Many queries have candidates in common, which come one after another.
                if !std::ptr::eq(last.0, row) {
                    last = (row, (reading.read)(row, memory));
                }
                *pair = (query, last.1);
            }
            match term {
                Term::Difference => kernels.pairs.differences(&pairs[..rows.len()], out),
                Term::Product => kernels.pairs.products(&pairs[..rows.len()], out),
            }
        }
        // + 0.0: a similarity of 0 has one key, not two.
        match metric {
            Metric::L2 => {}
            Metric::InnerProduct => keys.iter_mut().for_each(|key| *key = 0.0 - *key + 0.0),
            Metric::Cosine => keys.iter_mut().for_each(|key| *key = 0.0 - key.clamp(-1.0, 1.0) + 0.0),
        }
        keys
    }
}
