//! The CPU's way to nearest centroids: a scan for the one best, without selection buffers.
//!
//! Rows are taken a panel at a time and centroids a stripe at a time, so that both stay in cache while
//! every tile of the panel passes over the stripe.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::ListView;
use super::assign::{AssignJob, Rows, key};
use super::scorer::Scorer;
use super::workspace::Workspace;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::kernel::{Kernels, TileInput, pack};
use crate::lists::block::BLOCK;
use crate::matrix::squared_norm;
use crate::metric::Metric;
use crate::progress::Cancel;

/// Rows of a panel: eight tiles of the widest kernels.
pub(crate) const PANEL: usize = 96;

/// Panels that a worker takes at a time.
pub(crate) const PANELS: usize = 8;

/// What a hint's score may differ by, as a share of it.
const HINT_SLACK: f32 = 1e-4;

/// Floats of a stripe of centroids: half of a usual L2 cache.
const STRIPE: usize = 1 << 17;

/// The job's results, of every row.
pub(super) fn assign(
    context: &Context,
    job: &AssignJob<'_>,
    labels: &mut [u32],
    keys: &mut [f32],
) -> Result<()> {
    const CHUNK: usize = PANELS * PANEL;
    let centroids = job.centroids.list(0);
    let chunks = Mutex::new(labels.chunks_mut(CHUNK).zip(keys.chunks_mut(CHUNK)).enumerate());
    let cancelled = AtomicBool::new(false);
    let workers = job.workers.min(job.rows.len().div_ceil(CHUNK).max(1));
    context.parallel(workers, &|_| {
        let mut workspace = context.workspaces().take();
        let mut nearest = Nearest::new(context.kernels(), &mut workspace, job.metric, job.cancel);
        loop {
            let next = chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((chunk, (labels, keys))) = next else { break };
            for (panel, (labels, keys)) in labels.chunks_mut(PANEL).zip(keys.chunks_mut(PANEL)).enumerate() {
                let first = chunk * CHUNK + panel * PANEL;
                let rows = job.rows.slice(first, first + labels.len());
                if nearest.find(rows, &centroids, job.hints, labels, keys).is_err() {
                    cancelled.store(true, Ordering::Relaxed);
                }
            }
            if cancelled.load(Ordering::Relaxed) {
                break;
            }
        }
        context.workspaces().put(workspace);
    })?;
    if cancelled.into_inner() { Err(Error::Cancelled) } else { Ok(()) }
}

/// The job's results, of `some` rows only.
pub(super) fn assign_some(
    context: &Context,
    job: &AssignJob<'_>,
    some: &[u32],
    labels: &mut [u32],
    keys: &mut [f32],
) -> Result<()> {
    if some.is_empty() {
        return Ok(());
    }
    let numbers: Vec<u32> = some.iter().map(|&row| job.rows.number(row)).collect();
    let rows = Rows { x: job.rows.x, numbers: Some(&numbers) };
    let mut some_labels: Vec<u32> = some.iter().map(|&row| labels[row as usize]).collect();
    let mut some_keys = vec![0.0; some.len()];
    assign(context, &AssignJob { rows, kept: None, ..*job }, &mut some_labels, &mut some_keys)?;
    for ((&row, label), key) in some.iter().zip(some_labels).zip(some_keys) {
        (labels[row as usize], keys[row as usize]) = (label, key);
    }
    Ok(())
}

/// One worker's search for nearest centroids.
pub(crate) struct Nearest<'a> {
    kernels: &'static Kernels,
    workspace: &'a mut Workspace,
    metric: Metric,
    cancel: Cancel<'a>,
}

impl<'a> Nearest<'a> {
    pub(crate) fn new(
        kernels: &'static Kernels,
        workspace: &'a mut Workspace,
        metric: Metric,
        cancel: Cancel<'a>,
    ) -> Self {
        Self { kernels, workspace, metric, cancel }
    }

    /// As [`assign`], for a panel of at most [`PANEL`] rows: where rows are widened or normalised, it is
    /// so many at a time.
    pub(crate) fn find(
        &mut self,
        rows: Rows<'_>,
        centroids: &ListView<'_>,
        hints: Option<&[f32]>,
        labels: &mut [u32],
        keys: &mut [f32],
    ) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.workspace.panel);
        let mut panel = [&[][..]; PANEL];
        let panel = &mut panel[..rows.len()];
        rows.panel(&mut buffer, panel);
        let result = self.find_panel(panel, rows.x.dim(), centroids, hints, labels, keys);
        self.workspace.panel = buffer;
        result
    }

    fn find_panel(
        &mut self,
        rows: &[&[f32]],
        dim: usize,
        centroids: &ListView<'_>,
        hints: Option<&[f32]>,
        labels: &mut [u32],
        keys: &mut [f32],
    ) -> Result<()> {
        let lanes = centroids.bias.len();
        // Tiles of even size: 7 + 6 rather than 12 + 1.
        let tiles = rows.len().div_ceil(self.kernels.max_queries);
        let tile = rows.len().div_ceil(tiles.max(1)).max(1);
        let mut scorers = [Scorer::new(self.metric, &[], 0.0); PANEL];
        let mut thresholds = [f32::MIN; PANEL];
        for (i, scorer) in scorers[..rows.len()].iter_mut().enumerate() {
            let row = rows[i];
            let norm = if self.metric == Metric::L2 { squared_norm(row) } else { 0.0 };
            *scorer = Scorer::new(self.metric, row, norm);
            if let Some(hints) = hints {
                let hint = &hints[labels[i] as usize * dim..][..dim];
                let key = key(self.metric, row, hint);
                // A little worse than it is: by rounding its score may differ, and to miss it is to look again.
                thresholds[i] = scorer.threshold(key + key.abs() * HINT_SLACK);
            }
        }
        keys.fill(f32::INFINITY);
        if hints.is_none() {
            labels.fill(0);
        }
        let stripe = (STRIPE / dim).next_multiple_of(BLOCK).max(BLOCK);
        for start in (0..lanes).step_by(stripe) {
            let lanes = start..(start + stripe).min(lanes);
            for first in (0..rows.len()).step_by(tile) {
                self.cancel.check()?;
                let last = (first + tile).min(rows.len());
                self.scan(
                    &rows[first..last],
                    &scorers[first..last],
                    centroids,
                    lanes.clone(),
                    &mut thresholds[first..last],
                    &mut labels[first..last],
                    &mut keys[first..last],
                );
            }
        }
        // A hint's own score may by rounding miss the threshold that it set.
        if hints.is_some() {
            for i in 0..rows.len() {
                if keys[i] < f32::INFINITY {
                    continue;
                }
                let (label, key) = (&mut labels[i..=i], &mut keys[i..=i]);
                let (row, scorer) = (&rows[i..=i], &scorers[i..=i]);
                self.scan(row, scorer, centroids, 0..lanes, &mut [f32::MIN], label, key);
            }
        }
        Ok(())
    }

    /// Scans some lanes for the rows of a tile.
    fn scan(
        &mut self,
        rows: &[&[f32]],
        scorers: &[Scorer<'_>],
        centroids: &ListView<'_>,
        lanes: std::ops::Range<usize>,
        thresholds: &mut [f32],
        labels: &mut [u32],
        keys: &mut [f32],
    ) {
        let (count, dim) = (rows.len(), rows[0].len());
        let scratch = &mut self.workspace.scratch;
        pack(rows, dim, &mut scratch.packed);
        let end = lanes.end;
        for start in lanes.step_by(BLOCK) {
            let end = (start + BLOCK).min(end);
            let input = TileInput {
                dim,
                count,
                queries: &scratch.packed,
                thresholds,
                vectors: centroids.vectors.slice(start * dim..end * dim),
                halves: &[],
                bias: &centroids.bias[start..end],
                scaled: None,
            };
            let mut reached = self.kernels.tile(input, &mut scratch.tile);
            while reached != 0 {
                let q = reached.trailing_zeros() as usize;
                reached &= reached - 1;
                let mut mask = scratch.tile.hits[q][0];
                while mask != 0 {
                    let lane = mask.trailing_zeros() as usize;
                    mask &= mask - 1;
                    let key = scorers[q].key(scratch.tile.scores[q][0][lane], centroids, start + lane);
                    // Slots come in ascending order: an equal key later is not better.
                    if key < keys[q] {
                        #[expect(clippy::cast_possible_truncation, reason = "nlist fits in u32")]
                        let slot = (start + lane) as u32;
                        (labels[q], keys[q]) = (slot, key);
                        thresholds[q] = scorers[q].threshold(key);
                    }
                }
            }
        }
    }
}
