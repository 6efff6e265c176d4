//! Lists of RaBitQ codes: distances are estimates without bias whose error stays within what the papers promise (Gao
//! and Long, SIGMOD 2024; Gao et al., SIGMOD 2025), and every way to a list's vectors sees the same ones.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "tests; ids and offsets are small, and rounding to float32 is meant"
)]

mod common;

use common::{Brute, METRICS, all, context, decoded, filled, kernels, matrix, numbers, search, words};
use ivf::{Control, Error, Index, IndexOptions, Metric, TrainOptions};

const CODES: [&str; 5] = ["RaBitQ", "RaBitQ2", "RaBitQ5", "RaBitQ8", "RaBitQfs"];

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn wide(row: &[f32]) -> Vec<f64> {
    row.iter().map(|&value| f64::from(value)).collect()
}

/// A row as the metric compares it.
fn measured(metric: Metric, row: &[f32]) -> Vec<f64> {
    let mut row = wide(row);
    if metric == Metric::Cosine {
        let length = product(&row, &row).sqrt();
        row.iter_mut().for_each(|value| *value /= length);
    }
    row
}

/// The oracle: what the papers estimate, from the vectors, the centres of their lists and the directions that are held,
/// in float64. `centres`: that of each vector.
fn estimates(metric: Metric, query: &[f64], x: &[Vec<f64>], centres: &[Vec<f64>], held: &[f32]) -> Vec<f64> {
    let minus = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
    let dim = query.len();
    x.iter()
        .zip(centres)
        .zip(held.chunks(dim))
        .map(|((v, c), held)| {
            let (r, u, y) = (minus(v, c), minus(&wide(held), c), minus(query, c));
            let along = product(&u, &r);
            let estimate = if along == 0.0 { 0.0 } else { product(&r, &r) / along * product(&u, &y) };
            match metric {
                Metric::L2 => product(&y, &y) + product(&r, &r) - 2.0 * estimate,
                _ => product(query, c) + product(&r, c) + estimate,
            }
        })
        .collect()
}

/// How far look-ups may be off for codes of 1 bit: half a step in every dimension, halved as the codes are.
fn coarseness(metric: Metric, query: &[f64], v: &[f64], c: &[f64]) -> f64 {
    let minus = |a: &[f64]| -> Vec<f64> { a.iter().zip(c).map(|(a, b)| a - b).collect() };
    let (r, y) = (minus(v), minus(query));
    let widest = y.chunks(4).map(|four| four.iter().map(|v| v.abs()).sum()).fold(0.0, f64::max);
    let along: f64 = r.iter().map(|v| 0.5 * v.abs()).sum();
    let factor = if along == 0.0 { 0.0 } else { product(&r, &r) / along };
    // The largest byte, so that all of them add up to 16 bits.
    let most = (65535 / (2 * y.len().div_ceil(8))).min(127) - 2;
    let error = factor * 0.25 * widest / most as f64 * y.len() as f64;
    if metric == Metric::L2 { 2.0 * error } else { error }
}

/// The centre of each vector's list: the nearest of `centroids`, or the mean.
fn centres(metric: Metric, centroids: &[Vec<f64>], x: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let cost = |v: &[f64], c: &[f64]| {
        let along = product(v, c);
        if metric == Metric::L2 { product(c, c) - 2.0 * along } else { -along }
    };
    let nearest =
        |v: &Vec<f64>| centroids.iter().min_by(|a, b| cost(v, a).total_cmp(&cost(v, b))).unwrap().clone();
    x.iter().map(nearest).collect()
}

/// Fails unless all `n` vectors are found at the distances of the oracle.
fn check_estimates(
    code: &str,
    lists: &str,
    metric: Metric,
    kernel: &str,
    (dim, n, nq): (usize, usize, usize),
) {
    let rows: Vec<f32> = numbers(1, n * dim).iter().map(|v| v + 0.5).collect();
    let queries: Vec<f32> = numbers(2, nq * dim).iter().map(|v| v + 0.4).collect();
    let index = filled(context(2, Some(kernel)), &format!("{lists}{code}"), metric, &rows, dim);
    let x: Vec<_> = rows.chunks(dim).map(|row| measured(metric, row)).collect();
    let centroids = if lists.is_empty() {
        let mean = |d: usize| x.iter().map(|row| row[d]).sum::<f64>() / n as f64;
        vec![(0..dim).map(mean).collect()]
    } else {
        index.centroids().unwrap().chunks(dim).map(wide).collect()
    };
    let (centres, held) = (centres(metric, &centroids, &x), decoded(&index));
    let found = search(&index, &queries, n, &all());
    for (q, query) in queries.chunks(dim).enumerate() {
        let query = measured(metric, query);
        let want = estimates(metric, &query, &x, &centres, &held);
        for place in q * n..(q + 1) * n {
            let id = found.ids[place] as usize;
            let slack = match code {
                "RaBitQ" | "RaBitQfs" => coarseness(metric, &query, &x[id], &centres[id]),
                _ => 0.0,
            };
            let want = match metric {
                Metric::L2 => want[id].max(0.0),
                Metric::InnerProduct => want[id],
                _ => want[id].clamp(-1.0, 1.0),
            };
            let got = f64::from(found.distances[place]);
            let note = format!("{lists}{code} {metric:?} d={dim} {kernel}");
            assert!((got - want).abs() < 1e-5 * (1.0 + dim as f64) + slack, "{note}: {got} {want}");
        }
    }
}

#[test]
fn search_any_codes_are_scored_by_the_papers_estimate() {
    for dim in [1, 2, 9, 64, 300] {
        for code in CODES {
            for kernel in kernels() {
                for metric in METRICS {
                    for lists in ["", "IVF7,"] {
                        check_estimates(code, lists, metric, kernel, (dim, 300, 15));
                    }
                }
            }
        }
    }
}

/// Bytes of tables are coarser the more there are, and from some number on there are none.
#[test]
fn search_codes_of_many_dimensions_are_scored_by_the_papers_estimate() {
    for dim in [2100, 8192, 8200] {
        for kernel in kernels() {
            check_estimates("RaBitQ", "", Metric::L2, kernel, (dim, 40, 3));
        }
    }
}

/// A vector of this length in the direction of Gaussian numbers: any direction is as likely as any other.
fn direction(seed: u64, dim: usize, length: f64) -> Vec<f64> {
    let uniform = numbers(seed, 12 * dim);
    let mut row: Vec<f64> = uniform.chunks(12).map(|part| wide(part).iter().sum()).collect();
    let scale = length / product(&row, &row).sqrt();
    row.iter_mut().for_each(|value| *value *= scale);
    row
}

/// Over pairs in any direction the mean of the errors is zero, their size that of the papers, and hardly any is beyond
/// the bound.
#[test]
fn estimates_are_unbiased_and_within_the_bound_at_its_rate() {
    let (dim, n) = (96, 1500);
    let centre: Vec<f32> = direction(5, dim, 0.7).iter().map(|&v| v as f32).collect();
    // Residuals of length 1, those of query and vector number i at the same angle for all i.
    let (mut queries, mut rows) = (Vec::new(), Vec::new());
    for i in 0..n {
        let (y, mut r) = (direction(2 * i + 10, dim, 1.0), direction(2 * i + 11, dim, 1.0));
        let along = product(&r, &y);
        r.iter_mut().zip(&y).for_each(|(r, y)| *r -= along * y);
        let rest = product(&r, &r).sqrt();
        let from_centre = |(value, c): (f64, &f32)| (f64::from(*c) + value) as f32;
        queries.extend(y.iter().copied().zip(&centre).map(from_centre));
        rows.extend(r.iter().zip(&y).map(|(r, y)| 0.6 * y + 0.8 * r / rest).zip(&centre).map(from_centre));
    }
    let minus = |a: &[f32]| -> Vec<f64> { wide(a).iter().zip(wide(&centre)).map(|(a, c)| a - c).collect() };
    for (code, bits) in [("RaBitQ", 1), ("RaBitQ2", 2), ("RaBitQ4", 4)] {
        for metric in [Metric::L2, Metric::InnerProduct] {
            let description = format!("IVF1,{code}");
            let mut index =
                Index::new(context(2, None), dim, metric, &description, &IndexOptions::default()).unwrap();
            index.set_centroids(matrix(&centre, dim)).unwrap();
            index.add(matrix(&rows, dim), None, 0, &Control::default()).unwrap();
            let found = search(&index, &queries, n as usize, &all());
            let held = decoded(&index);
            let (mut sum, mut squares, mut beyond, mut promised) = (0.0, 0.0, 0, 0.0);
            for i in 0..n as usize {
                let own = i * n as usize..(i + 1) * n as usize;
                let place = found.ids[own.clone()].iter().position(|&id| id == i as i64).unwrap();
                let distance = f64::from(found.distances[own][place]);
                let row = i * dim..(i + 1) * dim;
                let truth = Brute::new(metric, dim, &rows[row.clone()]).values(&queries[row.clone()])[0];
                let error = if metric == Metric::L2 { 0.5 * (truth - distance) } else { distance - truth };
                let (r, u) = (minus(&rows[row.clone()]), minus(&held[row]));
                let cosine = product(&r, &u) / product(&u, &u).sqrt() / product(&r, &r).sqrt();
                // A standard deviation as the papers have it, at most: the query is not at a right angle.
                let size = ((1.0 - cosine * cosine) / (cosine * cosine * (dim - 1) as f64)).sqrt();
                sum += error;
                squares += error * error;
                beyond += usize::from(error.abs() > 1.9 * size);
                promised += size * size;
            }
            let count = n as f64;
            let (mean, deviation, promised) =
                (sum / count, (squares / count).sqrt(), (promised / count).sqrt());
            let note = format!("{code} {metric:?}: mean {mean}, deviation {deviation}, promised {promised}");
            assert!(mean.abs() < 3.5 * deviation / count.sqrt(), "{note}");
            assert!((0.6..1.0).contains(&(deviation / promised)), "{note}");
            // 1.9 deviations hold for 94 of 100.
            assert!(beyond as f64 <= 0.06 * count, "{note}: {beyond} of {n} beyond");
            // Each bit halves it.
            assert!(promised < 0.085 * 0.5f64.powi(bits - 1) * 1.1, "{note}");
        }
    }
}

#[test]
fn reconstruct_is_the_nearest_multiple_of_the_code() {
    let (dim, n) = (64, 400);
    let x = numbers(3, n * dim);
    let mut before = f64::INFINITY;
    for bits in 1..=8 {
        let index = filled(context(1, None), &format!("RaBitQ{bits}"), Metric::L2, &x, dim);
        let held = decoded(&index);
        let error: f64 = wide(&x).iter().zip(wide(&held)).map(|(a, b)| (a - b).powi(2)).sum();
        // 1 bit of uniform numbers loses a quarter of their squares, each more three quarters of the rest.
        let share = error / x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
        assert!(share < 0.27 * 0.29f64.powi(bits - 1), "{bits} bits: {share}");
        assert!(share < before);
        before = share;
        // What is left of a row is at a right angle to what is held of it.
        let mean: Vec<f64> = (0..dim)
            .map(|d| x.iter().skip(d).step_by(dim).map(|&v| f64::from(v)).sum::<f64>() / n as f64)
            .collect();
        for (row, held) in x.chunks(dim).zip(held.chunks(dim)) {
            let left: Vec<f64> = wide(row).iter().zip(wide(held)).map(|(a, b)| a - b).collect();
            let along: Vec<f64> = wide(held).iter().zip(&mean).map(|(a, b)| a - b).collect();
            assert!(product(&left, &along).abs() < 1e-4, "{}", product(&left, &along));
        }
    }
}

#[test]
fn recall_of_words_grows_with_the_bits() {
    let (words, dim) = (words(), 50);
    let (x, queries) = words.split_at(19_500 * dim);
    let mut truth =
        Index::new(context(2, None), dim, Metric::Cosine, "Flat", &IndexOptions::default()).unwrap();
    truth.add(matrix(x, dim), None, 0, &Control::default()).unwrap();
    let truth = search(&truth, queries, 10, &all());
    for (code, least) in
        [("RaBitQ", 0.35), ("RaBitQfs", 0.35), ("RaBitQ2", 0.57), ("RaBitQ4", 0.87), ("RaBitQ8", 0.98)]
    {
        let index = filled(context(2, None), &format!("RR,IVF64,{code}"), Metric::Cosine, x, dim);
        let found = search(&index, queries, 10, &all());
        let hits: usize = found
            .ids
            .chunks(10)
            .zip(truth.ids.chunks(10))
            .map(|(found, truth)| found.iter().filter(|id| truth.contains(id)).count())
            .sum();
        let recall = hits as f64 / truth.ids.len() as f64;
        assert!(recall >= least, "{code}: {recall}");
    }
}

#[test]
fn vectors_take_as_many_bytes_as_the_bits_say() {
    let (dim, n) = (128, 4096);
    let x = numbers(5, n * dim);
    for (metric, numbers) in [(Metric::L2, 8.0), (Metric::InnerProduct, 12.0)] {
        for bits in 1..=8 {
            let mut index = filled(context(1, None), &format!("RaBitQ{bits}"), metric, &x, dim);
            index.compact().unwrap();
            // A bias and an id beside them.
            let each = index.info().vector_bytes as f64 / n as f64;
            assert!(each <= f64::from(bits) * 16.0 + numbers + 12.1, "{bits} bits: {each}");
        }
    }
}

#[test]
fn merge_another_mean_is_refused() {
    let (a, b) = (numbers(8, 200 * 8), numbers(9, 200 * 8));
    let mut a = filled(context(1, None), "RaBitQ", Metric::L2, &a, 8);
    let b = filled(context(1, None), "RaBitQ", Metric::L2, &b, 8);
    let error = a.merge(&b, 200, 0, &Control::default()).unwrap_err();
    assert!(error.to_string().contains("trained alike"), "{error}");
}

#[test]
fn train_flat_codes_need_rows_and_codes_by_list_only_centroids() {
    let dim = 4;
    let mut flat = Index::new(context(1, None), dim, Metric::L2, "RaBitQ", &IndexOptions::default()).unwrap();
    let rows = numbers(19, 50 * dim);
    let control = Control::default();
    assert!(matches!(flat.add(matrix(&rows, dim), None, 0, &control), Err(Error::NotTrained)));
    let error = flat.train(matrix(&[], dim), &TrainOptions::default(), &control).unwrap_err();
    assert!(error.to_string().contains("expected rows to train with"), "{error}");
    flat.train(matrix(&rows, dim), &TrainOptions::default(), &control).unwrap();
    flat.add(matrix(&rows, dim), None, 0, &control).unwrap();
    // What lies at the centre is all that there is to it.
    let mut one =
        Index::new(context(1, None), dim, Metric::L2, "IVF1,RaBitQ", &IndexOptions::default()).unwrap();
    one.set_centroids(matrix(&rows[..dim], dim)).unwrap();
    one.add(matrix(&rows[..dim], dim), None, 0, &control).unwrap();
    assert_eq!(decoded(&one), &rows[..dim]);
    assert_eq!(search(&one, &rows[..dim], 1, &all()).distances, [0.0]);
}

#[test]
fn save_as_faiss_is_refused_by_name() {
    let dim = 5;
    let index = filled(context(1, None), "IVF3,RaBitQ4", Metric::L2, &numbers(17, 60 * dim), dim);
    let path = tempfile::tempdir().unwrap().path().join("index.faiss");
    let error = index.export_faiss(&path, &Control::default()).unwrap_err();
    assert!(matches!(&error, Error::Unsupported(text) if text.contains("IVF3,RaBitQ4")), "{error}");
}
