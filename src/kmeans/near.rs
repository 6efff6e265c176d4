//! Assignment among near centroids: a point seldom leaves the neighbourhood of the centroid that it has, so
//! it is compared with that one's nearest only (Wang et al. 2012, "Fast approximate k-means via cluster
//! closures").
//!
//! The points of one centroid share their candidates, so that the same tiles score them as score all
//! centroids otherwise.

use std::sync::{Mutex, PoisonError};

use super::centroids::{Blocks, Centroids};
use super::means::Groups;
use super::task::Task;
use crate::backend::{Kept, Near, Nearest, PANEL, Rows, ScanJob, scan_best};
use crate::collect::Sink;
use crate::error::{Error, Result};
use crate::topk::Hit;

/// Centroids that a point is compared with: a block.
pub(super) const NEAR: usize = 32;

/// Fewer centroids are not worth the detour: gathering candidates and points costs as much as is saved.
pub(super) const FEWEST: usize = 4 * NEAR;

/// Looking near is trusted if it overlooks less than one point in so many. GloVe and gaussian data lie at 2 to
/// 25 in a hundred, and end 0.8 and 0.25 % worse if trusted; MNIST at 0.4 at most, and loses 0.03 %.
const TRUSTED: usize = 100;

/// Passes without a look at all centroids, where that is trusted.
const TRUSTED_PASSES: usize = 8;

/// What is kept from one step to the next.
#[derive(Default)]
pub(super) struct Neighbourhoods {
    /// `[k, NEAR]`: the nearest centroids of each.
    near: Vec<u32>,
    /// The labels and keys found, ordered as the groups are.
    labels: Vec<u32>,
    keys: Vec<f32>,
    /// Passes since the last one over all centroids.
    passes: usize,
    trusted: bool,
    /// Whether no pass is to look at all centroids; neighbours are found once then.
    lasting: bool,
}

impl Neighbourhoods {
    /// Those that stay as they were first found: for so many centroids that a look at all of them is out of reach.
    pub(super) fn lasting() -> Self {
        Self { lasting: true, ..Self::default() }
    }

    /// As [`Task::assign`], but a row is compared only with the [`NEAR`] centroids nearest to that of its
    /// `groups`, which are those that `labels` say. The same on any number of workers.
    pub(super) fn assign(
        &mut self,
        task: &Task<'_, '_>,
        rows: Rows<'_>,
        kept: Kept<'_>,
        groups: &Groups,
        centroids: &Centroids,
        labels: &mut [u32],
        keys: &mut [f32],
    ) -> Result<()> {
        self.passes += 1;
        if !self.lasting || self.near.is_empty() {
            self.find(task, centroids)?;
        }
        let near = Near { centroids: &self.near, order: groups.all(), starts: groups.starts() };
        let rest =
            task.assign_near(rows, kept, near, centroids, labels, keys)?.map(|left| groups.only(&left));
        let groups = rest.as_ref().unwrap_or(groups);
        self.labels.resize(groups.all().len(), 0);
        self.keys.resize(groups.all().len(), 0.0);
        let (mut some_labels, mut some_keys) = (&mut self.labels[..], &mut self.keys[..]);
        let parts = (0..centroids.len()).map(|centroid| {
            let points = groups.of(centroid);
            let labels = some_labels.split_off_mut(..points.len()).unwrap_or_default();
            let keys = some_keys.split_off_mut(..points.len()).unwrap_or_default();
            (centroid, points, labels, keys)
        });
        let parts = Mutex::new(parts.collect::<Vec<_>>().into_iter());
        let failed = Mutex::new(None);
        let near = &self.near;
        let (context, cancel) = (task.context, task.control.cancel());
        context.parallel(task.workers, &|_| {
            let mut workspace = context.workspaces().take();
            let mut nearest = Nearest::new(context.kernels(), &mut workspace, centroids.metric, cancel);
            let mut work = || -> Result<()> {
                let mut blocks = Blocks::new(NEAR, centroids.dim, centroids.metric)?;
                let mut numbers = Vec::new();
                loop {
                    let next = parts.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((centroid, points, labels, keys)) = next else { return Ok(()) };
                    let near = &near[centroid * NEAR..][..NEAR];
                    blocks.pack(context, &centroids.rows, near);
                    numbers.clear();
                    numbers.extend(points.iter().map(|&point| rows.number(point)));
                    labels.fill(u32::try_from(centroid).expect("invariant: nlist fits in u32"));
                    let panels = labels.chunks_mut(PANEL).zip(keys.chunks_mut(PANEL));
                    for (numbers, (labels, keys)) in numbers.chunks(PANEL).zip(panels) {
                        let rows = Rows { x: rows.x, numbers: Some(numbers) };
                        nearest.find(rows, &blocks.view(), Some(&centroids.rows), labels, keys)?;
                        labels.iter_mut().for_each(|label| *label = near[*label as usize]);
                    }
                }
            };
            if let Err(error) = work() {
                *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                // Nobody takes another part.
                *parts.lock().unwrap_or_else(PoisonError::into_inner) = Vec::new().into_iter();
            }
            context.workspaces().put(workspace);
        })?;
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        for ((&point, &label), &key) in groups.all().iter().zip(&self.labels).zip(&self.keys) {
            (labels[point as usize], keys[point as usize]) = (label, key);
        }
        Ok(())
    }

    /// Whether no pass looks at all centroids.
    pub(super) fn are_lasting(&self) -> bool {
        self.lasting
    }

    /// Whether the next pass is to look at near centroids only.
    pub(super) fn are_due(&self) -> bool {
        self.lasting || self.passes < if self.trusted { TRUSTED_PASSES } else { 1 }
    }

    /// Takes notice of a pass over all centroids that made `after` of the labels `before`: what went elsewhere than to a
    /// near centroid was overlooked until then. `first` = these rows had no labels before.
    pub(super) fn judge(&mut self, before: &[u32], after: &[u32], first: bool) {
        if self.passes > 0 && !first {
            let near = |label: u32| &self.near[label as usize * NEAR..][..NEAR];
            let overlooked =
                before.iter().zip(after).filter(|&(&was, is)| near(was).binary_search(is).is_err()).count();
            self.trusted = overlooked * TRUSTED < after.len();
        }
        self.passes = 0;
    }

    /// Finds the nearest centroids of each, and leaves them in ascending order: of equals the first is kept.
    fn find(&mut self, task: &Task<'_, '_>, centroids: &Centroids) -> Result<()> {
        let k = centroids.len();
        if self.near.is_empty() {
            let bytes = (k.saturating_mul(NEAR) * size_of::<u32>()) as u64;
            let failed = |_| Error::Memory { what: "neighbours of centroids", bytes };
            self.near.try_reserve_exact(k * NEAR).map_err(failed)?;
        }
        // Until it is found, a neighbour is the centroid itself.
        self.near.clear();
        self.near.extend((0u32..).take(k).flat_map(|centroid| [centroid; NEAR]));
        let job = ScanJob {
            workers: task.workers,
            cancel: task.control.cancel(),
            ..ScanJob::of_all(centroids.metric, centroids.dim, &centroids.rows, centroids, k)
        };
        scan_best(task.context, &job, NEAR, &Numbers(crate::output::Rows::new(&mut self.near, NEAR)))?;
        self.near.chunks_exact_mut(NEAR).for_each(<[u32]>::sort_unstable);
        Ok(())
    }
}

/// Writes the ids of hits.
struct Numbers<'a>(crate::output::Rows<'a, u32>);

impl Sink for Numbers<'_> {
    fn take(&self, query: usize, hits: &[Hit]) {
        self.0.with_row(query, |row| {
            for (number, hit) in row.iter_mut().zip(hits) {
                *number = u32::try_from(hit.id).expect("invariant: the number of a centroid");
            }
        });
    }
}
