//! Filters inside the scan, and range search, against float64 brute force.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "small numbers; what fails is a failed test"
)]

mod common;

use common::{Brute, context, numbers, search};
use ivf::{Control, Error, Filter, Index, IndexOptions, MatrixRef, Metric, SearchOptions};

const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];
const DIM: usize = 20;

fn index(metric: Metric, nlist: usize, rows: &[f32]) -> Index {
    let description = if nlist == 0 { "Flat".into() } else { format!("IVF{nlist},Flat") };
    let mut index =
        Index::new(context(2, None), DIM, metric, &description, &IndexOptions::default()).unwrap();
    if nlist > 0 {
        index.set_centroids(MatrixRef::new("centroids", &rows[..nlist * DIM], nlist, DIM).unwrap()).unwrap();
    }
    let x = MatrixRef::new("rows", rows, rows.len() / DIM, DIM).unwrap();
    index.add(x, None, 0, &Control::default()).unwrap();
    index
}

/// Ids by value, best first, ties by id.
fn ranked(metric: Metric, values: &[f64], passes: impl Fn(i64) -> bool) -> Vec<i64> {
    let mut ids: Vec<i64> = (0..values.len() as i64).filter(|&id| passes(id)).collect();
    ids.sort_by(|&a, &b| {
        let order = values[a as usize].total_cmp(&values[b as usize]);
        (if metric.is_similarity() { order.reverse() } else { order }).then(a.cmp(&b))
    });
    ids
}

#[test]
fn search_filtered_any_selectivity_returns_the_best_that_pass() {
    let count = 3000;
    let rows = numbers(1, count * DIM);
    for metric in METRICS {
        for nlist in [0, 20] {
            let index = index(metric, nlist, &rows);
            for step in [1, 2, 10, 100, 1000] {
                let ids: Vec<i64> = (0..count as i64).filter(|id| id % step == step / 2).collect();
                let mut bytes = vec![0u8; count.div_ceil(8)];
                ids.iter().for_each(|&id| bytes[id as usize / 8] |= 1 << (id % 8));
                let filters = [
                    Filter::ids(&ids),
                    Filter::bitmap(&bytes),
                    Filter::ids(&ids).negate().negate(),
                    Filter::range(-5, 1 << 40).and(&Filter::ids(&ids)),
                    Filter::range(0, 0).or(&Filter::bitmap(&bytes)),
                ];
                for batch in [1, 3, 300] {
                    let queries = numbers(2, batch * DIM);
                    let brute = Brute::new(metric, DIM, &rows);
                    for filter in &filters {
                        let k = 15;
                        let options =
                            SearchOptions { nprobe: 20, filter: Some(filter), ..Default::default() };
                        let found = search(&index, &queries, k, &options);
                        for (q, query) in queries.chunks(DIM).enumerate() {
                            let mut want = ranked(metric, &brute.values(query), |id| id % step == step / 2);
                            want.resize(k, -1);
                            assert_eq!(found.ids[q * k..(q + 1) * k], want);
                            assert_eq!(found.hits[q], ids.len().min(k) as u64);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn search_filtered_equals_the_unfiltered_result_without_the_others_bit_by_bit() {
    let (count, k) = (900usize, 9);
    let bytes: Vec<f32> = numbers(9, count * DIM).iter().map(|v| ((v + 1.0) * 100.0).floor()).collect();
    for code in ["Flat", "SQfp16", "SQbf16", "SQ8_direct"] {
        for kernel in [None, Some("scalar")] {
            for lists in ["", "IVF3,"] {
                let options = IndexOptions::default();
                let mut index =
                    Index::new(context(2, kernel), DIM, Metric::L2, &format!("{lists}{code}"), &options)
                        .unwrap();
                if !lists.is_empty() {
                    let centroids = MatrixRef::new("centroids", &bytes[..3 * DIM], 3, DIM).unwrap();
                    index.set_centroids(centroids).unwrap();
                }
                let x = MatrixRef::new("rows", &bytes, count, DIM).unwrap();
                index.add(x, None, 0, &Control::default()).unwrap();
                index.remove(&(0..count as i64).filter(|id| id % 11 == 3).collect::<Vec<_>>()).unwrap();
                // Some queries are vectors themselves: their distance of 0 needs the closer look.
                for batch in [1, 5, 64] {
                    let queries = &bytes[7 * DIM..(7 + batch) * DIM];
                    let whole = SearchOptions { nprobe: 3, ..Default::default() };
                    let all = search(&index, queries, count, &whole);
                    for step in [1, 2, 7, 40] {
                        let ids: Vec<i64> = (0..count as i64).filter(|id| id % step == 0).collect();
                        let filter = Filter::ids(&ids);
                        let found =
                            search(&index, queries, k, &SearchOptions { filter: Some(&filter), ..whole });
                        for q in 0..batch {
                            let of_all = (q * count..(q + 1) * count).filter(|&at| all.ids[at] % step == 0);
                            let want: Vec<_> =
                                of_all.take(k).map(|at| (all.ids[at], all.distances[at].to_bits())).collect();
                            let got: Vec<_> = (q * k..(q + 1) * k)
                                .map(|at| (found.ids[at], found.distances[at].to_bits()))
                                .collect();
                            assert_eq!(got, want, "{lists}{code}, {batch} queries, every {step}th");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn search_filter_passes_nothing_pads() {
    let index = index(Metric::L2, 4, &numbers(3, 100 * DIM));
    let none = Filter::ids(&[]);
    let options = SearchOptions { nprobe: 4, filter: Some(&none), ..Default::default() };
    let found = search(&index, &numbers(4, DIM), 3, &options);
    assert_eq!((found.ids, found.hits), (vec![-1; 3], vec![0]));
}

#[test]
fn search_filtered_and_removed_neither_comes_back() {
    let rows = numbers(5, 500 * DIM);
    let mut index = index(Metric::L2, 5, &rows);
    index.remove(&[10, 20, 30]).unwrap();
    let filter = Filter::range(0, 40);
    let options = SearchOptions { nprobe: 5, filter: Some(&filter), ..Default::default() };
    let mut ids = search(&index, &rows[..DIM], 100, &options).ids;
    ids.retain(|&id| id >= 0);
    ids.sort_unstable();
    assert_eq!(ids, (0..40).filter(|id| ![10, 20, 30].contains(id)).collect::<Vec<i64>>());
}

#[test]
fn range_search_any_radius_is_strict_and_complete() {
    let count = 2000;
    let rows = numbers(6, count * DIM);
    for metric in METRICS {
        for nlist in [0, 15] {
            let index = index(metric, nlist, &rows);
            let brute = Brute::new(metric, DIM, &rows);
            for batch in [1, 4, 200] {
                let queries = numbers(7, batch * DIM);
                let values: Vec<_> = queries.chunks(DIM).map(|query| brute.values(query)).collect();
                // Half-way between two neighbouring values, so that rounding decides nothing.
                for rank in [0, 3, 200] {
                    let first = ranked(metric, &values[0], |_| true);
                    let value = |rank: usize| values[0][first[rank] as usize];
                    let radius = ((value(rank) + value(rank + 1)) / 2.0) as f32;
                    let options = SearchOptions { nprobe: 15, ..Default::default() };
                    let x = MatrixRef::new("queries", &queries, batch, DIM).unwrap();
                    let found = index.range_search(x, radius, &options, &Control::default()).unwrap();
                    assert_eq!(found.offsets.len(), batch + 1);
                    assert_eq!(found.offsets[1], rank as u64 + 1);
                    for (q, values) in values.iter().enumerate() {
                        let range = found.offsets[q] as usize..found.offsets[q + 1] as usize;
                        let edge = |id: i64| (values[id as usize] - f64::from(radius)).abs() < 1e-5;
                        let inside = |id: i64| {
                            let value = values[id as usize];
                            if metric.is_similarity() {
                                value > f64::from(radius)
                            } else {
                                value < f64::from(radius)
                            }
                        };
                        let want = ranked(metric, values, |id| inside(id) && !edge(id));
                        let got: Vec<i64> =
                            found.ids[range.clone()].iter().copied().filter(|&id| !edge(id)).collect();
                        let mut sorted = (got.clone(), want.clone());
                        sorted.0.sort_unstable();
                        sorted.1.sort_unstable();
                        assert_eq!(sorted.0, sorted.1);
                        assert!(
                            found.distances[range].is_sorted_by(|a, b| {
                                if metric.is_similarity() { a >= b } else { a <= b }
                            })
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn range_search_at_a_vectors_own_distance_leaves_it_out() {
    let index = index(Metric::L2, 0, &[vec![0.0; DIM], vec![2.0; DIM]].concat());
    let zero = [0.0; DIM];
    let x = MatrixRef::new("queries", &zero, 1, DIM).unwrap();
    let run = |radius: f32| {
        index.range_search(x, radius, &SearchOptions::default(), &Control::default()).unwrap().ids
    };
    assert_eq!(run(0.0), [] as [i64; 0]);
    assert_eq!(run(80.0), [0]);
    assert_eq!(run(80.1), [0, 1]);
    assert_eq!(run(f32::INFINITY), [0, 1]);
    assert_eq!(run(-1.0), [] as [i64; 0]);
}

#[test]
fn range_search_filtered_and_wrong_input() {
    let rows = numbers(8, 300 * DIM);
    let index = index(Metric::L2, 6, &rows);
    let filter = Filter::range(100, 120);
    let options = SearchOptions { nprobe: 6, filter: Some(&filter), ..Default::default() };
    let x = MatrixRef::new("queries", &rows[..DIM], 1, DIM).unwrap();
    let found = index.range_search(x, f32::INFINITY, &options, &Control::default()).unwrap();
    let mut ids = found.ids;
    ids.sort_unstable();
    assert_eq!(ids, (100..120).collect::<Vec<i64>>());
    let nan = index.range_search(x, f32::NAN, &options, &Control::default());
    assert!(matches!(nan, Err(Error::Argument(_))));
    let none = MatrixRef::new("queries", &[], 0, DIM).unwrap();
    let empty = index.range_search(none, 1.0, &options, &Control::default()).unwrap();
    assert_eq!((empty.offsets, empty.ids.len()), (vec![0], 0));
}
