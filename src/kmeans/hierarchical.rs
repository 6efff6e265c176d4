//! Centroids for very many lists: of a few groups first, then within each group. Where k centroids cost
//! `n * k` products an iteration, the two levels cost `2 * n * sqrt(k)`.

use super::centroids::Centroids;
use super::lloyd;
use super::means::Groups;
use super::task::Task;
use super::{Purpose, Seeding};
use crate::backend::Rows;
use crate::error::Result;
use crate::random::Random;

/// Iterations within the groups, and to find them.
const ITERATIONS: usize = 6;

/// Finds centroids and writes the number of that of each row into `labels`; the way there counts as `iterations`.
pub(super) fn seed(
    task: &Task<'_, '_>,
    rows: Rows<'_>,
    iterations: usize,
    labels: &mut [u32],
    random: &mut Random,
) -> Result<Centroids> {
    let mut centroids = Centroids::new(task.k, task.dim(), task.metric())?;
    let count = task.k.isqrt();
    let part = |k: usize| Task {
        k,
        iterations: ITERATIONS,
        seeding: Seeding::Random,
        purpose: Purpose::Part,
        most: usize::MAX,
        ..*task
    };
    let top = lloyd::fit(&part(count), rows, random)?;
    let mut groups = Groups::default();
    groups.make(task.context, task.workers, &top.labels, count)?;
    let parts: Vec<(usize, f64)> = (0..count)
        .map(|group| {
            let points = groups.of(group);
            // The error that centroids can take away. A similarity does not tell it; the number of points has to do.
            let error = || points.iter().map(|&point| f64::from(top.keys[point as usize])).sum();
            (points.len(), if task.spherical { points.len() as f64 } else { error() })
        })
        .collect();
    let shares = shares(task.k, &parts);
    let (mut numbers, mut first) = (Vec::new(), 0);
    for (group, &share) in shares.iter().enumerate() {
        let points = groups.of(group);
        if points.is_empty() {
            continue;
        }
        numbers.clear();
        numbers.extend(points.iter().map(|&point| rows.number(point)));
        let found = lloyd::fit(&part(share), Rows { x: rows.x, numbers: Some(&numbers) }, random)?;
        centroids.rows[first * task.dim()..][..share * task.dim()].copy_from_slice(&found.centroids.rows);
        let offset = u32::try_from(first).expect("invariant: nlist fits in u32");
        for (&point, label) in points.iter().zip(found.labels) {
            labels[point as usize] = offset + label;
        }
        first += share;
        task.report(iterations * (group + 1) / count, 0.0)?;
    }
    Ok(centroids)
}

/// `k` shared out among parts of a size and a weight, in proportion to the weights: none for parts without size, at
/// least 1 for the others, no share above its size.
fn shares(k: usize, parts: &[(usize, f64)]) -> Vec<usize> {
    let total: f64 = parts.iter().map(|part| part.1).sum();
    let (mut sum, mut given) = (0.0, 0);
    let mut shares: Vec<usize> = Vec::with_capacity(parts.len());
    for &(size, weight) in parts {
        sum += weight;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to k")]
        let until = if total > 0.0 { (sum / total * k as f64).round() as usize } else { 0 };
        let share = until.saturating_sub(given).max(1).min(size);
        given += share;
        shares.push(share);
    }
    while given > k {
        let largest = shares.iter_mut().max().expect("invariant: a part at least");
        *largest -= 1;
        given -= 1;
    }
    for (share, &(size, _)) in shares.iter_mut().zip(parts) {
        let more = (size - *share).min(k - given);
        *share += more;
        given += more;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::shares;

    #[test]
    fn shares_add_up_and_fit() {
        for (k, parts) in [
            (7, vec![(3, 1.0), (0, 0.0), (1, 90.0), (9, 2.0)]),
            (100, vec![(1, 0.0), (1, 0.0), (98, 0.0)]),
            (4, vec![(1000, 1.0), (1, 1e9), (1, 0.0)]),
            (10, vec![(10, 5.0)]),
            (20, vec![(50, 3.0), (50, 1.0)]),
        ] {
            let shares = shares(k, &parts);
            assert_eq!(shares.iter().sum::<usize>(), k, "{parts:?}");
            for (&share, &(size, _)) in shares.iter().zip(&parts) {
                assert!(share <= size && (share > 0) == (size > 0), "{parts:?}: {shares:?}");
            }
        }
        assert_eq!(shares(20, &[(50, 3.0), (50, 1.0)]), [15, 5]);
    }
}
