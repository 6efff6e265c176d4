//! What the device found of rows' nearest centroids, as the CPU would have.
//!
//! As with scans: where the device's arithmetic is the CPU's, so are its keys; elsewhere the CPU computes the key of each
//! row's best again. Where the second might be as good, the row is the CPU's.

use std::sync::{Mutex, PoisonError};

use super::beside::beside;
use super::bounds::rounding;
use super::encode::{NONE, to32};
use super::exact::from_ordered;
use super::keep::norm;
use crate::backend::AssignJob;
use crate::backend::scorer::{Scorer, is_settled};
use crate::context::Context;
use crate::element::{Scalar, with_values};
use crate::error::Result;
use crate::kernel::{Kernels, TileInput, TileOutput, pack};
use crate::lists::block::{BLOCK, locate};
use crate::matrix::squared_norm;
use crate::metric::Metric;

/// Rows that a worker takes at a time.
const PIECE: usize = 1 << 11;

/// `Best` in assign.wgsl.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Best {
    key: u32,
    slot: u32,
    second: u32,
}

/// Makes the device's bests the CPU's.
pub(super) struct Labels<'a> {
    pub(super) context: &'a Context,
    pub(super) job: &'a AssignJob<'a>,
    /// Of all rows that the job's are of, if they are known: [`norm`].
    pub(super) norms: Option<&'a [f32]>,
    /// No centroid's squared length is larger.
    pub(super) largest: f32,
    /// Whether the device's arithmetic is the CPU's, but for rows without a norm.
    pub(super) same: bool,
}

impl Labels<'_> {
    /// Writes the label and the key of each of the rows from `from` on whose best is proven; the others go to `left`. The
    /// calling thread does `task` first.
    pub(super) fn write(
        &self,
        from: usize,
        bests: &[Best],
        labels: &mut [u32],
        keys: &mut [f32],
        left: &mut Vec<u32>,
        task: &mut (dyn FnMut() + Send),
    ) -> Result<()> {
        if !self.same {
            task();
            return self.compute(from, bests, labels, keys, left);
        }
        let (list, metric) = (self.job.centroids.list(0), self.job.metric);
        let pieces = Mutex::new(labels.chunks_mut(PIECE).zip(keys.chunks_mut(PIECE)).enumerate());
        let unproven = Mutex::new(Vec::new());
        let workers = self.job.workers.min(1 + bests.len() / PIECE);
        beside(self.context, workers, task, &|| {
            let (mut row, mut own) = (Vec::new(), Vec::new());
            loop {
                let next = pieces.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((piece, (labels, keys))) = next else { break };
                for (number, (label, key)) in (piece * PIECE..).zip(labels.iter_mut().zip(keys)) {
                    let best = &bests[number];
                    let values = self.job.rows.row(from + number, &mut row);
                    let norm =
                        self.norms.map_or_else(|| norm(values), |norms| norms[self.place(from + number)]);
                    let slot = best.slot as usize;
                    if slot < list.ids.len() && !norm.is_nan() {
                        let scorer =
                            Scorer::new(metric, values, if metric == Metric::L2 { norm } else { 0.0 });
                        let found = scorer.key(-from_ordered(best.key), &list, slot);
                        if found.is_finite() && self.proven(best.second, norm, found) {
                            (*label, *key) = (best.slot, found);
                            continue;
                        }
                    }
                    own.push(to32(from + number));
                }
            }
            unproven.lock().unwrap_or_else(PoisonError::into_inner).append(&mut own);
        })?;
        left.append(&mut unproven.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    /// Which of the rows kept a row of the job is.
    fn place(&self, row: usize) -> usize {
        self.job.kept.and_then(|kept| kept.places).map_or(row, |places| places[row] as usize)
    }

    /// Whether a best of this key is better than one of the device's key `second`, for a row of squared length `norm`.
    fn proven(&self, second: u32, norm: f32, key: f32) -> bool {
        if second == NONE {
            return true;
        }
        let (metric, largest) = (self.job.metric, self.largest);
        // The device leaves |q|^2 out, which is the same for all.
        let raw = from_ordered(second);
        let second = if metric == Metric::L2 { norm + 2.0 * raw } else { raw };
        if !second.is_finite() {
            return false;
        }
        if self.same && is_settled(metric, second, norm, largest) {
            return second > key;
        }
        f64::from(second) > f64::from(key) + rounding(metric, self.job.rows.x.dim(), largest, norm, key)
    }

    /// The same with keys that the CPU computes.
    fn compute(
        &self,
        from: usize,
        bests: &[Best],
        labels: &mut [u32],
        keys: &mut [f32],
        left: &mut Vec<u32>,
    ) -> Result<()> {
        let centroids = self.job.centroids.list(0).ids.len();
        let order = group(bests, centroids);
        let mut exact = vec![f32::NAN; order.len()];
        let pieces = Mutex::new(order.chunks(PIECE).zip(exact.chunks_mut(PIECE)));
        self.context.parallel(self.job.workers.min(1 + order.len() / PIECE), &|_| {
            let mut judge = Judge::new(self);
            loop {
                let next = pieces.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((rows, keys)) = next else { break };
                let mut begin = 0;
                for same in rows.chunk_by(|&a, &b| bests[a as usize].slot == bests[b as usize].slot) {
                    for part in same.chunks(BLOCK) {
                        judge.keys(from, part, bests, &mut keys[begin..begin + part.len()]);
                        begin += part.len();
                    }
                }
            }
        })?;
        let mut proven = vec![false; bests.len()];
        for (&row, &key) in order.iter().zip(&exact) {
            let row = row as usize;
            if key.is_finite() {
                (labels[row], keys[row], proven[row]) = (bests[row].slot, key, true);
            }
        }
        left.extend((0..bests.len()).filter(|&row| !proven[row]).map(|row| to32(from + row)));
        Ok(())
    }
}

/// The rows by their best; those without one of `centroids` are left out.
fn group(bests: &[Best], centroids: usize) -> Vec<u32> {
    let mut places = vec![0u32; centroids + 1];
    let valid = |best: &&Best| (best.slot as usize) < centroids;
    bests.iter().filter(valid).for_each(|best| places[best.slot as usize + 1] += 1);
    for slot in 0..centroids {
        places[slot + 1] += places[slot];
    }
    let mut order = vec![0; places[centroids] as usize];
    for (row, best) in (0u32..).zip(bests).filter(|(_, best)| valid(best)) {
        let place = &mut places[best.slot as usize];
        order[*place as usize] = row;
        *place += 1;
    }
    order
}

/// One worker's memory for recomputing keys as [`nearest`] computes them. Rows are the lanes here and a centroid the
/// query: the same products are added in the same order.
struct Judge<'a> {
    kernels: &'static Kernels,
    all: &'a Labels<'a>,
    job: &'a AssignJob<'a>,
    centroid: Vec<f32>,
    packed: Vec<f32>,
    block: Vec<f32>,
    row: Vec<f32>,
    tile: Box<TileOutput>,
}

impl<'a> Judge<'a> {
    fn new(all: &'a Labels<'a>) -> Self {
        let (kernels, job) = (all.context.kernels(), all.job);
        let (centroid, packed, block, row) = Default::default();
        Self { kernels, all, job, centroid, packed, block, row, tile: Box::new(TileOutput::new()) }
    }

    /// Writes the keys of `rows` (at most a block of them, counted from `from`), which have the same best; NaN where
    /// another centroid might be as near.
    fn keys(&mut self, from: usize, rows: &[u32], bests: &[Best], keys: &mut [f32]) {
        let dim = self.job.rows.x.dim();
        let list = self.job.centroids.list(0);
        let slot = bests[rows[0] as usize].slot as usize;
        let (base, stride) = locate(slot, list.bias.len(), dim);
        self.centroid.clear();
        with_values!(list.vectors, values => {
            widen(values[base..].iter().step_by(stride).take(dim), &mut self.centroid);
        });
        pack(&[&self.centroid], dim, &mut self.packed);
        self.block.clear();
        self.block.resize(dim * BLOCK, 0.0);
        for (lane, &row) in rows.iter().enumerate() {
            let values = self.job.rows.row(from + row as usize, &mut self.row);
            self.block[lane..].iter_mut().step_by(BLOCK).zip(values).for_each(|(to, &value)| *to = value);
        }
        let input = TileInput {
            dim,
            count: 1,
            queries: &self.packed,
            thresholds: &[f32::NEG_INFINITY],
            vectors: self.block.as_slice().into(),
            halves: &[],
            bias: &[list.bias[slot]; BLOCK],
            scaled: None,
        };
        self.kernels.tile(input, &mut self.tile);
        let metric = self.job.metric;
        for (lane, (&row, key)) in rows.iter().zip(keys).enumerate() {
            let values = self.job.rows.row(from + row as usize, &mut self.row);
            let norm = squared_norm(values);
            let scorer = Scorer::new(metric, values, if metric == Metric::L2 { norm } else { 0.0 });
            let own = scorer.key(self.tile.scores[0][0][lane], &list, slot);
            let proven = self.all.proven(bests[row as usize].second, norm, own);
            *key = if proven { own } else { f32::NAN };
        }
    }
}

fn widen<'a, E: Scalar>(from: impl Iterator<Item = &'a E>, to: &mut Vec<f32>) {
    to.extend(from.map(|&value| -> f32 { value.into() }));
}
