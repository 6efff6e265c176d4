//! Bounded selection: the k best of a stream of (key, id), ties by id, in amortised constant time.
//!
//! Keys are ordered so that smaller is better. A small k is kept sorted, so that its bar (the k-th best,
//! which the next must pass) is always tight. For a large k candidates gather in a buffer of up to
//! twice k; when it is full the k best are selected and the bar is moved.

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
        self.rank().cmp(&other.rank())
    }

    /// A number in that order: one comparison, of no branch.
    #[inline]
    fn rank(&self) -> i128 {
        // As `f32::total_cmp` has it.
        let bits = self.key.to_bits().cast_signed();
        let key = bits ^ ((bits >> 31).cast_unsigned() >> 1).cast_signed();
        i128::from(key) << 64 | i128::from((self.id ^ i64::MIN).cast_unsigned())
    }

    #[inline]
    fn is_better(&self, other: &Self) -> bool {
        self.key < other.key || (self.key == other.key && self.id < other.id)
    }
}

/// Brings one hit of each id to the front, the better of two, by id.
pub(crate) fn distinct(hits: &mut [Hit]) -> &mut [Hit] {
    hits.sort_unstable_by(|a, b| a.id.cmp(&b.id).then(a.key.total_cmp(&b.key)));
    let mut kept = 0;
    for place in 0..hits.len() {
        if kept == 0 || hits[kept - 1].id != hits[place].id {
            hits[kept] = hits[place];
            kept += 1;
        }
    }
    &mut hits[..kept]
}

/// How many candidates a buffer for the best `k` holds.
pub(crate) fn capacity(k: usize) -> usize {
    if k <= SORTED { k } else { k + k.min(1024) }
}

/// The largest k that is kept sorted: above it moving hits costs more than a loose bar.
pub(crate) const SORTED: usize = 32;

/// One query's selection over a slice of [`capacity`] places that lives in a workspace.
pub(crate) struct TopK<'a> {
    pub(crate) hits: &'a mut [Hit],
    pub(crate) state: &'a mut State,
    pub(crate) k: usize,
    /// Whether what is there already, key and id, is passed over; only while hits are kept sorted.
    pub(crate) distinct: bool,
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
        if !hit.is_better(&self.state.bar) || (self.distinct && self.has(hit)) {
            return false;
        }
        if self.k <= SORTED { self.insert(hit) } else { self.gather(hit) }
    }

    /// Whether a hit is there already.
    fn has(&self, hit: Hit) -> bool {
        self.hits[..self.state.len as usize].contains(&hit)
    }

    /// Puts a hit in its place among the sorted; true once there are k.
    #[inline]
    fn insert(&mut self, hit: Hit) -> bool {
        let mut place = (self.state.len as usize).min(self.k - 1);
        while place > 0 && hit.is_better(&self.hits[place - 1]) {
            self.hits[place] = self.hits[place - 1];
            place -= 1;
        }
        self.hits[place] = hit;
        if (self.state.len as usize) < self.k {
            self.state.len += 1;
        }
        let full = self.state.len as usize == self.k;
        if full {
            self.state.bar = self.hits[self.k - 1];
        }
        full
    }

    /// Puts a hit in the buffer; true if that moved the bar.
    #[inline]
    fn gather(&mut self, hit: Hit) -> bool {
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
        hits.select_nth_unstable_by_key(self.k - 1, Hit::rank);
        self.state.bar = hits[self.k - 1];
        self.state.len = u32::try_from(self.k).expect("invariant: k fits in a buffer");
    }
}
