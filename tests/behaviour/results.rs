//! What searches return.

use std::ptr::null;

use ivf::ffi::*;

use crate::support::{Index, ok, rows, sized};

const DIM: u32 = 12;

#[test]
fn l2_is_squared_and_never_negative() {
    // Far from the origin |q|^2 + |v|^2 - 2qv has few digits left; near ones must still come out right.
    let mut x: Vec<f32> = rows(500, DIM).into_iter().map(|value| 1000.0 + value / 8.0).collect();
    x.extend_from_within(..10 * DIM as usize);
    for description in ["Flat", "IVF4,Flat"] {
        let index = Index::new(description, DIM, IVF_METRIC_L2);
        ok(unsafe { ivf_train(index.0, x.as_ptr(), 510, DIM, null()) });
        index.add(&x, DIM);
        let (distances, ids) = index.search(&x, DIM, 20, 4);
        for (at, (&distance, &id)) in distances.iter().zip(&ids).enumerate() {
            let row = |row: usize| &x[row * DIM as usize..][..DIM as usize];
            let pairs = row(at / 20).iter().zip(row(usize::try_from(id).expect("20 are there")));
            let exact: f64 = pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
            assert!(distance >= 0.0, "{description}: {distance}");
            assert!(
                (f64::from(distance) - exact).abs() <= 1e-5 * exact,
                "{description}: {distance} for {exact}"
            );
        }
        // The copies are found at distance 0, the smaller id first.
        assert_eq!((&distances[..2], &ids[..2]), (&[0.0, 0.0][..], &[0, 500][..]), "{description}");
    }
}

#[test]
fn cosine_stays_within_minus_1_and_1() {
    let mut x = rows(300, DIM);
    for (row, factor) in x.chunks_mut(DIM as usize).zip([1e-12f32, 1e-3, 1.0, 3e4, 1e15].into_iter().cycle())
    {
        row.iter_mut().for_each(|value| *value *= factor);
    }
    let opposite: Vec<f32> = x.iter().map(|value| -value * 0.37).collect();
    for description in ["Flat", "SQfp16", "SQbf16"] {
        let index = Index::new(description, DIM, IVF_METRIC_COSINE);
        index.add(&x, DIM);
        for (queries, extreme) in [(&x, 1.0), (&opposite, -1.0)] {
            let (similarities, _) = index.search(queries, DIM, 300, 1);
            assert!(similarities.iter().all(|value| (-1.0..=1.0).contains(value)), "{description}");
            let nearest = similarities.iter().map(|value| (value - extreme).abs()).fold(f32::MAX, f32::min);
            assert!(nearest < 0.01, "{description}: {extreme} was not even neared");
        }
    }
}

#[test]
fn trap_3_what_is_missing_is_minus_1_on_every_path() {
    let n = 40usize;
    for metric in [IVF_METRIC_L2, IVF_METRIC_INNER_PRODUCT, IVF_METRIC_COSINE] {
        let worst = if metric == IVF_METRIC_L2 { f32::INFINITY } else { f32::NEG_INFINITY };
        let index = Index::filled("IVF4,Flat", DIM, metric, n);
        let (queries, k) = (rows(3, DIM), n + 3);
        let k32 = u32::try_from(k).expect("small");
        let mut filter = std::ptr::null_mut();
        ok(unsafe { ivf_filter_create_range(5, 8, &mut filter) });
        // (what, results each query has, the call)
        type Call<'a> = &'a dyn Fn(*mut f32, *mut i64, *mut u64) -> ivf_status;
        let search: Call<'_> = &|distances, ids, hits| unsafe {
            let options = ivf_search_options { nprobe: 4, hits, ..sized() };
            ivf_search(index.0, queries.as_ptr(), 3, DIM, k32, distances, ids, &options)
        };
        let filtered: Call<'_> = &|distances, ids, hits| unsafe {
            let options = ivf_search_options { nprobe: 4, hits, filter, ..sized() };
            ivf_search(index.0, queries.as_ptr(), 3, DIM, k32, distances, ids, &options)
        };
        let cut: Call<'_> = &|distances, ids, hits| unsafe {
            let options = ivf_search_options { nprobe: 4, hits, max_codes: 9, ..sized() };
            ivf_search(index.0, queries.as_ptr(), 3, DIM, k32, distances, ids, &options)
        };
        let nowhere: Call<'_> = &|distances, ids, hits| unsafe {
            let (options, lists) = (ivf_search_options { hits, ..sized() }, [-1i64; 3]);
            let (queries, lists) = (queries.as_ptr(), lists.as_ptr());
            ivf_search_preassigned(index.0, queries, 3, DIM, k32, lists, 1, distances, ids, &options)
        };
        let knn: Call<'_> = &|distances, ids, hits| unsafe {
            let (options, x) = (ivf_search_options { hits, ..sized() }, rows(n, DIM));
            let (queries, n) = (queries.as_ptr(), n as u64);
            ivf_knn(null(), queries, 3, x.as_ptr(), n, DIM, metric, k32, distances, ids, &options)
        };
        let calls = [
            ("search", n, search),
            ("filter", 3, filtered),
            ("cut", 9, cut),
            ("none", 0, nowhere),
            ("knn", n, knn),
        ];
        for (what, found, call) in calls {
            let (mut distances, mut ids, mut hits) = (vec![0f32; 3 * k], vec![77i64; 3 * k], vec![99u64; 3]);
            ok(call(distances.as_mut_ptr(), ids.as_mut_ptr(), hits.as_mut_ptr()));
            assert_eq!(hits, [found as u64; 3], "{what}");
            for (distances, ids) in distances.chunks(k).zip(ids.chunks(k)) {
                assert!(ids[..found].iter().all(|id| (0..n as i64).contains(id)), "{what}: {ids:?}");
                assert!(distances[..found].iter().all(|distance| distance.is_finite()), "{what}");
                assert!(ids[found..].iter().all(|&id| id == -1), "{what}: {ids:?}");
                assert!(distances[found..].iter().all(|&distance| distance == worst), "{what}");
            }
        }
        unsafe { ivf_filter_destroy(filter) };
    }
}
