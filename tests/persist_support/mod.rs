//! Indexes of every kind that files have to keep, and what it means that two are equal.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;

use ivf::{
    Context, ContextOptions, Control, Index, IndexOptions, LoadOptions, MatrixRef, Metric, Result,
    SearchOptions, SearchOutput,
};

pub(crate) const DIM: usize = 6;

pub(crate) fn context(threads: usize) -> Arc<Context> {
    Arc::new(Context::new(&ContextOptions { threads, ..Default::default() }).unwrap())
}

/// Rows that look random and are the same for ever: multiples of 1/64 in -4..4.
pub(crate) fn rows(seed: u32, n: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from((state >> 23) as u16) / 64.0 - 4.0
    };
    (0..n * DIM).map(|_| next()).collect()
}

pub(crate) fn matrix(data: &[f32]) -> MatrixRef<'_> {
    MatrixRef::new("rows", data, data.len() / DIM, DIM).unwrap()
}

pub(crate) fn create(metric: Metric, description: &str, options: &IndexOptions) -> Index {
    Index::new(context(2), DIM, metric, description, options).unwrap()
}

/// An IVF index whose centroids are the first rows of `seed`'s, so that no k-means is needed.
pub(crate) fn trained(metric: Metric, nlist: usize, options: &IndexOptions) -> Index {
    let mut index = create(metric, &format!("IVF{nlist},Flat"), options);
    index.set_centroids(matrix(&rows(99, nlist))).unwrap();
    index
}

pub(crate) fn add(index: &mut Index, seed: u32, n: usize, ids: Option<&[i64]>) {
    index.add(matrix(&rows(seed, n)), ids, 0, &Control::default()).unwrap();
}

/// Every kind of index: name and index.
pub(crate) fn kinds() -> Vec<(&'static str, Index)> {
    let plain = IndexOptions::default();
    let mut flat = create(Metric::L2, "Flat", &plain);
    add(&mut flat, 1, 77, None);
    let mut flat_own = create(Metric::InnerProduct, "Flat", &plain);
    add(&mut flat_own, 2, 40, Some(&(0..40).map(|i| 1_000_000_007 * i).collect::<Vec<_>>()));
    let mut flat_removed = create(Metric::Cosine, "Flat", &plain);
    add(&mut flat_removed, 3, 50, None);
    assert_eq!(flat_removed.remove(&[0, 7, 49]).unwrap(), 3);
    let mut ivf = trained(Metric::L2, 5, &plain);
    add(&mut ivf, 4, 300, None);
    let mut ivf_removed = trained(Metric::InnerProduct, 5, &IndexOptions { nprobe: 3, ..plain.clone() });
    add(&mut ivf_removed, 5, 300, None);
    assert_eq!(ivf_removed.remove(&(0..300).step_by(9).collect::<Vec<_>>()).unwrap(), 34);
    let mut cosine = trained(Metric::Cosine, 64, &plain);
    add(&mut cosine, 6, 100, Some(&(0..100).map(|i| 5 * i + 3).collect::<Vec<_>>()));
    let mut twice = trained(Metric::L2, 3, &IndexOptions { allow_duplicate_ids: true, ..plain.clone() });
    add(&mut twice, 7, 20, Some(&[42; 20]));
    add(&mut twice, 8, 20, None);
    let mut reset = trained(Metric::L2, 3, &plain);
    add(&mut reset, 9, 20, None);
    reset.reset();
    let soar = IndexOptions { soar: 1.0, ..plain.clone() };
    let mut copied = trained(Metric::L2, 5, &soar);
    add(&mut copied, 10, 90, None);
    assert_eq!(copied.remove(&[0, 7, 89]).unwrap(), 3);
    let mut copied_refined = create(Metric::InnerProduct, "IVF4,SQfp16,RFlat", &soar);
    copied_refined.set_centroids(matrix(&rows(99, 4))).unwrap();
    add(&mut copied_refined, 11, 90, Some(&(0..90).map(|i| 5 * i + 3).collect::<Vec<_>>()));
    vec![
        ("flat empty", create(Metric::Cosine, "Flat", &plain)),
        ("flat", flat),
        ("flat own ids", flat_own),
        ("flat removed", flat_removed),
        ("ivf size not chosen", create(Metric::L2, "IVF,Flat", &plain)),
        (
            "ivf untrained",
            create(Metric::InnerProduct, "IVF7,Flat", &IndexOptions { nprobe: 2, ..plain.clone() }),
        ),
        ("ivf trained", trained(Metric::L2, 4, &plain)),
        ("ivf", ivf),
        ("ivf removed", ivf_removed),
        ("ivf cosine", cosine),
        ("ivf duplicate ids", twice),
        ("ivf reset", reset),
        ("ivf copied untrained", create(Metric::L2, "IVF7,Flat", &soar)),
        ("ivf copied", copied),
        ("ivf copied refined", copied_refined),
    ]
}

/// Results of some queries: distances, ids, hits.
pub(crate) fn results(index: &Index, options: &SearchOptions) -> (Vec<f32>, Vec<i64>, Vec<u64>) {
    const K: usize = 9;
    let queries = rows(1234, 11);
    let queries = matrix(&queries);
    let n = queries.rows();
    let (mut distances, mut ids, mut hits) = (vec![0.0; n * K], vec![0; n * K], vec![0; n]);
    let output = SearchOutput { distances: &mut distances, ids: &mut ids, hits: Some(&mut hits) };
    index.search(queries, K, options, output, &Control::default()).unwrap();
    (distances, ids, hits)
}

/// Fails unless both are the same index to every caller, now and after more is added.
pub(crate) fn assert_equal(a: &Index, b: &Index, what: &str) {
    let info = |index: &Index| {
        let mut info = index.info();
        // Growth and mapped memory are no part of the index.
        (info.memory_bytes, info.vector_bytes) = (0, 0);
        info
    };
    assert_eq!(info(a), info(b), "{what}");
    assert_eq!(a.describe(), b.describe(), "{what}");
    assert_eq!(a.list_sizes(), b.list_sizes(), "{what}");
    assert_eq!(a.centroids().ok(), b.centroids().ok(), "{what}");
    if !a.info().trained {
        return;
    }
    for options in [
        SearchOptions::default(),
        SearchOptions { nprobe: usize::MAX, ..Default::default() },
        SearchOptions { nprobe: usize::MAX, max_codes: 13, ..Default::default() },
    ] {
        assert_eq!(results(a, &options), results(b, &options), "{what}");
    }
    let ids: Vec<i64> = results(a, &SearchOptions::default()).1.into_iter().filter(|&id| id >= 0).collect();
    let vectors = |index: &Index| {
        let mut out = vec![0.0; ids.len() * DIM];
        index.reconstruct(&ids, &mut out).unwrap();
        out
    };
    assert_eq!(vectors(a), vectors(b), "{what}");
}

pub(crate) fn to_bytes(index: &Index) -> Vec<u8> {
    let mut bytes = Vec::new();
    index.serialize(&mut bytes).unwrap();
    bytes
}

pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Index> {
    Index::deserialize(context(1), bytes, &LoadOptions::default(), &Control::default())
}

pub(crate) fn load(path: &Path, options: &LoadOptions) -> Result<Index> {
    Index::load(context(2), path, options, &Control::default())
}

pub(crate) fn save(index: &Index, path: &Path) {
    index.save(path, &Control::default()).unwrap();
}
