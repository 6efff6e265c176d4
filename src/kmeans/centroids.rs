//! Centroids, as rows to compute with and as blocks for the scan.

use bytemuck::{Pod, Zeroable};

use crate::backend::{DeviceSlot, ListSource, ListView, Version};
use crate::context::Context;
use crate::element::Values;
use crate::error::{Error, Result};
use crate::lists::block::{BLOCK, lanes, locate, width};
use crate::metric::Metric;

/// A cache line: blocks begin on one, so that no load of the scan straddles two.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// `k` centroids. The blocks follow the rows only when [`Centroids::pack`] is called.
pub(super) struct Centroids {
    /// `[k, dim]`.
    pub(super) rows: Vec<f32>,
    pub(super) dim: usize,
    pub(super) metric: Metric,
    blocks: Vec<Line>,
    bias: Vec<f32>,
    ids: Vec<i64>,
    version: Version,
    device: DeviceSlot,
}

impl Centroids {
    /// Centroids of zeros.
    pub(super) fn new(k: usize, dim: usize, metric: Metric) -> Result<Self> {
        let lanes = lanes(k);
        let bytes = (k + lanes).saturating_mul(dim).saturating_mul(size_of::<f32>()) as u64;
        let failed = |_| Error::Memory { what: "centroids", bytes };
        let (mut rows, mut blocks) = (Vec::new(), Vec::new());
        rows.try_reserve_exact(k * dim).map_err(failed)?;
        blocks.try_reserve_exact(lanes * dim / 16).map_err(failed)?;
        rows.resize(k * dim, 0.0);
        blocks.resize(lanes * dim / 16, Line([0.0; 16]));
        let ids = (0i64..).take(k).collect();
        let (bias, version) = (vec![f32::NEG_INFINITY; lanes], Version::EMPTY);
        Ok(Self { rows, dim, metric, blocks, bias, ids, version, device: DeviceSlot::default() })
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
        let k = self.len();
        for centroid in 0..k {
            self.place(centroid);
        }
        for block in 0..self.bias.len().div_ceil(BLOCK) {
            self.weigh(context, block);
        }
        self.version = Version::new();
    }

    /// Writes these rows (ascending) into the blocks.
    pub(super) fn pack_some(&mut self, context: &Context, centroids: &[u32]) {
        for &centroid in centroids {
            self.place(centroid as usize);
        }
        let mut last = usize::MAX;
        for &centroid in centroids {
            let block = centroid as usize / BLOCK;
            if block != last {
                self.weigh(context, block);
                last = block;
            }
        }
        self.version = Version::new();
    }

    fn place(&mut self, centroid: usize) {
        let (base, stride) = locate(centroid, self.bias.len(), self.dim);
        let row = &self.rows[centroid * self.dim..][..self.dim];
        let lane = bytemuck::cast_slice_mut(&mut self.blocks)[base..].iter_mut().step_by(stride);
        lane.zip(row).for_each(|(to, &from): (&mut f32, _)| *to = from);
    }

    /// Sets the biases of a block: what a score starts from.
    fn weigh(&mut self, context: &Context, block: usize) {
        let (k, start) = (self.len(), block * BLOCK);
        let width = width(block, self.bias.len());
        let bias = &mut self.bias[start..start + width];
        let vectors = &bytemuck::cast_slice(&self.blocks)[start * self.dim..][..width * self.dim];
        if self.metric == Metric::L2 {
            context.kernels().squares(Values::F32(vectors), bias);
            bias.iter_mut().for_each(|bias| *bias *= -0.5);
        } else {
            bias.fill(0.0);
        }
        bias[(k - start).min(width)..].fill(f32::NEG_INFINITY);
    }
}

/// One list: the blocks.
impl ListSource for Centroids {
    fn list_count(&self) -> usize {
        1
    }

    fn list(&self, _: usize) -> ListView<'_> {
        let vectors = Values::F32(bytemuck::cast_slice(&self.blocks));
        ListView { vectors, bias: &self.bias, ids: &self.ids, live: self.len() }
    }

    fn version(&self, _: usize) -> [Version; 2] {
        [self.version; 2]
    }

    fn device(&self) -> Option<&DeviceSlot> {
        Some(&self.device)
    }
}
