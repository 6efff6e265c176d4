//! Lists kept best first: in order through every change, and of no effect on what a search of whole lists finds.

#![expect(clippy::unwrap_used, clippy::cast_possible_wrap, reason = "tests; numbers are small")]

mod common;

use std::fs;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use common::{Found, METRICS, all, context, filled, matrix, numbers, search};
use ivf::{
    Budget, Control, Error, Index, IndexOptions, ListOrder, LoadOptions, Metric, Profile, Report,
    SearchOptions, SearchOutput, Sharing, TrainOptions,
};

const DIM: usize = 12;
const NLIST: usize = 9;

fn index(description: &str, metric: Metric, list_order: ListOrder) -> Index {
    let options = IndexOptions { list_order, ..Default::default() };
    let mut index = Index::new(context(3, None), DIM, metric, description, &options).unwrap();
    index.train(matrix(&numbers(1, 900 * DIM), DIM), &TrainOptions::default(), &Control::default()).unwrap();
    index
}

fn add(index: &mut Index, seed: u64, count: usize) {
    index.add(matrix(&numbers(seed, count * DIM), DIM), None, 0, &Control::default()).unwrap();
}

/// The ids of the first `most` vectors of a list.
fn first(index: &Index, list: usize, most: usize) -> Vec<i64> {
    let k = index.info().count.max(1);
    let (mut distances, mut ids) = (vec![0.0; k], vec![0; k]);
    let output = SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
    let budget = Budget { list_max: most, ..Default::default() };
    let options = SearchOptions { budget, ..Default::default() };
    let query = numbers(3, DIM);
    let queries = matrix(&query, DIM);
    index.search_preassigned(queries, &[list as i64], 1, k, &options, output, &Control::default()).unwrap();
    ids.retain(|&id| id >= 0);
    ids
}

/// What a vector's list is ordered by, of what the index holds of it.
fn rank(index: &Index, list: usize, id: i64) -> f64 {
    let mut row = [0.0; DIM];
    index.reconstruct(&[id], &mut row).unwrap();
    let centroid = &index.centroids().unwrap()[list * DIM..][..DIM];
    match index.info().metric {
        Metric::InnerProduct => -row.iter().map(|&a| f64::from(a).powi(2)).sum::<f64>(),
        _ => row.iter().zip(centroid).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum(),
    }
}

/// Whether all lists are in order, whose vectors are held as they are.
fn is_ordered(index: &Index) -> bool {
    (0..NLIST).all(|list| {
        let len = index.list_sizes()[list];
        let mut before = Vec::new();
        let mut last = f64::NEG_INFINITY;
        (1..=len).all(|most| {
            let now = first(index, list, most);
            let new = now.iter().find(|id| !before.contains(*id)).copied().unwrap();
            let (rank, in_order) = (rank(index, list, new), now.len() == most);
            let in_order = in_order && rank >= last - 1e-5;
            (before, last) = (now, rank);
            in_order
        })
    })
}

/// Whether the first half of a list comes before the rest in order.
fn is_first_nearest(index: &Index, list: usize) -> bool {
    let len = index.list_sizes()[list];
    let (half, whole) = (first(index, list, len / 2), first(index, list, len));
    let ranks = |first: bool| {
        let ids = whole.iter().filter(|id| half.contains(id) == first);
        ids.map(|&id| rank(index, list, id)).collect::<Vec<_>>()
    };
    let most = ranks(true).into_iter().fold(f64::NEG_INFINITY, f64::max);
    ranks(false).into_iter().all(|rank| rank >= most - 1e-5)
}

/// Every change there is, some vectors or few at a time.
fn change(index: &mut Index, other: &Index, step: usize) {
    let control = Control::default();
    match step {
        0 => add(index, 11, 300),
        1 => add(index, 12, 1),
        2 => add(index, 13, 40),
        3 => assert_eq!(index.remove(&(20..45).collect::<Vec<_>>()).unwrap(), 25),
        4 => {
            let ids: Vec<i64> = (100..160).collect();
            index.update(&ids, matrix(&numbers(14, 60 * DIM), DIM), 0, &control).unwrap();
        }
        5 => assert_eq!(index.merge(other, 1000, 0, &control).unwrap(), 200),
        // Past a fifth: lists are packed.
        6 => assert_eq!(index.remove(&(200..300).collect::<Vec<_>>()).unwrap(), 100),
        7 => index.compact().unwrap(),
        8 => {
            let mut bytes = Vec::new();
            index.serialize(&mut bytes).unwrap();
            let context = index.context().clone();
            *index = Index::deserialize(context, &bytes, &LoadOptions::default(), &control).unwrap();
        }
        9 => *index = index.copy(index.context().clone()).unwrap(),
        10 => {
            // What lies in a mapped file is changed in a copy.
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("mapped.ivf");
            index.save(&path, &control).unwrap();
            let options = LoadOptions { memory_map: true, ..Default::default() };
            *index = Index::load(index.context().clone(), &path, &options, &control).unwrap();
            add(index, 15, 30);
        }
        11 => {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("rows.fvecs");
            let dim = u32::try_from(DIM).unwrap().to_le_bytes();
            let row = |row: &[f32]| [&dim[..], bytemuck::cast_slice(row)].concat();
            fs::write(&path, numbers(16, 70 * DIM).chunks(DIM).flat_map(row).collect::<Vec<_>>()).unwrap();
            assert_eq!(index.add_file(&path, 0, &control).unwrap(), 70);
        }
        _ => {
            index.reset();
            add(index, 17, 100);
        }
    }
}

const STEPS: usize = 13;

#[test]
fn changes_of_any_kind_keep_the_order() {
    for metric in METRICS {
        for of_other in [ListOrder::Added, ListOrder::BestFirst] {
            let mut other = index("IVF9,Flat", metric, of_other);
            add(&mut other, 20, 200);
            let mut index = index("IVF9,Flat", metric, ListOrder::BestFirst);
            for step in 0..STEPS {
                change(&mut index, &other, step);
                assert!(is_ordered(&index), "{metric:?}, step {step}");
                assert_eq!(index.info().list_order, ListOrder::BestFirst);
            }
        }
    }
}

#[test]
fn lists_as_added_are_in_no_such_order() {
    let mut index = index("IVF9,Flat", Metric::L2, ListOrder::Added);
    add(&mut index, 11, 300);
    assert!(!is_ordered(&index));
    assert_eq!(index.info().list_order, ListOrder::Added);
}

#[test]
fn search_of_whole_lists_finds_the_same_in_any_order() {
    let queries = numbers(30, 40 * DIM);
    for description in [
        "IVF9,Flat",
        "IVF9,SQfp16",
        "IVF9,SQ8",
        "IVF9,SQ4,RFlat",
        "IVF9,PQ4x4",
        "IVF9,PQ4x4fs,Refine(SQ8)",
        "IVF9,RaBitQ,RFlat",
        "PCA8,IVF9,Flat",
    ] {
        for metric in METRICS {
            let make = |order| {
                let (mut other, index) =
                    (index(description, metric, order), index(description, metric, order));
                add(&mut other, 20, 200);
                (other, index)
            };
            let ((other_plain, mut plain), (other, mut ordered)) =
                (make(ListOrder::Added), make(ListOrder::BestFirst));
            for step in 0..STEPS {
                change(&mut plain, &other_plain, step);
                change(&mut ordered, &other, step);
                // Enough is compared again that ties of estimates decide nothing.
                let k_factor = if description.contains('R') { 1000.0 } else { 0.0 };
                for options in [all(), SearchOptions { nprobe: 3, ..Default::default() }] {
                    let options = SearchOptions { k_factor, ..options };
                    let note = format!("{description} {metric:?}, step {step}");
                    let found = |index: &Index| -> Found { search(index, &queries, 15, &options) };
                    assert_eq!(found(&ordered), found(&plain), "{note}");
                    let ids = |index: &Index| index.ids();
                    assert_eq!(ids(&ordered), ids(&plain), "{note}");
                }
            }
        }
    }
}

#[test]
fn equal_vectors_come_by_id_whatever_their_place() {
    let mut index = index("IVF9,Flat", Metric::L2, ListOrder::BestFirst);
    let row = numbers(40, DIM);
    for ids in [[5, 3], [9, 1], [2, 7]] {
        index.add(matrix(&row.repeat(2), DIM), Some(&ids), 0, &Control::default()).unwrap();
    }
    assert_eq!(search(&index, &row, 6, &all()).ids, [1, 2, 3, 5, 7, 9]);
}

#[test]
fn same_batches_give_the_same_bytes_on_any_number_of_threads() {
    let bytes = |threads| {
        let mut index = index("IVF9,Flat", Metric::L2, ListOrder::BestFirst);
        for seed in 50..54 {
            let rows = numbers(seed, 500 * DIM);
            index.add(matrix(&rows, DIM), None, threads, &Control::default()).unwrap();
        }
        let mut bytes = Vec::new();
        index.serialize(&mut bytes).unwrap();
        bytes
    };
    assert_eq!(bytes(1), bytes(3));
}

#[test]
fn add_cancelled_adds_nothing_or_all() {
    let mut index = index("IVF9,Flat", Metric::L2, ListOrder::BestFirst);
    add(&mut index, 60, 5000);
    let bytes = |index: &Index| {
        let mut bytes = Vec::new();
        index.serialize(&mut bytes).unwrap();
        bytes
    };
    let before = bytes(&index);
    // From the first report on; of so few rows the only one comes when all is there.
    let flag = AtomicI32::new(1);
    let rows = numbers(61, 3000 * DIM);
    let control = Control::new(None, Some(&flag));
    assert!(matches!(index.add(matrix(&rows, DIM), None, 0, &control), Err(Error::Cancelled)));
    assert_eq!(bytes(&index), before);
    let mut late = |_: &Report| false;
    let control = Control::new(Some(&mut late), None);
    index.add(matrix(&rows, DIM), None, 0, &control).unwrap();
    assert_eq!(index.info().count, 8000);
    assert!(bytes(&index) != before);
}

#[test]
fn add_cancelled_while_it_orders_has_added_and_compaction_orders_the_rest() {
    let rows = numbers(62, 20_000 * DIM);
    let found = |index: &Index| search(index, &rows[..20 * DIM], 5, &all());
    let expected = {
        let mut index = index("IVF9,Flat", Metric::L2, ListOrder::Added);
        rows.chunks(10_000 * DIM)
            .for_each(|rows| index.add(matrix(rows, DIM), None, 0, &Control::default()).unwrap());
        found(&index)
    };
    // The flag is set at any time, so either may happen.
    for delay in (0..40).map(|step| Duration::from_micros(step * 250)) {
        let mut index = index("IVF9,Flat", Metric::L2, ListOrder::BestFirst);
        let (first, second) = rows.split_at(10_000 * DIM);
        index.add(matrix(first, DIM), None, 0, &Control::default()).unwrap();
        let flag = AtomicI32::new(0);
        let added = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(delay);
                flag.store(1, Ordering::Relaxed);
            });
            index.add(matrix(second, DIM), None, 0, &Control::new(None, Some(&flag)))
        });
        if added.is_err() {
            assert_eq!(index.info().count, 10_000);
            index.add(matrix(second, DIM), None, 0, &Control::default()).unwrap();
        }
        assert_eq!(found(&index), expected, "{delay:?}");
        index.compact().unwrap();
        assert_eq!(found(&index), expected, "{delay:?}");
        assert!((0..NLIST).all(|list| is_first_nearest(&index, list)), "{delay:?}");
    }
}

#[test]
fn approximate_profiles_find_more_in_ordered_lists() {
    let rows = numbers(70, 6000 * DIM);
    let queries = numbers(71, 200 * DIM);
    for metric in [Metric::L2, Metric::InnerProduct] {
        let found = |order, profile| {
            let mut index = index("IVF9,Flat", metric, order);
            index.add(matrix(&rows, DIM), None, 0, &Control::default()).unwrap();
            search(&index, &queries, 10, &SearchOptions { nprobe: 6, profile, ..Default::default() }).ids
        };
        let exact = found(ListOrder::Added, Profile::Exact);
        for profile in [Profile::ApproxFast, Profile::ApproxBalanced] {
            let share = |order| {
                let ids = found(order, profile);
                let hits = ids
                    .chunks(10)
                    .zip(exact.chunks(10))
                    .map(|(ids, exact)| exact.iter().filter(|id| ids.contains(id)).count());
                hits.sum::<usize>()
            };
            let (ordered, added) = (share(ListOrder::BestFirst), share(ListOrder::Added));
            assert!(ordered > added, "{metric:?} {profile:?}: {ordered} against {added}");
        }
    }
}

#[test]
fn sharing_not_chosen_is_that_of_order_and_metric() {
    let rows = numbers(72, 3000 * DIM);
    let queries = numbers(73, 50 * DIM);
    for (order, metric, sharing) in [
        (ListOrder::Added, Metric::L2, Sharing::ProbeOrder),
        (ListOrder::BestFirst, Metric::L2, Sharing::DistanceWeighted),
        (ListOrder::BestFirst, Metric::InnerProduct, Sharing::Uniform),
        (ListOrder::BestFirst, Metric::Cosine, Sharing::ProbeOrder),
    ] {
        let mut index = index("IVF9,Flat", metric, order);
        index.add(matrix(&rows, DIM), None, 0, &Control::default()).unwrap();
        let found = |sharing| {
            let budget = Budget { codes: 700, sharing, ..Default::default() };
            search(&index, &queries, 10, &SearchOptions { nprobe: 6, budget, ..Default::default() })
        };
        let all = [Sharing::Uniform, Sharing::DistanceWeighted, Sharing::ProbeOrder];
        let same: Vec<_> =
            all.into_iter().filter(|&sharing| found(sharing) == found(Sharing::Default)).collect();
        assert_eq!(same, [sharing], "{order:?} {metric:?}");
    }
}

#[test]
fn flat_index_has_no_order_to_keep() {
    let options = IndexOptions { list_order: ListOrder::BestFirst, ..Default::default() };
    let error = Index::new(context(1, None), DIM, Metric::L2, "Flat", &options).err().unwrap();
    assert!(error.to_string().contains("\"Flat\" has no inverted lists"), "{error}");
    assert_eq!(
        filled(context(1, None), "Flat", Metric::L2, &numbers(1, DIM), DIM).info().list_order,
        ListOrder::Added
    );
}
