//! Searching against float64 brute force, over shapes that hurt, threads, kernels and batch sizes.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "small numbers; what fails is a failed test"
)]

mod common;

use common::{Brute, Found, context, numbers, search};
use ivf::{Control, Error, Index, IndexOptions, MatrixRef, Metric, SearchOptions};

const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];

fn index(metric: Metric, description: &str, dim: usize, rows: &[f32], nlist: usize) -> Index {
    filled(context(2, None), metric, description, dim, rows, nlist)
}

fn filled(
    context: std::sync::Arc<ivf::Context>,
    metric: Metric,
    description: &str,
    dim: usize,
    rows: &[f32],
    nlist: usize,
) -> Index {
    let mut index = Index::new(context, dim, metric, description, &IndexOptions::default()).unwrap();
    if nlist > 0 {
        index.set_centroids(MatrixRef::new("centroids", &rows[..nlist * dim], nlist, dim).unwrap()).unwrap();
    }
    let x = MatrixRef::new("rows", rows, rows.len() / dim, dim).unwrap();
    index.add(x, None, 0, &Control::default()).unwrap();
    index
}

#[test]
fn search_flat_any_shape_agrees_with_float64() {
    for metric in METRICS {
        for dim in [1, 3, 16, 50, 128, 300, 784] {
            for count in [1, 15, 16, 17, 31, 32, 33, 48, 49, 300] {
                let rows = numbers(7 + dim as u64, count * dim);
                let queries = numbers(11, 13 * dim);
                let index = index(metric, "Flat", dim, &rows, 0);
                for k in [1, 10, 100] {
                    let found = search(&index, &queries, k, &SearchOptions::default());
                    Brute::new(metric, dim, &rows).check(&queries, k, &found);
                }
            }
        }
    }
}

#[test]
fn search_ivf_all_lists_agrees_with_float64() {
    for metric in METRICS {
        for (dim, nlist) in [(5, 3), (50, 16), (128, 7)] {
            let rows = numbers(3, 900 * dim);
            let index = index(metric, &format!("IVF{nlist},Flat"), dim, &rows, nlist);
            for (count, k) in [(1, 1), (1, 20), (2, 65), (40, 10), (700, 10), (40, 1000)] {
                let queries = numbers(5, count * dim);
                let options = SearchOptions { nprobe: nlist + 5, ..Default::default() };
                let found = search(&index, &queries, k, &options);
                Brute::new(metric, dim, &rows).check(&queries, k, &found);
            }
        }
    }
}

#[test]
fn search_any_batch_any_threads_any_fused_kernel_is_bit_equal() {
    let (dim, nlist) = (48, 40);
    let rows = numbers(1, 6000 * dim);
    let queries = numbers(2, 3000 * dim);
    for metric in METRICS {
        let mut results: Vec<Found> = Vec::new();
        for (threads, kernel) in common::kernels().into_iter().flat_map(|k| [(1, k), (2, k), (5, k)]) {
            let index = filled(context(threads, Some(kernel)), metric, "IVF40,Flat", dim, &rows, nlist);
            for batch in [1, 3, 64, 3000] {
                // Single queries in full would take long; the first ones must do.
                let used = if batch < 64 { 60 } else { 3000 };
                let mut found = Found::default();
                for part in queries[..used * dim].chunks(batch * dim) {
                    let options = SearchOptions { nprobe: 8, ..Default::default() };
                    found.append(search(&index, part, 12, &options));
                }
                if kernel == "scalar" {
                    // Without fused multiply-add the last digits differ, the neighbours do not.
                    if let Some(first) = results.first() {
                        let pairs = found.ids.iter().zip(&first.ids);
                        let (all, same) = (pairs.len(), pairs.filter(|(a, b)| a == b).count());
                        assert!(same * 1000 >= all * 999, "{same} of {all}");
                    }
                } else {
                    results.push(found);
                }
            }
        }
        for found in &results {
            let len = found.ids.len().min(results[0].ids.len());
            assert_eq!(found.ids[..len], results[0].ids[..len]);
            assert_eq!(found.distances[..len], results[0].distances[..len]);
        }
    }
}

#[test]
fn search_equal_distances_come_by_id() {
    let mut rows = vec![0.5f32; 100 * 8];
    rows.extend(numbers(1, 50 * 8));
    for k in [5, 80] {
        let index = index(Metric::L2, "IVF4,Flat", 8, &rows, 4);
        let found = search(&index, &[0.5; 8], k, &SearchOptions { nprobe: 4, ..Default::default() });
        assert_eq!(found.ids, (0..k as i64).collect::<Vec<_>>());
        assert!(found.distances.iter().all(|&d| d == 0.0));
    }
}

#[test]
fn search_far_from_the_origin_keeps_small_distances() {
    // 1000 +- 0.01: |q|^2 + |v|^2 - 2qv has no digit left; differences have all.
    let dim = 24;
    let rows: Vec<f32> = numbers(9, 2000 * dim).iter().map(|v| 1000.0 + v * 0.01).collect();
    for (description, nlist) in [("Flat", 0), ("IVF8,Flat", 8)] {
        let index = index(Metric::L2, description, dim, &rows, nlist);
        let queries = &rows[..50 * dim];
        let found = search(&index, queries, 10, &SearchOptions { nprobe: 8, ..Default::default() });
        Brute::new(Metric::L2, dim, &rows).check(queries, 10, &found);
        assert!((0..50).all(|q| found.ids[q * 10] == q as i64 && found.distances[q * 10] == 0.0));
    }
}

#[test]
fn search_max_codes_cuts_mid_list_in_probe_order() {
    let (dim, nlist) = (6, 10);
    let rows = numbers(21, 2000 * dim);
    let mut index = index(Metric::L2, "IVF10,Flat", dim, &rows, nlist);
    index.remove(&(0..2000).step_by(7).collect::<Vec<_>>()).unwrap();
    let count = index.info().count;
    for batch in [1, 5, 400] {
        let queries = numbers(22, batch * dim);
        for max_codes in [1, 50, 333, 1500] {
            let k = count;
            let options = SearchOptions { nprobe: nlist, max_codes, ..Default::default() };
            let found = search(&index, &queries, k, &options);
            for q in 0..batch {
                // Every vector looked at is a result when k is the count.
                let hits = found.ids[q * k..(q + 1) * k].iter().filter(|&&id| id >= 0).count();
                assert_eq!(hits, max_codes.min(count));
                assert_eq!(found.hits[q], hits as u64);
            }
        }
        // A budget of all is no budget.
        let all = SearchOptions { nprobe: nlist, ..Default::default() };
        let cut = SearchOptions { max_codes: count, ..all.clone() };
        assert_eq!(search(&index, &queries, 9, &all), search(&index, &queries, 9, &cut));
    }
}

#[test]
fn search_k_beyond_the_count_pads() {
    for metric in METRICS {
        let index = index(metric, "Flat", 2, &[1.0, 0.0, 0.0, 1.0], 0);
        let found = search(&index, &[1.0, 0.0], 4, &SearchOptions::default());
        assert_eq!(found.ids, [0, 1, -1, -1]);
        assert_eq!(found.distances[2..], [metric.worst(); 2]);
        assert_eq!(found.hits, [2]);
    }
}

#[test]
fn search_removed_vectors_are_never_returned() {
    let dim = 10;
    let rows = numbers(31, 1000 * dim);
    let mut index = index(Metric::L2, "IVF5,Flat", dim, &rows, 5);
    let mut live: Vec<i64> = (0..1000).collect();
    for round in 0..9 {
        let gone: Vec<i64> = live.iter().copied().filter(|id| id % 9 == round).collect();
        assert_eq!(index.remove(&gone).unwrap(), gone.len());
        live.retain(|id| id % 9 != round);
        let found =
            search(&index, &rows[..20 * dim], 1000, &SearchOptions { nprobe: 5, ..Default::default() });
        for q in 0..20 {
            let mut ids: Vec<i64> = found.ids[q * 1000..(q + 1) * 1000].to_vec();
            ids.retain(|&id| id >= 0);
            ids.sort_unstable();
            assert_eq!(ids, live);
        }
        assert_eq!(index.info().count, live.len());
        assert!(index.info().dead * 4 <= 1000, "compaction past a fifth");
    }
}

#[test]
fn search_wrong_input_names_expected_and_got() {
    let index = index(Metric::L2, "Flat", 4, &[0.0; 8], 0);
    let (mut distances, mut ids) = (vec![0.0; 1], vec![0; 1]);
    let mut run = |data: &[f32], dim: usize, k: usize| {
        let output = ivf::SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
        let queries = MatrixRef::new("queries", data, data.len() / dim, dim).unwrap();
        index.search(queries, k, &SearchOptions::default(), output, &Control::default())
    };
    assert!(matches!(run(&[0.0; 3], 3, 1), Err(Error::Dimension { expected: 4, got: 3, .. })));
    assert!(matches!(run(&[0.0; 4], 4, 0), Err(Error::Argument(_))));
    assert!(matches!(run(&[0.0; 4], 4, 2), Err(Error::Length { expected: 2, got: 1, .. })));
    let nan = [0.0, f32::NAN, 0.0, 0.0];
    assert!(matches!(run(&nan, 4, 1), Err(Error::NotFinite { row: 0, .. })));
}
