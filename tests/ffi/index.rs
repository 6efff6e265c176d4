//! An index through the C ABI, from create to destroy.

use std::ffi::{CStr, c_char};
use std::ptr::{null, null_mut};

use ivf::ffi::*;

use crate::support::{Index, fails, ok, rows, sized};

const DIM: u32 = 8;

fn describe(index: &Index) -> String {
    let (mut text, mut length) = ([1 as c_char; 64], 0);
    ok(unsafe { ivf_index_describe(index.0, text.as_mut_ptr(), 64, &mut length) });
    let text = unsafe { CStr::from_ptr(text.as_ptr()) }.to_str().expect("UTF-8").to_owned();
    assert_eq!(text.len() as u64, length);
    text
}

#[test]
fn index_trained_and_filled_finds_its_own_vectors() {
    let x = rows(1000, DIM);
    for metric in [IVF_METRIC_L2, IVF_METRIC_COSINE] {
        for description in ["Flat", "IVF8,Flat", "IVF,Flat"] {
            let index = Index::filled(description, DIM, metric, 1000);
            let (distances, ids) = index.search(&x, DIM, 1, 1000);
            assert_eq!(ids, (0..1000).collect::<Vec<i64>>(), "{description}");
            let best = if metric == IVF_METRIC_L2 { 0.0 } else { 1.0 };
            assert!(distances.iter().all(|d| (d - best).abs() < 1e-5), "{description}");
        }
    }
}

#[test]
fn info_of_a_refined_index_tells_its_factor() {
    let info = |description, k_factor| {
        let options = ivf_index_options { k_factor, ..sized() };
        Index::with_options(description, DIM, IVF_METRIC_L2, &options).info().k_factor
    };
    assert_eq!(
        [info("Flat", 0.0), info("SQ8,RFlat", 0.0), info("IVF8,SQ4,RFlat", 0.0), info("IVF8,SQ4,RFlat", 7.5)],
        [0.0, 1.5, 4.0, 7.5]
    );
}

#[test]
fn info_of_each_stage_tells_what_is_there() {
    let options = ivf_index_options { nprobe: 3, allow_duplicate_ids: 1, ..sized() };
    let index = Index::with_options("IVF8,Flat", DIM, IVF_METRIC_INNER_PRODUCT, &options);
    let info = index.info();
    assert_eq!((info.dim, info.metric, info.is_ivf), (DIM, IVF_METRIC_INNER_PRODUCT, 1));
    assert_eq!((info.trained, info.nlist, info.nprobe, info.allow_duplicate_ids), (0, 8, 3, 1));
    let x = rows(400, DIM);
    ok(unsafe { ivf_train(index.0, x.as_ptr(), 400, DIM, null()) });
    index.add(&x, DIM);
    let ids: Vec<i64> = (0..30).collect();
    ok(unsafe { ivf_remove(index.0, ids.as_ptr(), 30, null_mut()) });
    let info = index.info();
    assert_eq!((info.trained, info.count, info.dead, info.next_id), (1, 370, 30, 400));
    assert!(
        info.vector_bytes >= 400 * u64::from(DIM) * 4 && info.memory_bytes > info.vector_bytes,
        "{info:?}"
    );
    ok(unsafe { ivf_compact(index.0) });
    assert_eq!((index.info().count, index.info().dead), (370, 0));
    ok(unsafe { ivf_reset(index.0) });
    let info = index.info();
    assert_eq!((info.trained, info.count, info.next_id), (1, 0, 400));
}

#[test]
fn describe_chosen_nlist_is_told() {
    let index = Index::new("IVF,Flat", DIM, IVF_METRIC_L2);
    assert_eq!((describe(&index), index.info().nlist), ("IVF,Flat".to_owned(), 0));
    let x = rows(1000, DIM);
    ok(unsafe { ivf_train(index.0, x.as_ptr(), 1000, DIM, null()) });
    let nlist = index.info().nlist;
    assert!(nlist > 0);
    assert_eq!(describe(&index), format!("IVF{nlist},Flat"));
    assert_eq!(describe(&Index::new("Flat", DIM, IVF_METRIC_L2)), "Flat");
}

#[test]
fn describe_short_buffer_is_cut_and_terminated() {
    let index = Index::new("IVF16,Flat", DIM, IVF_METRIC_L2);
    let (mut text, mut length) = ([b'x' as c_char; 8], 0);
    ok(unsafe { ivf_index_describe(index.0, text.as_mut_ptr(), 6, &mut length) });
    assert_eq!((text.map(|c| c.to_ne_bytes()[0]), length), (*b"IVF16\0xx", 10));
    length = 0;
    ok(unsafe { ivf_index_describe(index.0, null_mut(), 0, &mut length) });
    assert_eq!(length, 10);
    ok(unsafe { ivf_index_describe(index.0, text.as_mut_ptr(), 1, null_mut()) });
    assert_eq!(text[0], 0);
}

#[test]
fn list_sizes_sum_to_the_count() {
    let index = Index::filled("IVF8,Flat", DIM, IVF_METRIC_L2, 500);
    let mut sizes = [0u64; 8];
    ok(unsafe { ivf_list_sizes(index.0, sizes.as_mut_ptr(), 8) });
    assert_eq!(sizes.iter().sum::<u64>(), 500);
    let (flat, mut size) = (Index::filled("Flat", DIM, IVF_METRIC_L2, 500), 0);
    ok(unsafe { ivf_list_sizes(flat.0, &mut size, 1) });
    assert_eq!(size, 500);
    let untrained = Index::new("IVF8,Flat", DIM, IVF_METRIC_L2);
    ok(unsafe { ivf_list_sizes(untrained.0, sizes.as_mut_ptr(), 8) });
    assert_eq!(sizes, [0; 8]);
}

#[test]
fn centroids_set_come_back() {
    let given = rows(8, DIM);
    let index = Index::new("IVF8,Flat", DIM, IVF_METRIC_L2);
    let mut centroids = vec![0f32; given.len()];
    let to = centroids.as_mut_ptr();
    fails(unsafe { ivf_centroids(index.0, to, 8, DIM) }, IVF_E_NOT_TRAINED, "not trained");
    ok(unsafe { ivf_set_centroids(index.0, given.as_ptr(), 8, DIM) });
    ok(unsafe { ivf_centroids(index.0, to, 8, DIM) });
    assert_eq!(centroids, given);
    let flat = Index::new("Flat", DIM, IVF_METRIC_L2);
    fails(unsafe { ivf_centroids(flat.0, to, 1, DIM) }, IVF_E_STATE, "Flat");
    fails(unsafe { ivf_set_centroids(index.0, given.as_ptr(), 7, DIM) }, IVF_E_ARGUMENT, "centroids");
    index.add(&given, DIM);
    fails(unsafe { ivf_set_centroids(index.0, given.as_ptr(), 8, DIM) }, IVF_E_STATE, "8 vectors");
    fails(unsafe { ivf_train(index.0, given.as_ptr(), 8, DIM, null()) }, IVF_E_STATE, "8 vectors");
}

#[test]
fn ids_of_ones_own_come_back_and_repeat_only_if_allowed() {
    let (x, ids) = (rows(4, DIM), [7i64, 1 << 40, 3, 9]);
    let index = Index::new("Flat", DIM, IVF_METRIC_L2);
    let add = |ids: &[i64; 4]| unsafe { ivf_add(index.0, x.as_ptr(), 4, DIM, ids.as_ptr(), null()) };
    ok(add(&ids));
    assert_eq!(index.search(&x, DIM, 1, 0).1, ids);
    assert_eq!(index.info().next_id, (1 << 40) + 1);
    fails(add(&ids), IVF_E_DUPLICATE_ID, "id 7 ");
    fails(add(&[20, 21, 20, 22]), IVF_E_DUPLICATE_ID, "id 20 ");
    fails(add(&[30, -1, 31, 32]), IVF_E_ARGUMENT, "-1");
    assert_eq!(index.info().count, 4);
    let options = ivf_index_options { allow_duplicate_ids: 1, ..sized() };
    let index = Index::with_options("Flat", DIM, IVF_METRIC_L2, &options);
    let mut removed = 0;
    unsafe {
        ok(ivf_add(index.0, x.as_ptr(), 4, DIM, ids.as_ptr(), null()));
        ok(ivf_add(index.0, x.as_ptr(), 4, DIM, ids.as_ptr(), null()));
        ok(ivf_remove(index.0, ids.as_ptr(), 2, &mut removed));
    }
    assert_eq!((removed, index.info().count), (4, 4));
}

#[test]
fn reconstruct_returns_what_was_added() {
    let x = rows(300, DIM);
    let index = Index::filled("IVF4,Flat", DIM, IVF_METRIC_L2, 300);
    let (ids, mut out) = ([299i64, 0, 17], vec![0f32; 3 * DIM as usize]);
    ok(unsafe { ivf_reconstruct(index.0, ids.as_ptr(), 3, out.as_mut_ptr(), DIM) });
    let dim = DIM as usize;
    for (row, id) in [299, 0, 17].into_iter().enumerate() {
        assert_eq!(out[row * dim..][..dim], x[id * dim..][..dim]);
    }
    let unknown = [1i64, 300];
    let status = unsafe { ivf_reconstruct(index.0, unknown.as_ptr(), 2, out.as_mut_ptr(), DIM) };
    fails(status, IVF_E_NOT_FOUND, "300");
}

#[test]
fn search_missing_results_are_padded_and_counted() {
    for (metric, worst) in [(IVF_METRIC_L2, f32::INFINITY), (IVF_METRIC_INNER_PRODUCT, f32::NEG_INFINITY)] {
        let index = Index::filled("Flat", DIM, metric, 3);
        let (queries, mut hits) = (rows(2, DIM), [9u64; 2]);
        let (mut distances, mut ids) = ([0f32; 10], [0i64; 10]);
        let options = ivf_search_options { hits: hits.as_mut_ptr(), ..sized() };
        let (to, ids_to) = (distances.as_mut_ptr(), ids.as_mut_ptr());
        ok(unsafe { ivf_search(index.0, queries.as_ptr(), 2, DIM, 5, to, ids_to, &options) });
        assert_eq!(hits, [3, 3]);
        assert_eq!((&ids[3..5], &ids[8..]), (&[-1, -1][..], &[-1, -1][..]));
        assert_eq!((&distances[3..5], &distances[8..]), (&[worst; 2][..], &[worst; 2][..]));
    }
}

#[test]
fn search_untrained_is_refused() {
    let index = Index::new("IVF4,Flat", DIM, IVF_METRIC_L2);
    let (query, mut distance, mut id) = (rows(1, DIM), 0f32, 0i64);
    let query = query.as_ptr();
    let status = unsafe { ivf_search(index.0, query, 1, DIM, 1, &mut distance, &mut id, null()) };
    fails(status, IVF_E_NOT_TRAINED, "not trained");
    fails(unsafe { ivf_add(index.0, query, 1, DIM, null(), null()) }, IVF_E_NOT_TRAINED, "not trained");
}

#[test]
fn search_preassigned_to_the_same_lists_finds_the_same() {
    let index = Index::filled("IVF8,Flat", DIM, IVF_METRIC_L2, 500);
    let queries = rows(20, DIM);
    let mut centroids = vec![0f32; 8 * DIM as usize];
    ok(unsafe { ivf_centroids(index.0, centroids.as_mut_ptr(), 8, DIM) });
    // The coarse step of one's own: exact search among the centroids.
    let (mut distances, mut lists) = ([0f32; 60], [0i64; 60]);
    let (to, lists_to) = (distances.as_mut_ptr(), lists.as_mut_ptr());
    let (queries_at, centroids) = (queries.as_ptr(), centroids.as_ptr());
    ok(unsafe { ivf_knn(null(), queries_at, 20, centroids, 8, DIM, 1, 3, to, lists_to, null()) });
    let (mut distances, mut ids) = (vec![0f32; 100], vec![0i64; 100]);
    let (to, ids_to, preassigned) = (distances.as_mut_ptr(), ids.as_mut_ptr(), ivf_search_preassigned);
    ok(unsafe { preassigned(index.0, queries_at, 20, DIM, 5, lists.as_ptr(), 3, to, ids_to, null()) });
    assert_eq!((distances, ids), index.search(&queries, DIM, 5, 3));
}

#[test]
fn knn_agrees_with_a_flat_index() {
    let (x, queries) = (rows(300, DIM), rows(7, DIM));
    for metric in [IVF_METRIC_L2, IVF_METRIC_INNER_PRODUCT, IVF_METRIC_COSINE] {
        let index = Index::filled("Flat", DIM, metric, 300);
        let (mut distances, mut ids, mut hits) = (vec![0f32; 28], vec![0i64; 28], [0u64; 7]);
        let options = ivf_search_options { hits: hits.as_mut_ptr(), ..sized() };
        let (to, ids_to) = (distances.as_mut_ptr(), ids.as_mut_ptr());
        let (x, q) = (x.as_ptr(), queries.as_ptr());
        ok(unsafe { ivf_knn(null(), q, 7, x, 300, DIM, metric, 4, to, ids_to, &options) });
        assert_eq!((distances, ids), index.search(&queries, DIM, 4, 0));
        assert_eq!(hits, [4; 7]);
    }
}

#[test]
fn max_codes_ends_a_query_early() {
    let index = Index::filled("Flat", DIM, IVF_METRIC_L2, 100);
    let (query, mut distances, mut ids) = (rows(1, DIM), [0f32; 50], [0i64; 50]);
    let mut hits = 0;
    let options = ivf_search_options { max_codes: 10, hits: &mut hits, ..sized() };
    let (to, ids_to) = (distances.as_mut_ptr(), ids.as_mut_ptr());
    ok(unsafe { ivf_search(index.0, query.as_ptr(), 1, DIM, 50, to, ids_to, &options) });
    assert_eq!(hits, 10);
    assert!(ids[..10].iter().all(|&id| id < 10) && ids[10..].iter().all(|&id| id == -1), "{ids:?}");
}

#[test]
fn cosine_vector_of_length_0_is_similar_to_nothing() {
    let index = Index::new("Flat", 2, IVF_METRIC_COSINE);
    index.add(&[0.0, 0.0, 3.0, 0.0, -1.0, 0.0], 2);
    let (distances, ids) = index.search(&[2.0, 0.0], 2, 3, 0);
    assert_eq!((distances, ids), (vec![1.0, 0.0, -1.0], vec![1, 0, 2]));
}
