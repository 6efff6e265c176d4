//! The second list of a vector: SOAR, "spilling with orthogonality-amplified residuals" (Sun, Guo and Kumar, SOAR: Improved
//! Indexing for Approximate Nearest Neighbor Search, NeurIPS 2023).
//!
//! A list is missed where a query lies far along a vector's residual from that list's centroid. A second list helps
//! most if its residual does not point the same way: with the residuals r and r' of the first and the second list, it is
//! the one with the least `|r'|^2 + lambda * (<r', r> / |r|)^2`. All three lengths of the triangle of a vector and two
//! centroids being known, `2 <r', r> = |r|^2 + |r'|^2 - |c - c'|^2`.
//!
//! For inner products the same holds of directions: a list is chosen by that of a vector, whatever its length.

use super::Coarse;
use crate::backend;
use crate::context::Context;
use crate::error::Result;
use crate::matrix::squared_norm;
use crate::metric::Metric;
use crate::progress::Cancel;
use crate::rows::RowsRef;

/// The nearest lists among which the second is looked for, of which one may be the first: of all lists it is another for 1
/// vector in 100 of word vectors (1024 lists) and of sentences (256).
const NEAREST: usize = 17;

/// Rows that are assigned at a time.
const ROWS_A_STEP: usize = 1 << 12;

/// Rows that a worker takes at a time.
const ROWS: usize = 256;

impl Coarse {
    /// The second list of every row, given the `first`; there are two lists or more.
    pub(crate) fn second(
        &self,
        context: &Context,
        x: RowsRef<'_>,
        first: &[u32],
        lambda: f32,
        workers: usize,
        cancel: Cancel<'_>,
    ) -> Result<Vec<u32>> {
        let spill = Spill::new(self, lambda);
        let near = NEAREST.min(self.nlist());
        let mut seconds = vec![0; x.rows()];
        let (mut rows, mut lists, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let steps = seconds.chunks_mut(ROWS_A_STEP).zip(first.chunks(ROWS_A_STEP));
        for (from, (seconds, first)) in (0..).step_by(ROWS_A_STEP).zip(steps) {
            x.gather(from..from + first.len(), &mut rows);
            lists.resize(first.len() * near, -1);
            keys.resize(first.len() * near, f32::INFINITY);
            self.probe(context, &rows, near, workers, &mut lists, &mut keys, cancel)?;
            let jobs = seconds.chunks_mut(ROWS).enumerate();
            context.each(workers, jobs, &|(part, seconds): (usize, &mut [u32])| {
                for (row, second) in (part * ROWS..).zip(seconds) {
                    let near = row * near..(row + 1) * near;
                    let values = &rows[row * self.dim..(row + 1) * self.dim];
                    *second = spill.second(values, first[row], &lists[near.clone()], &keys[near]);
                }
                Ok(())
            })?;
        }
        Ok(seconds)
    }
}

/// What chooses second lists.
struct Spill<'a> {
    coarse: &'a Coarse,
    lambda: f64,
    /// Of the centroids, where directions count.
    lengths: Vec<f64>,
}

impl<'a> Spill<'a> {
    fn new(coarse: &'a Coarse, lambda: f32) -> Self {
        let lengths = match coarse.metric {
            Metric::L2 => Vec::new(),
            _ => coarse.rows.chunks_exact(coarse.dim).map(length).collect(),
        };
        Self { coarse, lambda: lambda.into(), lengths }
    }

    /// The best of `lists`, whose distance keys are known, beside `first`; of all if there is no other among them.
    fn second(&self, row: &[f32], first: u32, lists: &[i64], keys: &[f32]) -> u32 {
        let metric = self.coarse.metric;
        let size = if metric == Metric::L2 { 0.0 } else { length(row) };
        let key_of = |list: u32| backend::key(metric, row, self.centroid(list));
        let own = self.gap(size, first, key_of(first));
        self.best(size, first, own, lists, keys).unwrap_or_else(|| {
            let all = || (0u32..).take(self.coarse.nlist());
            let (lists, keys): (Vec<_>, Vec<_>) =
                (all().map(i64::from).collect(), all().map(key_of).collect());
            self.best(size, first, own, &lists, &keys).expect("invariant: two lists or more")
        })
    }

    /// The list with the least loss, the first of equals; -1 is none.
    fn best(&self, size: f64, first: u32, own: f64, lists: &[i64], keys: &[f32]) -> Option<u32> {
        let mut best = None;
        for (&list, &key) in lists.iter().zip(keys) {
            let Some(list) = u32::try_from(list).ok().filter(|&list| list != first) else { continue };
            let gap = self.gap(size, list, key);
            let between = self.between(first, list);
            let product = (own + gap - between) / 2.0;
            let loss = gap + if own > 0.0 { self.lambda * product * product / own } else { 0.0 };
            if best.is_none_or(|(least, _)| loss < least) {
                best = Some((loss, list));
            }
        }
        best.map(|(_, list)| list)
    }

    /// The squared distance of a row from a centroid, by its key; of a row of this `size` for directions.
    fn gap(&self, size: f64, list: u32, key: f32) -> f64 {
        match self.coarse.metric {
            Metric::L2 => key.into(),
            _ => apart(-f64::from(key), size * self.lengths[list as usize]),
        }
    }

    /// The squared distance of two centroids.
    fn between(&self, a: u32, b: u32) -> f64 {
        let metric = self.coarse.metric;
        let key = f64::from(backend::key(metric, self.centroid(a), self.centroid(b)));
        match metric {
            Metric::L2 => key,
            _ => apart(-key, self.lengths[a as usize] * self.lengths[b as usize]),
        }
    }

    fn centroid(&self, list: u32) -> &[f32] {
        &self.coarse.rows[list as usize * self.coarse.dim..][..self.coarse.dim]
    }
}

fn length(row: &[f32]) -> f64 {
    f64::from(squared_norm(row)).sqrt()
}

/// The squared distance of two directions, by the product of two vectors and that of their lengths.
fn apart(product: f64, lengths: f64) -> f64 {
    if lengths > 0.0 { (2.0 - 2.0 * product / lengths).max(0.0) } else { 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::ContextOptions;
    use crate::matrix::MatrixRef;
    use crate::progress::Control;
    use crate::random::Random;
    use crate::rows::normalize;

    const DIM: usize = 12;

    /// The list with the least loss of all, as the paper has it.
    fn oracle(metric: Metric, row: &[f32], centroids: &[f32], first: u32, lambda: f64) -> u32 {
        let unit = |values: &[f32]| -> Vec<f64> {
            let scale = if metric == Metric::L2 { 1.0 } else { 1.0 / length(values) };
            values.iter().map(|&value| f64::from(value) * scale).collect()
        };
        let residual = |list: u32| -> Vec<f64> {
            let centroid = unit(&centroids[list as usize * DIM..][..DIM]);
            unit(row).iter().zip(centroid).map(|(a, b)| a - b).collect()
        };
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let own = residual(first);
        let loss = |list: u32| {
            let other = residual(list);
            product(&other, &other) + lambda * product(&other, &own).powi(2) / product(&own, &own)
        };
        let lists = (0u32..).take(centroids.len() / DIM).filter(|&list| list != first);
        lists.min_by(|&a, &b| loss(a).total_cmp(&loss(b))).expect("two lists")
    }

    /// Of random rows the share whose second list is the oracle's.
    fn agreeing(metric: Metric, nlist: usize, lambda: f32) -> f64 {
        const N: usize = 1000;
        let mut random = Random::new(7);
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        let mut numbers = |count: usize| (0..count).map(|_| random.normal() as f32).collect::<Vec<_>>();
        let (mut centroids, x) = (numbers(nlist * DIM), numbers(N * DIM));
        if metric != Metric::L2 {
            // As k-means has them.
            centroids.chunks_exact_mut(DIM).for_each(normalize);
        }
        let context = Context::new(&ContextOptions::default()).expect("a context");
        let matrix = MatrixRef::new("centroids", &centroids, nlist, DIM).expect("a matrix");
        let coarse = Coarse::new(&context, matrix, metric, None).expect("small");
        let rows = RowsRef::new("rows", &x[..], N, DIM).expect("a matrix");
        let (mut first, mut keys) = (vec![0; N], vec![0.0; N]);
        let cancel = Control::default();
        coarse.assign(&context, rows, 2, &mut first, &mut keys, cancel.cancel()).expect("small");
        let second = coarse.second(&context, rows, &first, lambda, 2, cancel.cancel()).expect("small");
        assert!(first.iter().zip(&second).all(|(first, second)| first != second));
        let same = x.chunks_exact(DIM).zip(&first).zip(&second).filter(|((row, first), second)| {
            oracle(metric, row, &centroids, **first, lambda.into()) == **second
        });
        same.count() as f64 / N as f64
    }

    #[test]
    fn second_of_few_lists_is_the_one_with_the_least_loss() {
        for metric in [Metric::L2, Metric::InnerProduct] {
            for lambda in [0.1, 1.0, 5.0] {
                assert_eq!(agreeing(metric, 2, lambda), 1.0);
                assert_eq!(agreeing(metric, NEAREST, lambda), 1.0, "{metric:?} {lambda}");
            }
        }
    }

    #[test]
    fn second_of_many_lists_is_hardly_ever_another_than_of_all() {
        assert!(agreeing(Metric::L2, 400, 1.0) > 0.95, "{}", agreeing(Metric::L2, 400, 1.0));
        assert!(agreeing(Metric::InnerProduct, 400, 1.0) > 0.95);
    }

    #[test]
    fn second_without_a_near_list_is_looked_for_among_all() {
        let context = Context::new(&ContextOptions::default()).expect("a context");
        let centroids = [0.0f32, 0.0, 3.0, 0.0, 0.0, 2.0];
        let matrix = MatrixRef::new("centroids", &centroids, 3, 2).expect("a matrix");
        let coarse = Coarse::new(&context, matrix, Metric::L2, None).expect("small");
        assert_eq!(Spill::new(&coarse, 1.0).second(&[1.0, 0.0], 0, &[0, -1], &[1.0, f32::INFINITY]), 2);
    }
}
