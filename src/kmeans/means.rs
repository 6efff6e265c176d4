//! The update step: every centroid becomes the mean of its points, and none stays without.
//!
//! Points are grouped by label first, so that one worker sums a centroid's points in one order, whatever
//! the number of workers.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
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
        let part = labels.len().div_ceil(workers).max(1);
        // Labels of a range: a power of two, so that nothing is divided.
        let wide = k.div_ceil(workers).next_power_of_two();
        let shift = wide.trailing_zeros();
        // Of each part of the points those of each range of labels, which another worker takes on.
        let mut dealt = Vec::new();
        dealt.resize_with(labels.len().div_ceil(part), || vec![Vec::new(); k.div_ceil(wide)]);
        let parts = (0u32..).step_by(part).zip(labels.chunks(part)).zip(&mut dealt);
        context.each(workers, parts, &|((first, labels), ranges): ((u32, &[u32]), &mut Vec<Vec<u32>>)| {
            for range in ranges.iter_mut() {
                range.reserve(2 * labels.len() / workers);
            }
            for (point, &label) in (first..).zip(labels) {
                ranges[(label >> shift) as usize].push(point);
            }
            Ok(())
        })?;
        self.starts.clear();
        self.starts.resize(k + 1, 0);
        self.order.resize(labels.len(), 0);
        // Where each range's points begin.
        let mut rest = &mut self.order[..];
        let mut begin = 0;
        let mut ranges = Vec::new();
        for (range, starts) in self.starts[..k].chunks_mut(wide).enumerate() {
            let count: usize = dealt.iter().map(|part| part[range].len()).sum();
            let (own, others) = rest.split_at_mut(count);
            ranges.push((range, begin, starts, own));
            (rest, begin) =
                (others, begin + u32::try_from(count).expect("invariant: fewer than 2^32 points"));
        }
        let dealt = &dealt;
        context.each(workers, ranges.into_iter(), &|range: (usize, u32, &mut [u32], &mut [u32])| {
            let (range, begin, starts, order) = range;
            let points = || dealt.iter().flat_map(|part| &part[range]).copied();
            let own = |point: u32| labels[point as usize] as usize - range * wide;
            points().for_each(|point| starts[own(point)] += 1);
            let mut sum = 0;
            for start in &mut *starts {
                sum += std::mem::replace(start, sum);
            }
            let mut next = starts.to_vec();
            for point in points() {
                let next = &mut next[own(point)];
                order[*next as usize] = point;
                *next += 1;
            }
            starts.iter_mut().for_each(|start| *start += begin);
            Ok(())
        })?;
        self.starts[k] = begin;
        Ok(())
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
pub(super) fn place(sums: &[f64], count: usize, spherical: bool, centroid: &mut [f32]) {
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
