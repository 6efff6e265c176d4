//! What a search did and where its time went, for those who ask.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::backend::{self, ScanJob};
use crate::error::Result;

/// The numbers of a search, summed over its queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchStats {
    /// Queries answered.
    pub queries: u64,
    /// Lists visited that held anything to look at; of a flat index the one that it is.
    pub lists: u64,
    /// Vectors looked at in them, whether a filter let them pass or not. Removed ones do not count, nor what a budget
    /// or `max_codes` cut off.
    pub codes: u64,
    /// Nanoseconds spent on making queries ready: widened, normalised, transformed.
    pub prepare_ns: u64,
    /// Nanoseconds in which the coarse step found the lists; 0 where a GPU finds and scans them at once, which `scan_ns`
    /// tells of.
    pub coarse_ns: u64,
    /// Nanoseconds of the scan and of the selection.
    pub scan_ns: u64,
    /// Nanoseconds in which the best by their codes were compared again (`RFlat`, `Refine(..)`).
    pub refine_ns: u64,
}

/// Takes the time of one stage after another, if anybody wants to know.
pub(super) struct Clock<'a> {
    stats: Option<&'a Mutex<SearchStats>>,
    last: Option<Instant>,
}

impl<'a> Clock<'a> {
    pub(super) fn start(stats: Option<&'a Mutex<SearchStats>>) -> Self {
        Self { stats, last: stats.map(|_| Instant::now()) }
    }

    /// The stage that ends now.
    pub(super) fn lap(&mut self, stage: fn(&mut SearchStats) -> &mut u64) {
        if let (Some(stats), Some(last)) = (self.stats, &mut self.last) {
            let now = Instant::now();
            let mut stats = stats.lock().unwrap_or_else(PoisonError::into_inner);
            *stage(&mut stats) += u64::try_from(now.duration_since(*last).as_nanos()).unwrap_or(u64::MAX);
            *last = now;
        }
    }

    /// Counts what a scan is going to look at.
    pub(super) fn count(&mut self, job: &ScanJob<'_>) -> Result<()> {
        let Some(stats) = self.stats else { return Ok(()) };
        let (lists, codes) = backend::visits(job)?;
        let mut stats = stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats.queries += job.count as u64;
        stats.lists += lists;
        stats.codes += codes;
        // Counting is nobody's stage.
        self.last = Some(Instant::now());
        Ok(())
    }
}

/// Notes queries of an index that holds nothing to look at.
pub(super) fn answered(stats: Option<&Mutex<SearchStats>>, queries: usize) {
    if let Some(stats) = stats {
        stats.lock().unwrap_or_else(PoisonError::into_inner).queries += queries as u64;
    }
}
