//! Typed rows through the C ABI: the same results as the same values as float32, bad arguments refused.

use std::ffi::c_void;
use std::ptr::{null, null_mut};

use ivf::ffi::*;
use ivf::{bf16, f16};

use crate::support::{Index, fails, ok, rows, sized};

const DIM: u32 = 8;
const N: usize = 600;

/// The bytes of a buffer, its element, and the same values as float32.
fn each() -> Vec<(Vec<u16>, i32, Vec<f32>)> {
    let x = rows(N, DIM);
    let half: Vec<f16> = x.iter().map(|&v| f16::from_f32(v)).collect();
    let brain: Vec<bf16> = x.iter().map(|&v| bf16::from_f32(v)).collect();
    let bytes: Vec<u8> = x.iter().map(|&v| (v * 255.0) as u8).collect();
    vec![
        (
            half.iter().map(|v| v.to_bits()).collect(),
            IVF_ELEMENT_F16,
            half.iter().map(|v| v.to_f32()).collect(),
        ),
        (
            brain.iter().map(|v| v.to_bits()).collect(),
            IVF_ELEMENT_BF16,
            brain.iter().map(|v| v.to_f32()).collect(),
        ),
        (
            bytes.chunks(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])).collect(),
            IVF_ELEMENT_U8,
            bytes.iter().map(|&v| f32::from(v)).collect(),
        ),
    ]
}

fn pointer(x: &[u16]) -> *const c_void {
    x.as_ptr().cast()
}

#[test]
fn typed_train_add_and_searches_equal_float32() {
    for (x, element, floats) in each() {
        let n = N as u64;
        let typed = Index::new("IVF8,Flat", DIM, IVF_METRIC_L2);
        ok(unsafe { ivf_train_typed(typed.0, pointer(&x), element, n, DIM, null()) });
        ok(unsafe { ivf_add_typed(typed.0, pointer(&x), element, n, DIM, null(), null()) });
        let wide = Index::new("IVF8,Flat", DIM, IVF_METRIC_L2);
        ok(unsafe { ivf_train(wide.0, floats.as_ptr(), n, DIM, null()) });
        wide.add(&floats, DIM);
        let (mut distances, mut ids) = (vec![0.0; N * 5], vec![0; N * 5]);
        let options = ivf_search_options { nprobe: 3, ..sized() };
        let (to, ids_to) = (distances.as_mut_ptr(), ids.as_mut_ptr());
        ok(unsafe { ivf_search_typed(typed.0, pointer(&x), element, n, DIM, 5, to, ids_to, &options) });
        assert_eq!((distances, ids), wide.search(&floats, DIM, 5, 3));

        let radius = if element == IVF_ELEMENT_U8 { 9000.0 } else { 0.3 };
        let (mut a, mut b) = (null_mut(), null_mut());
        ok(unsafe { ivf_range_search_typed(typed.0, pointer(&x), element, 50, DIM, radius, null(), &mut a) });
        ok(unsafe { ivf_range_search(wide.0, floats.as_ptr(), 50, DIM, radius, null(), &mut b) });
        let read = |result| {
            let mut view: ivf_range_view = sized();
            ok(unsafe { ivf_range_result_get(result, &mut view) });
            unsafe { std::slice::from_raw_parts(view.ids, view.total as usize) }.to_vec()
        };
        assert!(read(a).len() > 50);
        assert_eq!(read(a), read(b));
        unsafe { ivf_range_result_destroy(a) };
        unsafe { ivf_range_result_destroy(b) };
    }
}

#[test]
fn typed_queries_of_every_call_equal_float32() {
    for (x, element, floats) in each() {
        let (n, q, f) = (N as u64, pointer(&x), floats.as_ptr());
        let index = Index::new("IVF8,Flat", DIM, IVF_METRIC_L2);
        ok(unsafe { ivf_train(index.0, f, n, DIM, null()) });
        index.add(&floats, DIM);
        let lists = vec![3i64; N * 2];
        let given = |typed: bool| {
            let (mut distances, mut ids) = (vec![0f32; N * 4], vec![0i64; N * 4]);
            let (to, ids_to, l) = (distances.as_mut_ptr(), ids.as_mut_ptr(), lists.as_ptr());
            ok(match typed {
                true => unsafe {
                    ivf_search_preassigned_typed(index.0, q, element, n, DIM, 4, l, 2, to, ids_to, null())
                },
                false => unsafe { ivf_search_preassigned(index.0, f, n, DIM, 4, l, 2, to, ids_to, null()) },
            });
            (distances, ids)
        };
        assert_eq!(given(true), given(false));
        let read = |typed: bool| {
            let (mut distances, mut ids) = (vec![0f32; N * 2], vec![0i64; N * 2]);
            let mut vectors = vec![0f32; N * 2 * DIM as usize];
            let (to, ids_to, rows) = (distances.as_mut_ptr(), ids.as_mut_ptr(), vectors.as_mut_ptr());
            ok(match typed {
                true => unsafe {
                    let index = index.0;
                    ivf_search_and_reconstruct_typed(index, q, element, n, DIM, 2, to, ids_to, rows, null())
                },
                false => unsafe {
                    ivf_search_and_reconstruct(index.0, f, n, DIM, 2, to, ids_to, rows, null())
                },
            });
            (ids, vectors)
        };
        assert_eq!(read(true), read(false));
        let out = |call: &dyn Fn(*mut f32) -> ivf_status| {
            let mut out = vec![0f32; floats.len()];
            ok(call(out.as_mut_ptr()));
            out
        };
        let (i, o) = (index.0, null());
        assert_eq!(
            out(&|to| unsafe { ivf_query_expansion_typed(i, q, element, n, DIM, 3, 2.0, to, o) }),
            out(&|to| unsafe { ivf_query_expansion(i, f, n, DIM, 3, 2.0, to, o) })
        );
        assert_eq!(
            out(&|to| unsafe { ivf_blend_typed(i, q, element, n, DIM, 3, 2.0, 0.5, to, o) }),
            out(&|to| unsafe { ivf_blend(i, f, n, DIM, 3, 2.0, 0.5, to, o) })
        );
        let (mut a, mut b): (ivf_tune_result, ivf_tune_result) = (sized(), sized());
        ok(unsafe { ivf_tune_typed(i, q, element, n, DIM, 5, 0.8, null(), &mut a) });
        ok(unsafe { ivf_tune(i, f, n, DIM, 5, 0.8, null(), &mut b) });
        assert_eq!((a.nprobe, a.recall.to_bits()), (b.nprobe, b.recall.to_bits()));
    }
}

#[test]
fn typed_update_equals_float32() {
    for (x, element, floats) in each() {
        let updated = |typed: bool| {
            let index = Index::filled("IVF8,SQfp16", DIM, IVF_METRIC_L2, N);
            let ids: Vec<i64> = (0..N as i64).rev().collect();
            let (ids, n) = (ids.as_ptr(), N as u64);
            ok(match typed {
                true => unsafe { ivf_update_typed(index.0, ids, pointer(&x), element, n, DIM, null()) },
                false => unsafe { ivf_update(index.0, ids, floats.as_ptr(), n, DIM, null()) },
            });
            index.search(&floats, DIM, 3, 8)
        };
        let (typed, wide) = (updated(true), updated(false));
        assert_eq!(typed, wide);
        assert_eq!(typed.1[0], N as i64 - 1);
    }
}

#[test]
fn curve_k_factor_is_that_of_its_points() {
    let (x, queries) = (rows(N, DIM), rows(100, DIM));
    for (description, refined) in [("IVF8,Flat", false), ("IVF8,SQ4,RFlat", true)] {
        let index = Index::filled(description, DIM, IVF_METRIC_L2, N);
        let mut factors = vec![-1f32; 200];
        ok(unsafe { ivf_tune_curve_k_factor(index.0, factors.as_mut_ptr(), 200) });
        assert!(factors.iter().all(|&factor| factor == -1.0), "there is no curve yet");
        ok(unsafe { ivf_tune(index.0, queries.as_ptr(), 100, DIM, 5, 0.5, null(), null_mut()) });
        let mut info: ivf_curve_info = sized();
        ok(unsafe { ivf_tune_curve(index.0, &mut info, null_mut(), null_mut(), null_mut(), null_mut(), 0) });
        ok(unsafe { ivf_tune_curve_k_factor(index.0, factors.as_mut_ptr(), 200) });
        let (points, beyond) = factors.split_at(info.points as usize);
        assert!(
            points.iter().all(|&factor| if refined { factor >= 1.0 } else { factor == 0.0 }),
            "{points:?}"
        );
        assert!(!points.is_empty() && beyond.iter().all(|&factor| factor == -1.0));
    }
    ok(unsafe { ivf_tune_curve_k_factor(Index::filled("Flat", DIM, IVF_METRIC_L2, 9).0, null_mut(), 0) });
    fails(unsafe { ivf_tune_curve_k_factor(null(), x.as_ptr().cast_mut(), 1) }, IVF_E_NULL, "`index`");
}

#[test]
fn curve_probe_scale_is_that_of_its_points() {
    let queries = rows(100, DIM);
    let index = Index::filled("IVF32,Flat", DIM, IVF_METRIC_L2, N);
    let mut result: ivf_tune_result = sized();
    ok(unsafe { ivf_tune(index.0, queries.as_ptr(), 100, DIM, 5, 0.5, null(), &mut result) });
    let mut scales = vec![-1f32; 200];
    ok(unsafe { ivf_tune_curve_probe_scale(index.0, scales.as_mut_ptr(), 200) });
    let (points, beyond) = scales.split_at(result.points as usize);
    assert!(points.iter().all(|&scale| scale == 0.0 || scale >= result.probe_scale), "{points:?}");
    assert!(!points.is_empty() && beyond.iter().all(|&scale| scale == -1.0));
    let options = ivf_search_options { nprobe: 8, probe_scale: -0.5, ..sized() };
    let (mut distances, mut ids) = ([0f32; 2], [0i64; 2]);
    let search = |options: &ivf_search_options, distances: &mut [f32], ids: &mut [i64]| unsafe {
        ivf_search(index.0, queries.as_ptr(), 1, DIM, 2, distances.as_mut_ptr(), ids.as_mut_ptr(), options)
    };
    fails(search(&options, &mut distances, &mut ids), IVF_E_ARGUMENT, "probe_scale: expected 0 or more");
    let options = ivf_search_options { reserved: 1, probe_scale: 0.0, ..options };
    fails(search(&options, &mut distances, &mut ids), IVF_E_ARGUMENT, "reserved: expected 0, got 1");
    ok(search(&ivf_search_options { reserved: 0, probe_scale: 0.1, ..options }, &mut distances, &mut ids));
    fails(unsafe { ivf_tune_curve_probe_scale(null(), null_mut(), 0) }, IVF_E_NULL, "`index`");
}

#[test]
fn typed_kmeans_and_knn_equal_float32() {
    for (x, element, floats) in each() {
        let n = N as u64;
        let (mut typed, mut wide) = (vec![0f32; 6 * DIM as usize], vec![0f32; 6 * DIM as usize]);
        ok(unsafe { ivf_kmeans_typed(null(), pointer(&x), element, n, DIM, 6, typed.as_mut_ptr(), null()) });
        ok(unsafe { ivf_kmeans(null(), floats.as_ptr(), n, DIM, 6, wide.as_mut_ptr(), null()) });
        assert_eq!(typed, wide);
        let run = |queries: *const c_void, of: i32| {
            let (mut distances, mut ids) = (vec![0.0; 40 * 3], vec![0; 40 * 3]);
            let (to, ids_to) = (distances.as_mut_ptr(), ids.as_mut_ptr());
            let (x, metric) = (pointer(&x), IVF_METRIC_INNER_PRODUCT);
            ok(unsafe {
                ivf_knn_typed(null(), queries, of, 40, x, element, n, DIM, metric, 3, to, ids_to, null())
            });
            (distances, ids)
        };
        assert_eq!(run(pointer(&x), element), run(floats.as_ptr().cast(), IVF_ELEMENT_F32));
    }
}

#[test]
fn typed_bad_arguments_are_refused() {
    let index = Index::filled("Flat", DIM, IVF_METRIC_L2, 10);
    let x = vec![0u16; N];
    let add = |x, element, n, dim| unsafe { ivf_add_typed(index.0, x, element, n, dim, null(), null()) };
    for element in [-1, 4, i32::MAX] {
        fails(add(pointer(&x), element, 2, DIM), IVF_E_ARGUMENT, "element: expected 0 (float32)");
    }
    fails(add(null(), IVF_ELEMENT_U8, 2, DIM), IVF_E_NULL, "`x`");
    fails(add(pointer(&x), IVF_ELEMENT_U8, 2, DIM + 1), IVF_E_DIMENSION, "expected 8 columns, got 9");
    fails(add(pointer(&x), IVF_ELEMENT_F16, u64::MAX, DIM), IVF_E_OVERFLOW, "x:");
    let odd = pointer(&x).cast::<u8>().wrapping_add(1).cast();
    fails(add(odd, IVF_ELEMENT_BF16, 2, DIM), IVF_E_ARGUMENT, "multiple of 2");
    ok(add(null(), IVF_ELEMENT_U8, 0, DIM));
    // A byte may lie anywhere.
    ok(add(odd, IVF_ELEMENT_U8, 2, DIM));
    let infinite = vec![f16::INFINITY.to_bits(); DIM as usize];
    fails(add(pointer(&infinite), IVF_ELEMENT_F16, 1, DIM), IVF_E_NOT_FINITE, "row 0");
    assert_eq!(index.info().count, 12);
}
