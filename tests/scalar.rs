//! Lists of scalar codes (`SQ8`, `SQ6`, `SQ4`): scores are those of the decoded vectors, and decoded vectors lie
//! within half a step of what was added.

#![expect(
    clippy::cast_possible_truncation,
    reason = "tests; ids are small, and rounding to float32 is meant"
)]

mod common;

use common::{Brute, Found, METRICS, all, context, decoded, filled, kernels, matrix, numbers, search};
use ivf::{Control, Error, Index, IndexOptions, Metric, TrainOptions};

const CODES: [(&str, u32); 3] = [("SQ8", 8), ("SQ6", 6), ("SQ4", 4)];

fn normalized(rows: &[f32], dim: usize) -> Vec<f32> {
    let unit = |row: &[f32]| {
        let length = row.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        row.iter().map(|&v| (f64::from(v) / length) as f32).collect::<Vec<_>>()
    };
    rows.chunks(dim).flat_map(unit).collect()
}

/// Fails unless `found` are the 10 largest products, to 1e-6 of the terms, none told larger than `most`. Cosine is the
/// product of a normalised query with what is held, which is nearly of length 1: the result is cut off there, the order
/// is not.
fn check_products(rows: &[f32], queries: &[f32], dim: usize, most: f64, found: &Found) {
    let near = |a: f64, b: f64| (a - b).abs() < 1e-6 * (1.0 + dim as f64);
    for (q, query) in queries.chunks(dim).enumerate() {
        let products = Brute::new(Metric::InnerProduct, dim, rows).values(query);
        let mut best = products.clone();
        best.sort_by(|a, b| b.total_cmp(a));
        for (rank, &best) in best.iter().take(10).enumerate() {
            let (id, distance) = (found.ids[q * 10 + rank], found.distances[q * 10 + rank]);
            assert!(near(products[id as usize], best), "query {q}, rank {rank}");
            assert!(near(f64::from(distance), best.clamp(-most, most)));
        }
    }
}

#[test]
fn search_any_codes_are_scored_as_what_they_decode_to() {
    for dim in [1, 2, 3, 19, 64, 300] {
        let x: Vec<f32> = numbers(1, 500 * dim).iter().map(|v| v + 0.5).collect();
        for (code, _) in CODES {
            for kernel in kernels() {
                for metric in METRICS {
                    for lists in ["", "IVF7,"] {
                        let index =
                            filled(context(2, Some(kernel)), &format!("{lists}{code}"), metric, &x, dim);
                        let rows = decoded(&index);
                        // Some queries are what is held, whose distance of 0 needs the closer look.
                        let queries = [&numbers(2, 25 * dim)[..], &rows[..15 * dim]].concat();
                        let found = search(&index, &queries, 10, &all());
                        match metric {
                            Metric::L2 => Brute::new(metric, dim, &rows).check(&queries, 10, &found),
                            Metric::InnerProduct => {
                                check_products(&rows, &queries, dim, f64::INFINITY, &found);
                            }
                            _ => check_products(&rows, &normalized(&queries, dim), dim, 1.0, &found),
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn reconstruct_flat_codes_are_the_middle_of_their_step() {
    let dim = 21;
    let x = numbers(3, 400 * dim);
    for (code, bits) in CODES {
        let rows = decoded(&filled(context(1, None), code, Metric::L2, &x, dim));
        for d in 0..dim {
            let column = |rows: &[f32]| rows.iter().skip(d).step_by(dim).map(|&v| f64::from(v)).collect();
            let (x, rows): (Vec<f64>, Vec<f64>) = (column(&x), column(&rows));
            let least = x.iter().copied().fold(f64::INFINITY, f64::min);
            let most = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let step = (most - least) / f64::from((1u32 << bits) - 1);
            for (x, got) in x.iter().zip(rows) {
                let code = ((x - least) / step).floor();
                let want = least + (code + 0.5) * step;
                // At the edge of a step either side will do.
                assert!((got - want).abs() < 1e-6 || (x - got).abs() < step * 0.5001, "{x} {got} {want}");
            }
        }
    }
}

#[test]
fn reconstruct_residual_codes_lie_within_half_a_step_of_the_lists_spread() {
    let dim = 16;
    // Clusters far apart: without residuals the steps would be a hundred times as wide.
    let mut x = numbers(4, 800 * dim);
    x.iter_mut().enumerate().for_each(|(i, v)| *v += 100.0 * (i / dim % 8) as f32);
    for (code, bits) in CODES {
        for metric in [Metric::L2, Metric::InnerProduct] {
            let mut index =
                Index::new(context(1, None), dim, metric, &format!("IVF8,{code}"), &IndexOptions::default())
                    .unwrap();
            let centres: Vec<f32> = (0..8 * dim).map(|i| 100.0 * (i / dim) as f32).collect();
            index.set_centroids(matrix(&centres, dim)).unwrap();
            assert!(!index.info().trained, "the codes have no ranges yet");
            let error = index.add(matrix(&x, dim), None, 0, &Control::default());
            assert!(matches!(error, Err(Error::NotTrained)));
            index.train(matrix(&x, dim), &TrainOptions::default(), &Control::default()).unwrap();
            assert_eq!(index.centroids().unwrap(), centres, "centroids that were set stay");
            index.add(matrix(&x, dim), None, 0, &Control::default()).unwrap();
            if metric == Metric::L2 {
                let half = 1.0 / ((1u32 << bits) - 1) as f32;
                let rows = decoded(&index);
                let worst = x.iter().zip(&rows).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(worst <= half + 1e-4, "{code}: {worst}");
            }
            // Other centroids want other ranges.
            index.reset();
            index.set_centroids(matrix(&centres, dim)).unwrap();
            assert!(!index.info().trained);
        }
    }
}

#[test]
fn vectors_take_as_many_bytes_as_the_bits_say() {
    let (dim, n) = (128, 4096);
    let x = numbers(5, n * dim);
    for (code, bits) in CODES {
        let mut index = filled(context(1, None), code, Metric::L2, &x, dim);
        index.compact().unwrap();
        // A bias and an id beside them.
        let each = index.info().vector_bytes as f64 / n as f64;
        assert!(each <= f64::from(bits) * 16.0 + 12.1, "{code}: {each}");
    }
}

#[test]
fn merge_other_ranges_is_refused() {
    let (a, b) = (numbers(8, 200 * 8), numbers(9, 200 * 8));
    let mut a = filled(context(1, None), "SQ8", Metric::L2, &a, 8);
    let b = filled(context(1, None), "SQ8", Metric::L2, &b, 8);
    let error = a.merge(&b, 200, 0, &Control::default()).unwrap_err();
    assert!(error.to_string().contains("trained alike"), "{error}");
}

#[test]
fn train_constant_columns_and_values_beyond_the_range_are_kept_within_it() {
    let dim = 4;
    let mut x = numbers(19, 100 * dim);
    x.iter_mut().step_by(dim).for_each(|v| *v = 3.0);
    for (code, _) in CODES {
        let mut index = filled(context(1, None), code, Metric::L2, &x, dim);
        assert!(decoded(&index).iter().step_by(dim).all(|&v| v == 3.0), "one value needs no steps");
        index.add(matrix(&[1e9, -1e9, 1e9, 0.0], dim), None, 0, &Control::default()).unwrap();
        let last = decoded(&index)[100 * dim..].to_vec();
        assert_eq!(last[0], 3.0);
        assert!(last[1..].iter().all(|v| v.abs() < 1.2), "{last:?}");
    }
    let mut index = Index::new(context(1, None), dim, Metric::L2, "SQ8", &IndexOptions::default()).unwrap();
    let none = matrix(&[], dim);
    let error = index.train(none, &TrainOptions::default(), &Control::default()).unwrap_err();
    assert!(error.to_string().contains("expected rows to train with"), "{error}");
}
