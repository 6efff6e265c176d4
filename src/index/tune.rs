//! Recall on demand: the curve of recall against lists is measured on sample queries and kept, and a search
//! that asks for a recall takes its number of lists from it, and behind a refinement its k_factor.

use super::{Index, SearchOptions, SearchOutput};
use crate::codec::Codec;
use crate::curve::{Choice, Curve, CurvePoint, mean_and_low, worthwhile};
use crate::error::{Error, Result};
use crate::progress::Control;
use crate::rows::RowsRef;

/// How [`Index::tune`] measures.
#[derive(Clone, Debug, Default)]
pub struct TuneOptions<'a> {
    /// Threads to use; 0 = all of the context's.
    pub threads: usize,
    /// `[n, k]`: the ids of the true nearest of each sample query, -1 for none; `None` = the index's own
    /// vectors are searched exhaustively.
    pub truth: Option<&'a [i64]>,
}

/// What [`Index::tune`] chose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuned {
    /// Lists that a search for the recall looks into.
    pub nprobe: usize,
    /// How many times k candidates it compares again; 0 without a refinement.
    pub k_factor: f32,
    /// The recall that the sample has with the next number of lists on the curve.
    pub recall: f64,
}

/// Lists that all queries of an exhaustive search visit, at a time: bounds its memory.
const VISITS: usize = 1 << 22;

impl Index {
    /// Measures recall against the number of lists on sample queries (`[n, dim]`), keeps the curve in the
    /// index and says how many lists give `recall` of the `k` nearest.
    ///
    /// The queries should be like those to come, and not among the vectors: each of those would find
    /// itself. The more there are, the closer the choice; a thousand or two are plenty.
    pub fn tune<'x>(
        &mut self,
        queries: impl Into<RowsRef<'x>>,
        k: usize,
        recall: f64,
        options: &TuneOptions<'_>,
        control: &Control<'_>,
    ) -> Result<Tuned> {
        let (curve, tuned) = self.measure(queries.into(), k, recall, options, control)?;
        self.keep_curve(curve)?;
        Ok(tuned)
    }

    /// The curve that was measured last, unless training or `reset` ended it. Adding and removing leave it,
    /// see [`Curve::is_stale`].
    pub fn curve(&self) -> Option<&Curve> {
        self.curve.as_ref()
    }

    /// The first half of [`Index::tune`]: changes nothing.
    pub(crate) fn measure(
        &self,
        queries: RowsRef<'_>,
        k: usize,
        recall: f64,
        options: &TuneOptions<'_>,
        control: &Control<'_>,
    ) -> Result<(Curve, Tuned)> {
        self.check_trained()?;
        queries.check_dim("queries", self.input_dim())?;
        check_recall(recall)?;
        if recall == 0.0 {
            return Err(Error::argument("recall: expected more than 0, got 0"));
        }
        if queries.rows() == 0 {
            return Err(Error::argument("queries: expected at least 1 sample query, got 0"));
        }
        if !self.description.is_ivf() {
            return Err(Error::State(format!(
                "{}: there is nothing to tune: it has no lists to choose from",
                self.description
            )));
        }
        if self.count == 0 {
            return Err(Error::State("tuning needs the vectors that are to be found: add them first".into()));
        }
        if !(1..=self.count).contains(&k) {
            return Err(Error::argument(format!(
                "k: expected 1 to the number of vectors, {}, got {k}",
                self.count
            )));
        }
        let mut measuring = Measuring::new(self, queries, k, options, control)?;
        let points = measuring.points()?;
        let curve = Curve { k, queries: queries.rows(), count: self.count, changed: 0, points };
        let Choice { nprobe, k_factor } = curve.choice(recall, k, self.nlist())?;
        let at = curve.points.iter().find(|point| point.nprobe >= nprobe).or(curve.points.last());
        let recall = at.map_or(0.0, |point| point.recall);
        Ok((curve, Tuned { nprobe, k_factor, recall }))
    }

    /// The second half of [`Index::tune`].
    pub(crate) fn keep_curve(&mut self, curve: Curve) -> Result<()> {
        let fits = curve.points.last().is_some_and(|point| point.nprobe <= self.nlist());
        if curve.count != self.count || !fits {
            return Err(Error::State(format!(
                "the index was changed while it was tuned: it held {} vectors, now {}",
                curve.count, self.count
            )));
        }
        self.curve = Some(curve);
        Ok(())
    }

    /// Notes that vectors were added or removed.
    pub(super) fn age_curve(&mut self, changed: usize) {
        if let Some(curve) = &mut self.curve {
            curve.changed = curve.changed.saturating_add(changed);
        }
    }

    /// The options with the number of lists that gives the recall asked for.
    pub(super) fn at_recall<'a>(&self, options: &SearchOptions<'a>, k: usize) -> Result<SearchOptions<'a>> {
        let target = f64::from(options.target_recall);
        check_recall(target)?;
        let mut options = options.clone();
        if target == 0.0 {
            return Ok(options);
        }
        self.check_no_k_factor(options.k_factor, "the recall chooses it")?;
        for (name, got) in [("nprobe", options.nprobe), ("max_codes", options.max_codes)] {
            if got != 0 {
                return Err(Error::argument(format!(
                    "target_recall {target} and {name} {got}: expected one of them"
                )));
            }
        }
        if self.budget(&options)?.is_some() {
            return Err(Error::argument(format!(
                "target_recall {target} and a budget or an approximate profile: expected one of them"
            )));
        }
        options.target_recall = 0.0;
        if self.description.is_ivf() && self.count > 0 {
            let curve = self.curve.as_ref().ok_or_else(|| {
                Error::State(format!("recall {target}: it was not measured yet; call tune first"))
            })?;
            let choice = curve.choice(target, k.min(self.count), self.nlist())?;
            (options.nprobe, options.k_factor) = (choice.nprobe, choice.k_factor);
        }
        Ok(options)
    }
}

fn check_recall(recall: f64) -> Result<()> {
    if (0.0..=1.0).contains(&recall) {
        return Ok(());
    }
    Err(Error::argument(format!("recall: expected a share from 0 to 1, got {recall}")))
}

/// One measurement of a curve.
struct Measuring<'a, 'c> {
    index: &'a Index,
    queries: RowsRef<'a>,
    k: usize,
    threads: usize,
    control: &'a Control<'c>,
    truth: Truth,
    distances: Vec<f32>,
    ids: Vec<i64>,
}

/// What counts as found.
enum Truth {
    /// All that is no farther than the k-th of these, `[n, k]`: equal distances count alike.
    Distances(Vec<f32>),
    /// These ids, each query's sorted, -1 for none: `[n, k]`.
    Ids(Vec<i64>),
}

impl<'a, 'c> Measuring<'a, 'c> {
    fn new(
        index: &'a Index,
        queries: RowsRef<'a>,
        k: usize,
        options: &TuneOptions<'_>,
        control: &'a Control<'c>,
    ) -> Result<Self> {
        let n = queries.rows();
        let room =
            n.checked_mul(k).ok_or(Error::Overflow { what: "results", rows: n as u64, dim: k as u64 })?;
        let threads = options.threads;
        let truth = Truth::Distances(Vec::new());
        let (distances, ids) = (vec![0.0; room], vec![-1; room]);
        let mut measuring = Self { index, queries, k, threads, control, truth, distances, ids };
        measuring.truth = match options.truth {
            Some(truth) => Truth::Ids(sorted(truth, n, k)?),
            None => {
                measuring.search(index.nlist(), if index.refine.is_some() { TRUTH_FACTOR } else { 0.0 })?;
                Truth::Distances(measuring.distances.clone())
            }
        };
        Ok(measuring)
    }

    /// Points of rising nprobe, until nothing is left to find.
    fn points(&mut self) -> Result<Vec<CurvePoint>> {
        let nlist = self.index.nlist();
        let mut points: Vec<CurvePoint> = Vec::new();
        let mut nprobe = 1;
        loop {
            let cost = self.cost(nprobe)?;
            let recall = match &self.index.refine {
                None => self.point(nprobe, 0.0, cost, &mut points)?,
                Some(_) => self.refined_points(nprobe, cost, &mut points)?,
            };
            if recall >= 1.0 || nprobe == nlist {
                return Ok(if self.index.refine.is_some() { worthwhile(points) } else { points });
            }
            nprobe = (nprobe + nprobe.div_ceil(STEP)).min(nlist);
        }
    }

    /// Points of one number of lists and rising factors, until one more finds next to nothing. Tells the best recall.
    fn refined_points(&mut self, nprobe: usize, cost: f64, points: &mut Vec<CurvePoint>) -> Result<f64> {
        let index = self.index;
        let bytes = |codec: &Codec, dim| codec.row_bytes(dim) as f64;
        let refine = index.refine.as_deref().map_or(0.0, |codec| bytes(codec, index.input_dim()));
        let again = self.k as f64 * (refine / bytes(&index.codec, index.dim)).max(1.0);
        let (mut k_factor, mut best) = (1.0, 0.0);
        loop {
            let recall = self.point(nprobe, k_factor, cost + f64::from(k_factor) * again, points)?;
            let gained = recall - best;
            best = recall.max(best);
            let all = f64::from(k_factor) * self.k as f64 >= index.count as f64;
            if gained < GAIN || best >= 1.0 || all || k_factor >= MOST_FACTOR {
                return Ok(best);
            }
            k_factor *= 2.0;
        }
    }

    /// Measures one point, and tells its recall.
    fn point(
        &mut self,
        nprobe: usize,
        k_factor: f32,
        cost: f64,
        points: &mut Vec<CurvePoint>,
    ) -> Result<f64> {
        self.search(nprobe, k_factor)?;
        let (recall, low) = mean_and_low(&self.recalls());
        points.push(CurvePoint { nprobe, k_factor, recall, low, cost });
        Ok(recall)
    }

    /// Searches the sample; what is found stays in `distances` and `ids`.
    fn search(&mut self, nprobe: usize, k_factor: f32) -> Result<()> {
        let (n, k) = (self.queries.rows(), self.k);
        let options = SearchOptions { nprobe, k_factor, threads: self.threads, ..SearchOptions::default() };
        let step = (VISITS / nprobe).clamp(1, n);
        for from in (0..n).step_by(step) {
            let to = (from + step).min(n);
            let output = SearchOutput {
                distances: &mut self.distances[from * k..to * k],
                ids: &mut self.ids[from * k..to * k],
                hits: None,
            };
            self.index.search(self.queries.slice(from, to), k, &options, output, &self.control.silent())?;
            self.control.report("tune", nprobe, self.index.nlist(), 0.0)?;
        }
        Ok(())
    }

    /// The recall of each query as it was searched last.
    fn recalls(&self) -> Vec<f64> {
        let k = self.k;
        let share = |found: usize, of: usize| if of == 0 { 1.0 } else { found as f64 / of as f64 };
        match &self.truth {
            Truth::Distances(truth) => {
                let better = self.index.metric.is_similarity();
                let reaches = |got: f32, bar: f32| if better { got >= bar } else { got <= bar };
                let rows = self.distances.chunks_exact(k).zip(truth.chunks_exact(k));
                // k is at most the number of vectors, so that there are k true ones.
                rows.map(|(got, truth)| {
                    share(got.iter().filter(|&&got| reaches(got, truth[k - 1])).count(), k)
                })
                .collect()
            }
            Truth::Ids(truth) => {
                let rows = self.ids.chunks_exact(k).zip(truth.chunks_exact(k));
                rows.map(|(got, truth)| {
                    let mut got = got.to_vec();
                    got.sort_unstable();
                    share(common(&got, truth), truth.iter().filter(|&&id| id >= 0).count())
                })
                .collect()
            }
        }
    }

    /// Vectors that a query meets on average, centroids included.
    fn cost(&self, nprobe: usize) -> Result<f64> {
        let (index, n) = (self.index, self.queries.rows());
        let Some(coarse) = &index.coarse else { return Ok(index.count as f64) };
        let workers = index.context.workers(self.threads);
        let (mut floats, mut between) = (Vec::new(), Default::default());
        let (mut lists, mut vectors) = (Vec::new(), 0);
        let cancel = self.control.cancel();
        let step = (VISITS / nprobe).clamp(1, n);
        for from in (0..n).step_by(step) {
            let queries = self.queries.slice(from, (from + step).min(n));
            let data = index.prepared_matrix(queries, workers, cancel, &mut floats, &mut between)?.data();
            lists.clear();
            lists.resize(queries.rows() * nprobe, -1);
            coarse.probe(&index.context, data, nprobe, workers, &mut lists, &mut [], cancel)?;
            let met = lists.iter().filter_map(|&list| usize::try_from(list).ok());
            vectors += met.map(|list| index.lists.lists[list].live()).sum::<usize>();
        }
        Ok(index.nlist() as f64 + vectors as f64 / n as f64)
    }
}

/// Times k candidates that the true nearest are chosen from where the index refines: far more than a search takes.
const TRUTH_FACTOR: f32 = 100.0;

/// The largest factor that is tried.
const MOST_FACTOR: f32 = 64.0;

/// Recall that twice the candidates have to add, or no more of them are tried.
const GAIN: f64 = 0.0005;

/// A step of the ladder of nprobe, as a divisor: each point is a fifth above the one before.
const STEP: usize = 5;

/// Each row's ids in order.
fn sorted(truth: &[i64], n: usize, k: usize) -> Result<Vec<i64>> {
    if truth.len() != n * k {
        return Err(Error::Length { what: "truth", expected: n * k, got: truth.len() });
    }
    let mut truth = truth.to_vec();
    truth.chunks_exact_mut(k).for_each(<[i64]>::sort_unstable);
    Ok(truth)
}

/// How many ids two sorted rows share, -1 aside.
fn common(mut a: &[i64], mut b: &[i64]) -> usize {
    let mut shared = 0;
    while let ([first_a, rest_a @ ..], [first_b, rest_b @ ..]) = (a, b) {
        match first_a.cmp(first_b) {
            std::cmp::Ordering::Less => a = rest_a,
            std::cmp::Ordering::Greater => b = rest_b,
            std::cmp::Ordering::Equal => {
                shared += usize::from(*first_a >= 0);
                (a, b) = (rest_a, rest_b);
            }
        }
    }
    shared
}
