//! Rows that come again, kept on the device.

use std::sync::{Mutex, PoisonError};

use super::device::{Engine, Fault, Gpu, Memory, Outcome};
use super::verify::{LEAST, least};
use crate::backend::Rows;
use crate::context::Context;
use crate::matrix::squared_norm;

/// Bytes of rows that are put aside for the device before they are sent off.
const FLUSH_BYTES: usize = 32 << 20;

/// Values of rows that a worker takes at a time.
const PIECE: usize = 1 << 16;

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
    let step = (FLUSH_BYTES / row_bytes).max(1);
    let mut gathered = Vec::new();
    for from in (0..rows.len()).step_by(step) {
        let to = (from + step).min(rows.len());
        let own = values(rows.slice(from, to), &mut gathered);
        engine.queue.write_buffer(memory.buffer(), (from * row_bytes) as u64, bytemuck::cast_slice(own));
        measure(context, own, &mut norms[from..to], workers)?;
        if to < rows.len() {
            engine.flush()?;
        }
    }
    engine.check()?;
    *slot = Some(KeptRows { memory, norms });
    Ok(())
}

/// Writes the norm of each of the rows whose values these are.
fn measure(context: &Context, values: &[f32], norms: &mut [f32], workers: usize) -> Outcome<()> {
    let dim = values.len() / norms.len();
    let rows = PIECE.div_ceil(dim);
    let pieces = Mutex::new(values.chunks(rows * dim).zip(norms.chunks_mut(rows)));
    context.parallel(workers.min(1 + values.len() / PIECE), &|_| {
        loop {
            let next = pieces.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((values, norms)) = next else { break };
            norms.iter_mut().zip(values.chunks_exact(dim)).for_each(|(to, row)| *to = norm(row));
        }
    })?;
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
