//! Scanning one unit of work: what of it is read, and which tiles of queries pass over it.

use super::affine::Affine;
use super::packed::{FEW, HALVED, Kept, Packed, halve, is_wide, masked, restrict, worthwhile};
use super::plan::{Pair, Plan, Unit};
use super::prepared::Prepared;
use super::rabitq::Number;
use super::rounded::{Rounded, Roundings};
use super::{Codes, IdFilter, ListView, Place, ScanJob};
use crate::collect::Collector;
use crate::context::Context;
use crate::element::Values;
use crate::error::Result;
use crate::kernel::{Found, GROUP, Kernels, TileOutput, bitpack, prefetch_early};
use crate::lists::block::{BLOCK, blocks};
use crate::topk::Hit;

/// What of a list is scanned.
pub(super) struct Ground<'a> {
    pub(super) list: ListView<'a>,
    /// The list's.
    pub(super) number: usize,
    /// That by whose centroid it is coded.
    pub(super) coded_in: usize,
    /// Whether hits carry places, which the ids are not already.
    pub(super) places: bool,
    /// What hits have still to pass.
    pub(super) filter: Option<&'a dyn IdFilter>,
    /// The unit's.
    blocks: (usize, usize),
    /// The list's biases, `-inf` where no result is let through.
    pub(super) bias: &'a [f32],
    /// Those of its blocks that are read.
    pub(super) runs: &'a [(usize, usize)],
    /// Halves of blocks that are read beside those, rising; half `i` has the slots from `16 i` on.
    pub(super) halves: &'a [u32],
    /// Their biases.
    pub(super) half_bias: &'a [f32],
}

impl Ground<'_> {
    /// What a hit is called.
    #[inline]
    pub(super) fn id(&self, slot: usize) -> i64 {
        if self.places { Place { list: self.number, slot }.to_id() } else { self.list.ids[slot] }
    }
}

/// What a tile reads of a list.
pub(super) struct Scanned<'a> {
    pub(super) values: Values<'a>,
    /// Elements of a lane.
    pub(super) columns: usize,
    /// Dimensions of codes that products in whole numbers read as they lie, not by fours.
    pub(super) rows: Option<usize>,
    /// What each lane's products count, of estimates.
    pub(super) factors: &'a [f32],
    /// The lane with which they begin.
    pub(super) first: usize,
}

/// One worker's way through its units.
pub(super) struct Scanner<'a, C> {
    pub(super) kernels: &'static Kernels,
    pub(super) job: &'a ScanJob<'a>,
    /// The query that the plan calls 0.
    pub(super) first_query: usize,
    pub(super) prepared: &'a Prepared,
    pub(super) scratch: &'a mut Scratch,
    pub(super) collector: C,
    /// What a single query reads next of another list.
    pub(super) next: &'a [u8],
}

/// Memory that a scanner uses again for each unit.
pub(crate) struct Scratch {
    /// A tile's queries.
    pub(super) packed: Vec<f32>,
    /// What the kernel writes.
    pub(super) tile: Box<TileOutput>,
    /// The same of a single query.
    pub(super) found: Box<Found>,
    /// What passes of it.
    pub(super) hits: Vec<Hit>,
    filtered: Filtered,
    /// A tile's queries, as codes see them.
    pub(super) shifted: Vec<f32>,
    /// The unit's codes, a byte each.
    unpacked: Vec<u8>,
    /// The unit's factors.
    factors: Vec<f32>,
    /// A tile's tables.
    pub(super) tables: Vec<u8>,
    /// A tile's queries, rounded for a list.
    pub(super) roundings: Roundings,
    /// The same, or those that all lists share, as the kernel reads them.
    pub(super) words: Vec<i32>,
    /// The unit's codes by fours.
    fours: Vec<u8>,
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
    halves: Vec<u32>,
    half_bias: Vec<f32>,
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self {
            packed: Vec::new(),
            tile: Box::new(TileOutput::new()),
            found: Box::new(Found::new()),
            hits: Vec::new(),
            filtered: Filtered::default(),
            shifted: Vec::new(),
            unpacked: Vec::new(),
            factors: Vec::new(),
            tables: Vec::new(),
            roundings: Roundings::default(),
            words: Vec::new(),
            fours: Vec::new(),
        }
    }
}

impl<'a, C: Collector> Scanner<'a, C> {
    /// A scanner for queries from `first_query` on, of which `prepared` is known.
    pub(super) fn new(
        context: &Context,
        job: &'a ScanJob<'a>,
        first_query: usize,
        prepared: &'a Prepared,
        scratch: &'a mut Scratch,
        collector: C,
    ) -> Self {
        Self { kernels: context.kernels(), job, first_query, prepared, scratch, collector, next: &[] }
    }

    /// Scans a unit for all its pairs.
    pub(super) fn scan(&mut self, plan: &Plan, unit: &Unit) -> Result<()> {
        self.scan_of(plan, unit, self.job.lists.list(unit.list as usize))
    }

    /// The same of a unit whose list was looked at before.
    pub(super) fn scan_of(&mut self, plan: &Plan, unit: &Unit, list: ListView<'a>) -> Result<()> {
        let pairs = &plan.pairs[unit.pairs.0 as usize..unit.pairs.1 as usize];
        let (number, places) = (unit.list as usize, self.job.places);
        let all = (unit.blocks.0 as usize, unit.blocks.1 as usize);
        let ground = Ground {
            list,
            number,
            coded_in: self.job.coded_in(number),
            places,
            filter: None,
            blocks: all,
            bias: list.bias,
            runs: &[all],
            halves: &[],
            half_bias: &[],
        };
        let Some(filter) = self.job.filter else {
            return self.scan_ground(&ground, pairs);
        };
        if pairs.len() <= FEW && is_wide(&list, all, filter, self.kernels) {
            return self.scan_ground(&Ground { filter: Some(filter), ..ground }, pairs);
        }
        let mut room = std::mem::take(&mut self.scratch.filtered);
        let Filtered { kept, packed, bias, runs, halves, half_bias } = &mut room;
        restrict(&list, all, filter, self.kernels, kept);
        let whole = pairs.iter().all(|pair| pair.slots as usize >= list.ids.len());
        let result = if whole && worthwhile(kept, pairs.len()) {
            let name = |slot| if places { Place { list: number, slot }.to_id() } else { list.ids[slot] };
            let list = packed.pack(&list, self.job.columns(), kept, name);
            let all = (0, blocks(list.ids.len()));
            let packed = Ground { list, bias: list.bias, places: false, blocks: all, runs: &[all], ..ground };
            self.scan_ground(&packed, pairs)
        } else {
            let by_halves = pairs.len() <= HALVED && self.reads_values();
            let done = if by_halves { halve(&list, kept, halves, half_bias) } else { 0 };
            let halves = if by_halves { &halves[..] } else { &[] };
            mask(&list, &kept[done..], bias, runs);
            self.scan_ground(&Ground { bias, runs, halves, half_bias, ..ground }, pairs)
        };
        self.scratch.filtered = room;
        result
    }

    fn scan_ground(&mut self, ground: &Ground<'_>, pairs: &[Pair]) -> Result<()> {
        if let (Some(codes), [pair]) = (self.looks_words_up(), pairs) {
            self.job.cancel.check()?;
            self.scan_one(ground, codes, pair);
            return Ok(());
        }
        let mut unpacked = std::mem::take(&mut self.scratch.unpacked);
        let mut factors = std::mem::take(&mut self.scratch.factors);
        let mut fours = std::mem::take(&mut self.scratch.fours);
        let (list, blocks) = (&ground.list, ground.blocks);
        self.fetch_query(pairs.first());
        let scanned = self.scanned(list, blocks, pairs.len(), &mut unpacked, &mut factors, &mut fours);
        // Tiles of even size: 7 + 6 rather than 12 + 1.
        let tiles = pairs.len().div_ceil(self.kernels.max_queries);
        let mut tiles = pairs.chunks(pairs.len().div_ceil(tiles)).peekable();
        while let Some(tile) = tiles.next() {
            self.job.cancel.check()?;
            self.fetch_query(tiles.peek().and_then(|next| next.first()));
            self.scan_tile(ground, &scanned, tile);
        }
        self.scratch.unpacked = unpacked;
        self.scratch.factors = factors;
        self.scratch.fours = fours;
        Ok(())
    }

    /// Has the query of a pair fetched that is soon to be packed; those after it are fetched meanwhile.
    fn fetch_query(&self, pair: Option<&Pair>) {
        let Some(pair) = pair else { return };
        prefetch_early(self.job.row(self.first_query + pair.query as usize));
    }

    /// What tiles read of some blocks for so many pairs: codes of fewer than 8 bits are unpacked, once for all of them.
    fn scanned<'v>(
        &self,
        list: &ListView<'v>,
        blocks: (usize, usize),
        pairs: usize,
        unpacked: &'v mut Vec<u8>,
        factors: &'v mut Vec<f32>,
        fours: &'v mut Vec<u8>,
    ) -> Scanned<'v> {
        let bits = match self.job.codes {
            Codes::Affine(Affine { bits: bits @ ..8, .. }) => bits,
            Codes::Rounded(Rounded { affine, .. }) => affine.bits,
            Codes::RaBitQ(codes) => codes.bits,
            _ => {
                let (values, columns) = (list.vectors, self.job.columns());
                return Scanned { values, columns, rows: None, factors: &[], first: 0 };
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
            return Scanned { values: Values::U8(codes), columns, rows: None, factors, first };
        }
        let dim = self.job.dim;
        let codes = if bits == 8 && columns == dim {
            codes
        } else {
            unpacked.resize((last - first) * dim, 0);
            self.kernels.unpack(bitpack::Packed { bits, dim, columns, blocks: codes }, unpacked);
            unpacked
        };
        let rounded = match self.job.codes {
            Codes::Rounded(rounded) if !self.kernels.reads_rows(pairs) => rounded,
            codes_are => {
                let rows = matches!(codes_are, Codes::Rounded(_)).then_some(dim);
                return Scanned { values: Values::U8(codes), columns: dim, rows, factors, first };
            }
        };
        let columns = rounded.groups() * GROUP;
        fours.resize((last - first) * columns, 0);
        for (codes, fours) in codes.chunks(dim * BLOCK).zip(fours.chunks_mut(columns * BLOCK)) {
            self.kernels.interleave(codes, codes.len() / dim, fours);
        }
        Scanned { values: Values::U8(fours), columns, rows: None, factors, first }
    }

    /// Whether tiles read the lists' values as they are, with nothing made of them first.
    fn reads_values(&self) -> bool {
        matches!(self.job.codes, Codes::Plain | Codes::Affine(Affine { bits: 8, .. }))
    }

    /// Whether scores are looked up.
    fn looks_up(&self) -> bool {
        matches!(self.job.codes, Codes::RaBitQ(codes) if codes.looks_up())
    }
}

/// The biases of a list with those of filtered vectors at `-inf`, in `bias`, and in `runs` the blocks that still
/// hold something: a narrow filter skips the others unread.
fn mask(list: &ListView<'_>, kept: &[Kept], bias: &mut Vec<f32>, runs: &mut Vec<(usize, usize)>) {
    runs.clear();
    bias.resize(list.bias.len(), f32::NEG_INFINITY);
    for &(block, mask) in kept {
        let first = block * BLOCK;
        let last = list.bias.len().min(first + BLOCK);
        bias[first..last]
            .iter_mut()
            .zip(masked(&list.bias[first..last], mask))
            .for_each(|(to, from)| *to = from);
        match runs.last_mut() {
            Some(run) if run.1 == block => run.1 = block + 1,
            _ => runs.push((block, block + 1)),
        }
    }
}
