//! Both steps of a search at once: the device finds the lists that each query visits, plans their scan, and scans them,
//! all in one submission. The CPU learns the lists when it judges what was found, and does what neither proves.
//!
//! That takes lists in one segment, and few enough of them a query for a workgroup. Other searches are two scans with the
//! CPU's plan between them.

mod judge;

use judge::BothJudge;

use super::call::{Call, QUERIES, QUERY_BYTES, under_way, want};
use super::device::Gpu;
use super::encode::{MOST_GROUPS, Shape, dispatch_groups, kernel, to32};
use super::engine::Engine;
use super::exact::Judge;
use super::health::{Fault, Outcome};
use super::held::{Form, Held};
use super::land::Flight;
use super::map::{Map, SHAPES};
use super::pipelines::{Kernel, THREADS};
use super::resident::Resident;
use super::round::{Pair, Round, Tile};
use super::rounds::Limits;
use super::scan::{self, more_than};
use super::scratch::Use;
use super::verify::arithmetic_is_the_cpus;
use crate::backend::{Both, ScanJob};
use crate::collect::Sink;
use crate::context::Context;
use crate::error::Result;
use crate::lists::block::{BLOCK, blocks};
use crate::metric::Metric;

/// The second step of a search whose first is a call's job.
struct SecondStep<'a> {
    job: &'a ScanJob<'a>,
    resident: &'a Resident,
    map: &'a Map,
    held: Held,
    nprobe: usize,
    /// How many centroids and how many vectors are selected of a query.
    found: usize,
    wanted: usize,
}

impl Gpu {
    /// Does both steps, but of the queries returned; `None` = of all.
    pub(super) fn search(
        &self,
        context: &Context,
        both: &Both<'_>,
        lists: &dyn Sink,
        sink: &dyn Sink,
    ) -> Result<Option<Vec<usize>>> {
        let &Both { first, nprobe, second, k } = both;
        let (Some(of_first), Some(of_second)) = (first.lists.device(), second.lists.device()) else {
            return Ok(None);
        };
        let left = self.with(|engine| {
            let [mut centroids, mut vectors] = [of_first, of_second]
                .map(|slot| slot.copy.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
            let sync = |copy, job: &ScanJob<'_>, engine: &mut Engine| -> Outcome<_> {
                let workers = (context, job.workers);
                let copy: &Resident = Resident::sync(copy, self, engine, workers, job.lists, Form::of(job))?;
                let held = copy.held(&job.codes);
                let same = arithmetic_is_the_cpus(context, self, engine, copy, (held, job.dim))?;
                Ok((copy, held, same))
            };
            let (centroids, _, same) = sync(&mut centroids, first, engine)?;
            let found = more_than(nprobe, same);
            if found > THREADS as usize {
                return Err(Fault::Unfit);
            }
            let judge = Judge::new(context, first, centroids.sizes(&first.codes), same);
            let (resident, held, same) = sync(&mut vectors, second, engine)?;
            let Some(map) = resident.map(engine)? else { return Err(Fault::Unfit) };
            // One more than there are tells that these are all.
            let wanted = more_than(k, same).min(map.most_lanes(nprobe) + 1);
            let step = SecondStep { job: second, resident, map, held, nprobe, found, wanted };
            let judge = BothJudge {
                first: judge,
                nprobe,
                lists,
                second: Judge::new(context, second, resident.sizes(&second.codes), same),
                k,
                wanted,
                slots: &resident.slots,
            };
            under_way(engine, context, &judge, centroids, sink, |call| {
                let limits = step.limits(call)?;
                scan::rounds(call, nprobe, |call| match call.plan_within(&limits)? {
                    None => Ok(None),
                    Some(round) => step.launch(call, round).map(Some),
                })
            })
        })?;
        if left.is_some() {
            // Two scans were done.
            self.count();
        }
        Ok(left)
    }
}

impl SecondStep<'_> {
    /// Lanes of a query's row of keys: in the first step, and at most in the second.
    fn lanes(&self, call: &Call<'_, '_, '_, '_>) -> [usize; 2] {
        let centroids = BLOCK * blocks(call.job.lists.list(0).ids.len());
        [centroids, self.map.most_lanes(self.nprobe).max(BLOCK)]
    }

    /// What a round may need: as much work as others, and memory.
    fn limits(&self, call: &Call<'_, '_, '_, '_>) -> Outcome<Limits> {
        let [centroids, most] = self.lanes(call);
        let a_query = centroids as f64 + self.map.lanes(self.nprobe);
        let binding = call.engine.limits.max_storage_buffer_binding_size;
        let fits = |queries: usize| {
            let needs = self.needs(call, queries);
            let bytes: u64 = needs.iter().map(|(_, bytes)| bytes).sum();
            let limits = [QUERY_BYTES as u64, binding];
            needs.iter().all(|&(_, bytes)| bytes <= binding)
                && bytes <= call.room()
                && limits
                    .iter()
                    .all(|&limit| ((call.job.dim + 1) * queries * size_of::<f32>()) as u64 <= limit)
                && centroids.max(most) * queries < 1 << 31
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let mut queries = ((call.lanes_a_round() as f64 / a_query) as usize).clamp(1, QUERIES);
        while !fits(queries) {
            queries /= 2;
            if queries == 0 {
                return Err(Fault::Memory);
            }
        }
        Ok(Limits { lanes: usize::MAX, queries, a_query: Some(a_query) })
    }

    /// Room for tiles of many queries and of few, with those of nothing at the end of a last row.
    fn tiles(&self, queries: usize) -> [usize; 2] {
        let most = self.map.most_tiles(queries * self.nprobe);
        most.map(|most| if most > MOST_GROUPS { most.next_multiple_of(MOST_GROUPS) } else { most })
    }

    /// Bytes of buffers that a round of so many queries needs beside those of its first step.
    fn needs(&self, call: &Call<'_, '_, '_, '_>, queries: usize) -> Vec<(Use, u64)> {
        let word = size_of::<u32>();
        let pairs = queries * self.nprobe;
        let [many, few] = self.tiles(queries);
        let lanes = self.lanes(call).into_iter().max().unwrap_or_default() * queries;
        let words = [
            (Use::Keys, lanes + lanes / 8),
            (Use::Hits, 2 * queries * self.found.max(self.wanted)),
            (Use::Summaries, 2 * queries),
            (Use::Rows, 4 * queries),
            (Use::Pairs, size_of::<Pair>() / word * pairs),
            (Use::Tiles, size_of::<Tile>() / word * (many + few)),
            (Use::Visits, 3 * pairs),
            (Use::Counts, self.map.lists()),
            (Use::Starts, 3 * self.map.lists()),
            (Use::Dispatches, 6),
            (Use::ReadBack(call.turn), 2 * queries * (2 + self.found + self.wanted)),
        ];
        words.map(|(what, words)| (what, (words * word) as u64)).into()
    }

    /// Hands a round to the device: the first step for its queries, and the second.
    fn launch(&self, call: &mut Call<'_, '_, '_, '_>, mut round: Round) -> Outcome<Flight> {
        call.take_turn();
        let queries = round.rows.len();
        let hits = want(&mut round, |_| (to32(self.found), self.found));
        for (what, bytes) in self.needs(call, queries) {
            call.engine.scratch(what, bytes)?;
        }
        let back = Use::ReadBack(call.turn);
        let mut encoder = call.encode_keys(&round, &self.shapes(call, queries))?;
        call.encode_rows(&mut encoder, &round, Kernel::Best, &[Use::Hits, Use::Summaries]);
        let engine = &*call.engine;
        let words = |words: usize| (words * size_of::<u32>()) as u64;
        let read_back = |encoder: &mut wgpu::CommandEncoder, hits: usize, at: usize| {
            let to = engine.at(back);
            let (from, bytes) = (engine.at(Use::Summaries), words(2 * queries));
            encoder.copy_buffer_to_buffer(from, 0, to, words(at), bytes);
            let at = at + 2 * queries;
            encoder.copy_buffer_to_buffer(engine.at(Use::Hits), 0, to, words(at), words(2 * hits));
        };
        read_back(&mut encoder, hits, 0);
        encoder.clear_buffer(engine.at(Use::Counts), 0, Some(words(self.map.lists())));
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        let first = round.dispatches.len() + 2;
        self.plan(engine, &mut pass, first, queries);
        let segment = &self.resident.segments[0];
        let buffers = [segment.vectors.buffer(), segment.bias.buffer()].into_iter().chain(
            [Use::Tiles, Use::Pairs, Use::Queries, Use::Passing, Use::Keys].map(|what| engine.at(what)),
        );
        let buffers: Vec<_> = buffers.collect();
        for (number, shape) in SHAPES.into_iter().enumerate() {
            let pipeline = engine.pipelines.get(kernel(shape, self.held, self.job.dim));
            pass.set_pipeline(pipeline);
            engine.bind(&mut pass, pipeline, first + 1 + number, &buffers);
            pass.dispatch_workgroups_indirect(engine.at(Use::Dispatches), words(3 * number));
        }
        let pipeline = engine.pipelines.get(Kernel::Best);
        pass.set_pipeline(pipeline);
        let buffers = [Use::Rows, Use::Keys, Use::Hits, Use::Summaries].map(|what| engine.at(what));
        engine.bind(&mut pass, pipeline, first + 3, &buffers);
        dispatch_groups(&mut pass, queries);
        drop(pass);
        read_back(&mut encoder, queries * self.wanted, 2 * (queries + hits));
        let submitted = Some((engine.submit(encoder)?, back));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate")]
        let lanes = round.lanes + (self.map.lanes(self.nprobe) * queries as f64) as usize;
        let behind = 2 * queries * (1 + self.wanted);
        Ok(Flight { round, hits, behind, lanes, submitted, started: std::time::Instant::now() })
    }

    /// Plans the second step.
    fn plan(&self, engine: &Engine, pass: &mut wgpu::ComputePass<'_>, shape: usize, queries: usize) {
        let lists = self.map.lists();
        let visits = (queries * self.nprobe).div_ceil(THREADS as usize);
        let map = self.map.buffer();
        let at = |what| engine.at(what);
        let kernels = [
            (
                Kernel::Place,
                queries,
                vec![at(Use::Hits), at(Use::Summaries), map, at(Use::Counts), at(Use::Visits), at(Use::Rows)],
            ),
            (
                Kernel::Sort,
                1,
                vec![map, at(Use::Counts), at(Use::Starts), at(Use::Tiles), at(Use::Dispatches)],
            ),
            (
                Kernel::Tile,
                lists + visits,
                vec![map, at(Use::Counts), at(Use::Starts), at(Use::Visits), at(Use::Tiles), at(Use::Pairs)],
            ),
        ];
        for (kernel, groups, buffers) in kernels {
            let pipeline = engine.pipelines.get(kernel);
            pass.set_pipeline(pipeline);
            engine.bind(pass, pipeline, shape, &buffers);
            dispatch_groups(pass, groups);
        }
    }

    /// The shapes of the plan, of the scans of tiles of many queries and of few, and of the rows.
    fn shapes(&self, call: &Call<'_, '_, '_, '_>, queries: usize) -> [Shape; 4] {
        let Self { job, map, .. } = self;
        let [many, few] = self.tiles(queries);
        let [_, lanes] = self.lanes(call);
        let plan = [queries, self.nprobe, self.found, lanes, map.lists(), self.wanted, many].map(to32);
        let least = to32(queries * lanes / 4);
        let squared = u32::from(job.metric == Metric::L2);
        let dim = to32(job.dim);
        let numbers = to32(queries * job.dim);
        let scan = |first, count| {
            Shape::new(&[dim, squared, 0, to32(first), to32(count), numbers, dim, 0, 0, 0, 0, 0, 0, least])
        };
        [
            Shape::new(&plan),
            scan(0, many),
            scan(many, few),
            Shape::new(&[0, to32(queries), if self.held.writes_least() { least } else { 0 }]),
        ]
    }
}
