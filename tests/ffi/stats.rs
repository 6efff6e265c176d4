//! Statistics of a search: what is counted is what the search looks at.

use std::ptr::null_mut;

use ivf::ffi::*;

use crate::support::{Index, fails, ok, rows, sized};

const DIM: u32 = 8;
const N: usize = 3000;
const QUERIES: usize = 25;

fn search(index: &Index, k: usize, options: &ivf_search_options) -> (ivf_search_stats, u64) {
    let queries = rows(QUERIES, DIM);
    let mut stats: ivf_search_stats = sized();
    let (mut distances, mut ids) = (vec![0.0; QUERIES * k], vec![0; QUERIES * k]);
    let mut hits = [0; QUERIES];
    let options = ivf_search_options { hits: hits.as_mut_ptr(), stats: &raw mut stats, ..*options };
    let (to, ids_to) = (distances.as_mut_ptr(), ids.as_mut_ptr());
    ok(unsafe { ivf_search(index.0, queries.as_ptr(), QUERIES as u64, DIM, k as u32, to, ids_to, &options) });
    (stats, hits.iter().sum())
}

#[test]
fn stats_count_the_lists_and_the_vectors_looked_at() {
    // A k above the count returns all that a query looks at.
    let index = Index::filled("IVF40,Flat", DIM, IVF_METRIC_L2, N);
    let base = ivf_search_options { nprobe: 7, ..sized() };
    for options in [
        base,
        ivf_search_options { max_codes: 100, ..base },
        ivf_search_options { budget_codes: 90, strict_budget: IVF_SWITCH_ON, ..base },
        ivf_search_options { profile: IVF_PROFILE_APPROX_FAST, ..base },
        ivf_search_options { threads: 1, nprobe: 40, ..base },
    ] {
        let (stats, found) = search(&index, N, &options);
        assert_eq!(stats.queries, QUERIES as u64);
        assert_eq!(stats.codes, found);
        assert!(stats.lists <= QUERIES as u64 * u64::from(options.nprobe) && stats.lists >= QUERIES as u64);
        assert!(stats.coarse_ns > 0 && stats.scan_ns > 0);
    }
    let (stats, _) = search(&index, 5, &base);
    let mut sizes = vec![0u64; 40];
    ok(unsafe { ivf_list_sizes(index.0, sizes.as_mut_ptr(), 40) });
    assert!(sizes.iter().all(|&size| size > 0));
    assert_eq!(stats.lists, QUERIES as u64 * 7);
}

#[test]
fn stats_removed_vectors_do_not_count_filtered_ones_do() {
    let index = Index::filled("Flat", DIM, IVF_METRIC_INNER_PRODUCT, N);
    let removed: Vec<i64> = (0..100).collect();
    let mut count = 0;
    ok(unsafe { ivf_remove(index.0, removed.as_ptr(), 100, &raw mut count) });
    let mut filter = null_mut();
    ok(unsafe { ivf_filter_create_range(1000, 1010, &raw mut filter) });
    let (stats, found) = search(&index, N, &ivf_search_options { filter, ..sized() });
    unsafe { ivf_filter_destroy(filter) };
    assert_eq!((stats.lists, stats.codes), (QUERIES as u64, (QUERIES * (N - 100)) as u64));
    assert_eq!(found, QUERIES as u64 * 10);
}

#[test]
fn stats_of_range_search_and_of_own_lists() {
    let index = Index::filled("IVF40,Flat", DIM, IVF_METRIC_L2, N);
    let queries = rows(QUERIES, DIM);
    let mut stats: ivf_search_stats = sized();
    let options = ivf_search_options { nprobe: 40, stats: &raw mut stats, ..sized() };
    let mut result = null_mut();
    ok(unsafe {
        ivf_range_search(index.0, queries.as_ptr(), QUERIES as u64, DIM, 0.5, &options, &raw mut result)
    });
    unsafe { ivf_range_result_destroy(result) };
    assert_eq!(stats.codes, (QUERIES * N) as u64);

    let options = ivf_search_options { stats: &raw mut stats, ..sized() };
    let lists: Vec<i64> = (0..QUERIES).flat_map(|_| [3, -1]).collect();
    let (mut distances, mut ids) = (vec![0.0; QUERIES], vec![0; QUERIES]);
    ok(unsafe {
        ivf_search_preassigned(
            index.0,
            queries.as_ptr(),
            QUERIES as u64,
            DIM,
            1,
            lists.as_ptr(),
            2,
            distances.as_mut_ptr(),
            ids.as_mut_ptr(),
            &options,
        )
    });
    assert_eq!(stats.lists, QUERIES as u64);
}

#[test]
fn stats_of_another_size_or_without_a_search_are_refused() {
    let index = Index::filled("Flat", DIM, IVF_METRIC_L2, 50);
    let mut stats = ivf_search_stats { struct_size: 12, ..sized() };
    let options = ivf_search_options { stats: &raw mut stats, ..sized() };
    let (queries, mut distance, mut id) = (rows(1, DIM), 0.0, 0);
    fails(
        unsafe { ivf_search(index.0, queries.as_ptr(), 1, DIM, 1, &raw mut distance, &raw mut id, &options) },
        IVF_E_ARGUMENT,
        "ivf_search_stats.struct_size",
    );
    let mut stats: ivf_search_stats = sized();
    let options = ivf_search_options { stats: &raw mut stats, ..sized() };
    let x = queries.as_ptr();
    fails(
        unsafe {
            ivf_knn(
                std::ptr::null(),
                x,
                1,
                x,
                1,
                DIM,
                IVF_METRIC_L2,
                1,
                &raw mut distance,
                &raw mut id,
                &options,
            )
        },
        IVF_E_ARGUMENT,
        "stats: ivf_knn visits no lists",
    );
}
