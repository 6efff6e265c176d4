//! Indexes behind transforms: through every call, and to files and back.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::{context, numbers};
use ivf::{
    Context, Control, Error, Index, IndexOptions, LoadOptions, MatrixRef, Metric, SearchOptions,
    SearchOutput, TrainOptions,
};
use std::sync::Arc;

const DIM: usize = 24;
const COUNT: usize = 3000;

const DESCRIPTIONS: [&str; 12] = [
    "PCA12,Flat",
    "PCAR12,IVF16,Flat",
    "PCAW12,Flat",
    "PCAWR24,IVF16,SQfp16",
    "OPQ4,IVF16,Flat",
    "OPQ3_12,Flat",
    "RR,IVF16,Flat",
    "RR32,Flat",
    "HR,IVF16,Flat",
    "L2norm,Flat",
    "ITQ12,Flat",
    "Center,PCA20,RR16,L2norm,IVF16,Flat",
];

/// Rows of a few correlated directions.
fn rows(seed: u64, count: usize) -> Vec<f32> {
    let mix = numbers(77, DIM * DIM);
    let hidden = numbers(seed, count * DIM);
    let row = |hidden: &[f32], d: usize| {
        hidden.iter().zip(&mix[d * DIM..]).zip(1..).map(|((h, m), i)| h * m / i as f32).sum::<f32>() + 0.3
    };
    hidden.chunks(DIM).flat_map(|hidden| (0..DIM).map(move |d| row(hidden, d)).collect::<Vec<_>>()).collect()
}

fn matrix(rows: &[f32]) -> MatrixRef<'_> {
    MatrixRef::new("rows", rows, rows.len() / DIM, DIM).unwrap()
}

fn build(context: Arc<Context>, description: &str, metric: Metric) -> Index {
    let mut index = Index::new(context, DIM, metric, description, &IndexOptions::default()).unwrap();
    let x = rows(1, COUNT);
    index.train(matrix(&x), &TrainOptions::default(), &Control::default()).unwrap();
    index.add(matrix(&x), None, 0, &Control::default()).unwrap();
    index
}

fn search(index: &Index, queries: &[f32], k: usize, nprobe: usize) -> (Vec<f32>, Vec<i64>) {
    let count = queries.len() / DIM;
    let (mut distances, mut ids) = (vec![0.0; count * k], vec![0; count * k]);
    let output = SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
    let options = SearchOptions { nprobe, ..Default::default() };
    index.search(matrix(queries), k, &options, output, &Control::default()).unwrap();
    (distances, ids)
}

fn reconstruct(index: &Index, ids: &[i64]) -> Vec<f32> {
    let mut out = vec![0.0; ids.len() * DIM];
    index.reconstruct(ids, &mut out).unwrap();
    out
}

#[test]
fn index_behind_transforms_finds_its_own_rows() {
    let x = rows(1, COUNT);
    for metric in [Metric::L2, Metric::Cosine] {
        for description in DESCRIPTIONS {
            let index = build(context(2, None), description, metric);
            assert_eq!(index.describe(), description);
            let info = index.info();
            assert_eq!((info.dim, info.count), (DIM, COUNT));
            let (_, ids) = search(&index, &x[..200 * DIM], 1, 16);
            let right = ids.iter().zip(0..).filter(|&(&id, row)| id == row).count();
            assert!(right >= 199, "{description} {metric:?}: {right}");
        }
    }
}

#[test]
fn index_behind_a_rotation_finds_what_a_flat_one_does() {
    let queries = rows(2, 100);
    let flat = build(context(2, None), "Flat", Metric::L2);
    let (expected, expected_ids) = search(&flat, &queries, 10, 0);
    for description in
        ["RR,Flat", "RR40,Flat", "HR,Flat", "OPQ4,Flat", "PCA24,Flat", "PCAR24,Flat", "Center,Flat"]
    {
        let index = build(context(2, None), description, Metric::L2);
        let (distances, ids) = search(&index, &queries, 10, 0);
        let same = ids.iter().zip(&expected_ids).filter(|(a, b)| a == b).count();
        assert!(same >= 998, "{description}: {same}");
        for (a, b) in distances.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-4 * b.max(0.1), "{description}: {a} {b}");
        }
        for (a, b) in reconstruct(&index, &[0, 17, 2999]).iter().zip(reconstruct(&flat, &[0, 17, 2999])) {
            assert!((a - b).abs() < 1e-4, "{description}: {a} {b}");
        }
    }
}

#[test]
fn index_behind_pca_reconstructs_what_the_components_keep() {
    let flat = build(context(2, None), "Flat", Metric::L2);
    let ids: Vec<i64> = (0..200).collect();
    let rows = reconstruct(&flat, &ids);
    let error = |description: &str| {
        let back = reconstruct(&build(context(2, None), description, Metric::L2), &ids);
        back.iter().zip(&rows).map(|(a, b)| (a - b) * (a - b)).sum::<f32>()
    };
    let (few, many, white) = (error("PCA4,Flat"), error("PCA16,Flat"), error("PCAW16,Flat"));
    assert!(many < few * 0.2, "{many} {few}");
    assert!((white - many).abs() < 0.01 * many, "{white} {many}");
}

#[test]
fn index_saved_and_loaded_gives_the_same_bits() {
    let queries = rows(3, 50);
    for description in DESCRIPTIONS {
        let index = build(context(1, None), description, Metric::L2);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        index.save(&path, &Control::default()).unwrap();
        for memory_map in [false, true] {
            let options = LoadOptions { memory_map, ..Default::default() };
            let loaded = Index::load(context(2, None), &path, &options, &Control::default()).unwrap();
            assert_eq!(loaded.describe(), description);
            assert_eq!(loaded.info().dim, DIM);
            assert_eq!(search(&loaded, &queries, 5, 4), search(&index, &queries, 5, 4), "{description}");
            assert_eq!(reconstruct(&loaded, &[3, 4]), reconstruct(&index, &[3, 4]), "{description}");
        }
    }
}

#[test]
fn index_untrained_is_saved_and_trained_later() {
    for description in ["PCA12,IVF16,Flat", "OPQ4,Flat", "ITQ12,Flat", "Center,RR,Flat"] {
        let index =
            Index::new(context(1, None), DIM, Metric::L2, description, &IndexOptions::default()).unwrap();
        assert!(!index.info().trained);
        let mut bytes = Vec::new();
        index.serialize(&mut bytes).unwrap();
        let mut loaded =
            Index::deserialize(context(1, None), &bytes, &LoadOptions::default(), &Control::default())
                .unwrap();
        let x = rows(1, COUNT);
        let error = loaded.add(matrix(&x), None, 0, &Control::default()).unwrap_err();
        assert!(matches!(error, Error::NotTrained));
        loaded.train(matrix(&x), &TrainOptions::default(), &Control::default()).unwrap();
        loaded.add(matrix(&x), None, 0, &Control::default()).unwrap();
        let queries = rows(5, 20);
        let direct = build(context(1, None), description, Metric::L2);
        assert_eq!(search(&loaded, &queries, 3, 2), search(&direct, &queries, 3, 2));
    }
}

#[test]
fn index_update_and_wrong_columns() {
    let mut index = build(context(1, None), "PCA12,IVF16,Flat", Metric::L2);
    let new = rows(9, 1);
    index.update(&[7], matrix(&new), 0, &Control::default()).unwrap();
    assert_eq!(search(&index, &new, 1, 16).1, [7]);
    let narrow = vec![0.5; 12];
    let narrow = MatrixRef::new("rows", &narrow, 1, 12).unwrap();
    let error = index.add(narrow, None, 0, &Control::default()).unwrap_err();
    assert!(matches!(error, Error::Dimension { expected: DIM, got: 12, .. }), "{error}");
    assert_eq!(index.centroids().unwrap().len(), 16 * 12);
    assert_eq!(index.info().list_dim, 12);
}

#[test]
fn index_description_that_does_not_fit_is_refused() {
    for (description, text) in [("PCA25,Flat", "25"), ("OPQ5,Flat", "OPQ5"), ("RR10,PCA12,Flat", "PCA12")] {
        let error = Index::new(context(1, None), DIM, Metric::L2, description, &IndexOptions::default())
            .err()
            .unwrap();
        assert!(error.to_string().contains(text), "{error}");
    }
    let mut index =
        Index::new(context(1, None), DIM, Metric::L2, "Linear12,Flat", &IndexOptions::default()).unwrap();
    let x = rows(1, 300);
    let error = index.train(matrix(&x), &TrainOptions::default(), &Control::default()).unwrap_err();
    assert!(matches!(error, Error::State(_)), "{error}");
}

#[test]
fn index_failed_training_leaves_it_untrained() {
    let mut index =
        Index::new(context(1, None), DIM, Metric::L2, "PCA12,IVF1000,Flat", &IndexOptions::default())
            .unwrap();
    let x = rows(1, 300);
    assert!(index.train(matrix(&x), &TrainOptions::default(), &Control::default()).is_err());
    assert!(!index.info().trained);
    let centroids = vec![0.0; 1000 * 12];
    let centroids = MatrixRef::new("centroids", &centroids, 1000, 12).unwrap();
    assert!(matches!(index.set_centroids(centroids), Err(Error::State(_))));
}

#[test]
fn index_damaged_transforms_are_refused() {
    let index = build(context(1, None), "PCA12,Flat", Metric::L2);
    let mut bytes = Vec::new();
    index.serialize(&mut bytes).unwrap();
    let at = bytes.windows(4).position(|window| window == b"Pcam").unwrap();
    for place in [at, at + 4, at + 30] {
        let mut bytes = bytes.clone();
        bytes[place] ^= 0x55;
        let error =
            Index::deserialize(context(1, None), &bytes, &LoadOptions::default(), &Control::default());
        assert!(matches!(error.err().unwrap(), Error::Corrupt(_)));
    }
}

#[test]
fn index_merge_asks_for_the_same_transforms_and_a_copy_has_them() {
    let mut index = build(context(1, None), "PCA12,Flat", Metric::L2);
    let copy = index.copy(context(1, None)).unwrap();
    let queries = rows(3, 20);
    assert_eq!(search(&copy, &queries, 5, 0), search(&index, &queries, 5, 0));
    assert_eq!(index.merge(&copy, 10_000, 0, &Control::default()).unwrap(), COUNT);
    let mut other =
        Index::new(context(1, None), DIM, Metric::L2, "PCA12,Flat", &IndexOptions::default()).unwrap();
    let x = rows(8, 500);
    other.train(matrix(&x), &TrainOptions::default(), &Control::default()).unwrap();
    let error = index.merge(&other, 0, 0, &Control::default()).unwrap_err();
    assert!(error.to_string().contains("transforms"), "{error}");
}
