//! Tiles of queries against the blocks of a unit: what reaches a query's bar is collected.

use super::affine::Shifted;
use super::packed::ids_of;
use super::plan::Pair;
use super::rabitq::{CONFIDENCE, Seen};
use super::scan::{Ground, Scanned, Scanner, Scratch};
use super::scorer::{Scorer, Width};
use super::{Codes, Place};
use crate::collect::Collector;
use crate::element::Values;
use crate::kernel::{
    DotInput, ENTRIES, LookupInput, MAX_BLOCKS, MAX_QUERIES, Scaled, Steps, SumInput, TileInput, pack,
};
use crate::lists::block::{BLOCK, NARROW, part_end};
use crate::topk::Hit;

/// A tile's queries.
struct Queries<'a> {
    pairs: &'a [Pair],
    scorers: [Scorer<'a>; MAX_QUERIES],
    thresholds: [f32; MAX_QUERIES],
    steps: [Steps; MAX_QUERIES],
    /// See [`LookupInput::least`].
    least: [u16; MAX_QUERIES],
}

impl Queries<'_> {
    /// Sets the bar of a query.
    #[inline]
    fn set_bar(&mut self, q: usize, bar: f32, is_least: bool) {
        self.thresholds[q] = self.scorers[q].threshold(bar);
        if is_least {
            self.least[q] = self.steps[q].least(self.thresholds[q]);
        }
    }
}

/// A tile's lanes.
struct Part<'a> {
    /// Their first slot, where they follow one another.
    first: usize,
    /// Else the halves of blocks that they are, and behind those the ones that come next.
    halves: &'a [u32],
    /// `[lanes]`.
    bias: &'a [f32],
}

impl Part<'_> {
    #[inline]
    fn slot(&self, lane: usize) -> usize {
        match self.halves.get(lane / NARROW) {
            None => self.first + lane,
            Some(&half) => half as usize * NARROW + lane % NARROW,
        }
    }
}

impl<C: Collector> Scanner<'_, C> {
    /// Passes one tile of queries over runs of blocks.
    pub(super) fn scan_tile(&mut self, ground: &Ground<'_>, scanned: &Scanned<'_>, pairs: &[Pair]) {
        let (list, number) = (&ground.list, ground.coded_in);
        let dim = self.job.dim;
        let job = self.job;
        let count = pairs.len();
        let mut rows = [&[][..]; MAX_QUERIES];
        let mut scorers = [Scorer::new(job.metric, &[], 0.0); MAX_QUERIES];
        let mut steps = [Steps::default(); MAX_QUERIES];
        let mut lengths = [0f32; MAX_QUERIES];
        for (q, pair) in pairs.iter().enumerate() {
            rows[q] = job.row(self.first_query + pair.query as usize);
        }
        match &job.codes {
            Codes::Plain => {
                for (q, pair) in pairs.iter().enumerate() {
                    scorers[q] = Scorer::new(job.metric, rows[q], self.prepared.norms[pair.query as usize]);
                }
                pack(&rows[..count], dim, &mut self.scratch.packed);
            }
            Codes::Affine(affine) => {
                let shifted = &mut self.scratch.shifted;
                shifted.resize(count * dim, 0.0);
                for (q, factors) in shifted.chunks_exact_mut(dim).enumerate() {
                    let seen = Shifted::new(job.metric, affine, number, rows[q], factors);
                    scorers[q] = Scorer::of_codes(job.metric, rows[q], seen, affine, number);
                }
                pack(&split(shifted, dim)[..count], dim, &mut self.scratch.packed);
            }
            Codes::Rounded(codes) => {
                let Scratch { roundings, words, .. } = &mut *self.scratch;
                let by_list = codes.is_by_list(job.metric);
                if by_list {
                    roundings.fill(self.kernels, job.metric, codes, number, rows[..count].iter().copied());
                }
                let mut groups = [&[][..]; MAX_QUERIES];
                for (q, pair) in pairs.iter().enumerate() {
                    let (of, query) = if by_list {
                        (&*roundings, q)
                    } else {
                        (&self.prepared.roundings, pair.query as usize)
                    };
                    let known = of.known(query);
                    scorers[q] = known.scorer(job.metric, codes, number, pair.product);
                    steps[q].step = known.step;
                    groups[q] = of.words(query);
                }
                pack(&groups[..count], codes.groups(), words);
            }
            Codes::Product(codes) => {
                for (q, pair) in pairs.iter().enumerate() {
                    let query = pair.query as usize;
                    let known = (self.prepared.norms[query], pair.product);
                    let tables = &self.prepared.tables;
                    let reach = (!codes.fast).then(|| tables.reach(query));
                    steps[q] = tables.steps(query);
                    scorers[q] = Scorer::of_words(job.metric, rows[q], known, reach, codes, number);
                }
            }
            Codes::RaBitQ(codes) => {
                let shifted = &mut self.scratch.shifted;
                shifted.resize(count * dim, 0.0);
                for (q, residual) in shifted.chunks_exact_mut(dim).enumerate() {
                    let seen = Seen::new(self.kernels, job.metric, codes, number, rows[q], residual);
                    scorers[q] = Scorer::of_estimates(job.metric, seen);
                    steps[q].base = seen.base;
                    lengths[q] = seen.length;
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
                if let Some(deviations) = codes.deviations {
                    let queries = steps.iter_mut().zip(&mut scorers).zip(lengths);
                    for ((steps, scorer), length) in queries.take(count) {
                        let width = Width { of_one: CONFIDENCE * length, deviations: &deviations[number] };
                        steps.base += width.most() + CONFIDENCE * codes.rounding(*steps);
                        *scorer = scorer.within(width);
                    }
                }
            }
        }
        let mut queries =
            Queries { pairs, scorers, thresholds: [0.0; MAX_QUERIES], steps, least: [0; MAX_QUERIES] };
        for (q, pair) in pairs.iter().enumerate() {
            queries.set_bar(q, self.collector.bar(pair.query as usize), self.looks_words_up().is_some());
        }
        let step = match job.codes {
            Codes::Rounded(_) => MAX_BLOCKS,
            _ => self.kernels.blocks_per_tile(count),
        };
        let lanes = list.bias.len();
        let slots = pairs.iter().map(|pair| pair.slots as usize).max().unwrap_or(0);
        for &(begin, end) in ground.runs {
            let mut block = begin;
            let end = end.min(slots.div_ceil(BLOCK));
            while block < end {
                let first = block * BLOCK;
                let last = part_end(first, step * BLOCK, lanes.min(end * BLOCK));
                let part = Part { first, halves: &[], bias: &ground.bias[first..last] };
                self.pass(ground, scanned, &mut queries, &part);
                block += (last - first).div_ceil(BLOCK);
            }
        }
        let halves = ground.halves.partition_point(|&half| (half as usize) * NARROW < slots);
        let step = step * (BLOCK / NARROW);
        for at in (0..halves).step_by(step) {
            let end = (at + step).min(halves);
            // The kernel is told of those that come next, too.
            let seen = &ground.halves[at..(end + step).min(halves)];
            let bias = &ground.half_bias[at * NARROW..end * NARROW];
            self.pass(ground, scanned, &mut queries, &Part { first: 0, halves: seen, bias });
        }
    }

    /// Passes a tile over a part of what is scanned.
    #[inline]
    fn pass(
        &mut self,
        ground: &Ground<'_>,
        scanned: &Scanned<'_>,
        queries: &mut Queries<'_>,
        part: &Part<'_>,
    ) {
        let mut reached = self.reach(scanned, part, queries);
        while reached != 0 {
            let q = reached.trailing_zeros() as usize;
            reached &= reached - 1;
            if self.select(ground, scanned, &queries.pairs[q], &queries.scorers[q], q, part) {
                let query = queries.pairs[q].query as usize;
                self.collector.moved(query);
                queries.set_bar(q, self.collector.bar(query), self.looks_words_up().is_some());
            }
        }
    }

    /// Scores a tile; a bit for each query that has a hit.
    #[inline]
    fn reach(&mut self, scanned: &Scanned<'_>, part: &Part<'_>, queries: &Queries<'_>) -> u32 {
        let Scratch { packed, tables, words, tile, .. } = &mut *self.scratch;
        let &Part { first, halves, bias } = part;
        let Queries { pairs, thresholds, steps, least, .. } = queries;
        let count = pairs.len();
        let thresholds = &thresholds[..count];
        let (from, to) = match halves {
            [] => (first - scanned.first, first - scanned.first + bias.len()),
            // Any of the full blocks.
            _ => (0, scanned.values.len() / (scanned.columns * BLOCK) * BLOCK),
        };
        let vectors = scanned.values.slice(from * scanned.columns..to * scanned.columns);
        let factors = scanned.factors.get(from..to).unwrap_or_default();
        let mut of_queries = [&[][..]; MAX_QUERIES];
        let looked_up = match (&self.job.codes, vectors) {
            (Codes::Rounded(codes), Values::U8(bytes)) => {
                let steps = steps.map(|steps| steps.step);
                let groups = codes.groups();
                let (queries, rows) = (&words[..], scanned.rows);
                let input =
                    DotInput { count, groups, queries, steps: &steps, thresholds, codes: bytes, rows, bias };
                return self.kernels.dots(input, tile);
            }
            (Codes::RaBitQ(codes), Values::U8(bytes)) if codes.looks_up() => {
                let columns = codes.code_columns();
                let tables = tables.chunks_exact(columns * 2 * ENTRIES);
                of_queries.iter_mut().zip(tables).for_each(|(to, tables)| *to = tables);
                Some((columns, bytes, factors))
            }
            (Codes::Product(codes), Values::U8(bytes)) => {
                let tables = &self.prepared.tables;
                let numbers = pairs.iter().map(|pair| pair.query as usize);
                if !codes.fast {
                    let words = codes.book.words;
                    return numbers.zip(thresholds).enumerate().fold(0, |any, (q, (query, &threshold))| {
                        let tables = tables.floats(codes, query);
                        let input = SumInput { tables, words, threshold, codes: bytes, bias };
                        any | u32::from(self.kernels.tables.add_up(input, q, tile)) << q
                    });
                }
                of_queries.iter_mut().zip(numbers).for_each(|(to, query)| *to = tables.bytes(codes, query));
                Some((scanned.columns, bytes, &ONES[..bias.len()]))
            }
            _ => None,
        };
        if let Some((columns, codes, factors)) = looked_up {
            let (tables, stride) = (&of_queries[..count], scanned.columns);
            let input = LookupInput {
                count,
                columns,
                tables,
                steps,
                thresholds,
                least,
                codes,
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
        let input = TileInput {
            dim: self.job.dim,
            count,
            queries: packed,
            thresholds,
            vectors,
            halves,
            bias,
            scaled,
        };
        self.kernels.tile(input, tile)
    }

    /// Offers the hits of one query to its collector; true if its bar moved.
    #[inline]
    fn select(
        &mut self,
        ground: &Ground<'_>,
        scanned: &Scanned<'_>,
        pair: &Pair,
        scorer: &Scorer<'_>,
        q: usize,
        part: &Part<'_>,
    ) -> bool {
        let list = &ground.list;
        let query = pair.query as usize;
        let end = list.ids.len().min(pair.slots as usize);
        let mut moved = false;
        for block in 0..part.bias.len().div_ceil(BLOCK) {
            let mut mask = self.scratch.tile.hits[q][block];
            if let Some(filter) = ground.filter
                && mask != 0
            {
                mask &= filter.mask(self.kernels, ids_of(list, part.first / BLOCK + block));
            }
            while mask != 0 {
                let lane = mask.trailing_zeros() as usize;
                mask &= mask - 1;
                let slot = part.slot(block * BLOCK + lane);
                if slot >= end {
                    break;
                }
                let id = ground.id(slot);
                let score = self.scratch.tile.scores[q][block][lane];
                let (place, factor) = (|| Place::of_id(id).slot, || scanned.factors[slot - scanned.first]);
                let key = scorer.key(scorer.own(score, place, factor), list, slot);
                moved |= self.collector.offer(query, Hit { key, id });
            }
        }
        moved
    }
}

/// The factors of lanes that have none.
const ONES: [f32; MAX_BLOCKS * BLOCK] = [1.0; MAX_BLOCKS * BLOCK];

/// Rows of `dim` values, as many as a tile takes at most.
fn split(values: &[f32], dim: usize) -> [&[f32]; MAX_QUERIES] {
    let mut rows = [&[][..]; MAX_QUERIES];
    rows.iter_mut().zip(values.chunks_exact(dim)).for_each(|(to, row)| *to = row);
    rows
}
