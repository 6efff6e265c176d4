//! A job under way: rounds planned, sent to the device, and waited for.

mod commands;

use std::time::Instant;

use commands::TABLE_NUMBERS;

use super::crew::{Crew, Pilot};
use super::encode::{DeviceRow, NONE, SUBMISSION_SECONDS, to32};
use super::engine::Engine;
use super::exact::{Candidate, Judged, Judges};
use super::health::{Fault, Outcome};
use super::land::{Flight, Landed};
use super::pipelines::Kernel;
use super::resident::Resident;
use super::round::{Round, Row};
use super::rounds::Limits;
use super::scratch::{TURNS, Use};
use crate::backend::{Codes, ScanJob};
use crate::collect::Sink;
use crate::context::Context;
use crate::lists::block::BLOCK;

/// Lanes of a round: at least enough to fill a device; at most what memory is kept for.
const LANES: std::ops::RangeInclusive<usize> = 1 << 15..=1 << 27;

/// Bytes of queries and their squared lengths in a round, and how many there are at most, so that a large job has rounds
/// enough for the CPU's part to be done meanwhile.
pub(super) const QUERY_BYTES: usize = 64 << 20;
pub(super) const QUERIES: usize = 1 << 13;

/// Bytes of tables in a round: some rounds hold theirs at once.
const TABLE_BYTES: usize = 16 << 20;

/// A job under way.
pub(super) struct Call<'c, 's, 'a, 'p> {
    pub(super) engine: &'c mut Engine,
    pilot: &'c mut Pilot<'s, 'a, 'p>,
    pub(super) job: &'a ScanJob<'a>,
    resident: &'a Resident,
    /// When the last round was done.
    landed: Instant,
    /// Which of the buffers the round goes through to the device and back.
    pub(super) turn: usize,
}

/// Runs `work` with a job under way, of which the judge and the sink are asked by whoever is free.
pub(super) fn under_way<'a, T>(
    engine: &mut Engine,
    context: &'a Context,
    judge: &'a dyn Judges<'a>,
    resident: &'a Resident,
    sink: &'a dyn Sink,
    work: impl FnOnce(&mut Call<'_, '_, 'a, '_>) -> Outcome<T>,
) -> Outcome<T> {
    let crew = Crew::new(context, judge, sink, resident, std::mem::take(&mut engine.spare));
    let job = judge.job();
    let result = crew
        .run(job, |pilot| work(&mut Call { engine, pilot, job, resident, landed: Instant::now(), turn: 0 }));
    engine.spare = crew.into_spare();
    result
}

impl<'a> Call<'_, '_, 'a, '_> {
    /// The next round; `None` when there is none.
    pub(super) fn plan(&mut self) -> Outcome<Option<Round>> {
        let limits = self.limits()?;
        self.plan_within(&limits)
    }

    /// The same, not beyond these limits.
    pub(super) fn plan_within(&mut self, limits: &Limits) -> Outcome<Option<Round>> {
        self.pilot.plan(limits)
    }

    /// Has this judged, and does `meanwhile`.
    pub(super) fn judge<T>(
        &mut self,
        judged: Judged,
        meanwhile: impl FnOnce(&mut Self) -> Outcome<T>,
    ) -> Outcome<(T, Judged)> {
        self.pilot.begin(judged);
        let result = meanwhile(self)?;
        Ok((result, self.pilot.end()?))
    }

    /// Waits for a round, unless the job is cancelled.
    pub(super) fn land(&mut self, flight: Flight) -> Outcome<Landed> {
        self.job.cancel.check()?;
        let (lanes, started) = (flight.lanes, flight.started);
        let landed = flight.land(self.engine)?;
        self.time(lanes, started);
        Ok(landed)
    }

    /// Takes the memory of a round that is done with.
    pub(super) fn reuse(&mut self, round: Round) {
        self.pilot.reuse(round);
    }

    /// What the next round may need: a twentieth of a second of work, and memory for its keys and hits.
    fn limits(&self) -> Outcome<Limits> {
        let Self { engine, job, .. } = self;
        // A key and an eighth of a least one, and at worst a hit of twice its size, there and twice to be read back.
        let lane_bytes = (size_of::<u32>() + 1 + 3 * size_of::<[u32; 2]>()) as u64;
        let room = self.room() / lane_bytes;
        // A hit for each lane, and behind them the rows' summaries: a row has 32 lanes at least.
        let bound = engine.limits.max_storage_buffer_binding_size / (size_of::<[u32; 2]>() + 1) as u64;
        let most = usize::try_from(room.min(bound)).unwrap_or(usize::MAX);
        if most < BLOCK {
            return Err(Fault::Memory);
        }
        let bytes = usize::try_from(engine.limits.max_storage_buffer_binding_size).unwrap_or(usize::MAX);
        let (query, most_bytes) = match job.codes {
            Codes::Product(codes) => (codes.table_bytes() + TABLE_NUMBERS * size_of::<f32>(), TABLE_BYTES),
            _ => ((job.dim + 1) * size_of::<f32>(), QUERY_BYTES),
        };
        let queries = (most_bytes.min(bytes) / query).clamp(1, QUERIES);
        Ok(Limits { lanes: self.lanes_a_round().min(most), queries, a_query: None })
    }

    /// Lanes that are a round's work.
    pub(super) fn lanes_a_round(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let work = (self.engine.rate * SUBMISSION_SECONDS) as usize / self.job.dim;
        work.clamp(*LANES.start(), *LANES.end())
    }

    /// Bytes that a round may take.
    pub(super) fn room(&self) -> u64 {
        (self.engine.room() + self.engine.scratch.bytes()) / 2
    }

    /// Takes the next of the buffers that rounds go through.
    pub(super) fn take_turn(&mut self) {
        self.turn = (self.turn + 1) % TURNS;
    }

    /// Hands a round to the device, the keys of all that its queries visit and the `k` best of each.
    pub(super) fn launch(&mut self, mut round: Round, k: usize) -> Outcome<Flight> {
        self.take_turn();
        let hits = want(&mut round, |row| {
            // One more than there are tells that these are all.
            let wanted = k.min(row.length as usize + 1);
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
            let mut encoder = self.encode_keys(&round, &[])?;
            self.encode_rows(&mut encoder, &round, Kernel::Best, &[Use::Hits, Use::Summaries]);
            let (engine, to) = (&self.engine, self.engine.at(back));
            encoder.copy_buffer_to_buffer(engine.at(Use::Summaries), 0, to, 0, summaries);
            encoder.copy_buffer_to_buffer(engine.at(Use::Hits), 0, to, summaries, found);
            submitted = Some((self.engine.submit(encoder)?, back));
        }
        let lanes = round.lanes;
        Ok(Flight { round, hits, behind: 0, lanes, submitted, started: Instant::now() })
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

    /// All keys of each row of a round up to its query's `bar`, into `candidates`.
    pub(super) fn gather(
        &mut self,
        mut round: Round,
        bar: impl Fn(usize) -> u32,
        candidates: &mut Vec<(usize, Candidate)>,
    ) -> Outcome<Round> {
        self.take_turn();
        if round.lanes == 0 {
            return Ok(round);
        }
        want(&mut round, |row| (bar(row.query), 0));
        let rows = round.rows.len();
        self.engine.scratch(Use::Summaries, (rows * size_of::<u32>()) as u64)?;
        let start = Instant::now();
        let mut encoder = self.encode_keys(&round, &[])?;
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
pub(super) fn want(round: &mut Round, wanted: impl Fn(&Row) -> (u32, usize)) -> usize {
    round.asked.clear();
    let mut place = 0;
    for row in &round.rows {
        let (wanted, hits) = wanted(row);
        round.asked.push(DeviceRow { start: row.start, length: row.length, wanted, place: to32(place) });
        place += hits;
    }
    place
}
