//! Filtered searches of every selectivity, batch and code: the unfiltered result without the ids that do not pass, bit
//! by bit.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "small numbers; what fails is a failed test"
)]

mod common;

use common::{Found, context, kernels, numbers, search};
use ivf::{Control, Filter, Index, IndexOptions, MatrixRef, Metric, SearchOptions, TrainOptions};

const DIM: usize = 21;
/// Lists of about 20 blocks, the last of them narrow in some.
const COUNT: usize = 2600;
const K: usize = 12;
const QUERIES: usize = 500;
const BATCHES: [usize; 4] = [1, 8, 32, QUERIES];
const CODES: [&str; 10] =
    ["Flat", "SQfp16", "SQbf16", "SQ8", "SQ8_direct", "SQ4", "RaBitQ", "RaBitQ4", "PQ7", "PQ7x4fs"];

fn index(kernel: Option<&str>, metric: Metric, description: &str) -> (Index, Vec<f32>) {
    let bytes = |seed, count| -> Vec<f32> {
        numbers(seed, count).iter().map(|value| ((value + 1.0) * 100.0).floor()).collect()
    };
    let rows = bytes(31, COUNT * DIM);
    let mut index =
        Index::new(context(2, kernel), DIM, metric, description, &IndexOptions::default()).unwrap();
    let x = || MatrixRef::new("rows", &rows, COUNT, DIM).unwrap();
    index.train(x(), &TrainOptions::default(), &Control::default()).unwrap();
    index.add(x(), None, 0, &Control::default()).unwrap();
    index.remove(&(0..COUNT as i64).filter(|id| id % 13 == 5).collect::<Vec<_>>()).unwrap();
    // Some queries are vectors themselves: their distance of 0 needs the closer look.
    let mut queries = rows[..DIM * QUERIES / 2].to_vec();
    queries.extend(bytes(32, DIM * (QUERIES - QUERIES / 2)));
    (index, queries)
}

/// The ids of a share of all, strewn as if by lot.
fn strewn(share: f64) -> Vec<i64> {
    let chosen = numbers(33, COUNT).into_iter().zip(0..COUNT as i64);
    chosen.filter(|&(lot, _)| f64::from(lot + 1.0) / 2.0 < share).map(|(_, id)| id).collect()
}

/// Shares that nothing, few or nearly all pass, and runs that whole blocks pass or fail, where a sample of them misleads.
fn selections() -> Vec<Vec<i64>> {
    let count = COUNT as i64;
    let mut selections: Vec<_> = [1.0, 0.9, 0.5, 0.25, 0.1, 0.03, 0.01, 0.001].map(strewn).into();
    selections.push((count / 3..count / 2).collect());
    selections.push((0..count).filter(|id| id / 200 % 2 == 0).collect());
    selections.push(vec![count - 1]);
    selections.push(Vec::new());
    selections
}

fn check(index: &Index, queries: &[f32], what: &str) {
    let whole = SearchOptions { nprobe: 4, ..Default::default() };
    let all = search(index, queries, COUNT, &whole);
    for ids in selections() {
        let passes = |id: i64| ids.binary_search(&id).is_ok();
        let (mut want_ids, mut want_distances) = (Vec::new(), Vec::new());
        for found in all.ids.chunks(COUNT).zip(all.distances.chunks(COUNT)) {
            let hits = found.0.iter().zip(found.1).filter(|(id, _)| passes(**id)).take(K);
            let hits: Vec<_> = hits.map(|(&id, distance)| (id, distance.to_bits())).collect();
            want_ids.extend((0..K).map(|i| hits.get(i).map_or(-1, |hit| hit.0)));
            want_distances.extend((0..K).map(|i| hits.get(i).map(|hit| hit.1)));
        }
        let filters = [Filter::ids(&ids), Filter::ids(&ids).and(&Filter::range(-3, COUNT as i64 + 9))];
        for (batch, filter) in BATCHES.into_iter().flat_map(|batch| filters.iter().map(move |f| (batch, f))) {
            let options = SearchOptions { filter: Some(filter), ..whole };
            let mut got = Found::default();
            // Of small batches a few are enough.
            let some = QUERIES.min(batch * 9);
            for queries in queries[..some * DIM].chunks(batch * DIM) {
                got.append(search(index, queries, K, &options));
            }
            let name = format!("{what}, {} of {COUNT} pass, batch {batch}", ids.len());
            assert_eq!(got.ids, want_ids[..some * K], "{name}");
            for (got, want) in got.distances.iter().zip(&want_distances) {
                assert!(want.is_none_or(|want| got.to_bits() == want), "{name}: {got}");
            }
        }
    }
}

#[test]
fn search_filtered_any_code_metric_selectivity_and_batch_is_the_unfiltered_result_of_what_passes() {
    for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
        // Normalised vectors are no whole numbers.
        for code in CODES.into_iter().filter(|&code| metric != Metric::Cosine || code != "SQ8_direct") {
            let (index, queries) = index(None, metric, &format!("IVF4,{code}"));
            check(&index, &queries, &format!("{metric:?} {code}"));
        }
    }
}

#[test]
fn search_filtered_any_kernel_is_the_unfiltered_result_of_what_passes() {
    for kernel in kernels() {
        for code in ["Flat", "SQfp16", "SQ8"] {
            let (index, queries) = index(Some(kernel), Metric::L2, &format!("IVF4,{code}"));
            check(&index, &queries, &format!("{kernel} {code}"));
        }
    }
}

#[test]
fn search_filtered_limited_looks_at_the_same_vectors() {
    let (index, queries) = index(None, Metric::L2, "IVF4,Flat");
    for limit in [1, 40, 333, 1000] {
        let whole = SearchOptions { nprobe: 4, max_codes: limit, ..Default::default() };
        for ids in selections() {
            let filter = Filter::ids(&ids);
            for batch in BATCHES {
                let queries = &queries[..batch * DIM];
                let all = search(&index, queries, COUNT, &whole);
                let got = search(&index, queries, K, &SearchOptions { filter: Some(&filter), ..whole });
                for (got, all) in got.ids.chunks(K).zip(all.ids.chunks(COUNT)) {
                    let passing = all.iter().copied().filter(|id| ids.binary_search(id).is_ok());
                    let want: Vec<i64> = passing.chain(std::iter::repeat(-1)).take(K).collect();
                    assert_eq!(got, want, "{limit} codes, {} pass, batch {batch}", ids.len());
                }
            }
        }
    }
}
