//! Section "statistics": what a search did.

use std::sync::{Mutex, PoisonError};

use super::options::{self, growing};
use crate::error::Result;
use crate::index::SearchStats;

/// What a search did, summed over its queries; a search fills it if its options point at one.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ivf_search_stats {
    /// `sizeof(ivf_search_stats)`, set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Queries answered.
    pub queries: u64,
    /// Lists visited that held anything to look at; of a flat index the one that it is.
    pub lists: u64,
    /// Vectors looked at in them, whether a filter let them pass or not. Removed ones do not count, nor what a budget
    /// or `max_codes` cut off.
    pub codes: u64,
    /// Nanoseconds spent on making queries ready: widened, normalised, transformed.
    pub prepare_ns: u64,
    /// Nanoseconds in which the lists were found; 0 where a GPU finds and scans them at once, which `scan_ns` tells of.
    pub coarse_ns: u64,
    /// Nanoseconds of the scan and of the selection. What passes beside these three is checks and counting.
    pub scan_ns: u64,
    /// Nanoseconds in which the best by their codes were compared again ("RFlat", "Refine(...)").
    pub refine_ns: u64,
}

growing!(ivf_search_stats, refine_ns: u64);

/// What a search counts, and where it is to be told.
pub(super) struct Tally {
    stats: Mutex<SearchStats>,
    out: *mut ivf_search_stats,
}

impl Tally {
    /// Fails on a struct of the wrong size, and zeroes one of the right.
    ///
    /// # Safety
    /// `out` is NULL, or as many writable bytes as its `struct_size` says that outlive this.
    pub(super) unsafe fn new(out: *mut ivf_search_stats) -> Result<Self> {
        let tally = Self { stats: Mutex::default(), out };
        // SAFETY: the caller's promise is the same.
        unsafe { tally.tell() }?;
        Ok(tally)
    }

    /// What a search adds to; `None` if nobody wants to know.
    pub(super) fn wanted(&self) -> Option<&Mutex<SearchStats>> {
        (!self.out.is_null()).then_some(&self.stats)
    }

    /// Writes what was counted.
    ///
    /// # Safety
    /// As [`Tally::new`].
    pub(super) unsafe fn tell(&self) -> Result<()> {
        if self.out.is_null() {
            return Ok(());
        }
        let SearchStats { queries, lists, codes, prepare_ns, coarse_ns, scan_ns, refine_ns } =
            *self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        let told = ivf_search_stats {
            queries,
            lists,
            codes,
            prepare_ns,
            coarse_ns,
            scan_ns,
            refine_ns,
            ..options::zeroed()
        };
        // SAFETY: `write` checks the size; the bytes are the caller's promise.
        unsafe { options::write("ivf_search_options.stats", self.out, &told) }
    }
}
