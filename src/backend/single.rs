//! What a scan does for single queries, which wait for memory. Product codes are scanned by runs: a list is a few of
//! them, and what comes after each is fetched while it is scanned. Lists are short: whatever is done once a list counts.
//!
//! Tried on Zen 4, and no faster: codes fetched 6, 12 or 24 KB ahead, whichever lists that reaches into; runs of 16 blocks;
//! two blocks of a run looked up with one load of the tables.

use super::packed::FEW;
use super::plan::{Pair, Plan, Unit};
use super::product::Product;
use super::scan::{Ground, Scanner, Scratch};
use super::scorer::Scorer;
use super::{Codes, IdFilter, ListView};
use crate::collect::Collector;
use crate::element::{Values, with_values};
use crate::kernel::{LookupInput, RUN, begin, prefetch};
use crate::lists::block::{BLOCK, part_end};
use crate::metric::Metric;
use crate::topk::Hit;

/// Lanes of a query's first run.
const FIRST: usize = 2 * BLOCK;

/// The factors of lanes that have none.
const ONES: [f32; RUN] = [1.0; RUN];

/// The biases of lanes that have none.
const ZEROS: [f32; RUN] = [0.0; RUN];

impl<'a, C: Collector> Scanner<'a, C> {
    /// Has the beginning of a unit fetched that comes next, and where the one after it lies; its list, if it looked at that.
    /// A few queries wait for memory, and what lies ahead within a list is fetched by itself.
    pub(super) fn approach(&mut self, plan: &Plan, unit: usize) -> Option<ListView<'a>> {
        let few = |unit: &&Unit| (unit.pairs.1 - unit.pairs.0) as usize <= FEW;
        self.next = &[];
        let next = plan.units.get(unit).filter(few)?;
        if let Some(then) = plan.units.get(unit + 1) {
            self.job.lists.announce(then.list as usize);
        }
        let list = self.job.lists.list(next.list as usize);
        let (first, columns) = (next.blocks.0 as usize * BLOCK, self.job.columns());
        let bytes: &[u8] =
            with_values!(list.vectors, values => bytemuck::cast_slice(&values[first * columns..]));
        let one_by_one = next.pairs.1 - next.pairs.0 == 1 && self.looks_words_up().is_some();
        if one_by_one {
            self.next = &bytes[..bytes.len().min(RUN * columns)];
        } else {
            prefetch(begin(bytes));
        }
        if !(one_by_one && self.is_unbiased()) {
            prefetch(begin(bytemuck::cast_slice(&list.bias[first..])));
        }
        Some(list)
    }

    /// The codes, if what they add up is looked up in registers.
    pub(super) fn looks_words_up(&self) -> Option<&'a Product<'a>> {
        match &self.job.codes {
            Codes::Product(codes) if codes.fast => Some(codes),
            _ => None,
        }
    }

    /// Whether nothing is to be read of biases: all that is not removed has 0.
    fn is_unbiased(&self) -> bool {
        self.job.metric != Metric::L2 && self.job.filter.is_none()
    }

    /// Scans a list's product codes for one query.
    pub(super) fn scan_one(&mut self, ground: &Ground<'_>, codes: &Product<'_>, pair: &Pair) {
        let job = self.job;
        let list = &ground.list;
        let Values::U8(bytes) = list.vectors else { unreachable!("invariant: codes are bytes") };
        let (columns, query) = (job.columns(), pair.query as usize);
        let row = job.row(self.first_query + query);
        let known = (self.prepared.norms[query], pair.product);
        let scorer = Scorer::of_words(job.metric, row, known, None, codes, ground.coded_in);
        let tables = [self.prepared.tables.bytes(codes, query)];
        let steps = [self.prepared.tables.steps(query)];
        let mut threshold = scorer.threshold(self.collector.bar(query));
        // The least sum that can be a hit, behind the threshold that it is of.
        let mut least = (f32::MIN, 0);
        // Without a bar everything is a hit: few at first, so that there soon is one.
        let mut most = if threshold > f32::MIN { RUN } else { FIRST };
        let slots = list.ids.len().min(pair.slots as usize);
        let unbiased = self.is_unbiased() && list.live == list.ids.len();
        for &(begin, end) in ground.runs {
            let mut first = begin * BLOCK;
            let last = (end.min(slots.div_ceil(BLOCK)) * BLOCK).min(list.bias.len());
            while first < last {
                let stop = part_end(first, most, last);
                most = RUN.min(2 * most);
                if threshold > least.0 {
                    least = (threshold, steps[0].least(threshold));
                }
                let rest = &bytes[stop * columns..last.min(stop + RUN) * columns];
                let input = LookupInput {
                    count: 1,
                    columns,
                    tables: &tables,
                    steps: &steps,
                    thresholds: &[threshold],
                    least: &[least.1],
                    codes: &bytes[first * columns..stop * columns],
                    stride: columns,
                    bias: if unbiased { &ZEROS[..stop - first] } else { &ground.bias[first..stop] },
                    factors: &ONES[..stop - first],
                };
                // What fills no block comes by itself.
                let next = if rest.len() < BLOCK * columns { std::mem::take(&mut self.next) } else { rest };
                let Scratch { tile, found, hits, .. } = &mut *self.scratch;
                let count = self.kernels.lookup_run(input, next, tile, found);
                hits.clear();
                for (&lane, &score) in found.lanes[..count].iter().zip(&found.scores) {
                    let slot = first + lane as usize;
                    if slot >= slots {
                        break;
                    }
                    // A filter may have been left for the end.
                    let passes =
                        |filter: &dyn IdFilter| filter.mask(self.kernels, &list.ids[slot..=slot]) != 0;
                    if ground.filter.is_none_or(passes) {
                        hits.push(Hit { key: scorer.key(score, list, slot), id: ground.id(slot) });
                    }
                }
                if !hits.is_empty() && self.collector.offer_all(query, hits) {
                    self.collector.moved(query);
                    threshold = scorer.threshold(self.collector.bar(query));
                }
                first = stop;
            }
        }
    }
}
