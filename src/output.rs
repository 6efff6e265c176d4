//! Results as callers see them: rows of their buffers, or a list of its own for range search.

use std::marker::PhantomData;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::collect::Sink;
use crate::error::{Error, Result};
use crate::metric::Metric;
use crate::topk::Hit;

/// Locks of rows: a row is its stripe's, and rows that workers write at the same time are of different ones as a rule.
#[derive(Default)]
struct Stripes([Stripe; 16]);

/// On a cache line of its own.
#[derive(Default)]
#[repr(align(64))]
struct Stripe(Mutex<()>);

/// Rows next to each other of one stripe: as many as a worker takes at a time.
const STRIPE_ROWS: usize = 16;

impl Stripes {
    fn lock(&self, row: usize) -> MutexGuard<'_, ()> {
        let stripe = &self.0[row / STRIPE_ROWS % self.0.len()];
        stripe.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller's buffer, of which workers write different rows.
struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    buffer: PhantomData<&'a mut [T]>,
}

#[expect(unsafe_code, reason = "rows are shared out by locks of their own: one for all would be fought for")]
// SAFETY: it gives out rows only to who promises that nobody else has them, which is what sending each of them would do.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

#[expect(unsafe_code, reason = "as above")]
// SAFETY: it stands for a `&mut [T]`.
unsafe impl<T: Send> Send for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    fn new(buffer: &'a mut [T]) -> Self {
        Self { start: buffer.as_mut_ptr(), len: buffer.len(), buffer: PhantomData }
    }

    /// Row `row` of `width` elements.
    ///
    /// # Safety
    /// Nobody else has the row while this is used.
    #[expect(unsafe_code, clippy::mut_from_ref, reason = "as above")]
    unsafe fn row(&self, row: usize, width: usize) -> &mut [T] {
        assert!((row + 1) * width <= self.len, "invariant: a row of the buffer");
        // SAFETY: within the buffer, by the assertion; nobody else has it, by the caller.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(row * width), width) }
    }
}

/// A caller's buffer that workers write row by row.
pub(crate) struct Rows<'a, T> {
    stripes: Stripes,
    width: usize,
    buffer: Shared<'a, T>,
}

impl<'a, T> Rows<'a, T> {
    /// Rows of `width` elements.
    pub(crate) fn new(buffer: &'a mut [T], width: usize) -> Self {
        Self { stripes: Stripes::default(), width, buffer: Shared::new(buffer) }
    }

    /// Lends row `row`.
    #[expect(unsafe_code, reason = "as above")]
    pub(crate) fn with_row(&self, row: usize, write: impl FnOnce(&mut [T])) {
        let _locked = self.stripes.lock(row);
        // SAFETY: whoever has the row holds its stripe.
        write(unsafe { self.buffer.row(row, self.width) });
    }
}

/// Where a search puts its results.
pub struct SearchOutput<'a> {
    /// `[queries, k]`: squared distances (L2) or similarities, best first; missing hits hold the metric's
    /// worst value.
    pub distances: &'a mut [f32],
    /// `[queries, k]`: ids, equal distances by id; -1 for missing hits.
    pub ids: &'a mut [i64],
    /// `[queries]`: how many of the k were found.
    pub hits: Option<&'a mut [u64]>,
}

impl SearchOutput<'_> {
    /// Fails unless the buffers are `[queries, k]`, and `[queries]` for the hits.
    pub(crate) fn check(&self, queries: usize, k: usize) -> Result<()> {
        if k == 0 {
            return Err(Error::argument("k: expected at least 1, got 0"));
        }
        let expected = queries.checked_mul(k).ok_or(Error::Overflow {
            what: "results",
            rows: queries as u64,
            dim: k as u64,
        })?;
        let lengths = [("distances", self.distances.len()), ("ids", self.ids.len())];
        for (what, got) in lengths {
            if got != expected {
                return Err(Error::Length { what, expected, got });
            }
        }
        match &self.hits {
            Some(hits) if hits.len() != queries => {
                Err(Error::Length { what: "hits", expected: queries, got: hits.len() })
            }
            _ => Ok(()),
        }
    }

    /// The part for the queries `from..to`.
    pub(crate) fn part(&mut self, from: usize, to: usize, k: usize) -> SearchOutput<'_> {
        SearchOutput {
            distances: &mut self.distances[from * k..to * k],
            ids: &mut self.ids[from * k..to * k],
            hits: self.hits.as_deref_mut().map(|hits| &mut hits[from..to]),
        }
    }

    /// Writes "nothing found" everywhere.
    pub(crate) fn clear(&mut self, metric: Metric) {
        self.distances.fill(metric.worst());
        self.ids.fill(-1);
        if let Some(hits) = &mut self.hits {
            hits.fill(0);
        }
    }
}

/// Writes hits as a search's caller sees them, padded to k.
pub(crate) struct TopKSink<'a> {
    metric: Metric,
    k: usize,
    stripes: Stripes,
    distances: Shared<'a, f32>,
    ids: Shared<'a, i64>,
    hits: Option<Shared<'a, u64>>,
}

impl<'a> TopKSink<'a> {
    pub(crate) fn new(metric: Metric, k: usize, output: SearchOutput<'a>) -> Self {
        let SearchOutput { distances, ids, hits } = output;
        Self {
            metric,
            k,
            stripes: Stripes::default(),
            distances: Shared::new(distances),
            ids: Shared::new(ids),
            hits: hits.map(Shared::new),
        }
    }
}

impl Sink for TopKSink<'_> {
    #[expect(unsafe_code, reason = "as above")]
    fn take(&self, query: usize, found: &[Hit]) {
        let found = &found[..found.len().min(self.k)];
        let _locked = self.stripes.lock(query);
        // SAFETY: whoever has the query's rows holds their stripe.
        let (distances, ids, hits) = unsafe {
            let hits = self.hits.as_ref().map(|hits| hits.row(query, 1));
            (self.distances.row(query, self.k), self.ids.row(query, self.k), hits)
        };
        let mut row = SearchOutput { distances, ids, hits };
        row.clear(self.metric);
        for ((distance, id), hit) in row.distances.iter_mut().zip(row.ids.iter_mut()).zip(found) {
            *distance = self.metric.value_of_key(hit.key);
            *id = hit.id;
        }
        if let Some(hits) = row.hits {
            hits[0] = found.len() as u64;
        }
    }
}

/// What a range search found: query `i`'s hits are `offsets[i]..offsets[i + 1]`, best first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RangeOutput {
    /// `[queries + 1]`.
    pub offsets: Vec<u64>,
    /// Squared distances (L2) or similarities.
    pub distances: Vec<f32>,
    /// Ids, equal distances by id.
    pub ids: Vec<i64>,
}
