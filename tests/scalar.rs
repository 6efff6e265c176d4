//! Lists of scalar codes (`SQ8`, `SQ6`, `SQ4`): scores are those of the decoded vectors, and decoded vectors lie
//! within half a step of what was added.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "tests; ids and offsets are small, and rounding to float32 is meant"
)]

mod common;

use std::sync::Arc;

use common::{Brute, Found, context, kernels, numbers, search};
use ivf::{
    Budget, Context, Control, Error, Filter, Index, IndexOptions, LoadOptions, MatrixRef, Metric,
    SearchOptions, TrainOptions, f16,
};

const CODES: [(&str, u32); 3] = [("SQ8", 8), ("SQ6", 6), ("SQ4", 4)];
const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];

fn matrix(rows: &[f32], dim: usize) -> MatrixRef<'_> {
    MatrixRef::new("rows", rows, rows.len() / dim, dim).unwrap()
}

/// Trained on `x`, empty.
fn trained(context: Arc<Context>, description: &str, metric: Metric, x: &[f32], dim: usize) -> Index {
    let mut index = Index::new(context, dim, metric, description, &IndexOptions::default()).unwrap();
    index.train(matrix(x, dim), &TrainOptions::default(), &Control::default()).unwrap();
    index
}

fn filled(context: Arc<Context>, description: &str, metric: Metric, x: &[f32], dim: usize) -> Index {
    let mut index = trained(context, description, metric, x, dim);
    index.add(matrix(x, dim), None, 0, &Control::default()).unwrap();
    index
}

/// What the index holds of the ids 0 to n.
fn decoded(index: &Index) -> Vec<f32> {
    let info = index.info();
    let mut out = vec![0.0; info.count * info.dim];
    index.reconstruct_range(0, info.count, &mut out).unwrap();
    out
}

fn all() -> SearchOptions<'static> {
    SearchOptions { nprobe: 1000, ..Default::default() }
}

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

/// Everything but the ids may differ by nothing at all.
fn same(a: &Index, b: &Index, queries: &[f32]) {
    let (found_a, found_b) = (search(a, queries, 10, &all()), search(b, queries, 10, &all()));
    assert_eq!(found_a.ids, found_b.ids);
    let bits = |found: &Found| found.distances.iter().map(|d| d.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&found_a), bits(&found_b));
}

#[test]
fn lists_grown_changed_merged_copied_and_packed_equal_those_filled_at_once() {
    let dim = 19;
    let x = numbers(6, 300 * dim);
    let queries = numbers(7, 20 * dim);
    let control = Control::default();
    for (code, _) in CODES {
        for metric in METRICS {
            for lists in ["", "IVF8,"] {
                let empty = trained(context(2, None), &format!("{lists}{code}"), metric, &x, dim);
                let copy = || empty.copy(context(2, None)).unwrap();
                let mut whole = copy();
                whole.add(matrix(&x, dim), None, 0, &control).unwrap();
                let mut grown = copy();
                for chunk in x.chunks(7 * dim) {
                    grown.add(matrix(chunk, dim), None, 0, &control).unwrap();
                }
                same(&grown, &whole, &queries);

                let (mut left, mut right) = (copy(), copy());
                left.add(matrix(&x[..117 * dim], dim), None, 0, &control).unwrap();
                right.add(matrix(&x[117 * dim..], dim), None, 0, &control).unwrap();
                left.merge(&right, 117, 0, &control).unwrap();
                same(&left, &whole, &queries);
                same(&whole.copy(context(1, None)).unwrap(), &whole, &queries);

                // Every vector replaced by its neighbour, and back.
                let ids: Vec<i64> = (0..300).collect();
                let shifted: Vec<f32> = x.iter().copied().cycle().skip(dim).take(x.len()).collect();
                grown.update(&ids, matrix(&shifted, dim), 0, &control).unwrap();
                grown.update(&ids, matrix(&x, dim), 0, &control).unwrap();
                same(&grown, &whole, &queries);

                let odd: Vec<i64> = (0..300).filter(|id| id % 2 == 1).collect();
                let even: Vec<i64> = (0..300).filter(|id| id % 2 == 0).collect();
                let kept: Vec<f32> = x.chunks(2 * dim).flat_map(|pair| pair[..dim].to_vec()).collect();
                let mut fresh = copy();
                fresh.add(matrix(&kept, dim), Some(&even), 0, &control).unwrap();
                for index in [&mut grown, &mut whole, &mut left] {
                    assert_eq!(index.remove(&odd).unwrap(), 150);
                    same(index, &fresh, &queries);
                    index.compact().unwrap();
                    same(index, &fresh, &queries);
                }
            }
        }
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
fn search_alone_in_a_batch_and_on_any_threads_gives_the_same_bits() {
    let dim = 40;
    let x = numbers(10, 3000 * dim);
    let queries = numbers(11, 64 * dim);
    for (code, _) in CODES {
        for metric in METRICS {
            let index = filled(context(2, None), &format!("IVF16,{code}"), metric, &x, dim);
            let options = SearchOptions { nprobe: 5, ..Default::default() };
            let whole = search(&index, &queries, 10, &options);
            let mut alone = Found::default();
            for query in queries.chunks(dim) {
                alone.append(search(&index, query, 10, &SearchOptions { threads: 1, ..options.clone() }));
            }
            assert_eq!(alone, whole);
        }
    }
}

#[test]
fn search_filters_ranges_and_limits_see_the_same_vectors() {
    let dim = 24;
    let x = numbers(12, 1000 * dim);
    let queries = numbers(13, 30 * dim);
    let control = Control::default();
    for (code, _) in CODES {
        for metric in METRICS {
            let index = filled(context(2, None), &format!("IVF8,{code}"), metric, &x, dim);
            let every = search(&index, &queries, 1000, &all());

            let filter = Filter::range(100, 140);
            let found = search(&index, &queries, 5, &SearchOptions { filter: Some(&filter), ..all() });
            for (got, want) in found.ids.chunks(5).zip(every.ids.chunks(1000)) {
                let want: Vec<i64> =
                    want.iter().copied().filter(|id| (100..140).contains(id)).take(5).collect();
                assert_eq!(got, want);
            }

            let radius = every.distances[20];
            let better = |d: f32| if metric == Metric::L2 { d < radius } else { d > radius };
            let found = index.range_search(matrix(&queries, dim), radius, &all(), &control).unwrap();
            for (query, row) in every.ids.chunks(1000).enumerate() {
                let distances = &every.distances[query * 1000..(query + 1) * 1000];
                let want: Vec<i64> =
                    row.iter().zip(distances).filter(|(_, d)| better(**d)).map(|(id, _)| *id).collect();
                let (from, to) = (found.offsets[query] as usize, found.offsets[query + 1] as usize);
                let mut got = found.ids[from..to].to_vec();
                let mut want = want;
                got.sort_unstable();
                want.sort_unstable();
                assert_eq!(got, want);
            }

            let budget = Budget { codes: 64, ..Default::default() };
            let found = search(&index, &queries, 1000, &SearchOptions { budget, ..all() });
            assert!(found.hits.iter().all(|&hits| hits > 0 && hits < 1000));

            let flat = filled(context(2, None), code, metric, &x, dim);
            let mut first = flat.copy(context(2, None)).unwrap();
            first.remove_filter(&Filter::range(100, 1000)).unwrap();
            let limited = search(&flat, &queries, 10, &SearchOptions { max_codes: 100, ..all() });
            assert_eq!(limited, search(&first, &queries, 10, &all()));
        }
    }
}

#[test]
fn rows_of_any_type_are_encoded_as_their_values() {
    let dim = 12;
    let halves: Vec<f16> = numbers(14, 300 * dim).iter().map(|&v| f16::from_f32(v)).collect();
    let floats: Vec<f32> = halves.iter().map(|v| v.to_f32()).collect();
    let rows = ivf::RowsRef::new("rows", &halves[..], 300, dim).unwrap();
    for (code, _) in CODES {
        let wide = filled(context(1, None), &format!("IVF4,{code}"), Metric::L2, &floats, dim);
        let mut narrow =
            Index::new(context(1, None), dim, Metric::L2, &format!("IVF4,{code}"), &IndexOptions::default())
                .unwrap();
        narrow.train(rows, &TrainOptions::default(), &Control::default()).unwrap();
        narrow.add(rows, None, 0, &Control::default()).unwrap();
        same(&narrow, &wide, &floats[..20 * dim]);
    }
}

#[test]
fn save_any_codes_load_the_same_index_however_they_are_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.ivf");
    let dim = 19;
    let (x, queries) = (numbers(15, 200 * dim), numbers(16, 20 * dim));
    let control = Control::default();
    for (code, _) in CODES {
        for description in [code.to_owned(), format!("IVF8,{code}"), format!("PCA7,IVF8,{code}")] {
            let index = filled(context(2, None), &description, Metric::L2, &x, dim);
            index.save(&path, &control).unwrap();
            for (memory_map, skip_verify) in [(false, false), (true, false), (false, true), (true, true)] {
                let options = LoadOptions { memory_map, skip_verify, ..LoadOptions::default() };
                let mut loaded = Index::load(context(2, None), &path, &options, &control).unwrap();
                assert_eq!(loaded.describe(), description);
                same(&loaded, &index, &queries);
                loaded.add(matrix(&x[..40 * dim], dim), None, 0, &control).unwrap();
                let mut grown = index.copy(context(2, None)).unwrap();
                grown.add(matrix(&x[..40 * dim], dim), None, 0, &control).unwrap();
                same(&loaded, &grown, &queries);
            }
        }
        // Not trained, and half trained.
        for centroids in [false, true] {
            let mut index = Index::new(
                context(1, None),
                dim,
                Metric::L2,
                &format!("IVF8,{code}"),
                &IndexOptions::default(),
            )
            .unwrap();
            if centroids {
                index.set_centroids(matrix(&x[..8 * dim], dim)).unwrap();
            }
            index.save(&path, &control).unwrap();
            let mut loaded = Index::load(context(1, None), &path, &LoadOptions::default(), &control).unwrap();
            assert!(!loaded.info().trained);
            loaded.train(matrix(&x, dim), &TrainOptions::default(), &control).unwrap();
            loaded.add(matrix(&x, dim), None, 0, &control).unwrap();
            assert_eq!(loaded.centroids().unwrap()[..8 * dim] == x[..8 * dim], centroids);
        }
    }
}

#[test]
fn load_damaged_codes_are_refused_and_never_crash() {
    let dim = 5;
    let index = filled(context(1, None), "IVF3,SQ6", Metric::L2, &numbers(17, 60 * dim), dim);
    let mut bytes = Vec::new();
    index.serialize(&mut bytes).unwrap();
    let load = |bytes: &[u8], skip_verify: bool| {
        let options = LoadOptions { skip_verify, ..LoadOptions::default() };
        Index::deserialize(context(1, None), bytes, &options, &Control::default())
    };
    let queries = numbers(18, 3 * dim);
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x41;
        assert!(load(&damaged, false).is_err() || padding(&bytes, at), "byte {at}");
        // Unchecked, it may be another index, but never more than that.
        if let Ok(index) = load(&damaged, true) {
            search(&index, &queries, 3, &all());
        }
        assert!(load(&bytes[..at], true).is_err());
    }
}

/// Whether a byte lies in a gap between sections, which nothing reads.
fn padding(bytes: &[u8], at: usize) -> bool {
    let number = |at: usize, len: usize| {
        bytes[at..at + len].iter().rev().fold(0usize, |sum, &byte| sum << 8 | usize::from(byte))
    };
    let sections = number(12, 4);
    at >= 64 + 32 * sections
        && (0..sections).all(|section| {
            let entry = 64 + 32 * section;
            let (offset, length) = (number(entry + 8, 8), number(entry + 16, 8));
            !(offset..offset + length).contains(&at)
        })
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
