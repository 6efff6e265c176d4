//! The full algorithm (Lloyd 1982): assign every point, move every centroid, again.

use super::centroids::Centroids;
use super::means::{Groups, split, update};
use super::random::Random;
use super::seeding::seed;
use super::task::Task;
use crate::backend::Rows;
use crate::error::Result;

/// One run: centroids, and their objective when they last met all points.
pub(super) fn run(task: &Task<'_, '_>, random: &mut Random) -> Result<(Centroids, f64)> {
    let numbers = (task.most < task.x.rows()).then(|| random.deal(task.x.rows(), &[task.most]));
    let rows = Rows { x: task.x, numbers: numbers.as_deref() };
    let mut centroids = seed(task, rows, random)?;
    let (mut labels, mut keys) = (vec![0u32; rows.len()], vec![0f32; rows.len()]);
    let mut groups = Groups::default();
    let mut objective = 0.0;
    let cancel = task.control.cancel();
    for iteration in 0..task.iterations {
        centroids.pack(task.context);
        task.assign(rows, &centroids, iteration > 0, &mut labels, &mut keys)?;
        objective = task.mean(&keys);
        groups.make(&labels, task.k);
        update(task.context, rows, &groups, &mut centroids, task.spherical, task.workers, cancel)?;
        repair(task, &groups, &keys, &mut centroids);
        task.report(iteration + 1, objective)?;
    }
    Ok((centroids, objective))
}

/// Gives points to the centroids that have none.
fn repair(task: &Task<'_, '_>, groups: &Groups, keys: &[f32], centroids: &mut Centroids) {
    let weight = |label| {
        let points = groups.of(label);
        let sum = |points: &[u32]| points.iter().map(|&point| f64::from(keys[point as usize])).sum::<f64>();
        // A similarity does not tell how far points lie apart; their number has to do.
        let weight = if task.spherical { points.len() as f64 } else { sum(points) };
        (!points.is_empty()).then_some(weight)
    };
    if (0..task.k).any(|label| groups.of(label).is_empty()) {
        split(centroids, &mut (0..task.k).map(weight).collect::<Vec<_>>(), task.spherical);
    }
}
