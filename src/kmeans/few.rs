//! A step of Lloyd's with few centroids, the words of a part of a product quantizer: some rows side by side are
//! compared with all centroids, and added to the sums of theirs at once. In a few dimensions that takes a fraction of the
//! time of tiles, whose overhead a row is more than the work.

use super::Purpose;
use super::centroids::Centroids;
use super::means::{place, split};
use super::task::Task;
use crate::backend::Rows;
use crate::error::Result;
use crate::kernel::{LANES, Tables, Words};

/// Most centroids, and in so many dimensions: in more, tiles are worth their overhead.
const MOST: [(usize, usize); 2] = [(16, 32), (256, 8)];

/// Rows that a worker takes at a time, with sums of their own: these are added up in one order, whatever the number of
/// workers.
const CHUNK: usize = 1 << 12;

/// Whether the task's steps may be such ones.
pub(super) fn is_for(task: &Task<'_, '_>) -> bool {
    let are_few = MOST.iter().any(|&(k, dim)| task.k <= k && task.dim() <= dim);
    task.purpose == Purpose::Words && are_few && !task.spherical
}

/// Assigns `rows`, then moves the centroids to the means of theirs; those without any get points of others.
pub(super) fn step(
    task: &Task<'_, '_>,
    rows: Rows<'_>,
    centroids: &mut Centroids,
    labels: &mut [u32],
    keys: &mut [f32],
) -> Result<()> {
    let (dim, k) = (centroids.dim, centroids.len());
    let half = |row: &[f32]| 0.5 * row.iter().map(|value| value * value).sum::<f32>();
    let halves: Vec<f32> = centroids.rows.chunks_exact(dim).map(half).collect();
    let words = Words { values: &centroids.rows, halves: &halves };
    let mut parts = vec![Sums::new(k, dim); rows.len().div_ceil(CHUNK)];
    let workers = task.workers.min(parts.len());
    let of_rows = labels.chunks_mut(CHUNK).zip(keys.chunks_mut(CHUNK));
    let jobs = (0..).step_by(CHUNK).zip(of_rows).zip(&mut parts);
    let jobs = jobs.map(|((first, (labels, keys)), sums)| (first, labels, keys, sums));
    let (tables, cancel) = (&task.context.kernels().tables, task.control.cancel());
    let work = |(first, labels, keys, sums): Job<'_>| {
        cancel.check()?;
        sums.add(tables, &words, rows.slice(first, first + labels.len()), labels, keys);
        Ok(())
    };
    task.context.each(workers, jobs, &work)?;
    let mut all = Sums::new(k, dim);
    parts.iter().for_each(|part| all.add_sums(part));
    for (label, (sums, &count)) in all.values.chunks_exact(dim).zip(&all.counts).enumerate() {
        if count > 0 {
            place(sums, count, false, centroids.row_mut(label));
        }
    }
    let weights = all.keys.iter().zip(&all.counts).map(|(&keys, &count)| (count > 0).then_some(keys));
    split(centroids, &mut weights.collect::<Vec<_>>(), false);
    Ok(())
}

/// The first of some rows, their labels, keys and sums.
type Job<'a> = (usize, &'a mut [u32], &'a mut [f32], &'a mut Sums);

/// Sums over rows by label.
#[derive(Clone)]
struct Sums {
    /// Of their values, `[k, dim]`.
    values: Vec<f64>,
    counts: Vec<usize>,
    /// Of their squared distances.
    keys: Vec<f64>,
}

impl Sums {
    fn new(k: usize, dim: usize) -> Self {
        Self { values: vec![0.0; k * dim], counts: vec![0; k], keys: vec![0.0; k] }
    }

    /// Finds the label of each row and adds the row to its sums.
    fn add(
        &mut self,
        tables: &Tables,
        words: &Words<'_>,
        rows: Rows<'_>,
        labels: &mut [u32],
        keys: &mut [f32],
    ) {
        let dim = rows.x.dim();
        let mut lanes = vec![[0.0; LANES]; dim];
        let (mut numbers, mut distances) = ([0; LANES], [0.0; LANES]);
        let mut buffer = Vec::new();
        for (block, (labels, keys)) in labels.chunks_mut(LANES).zip(keys.chunks_mut(LANES)).enumerate() {
            for lane in 0..labels.len() {
                let row = rows.row(block * LANES + lane, &mut buffer);
                lanes.iter_mut().zip(row).for_each(|(to, &value)| to[lane] = value);
            }
            tables.nearest_of_rows(words, &lanes, &mut numbers, &mut distances);
            labels.copy_from_slice(&numbers[..labels.len()]);
            keys.copy_from_slice(&distances[..keys.len()]);
            for (lane, (&label, &key)) in labels.iter().zip(&*keys).enumerate() {
                let label = label as usize;
                self.counts[label] += 1;
                self.keys[label] += f64::from(key);
                let sums = &mut self.values[label * dim..(label + 1) * dim];
                sums.iter_mut().zip(&lanes).for_each(|(sum, value)| *sum += f64::from(value[lane]));
            }
        }
    }

    fn add_sums(&mut self, other: &Self) {
        self.values.iter_mut().zip(&other.values).for_each(|(sum, value)| *sum += value);
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
        self.keys.iter_mut().zip(&other.keys).for_each(|(sum, key)| *sum += key);
    }
}
