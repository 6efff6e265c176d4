//! Scans of codes on the GPU give what the CPU gives: the same ids, distances and order, bit by bit.

use ivf::{Context, Control, Index, IndexOptions, Metric, SearchOptions, TrainOptions};
use std::sync::Arc;

use crate::parity::{METRICS, search_after_changes, search_filtered, search_ranges};
use crate::support::{Twins, cpu, gpu, matrix, numbers};

/// An index of `rows` that was trained on them, and a copy of it on the GPU.
fn twins(description: &str, metric: Metric, dim: usize, rows: &[f32]) -> Option<Twins> {
    Some(twins_on(gpu(Default::default())?, description, metric, dim, rows))
}

pub(crate) fn twins_on(
    gpu: Arc<Context>,
    description: &str,
    metric: Metric,
    dim: usize,
    rows: &[f32],
) -> Twins {
    let mut cpu = Index::new(cpu(), dim, metric, description, &IndexOptions::default()).expect("an index");
    let x = matrix(rows, dim);
    cpu.train(x, &TrainOptions::default(), &Control::default()).expect("trained");
    cpu.add(x, None, 0, &Control::default()).expect("added");
    let gpu = cpu.copy(gpu).expect("a copy");
    let mut twins = Twins { cpu, gpu, before: 0 };
    twins.before = twins.calls();
    twins
}

fn nprobe(nprobe: usize) -> SearchOptions<'static> {
    SearchOptions { nprobe, ..SearchOptions::default() }
}

#[test]
fn search_codes_of_every_dimension_and_metric_equal_the_cpu() {
    for dim in [1, 3, 50, 128, 784] {
        for metric in METRICS {
            let count = if dim > 500 { 700 } else { 3000 };
            let rows = numbers(dim as u64, count * dim);
            for description in ["IVF16,SQ8", "SQ8", "IVF16,SQ6", "SQ4"] {
                let Some(twins) = twins(description, metric, dim, &rows) else { return };
                // Tiles of many queries, and of few.
                let queries = numbers(99, 40 * dim);
                for (k, probes) in [(1, 1), (10, 4), (10, 16), (1000, 16)] {
                    twins.check(&queries, k, &nprobe(probes));
                    twins.check(&queries[..3 * dim], k, &nprobe(probes));
                }
                // A coarse step, where there is one, and a scan each time.
                let steps = if description.starts_with("IVF") { 2 } else { 1 };
                assert_eq!(twins.calls(), 8 * steps, "{dim} {metric:?} {description}");
            }
        }
    }
}

#[test]
fn search_codes_near_and_far_equal_the_cpu() {
    let dim = 20;
    // Far from the origin, where differences cancel; many rows are there twice and go by id.
    let mut rows: Vec<f32> = numbers(5, 1500 * dim).iter().map(|v| v + 300.0).collect();
    rows.extend_from_within(..700 * dim);
    for metric in METRICS {
        for description in ["IVF4,SQ8", "SQ8", "IVF4,SQ4", "IVF4,PQ10x4", "IVF4,PQ5", "PQ5"] {
            let Some(twins) = twins(description, metric, dim, &rows) else { return };
            // Queries that are rows, then other ones.
            for queries in [&rows[..30 * dim], &numbers(6, 30 * dim)] {
                for (k, probes) in [(1, 1), (7, 2), (100, 4)] {
                    twins.check(queries, k, &nprobe(probes));
                }
            }
            assert!(twins.calls() >= 6);
        }
    }
}

#[test]
fn search_codes_filtered_or_with_a_budget_equals_the_cpu() {
    let dim = 8;
    let rows = numbers(2, 4000 * dim);
    for (description, metric) in [
        ("IVF16,SQ8", Metric::L2),
        ("IVF16,SQ6", Metric::InnerProduct),
        ("IVF16,PQ4x4fs", Metric::L2),
        ("IVF16,PQ4", Metric::L2),
        ("IVF16,PQ4x4", Metric::InnerProduct),
        ("IVF16,RaBitQ", Metric::InnerProduct),
        ("IVF16,RaBitQ6", Metric::L2),
    ] {
        let Some(twins) = twins(description, metric, dim, &rows) else { return };
        search_filtered(&twins, dim);
    }
}

#[test]
fn range_search_of_codes_equals_the_cpu() {
    let dim = 6;
    let rows = numbers(2, 3000 * dim);
    for metric in METRICS {
        for description in
            ["IVF16,SQ8", "IVF16,PQ3x4fs", "IVF16,PQ3x4", "IVF16,PQ3", "IVF16,RaBitQ", "IVF16,RaBitQ4"]
        {
            let Some(twins) = twins(description, metric, dim, &rows) else { return };
            search_ranges(&twins, metric, dim);
        }
    }
}

#[test]
fn search_codes_after_changes_equals_the_cpu() {
    let dim = 10;
    for description in [
        "IVF8,SQ8",
        "IVF8,SQ6",
        "IVF8,PQ5x4fs",
        "IVF8,PQ5x4fsr",
        "IVF8,PQ5x4",
        "IVF8,PQ5",
        "PQ2",
        "IVF8,RaBitQ",
        "IVF8,RaBitQ3",
    ] {
        let Some(twins) = twins(description, Metric::L2, dim, &numbers(1, 2000 * dim)) else { return };
        search_after_changes(twins, dim);
    }
}

#[test]
fn search_codes_after_training_anew_equals_the_cpu() {
    let dim = 9;
    let Some(mut twins) = twins("IVF8,SQ8", Metric::L2, dim, &numbers(1, 2000 * dim)) else { return };
    let queries = numbers(2, 30 * dim);
    twins.check(&queries, 5, &nprobe(8));
    // Other centroids, other ranges.
    let rows: Vec<f32> = numbers(3, 1500 * dim).iter().map(|v| 3.0 * v - 1.0).collect();
    twins.both(|index| {
        index.reset();
        index.train(matrix(&rows, dim), &TrainOptions::default(), &Control::default()).expect("trained");
        index.add(matrix(&rows, dim), None, 0, &Control::default()).expect("added");
    });
    twins.check(&queries, 5, &nprobe(8));
}

#[test]
fn search_in_two_stages_equals_the_cpu() {
    let dim = 24;
    let rows = numbers(7, 3000 * dim);
    let more = numbers(8, 300 * dim);
    let queries = numbers(9, 40 * dim);
    for metric in METRICS {
        for description in [
            "IVF16,SQ4,RFlat",
            "IVF16,SQ8,Refine(SQfp16)",
            "SQ6,Refine(SQ8)",
            "IVF16,SQfp16,RFlat",
            "IVF16,PQ6,RFlat",
        ] {
            let Some(mut twins) = twins(description, metric, dim, &rows) else { return };
            for k_factor in [1.0, 3.0, 30.0] {
                for (k, probes) in [(1, 1), (10, 5), (90, 16)] {
                    twins.check(
                        &queries,
                        k,
                        &SearchOptions { nprobe: probes, k_factor, ..SearchOptions::default() },
                    );
                }
            }
            // A coarse step, where there is one, and a scan each time.
            let steps = if description.starts_with("IVF") { 2 } else { 1 };
            assert_eq!(twins.calls(), 9 * steps, "{description} {metric:?}");
            twins.both(|index| {
                index.remove(&[1, 17, 90]).expect("removed");
                index.add(matrix(&more, dim), None, 0, &Control::default()).expect("added");
            });
            twins.check(&queries, 10, &nprobe(16));
            let radius = if metric == Metric::L2 { 5.0 } else { 0.3 };
            let find = |index: &Index| {
                index
                    .range_search(matrix(&queries, dim), radius, &nprobe(16), &Control::default())
                    .expect("a search")
            };
            assert_eq!(find(&twins.cpu), find(&twins.gpu), "{description} {metric:?}");
        }
    }
}

#[test]
fn search_of_product_codes_equals_the_cpu() {
    let dim = 40;
    let rows = numbers(11, 3000 * dim);
    let queries = numbers(12, 40 * dim);
    for metric in METRICS {
        // An odd number of parts, and one of a dimension each; in two stages.
        for description in [
            "IVF16,PQ8x4fs",
            "PQ5x4fs",
            "IVF16,PQ40x4fs",
            "IVF16,PQ10x4fs,RFlat",
            "IVF16,PQ8x4fsr",
            "IVF16,PQ5x4fsr,RFlat",
            "IVF16,PQ8",
            "PQ5",
            "IVF16,PQ40",
            "IVF16,PQ10,Refine(SQ8)",
            "IVF16,PQ8x4",
            "PQ5x4",
            "PQ40x4",
            "OPQ5_20,IVF16,PQ5x4,RFlat",
        ] {
            let Some(twins) = twins(description, metric, dim, &rows) else { return };
            for (k, probes) in [(1, 1), (10, 4), (10, 16), (500, 16)] {
                twins.check(&queries, k, &nprobe(probes));
                twins.check(&queries[..3 * dim], k, &nprobe(probes));
            }
            // A coarse step, where there is one, and a scan each time.
            let steps = if description.contains("IVF") { 2 } else { 1 };
            assert_eq!(twins.calls(), 8 * steps, "{metric:?} {description}");
        }
    }
}

#[test]
fn search_of_product_codes_in_lists_of_every_length_equals_the_cpu() {
    let dim = 15;
    let lengths = [0usize, 1, 15, 16, 17, 31, 32, 33, 65, 1000];
    for description in ["IVF10,PQ5", "IVF10,PQ3x4", "IVF10,PQ5x4fs", "IVF10,PQ5x4fsr"] {
        let Some(mut twins) = twins(description, Metric::L2, dim, &numbers(1, 2000 * dim)) else { return };
        twins.both(Index::reset);
        // So many vectors about each centroid.
        let centroids = twins.cpu.centroids().expect("an IVF").to_vec();
        let about = centroids.chunks(dim).zip(lengths).flat_map(|(centroid, length)| centroid.repeat(length));
        let rows: Vec<f32> =
            about.zip(numbers(2, 2000 * dim)).map(|(value, noise)| value + 0.01 * noise).collect();
        twins.both(|index| index.add(matrix(&rows, dim), None, 0, &Control::default()).expect("added"));
        assert_eq!(twins.gpu.list_sizes(), lengths);
        let queries: Vec<f32> = numbers(3, 40 * dim).iter().map(|value| 0.3 * value).collect();
        for (k, probes) in [(1, 1), (40, 1), (7, 3), (40, 10), (1300, 10)] {
            twins.check(&queries, k, &nprobe(probes));
            twins.check(&queries[..dim], k, &nprobe(probes));
        }
        assert_eq!(twins.calls(), 20 + 1, "{description}");
    }
}

/// Tables take 40 KB a query, and a round 64 MB of them.
#[test]
fn search_of_queries_with_more_tables_than_a_round_takes_equals_the_cpu() {
    let dim = 40;
    let Some(twins) = twins("IVF16,PQ40", Metric::L2, dim, &numbers(31, 2000 * dim)) else { return };
    twins.check(&numbers(32, 2000 * dim), 5, &nprobe(2));
    assert_eq!(twins.calls(), 2);
}

#[test]
fn search_of_estimates_equals_the_cpu() {
    let check = |description: &str, metric, dim: usize| {
        let rows: Vec<f32> = numbers(21, 2000 * dim).iter().map(|value| value + 0.3).collect();
        let queries = numbers(22, 40 * dim);
        let Some(twins) = twins(description, metric, dim, &rows) else { return };
        for (k, probes) in [(1, 1), (10, 4), (300, 16)] {
            twins.check(&queries, k, &nprobe(probes));
            twins.check(&queries[..3 * dim], k, &nprobe(probes));
        }
        // A coarse step, where there is one, and a scan each time.
        let steps = if description.contains("IVF") { 2 } else { 1 };
        assert_eq!(twins.calls(), 6 * steps, "{dim} {metric:?} {description}");
    };
    for metric in METRICS {
        for bits in 1..=8 {
            check(&format!("IVF16,RaBitQ{bits}"), metric, 40);
        }
        for code in ["RaBitQ", "RaBitQ4"] {
            // More than are summed up at once; in two stages.
            check(code, metric, 300);
            check(&format!("IVF16,{code},RFlat"), metric, 23);
            check(&format!("RR,IVF16,{code}"), metric, 7);
        }
        check("IVF16,RaBitQ", metric, 1);
    }
}
