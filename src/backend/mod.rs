//! Where scans run. Everything is a scan: these queries against those lists, keep what is best.
//!
//! A job borrows plain slices, so a backend knows neither indexes nor codecs nor list stores.

mod assign;
mod cpu;
pub(crate) mod device;
#[cfg(feature = "gpu")]
pub(crate) mod gpu;
mod multiply;
mod plan;
mod scan;
pub(crate) mod workspace;

pub(crate) use assign::{Rows, assign, assign_rows};
pub(crate) use cpu::{scan_best, scan_within};
pub(crate) use multiply::multiply;

use crate::element::Values;
use crate::metric::Metric;
use crate::progress::Cancel;

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
    /// Vectors in all lists.
    pub(crate) vectors: usize,
    pub(crate) filter: Option<&'a dyn IdFilter>,
    /// Live vectors that a query looks at, in probe order; `usize::MAX` = all.
    pub(crate) max_codes: usize,
    /// Workers that the call may use.
    pub(crate) workers: usize,
    pub(crate) cancel: Cancel<'a>,
}

/// Which ids a scan may return.
pub(crate) trait IdFilter: Sync {
    /// A bit for each of up to 32 ids: whether it passes.
    fn mask(&self, ids: &[i64]) -> u32;
}
