//! As many lists as a query needs: `probe_scale`, and what tuning makes of it.

#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::sync::{Arc, Mutex};

use common::{METRICS, context, matrix, numbers, words};
use ivf::{
    Control, CurvePoint, Index, MatrixRef, Metric, SearchOptions, SearchOutput, SearchStats, TrainOptions,
    TuneOptions,
};

const DIM: usize = 50;
const K: usize = 5;

fn filled(threads: usize, description: &str, metric: Metric, x: MatrixRef<'_>) -> Index {
    let mut index = common::empty(context(threads, None), description, metric, x.dim());
    index.train(x, &TrainOptions::default(), &Control::default()).unwrap();
    index.add(x, None, 0, &Control::default()).unwrap();
    index
}

/// Distances and ids `[n, K]`, and what the search did.
fn search(
    index: &Index,
    queries: MatrixRef<'_>,
    options: &SearchOptions<'_>,
) -> (Vec<f32>, Vec<i64>, SearchStats) {
    let (mut distances, mut ids) = (vec![0.0; queries.rows() * K], vec![0; queries.rows() * K]);
    let output = SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
    let stats = Mutex::default();
    let options = SearchOptions { stats: Some(&stats), ..options.clone() };
    index.search(queries, K, &options, output, &Control::default()).unwrap();
    (distances, ids, stats.into_inner().unwrap())
}

/// The lists that the rule visits, by float64; `None` where rounding could decide.
fn visited(metric: Metric, query: &[f32], centroids: &[f32], nprobe: usize, scale: f64) -> Option<Vec<i64>> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let length = dot(query, query).sqrt();
    let key = |centroid: &[f32]| match metric {
        Metric::L2 => dot(query, query) - 2.0 * dot(query, centroid) + dot(centroid, centroid),
        Metric::Cosine => -dot(query, centroid) / length,
        _ => -dot(query, centroid),
    };
    let mut keys: Vec<(f64, i64)> = centroids.chunks_exact(DIM).map(key).zip(0..).collect();
    keys.sort_by(|a, b| a.0.total_cmp(&b.0));
    let nearest = keys[0].0;
    let unit = match metric {
        Metric::L2 => nearest,
        Metric::Cosine => 1.0 + nearest,
        _ => length,
    };
    let mut lists = Vec::new();
    for (rank, pair) in (1..=nprobe).zip(keys.windows(2)) {
        let reach = rank as f64 * ((pair[0].0 - nearest) / unit / scale).exp() / (4.0 * nprobe as f64);
        if (reach - 1.0).abs() < 1e-3 || (pair[1].0 - pair[0].0).abs() < 1e-5 * unit {
            return None;
        }
        if reach > 1.0 {
            break;
        }
        lists.push(pair[0].1);
    }
    Some(lists)
}

#[test]
fn probe_scale_visits_the_lists_that_the_rule_names() {
    let words = words();
    let (x, queries) = (matrix(&words[..15_000 * DIM], DIM), matrix(&words[15_000 * DIM..15_300 * DIM], DIM));
    for metric in METRICS {
        let index = filled(2, "IVF64,Flat", metric, x);
        let centroids = index.centroids().unwrap();
        let options = SearchOptions { nprobe: 24, probe_scale: 0.1, ..Default::default() };
        let (mut checked, mut sizes) = (0, Vec::new());
        for i in 0..queries.rows() {
            let Some(lists) = visited(metric, queries.row(i), centroids, 24, 0.1) else { continue };
            let (distances, ids, stats) = search(&index, queries.slice(i, i + 1), &options);
            assert_eq!(stats.lists, lists.len() as u64, "{metric:?} {i}");
            let (mut near, mut own) = (vec![0.0; K], vec![0; K]);
            let output = SearchOutput { distances: &mut near, ids: &mut own, hits: None };
            let (query, plain) = (queries.slice(i, i + 1), SearchOptions::default());
            index
                .search_preassigned(query, &lists, lists.len(), K, &plain, output, &Control::default())
                .unwrap();
            assert_eq!((distances, ids), (near, own), "{metric:?} {i}");
            checked += 1;
            sizes.push(lists.len());
        }
        sizes.sort_unstable();
        sizes.dedup();
        assert!(checked > 200 && sizes.len() > 5, "{metric:?}: {checked} queries, {sizes:?} lists");
    }
}

#[test]
fn probe_scale_results_do_not_depend_on_batch_or_threads() {
    let words = words();
    let (x, queries) = (matrix(&words[..15_000 * DIM], DIM), matrix(&words[15_000 * DIM..16_000 * DIM], DIM));
    for (metric, description) in METRICS.into_iter().zip(["IVF64,Flat", "IVF64,SQ8", "IVF64,SQ4,RFlat"]) {
        let (one, three) = (filled(1, description, metric, x), filled(3, description, metric, x));
        let options = SearchOptions { nprobe: 24, probe_scale: 0.1, ..Default::default() };
        let whole = search(&one, queries, &options);
        let again = search(&three, queries, &options);
        assert_eq!((&whole.0, &whole.1), (&again.0, &again.1));
        assert_eq!((whole.2.lists, whole.2.codes), (again.2.lists, again.2.codes));
        for (from, to) in [(0, 1), (1, 40), (40, 1000)] {
            let (distances, ids, _) = search(&three, queries.slice(from, to), &options);
            assert_eq!(distances, whole.0[from * K..to * K]);
            assert_eq!(ids, whole.1[from * K..to * K]);
        }
        // A scale beyond all gaps is none.
        let wide = SearchOptions { probe_scale: 1e9, nprobe: 24, ..Default::default() };
        let fixed = SearchOptions { nprobe: 24, ..Default::default() };
        assert_eq!(search(&one, queries, &wide).2.lists, search(&one, queries, &fixed).2.lists);
    }
}

#[test]
fn probe_scale_that_makes_no_sense_is_refused() {
    let x = numbers(1, 400 * 4);
    let x = matrix(&x, 4);
    let mut index = filled(1, "IVF4,Flat", Metric::L2, x);
    index.tune(x.slice(0, 100), K, 0.9, &TuneOptions::default(), &Control::default()).unwrap();
    let fails = |options: &SearchOptions<'_>, lists: Option<&[i64]>| {
        let (mut distances, mut ids) = (vec![0.0; K], vec![0; K]);
        let output = SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
        let (query, control) = (x.slice(0, 1), Control::default());
        let result = match lists {
            None => index.search(query, K, options, output, &control),
            Some(lists) => index.search_preassigned(query, lists, 1, K, options, output, &control),
        };
        result.unwrap_err().to_string()
    };
    let scale = |probe_scale| SearchOptions { probe_scale, ..Default::default() };
    for wrong in [-1.0, f32::NAN, f32::INFINITY] {
        assert!(fails(&scale(wrong), None).contains("probe_scale: expected 0 or more"));
        let ranged = index.range_search(x.slice(0, 1), 1.0, &scale(wrong), &Control::default());
        assert!(ranged.unwrap_err().to_string().contains("probe_scale: expected 0 or more"));
    }
    assert!(fails(&scale(0.5), Some(&[0])).contains("the lists are given"));
    let both = SearchOptions { target_recall: 0.9, ..scale(0.5) };
    assert!(fails(&both, None).contains("the recall chooses it"));
}

/// The rows held out of `words`: every tenth, in turn for tuning and for judging.
fn split(words: &[f32]) -> [Vec<f32>; 3] {
    let pick = |digits: std::ops::Range<usize>| -> Vec<f32> {
        let rows = words.chunks_exact(DIM).enumerate();
        rows.filter(|(i, _)| digits.contains(&(i % 10))).flat_map(|(_, row)| row.iter().copied()).collect()
    };
    [pick(0..8), pick(8..9), pick(9..10)]
}

fn share_found(found: &[i64], truth: &[i64]) -> f64 {
    let rows = found.chunks_exact(K).zip(truth.chunks_exact(K));
    let common = |(found, truth): (&[i64], &[i64])| truth.iter().filter(|id| found.contains(id)).count();
    rows.map(common).sum::<usize>() as f64 / truth.len() as f64
}

#[test]
fn tune_adapts_to_queries_and_meets_fewer_vectors_at_the_same_recall() {
    let [base, sample, fresh] = split(&words());
    let (base, sample, fresh) = (matrix(&base, DIM), matrix(&sample, DIM), matrix(&fresh, DIM));
    for metric in [Metric::L2, Metric::Cosine] {
        let mut index = filled(2, "IVF128,Flat", metric, base);
        let tuned = index.tune(sample, K, 0.9, &TuneOptions::default(), &Control::default()).unwrap();
        assert!(tuned.probe_scale > 0.0 && tuned.nprobe > 1, "{tuned:?}");
        let points = &index.curve().unwrap().points;
        let finds_more = |a: &CurvePoint, b: &CurvePoint| a.low < b.low || a.recall < b.recall;
        assert!(points.is_sorted_by(|a, b| a.cost < b.cost && a.nprobe <= b.nprobe && finds_more(a, b)));
        let truth = search(&index, fresh, &SearchOptions { nprobe: 128, ..Default::default() }).1;
        let by_recall = SearchOptions { target_recall: 0.9, ..Default::default() };
        let (_, ids, stats) = search(&index, fresh, &by_recall);
        let got = share_found(&ids, &truth);
        assert!(got >= 0.89, "{metric:?}: {got}");
        let chosen =
            SearchOptions { nprobe: tuned.nprobe, probe_scale: tuned.probe_scale, ..Default::default() };
        assert_eq!(search(&index, fresh, &chosen).1, ids);
        // Of fixed numbers of lists the first that finds as much.
        let fixed = (1..=128).find_map(|nprobe| {
            let (_, ids, stats) = search(&index, fresh, &SearchOptions { nprobe, ..Default::default() });
            (share_found(&ids, &truth) >= got).then_some(stats)
        });
        let fixed = fixed.unwrap();
        assert!(stats.codes as f64 <= 0.92 * fixed.codes as f64, "{metric:?}: {stats:?}, fixed {fixed:?}");
    }
}

#[test]
fn tune_of_a_flat_refined_index_chooses_the_factor() {
    let [base, sample, fresh] = split(&words());
    let (base, sample, fresh) = (matrix(&base, DIM), matrix(&sample, DIM), matrix(&fresh, DIM));
    let exact = filled(2, "Flat", Metric::L2, base);
    let truth = search(&exact, fresh, &SearchOptions::default()).1;
    let by_recall = |target_recall| SearchOptions { target_recall, ..Default::default() };
    let mut index = filled(2, "RaBitQ,RFlat", Metric::L2, base);
    let untuned = index.search(
        fresh,
        K,
        &by_recall(0.9),
        SearchOutput {
            distances: &mut vec![0.0; fresh.rows() * K],
            ids: &mut vec![0; fresh.rows() * K],
            hits: None,
        },
        &Control::default(),
    );
    assert!(untuned.unwrap_err().to_string().contains("call tune first"));
    let tuned = index.tune(sample, K, 0.9, &TuneOptions::default(), &Control::default()).unwrap();
    assert!(tuned.k_factor > 1.0 && tuned.probe_scale == 0.0 && tuned.nprobe == 1, "{tuned:?}");
    let factors: Vec<f32> = index.curve().unwrap().points.iter().map(|point| point.k_factor).collect();
    assert!(factors.len() > 2 && factors.is_sorted(), "{factors:?}");
    let mut bytes = Vec::new();
    index.serialize(&mut bytes).unwrap();
    let options = Default::default();
    let loaded =
        Index::deserialize(Arc::clone(index.context()), &bytes, &options, &Control::default()).unwrap();
    assert_eq!(loaded.curve(), index.curve());
    for (asked, least) in [(0.7, 0.69), (0.9, 0.89), (0.97, 0.96)] {
        let got = share_found(&search(&loaded, fresh, &by_recall(asked)).1, &truth);
        assert!(got >= least, "asked {asked}, got {got}");
    }
    let plain = filled(2, "Flat", Metric::L2, sample).tune(
        fresh,
        K,
        0.9,
        &TuneOptions::default(),
        &Control::default(),
    );
    assert!(plain.unwrap_err().to_string().contains("nothing to tune"));
}

#[test]
fn curve_with_scales_is_saved_and_loaded() {
    let [base, sample, _] = split(&words());
    let mut index = filled(2, "IVF128,Flat", Metric::Cosine, matrix(&base, DIM));
    index.tune(matrix(&sample, DIM), K, 0.9, &TuneOptions::default(), &Control::default()).unwrap();
    let mut bytes = Vec::new();
    index.serialize(&mut bytes).unwrap();
    let options = Default::default();
    let loaded =
        Index::deserialize(Arc::clone(index.context()), &bytes, &options, &Control::default()).unwrap();
    assert!(loaded.curve().unwrap().points.iter().any(|point| point.probe_scale > 0.0));
    assert_eq!(loaded.curve(), index.curve());
}

/// Written by this test once (`IVF_WRITE_GOLDEN=v1 cargo test --test adaptive`), never anew.
#[test]
fn scales_of_the_golden_file_are_what_was_measured() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/v1/adaptive.ivf");
    let path = std::path::Path::new(path);
    if std::env::var("IVF_WRITE_GOLDEN").is_ok() {
        let words = words();
        let rows: Vec<f32> = words.chunks_exact(DIM).flat_map(|row| row[..4].iter().copied()).collect();
        let mut made = filled(1, "IVF16,Flat", Metric::L2, matrix(&rows[..600 * 4], 4));
        let sample = matrix(&rows[600 * 4..800 * 4], 4);
        made.tune(sample, 3, 0.9, &TuneOptions::default(), &Control::default()).unwrap();
        assert!(!path.exists(), "{path:?} is for ever");
        made.save(path, &Control::default()).unwrap();
    }
    let loaded = Index::load(context(1, None), path, &Default::default(), &Control::default()).unwrap();
    let curve = loaded.curve().unwrap();
    assert_eq!((curve.k, curve.queries, curve.count, curve.changed), (3, 200, 600, 0));
    let (last, rest) = curve.points.split_last().unwrap();
    assert!(last.recall == 1.0 && rest.len() > 5);
    assert!(rest.iter().all(|point| point.probe_scale > 0.0 && point.probe_scale < 10.0));
}
