//! A job in rounds that fit the device: which lists each query visits, cut where a round is full.
//!
//! A round's keys lie in one buffer, a row a query; a row is the blocks that its query visits in this round, one
//! after another. The same blocks are tiles for up to eight queries, whichever rows their keys go to.

use super::resident::Resident;
use crate::backend::plan::slot_after;
use crate::backend::{Probes, ScanJob};
use crate::error::Result;
use crate::kernel::Kernels;
use crate::lists::block::{BLOCK, blocks};
use crate::matrix::squared_norm;
use crate::metric::Metric;

/// Queries of a tile, as scan.wgsl has it.
const TILE_QUERIES: usize = 8;

/// Most blocks of a tile: large enough to pay for staging the queries, small enough to share out.
const TILE_BLOCKS: usize = 32;

/// `Tile` in scan.wgsl.
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Tile {
    block: u32,
    blocks: u32,
    slot: u32,
    word: u32,
    pair: u32,
    pairs: u32,
}

/// `Pair` in scan.wgsl.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Pair {
    query: u32,
    place: u32,
    slots: u32,
    norm: f32,
}

/// Blocks of a list that a query visits.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    query: u32,
    list: u32,
    first: u32,
    blocks: u32,
    /// Where its keys begin.
    pub(super) place: u32,
    slots: u32,
}

/// A query's keys in a round.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) query: usize,
    pub(super) start: u32,
    pub(super) length: u32,
    /// In `pieces`.
    pieces: (usize, usize),
}

/// One round.
#[derive(Default)]
pub(super) struct Round {
    /// The job's queries that take part.
    pub(super) queries: std::ops::Range<usize>,
    pub(super) rows: Vec<Row>,
    pieces: Vec<Piece>,
    pub(super) lanes: usize,
    /// All segments' tiles, one segment after another.
    pub(super) tiles: Vec<Tile>,
    /// Where each segment's begin, and the end.
    pub(super) segments: Vec<usize>,
    pub(super) pairs: Vec<Pair>,
    order: Vec<u32>,
    by_segment: Vec<Vec<Tile>>,
}

impl Round {
    /// The list and the slot that a key of `row` is of.
    pub(super) fn locate(&self, row: &Row, at: u32) -> (u32, u32) {
        let place = row.start + at;
        let pieces = &self.pieces[row.pieces.0..row.pieces.1];
        let piece = pieces[pieces.partition_point(|piece| piece.place <= place) - 1];
        (piece.list, piece.first * to32(BLOCK) + place - piece.place)
    }
}

/// What a round may need at most.
pub(super) struct Limits {
    pub(super) lanes: usize,
    pub(super) queries: usize,
}

/// The way through a job.
pub(super) struct Rounds<'a> {
    job: &'a ScanJob<'a>,
    /// The next query, its next probe, and that list's next block.
    query: usize,
    rank: usize,
    block: usize,
    /// Vectors that the query may still look at.
    budget: usize,
    /// With a filter: a bit a lane, list by list, for the lists visited so far, and where each list's begin.
    pub(super) passing: Vec<u32>,
    words: Vec<u32>,
}

const UNKNOWN: u32 = u32::MAX;

impl<'a> Rounds<'a> {
    pub(super) fn new(job: &'a ScanJob<'a>) -> Self {
        let lists = if job.filter.is_some() { job.lists.list_count() } else { 0 };
        let words = vec![UNKNOWN; lists];
        Self { job, query: 0, rank: 0, block: 0, budget: job.max_codes, passing: Vec::new(), words }
    }

    /// All queries before this one are done.
    pub(super) fn done(&self) -> usize {
        self.query
    }

    /// The next round, into `round`; false when there is none.
    pub(super) fn next(&mut self, limits: &Limits, resident: &Resident, round: &mut Round) -> Result<bool> {
        if self.query == self.job.count {
            return Ok(false);
        }
        round.rows.clear();
        round.pieces.clear();
        round.lanes = 0;
        let first = self.query;
        let mut last = first;
        while self.query < self.job.count && self.query - first < limits.queries {
            self.job.cancel.check()?;
            last = self.query + 1;
            let start = (round.lanes, round.pieces.len());
            let finished = self.visit(limits, round);
            if round.lanes > start.0 {
                round.rows.push(Row {
                    query: self.query,
                    start: to32(start.0),
                    length: to32(round.lanes - start.0),
                    pieces: (start.1, round.pieces.len()),
                });
            }
            if !finished {
                break;
            }
            self.query += 1;
            (self.rank, self.block, self.budget) = (0, 0, self.job.max_codes);
        }
        round.queries = first..last;
        self.tile(resident, round);
        Ok(true)
    }

    /// Adds what the query still has to visit to the round; false if the round was full before.
    fn visit(&mut self, limits: &Limits, round: &mut Round) -> bool {
        let lists = self.job.lists;
        let (row, probes) = match self.job.probes {
            Probes::All => (None, lists.list_count()),
            Probes::Lists { lists, nprobe } => (Some(&lists[self.query * nprobe..][..nprobe]), nprobe),
        };
        while self.rank < probes && self.budget > 0 {
            let list = row.map_or(Ok(self.rank), |row| usize::try_from(row[self.rank]));
            if let Ok(list) = list {
                let view = lists.list(list);
                let mut slots = view.ids.len();
                if self.budget < view.live {
                    slots = slot_after(view.bias, self.budget);
                }
                let end = blocks(slots);
                let room = (limits.lanes - round.lanes) / BLOCK;
                let take = (end - self.block).min(room);
                if take > 0 {
                    round.pieces.push(Piece {
                        query: to32(self.query),
                        list: to32(list),
                        first: to32(self.block),
                        blocks: to32(take),
                        place: to32(round.lanes),
                        slots: to32(slots),
                    });
                    round.lanes += take * BLOCK;
                    self.block += take;
                }
                if self.block < end {
                    return false;
                }
                if self.budget != usize::MAX {
                    self.budget -= self.budget.min(view.live);
                }
            }
            self.rank += 1;
            self.block = 0;
        }
        true
    }

    /// Makes tiles of the round's pieces: the same blocks for up to eight queries at once.
    fn tile(&mut self, resident: &Resident, round: &mut Round) {
        let Round { pieces, tiles, segments, pairs, order, by_segment, queries, .. } = round;
        order.clear();
        order.extend(0..to32(pieces.len()));
        order.sort_unstable_by_key(|&i| {
            let piece = &pieces[i as usize];
            (piece.list, piece.first, piece.blocks, i)
        });
        pairs.clear();
        by_segment.iter_mut().for_each(Vec::clear);
        by_segment.resize_with(resident.segments.len(), Vec::new);
        let key = |&i: &u32| {
            let piece = &pieces[i as usize];
            (piece.list, piece.first, piece.blocks)
        };
        for group in order.chunk_by(|a, b| key(a) == key(b)) {
            let same = pieces[group[0] as usize];
            let (list, first) = (same.list as usize, same.first as usize);
            let word = self.words_of(list);
            let start = pairs.len();
            for &i in group {
                let piece = &pieces[i as usize];
                let query = &self.job.queries[piece.query as usize * self.job.dim..][..self.job.dim];
                pairs.push(Pair {
                    query: piece.query - to32(queries.start),
                    // Where slot 0 would be: the sum may wrap, and wraps back when the slot is added.
                    place: piece.place.wrapping_sub(piece.first * to32(BLOCK)),
                    slots: piece.slots,
                    norm: if self.job.metric == Metric::L2 { squared_norm(query) } else { 0.0 },
                });
            }
            for (extent, begin) in resident.extents(list, first, same.blocks as usize) {
                for from in (0..extent.blocks).step_by(TILE_BLOCKS) {
                    for pair in (start..pairs.len()).step_by(TILE_QUERIES) {
                        by_segment[extent.segment].push(Tile {
                            block: to32(extent.start + from),
                            blocks: to32((extent.blocks - from).min(TILE_BLOCKS)),
                            slot: to32((begin + from) * BLOCK),
                            word: word + to32(begin + from),
                            pair: to32(pair),
                            pairs: to32((pairs.len() - pair).min(TILE_QUERIES)),
                        });
                    }
                }
            }
        }
        tiles.clear();
        segments.clear();
        for own in by_segment {
            segments.push(tiles.len());
            tiles.append(own);
        }
        segments.push(tiles.len());
    }

    /// Where a list's bits begin in `passing`; they are made when they are first asked for.
    fn words_of(&mut self, list: usize) -> u32 {
        let Some(filter) = self.job.filter else { return 0 };
        if self.words[list] == UNKNOWN {
            self.words[list] = to32(self.passing.len());
            self.passing.extend(
                self.job.lists.list(list).ids.chunks(BLOCK).map(|ids| filter.mask(Kernels::scalar(), ids)),
            );
        }
        self.words[list]
    }
}

fn to32(number: usize) -> u32 {
    u32::try_from(number).expect("invariant: a round is limited to what 32 bits address")
}
