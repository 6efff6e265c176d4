//! Vectors in a second list too (SOAR): searches find what a naive one finds in all lists visited, each vector once,
//! through every change, and more than without.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tests; numbers are small"
)]

mod common;

use std::collections::BTreeMap;

use common::{Found, METRICS, context, matrix, numbers, search, words};
use ivf::{
    Budget, Control, Error, Filter, Index, IndexOptions, ListOrder, LoadOptions, Metric, SearchOptions,
    SearchStats, Sharing, TrainOptions, TuneOptions,
};

const DIM: usize = 12;
const NLIST: usize = 14;

fn options(soar: f32) -> IndexOptions {
    IndexOptions { soar, ..Default::default() }
}

/// Of fixed centroids; codes are trained.
fn index(description: &str, metric: Metric, soar: f32, threads: usize) -> Index {
    let mut index = Index::new(context(threads, None), DIM, metric, description, &options(soar)).unwrap();
    index.set_centroids(matrix(&numbers(99, NLIST * DIM), DIM)).unwrap();
    if !index.info().trained {
        let rows = numbers(98, 900 * DIM);
        index.train(matrix(&rows, DIM), &TrainOptions::default(), &Control::default()).unwrap();
    }
    index
}

fn filled(description: &str, metric: Metric, soar: f32, threads: usize, count: usize) -> Index {
    let mut index = index(description, metric, soar, threads);
    index.add(matrix(&numbers(5, count * DIM), DIM), None, 0, &Control::default()).unwrap();
    index
}

/// What an index should hold, and find, in float64.
struct Model {
    metric: Metric,
    lambda: f64,
    centroids: Vec<Vec<f64>>,
    /// By id: the vector, and its two lists.
    vectors: BTreeMap<i64, (Vec<f64>, [usize; 2])>,
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn unit(a: &[f64]) -> Vec<f64> {
    let length = dot(a, a).sqrt();
    a.iter().map(|a| a / length).collect()
}

fn doubles(row: &[f32]) -> Vec<f64> {
    row.iter().map(|&value| value.into()).collect()
}

impl Model {
    fn of(index: &Index) -> Self {
        let centroids = index.centroids().unwrap().chunks(DIM).map(doubles).collect();
        let info = index.info();
        Self { metric: info.metric, lambda: info.soar.into(), centroids, vectors: BTreeMap::new() }
    }

    fn key(&self, a: &[f64], b: &[f64]) -> f64 {
        match self.metric {
            Metric::L2 => dot(&minus(a, b), &minus(a, b)),
            Metric::InnerProduct => -dot(a, b),
            _ => -dot(&unit(a), &unit(b)),
        }
    }

    /// The lists, nearest first.
    fn nearest(&self, row: &[f64]) -> Vec<usize> {
        let mut lists: Vec<usize> = (0..self.centroids.len()).collect();
        lists.sort_by(|&a, &b| {
            self.key(row, &self.centroids[a]).total_cmp(&self.key(row, &self.centroids[b]))
        });
        lists
    }

    /// The paper's loss, of directions where products count.
    fn put(&mut self, id: i64, row: &[f32]) {
        let row = doubles(row);
        let first = self.nearest(&row)[0];
        let shape = |row: &[f64]| if self.metric == Metric::L2 { row.to_vec() } else { unit(row) };
        let residual = |list: usize| minus(&shape(&row), &shape(&self.centroids[list]));
        let own = residual(first);
        let loss = |list: usize| {
            let other = residual(list);
            dot(&other, &other) + self.lambda * dot(&other, &own).powi(2) / dot(&own, &own)
        };
        let others = (0..self.centroids.len()).filter(|&list| list != first);
        let second = others.min_by(|&a, &b| loss(a).total_cmp(&loss(b))).unwrap();
        self.vectors.insert(id, (row, [first, second]));
    }

    fn put_all(&mut self, first: i64, rows: &[f32]) {
        (first..).zip(rows.chunks(DIM)).for_each(|(id, row)| self.put(id, row));
    }

    /// What a query finds in its `nprobe` nearest lists, best first.
    fn found(&self, query: &[f32], nprobe: usize, passes: &dyn Fn(i64) -> bool) -> Vec<(f64, i64)> {
        let query = doubles(query);
        let visited = &self.nearest(&query)[..nprobe];
        let mut found: Vec<_> = self
            .vectors
            .iter()
            .filter(|(id, (_, lists))| passes(**id) && lists.iter().any(|list| visited.contains(list)))
            .map(|(&id, (row, _))| (self.key(&query, row), id))
            .collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        found
    }

    /// Fails unless these are the best of what is to be found.
    fn check(&self, expected: &[(f64, i64)], k: usize, distances: &[f32], ids: &[i64]) {
        let sign = if self.metric == Metric::L2 { 1.0 } else { -1.0 };
        let count = ids.iter().take_while(|&&id| id >= 0).count();
        assert_eq!(count, expected.len().min(k));
        for (rank, &(key, id)) in expected[..count].iter().enumerate() {
            let got = sign * f64::from(distances[rank]);
            assert!((got - key).abs() < 1e-4, "rank {rank}: {got}, not {key}");
            let near = expected.iter().filter(|other| (other.0 - key).abs() < 1e-4).any(|a| a.1 == ids[rank]);
            assert!(ids[rank] == id || near, "rank {rank}: {}, not {id}", ids[rank]);
        }
        let mut once = ids[..count].to_vec();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), count, "an id twice");
    }

    fn check_index(&self, index: &Index, k: usize, nprobe: usize, refined: bool) {
        let queries = numbers(6, 20 * DIM);
        let k_factor = if refined { f32::INFINITY } else { 0.0 };
        let odd = Filter::bitmap(&[0b1010_1010; 1 << 12]);
        for filter in [None, Some(&odd)] {
            let options = SearchOptions { nprobe, k_factor, filter, ..Default::default() };
            let Found { distances, ids, .. } = search(index, &queries, k, &options);
            let passes = |id: i64| filter.is_none() || id % 2 == 1;
            for (q, query) in queries.chunks(DIM).enumerate() {
                let expected = self.found(query, nprobe, &passes);
                let place = q * k..(q + 1) * k;
                self.check(&expected, k, &distances[place.clone()], &ids[place]);
            }
        }
        let info = index.info();
        assert_eq!(info.count, self.vectors.len());
        let mut sizes = vec![0; NLIST];
        self.vectors.values().for_each(|(_, lists)| sizes[lists[0]] += 1);
        assert_eq!(index.list_sizes(), sizes);
    }
}

#[test]
fn search_finds_what_is_in_all_lists_visited() {
    for metric in METRICS {
        for soar in [1.0, 0.3] {
            let index = filled("IVF14,Flat", metric, soar, 2, 1500);
            let mut model = Model::of(&index);
            model.put_all(0, &numbers(5, 1500 * DIM));
            // Fewer and more than are kept sorted, and all.
            for k in [1, 10, 50, 2000] {
                for nprobe in [1, 3, 13, 14] {
                    model.check_index(&index, k, nprobe, false);
                }
            }
        }
    }
}

#[test]
fn refined_search_for_all_candidates_finds_what_is_in_all_lists_visited() {
    // By the codes' bounds, and without any.
    for description in ["IVF14,SQ8,RFlat", "IVF14,SQ4,RFlat", "IVF14,PQ4x4,RFlat", "IVF14,RaBitQ,RFlat"] {
        for metric in METRICS {
            let index = filled(description, metric, 1.0, 2, 700);
            let mut model = Model::of(&index);
            model.put_all(0, &numbers(5, 700 * DIM));
            for (k, nprobe) in [(1, 1), (10, 3), (40, 5), (800, 13)] {
                model.check_index(&index, k, nprobe, true);
            }
        }
    }
}

#[test]
fn random_changes_keep_both_lists_of_a_vector_in_step() {
    for (seed, description) in (1..).zip(["IVF14,Flat", "IVF14,SQ8,RFlat", "IVF14,PQ4x4,RFlat", "IVF14,Flat"])
    {
        let metric = METRICS[seed as usize % 3];
        let refined = description.contains("RFlat");
        let mut index = index(description, metric, 1.0, 2);
        let mut model = Model::of(&index);
        let mut state: u64 = seed;
        let mut draw = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let directory = tempfile::tempdir().unwrap();
        for step in 0..60 {
            let rows = numbers(1000 * seed + step, (1 + draw(120)) * DIM);
            let next = index.info().next_id;
            match draw(9) {
                0..=2 => {
                    index.add(matrix(&rows, DIM), None, 0, &Control::default()).unwrap();
                    model.put_all(next, &rows);
                }
                3 => {
                    let ids: Vec<i64> = (0..draw(60)).map(|_| draw(next as usize + 1) as i64).collect();
                    index.remove(&ids).unwrap();
                    model.vectors.retain(|id, _| !ids.contains(id));
                }
                4 => {
                    let from = draw(next as usize + 1) as i64;
                    let gone = index.remove_filter(&Filter::range(from, from + 70)).unwrap();
                    let before = model.vectors.len();
                    model.vectors.retain(|id, _| !(from..from + 70).contains(id));
                    assert_eq!(gone, before - model.vectors.len());
                }
                5 => {
                    let there: Vec<i64> = model.vectors.keys().copied().collect();
                    let ids: Vec<i64> =
                        there.iter().copied().step_by(1 + draw(5)).take(rows.len() / DIM).collect();
                    let rows = &rows[..ids.len() * DIM];
                    index.update(&ids, matrix(rows, DIM), 0, &Control::default()).unwrap();
                    ids.iter().zip(rows.chunks(DIM)).for_each(|(&id, row)| model.put(id, row));
                }
                6 => {
                    let mut other = index.copy(context(1, None)).unwrap();
                    other.reset();
                    other.add(matrix(&rows, DIM), None, 0, &Control::default()).unwrap();
                    other.remove(&[next]).unwrap();
                    // Its own ids begin where these end.
                    index.merge(&other, 7, 0, &Control::default()).unwrap();
                    model.put_all(next + 7, &rows);
                    model.vectors.remove(&(next + 7));
                }
                7 => {
                    let path = directory.path().join("index.ivf");
                    index.save(&path, &Control::default()).unwrap();
                    let options = LoadOptions { memory_map: draw(2) == 0, ..Default::default() };
                    index = Index::load(context(2, None), &path, &options, &Control::default()).unwrap();
                    // A map's file is replaced, not written into.
                    std::fs::remove_file(&path).unwrap();
                }
                _ => index.compact().unwrap(),
            }
            model.check_index(&index, [3, 20, 60][draw(3)], 1 + draw(NLIST), refined);
        }
        assert!(index.info().count > 100);
    }
}

#[test]
fn range_search_finds_each_vector_once() {
    for description in ["IVF14,Flat", "IVF14,SQ8,RFlat"] {
        for metric in METRICS {
            let index = filled(description, metric, 1.0, 2, 900);
            let mut model = Model::of(&index);
            model.put_all(0, &numbers(5, 900 * DIM));
            let queries = numbers(6, 20 * DIM);
            let radius = if metric == Metric::L2 { 4.0 } else { 0.3 };
            let options = SearchOptions { nprobe: 4, ..Default::default() };
            let found =
                index.range_search(matrix(&queries, DIM), radius, &options, &Control::default()).unwrap();
            let limit = if metric == Metric::L2 { f64::from(radius) } else { -f64::from(radius) };
            let mut all = 0;
            for (q, query) in queries.chunks(DIM).enumerate() {
                let mut expected = model.found(query, 4, &|_| true);
                expected.retain(|&(key, _)| key < limit);
                let place = found.offsets[q] as usize..found.offsets[q + 1] as usize;
                // Codes let a vector pass by that lies at the edge.
                let least =
                    if description == "IVF14,Flat" { expected.len() } else { expected.len() * 9 / 10 };
                assert!(
                    (least..=expected.len()).contains(&place.len()),
                    "{} {}",
                    place.len(),
                    expected.len()
                );
                all += place.len();
                if place.len() == expected.len() {
                    let (distances, ids) = (&found.distances[place.clone()], &found.ids[place]);
                    model.check(&expected, expected.len(), distances, ids);
                }
            }
            assert!(all > 200, "{all}");
        }
    }
}

#[test]
fn results_do_not_depend_on_threads_or_batches() {
    let queries = numbers(6, 300 * DIM);
    for description in [
        "IVF14,Flat",
        "IVF14,SQfp16",
        "IVF14,SQ8",
        "IVF14,PQ4x4fs",
        "IVF14,RaBitQ4",
        "IVF14,SQ8,RFlat",
        "IVF14,PQ4x4fs,Refine(SQ8)",
    ] {
        for metric in METRICS {
            let alone = filled(description, metric, 1.0, 1, 1100);
            let others = filled(description, metric, 1.0, 4, 1100);
            for k in [10, 40] {
                let options = SearchOptions { nprobe: 4, ..Default::default() };
                let expected = search(&alone, &queries, k, &options);
                assert_eq!(search(&others, &queries, k, &options), expected, "{description} {metric:?} {k}");
                let mut parts = Found::default();
                queries[..40 * DIM]
                    .chunks(DIM)
                    .for_each(|query| parts.append(search(&others, query, k, &options)));
                assert_eq!(parts.ids[..], expected.ids[..40 * k], "{description} {metric:?} {k}");
                assert_eq!(parts.distances[..], expected.distances[..40 * k]);
                for ids in expected.ids.chunks(k) {
                    let mut once = ids.to_vec();
                    once.sort_unstable();
                    once.dedup();
                    assert_eq!(once.len(), k, "{description}: an id twice, or too few");
                }
            }
        }
    }
}

#[test]
fn preassigned_lists_are_searched_with_their_copies() {
    let index = filled("IVF14,Flat", Metric::L2, 1.0, 2, 900);
    let mut model = Model::of(&index);
    model.put_all(0, &numbers(5, 900 * DIM));
    let query = numbers(6, DIM);
    for list in 0..NLIST {
        let (mut distances, mut ids) = (vec![0.0; 900], vec![0; 900]);
        let output = ivf::SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
        let lists = [list as i64, -1];
        let (queries, options) = (matrix(&query, DIM), SearchOptions::default());
        index.search_preassigned(queries, &lists, 2, 900, &options, output, &Control::default()).unwrap();
        ids.retain(|&id| id >= 0);
        ids.sort_unstable();
        let in_it = model.vectors.iter().filter(|(_, (_, lists))| lists.contains(&list));
        assert_eq!(ids, in_it.map(|(&id, _)| id).collect::<Vec<_>>());
    }
}

#[test]
fn budgets_count_copies_and_statistics_tell() {
    let index = filled("IVF14,Flat", Metric::L2, 1.0, 2, 2000);
    let queries = numbers(6, 50 * DIM);
    let looked_at = |options: SearchOptions<'_>| {
        let stats = std::sync::Mutex::new(SearchStats::default());
        search(&index, &queries, 10, &SearchOptions { stats: Some(&stats), ..options });
        let stats = *stats.lock().unwrap();
        (stats.lists / 50, stats.codes / 50)
    };
    let all = looked_at(SearchOptions { nprobe: 6, ..Default::default() });
    assert!(all.0 == 12 && all.1 > 1400, "{all:?}");
    let cut = looked_at(SearchOptions { nprobe: 6, max_codes: 500, ..Default::default() });
    assert_eq!(cut.1, 500);
    for sharing in [Sharing::Uniform, Sharing::DistanceWeighted, Sharing::ProbeOrder] {
        let budget = Budget { share: 0.5, sharing, strict: ivf::Switch::On, ..Default::default() };
        let half = looked_at(SearchOptions { nprobe: 6, budget, ..Default::default() });
        assert!(half.1.abs_diff(all.1 / 2) <= 1, "{sharing:?} {half:?} {all:?}");
    }
    // Every vector is met where it is: copies are passed over.
    assert_eq!(looked_at(SearchOptions { nprobe: 14, ..Default::default() }), (14, 2000));
}

#[test]
fn word_vectors_are_found_in_fewer_lists() {
    let x = words();
    let (base, queries) = x.split_at(19_000 * 50);
    let mut plain = Index::new(context(0, None), 50, Metric::Cosine, "IVF128,Flat", &options(0.0)).unwrap();
    plain.train(matrix(base, 50), &TrainOptions::default(), &Control::default()).unwrap();
    let mut twice = Index::new(context(0, None), 50, Metric::Cosine, "IVF128,Flat", &options(1.0)).unwrap();
    twice.set_centroids(matrix(plain.centroids().unwrap(), 50)).unwrap();
    let mut coded =
        Index::new(context(0, None), 50, Metric::Cosine, "IVF128,SQ8,RFlat", &options(1.0)).unwrap();
    coded.set_centroids(matrix(plain.centroids().unwrap(), 50)).unwrap();
    coded.train(matrix(base, 50), &TrainOptions::default(), &Control::default()).unwrap();
    for index in [&mut plain, &mut twice, &mut coded] {
        index.add(matrix(base, 50), None, 0, &Control::default()).unwrap();
    }
    let truth = search(&plain, queries, 10, &SearchOptions { nprobe: 128, ..Default::default() });
    let recall = |index: &Index, nprobe: usize| {
        let found = search(index, queries, 10, &SearchOptions { nprobe, ..Default::default() });
        let rows = found.ids.chunks(10).zip(truth.ids.chunks(10));
        rows.map(|(got, truth)| got.iter().filter(|id| truth.contains(id)).count()).sum::<usize>() as f64
            / truth.ids.len() as f64
    };
    for nprobe in [2, 6, 16] {
        let (without, with) = (recall(&plain, nprobe), recall(&twice, nprobe));
        assert!(1.0 - with < 0.75 * (1.0 - without), "nprobe {nprobe}: {without} {with}");
        assert!((recall(&coded, nprobe) - with).abs() < 0.005, "nprobe {nprobe}");
    }
    // A search for a recall gets it.
    let (sample, rest) = queries.split_at(queries.len() / 2);
    coded.tune(matrix(sample, 50), 10, 0.95, &TuneOptions::default(), &Control::default()).unwrap();
    let found = search(&coded, rest, 10, &SearchOptions { target_recall: 0.95, ..Default::default() });
    let rows = found.ids.chunks(10).zip(truth.ids[truth.ids.len() / 2..].chunks(10));
    let common: usize = rows.map(|(got, truth)| got.iter().filter(|id| truth.contains(id)).count()).sum();
    assert!(common as f64 / found.ids.len() as f64 > 0.94);
}

#[test]
fn what_does_not_go_with_it_is_refused() {
    let made = |description: &str, options: IndexOptions| {
        Index::new(context(1, None), DIM, Metric::L2, description, &options)
            .map(|_| ())
            .map_err(|e| e.to_string())
    };
    let refused = [
        ("IVF4,Flat", options(-1.0), "soar: expected 0 or more, got -1"),
        ("IVF4,Flat", options(f32::NAN), "soar: expected 0 or more, got NaN"),
        ("IVF4,Flat", options(f32::INFINITY), "soar: expected 0 or more, got inf"),
        ("Flat", options(1.0), "\"Flat\" has no inverted lists"),
        ("IVF1,Flat", options(1.0), "\"IVF1,Flat\" has no second list"),
        ("IVF4,Flat", IndexOptions { allow_duplicate_ids: true, ..options(1.0) }, "ids may repeat"),
        ("IVF4,Flat", IndexOptions { list_order: ListOrder::BestFirst, ..options(1.0) }, "best first"),
    ];
    for (description, options, text) in refused {
        let error = made(description, options).unwrap_err();
        assert!(error.contains(text), "{error}");
    }
    assert_eq!(made("IVF,Flat", options(1.0)), Ok(()));
    // One list alone, where that is known in training only.
    let mut index = Index::new(context(1, None), DIM, Metric::L2, "IVF,Flat", &options(1.0)).unwrap();
    let error = index.set_centroids(matrix(&numbers(1, DIM), DIM)).unwrap_err().to_string();
    assert!(error.contains("soar: expected two lists or more, got 1"), "{error}");
    // Another lambda.
    let mut index = filled("IVF14,Flat", Metric::L2, 1.0, 1, 30);
    let other = filled("IVF14,Flat", Metric::L2, 0.0, 1, 30);
    let error = index.merge(&other, 100, 0, &Control::default()).unwrap_err();
    assert!(matches!(&error, Error::Argument(text) if text.contains("expected soar 1, got 0")), "{error}");
    assert_eq!(index.info().count, 30);
}

#[test]
fn faiss_file_has_the_vectors_in_their_nearest_lists() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("index.faiss");
    let (with, without) =
        (filled("IVF14,Flat", Metric::L2, 1.0, 1, 300), filled("IVF14,Flat", Metric::L2, 0.0, 1, 300));
    with.export_faiss(&path, &Control::default()).unwrap();
    let loaded = Index::load(context(1, None), &path, &LoadOptions::default(), &Control::default()).unwrap();
    assert_eq!((loaded.info().soar, loaded.info().count), (0.0, 300));
    let queries = numbers(6, 20 * DIM);
    let options = SearchOptions { nprobe: 3, ..Default::default() };
    assert_eq!(search(&loaded, &queries, 10, &options), search(&without, &queries, 10, &options));
}

#[test]
fn memory_is_for_codes_and_ids_twice_and_rows_once() {
    let bytes = |description, soar| {
        let mut index = filled(description, Metric::L2, soar, 1, 20_000);
        index.compact().unwrap();
        index.info().vector_bytes as f64 / 20_000.0
    };
    let (without, with) = (bytes("IVF14,SQ8,RFlat", 0.0), bytes("IVF14,SQ8,RFlat", 1.0));
    // A bias, an id, codes, and where the row lies.
    let more = 4.0 + 8.0 + DIM as f64 + 8.0;
    assert!((with - without - more).abs() < 1.0, "{without} {with}");
}
