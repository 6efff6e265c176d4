//! A file of every format version that was ever written loads for ever.
//!
//! The files in tests/golden are never written anew. A new version of the format gets files of its own:
//! `IVF_WRITE_GOLDEN=v2 cargo test --test persist_golden` makes them, then its name is added to `VERSIONS`.

#![allow(clippy::unwrap_used, reason = "tests")]

mod persist_support;

use std::fs;
use std::path::PathBuf;

use ivf::{Control, Index, IndexOptions, ListOrder, LoadOptions, Metric};
use persist_support::*;

const VERSIONS: [&str; 1] = ["v1"];

fn golden(version: &str, name: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    root.join(version).join(format!("{name}.ivf"))
}

/// What the files hold. Nothing here may change: add to it instead.
fn content() -> Vec<(&'static str, Index)> {
    let mut flat = create(Metric::L2, "Flat", &IndexOptions::default());
    add(&mut flat, 1, 40, None);
    flat.remove(&[3, 39]).unwrap();
    let own = IndexOptions { nprobe: 2, allow_duplicate_ids: true, ..Default::default() };
    let mut ivf = trained(Metric::InnerProduct, 4, &own);
    add(&mut ivf, 2, 50, Some(&(0..50).map(|i| i / 2 * 1_000_000_007).collect::<Vec<_>>()));
    let mut cosine = trained(Metric::Cosine, 3, &IndexOptions::default());
    add(&mut cosine, 3, 20, None);
    let untrained = create(Metric::L2, "IVF,Flat", &IndexOptions { nprobe: 5, ..Default::default() });
    vec![("flat", flat), ("ivf", ivf), ("cosine", cosine), ("untrained", untrained)]
}

/// What `RaBitQ` codes are held as, files of their own.
fn codes() -> Vec<(&'static str, Index)> {
    let mut flat = create(Metric::L2, "RaBitQ", &IndexOptions::default());
    flat.train(matrix(&rows(4, 30)), &Default::default(), &Control::default()).unwrap();
    let mut ivf = create(Metric::InnerProduct, "IVF4,RaBitQ5", &IndexOptions::default());
    ivf.set_centroids(matrix(&rows(99, 4))).unwrap();
    for index in [&mut flat, &mut ivf] {
        add(index, 5, 50, None);
        index.remove(&[7, 49]).unwrap();
    }
    vec![("rabitq", flat), ("ivf_rabitq5", ivf)]
}

/// What product codes are held as, a file of its own. As many rows as words are the words, however they are found.
fn words() -> Vec<(&'static str, Index)> {
    let mut index = create(Metric::L2, "IVF4,PQ1x4fsr", &IndexOptions::default());
    index.set_centroids(matrix(&rows(99, 4))).unwrap();
    index.train(matrix(&rows(4, 16)), &Default::default(), &Control::default()).unwrap();
    add(&mut index, 5, 50, None);
    index.remove(&[7, 49]).unwrap();
    vec![("ivf_pq1x4fsr", index)]
}

/// What is kept to refine with, a file of its own.
fn refined() -> Vec<(&'static str, Index)> {
    let mut index = create(Metric::L2, "IVF4,SQfp16,Refine(SQ6)", &IndexOptions::default());
    index.set_centroids(matrix(&rows(99, 4))).unwrap();
    index.train(matrix(&rows(4, 30)), &Default::default(), &Control::default()).unwrap();
    add(&mut index, 5, 50, None);
    index.remove(&[7, 49]).unwrap();
    vec![("ivf_refined", index)]
}

/// Lists kept best first, a file of its own.
fn ordered() -> Vec<(&'static str, Index)> {
    let options = IndexOptions { list_order: ListOrder::BestFirst, ..Default::default() };
    let mut index = trained(Metric::L2, 4, &options);
    add(&mut index, 6, 30, None);
    add(&mut index, 7, 40, None);
    index.remove(&[7, 49]).unwrap();
    vec![("ivf_ordered", index)]
}

/// Vectors in a second list too, a file of its own.
fn copied() -> Vec<(&'static str, Index)> {
    let mut index = create(Metric::L2, "IVF4,SQ8,RFlat", &IndexOptions { soar: 1.5, ..Default::default() });
    index.set_centroids(matrix(&rows(99, 4))).unwrap();
    index.train(matrix(&rows(4, 30)), &Default::default(), &Control::default()).unwrap();
    add(&mut index, 6, 30, None);
    add(&mut index, 7, 40, None);
    index.remove(&[7, 49]).unwrap();
    vec![("ivf_soar", index)]
}

fn all() -> impl Iterator<Item = (&'static str, Index)> {
    content().into_iter().chain(codes()).chain(words()).chain(refined()).chain(ordered()).chain(copied())
}

#[test]
fn load_golden_files_of_every_version_gives_what_was_saved() {
    if let Ok(version) = std::env::var("IVF_WRITE_GOLDEN") {
        for (name, index) in all() {
            let path = golden(&version, name);
            assert!(!path.exists(), "{} is for ever", path.display());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            index.save(&path, &Control::default()).unwrap();
        }
    }
    for version in VERSIONS {
        for (name, index) in all() {
            for memory_map in [false, true] {
                let options = LoadOptions { memory_map, ..Default::default() };
                let loaded = load(&golden(version, name), &options).unwrap();
                if name == "cosine" {
                    // Normalising may round otherwise one day.
                    assert_same_directions(&index, &loaded);
                } else {
                    assert_equal(&index, &loaded, &format!("{version} {name}"));
                }
            }
        }
    }
}

fn assert_same_directions(expected: &Index, got: &Index) {
    assert_eq!(expected.list_sizes(), got.list_sizes());
    assert_eq!(expected.info().metric, got.info().metric);
    let vectors = |index: &Index| {
        let mut out = vec![0.0; 20 * DIM];
        index.reconstruct(&(0..20).collect::<Vec<_>>(), &mut out).unwrap();
        out
    };
    for (a, b) in vectors(expected).iter().zip(vectors(got)) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
}
