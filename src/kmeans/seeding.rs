//! The first centroids: random points, or points drawn by k-means++.
//!
//! k-means++ (Arthur and Vassilvitskii 2007) draws one point at a time; here, as in k-means|| (Bahmani et
//! al. 2012), a round draws many before the distances are brought up to date, and only a sample of the
//! points is looked at: the cost is a fraction of one iteration.

use super::Seeding;
use super::centroids::Centroids;
use super::means::normalize;
use super::task::Task;
use crate::backend::{Kept, Rows, RowsSlot};
use crate::error::Result;
use crate::matrix::MatrixRef;
use crate::metric::Metric;
use crate::random::Random;

/// Points looked at for each centroid.
const POOL: usize = 16;

/// A round draws the number of points drawn before, divided by this.
const GROWTH: usize = 32;

/// Sets the first centroids, of the points `rows`.
pub(super) fn seed(task: &Task<'_, '_>, rows: Rows<'_>, random: &mut Random) -> Result<Centroids> {
    let mut centroids = Centroids::new(task.k, task.dim(), task.metric())?;
    let chosen = match task.seeding {
        Seeding::PlusPlus => plus_plus(task, rows, random)?,
        Seeding::Default | Seeding::Random | Seeding::Hierarchical => random.deal(rows.len(), &[task.k]),
    };
    let mut buffer = Vec::new();
    for (centroid, &point) in chosen.iter().enumerate() {
        let row = centroids.row_mut(centroid);
        row.copy_from_slice(rows.row(point as usize, &mut buffer));
        if task.spherical {
            normalize(row);
        }
    }
    Ok(centroids)
}

/// Draws `k` different points, each with probability in proportion to its squared distance from those
/// drawn in rounds before.
fn plus_plus(task: &Task<'_, '_>, rows: Rows<'_>, random: &mut Random) -> Result<Vec<u32>> {
    let (k, dim) = (task.k, task.dim());
    let points = random.deal(rows.len(), &[rows.len().min(k.saturating_mul(POOL))]);
    let mut pool = Vec::new();
    rows.x.gather(points.iter().map(|&point| rows.number(point) as usize), &mut pool);
    if task.spherical {
        pool.chunks_exact_mut(dim).for_each(normalize);
    }
    let matrix = MatrixRef::new("points", &pool, points.len(), dim)?;
    let pool = Rows { x: matrix.into(), numbers: None };
    let slot = RowsSlot::default();
    let kept = Kept { slot: &slot, all: pool, places: None };
    let mut distances = vec![f32::INFINITY; pool.len()];
    let (mut labels, mut keys) = (vec![0; pool.len()], vec![0.0; pool.len()]);
    let mut sums = vec![0.0; pool.len()];
    let mut drawn = vec![false; pool.len()];
    let mut chosen = Vec::with_capacity(k);
    while chosen.len() < k {
        let first = chosen.len();
        let round = (first / GROWTH).clamp(1, k - first);
        let mut total = 0.0;
        for (sum, &distance) in sums.iter_mut().zip(&distances) {
            total += if distance.is_finite() { f64::from(distance) } else { 1.0 };
            *sum = total;
        }
        for _ in 0..round {
            let draw = random.unit() * total;
            let mut point = sums.partition_point(|&sum| sum <= draw);
            if point == drawn.len() || drawn[point] {
                // Drawn in this round already, or all that are left lie on a centroid: any other will do.
                let start = random.below(drawn.len());
                let others = (start..drawn.len()).chain(0..start);
                point =
                    others.into_iter().find(|&other| !drawn[other]).expect("invariant: k points at least");
            }
            drawn[point] = true;
            chosen.push(point);
        }
        if chosen.len() < k {
            let mut newest = Centroids::new(round, dim, Metric::L2)?;
            for (i, &point) in chosen[first..].iter().enumerate() {
                newest.row_mut(i).copy_from_slice(matrix.row(point));
            }
            newest.pack(task.context);
            task.assign(pool, Some(kept), &newest, false, &mut labels, &mut keys)?;
            distances.iter_mut().zip(&keys).for_each(|(distance, &key)| *distance = distance.min(key));
        }
    }
    Ok(chosen.into_iter().map(|point| points[point]).collect())
}
