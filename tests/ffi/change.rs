//! Update, removal by filter and reading back through the C ABI.

use std::ptr::{null, null_mut};

use ivf::ffi::*;

use crate::support::{Index, fails, ok, rows, sized};

const DIM: u32 = 8;

#[test]
fn update_replaced_vectors_are_found_under_their_ids() {
    let index = Index::filled("IVF8,Flat", DIM, IVF_METRIC_L2, 500);
    let x: Vec<f32> = rows(3, DIM).iter().map(|v| v + 2.0).collect();
    let ids = [499i64, 0, 250];
    ok(unsafe { ivf_update(index.0, ids.as_ptr(), x.as_ptr(), 3, DIM, null()) });
    assert_eq!(index.search(&x, DIM, 1, 8), (vec![0.0; 3], ids.to_vec()));
    assert_eq!((index.info().count, index.info().next_id), (500, 500));
    let update = |ids: [i64; 3]| unsafe { ivf_update(index.0, ids.as_ptr(), x.as_ptr(), 3, DIM, null()) };
    fails(update([1, 500, 2]), IVF_E_NOT_FOUND, "no vector has the id 500");
    fails(update([1, 2, 1]), IVF_E_DUPLICATE_ID, "id 1 (row 2) is in the batch more than once");
    fails(unsafe { ivf_update(index.0, ids.as_ptr(), x.as_ptr(), 3, 9, null()) }, IVF_E_DIMENSION, "got 9");
    ok(unsafe { ivf_update(index.0, null(), null(), 0, DIM, null()) });
    let untrained = Index::new("IVF8,Flat", DIM, IVF_METRIC_L2);
    let status = unsafe { ivf_update(untrained.0, ids.as_ptr(), x.as_ptr(), 3, DIM, null()) };
    fails(status, IVF_E_NOT_TRAINED, "not trained");
}

#[test]
fn update_progress_is_told_as_update() {
    unsafe extern "C" fn tell(progress: *const ivf_progress, data: *mut std::ffi::c_void) -> i32 {
        let (progress, told) = unsafe { (&*progress, &mut *data.cast::<Vec<String>>()) };
        let stage = unsafe { std::ffi::CStr::from_ptr(progress.stage) };
        told.push(format!("{} {}/{}", stage.to_string_lossy(), progress.done, progress.total));
        0
    }
    let index = Index::filled("IVF8,Flat", DIM, IVF_METRIC_L2, 500);
    let (x, ids, mut told) = (rows(20, DIM), (0..20).collect::<Vec<i64>>(), Vec::<String>::new());
    let options = ivf_add_options { progress: Some(tell), progress_data: (&raw mut told).cast(), ..sized() };
    ok(unsafe { ivf_update(index.0, ids.as_ptr(), x.as_ptr(), 20, DIM, &options) });
    assert_eq!(told, ["update 20/20"]);
}

#[test]
fn remove_filter_counts_what_goes() {
    let index = Index::filled("IVF8,Flat", DIM, IVF_METRIC_L2, 500);
    let (mut filter, mut removed) = (null_mut(), 0);
    unsafe {
        ok(ivf_filter_create_range(100, 300, &mut filter));
        ok(ivf_remove_filter(index.0, filter, &mut removed));
    }
    assert_eq!((removed, index.info().count), (200, 300));
    ok(unsafe { ivf_remove_filter(index.0, filter, null_mut()) });
    assert_eq!(index.info().count, 300);
    fails(unsafe { ivf_remove_filter(index.0, null(), null_mut()) }, IVF_E_NULL, "`filter`");
    fails(unsafe { ivf_remove_filter(null_mut(), filter, null_mut()) }, IVF_E_NULL, "`index`");
    unsafe { ivf_filter_destroy(filter) };
    let mut ids = vec![0i64; 300];
    ok(unsafe { ivf_ids(index.0, ids.as_mut_ptr(), 300) });
    assert_eq!(ids, (0..100).chain(300..500).collect::<Vec<i64>>());
    fails(unsafe { ivf_ids(index.0, ids.as_mut_ptr(), 299) }, IVF_E_ARGUMENT, "room for 300, got 299");
}

#[test]
fn reconstruct_range_gives_rows_in_order() {
    let index = Index::filled("IVF8,Flat", DIM, IVF_METRIC_L2, 500);
    let (x, mut out) = (rows(500, DIM), vec![0f32; 40 * DIM as usize]);
    ok(unsafe { ivf_reconstruct_range(index.0, 460, 40, out.as_mut_ptr(), DIM) });
    assert_eq!(out, x[460 * DIM as usize..]);
    let range = |first, n| unsafe { ivf_reconstruct_range(index.0, first, n, out.as_ptr().cast_mut(), DIM) };
    fails(range(480, 40), IVF_E_NOT_FOUND, "500");
    fails(range(-1, 1), IVF_E_NOT_FOUND, "-1");
    fails(range(0, u64::MAX), IVF_E_OVERFLOW, "address space");
    fails(range(i64::MAX, 2), IVF_E_ARGUMENT, "63 bits");
    ok(unsafe { ivf_reconstruct_range(index.0, 7, 0, null_mut(), DIM) });
}

#[test]
fn search_and_reconstruct_has_vectors_and_nan_for_missing() {
    let index = Index::filled("Flat", DIM, IVF_METRIC_L2, 3);
    let x = rows(3, DIM);
    let (mut distances, mut ids, mut vectors) = ([0f32; 5], [0i64; 5], [0f32; 5 * DIM as usize]);
    let (to, ids_to, vectors_to) = (distances.as_mut_ptr(), ids.as_mut_ptr(), vectors.as_mut_ptr());
    let search = ivf_search_and_reconstruct;
    ok(unsafe { search(index.0, x.as_ptr(), 1, DIM, 5, to, ids_to, vectors_to, null()) });
    assert_eq!((distances[0], ids[0], ids[3], ids[4]), (0.0, 0, -1, -1));
    for (rank, row) in vectors.chunks(DIM as usize).enumerate() {
        match usize::try_from(ids[rank]) {
            Ok(id) => assert_eq!(row, &x[id * DIM as usize..][..DIM as usize]),
            Err(_) => assert!(row.iter().all(|v| v.is_nan())),
        }
    }
    let status = unsafe { search(index.0, x.as_ptr(), 1, DIM, 5, to, ids_to, null_mut(), null()) };
    fails(status, IVF_E_NULL, "`vectors`");
}

#[test]
fn merge_takes_the_others_vectors_under_shifted_ids() {
    let x = rows(400, DIM);
    let (one, two) =
        (Index::new("IVF8,Flat", DIM, IVF_METRIC_L2), Index::new("IVF8,Flat", DIM, IVF_METRIC_L2));
    let whole = Index::new("IVF8,Flat", DIM, IVF_METRIC_L2);
    for index in [&one, &two, &whole] {
        ok(unsafe { ivf_set_centroids(index.0, x.as_ptr(), 8, DIM) });
    }
    one.add(&x[..150 * DIM as usize], DIM);
    two.add(&x[150 * DIM as usize..], DIM);
    whole.add(&x, DIM);
    let mut merged = 0;
    let merge =
        |into: &Index, from: &Index, add_id| unsafe { ivf_merge(into.0, from.0, add_id, null_mut(), null()) };
    fails(merge(&one, &two, 0), IVF_E_DUPLICATE_ID, "in both indexes");
    fails(merge(&one, &one, 0), IVF_E_ARGUMENT, "the same");
    ok(unsafe { ivf_merge(one.0, two.0, 150, &mut merged, null()) });
    assert_eq!(merged, 250);
    assert_eq!(one.search(&x, DIM, 5, 3), whole.search(&x, DIM, 5, 3));
    fails(unsafe { ivf_merge(one.0, null(), 0, null_mut(), null()) }, IVF_E_NULL, "`other`");
    fails(unsafe { ivf_merge(null_mut(), one.0, 0, null_mut(), null()) }, IVF_E_NULL, "`index`");
}

#[test]
fn merge_both_ways_at_once_ends() {
    let (one, two) =
        (Index::filled("Flat", DIM, IVF_METRIC_L2, 10), Index::filled("Flat", DIM, IVF_METRIC_L2, 10));
    std::thread::scope(|scope| {
        for (into, from, shift) in [(&one, &two, 1000), (&two, &one, 1_000_000)] {
            scope.spawn(move || {
                for round in 1..50 {
                    // Clashes are refused; what counts is that neither waits for ever.
                    let _ = unsafe { ivf_merge(into.0, from.0, shift * round, null_mut(), null()) };
                    ok(unsafe { ivf_reset(into.0) });
                }
            });
        }
    });
}

#[test]
fn clone_is_an_index_of_its_own() {
    let index = Index::filled("IVF8,Flat", DIM, IVF_METRIC_L2, 400);
    let (x, mut clone) = (rows(30, DIM), null_mut());
    ok(unsafe { ivf_index_clone(index.0, null(), &mut clone) });
    let clone = Index(clone);
    let before = index.search(&x, DIM, 5, 3);
    ok(unsafe { ivf_reset(index.0) });
    assert_eq!(clone.search(&x, DIM, 5, 3), before);
    assert_eq!((clone.info().count, clone.info().next_id), (400, 400));
    let mut context = null_mut();
    let options = ivf_context_options { threads: 1, kernel: c"scalar".as_ptr(), ..sized() };
    ok(unsafe { ivf_context_create(&options, &mut context) });
    let mut other = null_mut();
    ok(unsafe { ivf_index_clone(clone.0, context, &mut other) });
    assert_eq!(Index(other).search(&x, DIM, 5, 3).1, before.1);
    unsafe { ivf_context_destroy(context) };
    fails(unsafe { ivf_index_clone(null(), null(), &mut other) }, IVF_E_NULL, "`index`");
    fails(unsafe { ivf_index_clone(clone.0, null(), null_mut()) }, IVF_E_NULL, "`clone`");
}
