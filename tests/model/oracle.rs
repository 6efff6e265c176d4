//! The naive model: lists of vectors, searched one by one in float64.

use crate::draw::Draw;

/// How vectors are compared, by the ABI's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Metric {
    InnerProduct = 0,
    L2 = 1,
    Cosine = 2,
}

/// What vectors are held in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Element {
    F32,
    F16,
    Bf16,
    U8,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: i64,
    /// As it is stored: normalised for cosine, rounded to the element; in a world of codes as it was given.
    pub(crate) vector: Vec<f32>,
    /// The list that it is copied to; `None` where there are no copies, or what is found by them depends on codes.
    pub(crate) second: Option<usize>,
}

/// Which ids pass, as the filters of the ABI are combined.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    Range(i64, i64),
    Bitmap(Vec<u8>, u64),
    Ids(Vec<i64>),
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
}

impl Filter {
    /// A filter over ids below about `ids`.
    pub(crate) fn draw(draw: &mut Draw, ids: i64, depth: usize) -> Self {
        let id = |draw: &mut Draw| draw.below(ids as usize + 10) as i64 - 3;
        let kinds = if depth == 0 { 3 } else { 6 };
        match draw.below(kinds) {
            0 => Self::Range(id(draw), id(draw)),
            1 => {
                let bits = draw.below(ids as usize + 20);
                let sparse = draw.chance(50);
                let byte = |draw: &mut Draw| {
                    (draw.bits() & if sparse { draw.bits() & draw.bits() } else { 255 }) as u8
                };
                Self::Bitmap((0..bits.div_ceil(8)).map(|_| byte(draw)).collect(), bits as u64)
            }
            2 => {
                let far = draw.chance(10);
                let mut all: Vec<i64> = (0..draw.below(40)).map(|_| id(draw)).collect();
                if far {
                    all.push(1 << 60);
                }
                Self::Ids(all)
            }
            3 => Self::And(Self::inner(draw, ids, depth), Self::inner(draw, ids, depth)),
            4 => Self::Or(Self::inner(draw, ids, depth), Self::inner(draw, ids, depth)),
            _ => Self::Not(Self::inner(draw, ids, depth)),
        }
    }

    fn inner(draw: &mut Draw, ids: i64, depth: usize) -> Box<Self> {
        Box::new(Self::draw(draw, ids, depth - 1))
    }

    pub(crate) fn passes(&self, id: i64) -> bool {
        match self {
            Self::Range(from, to) => (*from..*to).contains(&id),
            Self::Bitmap(bytes, bits) => {
                u64::try_from(id).is_ok_and(|i| i < *bits && bytes[i as usize / 8] >> (i % 8) & 1 == 1)
            }
            Self::Ids(ids) => ids.contains(&id),
            Self::And(a, b) => a.passes(id) && b.passes(id),
            Self::Or(a, b) => a.passes(id) || b.passes(id),
            Self::Not(a) => !a.passes(id),
        }
    }
}

/// Where and how much of it a search looks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    pub(crate) nprobe: usize,
    /// Whether the call names the lists.
    pub(crate) given: bool,
    pub(crate) max_codes: usize,
    /// At most so many of each list; 0 = all.
    pub(crate) list_max: usize,
    /// In probe order: so many, or this share of what the lists visited hold.
    pub(crate) codes: usize,
    pub(crate) share: f32,
    /// Above 0: lists as far as a query needs them.
    pub(crate) scale: f32,
    /// How many times k candidates are compared again; 0 = the index's own.
    pub(crate) factor: f32,
    pub(crate) filter: Option<Filter>,
}

impl Ask {
    /// Whether the order of the lists matters.
    fn is_limited(&self) -> bool {
        self.max_codes > 0 || self.codes > 0 || self.share > 0.0 || self.scale > 0.0
    }
}

/// The index as it should be.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) dim: usize,
    pub(crate) metric: Metric,
    pub(crate) element: Element,
    /// Whether what is found depends on codes, which the model does not know: see [`crate::twin`].
    pub(crate) coded: bool,
    /// Points that training the codes takes; 0 where there are none. Behind codes that all are compared again without
    /// loss ("SQ4,RFlat") the model knows the results; but which vectors are within a radius is told by the codes.
    pub(crate) points: usize,
    pub(crate) is_ivf: bool,
    /// As it was created; 0 = chosen from nlist.
    pub(crate) nprobe: usize,
    pub(crate) duplicates: bool,
    /// `[nlist, dim]`; empty before training and for "Flat".
    pub(crate) centroids: Vec<Vec<f32>>,
    /// In the order of addition; none before training, one for what is flat and needs none.
    pub(crate) lists: Vec<Vec<Entry>>,
    pub(crate) next_id: i64,
    /// Whether float32 arithmetic on these vectors is exact.
    pub(crate) exact: bool,
    /// Whether lists are kept best first, which rounding decides: searches have no limits then.
    pub(crate) ordered: bool,
    /// Whether the best by their codes are compared again.
    pub(crate) refined: bool,
    /// Whether the codes' bounds are proven, so that an infinite factor compares as all do: those of RaBitQ are likely.
    pub(crate) proven: bool,
    /// The lambda by which each vector is in a second list too; 0 = none is. Searches have no limits then, for they count
    /// both.
    pub(crate) soar: f32,
    /// What `tune` measured last.
    pub(crate) curve: Option<Curve>,
}

/// What an index remembers of a measurement, and what that chose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Curve {
    pub(crate) k: usize,
    pub(crate) queries: usize,
    pub(crate) points: u64,
    /// Vectors that there were, and how many came and went since.
    pub(crate) count: usize,
    pub(crate) changed: usize,
    /// The recall asked for, and the way to it.
    pub(crate) recall: f32,
    pub(crate) chosen: (usize, f32, f32),
}

impl Curve {
    pub(crate) fn is_stale(&self) -> bool {
        self.changed > self.count / 5
    }
}

impl Model {
    /// Vectors came or went.
    pub(crate) fn age(&mut self, changed: usize) {
        if let Some(curve) = &mut self.curve {
            curve.changed += changed;
        }
    }

    /// Whether there are codes to be trained.
    pub(crate) fn trains(&self) -> bool {
        self.points > 0
    }

    pub(crate) fn count(&self) -> usize {
        self.lists.iter().map(Vec::len).sum()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.lists.iter().flatten()
    }

    pub(crate) fn has(&self, id: i64) -> bool {
        self.entries().any(|entry| entry.id == id)
    }

    pub(crate) fn train(&mut self, centroids: Vec<Vec<f32>>) {
        self.lists = vec![Vec::new(); centroids.len()];
        self.centroids = centroids;
        self.curve = None;
    }

    /// As the index stores or compares a row.
    pub(crate) fn prepared(&self, row: &[f32]) -> Vec<f32> {
        if self.metric != Metric::Cosine {
            return row.to_vec();
        }
        let norm = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
        let scale = if norm > 0.0 { 1.0 / norm.sqrt() } else { 0.0 };
        row.iter().map(|&v| (f64::from(v) * scale) as f32).collect()
    }

    pub(crate) fn stored(&self, row: &[f32]) -> Vec<f32> {
        if self.coded {
            return row.to_vec();
        }
        let round = |v: f32| match self.element {
            Element::F32 | Element::U8 => v,
            Element::F16 => ivf::f16::from_f32(v).to_f32(),
            Element::Bf16 => ivf::bf16::from_f32(v).to_f32(),
        };
        self.prepared(row).into_iter().map(round).collect()
    }

    /// Smaller is better: the squared distance, or minus the similarity.
    pub(crate) fn key(&self, query: &[f32], vector: &[f32]) -> f64 {
        let pairs = query.iter().zip(vector).map(|(&a, &b)| (f64::from(a), f64::from(b)));
        match self.metric {
            Metric::L2 => pairs.map(|(a, b)| (a - b) * (a - b)).sum(),
            // From 0.0: a similarity of 0 has one key, not two.
            Metric::InnerProduct => 0.0 - pairs.map(|(a, b)| a * b).sum::<f64>(),
            Metric::Cosine => 0.0 - pairs.map(|(a, b)| a * b).sum::<f64>().clamp(-1.0, 1.0),
        }
    }

    /// How far two keys of this query may differ by rounding alone.
    pub(crate) fn slack(&self, query: &[f32], vector: &[f32], key: f64) -> f64 {
        if self.exact {
            return 0.0;
        }
        let norm = |v: &[f32]| v.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>();
        match self.metric {
            Metric::L2 => 3e-5 * key + 1e-12,
            _ => 3e-6 * (norm(query) * norm(vector)).sqrt() + 1e-12,
        }
    }

    /// The lists by distance to a prepared row, and whether rounding may have it otherwise among the first
    /// `upto` and the one behind them.
    fn ranking(&self, row: &[f32], upto: usize) -> (Vec<usize>, bool) {
        let mut ranks: Vec<(f64, usize)> =
            self.centroids.iter().enumerate().map(|(list, c)| (self.coarse_key(row, c), list)).collect();
        ranks.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let near = |a: &(f64, usize), b: &(f64, usize)| {
            let centroid = &self.centroids[b.1];
            !self.exact && b.0 - a.0 <= 2.0 * self.slack(row, centroid, b.0.abs())
        };
        let unclear = ranks.windows(2).take(upto).any(|pair| near(&pair[0], &pair[1]));
        (ranks.into_iter().map(|(_, list)| list).collect(), unclear)
    }

    /// Centroids of a cosine index are directions compared by inner product.
    pub(crate) fn coarse_key(&self, row: &[f32], centroid: &[f32]) -> f64 {
        match self.metric {
            Metric::Cosine => {
                0.0 - row.iter().zip(centroid).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>()
            }
            _ => self.key(row, centroid),
        }
    }

    /// The list of a prepared row, best guess first if rounding may choose another.
    pub(crate) fn list_of(&self, row: &[f32]) -> Vec<usize> {
        if !self.is_ivf {
            return vec![0];
        }
        let (mut ranks, unclear) = self.ranking(row, 1);
        ranks.truncate(if unclear { 3 } else { 1 });
        ranks
    }

    /// How many lists a search visits that asks for `nprobe`.
    pub(crate) fn lists_visited(&self, nprobe: usize) -> usize {
        let nlist = self.centroids.len();
        let own = if self.nprobe == 0 { (nlist / 16).clamp(8, 64) } else { self.nprobe };
        (if nprobe == 0 { own } else { nprobe }).min(nlist)
    }

    /// The lists that a query visits in order; `None` if rounding may choose others.
    pub(crate) fn visited(&self, query: &[f32], ask: &Ask) -> Option<Vec<usize>> {
        if !self.is_ivf {
            return Some(vec![0]);
        }
        let nprobe = self.lists_visited(ask.nprobe);
        // Without a budget only the cut between visited and not matters.
        let (mut ranks, unclear) = self.ranking(query, nprobe);
        if unclear && (ask.is_limited() || self.cut_unclear(query, &ranks, nprobe)) {
            return None;
        }
        ranks.truncate(nprobe);
        if ask.scale > 0.0 {
            ranks.truncate(self.needed(query, &ranks, f64::from(ask.scale))?);
        }
        Some(ranks)
    }

    /// How many of these lists, nearest first, a query needs: those before the first, the r-th, with
    /// r * exp(gap / scale) > 4 * nprobe; `None` if rounding may choose others.
    fn needed(&self, query: &[f32], ranks: &[usize], scale: f64) -> Option<usize> {
        let key = |rank: usize| self.coarse_key(query, &self.centroids[ranks[rank]]);
        let nearest = key(0);
        let norm = query.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
        let unit = match self.metric {
            Metric::InnerProduct => norm,
            Metric::L2 => nearest,
            Metric::Cosine => (1.0 + nearest).max(0.0),
        };
        for rank in 1..ranks.len() {
            let share = scale * (4.0 * ranks.len() as f64 / (rank + 1) as f64).ln();
            let (gap, limit) = (key(rank) - nearest, share * unit);
            // Of directions the unit is a small difference of large numbers.
            let slack = self.slack(query, &self.centroids[ranks[rank]], gap) * (2.0 + share);
            if limit > 0.0 && (gap - limit).abs() <= 1e-4 * limit + slack {
                return None;
            }
            if gap > limit {
                return Some(rank);
            }
        }
        Some(ranks.len())
    }

    fn cut_unclear(&self, query: &[f32], ranks: &[usize], nprobe: usize) -> bool {
        let Some(&behind) = ranks.get(nprobe) else { return false };
        let key = |list: usize| self.coarse_key(query, &self.centroids[list]);
        let (last, next) = (key(ranks[nprobe - 1]), key(behind));
        next - last <= 2.0 * self.slack(query, &self.centroids[behind], next.abs())
    }

    /// All that may be returned from these lists, as (key, entry), best first, ties by id.
    pub(crate) fn candidates(&self, query: &[f32], lists: &[usize], ask: &Ask) -> Vec<(f64, &Entry)> {
        let all: usize = lists.iter().map(|&list| self.lists[list].len()).sum();
        let budget = match (ask.codes, ask.share) {
            (0, 0.0) => usize::MAX,
            (0, share) => (all as f64 * f64::from(share)).ceil() as usize,
            (codes, _) => codes,
        };
        let budget = if ask.max_codes == 0 { budget } else { budget.min(ask.max_codes) };
        let of_each = if ask.list_max == 0 { usize::MAX } else { ask.list_max };
        let mut found: Vec<(f64, &Entry)> = lists
            .iter()
            .flat_map(|&list| self.lists[list].iter().take(of_each))
            .take(budget)
            .chain(self.copies(lists))
            .filter(|entry| ask.filter.as_ref().is_none_or(|filter| filter.passes(entry.id)))
            .map(|entry| (self.key(query, &entry.vector), entry))
            .collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.id.cmp(&b.1.id)));
        found
    }

    /// The distance or similarity that a key stands for.
    pub(crate) fn value(&self, key: f64) -> f64 {
        if self.metric == Metric::L2 { key } else { -key }
    }

    pub(crate) fn worst(&self) -> f32 {
        if self.metric == Metric::L2 { f32::INFINITY } else { f32::NEG_INFINITY }
    }
}
