//! The coarse quantizer: a flat list of centroids that says which inverted lists a vector belongs to.

use crate::backend::{
    self, AssignJob, Codes, DeviceSlot, ListSource, ListView, Probes, Rows, ScanJob, Version,
};
use crate::codec::Encoder;
use crate::collect::Sink;
use crate::context::Context;
use crate::element::Element;
use crate::error::Result;
use crate::lists::List;
use crate::matrix::MatrixRef;
use crate::metric::Metric;
use crate::progress::Cancel;
use crate::rows::RowsRef;
use crate::topk::Hit;

/// Centroids, as rows for those who ask and as blocks for the scan.
pub(crate) struct Coarse {
    metric: Metric,
    dim: usize,
    rows: Vec<f32>,
    blocks: List,
    /// What a GPU has of the centroids.
    device: DeviceSlot,
}

impl Coarse {
    /// A quantizer over `centroids`, compared by `metric`.
    pub(crate) fn new(context: &Context, centroids: MatrixRef<'_>, metric: Metric) -> Result<Self> {
        let dim = centroids.dim();
        let mut blocks = List::new(Element::F32);
        let rows: Vec<u32> = (0u32..).take(centroids.rows()).collect();
        let encoder = Encoder::plain(context.kernels(), metric, Element::F32);
        blocks.append(centroids.into(), &rows, |row| row as i64, &encoder)?;
        blocks.compact(dim)?;
        Ok(Self { metric, dim, rows: centroids.data().to_vec(), blocks, device: DeviceSlot::default() })
    }

    /// `[nlist, dim]`.
    pub(crate) fn centroids(&self) -> &[f32] {
        &self.rows
    }

    pub(crate) fn nlist(&self) -> usize {
        self.blocks.len()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let list = &self.blocks;
        self.rows.len() * size_of::<f32>()
            + list.vectors.memory_bytes()
            + list.bias.memory_bytes()
            + list.ids.memory_bytes()
    }

    /// The nearest list of every row.
    pub(crate) fn assign(
        &self,
        context: &Context,
        x: RowsRef<'_>,
        workers: usize,
        labels: &mut [u32],
        keys: &mut [f32],
        cancel: Cancel<'_>,
    ) -> Result<()> {
        let job = AssignJob {
            rows: Rows { x, numbers: None },
            kept: None,
            centroids: self,
            metric: self.metric,
            hints: None,
            workers,
            cancel,
        };
        backend::assign(context, &job, labels, keys)
    }

    /// The distance keys of lists that a caller chose (`[count, nprobe]`; -1 is infinitely far) into `keys`.
    pub(crate) fn distances(&self, queries: &[f32], lists: &[i64], nprobe: usize, keys: &mut Vec<f32>) {
        let of_query = queries.chunks_exact(self.dim).zip(lists.chunks_exact(nprobe.max(1)));
        keys.extend(of_query.flat_map(|(query, lists)| {
            lists.iter().map(move |&list| {
                usize::try_from(list).map_or(f32::INFINITY, |list| {
                    backend::key(self.metric, query, &self.rows[list * self.dim..][..self.dim])
                })
            })
        }));
    }

    /// The `nprobe` nearest lists of every query, best first, into `lists` (`[count, nprobe]`), and their distance
    /// keys into `keys` if there is room for them.
    pub(crate) fn probe(
        &self,
        context: &Context,
        queries: &[f32],
        nprobe: usize,
        workers: usize,
        lists: &mut [i64],
        keys: &mut [f32],
        cancel: Cancel<'_>,
    ) -> Result<()> {
        let job = ScanJob {
            dim: self.dim,
            metric: self.metric,
            queries,
            count: queries.len() / self.dim,
            probes: Probes::All,
            lists: self,
            codes: Codes::Plain,
            vectors: self.nlist(),
            filter: None,
            keys: None,
            budget: None,
            max_codes: usize::MAX,
            workers,
            cancel,
        };
        let keys = (!keys.is_empty()).then(|| crate::output::Rows::new(keys));
        let sink = ListSink { nprobe, lists: crate::output::Rows::new(lists), keys };
        backend::scan_best(context, &job, nprobe, &sink)
    }
}

impl ListSource for Coarse {
    fn list_count(&self) -> usize {
        1
    }

    fn list(&self, _: usize) -> ListView<'_> {
        self.blocks.view()
    }

    fn version(&self, _: usize) -> [Version; 2] {
        self.blocks.version()
    }

    fn device(&self) -> Option<&DeviceSlot> {
        Some(&self.device)
    }
}

/// Writes the ids of hits, and their keys if they are wanted.
struct ListSink<'a> {
    nprobe: usize,
    lists: crate::output::Rows<'a, i64>,
    keys: Option<crate::output::Rows<'a, f32>>,
}

impl Sink for ListSink<'_> {
    fn take(&self, query: usize, hits: &[Hit]) {
        self.lists.with_row(query, self.nprobe, |row| {
            row.fill(-1);
            for (list, hit) in row.iter_mut().zip(hits) {
                *list = hit.id;
            }
        });
        if let Some(keys) = &self.keys {
            keys.with_row(query, self.nprobe, |row| {
                row.fill(f32::INFINITY);
                for (key, hit) in row.iter_mut().zip(hits) {
                    *key = hit.key;
                }
            });
        }
    }
}
