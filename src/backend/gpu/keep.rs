//! Rows that come again, kept on the device.

use super::device::Gpu;
use super::engine::Engine;
use super::health::{Fault, Memory, Outcome};
use super::upload::Target;
use super::verify::{LEAST, least};
use crate::backend::Rows;
use crate::context::Context;
use crate::matrix::squared_norm;

/// Rows on the device.
pub(crate) struct KeptRows {
    pub(super) memory: Memory,
    /// See [`norm`].
    pub(super) norms: Vec<f32>,
}

/// A row's squared length; NaN if it has a factor but zero below [`LEAST`], so that the device's keys are not the CPU's.
pub(super) fn norm(row: &[f32]) -> f32 {
    if least(row) >= LEAST { squared_norm(row) } else { f32::NAN }
}

/// Makes `slot` a copy of `rows`, if they fit into one buffer.
pub(super) fn keep(
    gpu: &Gpu,
    engine: &mut Engine,
    context: &Context,
    slot: &mut Option<KeptRows>,
    rows: Rows<'_>,
    workers: usize,
) -> Outcome<()> {
    if slot.as_ref().is_some_and(|kept| gpu.owns(&kept.memory)) {
        return Ok(());
    }
    let row_bytes = rows.x.dim() * size_of::<f32>();
    let bytes = (rows.len() * row_bytes) as u64;
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
    // Half of what is free is left to the calls' own buffers.
    if bytes > engine.limits.max_storage_buffer_binding_size || bytes > engine.room() / 2 {
        return Ok(());
    }
    let memory = match engine.allocate(bytes, usage) {
        Err(Fault::Memory) => return Ok(()),
        memory => memory?,
    };
    let mut norms = vec![0.0; rows.len()];
    let step = engine.of_a_piece(row_bytes);
    let pieces = norms.chunks_mut(step).enumerate().map(|(number, norms)| {
        let from = number * step;
        let (at, bytes) = ((from * row_bytes) as u64, (norms.len() * row_bytes) as u64);
        (Target { buffer: memory.buffer().clone(), at, bytes }, (from, norms))
    });
    engine.upload(context, workers, pieces, &|(from, norms), view| {
        let mut gathered = Vec::new();
        let own = values(rows.slice(from, from + norms.len()), &mut gathered);
        view.copy_from_slice(bytemuck::cast_slice(own));
        norms.iter_mut().zip(own.chunks_exact(rows.x.dim())).for_each(|(to, row)| *to = norm(row));
    })?;
    *slot = Some(KeptRows { memory, norms });
    Ok(())
}

/// Rows as float32 one after another, in `gathered` if they do not lie so.
pub(super) fn values<'a>(rows: Rows<'a>, gathered: &'a mut Vec<f32>) -> &'a [f32] {
    match (rows.numbers, rows.x.as_matrix()) {
        (None, Some(x)) => x.data(),
        _ => {
            rows.gather(gathered);
            gathered
        }
    }
}
