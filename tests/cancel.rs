//! The cancel flag, set by another thread at any moment, ends every long call soon: the promise is 50 ms on an idle
//! machine. A test machine may be busy, so here the bound is wider; what was measured is printed.
//!
//! `IVF_CANCEL_ROWS=1000000 IVF_CANCEL_MS=50 cargo test --test cancel -- --nocapture --test-threads 1` measures a
//! larger index against the promise itself.
#![expect(unsafe_code, reason = "the functions under test are unsafe")]
#![expect(clippy::undocumented_unsafe_blocks, reason = "every pointer here is of the test's own making")]
#![expect(clippy::print_stdout, reason = "what was measured is worth reading")]

#[path = "ffi/support.rs"]
#[expect(dead_code, reason = "not every helper is used here")]
mod support;

use std::cell::RefCell;
use std::ffi::CString;
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ivf::ffi::*;
use support::{Index, last_error, ok, rows, sized};

const DIM: u32 = 64;
const LISTS: u32 = 256;

/// One at a time: beside another test a delay says nothing.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

fn many() -> usize {
    number("IVF_CANCEL_ROWS", 100_000)
}

fn trained() -> Index {
    let index = Index::new(&format!("IVF{LISTS},Flat"), DIM, IVF_METRIC_L2);
    let centroids = rows(LISTS as usize, DIM);
    ok(unsafe { ivf_set_centroids(index.0, centroids.as_ptr(), u64::from(LISTS), DIM) });
    index
}

fn filled(x: &[f32]) -> Index {
    let index = trained();
    index.add(x, DIM);
    index
}

/// All that an index holds, to the last byte.
fn bytes(index: &Index) -> Vec<u8> {
    let mut size = 0;
    ok(unsafe { ivf_serialize(index.0, null_mut(), 0, &mut size) });
    let mut bytes = vec![0u8; usize::try_from(size).expect("small")];
    ok(unsafe { ivf_serialize(index.0, bytes.as_mut_ptr().cast(), size, &mut size) });
    bytes
}

/// An index that a call changes, begun anew from `base` each time.
struct Subject {
    base: Index,
    bytes: Vec<u8>,
    index: RefCell<Index>,
}

impl Subject {
    /// Its lists end within blocks of either width.
    fn new(description: &str) -> Self {
        let base = Index::filled(description, DIM, IVF_METRIC_L2, 5003);
        let (bytes, index) = (bytes(&base), RefCell::new(Index(null_mut())));
        Self { base, bytes, index }
    }

    fn again(&self) {
        let mut clone = null_mut();
        ok(unsafe { ivf_index_clone(self.base.0, null(), &mut clone) });
        *self.index.borrow_mut() = Index(clone);
    }

    fn index(&self) -> *mut ivf_index {
        self.index.borrow().0
    }

    fn unchanged(&self) {
        assert!(bytes(&self.index.borrow()) == self.bytes, "a cancelled call changed the index");
    }
}

fn path(name: &str) -> (PathBuf, CString) {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("cancel {name}"));
    let text = CString::new(path.to_str().expect("UTF-8")).expect("no NUL");
    (path, text)
}

/// Runs `call` to its end, then cancels it at several moments of its way, at least once. It gets the flag, and has
/// succeeded or was cancelled; `unchanged` is asked after each cancelled call, `again` before each next one.
fn check(name: &str, again: impl Fn(), call: impl Fn(*const i32) -> ivf_status, unchanged: impl Fn()) {
    // On a busy machine the first call may take so long that all others end before their flag is set.
    let once = (0..5).any(|_| cancelled(name, &again, &call, &unchanged) > 0);
    assert!(once, "{name}: never cancelled");
}

/// The same; how many of its calls were cancelled.
fn cancelled(
    name: &str,
    again: impl Fn(),
    call: impl Fn(*const i32) -> ivf_status,
    unchanged: impl Fn(),
) -> usize {
    let bound = Duration::from_millis(number("IVF_CANCEL_MS", 250) as u64);
    let _alone = alone();
    again();
    let start = Instant::now();
    ok(call(null()));
    let whole = start.elapsed();
    let (mut worst, mut cancelled) = (Duration::ZERO, 0);
    for percent in [5, 20, 35, 50, 65, 80, 95] {
        again();
        let flag = AtomicI32::new(0);
        let (status, set, end) = std::thread::scope(|scope| {
            let setter = scope.spawn(|| {
                std::thread::sleep(whole * percent / 100);
                let set = Instant::now();
                flag.store(1, Ordering::Relaxed);
                set
            });
            let status = call(flag.as_ptr());
            let end = Instant::now();
            (status, setter.join().expect("it only sleeps"), end)
        });
        if status == IVF_E_CANCELLED {
            cancelled += 1;
            unchanged();
        } else {
            assert_eq!(status, IVF_OK, "{name}: {}", last_error());
        }
        worst = worst.max(end.saturating_duration_since(set));
    }
    println!("{name}: of {whole:?}; cancelled {cancelled} of 7 times, at most {worst:?} after the flag");
    assert!(worst < bound, "{name}: returned {worst:?} after the flag was set, expected {bound:?} at most");
    cancelled
}

#[test]
fn cancel_train_is_prompt() {
    for (description, n) in [("IVF1024,Flat", many()), ("OPQ16_64,IVF16,Flat", many() / 20)] {
        let (index, x) = (Index::new(description, DIM, IVF_METRIC_L2), rows(n, DIM));
        let call = |cancel| {
            let options = ivf_train_options { cancel, ..sized() };
            unsafe { ivf_train(index.0, x.as_ptr(), n as u64, DIM, &options) }
        };
        check(&format!("train {description}"), || (), call, || ());
    }
}

#[test]
fn cancel_set_centroids_is_prompt_and_sets_none() {
    let nlist = many() / 8;
    let x = rows(nlist, DIM);
    let index = RefCell::new(Index(null_mut()));
    let again = || *index.borrow_mut() = Index::new(&format!("IVF{nlist}_HNSW32,Flat"), DIM, IVF_METRIC_L2);
    let call = |cancel| {
        let options = ivf_add_options { cancel, ..sized() };
        unsafe { ivf_set_centroids_v2(index.borrow().0, x.as_ptr(), nlist as u64, DIM, &options) }
    };
    check("set centroids", again, call, || assert_eq!(index.borrow().info().trained, 0));
}

#[test]
fn cancel_add_is_prompt_and_adds_nothing() {
    let x = rows(many(), DIM);
    for description in ["IVF256,Flat", "Flat", "RR64,IVF64,SQfp16"] {
        let subject = Subject::new(description);
        let call = |cancel| {
            let options = ivf_add_options { cancel, ..sized() };
            unsafe { ivf_add(subject.index(), x.as_ptr(), many() as u64, DIM, null(), &options) }
        };
        check(&format!("add to {description}"), || subject.again(), call, || subject.unchanged());
    }
}

#[test]
fn cancel_update_is_prompt_and_changes_nothing() {
    let x = rows(many(), DIM);
    let ids: Vec<i64> = (0..many() as i64).rev().collect();
    let flat = Index::new("Flat", DIM, IVF_METRIC_L2);
    flat.add(&x, DIM);
    for (name, n, base) in [
        ("a few", 60_000.min(many()), filled(&x)),
        ("all", many(), filled(&x)),
        ("all of Flat", many(), flat),
    ] {
        let subject = Subject { bytes: bytes(&base), base, index: RefCell::new(Index(null_mut())) };
        let call = |cancel| {
            let options = ivf_add_options { cancel, ..sized() };
            unsafe { ivf_update(subject.index(), ids.as_ptr(), x.as_ptr(), n as u64, DIM, &options) }
        };
        check(&format!("update {name}"), || subject.again(), call, || subject.unchanged());
    }
}

/// Where it may be cancelled, a large one goes another way.
#[test]
fn update_with_a_flag_that_is_not_set_equals_one_without() {
    let x = rows(100_000, DIM);
    let ids: Vec<i64> = (0..100_000).map(|id| id * 7 % 100_000).collect();
    for description in ["IVF64,Flat", "Flat", "IVF16,SQ8,RFlat"] {
        let base = Index::filled(description, DIM, IVF_METRIC_L2, 1000);
        base.add(&x, DIM);
        let subject = Subject { bytes: bytes(&base), base, index: RefCell::new(Index(null_mut())) };
        let flag = 0;
        let updated = [null(), &raw const flag].map(|cancel| {
            subject.again();
            let options = ivf_add_options { cancel, ..sized() };
            let (ids, x) = (ids.as_ptr(), x.as_ptr());
            ok(unsafe { ivf_update(subject.index(), ids, x, 100_000, DIM, &options) });
            bytes(&subject.index.borrow())
        });
        assert!(updated[0] == updated[1] && updated[0] != subject.bytes, "{description}");
    }
}

#[test]
fn cancel_merge_is_prompt_and_adds_nothing() {
    let subject = Subject::new("IVF256,Flat");
    subject.again();
    let mut other = null_mut();
    ok(unsafe { ivf_index_clone(subject.base.0, null(), &mut other) });
    let other = Index(other);
    other.add(&rows(many(), DIM), DIM);
    let call = |cancel| {
        let options = ivf_add_options { cancel, ..sized() };
        unsafe { ivf_merge(subject.index(), other.0, 1 << 40, null_mut(), &options) }
    };
    check("merge", || subject.again(), call, || subject.unchanged());
}

#[test]
fn cancel_removal_and_packing_are_prompt() {
    let x = rows(many(), DIM);
    let ids: Vec<i64> = (0..many() as i64).filter(|id| id % 3 > 0).collect();
    let (mut filter, n) = (null_mut(), ids.len() as u64);
    ok(unsafe { ivf_filter_create_ids(ids.as_ptr(), n, &mut filter) });
    for (name, base) in
        [("lists", filled(&x)), ("one list", Index::filled("Flat", DIM, IVF_METRIC_L2, many()))]
    {
        let subject = Subject { bytes: bytes(&base), base, index: RefCell::new(Index(null_mut())) };
        let remove = |cancel| {
            let (options, mut removed) = (ivf_add_options { cancel, ..sized() }, 0);
            let status = unsafe { ivf_remove_v2(subject.index(), ids.as_ptr(), n, &mut removed, &options) };
            assert_eq!(removed, if status == IVF_OK { n } else { 0 });
            assert_eq!(subject.index.borrow().info().count, many() as u64 - removed);
            status
        };
        // Most of its time is packing, which a cancel only leaves undone.
        cancelled(&format!("remove from {name}"), || subject.again(), remove, || subject.unchanged());
        let remove = |cancel| {
            let options = ivf_add_options { cancel, ..sized() };
            unsafe { ivf_remove_filter_v2(subject.index(), filter, null_mut(), &options) }
        };
        let by_filter = format!("remove from {name} by a filter");
        cancelled(&by_filter, || subject.again(), remove, || subject.unchanged());
        // Few enough that removing packs nothing.
        let sixth: Vec<i64> = (0..many() as i64).filter(|id| id % 6 == 0).collect();
        let removed = subject.base.info().count - sixth.len() as u64;
        ok(unsafe { ivf_remove(subject.base.0, sixth.as_ptr(), sixth.len() as u64, null_mut()) });
        let compact = |cancel| {
            let options = ivf_add_options { cancel, ..sized() };
            unsafe { ivf_compact_v2(subject.index(), &options) }
        };
        let same = || {
            let mut read = vec![0f32; DIM as usize];
            assert_eq!(subject.index.borrow().info().count, removed);
            ok(unsafe { ivf_reconstruct(subject.index(), &5, 1, read.as_mut_ptr(), DIM) });
            let mut expected = vec![0f32; DIM as usize];
            ok(unsafe { ivf_reconstruct(subject.base.0, &5, 1, expected.as_mut_ptr(), DIM) });
            assert_eq!(read, expected);
        };
        check(&format!("compact {name}"), || subject.again(), compact, same);
        assert_eq!(subject.index.borrow().info().count, removed);
    }
    unsafe { ivf_filter_destroy(filter) };
}

#[test]
fn cancel_copying_and_reading_back_are_prompt() {
    let n = many() as u64;
    let codes = Index::filled("RR64,IVF16,SQ8", DIM, IVF_METRIC_L2, many());
    for (name, index) in [("vectors", filled(&rows(many(), DIM))), ("codes", codes)] {
        let clone = |cancel| {
            let (options, mut clone) = (ivf_io_options { cancel, ..sized() }, null_mut());
            let status = unsafe { ivf_index_clone_v2(index.0, null(), &mut clone, &options) };
            assert_eq!(clone.is_null(), status != IVF_OK);
            unsafe { ivf_index_destroy(clone) };
            status
        };
        check(&format!("clone {name}"), || (), clone, || ());
        let mut read = vec![0f32; many() * DIM as usize];
        let to = read.as_mut_ptr();
        let range = |cancel| {
            let options = ivf_io_options { cancel, ..sized() };
            unsafe { ivf_reconstruct_range_v2(index.0, 0, n, to, DIM, &options) }
        };
        check(&format!("reconstruct the range of {name}"), || (), range, || ());
        let ids: Vec<i64> = (0..many() as i64).rev().collect();
        let reconstruct = |cancel| {
            let options = ivf_io_options { cancel, ..sized() };
            unsafe { ivf_reconstruct_v2(index.0, ids.as_ptr(), n, to, DIM, &options) }
        };
        check(&format!("reconstruct {name}"), || (), reconstruct, || ());
        let mut size = 0;
        ok(unsafe { ivf_serialize_v2(index.0, null_mut(), 0, &mut size, null()) });
        let mut bytes = vec![0u8; usize::try_from(size).expect("small")];
        let to = bytes.as_mut_ptr().cast();
        let serialize = |cancel| {
            let (options, mut written) = (ivf_io_options { cancel, ..sized() }, 0);
            unsafe { ivf_serialize_v2(index.0, to, size, &mut written, &options) }
        };
        check(&format!("serialize {name}"), || (), serialize, || ());
    }
}

/// What has no flag is short, whatever the index holds.
#[test]
fn calls_that_cannot_be_cancelled_are_short() {
    let _alone = alone();
    let bound = Duration::from_millis(number("IVF_CANCEL_MS", 250) as u64);
    let timed = |name: &str, call: &mut dyn FnMut()| {
        let start = Instant::now();
        call();
        let took = start.elapsed();
        println!("{name}: {took:?}");
        assert!(took < bound, "{name}: expected {bound:?} at most, took {took:?}");
    };
    let index = filled(&rows(many(), DIM));
    let (mut ids, mut sizes) = (vec![0i64; many()], vec![0u64; LISTS as usize]);
    timed("ids", &mut || ok(unsafe { ivf_ids(index.0, ids.as_mut_ptr(), ids.len() as u64) }));
    timed("list sizes", &mut || {
        ok(unsafe { ivf_list_sizes(index.0, sizes.as_mut_ptr(), u64::from(LISTS)) });
    });
    for step in [1, 1000] {
        let ids: Vec<i64> = (0..many() as i64).rev().map(|id| id * step).collect();
        let mut filter = null_mut();
        timed(&format!("filter of ids, {step} apart"), &mut || {
            ok(unsafe { ivf_filter_create_ids(ids.as_ptr(), ids.len() as u64, &mut filter) });
        });
        unsafe { ivf_filter_destroy(filter) };
    }
    timed("reset", &mut || ok(unsafe { ivf_reset(index.0) }));
    index.add(&rows(many(), DIM), DIM);
    let mut index = Some(index);
    timed("destroy", &mut || drop(index.take()));
}

/// There a change ends with lists put in order, which a cancel may leave undone: the change is then made, and right.
#[test]
fn cancel_changes_of_lists_kept_best_first_are_prompt() {
    let options = ivf_index_options { list_order: IVF_LIST_ORDER_BEST_FIRST, ..sized() };
    check_changes("best first", Index::with_options("IVF16,Flat", DIM, IVF_METRIC_L2, &options));
}

/// There a change is one of two lists for each vector.
#[test]
fn cancel_changes_of_vectors_in_two_lists_are_prompt() {
    let options = ivf_index_options { soar: 1.0, ..sized() };
    check_changes("in two lists", Index::with_options("IVF16,Flat", DIM, IVF_METRIC_L2, &options));
}

fn check_changes(kind: &str, base: Index) {
    let (x, n) = (rows(many(), DIM), many() / 2);
    let (first, second) = x.split_at(n * DIM as usize);
    ok(unsafe { ivf_set_centroids(base.0, x.as_ptr(), 16, DIM) });
    base.add(first, DIM);
    let subject = Subject { bytes: bytes(&base), base, index: RefCell::new(Index(null_mut())) };
    let rows = second.len() as u64 / u64::from(DIM);
    let add = |cancel| {
        let options = ivf_add_options { cancel, ..sized() };
        unsafe { ivf_add(subject.index(), second.as_ptr(), rows, DIM, null(), &options) }
    };
    check(&format!("add {kind}"), || subject.again(), add, || subject.unchanged());
    let ids: Vec<i64> = (0..n as i64).rev().collect();
    let update = |cancel| {
        let options = ivf_add_options { cancel, ..sized() };
        unsafe { ivf_update(subject.index(), ids.as_ptr(), second.as_ptr(), n as u64, DIM, &options) }
    };
    check(&format!("update {kind}"), || subject.again(), update, || subject.unchanged());
}

#[test]
fn cancel_searches_are_prompt() {
    let index = filled(&rows(many(), DIM));
    let n = 10_000;
    let (queries, mut distances, mut ids) = (rows(n, DIM), vec![0f32; n * 10], vec![0i64; n * 10]);
    let (distances, ids) = (distances.as_mut_ptr(), ids.as_mut_ptr());
    let search = |cancel| {
        let options = ivf_search_options { cancel, nprobe: 64, ..sized() };
        unsafe { ivf_search(index.0, queries.as_ptr(), n as u64, DIM, 10, distances, ids, &options) }
    };
    check("search", || (), search, || ());
    let range = |cancel| {
        let options = ivf_search_options { cancel, nprobe: 64, ..sized() };
        let mut result = null_mut();
        // About a hundredth of the vectors.
        let status =
            unsafe { ivf_range_search(index.0, queries.as_ptr(), n as u64, DIM, 7.0, &options, &mut result) };
        assert_eq!(result.is_null(), status != IVF_OK);
        unsafe { ivf_range_result_destroy(result) };
        status
    };
    check("range search", || (), range, || ());
    let tune = |cancel| {
        let options = ivf_tune_options { cancel, ..sized() };
        unsafe { ivf_tune(index.0, queries.as_ptr(), 2000, DIM, 10, 0.9, &options, null_mut()) }
    };
    check("tune", || (), tune, || ());
}

#[test]
fn cancel_build_from_a_file_is_prompt() {
    let (file, name) = path("build.fvecs");
    let x = rows(many(), DIM);
    let row = |row: &[f32]| [&DIM.to_le_bytes()[..], &little_endian(row)].concat();
    std::fs::write(&file, x.chunks(DIM as usize).flat_map(row).collect::<Vec<u8>>()).expect("written");
    let subject = Subject::new("IVF256,Flat");
    let add = |cancel| {
        let options = ivf_add_options { cancel, ..sized() };
        unsafe { ivf_add_file(subject.index(), name.as_ptr(), &options, null_mut()) }
    };
    check("add file", || subject.again(), add, || subject.unchanged());
    let fresh = || *subject.index.borrow_mut() = Index::new("IVF256,Flat", DIM, IVF_METRIC_L2);
    let build = |cancel| {
        let options = ivf_train_options { cancel, ..sized() };
        unsafe { ivf_build_file(subject.index(), name.as_ptr(), &options, null_mut()) }
    };
    check("build file", fresh, build, || assert_eq!(subject.index.borrow().info().count, 0));
    std::fs::remove_file(file).expect("removed");
}

fn little_endian(row: &[f32]) -> Vec<u8> {
    row.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Files that saves have begun and not ended.
fn unfinished() -> usize {
    let names = std::fs::read_dir(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    names.filter(|name| name.as_ref().is_ok_and(|name| is_unfinished(&name.path()))).count()
}

/// Those of them that this process has open, removed or not, where the system tells.
fn open_unfinished() -> usize {
    let Ok(files) = std::fs::read_dir("/proc/self/fd") else { return 0 };
    let target = |file: std::io::Result<std::fs::DirEntry>| std::fs::read_link(file.ok()?.path()).ok();
    files.filter_map(target).filter(|path| is_unfinished(path)).count()
}

fn is_unfinished(path: &std::path::Path) -> bool {
    path.starts_with(env!("CARGO_TARGET_TMPDIR")) && path.to_string_lossy().contains("/.ivf-")
}

#[test]
fn cancel_files_are_prompt() {
    let index = filled(&rows(3 * many(), DIM));
    let (file, name) = path("file.ivf");
    let save = |cancel| {
        let options = ivf_io_options { cancel, ..sized() };
        unsafe { ivf_save(index.0, name.as_ptr(), &options) }
    };
    check("save", || (), save, || assert_eq!(unfinished(), 0));
    let export = |cancel| {
        let options = ivf_io_options { cancel, ..sized() };
        unsafe { ivf_export_faiss(index.0, name.as_ptr(), &options) }
    };
    check("export for faiss", || (), export, || assert_eq!(unfinished(), 0));
    // Their space is given back behind the call's back.
    let start = Instant::now();
    while open_unfinished() > 0 {
        assert!(start.elapsed() < Duration::from_secs(20), "the space of cancelled saves is not given back");
        std::thread::sleep(Duration::from_millis(5));
    }
    for (way, memory_map) in [("load faiss", 0), ("load", 0), ("load mapped", 1)] {
        let load = |cancel| {
            let options = ivf_io_options { cancel, memory_map, ..sized() };
            let mut loaded = null_mut();
            let status = unsafe { ivf_load(null(), name.as_ptr(), &options, &mut loaded) };
            assert_eq!(loaded.is_null(), status != IVF_OK);
            unsafe { ivf_index_destroy(loaded) };
            status
        };
        check(way, || (), load, || ());
        ok(save(null()));
    }
    std::fs::remove_file(file).expect("removed");
}

#[test]
fn cancel_kmeans_and_knn_are_prompt() {
    let (x, n) = (rows(many(), DIM), many() as u64 / 4);
    let mut centroids = vec![0f32; 1000 * DIM as usize];
    let to = centroids.as_mut_ptr();
    for mini_batch in [0, 10_000] {
        let kmeans = |cancel| {
            let options =
                ivf_kmeans_options { cancel, mini_batch, seeding: IVF_SEEDING_PLUS_PLUS, ..sized() };
            unsafe { ivf_kmeans(null(), x.as_ptr(), n, DIM, 1000, to, &options) }
        };
        check(&format!("kmeans, mini-batch {mini_batch}"), || (), kmeans, || ());
    }
    let n = 5000;
    let (mut distances, mut ids) = (vec![0f32; n * 10], vec![0i64; n * 10]);
    let (distances, ids) = (distances.as_mut_ptr(), ids.as_mut_ptr());
    let knn = |cancel| {
        let options = ivf_search_options { cancel, ..sized() };
        let (x, rows, n) = (x.as_ptr(), many() as u64, n as u64);
        unsafe { ivf_knn(null(), x, n, x, rows, DIM, IVF_METRIC_L2, 10, distances, ids, &options) }
    };
    check("knn", || (), knn, || ());
}
