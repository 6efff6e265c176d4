//! The second list of a vector: SOAR, "spilling with orthogonality-amplified residuals" (Sun, Guo and Kumar, SOAR: Improved
//! Indexing for Approximate Nearest Neighbor Search, NeurIPS 2023).
//!
//! A list is missed where a query lies far along a vector's residual from that list's centroid. A second list helps
//! most if its residual does not point the same way: with the residuals r and r' of the first and the second list, it is
//! the one with the least `|r'|^2 + lambda * (<r', r> / |r|)^2`. All three lengths of the triangle of a vector and two
//! centroids being known, `2 <r', r> = |r|^2 + |r'|^2 - |c - c'|^2`.
//!
//! For inner products the same holds of directions: a list is chosen by that of a vector, whatever its length.

use std::sync::OnceLock;

use super::{Coarse, Store};
use crate::backend::{self, ListSource, ListView};
use crate::context::Context;
use crate::error::Result;
use crate::kernel::Pairs;
use crate::matrix::{MatrixRef, squared_norm};
use crate::metric::Metric;
use crate::progress::Cancel;
use crate::rows::RowsRef;

/// Of more lists than so many the second is looked for among the nearest alone: the distances of all centroids from
/// one another are too many.
const MOST_COMPARED: usize = 1 << 12;

/// So many of the nearest: of all lists it is another for 1 vector in 100 of word vectors (1024 lists) and for 1 in 300 of
/// sentences (256).
const NEAREST: usize = 17;

/// Rows whose lists are probed at a time.
const ROWS_A_STEP: usize = 1 << 12;

/// Rows that a worker takes at a time.
const ROWS: usize = 512;

/// Keys that a worker has at a time: half of a usual L2 cache.
const KEYS: usize = 1 << 17;

/// Rows that are compared with all centroids at a time, at least and at most: a tile, and a few.
const PANEL: (usize, usize) = (12, 96);

impl Coarse {
    /// The nearest list of every row into `first`, and the one beside it into `second`; there are two lists or more.
    pub(crate) fn assign_twice(
        &self,
        context: &Context,
        x: RowsRef<'_>,
        lambda: f32,
        workers: usize,
        (first, second): (&mut [u32], &mut [u32]),
        cancel: Cancel<'_>,
    ) -> Result<()> {
        let spill = Spill::new(context, self, lambda);
        let compared = match &self.store {
            Store::Flat(flat) if self.nlist() <= MOST_COMPARED => Some(flat.list(0)),
            _ => None,
        };
        let near = if compared.is_some() { 0 } else { NEAREST.min(self.nlist()) };
        let (mut buffer, mut lists, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let steps = first.chunks_mut(ROWS_A_STEP).zip(second.chunks_mut(ROWS_A_STEP));
        for (from, (first, second)) in (0..).step_by(ROWS_A_STEP).zip(steps) {
            let x = x.slice(from, from + first.len());
            let rows = x.matrix(&mut buffer);
            lists.resize(first.len() * near, -1);
            keys.resize(first.len() * near, f32::INFINITY);
            if near > 0 {
                self.probe(context, rows, near, workers, &mut lists, &mut keys, cancel)?;
            }
            let jobs = first.chunks_mut(ROWS).zip(second.chunks_mut(ROWS)).enumerate();
            context.each(workers, jobs, &|(part, (first, second)): (usize, (&mut [u32], &mut [u32]))| {
                let range = part * ROWS..part * ROWS + first.len();
                let rows = &rows[range.start * self.dim..range.end * self.dim];
                let both = first.iter_mut().zip(second);
                if let Some(centroids) = compared {
                    return spill.compare(centroids, rows, both, cancel);
                }
                let range = range.start * near..range.end * near;
                let probed = lists[range.clone()].chunks(near).zip(keys[range].chunks(near));
                for ((row, (lists, keys)), (first, second)) in rows.chunks(self.dim).zip(probed).zip(both) {
                    (*first, *second) = spill.among(row, lists, keys);
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// What chooses lists.
struct Spill<'a> {
    context: &'a Context,
    coarse: &'a Coarse,
    lambda: f32,
    /// One over the length of each centroid, 0 for none, where directions count.
    scales: Vec<f32>,
    /// Of each centroid the squared distances from all, once they are asked for.
    between: Vec<OnceLock<Vec<f32>>>,
}

impl<'a> Spill<'a> {
    fn new(context: &'a Context, coarse: &'a Coarse, lambda: f32) -> Self {
        let scales = match coarse.metric {
            Metric::L2 => Vec::new(),
            _ => coarse.rows.chunks_exact(coarse.dim).map(scale).collect(),
        };
        // Each made anew: a copy would look at memory that nobody has written.
        let between = (0..coarse.nlist()).map(|_| OnceLock::new()).collect();
        Self { context, coarse, lambda, scales, between }
    }

    /// Writes the lists of `rows`, which are compared with all centroids.
    fn compare<'b>(
        &self,
        centroids: ListView<'_>,
        rows: &[f32],
        mut both: impl Iterator<Item = (&'b mut u32, &'b mut u32)>,
        cancel: Cancel<'_>,
    ) -> Result<()> {
        let (dim, nlist) = (self.coarse.dim, self.coarse.nlist());
        let panel = (KEYS / nlist).clamp(PANEL.0, PANEL.1).min(rows.len() / dim);
        let mut keys = vec![0.0; panel * nlist];
        for rows in rows.chunks(panel * dim) {
            cancel.check()?;
            let keys = &mut keys[..rows.len() / dim * nlist];
            self.keys(centroids, rows, keys)?;
            for ((row, keys), (first, second)) in rows.chunks(dim).zip(keys.chunks_mut(nlist)).zip(&mut both)
            {
                *first = least(keys);
                self.to_gaps(row, keys);
                let own = keys[*first as usize];
                let between = &self.between[*first as usize];
                let between = match between.get() {
                    Some(between) => between,
                    None => {
                        let made = self.around(centroids, *first)?;
                        between.get_or_init(|| made)
                    }
                };
                let weight = self.weight(own);
                keys.iter_mut()
                    .zip(between)
                    .for_each(|(gap, between)| *gap = loss(weight, own, *gap, *between));
                // Where the others are no numbers, any of them.
                keys[*first as usize] = f32::INFINITY;
                *second =
                    Some(least(keys)).filter(|second| second != first).unwrap_or(u32::from(*first == 0));
            }
        }
        Ok(())
    }

    /// The squared distances of a centroid from all.
    fn around(&self, centroids: ListView<'_>, list: u32) -> Result<Vec<f32>> {
        let mut between = vec![0.0; self.coarse.nlist()];
        self.keys(centroids, self.centroid(list), &mut between)?;
        self.to_gaps(self.centroid(list), &mut between);
        Ok(between)
    }

    /// The distance keys of `rows` with all centroids.
    fn keys(&self, centroids: ListView<'_>, rows: &[f32], keys: &mut [f32]) -> Result<()> {
        let dim = self.coarse.dim;
        let rows = MatrixRef::new("rows", rows, rows.len() / dim, dim)?;
        backend::keys(self.context, self.coarse.metric, rows, centroids, keys)
    }

    /// The first of the nearest `lists` (-1 is none), whose distance keys are known, and the best beside it; of all if
    /// there is no other among them.
    fn among(&self, row: &[f32], lists: &[i64], keys: &[f32]) -> (u32, u32) {
        let first = u32::try_from(lists[0]).unwrap_or(0);
        let second = self.best(row, first, keys[0], lists, keys).unwrap_or_else(|| {
            let all = || (0u32..).take(self.coarse.nlist());
            let keys_of_all: Vec<_> = all().map(|list| self.key(row, self.centroid(list))).collect();
            let lists: Vec<_> = all().map(i64::from).collect();
            self.best(row, first, keys[0], &lists, &keys_of_all).expect("invariant: two lists or more")
        });
        (first, second)
    }

    /// The list with the least loss, the first of equals; -1 is none.
    fn best(&self, row: &[f32], first: u32, key: f32, lists: &[i64], keys: &[f32]) -> Option<u32> {
        let (nearest, scale) = (self.centroid(first), self.scale(row));
        let (own, scale_of_first) = (self.gap(scale, first, key), self.scale(nearest));
        let mut best = None;
        for (&list, &key) in lists.iter().zip(keys) {
            let Some(list) = u32::try_from(list).ok().filter(|&list| list != first) else { continue };
            let gap = self.gap(scale, list, key);
            // A loss is no less than the gap.
            if best.is_some_and(|(least, _)| gap >= least) {
                continue;
            }
            let between = self.gap(scale_of_first, list, self.key(nearest, self.centroid(list)));
            let loss = loss(self.weight(own), own, gap, between);
            if best.is_none_or(|(least, _)| loss < least) {
                best = Some((loss, list));
            }
        }
        best.map(|(_, list)| list)
    }

    /// How much the square of twice a product counts, where a vector lies so far from its first list.
    fn weight(&self, own: f32) -> f32 {
        if own > 0.0 { self.lambda / 4.0 / own } else { 0.0 }
    }

    /// One over the length of a row, where directions count.
    fn scale(&self, row: &[f32]) -> f32 {
        if self.coarse.metric == Metric::L2 { 1.0 } else { scale(row) }
    }

    /// The squared distance of a row from a centroid, by its key; of a row of this scale for directions.
    fn gap(&self, scale: f32, list: u32, key: f32) -> f32 {
        match self.coarse.metric {
            Metric::L2 => key,
            _ => apart(-key, scale * self.scales[list as usize]),
        }
    }

    /// The same of all.
    fn to_gaps(&self, row: &[f32], keys: &mut [f32]) {
        let scale = self.scale(row);
        keys.iter_mut().zip(&self.scales).for_each(|(key, other)| *key = apart(-*key, scale * other));
    }

    fn key(&self, a: &[f32], b: &[f32]) -> f32 {
        let pairs: &Pairs = &self.context.kernels().pairs;
        match self.coarse.metric {
            Metric::L2 => pairs.difference(a, b),
            _ => -pairs.product(a, b),
        }
    }

    fn centroid(&self, list: u32) -> &[f32] {
        &self.coarse.rows[list as usize * self.coarse.dim..][..self.coarse.dim]
    }
}

/// Where the least of some values is, the first of equals; 0 where all are NaN.
fn least(values: &[f32]) -> u32 {
    /// Values of which the least is found without a branch, and how many are compared side by side.
    const CHUNK: usize = 128;
    const SIDE: usize = 16;
    let lower = |least: &mut [f32], values: &[f32]| {
        least
            .iter_mut()
            .zip(values)
            .for_each(|(least, &value)| *least = if value < *least { value } else { *least });
    };
    let mut best = (f32::INFINITY, 0);
    for (from, values) in (0..).step_by(CHUNK).zip(values.chunks(CHUNK)) {
        let (whole, rest) = values.as_chunks::<SIDE>();
        let mut side = [f32::INFINITY; SIDE];
        whole.iter().for_each(|values| lower(&mut side, values));
        lower(&mut side, rest);
        let mut width = SIDE / 2;
        while width > 0 {
            let (low, high) = side.split_at_mut(width);
            lower(low, high);
            width /= 2;
        }
        if side[0] < best.0 {
            best = (side[0], from);
        }
    }
    let (least, from) = best;
    let place = values[from..].iter().position(|&value| value == least).map_or(0, |place| from + place);
    u32::try_from(place).expect("invariant: nlist fits in u32")
}

/// What a second list costs that lies `gap` from a vector and `between` from its first.
#[inline]
fn loss(weight: f32, own: f32, gap: f32, between: f32) -> f32 {
    let twice = own + gap - between;
    gap + weight * twice * twice
}

/// One over the length of a row; 0 for one without.
fn scale(row: &[f32]) -> f32 {
    let length = squared_norm(row).sqrt();
    if length > 0.0 { 1.0 / length } else { 0.0 }
}

/// The squared distance of two directions, by the product of two vectors and that of their scales.
#[inline]
fn apart(product: f32, scales: f32) -> f32 {
    let gap = 2.0 - 2.0 * product * scales;
    if gap > 0.0 { gap } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coarse::Grouping;
    use crate::context::ContextOptions;
    use crate::matrix::MatrixRef;
    use crate::progress::Control;
    use crate::random::Random;
    use crate::rows::normalize;

    const DIM: usize = 12;

    /// The list with the least loss of all, as the paper has it.
    fn oracle(metric: Metric, row: &[f32], centroids: &[f32], first: u32, lambda: f64) -> u32 {
        let unit = |values: &[f32]| -> Vec<f64> {
            let length = values.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
            let scale = if metric == Metric::L2 { 1.0 } else { 1.0 / length };
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
    fn agreeing(metric: Metric, nlist: usize, lambda: f32, groups: Option<Grouping>) -> f64 {
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
        let coarse = Coarse::new(&context, matrix, metric, groups).expect("small");
        let rows = RowsRef::new("rows", &x[..], N, DIM).expect("a matrix");
        let (mut nearest, mut keys) = (vec![0; N], vec![0.0; N]);
        let cancel = Control::default();
        coarse.assign(&context, rows, 2, &mut nearest, &mut keys, cancel.cancel()).expect("small");
        let (mut first, mut second) = (vec![0; N], vec![0; N]);
        let both = (&mut first[..], &mut second[..]);
        coarse.assign_twice(&context, rows, lambda, 2, both, cancel.cancel()).expect("small");
        assert_eq!(first, nearest);
        assert!(first.iter().zip(&second).all(|(first, second)| first != second));
        let same = x.chunks_exact(DIM).zip(&first).zip(&second).filter(|((row, first), second)| {
            oracle(metric, row, &centroids, **first, lambda.into()) == **second
        });
        same.count() as f64 / N as f64
    }

    #[test]
    fn second_of_lists_is_the_one_with_the_least_loss() {
        for metric in [Metric::L2, Metric::InnerProduct] {
            for lambda in [0.1, 1.0, 5.0] {
                for nlist in [2, NEAREST, 400] {
                    let share = agreeing(metric, nlist, lambda, None);
                    assert!(share >= 0.999, "{metric:?} {lambda} {nlist}: {share}");
                }
            }
        }
    }

    #[test]
    fn second_of_grouped_lists_is_hardly_ever_another_than_of_all() {
        let groups = || Grouping { centroids: vec![0.0; DIM], labels: vec![0; 400] };
        for metric in [Metric::L2, Metric::InnerProduct] {
            let share = agreeing(metric, 400, 1.0, Some(groups()));
            assert!(share > 0.95, "{metric:?}: {share}");
        }
    }

    #[test]
    fn least_of_values_is_the_first_of_equals() {
        for len in [1, 15, 16, 17, 127, 128, 129, 400] {
            for place in 0..len {
                let mut values = vec![2.0; len];
                (values[place], values[len - 1]) = (1.0, 1.0);
                assert_eq!(least(&values) as usize, place);
            }
        }
        assert_eq!(least(&[f32::NAN, 3.0, f32::NAN]), 1);
        assert_eq!(least(&[f32::NAN; 200]), 0);
    }

    #[test]
    fn second_without_a_near_list_is_looked_for_among_all() {
        let context = Context::new(&ContextOptions::default()).expect("a context");
        let centroids = [0.0f32, 0.0, 3.0, 0.0, 0.0, 2.0];
        let matrix = MatrixRef::new("centroids", &centroids, 3, 2).expect("a matrix");
        let coarse = Coarse::new(&context, matrix, Metric::L2, None).expect("small");
        let spill = Spill::new(&context, &coarse, 1.0);
        assert_eq!(spill.among(&[1.0, 0.0], &[0, -1], &[1.0, f32::INFINITY]), (0, 2));
    }
}
