//! What a round is: the blocks that some queries visit, as rows of keys and as tiles that the device works on.

use super::encode::{DeviceRow, to32};
use crate::backend::prepared::Prepared;
use crate::backend::{Codes, ScanJob};
use crate::kernel::{Kernels, Steps};
use crate::lists::block::BLOCK;

/// A kind of tile: most queries and blocks of one. Of many queries it is a product of two matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// scan.wgsl: 128 threads of four lanes.
    Few,
    /// scan_many.wgsl.
    Many,
    /// lookup.wgsl and tables.wgsl, of any number.
    Lookup,
}

impl Shape {
    pub(super) const ALL: [Self; 3] = [Self::Few, Self::Many, Self::Lookup];

    pub(super) fn size(self) -> (usize, usize) {
        match self {
            Self::Few => (8, 16),
            Self::Many => (64, 2),
            Self::Lookup => (16, 16),
        }
    }
}

/// `Tile` in tiles.wgsl.
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Tile {
    pub(super) block: u32,
    pub(super) blocks: u32,
    pub(super) slot: u32,
    pub(super) slots: u32,
    pub(super) word: u32,
    pub(super) pair: u32,
    pub(super) pairs: u32,
    pub(super) list: u32,
}

/// `Group` in numbers.wgsl.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Group {
    pub(super) list: u32,
    pub(super) pair: u32,
    pub(super) pairs: u32,
}

/// `Pair` in tiles.wgsl.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Pair {
    pub(super) query: u32,
    pub(super) place: u32,
}

/// Tiles of one shape in one segment.
pub(super) struct Dispatch {
    pub(super) shape: Shape,
    pub(super) segment: usize,
    pub(super) tiles: std::ops::Range<usize>,
}

/// Blocks of a list that a query visits: where their keys begin.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    pub(super) list: u32,
    /// The first of them.
    pub(super) first: u32,
    pub(super) place: u32,
}

/// A piece that is not all of its list.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// In `pieces`.
    pub(super) piece: u32,
    pub(super) query: u32,
    pub(super) blocks: u32,
    pub(super) slots: u32,
}

/// A query's keys in a round.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) query: usize,
    pub(super) start: u32,
    pub(super) length: u32,
    /// In `pieces`.
    pub(super) pieces: (usize, usize),
}

/// One round.
#[derive(Default)]
pub(super) struct Round {
    /// The job's queries that take part.
    pub(super) queries: std::ops::Range<usize>,
    /// Their squared lengths, if keys are their squared distances from plain vectors.
    pub(super) norms: Vec<f32>,
    pub(super) rows: Vec<Row>,
    pub(super) pieces: Vec<Piece>,
    pub(super) parts: Vec<Part>,
    pub(super) lanes: usize,
    pub(super) tiles: Vec<Tile>,
    pub(super) dispatches: Vec<Dispatch>,
    pub(super) pairs: Vec<Pair>,
    /// The pairs by list, where each has numbers of its own.
    pub(super) groups: Vec<Group>,
    /// A bit a lane for the lists visited so far, list by list, if it is not what the round before had.
    pub(super) passing: Option<Vec<u32>>,
    /// All queries before this one are done with this round.
    pub(super) ready: usize,
    /// What is asked of each of its rows.
    pub(super) asked: Vec<DeviceRow>,
    /// Of codes by words the queries' tables, and what is sent behind them: three numbers of each query, and of each pair
    /// the product of query and centroid.
    pub(super) prepared: Prepared,
    pub(super) of_tables: Vec<f32>,
}

impl Round {
    /// Makes what is sent of queries besides themselves.
    pub(super) fn prepare(&mut self, kernels: &Kernels, job: &ScanJob<'_>) {
        let Codes::Product(codes) = job.codes else { return };
        self.prepared.fill(kernels, job, self.queries.start, self.queries.end);
        let Prepared { norms, tables, .. } = &self.prepared;
        let mut numbers = std::mem::take(&mut self.of_tables);
        numbers.clear();
        numbers.extend(norms.iter().enumerate().flat_map(|(query, &norm)| {
            let Steps { base, step } = tables.steps(query);
            [norm, base, step]
        }));
        // In the pairs' order; where codes are not of residuals there are no groups.
        numbers.extend(self.grouped().map(|(list, pair)| {
            let query = self.queries.start + pair.query as usize;
            let centroid = codes.centroid(list).unwrap_or_default();
            kernels.pairs.product(job.row(query), centroid)
        }));
        self.of_tables = numbers;
    }

    /// All pairs of the round, with the list of each, where they have numbers of their own.
    fn grouped(&self) -> impl Iterator<Item = (usize, &Pair)> {
        let pairs = |group: &Group| &self.pairs[group.pair as usize..(group.pair + group.pairs) as usize];
        self.groups.iter().flat_map(move |group| pairs(group).iter().map(|pair| (group.list as usize, pair)))
    }

    /// Which of its rows is a query's.
    pub(super) fn row_of(&self, query: usize) -> Option<usize> {
        // As a rule each of its queries has one.
        let likely = query.wrapping_sub(self.queries.start);
        if self.rows.get(likely).is_some_and(|row| row.query == query) {
            return Some(likely);
        }
        self.rows.binary_search_by_key(&query, |row| row.query).ok()
    }

    /// The list and the slot that a key of `row` is of.
    pub(super) fn locate(&self, row: &Row, at: u32) -> (u32, u32) {
        let place = row.start + at.min(row.length - 1);
        let pieces = &self.pieces[row.pieces.0..row.pieces.1];
        let piece = pieces[pieces.partition_point(|piece| piece.place <= place) - 1];
        (piece.list, piece.first * to32(BLOCK) + place - piece.place)
    }
}
