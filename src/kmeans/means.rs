//! The update step: every centroid becomes the mean of its points, and none stays without.
//!
//! Points are grouped by label first, so that one worker sums a centroid's points in one order, whatever
//! the number of workers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::centroids::Centroids;
use super::task::Task;
use crate::backend::{Kept, Rows, SumJob, sums};
use crate::context::Context;
use crate::error::Result;

/// Centroids that a worker takes at a time.
const CENTROIDS: usize = 16;

/// Points for which another worker is worth its while.
const POINTS: usize = 1 << 14;

/// Points by label: those of `label` are `order[starts[label]..starts[label + 1]]`, ascending.
#[derive(Default)]
pub(super) struct Groups {
    order: Vec<u32>,
    starts: Vec<u32>,
}

impl Groups {
    /// Groups the points `0..labels.len()`, each of one of `k` labels.
    pub(super) fn make(&mut self, context: &Context, workers: usize, labels: &[u32], k: usize) -> Result<()> {
        let workers = workers.min(1 + labels.len() / POINTS);
        let counts = Mutex::new(vec![0u32; k]);
        let part = labels.len().div_ceil(workers).max(1);
        context.each(workers, labels.chunks(part), &|part: &[u32]| {
            let mut own = vec![0; k];
            part.iter().for_each(|&label| own[label as usize] += 1);
            let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            counts.iter_mut().zip(own).for_each(|(count, own)| *count += own);
            Ok(())
        })?;
        let counts = counts.into_inner().unwrap_or_else(PoisonError::into_inner);
        self.starts.clear();
        self.starts.push(0);
        self.starts.extend(counts.iter().scan(0, |sum, &count| {
            *sum += count;
            Some(*sum)
        }));
        self.order.resize(labels.len(), 0);
        // Each worker places the points of some labels, and passes over the others: less work than to wait for each other.
        let mut parts = Vec::with_capacity(workers);
        let (mut rest, mut first) = (&mut self.order[..], 0);
        for worker in 1..=workers {
            let most = worker * labels.len() / workers;
            let end = if worker < workers {
                self.starts.partition_point(|&start| (start as usize) < most).clamp(first, k)
            } else {
                k
            };
            let (own, others) = rest.split_at_mut((self.starts[end] - self.starts[first]) as usize);
            parts.push((first..end, own));
            (rest, first) = (others, end);
        }
        let starts = &self.starts;
        context.each(workers, parts.into_iter(), &|(own, order): (Range<usize>, &mut [u32])| {
            let begin = starts[own.start];
            let mut next: Vec<u32> = starts[own.clone()].iter().map(|start| start - begin).collect();
            for (point, &label) in (0u32..).zip(labels) {
                if let Some(next) = next.get_mut((label as usize).wrapping_sub(own.start)) {
                    order[*next as usize] = point;
                    *next += 1;
                }
            }
            Ok(())
        })
    }

    /// The points of all labels, label after label.
    pub(super) fn all(&self) -> &[u32] {
        &self.order
    }

    /// Where the points of each label begin among those of all, and where the last end.
    pub(super) fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// Those of them that are `wanted`.
    pub(super) fn only(&self, wanted: &[u32]) -> Self {
        let mut is_wanted = vec![false; self.order.len()];
        wanted.iter().for_each(|&point| is_wanted[point as usize] = true);
        let mut some = Self { order: Vec::with_capacity(wanted.len()), starts: vec![0] };
        for label in 0..self.starts().len() - 1 {
            some.order.extend(self.of(label).iter().filter(|&&point| is_wanted[point as usize]));
            some.starts.push(u32::try_from(some.order.len()).expect("invariant: fewer than 2^32 points"));
        }
        some
    }

    /// Hands the sums of labels to `take`, in order, as far as a device makes them of rows that it keeps; at which label
    /// that ended.
    pub(super) fn sums(
        &self,
        task: &Task<'_, '_>,
        kept: Kept<'_>,
        centroids: &Centroids,
        mut take: impl FnMut(usize, &[f64]),
    ) -> Result<usize> {
        let job = SumJob {
            kept,
            order: &self.order,
            starts: self.starts(),
            centroids,
            workers: task.workers,
            cancel: task.control.cancel(),
        };
        sums(task.context, &job, &mut take)
    }

    /// The points of a label.
    pub(super) fn of(&self, label: usize) -> &[u32] {
        &self.order[self.starts[label] as usize..self.starts[label + 1] as usize]
    }
}

/// Moves every centroid to the mean of its points; one without any stays.
pub(super) fn update(
    task: &Task<'_, '_>,
    rows: Rows<'_>,
    kept: Kept<'_>,
    groups: &Groups,
    centroids: &mut Centroids,
) -> Result<()> {
    let Task { context, spherical, workers, .. } = *task;
    let cancel = task.control.cancel();
    let (dim, k) = (centroids.dim, centroids.len());
    let mut means = std::mem::take(&mut centroids.rows);
    let done = groups.sums(task, kept, centroids, |label, sums| {
        place(sums, groups.of(label).len(), spherical, &mut means[label * dim..][..dim]);
    });
    centroids.rows = means;
    let done = done?;
    if done == k {
        return Ok(());
    }
    let chunks = Mutex::new(centroids.rows[done * dim..].chunks_mut(CENTROIDS * dim).enumerate());
    context.parallel(workers.min((k - done).div_ceil(CENTROIDS)), &|_| {
        let mut sums = vec![0f64; dim];
        let mut buffers = Buffers::default();
        loop {
            let next = chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((chunk, centroids)) = next else { break };
            for (i, centroid) in centroids.chunks_exact_mut(dim).enumerate() {
                let points = groups.of(done + chunk * CENTROIDS + i);
                if points.is_empty() || cancel.is_set() {
                    continue;
                }
                sum(rows, points, &mut sums, &mut buffers);
                place(&sums, points.len(), spherical, centroid);
            }
        }
    })?;
    cancel.check()
}

/// Rows that [`sum`] reads at a time.
pub(super) type Buffers = [Vec<f32>; 4];

/// The sum of some rows. Four rows are added in float32 and their sum in float64: fast, and no error
/// grows with the number of rows.
pub(super) fn sum(rows: Rows<'_>, points: &[u32], sums: &mut [f64], buffers: &mut Buffers) {
    sums.fill(0.0);
    let [a, b, c, d] = buffers;
    let fours = points.chunks_exact(4);
    for &point in fours.remainder() {
        for (sum, &value) in sums.iter_mut().zip(rows.row(point as usize, a)) {
            *sum += f64::from(value);
        }
    }
    for four in fours {
        let (a, b) = (rows.row(four[0] as usize, a), rows.row(four[1] as usize, b));
        let (c, d) = (rows.row(four[2] as usize, c), rows.row(four[3] as usize, d));
        for ((((sum, &a), &b), &c), &d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *sum += f64::from((a + b) + (c + d));
        }
    }
}

/// Writes the mean, or the direction of the mean; what has none stays.
#[expect(clippy::cast_possible_truncation, reason = "a mean rounds to float32")]
fn place(sums: &[f64], count: usize, spherical: bool, centroid: &mut [f32]) {
    let divisor = if spherical { sums.iter().map(|s| s * s).sum::<f64>().sqrt() } else { count as f64 };
    if divisor > 0.0 {
        let factor = 1.0 / divisor;
        centroid.iter_mut().zip(sums).for_each(|(to, sum)| *to = (sum * factor) as f32);
    }
}

/// Sets every centroid whose `weight` is `None`, for it has no points, beside that of the largest weight,
/// which they share from then on: two copies moved apart by a thousandth, as faiss does it.
///
/// The weight is what a split may gain: the sum of squared distances. A heap of equal points is not worth
/// another centroid, however many they are.
pub(super) fn split(centroids: &mut Centroids, weights: &mut [Option<f64>], spherical: bool) {
    const APART: f32 = 1.0 / 1024.0;
    if weights.iter().all(Option::is_some) {
        return;
    }
    // The heaviest first, and of equals the first. Weights are not negative, so that bits have their order.
    let full =
        weights.iter().enumerate().filter_map(|(c, weight)| Some((weight.as_ref()?.to_bits(), Reverse(c))));
    let mut heaviest: BinaryHeap<_> = full.collect();
    for empty in 0..weights.len() {
        if weights[empty].is_some() {
            continue;
        }
        let Some((weight, Reverse(full))) = heaviest.pop() else { break };
        for d in 0..centroids.dim {
            let value = centroids.row(full)[d];
            let apart = if d % 2 == 0 { APART } else { -APART };
            centroids.row_mut(empty)[d] = value * (1.0 + apart);
            centroids.row_mut(full)[d] = value * (1.0 - apart);
        }
        for centroid in [empty, full] {
            if spherical {
                normalize(centroids.row_mut(centroid));
            }
            let half = f64::from_bits(weight) / 2.0;
            weights[centroid] = Some(half);
            heaviest.push((half.to_bits(), Reverse(centroid)));
        }
    }
}

/// Scales a row to length 1; one of length 0 stays.
#[expect(clippy::cast_possible_truncation, reason = "rounds to float32")]
pub(super) fn normalize(row: &mut [f32]) {
    let length = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
    if length > 0.0 {
        row.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
    }
}
