//! Many centroids in groups of their own: a query is compared with the groups, then with the centroids of the
//! nearest. It is an inverted file over the centroids, and stands where faiss has a graph (`IVFn_HNSWm`): the same
//! tiles scan it, it is built in a moment, and a batch visits its lists as it visits any.

use super::flat::Flat;
use super::probe::{self, Probing};
use crate::backend::Probes;
use crate::codec::Encoder;
use crate::context::Context;
use crate::element::Element;
use crate::error::{Error, Result};
use crate::kmeans::{KMeansOptions, Purpose, cluster};
use crate::lists::Lists;
use crate::matrix::MatrixRef;
use crate::metric::Metric;
use crate::progress::{Cancel, Control};
use crate::rows::RowsRef;

/// Fewer centroids are scanned faster than they are grouped.
pub(crate) const FEWEST: usize = 4096;

/// Centroids that a query is compared with at least for each list that it is to visit.
const LOOKED_AT: usize = 16;

/// Groups that a query visits at least: one in so many.
const SHARE: usize = 8;

/// Rows assigned at a time.
const ROWS_A_STEP: usize = 1 << 12;

/// How centroids are grouped.
#[derive(Clone)]
pub(crate) struct Grouping {
    /// `[groups, dim]`.
    pub(crate) centroids: Vec<f32>,
    /// `[nlist]`: the group of each list.
    pub(crate) labels: Vec<u32>,
}

impl Grouping {
    /// About as many groups as each has members. The same on any number of threads.
    pub(super) fn find(
        context: &Context,
        centroids: MatrixRef<'_>,
        metric: Metric,
        threads: usize,
        control: &Control<'_>,
    ) -> Result<Self> {
        let groups = centroids.rows().isqrt();
        let options =
            KMeansOptions { threads, iterations: 10, spherical: metric != Metric::L2, ..Default::default() };
        let found = cluster(context, centroids.into(), groups, &options, Purpose::Lists, control)?.centroids;
        let flat = Flat::new(context, MatrixRef::new("groups", &found, groups, centroids.dim())?, metric)?;
        let (mut labels, mut keys) = (vec![0; centroids.rows()], vec![0.0; centroids.rows()]);
        let workers = context.workers(threads);
        flat.assign(context, centroids.into(), workers, &mut labels, &mut keys, control.cancel())?;
        Ok(Self { centroids: found, labels }.without_empty(centroids.dim()))
    }

    /// How many members each group has.
    fn sizes(&self, dim: usize) -> Vec<usize> {
        let mut sizes = vec![0; self.centroids.len() / dim];
        self.labels.iter().for_each(|&group| sizes[group as usize] += 1);
        sizes
    }

    /// The same less the groups that nothing belongs to: a query that visits any finds something.
    fn without_empty(self, dim: usize) -> Self {
        let sizes = self.sizes(dim);
        let kept = || sizes.iter().enumerate().filter(|&(_, &size)| size > 0).map(|(group, _)| group);
        let mut numbers = vec![0; sizes.len()];
        (0u32..).zip(kept()).for_each(|(number, group)| numbers[group] = number);
        Self {
            centroids: kept().flat_map(|group| &self.centroids[group * dim..][..dim]).copied().collect(),
            labels: self.labels.iter().map(|&group| numbers[group as usize]).collect(),
        }
    }

    /// Fails unless this can group `nlist` centroids of `dim` dimensions.
    pub(crate) fn check(&self, nlist: usize, dim: usize) -> Result<()> {
        let fail = |text: String| Err(Error::corrupt(format!("section TREE: {text}")));
        let groups = self.centroids.len() / dim;
        if self.labels.len() != nlist || groups == 0 || groups * dim != self.centroids.len() {
            return fail(format!(
                "expected groups of {dim} values for {nlist} lists, got {} values for {}",
                self.centroids.len(),
                self.labels.len()
            ));
        }
        if let Some(&group) = self.labels.iter().find(|&&group| group as usize >= groups) {
            return fail(format!("expected groups 0 to {}, got {group}", groups - 1));
        }
        if let Some(group) = self.sizes(dim).iter().position(|&size| size == 0) {
            return fail(format!("expected lists in every group, got none in {group}"));
        }
        MatrixRef::new("groups", &self.centroids, groups, dim)?
            .check_finite("section TREE")
            .map_err(|error| Error::corrupt(error.to_string()))
    }
}

/// Centroids as lists for the scan.
pub(super) struct Tree {
    metric: Metric,
    dim: usize,
    len: usize,
    groups: Flat,
    /// Of each group the centroids, by the numbers of their lists.
    lists: Lists,
    pub(super) grouping: Grouping,
}

impl Tree {
    /// `grouping` belongs to these centroids.
    pub(super) fn new(
        context: &Context,
        centroids: MatrixRef<'_>,
        metric: Metric,
        grouping: Grouping,
    ) -> Result<Self> {
        let (dim, len) = (centroids.dim(), centroids.rows());
        let count = grouping.centroids.len() / dim;
        let groups = Flat::new(context, MatrixRef::new("groups", &grouping.centroids, count, dim)?, metric)?;
        let mut members = vec![Vec::new(); count];
        (0u32..).zip(&grouping.labels).for_each(|(list, &group)| members[group as usize].push(list));
        let encoder = Encoder::plain(context.kernels(), metric, Element::F32);
        let mut lists = Lists::new(count, Element::F32, 0);
        for (store, members) in lists.lists.iter_mut().zip(&members) {
            store.append(centroids.into(), members, |list| list as i64, &encoder, None, &[])?;
            store.compact(dim, &|| Ok(()))?;
        }
        Ok(Self { metric, dim, len, groups, lists, grouping })
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.groups.memory_bytes()
            + self.lists.memory_bytes()
            + size_of_val(&self.grouping.centroids[..])
            + size_of_val(&self.grouping.labels[..])
    }

    /// Groups that a query visits to find its `nprobe` nearest lists.
    fn visited(&self, nprobe: usize) -> usize {
        let groups = self.groups.len();
        let looked_at = nprobe.saturating_mul(LOOKED_AT).saturating_mul(groups).div_ceil(self.len);
        looked_at.max(groups.div_ceil(SHARE)).min(groups)
    }

    /// As [`super::Coarse::probe`].
    pub(super) fn probe(&self, probing: Probing<'_, '_>, lists: &mut [i64], keys: &mut [f32]) -> Result<()> {
        let visited = self.visited(probing.nprobe);
        if visited == self.groups.len() {
            return probe::scan(probing, &self.lists, self.len, Probes::All, None, lists, keys);
        }
        let mut workspace = probing.context.workspaces().take();
        let groups = &mut workspace.lists;
        groups.resize(probing.count() * visited, -1);
        let of_groups = Probing { nprobe: visited, ..probing };
        self.groups.probe(of_groups, &self.grouping.centroids, groups, &mut [])?;
        let probes = Probes::Lists { lists: groups, nprobe: visited };
        probe::scan(probing, &self.lists, self.len, probes, None, lists, keys)?;
        probing.context.workspaces().put(workspace);
        Ok(())
    }

    /// As [`super::Coarse::assign`]. A row may miss its nearest list for one almost as near.
    pub(super) fn assign(
        &self,
        context: &Context,
        x: RowsRef<'_>,
        workers: usize,
        labels: &mut [u32],
        keys: &mut [f32],
        cancel: Cancel<'_>,
    ) -> Result<()> {
        let (mut rows, mut lists) = (Vec::new(), vec![-1; ROWS_A_STEP.min(x.rows())]);
        let parts = labels.chunks_mut(ROWS_A_STEP).zip(keys.chunks_mut(ROWS_A_STEP));
        for (from, (labels, keys)) in (0..).step_by(ROWS_A_STEP).zip(parts) {
            cancel.check()?;
            x.gather(from..from + labels.len(), &mut rows);
            let (metric, dim) = (self.metric, self.dim);
            let probing = Probing { context, metric, dim, queries: &rows, nprobe: 1, workers, cancel };
            let lists = &mut lists[..labels.len()];
            self.probe(probing, lists, keys)?;
            for (label, &list) in labels.iter_mut().zip(&*lists) {
                *label = u32::try_from(list).expect("invariant: a group that is visited has members");
            }
        }
        Ok(())
    }
}
