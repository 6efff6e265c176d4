//! Options structs: `struct_size`, the tail of a newer caller, flags, reserved fields.

use std::ptr::{null, null_mut};

use ivf::ffi::*;

use crate::support::{Index, fails, ok, rows, sized};

/// A caller of the future: the struct that the library knows, and a field that it does not.
#[repr(C)]
struct Newer<T> {
    known: T,
    added: u64,
}

fn newer<T: Copy>(added: u64) -> Newer<T> {
    let mut newer = Newer { known: sized::<T>(), added };
    let size = u32::try_from(size_of::<Newer<T>>()).expect("a small struct");
    unsafe { (&raw mut newer.known).cast::<u32>().write(size) };
    newer
}

/// Calls each function that takes options, with options that begin with `size` and of which the tail is `added`.
fn every_options_call(size: Option<u32>, added: u64) -> Vec<(&'static str, ivf_status)> {
    fn made<T: Copy>(size: Option<u32>, added: u64) -> Newer<T> {
        let mut options = newer::<T>(added);
        if let Some(size) = size {
            unsafe { (&raw mut options.known).cast::<u32>().write(size) };
        }
        options
    }
    let index = Index::filled("IVF4,Flat", 2, IVF_METRIC_L2, 200);
    let empty = Index::new("IVF4,Flat", 2, IVF_METRIC_L2);
    let x = rows(200, 2);
    let (x, mut distances, mut ids, list) = (x.as_ptr(), [0f32; 2], [0i64; 2], [0i64; 1]);
    let (distances, ids, list) = (distances.as_mut_ptr(), ids.as_mut_ptr(), list.as_ptr());
    let (mut context, mut made_index, mut centroids) = (null_mut(), null_mut(), [0f32; 8]);
    let context_options = made::<ivf_context_options>(size, added);
    let index_options = made::<ivf_index_options>(size, added);
    let train = made::<ivf_train_options>(size, added);
    let add = made::<ivf_add_options>(size, added);
    let search = made::<ivf_search_options>(size, added);
    let kmeans = made::<ivf_kmeans_options>(size, added);
    let (index_options, flat) = (&raw const index_options.known, c"Flat".as_ptr());
    let (search, kmeans) = (&raw const search.known, &raw const kmeans.known);
    unsafe {
        let calls = vec![
            ("context_create", ivf_context_create(&context_options.known, &mut context)),
            ("index_create", ivf_index_create(null(), 2, 1, flat, index_options, &mut made_index)),
            ("train", ivf_train(empty.0, x, 200, 2, &train.known)),
            ("add", ivf_add(index.0, x, 1, 2, null(), &add.known)),
            ("search", ivf_search(index.0, x, 1, 2, 2, distances, ids, search)),
            ("preassigned", ivf_search_preassigned(index.0, x, 1, 2, 2, list, 1, distances, ids, search)),
            ("knn", ivf_knn(null(), x, 1, x, 9, 2, 1, 2, distances, ids, search)),
            ("kmeans", ivf_kmeans(null(), x, 200, 2, 4, centroids.as_mut_ptr(), kmeans)),
        ];
        ivf_context_destroy(context);
        ivf_index_destroy(made_index);
        calls
    }
}

#[test]
fn options_zeroed_tail_of_a_newer_caller_is_taken() {
    for (name, status) in every_options_call(None, 0) {
        assert_eq!(status, IVF_OK, "{name}");
    }
}

#[test]
fn options_set_tail_of_a_newer_caller_is_refused() {
    for (name, status) in every_options_call(None, 1) {
        assert_eq!(status, IVF_E_ARGUMENT, "{name}");
    }
}

#[test]
fn options_absurd_struct_size_is_refused() {
    for size in [0, 1, 4, 12, 5000, u32::MAX] {
        for (name, status) in every_options_call(Some(size), 0) {
            assert_eq!(status, IVF_E_ARGUMENT, "{name} with {size}");
        }
    }
}

#[test]
fn options_text_names_the_struct_and_its_size() {
    let index = Index::new("Flat", 2, IVF_METRIC_L2);
    let options = ivf_add_options { struct_size: 0, ..sized() };
    let status = unsafe { ivf_add(index.0, null(), 0, 2, null(), &options) };
    let expected = format!(
        "ivf_add_options.struct_size: expected sizeof(ivf_add_options) = {}, got 0",
        size_of_val(&options)
    );
    fails(status, IVF_E_ARGUMENT, &expected);
}

#[test]
fn options_factors_and_flags_out_of_range_are_refused() {
    let index = Index::filled("Flat", 2, IVF_METRIC_L2, 10);
    let (mut distances, mut ids, mut made) = ([0f32; 1], [0i64; 1], null_mut());
    let query = [0.5f32; 2];
    let search = ivf_search_options { target_recall: 1.5, ..sized() };
    let (to, ids) = (distances.as_mut_ptr(), ids.as_mut_ptr());
    let status = unsafe { ivf_search(index.0, query.as_ptr(), 1, 2, 1, to, ids, &search) };
    fails(status, IVF_E_ARGUMENT, "recall: expected a share from 0 to 1, got 1.5");
    let refused = [
        (
            ivf_index_options { k_factor: 7.0, ..sized() },
            "k_factor: expected 0, for \"Flat\" does not end in a refinement",
        ),
        (ivf_index_options { allow_duplicate_ids: 2, ..sized() }, "expected 0 or 1, got 2"),
        (
            ivf_index_options { list_order: 2, ..sized() },
            "list_order: expected 0 or 1 (IVF_LIST_ORDER_*), got 2",
        ),
        (
            ivf_index_options { soar: 1.0, ..sized() },
            "soar: expected 0, for \"Flat\" has no inverted lists, got 1",
        ),
        (ivf_index_options { soar: -1.0, ..sized() }, "soar: expected 0 or more, got -1"),
        (ivf_index_options { list_order: 1, ..sized() }, "\"Flat\" has no inverted lists"),
    ];
    for (options, text) in refused {
        let status = unsafe { ivf_index_create(null(), 2, 1, c"Flat".as_ptr(), &options, &mut made) };
        fails(status, IVF_E_ARGUMENT, text);
        assert!(made.is_null());
    }
    let mut centroids = [0f32; 4];
    let refused = [
        (ivf_kmeans_options { spherical: 3, ..sized() }, "spherical: expected 0 or 1, got 3"),
        (ivf_kmeans_options { seeding: 9, ..sized() }, "seeding: expected 0 (default)"),
    ];
    let x = rows(20, 2);
    for (options, text) in refused {
        let status = unsafe { ivf_kmeans(null(), x.as_ptr(), 20, 2, 2, centroids.as_mut_ptr(), &options) };
        fails(status, IVF_E_ARGUMENT, text);
    }
}

#[test]
fn options_that_a_call_cannot_honour_are_refused() {
    let index = Index::filled("IVF4,Flat", 2, IVF_METRIC_L2, 200);
    let (mut distances, mut ids, lists) = ([0f32; 1], [0i64; 1], [0i64; 1]);
    let (to, ids) = (distances.as_mut_ptr(), ids.as_mut_ptr());
    let query = [0.5f32; 2].as_ptr();
    let nprobe = ivf_search_options { nprobe: 2, ..sized() };
    let max_codes = ivf_search_options { max_codes: 2, ..sized() };
    unsafe {
        let preassigned =
            |options| ivf_search_preassigned(index.0, query, 1, 2, 1, lists.as_ptr(), 1, to, ids, options);
        let knn = |options| ivf_knn(null(), query, 1, query, 1, 2, 1, 1, to, ids, options);
        fails(preassigned(&nprobe), IVF_E_ARGUMENT, "nprobe: ivf_search_preassigned has no use for it");
        ok(preassigned(&max_codes));
        fails(knn(&nprobe), IVF_E_ARGUMENT, "nprobe: ivf_knn has no use for it");
        fails(knn(&max_codes), IVF_E_ARGUMENT, "max_codes: ivf_knn has no use for it");
    }
}

#[test]
fn info_of_an_older_or_newer_caller_is_filled_as_far_as_known() {
    let index = Index::filled("Flat", 2, IVF_METRIC_L2, 10);
    let mut info = newer::<ivf_index_info>(u64::MAX);
    ok(unsafe { ivf_index_get_info(index.0, &mut info.known) });
    assert_eq!((info.known.count, info.added), (10, 0));
    assert_eq!(info.known.struct_size as usize, size_of_val(&info));
    let mut short = ivf_index_info { struct_size: 8, count: 99, ..sized() };
    fails(unsafe { ivf_index_get_info(index.0, &mut short) }, IVF_E_ARGUMENT, "struct_size");
    assert_eq!(short.count, 99);
}
