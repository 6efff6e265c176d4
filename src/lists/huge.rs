//! Huge pages for the lists: a scan streams through more memory than the CPU's page tables in cache cover.
//!
//! Lists are allocated one after another, so their memory is nearly contiguous though each list alone may be
//! smaller than a huge page. The system is asked for huge pages over the whole stretch, after all lists of a batch are
//! allocated and before they are written: pages are only huge from their first touch on. It is advice: where it
//! is not taken, or the system is not Linux, nothing changes.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Lists;
use crate::context::Context;
use crate::progress::Cancel;

/// Gaps between allocations up to this size are bridged: the allocator's own bookkeeping.
const GAP: usize = 64 * 1024;

/// Shorter stretches hold no huge page.
const HUGE_PAGE: usize = 2 << 20;

/// Huge pages between two looks at the cancel flag: a millisecond each or so.
const PAGES_A_STEP: usize = 8;

impl Lists {
    /// Asks for huge pages where the lists lie.
    pub(crate) fn advise_huge_pages(&self) {
        self.stretches().into_iter().for_each(advise);
    }

    /// Has huge pages made of what is written, which copies it: the allocator's own bookkeeping touches every stretch of
    /// lists that are smaller than a huge page before anybody can ask. Stops when a page can't be had, or when cancelled:
    /// nothing hangs on it.
    pub(crate) fn collapse(&self, context: &Context, workers: usize, cancel: Cancel<'_>) {
        let pieces = self.stretches().into_iter().flat_map(|stretch| {
            let (first, end) = (stretch.start.div_ceil(HUGE_PAGE), stretch.end / HUGE_PAGE);
            let piece = move |page: usize| page * HUGE_PAGE..end.min(page + PAGES_A_STEP) * HUGE_PAGE;
            (first..end).step_by(PAGES_A_STEP).map(piece)
        });
        let failed = AtomicBool::new(false);
        let each = |piece| {
            cancel.check()?;
            if !failed.load(Ordering::Relaxed) && !collapse(piece) {
                failed.store(true, Ordering::Relaxed);
            }
            Ok(())
        };
        context.each(workers, pieces, &each).ok();
    }

    /// Where the lists lie, if that is long enough for a huge page.
    fn stretches(&self) -> Vec<Range<usize>> {
        if !cfg!(target_os = "linux") {
            return Vec::new();
        }
        let mut places: Vec<Range<usize>> = Vec::with_capacity(5 * self.lists.len());
        for list in self.all() {
            let own = [
                list.vectors.allocation(),
                list.bias.allocation(),
                list.ids.allocation(),
                list.rows.data.allocation(),
                list.ranks.data.allocation(),
            ];
            places.extend(own.into_iter().filter(|place| !place.is_empty()));
        }
        let mut stretches = stretches(places);
        stretches.retain(|stretch| stretch.len() >= HUGE_PAGE);
        stretches
    }
}

/// Ranges joined where they (nearly) touch.
fn stretches(mut places: Vec<Range<usize>>) -> Vec<Range<usize>> {
    places.sort_unstable_by_key(|place| place.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for place in places {
        match joined.last_mut() {
            Some(last) if place.start <= last.end.saturating_add(GAP) => last.end = last.end.max(place.end),
            _ => joined.push(place),
        }
    }
    joined
}

#[cfg(target_os = "linux")]
fn advise(stretch: Range<usize>) {
    /// The smallest page of any Linux that we know; an address that is not on a page's edge is refused.
    const PAGE: usize = 64 * 1024;
    let start = stretch.start.next_multiple_of(PAGE);
    let length = stretch.end.saturating_sub(start) / PAGE * PAGE;
    // SAFETY: advice changes no byte of any mapping, whoever owns it; what is not mapped is passed over.
    #[expect(unsafe_code, reason = "a call of the system")]
    unsafe {
        libc::madvise(std::ptr::with_exposed_provenance_mut(start), length, libc::MADV_HUGEPAGE);
    }
}

/// Makes huge pages of what is mapped in a range of them; false if not all could be had, or the system knows no such call.
#[cfg(target_os = "linux")]
fn collapse(pages: Range<usize>) -> bool {
    /// Of Linux 6.1 and later; libc has it for some targets only.
    const MADV_COLLAPSE: libc::c_int = 25;
    // SAFETY: what the pages hold stays the same, whoever owns it; what is not mapped is passed over.
    #[expect(unsafe_code, reason = "a call of the system")]
    let done = unsafe {
        libc::madvise(std::ptr::with_exposed_provenance_mut(pages.start), pages.len(), MADV_COLLAPSE)
    };
    done == 0
}

#[cfg(not(target_os = "linux"))]
fn advise(_: Range<usize>) {}

#[cfg(not(target_os = "linux"))]
fn collapse(_: Range<usize>) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_of_near_ranges_are_one() {
        let gap = |start: usize, len: usize| start..start + len;
        let places = vec![gap(10 * GAP, 100), gap(0, 500), gap(500 + GAP, 20), gap(11 * GAP + 100, 1)];
        assert_eq!(stretches(places), [0..520 + GAP, 10 * GAP..11 * GAP + 101]);
        assert!(stretches(Vec::new()).is_empty());
    }
}
