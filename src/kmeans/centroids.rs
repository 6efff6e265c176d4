//! Centroids, as rows to compute with and as blocks for the scan.

use bytemuck::{Pod, Zeroable};

use crate::backend::{DeviceSlot, ListSource, ListView, Version};
use crate::context::Context;
use crate::element::Values;
use crate::error::{Error, Result};
use crate::lists::block::{BLOCK, lanes, locate, scatter, width};
use crate::metric::Metric;

/// A cache line: blocks begin on one, so that no load of the scan straddles two.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Rows of a matrix as a scan wants them.
pub(super) struct Blocks {
    len: usize,
    dim: usize,
    metric: Metric,
    lines: Vec<Line>,
    bias: Vec<f32>,
}

impl Blocks {
    /// Room for `len` rows.
    pub(super) fn new(len: usize, dim: usize, metric: Metric) -> Result<Self> {
        let lanes = lanes(len);
        let bytes = lanes.saturating_mul(dim).saturating_mul(size_of::<f32>()) as u64;
        let mut lines = Vec::new();
        let failed = |_| Error::Memory { what: "blocks of centroids", bytes };
        lines.try_reserve_exact(lanes * dim / 16).map_err(failed)?;
        lines.resize(lanes * dim / 16, Line([0.0; 16]));
        Ok(Self { len, dim, metric, lines, bias: vec![f32::NEG_INFINITY; lanes] })
    }

    /// Fills all of the room: slot `i` becomes the row of `rows` (`[_, dim]`) that `numbers[i]` says.
    pub(super) fn pack(&mut self, context: &Context, rows: &[f32], numbers: &[u32]) {
        debug_assert!(numbers.len() == self.len, "invariant: a number for each slot");
        for (block, numbers) in numbers.chunks(BLOCK).enumerate() {
            self.place(block * BLOCK, rows, numbers);
            self.weigh(context, block);
        }
    }

    /// Writes rows into slots of one block, from `slot` on.
    fn place(&mut self, slot: usize, rows: &[f32], numbers: &[u32]) {
        let (base, stride) = locate(slot, self.bias.len(), self.dim);
        scatter::<f32>(
            rows,
            self.dim,
            numbers,
            &mut bytemuck::cast_slice_mut(&mut self.lines)[base..],
            stride,
        );
    }

    /// Sets the biases of a block: what a score starts from.
    fn weigh(&mut self, context: &Context, block: usize) {
        let start = block * BLOCK;
        let width = width(block, self.bias.len());
        let bias = &mut self.bias[start..start + width];
        let vectors = &bytemuck::cast_slice(&self.lines)[start * self.dim..][..width * self.dim];
        if self.metric == Metric::L2 {
            context.kernels().squares(Values::F32(vectors), bias);
            bias.iter_mut().for_each(|bias| *bias *= -0.5);
        } else {
            bias.fill(0.0);
        }
        bias[(self.len - start).min(width)..].fill(f32::NEG_INFINITY);
    }

    /// The slots as a list, without ids.
    pub(super) fn view(&self) -> ListView<'_> {
        let vectors = Values::F32(bytemuck::cast_slice(&self.lines));
        ListView { vectors, bias: &self.bias, ids: &[], live: self.len }
    }
}

/// `k` centroids. The blocks follow the rows only when [`Centroids::pack`] is called.
pub(super) struct Centroids {
    /// `[k, dim]`.
    pub(super) rows: Vec<f32>,
    pub(super) dim: usize,
    pub(super) metric: Metric,
    blocks: Blocks,
    /// All of them by number.
    numbers: Vec<u32>,
    ids: Vec<i64>,
    version: Version,
    device: DeviceSlot,
}

impl Centroids {
    /// Centroids of zeros.
    pub(super) fn new(k: usize, dim: usize, metric: Metric) -> Result<Self> {
        let bytes = k.saturating_mul(dim).saturating_mul(size_of::<f32>()) as u64;
        let mut rows = Vec::new();
        rows.try_reserve_exact(k * dim).map_err(|_| Error::Memory { what: "centroids", bytes })?;
        rows.resize(k * dim, 0.0);
        Ok(Self {
            rows,
            dim,
            metric,
            blocks: Blocks::new(k, dim, metric)?,
            numbers: (0u32..).take(k).collect(),
            ids: (0i64..).take(k).collect(),
            version: Version::EMPTY,
            device: DeviceSlot::default(),
        })
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len() / self.dim
    }

    pub(super) fn row(&self, centroid: usize) -> &[f32] {
        &self.rows[centroid * self.dim..][..self.dim]
    }

    pub(super) fn row_mut(&mut self, centroid: usize) -> &mut [f32] {
        &mut self.rows[centroid * self.dim..][..self.dim]
    }

    /// Writes all rows into the blocks.
    pub(super) fn pack(&mut self, context: &Context) {
        self.blocks.pack(context, &self.rows, &self.numbers);
        self.version = Version::new();
    }

    /// Writes these rows (ascending) into the blocks.
    pub(super) fn pack_some(&mut self, context: &Context, centroids: &[u32]) {
        for of_block in centroids.chunk_by(|a, b| *a as usize / BLOCK == *b as usize / BLOCK) {
            for &centroid in of_block {
                self.blocks.place(centroid as usize, &self.rows, &[centroid]);
            }
            self.blocks.weigh(context, of_block[0] as usize / BLOCK);
        }
        self.version = Version::new();
    }
}

/// One list: the blocks.
impl ListSource for Centroids {
    fn list_count(&self) -> usize {
        1
    }

    fn list(&self, _: usize) -> ListView<'_> {
        ListView { ids: &self.ids, ..self.blocks.view() }
    }

    fn version(&self, _: usize) -> [Version; 2] {
        [self.version; 2]
    }

    fn device(&self) -> Option<&DeviceSlot> {
        Some(&self.device)
    }
}
