//! A job in rounds that fit the device: which lists each query visits, cut where a round is full.
//!
//! A round's keys lie in one buffer, a row a query; a row is the blocks that its query visits in this round, one
//! after another. The same blocks are tiles for many queries at once, whichever rows their keys go to. The device's
//! own plan, its twin, begins with shaders/plan.wgsl.

use super::encode::to32;
use super::held::has_numbers;
use super::resident::Resident;
use super::round::{Dispatch, Group, Pair, Part, Piece, Round, Row, Shape, Tile};
use crate::backend::plan::slot_after;
use crate::backend::{Codes, Probes, ScanJob};
use crate::error::Result;
use crate::kernel::Kernels;
use crate::lists::block::{BLOCK, blocks};
use crate::matrix::squared_norm;
use crate::metric::Metric;

/// From so many queries on a tile of many is faster, however many of its rows are empty.
pub(super) const MANY: usize = 20;

/// Most pairs of a group.
const GROUP: usize = 16;

/// What a round may need at most.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    pub(super) lanes: usize,
    pub(super) queries: usize,
    /// Lanes that each query takes, where the job does not tell.
    pub(super) a_query: Option<f64>,
}

/// The way through a job.
pub(super) struct Rounds<'a> {
    job: &'a ScanJob<'a>,
    /// The next query, its next probe, and that list's next block; the query at which to end.
    query: usize,
    end: usize,
    rank: usize,
    block: usize,
    /// Vectors that the query may still look at.
    budget: usize,
    /// With a filter: a bit a lane, list by list, for the lists visited so far, where each list's begin, and how many
    /// words the last round had.
    passing: Vec<u32>,
    words: Vec<u32>,
    sent: usize,
    sorter: Sorter,
}

/// What a round is sorted by.
#[derive(Default)]
pub(super) struct Sorter {
    /// How many pieces are the whole of each list, then where their pairs begin, then where they end.
    ends: Vec<u32>,
    /// The tiles of a segment, by shape.
    tiles: Vec<[Vec<Tile>; Shape::ALL.len()]>,
}

const UNKNOWN: u32 = u32::MAX;

impl<'a> Rounds<'a> {
    /// The way through some of a job's queries.
    pub(super) fn new(job: &'a ScanJob<'a>, queries: std::ops::Range<usize>, sorter: Sorter) -> Self {
        let lists = if job.filter.is_some() { job.lists.list_count() } else { 0 };
        let words = vec![UNKNOWN; lists];
        Self {
            job,
            query: queries.start,
            end: queries.end,
            rank: 0,
            block: 0,
            budget: job.max_codes,
            passing: Vec::new(),
            words,
            sent: usize::MAX,
            sorter,
        }
    }

    /// Whether there is no round left.
    pub(super) fn are_over(&self) -> bool {
        self.query == self.end
    }

    /// What others can use.
    pub(super) fn into_sorter(self) -> Sorter {
        self.sorter
    }

    /// The next round, in the memory of another.
    pub(super) fn next(&mut self, limits: &Limits, resident: &Resident, mut round: Round) -> Result<Round> {
        round.rows.clear();
        round.norms.clear();
        round.pieces.clear();
        round.parts.clear();
        round.lanes = 0;
        self.sorter.ends.clear();
        self.sorter.ends.resize(self.job.lists.list_count(), 0);
        let first = self.query;
        let mut last = first;
        while self.query < self.end && self.query - first < limits.queries {
            self.job.cancel.check()?;
            last = self.query + 1;
            let start = (round.lanes, round.pieces.len());
            if self.job.metric == Metric::L2 && matches!(self.job.codes, Codes::Plain) {
                round.norms.push(squared_norm(self.job.row(self.query)));
            }
            let finished = self.visit(limits, resident, &mut round);
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
        round.ready = self.query;
        self.tile(resident, &mut round);
        round.passing = (self.sent != self.passing.len()).then(|| self.passing.clone());
        self.sent = self.passing.len();
        Ok(round)
    }

    /// Adds what the query still has to visit to the round; false if the round was full before.
    fn visit(&mut self, limits: &Limits, resident: &Resident, round: &mut Round) -> bool {
        let (row, probes) = match self.job.probes {
            Probes::All => (None, self.job.lists.list_count()),
            Probes::Lists { lists, nprobe } => (Some(&lists[self.query * nprobe..][..nprobe]), nprobe),
        };
        while self.rank < probes && self.budget > 0 {
            let list = row.map_or(Ok(self.rank), |row| usize::try_from(row[self.rank]));
            if let Ok(list) = list {
                let all = resident.slots[list];
                let (mut slots, mut live) = (all, 0);
                if self.budget != usize::MAX {
                    let view = self.job.lists.list(list);
                    live = view.live;
                    if self.budget < live {
                        slots = to32(slot_after(view.bias, self.budget));
                    }
                }
                let end = blocks(slots as usize);
                let room = (limits.lanes - round.lanes) / BLOCK;
                let take = (end - self.block).min(room);
                if take > 0 {
                    if take == end && slots == all {
                        self.sorter.ends[list] += 1;
                    } else {
                        let (piece, query) = (to32(round.pieces.len()), to32(self.query));
                        round.parts.push(Part { piece, query, blocks: to32(take), slots });
                    }
                    let (first, place) = (to32(self.block), to32(round.lanes));
                    round.pieces.push(Piece { list: to32(list), first, place });
                    round.lanes += take * BLOCK;
                    self.block += take;
                }
                if self.block < end {
                    return false;
                }
                if self.budget != usize::MAX {
                    self.budget -= self.budget.min(live);
                }
            }
            self.rank += 1;
            self.block = 0;
        }
        true
    }

    /// Makes tiles of the round's pieces: the same blocks for many queries at once.
    fn tile(&mut self, resident: &Resident, round: &mut Round) {
        self.sorter.tiles.iter_mut().flatten().for_each(Vec::clear);
        self.sorter.tiles.resize_with(resident.segments.len(), Default::default);
        round.groups.clear();
        self.tile_lists(resident, round);
        self.tile_parts(resident, round);
        round.tiles.clear();
        round.dispatches.clear();
        for (segment, sorted) in self.sorter.tiles.iter_mut().enumerate() {
            for (shape, own) in Shape::ALL.into_iter().zip(sorted).filter(|(_, own)| !own.is_empty()) {
                let first = round.tiles.len();
                round.tiles.append(own);
                round.dispatches.push(Dispatch { shape, segment, tiles: first..round.tiles.len() });
            }
        }
    }

    /// Makes pairs and tiles of the pieces that are whole lists, by a counting sort.
    fn tile_lists(&mut self, resident: &Resident, round: &mut Round) {
        let ends = &mut self.sorter.ends;
        let mut sum = 0;
        for end in ends.iter_mut() {
            sum += *end;
            *end = sum - *end;
        }
        round.pairs.clear();
        round.pairs.resize(sum as usize, Pair { query: 0, place: 0 });
        let mut parts = round.parts.iter().peekable();
        for row in &round.rows {
            let query = to32(row.query - round.queries.start);
            for number in row.pieces.0..row.pieces.1 {
                if parts.next_if(|part| part.piece as usize == number).is_some() {
                    continue;
                }
                let piece = &round.pieces[number];
                let end = &mut ends[piece.list as usize];
                round.pairs[*end as usize] = Pair { query, place: piece.place };
                *end += 1;
            }
        }
        let mut start = 0;
        for list in 0..self.sorter.ends.len() {
            let end = self.sorter.ends[list] as usize;
            if start < end {
                let slots = resident.slots[list];
                let all = blocks(slots as usize);
                self.tile_group(resident, (list, 0, all), slots, start..end);
                self.group(list, start..end, &mut round.groups);
                start = end;
            }
        }
    }

    /// Makes pairs and tiles of the other pieces: where a round was cut, and where a query may look at some vectors
    /// only.
    fn tile_parts(&mut self, resident: &Resident, round: &mut Round) {
        let Round { parts, pieces, pairs, groups, queries, .. } = round;
        let of = |part: &Part| {
            let piece = &pieces[part.piece as usize];
            (piece.list, piece.first, part.blocks, part.slots)
        };
        parts.sort_by_key(of);
        for group in parts.chunk_by(|a, b| of(a) == of(b)) {
            let start = pairs.len();
            let (list, first, blocks, slots) = of(&group[0]);
            pairs.extend(group.iter().map(|part| Pair {
                query: part.query - to32(queries.start),
                // Where slot 0 would be: the sum may wrap, and wraps back when the slot is added.
                place: pieces[part.piece as usize].place.wrapping_sub(first * to32(BLOCK)),
            }));
            let blocks = (list as usize, first as usize, blocks as usize);
            self.tile_group(resident, blocks, slots, start..pairs.len());
            self.group(list as usize, start..pairs.len(), groups);
        }
    }

    /// Groups pairs that visit `list`, if they need it.
    fn group(&self, list: usize, pairs: std::ops::Range<usize>, groups: &mut Vec<Group>) {
        if has_numbers(&self.job.codes) {
            for pair in pairs.clone().step_by(GROUP) {
                let count = (pairs.end - pair).min(GROUP);
                groups.push(Group { list: to32(list), pair: to32(pair), pairs: to32(count) });
            }
        }
    }

    /// Makes tiles of blocks, `(list, first, count)`, and the pairs that visit them.
    fn tile_group(
        &mut self,
        resident: &Resident,
        (list, first, count): (usize, usize, usize),
        slots: u32,
        pairs: std::ops::Range<usize>,
    ) {
        let word = self.words_of(list);
        for (extent, begin) in resident.extents(list, first, count) {
            let mut pair = pairs.start;
            while pair < pairs.end {
                let shape = match self.job.codes {
                    Codes::Product(_) => Shape::Lookup,
                    _ if pairs.end - pair < MANY => Shape::Few,
                    _ => Shape::Many,
                };
                let (most_pairs, most_blocks) = shape.size();
                let count = (pairs.end - pair).min(most_pairs);
                for from in (0..extent.blocks).step_by(most_blocks) {
                    self.sorter.tiles[extent.segment][shape as usize].push(Tile {
                        block: to32(extent.start + from),
                        blocks: to32((extent.blocks - from).min(most_blocks)),
                        slot: to32((begin + from) * BLOCK),
                        slots,
                        word: word + to32(begin + from),
                        pair: to32(pair),
                        pairs: to32(count),
                        list: to32(list),
                    });
                }
                pair += count;
            }
        }
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
