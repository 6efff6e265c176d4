//! Runs a job on the device, round by round: keys of all that the queries visit, then what is best of each row.
//!
//! The device's keys are rounded otherwise than the CPU's. So a little more than k is selected, and
//! [`super::exact`] recomputes those with the CPU's arithmetic and proves that nothing else can be among the k best;
//! queries for which it cannot go to the CPU.

use std::time::Instant;

use super::assign;
use super::device::{Engine, Fault, Gpu, Outcome};
use super::exact::{Candidate, Judge};
use super::pipelines::Kernel;
use super::resident::Resident;
use super::rounds::{Limits, Round, Rounds};
use super::scratch::Use;
use crate::backend::{AssignJob, Backend, ScanJob, cpu};
use crate::collect::Sink;
use crate::context::Context;
use crate::error::Result;
use crate::metric::Metric;
use crate::topk::Hit;

/// How long a submission should take: a system resets a driver that is busy for about two seconds.
pub(super) const SUBMISSION_SECONDS: f64 = 0.05;

/// Lanes of a round: at least enough to fill a device, at most what memory is kept for.
const LANES: std::ops::RangeInclusive<usize> = 1 << 15..=1 << 24;

/// Bytes of queries in a round.
const QUERY_BYTES: usize = 64 << 20;

/// `NONE` in key.wgsl.
pub(super) const NONE: u32 = u32::MAX;

/// Between the shapes of two dispatches in their buffer.
const SHAPE_STRIDE: usize = 256;

/// `Shape` of all our shaders; each has as many fields as it needs.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Shape([u32; SHAPE_STRIDE / 4]);

impl Shape {
    pub(super) fn new(fields: &[u32]) -> Self {
        let mut shape = Self([0; SHAPE_STRIDE / 4]);
        shape.0[..fields.len()].copy_from_slice(fields);
        shape
    }
}

/// `Row` of select.wgsl and within.wgsl.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct DeviceRow {
    start: u32,
    length: u32,
    wanted: u32,
    place: u32,
}

impl Backend for Gpu {
    fn best(&self, context: &Context, job: &ScanJob<'_>, k: usize, sink: &dyn Sink) -> Result<bool> {
        // Of a few more than k the last is, as a rule, far enough from the k-th to tell.
        let more = k + k / 16 + 16;
        let left = self.with_lists(context, job, |engine, resident| {
            let judge = Judge::new(context, job, resident.norm);
            let mut left = Vec::new();
            let (mut candidates, mut bars) = (Vec::new(), Vec::new());
            let mut done = 0;
            let mut call = Call::new(engine, job);
            while call.next(resident)? {
                call.select(more, &mut candidates, &mut bars)?;
                let ready = call.rounds.done();
                judge.best((done, ready), k, &mut candidates, &mut bars, sink, &mut left)?;
                done = ready;
            }
            Ok(left)
        })?;
        match left {
            None => Ok(false),
            Some(left) => {
                cpu::best_of(context, job, &left, k, sink)?;
                Ok(true)
            }
        }
    }

    fn within(&self, context: &Context, job: &ScanJob<'_>, key: f32) -> Result<Option<Vec<(u32, Hit)>>> {
        self.with_lists(context, job, |engine, resident| {
            let judge = Judge::new(context, job, resident.norm);
            let mut found = Vec::new();
            let mut candidates = Vec::new();
            let mut call = Call::new(engine, job);
            while call.next(resident)? {
                call.gather(|query| ordered(judge.reach(query, key)), &mut candidates)?;
                judge.within(key, &mut candidates, &mut found)?;
            }
            Ok(found)
        })
    }

    fn assign(
        &self,
        context: &Context,
        job: &AssignJob<'_>,
        labels: &mut [u32],
        keys: &mut [f32],
    ) -> Result<bool> {
        assign::assign(self, context, job, labels, keys)
    }
}

impl Gpu {
    /// Runs `work` with a copy of the job's lists on the device; `None` if that cannot be.
    fn with_lists<T>(
        &self,
        context: &Context,
        job: &ScanJob<'_>,
        mut work: impl FnMut(&mut Engine, &Resident) -> Outcome<T>,
    ) -> Result<Option<T>> {
        let Some(slot) = job.lists.device() else { return Ok(None) };
        self.with(|engine| {
            let mut copy = slot.copy.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let resident = Resident::sync(&mut copy, self, engine, context.kernels(), job.lists, job.dim)?;
            work(engine, resident)
        })
    }
}

/// A job under way.
struct Call<'a> {
    engine: &'a mut Engine,
    job: &'a ScanJob<'a>,
    rounds: Rounds<'a>,
    round: Round,
    /// Words of `rounds.passing` that the device has.
    sent: usize,
    rows: Vec<DeviceRow>,
    words: Vec<u32>,
    more_words: Vec<u32>,
}

impl<'a> Call<'a> {
    fn new(engine: &'a mut Engine, job: &'a ScanJob<'a>) -> Self {
        Self {
            engine,
            job,
            rounds: Rounds::new(job),
            round: Round::default(),
            sent: usize::MAX,
            rows: Vec::new(),
            words: Vec::new(),
            more_words: Vec::new(),
        }
    }

    /// Computes the keys of the next round; false when there is none.
    fn next(&mut self, resident: &Resident) -> Outcome<bool> {
        let limits = self.limits()?;
        if !self.rounds.next(&limits, resident, &mut self.round)? {
            return Ok(false);
        }
        let Self { engine, job, rounds, round, .. } = self;
        if round.lanes == 0 {
            return Ok(true);
        }
        let dim = job.dim;
        engine.put(Use::Queries, &job.queries[round.queries.start * dim..round.queries.end * dim])?;
        engine.put(Use::Tiles, &round.tiles)?;
        engine.put(Use::Pairs, &round.pairs)?;
        if self.sent != rounds.passing.len() {
            engine.put(Use::Passing, &rounds.passing)?;
            self.sent = rounds.passing.len();
        }
        engine.scratch(Use::Keys, (round.lanes * size_of::<u32>()) as u64)?;
        let shapes: Vec<Shape> = round
            .segments
            .windows(2)
            .map(|range| {
                Shape::new(&[
                    to32(dim),
                    u32::from(job.metric == Metric::L2),
                    u32::from(job.filter.is_some()),
                    to32(range[0]),
                    to32(range[1] - range[0]),
                ])
            })
            .collect();
        engine.put(Use::Shapes, &shapes)?;
        let element = job.lists.list(0).vectors.element();
        let mut encoder = engine.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            let pipeline = engine.pipelines.get(Kernel::Scan(element));
            pass.set_pipeline(pipeline);
            for (number, (segment, tiles)) in
                resident.segments.iter().zip(round.segments.windows(2)).enumerate()
            {
                if tiles[0] == tiles[1] {
                    continue;
                }
                let buffers = [
                    segment.vectors.buffer(),
                    segment.bias.buffer(),
                    engine.at(Use::Tiles),
                    engine.at(Use::Pairs),
                    engine.at(Use::Queries),
                    engine.at(Use::Passing),
                    engine.at(Use::Keys),
                ];
                engine.bind(&mut pass, pipeline, number, &buffers);
                dispatch(&mut pass, tiles[1] - tiles[0]);
            }
        }
        let start = Instant::now();
        engine.run(encoder)?;
        let work = (round.lanes * dim) as f64;
        if work > 1e6 {
            let rate = work / start.elapsed().as_secs_f64().max(1e-6);
            engine.rate = (engine.rate + rate) / 2.0;
        }
        Ok(true)
    }

    /// What the next round may need: a twentieth of a second of work, and memory for its keys and hits.
    fn limits(&self) -> Outcome<Limits> {
        let engine = &self.engine;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let work = (engine.rate * SUBMISSION_SECONDS) as usize / self.job.dim;
        // A key, and at worst a hit of twice its size, there and to be read back.
        let lane_bytes = (size_of::<u32>() + 2 * size_of::<[u32; 2]>()) as u64;
        let room = (engine.room() + engine.scratch.bytes()) / 2 / lane_bytes;
        let bound = engine.limits.max_storage_buffer_binding_size / size_of::<[u32; 2]>() as u64;
        let most = usize::try_from(room.min(bound)).unwrap_or(usize::MAX);
        if most < crate::lists::block::BLOCK {
            return Err(Fault::Memory);
        }
        let bytes = usize::try_from(engine.limits.max_storage_buffer_binding_size).unwrap_or(usize::MAX);
        let queries = (QUERY_BYTES.min(bytes) / (self.job.dim * size_of::<f32>())).max(1);
        Ok(Limits { lanes: work.clamp(*LANES.start(), *LANES.end()).min(most), queries })
    }

    /// Sends the round's rows, each with what is `wanted` of it and where its hits begin; how many hits that are.
    fn put_rows(&mut self, wanted: impl Fn(usize) -> (u32, usize)) -> Outcome<usize> {
        self.rows.clear();
        let mut place = 0;
        for (number, row) in self.round.rows.iter().enumerate() {
            let (wanted, hits) = wanted(number);
            self.rows.push(DeviceRow { start: row.start, length: row.length, wanted, place: to32(place) });
            place += hits;
        }
        self.engine.put(Use::Rows, &self.rows)?;
        self.engine.put(Use::Shapes, &[Shape::new(&[0, to32(self.rows.len())])])?;
        Ok(place)
    }

    /// Dispatches `kernel`, a workgroup a row.
    fn run_rows(&mut self, kernel: Kernel, outputs: &[Use]) -> Outcome<()> {
        let engine = &mut *self.engine;
        let mut encoder = engine.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            let pipeline = engine.pipelines.get(kernel);
            pass.set_pipeline(pipeline);
            let mut buffers = vec![engine.at(Use::Rows), engine.at(Use::Keys)];
            buffers.extend(outputs.iter().map(|&output| engine.at(output)));
            engine.bind(&mut pass, pipeline, 0, &buffers);
            dispatch(&mut pass, self.rows.len());
        }
        engine.run(encoder)
    }

    /// The `k` best of each row, into `candidates`, and in `bars` the key of each query below which nothing else is.
    fn select(
        &mut self,
        k: usize,
        candidates: &mut Vec<Candidate>,
        bars: &mut Vec<(usize, u32)>,
    ) -> Outcome<()> {
        if self.round.lanes == 0 {
            return Ok(());
        }
        let length: Vec<u32> = self.round.rows.iter().map(|row| row.length).collect();
        let wanted = |row: usize| {
            let wanted = k.min(length[row] as usize);
            (to32(wanted), wanted)
        };
        let hits = self.put_rows(wanted)?;
        self.engine.scratch(Use::Hits, (hits * size_of::<[u32; 2]>()) as u64)?;
        let rows = self.rows.len();
        self.engine.scratch(Use::Summaries, (rows * size_of::<[u32; 2]>()) as u64)?;
        self.run_rows(Kernel::Best, &[Use::Hits, Use::Summaries])?;
        self.engine.take(Use::Summaries, rows * 2, &mut self.words)?;
        self.engine.take(Use::Hits, hits * 2, &mut self.more_words)?;
        for ((row, sent), summary) in self.round.rows.iter().zip(&self.rows).zip(self.words.chunks_exact(2)) {
            let (count, bar) = (summary[0].min(sent.wanted) as usize, summary[1]);
            let hits = &self.more_words[2 * sent.place as usize..][..2 * count];
            for hit in hits.chunks_exact(2) {
                let (list, slot) = self.round.locate(row, hit[1].min(row.length - 1));
                candidates.push(Candidate { query: row.query, list, slot });
            }
            if bar != NONE {
                bars.push((row.query, bar));
            }
        }
        Ok(())
    }

    /// All keys of each row up to its query's `bar`, into `candidates`.
    fn gather(&mut self, bar: impl Fn(usize) -> u32, candidates: &mut Vec<Candidate>) -> Outcome<()> {
        if self.round.lanes == 0 {
            return Ok(());
        }
        let bars: Vec<u32> = self.round.rows.iter().map(|row| bar(row.query)).collect();
        self.put_rows(|row| (bars[row], 0))?;
        let rows = self.rows.len();
        self.engine.scratch(Use::Summaries, (rows * size_of::<u32>()) as u64)?;
        self.run_rows(Kernel::Count, &[Use::Summaries])?;
        self.engine.take(Use::Summaries, rows, &mut self.words)?;
        let counts = std::mem::take(&mut self.words);
        let total = self.put_rows(|row| (bars[row], counts[row] as usize))?;
        if total > 0 {
            self.engine.scratch(Use::Hits, (total * size_of::<u32>()) as u64)?;
            self.run_rows(Kernel::Gather, &[Use::Hits])?;
            self.engine.take(Use::Hits, total, &mut self.more_words)?;
            for ((row, sent), &count) in self.round.rows.iter().zip(&self.rows).zip(&counts) {
                for &at in &self.more_words[sent.place as usize..][..count as usize] {
                    let (list, slot) = self.round.locate(row, at.min(row.length - 1));
                    candidates.push(Candidate { query: row.query, list, slot });
                }
            }
        }
        self.words = counts;
        Ok(())
    }
}

impl Engine {
    /// Binds the shape of this `number` and `buffers` behind it.
    pub(super) fn bind(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        pipeline: &wgpu::ComputePipeline,
        number: usize,
        buffers: &[&wgpu::Buffer],
    ) {
        let shape = wgpu::BufferBinding {
            buffer: self.at(Use::Shapes),
            offset: (number * SHAPE_STRIDE) as u64,
            size: std::num::NonZeroU64::new(SHAPE_STRIDE as u64),
        };
        let mut entries =
            vec![wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(shape) }];
        for (binding, buffer) in (1u32..).zip(buffers) {
            entries.push(wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() });
        }
        let layout = pipeline.get_bind_group_layout(0);
        let descriptor = wgpu::BindGroupDescriptor { label: None, layout: &layout, entries: &entries };
        pass.set_bind_group(0, &self.device.create_bind_group(&descriptor), &[]);
    }
}

/// Dispatches `groups` workgroups: a dimension has 65,535 at most, so they fold into two.
pub(super) fn dispatch(pass: &mut wgpu::ComputePass<'_>, groups: usize) {
    let x = groups.clamp(1, 65_535);
    pass.dispatch_workgroups(to32(x), to32(groups.div_ceil(x)), 1);
}

/// A float as key.wgsl orders it; never NONE.
fn ordered(key: f32) -> u32 {
    let bits = key.to_bits();
    let ordered = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    ordered.min(NONE - 1)
}

pub(super) fn to32(number: usize) -> u32 {
    u32::try_from(number).expect("invariant: a round is limited to what 32 bits address")
}
