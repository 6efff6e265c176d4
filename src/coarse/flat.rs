//! Centroids in one list: every query is compared with every centroid.

use super::probe::{self, Probing};
use crate::backend::{
    self, AssignJob, DeviceSlot, ListSource, ListView, Probes, Rows, ScanJob, Sketch, Sketched, Version,
};
use crate::codec::Encoder;
use crate::context::Context;
use crate::element::Element;
use crate::error::Result;
use crate::lists::List;
use crate::matrix::MatrixRef;
use crate::metric::Metric;
use crate::progress::Cancel;
use crate::rows::RowsRef;

/// Centroids as blocks for the scan.
pub(super) struct Flat {
    metric: Metric,
    blocks: List,
    /// What tells a few queries which to look at.
    sketch: Option<Sketch>,
    /// What a GPU has of the centroids.
    device: DeviceSlot,
}

impl Flat {
    pub(super) fn new(context: &Context, centroids: MatrixRef<'_>, metric: Metric) -> Result<Self> {
        let mut blocks = List::new(Element::F32, 0);
        let rows: Vec<u32> = (0u32..).take(centroids.rows()).collect();
        let encoder = Encoder::plain(context.kernels(), metric, Element::F32);
        blocks.append(centroids.into(), &rows, |row| row as i64, &encoder, None, &[])?;
        blocks.compact(centroids.dim(), &|| Ok(()))?;
        let sketch = Sketch::new(centroids, metric, &blocks.bias);
        Ok(Self { metric, blocks, sketch, device: DeviceSlot::default() })
    }

    pub(super) fn len(&self) -> usize {
        self.blocks.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let list = &self.blocks;
        let sketch = self.sketch.as_ref().map_or(0, Sketch::memory_bytes);
        list.vectors.memory_bytes() + list.bias.memory_bytes() + list.ids.memory_bytes() + sketch
    }

    pub(super) fn assign(
        &self,
        context: &Context,
        x: RowsRef<'_>,
        workers: usize,
        labels: &mut [u32],
        keys: &mut [f32],
        cancel: Cancel<'_>,
    ) -> Result<()> {
        let job = AssignJob {
            rows: Rows { x, numbers: None },
            kept: None,
            centroids: self,
            metric: self.metric,
            hints: None,
            near: None,
            workers,
            cancel,
        };
        backend::assign(context, &job, labels, keys)
    }

    /// The scan that [`Self::probe`] is.
    pub(super) fn job<'a>(&'a self, probing: Probing<'a, 'a>) -> ScanJob<'a> {
        probe::job(probing, self, self.len(), Probes::All)
    }

    /// As [`super::Coarse::probe`]; `rows` are the centroids again.
    pub(super) fn probe(
        &self,
        probing: Probing<'_, '_>,
        rows: &[f32],
        lists: &mut [i64],
        keys: &mut [f32],
    ) -> Result<()> {
        let sketched = self.sketch.as_ref().map(|sketch| Sketched { sketch, rows });
        probe::scan(probing, self, self.len(), Probes::All, sketched, lists, keys)
    }
}

impl ListSource for Flat {
    fn list_count(&self) -> usize {
        1
    }

    fn list(&self, _: usize) -> ListView<'_> {
        self.blocks.view()
    }

    fn version(&self, _: usize) -> [Version; 2] {
        self.blocks.version()
    }

    fn device(&self) -> Option<&DeviceSlot> {
        Some(&self.device)
    }
}
