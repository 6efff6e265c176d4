//! The GPU gives what the CPU gives: the same ids, distances and order, bit by bit.

use ivf::{Control, Filter, Index, IndexOptions, ListOrder, Metric, SearchOptions};

use crate::support::{Twins, matrix, numbers};

pub(crate) const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];

fn nprobe(nprobe: usize) -> SearchOptions<'static> {
    SearchOptions { nprobe, ..SearchOptions::default() }
}

#[test]
fn search_every_dimension_and_metric_equals_the_cpu() {
    for dim in [1, 3, 50, 128, 784, 1536] {
        for metric in METRICS {
            let count = if dim > 500 { 700 } else { 3000 };
            let rows = numbers(dim as u64, count * dim);
            let Some(twins) = Twins::new("IVF16,Flat", metric, dim, &rows) else { return };
            let queries = numbers(99, 20 * dim);
            for (k, probes) in [(1, 1), (10, 4), (10, 16), (1000, 16), (5000, 16)] {
                twins.check(&queries, k, &nprobe(probes));
            }
            // A coarse step and a scan each time.
            assert_eq!(twins.calls(), 10, "{dim} {metric:?}");
        }
    }
}

#[test]
fn search_lists_of_every_length_equal_the_cpu() {
    let dim = 5;
    // Lists of exactly so many vectors, around centroids far apart.
    let lengths = [0usize, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 1000, 5000];
    let mut rows = Vec::new();
    for (list, &length) in lengths.iter().enumerate() {
        let place = list as f32 * 100.0;
        rows.extend(numbers(list as u64 + 1, length * dim).iter().map(|v| v + place));
    }
    let centroids: Vec<f32> = (0..lengths.len()).flat_map(|list| [list as f32 * 100.0; 5]).collect();
    for description in ["IVF13,Flat", "IVF13,SQfp16"] {
        let Some(context) = crate::support::gpu(ivf::ContextOptions::default()) else { return };
        let make = |context| {
            let options = ivf::IndexOptions::default();
            let mut index =
                ivf::Index::new(context, dim, Metric::L2, description, &options).expect("an index");
            index.set_centroids(matrix(&centroids, dim)).expect("centroids");
            index.add(matrix(&rows, dim), None, 0, &Control::default()).expect("added");
            index
        };
        let twins = Twins { cpu: make(crate::support::cpu()), gpu: make(context), before: 0 };
        assert_eq!(twins.gpu.list_sizes(), lengths);
        let queries: Vec<f32> = numbers(7, 40 * dim).iter().map(|v| v * 700.0 + 600.0).collect();
        for (k, probes) in [(1, 1), (7, 3), (40, 13), (6500, 13)] {
            twins.check(&queries, k, &nprobe(probes));
        }
        assert!(twins.calls() >= 8);
    }
}

#[test]
fn search_flat_of_many_blocks_equals_the_cpu() {
    let dim = 16;
    for metric in METRICS {
        let Some(twins) = Twins::new("Flat", metric, dim, &numbers(5, 100_000 * dim)) else { return };
        let queries = numbers(6, 10 * dim);
        for k in [1, 10, 1000, 5000] {
            twins.check(&queries, k, &SearchOptions::default());
        }
        twins.check(&queries[..dim], 100_000, &SearchOptions::default());
        assert_eq!(twins.calls(), 5);
    }
}

#[test]
fn search_every_element_type_equals_the_cpu() {
    let dim = 12;
    for description in ["IVF8,Flat", "IVF8,SQfp16", "IVF8,SQbf16", "IVF8,SQ8_direct", "SQfp16", "SQ8_direct"]
    {
        for metric in [Metric::L2, Metric::InnerProduct] {
            // Whole numbers: with many equal distances, which go by id.
            let rows: Vec<f32> = numbers(3, 2000 * dim).iter().map(|v| (v * 4.0 + 4.0).floor()).collect();
            let Some(twins) = Twins::new(description, metric, dim, &rows) else { return };
            let queries: Vec<f32> = numbers(4, 30 * dim).iter().map(|v| (v * 4.0 + 4.0).floor()).collect();
            for (k, probes) in [(1, 1), (10, 3), (100, 8)] {
                twins.check(&queries, k, &nprobe(probes));
            }
        }
    }
    // Small and large halves, denormal ones among them.
    let rows: Vec<f32> =
        numbers(8, 2000).iter().enumerate().map(|(i, v)| v * 2f32.powi(i as i32 % 40 - 26)).collect();
    let Some(twins) = Twins::new("SQfp16", Metric::InnerProduct, 1, &rows) else { return };
    twins.check(&numbers(9, 20), 50, &SearchOptions::default());
}

#[test]
fn search_equal_vectors_go_by_id_as_on_the_cpu() {
    let dim = 4;
    let mut rows = numbers(1, 50 * dim);
    // Each of them forty times.
    rows = rows.repeat(40);
    for metric in METRICS {
        let Some(twins) = Twins::new("IVF4,Flat", metric, dim, &rows) else { return };
        for k in [1, 10, 39, 40, 41, 300] {
            twins.check(&rows[..8 * dim], k, &nprobe(4));
        }
    }
}

#[test]
fn search_filtered_or_with_a_budget_equals_the_cpu() {
    let dim = 8;
    let rows = numbers(2, 4000 * dim);
    for (description, metric) in [("IVF16,Flat", Metric::L2), ("Flat", Metric::Cosine)] {
        let Some(twins) = Twins::new(description, metric, dim, &rows) else { return };
        search_filtered(&twins, dim);
    }
}

/// Of 4000 vectors in 16 lists.
pub(crate) fn search_filtered(twins: &Twins, dim: usize) {
    let some: Vec<i64> = (0..4000).filter(|id| id % 7 == 3).collect();
    let filters = [
        Filter::range(100, 900),
        Filter::ids(&some),
        Filter::ids(&[5]),
        Filter::range(0, 0),
        Filter::ids(&some).negate(),
    ];
    let queries = numbers(3, 25 * dim);
    for filter in &filters {
        for (k, probes) in [(1, 2), (10, 16), (600, 16)] {
            let found = twins.check(
                &queries,
                k,
                &SearchOptions { nprobe: probes, filter: Some(filter), ..SearchOptions::default() },
            );
            assert!(found.ids.iter().all(|&id| id == -1 || filter.contains(id)));
        }
    }
    for max_codes in [1, 31, 32, 100, 1000, 3999, 4000] {
        twins.check(&queries, 10, &SearchOptions { nprobe: 16, max_codes, ..SearchOptions::default() });
    }
    assert!(twins.calls() >= 22);
}

#[test]
fn range_search_equals_the_cpu() {
    let dim = 6;
    let rows = numbers(2, 3000 * dim);
    for metric in METRICS {
        let Some(twins) = Twins::new("IVF16,Flat", metric, dim, &rows) else { return };
        search_ranges(&twins, metric, dim);
    }
}

/// Of 3000 vectors in 16 lists.
pub(crate) fn search_ranges(twins: &Twins, metric: Metric, dim: usize) {
    let filter = Filter::range(500, 2500);
    let queries = numbers(3, 20 * dim);
    let radii: &[f32] = match metric {
        Metric::L2 => &[-1.0, 0.0, 0.3, 1.0, 5.0, f32::INFINITY],
        _ => &[f32::INFINITY, 2.0, 1.0, 0.9, 0.0, f32::NEG_INFINITY],
    };
    for &radius in radii {
        for filter in [None, Some(&filter)] {
            let options = SearchOptions { nprobe: 7, filter, ..SearchOptions::default() };
            let find = |index: &ivf::Index| {
                index
                    .range_search(matrix(&queries, dim), radius, &options, &Control::default())
                    .expect("a search")
            };
            let calls = twins.calls();
            assert_eq!(find(&twins.cpu), find(&twins.gpu), "{metric:?} {radius}");
            assert_eq!(twins.calls(), calls + 2);
        }
    }
}

#[test]
fn search_after_changes_equals_the_cpu() {
    let dim = 10;
    let Some(twins) = Twins::new("IVF8,Flat", Metric::L2, dim, &numbers(1, 2000 * dim)) else { return };
    search_after_changes(twins, dim);
}

/// There vectors move within their lists when others are added.
#[test]
fn search_after_changes_of_lists_kept_best_first_equals_the_cpu() {
    let dim = 10;
    let Some(mut twins) = Twins::new("IVF8,Flat", Metric::L2, dim, &numbers(1, 2000 * dim)) else { return };
    twins.both(|index| {
        let options = IndexOptions { list_order: ListOrder::BestFirst, ..Default::default() };
        let context = index.context().clone();
        let mut ordered = Index::new(context, dim, Metric::L2, "IVF8,Flat", &options).expect("an index");
        ordered.set_centroids(matrix(index.centroids().expect("an IVF"), dim)).expect("the same centroids");
        ordered.merge(index, 0, 0, &Control::default()).expect("the same vectors");
        *index = ordered;
    });
    search_after_changes(twins, dim);
}

/// Those are searched on the CPU, and their lists found on the GPU.
#[test]
fn search_of_vectors_in_two_lists_equals_the_cpu() {
    for description in ["IVF8,Flat", "IVF8,SQ8,RFlat"] {
        let (dim, x) = (10, numbers(1, 2000 * 10));
        let Some(mut twins) = Twins::new("IVF8,Flat", Metric::L2, dim, &x) else { return };
        twins.both(|index| {
            let options = IndexOptions { soar: 1.0, ..Default::default() };
            let context = index.context().clone();
            let mut twice = Index::new(context, dim, Metric::L2, description, &options).expect("an index");
            twice.train(matrix(&x, dim), &Default::default(), &Control::default()).expect("trained");
            twice.add(matrix(&x, dim), None, 0, &Control::default()).expect("added");
            *index = twice;
        });
        for probes in [1, 3, 8] {
            twins.check(&numbers(2, 30 * dim), 20, &nprobe(probes));
        }
    }
}

/// Of 2000 vectors in 8 lists.
pub(crate) fn search_after_changes(mut twins: Twins, dim: usize) {
    let queries = numbers(2, 30 * dim);
    let every = nprobe(8);
    twins.check(&queries, 20, &every);
    for step in 0..12u64 {
        // A few at a time, so that last blocks are narrow, spread, filled.
        let more = numbers(10 + step, (1 + step as usize * 7) * dim);
        twins.both(|index| index.add(matrix(&more, dim), None, 0, &Control::default()).expect("added"));
        twins.check(&queries, 20, &every);
        let gone: Vec<i64> = (0..15).map(|i| (step as i64 * 131 + i * 17) % 2000).collect();
        twins.both(|index| {
            index.remove(&gone).expect("removed");
        });
        let found = twins.check(&queries, 20, &every);
        assert!(found.ids.iter().all(|id| !gone.contains(id)));
    }
    let many: Vec<i64> = (0..1900).collect();
    twins.both(|index| {
        index.remove(&many).expect("removed");
        index.compact().expect("packed");
    });
    twins.check(&queries, 2000, &every);
    twins.both(ivf::Index::reset);
    twins.check(&queries, 3, &every);
    twins.both(|index| index.add(matrix(&queries, dim), None, 0, &Control::default()).expect("added"));
    twins.check(&queries, 3, &every);
}
