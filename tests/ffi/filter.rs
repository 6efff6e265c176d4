//! Filters and range search through the C ABI.

use std::ptr::{null, null_mut};

use ivf::ffi::*;

use crate::support::{Index, fails, ok, rows, sized};

const DIM: u32 = 8;

fn filter(make: impl FnOnce(*mut *mut ivf_filter) -> ivf_status) -> *mut ivf_filter {
    let mut filter = null_mut();
    ok(make(&mut filter));
    assert!(!filter.is_null());
    filter
}

#[test]
fn filters_combined_outlive_their_parts_and_hold_in_search_and_knn() {
    let index = Index::filled("IVF4,Flat", DIM, IVF_METRIC_L2, 400);
    let wanted = [3i64, 50, 51, 399];
    let bits = [0b1000u8, 0xff];
    let (ids, bitmap, range) = unsafe {
        (
            filter(|out| ivf_filter_create_ids(wanted.as_ptr(), 4, out)),
            filter(|out| ivf_filter_create_bitmap(bits.as_ptr(), 9, out)),
            filter(|out| ivf_filter_create_range(50, 60, out)),
        )
    };
    // ids and not range: 3, 399; or bitmap (3 and 8; bit 9 and above lie beyond n): 3, 8, 399.
    let combined = unsafe {
        let not = filter(|out| ivf_filter_create_not(range, out));
        let and = filter(|out| ivf_filter_create_and(ids, not, out));
        let or = filter(|out| ivf_filter_create_or(and, bitmap, out));
        for part in [ids, bitmap, range, not, and] {
            ivf_filter_destroy(part);
        }
        or
    };
    let x = rows(400, DIM);
    let options = ivf_search_options { nprobe: 4, filter: combined, ..sized() };
    let (mut distances, mut found, mut hits) = ([0.0; 5], [0; 5], [9u64; 1]);
    let counted = ivf_search_options { hits: hits.as_mut_ptr(), ..options };
    let (to, ids_to) = (distances.as_mut_ptr(), found.as_mut_ptr());
    ok(unsafe { ivf_search(index.0, x.as_ptr(), 1, DIM, 5, to, ids_to, &counted) });
    let mut sorted = found;
    sorted.sort_unstable();
    assert_eq!((sorted, hits), ([-1, -1, 3, 8, 399], [3]));
    let exact = ivf_search_options { filter: combined, ..sized() };
    let mut same = [0; 5];
    let ids_to = same.as_mut_ptr();
    let metric = IVF_METRIC_L2;
    ok(unsafe { ivf_knn(null(), x.as_ptr(), 1, x.as_ptr(), 400, DIM, metric, 5, to, ids_to, &exact) });
    assert_eq!(same, found);
    let mut result = null_mut();
    ok(unsafe { ivf_range_search(index.0, x.as_ptr(), 1, DIM, f32::INFINITY, &options, &mut result) });
    let mut view = sized::<ivf_range_view>();
    ok(unsafe { ivf_range_result_get(result, &mut view) });
    let offsets = unsafe { std::slice::from_raw_parts(view.offsets, 2) };
    let ids = unsafe { std::slice::from_raw_parts(view.ids, 3) };
    assert_eq!((view.n, view.total, offsets, ids), (1, 3, &[0, 3][..], &found[..3]));
    unsafe {
        ivf_range_result_destroy(result);
        ivf_filter_destroy(combined);
    }
}

#[test]
fn range_search_agrees_with_search_and_is_strict() {
    let index = Index::filled("Flat", DIM, IVF_METRIC_L2, 300);
    let x = rows(300, DIM);
    let (distances, ids) = index.search(&x[..2 * DIM as usize], DIM, 300, 0);
    // The distance of the 10th: itself and what is as far stay out.
    let radius = distances[9];
    let mut result = null_mut();
    ok(unsafe { ivf_range_search(index.0, x.as_ptr(), 2, DIM, radius, null(), &mut result) });
    let mut view = sized::<ivf_range_view>();
    ok(unsafe { ivf_range_result_get(result, &mut view) });
    let offsets = unsafe { std::slice::from_raw_parts(view.offsets, 3) };
    for q in 0..2 {
        let want = distances[q * 300..(q + 1) * 300].iter().take_while(|&&d| d < radius).count();
        let (from, to) = (offsets[q] as usize, offsets[q + 1] as usize);
        let got = unsafe { std::slice::from_raw_parts(view.ids.add(from), to - from) };
        assert_eq!(got, &ids[q * 300..q * 300 + want]);
    }
    unsafe { ivf_range_result_destroy(result) };
}

#[test]
fn filter_and_range_bad_input_is_refused() {
    let index = Index::filled("Flat", DIM, IVF_METRIC_L2, 10);
    let x = rows(1, DIM);
    let mut filter = null_mut();
    let mut result = null_mut();
    unsafe {
        fails(ivf_filter_create_ids(null(), 3, &mut filter), IVF_E_NULL, "ids");
        fails(ivf_filter_create_bitmap(null(), 3, &mut filter), IVF_E_NULL, "bits");
        fails(ivf_filter_create_range(0, 3, null_mut()), IVF_E_NULL, "filter");
        fails(ivf_filter_create_and(null(), null(), &mut filter), IVF_E_NULL, "a");
        fails(ivf_filter_create_not(null(), &mut filter), IVF_E_NULL, "a");
        assert!(filter.is_null());
        let mut search = |radius: f32, dim: u32, options: *const ivf_search_options| {
            ivf_range_search(index.0, x.as_ptr(), 1, dim, radius, options, &mut result)
        };
        fails(search(f32::NAN, DIM, null()), IVF_E_ARGUMENT, "NaN");
        fails(search(1.0, DIM + 1, null()), IVF_E_DIMENSION, "expected 8 columns, got 9");
        let mut hits = [0u64; 1];
        let options = ivf_search_options { hits: hits.as_mut_ptr(), ..sized() };
        fails(search(1.0, DIM, &options), IVF_E_ARGUMENT, "hits");
        assert!(result.is_null());
        fails(ivf_range_result_get(null(), &mut sized()), IVF_E_NULL, "result");
        ivf_range_result_destroy(null_mut());
        ivf_filter_destroy(null_mut());
    }
}
