//! The second lists of a world with `soar`, by the loss of the paper (Sun et al. 2023): of the lists beside the first the
//! one with the least `|r'|^2 + lambda * (<r', r> / |r|)^2`, r and r' being the residuals of the two; of directions where
//! products count. Where losses are nearly equal rounding decides, and the index is asked.

use crate::oracle::{Entry, Metric, Model};

/// A squared distance, and how far rounding may have it off.
#[derive(Clone, Copy)]
struct Gap {
    value: f64,
    slack: f64,
}

impl Model {
    /// What is copied to these lists from others.
    pub(crate) fn copies<'a>(&'a self, lists: &[usize]) -> impl Iterator<Item = &'a Entry> {
        let visited = |list: &usize| lists.contains(list);
        let twice = self.lists.iter().take(if self.soar > 0.0 { usize::MAX } else { 0 });
        let others =
            twice.enumerate().filter(move |(list, _)| !visited(list)).flat_map(|(_, entries)| entries);
        others.filter(move |entry| entry.second.as_ref().is_some_and(visited))
    }

    /// The lists that may be the second of a prepared row.
    pub(crate) fn seconds_of(&self, row: &[f32], first: usize) -> Vec<usize> {
        let nearest = &self.centroids[first];
        let own = self.gap(row, nearest);
        // The residual of a vector that lies in its centroid, or nearly, may point anywhere.
        let weight = match own.value {
            0.0 if own.slack == 0.0 => 0.0,
            value if value > 30.0 * own.slack => f64::from(self.soar) / 4.0 / value,
            _ => return (0..self.centroids.len()).filter(|&list| list != first).collect(),
        };
        let loss = |list: usize| {
            let (gap, between) =
                (self.gap(row, &self.centroids[list]), self.gap(nearest, &self.centroids[list]));
            let twice = own.value + gap.value - between.value;
            let off = own.slack + gap.slack + between.slack;
            let value = gap.value + weight * twice * twice;
            let rounded = 1e-6 * (value + weight * twice.abs() * (own.value + gap.value + between.value));
            let relative = weight * twice * twice * own.slack / own.value.max(f64::MIN_POSITIVE);
            (value, gap.slack + weight * off * (2.0 * twice.abs() + off) + relative + rounded, list)
        };
        let losses: Vec<(f64, f64, usize)> =
            (0..self.centroids.len()).filter(|&list| list != first).map(loss).collect();
        let least = losses.iter().map(|(value, slack, _)| value + slack).fold(f64::INFINITY, f64::min);
        losses.iter().filter(|(value, slack, _)| value - slack <= least).map(|&(_, _, list)| list).collect()
    }

    fn gap(&self, row: &[f32], centroid: &[f32]) -> Gap {
        let key = self.coarse_key(row, centroid);
        if self.metric == Metric::L2 {
            return Gap { value: key, slack: self.slack(row, centroid, key) };
        }
        let scale = |row: &[f32]| {
            let length = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
            if length > 0.0 { 1.0 / length } else { 0.0 }
        };
        Gap { value: (2.0 + 2.0 * key * scale(row) * scale(centroid)).max(0.0), slack: 1e-5 }
    }
}
