//! What the process and the machine are asked for.

use std::ptr::{null, null_mut};

use ivf::ffi::*;

use crate::support::{Index, ok, rows, sized};

/// Set in the process whose threads are counted.
const COUNT: &str = "IVF_TEST_COUNT_THREADS";

#[cfg(target_os = "linux")]
#[test]
fn no_thread_starts_unasked_and_no_more_than_the_context_has() {
    let name = "threads::no_thread_starts_unasked_and_no_more_than_the_context_has";
    if std::env::var(COUNT).is_err() {
        let mut process = std::process::Command::new(std::env::current_exe().expect("this file"));
        let output = process.args(["--exact", name, "--test-threads=1"]).env(COUNT, "1").output();
        let output = output.expect("started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let threads = || std::fs::read_dir("/proc/self/task").expect("Linux").count();
    let loaded = threads();
    let (mut context, mut index) = (null_mut(), null_mut());
    let options = ivf_context_options { threads: 4, ..sized() };
    ok(unsafe { ivf_context_create(&options, &mut context) });
    ok(unsafe { ivf_index_create(context, 32, IVF_METRIC_L2, c"IVF64,Flat".as_ptr(), null(), &mut index) });
    let index = Index(index);
    assert_eq!(threads(), loaded, "a context and an index start none");
    let x = rows(30_000, 32);
    ok(unsafe { ivf_train(index.0, x.as_ptr(), 30_000, 32, null()) });
    index.add(&x, 32);
    index.search(&x, 32, 5, 8);
    // The caller's own is one of the four.
    assert_eq!(threads(), loaded + 3);
    drop(index);
    unsafe { ivf_context_destroy(context) };
    for _ in 0..200 {
        if threads() == loaded {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("expected {loaded} threads once the context is gone, got {}", threads());
}

#[test]
fn trap_12_the_build_asks_for_no_more_than_the_baseline() {
    // Flags such as target-cpu=native would make a library that dies on older machines.
    let extra = [
        ("avx", cfg!(target_feature = "avx")),
        ("avx2", cfg!(target_feature = "avx2")),
        ("fma", cfg!(target_feature = "fma")),
        ("avx512f", cfg!(target_feature = "avx512f")),
        ("sse4.2", cfg!(target_feature = "sse4.2")),
    ];
    let asked: Vec<_> = extra.iter().filter(|(_, on)| *on).map(|(name, _)| name).collect();
    assert!(asked.is_empty(), "built with {asked:?}");
}
