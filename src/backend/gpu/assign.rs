//! The nearest centroids of rows on the device, chunk by chunk: the best and how good the second is.
//!
//! While the device works on a chunk, the CPU judges another ([`super::labels`]). Rows that come again (k-means) stay on
//! the device if they fit ([`super::keep`]).

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::Instant;

use super::device::Gpu;
use super::encode::{SUBMISSION_SECONDS, Shape, dispatch_groups, to32};
use super::engine::Engine;
use super::health::{Fault, Outcome};
use super::held::Form;
use super::keep::{KeptRows, keep, values};
use super::labels::{Best, Labels};
use super::pipelines::{Kernel, Width};
use super::resident::Resident;
use super::scratch::{TURNS, Use};
use super::staging::Part;
use super::verify::assigning_is_the_cpus;
use crate::backend::{AssignJob, Kept, Rows, nearest};
use crate::context::Context;
use crate::error::Result;
use crate::lists::block::{BLOCK, blocks};

/// Rows of a workgroup; `ROWS` in product.wgsl.
const GROUP: usize = 64;

/// Blocks that a workgroup's time goes for where it meets a block of near centroids.
const NEAR: usize = 2;

/// Rows of a chunk: enough to fill a device, few enough for the CPU to have its part meanwhile in cache.
const ROWS: std::ops::RangeInclusive<usize> = 1 << 11..=1 << 16;

/// Bytes of a chunk's rows that are sent for it.
const CHUNK_BYTES: usize = 16 << 20;

/// What [`crate::backend::Backend::assign`] tells, of rows in the order in which the device meets them.
fn in_order(
    gpu: &Gpu,
    context: &Context,
    job: &AssignJob<'_>,
    labels: &mut [u32],
    keys: &mut [f32],
) -> Result<Option<Vec<u32>>> {
    let Some(slot) = job.centroids.device() else { return Ok(None) };
    let dim = job.rows.x.dim();
    if u32::try_from(job.rows.len()).is_err() {
        return Ok(None);
    }
    gpu.with(|engine| {
        let mut copy = slot.copy.lock().unwrap_or_else(PoisonError::into_inner);
        let resident =
            Resident::sync(&mut copy, gpu, engine, (context, job.workers), job.centroids, Form::plain(dim))?;
        let mut kept = job.kept.map(|kept| kept.slot.copy.lock().unwrap_or_else(PoisonError::into_inner));
        if let (Some(slot), Some(kept)) = (&mut kept, job.kept) {
            keep(gpu, engine, context, slot, kept.all, job.workers)?;
        }
        let kept = kept.as_ref().and_then(|slot| slot.as_ref());
        if let Some(near) = job.near {
            // They are found by their numbers in one binding.
            if kept.is_none() || !are_in_one_piece(resident, job) {
                return Err(Fault::Unfit);
            }
            engine.put(Use::Groups, near.centroids)?;
        }
        let same = assigning_is_the_cpus(context, gpu, engine, resident, dim)?;
        run(context, Call { engine, job, resident, kept, from: 0, turn: 0 }, same, labels, keys)
    })
}

/// What [`crate::backend::Backend::assign`] tells.
pub(super) fn assign(
    gpu: &Gpu,
    context: &Context,
    job: &AssignJob<'_>,
    labels: &mut [u32],
    keys: &mut [f32],
) -> Result<Option<Vec<u32>>> {
    let (Some(near), Some(kept)) = (job.near, job.kept) else {
        return in_order(gpu, context, job, labels, keys);
    };
    let order = near.order;
    let numbers: Vec<u32> = order.iter().map(|&row| job.rows.number(row)).collect();
    let places = kept.places(order);
    let ordered = AssignJob {
        rows: Rows { x: job.rows.x, numbers: Some(&numbers) },
        kept: Some(Kept { places: Some(&places), ..kept }),
        ..*job
    };
    let (mut found, mut their_keys) = (vec![0; order.len()], vec![0.0; order.len()]);
    let Some(left) = in_order(gpu, context, &ordered, &mut found, &mut their_keys)? else { return Ok(None) };
    for ((&row, label), key) in order.iter().zip(found).zip(their_keys) {
        (labels[row as usize], keys[row as usize]) = (label, key);
    }
    Ok(Some(left.into_iter().map(|place| order[place as usize]).collect()))
}

/// Whether all centroids lie one after another.
fn are_in_one_piece(resident: &Resident, job: &AssignJob<'_>) -> bool {
    let all = blocks(job.centroids.list(0).ids.len());
    resident.extents(0, 0, all).next().is_some_and(|(extent, _)| extent.blocks == all)
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
    let norms = call.kept.map(|rows| &rows.norms[..]);
    let judge = Labels { context, job: call.job, norms, largest: call.resident.measured.norm, same };
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

/// A job under way.
struct Call<'a> {
    engine: &'a mut Engine,
    job: &'a AssignJob<'a>,
    resident: &'a Resident,
    /// All rows, if the device keeps them.
    kept: Option<&'a KeptRows>,
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
        let all = blocks(self.job.centroids.list(0).ids.len());
        let lanes = self.job.near.map_or(all, |_| NEAR) * BLOCK;
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
        let tiles = self.tiles(from, to);
        let (first, direct) = self.send_rows(&mut encoder, from, to, &tiles)?;
        let all = blocks(self.job.centroids.list(0).ids.len());
        let near = self.job.near.is_some();
        let groups = if near { tiles.len() } else { count.div_ceil(GROUP) };
        let mut fresh = true;
        let started = Instant::now();
        for (extent, begin) in self.resident.extents(0, 0, all) {
            let mut block = 0;
            while block < extent.blocks {
                let most = extent.blocks - block;
                // Of near centroids there is a block, whatever there is of all.
                let step = if near { most } else { (self.work() / (count * dim * BLOCK)).clamp(1, most) };
                let met = if near { 1 } else { step };
                let shape = [dim, count, first, usize::from(direct), extent.start + block, met];
                let shape: Vec<u32> = shape.into_iter().map(to32).collect();
                let slot = to32((begin + block) * BLOCK);
                let shape = Shape::new(&[&shape[..], &[slot, u32::from(fresh), to32(tiles.len())]].concat());
                self.encode(&mut encoder, shape, extent.segment, groups)?;
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
        let work = if near { groups * GROUP * NEAR } else { count * all };
        let work = (work * BLOCK * dim) as f64;
        Ok(Some(Chunk { from, to, submission, back, started, work }))
    }

    /// The workgroups of rows `from..to` where each label has centroids of its own: rows of the chunk, and the label.
    fn tiles(&self, from: usize, to: usize) -> Vec<[u32; 3]> {
        let Some(near) = self.job.near else { return Vec::new() };
        let starts = near.starts;
        let mut tiles = Vec::new();
        let mut label = starts.partition_point(|&start| start as usize <= from) - 1;
        let mut row = from;
        while row < to {
            let last = (starts[label + 1] as usize).min(row + GROUP).min(to);
            if row < last {
                tiles.push([row - from, last - from, label].map(to32));
            }
            row = last;
            label += usize::from(starts[label + 1] as usize == last);
        }
        tiles
    }

    /// Adds commands that bring the rows `from..to`, or where they are, and their tiles; the number of the first of them
    /// there, and whether they lie in order.
    fn send_rows(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        from: usize,
        to: usize,
        tiles: &[[u32; 3]],
    ) -> Outcome<(usize, bool)> {
        let through = Use::Staging(self.turn);
        if let (Some(_), Some(kept)) = (self.kept, self.job.kept) {
            let places = kept.places.map(|places| &places[from..to]);
            let part = Part::new(Use::Places, places.unwrap_or_default());
            self.engine.stage(encoder, through, &[part, Part::new(Use::Tiles, tiles)])?;
            return Ok(if places.is_some() { (0, false) } else { (from, true) });
        }
        let mut gathered = Vec::new();
        let rows = values(self.job.rows.slice(from, to), &mut gathered);
        self.engine.stage(
            encoder,
            through,
            &[
                Part::new(Use::Queries, rows),
                Part::new::<u32>(Use::Places, &[]),
                Part::new(Use::Tiles, tiles),
            ],
        )?;
        Ok((0, true))
    }

    /// Adds a dispatch over some of the centroids in a segment.
    fn encode(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        shape: Shape,
        segment: usize,
        groups: usize,
    ) -> Outcome<()> {
        let kernel = Kernel::Assign(Width::of(self.dim()));
        let engine = &mut *self.engine;
        engine.put(Use::Shapes, &[shape])?;
        // Nothing in it, where all centroids are met.
        engine.scratch(Use::Groups, 0)?;
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        let pipeline = engine.pipelines.get(kernel);
        pass.set_pipeline(pipeline);
        let segment = &self.resident.segments[segment];
        let buffers = [
            self.kept.map_or_else(|| engine.at(Use::Queries), |rows| rows.memory.buffer()),
            engine.at(Use::Places),
            segment.vectors.buffer(),
            segment.bias.buffer(),
            engine.at(Use::Bests),
            engine.at(Use::Tiles),
            engine.at(Use::Groups),
        ];
        engine.bind(&mut pass, pipeline, 0, &buffers);
        dispatch_groups(&mut pass, groups);
        Ok(())
    }
}
