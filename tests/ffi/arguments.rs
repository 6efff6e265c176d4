//! Bad arguments: each gives its status and a text, and changes nothing.

use std::ffi::CStr;
use std::ptr::{null, null_mut};

use ivf::ffi::*;

use crate::support::{Index, fails, last_error, ok, rows, sized};

#[test]
fn null_for_every_required_pointer_is_named() {
    let index = Index::filled("IVF4,Flat", 2, IVF_METRIC_L2, 200);
    let x = rows(200, 2);
    let (x, list) = (x.as_ptr(), [0i64]);
    let (mut distances, mut ids, mut made) = ([0f32; 8], [0i64; 8], null_mut());
    let (to, ids, list, flat) = (distances.as_mut_ptr(), ids.as_mut_ptr(), list.as_ptr(), c"Flat".as_ptr());
    let none = null::<ivf_search_options>();
    let (i, preassigned, knn) = (index.0, ivf_search_preassigned, ivf_knn);
    let calls = unsafe {
        [
            ("count", ivf_device_count(null_mut()), last_error()),
            ("info", ivf_device_get_info(0, null_mut()), last_error()),
            ("context", ivf_context_create(null(), null_mut()), last_error()),
            ("info", ivf_context_get_info(null(), null_mut()), last_error()),
            ("description", ivf_index_create(null(), 2, 1, null(), null(), &mut made), last_error()),
            ("index", ivf_index_create(null(), 2, 1, flat, null(), null_mut()), last_error()),
            ("index", ivf_index_get_info(null(), &mut sized()), last_error()),
            ("info", ivf_index_get_info(i, null_mut()), last_error()),
            ("index", ivf_index_describe(null(), null_mut(), 0, null_mut()), last_error()),
            ("text", ivf_index_describe(i, null_mut(), 1, null_mut()), last_error()),
            ("index", ivf_list_sizes(null(), ids.cast(), 4), last_error()),
            ("sizes", ivf_list_sizes(i, null_mut(), 4), last_error()),
            ("index", ivf_centroids(null(), to, 4, 2), last_error()),
            ("centroids", ivf_centroids(i, null_mut(), 4, 2), last_error()),
            ("index", ivf_set_centroids(null_mut(), x, 4, 2), last_error()),
            ("centroids", ivf_set_centroids(i, null(), 4, 2), last_error()),
            ("index", ivf_train(null_mut(), x, 4, 2, null()), last_error()),
            ("x", ivf_train(i, null(), 4, 2, null()), last_error()),
            ("index", ivf_add(null_mut(), x, 4, 2, null(), null()), last_error()),
            ("x", ivf_add(i, null(), 4, 2, null(), null()), last_error()),
            ("index", ivf_remove(null_mut(), ids, 1, null_mut()), last_error()),
            ("ids", ivf_remove(i, null(), 1, null_mut()), last_error()),
            ("index", ivf_reset(null_mut()), last_error()),
            ("index", ivf_compact(null_mut()), last_error()),
            ("index", ivf_reconstruct(null(), ids, 1, to, 2), last_error()),
            ("ids", ivf_reconstruct(i, null(), 1, to, 2), last_error()),
            ("x", ivf_reconstruct(i, ids, 1, null_mut(), 2), last_error()),
            ("index", ivf_search(null(), x, 1, 2, 2, to, ids, none), last_error()),
            ("queries", ivf_search(i, null(), 1, 2, 2, to, ids, none), last_error()),
            ("distances", ivf_search(i, x, 1, 2, 2, null_mut(), ids, none), last_error()),
            ("ids", ivf_search(i, x, 1, 2, 2, to, null_mut(), none), last_error()),
            ("index", preassigned(null(), x, 1, 2, 2, list, 1, to, ids, none), last_error()),
            ("queries", preassigned(i, null(), 1, 2, 2, list, 1, to, ids, none), last_error()),
            ("lists", preassigned(i, x, 1, 2, 2, null(), 1, to, ids, none), last_error()),
            ("distances", preassigned(i, x, 1, 2, 2, list, 1, null_mut(), ids, none), last_error()),
            ("ids", preassigned(i, x, 1, 2, 2, list, 1, to, null_mut(), none), last_error()),
            ("x", ivf_kmeans(null(), null(), 20, 2, 2, to, null()), last_error()),
            ("centroids", ivf_kmeans(null(), x, 20, 2, 2, null_mut(), null()), last_error()),
            ("queries", knn(null(), null(), 1, x, 4, 2, 1, 2, to, ids, none), last_error()),
            ("x", knn(null(), x, 1, null(), 4, 2, 1, 2, to, ids, none), last_error()),
            ("distances", knn(null(), x, 1, x, 4, 2, 1, 2, null_mut(), ids, none), last_error()),
            ("ids", knn(null(), x, 1, x, 4, 2, 1, 2, to, null_mut(), none), last_error()),
        ]
    };
    let (mut filter, mut result) = (null_mut(), null_mut());
    let others = unsafe {
        [
            ("filter", ivf_filter_create_range(0, 1, null_mut()), last_error()),
            ("bits", ivf_filter_create_bitmap(null(), 1, &mut filter), last_error()),
            ("filter", ivf_filter_create_bitmap(null(), 0, null_mut()), last_error()),
            ("ids", ivf_filter_create_ids(null(), 1, &mut filter), last_error()),
            ("filter", ivf_filter_create_ids(null(), 0, null_mut()), last_error()),
            ("a", ivf_filter_create_and(null(), null(), &mut filter), last_error()),
            ("a", ivf_filter_create_or(null(), null(), &mut filter), last_error()),
            ("a", ivf_filter_create_not(null(), &mut filter), last_error()),
            ("index", ivf_range_search(null(), x, 1, 2, 1.0, none, &mut result), last_error()),
            ("queries", ivf_range_search(i, null(), 1, 2, 1.0, none, &mut result), last_error()),
            ("result", ivf_range_search(i, x, 1, 2, 1.0, none, null_mut()), last_error()),
            ("result", ivf_range_result_get(null(), &mut sized()), last_error()),
        ]
    };
    assert!(filter.is_null() && result.is_null());
    let calls = [&calls[..], &others[..]].concat();
    for (place, (name, status, text)) in calls.iter().enumerate() {
        assert_eq!((*status, text), (IVF_E_NULL, &format!("`{name}` is NULL")), "call {place}");
    }
    assert_eq!(index.info().count, 200);
}

#[test]
fn null_handles_destroyed_are_nothing() {
    unsafe {
        ivf_context_destroy(null_mut());
        ivf_index_destroy(null_mut());
        ivf_filter_destroy(null_mut());
        ivf_range_result_destroy(null_mut());
    }
}

#[test]
fn dimension_other_than_the_index_s_is_refused_before_reading() {
    let index = Index::filled("IVF4,Flat", 4, IVF_METRIC_L2, 200);
    // A NULL or short buffer is never looked at: the dimension comes first.
    let (mut distance, mut id, list) = (0f32, 0i64, 0i64);
    let (x, text) = (null::<f32>(), "expected 4 columns, got 3");
    unsafe {
        fails(ivf_train(index.0, x, 9, 3, null()), IVF_E_DIMENSION, text);
        fails(ivf_set_centroids(index.0, x, 4, 3), IVF_E_DIMENSION, text);
        fails(ivf_add(index.0, x, 9, 3, null(), null()), IVF_E_DIMENSION, text);
        fails(ivf_reconstruct(index.0, &id, 1, &mut distance, 3), IVF_E_DIMENSION, text);
        fails(ivf_centroids(index.0, &mut distance, 4, 3), IVF_E_DIMENSION, text);
        fails(ivf_search(index.0, x, 1, 3, 1, &mut distance, &mut id, null()), IVF_E_DIMENSION, text);
        let status = ivf_search_preassigned(index.0, x, 1, 3, 1, &list, 1, &mut distance, &mut id, null());
        fails(status, IVF_E_DIMENSION, text);
        fails(ivf_range_search(index.0, x, 1, 3, 1.0, null(), &mut null_mut()), IVF_E_DIMENSION, text);
        fails(ivf_add(index.0, x, 9, 0, null(), null()), IVF_E_DIMENSION, "expected 4 columns, got 0");
    }
}

#[test]
fn sizes_whose_product_overflows_are_refused() {
    let index = Index::filled("IVF4,Flat", 4, IVF_METRIC_L2, 200);
    let (x, mut distance, mut id) = ([0f32; 4], 0f32, 0i64);
    let x = x.as_ptr();
    for n in [1u64 << 60, 1 << 62, u64::MAX] {
        unsafe {
            fails(ivf_train(index.0, x, n, 4, null()), IVF_E_OVERFLOW, "address space");
            fails(ivf_add(index.0, x, n, 4, null(), null()), IVF_E_OVERFLOW, "address space");
            fails(ivf_remove(index.0, &id, n, null_mut()), IVF_E_OVERFLOW, "address space");
            fails(ivf_reconstruct(index.0, &id, n, &mut distance, 4), IVF_E_OVERFLOW, "address space");
            fails(ivf_search(index.0, x, n, 4, 1, &mut distance, &mut id, null()), IVF_E_OVERFLOW, "");
            let status = ivf_knn(null(), x, 1, x, n, 4, 1, 1, &mut distance, &mut id, null());
            fails(status, IVF_E_OVERFLOW, "address space");
            fails(ivf_kmeans(null(), x, n, 4, 1, &mut distance, null()), IVF_E_OVERFLOW, "address space");
            let (mut filter, mut result) = (null_mut(), null_mut());
            fails(ivf_filter_create_ids(&id, n, &mut filter), IVF_E_OVERFLOW, "address space");
            fails(ivf_range_search(index.0, x, n, 4, 1.0, null(), &mut result), IVF_E_OVERFLOW, "queries");
        }
    }
    // n * dim fits, n * k does not; k * dim of the centroids does not.
    let status = unsafe { ivf_search(index.0, x, 1 << 32, 4, u32::MAX, &mut distance, &mut id, null()) };
    fails(status, IVF_E_OVERFLOW, "distances");
    let status = unsafe { ivf_kmeans(null(), x, 1, u32::MAX, u32::MAX, &mut distance, null()) };
    fails(status, IVF_E_OVERFLOW, "centroids");
    assert_eq!(index.info().count, 200);
}

#[test]
fn zero_rows_with_null_data_do_nothing() {
    for description in ["Flat", "IVF4,Flat"] {
        let index = Index::filled(description, 4, IVF_METRIC_L2, 200);
        let mut removed = 77;
        unsafe {
            ok(ivf_add(index.0, null(), 0, 4, null(), null()));
            ok(ivf_remove(index.0, null(), 0, &mut removed));
            ok(ivf_reconstruct(index.0, null(), 0, null_mut(), 4));
            ok(ivf_search(index.0, null(), 0, 4, 3, null_mut(), null_mut(), null()));
            let preassigned = ivf_search_preassigned;
            ok(preassigned(index.0, null(), 0, 4, 3, null(), 2, null_mut(), null_mut(), null()));
            ok(ivf_knn(null(), null(), 0, null(), 0, 4, 1, 3, null_mut(), null_mut(), null()));
        }
        assert_eq!((removed, index.info().count), (0, 200));
    }
}

#[test]
fn values_out_of_range_are_named() {
    let index = Index::filled("IVF4,Flat", 4, IVF_METRIC_L2, 200);
    let (x, mut distance, mut id, mut made) = (rows(4, 4), 0f32, 0i64, null_mut());
    let (x, flat) = (x.as_ptr(), c"Flat".as_ptr());
    unsafe {
        let search = ivf_search(index.0, x, 1, 4, 0, &mut distance, &mut id, null());
        fails(search, IVF_E_ARGUMENT, "k: expected at least 1, got 0");
        let knn = ivf_knn(null(), x, 1, x, 4, 4, 1, 0, &mut distance, &mut id, null());
        fails(knn, IVF_E_ARGUMENT, "k: expected at least 1, got 0");
        let knn = ivf_knn(null(), x, 1, x, 4, 4, 3, 1, &mut distance, &mut id, null());
        fails(knn, IVF_E_ARGUMENT, "metric: expected 0 (inner product), 1 (L2) or 2 (cosine), got 3");
        let knn = ivf_knn(null(), x, 1, x, 4, 0, 1, 1, &mut distance, &mut id, null());
        fails(knn, IVF_E_ARGUMENT, "expected at least 1 column, got 0");
        let list = 4;
        let preassigned = ivf_search_preassigned;
        let status = preassigned(index.0, x, 1, 4, 1, &list, 1, &mut distance, &mut id, null());
        fails(status, IVF_E_ARGUMENT, "got 4");
        let status = preassigned(index.0, x, 1, 4, 1, &list, 0, &mut distance, &mut id, null());
        fails(status, IVF_E_ARGUMENT, "nprobe: expected at least 1");
        fails(ivf_index_create(null(), 0, 1, flat, null(), &mut made), IVF_E_ARGUMENT, "dim: expected 1 to");
        fails(ivf_index_create(null(), 4, -1, flat, null(), &mut made), IVF_E_ARGUMENT, "got -1");
        let unknown = ivf_index_create(null(), 4, 1, c"HNSW32".as_ptr(), null(), &mut made);
        fails(unknown, IVF_E_DESCRIPTION, "HNSW32");
        fails(ivf_list_sizes(index.0, null_mut(), 5), IVF_E_ARGUMENT, "expected room for 4 lists, got 5");
        fails(ivf_centroids(index.0, null_mut(), 3, 4), IVF_E_ARGUMENT, "expected room for 4 lists, got 3");
        fails(ivf_device_get_info(99, &mut sized()), IVF_E_ARGUMENT, "device: expected a number below");
        fails(ivf_kmeans(null(), x, 4, 4, 5, [0f32; 20].as_mut_ptr(), null()), IVF_E_TOO_FEW_POINTS, "5");
        fails(ivf_kmeans(null(), x, 4, 4, 0, null_mut(), null()), IVF_E_ARGUMENT, "k: expected at least 1");
    }
    assert!(made.is_null());
}

#[test]
fn rows_not_finite_are_named_and_nothing_is_added() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let index = Index::filled("IVF4,Flat", 4, IVF_METRIC_L2, 200);
        let mut x = rows(10, 4);
        x[6 * 4 + 1] = bad;
        let (mut distances, mut ids) = ([0f32; 10], [0i64; 10]);
        unsafe {
            fails(ivf_add(index.0, x.as_ptr(), 10, 4, null(), null()), IVF_E_NOT_FINITE, "row 6");
            let (to, ids) = (distances.as_mut_ptr(), ids.as_mut_ptr());
            fails(ivf_search(index.0, x.as_ptr(), 10, 4, 1, to, ids, null()), IVF_E_NOT_FINITE, "row 6");
            let x = x.as_ptr();
            fails(ivf_knn(null(), x, 10, x, 10, 4, 1, 1, to, ids, null()), IVF_E_NOT_FINITE, "row 6");
            fails(ivf_kmeans(null(), x, 10, 4, 2, to, null()), IVF_E_NOT_FINITE, "row 6");
            ok(ivf_reset(index.0));
            fails(ivf_train(index.0, x, 10, 4, null()), IVF_E_NOT_FINITE, "row 6");
        }
        assert_eq!((index.info().count, index.info().next_id), (0, 200));
    }
}

#[test]
fn misaligned_buffers_are_refused() {
    let index = Index::new("Flat", 1, IVF_METRIC_L2);
    let buffer = [0u64; 4];
    let odd = buffer.as_ptr().cast::<u8>().wrapping_add(2).cast::<f32>();
    fails(unsafe { ivf_add(index.0, odd, 1, 1, null(), null()) }, IVF_E_ARGUMENT, "multiple of 4");
    assert_eq!(index.info().count, 0);
}

#[test]
fn strings_not_utf8_are_refused() {
    let mut made = null_mut();
    let bad: &CStr = c"IVF4\xff,Flat";
    let status = unsafe { ivf_index_create(null(), 4, 1, bad.as_ptr(), null(), &mut made) };
    fails(status, IVF_E_ARGUMENT, "description: expected UTF-8, got an invalid byte at position 4");
}
