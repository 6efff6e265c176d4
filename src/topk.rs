//! Bounded selection: the k best of a stream of (key, id), ties by id, in amortised constant time.
//!
//! Keys are ordered so that smaller is better. A small k is kept sorted, so that its bar (the k-th best,
//! which the next must pass) is always tight. For a large k candidates gather in a buffer of up to
//! twice k; when it is full the k best are selected and the bar is moved.

use std::cmp::Ordering;

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
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }

    /// A number in that order: one comparison, of no branch.
    #[inline]
    fn rank(&self) -> i128 {
        i128::from(self.key_rank()) << 64 | i128::from((self.id ^ i64::MIN).cast_unsigned())
    }

    /// A number in the order of keys, as `f32::total_cmp` has it.
    #[inline]
    fn key_rank(&self) -> i32 {
        let bits = self.key.to_bits().cast_signed();
        bits ^ ((bits >> 31).cast_unsigned() >> 1).cast_signed()
    }

    #[inline]
    fn is_better(&self, other: &Self) -> bool {
        (self.key < other.key) | ((self.key == other.key) & (self.id < other.id))
    }
}

/// Brings the `k` best of at least as many to the front, in no order, and tells the worst of them.
pub(crate) fn select(hits: &mut [Hit], k: usize) -> Hit {
    let (better, equal) = part(hits, k);
    let equals = &mut hits[better..better + equal];
    let wanted = k - better;
    if wanted < equal {
        equals.select_nth_unstable_by_key(wanted - 1, |hit| hit.id);
    }
    let worst = equals[..wanted].iter().max_by_key(|hit| hit.id);
    *worst.expect("invariant: the k-th best has its own key")
}

/// Brings those to the front whose key is no worse than that of the `k`-th best: `k` of them if no keys are equal. Ids
/// are not compared.
pub(crate) fn reaching(hits: &mut [Hit], k: usize) -> &mut [Hit] {
    if k >= hits.len() {
        return hits;
    }
    let (better, equal) = part(hits, k);
    &mut hits[..better + equal]
}

/// Brings those to the front whose keys are better than that of the `k`-th best, and behind them those of the same key:
/// how many there are of either.
fn part(hits: &mut [Hit], k: usize) -> (usize, usize) {
    let bar = match hits.len() {
        ..=128 => kth_key::<128>(hits, k),
        129..=1024 => kth_key::<1024>(hits, k),
        _ => hits.select_nth_unstable_by_key(k - 1, Hit::key_rank).1.key_rank(),
    };
    let mut better = 0;
    for place in 0..hits.len() {
        // Without a branch, which would be foreseen half of the time.
        let hit = hits[place];
        hits.swap(place, better);
        better += usize::from(hit.key_rank() < bar);
    }
    let mut end = better;
    for place in better..hits.len() {
        if hits[place].key_rank() == bar {
            hits.swap(place, end);
            end += 1;
        }
    }
    (better, end - better)
}

/// The `k`-th best key of `MOST` hits at most, which is copied with all others: they alone are a quarter of the memory.
fn kth_key<const MOST: usize>(hits: &[Hit], k: usize) -> i32 {
    let mut keys = [0; MOST];
    let keys = &mut keys[..hits.len()];
    keys.iter_mut().zip(hits).for_each(|(key, hit)| *key = hit.key_rank());
    kth(keys, k)
}

/// The `k`-th least of some numbers, by halving the span in which it lies: counting has no branch that is guessed wrong,
/// and is done side by side. A number that parts `k` of them from the others is found long before the span is empty.
fn kth(keys: &[i32], k: usize) -> i32 {
    let (mut low, mut high) = (
        side_by_side(keys, i32::MAX, |low, key| if key < low { key } else { low }),
        side_by_side(keys, i32::MIN, |high, key| if key > high { key } else { high }),
    );
    while low < high {
        // Half way, whatever their signs.
        let middle = (low & high) + ((low ^ high) >> 1);
        let count: i32 = keys.iter().map(|&key| i32::from(key <= middle)).sum();
        match (count as usize).cmp(&k) {
            Ordering::Less => low = middle + 1,
            Ordering::Equal => {
                return side_by_side(keys, i32::MIN, |largest, key| {
                    if key <= middle && key > largest { key } else { largest }
                });
            }
            Ordering::Greater => high = middle,
        }
    }
    high
}

/// What `take` makes of all keys, one after another, in any order: several at a time, as vector registers do it.
#[inline(always)]
fn side_by_side(keys: &[i32], start: i32, take: impl Fn(i32, i32) -> i32) -> i32 {
    let (whole, rest) = keys.as_chunks::<8>();
    let mut each = [start; 8];
    for keys in whole {
        each.iter_mut().zip(keys).for_each(|(best, &key)| *best = take(*best, key));
    }
    each.iter().chain(rest).fold(start, |best, &key| take(best, key))
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

/// The largest k that is kept sorted: above it moving hits costs more than a loose bar. Batches behind codes of 8 bits, which
/// keep 15 for 10 results, are a twentieth slower with 8 here; single queries that keep 30 take 1 to 4 % longer with 32.
pub(crate) const SORTED: usize = 16;

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

    /// Offers many candidates; true if the bar moved.
    pub(crate) fn push_all(&mut self, others: &[Hit]) -> bool {
        if self.k > SORTED && !self.distinct {
            return self.gather_all(others);
        }
        others.iter().fold(false, |moved, &hit| self.push(hit) | moved)
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

    /// Puts those of many hits in the buffer that pass the bar; true if that moved it.
    fn gather_all(&mut self, mut others: &[Hit]) -> bool {
        let mut moved = false;
        while !others.is_empty() {
            let State { len, bar } = *self.state;
            let mut len = len as usize;
            let (now, later) = others.split_at(others.len().min(self.hits.len() - len));
            for &hit in now {
                // Written before it is known whether it passes: no branch that is guessed wrong.
                self.hits[len] = hit;
                len += usize::from(hit.is_better(&bar));
            }
            self.state.len = u32::try_from(len).expect("invariant: a buffer's places fit in u32");
            others = later;
            // As one by one: the first k give a bar, however few have come since.
            if len == self.hits.len() || (bar.id == i64::MAX && len >= self.k) {
                self.select();
                moved = true;
            }
        }
        moved
    }

    /// Keeps the k best, in no order, and sets the bar.
    #[cold]
    #[inline(never)]
    fn select(&mut self) {
        self.state.bar = select(&mut self.hits[..self.state.len as usize], self.k);
        self.state.len = u32::try_from(self.k).expect("invariant: k fits in a buffer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hits of `keys` with ids that fall.
    fn hits(keys: &[f32]) -> Vec<Hit> {
        keys.iter().zip((0..).map(|n: i64| -n)).map(|(&key, id)| Hit { key, id }).collect()
    }

    #[test]
    fn select_any_size_keeps_the_first_in_order_and_tells_the_last_of_them() {
        for len in [1, 2, 31, 400, 1023, 1024, 1025, 3000] {
            for values in [1, 7, 1 << 20] {
                // Negative keys, and few or many that are equal.
                let keys: Vec<f32> = (0..len).map(|n| (n * 7919 % 10007 % values) as f32 - 3.0).collect();
                let mut sorted = hits(&keys);
                sorted.sort_by(Hit::order);
                for k in [1, 2, len / 2, len - 1, len].into_iter().filter(|k| (1..=len).contains(k)) {
                    let mut found = hits(&keys);
                    assert_eq!(select(&mut found, k), sorted[k - 1], "{k} of {len}");
                    found[..k].sort_by(Hit::order);
                    assert_eq!(found[..k], sorted[..k], "{k} of {len}");
                    found.sort_by(Hit::order);
                    assert_eq!(found, sorted, "{k} of {len}");
                }
            }
        }
    }

    #[test]
    fn push_all_any_portions_select_what_push_does() {
        for k in [1, 5, SORTED, SORTED + 1, 40, 1500] {
            for (portion, bar) in [(1, f32::INFINITY), (7, f32::INFINITY), (300, f32::INFINITY), (64, 100.0)]
            {
                let keys: Vec<f32> = (0..5000).map(|n| (n * 7919 % 997) as f32).collect();
                let all = hits(&keys);
                let best = |push: &dyn Fn(&mut TopK<'_>)| {
                    let mut room = vec![Hit::NONE; capacity(k)];
                    let mut state = State { bar: Hit { key: bar, ..Hit::NONE }, ..State::EMPTY };
                    push(&mut TopK { hits: &mut room, state: &mut state, k, distinct: false });
                    let found = &mut room[..state.len as usize];
                    found.sort_by(Hit::order);
                    found[..found.len().min(k)].to_vec()
                };
                let one_by_one = best(&|top| all.iter().for_each(|&hit| _ = top.push(hit)));
                let at_once = best(&|top| all.chunks(portion).for_each(|hits| _ = top.push_all(hits)));
                assert_eq!(at_once, one_by_one, "{k}, {portion}, {bar}");
                assert!(at_once.len() == k || bar < f32::INFINITY);
            }
        }
    }

    #[test]
    fn reaching_equal_keys_at_the_cut_are_all_there() {
        let keys = |hits: &mut [Hit], k| {
            let mut keys: Vec<f32> = reaching(hits, k).iter().map(|hit| hit.key).collect();
            keys.sort_unstable_by(f32::total_cmp);
            keys
        };
        let mut many = hits(&[5.0, 2.0, 7.0, 2.0, 1.0, 9.0, 2.0, 3.0]);
        assert_eq!(keys(&mut many, 2), [1.0, 2.0, 2.0, 2.0]);
        assert_eq!(keys(&mut many, 4), [1.0, 2.0, 2.0, 2.0]);
        assert_eq!(keys(&mut many, 5), [1.0, 2.0, 2.0, 2.0, 3.0]);
        assert_eq!(keys(&mut hits(&[4.0, 3.0]), 2), [3.0, 4.0]);
        assert_eq!(keys(&mut hits(&[4.0]), 3), [4.0]);
    }
}
