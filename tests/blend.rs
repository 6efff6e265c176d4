//! Query expansion and blends against their definitions in float64, and where those have none.

mod common;

use common::{context, numbers};
use ivf::{Control, Filter, Index, MatrixRef, Metric, SearchOptions};

const DIM: usize = 6;

fn matrix(x: &[f32]) -> MatrixRef<'_> {
    MatrixRef::new("rows", x, x.len() / DIM, DIM).expect("whole rows")
}

fn index(metric: Metric, x: &[f32]) -> Index {
    let mut index = Index::new(context(2, None), DIM, metric, "Flat", &Default::default()).expect("known");
    index.add(matrix(x), None, 0, &Control::default()).expect("finite");
    index
}

fn blend(
    index: &Index,
    q: &[f32],
    k: usize,
    power: f32,
    ratio: f32,
    options: &SearchOptions<'_>,
) -> Vec<f32> {
    let mut out = vec![f32::NAN; q.len()];
    index.blend(matrix(q), k, power, ratio, options, &mut out, &Control::default()).expect("sound");
    out
}

fn expand(index: &Index, q: &[f32], k: usize, alpha: f32) -> Vec<f32> {
    let mut out = vec![f32::NAN; q.len()];
    let options = SearchOptions::default();
    index.query_expansion(matrix(q), k, alpha, &options, &mut out, &Control::default()).expect("sound");
    out
}

/// The rows with their squared distance from (or product with) a query, best first.
fn ranked(metric: Metric, x: &[f32], query: &[f32]) -> Vec<(f64, Vec<f64>)> {
    let unit = |row: &[f32]| -> Vec<f64> {
        let row: Vec<f64> = row.iter().map(|&v| f64::from(v)).collect();
        let length = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        if metric == Metric::Cosine { row.iter().map(|v| v / length).collect() } else { row }
    };
    let query = unit(query);
    let value = |row: &[f64]| -> f64 {
        let pairs = row.iter().zip(&query);
        match metric {
            Metric::L2 => pairs.map(|(a, b)| (a - b).powi(2)).sum(),
            _ => pairs.map(|(a, b)| a * b).sum(),
        }
    };
    let mut all: Vec<_> = x.chunks(DIM).map(unit).map(|row| (value(&row), row)).collect();
    all.sort_by(|a, b| if metric == Metric::L2 { a.0.total_cmp(&b.0) } else { b.0.total_cmp(&a.0) });
    all
}

fn near(got: &[f32], want: &[f64]) {
    for (got, want) in got.iter().zip(want) {
        assert!((f64::from(*got) - want).abs() < 1e-4, "{got} is not {want}");
    }
}

#[test]
fn blend_agrees_with_its_definition() {
    let (x, q) = (numbers(1, 200 * DIM), numbers(2, 40 * DIM));
    for metric in [Metric::L2, Metric::Cosine] {
        let index = index(metric, &x);
        for (power, ratio) in [(2.0, 1.0), (1.0, 0.3), (0.0, 0.75), (2.0, 0.0)] {
            let got = blend(&index, &q, 8, power, ratio, &SearchOptions::default());
            for (query, got) in q.chunks(DIM).zip(got.chunks(DIM)) {
                let best = &ranked(metric, &x, query)[..8];
                let distance = |value: f64| if metric == Metric::L2 { value } else { 1.0 - value };
                let weights: Vec<f64> =
                    best.iter().map(|(value, _)| distance(*value).recip().powf(power.into())).collect();
                let total: f64 = weights.iter().sum();
                let want: Vec<f64> = (0..DIM)
                    .map(|d| {
                        let sum: f64 = best.iter().zip(&weights).map(|((_, row), w)| row[d] * w).sum();
                        f64::from(ratio) * sum / total + (1.0 - f64::from(ratio)) * f64::from(query[d])
                    })
                    .collect();
                near(got, &want);
            }
        }
    }
}

#[test]
fn blend_distance_0_takes_all_the_weight_and_is_shared() {
    let mut x = numbers(3, 50 * DIM);
    x.copy_within(0..DIM, 7 * DIM);
    let index = index(Metric::L2, &x);
    // Rows 0 and 7 are the query; their mean is it, too.
    assert_eq!(blend(&index, &x[..DIM], 5, 2.0, 1.0, &SearchOptions::default()), x[..DIM]);
    assert_eq!(
        blend(&index, &x[3 * DIM..4 * DIM], 5, 2.0, 1.0, &SearchOptions::default()),
        x[3 * DIM..4 * DIM]
    );
}

#[test]
fn blend_missing_hits_are_ignored_and_none_at_all_leaves_the_query() {
    let (x, q) = (numbers(4, 3 * DIM), numbers(5, 10 * DIM));
    let whole = index(Metric::L2, &x);
    assert_eq!(
        blend(&whole, &q, 9, 2.0, 0.8, &SearchOptions::default()),
        blend(&whole, &q, 3, 2.0, 0.8, &SearchOptions::default())
    );
    // Two of three results of each query are missing.
    let filter = Filter::ids(&[1]);
    let options = SearchOptions { filter: Some(&filter), ..Default::default() };
    let got = blend(&whole, &q, 3, 2.0, 1.0, &options);
    got.chunks(DIM)
        .for_each(|row| near(row, &x[DIM..2 * DIM].iter().map(|&v| f64::from(v)).collect::<Vec<_>>()));
    let nothing = Filter::ids(&[]);
    let options = SearchOptions { filter: Some(&nothing), ..Default::default() };
    assert_eq!(blend(&whole, &q, 3, 2.0, 1.0, &options), q);
    assert_eq!(blend(&index(Metric::L2, &[]), &q, 3, 2.0, 1.0, &SearchOptions::default()), q);
}

#[test]
fn blend_and_expansion_of_extreme_values_are_never_nan() {
    for scale in [1e-30f32, 1e-19, 1.0, 1e15] {
        let mut x = numbers(6, 60 * DIM);
        x.iter_mut().for_each(|v| *v *= scale);
        x[..DIM].fill(0.0);
        for exponent in [0.0, 1.0, 30.0, 1e30] {
            for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
                let index = index(metric, &x);
                assert!(expand(&index, &x, 7, exponent).iter().all(|v| v.is_finite()), "{scale} {exponent}");
                if metric != Metric::InnerProduct {
                    let got = blend(&index, &x, 7, exponent, 0.5, &SearchOptions::default());
                    assert!(got.iter().all(|v| v.is_finite()), "{scale} {exponent}");
                }
            }
        }
    }
}

#[test]
fn query_expansion_agrees_with_its_definition() {
    let (x, q) = (numbers(7, 200 * DIM), numbers(8, 40 * DIM));
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
        let index = index(metric, &x);
        for alpha in [0.0, 1.0, 3.0] {
            let got = expand(&index, &q, 8, alpha);
            for (query, got) in q.chunks(DIM).zip(got.chunks(DIM)) {
                let own: Vec<f64> = match metric {
                    Metric::Cosine => ranked(metric, query, query)[0].1.clone(),
                    _ => query.iter().map(|&v| f64::from(v)).collect(),
                };
                let mut all = vec![(1.0, own)];
                for (value, row) in &ranked(metric, &x, query)[..8] {
                    let similarity = if metric == Metric::L2 { 1.0 / (1.0 + value) } else { value.max(0.0) };
                    all.push((similarity.powf(alpha.into()), row.clone()));
                }
                let mut want: Vec<f64> =
                    (0..DIM).map(|d| all.iter().map(|(w, row)| w * row[d]).sum()).collect();
                let divisor = match metric {
                    Metric::L2 => all.iter().map(|(w, _)| w).sum(),
                    _ => want.iter().map(|v| v * v).sum::<f64>().sqrt(),
                };
                want.iter_mut().for_each(|v| *v /= divisor);
                near(got, &want);
            }
        }
    }
}

#[test]
fn blend_and_expansion_refuse_what_they_cannot_use() {
    let x = numbers(9, 10 * DIM);
    let (l2, product) = (index(Metric::L2, &x), index(Metric::InnerProduct, &x));
    let (options, control) = (SearchOptions::default(), Control::default());
    let blend = |index: &Index, k, power, ratio| {
        let mut out = vec![0.0; 2 * DIM];
        let error = index.blend(matrix(&x[..2 * DIM]), k, power, ratio, &options, &mut out, &control);
        error.expect_err("refused").to_string()
    };
    assert!(blend(&l2, 0, 1.0, 1.0).contains("k: expected at least 1"));
    assert!(blend(&l2, 1, -1.0, 1.0).contains("power: expected a number from 0 on, got -1"));
    assert!(blend(&l2, 1, f32::NAN, 1.0).contains("power"));
    assert!(blend(&l2, 1, 1.0, 1.5).contains("ratio: expected 0 to 1, got 1.5"));
    assert!(blend(&l2, 1, 1.0, f32::NAN).contains("ratio"));
    assert!(blend(&product, 1, 1.0, 1.0).contains("got inner product"));
    let mut out = vec![0.0; DIM];
    let error = l2.query_expansion(matrix(&x), 1, f32::INFINITY, &options, &mut out, &control);
    assert!(error.expect_err("refused").to_string().contains("alpha"));
    let error = l2.query_expansion(matrix(&x), 1, 1.0, &options, &mut out, &control);
    assert!(error.expect_err("refused").to_string().contains("out: expected 60 values, got 6"));
}
