//! Mini-batch k-means (Sculley 2010): each step moves the centroids towards a few random points.
//!
//! A centroid's learning rate is one over the number of points that it has met, so that it is at all times
//! their mean; a step's points count together, which gives the same as one after another.

use super::centroids::Centroids;
use super::means::{Buffers, Groups, normalize, split, sum};
use super::seeding::seed;
use super::task::Task;
use crate::backend::{Kept, Rows, RowsSlot};
use crate::error::Result;
use crate::random::Random;

/// Points met for each centroid, on average, between two looks for centroids that meet none.
const REPAIR: usize = 8;

/// One run: centroids, and their objective over the last quarter of the steps.
pub(super) fn run(task: &Task<'_, '_>, random: &mut Random) -> Result<(Centroids, f64)> {
    let (k, n) = (task.k, task.x.rows());
    let batch = task.mini_batch.min(n);
    let all = Rows { x: task.x, numbers: None };
    let mut centroids = seed(task, all, random)?;
    centroids.pack(task.context);
    let (mut labels, mut keys) = (vec![0u32; batch], vec![0f32; batch]);
    let mut numbers = vec![0u32; batch];
    let mut groups = Groups::default();
    let mut buffers = Buffers::default();
    let mut met = vec![0usize; k];
    let mut recent = vec![None; k];
    // All rows are worth sending if as many come.
    let slot = (task.iterations.saturating_mul(batch) >= n).then(RowsSlot::default);
    let weigh = |key: f32| if task.spherical { 1.0 } else { f64::from(key) };
    let mut since = 0;
    let mut last = (0.0, 0);
    for step in 0..task.iterations {
        draw(random, n, &mut numbers);
        let rows = Rows { x: task.x, numbers: Some(&numbers) };
        let kept = slot.as_ref().map(|slot| Kept { slot, all, places: Some(&numbers) });
        task.assign(rows, kept, &centroids, false, &mut labels, &mut keys)?;
        groups.make(task.context, task.workers, &labels, k)?;
        let mut moved = labels.clone();
        moved.sort_unstable();
        moved.dedup();
        let mut means = std::mem::take(&mut centroids.rows);
        let mut shift = |centroid: usize, sums: &[f64]| {
            let points = groups.of(centroid);
            if points.is_empty() {
                return;
            }
            let weight: f64 = points.iter().map(|&point| weigh(keys[point as usize])).sum();
            recent[centroid] = Some(recent[centroid].unwrap_or(0.0) + weight);
            met[centroid] += points.len();
            let rate = 1.0 / met[centroid] as f64;
            let mean = &mut means[centroid * sums.len()..][..sums.len()];
            pull(mean, sums, points.len() as f64, rate, task.spherical);
        };
        let done = kept.map_or(Ok(0), |kept| groups.sums(task, kept, &centroids, &mut shift))?;
        let mut sums = vec![0f64; task.dim()];
        for &centroid in moved.iter().filter(|&&centroid| centroid as usize >= done) {
            sum(rows, groups.of(centroid as usize), &mut sums, &mut buffers);
            shift(centroid as usize, &sums);
        }
        centroids.rows = means;
        since += batch;
        if since >= k.saturating_mul(REPAIR) {
            since = 0;
            if recent.contains(&None) {
                split(&mut centroids, &mut recent, task.spherical);
                centroids.pack(task.context);
            }
            recent.fill(None);
        }
        centroids.pack_some(task.context, &moved);
        let objective = task.mean(&keys);
        if step >= task.iterations - task.iterations.div_ceil(4) {
            last = (last.0 + objective, last.1 + 1);
        }
        task.report(step + 1, objective)?;
    }
    Ok((centroids, last.0 / f64::from(last.1)))
}

/// Random rows, ascending; one may come twice.
fn draw(random: &mut Random, n: usize, numbers: &mut [u32]) {
    for number in &mut *numbers {
        *number = u32::try_from(random.below(n)).expect("invariant: fewer than 2^32 rows");
    }
    numbers.sort_unstable();
}

/// Moves a centroid to the mean of all that it has met: `count` points of sum `sums` among 1 / `rate`.
#[expect(clippy::cast_possible_truncation, reason = "a mean rounds to float32")]
fn pull(centroid: &mut [f32], sums: &[f64], count: f64, rate: f64, spherical: bool) {
    for (to, sum) in centroid.iter_mut().zip(sums) {
        *to = (f64::from(*to) + (sum - count * f64::from(*to)) * rate) as f32;
    }
    if spherical {
        normalize(centroid);
    }
}
