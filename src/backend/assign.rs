//! The nearest centroid of every row: a scan for the one best, without selection buffers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::ListView;
use super::scan::Scorer;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::kernel::{MAX_QUERIES, TileInput, pack};
use crate::lists::block::BLOCK;
use crate::matrix::{MatrixRef, squared_norm};
use crate::metric::Metric;
use crate::progress::Cancel;

/// Rows that a worker takes at a time.
const CHUNK_ROWS: usize = 1200;

/// Writes the slot of the nearest of `centroids` (ties: the lowest slot) and its key (squared distance, or
/// minus the similarity) for each row of `x`. The same on any number of workers.
pub(crate) fn assign(
    context: &Context,
    x: MatrixRef<'_>,
    centroids: ListView<'_>,
    metric: Metric,
    workers: usize,
    labels: &mut [u32],
    keys: &mut [f32],
    cancel: Cancel<'_>,
) -> Result<()> {
    let chunks = labels.chunks_mut(CHUNK_ROWS).zip(keys.chunks_mut(CHUNK_ROWS)).enumerate();
    let chunks = Mutex::new(chunks);
    let cancelled = AtomicBool::new(false);
    let workers = workers.min(x.rows().div_ceil(CHUNK_ROWS).max(1));
    context.parallel(workers, &|_| {
        let mut workspace = context.workspaces().take();
        loop {
            let Some((chunk, (labels, keys))) = chunks.lock().unwrap_or_else(PoisonError::into_inner).next()
            else {
                break;
            };
            if cancel.is_set() {
                cancelled.store(true, Ordering::Relaxed);
                break;
            }
            let first = chunk * CHUNK_ROWS;
            let rows = x.slice(first, first + labels.len());
            assign_rows(context, rows, centroids, metric, labels, keys, &mut workspace);
        }
        context.workspaces().put(workspace);
    })?;
    if cancelled.into_inner() { Err(Error::Cancelled) } else { Ok(()) }
}

fn assign_rows(
    context: &Context,
    x: MatrixRef<'_>,
    centroids: ListView<'_>,
    metric: Metric,
    labels: &mut [u32],
    keys: &mut [f32],
    workspace: &mut super::workspace::Workspace,
) {
    let (kernels, dim) = (context.kernels(), x.dim());
    let lanes = centroids.bias.len();
    let most = kernels.max_queries;
    for first in (0..x.rows()).step_by(most) {
        let count = most.min(x.rows() - first);
        let mut rows = [&[][..]; MAX_QUERIES];
        let mut scorers = [Scorer::new(metric, &[], 0.0); MAX_QUERIES];
        let mut thresholds = [f32::MIN; MAX_QUERIES];
        let mut best = [(f32::INFINITY, 0u32); MAX_QUERIES];
        for q in 0..count {
            rows[q] = x.row(first + q);
            let norm = if metric == Metric::L2 { squared_norm(rows[q]) } else { 0.0 };
            scorers[q] = Scorer::new(metric, rows[q], norm);
        }
        pack(&rows[..count], dim, &mut workspace.scratch.packed);
        for start in (0..lanes).step_by(BLOCK) {
            let end = (start + BLOCK).min(lanes);
            let input = TileInput {
                dim,
                count,
                queries: &workspace.scratch.packed,
                thresholds: &thresholds,
                vectors: centroids.vectors.slice(start * dim..end * dim),
                bias: &centroids.bias[start..end],
            };
            let mut reached = kernels.tile(input, &mut workspace.scratch.tile);
            while reached != 0 {
                let q = reached.trailing_zeros() as usize;
                reached &= reached - 1;
                let mut mask = workspace.scratch.tile.hits[q][0];
                while mask != 0 {
                    let lane = mask.trailing_zeros() as usize;
                    mask &= mask - 1;
                    let key =
                        scorers[q].key(workspace.scratch.tile.scores[q][0][lane], &centroids, start + lane);
                    // Slots come in ascending order: an equal key later is not better.
                    if key < best[q].0 {
                        #[expect(clippy::cast_possible_truncation, reason = "nlist fits in u32")]
                        let slot = (start + lane) as u32;
                        best[q] = (key, slot);
                    }
                }
                thresholds[q] = scorers[q].threshold(best[q].0);
            }
        }
        for q in 0..count {
            (keys[first + q], labels[first + q]) = best[q];
        }
    }
}
