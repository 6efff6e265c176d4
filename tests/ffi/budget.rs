//! Profiles and candidate budgets: what they let a query look at, on every path alike.

use std::time::{Duration, Instant};

use ivf::ffi::*;

use crate::support::{Index, fails, ok, rows, sized};

const DIM: u32 = 8;
const N: usize = 6000;

const APPROXIMATE: [i32; 3] =
    [IVF_PROFILE_APPROX_FAST, IVF_PROFILE_APPROX_BALANCED, IVF_PROFILE_APPROX_QUALITY];

fn index() -> Index {
    Index::filled("IVF40,Flat", DIM, IVF_METRIC_L2, N)
}

/// Distances, ids and hits of a search that must succeed.
fn search(
    index: &Index,
    queries: &[f32],
    k: usize,
    options: &ivf_search_options,
) -> (Vec<f32>, Vec<i64>, Vec<u64>) {
    let n = queries.len() / DIM as usize;
    let (mut distances, mut ids, mut hits) = (vec![0.0; n * k], vec![0; n * k], vec![0; n]);
    let options = ivf_search_options { hits: hits.as_mut_ptr(), ..*options };
    let (to, ids_to) = (distances.as_mut_ptr(), ids.as_mut_ptr());
    ok(unsafe { ivf_search(index.0, queries.as_ptr(), n as u64, DIM, k as u32, to, ids_to, &options) });
    (distances, ids, hits)
}

/// How many vectors each query looks at: all are results when k is the count.
fn looked_at(index: &Index, queries: &[f32], options: &ivf_search_options) -> Vec<u64> {
    search(index, queries, N, options).2
}

fn sizes(index: &Index) -> Vec<u64> {
    let mut sizes = vec![0; 40];
    ok(unsafe { ivf_list_sizes(index.0, sizes.as_mut_ptr(), 40) });
    sizes
}

#[test]
fn profile_approximate_looks_at_its_share() {
    let (index, queries) = (index(), rows(30, DIM));
    let all = looked_at(&index, &queries, &ivf_search_options { nprobe: 10, ..sized() });
    for (profile, share) in APPROXIMATE.into_iter().zip([0.25, 0.5, 0.75]) {
        let options = ivf_search_options { nprobe: 10, profile, ..sized() };
        for (some, &all) in looked_at(&index, &queries, &options).into_iter().zip(&all) {
            let wanted = (all as f64 * share).ceil() as u64;
            assert!((wanted..=wanted + 10 * 32).contains(&some), "{profile}: {some} of {all}");
        }
    }
    for profile in [IVF_PROFILE_DEFAULT, IVF_PROFILE_EXACT, IVF_PROFILE_SPEED] {
        let options = ivf_search_options { nprobe: 10, profile, ..sized() };
        assert_eq!(looked_at(&index, &queries, &options), all);
    }
}

#[test]
fn trap_1_profile_with_its_own_field_set_works_and_the_field_counts() {
    let (index, queries) = (index(), rows(20, DIM));
    for profile in APPROXIMATE {
        let base = ivf_search_options { nprobe: 10, profile, ..sized() };
        let strict = ivf_search_options { strict_budget: IVF_SWITCH_ON, ..base };
        let with = |options: ivf_search_options| looked_at(&index, &queries, &options);
        // Every field replaces what the profile has, and is seen to.
        let codes = ivf_search_options { budget_codes: 333, ..strict };
        assert_eq!(with(codes), [333; 20]);
        let share = ivf_search_options { budget_share: 0.1, ..strict };
        let all = with(ivf_search_options { nprobe: 10, ..sized() });
        let tenth = |&all: &u64| (all as f64 * f64::from(0.1f32)).ceil() as u64;
        assert_eq!(with(share), all.iter().map(tenth).collect::<Vec<_>>());
        let list_max = ivf_search_options { list_max: 7, ..base };
        assert_eq!(with(list_max), [70; 20]);
        for sharing in [IVF_SHARING_UNIFORM, IVF_SHARING_DISTANCE_WEIGHTED, IVF_SHARING_PROBE_ORDER] {
            let options = ivf_search_options { budget_sharing: sharing, budget_codes: 500, ..strict };
            assert_eq!(with(options), [500; 20], "{sharing}");
        }
        let uniform = ivf_search_options {
            budget_sharing: IVF_SHARING_UNIFORM,
            budget_codes: 320,
            dynamic_nprobe: IVF_SWITCH_OFF,
            ..strict
        };
        // 32 of each of ten lists: a list of its own gives as many.
        let uniform = search(&index, &queries[..8], N, &uniform);
        let nearest = search(&index, &queries[..8], N, &ivf_search_options { nprobe: 1, ..sized() });
        let first_list = uniform.1.iter().filter(|id| **id >= 0 && nearest.1.contains(id)).count();
        assert_eq!(first_list, 32);
        let dynamic = ivf_search_options { list_min: 200, budget_codes: 320, ..base };
        let on = ivf_search_options { dynamic_nprobe: IVF_SWITCH_ON, ..dynamic };
        let off = ivf_search_options { dynamic_nprobe: IVF_SWITCH_OFF, ..dynamic };
        assert!(with(on).iter().chain(&with(off)).all(|&looked| looked >= 320));
    }
}

#[test]
fn trap_1_option_that_would_not_be_used_is_refused_by_name() {
    let index = index();
    let (query, mut distance, mut id) = (rows(1, DIM), [0f32; 1], [0i64; 1]);
    let refused: [(ivf_search_options, &str); 10] = [
        (ivf_search_options { list_min: 3, ..sized() }, "list_min: expected a budget beside it"),
        (ivf_search_options { strict_budget: IVF_SWITCH_ON, ..sized() }, "strict_budget: expected a budget"),
        (
            ivf_search_options { dynamic_nprobe: IVF_SWITCH_ON, ..sized() },
            "dynamic_nprobe: expected a budget",
        ),
        (ivf_search_options { budget_sharing: 1, ..sized() }, "budget_sharing: expected a budget"),
        (ivf_search_options { budget_sharing: 9, ..sized() }, "budget_sharing: expected 0 to 3"),
        (ivf_search_options { profile: 6, ..sized() }, "profile: expected 0 to 5"),
        (ivf_search_options { strict_budget: 3, ..sized() }, "strict_budget: expected 0 to 2"),
        (ivf_search_options { budget_share: 1.5, ..sized() }, "budget_share: expected 0 to 1, got 1.5"),
        (ivf_search_options { budget_share: 0.5, budget_codes: 9, ..sized() }, "got both: 9 and 0.5"),
        (ivf_search_options { list_max: 3, list_min: 4, budget_codes: 9, ..sized() }, "at most list_max = 3"),
    ];
    for (options, text) in refused {
        let (to, ids) = (distance.as_mut_ptr(), id.as_mut_ptr());
        let status = unsafe { ivf_search(index.0, query.as_ptr(), 1, DIM, 1, to, ids, &options) };
        fails(status, IVF_E_ARGUMENT, text);
    }
    let options = ivf_search_options { profile: IVF_PROFILE_APPROX_FAST, ..sized() };
    let (to, ids, x) = (distance.as_mut_ptr(), id.as_mut_ptr(), query.as_ptr());
    let status = unsafe { ivf_knn(std::ptr::null(), x, 1, x, 1, DIM, 1, 1, to, ids, &options) };
    fails(status, IVF_E_ARGUMENT, "ivf_knn has no use for a profile");
}

#[test]
fn trap_2_budget_is_cut_at_the_same_place_on_every_path() {
    let index = index();
    // Some of them dead, so that slots and live vectors differ.
    let gone: Vec<i64> = (0..N as i64).filter(|id| id % 11 == 3).collect();
    ok(unsafe { ivf_remove(index.0, gone.as_ptr(), gone.len() as u64, std::ptr::null_mut()) });
    let queries = rows(400, DIM);
    let options = [
        ivf_search_options { profile: IVF_PROFILE_APPROX_FAST, ..sized() },
        ivf_search_options { budget_codes: 700, budget_sharing: IVF_SHARING_DISTANCE_WEIGHTED, ..sized() },
        ivf_search_options { budget_share: 0.4, budget_sharing: IVF_SHARING_UNIFORM, ..sized() },
        ivf_search_options { max_codes: 431, ..sized() },
        ivf_search_options { max_codes: 431, list_max: 33, ..sized() },
    ];
    for options in options {
        let at_once = search(&index, &queries, 50, &ivf_search_options { nprobe: 12, ..options });
        for (batch, threads) in [(1, 1), (7, 2), (130, 1)] {
            let options = ivf_search_options { nprobe: 12, threads, ..options };
            let mut parts = (Vec::new(), Vec::new(), Vec::new());
            for part in queries.chunks(batch * DIM as usize) {
                let (distances, ids, hits) = search(&index, part, 50, &options);
                parts.0.extend(distances);
                parts.1.extend(ids);
                parts.2.extend(hits);
            }
            assert!(parts == at_once, "{batch} at a time on {threads}: {options:?}");
        }
    }
}

#[test]
fn trap_5_budget_that_does_not_bind_changes_nothing_and_costs_next_to_nothing() {
    let (dim, n) = (32, 20_000);
    let index = Index::filled("IVF64,Flat", dim, IVF_METRIC_L2, n);
    let queries = rows(3000, dim);
    let time = |options: &ivf_search_options| {
        let (mut distances, mut ids) = (vec![0f32; 3000 * 10], vec![0i64; 3000 * 10]);
        let (to, ids_to) = (distances.as_mut_ptr(), ids.as_mut_ptr());
        let start = Instant::now();
        ok(unsafe { ivf_search(index.0, queries.as_ptr(), 3000, dim, 10, to, ids_to, options) });
        (start.elapsed(), distances, ids)
    };
    let free = ivf_search_options { nprobe: 32, ..sized() };
    let unbound = [
        ivf_search_options { budget_codes: n as u64, ..free },
        ivf_search_options { budget_codes: n as u64, budget_sharing: IVF_SHARING_DISTANCE_WEIGHTED, ..free },
        ivf_search_options { budget_share: 1.0, ..free },
    ];
    let best = |options: &ivf_search_options| (0..7).map(|_| time(options).0).min().unwrap_or_default();
    for options in unbound {
        let (_, distances, ids) = time(&free);
        assert_eq!((distances, ids), (time(&options).1, time(&options).2));
        // The best of several rounds, since other work may interrupt any of them.
        let slow = || best(&options) > best(&free) * 5 / 4 + Duration::from_millis(2);
        assert!(!(slow() && slow() && slow()), "{:?}, free {:?}", best(&options), best(&free));
    }
}

#[test]
fn trap_6_profile_works_at_once_and_after_every_change() {
    let index = index();
    let queries = rows(10, DIM);
    let options = ivf_search_options { nprobe: 10, profile: IVF_PROFILE_APPROX_BALANCED, ..sized() };
    let check = |index: &Index| {
        let all = looked_at(index, &queries, &ivf_search_options { nprobe: 10, ..sized() });
        for (some, all) in looked_at(index, &queries, &options).into_iter().zip(all) {
            assert!(some >= all / 2 && some <= all / 2 + 10 * 32 + 1, "{some} of {all}");
        }
    };
    check(&index);
    index.add(&rows(700, DIM), DIM);
    check(&index);
    let gone: Vec<i64> = (0..500).collect();
    ok(unsafe { ivf_remove(index.0, gone.as_ptr(), 500, std::ptr::null_mut()) });
    check(&index);
    let mut size = 0;
    ok(unsafe { ivf_serialize(index.0, std::ptr::null_mut(), 0, &mut size) });
    let mut bytes = vec![0u8; size as usize];
    ok(unsafe { ivf_serialize(index.0, bytes.as_mut_ptr().cast(), size, &mut size) });
    let mut loaded = std::ptr::null_mut();
    let (data, none) = (bytes.as_ptr().cast(), std::ptr::null());
    ok(unsafe { ivf_deserialize(std::ptr::null(), data, size, none, &mut loaded) });
    let loaded = Index(loaded);
    assert_eq!(sizes(&loaded), sizes(&index));
    check(&loaded);
}
