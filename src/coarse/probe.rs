//! The scan of centroids.

use crate::backend::{self, Codes, ListSource, Probes, ScanJob};
use crate::collect::Sink;
use crate::context::Context;
use crate::error::Result;
use crate::metric::Metric;
use crate::output::Rows;
use crate::progress::Cancel;
use crate::topk::Hit;

/// Which queries look for how many centroids.
#[derive(Clone, Copy)]
pub(super) struct Probing<'a, 'c> {
    pub(super) context: &'a Context,
    pub(super) metric: Metric,
    pub(super) dim: usize,
    /// `[count, dim]`.
    pub(super) queries: &'a [f32],
    pub(super) nprobe: usize,
    pub(super) workers: usize,
    pub(super) cancel: Cancel<'c>,
}

impl Probing<'_, '_> {
    pub(super) fn count(&self) -> usize {
        self.queries.len() / self.dim
    }
}

/// Writes the ids of the `nprobe` nearest of `centroids` (`len` in all) in the lists that `probes` names into
/// `lists` (`[count, nprobe]`, best first, -1 = none), and their keys into `keys` if there is room for them.
pub(super) fn scan(
    probing: Probing<'_, '_>,
    centroids: &dyn ListSource,
    len: usize,
    probes: Probes<'_>,
    lists: &mut [i64],
    keys: &mut [f32],
) -> Result<()> {
    let Probing { context, metric, dim, queries, nprobe, workers, cancel } = probing;
    let job = ScanJob {
        dim,
        metric,
        queries,
        count: probing.count(),
        probes,
        lists: centroids,
        codes: Codes::Plain,
        vectors: len,
        places: false,
        copies: false,
        filter: None,
        bars: None,
        keys: None,
        budget: None,
        max_codes: usize::MAX,
        workers,
        cancel,
    };
    let keys = (!keys.is_empty()).then(|| Rows::new(keys, nprobe));
    backend::scan_best(context, &job, nprobe, &ListSink { lists: Rows::new(lists, nprobe), keys })
}

/// Writes the ids of hits, and their keys if they are wanted.
struct ListSink<'a> {
    lists: Rows<'a, i64>,
    keys: Option<Rows<'a, f32>>,
}

impl Sink for ListSink<'_> {
    fn take(&self, query: usize, hits: &[Hit]) {
        self.lists.with_row(query, |row| {
            row.fill(-1);
            for (list, hit) in row.iter_mut().zip(hits) {
                *list = hit.id;
            }
        });
        if let Some(keys) = &self.keys {
            keys.with_row(query, |row| {
                row.fill(f32::INFINITY);
                for (key, hit) in row.iter_mut().zip(hits) {
                    *key = hit.key;
                }
            });
        }
    }
}
