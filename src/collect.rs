//! Collectors: what a scan does with the vectors that reach a query's bar.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::topk::{Hit, State, TopK};

/// Where the k best of a query go: called with its number and its hits, best first if it wants that, from any worker.
pub(crate) trait Sink: Sync {
    /// Takes the hits of `query`.
    fn take(&self, query: usize, hits: &[Hit]);

    /// Whether hits have to come best first; what is compared again need not.
    fn wants_order(&self) -> bool {
        true
    }
}

/// One worker's collection for the queries of a plan.
pub(crate) trait Collector {
    /// The key that a candidate of this query must not exceed.
    fn bar(&self, query: usize) -> f32;
    /// Offers a candidate; true if the bar moved.
    fn offer(&mut self, query: usize, hit: Hit) -> bool;
    /// Offers many candidates; true if the bar moved.
    fn offer_all(&mut self, query: usize, hits: &[Hit]) -> bool {
        hits.iter().fold(false, |moved, &hit| self.offer(query, hit) | moved)
    }
    /// Called after a query's bar moved.
    fn moved(&mut self, query: usize);
}

/// The k best of each query.
pub(crate) struct Best<'a> {
    pub(crate) k: usize,
    /// `[queries]` buffers of `topk::capacity(k)`.
    pub(crate) hits: &'a mut [Hit],
    pub(crate) capacity: usize,
    pub(crate) states: &'a mut [State],
    /// Whether a hit that a query has already, key and id, is passed over.
    pub(crate) distinct: bool,
    /// The best bar that any worker has for each query, where several share them.
    pub(crate) shared: Option<&'a [AtomicU32]>,
}

impl Best<'_> {
    /// A query's.
    #[inline]
    fn selection(&mut self, query: usize) -> TopK<'_> {
        let hits = &mut self.hits[query * self.capacity..(query + 1) * self.capacity];
        TopK { hits, state: &mut self.states[query], k: self.k, distinct: self.distinct }
    }
}

impl Collector for Best<'_> {
    #[inline]
    fn bar(&self, query: usize) -> f32 {
        let own = self.states[query].bar.key;
        match self.shared {
            Some(shared) => own.min(from_ordered(shared[query].load(Ordering::Relaxed))),
            None => own,
        }
    }

    #[inline]
    fn offer(&mut self, query: usize, hit: Hit) -> bool {
        self.selection(query).push(hit)
    }

    fn offer_all(&mut self, query: usize, hits: &[Hit]) -> bool {
        self.selection(query).push_all(hits)
    }

    #[inline]
    fn moved(&mut self, query: usize) {
        if let Some(shared) = self.shared {
            shared[query].fetch_min(ordered(self.states[query].bar.key), Ordering::Relaxed);
        }
    }
}

/// All vectors strictly nearer than a key.
pub(crate) struct Within<'a> {
    pub(crate) key: f32,
    /// The query that the plan calls 0.
    pub(crate) first_query: u32,
    pub(crate) found: &'a mut Vec<(u32, Hit)>,
}

impl Collector for Within<'_> {
    #[inline]
    fn bar(&self, _: usize) -> f32 {
        self.key
    }

    #[inline]
    fn offer(&mut self, query: usize, hit: Hit) -> bool {
        if hit.key < self.key {
            let query = u32::try_from(query).expect("invariant: the queries of a plan fit in u32");
            self.found.push((self.first_query + query, hit));
        }
        false
    }

    fn moved(&mut self, _: usize) {}
}

/// A bar that nothing has moved yet, as workers share it.
pub(crate) const NO_BAR: u32 = 0xff80_0000;

/// A float as an integer of the same order.
pub(crate) fn ordered(key: f32) -> u32 {
    let bits = key.to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

/// The float of [`ordered`].
pub(crate) fn from_ordered(bits: u32) -> f32 {
    f32::from_bits(if bits >> 31 == 1 { bits & !(1 << 31) } else { !bits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordered_any_float_keeps_order_and_comes_back() {
        let floats = [f32::NEG_INFINITY, -3.0, -1e-30, 0.0, 1e-30, 2.5, f32::INFINITY];
        for pair in floats.windows(2) {
            assert!(ordered(pair[0]) < ordered(pair[1]));
        }
        for float in floats {
            assert_eq!(from_ordered(ordered(float)), float);
        }
        assert_eq!(from_ordered(NO_BAR), f32::INFINITY);
    }
}
