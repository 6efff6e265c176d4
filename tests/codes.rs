//! Lists of codes of any kind: however they came to be, are searched, limited, saved and loaded, they give the same
//! results to the bit, and no damaged file does harm.

#![expect(
    clippy::cast_possible_truncation,
    reason = "tests; ids and offsets are small, and rounding to float32 is meant"
)]

mod common;

use common::{Found, METRICS, all, context, empty, filled, matrix, numbers, search, trained};
use ivf::{
    Budget, Control, Filter, Index, IndexOptions, LoadOptions, Metric, SearchOptions, TrainOptions, f16,
};

const CODES: [&str; 12] = [
    "SQ8", "SQ6", "SQ4", "RaBitQ", "RaBitQ2", "RaBitQ5", "RaBitQ8", "RaBitQfs", "PQ3", "PQ7x4", "PQ7x4fs",
    "PQ1x4fsr",
];

/// Everything but the ids may differ by nothing at all.
fn same(a: &Index, b: &Index, queries: &[f32]) {
    let (found_a, found_b) = (search(a, queries, 10, &all()), search(b, queries, 10, &all()));
    assert_eq!(found_a.ids, found_b.ids);
    let bits = |found: &Found| found.distances.iter().map(|d| d.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&found_a), bits(&found_b));
}

#[test]
fn lists_grown_changed_merged_copied_and_packed_equal_those_filled_at_once() {
    let dim = 21;
    let x = numbers(6, 300 * dim);
    let queries = numbers(7, 20 * dim);
    let control = Control::default();
    for code in CODES {
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
fn search_alone_in_a_batch_and_on_any_threads_gives_the_same_bits() {
    let dim = 42;
    let x = numbers(10, 3000 * dim);
    let queries = numbers(11, 64 * dim);
    for code in CODES {
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
    let dim = 21;
    let x = numbers(12, 1000 * dim);
    let queries = numbers(13, 30 * dim);
    let control = Control::default();
    for code in CODES {
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
                let mut want: Vec<i64> =
                    row.iter().zip(distances).filter(|(_, d)| better(**d)).map(|(id, _)| *id).collect();
                let (from, to) = (found.offsets[query] as usize, found.offsets[query + 1] as usize);
                let mut got = found.ids[from..to].to_vec();
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
    for description in ["IVF4,SQ8", "IVF4,SQ4", "RaBitQ", "IVF4,RaBitQ3", "IVF4,PQ3"] {
        let wide = filled(context(1, None), description, Metric::L2, &floats, dim);
        let mut narrow =
            Index::new(context(1, None), dim, Metric::L2, description, &IndexOptions::default()).unwrap();
        narrow.train(rows, &TrainOptions::default(), &Control::default()).unwrap();
        narrow.add(rows, None, 0, &Control::default()).unwrap();
        same(&narrow, &wide, &floats[..20 * dim]);
    }
}

#[test]
fn save_any_codes_load_the_same_index_however_they_are_loaded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.ivf");
    let dim = 21;
    let (x, queries) = (numbers(15, 300 * dim), numbers(16, 20 * dim));
    let control = Control::default();
    for code in CODES {
        for metric in METRICS {
            for description in [code.to_owned(), format!("IVF8,{code}"), format!("RR,IVF8,{code}")] {
                let index = filled(context(2, None), &description, metric, &x, dim);
                index.save(&path, &control).unwrap();
                for (memory_map, skip_verify) in [(false, false), (true, false), (false, true), (true, true)]
                {
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
        }
        // Not trained.
        for lists in ["", "IVF8,"] {
            let description = format!("{lists}{code}");
            let index = Index::new(context(1, None), dim, Metric::L2, &description, &IndexOptions::default())
                .unwrap();
            index.save(&path, &control).unwrap();
            let mut loaded = Index::load(context(1, None), &path, &LoadOptions::default(), &control).unwrap();
            assert!(!loaded.info().trained);
            loaded.train(matrix(&x, dim), &TrainOptions::default(), &control).unwrap();
            loaded.add(matrix(&x, dim), None, 0, &control).unwrap();
        }
    }
}

#[test]
fn save_centroids_without_their_codes_load_and_wait_for_training() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index.ivf");
    let dim = 21;
    let x = numbers(15, 300 * dim);
    let control = Control::default();
    for code in ["SQ8", "SQ6", "SQ4", "PQ3", "PQ7x4", "PQ1x4fsr"] {
        let mut index = empty(context(1, None), &format!("IVF8,{code}"), Metric::L2, dim);
        index.set_centroids(matrix(&x[..8 * dim], dim)).unwrap();
        index.save(&path, &control).unwrap();
        let mut loaded = Index::load(context(1, None), &path, &LoadOptions::default(), &control).unwrap();
        assert!(!loaded.info().trained, "{code}");
        loaded.train(matrix(&x, dim), &TrainOptions::default(), &control).unwrap();
        loaded.add(matrix(&x, dim), None, 0, &control).unwrap();
        assert_eq!(loaded.centroids().unwrap(), &x[..8 * dim]);
    }
}

#[test]
fn load_damaged_codes_are_refused_and_never_crash() {
    let dim = 5;
    for (description, metric) in [
        ("IVF3,SQ6", Metric::L2),
        ("RaBitQ", Metric::L2),
        ("IVF3,RaBitQ3", Metric::InnerProduct),
        ("IVF3,PQ5x4", Metric::L2),
        ("PQ1x4fs", Metric::L2),
    ] {
        let index = filled(context(1, None), description, metric, &numbers(17, 40 * dim), dim);
        let mut bytes = Vec::new();
        index.serialize(&mut bytes).unwrap();
        let load = |bytes: &[u8], skip_verify: bool| {
            let options = LoadOptions { skip_verify, ..LoadOptions::default() };
            Index::deserialize(context(1, None), bytes, &options, &Control::default())
        };
        let queries = numbers(18, 3 * dim);
        for at in 0..bytes.len() {
            for bit in [0x41, 0xff] {
                let mut damaged = bytes.clone();
                damaged[at] ^= bit;
                assert!(load(&damaged, false).is_err() || padding(&bytes, at), "byte {at}");
                // Unchecked, it may be another index, but never more than that.
                if let Ok(index) = load(&damaged, true) {
                    search(&index, &queries, 3, &all());
                    let mut out = vec![0.0; index.info().count * dim];
                    // Ids may be others.
                    let _ = index.reconstruct_range(0, index.info().count, &mut out);
                }
            }
            assert!(load(&bytes[..at], true).is_err());
        }
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
