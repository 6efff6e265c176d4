//! Both steps of a search at once, on lists that the CPU has not seen when the device plans their scan.

use std::sync::Mutex;

use ivf::{Control, Metric, SearchOptions, SearchStats};

use crate::parity::METRICS;
use crate::support::{Twins, matrix, numbers, search};

/// Fails unless a search gives the same on both; whether the device did its steps at once.
fn at_once(twins: &Twins, queries: &[f32], k: usize, options: &SearchOptions<'_>) -> bool {
    let want = twins.check(queries, k, options);
    let stats = [&twins.cpu, &twins.gpu].map(|index| {
        let stats = Mutex::new(SearchStats::default());
        let found = search(index, queries, k, &SearchOptions { stats: Some(&stats), ..options.clone() });
        assert_eq!(found, want);
        stats.into_inner().expect("not poisoned")
    });
    let counts = stats.map(|stats| (stats.queries, stats.lists, stats.codes));
    assert_eq!(counts[0], counts[1]);
    assert!(stats[0].coarse_ns > 0);
    stats[1].coarse_ns == 0
}

fn nprobe(nprobe: usize) -> SearchOptions<'static> {
    SearchOptions { nprobe, ..SearchOptions::default() }
}

#[test]
fn search_at_once_of_lists_that_few_and_many_queries_visit_equals_the_cpu() {
    let dim = 9;
    for metric in METRICS {
        let Some(twins) = Twins::new("IVF40,Flat", metric, dim, &numbers(1, 6000 * dim)) else { return };
        let queries = numbers(2, 700 * dim);
        // Of a list's pairs a rest of fewer than 20 is in tiles of few.
        for (count, probes) in [(1, 1), (1, 40), (7, 3), (64, 5), (190, 13), (700, 1), (700, 40)] {
            assert!(at_once(&twins, &queries[..count * dim], 10, &nprobe(probes)), "{count} {probes}");
        }
    }
}

#[test]
fn search_at_once_of_lists_in_pieces_equals_the_cpu() {
    let dim = 10;
    let Some(mut twins) = Twins::new("IVF8,Flat", Metric::L2, dim, &numbers(1, 2000 * dim)) else { return };
    let queries = numbers(2, 90 * dim);
    for step in 0..6u64 {
        // What is added goes where room is left in the segment.
        let more = numbers(10 + step, 300 * dim);
        twins.both(|index| index.add(matrix(&more, dim), None, 0, &Control::default()).expect("added"));
        let gone: Vec<i64> = (0..90).map(|i| (step as i64 * 131 + i * 17) % 2000).collect();
        twins.both(|index| {
            index.remove(&gone).expect("removed");
        });
        for k in [1, 30, 3000] {
            at_once(&twins, &queries, k, &nprobe(3));
        }
    }
}

#[test]
fn search_at_once_of_equal_distances_equals_the_cpu() {
    let dim = 3;
    // Small whole numbers, so that centroids and vectors at one distance are the rule.
    let whole = |seed, count: usize| -> Vec<f32> {
        numbers(seed, count * dim).iter().map(|v| (v * 2.0).round()).collect()
    };
    for metric in METRICS {
        let Some(mut twins) = Twins::new("IVF20,Flat", metric, dim, &whole(1, 3000)) else { return };
        let centroids = whole(3, 20);
        let rows = whole(4, 3000);
        twins.both(|index| {
            index.reset();
            index.set_centroids(matrix(&centroids, dim)).expect("centroids");
            index.add(matrix(&rows, dim), None, 0, &Control::default()).expect("added");
        });
        let mut queries = whole(5, 100);
        // Nothing at all, and numbers that devices take for zero.
        queries[..dim].fill(0.0);
        queries[dim..2 * dim].fill(1e-30);
        for (k, probes) in [(1, 1), (10, 4), (100, 19)] {
            assert!(at_once(&twins, &queries, k, &nprobe(probes)), "{metric:?}");
        }
    }
}

#[test]
fn search_of_more_lists_than_a_workgroup_has_threads_goes_step_by_step() {
    let dim = 4;
    let Some(twins) = Twins::new("IVF150,Flat", Metric::L2, dim, &numbers(1, 6000 * dim)) else { return };
    let queries = numbers(2, 20 * dim);
    assert!(at_once(&twins, &queries, 10, &nprobe(90)));
    assert!(!at_once(&twins, &queries, 10, &nprobe(140)));
    // So do those whose probes the CPU chooses.
    let options = SearchOptions { probe_scale: 0.5, ..nprobe(8) };
    assert!(!at_once(&twins, &queries, 10, &options));
    assert!(!at_once(&twins, &queries, 10, &SearchOptions { max_codes: 100, ..nprobe(8) }));
}
