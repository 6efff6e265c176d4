//! Several threads on one index, and what is a thread's own.

use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};

use ivf::ffi::*;

use crate::support::{Index, fails, last_error, ok, rows};

const DIM: u32 = 8;

#[test]
fn last_error_is_each_thread_s_own() {
    fails(unsafe { ivf_reset(null_mut()) }, IVF_E_NULL, "`index` is NULL");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(last_error(), "");
            fails(unsafe { ivf_device_count(null_mut()) }, IVF_E_NULL, "`count` is NULL");
        });
    });
    assert_eq!(last_error(), "`index` is NULL");
}

#[test]
fn searches_of_several_threads_give_the_same() {
    let index = Index::filled("IVF8,Flat", DIM, IVF_METRIC_L2, 2000);
    let queries = rows(100, DIM);
    let expected = index.search(&queries, DIM, 5, 4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(index.search(&queries, DIM, 5, 4), expected);
                }
            });
        }
    });
}

#[test]
fn searches_beside_a_writer_see_whole_batches_only() {
    const BATCH: usize = 50;
    let index = Index::filled("IVF8,Flat", DIM, IVF_METRIC_L2, 1000);
    let (batch, done) = (rows(BATCH, DIM), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let count = index.info().count;
                    assert_eq!(count % BATCH as u64, 0);
                    let (_, ids) = index.search(&batch[..DIM as usize], DIM, 3, 8);
                    // The first row of the data is never removed, and equal distances are in order of id.
                    assert_eq!(ids[0], 0);
                }
            });
        }
        for _ in 0..30 {
            index.add(&batch, DIM);
            let first = i64::try_from(index.info().next_id).expect("small") - BATCH as i64;
            let ids: Vec<i64> = (first..first + BATCH as i64).collect();
            let mut removed = 0;
            ok(unsafe { ivf_remove(index.0, ids.as_ptr(), BATCH as u64, &mut removed) });
            assert_eq!(removed, BATCH as u64);
            ok(unsafe { ivf_compact(index.0) });
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(index.info().count, 1000);
}

#[test]
fn default_context_first_used_by_many_threads_is_one() {
    let indexes: Vec<Index> = std::thread::scope(|scope| {
        let make = || Index::new("Flat", DIM, IVF_METRIC_L2);
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().expect("made")).collect()
    });
    for index in &indexes {
        ok(unsafe { ivf_add(index.0, rows(2, DIM).as_ptr(), 2, DIM, null(), null()) });
        assert_eq!(index.info().count, 2);
    }
}
