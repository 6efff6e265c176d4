//! Results as callers see them: rows of their buffers, or a list of its own for range search.

use std::sync::{Mutex, PoisonError};

use crate::collect::Sink;
use crate::error::{Error, Result};
use crate::metric::Metric;
use crate::topk::Hit;

/// A caller's buffer that workers write row by row, one row at a time.
pub(crate) struct Rows<'a, T>(Mutex<&'a mut [T]>);

impl<'a, T> Rows<'a, T> {
    pub(crate) fn new(buffer: &'a mut [T]) -> Self {
        Self(Mutex::new(buffer))
    }

    /// Lends row `row` of `width` elements.
    pub(crate) fn with_row(&self, row: usize, width: usize, write: impl FnOnce(&mut [T])) {
        let mut buffer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write(&mut buffer[row * width..(row + 1) * width]);
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
    output: Mutex<SearchOutput<'a>>,
}

impl<'a> TopKSink<'a> {
    pub(crate) fn new(metric: Metric, k: usize, output: SearchOutput<'a>) -> Self {
        Self { metric, k, output: Mutex::new(output) }
    }
}

impl Sink for TopKSink<'_> {
    fn take(&self, query: usize, found: &[Hit]) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let mut row = output.part(query, query + 1, self.k);
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
