//! A job under way: rounds planned, sent to the device, and waited for.

use std::time::Instant;

use super::device::{Engine, Fault, Outcome};
use super::encode::{DeviceRow, NONE, SUBMISSION_SECONDS, Shape, dispatch_groups, kernel, to32};
use super::exact::Candidate;
use super::held::{Book, Held, affine};
use super::land::{Flight, Landed};
use super::pipelines::Kernel;
use super::planner::{self, Planner};
use super::resident::Resident;
use super::rounds::{Limits, Round, Row};
use super::scratch::{TURNS, Use};
use super::staging::Part;
use crate::backend::prepared::Prepared;
use crate::backend::{Affine, Codes, ScanJob};
use crate::context::Context;
use crate::kernel::{Kernels, Steps, most};
use crate::lists::block::BLOCK;
use crate::metric::Metric;

/// Lanes of a round: at least enough to fill a device; at most what memory is kept for.
const LANES: std::ops::RangeInclusive<usize> = 1 << 15..=1 << 26;

/// Bytes of queries and their squared lengths in a round, and how many there are at most, so that a large job has rounds
/// enough for the CPU's part to be done meanwhile.
const QUERY_BYTES: usize = 64 << 20;
const QUERIES: usize = 1 << 12;

/// Numbers of a pair at most, where pairs have any, and of a query with tables.
const NUMBERS: usize = 6;
const TABLE_NUMBERS: usize = 3;

/// A job under way.
pub(super) struct Call<'a> {
    sender: Sender<'a>,
    planner: Planner<'a>,
}

/// The part that talks to the device.
pub(super) struct Sender<'a> {
    engine: &'a mut Engine,
    job: &'a ScanJob<'a>,
    /// When the last round was done.
    landed: Instant,
    /// Which of the buffers the round goes through to the device and back.
    turn: usize,
    kernels: &'static Kernels,
    /// What is made of queries before they go.
    prepared: Prepared,
}

/// What rounds use again.
#[derive(Default)]
pub(super) struct Spare {
    planner: planner::Spare,
    prepared: Prepared,
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let prepared = std::mem::take(&mut self.sender.prepared);
        self.sender.engine.spare = Spare { planner: self.planner.take_spare(), prepared };
    }
}

impl<'a> Call<'a> {
    pub(super) fn new(context: &'a Context, engine: &'a mut Engine, job: &'a ScanJob<'a>) -> Self {
        let Spare { planner, prepared } = std::mem::take(&mut engine.spare);
        let (planner, kernels) = (Planner::new(context, job, planner), context.kernels());
        Self { sender: Sender { engine, job, landed: Instant::now(), turn: 0, kernels, prepared }, planner }
    }

    /// The next round; `None` when there is none.
    pub(super) fn plan(&mut self, resident: &Resident) -> Outcome<Option<Round>> {
        let limits = self.limits()?;
        Ok(self.planner.next(&limits, resident)?)
    }

    /// Hands a round to the device, the keys of all that its queries visit and the `k` best of each.
    pub(super) fn launch(&mut self, round: Round, resident: &Resident, k: usize) -> Outcome<Flight> {
        self.sender.launch(round, resident, k)
    }

    /// Waits for a round, unless the job is cancelled.
    pub(super) fn land(&mut self, flight: Flight) -> Outcome<Landed> {
        self.sender.job.cancel.check()?;
        let (lanes, started) = (flight.round.lanes, flight.started);
        let landed = flight.land(self.sender.engine)?;
        self.sender.time(lanes, started);
        Ok(landed)
    }

    /// All keys of each row of a round up to its query's `bar`, into `candidates`.
    pub(super) fn gather(
        &mut self,
        round: Round,
        resident: &Resident,
        bar: impl Fn(usize) -> u32,
        candidates: &mut Vec<(usize, Candidate)>,
    ) -> Outcome<Round> {
        self.sender.gather(round, resident, bar, candidates)
    }

    /// Takes the memory of a round that is done with.
    pub(super) fn reuse(&mut self, round: Round) {
        self.planner.reuse(round);
    }

    /// What the next round may need: a twentieth of a second of work, and memory for its keys and hits.
    fn limits(&self) -> Outcome<Limits> {
        let Sender { engine, job, .. } = &self.sender;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let work = (engine.rate * SUBMISSION_SECONDS) as usize / job.dim;
        // A key and an eighth of a least one, and at worst a hit of twice its size, there and twice to be read back.
        let lane_bytes = (size_of::<u32>() + 1 + 3 * size_of::<[u32; 2]>()) as u64;
        let room = (engine.room() + engine.scratch.bytes()) / 2 / lane_bytes;
        let bound = engine.limits.max_storage_buffer_binding_size / size_of::<[u32; 2]>() as u64;
        let most = usize::try_from(room.min(bound)).unwrap_or(usize::MAX);
        if most < BLOCK {
            return Err(Fault::Memory);
        }
        let bytes = usize::try_from(engine.limits.max_storage_buffer_binding_size).unwrap_or(usize::MAX);
        let query = match job.codes {
            Codes::Product(codes) => codes.table_bytes() + TABLE_NUMBERS * size_of::<f32>(),
            _ => (job.dim + 1) * size_of::<f32>(),
        };
        let queries = (QUERY_BYTES.min(bytes) / query).clamp(1, QUERIES);
        Ok(Limits { lanes: work.clamp(*LANES.start(), *LANES.end()).min(most), queries })
    }
}

impl Sender<'_> {
    /// See [`Call::launch`].
    pub(super) fn launch(&mut self, mut round: Round, resident: &Resident, k: usize) -> Outcome<Flight> {
        self.turn = (self.turn + 1) % TURNS;
        let hits = want(&mut round, |row| {
            let wanted = k.min(row.length as usize);
            (to32(wanted), wanted)
        });
        let mut submitted = None;
        if round.lanes > 0 {
            let word = size_of::<u32>() as u64;
            let (summaries, found) = (2 * round.rows.len() as u64 * word, 2 * hits as u64 * word);
            let back = Use::ReadBack(self.turn);
            self.engine.scratch(Use::Hits, found)?;
            self.engine.scratch(Use::Summaries, summaries)?;
            self.engine.scratch(back, summaries + found)?;
            let mut encoder = self.encode_keys(&round, resident)?;
            self.encode_rows(&mut encoder, &round, Kernel::Best, &[Use::Hits, Use::Summaries]);
            let (engine, to) = (&self.engine, self.engine.at(back));
            encoder.copy_buffer_to_buffer(engine.at(Use::Summaries), 0, to, 0, summaries);
            encoder.copy_buffer_to_buffer(engine.at(Use::Hits), 0, to, summaries, found);
            submitted = Some((self.engine.submit(encoder)?, back));
        }
        Ok(Flight { round, hits, submitted, started: Instant::now() })
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

    /// The commands that compute the round's keys, and send what that takes and what follows.
    fn encode_keys(&mut self, round: &Round, resident: &Resident) -> Outcome<wgpu::CommandEncoder> {
        let Self { engine, job, turn, kernels, prepared, .. } = self;
        let dim = job.dim;
        let queries = &job.queries[round.queries.start * dim..round.queries.end * dim];
        let (mut queries, mut behind) = (bytemuck::cast_slice(queries), &round.norms[..]);
        let (mut of_tables, mut constants) = (Vec::new(), 0);
        if let Codes::Product(codes) = job.codes {
            prepared.fill(kernels, job, round.queries.start, round.queries.end);
            let Prepared { norms, tables, .. } = &*prepared;
            of_tables.extend(norms.iter().enumerate().flat_map(|(query, &norm)| {
                let Steps { base, step } = tables.steps(query);
                [norm, base, step]
            }));
            constants = tables.all(&codes).len() / size_of::<u32>() + of_tables.len();
            // In the pairs' order; where codes are not of residuals there are no groups.
            of_tables.extend(round.grouped().map(|(list, pair)| {
                let query = round.queries.start + pair.query as usize;
                let centroid = codes.centroid(list).unwrap_or_default();
                kernels.pairs.product(&job.queries[query * dim..(query + 1) * dim], centroid)
            }));
            (queries, behind) = (tables.all(&codes), &of_tables[..]);
        }
        let numbers = to32(queries.len() / size_of::<u32>());
        let squared = u32::from(job.metric == Metric::L2);
        let (bits, residuals) = match affine(&job.codes) {
            None => (0, 0),
            Some(Affine { bits, centroids: None, .. }) => (*bits, 0),
            Some(Affine { bits, .. }) => (*bits, if squared == 1 { 1 } else { 2 }),
        };
        let mut entries = 0;
        let (bits, whole, centre, most) = match job.codes {
            Codes::Product(codes) => {
                entries = codes.table_bytes() / size_of::<f32>();
                (codes.bits, 0, 0.0, 0.0)
            }
            Codes::RaBitQ(codes) if codes.looks_up() => (1, 1, 0.0, most(codes.code_columns())),
            Codes::RaBitQ(codes) => (codes.bits, 0, codes.centre(), 0.0),
            _ => (bits, 0, 0.0, 0.0),
        };
        // Behind the keys there is room for the least of each eight, by four.
        let (held, least) = (resident.held(&job.codes), to32(round.lanes / 4));
        let mut shapes: Vec<Shape> = round
            .dispatches
            .iter()
            .map(|dispatch| {
                Shape::new(&[
                    to32(dim),
                    squared,
                    u32::from(job.filter.is_some()),
                    to32(dispatch.tiles.start),
                    to32(dispatch.tiles.len()),
                    numbers,
                    to32(job.columns()),
                    residuals,
                    bits,
                    0,
                    whole,
                    if round.groups.is_empty() { 0 } else { to32(constants) },
                    to32(entries),
                    least,
                ])
            })
            .collect();
        // Behind them the rows' own, and the groups'.
        let known = if held.writes_least() { least } else { 0 };
        shapes.push(Shape::new(&[0, to32(round.rows.len()), known]));
        let groups = to32(round.groups.len());
        let of_estimates = [centre, most].map(f32::to_bits);
        let fields = [to32(dim), squared, residuals, 0, groups, numbers, 0];
        shapes.push(Shape::new(&[&fields[..], &of_estimates].concat()));
        let mut parts = vec![
            Part::new(Use::Queries, queries).and(behind),
            Part::new(Use::Tiles, &round.tiles),
            Part::new(Use::Pairs, &round.pairs),
            Part::new(Use::Rows, &round.asked),
            Part::new(Use::Shapes, &shapes),
        ];
        if !round.groups.is_empty() {
            parts.push(Part::new(Use::Groups, &round.groups));
            // With room for each pair's numbers.
            let bytes = queries.len() + NUMBERS * round.pairs.len() * size_of::<f32>();
            engine.scratch(Use::Queries, bytes as u64)?;
        }
        if let Some(passing) = &round.passing {
            parts.push(Part::new(Use::Passing, passing));
        }
        let mut encoder = engine.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        engine.stage(&mut encoder, Use::Staging(*turn), &parts)?;
        engine.scratch(Use::Keys, ((round.lanes + round.lanes / 8) * size_of::<u32>()) as u64)?;
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        if let Some(book) = resident.book() {
            let pipeline = engine.pipelines.get(match held {
                Held::Signs | Held::Estimates => Kernel::Residual,
                _ if held.is_rounded() => Kernel::Round,
                _ => Kernel::Shift,
            });
            pass.set_pipeline(pipeline);
            let mut buffers = vec![engine.at(Use::Groups), engine.at(Use::Pairs), engine.at(Use::Queries)];
            if held.is_rounded() {
                buffers.extend(book.buffers());
            } else {
                buffers.push(book.buffer());
            }
            engine.bind(&mut pass, pipeline, round.dispatches.len() + 1, &buffers);
            dispatch_groups(&mut pass, round.groups.len());
        }
        for (number, dispatch) in round.dispatches.iter().enumerate() {
            let pipeline = engine.pipelines.get(kernel(dispatch.shape, held, dim));
            pass.set_pipeline(pipeline);
            let segment = &resident.segments[dispatch.segment];
            let mut buffers = vec![
                segment.vectors.buffer(),
                segment.bias.buffer(),
                engine.at(Use::Tiles),
                engine.at(Use::Pairs),
                engine.at(Use::Queries),
                engine.at(Use::Passing),
                engine.at(Use::Keys),
            ];
            buffers.extend(resident.book().map(Book::buffer));
            engine.bind(&mut pass, pipeline, number, &buffers);
            dispatch_groups(&mut pass, dispatch.tiles.len());
        }
        drop(pass);
        Ok(encoder)
    }

    /// Adds `kernel` to the commands, a workgroup a row.
    fn encode_rows(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        round: &Round,
        kernel: Kernel,
        outputs: &[Use],
    ) {
        let engine = &*self.engine;
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        let pipeline = engine.pipelines.get(kernel);
        pass.set_pipeline(pipeline);
        let mut buffers = vec![engine.at(Use::Rows), engine.at(Use::Keys)];
        buffers.extend(outputs.iter().map(|&output| engine.at(output)));
        engine.bind(&mut pass, pipeline, round.dispatches.len(), &buffers);
        dispatch_groups(&mut pass, round.rows.len());
    }

    /// See [`Call::gather`].
    fn gather(
        &mut self,
        mut round: Round,
        resident: &Resident,
        bar: impl Fn(usize) -> u32,
        candidates: &mut Vec<(usize, Candidate)>,
    ) -> Outcome<Round> {
        self.turn = (self.turn + 1) % TURNS;
        if round.lanes == 0 {
            return Ok(round);
        }
        want(&mut round, |row| (bar(row.query), 0));
        let rows = round.rows.len();
        self.engine.scratch(Use::Summaries, (rows * size_of::<u32>()) as u64)?;
        let start = Instant::now();
        let mut encoder = self.encode_keys(&round, resident)?;
        self.encode_rows(&mut encoder, &round, Kernel::Count, &[Use::Summaries]);
        self.engine.run(encoder)?;
        self.time(round.lanes, start);
        let (mut counts, mut found) = (Vec::new(), Vec::new());
        self.engine.take(Use::Summaries, rows, &mut counts)?;
        let mut total = 0;
        for (row, &count) in round.asked.iter_mut().zip(&counts) {
            row.place = to32(total);
            total += count as usize;
        }
        if total > 0 {
            self.engine.put(Use::Rows, &round.asked)?;
            self.engine.scratch(Use::Hits, (total * size_of::<u32>()) as u64)?;
            let mut encoder =
                self.engine.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            self.encode_rows(&mut encoder, &round, Kernel::Gather, &[Use::Hits]);
            self.engine.run(encoder)?;
            self.engine.take(Use::Hits, total, &mut found)?;
        }
        for ((row, sent), &count) in round.rows.iter().zip(&round.asked).zip(&counts) {
            for &at in &found[sent.place as usize..][..count as usize] {
                let (list, slot) = round.locate(row, at);
                candidates.push((row.query, Candidate { list, slot, key: NONE }));
            }
        }
        Ok(round)
    }
}

/// Notes what is wanted of each of the round's rows and how many hits there will be; all hits.
fn want(round: &mut Round, wanted: impl Fn(&Row) -> (u32, usize)) -> usize {
    round.asked.clear();
    let mut place = 0;
    for row in &round.rows {
        let (wanted, hits) = wanted(row);
        round.asked.push(DeviceRow { start: row.start, length: row.length, wanted, place: to32(place) });
        place += hits;
    }
    place
}
