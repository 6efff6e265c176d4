//! New vectors made of neighbours: expanded queries and blends.
//!
//! Weights are taken relative to the largest, as logarithms, so that none overflows and no result is NaN.

use super::{Index, SearchOptions, SearchOutput};
use crate::error::{Error, Result};
use crate::metric::Metric;
use crate::progress::Control;
use crate::rows::RowsRef;

/// Adds the vector of a hit by its number, with a weight, to sums.
type Add<'a> = &'a dyn Fn(usize, f64, &mut [f64]);

/// Writes a row from a query and the values of its hits.
type Make<'a> = &'a dyn Fn(&[f32], &[f32], Add<'_>, &mut [f32]);

/// Values of neighbours that are read at a time.
const VALUES_A_STEP: usize = 1 << 22;

impl Index {
    /// Alpha query expansion (Radenović et al. 2018): writes into `out` (`[n, dim]`) for each query the mean of it
    /// and its `k` best, weighted by similarity to the power of `alpha`; the query's own weight is 1.
    ///
    /// Similarities below 0 count as 0; for L2 the similarity is `1 / (1 + distance)`. The result has length 1 for inner
    /// product and cosine; a query without hits is only scaled to that.
    pub fn query_expansion<'x>(
        &self,
        queries: impl Into<RowsRef<'x>>,
        k: usize,
        alpha: f32,
        options: &SearchOptions<'_>,
        out: &mut [f32],
        control: &Control<'_>,
    ) -> Result<()> {
        check_exponent("alpha", alpha)?;
        let metric = self.metric;
        let weigh = |value: f32| {
            if alpha == 0.0 {
                return 0.0;
            }
            let similarity = match metric {
                Metric::L2 => 1.0 / (1.0 + f64::from(value)),
                _ => f64::from(value).max(0.0),
            };
            f64::from(alpha) * similarity.ln()
        };
        self.each_mean(queries.into(), k, options, control, out, &|query, values, mean, row| {
            let cosine = metric == Metric::Cosine;
            let own = if cosine { length(query.iter().map(|&v| f64::from(v))) } else { 1.0 };
            let own = if own > 0.0 { 1.0 / own } else { 1.0 };
            let logs: Vec<f64> = values.iter().map(|&value| weigh(value)).collect();
            let most = logs.iter().copied().fold(0.0, f64::max);
            // The query's weight of 1 among the others'.
            let mut total = (-most).exp();
            let mut sums: Vec<f64> = query.iter().map(|&v| f64::from(v) * own * total).collect();
            for (i, log) in logs.iter().enumerate() {
                let weight = (log - most).exp();
                total += weight;
                mean(i, weight, &mut sums);
            }
            let divisor = if metric == Metric::L2 { total } else { length(sums.iter().copied()) };
            // Opposite vectors may leave nothing: then the query stays.
            if divisor > 0.0 {
                write(row, sums.iter().map(|sum| sum / divisor))
            } else {
                row.copy_from_slice(query)
            }
        })
    }

    /// Writes into `out` (`[n, dim]`) for each query `ratio * blend + (1 - ratio) * query`, the blend being the mean of
    /// its `k` nearest, weighted by `1 / distance` to the power of `power` (L2: of the squared distance; cosine: of
    /// 1 - similarity).
    ///
    /// Vectors at distance 0 share all the weight; a query without hits stays as it is. Nothing becomes NaN.
    pub fn blend<'x>(
        &self,
        queries: impl Into<RowsRef<'x>>,
        k: usize,
        power: f32,
        ratio: f32,
        options: &SearchOptions<'_>,
        out: &mut [f32],
        control: &Control<'_>,
    ) -> Result<()> {
        check_exponent("power", power)?;
        if !(0.0..=1.0).contains(&ratio) {
            return Err(Error::argument(format!("ratio: expected 0 to 1, got {ratio}")));
        }
        if self.metric == Metric::InnerProduct {
            return Err(Error::argument(
                "blend: expected the metric L2 or cosine, got inner product, which has no distance",
            ));
        }
        let (metric, power, ratio) = (self.metric, f64::from(power), f64::from(ratio));
        self.each_mean(queries.into(), k, options, control, out, &|query, values, mean, row| {
            let distance = |&value: &f32| match metric {
                Metric::L2 => f64::from(value),
                _ => (1.0 - f64::from(value)).max(0.0),
            };
            let distances: Vec<f64> = values.iter().map(distance).collect();
            let least = distances.iter().copied().fold(f64::INFINITY, f64::min);
            let mut sums = vec![0.0; query.len()];
            let mut total = 0.0;
            for (i, &distance) in distances.iter().enumerate() {
                let weight = match least {
                    // 1 / 0: nothing else counts.
                    0.0 => f64::from(u8::from(distance == 0.0)),
                    least => (least / distance).powf(power),
                };
                total += weight;
                mean(i, weight, &mut sums);
            }
            if total > 0.0 {
                let mix = |(sum, &own): (&f64, &f32)| ratio * sum / total + (1.0 - ratio) * f64::from(own);
                write(row, sums.iter().zip(query).map(mix));
            } else {
                row.copy_from_slice(query);
            }
        })
    }

    /// Searches, and has `make(query, values, add, row)` write each query's row from its hits' values, best first;
    /// `add(i, weight, sums)` adds the i-th hit's vector.
    fn each_mean(
        &self,
        queries: RowsRef<'_>,
        k: usize,
        options: &SearchOptions<'_>,
        control: &Control<'_>,
        out: &mut [f32],
        make: Make<'_>,
    ) -> Result<()> {
        let (n, dim) = (queries.rows(), queries.dim());
        queries.check_dim("queries", self.input_dim())?;
        self.check_trained()?;
        queries.check_finite("queries")?;
        if k == 0 {
            return Err(Error::argument("k: expected at least 1, got 0"));
        }
        if out.len() != n * dim {
            return Err(Error::Length { what: "out", expected: n * dim, got: out.len() });
        }
        let k = k.min(self.count.max(1));
        let step = (VALUES_A_STEP / k.saturating_mul(dim)).clamp(1, n.max(1));
        let (mut distances, mut ids) = (vec![0.0; step * k], vec![0; step * k]);
        let mut hits = vec![0; step];
        let mut vectors = vec![0.0; step * k * dim];
        let mut buffer = Vec::new();
        for from in (0..n).step_by(step) {
            let to = (from + step).min(n);
            let count = to - from;
            let output = SearchOutput {
                distances: &mut distances[..count * k],
                ids: &mut ids[..count * k],
                hits: Some(&mut hits[..count]),
            };
            let vectors = &mut vectors[..count * k * dim];
            let part = queries.slice(from, to);
            self.search_and_reconstruct(part, k, options, output, vectors, &control.silent())?;
            for q in 0..count {
                let found = usize::try_from(hits[q]).expect("invariant: at most k");
                let values = &distances[q * k..q * k + found];
                let own = &vectors[q * k * dim..(q + 1) * k * dim];
                let add = |i: usize, weight: f64, sums: &mut [f64]| {
                    if weight > 0.0 {
                        let vector = &own[i * dim..(i + 1) * dim];
                        sums.iter_mut().zip(vector).for_each(|(sum, &v)| *sum += weight * f64::from(v));
                    }
                };
                let row = (from + q) * dim;
                let query = queries.row(from + q, &mut buffer);
                make(query, values, &add, &mut out[row..row + dim]);
            }
            control.report("search", to, n, 0.0)?;
        }
        Ok(())
    }
}

fn check_exponent(name: &str, value: f32) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(Error::argument(format!("{name}: expected a number from 0 on, got {value}")))
}

fn length(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|v| v * v).sum::<f64>().sqrt()
}

#[expect(clippy::cast_possible_truncation, reason = "rounds to float32")]
fn write(row: &mut [f32], values: impl Iterator<Item = f64>) {
    row.iter_mut().zip(values).for_each(|(to, value)| *to = value as f32);
}
