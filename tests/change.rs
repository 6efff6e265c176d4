//! Update, removal by filter and reading back, against an index that was built with the result.

#![allow(clippy::unwrap_used, reason = "what fails is a failed test")]

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicI32;

use common::{Found, context, numbers, search};
use ivf::{Control, Error, Filter, Index, IndexOptions, MatrixRef, Metric, SearchOptions, SearchOutput};

const DIM: usize = 12;
const NLIST: usize = 7;
const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];

fn matrix(rows: &[f32]) -> MatrixRef<'_> {
    MatrixRef::new("rows", rows, rows.len() / DIM, DIM).unwrap()
}

/// An index of these vectors.
fn built(metric: Metric, description: &str, vectors: &BTreeMap<i64, Vec<f32>>) -> Index {
    let mut index = Index::new(context(2, None), DIM, metric, description, &IndexOptions::default()).unwrap();
    if description.starts_with("IVF") {
        index.set_centroids(matrix(&numbers(1, NLIST * DIM))).unwrap();
    }
    let ids: Vec<i64> = vectors.keys().copied().collect();
    let rows: Vec<f32> = vectors.values().flatten().copied().collect();
    index.add(matrix(&rows), Some(&ids), 0, &Control::default()).unwrap();
    index
}

fn vectors(seed: u64, ids: impl IntoIterator<Item = i64>) -> BTreeMap<i64, Vec<f32>> {
    let ids: Vec<i64> = ids.into_iter().collect();
    let rows = numbers(seed, ids.len() * DIM);
    ids.into_iter().zip(rows.chunks(DIM).map(<[f32]>::to_vec)).collect()
}

/// Everything that can be asked: results of searches with all and with few lists, ids and vectors.
fn state(index: &Index) -> (Vec<Found>, Vec<i64>, Vec<f32>, Vec<usize>) {
    let queries = numbers(99, 20 * DIM);
    let found = [1, 3, NLIST]
        .map(|nprobe| search(index, &queries, 15, &SearchOptions { nprobe, ..Default::default() }));
    let ids = index.ids();
    let mut rows = vec![0.0; ids.len() * DIM];
    index.reconstruct(&ids, &mut rows).unwrap();
    (found.to_vec(), ids, rows, index.list_sizes())
}

#[test]
fn update_any_rows_equals_an_index_built_with_them() {
    for metric in METRICS {
        for description in ["Flat", "IVF7,Flat", "IVF7,SQfp16", "IVF7,SQbf16"] {
            let mut all = vectors(2, (0..500).map(|i| i * 3));
            let mut index = built(metric, description, &all);
            for (round, count) in [1usize, 40, 333, 500].into_iter().enumerate() {
                let new =
                    vectors(10 + round as u64, all.keys().rev().copied().step_by(500 / count).take(count));
                let ids: Vec<i64> = new.keys().copied().collect();
                let rows: Vec<f32> = new.values().flatten().copied().collect();
                index.update(&ids, matrix(&rows), 0, &Control::default()).unwrap();
                all.extend(new);
                assert!(
                    state(&index) == state(&built(metric, description, &all)),
                    "{metric:?} {description}"
                );
                assert_eq!(index.info().count, 500);
                assert_eq!(index.info().next_id, 499 * 3 + 1);
            }
        }
    }
}

#[test]
fn update_of_a_large_batch_equals_an_index_built_with_it() {
    // Several steps of what is appended at a time.
    const WIDE: usize = 1 << 10;
    let wide = |rows: &[f32], description: &str| {
        let mut index =
            Index::new(context(2, None), WIDE, Metric::L2, description, &IndexOptions::default()).unwrap();
        if description != "Flat" {
            let x = numbers(1, 7 * WIDE);
            index.set_centroids(MatrixRef::new("rows", &x, 7, WIDE).unwrap()).unwrap();
        }
        let x = MatrixRef::new("rows", rows, rows.len() / WIDE, WIDE).unwrap();
        index.add(x, None, 0, &Control::default()).unwrap();
        index
    };
    for (description, n) in [("Flat", 4500), ("IVF7,Flat", 30_000), ("IVF7,Flat,RFlat", 4500)] {
        let rows = numbers(2, n * WIDE);
        let mut index = wide(&rows, description);
        let new = numbers(3, 4500 * WIDE);
        let ids: Vec<i64> = (0..4500).collect();
        let x = MatrixRef::new("rows", &new, 4500, WIDE).unwrap();
        index.update(&ids, x, 0, &Control::default()).unwrap();
        let built = wide(&[&new, &rows[4500 * WIDE..]].concat(), description);
        let queries = numbers(4, 10 * WIDE);
        for nprobe in [1, 7] {
            let options = SearchOptions { nprobe, ..Default::default() };
            assert!(search(&index, &queries, 20, &options) == search(&built, &queries, 20, &options));
        }
        assert_eq!(index.list_sizes(), built.list_sizes(), "{description}");
        let mut got = vec![0.0; new.len()];
        index.reconstruct(&ids, &mut got).unwrap();
        assert!(got == new, "{description}");
        let info = index.info();
        assert_eq!(info.count, n);
        // Vectors have left their lists, of which the smaller are packed.
        assert_eq!(info.dead > 0, n > 4500 * 5, "{description}: {} dead", info.dead);
    }
}

#[test]
fn update_within_the_list_moves_nothing() {
    let all = vectors(2, 0..500);
    let mut index = built(Metric::L2, "IVF7,Flat", &all);
    // The directory of ids stays, and is right.
    let before = index.list_sizes();
    let mut row = vec![0.0; DIM];
    index.reconstruct(&[7], &mut row).unwrap();
    row[0] += 1e-4;
    index.update(&[7], matrix(&row), 0, &Control::default()).unwrap();
    assert_eq!((index.list_sizes(), index.info().dead), (before, 0));
    let mut got = vec![0.0; DIM];
    index.reconstruct(&[7], &mut got).unwrap();
    assert_eq!(got, row);
}

#[test]
fn update_refused_changes_nothing() {
    let all = vectors(2, 0..100);
    let mut index = built(Metric::L2, "IVF7,Flat", &all);
    let before = state(&index);
    let rows = numbers(5, 3 * DIM);
    let x = matrix(&rows);
    let none = Control::default();
    let unknown = index.update(&[1, 100, 2], x, 0, &none);
    assert!(matches!(unknown, Err(Error::NotFound { id: 100 })), "{unknown:?}");
    let twice = index.update(&[1, 2, 1], x, 0, &none);
    assert!(matches!(twice, Err(Error::RepeatedId { id: 1, row: 2 })), "{twice:?}");
    let fewer = index.update(&[1, 2], x, 0, &none);
    assert!(matches!(fewer, Err(Error::Length { expected: 3, got: 2, .. })), "{fewer:?}");
    let mut bad = rows.clone();
    bad[DIM] = f32::NAN;
    let bad = index.update(&[1, 2, 3], matrix(&bad), 0, &none);
    assert!(matches!(bad, Err(Error::NotFinite { row: 1, .. })), "{bad:?}");
    let flag = AtomicI32::new(1);
    let cancelled = index.update(&[1, 2, 3], x, 0, &Control::new(None, Some(&flag)));
    assert!(matches!(cancelled, Err(Error::Cancelled)), "{cancelled:?}");
    assert!(state(&index) == before);
    index.update(&[], matrix(&[]), 0, &none).unwrap();
    assert!(state(&index) == before);
}

#[test]
fn update_repeated_id_leaves_one_vector() {
    let options = IndexOptions { allow_duplicate_ids: true, ..Default::default() };
    let mut index = Index::new(context(2, None), DIM, Metric::L2, "IVF7,Flat", &options).unwrap();
    index.set_centroids(matrix(&numbers(1, NLIST * DIM))).unwrap();
    let rows = numbers(2, 60 * DIM);
    let ids: Vec<i64> = (0..60).map(|row| row % 20).collect();
    index.add(matrix(&rows), Some(&ids), 0, &Control::default()).unwrap();
    let new = numbers(3, 2 * DIM);
    index.update(&[4, 11], matrix(&new), 0, &Control::default()).unwrap();
    assert_eq!(index.info().count, 60 - 4);
    assert_eq!(index.ids().iter().filter(|&&id| id == 4 || id == 11).count(), 2);
    let found = search(&index, &new, 1, &SearchOptions { nprobe: NLIST, ..Default::default() });
    assert_eq!((found.ids, found.distances), (vec![4, 11], vec![0.0, 0.0]));
}

#[test]
fn remove_filter_takes_those_that_pass() {
    for keep in [1.0, 0.9, 0.5, 0.0] {
        let all = vectors(2, (0..700).map(|i| i * 2));
        let mut index = built(Metric::L2, "IVF7,Flat", &all);
        let gone: Vec<i64> = all
            .keys()
            .copied()
            .filter(|id| f64::from(i32::try_from(id % 100).unwrap()) >= keep * 100.0)
            .collect();
        let filter = Filter::ids(&gone).and(&Filter::range(0, 1000));
        let removed = index.remove_filter(&filter).unwrap();
        let left: BTreeMap<_, _> =
            all.iter().filter(|(id, _)| !filter.contains(**id)).map(|(&id, row)| (id, row.clone())).collect();
        assert_eq!(removed, 700 - left.len());
        assert!(state(&index) == state(&built(Metric::L2, "IVF7,Flat", &left)), "{keep}");
        assert_eq!(index.remove_filter(&filter).unwrap(), 0);
        // Space past a fifth of a list has come back.
        assert!(index.info().dead * 5 <= 700, "{}", index.info().dead);
    }
}

#[test]
fn remove_ids_negative_far_and_unknown_are_passed_over() {
    let mut index = built(Metric::L2, "Flat", &vectors(2, [0, 5, 1 << 40, i64::MAX - 1]));
    assert_eq!(index.remove(&[-1, i64::MIN, 6, i64::MAX, 5, 5, 1 << 40]).unwrap(), 2);
    assert_eq!(index.ids(), [0, i64::MAX - 1]);
}

#[test]
fn reconstruct_range_returns_each_or_names_the_first_missing() {
    let all = vectors(2, 10..400);
    let index = built(Metric::L2, "IVF7,Flat", &all);
    let mut rows = vec![0.0; 50 * DIM];
    index.reconstruct_range(100, 50, &mut rows).unwrap();
    assert_eq!(rows, (100..150).flat_map(|id| all[&id].clone()).collect::<Vec<f32>>());
    let missing = index.reconstruct_range(380, 50, &mut rows);
    assert!(matches!(missing, Err(Error::NotFound { id: 400 })), "{missing:?}");
    let beyond = index.reconstruct_range(i64::MAX - 10, 50, &mut rows);
    assert!(matches!(beyond, Err(Error::Argument(_))), "{beyond:?}");
    let short = index.reconstruct_range(100, 51, &mut rows);
    assert!(matches!(short, Err(Error::Length { .. })), "{short:?}");
    index.reconstruct_range(-5, 0, &mut []).unwrap();
}

#[test]
fn search_and_reconstruct_returns_the_hits_vectors() {
    for metric in METRICS {
        let index = built(metric, "IVF7,Flat", &vectors(2, 100..160));
        let queries = numbers(9, 5 * DIM);
        let options = SearchOptions { nprobe: 2, ..Default::default() };
        let k = 40;
        let want = search(&index, &queries, k, &options);
        let (mut distances, mut ids, mut hits) = (vec![0.0; 5 * k], vec![0; 5 * k], vec![0; 5]);
        let mut rows = vec![0.0; 5 * k * DIM];
        let output = SearchOutput { distances: &mut distances, ids: &mut ids, hits: Some(&mut hits) };
        index
            .search_and_reconstruct(matrix(&queries), k, &options, output, &mut rows, &Control::default())
            .unwrap();
        assert_eq!((distances, &ids, hits), (want.distances, &want.ids, want.hits));
        let mut row = vec![0.0; DIM];
        for (id, got) in ids.iter().zip(rows.chunks(DIM)) {
            if *id < 0 {
                assert!(got.iter().all(|v| v.is_nan()));
            } else {
                index.reconstruct(&[*id], &mut row).unwrap();
                assert_eq!(got, row);
            }
        }
        assert!(ids.contains(&-1), "some hits are missing in this test");
    }
}

#[test]
fn merge_parts_equal_the_whole() {
    for metric in METRICS {
        for description in ["Flat", "IVF7,Flat", "IVF7,SQfp16", "IVF7,SQbf16"] {
            let all = vectors(2, 0..600);
            let part = |from: i64, to: i64, shift: i64| -> BTreeMap<i64, Vec<f32>> {
                all.range(from..to).map(|(&id, row)| (id - shift, row.clone())).collect()
            };
            let mut index = built(metric, description, &part(0, 250, 0));
            // The second part has removed vectors of its own, which must not come along.
            let mut second = built(metric, description, &part(250, 600, 250));
            second.add(matrix(&numbers(8, 40 * DIM)), None, 0, &Control::default()).unwrap();
            second.remove(&(350..390).collect::<Vec<_>>()).unwrap();
            assert_eq!(index.merge(&second, 250, 0, &Control::default()).unwrap(), 350);
            assert!(state(&index) == state(&built(metric, description, &all)), "{metric:?} {description}");
            assert_eq!((index.info().count, index.info().next_id), (600, 600));
            assert_eq!(second.info().count, 350);
        }
    }
}

#[test]
fn merge_of_unlike_or_clashing_is_refused_and_changes_nothing() {
    let mut index = built(Metric::L2, "IVF7,Flat", &vectors(2, 0..100));
    let before = state(&index);
    let none = Control::default();
    let mut refused = |other: &Index, add_id, part: &str| {
        let error = index.merge(other, add_id, 0, &none).unwrap_err().to_string();
        assert!(error.contains(part), "expected {part:?} in {error:?}");
        assert!(state(&index) == before);
    };
    let like = built(Metric::L2, "IVF7,Flat", &vectors(3, 0..50));
    refused(&like, 0, "in both indexes");
    refused(&like, 99, "id 99 is in both indexes");
    refused(&like, -1, "got 0 plus -1");
    refused(&like, i64::MAX - 49, "plus");
    refused(&built(Metric::InnerProduct, "IVF7,Flat", &vectors(3, 200..250)), 0, "expected the metric L2");
    refused(
        &built(Metric::L2, "IVF7,SQfp16", &vectors(3, 200..250)),
        0,
        "expected \"IVF7,Flat\", got \"IVF7,SQfp16\"",
    );
    let mut moved =
        Index::new(context(1, None), DIM, Metric::L2, "IVF7,Flat", &IndexOptions::default()).unwrap();
    refused(&moved, 0, "not trained");
    let mut centroids = numbers(1, NLIST * DIM);
    centroids[3 * DIM] += 1.0;
    moved.set_centroids(matrix(&centroids)).unwrap();
    refused(&moved, 0, "got another in list 3");
    let narrow = Index::new(context(1, None), 3, Metric::L2, "Flat", &IndexOptions::default()).unwrap();
    refused(&narrow, 0, "expected 12 columns, got 3");
    let repeats = IndexOptions { allow_duplicate_ids: true, ..Default::default() };
    let mut twice = Index::new(context(1, None), DIM, Metric::L2, "IVF7,Flat", &repeats).unwrap();
    twice.set_centroids(matrix(&numbers(1, NLIST * DIM))).unwrap();
    twice.add(matrix(&numbers(4, 2 * DIM)), Some(&[300, 300]), 0, &none).unwrap();
    refused(&twice, 0, "id 300 is twice in the index to merge");
    // An index that allows repetition takes them.
    assert_eq!(twice.merge(&like, 280, 0, &none).unwrap(), 50);
    assert_eq!(twice.ids().iter().filter(|&&id| id == 300).count(), 3);
}

#[test]
fn copy_is_equal_and_apart() {
    let mut index = built(Metric::Cosine, "IVF7,SQfp16", &vectors(2, 0..300));
    index.remove(&[5, 6, 7]).unwrap();
    let before = state(&index);
    let copy = index.copy(context(1, Some("scalar"))).unwrap();
    assert!(copy.context().kernel_name() == "scalar" && copy.context().threads() == 1);
    let same = index.copy(index.context().clone()).unwrap();
    assert_eq!(same.info().dead, 3);
    index.reset();
    assert!(state(&same) == before);
    assert_eq!((copy.ids(), copy.describe(), copy.info().next_id), (same.ids(), same.describe(), 300));
    let untrained =
        Index::new(context(1, None), DIM, Metric::L2, "IVF,Flat", &IndexOptions::default()).unwrap();
    assert_eq!(untrained.copy(context(1, None)).unwrap().describe(), "IVF,Flat");
}
