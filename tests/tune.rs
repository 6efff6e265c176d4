//! Recall on demand: what is asked for is what held-out queries get.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::Arc;

use ivf::{Control, Error, Index, IndexOptions, MatrixRef, Metric, SearchOptions, SearchOutput, TuneOptions};

fn index(metric: Metric, description: &str, x: MatrixRef<'_>) -> Index {
    let context = Arc::new(ivf::Context::new(&Default::default()).unwrap());
    let mut index = Index::new(context, x.dim(), metric, description, &IndexOptions::default()).unwrap();
    index.train(x, &Default::default(), &Control::default()).unwrap();
    index.add(x, None, 0, &Control::default()).unwrap();
    index
}

/// Distances `[n, k]`.
fn search(index: &Index, queries: MatrixRef<'_>, k: usize, options: &SearchOptions<'_>) -> Vec<f32> {
    let (mut distances, mut ids) = (vec![0.0; queries.rows() * k], vec![0; queries.rows() * k]);
    let output = SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
    index.search(queries, k, options, output, &Control::default()).unwrap();
    distances
}

/// The share of results no farther than the true k-th, found with a recall asked for.
fn recall(index: &Index, queries: MatrixRef<'_>, k: usize, asked: f32, similarity: bool) -> f64 {
    let exact = search(index, queries, k, &SearchOptions { nprobe: usize::MAX, ..Default::default() });
    let options = SearchOptions { target_recall: asked, ..Default::default() };
    let found = search(index, queries, k, &options);
    let reaches = |got: f32, bar: f32| if similarity { got >= bar } else { got <= bar };
    let rows = found.chunks_exact(k).zip(exact.chunks_exact(k));
    let hits: usize = rows.map(|(f, e)| f.iter().filter(|&&got| reaches(got, e[k - 1])).count()).sum();
    hits as f64 / found.len() as f64
}

/// 2000 rows to tune by and 2000 to judge by are held out of the index.
fn check_asked_is_got(rows: &[f32], dim: usize, metric: Metric) {
    let n = rows.len() / dim;
    let x = MatrixRef::new("rows", rows, n, dim).unwrap();
    // Words are in order of frequency: every tenth is held out, in turn for tuning and for judging.
    let pick = |digits: &[usize]| -> Vec<f32> {
        (0..n).filter(|i| digits.contains(&(i % 10))).flat_map(|i| x.row(i).iter().copied()).collect()
    };
    let (base, sample, fresh) = (pick(&[0, 1, 2, 3, 4, 5, 6, 7]), pick(&[8]), pick(&[9]));
    let matrix = |rows: &'static [f32]| MatrixRef::new("rows", rows, rows.len() / dim, dim).unwrap();
    let (base, sample, fresh) = (matrix(base.leak()), matrix(sample.leak()), matrix(fresh.leak()));
    let mut index = index(metric, "IVF128,Flat", base);
    let tuned = index.tune(sample, 10, 0.95, &TuneOptions::default(), &Control::default()).unwrap();
    assert!(tuned.nprobe >= 1 && tuned.nprobe < 128 && tuned.recall >= 0.95, "{tuned:?}");
    for asked in [0.8, 0.9, 0.95, 0.99] {
        let got = recall(&index, fresh, 10, asked, metric.is_similarity());
        assert!(got >= f64::from(asked) - 0.01, "{metric:?}: asked {asked}, got {got}");
        // Not by looking everywhere: the margin is that of the sample.
        assert!(asked > 0.9 || got <= f64::from(asked) + 0.05, "{metric:?}: asked {asked}, got {got}");
    }
}

#[test]
fn target_recall_words_asked_is_got_on_held_out_queries() {
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
        check_asked_is_got(&common::words(), 50, metric);
    }
}

#[test]
fn target_recall_gaussian_asked_is_got_on_held_out_queries() {
    check_asked_is_got(&common::numbers(5, 20_000 * 16), 16, Metric::L2);
}

#[test]
fn target_recall_without_a_curve_says_to_tune() {
    let rows = common::numbers(1, 4000 * 8);
    let x = MatrixRef::new("rows", &rows, 4000, 8).unwrap();
    let mut index = index(Metric::L2, "IVF32,Flat", x);
    let by_recall = |index: &Index, nprobe| {
        let options = SearchOptions { target_recall: 0.9, nprobe, ..Default::default() };
        let (mut distances, mut ids) = (vec![0.0; 5], vec![0; 5]);
        let output = SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
        index.search(x.slice(0, 1), 5, &options, output, &Control::default())
    };
    let text = |result: ivf::Result<()>| result.unwrap_err().to_string();
    assert!(matches!(by_recall(&index, 0), Err(Error::State(_))));
    assert!(text(by_recall(&index, 0)).contains("call tune first"));
    index.tune(x.slice(0, 500), 5, 0.9, &TuneOptions::default(), &Control::default()).unwrap();
    by_recall(&index, 0).unwrap();
    assert!(text(by_recall(&index, 7)).contains("expected one of them"));
    // A fifth and one more removed: the curve says little now.
    let ids: Vec<i64> = (0..801).collect();
    index.remove(&ids).unwrap();
    assert!(index.curve().unwrap().is_stale());
    assert!(text(by_recall(&index, 0)).contains("stale"));
    index.reset();
    assert!(index.curve().is_none());
}

#[test]
fn curve_saved_and_loaded_is_the_same() {
    let rows = common::numbers(1, 4000 * 8);
    let x = MatrixRef::new("rows", &rows, 4000, 8).unwrap();
    let mut index = index(Metric::L2, "IVF32,Flat", x);
    index.tune(x.slice(0, 500), 5, 0.9, &TuneOptions::default(), &Control::default()).unwrap();
    let mut bytes = Vec::new();
    index.serialize(&mut bytes).unwrap();
    let context = index.context().clone();
    let again = Index::deserialize(context, &bytes, &Default::default(), &Control::default()).unwrap();
    assert!(index.curve().is_some());
    assert_eq!(index.curve(), again.curve());
}

/// Written by this test once (`IVF_WRITE_GOLDEN=v1 cargo test --test tune`), never anew.
#[test]
fn curve_of_the_golden_file_is_what_was_measured() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/v1/curve.ivf");
    let rows: Vec<f32> = (0..200u16).map(|i| f32::from(i * 37 % 101)).collect();
    let x = MatrixRef::new("rows", &rows, 100, 2).unwrap();
    if std::env::var("IVF_WRITE_GOLDEN").is_ok() {
        let mut made = index(Metric::L2, "IVF4,Flat", x.slice(0, 80));
        made.tune(x.slice(80, 100), 3, 0.9, &TuneOptions::default(), &Control::default()).unwrap();
        assert!(!std::path::Path::new(path).exists(), "{path} is for ever");
        made.save(std::path::Path::new(path), &Control::default()).unwrap();
    }
    let context = Arc::new(ivf::Context::new(&Default::default()).unwrap());
    let loaded = Index::load(context, std::path::Path::new(path), &Default::default(), &Control::default());
    let curve = loaded.unwrap().curve().unwrap().clone();
    assert_eq!((curve.k, curve.queries, curve.count, curve.changed), (3, 20, 80, 0));
    let nprobes: Vec<usize> = curve.points.iter().map(|point| point.nprobe).collect();
    assert!(nprobes.starts_with(&[1]) && nprobes.is_sorted() && curve.points.last().unwrap().recall == 1.0);
}

#[test]
fn tune_by_a_truth_that_cannot_be_found_tells_the_measured_recall() {
    let rows = common::numbers(1, 400 * 4);
    let x = MatrixRef::new("rows", &rows, 400, 4).unwrap();
    let mut index = index(Metric::L2, "IVF1,Flat", x);
    // Of each query's five "true" neighbours one does not exist: four fifths are the most that all lists give.
    let (mut distances, mut ids) = (vec![0.0; 20 * 5], vec![0; 20 * 5]);
    let output = SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
    index.search(x.slice(0, 20), 5, &SearchOptions::default(), output, &Control::default()).unwrap();
    ids.iter_mut().skip(4).step_by(5).for_each(|id| *id = 1_000_000);
    let options = TuneOptions { truth: Some(&ids), ..Default::default() };
    let tuned = index.tune(x.slice(0, 20), 5, 0.7, &options, &Control::default()).unwrap();
    assert_eq!(tuned.nprobe, 1);
    assert!((tuned.recall - 0.8).abs() < 1e-9, "{tuned:?}");
}

#[test]
fn search_preassigned_with_a_target_recall_is_refused() {
    let rows = common::numbers(1, 400 * 4);
    let x = MatrixRef::new("rows", &rows, 400, 4).unwrap();
    let mut index = index(Metric::L2, "IVF4,Flat", x);
    index.tune(x.slice(0, 100), 5, 0.9, &TuneOptions::default(), &Control::default()).unwrap();
    let options = SearchOptions { target_recall: 0.9, ..Default::default() };
    let (mut distances, mut ids) = (vec![0.0; 5], vec![0; 5]);
    let output = SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
    let refused = index.search_preassigned(x.slice(0, 1), &[0], 1, 5, &options, output, &Control::default());
    assert!(refused.unwrap_err().to_string().contains("the lists are given"));
}
