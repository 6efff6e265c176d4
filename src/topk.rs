//! Bounded selection: the k best of a stream of (key, id), ties by id, in amortised constant time.
//!
//! Keys are ordered so that smaller is better. Candidates gather in a buffer of a little more than k; when
//! it is full the k best are selected and the k-th becomes the bar that the next ones must pass.

/// A candidate: its key and its id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hit {
    pub(crate) key: f32,
    pub(crate) id: i64,
}

impl Hit {
    /// What an empty place holds: worse than any real hit.
    pub(crate) const NONE: Self = Self { key: f32::INFINITY, id: i64::MAX };

    /// Better first: by key, then by id.
    #[inline]
    pub(crate) fn order(&self, other: &Self) -> std::cmp::Ordering {
        self.key.total_cmp(&other.key).then(self.id.cmp(&other.id))
    }

    #[inline]
    fn is_better(&self, other: &Self) -> bool {
        self.key < other.key || (self.key == other.key && self.id < other.id)
    }
}

/// How many candidates a buffer for the best `k` holds.
pub(crate) fn capacity(k: usize) -> usize {
    k + (k / 2).clamp(16, 1024)
}

/// One query's selection over a slice of [`capacity`] places that lives in a workspace.
pub(crate) struct TopK<'a> {
    pub(crate) hits: &'a mut [Hit],
    pub(crate) state: &'a mut State,
    pub(crate) k: usize,
}

/// What a selection remembers beside its buffer.
#[derive(Clone, Copy)]
pub(crate) struct State {
    /// Candidates in the buffer.
    pub(crate) len: u32,
    /// The k-th best so far; [`Hit::NONE`] until there are k.
    pub(crate) bar: Hit,
}

impl State {
    pub(crate) const EMPTY: Self = Self { len: 0, bar: Hit::NONE };
}

impl TopK<'_> {
    /// Offers a candidate; true if the bar moved.
    #[inline]
    pub(crate) fn push(&mut self, hit: Hit) -> bool {
        if !hit.is_better(&self.state.bar) {
            return false;
        }
        let len = self.state.len as usize;
        self.hits[len] = hit;
        self.state.len += 1;
        let full = len + 1 == self.hits.len();
        // The first k at once give a bar; without one everything would pass.
        let first = self.state.bar.id == i64::MAX && len + 1 == self.k;
        if full || first {
            self.select();
        }
        full || first
    }

    /// Keeps the k best, in no order, and sets the bar.
    #[cold]
    #[inline(never)]
    fn select(&mut self) {
        let hits = &mut self.hits[..self.state.len as usize];
        hits.select_nth_unstable_by(self.k - 1, Hit::order);
        self.state.bar = hits[self.k - 1];
        self.state.len = u32::try_from(self.k).expect("invariant: k fits in a buffer");
    }
}
