//! Indexes on a device that binds little, so that lists lie in many segments, and on one that is destroyed in the middle
//! of a call: results are the CPU's.

use std::sync::{Arc, Mutex};

use super::{Index, IndexOptions, SearchOptions, SearchOutput, SearchStats, TrainOptions};
use crate::backend::ListSource;
use crate::context::{Context, ContextOptions};
use crate::filter::Filter;
use crate::kmeans::{KMeansOptions, kmeans};
use crate::matrix::MatrixRef;
use crate::metric::Metric;
use crate::progress::Control;
use crate::random::Random;

const DIM: usize = 32;
const COUNT: usize = 48_000;

/// Bytes that a device binds at most.
const LITTLE: u64 = 1 << 18;
const MUCH: u64 = 128 << 20;

const FOREVER: u64 = u64::MAX;

fn cpu() -> Arc<Context> {
    let options = ContextOptions { device: Some("cpu".into()), ..ContextOptions::default() };
    Arc::new(Context::new(&options).expect("a context"))
}

/// Numbers in [-1, 1), the same for the same seed.
fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut random = Random::new(seed);
    #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
    let mut number = || (random.unit() * 2.0 - 1.0) as f32;
    (0..count).map(|_| number()).collect()
}

fn matrix(data: &[f32], dim: usize) -> MatrixRef<'_> {
    MatrixRef::new("rows", data, data.len() / dim, dim).expect("whole rows")
}

fn index(context: Arc<Context>, description: &str, metric: Metric, rows: &[f32]) -> Index {
    let mut index =
        Index::new(context, DIM, metric, description, &IndexOptions::default()).expect("an index");
    let some = matrix(&rows[..rows.len().min(3000 * DIM)], DIM);
    index.train(some, &TrainOptions::default(), &Control::default()).expect("trained");
    index.add(matrix(rows, DIM), None, 0, &Control::default()).expect("added");
    index
}

fn search(index: &Index, queries: &[f32], k: usize, options: &SearchOptions<'_>) -> (Vec<f32>, Vec<i64>) {
    let queries = matrix(queries, DIM);
    let (mut distances, mut ids) = (vec![7.0; queries.rows() * k], vec![-7; queries.rows() * k]);
    let output = SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
    index.search(queries, k, options, output, &Control::default()).expect("a search");
    (distances, ids)
}

/// Fails unless all kinds of searches of lists that are larger than what the device binds give what the CPU finds, and
/// the device does them.
fn check_in_segments(description: &str, metric: Metric) {
    let Some(context) = Context::emulated(LITTLE, FOREVER) else { return };
    let mut cpu = index(cpu(), description, metric, &numbers(1, COUNT * DIM));
    let mut gpu = cpu.copy(context.clone()).expect("a copy");
    let bytes = |list| {
        let vectors = cpu.lists.list(list).vectors;
        (vectors.len() * vectors.element().size()) as u64
    };
    assert!((0..cpu.lists.list_count()).any(|list| bytes(list) > LITTLE), "{description}");
    let steps = if description.starts_with("IVF") { 2 } else { 1 };
    let some: Vec<i64> = (0i64..).take(COUNT).filter(|id| id % 7 == 3).collect();
    let filters = [None, Some(Filter::ids(&some))];
    let queries = numbers(2, 40 * DIM);
    for turn in 0..2 {
        let before = context.device_status().calls;
        for filter in &filters {
            let options =
                |nprobe| SearchOptions { nprobe, filter: filter.as_ref(), ..SearchOptions::default() };
            // Of queries enough for two threads, and of few with many results.
            for (count, k, nprobe) in [(40, 10, 2), (3, 300, 1)] {
                let queries = &queries[..count * DIM];
                let [want, got] = [&cpu, &gpu].map(|index| search(index, queries, k, &options(nprobe)));
                assert_eq!(want, got, "{description} {metric:?} {filter:?}");
            }
            let radius = if metric == Metric::L2 { 6.0 } else { 0.4 };
            let find = |index: &Index| {
                let queries = matrix(&queries[..5 * DIM], DIM);
                index.range_search(queries, radius, &options(2), &Control::default()).expect("a search")
            };
            assert_eq!(find(&cpu), find(&gpu), "{description} {metric:?} {filter:?}");
        }
        let status = context.device_status();
        assert_eq!((status.calls - before, status.lost), (6 * steps, None), "{description} {metric:?}");
        // Then with lists that go on in further segments, and have gaps.
        let more = numbers(3 + turn, 6000 * DIM);
        for index in [&mut cpu, &mut gpu] {
            index.remove_filter(&Filter::range(9000, 10_000)).expect("removed");
            index.add(matrix(&more, DIM), None, 0, &Control::default()).expect("added");
        }
    }
}

#[test]
fn search_of_product_codes_in_segments_equals_the_cpu() {
    // Of residuals, but for PQ and PQx4 alone and fs; of words of eight bits and of four.
    for (description, metric) in [
        ("IVF2,PQ32", Metric::L2),
        ("IVF2,PQ32", Metric::InnerProduct),
        ("IVF2,PQ32x4", Metric::L2),
        ("IVF2,PQ32x4", Metric::Cosine),
        ("IVF2,PQ32x4fs", Metric::InnerProduct),
        ("IVF2,PQ32x4fsr", Metric::L2),
        ("PQ16", Metric::L2),
        ("PQ32x4", Metric::InnerProduct),
    ] {
        check_in_segments(description, metric);
    }
}

#[test]
fn search_of_scalar_codes_in_segments_equals_the_cpu() {
    for (description, metric) in [
        ("IVF2,SQ8", Metric::L2),
        ("IVF2,SQ8", Metric::Cosine),
        ("IVF2,SQ6", Metric::InnerProduct),
        ("SQ4", Metric::L2),
    ] {
        check_in_segments(description, metric);
    }
}

#[test]
fn search_of_estimates_in_segments_equals_the_cpu() {
    for (description, metric) in [
        ("IVF2,RaBitQ", Metric::L2),
        ("IVF2,RaBitQ", Metric::InnerProduct),
        ("IVF2,RaBitQ4", Metric::L2),
        ("IVF2,RaBitQ4", Metric::Cosine),
    ] {
        check_in_segments(description, metric);
    }
}

/// What `work` gives, and how many calls the device had done, for a device that is destroyed under its first submission,
/// under its second, and so on, until there are no more; empty without an adapter.
fn at_every_submission<T>(binding: u64, work: impl Fn(&Arc<Context>) -> T) -> Vec<(T, u64)> {
    let mut found = Vec::new();
    for submissions in 1.. {
        let Some(context) = Context::emulated(binding, submissions) else { break };
        let result = work(&context);
        let status = context.device_status();
        if status.lost.is_none() {
            break;
        }
        found.push((result, status.calls));
    }
    found
}

#[test]
fn kmeans_on_a_device_lost_at_any_submission_is_finished_on_the_cpu() {
    // Sums of so many dimensions are made in two pieces.
    let (dim, k) = (2048, 150);
    let rows = numbers(4, 600 * dim);
    let options = KMeansOptions { iterations: 2, ..KMeansOptions::default() };
    let cluster = |context: &Arc<Context>| {
        kmeans(context, matrix(&rows, dim), k, &options, &Control::default()).expect("clustered").centroids
    };
    let want = cluster(&cpu());
    let found = at_every_submission(MUCH, cluster);
    assert!(found.iter().all(|(centroids, _)| *centroids == want));
    // An assignment and sums, twice: each of the sums was hit at its first piece and at its second.
    let hits = |calls| found.iter().filter(|found| found.1 == calls).count();
    assert!(found.is_empty() || (hits(1) >= 2 && hits(3) >= 2), "{} and {}", hits(1), hits(3));
}

#[test]
fn search_on_a_device_lost_at_any_submission_is_finished_on_the_cpu() {
    let rows = numbers(5, 4000 * DIM);
    let queries = numbers(6, 70 * DIM);
    let options = SearchOptions { nprobe: 8, ..SearchOptions::default() };
    for description in ["IVF8,Flat", "IVF8,PQ16"] {
        let on_cpu = index(cpu(), description, Metric::L2, &rows);
        let want = search(&on_cpu, &queries, 20, &options);
        let found = at_every_submission(LITTLE, |context| {
            search(&on_cpu.copy(context.clone()).expect("a copy"), &queries, 20, &options)
        });
        assert!(found.iter().all(|(got, _)| *got == want), "{description}");
        // Many rounds of the scan, which follows the coarse step.
        let hits = found.iter().filter(|found| found.1 == 1).count();
        assert!(found.is_empty() || hits > 5, "{description}: {hits}");
    }
}

/// Dispatches are in rows of few workgroups here, and the device's own have places left in the last.
#[test]
fn search_at_once_in_many_rows_equals_the_cpu() {
    let Some(context) = Context::emulated(MUCH, FOREVER) else { return };
    for metric in [Metric::L2, Metric::InnerProduct] {
        let cpu = index(cpu(), "IVF40,Flat", metric, &numbers(1, 6000 * DIM));
        let gpu = cpu.copy(context.clone()).expect("a copy");
        let queries = numbers(2, 300 * DIM);
        for (count, nprobe) in [(1, 1), (3, 2), (300, 13)] {
            let queries = &queries[..count * DIM];
            let stats = Mutex::new(SearchStats::default());
            let options = SearchOptions { nprobe, stats: Some(&stats), ..SearchOptions::default() };
            let got = search(&gpu, queries, 10, &options);
            assert_eq!(search(&cpu, queries, 10, &SearchOptions { nprobe, ..Default::default() }), got);
            let stats = stats.into_inner().expect("not poisoned");
            assert!(stats.coarse_ns == 0 && stats.scan_ns > 0, "{stats:?}");
        }
    }
    assert_eq!(context.device_status().lost, None);
}
