//! The nearest centroids of rows on the device, chunk by chunk: the best and how good the second is.
//!
//! While the device works on a chunk, the CPU judges another ([`super::labels`]). Rows that come again (k-means) stay on
//! the device if they fit.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Instant;

use super::device::{Engine, Fault, Gpu, Memory, Outcome};
use super::encode::{SUBMISSION_SECONDS, Shape, dispatch_groups, to32};
use super::held::Form;
use super::labels::{Best, Labels};
use super::pipelines::Kernel;
use super::resident::Resident;
use super::scratch::{TURNS, Use};
use super::staging::Part;
use super::verify::assigning_is_the_cpus;
use crate::backend::{AssignJob, Rows, nearest};
use crate::context::Context;
use crate::error::Result;
use crate::lists::block::{BLOCK, blocks};

/// Rows of a workgroup; `ROWS` in product.wgsl.
const GROUP: usize = 64;

/// Rows of a chunk: enough to fill a device, few enough for the CPU to have its part meanwhile in cache.
const ROWS: std::ops::RangeInclusive<usize> = 1 << 11..=1 << 15;

/// Bytes of a chunk's rows that are sent for it.
const CHUNK_BYTES: usize = 16 << 20;

/// Bytes of rows that are put aside for the device before they are sent off.
const FLUSH_BYTES: usize = 32 << 20;

/// Rows on the device.
pub(crate) struct KeptRows(Memory);

/// What [`crate::backend::assign()`] tells; false if the device could not.
pub(super) fn assign(
    gpu: &Gpu,
    context: &Context,
    job: &AssignJob<'_>,
    labels: &mut [u32],
    keys: &mut [f32],
) -> Result<bool> {
    let Some(slot) = job.centroids.device() else { return Ok(false) };
    let dim = job.rows.x.dim();
    if u32::try_from(job.rows.len()).is_err() {
        return Ok(false);
    }
    let left = gpu.with(|engine| {
        let mut copy = slot.copy.lock().unwrap_or_else(PoisonError::into_inner);
        let resident =
            Resident::sync(&mut copy, gpu, engine, context.kernels(), job.centroids, Form::plain(dim))?;
        let mut kept = job.kept.map(|kept| kept.slot.copy.lock().unwrap_or_else(PoisonError::into_inner));
        if let (Some(slot), Some(kept)) = (&mut kept, job.kept) {
            keep(gpu, engine, slot, kept.all)?;
        }
        let kept = kept.as_ref().and_then(|slot| slot.as_ref()).map(|rows| rows.0.buffer());
        let same = assigning_is_the_cpus(context, gpu, engine, resident)?;
        run(context, Call { engine, job, resident, kept, from: 0, turn: 0 }, same, labels, keys)
    })?;
    let Some(left) = left else { return Ok(false) };
    nearest::assign_some(context, job, &left, labels, keys)?;
    Ok(true)
}

/// Whether the device's labels and keys are the CPU's, all of them.
pub(super) fn agrees(
    context: &Context,
    engine: &mut Engine,
    resident: &Resident,
    job: &AssignJob<'_>,
) -> Outcome<bool> {
    let count = job.rows.len();
    let (mut labels, mut keys) = (vec![0; count], vec![0.0; count]);
    let call = Call { engine, job, resident, kept: None, from: 0, turn: 0 };
    let left = run(context, call, true, &mut labels, &mut keys)?;
    let (mut own_labels, mut own_keys) = (vec![0; count], vec![0.0; count]);
    nearest::assign(context, job, &mut own_labels, &mut own_keys)?;
    let bits = |keys: Vec<f32>| keys.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    Ok(left.is_empty() && labels == own_labels && bits(keys) == bits(own_keys))
}

/// Writes labels and keys; the rows for which the CPU has to. `same`: whether the device's arithmetic is the CPU's.
fn run(
    context: &Context,
    mut call: Call<'_>,
    same: bool,
    labels: &mut [u32],
    keys: &mut [f32],
) -> Outcome<Vec<u32>> {
    let judge = Labels { context, job: call.job, largest: call.resident.norm, same };
    let mut left = Vec::new();
    let mut flying = VecDeque::new();
    for _ in 1..TURNS {
        flying.extend(call.launch()?);
    }
    let mut landed = Instant::now();
    while let Some(Chunk { from, to, submission, back, started, work }) = flying.pop_front() {
        call.job.cancel.check()?;
        call.engine.wait(submission)?;
        let start = started.max(landed);
        landed = Instant::now();
        if work > 1e6 {
            let rate = work / (landed - start).as_secs_f64().max(1e-6);
            call.engine.assign_rate = (call.engine.assign_rate + rate) / 2.0;
        }
        let mapped = call.engine.mapped(back, ((to - from) * size_of::<Best>()) as u64)?;
        let mut next = Ok(None);
        let (labels, keys) = (&mut labels[from..to], &mut keys[from..to]);
        judge.write(from, bytemuck::cast_slice(&mapped), labels, keys, &mut left, &mut || {
            next = call.launch()
        })?;
        flying.extend(next?);
    }
    Ok(left)
}

/// Makes `slot` a copy of `rows`, if they fit into one buffer.
fn keep(gpu: &Gpu, engine: &mut Engine, slot: &mut Option<KeptRows>, rows: Rows<'_>) -> Outcome<()> {
    if slot.as_ref().is_some_and(|kept| gpu.owns(&kept.0)) {
        return Ok(());
    }
    let bytes = (rows.len() * rows.x.dim() * size_of::<f32>()) as u64;
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
    // Half of what is free is left to the calls' own buffers.
    if bytes > engine.limits.max_storage_buffer_binding_size || bytes > engine.room() / 2 {
        return Ok(());
    }
    let memory = match engine.allocate(bytes, usage) {
        Err(Fault::Memory) => return Ok(()),
        memory => memory?,
    };
    send(engine, memory.buffer(), rows)?;
    *slot = Some(KeptRows(memory));
    Ok(())
}

/// Writes rows into the beginning of a buffer.
fn send(engine: &Engine, buffer: &wgpu::Buffer, rows: Rows<'_>) -> Outcome<()> {
    let row_bytes = rows.x.dim() * size_of::<f32>();
    let step = (FLUSH_BYTES / row_bytes).max(1);
    let mut gathered = Vec::new();
    for from in (0..rows.len()).step_by(step) {
        let part = rows.slice(from, (from + step).min(rows.len()));
        let own = values(part, &mut gathered);
        engine.queue.write_buffer(buffer, (from * row_bytes) as u64, bytemuck::cast_slice(own));
        if from + step < rows.len() {
            engine.flush()?;
        }
    }
    engine.check()
}

/// A job under way.
struct Call<'a> {
    engine: &'a mut Engine,
    job: &'a AssignJob<'a>,
    resident: &'a Resident,
    /// All rows, if the device keeps them.
    kept: Option<&'a wgpu::Buffer>,
    /// The first row of the next chunk.
    from: usize,
    /// Which of the buffers the chunk goes through to the device and back.
    turn: usize,
}

/// Rows whose work was handed to the device.
struct Chunk {
    from: usize,
    to: usize,
    submission: wgpu::SubmissionIndex,
    /// Where its results can be read.
    back: Use,
    started: Instant,
    /// Multiply-adds.
    work: f64,
}

impl Call<'_> {
    fn dim(&self) -> usize {
        self.job.rows.x.dim()
    }

    /// Multiply-adds of a submission.
    fn work(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let work = (self.engine.assign_rate * SUBMISSION_SECONDS) as usize;
        work
    }

    /// How many rows the next chunk has: a twentieth of a second of work, if there is memory.
    fn rows_at_once(&self) -> Outcome<usize> {
        let lanes = blocks(self.job.centroids.list(0).ids.len()) * BLOCK;
        let rows = (self.work() / (lanes * self.dim())).clamp(*ROWS.start(), *ROWS.end());
        let own = if self.kept.is_some() { 0 } else { self.dim() * size_of::<f32>() };
        // Their values there and on the way, their bests there and on the way back, and their places.
        let row_bytes = ((1 + TURNS) * (own + size_of::<Best>() + size_of::<u32>())) as u64;
        let room = self.engine.room() + self.engine.scratch.bytes();
        let bound = self.engine.limits.max_storage_buffer_binding_size / own.max(size_of::<Best>()) as u64;
        let most = usize::try_from((room / 2 / row_bytes).min(bound)).unwrap_or(usize::MAX);
        if most < GROUP {
            return Err(Fault::Memory);
        }
        Ok(rows.min(most).min((CHUNK_BYTES / own.max(1)).max(GROUP)))
    }

    /// Hands the next chunk of rows to the device; `None` when there is none.
    fn launch(&mut self) -> Outcome<Option<Chunk>> {
        let from = self.from;
        let to = (from + self.rows_at_once()?).min(self.job.rows.len());
        if from == to {
            return Ok(None);
        }
        self.from = to;
        self.turn = (self.turn + 1) % TURNS;
        let (dim, count) = (self.dim(), to - from);
        let bytes = (count * size_of::<Best>()) as u64;
        let back = Use::ReadBack(self.turn);
        self.engine.scratch(Use::Bests, bytes)?;
        self.engine.scratch(back, bytes)?;
        let mut encoder =
            self.engine.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let (first, direct) = self.send_rows(&mut encoder, from, to)?;
        let all = blocks(self.job.centroids.list(0).ids.len());
        let mut fresh = true;
        let started = Instant::now();
        for (extent, begin) in self.resident.extents(0, 0, all) {
            let mut block = 0;
            while block < extent.blocks {
                let step = (self.work() / (count * dim * BLOCK)).clamp(1, extent.blocks - block);
                let shape = [dim, count, first, usize::from(direct), extent.start + block, step];
                let shape: Vec<u32> = shape.into_iter().map(to32).collect();
                let slot = to32((begin + block) * BLOCK);
                let shape = Shape::new(&[&shape[..], &[slot, u32::from(fresh)]].concat());
                self.encode(&mut encoder, shape, extent.segment, count)?;
                fresh = false;
                block += step;
                if block < extent.blocks || begin + block < all {
                    // The rest goes by itself: a submission must not take long.
                    let descriptor = wgpu::CommandEncoderDescriptor::default();
                    let rest = self.engine.device.create_command_encoder(&descriptor);
                    self.engine.submit(std::mem::replace(&mut encoder, rest))?;
                }
            }
        }
        encoder.copy_buffer_to_buffer(self.engine.at(Use::Bests), 0, self.engine.at(back), 0, bytes);
        let submission = self.engine.submit(encoder)?;
        let work = (count * all * BLOCK * dim) as f64;
        Ok(Some(Chunk { from, to, submission, back, started, work }))
    }

    /// Adds commands that bring the rows `from..to`, or where they are; the number of the first of them there, and
    /// whether they lie in order.
    fn send_rows(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        from: usize,
        to: usize,
    ) -> Outcome<(usize, bool)> {
        let through = Use::Staging(self.turn);
        if let (Some(_), Some(kept)) = (self.kept, self.job.kept) {
            let places = kept.places.map(|places| &places[from..to]);
            let part = Part::new(Use::Places, places.unwrap_or_default());
            self.engine.stage(encoder, through, &[part])?;
            return Ok(if places.is_some() { (0, false) } else { (from, true) });
        }
        let mut gathered = Vec::new();
        let rows = values(self.job.rows.slice(from, to), &mut gathered);
        self.engine.stage(
            encoder,
            through,
            &[Part::new(Use::Queries, rows), Part::new::<u32>(Use::Places, &[])],
        )?;
        Ok((0, true))
    }

    /// Adds a dispatch over some of the centroids in a segment.
    fn encode(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        shape: Shape,
        segment: usize,
        count: usize,
    ) -> Outcome<()> {
        let engine = &mut *self.engine;
        engine.put(Use::Shapes, &[shape])?;
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        let pipeline = engine.pipelines.get(Kernel::Assign);
        pass.set_pipeline(pipeline);
        let segment = &self.resident.segments[segment];
        let buffers = [
            self.kept.unwrap_or_else(|| engine.at(Use::Queries)),
            engine.at(Use::Places),
            segment.vectors.buffer(),
            segment.bias.buffer(),
            engine.at(Use::Bests),
        ];
        engine.bind(&mut pass, pipeline, 0, &buffers);
        dispatch_groups(&mut pass, count.div_ceil(GROUP));
        Ok(())
    }
}

/// Rows as float32 one after another, in `gathered` if they do not lie so.
fn values<'a>(rows: Rows<'a>, gathered: &'a mut Vec<f32>) -> &'a [f32] {
    match (rows.numbers, rows.x.as_matrix()) {
        (None, Some(x)) => x.data(),
        _ => {
            rows.gather(gathered);
            gathered
        }
    }
}
