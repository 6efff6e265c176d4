//! The nearest centroids of rows on the device, chunk by chunk: the best and how good the second is.
//!
//! As with scans the CPU's arithmetic decides: it recomputes the key of each row's best, and where the second might
//! be as good, the row is the CPU's. Rows that come again (k-means) stay on the device if they fit.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::device::{Engine, Fault, Gpu, Memory, Outcome};
use super::exact::{from_ordered, rounding};
use super::pipelines::Kernel;
use super::resident::Resident;
use super::scan::{NONE, SUBMISSION_SECONDS, Shape, dispatch_groups, to32};
use super::scratch::Use;
use super::verify::{LEAST, assigning_is_the_cpus, least};
use crate::backend::scorer::{Scorer, is_settled};
use crate::backend::{AssignJob, Rows, nearest};
use crate::context::Context;
use crate::element::{Scalar, with_values};
use crate::error::Result;
use crate::kernel::{Kernels, TileInput, TileOutput, pack};
use crate::lists::block::{BLOCK, blocks, locate};
use crate::matrix::squared_norm;
use crate::metric::Metric;

/// Rows of a workgroup; `ROWS` in assign.wgsl.
const GROUP: usize = 64;

/// Rows of a submission: enough to fill a device, few enough for the CPU to have its part meanwhile in cache.
const ROWS: std::ops::RangeInclusive<usize> = 1 << 11..=1 << 16;

/// Rows that a worker recomputes at a time.
const PIECE: usize = 1 << 11;

/// Bytes of rows that are put aside for the device before they are sent off.
const FLUSH_BYTES: usize = 32 << 20;

/// `Best` in assign.wgsl.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Best {
    key: u32,
    slot: u32,
    second: u32,
}

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
        let resident = Resident::sync(&mut copy, gpu, engine, context.kernels(), job.centroids, dim)?;
        let mut kept = job.kept.map(|kept| kept.slot.copy.lock().unwrap_or_else(PoisonError::into_inner));
        if let (Some(slot), Some(kept)) = (&mut kept, job.kept) {
            keep(gpu, engine, slot, kept.all)?;
        }
        let kept = kept.as_ref().and_then(|slot| slot.as_ref()).map(|rows| rows.0.buffer());
        let same = assigning_is_the_cpus(context, gpu, engine, resident)?;
        let mut call = Call { engine, job, resident, kept, same, words: Vec::new(), order: Vec::new() };
        let mut left = Vec::new();
        let mut from = 0;
        while from < job.rows.len() {
            job.cancel.check()?;
            let to = (from + call.rows_at_once()?).min(job.rows.len());
            call.run(from, to)?;
            call.judge(context, from, &mut labels[from..to], &mut keys[from..to], &mut left)?;
            from = to;
        }
        Ok(left)
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
    let mut call =
        Call { engine, job, resident, kept: None, same: true, words: Vec::new(), order: Vec::new() };
    let (mut labels, mut keys, mut left) = (vec![0; count], vec![0.0; count], Vec::new());
    call.run(0, count)?;
    call.accept(context, 0, &mut labels, &mut keys, &mut left)?;
    let (mut own_labels, mut own_keys) = (vec![0; count], vec![0.0; count]);
    nearest::assign(context, job, &mut own_labels, &mut own_keys)?;
    let bits = |keys: Vec<f32>| keys.into_iter().map(f32::to_bits).collect::<Vec<_>>();
    Ok(left.is_empty() && labels == own_labels && bits(keys) == bits(own_keys))
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
        let values = match (part.numbers, part.x.as_matrix()) {
            (None, Some(x)) => x.data(),
            _ => {
                part.gather(&mut gathered);
                &gathered
            }
        };
        engine.queue.write_buffer(buffer, (from * row_bytes) as u64, bytemuck::cast_slice(values));
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
    /// Whether the device's arithmetic is the CPU's, but for rows with factors below [`LEAST`].
    same: bool,
    /// All rows, if the device keeps them.
    kept: Option<&'a wgpu::Buffer>,
    /// The chunk's bests.
    words: Vec<u32>,
    /// The chunk's rows, those of the same best together.
    order: Vec<u32>,
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
        // Their bests, there and to be read back, and their places.
        let row_bytes = (own + 2 * size_of::<Best>() + size_of::<u32>()) as u64;
        let room = self.engine.room() + self.engine.scratch.bytes();
        let bound = self.engine.limits.max_storage_buffer_binding_size / own.max(size_of::<Best>()) as u64;
        let most = usize::try_from((room / 2 / row_bytes).min(bound)).unwrap_or(usize::MAX);
        if most < GROUP { Err(Fault::Memory) } else { Ok(rows.min(most)) }
    }

    /// Finds the bests of the rows `from..to`.
    fn run(&mut self, from: usize, to: usize) -> Outcome<()> {
        let (dim, count) = (self.dim(), to - from);
        let mut first = 0;
        let mut direct = true;
        match (self.kept, self.job.kept) {
            (Some(_), Some(kept)) => match kept.places {
                Some(places) => {
                    self.engine.put(Use::Places, &places[from..to])?;
                    direct = false;
                }
                None => first = from,
            },
            _ => {
                let bytes = (count * dim * size_of::<f32>()) as u64;
                self.engine.scratch(Use::Queries, bytes)?;
                send(self.engine, self.engine.at(Use::Queries), self.job.rows.slice(from, to))?;
            }
        }
        if direct {
            self.engine.scratch(Use::Places, 0)?;
        }
        self.engine.scratch(Use::Bests, (count * size_of::<Best>()) as u64)?;
        let all = blocks(self.job.centroids.list(0).ids.len());
        let mut fresh = true;
        for (extent, begin) in self.resident.extents(0, 0, all) {
            let mut block = 0;
            while block < extent.blocks {
                let step = (self.work() / (count * dim * BLOCK)).clamp(1, extent.blocks - block);
                let shape = [dim, count, first, usize::from(direct), extent.start + block, step];
                let shape: Vec<u32> = shape.into_iter().map(to32).collect();
                let slot = to32((begin + block) * BLOCK);
                let shape = Shape::new(&[&shape[..], &[slot, u32::from(fresh)]].concat());
                self.submit(shape, extent.segment, count, step)?;
                fresh = false;
                block += step;
            }
        }
        self.engine.take(Use::Bests, count * size_of::<Best>() / size_of::<u32>(), &mut self.words)
    }

    /// One dispatch, over `blocks` of the centroids in a segment.
    fn submit(&mut self, shape: Shape, segment: usize, count: usize, blocks: usize) -> Outcome<()> {
        let work = (count * blocks * BLOCK * self.dim()) as f64;
        let engine = &mut *self.engine;
        engine.put(Use::Shapes, &[shape])?;
        let mut encoder = engine.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
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
        }
        let start = Instant::now();
        engine.run(encoder)?;
        if work > 1e6 {
            let rate = work / start.elapsed().as_secs_f64().max(1e-6);
            engine.assign_rate = (engine.assign_rate + rate) / 2.0;
        }
        Ok(())
    }

    /// Writes the label and the CPU's key of each row whose best is proven; the others go to `left`.
    fn judge(
        &mut self,
        context: &Context,
        from: usize,
        labels: &mut [u32],
        keys: &mut [f32],
        left: &mut Vec<u32>,
    ) -> Outcome<()> {
        if self.same {
            return self.accept(context, from, labels, keys, left);
        }
        let bests: &[Best] = bytemuck::cast_slice(&self.words);
        let centroids = self.job.centroids.list(0).ids.len();
        group(bests, centroids, &mut self.order);
        let mut exact = vec![f32::NAN; self.order.len()];
        let call = &*self;
        let pieces = Mutex::new(call.order.chunks(PIECE).zip(exact.chunks_mut(PIECE)));
        context.parallel(self.job.workers.min(1 + self.order.len() / PIECE), &|_| {
            let mut judge = Judge::new(context.kernels(), call);
            loop {
                let next = pieces.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((rows, keys)) = next else { break };
                let mut begin = 0;
                for same in rows.chunk_by(|&a, &b| bests[a as usize].slot == bests[b as usize].slot) {
                    for part in same.chunks(BLOCK) {
                        judge.keys(from, part, bests, &mut keys[begin..begin + part.len()]);
                        begin += part.len();
                    }
                }
            }
        })?;
        let mut proven = vec![false; bests.len()];
        for (&row, &key) in self.order.iter().zip(&exact) {
            let row = row as usize;
            if key.is_finite() {
                (labels[row], keys[row], proven[row]) = (bests[row].slot, key, true);
            }
        }
        left.extend((0..bests.len()).filter(|&row| !proven[row]).map(|row| to32(from + row)));
        Ok(())
    }
}

impl Call<'_> {
    /// Writes the label and the key of each row whose best is proven, as the device has them; the others go to `left`.
    fn accept(
        &self,
        context: &Context,
        from: usize,
        labels: &mut [u32],
        keys: &mut [f32],
        left: &mut Vec<u32>,
    ) -> Outcome<()> {
        let bests: &[Best] = bytemuck::cast_slice(&self.words);
        let (list, metric) = (self.job.centroids.list(0), self.job.metric);
        let pieces = Mutex::new(labels.chunks_mut(PIECE).zip(keys.chunks_mut(PIECE)).enumerate());
        let unproven = Mutex::new(Vec::new());
        context.parallel(self.job.workers.min(1 + bests.len() / PIECE), &|_| {
            let (mut row, mut own) = (Vec::new(), Vec::new());
            loop {
                let next = pieces.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some((piece, (labels, keys))) = next else { break };
                for (number, (label, key)) in (piece * PIECE..).zip(labels.iter_mut().zip(keys)) {
                    let best = &bests[number];
                    let values = self.job.rows.row(from + number, &mut row);
                    let norm = squared_norm(values);
                    let slot = best.slot as usize;
                    if slot < list.ids.len() && least(values) >= LEAST {
                        let norm_of_key = if metric == Metric::L2 { norm } else { 0.0 };
                        let scorer = Scorer::new(metric, values, norm_of_key);
                        let found = scorer.key(-from_ordered(best.key), &list, slot);
                        if found.is_finite() && self.proven(best.second, norm, found) {
                            (*label, *key) = (best.slot, found);
                            continue;
                        }
                    }
                    own.push(to32(from + number));
                }
            }
            unproven.lock().unwrap_or_else(PoisonError::into_inner).append(&mut own);
        })?;
        left.append(&mut unproven.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    /// Whether a best of this key is better than one of the device's key `second`, for a row of squared length `norm`.
    fn proven(&self, second: u32, norm: f32, key: f32) -> bool {
        if second == NONE {
            return true;
        }
        let (metric, largest) = (self.job.metric, self.resident.norm);
        // The device leaves |q|^2 out, which is the same for all.
        let raw = from_ordered(second);
        let second = if metric == Metric::L2 { norm + 2.0 * raw } else { raw };
        if !second.is_finite() {
            return false;
        }
        if self.same && is_settled(metric, second, norm, largest) {
            return second > key;
        }
        f64::from(second) > f64::from(key) + rounding(metric, self.job.rows.x.dim(), largest, norm, key)
    }
}

/// The rows by their best, in `order`; those without one of `centroids` are left out.
fn group(bests: &[Best], centroids: usize, order: &mut Vec<u32>) {
    let mut places = vec![0u32; centroids + 1];
    let valid = |best: &&Best| (best.slot as usize) < centroids;
    bests.iter().filter(valid).for_each(|best| places[best.slot as usize + 1] += 1);
    for slot in 0..centroids {
        places[slot + 1] += places[slot];
    }
    order.clear();
    order.resize(places[centroids] as usize, 0);
    for (row, best) in (0u32..).zip(bests).filter(|(_, best)| valid(best)) {
        let place = &mut places[best.slot as usize];
        order[*place as usize] = row;
        *place += 1;
    }
}

/// One worker's memory for recomputing keys as [`nearest`] computes them. Rows are the lanes here and a centroid the
/// query: the same products are added in the same order.
struct Judge<'a> {
    kernels: &'static Kernels,
    call: &'a Call<'a>,
    job: &'a AssignJob<'a>,
    centroid: Vec<f32>,
    packed: Vec<f32>,
    block: Vec<f32>,
    row: Vec<f32>,
    tile: Box<TileOutput>,
}

impl<'a> Judge<'a> {
    fn new(kernels: &'static Kernels, call: &'a Call<'a>) -> Self {
        let job = call.job;
        let (centroid, packed, block, row) = Default::default();
        Self { kernels, call, job, centroid, packed, block, row, tile: Box::new(TileOutput::new()) }
    }

    /// Writes the keys of `rows` (at most a block of them, counted from `from`), which have the same best; NaN where
    /// another centroid might be as near.
    fn keys(&mut self, from: usize, rows: &[u32], bests: &[Best], keys: &mut [f32]) {
        let dim = self.job.rows.x.dim();
        let list = self.job.centroids.list(0);
        let slot = bests[rows[0] as usize].slot as usize;
        let (base, stride) = locate(slot, list.bias.len(), dim);
        self.centroid.clear();
        with_values!(list.vectors, values => {
            widen(values[base..].iter().step_by(stride).take(dim), &mut self.centroid);
        });
        pack(&[&self.centroid], dim, &mut self.packed);
        self.block.clear();
        self.block.resize(dim * BLOCK, 0.0);
        for (lane, &row) in rows.iter().enumerate() {
            let values = self.job.rows.row(from + row as usize, &mut self.row);
            self.block[lane..].iter_mut().step_by(BLOCK).zip(values).for_each(|(to, &value)| *to = value);
        }
        let input = TileInput {
            dim,
            count: 1,
            queries: &self.packed,
            thresholds: &[f32::NEG_INFINITY],
            vectors: self.block.as_slice().into(),
            halves: &[],
            bias: &[list.bias[slot]; BLOCK],
            scaled: None,
        };
        self.kernels.tile(input, &mut self.tile);
        let metric = self.job.metric;
        for (lane, (&row, key)) in rows.iter().zip(keys).enumerate() {
            let values = self.job.rows.row(from + row as usize, &mut self.row);
            let norm = squared_norm(values);
            let scorer = Scorer::new(metric, values, if metric == Metric::L2 { norm } else { 0.0 });
            let own = scorer.key(self.tile.scores[0][0][lane], &list, slot);
            let proven = self.call.proven(bests[row as usize].second, norm, own);
            *key = if proven { own } else { f32::NAN };
        }
    }
}

fn widen<'a, E: Scalar>(from: impl Iterator<Item = &'a E>, to: &mut Vec<f32>) {
    to.extend(from.map(|&value| -> f32 { value.into() }));
}
