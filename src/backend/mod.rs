//! Where scans run. Everything is a scan: these queries against those lists, keep what is best.
//!
//! A job borrows plain slices, so a backend knows neither indexes nor codecs nor list stores.

mod affine;
mod allot;
mod assign;
mod at_once;
mod cpu;
pub(crate) mod device;
mod finite;
#[cfg(feature = "gpu")]
pub(crate) mod gpu;
mod keys;
mod left;
mod multiply;
mod nearest;
mod numbered;
mod packed;
mod picked;
mod place;
mod plan;
mod prepared;
mod product;
mod rabitq;
mod rerank;
mod rounded;
mod scan;
mod scorer;
mod single;
mod sketch;
mod slot;
mod subset;
mod sums;
mod tiles;
mod work;
pub(crate) mod workspace;

pub(crate) use affine::{Affine, Codes};
pub(crate) use assign::{AssignJob, Kept, Near, Rows, assign, assign_near, key};
pub(crate) use at_once::{Both, scan_both};
pub(crate) use finite::check_finite;
pub(crate) use keys::keys;
pub(crate) use left::Sketched;
pub(crate) use multiply::multiply;
pub(crate) use nearest::{Nearest, PANEL};
pub(crate) use place::Place;
pub(crate) use plan::visits;
pub(crate) use product::Product;
pub(crate) use rabitq::{Deviations, Number, RaBitQ, centre};
pub(crate) use rerank::{KeptRow, Reading, Scores};
pub(crate) use rounded::{Bound, Rounded};
pub(crate) use sketch::Sketch;
pub(crate) use slot::{DeviceSlot, RowsSlot, Version};
pub(crate) use subset::Subset;
pub(crate) use sums::{SumJob, sums};

use std::ops::Range;

use crate::budget::Budget;
use crate::collect::Sink;
use crate::context::Context;
use crate::element::Values;
use crate::error::Result;
use crate::kernel::Kernels;
use crate::metric::Metric;
use crate::progress::Cancel;
use crate::topk::{Hit, SORTED};
use sums::Take;
use work::Work;

/// One list as a scan sees it; see `lists::block` for the layout.
#[derive(Clone, Copy)]
pub(crate) struct ListView<'a> {
    /// Blocks of 32 vectors, dimension-major, the last one 16 wide if that is enough.
    pub(crate) vectors: Values<'a>,
    /// What each lane's score starts from; `-inf` for lanes that hold nothing.
    pub(crate) bias: &'a [f32],
    /// The id of each vector.
    pub(crate) ids: &'a [i64],
    /// Vectors that can be found.
    pub(crate) live: usize,
}

/// Lists by number.
pub(crate) trait ListSource: Sync {
    /// How many lists there are.
    fn list_count(&self) -> usize;
    /// One of them.
    fn list(&self, list: usize) -> ListView<'_>;
    /// How many slots it has.
    fn slots(&self, list: usize) -> usize {
        self.list(list).ids.len()
    }
    /// Has fetched what [`Self::list`] reads to tell where a list is.
    fn announce(&self, list: usize) {
        let _ = list;
    }
    /// The states of a list's vectors and of its biases.
    fn version(&self, list: usize) -> [Version; 2];
    /// Where a device keeps what it has of the lists, and of what their values stand for, which may not change; `None` =
    /// they are not worth keeping.
    fn device(&self) -> Option<&DeviceSlot>;
}

/// Which lists each query visits, best first.
#[derive(Clone, Copy)]
pub(crate) enum Probes<'a> {
    /// Every query visits every list.
    All,
    /// `[queries, nprobe]`; a negative entry is none.
    Lists { lists: &'a [i64], nprobe: usize },
}

/// Which queries meet which vectors; what is kept is the collector's.
pub(crate) struct ScanJob<'a> {
    pub(crate) dim: usize,
    pub(crate) metric: Metric,
    /// `[count, dim]`, normalised for cosine.
    pub(crate) queries: &'a [f32],
    pub(crate) count: usize,
    pub(crate) probes: Probes<'a>,
    pub(crate) lists: &'a dyn ListSource,
    /// What the lists' values stand for.
    pub(crate) codes: Codes<'a>,
    /// Vectors in all lists.
    pub(crate) vectors: usize,
    /// Whether hits carry [`Place`]s instead of ids.
    pub(crate) places: bool,
    /// Whether the second half of the lists holds copies of the vectors in the first, by the same centroids: of two hits with
    /// one id the better counts. Two places of one vector are two hits.
    pub(crate) copies: bool,
    pub(crate) filter: Option<&'a dyn IdFilter>,
    /// `[count]`: what hits may not lie beyond, if anything. Only the CPU asks.
    pub(crate) bars: Option<&'a [f32]>,
    /// `[count, nprobe]`: the distance keys of `probes`, if they are known.
    pub(crate) keys: Option<&'a [f32]>,
    /// How many vectors of each list a query looks at; `None` = all. Only the CPU's planner shares budgets out.
    pub(crate) budget: Option<Budget>,
    /// Live vectors that a query looks at, in probe order; `usize::MAX` = all.
    pub(crate) max_codes: usize,
    /// Workers that the call may use.
    pub(crate) workers: usize,
    pub(crate) cancel: Cancel<'a>,
}

impl<'a> ScanJob<'a> {
    /// These queries (`[count, dim]`) and all vectors of plain lists, so many, by one worker: nothing is left out.
    pub(crate) fn of_all(
        metric: Metric,
        dim: usize,
        queries: &'a [f32],
        lists: &'a dyn ListSource,
        vectors: usize,
    ) -> Self {
        Self {
            dim,
            metric,
            queries,
            count: queries.len() / dim,
            probes: Probes::All,
            lists,
            codes: Codes::Plain,
            vectors,
            places: false,
            copies: false,
            filter: None,
            bars: None,
            keys: None,
            budget: None,
            max_codes: usize::MAX,
            workers: 1,
            cancel: Cancel::default(),
        }
    }

    /// Some of the queries.
    #[inline]
    fn rows(&self, queries: Range<usize>) -> &'a [f32] {
        &self.queries[queries.start * self.dim..queries.end * self.dim]
    }

    /// One of them.
    #[inline]
    fn row(&self, query: usize) -> &'a [f32] {
        self.rows(query..query + 1)
    }

    /// How many elements a vector has in a list.
    fn columns(&self) -> usize {
        match self.codes {
            Codes::Plain => self.dim,
            Codes::Affine(affine) | Codes::Rounded(Rounded { affine, .. }) => affine.columns(),
            Codes::Product(codes) => codes.columns(),
            Codes::RaBitQ(codes) => codes.columns(),
        }
    }

    /// How many hits to ask for, so that `k` vectors are among them.
    pub(crate) fn hits_for(&self, k: usize) -> usize {
        let once = !self.copies || (self.repeats_hits() && k <= SORTED);
        if once { k } else { k.saturating_mul(2) }
    }

    /// Whether a vector that is met twice gives the same hit.
    fn repeats_hits(&self) -> bool {
        matches!(self.codes, Codes::Plain) && !self.places
    }

    /// The list by whose centroid the vectors of `list` are coded.
    fn coded_in(&self, list: usize) -> usize {
        let half = self.lists.list_count() / 2;
        if self.copies && list >= half { list - half } else { list }
    }

    /// The centroid whose product with a query every score of the two lacks: that by which a list is coded, where queries
    /// are compared as they are with codes of residuals. Else empty.
    fn lacking(&self, list: usize) -> &[f32] {
        let number = self.coded_in(list);
        match &self.codes {
            Codes::Rounded(codes) if !codes.is_by_list(self.metric) => codes.affine.centroid(number),
            Codes::Product(codes) => codes.centroid(number).unwrap_or_default(),
            _ => &[],
        }
    }

    /// What every score of a query in a list lacks.
    fn product(&self, kernels: &Kernels, query: usize, list: usize) -> f32 {
        let mut product = [0.0];
        self.products(kernels, query, [list].into_iter(), &mut product);
        product[0]
    }

    /// The same of some lists, [`PRODUCTS`] at most, which lack all of it or nothing.
    fn products(
        &self,
        kernels: &Kernels,
        query: usize,
        lists: impl Iterator<Item = usize>,
        products: &mut [f32],
    ) {
        let query = self.row(query);
        let mut pairs = [(query, query); PRODUCTS];
        for (pair, list) in pairs.iter_mut().zip(lists) {
            match self.lacking(list) {
                [] => return products.fill(0.0),
                centroid => pair.1 = centroid,
            }
        }
        kernels.pairs.products(&pairs[..products.len()], products);
    }
}

/// Products of a query and centroids that are computed at once, some side by side.
const PRODUCTS: usize = 8;

/// Which ids a scan may return.
pub(crate) trait IdFilter: Sync {
    /// A bit for each of up to 32 ids: whether it passes.
    fn mask(&self, kernels: &Kernels, ids: &[i64]) -> u32;
}

/// What runs scans. All backends give the same results: ids, distances and their order.
pub(crate) trait Backend: Send + Sync {
    /// Hands the `k` best of each query to `sink`. False if this backend could not: then another has to, and may
    /// hand over again what this one has.
    fn best(&self, context: &Context, job: &ScanJob<'_>, k: usize, sink: &dyn Sink) -> Result<bool>;

    /// Does both steps of a search and hands the lists of each query to `lists` and its best to `sink`, but of the queries
    /// returned, which have to be searched for step by step; `None` = of all.
    fn both(
        &self,
        context: &Context,
        both: &Both<'_>,
        lists: &dyn Sink,
        sink: &dyn Sink,
    ) -> Result<Option<Vec<usize>>>;

    /// All vectors whose key is below `key`, as (query, hit) in no order; `None` if this backend could not.
    fn within(&self, context: &Context, job: &ScanJob<'_>, key: f32) -> Result<Option<Vec<(u32, Hit)>>>;

    /// Writes what [`assign()`] tells, but of the rows returned, which another backend has to do; `None` = of all.
    fn assign(
        &self,
        context: &Context,
        job: &AssignJob<'_>,
        labels: &mut [u32],
        keys: &mut [f32],
    ) -> Result<Option<Vec<u32>>>;

    /// See [`sums()`].
    fn sums(&self, job: &SumJob<'_>, take: Take<'_>) -> Result<usize>;
}

/// Whether a device may be asked: budgets are shared out, copies passed over and bounds looked at by the CPU alone.
fn fits_device(job: &ScanJob<'_>) -> bool {
    job.budget.is_none()
        && job.bars.is_none()
        && !job.copies
        && matches!(
            job.codes,
            Codes::Plain
                | Codes::Affine(_)
                | Codes::Rounded(Rounded { bounds: None, .. })
                | Codes::Product(_)
                | Codes::RaBitQ(RaBitQ { deviations: None, .. })
        )
}

/// The `k` best hits of each query.
pub(crate) fn scan_best(context: &Context, job: &ScanJob<'_>, k: usize, sink: &dyn Sink) -> Result<()> {
    scan_best_or(context, job, k, sink, || cpu::best(context, job, k, sink))
}

/// The same of lists whose ids are numbers below 2^32, a vector's own each, as those of centroids are; `sketched` = what is
/// known besides of them, where they are in one list.
pub(crate) fn scan_numbered(
    context: &Context,
    job: &ScanJob<'_>,
    k: usize,
    sketched: Option<Sketched<'_>>,
    sink: &dyn Sink,
) -> Result<()> {
    scan_best_or(context, job, k, sink, || {
        if numbered::fits(job) {
            numbered::best(context, job, k, sketched, sink)
        } else {
            cpu::best(context, job, k, sink)
        }
    })
}

/// [`scan_best`] with the CPU's way to do it.
fn scan_best_or(
    context: &Context,
    job: &ScanJob<'_>,
    k: usize,
    sink: &dyn Sink,
    on_cpu: impl FnOnce() -> Result<()>,
) -> Result<()> {
    if fits_device(job)
        && let Some(device) = context.device().backend(context, || Work::best(job, k))
    {
        if device.best(context, job, k, sink)? {
            return Ok(());
        }
        context.notice_loss();
    }
    context.device().on_cpu(on_cpu)
}

/// All vectors whose key is below `key`, as (query, hit) in no order.
pub(crate) fn scan_within(context: &Context, job: &ScanJob<'_>, key: f32) -> Result<Vec<(u32, Hit)>> {
    if fits_device(job)
        && let Some(device) = context.device().backend(context, || Work::within(job))
    {
        if let Some(found) = device.within(context, job, key)? {
            return Ok(found);
        }
        context.notice_loss();
    }
    context.device().on_cpu(|| cpu::within(context, job, key))
}
