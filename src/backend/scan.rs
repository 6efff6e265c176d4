//! Scanning one unit of work: tiles of queries pass over blocks; what reaches a query's bar is collected.

use super::affine::{Affine, Shifted};
use super::packed::{Kept, Packed, restrict, worthwhile};
use super::plan::{Pair, Plan, Unit};
use super::rabitq::{Number, Seen};
use super::{Codes, ListView, Place, ScanJob};
use crate::collect::Collector;
use crate::context::Context;
use crate::element::{Scalar, Values, with_values};
use crate::error::Result;
use crate::kernel::{
    CHUNK, ENTRIES, Kernels, LookupInput, MAX_QUERIES, Scaled, Steps, TileInput, TileOutput, bitpack, pack,
};
use crate::lists::block::{BLOCK, NARROW, blocks, locate};
use crate::metric::Metric;
use crate::topk::Hit;

/// An L2 distance below this share of `|q|^2 + |v|^2` has lost digits in `|q|^2 + |v|^2 - 2qv` and is
/// summed again from differences.
const CANCELLED: f32 = 1.0 / 64.0;

/// How a query's scores become keys, and its bar a threshold on scores.
#[derive(Clone, Copy)]
pub(super) struct Scorer<'a> {
    metric: Metric,
    query: &'a [f32],
    norm: f32,
    slack: f32,
    /// Added to every score.
    constant: f32,
    /// What may have cancelled in a distance beside the two squared lengths.
    spread: f32,
    /// The rounding of a bar, as a share of it.
    rounding: f32,
    of: Scored<'a>,
}

/// What scores are those of.
#[derive(Clone, Copy)]
enum Scored<'a> {
    /// The vectors themselves.
    Values,
    /// What codes stand for, in a list of this number.
    Codes(&'a Affine<'a>, usize),
    /// Estimates: no closer look is to be had.
    Estimates,
}

impl<'a> Scorer<'a> {
    pub(super) fn new(metric: Metric, query: &'a [f32], norm: f32) -> Self {
        let slack = 2.0 * rounding_of_score(query.len()) * norm;
        let rounding = if metric == Metric::L2 { 4.0 * f32::EPSILON } else { 0.0 };
        Self { metric, query, norm, slack, constant: 0.0, spread: 0.0, rounding, of: Scored::Values }
    }

    /// For the codes of list number `list`.
    pub(super) fn of_codes(
        metric: Metric,
        query: &'a [f32],
        shifted: Shifted,
        affine: &'a Affine<'a>,
        list: usize,
    ) -> Self {
        let Shifted { norm, constant, reach } = shifted;
        let rounding = 4.0 * f32::EPSILON;
        // What a score lacks is added after it was compared, and rounded once more.
        let mut slack = rounding * (norm + constant.abs());
        if metric == Metric::L2 {
            slack += rounding_of_score(query.len()) * (reach + norm);
        }
        let of = Scored::Codes(affine, list);
        Self { metric, query, norm, slack, constant, spread: reach, rounding, of }
    }

    /// For estimates.
    pub(super) fn of_estimates(metric: Metric, seen: Seen) -> Self {
        let Seen { norm, constant, .. } = seen;
        let rounding = 4.0 * f32::EPSILON;
        let slack = rounding * (norm + constant.abs());
        Self { metric, query: &[], norm, slack, constant, spread: 0.0, rounding, of: Scored::Estimates }
    }

    /// Scores below this cannot reach the bar.
    #[inline]
    pub(super) fn threshold(&self, bar: f32) -> f32 {
        // Never -inf: that is the score of lanes that hold nothing.
        let threshold = match self.metric {
            Metric::L2 => (self.norm - bar) * 0.5 - self.slack - self.rounding * bar,
            Metric::InnerProduct | Metric::Cosine => {
                -bar - self.slack - (self.rounding * bar.abs()).min(f32::MAX)
            }
        };
        (threshold - self.constant).max(f32::MIN)
    }

    /// The key of the vector in `slot`, whose score is `score`.
    #[inline]
    pub(super) fn key(&self, score: f32, list: &ListView<'_>, slot: usize) -> f32 {
        let score = score + self.constant;
        match self.metric {
            Metric::L2 => {
                let distance = self.norm - 2.0 * score;
                if distance >= CANCELLED * (self.norm - 2.0 * list.bias[slot] + self.spread) {
                    return distance;
                }
                match self.of {
                    Scored::Values => difference(self.query, list, slot),
                    Scored::Codes(affine, number) => {
                        difference_of_codes(self.query, affine, list, number, slot)
                    }
                    Scored::Estimates => distance,
                }
            }
            // + 0.0: a similarity of 0 has one key, not two.
            Metric::InnerProduct => 0.0 - score + 0.0,
            // The order of what codes stand for is not lost where it passes 1.
            Metric::Cosine if matches!(self.of, Scored::Values) => 0.0 - score.clamp(-1.0, 1.0) + 0.0,
            Metric::Cosine => 0.0 - score + 0.0,
        }
    }
}

/// A bound on the rounding error of a score, as a share of the size of what is added up: it decides which vectors near
/// the query are looked at closely, never which are returned.
fn rounding_of_score(dim: usize) -> f32 {
    let steps = dim.min(CHUNK) + dim.div_ceil(CHUNK) + 8;
    #[expect(clippy::cast_precision_loss, reason = "a bound; a few thousand at most")]
    let steps = steps as f32;
    steps * (f32::EPSILON / 2.0)
}

/// The same for codes.
#[cold]
#[inline(never)]
fn difference_of_codes(
    query: &[f32],
    affine: &Affine<'_>,
    list: &ListView<'_>,
    number: usize,
    slot: usize,
) -> f32 {
    let differences = query.iter().zip(affine.values(list, number, slot)).map(|(&q, v)| q - v);
    differences.map(|difference| difference * difference).sum()
}

/// The squared distance, summed from differences.
#[cold]
#[inline(never)]
fn difference(query: &[f32], list: &ListView<'_>, slot: usize) -> f32 {
    let (base, stride) = locate(slot, list.bias.len(), query.len());
    with_values!(list.vectors, vectors => squared_difference(query, vectors[base..].iter().step_by(stride)))
}

fn squared_difference<'a, E: Scalar>(query: &[f32], vector: impl Iterator<Item = &'a E>) -> f32 {
    query.iter().zip(vector).map(|(&q, &v)| q - v.into()).map(|difference| difference * difference).sum()
}

/// What a tile reads of a list.
struct Scanned<'a> {
    /// The list's.
    number: usize,
    values: Values<'a>,
    /// Elements of a lane.
    columns: usize,
    /// What each lane's products count, of estimates.
    factors: &'a [f32],
    /// The lane with which they begin.
    first: usize,
    /// Whether hits carry places, which the ids are not already.
    places: bool,
}

/// One worker's way through its units.
pub(super) struct Scanner<'a, C> {
    kernels: &'static Kernels,
    job: &'a ScanJob<'a>,
    /// The query that the plan calls 0.
    first_query: usize,
    norms: &'a [f32],
    scratch: &'a mut Scratch,
    collector: C,
}

/// Memory that a scanner uses again for each unit.
pub(crate) struct Scratch {
    /// A tile's queries.
    pub(super) packed: Vec<f32>,
    /// What the kernel writes.
    pub(super) tile: Box<TileOutput>,
    filtered: Filtered,
    /// A tile's queries, as codes see them.
    shifted: Vec<f32>,
    /// The unit's codes, a byte each.
    unpacked: Vec<u8>,
    /// The unit's factors.
    factors: Vec<f32>,
    /// A tile's tables.
    tables: Vec<u8>,
}

/// What a filter leaves of a unit.
#[derive(Default)]
struct Filtered {
    kept: Vec<Kept>,
    packed: Packed,
    /// The unit's biases, `-inf` where the filter lets no result through.
    bias: Vec<f32>,
    /// Runs of blocks that hold anything to find.
    runs: Vec<(usize, usize)>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        let tile = Box::new(TileOutput::new());
        Self {
            packed: Vec::new(),
            tile,
            filtered: Filtered::default(),
            shifted: Vec::new(),
            unpacked: Vec::new(),
            factors: Vec::new(),
            tables: Vec::new(),
        }
    }
}

impl<'a, C: Collector> Scanner<'a, C> {
    /// A scanner for queries from `first_query` on, whose squared lengths are `norms`.
    pub(super) fn new(
        context: &Context,
        job: &'a ScanJob<'a>,
        first_query: usize,
        norms: &'a [f32],
        scratch: &'a mut Scratch,
        collector: C,
    ) -> Self {
        Self { kernels: context.kernels(), job, first_query, norms, scratch, collector }
    }

    /// Scans a unit for all its pairs.
    pub(super) fn scan(&mut self, plan: &Plan, unit: &Unit) -> Result<()> {
        let list = self.job.lists.list(unit.list as usize);
        let pairs = &plan.pairs[unit.pairs.0 as usize..unit.pairs.1 as usize];
        let (number, blocks_of_unit) = (unit.list as usize, (unit.blocks.0 as usize, unit.blocks.1 as usize));
        let Some(filter) = self.job.filter else {
            let places = self.job.places;
            return self.scan_runs(&list, number, places, blocks_of_unit, &[blocks_of_unit], pairs);
        };
        let mut room = std::mem::take(&mut self.scratch.filtered);
        let Filtered { kept, packed, bias, runs } = &mut room;
        restrict(&list, blocks_of_unit, filter, kept);
        let whole = pairs.iter().all(|pair| pair.slots as usize >= list.ids.len());
        let result = if whole && worthwhile(kept, pairs.len()) {
            let places = self.job.places;
            let name = |slot| if places { Place { list: number, slot }.to_id() } else { list.ids[slot] };
            let list = packed.pack(&list, self.job.columns(), kept, name);
            let all = (0, blocks(list.ids.len()));
            self.scan_runs(&list, number, false, all, &[all], pairs)
        } else {
            mask(&list, kept, bias, runs);
            let places = self.job.places;
            self.scan_runs(&ListView { bias, ..list }, number, places, blocks_of_unit, runs, pairs)
        };
        self.scratch.filtered = room;
        result
    }

    fn scan_runs(
        &mut self,
        list: &ListView<'_>,
        number: usize,
        places: bool,
        blocks: (usize, usize),
        runs: &[(usize, usize)],
        pairs: &[Pair],
    ) -> Result<()> {
        let mut unpacked = std::mem::take(&mut self.scratch.unpacked);
        let mut factors = std::mem::take(&mut self.scratch.factors);
        let scanned = self.scanned(list, number, places, blocks, &mut unpacked, &mut factors);
        // Tiles of even size: 7 + 6 rather than 12 + 1.
        let tiles = pairs.len().div_ceil(self.kernels.max_queries);
        for tile in pairs.chunks(pairs.len().div_ceil(tiles)) {
            self.job.cancel.check()?;
            self.scan_tile(list, &scanned, runs, tile);
        }
        self.scratch.unpacked = unpacked;
        self.scratch.factors = factors;
        Ok(())
    }

    /// What tiles read of some blocks: codes of fewer than 8 bits are unpacked, once for all of them.
    fn scanned<'v>(
        &self,
        list: &ListView<'v>,
        number: usize,
        places: bool,
        blocks: (usize, usize),
        unpacked: &'v mut Vec<u8>,
        factors: &'v mut Vec<f32>,
    ) -> Scanned<'v> {
        let bits = match self.job.codes {
            Codes::Affine(Affine { bits: bits @ ..8, .. }) => bits,
            Codes::RaBitQ(codes) => codes.bits,
            _ => {
                return Scanned {
                    number,
                    values: list.vectors,
                    columns: self.job.dim,
                    factors: &[],
                    first: 0,
                    places,
                };
            }
        };
        let Values::U8(codes) = list.vectors else { unreachable!("invariant: codes are bytes") };
        let first = blocks.0 * BLOCK;
        let last = (blocks.1 * BLOCK).min(list.bias.len());
        let columns = self.job.columns();
        let codes = &codes[first * columns..last * columns];
        factors.clear();
        if let Codes::RaBitQ(rabitq) = self.job.codes {
            factors.resize(last - first, 0.0);
            for (block, out) in codes.chunks(columns * BLOCK).zip(factors.chunks_mut(BLOCK)) {
                rabitq.numbers(Number::Factor, block, out);
            }
        }
        if self.looks_up() {
            return Scanned { number, values: Values::U8(codes), columns, factors, first, places };
        }
        bitpack::unpack(bits, self.job.dim, columns, codes, last - first, unpacked);
        Scanned { number, values: Values::U8(unpacked), columns: self.job.dim, factors, first, places }
    }

    /// Whether scores are looked up.
    fn looks_up(&self) -> bool {
        matches!(self.job.codes, Codes::RaBitQ(codes) if codes.looks_up())
    }

    fn scan_tile(
        &mut self,
        list: &ListView<'_>,
        scanned: &Scanned<'_>,
        runs: &[(usize, usize)],
        pairs: &[Pair],
    ) {
        let dim = self.job.dim;
        let job = self.job;
        let count = pairs.len();
        let mut rows = [&[][..]; MAX_QUERIES];
        let mut scorers = [Scorer::new(job.metric, &[], 0.0); MAX_QUERIES];
        let mut thresholds = [0f32; MAX_QUERIES];
        let mut steps = [Steps::default(); MAX_QUERIES];
        for (q, pair) in pairs.iter().enumerate() {
            let start = (self.first_query + pair.query as usize) * dim;
            rows[q] = &job.queries[start..start + dim];
        }
        match &job.codes {
            Codes::Plain => {
                for (q, pair) in pairs.iter().enumerate() {
                    scorers[q] = Scorer::new(job.metric, rows[q], self.norms[pair.query as usize]);
                }
                pack(&rows[..count], dim, &mut self.scratch.packed);
            }
            Codes::Affine(affine) => {
                let shifted = &mut self.scratch.shifted;
                shifted.resize(count * dim, 0.0);
                for (q, factors) in shifted.chunks_exact_mut(dim).enumerate() {
                    let seen = Shifted::new(job.metric, affine, scanned.number, rows[q], factors);
                    scorers[q] = Scorer::of_codes(job.metric, rows[q], seen, affine, scanned.number);
                }
                pack(&split(shifted, dim)[..count], dim, &mut self.scratch.packed);
            }
            Codes::RaBitQ(codes) => {
                let shifted = &mut self.scratch.shifted;
                shifted.resize(count * dim, 0.0);
                for (q, residual) in shifted.chunks_exact_mut(dim).enumerate() {
                    let seen = Seen::new(self.kernels, job.metric, codes, scanned.number, rows[q], residual);
                    scorers[q] = Scorer::of_estimates(job.metric, seen);
                    steps[q].base = seen.base;
                }
                if codes.looks_up() {
                    let each = codes.code_columns() * 2 * ENTRIES;
                    let tables = &mut self.scratch.tables;
                    tables.resize(count * each, 0);
                    let tables = tables.chunks_exact_mut(each);
                    for ((steps, residual), tables) in
                        steps.iter_mut().zip(shifted.chunks_exact(dim)).zip(tables)
                    {
                        *steps = self.kernels.subsets(residual, tables);
                    }
                } else {
                    pack(&split(shifted, dim)[..count], dim, &mut self.scratch.packed);
                }
            }
        }
        for (q, pair) in pairs.iter().enumerate() {
            thresholds[q] = scorers[q].threshold(self.collector.bar(pair.query as usize));
        }
        let step = self.kernels.blocks_per_tile(count);
        let lanes = list.bias.len();
        let slots = pairs.iter().map(|pair| pair.slots as usize).max().unwrap_or(0);
        for &(begin, end) in runs {
            let mut block = begin;
            let end = end.min(slots.div_ceil(BLOCK));
            while block < end {
                let first = block * BLOCK;
                let mut last = (first + step * BLOCK).min(end * BLOCK).min(lanes);
                if last - first > BLOCK && (last - first) % BLOCK == NARROW {
                    // The narrow last block is a tile of its own.
                    last -= NARROW;
                }
                let mut reached =
                    self.reach(scanned, &list.bias[first..last], first, &thresholds[..count], &steps);
                while reached != 0 {
                    let q = reached.trailing_zeros() as usize;
                    reached &= reached - 1;
                    if self.select(list, scanned, &pairs[q], &scorers[q], q, first, last) {
                        let query = pairs[q].query as usize;
                        self.collector.moved(query);
                        thresholds[q] = scorers[q].threshold(self.collector.bar(query));
                    }
                }
                block += (last - first).div_ceil(BLOCK);
            }
        }
    }

    /// Scores a tile, of the lanes from `first` on, `[lanes]` of which `bias` is that; a bit for each query that has a
    /// hit.
    #[inline]
    fn reach(
        &mut self,
        scanned: &Scanned<'_>,
        bias: &[f32],
        first: usize,
        thresholds: &[f32],
        steps: &[Steps; MAX_QUERIES],
    ) -> u32 {
        let Scratch { packed, tables, tile, .. } = &mut *self.scratch;
        let count = thresholds.len();
        let (from, to) = (first - scanned.first, first - scanned.first + bias.len());
        let vectors = scanned.values.slice(from * scanned.columns..to * scanned.columns);
        let factors = scanned.factors.get(from..to).unwrap_or_default();
        if let (Codes::RaBitQ(codes), Values::U8(bytes)) = (self.job.codes, vectors)
            && codes.looks_up()
        {
            let (columns, stride) = (codes.code_columns(), scanned.columns);
            let input = LookupInput {
                count,
                columns,
                tables,
                steps,
                thresholds,
                codes: bytes,
                stride,
                bias,
                factors,
            };
            return self.kernels.lookup(input, tile);
        }
        let bases;
        let scaled = if factors.is_empty() {
            None
        } else {
            bases = steps.map(|steps| steps.base);
            Some(Scaled { factors, bases: &bases })
        };
        let input =
            TileInput { dim: self.job.dim, count, queries: packed, thresholds, vectors, bias, scaled };
        self.kernels.tile(input, tile)
    }

    /// Offers the hits of one query in the lanes `first..last` to its collector; true if its bar moved.
    #[inline]
    fn select(
        &mut self,
        list: &ListView<'_>,
        scanned: &Scanned<'_>,
        pair: &Pair,
        scorer: &Scorer<'_>,
        q: usize,
        first: usize,
        last: usize,
    ) -> bool {
        let query = pair.query as usize;
        let end = list.ids.len().min(pair.slots as usize);
        let mut moved = false;
        for (part, start) in (first..last).step_by(BLOCK).enumerate() {
            let mut mask = self.scratch.tile.hits[q][part];
            while mask != 0 {
                let lane = mask.trailing_zeros() as usize;
                mask &= mask - 1;
                let slot = start + lane;
                if slot >= end {
                    break;
                }
                let key = scorer.key(self.scratch.tile.scores[q][part][lane], list, slot);
                let id = if scanned.places {
                    Place { list: scanned.number, slot }.to_id()
                } else {
                    list.ids[slot]
                };
                moved |= self.collector.offer(query, Hit { key, id });
            }
        }
        moved
    }
}

/// Rows of `dim` values, as many as a tile takes at most.
fn split(values: &[f32], dim: usize) -> [&[f32]; MAX_QUERIES] {
    let mut rows = [&[][..]; MAX_QUERIES];
    rows.iter_mut().zip(values.chunks_exact(dim)).for_each(|(to, row)| *to = row);
    rows
}

/// The biases of a list with those of filtered vectors at `-inf`, in `bias`, and in `runs` the blocks that still
/// hold something: a narrow filter skips the others unread.
fn mask(list: &ListView<'_>, kept: &[Kept], bias: &mut Vec<f32>, runs: &mut Vec<(usize, usize)>) {
    runs.clear();
    bias.resize(list.bias.len(), f32::NEG_INFINITY);
    for &(block, mask) in kept {
        let first = block * BLOCK;
        let last = list.bias.len().min(first + BLOCK);
        for (lane, (to, &from)) in bias[first..last].iter_mut().zip(&list.bias[first..last]).enumerate() {
            *to = if mask >> lane & 1 == 1 { from } else { f32::NEG_INFINITY };
        }
        match runs.last_mut() {
            Some(run) if run.1 == block => run.1 = block + 1,
            _ => runs.push((block, block + 1)),
        }
    }
}
