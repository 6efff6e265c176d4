//! Two-stage search (`RFlat`, `Refine(..)`): the best by their codes, compared again with rows that are kept beside.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;

use common::{Found, context, search, words};
use ivf::{
    Context, Control, Error, Filter, Index, IndexOptions, LoadOptions, MatrixRef, Metric, SearchOptions,
    TrainOptions, TuneOptions,
};

const DIM: usize = 50;
const N: usize = 4000;
const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];
const STRINGS: [&str; 8] = [
    "SQ4,RFlat",
    "RaBitQ,RFlat",
    "IVF16,SQ8,RFlat",
    "IVF16,SQ4,Refine(SQfp16)",
    "IVF16,RaBitQ,Refine(SQ8)",
    "IVF16,SQfp16,RFlat",
    "PCA32,IVF16,SQ8,RFlat",
    "L2norm,IVF16,RaBitQ2,Refine(SQbf16)",
];

fn matrix(rows: &[f32]) -> MatrixRef<'_> {
    MatrixRef::new("rows", rows, rows.len() / DIM, DIM).unwrap()
}

fn filled(context: Arc<Context>, description: &str, metric: Metric, x: &[f32]) -> Index {
    let mut index = Index::new(context, DIM, metric, description, &IndexOptions::default()).unwrap();
    index.train(matrix(x), &TrainOptions::default(), &Control::default()).unwrap();
    index.add(matrix(x), None, 0, &Control::default()).unwrap();
    index
}

fn options(k_factor: f32) -> SearchOptions<'static> {
    SearchOptions { nprobe: 1000, k_factor, ..Default::default() }
}

fn decoded(index: &Index) -> Vec<f32> {
    let mut out = vec![0.0; index.info().count * DIM];
    index.reconstruct_range(0, index.info().count, &mut out).unwrap();
    out
}

fn bytes(index: &Index) -> Vec<u8> {
    let mut bytes = Vec::new();
    index.serialize(&mut bytes).unwrap();
    bytes
}

#[test]
fn all_candidates_compared_again_is_the_search_of_the_kept_rows() {
    let x = &words()[..N * DIM];
    let queries = &x[..40 * DIM];
    for description in STRINGS {
        for metric in METRICS {
            let index = filled(context(2, None), description, metric, x);
            assert_eq!(index.describe(), description);
            // What is kept came in before the transforms.
            let mut flat =
                Index::new(context(2, None), DIM, metric, "Flat", &IndexOptions::default()).unwrap();
            flat.add(matrix(&decoded(&index)), None, 0, &Control::default()).unwrap();
            let found = search(&index, queries, 10, &options(1e6));
            let expected = search(&flat, queries, 10, &options(0.0));
            if metric == Metric::Cosine {
                // Kept rows are of length 1 up to their rounding.
                let near = |a: &f32, b: &f32| (a - b).abs() < 0.02;
                assert!(
                    found.distances.iter().zip(&expected.distances).all(|(a, b)| near(a, b)),
                    "{description}"
                );
            } else {
                assert_eq!(found, expected, "{description} {metric:?}");
            }
        }
    }
}

#[test]
fn float32_rows_are_exact_and_more_candidates_find_more() {
    let x = &words()[..N * DIM];
    let (queries, x) = x.split_at(200 * DIM);
    for description in ["RaBitQ,RFlat", "IVF16,SQ4,RFlat", "OPQ10,IVF16,RaBitQ,RFlat"] {
        let index = filled(context(2, None), description, Metric::L2, x);
        assert_eq!(decoded(&index), x);
        let exact = search(&filled(context(2, None), "Flat", Metric::L2, x), queries, 10, &options(0.0));
        let mut before = 0.0;
        for k_factor in [1.0, 3.0, 10.0, 40.0] {
            let found = search(&index, queries, 10, &options(k_factor));
            for (query, row) in queries.chunks(DIM).zip(found.ids.chunks(10).zip(found.distances.chunks(10)))
            {
                for (&id, &distance) in row.0.iter().zip(row.1) {
                    let row = &x[usize::try_from(id).unwrap() * DIM..][..DIM];
                    let true_distance: f64 =
                        query.iter().zip(row).map(|(a, b)| f64::from(a - b).powi(2)).sum();
                    assert!((f64::from(distance) - true_distance).abs() <= 1e-5 * true_distance);
                }
            }
            let recall = share(&found, &exact);
            assert!(recall >= before, "{description} {k_factor}: {recall} after {before}");
            before = recall;
        }
        assert!(before > 0.995, "{description}: {before}");
    }
}

fn share(found: &Found, of: &Found) -> f64 {
    let rows = found.ids.chunks(10).zip(of.ids.chunks(10));
    let hits: usize = rows.map(|(a, b)| a.iter().filter(|id| b.contains(id)).count()).sum();
    hits as f64 / of.ids.len() as f64
}

#[test]
fn any_threads_batches_and_files_give_the_same() {
    let x = &words()[..N * DIM];
    let queries = &x[..130 * DIM];
    let path = std::env::temp_dir().join(format!("ivf-refine-{}", std::process::id()));
    for description in STRINGS {
        let index = filled(context(1, None), description, Metric::L2, x);
        let expected = search(&index, queries, 7, &options(3.0));
        let copy = index.copy(context(3, None)).unwrap();
        assert_eq!(search(&copy, queries, 7, &options(3.0)), expected, "{description}");
        let mut one = Found::default();
        queries.chunks(DIM).for_each(|query| one.append(search(&copy, query, 7, &options(3.0))));
        assert_eq!(one, expected, "{description}");

        let saved = bytes(&index);
        index.save(&path, &Control::default()).unwrap();
        for memory_map in [false, true] {
            let load = LoadOptions { memory_map, ..Default::default() };
            let loaded = Index::load(context(2, None), &path, &load, &Control::default()).unwrap();
            assert_eq!(search(&loaded, queries, 7, &options(3.0)), expected, "{description}");
            assert_eq!(decoded(&loaded), decoded(&index));
            assert_eq!(bytes(&loaded), saved);
        }
        Index::check(context(1, None), &path, 1, &Control::default()).unwrap();
        let exported = index.export_faiss(&path.with_extension("faiss"), &Control::default());
        assert!(matches!(exported, Err(Error::Unsupported(_))), "{exported:?}");
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn changes_keep_rows_and_codes_together() {
    let x = &words()[..N * DIM];
    for description in STRINGS {
        let mut index = filled(context(2, None), description, Metric::L2, &x[..3000 * DIM]);
        let moved: Vec<i64> = (100..400).collect();
        index.update(&moved, matrix(&x[3000 * DIM..3300 * DIM]), 0, &Control::default()).unwrap();
        index.remove(&(0..100).collect::<Vec<_>>()).unwrap();
        index.remove_filter(&Filter::range(2500, 3000)).unwrap();
        index.compact().unwrap();
        let mut whole = filled(context(2, None), description, Metric::L2, x);
        whole.reset();
        let mut base = filled(context(2, None), description, Metric::L2, &x[..3000 * DIM]);
        base.reset();
        assert_eq!(base.merge(&index, 10_000, 0, &Control::default()).unwrap(), 2400);
        for (index, first) in [(&index, 0), (&base, 10_000)] {
            let mut row = vec![0.0; DIM];
            for (id, expected) in [(100, 3000), (399, 3299), (400, 400), (2499, 2499)] {
                index.reconstruct(&[first + id], &mut row).unwrap();
                let expected = &x[expected * DIM..(expected + 1) * DIM];
                let error: f32 = row.iter().zip(expected).map(|(a, b)| (a - b).powi(2)).sum();
                assert!(error < 0.02 * expected.iter().map(|v| v * v).sum::<f32>(), "{description}: {error}");
                let found = search(index, expected, 1, &options(50.0));
                assert_eq!(found.ids, [first + id], "{description}");
            }
            let filter = Filter::range(first + 400, first + 500);
            let narrow = SearchOptions { filter: Some(&filter), ..options(2.0) };
            let found = search(index, &x[..20 * DIM], 10, &narrow);
            assert!(found.ids.iter().all(|id| (first + 400..first + 500).contains(id)), "{description}");
            assert!(found.hits.iter().all(|&hits| hits == 10));
        }
    }
}

#[test]
fn range_search_tells_exact_distances_within_the_radius() {
    let x = &words()[..N * DIM];
    let index = filled(context(2, None), "IVF16,SQ8,RFlat", Metric::L2, x);
    let flat = filled(context(2, None), "Flat", Metric::L2, x);
    let found = index.range_search(matrix(&x[..50 * DIM]), 12.0, &options(0.0), &Control::default()).unwrap();
    let exact = flat.range_search(matrix(&x[..50 * DIM]), 12.0, &options(0.0), &Control::default()).unwrap();
    assert!(found.distances.iter().all(|&distance| distance < 12.0));
    let pairs: Vec<_> = exact.ids.iter().zip(&exact.distances).collect();
    assert!(
        found.ids.len() as f64 > 0.99 * exact.ids.len() as f64,
        "{} {}",
        found.ids.len(),
        exact.ids.len()
    );
    assert!(found.ids.iter().zip(&found.distances).all(|pair| pairs.contains(&pair)));
}

#[test]
fn recall_on_demand_counts_the_refinement() {
    let x = words();
    let (sample, x) = x.split_at(1000 * DIM);
    let mut index = filled(context(2, None), "IVF64,RaBitQ2,RFlat", Metric::L2, x);
    let tuned = index.tune(matrix(sample), 10, 0.9, &TuneOptions::default(), &Control::default()).unwrap();
    assert!(tuned.recall >= 0.9, "{tuned:?}");
    let exact = search(&filled(context(2, None), "Flat", Metric::L2, x), sample, 10, &options(0.0));
    let found = search(&index, sample, 10, &SearchOptions { target_recall: 0.9, ..Default::default() });
    assert!(share(&found, &exact) > 0.88);
}

#[test]
fn factors_without_a_refinement_or_below_one_are_refused() {
    let x = &words()[..500 * DIM];
    let refined = filled(context(1, None), "SQ8,RFlat", Metric::L2, x);
    let plain = filled(context(1, None), "SQ8", Metric::L2, x);
    for (index, k_factor) in [(&refined, 0.5), (&refined, f32::NAN), (&refined, -1.0), (&plain, 2.0)] {
        let (mut distances, mut ids) = ([0.0], [0]);
        let output = ivf::SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
        let error = index
            .search(matrix(&x[..DIM]), 1, &options(k_factor), output, &Control::default())
            .expect_err("refused");
        assert!(error.to_string().contains("k_factor: expected"), "{error}");
    }
    let refused =
        Index::new(context(1, None), DIM, Metric::L2, "SQ8,Refine(RaBitQ)", &IndexOptions::default());
    assert!(matches!(refused, Err(Error::Unsupported(_))));
}
