//! Measuring what recall ways to search give: each is tried on the sample queries of [`Index::tune`].

use super::tune::TuneOptions;
use super::{Index, SearchOptions, SearchOutput};
use crate::backend::workspace::Limits;
use crate::coarse::{Coarse, Reach, gap};
use crate::codec::Codec;
use crate::curve::{CurvePoint, mean_and_low};
use crate::error::{Error, Result};
use crate::progress::Control;
use crate::rows::RowsRef;

/// Lists that all queries of an exhaustive search visit, at a time: bounds its memory.
const VISITS: usize = 1 << 22;

/// One measurement of a curve.
pub(super) struct Measuring<'a, 'c> {
    index: &'a Index,
    queries: RowsRef<'a>,
    k: usize,
    threads: usize,
    control: &'a Control<'c>,
    truth: Truth,
    distances: Vec<f32>,
    ids: Vec<i64>,
}

/// Takes queries as the lists are compared with them, the nearest lists of each, and their keys.
type Take<'t> = dyn FnMut(&[f32], &mut [i64], &mut [f32]) + 't;

/// What counts as found.
enum Truth {
    /// All that is no farther than the k-th of these, `[n, k]`: equal distances count alike.
    Distances(Vec<f32>),
    /// These ids, each query's sorted, -1 for none: `[n, k]`.
    Ids(Vec<i64>),
}

impl<'a, 'c> Measuring<'a, 'c> {
    pub(super) fn new(
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
                let factor = if index.refine.is_some() { TRUTH_FACTOR } else { 0.0 };
                measuring.search((index.nlist(), 0.0), factor)?;
                Truth::Distances(measuring.distances.clone())
            }
        };
        Ok(measuring)
    }

    /// Points of rising nprobe, and beyond all lists of a rising scale, until nothing is left to find.
    pub(super) fn points(&mut self, scale: f32) -> Result<Vec<CurvePoint>> {
        let nlist = self.index.nlist();
        let mut points: Vec<CurvePoint> = Vec::new();
        let (mut nprobe, mut now) = (1, scale);
        loop {
            let lists = (nprobe, now);
            let cost = self.cost(lists)?;
            let recall = match &self.index.refine {
                None => self.point(lists, 0.0, cost, &mut points)?,
                Some(_) => self.refined_points(lists, cost, &mut points)?,
            };
            let all = nprobe == nlist;
            if recall >= 1.0 || (all && now == 0.0) {
                return Ok(points);
            }
            nprobe = (nprobe + nprobe.div_ceil(STEP)).min(nlist);
            if all {
                now = if now < scale * WIDEST { now * WIDER } else { 0.0 };
            }
        }
    }

    /// Points of one number of lists and rising factors, until one more finds next to nothing. Tells the best recall.
    fn refined_points(
        &mut self,
        lists: (usize, f32),
        cost: f64,
        points: &mut Vec<CurvePoint>,
    ) -> Result<f64> {
        let index = self.index;
        let bytes = |codec: &Codec, dim| codec.row_bytes(dim) as f64;
        let refine = index.refine.as_deref().map_or(0.0, |codec| bytes(codec, index.input_dim()));
        // A candidate takes several times as long as codes of as many bytes. Counted so, fewer candidates of more lists
        // were chosen, which was slower: 0.7 to 1.0 times the queries a second on MNIST and sentences (revision c6a93c1).
        let again = self.k as f64 * (refine / bytes(&index.codec, index.dim)).max(1.0);
        let (mut k_factor, mut best) = (self.first_factor(), 0.0);
        loop {
            let recall = self.point(lists, k_factor, cost + f64::from(k_factor) * again, points)?;
            let gained = recall - best;
            best = recall.max(best);
            let all = f64::from(k_factor) * self.k as f64 >= index.count as f64;
            if gained < GAIN || best >= 1.0 || all || k_factor >= MOST_FACTOR {
                return Ok(best);
            }
            k_factor = next_factor(k_factor, self.k);
        }
    }

    /// The least factor that is tried: what codes of fewer bits find with fewer candidates is not worth their scan.
    fn first_factor(&self) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "a number of results")]
        let k = self.k as f32;
        match self.index.bits() {
            // Without candidates to spare they are not scanned in whole numbers, which takes longer than to compare a few.
            _ if self.index.rounded().is_some() => 1.0 + SPARE.max(1.5 / k),
            0..4 => 2.0,
            _ => 1.0,
        }
    }

    /// Measures one point, and tells its recall.
    fn point(
        &mut self,
        lists: (usize, f32),
        k_factor: f32,
        cost: f64,
        points: &mut Vec<CurvePoint>,
    ) -> Result<f64> {
        self.search(lists, k_factor)?;
        let (recall, low) = mean_and_low(&self.recalls());
        let (nprobe, probe_scale) = lists;
        points.push(CurvePoint { nprobe, probe_scale, k_factor, recall, low, cost });
        Ok(recall)
    }

    /// Searches the sample; what is found stays in `distances` and `ids`.
    fn search(&mut self, (nprobe, probe_scale): (usize, f32), k_factor: f32) -> Result<()> {
        let (n, k, threads) = (self.queries.rows(), self.k, self.threads);
        let options = SearchOptions { nprobe, probe_scale, k_factor, threads, ..SearchOptions::default() };
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
    fn cost(&self, (nprobe, scale): (usize, f32)) -> Result<f64> {
        let index = self.index;
        let Some(coarse) = &index.coarse else { return Ok(index.count as f64) };
        let (mut limits, mut vectors) = (Limits::default(), 0);
        let copies = scale > 0.0 || nprobe < index.nlist();
        self.each_probed(coarse, nprobe, &mut |queries, lists, keys| {
            if scale > 0.0 {
                Reach::new(index.metric, nprobe, scale, &mut limits).cut(queries, index.dim, lists, keys);
            }
            let met = lists.iter().filter_map(|&list| usize::try_from(list).ok());
            vectors += met.map(|list| index.met_in(list, copies)).sum::<usize>();
        })?;
        Ok(index.nlist() as f64 + vectors as f64 / self.queries.rows() as f64)
    }

    /// A scale that queries differ by; `None` where there are too few lists for it.
    pub(super) fn scale(&self) -> Result<Option<f32>> {
        let index = self.index;
        let Some(coarse) = index.coarse.as_ref().filter(|coarse| coarse.nlist() >= FEWEST_LISTS) else {
            return Ok(None);
        };
        let (nprobe, dim) = (coarse.nlist() / 2, index.dim);
        let mut gaps: Vec<f32> = Vec::new();
        self.each_probed(coarse, nprobe, &mut |queries, _, keys| {
            let rows = queries.chunks_exact(dim).zip(keys.chunks_exact(nprobe));
            gaps.extend(rows.filter_map(|(query, keys)| gap(index.metric, query, keys)));
        })?;
        let middle = gaps.len() / 2;
        if gaps.is_empty() {
            return Ok(None);
        }
        let median = *gaps.select_nth_unstable_by(middle, f32::total_cmp).1;
        Ok(Some(SCALE * median).filter(|&scale| scale > 0.0))
    }

    /// Hands `take` the sample some queries at a time, and the nearest `nprobe` lists of each.
    fn each_probed(&self, coarse: &Coarse, nprobe: usize, take: &mut Take<'_>) -> Result<()> {
        let (index, n) = (self.index, self.queries.rows());
        let workers = index.context.workers(self.threads);
        let (mut floats, mut between) = (Vec::new(), Default::default());
        let (mut lists, mut keys) = (Vec::new(), Vec::new());
        let cancel = self.control.cancel();
        let step = (VISITS / nprobe).clamp(1, n);
        for from in (0..n).step_by(step) {
            let queries = self.queries.slice(from, (from + step).min(n));
            let data = index.prepared_matrix(queries, workers, cancel, &mut floats, &mut between)?.data();
            lists.clear();
            lists.resize(queries.rows() * nprobe, -1);
            keys.resize(lists.len(), f32::INFINITY);
            coarse.probe(&index.context, data, nprobe, workers, &mut lists, &mut keys, cancel)?;
            take(data, &mut lists, &mut keys);
        }
        Ok(())
    }
}

/// The scale as a share of the usual gap between a query's nearest list and the middle one: the best on four data sets
/// to a few percent, as half of it and twice as much nearly are (`benches/peers/adaptive.py`).
const SCALE: f32 = 0.25;

/// With fewer lists there is little to adapt.
const FEWEST_LISTS: usize = 16;

/// Steps of the scale where all lists may be visited, and how far they go.
const WIDER: f32 = 1.5;
const WIDEST: f32 = 8.0;

/// Times k candidates that the true nearest are chosen from where the index refines: far more than a search takes.
const TRUTH_FACTOR: f32 = 100.0;

/// The largest factor that is tried.
const MOST_FACTOR: f32 = 64.0;

/// The least share of candidates to spare that is tried where codes are scanned in whole numbers: by 8 bits a tenth finds
/// nearly all that twice as many candidates find.
const SPARE: f32 = 0.1;

/// The factor that is tried after this one: of 1, 1.5, 2, 3, 4, 6, 8 and so on the first that is larger.
fn next_factor(k_factor: f32, k: usize) -> f32 {
    let power = k_factor.log2().floor().exp2();
    // 1.5 times one result are one candidate.
    let has_half = k > 1 || power > 1.0;
    if k_factor < 1.5 * power && has_half { 1.5 * power } else { 2.0 * power }
}

/// Recall that the next factor has to add, or no more of them are tried.
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
