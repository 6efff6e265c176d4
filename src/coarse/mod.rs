//! The coarse quantizer: centroids that say which inverted lists a vector belongs to.

mod adapt;
mod flat;
mod probe;
mod soar;
mod tree;

pub(crate) use adapt::{Reach, gap};
pub(crate) use probe::ListSink;
pub(crate) use tree::{FEWEST, Grouping};

use crate::backend::{self, ScanJob};
use crate::context::Context;
use crate::error::Result;
use crate::matrix::MatrixRef;
use crate::metric::Metric;
use crate::progress::{Cancel, Control};
use crate::rows::RowsRef;
use flat::Flat;
use probe::Probing;
use tree::Tree;

/// Centroids, as rows for those who ask and in blocks for the scan.
pub(crate) struct Coarse {
    metric: Metric,
    dim: usize,
    rows: Vec<f32>,
    store: Store,
}

enum Store {
    Flat(Box<Flat>),
    Tree(Box<Tree>),
}

impl Coarse {
    /// A quantizer over `centroids`, compared by `metric`: with every one of them, or by a `grouping`.
    pub(crate) fn new(
        context: &Context,
        centroids: MatrixRef<'_>,
        metric: Metric,
        grouping: Option<Grouping>,
    ) -> Result<Self> {
        let store = match grouping {
            None => Store::Flat(Box::new(Flat::new(context, centroids, metric)?)),
            Some(grouping) => Store::Tree(Box::new(Tree::new(context, centroids, metric, grouping)?)),
        };
        Ok(Self { metric, dim: centroids.dim(), rows: centroids.data().to_vec(), store })
    }

    /// The same with a grouping of its own where there are so many centroids that it pays.
    pub(crate) fn grouped(
        context: &Context,
        centroids: MatrixRef<'_>,
        metric: Metric,
        threads: usize,
        control: &Control<'_>,
    ) -> Result<Self> {
        let grouping = if centroids.rows() < FEWEST {
            None
        } else {
            Some(Grouping::find(context, centroids, metric, threads, control)?)
        };
        Self::new(context, centroids, metric, grouping)
    }

    /// The same for another context.
    pub(crate) fn copy(&self, context: &Context) -> Result<Self> {
        let centroids = MatrixRef::new("centroids", &self.rows, self.nlist(), self.dim)?;
        Self::new(context, centroids, self.metric, self.grouping().cloned())
    }

    /// `[nlist, dim]`.
    pub(crate) fn centroids(&self) -> &[f32] {
        &self.rows
    }

    pub(crate) fn grouping(&self) -> Option<&Grouping> {
        match &self.store {
            Store::Flat(_) => None,
            Store::Tree(tree) => Some(&tree.grouping),
        }
    }

    pub(crate) fn nlist(&self) -> usize {
        self.rows.len() / self.dim
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let store = match &self.store {
            Store::Flat(flat) => flat.memory_bytes(),
            Store::Tree(tree) => tree.memory_bytes(),
        };
        size_of_val(&self.rows[..]) + store
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
        match &self.store {
            Store::Flat(flat) => flat.assign(context, x, workers, labels, keys, cancel),
            Store::Tree(tree) => tree.assign(context, x, workers, labels, keys, cancel),
        }
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

    /// The scan of all centroids that [`Self::probe`] is; `None` if it is another.
    pub(crate) fn job<'a>(
        &'a self,
        context: &'a Context,
        queries: &'a [f32],
        nprobe: usize,
        workers: usize,
        cancel: Cancel<'a>,
    ) -> Option<ScanJob<'a>> {
        let Store::Flat(flat) = &self.store else { return None };
        Some(flat.job(Probing {
            context,
            metric: self.metric,
            dim: self.dim,
            queries,
            nprobe,
            workers,
            cancel,
        }))
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
        let probing =
            Probing { context, metric: self.metric, dim: self.dim, queries, nprobe, workers, cancel };
        match &self.store {
            Store::Flat(flat) => flat.probe(probing, &self.rows, lists, keys),
            Store::Tree(tree) => tree.probe(probing, lists, keys),
        }
    }
}
