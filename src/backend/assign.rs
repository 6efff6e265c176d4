//! The nearest centroid of every row: a scan for the one best, without selection buffers.
//!
//! Rows are taken a panel at a time and centroids a stripe at a time, so that both stay in cache while
//! every tile of the panel passes over the stripe.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::ListView;
use super::scan::Scorer;
use super::workspace::Workspace;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::kernel::{Kernels, TileInput, pack};
use crate::lists::block::BLOCK;
use crate::matrix::squared_norm;
use crate::metric::Metric;
use crate::progress::Cancel;
use crate::rows::RowsRef;

/// Rows of a panel: eight tiles of the widest kernels.
const PANEL: usize = 96;

/// Panels that a worker takes at a time.
const PANELS: usize = 8;

/// Floats of a stripe of centroids: half of a usual L2 cache.
const STRIPE: usize = 1 << 17;

/// Rows of a matrix: all of them, or those named.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) x: RowsRef<'a>,
    pub(crate) numbers: Option<&'a [u32]>,
}

impl<'a> Rows<'a> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.numbers.map_or(self.x.rows(), <[u32]>::len)
    }

    /// The `i`-th of them, in `buffer` if it does not lie there as float32.
    #[inline]
    pub(crate) fn row<'b>(&self, i: usize, buffer: &'b mut Vec<f32>) -> &'b [f32]
    where
        'a: 'b,
    {
        self.x.row(self.numbers.map_or(i, |numbers| numbers[i] as usize), buffer)
    }

    /// All of them (as many as `panel` is long), in `buffer` if they do not lie there as float32.
    fn panel<'b>(&self, buffer: &'b mut Vec<f32>, panel: &mut [&'b [f32]])
    where
        'a: 'b,
    {
        let number = |i| self.numbers.map_or(i, |numbers| numbers[i] as usize);
        if let Some(x) = self.x.as_matrix() {
            panel.iter_mut().enumerate().for_each(|(i, row)| *row = x.row(number(i)));
            return;
        }
        self.x.gather((0..panel.len()).map(number), buffer);
        panel.iter_mut().zip(buffer.chunks_exact(self.x.dim())).for_each(|(row, read)| *row = read);
    }

    /// The row of `x` that the `i`-th is.
    pub(crate) fn number(&self, i: u32) -> u32 {
        self.numbers.map_or(i, |numbers| numbers[i as usize])
    }

    /// The rows `from..to` of these.
    pub(crate) fn slice(&self, from: usize, to: usize) -> Self {
        match self.numbers {
            Some(numbers) => Self { x: self.x, numbers: Some(&numbers[from..to]) },
            None => Self { x: self.x.slice(from, to), numbers: None },
        }
    }
}

/// Writes the slot of the nearest of `centroids` (ties: the lowest slot) and its key (squared distance, or
/// minus the similarity) for each row of `x`. The same on any number of workers.
pub(crate) fn assign(
    context: &Context,
    x: RowsRef<'_>,
    centroids: ListView<'_>,
    metric: Metric,
    workers: usize,
    labels: &mut [u32],
    keys: &mut [f32],
    cancel: Cancel<'_>,
) -> Result<()> {
    let rows = Rows { x, numbers: None };
    assign_rows(context, rows, centroids, metric, None, workers, labels, keys, cancel)
}

/// As [`assign`], for any rows. With `hints` (the centroids, row-major) the labels that are there already
/// say where to look first: a good guess saves time and changes nothing else.
pub(crate) fn assign_rows(
    context: &Context,
    rows: Rows<'_>,
    centroids: ListView<'_>,
    metric: Metric,
    hints: Option<&[f32]>,
    workers: usize,
    labels: &mut [u32],
    keys: &mut [f32],
    cancel: Cancel<'_>,
) -> Result<()> {
    const CHUNK: usize = PANELS * PANEL;
    let chunks = Mutex::new(labels.chunks_mut(CHUNK).zip(keys.chunks_mut(CHUNK)).enumerate());
    let cancelled = AtomicBool::new(false);
    let workers = workers.min(rows.len().div_ceil(CHUNK).max(1));
    context.parallel(workers, &|_| {
        let mut workspace = context.workspaces().take();
        let mut nearest = Nearest::new(context.kernels(), &mut workspace, metric, cancel);
        loop {
            let next = chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((chunk, (labels, keys))) = next else { break };
            for (panel, (labels, keys)) in labels.chunks_mut(PANEL).zip(keys.chunks_mut(PANEL)).enumerate() {
                let first = chunk * CHUNK + panel * PANEL;
                let rows = rows.slice(first, first + labels.len());
                if nearest.find(rows, &centroids, hints, labels, keys).is_err() {
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

    /// As [`assign_rows`], for a panel of at most [`PANEL`] rows: where rows are widened or normalised, it is
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
                thresholds[i] = scorer.threshold(key(self.metric, row, hint));
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
                bias: &centroids.bias[start..end],
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

/// The key of a row and a centroid, up to rounding.
pub(crate) fn key(metric: Metric, row: &[f32], centroid: &[f32]) -> f32 {
    match metric {
        Metric::L2 => sum(row, centroid, |a, b| (a - b) * (a - b)),
        Metric::InnerProduct | Metric::Cosine => sum(row, centroid, |a, b| -(a * b)),
    }
}

/// The sum of a term over all dimensions. Sixteen sums side by side let the compiler use vector registers.
#[inline]
fn sum(left: &[f32], right: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0f32; 16];
    let (left, right) = (left.chunks_exact(16), right.chunks_exact(16));
    let tail: f32 = left.remainder().iter().zip(right.remainder()).map(|(&a, &b)| term(a, b)).sum();
    for (left, right) in left.zip(right) {
        for (sum, (&a, &b)) in sums.iter_mut().zip(left.iter().zip(right)) {
            *sum += term(a, b);
        }
    }
    sums.iter().sum::<f32>() + tail
}
