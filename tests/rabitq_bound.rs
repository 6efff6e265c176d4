//! `k_factor` = infinity behind RaBitQ codes: what their error bound leaves in question is compared, and no more. The
//! oracle is the index that holds the rows themselves.

mod common;

use common::{Found, METRICS, context, filled, kernels, matrix, numbers, search};
use ivf::{Control, Filter, Index, Metric, SearchOptions};

fn factor(nprobe: usize, k_factor: f32) -> SearchOptions<'static> {
    SearchOptions { nprobe, k_factor, ..Default::default() }
}

/// Nearly normal numbers, about centres that lie so far apart.
fn rows(seed: u64, count: usize, dim: usize, spread: f32) -> Vec<f32> {
    let normal = |seed, count: usize| -> Vec<f32> {
        numbers(seed, 12 * count).chunks(12).map(|part| 0.5 * part.iter().sum::<f32>()).collect()
    };
    let centres = normal(99, 10 * dim);
    let mut rows = normal(seed, count * dim);
    for (row, centre) in rows.chunks_mut(dim).zip(centres.chunks(dim).cycle()) {
        row.iter_mut().zip(centre).for_each(|(value, centre)| *value += spread * centre);
    }
    rows
}

/// The share of `truth`'s results that `found` has.
fn recall(found: &Found, truth: &Found, k: usize) -> f64 {
    let pairs = found.ids.chunks(k).zip(truth.ids.chunks(k));
    let common = pairs.map(|(found, truth)| truth.iter().filter(|id| found.contains(id)).count());
    let all = truth.ids.iter().filter(|&&id| id >= 0).count();
    common.sum::<usize>() as f64 / all as f64
}

#[test]
fn search_infinite_factor_keeps_the_recall_of_the_rows() {
    let (dim, k) = (64, 10);
    for (data, spread) in [("normal", 0.0), ("clustered", 1.5)] {
        let (x, queries) = (rows(1, 4000, dim, spread), rows(2, 300, dim, spread));
        for metric in METRICS {
            for before in ["", "RR,"] {
                let flat = filled(context(2, None), &format!("{before}IVF10,Flat"), metric, &x, dim);
                for bits in 1..=8 {
                    let description = format!("{before}IVF10,RaBitQ{bits},RFlat");
                    let index = filled(context(2, None), &description, metric, &x, dim);
                    for nprobe in [3, 10] {
                        let truth = search(&flat, &queries, k, &factor(nprobe, 0.0));
                        let found = search(&index, &queries, k, &factor(nprobe, f32::INFINITY));
                        let share = recall(&found, &truth, k);
                        assert!(share >= 0.995, "{data} {description} {metric:?} {nprobe}: {share}");
                    }
                }
            }
        }
    }
}

/// What the bound leaves out is left out, be it among the nearest; a factor that large compares all.
#[test]
fn search_infinite_factor_is_no_exhaustive_search() {
    let (dim, k) = (64, 10);
    let (x, queries) = (rows(1, 4000, dim, 0.0), rows(2, 300, dim, 0.0));
    let flat = filled(context(2, None), "IVF10,Flat", Metric::L2, &x, dim);
    let index = filled(context(2, None), "IVF10,RaBitQ,RFlat", Metric::L2, &x, dim);
    let truth = search(&flat, &queries, k, &factor(10, 0.0));
    assert_eq!(search(&index, &queries, k, &factor(10, 1e6)).ids, truth.ids);
    assert_ne!(search(&index, &queries, k, &factor(10, f32::INFINITY)).ids, truth.ids);
}

#[test]
fn search_infinite_factor_any_batch_threads_and_kernel_gives_the_same_bits() {
    let (dim, k) = (50, 7);
    let (x, queries) = (rows(4, 5000, dim, 0.7), rows(5, 150, dim, 0.7));
    for metric in METRICS {
        for code in ["RaBitQ", "RaBitQ3", "RaBitQ8"] {
            let description = format!("RR,IVF16,{code},RFlat");
            let mut first: Option<Found> = None;
            // Without fused products centroids are others.
            for kernel in kernels().into_iter().filter(|&kernel| kernel != "scalar") {
                for threads in [1, 4] {
                    let index = filled(context(threads, Some(kernel)), &description, metric, &x, dim);
                    let options = factor(6, f32::INFINITY);
                    let whole = search(&index, &queries, k, &options);
                    assert_eq!(
                        &whole,
                        first.get_or_insert_with(|| whole.clone()),
                        "{description} {metric:?} {kernel}"
                    );
                    for size in [1, 13, 64] {
                        let mut found = Found::default();
                        queries
                            .chunks(size * dim)
                            .for_each(|part| found.append(search(&index, part, k, &options)));
                        assert_eq!(found, whole, "{description} {metric:?} {kernel} {threads} {size}");
                    }
                }
            }
        }
    }
}

/// Deviations are measured again where lists change, and hold whatever the budget and the filter.
#[test]
fn search_infinite_factor_follows_changes_budgets_and_filters() {
    let (dim, k) = (32, 5);
    let (x, more) = (rows(6, 3000, dim, 1.0), rows(7, 300, dim, 4.0));
    let queries: Vec<f32> =
        x[..100 * dim].iter().chain(&more[..100 * dim]).map(|value| value + 0.02).collect();
    for metric in METRICS {
        for code in ["RaBitQ", "RaBitQ4"] {
            let mut index = filled(context(2, None), &format!("IVF8,{code},RFlat"), metric, &x, dim);
            let mut exact = filled(context(2, None), "IVF8,Flat", metric, &x, dim);
            let check = |index: &Index, exact: &Index, options: SearchOptions<'_>, note: &str| {
                let bounded = SearchOptions { k_factor: f32::INFINITY, ..options.clone() };
                let found = search(index, &queries, k, &bounded);
                let truth = search(exact, &queries, k, &options);
                assert_eq!(found.hits, truth.hits, "{code} {metric:?} {note}");
                let share = recall(&found, &truth, k);
                assert!(share >= 0.99, "{code} {metric:?} {note}: {share}");
            };
            let all = factor(5, 0.0);
            check(&index, &exact, all.clone(), "as filled");
            for index in [&mut index, &mut exact] {
                index.add(matrix(&more, dim), None, 0, &Control::default()).unwrap();
            }
            check(&index, &exact, all.clone(), "more added");
            for index in [&mut index, &mut exact] {
                index.remove(&(0..1200).step_by(2).collect::<Vec<i64>>()).unwrap();
            }
            check(&index, &exact, all.clone(), "some removed");
            for index in [&mut index, &mut exact] {
                index.compact().unwrap();
            }
            check(&index, &exact, all.clone(), "packed");
            for ids in [(0..3300).step_by(3).collect::<Vec<i64>>(), (0..3300).step_by(61).collect(), vec![]] {
                let filter = Filter::ids(&ids);
                let options = SearchOptions { filter: Some(&filter), ..all.clone() };
                check(&index, &exact, options, &format!("{} pass", ids.len()));
            }
            check(&index, &exact, SearchOptions { max_codes: 300, ..all.clone() }, "in fewer vectors");
            check(&index, &exact, SearchOptions { k_factor: 0.0, nprobe: 0, ..all }, "few lists");
        }
    }
}

/// Behind a transform that does not keep distances an estimate says nothing of them: all are compared.
#[test]
fn search_infinite_factor_behind_a_projection_compares_all() {
    let (dim, k) = (24, 10);
    let (x, queries) = (rows(8, 900, dim, 0.5), rows(9, 40, dim, 0.5));
    for metric in METRICS {
        let flat = filled(context(2, None), "Flat", metric, &x, dim);
        let truth = search(&flat, &queries, k, &factor(0, 0.0));
        for before in ["PCA6,", "RR6,", "L2norm,", "ITQ,", "PCAW24,"] {
            let index = filled(context(2, None), &format!("{before}RaBitQ2,RFlat"), metric, &x, dim);
            assert_eq!(
                search(&index, &queries, k, &factor(0, f32::INFINITY)).ids,
                truth.ids,
                "{before} {metric:?}"
            );
        }
        for before in ["RR,", "RR40,", "HR,", "OPQ4,", "PCA24,", "Center,"] {
            let index = filled(context(2, None), &format!("{before}RaBitQ2,RFlat"), metric, &x, dim);
            let found = search(&index, &queries, k, &factor(0, f32::INFINITY));
            let share = recall(&found, &truth, k);
            assert!(share >= 0.985, "{before} {metric:?}: {share}");
        }
    }
}
