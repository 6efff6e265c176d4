//! Searches in two stages (`RFlat`, `Refine(SQ8)`): the best by their codes, compared again with kept rows. The oracle
//! is the index that holds these rows themselves.

#![expect(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "tests; offsets are small")]

mod common;

use common::{Brute, Found, METRICS, context, filled, kernels, matrix, numbers, search};
use ivf::{
    Control, Filter, Index, IndexOptions, LoadOptions, Metric, RangeOutput, SearchOptions, TrainOptions,
    TuneOptions,
};

/// Enough for all vectors of these tests to be compared again.
const ALL: f32 = 1e6;

fn normalised(rows: &[f32], dim: usize) -> Vec<f32> {
    let unit = |row: &[f32]| {
        let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        row.iter().map(|value| value / length).collect::<Vec<_>>()
    };
    rows.chunks(dim).flat_map(unit).collect()
}

fn factor(k_factor: f32) -> SearchOptions<'static> {
    SearchOptions { nprobe: 1000, k_factor, ..Default::default() }
}

/// The same vectors, at distances that may be rounded otherwise: rows are added up in another order than blocks.
fn assert_close(found: &Found, expected: &Found, note: &str) {
    assert_eq!((&found.ids, &found.hits), (&expected.ids, &expected.hits), "{note}");
    assert_near(&found.distances, &expected.distances, note);
}

fn assert_near(found: &[f32], expected: &[f32], note: &str) {
    assert_eq!(found.len(), expected.len(), "{note}");
    for (&found, &expected) in found.iter().zip(expected) {
        let size = f64::from(found.abs().max(expected.abs()).max(1.0));
        assert!(
            found == expected || f64::from((found - expected).abs()) <= 3e-6 * size,
            "{note}: {found} {expected}"
        );
    }
}

fn range(index: &Index, queries: &[f32], radius: f32) -> RangeOutput {
    let queries = matrix(queries, index.info().dim);
    index.range_search(queries, radius, &factor(0.0), &Control::default()).unwrap()
}

#[test]
fn search_all_candidates_are_the_kept_rows_results() {
    for dim in [1, 7, 50, 300] {
        let x = numbers(1, 400 * dim);
        let queries = numbers(2, 9 * dim);
        for kernel in kernels() {
            let context = context(2, Some(kernel));
            for metric in METRICS {
                for (refined, plain) in [
                    ("SQ4,RFlat", "Flat"),
                    ("IVF8,SQ8,RFlat", "IVF8,Flat"),
                    ("IVF8,RaBitQ,RFlat", "IVF8,Flat"),
                    ("IVF8,SQ6,Refine(SQfp16)", "IVF8,SQfp16"),
                    ("IVF8,SQ4,Refine(SQbf16)", "IVF8,SQbf16"),
                ] {
                    let build = |description| filled(context.clone(), description, metric, &x, dim);
                    let found = search(&build(refined), &queries, 10, &factor(ALL));
                    let expected = search(&build(plain), &queries, 10, &factor(0.0));
                    assert_close(&found, &expected, &format!("{refined}, {metric:?}, dim {dim}, {kernel}"));
                }
            }
        }
    }
}

#[test]
fn search_rows_kept_in_codes_are_compared_as_they_are_reconstructed() {
    let dim = 24;
    let x = numbers(1, 600 * dim);
    let queries = numbers(2, 20 * dim);
    for metric in METRICS {
        for bits in ["SQ8", "SQ6", "SQ4"] {
            let index = filled(context(2, None), &format!("IVF4,SQ4,Refine({bits})"), metric, &x, dim);
            let mut rows = vec![0.0; x.len()];
            index.reconstruct_range(0, 600, &mut rows).unwrap();
            let found = search(&index, &queries, 10, &factor(ALL));
            if metric == Metric::Cosine {
                // A code is not quite of length 1.
                assert_eq!(found.hits, [10; 20]);
                assert!(found.distances.iter().all(|value| value.abs() <= 1.0));
            } else {
                Brute::new(metric, dim, &rows).check(&queries, 10, &found);
            }
        }
    }
}

/// Scalar codes are scanned with queries rounded to 8 bits, wherever the data lies.
#[test]
fn search_rounded_queries_find_the_nearest_whatever_the_kernel_and_the_batch() {
    let dim = 50;
    for offset in [0.0, 300.0] {
        let x: Vec<f32> = numbers(5, 3000 * dim).iter().map(|value| value + offset).collect();
        let queries: Vec<f32> = numbers(6, 40 * dim).iter().map(|value| value + offset).collect();
        // Angles so far from the origin are all the same in float32.
        for metric in METRICS.into_iter().filter(|&metric| offset == 0.0 || metric != Metric::Cosine) {
            let exact = filled(context(2, None), "IVF8,Flat", metric, &x, dim);
            let expected = search(&exact, &queries, 10, &factor(0.0));
            for (description, share) in
                [("IVF8,SQ8,RFlat", 0.995), ("SQ8,RFlat", 0.995), ("IVF8,SQ6,RFlat", 0.99)]
            {
                // Without fused products centroids are others.
                let mut fused: Option<Found> = None;
                for kernel in kernels() {
                    let index = filled(context(2, Some(kernel)), description, metric, &x, dim);
                    let found = search(&index, &queries, 10, &factor(0.0));
                    if kernel != "scalar" {
                        let first = fused.get_or_insert_with(|| found.clone());
                        assert_eq!(&found, first, "{description} {metric:?} {kernel}");
                    }
                    for q in [0, 17, 39] {
                        let alone = search(&index, &queries[q * dim..(q + 1) * dim], 10, &factor(0.0));
                        assert_eq!(alone.ids, found.ids[q * 10..(q + 1) * 10]);
                        assert_eq!(alone.distances, found.distances[q * 10..(q + 1) * 10]);
                    }
                    let same = found.ids.chunks(10).zip(expected.ids.chunks(10));
                    let same: usize =
                        same.map(|(got, want)| want.iter().filter(|id| got.contains(id)).count()).sum();
                    let got = same as f64 / expected.ids.len() as f64;
                    assert!(got >= share, "{description} {metric:?} {kernel} at {offset}: {got}");
                }
            }
        }
    }
}

/// With an infinite factor the result is that of the kept rows, by as many candidates as the codes' bounds call for.
#[test]
fn search_infinite_factor_finds_what_the_kept_rows_would() {
    for (dim, offset) in [(3, 0.0), (50, 0.0), (50, 300.0), (130, 0.0)] {
        let shifted = |seed, n: usize| numbers(seed, n * dim).iter().map(|value| value + offset).collect();
        let (x, queries): (Vec<f32>, Vec<f32>) = (shifted(7, 3000), shifted(8, 60));
        for kernel in kernels() {
            let context = context(2, Some(kernel));
            // Products so far from the origin differ by less than float32 tells.
            for metric in METRICS.into_iter().filter(|&metric| offset == 0.0 || metric == Metric::L2) {
                for (refined, plain) in [
                    ("SQ8,RFlat", "Flat"),
                    ("IVF8,SQ8,RFlat", "IVF8,Flat"),
                    ("IVF8,SQ4,RFlat", "IVF8,Flat"),
                    ("IVF8,SQ8,Refine(SQfp16)", "IVF8,SQfp16"),
                    ("IVF8,PQ1x4,RFlat", "IVF8,Flat"),
                    ("RR,IVF8,SQ8,RFlat", "RR,IVF8,Flat"),
                ] {
                    let build = |description| filled(context.clone(), description, metric, &x, dim);
                    let (refined_index, exact) = (build(refined), build(plain));
                    let note = format!("{refined} {metric:?} {dim} at {offset} {kernel}");
                    for nprobe in [3, 8] {
                        let options = SearchOptions { nprobe, ..factor(f32::INFINITY) };
                        let found = search(&refined_index, &queries, 10, &options);
                        let expected = search(&exact, &queries, 10, &SearchOptions { nprobe, ..factor(0.0) });
                        if plain.starts_with("RR") || offset != 0.0 {
                            // Compared before the rotation, or where float32 has few digits left: ties may fall otherwise.
                            let same = found.ids.iter().zip(&expected.ids).filter(|(a, b)| a == b).count();
                            assert!(same * 1000 >= 985 * expected.ids.len(), "{note}: {same}");
                        } else {
                            assert_close(&found, &expected, &note);
                        }
                    }
                }
            }
        }
    }
}

/// What was measured of lists is measured again where they change, and holds whatever the budget and the filter.
#[test]
fn search_infinite_factor_follows_changes_budgets_and_filters() {
    let dim = 24;
    let x = numbers(9, 2000 * dim);
    let far: Vec<f32> = numbers(10, 200 * dim).iter().map(|value| value * 40.0).collect();
    let queries: Vec<f32> = numbers(11, 50 * dim).iter().zip(&far).map(|(a, b)| a + b).collect();
    for metric in [Metric::L2, Metric::InnerProduct] {
        let mut refined = filled(context(2, None), "IVF8,SQ8,RFlat", metric, &x, dim);
        let mut exact = filled(context(2, None), "IVF8,Flat", metric, &x, dim);
        let check = |refined: &Index, exact: &Index, options: SearchOptions<'_>, note: &str| {
            let found =
                search(refined, &queries, 7, &SearchOptions { k_factor: f32::INFINITY, ..options.clone() });
            assert_close(&found, &search(exact, &queries, 7, &options), note);
        };
        let all = SearchOptions { nprobe: 4, ..Default::default() };
        check(&refined, &exact, all.clone(), "as filled");
        for index in [&mut refined, &mut exact] {
            // Far beyond the ranges that codes were trained for.
            index.add(matrix(&far, dim), None, 0, &Control::default()).unwrap();
        }
        check(&refined, &exact, all.clone(), "vectors that codes do not reach");
        for index in [&mut refined, &mut exact] {
            index.remove(&(0..900).collect::<Vec<i64>>()).unwrap();
            index.compact().unwrap();
        }
        check(&refined, &exact, all.clone(), "after removal");
        let some: Vec<i64> = (0..2200).step_by(3).collect();
        let filter = Filter::ids(&some);
        check(&refined, &exact, SearchOptions { filter: Some(&filter), ..all.clone() }, "filtered");
        check(&refined, &exact, SearchOptions { max_codes: 130, ..all.clone() }, "in fewer vectors");
        let none = Filter::ids(&[]);
        check(&refined, &exact, SearchOptions { filter: Some(&none), ..all }, "nothing passes");
    }
}

#[test]
fn search_default_factor_of_eight_bits_has_half_of_k_to_spare_and_three_at_least() {
    let (dim, nearest) = (16, 300);
    // Trained on rows a hundred times as long: codes so rough that it shows how many candidates there are.
    let (x, wide) =
        (numbers(3, 2000 * dim), numbers(5, 2000 * dim).iter().map(|v| v * 100.0).collect::<Vec<_>>());
    let queries = numbers(4, 60 * dim);
    for metric in [Metric::L2, Metric::InnerProduct] {
        let mut index = common::trained(context(1, None), "SQ8,RFlat", metric, &wide, dim);
        index.add(matrix(&x, dim), None, 0, &Control::default()).unwrap();
        for (k, candidates) in [(1, 4), (2, 5), (5, 8), (6, 9), (7, 10), (10, 15), (200, nearest)] {
            let by = |candidates: usize| factor((candidates as f32 + 0.5) / k as f32);
            let found = search(&index, &queries, k, &factor(0.0));
            assert_eq!(found, search(&index, &queries, k, &by(candidates)), "{metric:?} {k}");
            for other in [candidates - 1, candidates + 1] {
                assert_ne!(
                    found,
                    search(&index, &queries, k, &by(other)),
                    "{metric:?} {k}: {other} are as good"
                );
            }
        }
    }
}

#[test]
fn search_k_factor_compares_so_many_times_k() {
    let dim = 16;
    let x = numbers(3, 2000 * dim);
    let queries = numbers(4, 30 * dim);
    for metric in METRICS {
        let base = filled(context(1, None), "IVF8,PQ8", metric, &x, dim);
        let refined = filled(context(1, None), "IVF8,PQ8,RFlat", metric, &x, dim);
        let exact = filled(context(1, None), "IVF8,Flat", metric, &x, dim);
        for (k_factor, candidates) in [(1.0, 10), (2.55, 25), (0.0, 40), (8.0, 80)] {
            let found = search(&refined, &queries, 10, &factor(k_factor));
            let first = search(&base, &queries, candidates, &factor(0.0));
            for q in 0..30 {
                let own = &first.ids[q * candidates..(q + 1) * candidates];
                let among = Filter::ids(own);
                let options = SearchOptions { filter: Some(&among), ..factor(0.0) };
                let expected = search(&exact, &queries[q * dim..(q + 1) * dim], 10, &options);
                assert_eq!(&found.ids[q * 10..(q + 1) * 10], expected.ids, "{metric:?} {k_factor} {q}");
                assert_near(&found.distances[q * 10..(q + 1) * 10], &expected.distances, "");
            }
        }
    }
}

#[test]
fn search_any_threads_and_batches_gives_the_same_bits() {
    let dim = 20;
    let x = numbers(5, 3000 * dim);
    // So many that rows are read in the order in which they lie, by each of four workers too.
    let queries = numbers(6, 1100 * dim);
    let options = SearchOptions { nprobe: 5, ..Default::default() };
    for (metric, description) in [
        (Metric::L2, "IVF16,SQ4,RFlat"),
        (Metric::InnerProduct, "IVF16,SQ8,Refine(SQ6)"),
        (Metric::Cosine, "IVF16,PQ10x4fs,Refine(SQfp16)"),
    ] {
        let build = |threads| filled(context(threads, None), description, metric, &x, dim);
        let (one, four) = (build(1), build(4));
        let whole = search(&one, &queries, 10, &options);
        assert_eq!(search(&four, &queries, 10, &options), whole, "{description}");
        for size in [1, 7, 64] {
            let mut found = Found::default();
            queries.chunks(size * dim).for_each(|part| found.append(search(&four, part, 10, &options)));
            assert_eq!(found, whole, "{description}: {size}");
        }
    }
}

#[test]
fn search_of_any_history_is_that_of_the_kept_rows() {
    let dim = 12;
    let x = numbers(7, 900 * dim);
    let more = numbers(8, 100 * dim);
    let queries = numbers(9, 25 * dim);
    for metric in METRICS {
        let history = |description: &str| {
            let control = Control::default();
            let mut index = filled(context(2, None), description, metric, &x, dim);
            let ids: Vec<i64> = (0..300).map(|i| i * 3).collect();
            let moved: Vec<f32> = numbers(10, 300 * dim);
            index.update(&ids, matrix(&moved, dim), 0, &control).unwrap();
            index.remove(&(0..400).map(|i| i * 2).collect::<Vec<_>>()).unwrap();
            index.add(matrix(&more, dim), Some(&(5000..5100).collect::<Vec<_>>()), 0, &control).unwrap();
            let copy = index.copy(context(1, None)).unwrap();
            index.compact().unwrap();
            let mut merged = index.copy(context(2, None)).unwrap();
            merged.merge(&copy, 10_000, 0, &control).unwrap();
            let mut rows = vec![0.0; 100 * dim];
            merged.reconstruct_range(15_000, 100, &mut rows).unwrap();
            let found: Vec<Found> =
                [&index, &copy, &merged].map(|index| search(index, &queries, 10, &factor(0.0))).into();
            (found, rows)
        };
        // Every candidate is one: by the codes nothing is cut off.
        let (expected, rows) = history("IVF4,Flat");
        let (found, kept) = history("IVF4,SQ8,RFlat");
        assert_eq!(kept, rows);
        let same = |a: &Found, b: &Found| a.ids.iter().zip(&b.ids).filter(|(a, b)| a == b).count();
        for (found, expected) in found.iter().zip(&expected) {
            assert!(same(found, expected) >= 245, "{metric:?}: {}", same(found, expected));
        }
    }
    let mut index = filled(context(1, None), "IVF4,SQ8,RFlat", Metric::L2, &x, dim);
    index.reset();
    assert_eq!(search(&index, &queries, 3, &factor(0.0)).ids, [-1; 75]);
    index.add(matrix(&x, dim), None, 0, &Control::default()).unwrap();
    assert_eq!(index.info().count, 900);
}

#[test]
fn search_filter_and_range_keep_their_promises() {
    let dim = 10;
    let x = numbers(11, 1500 * dim);
    let queries = numbers(12, 15 * dim);
    for metric in METRICS {
        let refined = filled(context(2, None), "IVF6,SQ8,RFlat", metric, &x, dim);
        let exact = filled(context(2, None), "IVF6,Flat", metric, &x, dim);
        for ids in [(0..1500).step_by(2).collect::<Vec<_>>(), (0..1500).step_by(97).collect()] {
            let filter = Filter::ids(&ids);
            let options = SearchOptions { filter: Some(&filter), ..factor(ALL) };
            let plain = SearchOptions { k_factor: 0.0, ..options.clone() };
            let found = search(&refined, &queries, 12, &options);
            assert_close(&found, &search(&exact, &queries, 12, &plain), "");
        }
        let radius = if metric == Metric::L2 { 2.0 } else { 0.4 };
        let (found, expected) = (range(&refined, &queries, radius), range(&exact, &queries, radius));
        let mut missed = 0;
        for q in 0..15 {
            let of = |output: &RangeOutput| {
                let part = output.offsets[q] as usize..output.offsets[q + 1] as usize;
                output.ids[part.clone()]
                    .iter()
                    .copied()
                    .zip(output.distances[part].to_vec())
                    .collect::<Vec<_>>()
            };
            let (found, expected) = (of(&found), of(&expected));
            // What lies within is told with its true distance; only what the codes put outside may be missing.
            for (id, distance) in &found {
                let (_, truth) = expected.iter().find(|hit| hit.0 == *id).unwrap();
                assert_near(&[*distance], &[*truth], "");
            }
            missed += expected.len() - found.len();
        }
        assert!(missed * 50 < expected.ids.len(), "{metric:?}: {missed} of {}", expected.ids.len());
    }
}

#[test]
fn search_behind_transforms_compares_the_rows_as_they_came() {
    let dim = 16;
    let x = numbers(13, 800 * dim);
    let queries = numbers(14, 10 * dim);
    for metric in METRICS {
        let index = filled(context(2, None), "PCA6,IVF4,SQ8,RFlat", metric, &x, dim);
        let exact = filled(context(2, None), "Flat", metric, &x, dim);
        assert_close(
            &search(&index, &queries, 10, &factor(ALL)),
            &search(&exact, &queries, 10, &factor(0.0)),
            "",
        );
        let (mut kept, mut rows) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        index.reconstruct_range(0, 800, &mut kept).unwrap();
        exact.reconstruct_range(0, 800, &mut rows).unwrap();
        assert_eq!(kept, rows);
    }
}

#[test]
fn k_factor_without_use_or_out_of_range_is_refused() {
    let x = numbers(15, 200 * 4);
    let index = filled(context(1, None), "IVF2,SQ8,RFlat", Metric::L2, &x, 4);
    let plain = filled(context(1, None), "IVF2,SQ8", Metric::L2, &x, 4);
    let fails = |index: &Index, options: &SearchOptions| {
        let (mut distances, mut ids) = (vec![0.0; 3], vec![0; 3]);
        let output = ivf::SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
        index.search(matrix(&x[..4], 4), 3, options, output, &Control::default()).unwrap_err().to_string()
    };
    for wrong in [0.5, -1.0, f32::NAN, f32::NEG_INFINITY] {
        assert!(fails(&index, &factor(wrong)).contains("k_factor: expected 1 or more"));
    }
    assert!(fails(&plain, &factor(2.0)).contains("does not end in a refinement"));
    let both = SearchOptions { target_recall: 0.5, k_factor: 2.0, ..Default::default() };
    assert!(fails(&index, &both).contains("k_factor: expected 0"));
    let ranged = index.range_search(matrix(&x[..4], 4), 1.0, &factor(2.0), &Control::default());
    assert!(ranged.unwrap_err().to_string().contains("k_factor: expected 0"));
}

#[test]
fn tune_chooses_lists_and_factor_and_held_out_queries_get_the_recall() {
    let dim = 16;
    let x = numbers(16, 6000 * dim);
    let (sample, held_out) = (numbers(17, 500 * dim), numbers(18, 500 * dim));
    let exact = filled(context(2, None), "Flat", Metric::L2, &x, dim);
    let truth = search(&exact, &held_out, 10, &factor(0.0));
    let recall = |found: &Found| {
        let pairs = found.ids.chunks(10).zip(truth.ids.chunks(10));
        let common = |(found, truth): (&[i64], &[i64])| truth.iter().filter(|id| found.contains(id)).count();
        pairs.map(common).sum::<usize>() as f64 / 5000.0
    };
    let mut factors = Vec::new();
    for description in ["IVF32,SQ8,RFlat", "IVF32,SQ4,RFlat", "IVF32,RaBitQ,RFlat"] {
        let mut index = filled(context(2, None), description, Metric::L2, &x, dim);
        let tuned =
            index.tune(matrix(&sample, dim), 10, 0.9, &TuneOptions::default(), &Control::default()).unwrap();
        let points = &index.curve().unwrap().points;
        assert!(points.is_sorted_by(|a, b| a.nprobe <= b.nprobe && a.cost < b.cost));
        assert!(points.iter().all(|point| point.k_factor >= 1.0));
        for asked in [0.7, 0.9] {
            let options = SearchOptions { target_recall: asked, ..Default::default() };
            let found = search(&index, &held_out, 10, &options);
            assert!(recall(&found) > f64::from(asked) - 0.01, "{description} {asked}: {}", recall(&found));
            // Fewer neighbours have as many candidates.
            let one = search(&index, &held_out, 1, &options);
            let first =
                one.ids.iter().zip(truth.ids.chunks(10)).filter(|(id, truth)| **id == truth[0]).count();
            assert!(first as f64 / 500.0 > f64::from(asked) - 0.03, "{description} {asked}: {first}");
        }
        let by_recall = SearchOptions { target_recall: 0.9, ..Default::default() };
        let ivf::Tuned { nprobe, probe_scale, k_factor, .. } = tuned;
        let chosen = SearchOptions { nprobe, probe_scale, k_factor, ..Default::default() };
        assert_eq!(search(&index, &held_out, 10, &by_recall), search(&index, &held_out, 10, &chosen));
        factors.push(tuned.k_factor);
        let mut bytes = Vec::new();
        index.serialize(&mut bytes).unwrap();
        let loaded =
            Index::deserialize(context(1, None), &bytes, &LoadOptions::default(), &Control::default())
                .unwrap();
        assert_eq!(loaded.curve(), index.curve());
    }
    assert!(factors[0] <= factors[1] && factors[1] < factors[2], "coarser codes want more: {factors:?}");
}

#[test]
fn tune_begins_with_what_the_codes_need_and_goes_on_in_halves_of_a_power_of_two() {
    let dim = 24;
    let (x, sample) = (numbers(3, 3000 * dim), numbers(4, 300 * dim));
    for (description, k, ladder) in [
        // A tenth to spare, one at least: k_factor 1 is not scanned in whole numbers.
        ("SQ8,RFlat", 30, &[1.1, 1.5][..]),
        ("SQ4,RFlat", 10, &[1.15, 1.5, 2.0, 3.0]),
        ("SQ4,RFlat", 1, &[2.5, 3.0, 4.0]),
        ("RaBitQ4,RFlat", 10, &[1.0, 1.5, 2.0, 3.0]),
        // 1.5 candidates would be the one before.
        ("RaBitQ4,RFlat", 1, &[1.0, 2.0, 3.0]),
        ("RaBitQ,RFlat", 10, &[2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0]),
    ] {
        let mut index = filled(context(2, None), description, Metric::L2, &x, dim);
        index.tune(matrix(&sample, dim), k, 0.5, &TuneOptions::default(), &Control::default()).unwrap();
        let tried: Vec<f32> = index.curve().unwrap().points.iter().map(|point| point.k_factor).collect();
        let common = tried.len().min(ladder.len());
        assert!(common > 1 && tried[..common] == ladder[..common], "{description} {k}: {tried:?}");
    }
}

#[test]
fn save_and_load_keep_the_rows_and_refuse_what_is_damaged() {
    let dim = 8;
    let x = numbers(19, 300 * dim);
    let queries = numbers(20, 10 * dim);
    let folder = std::env::temp_dir().join(format!("ivf-refine-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("refined.ivf");
    for description in
        ["IVF4,SQ4,RFlat", "SQ8,Refine(SQfp16)", "PCA4,IVF4,SQ8,Refine(SQ6)", "IVF4,RaBitQ,RFlat"]
    {
        let mut index = filled(context(2, None), description, Metric::Cosine, &x, dim);
        index.remove(&[5, 77]).unwrap();
        index.save(&path, &Control::default()).unwrap();
        let expected = search(&index, &queries, 10, &factor(0.0));
        for memory_map in [false, true] {
            let options = LoadOptions { memory_map, ..Default::default() };
            let mut loaded = Index::load(context(2, None), &path, &options, &Control::default()).unwrap();
            assert_eq!(loaded.describe(), description);
            assert_eq!(search(&loaded, &queries, 10, &factor(0.0)), expected);
            loaded.remove(&[9]).unwrap();
            loaded.add(matrix(&x[..dim], dim), None, 0, &Control::default()).unwrap();
            assert_eq!(loaded.info().count, 298);
        }
        Index::check(context(1, None), &path, 0, &Control::default()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(7) {
            let mut wrong = bytes.clone();
            wrong[at] ^= 0x40;
            // A gap between sections may hold anything; all else is found out.
            if let Ok(loaded) =
                Index::deserialize(context(1, None), &wrong, &LoadOptions::default(), &Control::default())
            {
                assert_eq!(search(&loaded, &queries, 10, &factor(0.0)), expected, "{description} {at}");
            }
            let unchecked = LoadOptions { skip_verify: true, ..Default::default() };
            if let Ok(loaded) = Index::deserialize(context(1, None), &wrong, &unchecked, &Control::default())
            {
                search(&loaded, &queries, 10, &factor(0.0));
            }
        }
        let faiss = folder.join("x");
        match index.export_faiss(&faiss, &Control::default()) {
            Ok(()) => {
                let loaded =
                    Index::load(context(2, None), &faiss, &LoadOptions::default(), &Control::default())
                        .unwrap();
                assert_eq!(loaded.describe(), description);
                // As inner products.
                assert_eq!(search(&loaded, &normalised(&queries, dim), 10, &factor(0.0)).ids, expected.ids);
                Index::check(context(1, None), &faiss, 0, &Control::default()).unwrap();
            }
            Err(error) => assert!(error.to_string().contains("RaBitQ codes"), "{description}: {error}"),
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn train_refine_codes_wait_for_training_and_bytes_are_checked() {
    let x = numbers(21, 100 * 4);
    let mut index =
        Index::new(context(1, None), 4, Metric::L2, "IVF2,SQfp16,Refine(SQ8)", &IndexOptions::default())
            .unwrap();
    index.set_centroids(matrix(&x[..8], 4)).unwrap();
    assert!(!index.info().trained);
    index.train(matrix(&x, 4), &TrainOptions::default(), &Control::default()).unwrap();
    assert!(index.info().trained);
    assert_eq!(index.centroids().unwrap(), &x[..8]);
    for description in ["IVF2,SQfp16,Refine(SQ8)", "SQfp16,Refine(SQ6)"] {
        let mut waiting =
            Index::new(context(1, None), 4, Metric::L2, description, &IndexOptions::default()).unwrap();
        if waiting.info().is_ivf {
            waiting.set_centroids(matrix(&x[..8], 4)).unwrap();
        }
        let mut bytes = Vec::new();
        waiting.serialize(&mut bytes).unwrap();
        let mut loaded =
            Index::deserialize(context(1, None), &bytes, &LoadOptions::default(), &Control::default())
                .unwrap();
        assert!(!loaded.info().trained);
        loaded.train(matrix(&x, 4), &TrainOptions::default(), &Control::default()).unwrap();
        loaded.add(matrix(&x, 4), None, 0, &Control::default()).unwrap();
        assert_eq!(loaded.info().count, 100);
    }
    let bytes = "Flat,Refine(SQ8_direct)";
    assert!(Index::new(context(1, None), 4, Metric::Cosine, bytes, &IndexOptions::default()).is_err());
    let mut index = Index::new(context(1, None), 4, Metric::L2, bytes, &IndexOptions::default()).unwrap();
    let error = index.add(matrix(&x, 4), None, 0, &Control::default()).unwrap_err();
    assert!(error.to_string().contains("a whole number from 0 to 255"));
    assert_eq!(index.info().count, 0);
}
