//! The planner: which queries meet at which list, so that a list's blocks are read once for all of them.

use super::allot::{Allotter, cut};
use super::{ListSource, PRODUCTS, Probes, ScanJob};
use crate::budget::Budget;
use crate::error::Result;
use crate::kernel::Kernels;
use crate::lists::block::{BLOCK, blocks};
use crate::progress::Cancel;

/// Bytes of a list that one unit of work covers: small enough to stay in a core's own cache while tile
/// after tile of queries passes over it, and the grain at which threads share the lists.
const UNIT_BYTES: usize = 512 * 1024;

/// A query that visits a list, and how many of the list's slots it may look at.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) list: u32,
    pub(crate) query: u32,
    pub(crate) slots: u32,
    /// See [`ScanJob::product`].
    pub(crate) product: f32,
}

/// A unit of work: some blocks of a list, and the pairs that look at them.
#[derive(Clone, Copy)]
pub(crate) struct Unit {
    pub(crate) list: u32,
    pub(crate) blocks: (u32, u32),
    pub(crate) pairs: (u32, u32),
}

/// Pairs sorted by list and cut into units, for a range of queries.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) units: Vec<Unit>,
    pub(crate) pairs: Vec<Pair>,
    unsorted: Vec<Pair>,
    starts: Vec<u32>,
    /// Where there is a limit: live vectors that each query looks at in each of its lists, `[queries, nprobe]`.
    allotted: Vec<u32>,
    allotter: Allotter,
}

/// The size of a plan's input.
pub(crate) struct Shape<'a> {
    /// What tells the pairs' products, where codes count them.
    products: Option<(&'static Kernels, &'a ScanJob<'a>)>,
    pub(crate) dim: usize,
    pub(crate) lists: &'a dyn ListSource,
    pub(crate) probes: Probes<'a>,
    /// `[queries, nprobe]`: the lists' distances, where a budget wants them.
    pub(crate) keys: Option<&'a [f32]>,
    pub(crate) budget: Option<Budget>,
    pub(crate) max_codes: usize,
    pub(crate) cancel: Cancel<'a>,
}

impl<'a> Shape<'a> {
    pub(super) fn of(job: &ScanJob<'a>) -> Self {
        Self {
            products: None,
            dim: job.dim,
            lists: job.lists,
            probes: job.probes,
            keys: job.keys,
            budget: job.budget,
            max_codes: job.max_codes,
            cancel: job.cancel,
        }
    }

    /// The same, with what a scan of the job wants to know of each pair.
    pub(super) fn for_scan(kernels: &'static Kernels, job: &'a ScanJob<'a>) -> Self {
        let products = (!job.lacking(0).is_empty()).then_some((kernels, job));
        Self { products, ..Self::of(job) }
    }

    /// Whether a query may look at fewer vectors than its lists hold.
    fn is_limited(&self) -> bool {
        self.max_codes != usize::MAX || self.budget.is_some()
    }
}

impl Plan {
    /// Plans the queries `from..to`; pairs number their queries from `from`.
    ///
    /// A single query keeps its probe order, nearest list first. Of many, those pairs come first that are
    /// their query's nearest list, if enough of them share lists: they raise the bar for all others.
    pub(crate) fn make(&mut self, shape: &Shape<'_>, from: usize, to: usize) -> Result<()> {
        self.units.clear();
        self.pairs.clear();
        let nlist = shape.lists.list_count();
        let count = to - from;
        let nprobe = match shape.probes {
            Probes::All => nlist,
            Probes::Lists { nprobe, .. } => nprobe,
        };
        let seeds = nprobe > 2 && count >= SEED_QUERIES * nlist;
        let limited = shape.is_limited();
        self.allotted.clear();
        if limited {
            for query in from..to {
                shape.cancel.check()?;
                self.allot(shape, query, nprobe);
            }
        }
        let ranks: &[(usize, usize)] = if seeds { &[(0, 1), (1, nprobe)] } else { &[(0, nprobe)] };
        for &(first, last) in ranks {
            self.unsorted.clear();
            for query in from..to {
                shape.cancel.check()?;
                self.gather(shape, query, to32(query - from), (first, last), nprobe);
            }
            let start = self.pairs.len();
            self.sort(nlist, count);
            if limited {
                // Tiles of queries that look at as many: none waits for another.
                for group in self.pairs[start..].chunk_by_mut(|a, b| a.list == b.list) {
                    group.sort_unstable_by_key(|pair| std::cmp::Reverse(pair.slots));
                }
            }
            self.cut(shape, start);
        }
        Ok(())
    }

    /// Appends how many vectors of each of its lists a query looks at: the budget's shares, of which
    /// `max_codes` lets the first pass, in probe order.
    fn allot(&mut self, shape: &Shape<'_>, query: usize, nprobe: usize) {
        let start = self.allotted.len();
        let size = |list: i64| usize::try_from(list).map_or(0, |list| to32(shape.lists.list(list).live));
        match shape.probes {
            Probes::All => self.allotted.extend((0..nprobe).map(|list| size(list as i64))),
            Probes::Lists { lists, .. } => {
                self.allotted
                    .extend(lists[query * nprobe..(query + 1) * nprobe].iter().map(|&list| size(list)));
            }
        }
        let sizes = &mut self.allotted[start..];
        if let Some(budget) = &shape.budget {
            let keys = shape.keys.map(|keys| &keys[query * nprobe..(query + 1) * nprobe]);
            self.allotter.allot(budget, keys, sizes);
        }
        if shape.max_codes != usize::MAX {
            cut(sizes, shape.max_codes as u64);
        }
    }

    /// Appends the pairs of one query whose rank lies in `first..last`.
    fn gather(
        &mut self,
        shape: &Shape<'_>,
        query: usize,
        number: u32,
        (first, last): (usize, usize),
        nprobe: usize,
    ) {
        let row = match shape.probes {
            Probes::All => None,
            Probes::Lists { lists, nprobe } => Some(&lists[query * nprobe..(query + 1) * nprobe]),
        };
        let start = self.unsorted.len();
        if let (0, Some(row)) = (start, row) {
            // All at once, not one after another. Of the first query: others have many of the same.
            let lists = row[first..last].iter().filter_map(|&list| usize::try_from(list).ok());
            lists.for_each(|list| shape.lists.announce(list));
        }
        for rank in first..last {
            let list = row.map_or(rank as i64, |row| row[rank]);
            let Ok(list) = usize::try_from(list) else { continue };
            let mut slots = u32::MAX;
            if let Some(&allotted) = self.allotted.get(number as usize * nprobe + rank) {
                let view = shape.lists.list(list);
                let allotted = allotted as usize;
                if allotted < view.live {
                    let packed = view.live == view.ids.len();
                    slots = to32(if packed { allotted } else { slot_after(view.bias, allotted) });
                }
            }
            if slots > 0 {
                self.unsorted.push(Pair { list: to32(list), query: number, slots, product: 0.0 });
            }
        }
        if let Some((kernels, job)) = shape.products {
            // Here, where the query's row is in cache: a list's queries lie all over memory.
            for pairs in self.unsorted[start..].chunks_mut(PRODUCTS) {
                let mut products = [0.0; PRODUCTS];
                let lists = pairs.iter().map(|pair| pair.list as usize);
                job.products(kernels, query, lists, &mut products[..pairs.len()]);
                pairs.iter_mut().zip(products).for_each(|(pair, product)| pair.product = product);
            }
        }
    }

    /// Moves the gathered pairs to `pairs`, by list and then by query.
    fn sort(&mut self, nlist: usize, count: usize) {
        if count == 1 {
            self.pairs.extend_from_slice(&self.unsorted);
        } else if self.unsorted.len() < nlist / 4 {
            self.unsorted.sort_unstable_by_key(|pair| u64::from(pair.list) << 32 | u64::from(pair.query));
            self.pairs.extend_from_slice(&self.unsorted);
        } else {
            let start = to32(self.pairs.len());
            self.starts.clear();
            self.starts.resize(nlist + 1, 0);
            for pair in &self.unsorted {
                self.starts[pair.list as usize + 1] += 1;
            }
            self.starts[0] = start;
            for list in 0..nlist {
                self.starts[list + 1] += self.starts[list];
            }
            let none = Pair { list: 0, query: 0, slots: 0, product: 0.0 };
            self.pairs.resize(self.pairs.len() + self.unsorted.len(), none);
            for pair in &self.unsorted {
                let place = &mut self.starts[pair.list as usize];
                self.pairs[*place as usize] = *pair;
                *place += 1;
            }
        }
    }

    /// Cuts the pairs from `start` on into units.
    fn cut(&mut self, shape: &Shape<'_>, start: usize) {
        let unit = (UNIT_BYTES / (BLOCK * shape.dim * size_of::<f32>())).max(4);
        let mut rest = start;
        for group in self.pairs[start..].chunk_by(|a, b| a.list == b.list) {
            let list = group[0].list;
            let pairs = (to32(rest), to32(rest + group.len()));
            rest += group.len();
            // The pairs of a limited search come with the most slots first.
            let end = blocks(shape.lists.slots(list as usize).min(group[0].slots as usize));
            for first in (0..end).step_by(unit) {
                let blocks = (to32(first), to32((first + unit).min(end)));
                let reaching = group.partition_point(|pair| pair.slots as usize > first * BLOCK);
                let pairs = (pairs.0, pairs.0 + to32(reaching));
                self.units.push(Unit { list, blocks, pairs });
            }
        }
    }
}

/// The lists that a job's queries visit, and the vectors that they look at there.
pub(crate) fn visits(job: &ScanJob<'_>) -> Result<(u64, u64)> {
    let shape = Shape::of(job);
    let nprobe = match job.probes {
        Probes::All => job.lists.list_count(),
        Probes::Lists { nprobe, .. } => nprobe,
    };
    let (mut plan, mut lists, mut codes) = (Plan::default(), 0, 0);
    for query in 0..job.count {
        shape.cancel.check()?;
        plan.allotted.clear();
        plan.allot(&shape, query, nprobe);
        for &slots in &plan.allotted {
            lists += u64::from(slots > 0);
            codes += u64::from(slots);
        }
    }
    Ok((lists, codes))
}

/// Nearest-list pairs a list, from which on they are scanned first.
const SEED_QUERIES: usize = 4;

/// The slot behind the first `live` live ones.
pub(super) fn slot_after(bias: &[f32], live: usize) -> usize {
    let mut slots = bias.iter().enumerate().filter(|(_, bias)| **bias != f32::NEG_INFINITY);
    if live == 0 { 0 } else { slots.nth(live - 1).map_or(bias.len(), |(slot, _)| slot + 1) }
}

fn to32(number: usize) -> u32 {
    u32::try_from(number).expect("invariant: lists, slots and the queries of a plan fit in u32")
}
