//! Many lists: centroids found by levels (`Seeding::Hierarchical`), and looked up by groups (`IVFn_HNSWm`).

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests")]

mod common;
mod kmeans_support;

use std::sync::Arc;

use common::{Found, context, numbers, search, words};
use ivf::{
    Context, Control, Error, Index, IndexOptions, KMeansOptions, LoadOptions, MatrixRef, Metric,
    SearchOptions, Seeding, TrainOptions, kmeans,
};
use kmeans_support::objective;

const DIM: usize = 50;
const NLIST: usize = 4500;
const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];

fn matrix(rows: &[f32], dim: usize) -> MatrixRef<'_> {
    MatrixRef::new("rows", rows, rows.len() / dim, dim).unwrap()
}

/// Filled with `x`, its centroids every so many-th row.
fn filled(context: Arc<Context>, description: &str, metric: Metric, x: &[f32]) -> Index {
    let mut index = Index::new(context, DIM, metric, description, &IndexOptions::default()).unwrap();
    let mut centroids: Vec<f32> = x.chunks(DIM).step_by(4).take(NLIST).flatten().copied().collect();
    if metric != Metric::L2 {
        // As training leaves them.
        for row in centroids.chunks_mut(DIM) {
            let length = row.iter().map(|v| v * v).sum::<f32>().sqrt();
            row.iter_mut().for_each(|v| *v /= length);
        }
    }
    index.set_centroids(matrix(&centroids, DIM)).unwrap();
    index.add(matrix(x, DIM), None, 0, &Control::default()).unwrap();
    index
}

fn grouped() -> String {
    format!("IVF{NLIST}_HNSW32,Flat")
}

fn probes(nprobe: usize) -> SearchOptions<'static> {
    SearchOptions { nprobe, ..Default::default() }
}

fn share(found: &Found, of: &Found) -> f64 {
    let rows = found.ids.chunks(10).zip(of.ids.chunks(10));
    let hits: usize = rows.map(|(a, b)| a.iter().filter(|id| b.contains(id)).count()).sum();
    hits as f64 / of.ids.len() as f64
}

#[test]
fn groups_all_lists_visited_is_exact() {
    let x = words();
    let (queries, x) = x.split_at(300 * DIM);
    for metric in METRICS {
        let index = filled(context(2, None), &grouped(), metric, x);
        let mut flat = Index::new(context(2, None), DIM, metric, "Flat", &IndexOptions::default()).unwrap();
        flat.add(matrix(x, DIM), None, 0, &Control::default()).unwrap();
        assert_eq!(
            search(&index, queries, 10, &probes(NLIST)),
            search(&flat, queries, 10, &probes(0)),
            "{metric:?}"
        );
    }
}

#[test]
fn groups_find_nearly_what_all_centroids_find() {
    let x = words();
    let (queries, x) = x.split_at(1000 * DIM);
    for metric in METRICS {
        let index = filled(context(2, None), &grouped(), metric, x);
        let every = filled(context(2, None), &format!("IVF{NLIST},Flat"), metric, x);
        for nprobe in [1, 8, 40] {
            let exact = search(&index, queries, 10, &probes(NLIST));
            let by_groups = share(&search(&index, queries, 10, &probes(nprobe)), &exact);
            let by_all = share(&search(&every, queries, 10, &probes(nprobe)), &exact);
            assert!(by_groups > by_all - 0.04, "{metric:?}, nprobe {nprobe}: {by_groups} against {by_all}");
        }
    }
}

#[test]
fn groups_one_query_or_many_on_any_threads_the_same() {
    let x = words();
    let queries = &x[..64 * DIM];
    let many = search(&filled(context(3, None), &grouped(), Metric::L2, &x), queries, 10, &probes(9));
    let index = filled(context(1, None), &grouped(), Metric::L2, &x);
    let mut one = Found::default();
    for query in queries.chunks(DIM) {
        one.append(search(&index, query, 10, &probes(9)));
    }
    assert_eq!(one, many);
}

#[test]
fn groups_survive_files_and_copies() {
    let x = words();
    let queries = &x[..100 * DIM];
    let index = filled(context(2, None), &grouped(), Metric::L2, &x);
    assert_eq!(index.describe(), grouped());
    let expected = search(&index, queries, 10, &probes(7));
    let bytes = bytes(&index);
    let loaded = load(&bytes).unwrap();
    assert_eq!(loaded.describe(), grouped());
    assert_eq!(search(&loaded, queries, 10, &probes(7)), expected);
    assert_eq!(self::bytes(&loaded), bytes);
    let mut copy = index.copy(context(2, None)).unwrap();
    assert_eq!(search(&copy, queries, 10, &probes(7)), expected);
    copy.reset();
    assert_eq!(copy.merge(&loaded, 0, 0, &Control::default()).unwrap(), x.len() / DIM);
    assert_eq!(search(&copy, queries, 10, &probes(7)), expected);
}

#[test]
fn groups_damaged_are_refused() {
    let index = filled(context(2, None), &grouped(), Metric::L2, &words());
    let good = bytes(&index);
    let entry = good.windows(4).position(|tag| tag == b"TREE").unwrap();
    let number = |at: usize| u64::from_le_bytes(good[at..at + 8].try_into().unwrap()) as usize;
    let (start, length) = (number(entry + 8), number(entry + 16));
    let groups = u32::from_le_bytes(good[start..start + 4].try_into().unwrap());
    assert_eq!(length, 4 + (groups as usize * DIM + NLIST) * 4);
    let last = start + length - 4;
    for (place, value) in [
        (start, u32::MAX),
        (start, 0),
        (start, groups + 1),
        (start + 4, f32::NAN.to_bits()),
        (last, groups),
        (last, u32::MAX),
    ] {
        let mut bad = good.clone();
        bad[place..place + 4].copy_from_slice(&value.to_le_bytes());
        assert!(
            matches!(load(&sealed(bad, entry, start, length)), Err(Error::Corrupt(_))),
            "{place} {value}"
        );
    }
    // Nobody belongs to the last group.
    let mut bad = good.clone();
    for label in bad[last + 4 - NLIST * 4..last + 4].chunks_exact_mut(4) {
        if label == (groups - 1).to_le_bytes() {
            label.copy_from_slice(&0u32.to_le_bytes());
        }
    }
    assert!(matches!(load(&sealed(bad, entry, start, length)), Err(Error::Corrupt(_))));
}

/// With checksums that fit: of the section, and of header and table.
fn sealed(mut bytes: Vec<u8>, entry: usize, start: usize, length: usize) -> Vec<u8> {
    let sum = crc32fast::hash(&bytes[start..start + length]);
    bytes[entry + 24..entry + 28].copy_from_slice(&sum.to_le_bytes());
    let sections = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..60]);
    hasher.update(&bytes[64..64 + 32 * sections]);
    bytes[60..64].copy_from_slice(&hasher.finalize().to_le_bytes());
    bytes
}

fn bytes(index: &Index) -> Vec<u8> {
    let mut bytes = Vec::new();
    index.serialize(&mut bytes).unwrap();
    bytes
}

fn load(bytes: &[u8]) -> Result<Index, Error> {
    Index::deserialize(context(2, None), bytes, &LoadOptions::default(), &Control::default())
}

#[test]
fn groups_few_lists_are_searched_one_by_one() {
    let x = words();
    for (description, same) in
        [("IVF64_HNSW32,SQ8", "IVF64,SQ8"), ("L2norm,IVF64_HNSW,Flat", "L2norm,IVF64,Flat")]
    {
        let [found, expected] = [description, same].map(|description| {
            let mut index =
                Index::new(context(2, None), DIM, Metric::L2, description, &IndexOptions::default()).unwrap();
            index.train(matrix(&x, DIM), &TrainOptions::default(), &Control::default()).unwrap();
            index.add(matrix(&x, DIM), None, 0, &Control::default()).unwrap();
            search(&index, &x[..100 * DIM], 10, &probes(3))
        });
        assert_eq!(found, expected);
    }
}

fn cluster(threads: usize, x: &[f32], dim: usize, k: usize, options: &KMeansOptions) -> ivf::KMeans {
    let options = KMeansOptions { seeding: Seeding::Hierarchical, ..options.clone() };
    kmeans(&context(threads, None), matrix(x, dim), k, &options, &Control::default()).unwrap()
}

#[test]
fn hierarchical_any_number_of_threads_same_bits() {
    let x = numbers(3, 6000 * 19);
    for spherical in [false, true] {
        let options = KMeansOptions { spherical, ..Default::default() };
        let one = cluster(1, &x, 19, 200, &options);
        for threads in [2, 3] {
            let many = cluster(threads, &x, 19, 200, &options);
            assert_eq!(one.centroids, many.centroids, "{threads} threads");
            assert_eq!(one.objective.to_bits(), many.objective.to_bits(), "{threads} threads");
        }
    }
}

#[test]
fn hierarchical_objective_is_within_a_few_percent() {
    let x = words();
    for k in [128, 500, 2000] {
        let default = KMeansOptions { iterations: 10, ..Default::default() };
        let full = kmeans(&context(2, None), matrix(&x, DIM), k, &default, &Control::default()).unwrap();
        let found = cluster(2, &x, DIM, k, &default);
        let [full, found] = [full, found].map(|found| objective(&x, DIM, &found.centroids));
        assert!(found < full * 1.03, "{k}: {found} against {full}");
    }
}

#[test]
fn hierarchical_hard_data_ends_finite() {
    // All points equal; nearly as many centroids as points; copies beside a few others.
    let mut copies = vec![0.5; 3000 * 4];
    copies[..300 * 4].copy_from_slice(&numbers(5, 300 * 4));
    for (x, k) in
        [(vec![3.0; 1000 * 4], 150), (numbers(6, 1000 * 4), 999), (numbers(7, 200 * 4), 200), (copies, 400)]
    {
        for spherical in [false, true] {
            for iterations in [0, 1, 2] {
                let options = KMeansOptions { spherical, iterations, ..Default::default() };
                let found = cluster(2, &x, 4, k, &options);
                assert_eq!(found.centroids.len(), k * 4);
                assert!(found.centroids.iter().all(|c| c.is_finite()), "{k}");
            }
        }
    }
}

#[test]
fn hierarchical_trains_an_index_of_groups() {
    let x = words();
    let mut index =
        Index::new(context(2, None), DIM, Metric::L2, &grouped(), &IndexOptions::default()).unwrap();
    let kmeans = KMeansOptions { seeding: Seeding::Hierarchical, ..Default::default() };
    let control = Control::default();
    index.train(matrix(&x, DIM), &TrainOptions { kmeans, ..Default::default() }, &control).unwrap();
    index.add(matrix(&x, DIM), None, 0, &control).unwrap();
    let found = search(&index, &x[..200 * DIM], 1, &probes(4));
    // A word lies in the list nearest to it, nearly always.
    let own = found.ids.iter().zip(0..).filter(|&(&id, row)| id == row).count();
    assert!(own >= 195, "{own} of 200");
}
