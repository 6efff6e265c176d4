//! Huge pages for the lists: a scan streams through more memory than the CPU's page tables in cache cover.
//!
//! Lists are allocated one after another, so their memory is nearly contiguous though each list alone may be
//! smaller than a huge page. The system is asked for huge pages over the whole stretch, after all lists of a batch are
//! allocated and before they are written: pages are only huge from their first touch on. It is advice: where it
//! is not taken, or the system is not Linux, nothing changes.

use std::ops::Range;

use super::Lists;

/// Gaps between allocations up to this size are bridged: the allocator's own bookkeeping.
const GAP: usize = 64 * 1024;

/// Shorter stretches hold no huge page.
const HUGE_PAGE: usize = 2 << 20;

impl Lists {
    /// Asks for huge pages where the lists lie.
    pub(crate) fn advise_huge_pages(&self) {
        if !cfg!(target_os = "linux") {
            return;
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
        for stretch in stretches(places) {
            if stretch.len() >= HUGE_PAGE {
                advise(stretch);
            }
        }
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

#[cfg(not(target_os = "linux"))]
fn advise(_: Range<usize>) {}

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
