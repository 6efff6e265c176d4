//! Runs a job on the device, round by round: keys of all that the queries visit, then what is best of each row.
//!
//! While the device works on a round, the CPU prepares the next and judges the last at once: a little more than k is selected,
//! and [`super::exact`] proves that nothing else can be among the k best; queries for which it cannot go to the CPU.

use std::collections::VecDeque;
use std::time::Instant;

use super::assign;
use super::device::{Engine, Fault, Gpu, Outcome};
use super::exact::{Candidate, Carried, Judge, Judged};
use super::land::{Flight, Landed};
use super::pipelines::Kernel;
use super::resident::Resident;
use super::rounds::{self, Limits, Round, Rounds, Row, Sorter};
use super::scratch::{TURNS, Use};
use super::staging::Part;
use super::verify::arithmetic_is_the_cpus;
use crate::backend::{AssignJob, Backend, ScanJob, cpu};
use crate::collect::Sink;
use crate::context::Context;
use crate::element::Element;
use crate::error::Result;
use crate::metric::Metric;
use crate::topk::Hit;

/// How long a submission should take: a system resets a driver that is busy for about two seconds.
pub(super) const SUBMISSION_SECONDS: f64 = 0.05;

/// Lanes of a round: at least enough to fill a device; at most what memory is kept for, and what leaves a large job in
/// enough rounds for the CPU's part to be done meanwhile.
const LANES: std::ops::RangeInclusive<usize> = 1 << 15..=1 << 25;

/// Bytes of queries in a round, and how many there are at most, for the same reason.
const QUERY_BYTES: usize = 64 << 20;
const QUERIES: usize = 1 << 12;

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
pub(super) struct DeviceRow {
    start: u32,
    length: u32,
    pub(super) wanted: u32,
    pub(super) place: u32,
}

impl Backend for Gpu {
    fn best(&self, context: &Context, job: &ScanJob<'_>, k: usize, sink: &dyn Sink) -> Result<bool> {
        let left = self.with_lists(context, job, |engine, resident| {
            let same = arithmetic_is_the_cpus(context, self, engine, resident)?;
            let judge = Judge::new(context, job, resident.norm, same);
            // Of a few more than k the last is, as a rule, far enough from the k-th to tell.
            let more = if same { k + 2 } else { k + k / 16 + 16 };
            let mut call = Call::new(engine, job);
            let (mut left, mut carried, mut done) = (Vec::new(), Carried::default(), 0);
            let mut flying = VecDeque::new();
            for _ in 1..TURNS {
                if let Some(flight) = call.launch(resident, more)? {
                    flying.push_back((flight, call.rounds.done()));
                }
            }
            while let Some((flight, ready)) = flying.pop_front() {
                let landed = call.land(flight)?;
                let mut next = Ok(None);
                let judged = Judged { from: done, to: ready, k, landed: &landed };
                judge.best(&judged, &mut carried, sink, &mut left, || next = call.launch(resident, more))?;
                if let Some(flight) = next? {
                    flying.push_back((flight, call.rounds.done()));
                }
                done = ready;
                call.reuse(landed);
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
            let judge = Judge::new(context, job, resident.norm, false);
            let mut found = Vec::new();
            let mut candidates = Vec::new();
            let mut call = Call::new(engine, job);
            while call.next(resident)? {
                call.gather(resident, |query| ordered(judge.reach(query, key)), &mut candidates)?;
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
pub(super) struct Call<'a> {
    engine: &'a mut Engine,
    job: &'a ScanJob<'a>,
    rounds: Rounds<'a>,
    round: Round,
    /// Words of `rounds.passing` that the device has.
    sent: usize,
    rows: Vec<DeviceRow>,
    /// When the last round was done.
    landed: Instant,
    /// Which of the buffers the round goes through to the device and back.
    turn: usize,
}

/// What rounds use again.
#[derive(Default)]
pub(super) struct Spare {
    sorter: Sorter,
    rounds: Vec<(Round, Vec<DeviceRow>)>,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.engine.spare.sorter = std::mem::take(&mut self.rounds.sorter);
        self.keep();
    }
}

impl<'a> Call<'a> {
    pub(super) fn new(engine: &'a mut Engine, job: &'a ScanJob<'a>) -> Self {
        let rounds = Rounds::new(job, std::mem::take(&mut engine.spare.sorter));
        let (round, rows) = engine.spare.rounds.pop().unwrap_or_default();
        Self { engine, job, rounds, round, sent: usize::MAX, rows, landed: Instant::now(), turn: 0 }
    }

    /// Hands the next round to the device, the keys of all that its queries visit and the `k` best of each; `None` when
    /// there is none.
    pub(super) fn launch(&mut self, resident: &Resident, k: usize) -> Outcome<Option<Flight>> {
        if !self.next(resident)? {
            return Ok(None);
        }
        let hits = self.want(|row| {
            let wanted = k.min(row.length as usize);
            (to32(wanted), wanted)
        });
        let mut submitted = None;
        if self.round.lanes > 0 {
            let word = size_of::<u32>() as u64;
            let (summaries, found) = (2 * self.rows.len() as u64 * word, 2 * hits as u64 * word);
            let back = Use::ReadBack(self.turn);
            self.engine.scratch(Use::Hits, found)?;
            self.engine.scratch(Use::Summaries, summaries)?;
            self.engine.scratch(back, summaries + found)?;
            let mut encoder = self.encode_keys(resident)?;
            self.encode_rows(&mut encoder, Kernel::Best, &[Use::Hits, Use::Summaries]);
            let (engine, to) = (&self.engine, self.engine.at(back));
            encoder.copy_buffer_to_buffer(engine.at(Use::Summaries), 0, to, 0, summaries);
            encoder.copy_buffer_to_buffer(engine.at(Use::Hits), 0, to, summaries, found);
            submitted = Some((self.engine.submit(encoder)?, back));
        }
        let (round, rows) = self.engine.spare.rounds.pop().unwrap_or_default();
        let (round, rows) =
            (std::mem::replace(&mut self.round, round), std::mem::replace(&mut self.rows, rows));
        Ok(Some(Flight { round, rows, hits, submitted, started: Instant::now() }))
    }

    /// Waits for a round.
    pub(super) fn land(&mut self, flight: Flight) -> Outcome<Landed> {
        let (lanes, started) = (flight.round.lanes, flight.started);
        let landed = flight.land(self.engine)?;
        self.time(lanes, started);
        Ok(landed)
    }

    /// Takes the memory of a round that is done with.
    fn reuse(&mut self, landed: Landed) {
        self.engine.spare.rounds.push(landed.into_parts());
    }

    /// Gives back the memory of the round that was to come.
    fn keep(&mut self) {
        let round = (std::mem::take(&mut self.round), std::mem::take(&mut self.rows));
        self.engine.spare.rounds.push(round);
    }

    /// Notes how fast the device was, if it began at `start` and was not busy before.
    fn time(&mut self, lanes: usize, start: Instant) {
        let work = (lanes * self.job.dim) as f64;
        let start = start.max(self.landed);
        self.landed = Instant::now();
        if work > 1e6 {
            let rate = work / (self.landed - start).as_secs_f64().max(1e-6);
            self.engine.rate = (self.engine.rate + rate) / 2.0;
        }
    }

    /// Goes on to the next round; false when there is none.
    fn next(&mut self, resident: &Resident) -> Outcome<bool> {
        let limits = self.limits()?;
        self.turn = (self.turn + 1) % TURNS;
        Ok(self.rounds.next(&limits, resident, &mut self.round)?)
    }

    /// The commands that compute the round's keys, and send what that takes and `rows` for what follows.
    fn encode_keys(&mut self, resident: &Resident) -> Outcome<wgpu::CommandEncoder> {
        let Self { engine, job, rounds, round, rows, sent, turn, .. } = self;
        let dim = job.dim;
        let queries = &job.queries[round.queries.start * dim..round.queries.end * dim];
        let mut shapes: Vec<Shape> = round
            .dispatches
            .iter()
            .map(|dispatch| {
                Shape::new(&[
                    to32(dim),
                    u32::from(job.metric == Metric::L2),
                    u32::from(job.filter.is_some()),
                    to32(dispatch.tiles.start),
                    to32(dispatch.tiles.len()),
                    to32(queries.len()),
                ])
            })
            .collect();
        // Behind them the rows' own.
        shapes.push(Shape::new(&[0, to32(round.rows.len())]));
        let mut parts = vec![
            Part::new(Use::Queries, queries).and(&round.norms),
            Part::new(Use::Tiles, &round.tiles),
            Part::new(Use::Pairs, &round.pairs),
            Part::new(Use::Rows, rows),
            Part::new(Use::Shapes, &shapes),
        ];
        if *sent != rounds.passing.len() {
            parts.push(Part::new(Use::Passing, &rounds.passing));
            *sent = rounds.passing.len();
        }
        let mut encoder = engine.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        engine.stage(&mut encoder, Use::Staging(*turn), &parts)?;
        engine.scratch(Use::Keys, (round.lanes * size_of::<u32>()) as u64)?;
        let element = resident.element();
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for (number, dispatch) in round.dispatches.iter().enumerate() {
            let pipeline = engine.pipelines.get(kernel(dispatch.shape, element));
            pass.set_pipeline(pipeline);
            let segment = &resident.segments[dispatch.segment];
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
            dispatch_groups(&mut pass, dispatch.tiles.len());
        }
        drop(pass);
        Ok(encoder)
    }

    /// What the next round may need: a twentieth of a second of work, and memory for its keys and hits.
    fn limits(&self) -> Outcome<Limits> {
        let engine = &self.engine;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let work = (engine.rate * SUBMISSION_SECONDS) as usize / self.job.dim;
        // A key, and at worst a hit of twice its size, there and twice to be read back.
        let lane_bytes = (size_of::<u32>() + 3 * size_of::<[u32; 2]>()) as u64;
        let room = (engine.room() + engine.scratch.bytes()) / 2 / lane_bytes;
        let bound = engine.limits.max_storage_buffer_binding_size / size_of::<[u32; 2]>() as u64;
        let most = usize::try_from(room.min(bound)).unwrap_or(usize::MAX);
        if most < crate::lists::block::BLOCK {
            return Err(Fault::Memory);
        }
        let bytes = usize::try_from(engine.limits.max_storage_buffer_binding_size).unwrap_or(usize::MAX);
        let queries = (QUERY_BYTES.min(bytes) / (self.job.dim * size_of::<f32>())).clamp(1, QUERIES);
        Ok(Limits { lanes: work.clamp(*LANES.start(), *LANES.end()).min(most), queries })
    }

    /// Notes what is wanted of each of the round's rows and how many hits there will be; all hits.
    fn want(&mut self, wanted: impl Fn(&Row) -> (u32, usize)) -> usize {
        self.rows.clear();
        let mut place = 0;
        for row in &self.round.rows {
            let (wanted, hits) = wanted(row);
            self.rows.push(DeviceRow { start: row.start, length: row.length, wanted, place: to32(place) });
            place += hits;
        }
        place
    }

    /// Adds `kernel` to the commands, a workgroup a row.
    fn encode_rows(&self, encoder: &mut wgpu::CommandEncoder, kernel: Kernel, outputs: &[Use]) {
        let engine = &*self.engine;
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        let pipeline = engine.pipelines.get(kernel);
        pass.set_pipeline(pipeline);
        let mut buffers = vec![engine.at(Use::Rows), engine.at(Use::Keys)];
        buffers.extend(outputs.iter().map(|&output| engine.at(output)));
        engine.bind(&mut pass, pipeline, self.round.dispatches.len(), &buffers);
        dispatch_groups(&mut pass, self.rows.len());
    }

    /// All keys of each row of the round up to its query's `bar`, into `candidates`.
    fn gather(
        &mut self,
        resident: &Resident,
        bar: impl Fn(usize) -> u32,
        candidates: &mut Vec<(usize, Candidate)>,
    ) -> Outcome<()> {
        if self.round.lanes == 0 {
            return Ok(());
        }
        self.want(|row| (bar(row.query), 0));
        let rows = self.rows.len();
        self.engine.scratch(Use::Summaries, (rows * size_of::<u32>()) as u64)?;
        let start = Instant::now();
        let mut encoder = self.encode_keys(resident)?;
        self.encode_rows(&mut encoder, Kernel::Count, &[Use::Summaries]);
        self.engine.run(encoder)?;
        self.time(self.round.lanes, start);
        let (mut counts, mut found) = (Vec::new(), Vec::new());
        self.engine.take(Use::Summaries, rows, &mut counts)?;
        let mut total = 0;
        for (row, &count) in self.rows.iter_mut().zip(&counts) {
            row.place = to32(total);
            total += count as usize;
        }
        if total > 0 {
            self.engine.put(Use::Rows, &self.rows)?;
            self.engine.scratch(Use::Hits, (total * size_of::<u32>()) as u64)?;
            let mut encoder =
                self.engine.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            self.encode_rows(&mut encoder, Kernel::Gather, &[Use::Hits]);
            self.engine.run(encoder)?;
            self.engine.take(Use::Hits, total, &mut found)?;
        }
        for ((row, sent), &count) in self.round.rows.iter().zip(&self.rows).zip(&counts) {
            for &at in &found[sent.place as usize..][..count as usize] {
                let (list, slot) = self.round.locate(row, at);
                candidates.push((row.query, Candidate { list, slot, key: NONE }));
            }
        }
        Ok(())
    }
}

/// The kernel for tiles of this shape.
fn kernel(shape: rounds::Shape, element: Element) -> Kernel {
    match shape {
        rounds::Shape::Few => Kernel::Scan(element),
        rounds::Shape::Many => Kernel::ScanMany(element),
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
pub(super) fn dispatch_groups(pass: &mut wgpu::ComputePass<'_>, groups: usize) {
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
