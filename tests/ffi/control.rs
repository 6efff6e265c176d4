//! Progress callbacks and cancel flags of every long call.

use std::ffi::{CStr, CString, c_void};
use std::path::Path;
use std::ptr::{from_mut, null, null_mut};
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use ivf::ffi::*;

use crate::support::{Index, fails, last_error, ok, rows, sized};

const DIM: u32 = 8;
const N: usize = 3000;

/// The fields that all options of long calls end with.
#[derive(Clone, Copy)]
struct Hooks {
    progress: ivf_progress_fn,
    progress_data: *mut c_void,
    cancel: *const i32,
}

/// A long call: the stage it tells, the index it wants, itself.
struct Call {
    stage: &'static str,
    prepare: fn() -> Index,
    run: fn(&Index, Hooks) -> ivf_status,
}

fn untrained() -> Index {
    Index::new("IVF8,Flat", DIM, IVF_METRIC_L2)
}

fn filled() -> Index {
    Index::filled("IVF8,Flat", DIM, IVF_METRIC_L2, N)
}

const CALLS: [Call; 8] = [
    Call { stage: "train", prepare: untrained, run: train },
    Call { stage: "add", prepare: filled, run: add },
    Call { stage: "search", prepare: filled, run: search },
    Call { stage: "save", prepare: filled, run: save },
    Call { stage: "save", prepare: filled, run: export_faiss },
    Call { stage: "load", prepare: filled, run: load },
    Call { stage: "kmeans", prepare: untrained, run: kmeans },
    Call { stage: "knn", prepare: untrained, run: knn },
];

fn train(index: &Index, hooks: Hooks) -> ivf_status {
    let Hooks { progress, progress_data, cancel } = hooks;
    let options = ivf_train_options { progress, progress_data, cancel, ..sized() };
    unsafe { ivf_train(index.0, rows(N, DIM).as_ptr(), N as u64, DIM, &options) }
}

fn add(index: &Index, hooks: Hooks) -> ivf_status {
    // Enough to be told before all is done: what is done is not cancelled any more.
    const MANY: usize = 70_000;
    let Hooks { progress, progress_data, cancel } = hooks;
    let options = ivf_add_options { progress, progress_data, cancel, ..sized() };
    unsafe { ivf_add(index.0, rows(MANY, DIM).as_ptr(), MANY as u64, DIM, null(), &options) }
}

fn search(index: &Index, hooks: Hooks) -> ivf_status {
    let Hooks { progress, progress_data, cancel } = hooks;
    let options = ivf_search_options { progress, progress_data, cancel, ..sized() };
    let (queries, mut distances, mut ids) = (rows(N, DIM), vec![0f32; N], vec![0i64; N]);
    let (to, ids) = (distances.as_mut_ptr(), ids.as_mut_ptr());
    unsafe { ivf_search(index.0, queries.as_ptr(), N as u64, DIM, 1, to, ids, &options) }
}

fn kmeans(_: &Index, hooks: Hooks) -> ivf_status {
    let Hooks { progress, progress_data, cancel } = hooks;
    let options = ivf_kmeans_options { progress, progress_data, cancel, ..sized() };
    let mut centroids = vec![0f32; 8 * DIM as usize];
    unsafe { ivf_kmeans(null(), rows(N, DIM).as_ptr(), N as u64, DIM, 8, centroids.as_mut_ptr(), &options) }
}

fn knn(_: &Index, hooks: Hooks) -> ivf_status {
    let Hooks { progress, progress_data, cancel } = hooks;
    let options = ivf_search_options { progress, progress_data, cancel, ..sized() };
    let (x, mut distances, mut ids) = (rows(N, DIM), vec![0f32; N], vec![0i64; N]);
    let (x, n, to, ids) = (x.as_ptr(), N as u64, distances.as_mut_ptr(), ids.as_mut_ptr());
    unsafe { ivf_knn(null(), x, n, x, n, DIM, IVF_METRIC_L2, 1, to, ids, &options) }
}

fn path(name: &str) -> CString {
    let name = format!("{name} {:?}", std::thread::current().id());
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    CString::new(path.to_str().expect("UTF-8")).expect("no NUL")
}

fn save(index: &Index, hooks: Hooks) -> ivf_status {
    let Hooks { progress, progress_data, cancel } = hooks;
    let options = ivf_io_options { progress, progress_data, cancel, ..sized() };
    unsafe { ivf_save(index.0, path("control save").as_ptr(), &options) }
}

fn export_faiss(index: &Index, hooks: Hooks) -> ivf_status {
    let Hooks { progress, progress_data, cancel } = hooks;
    let options = ivf_io_options { progress, progress_data, cancel, ..sized() };
    unsafe { ivf_export_faiss(index.0, path("control export").as_ptr(), &options) }
}

fn load(index: &Index, hooks: Hooks) -> ivf_status {
    let Hooks { progress, progress_data, cancel } = hooks;
    let options = ivf_io_options { progress, progress_data, cancel, ..sized() };
    let (path, mut made) = (path("control load"), null_mut());
    ok(unsafe { ivf_save(index.0, path.as_ptr(), null()) });
    let status = unsafe { ivf_load(null(), path.as_ptr(), &options, &mut made) };
    assert_eq!(made.is_null(), status != IVF_OK);
    unsafe { ivf_index_destroy(made) };
    status
}

/// What a callback heard, and what it is to do.
#[derive(Default)]
struct Listener {
    heard: Vec<(String, u64, u64)>,
    values: Vec<f64>,
    threads: Vec<ThreadId>,
    /// Asks to stop at once.
    stop: bool,
    /// Called from inside the callback, and what came of it.
    index: Option<*mut ivf_index>,
    inner: Vec<(ivf_status, String)>,
}

impl Listener {
    fn hooks(&mut self) -> Hooks {
        Hooks { progress: Some(listen), progress_data: from_mut(self).cast(), cancel: null() }
    }
}

unsafe extern "C" fn listen(progress: *const ivf_progress, user_data: *mut c_void) -> i32 {
    let (progress, listener) = unsafe { (&*progress, &mut *user_data.cast::<Listener>()) };
    assert_eq!(progress.struct_size as usize, size_of::<ivf_progress>());
    let stage = unsafe { CStr::from_ptr(progress.stage) }.to_str().expect("UTF-8").to_owned();
    listener.heard.push((stage, progress.done, progress.total));
    listener.values.push(progress.value);
    listener.threads.push(std::thread::current().id());
    if let Some(index) = listener.index {
        let (mut distance, mut id, query) = (0f32, 0i64, [0f32; DIM as usize]);
        let query = query.as_ptr();
        let mut record = |status| listener.inner.push((status, last_error()));
        unsafe {
            record(ivf_index_get_info(index, &mut sized()));
            record(ivf_search(index, query, 1, DIM, 1, &mut distance, &mut id, null()));
            record(ivf_reset(index));
            // Ignored: the call that runs still needs the index.
            ivf_index_destroy(index);
        }
    }
    i32::from(listener.stop)
}

#[test]
fn progress_is_told_on_the_calling_thread_up_to_the_total() {
    for Call { stage, prepare, run } in CALLS {
        let mut listener = Listener::default();
        ok(run(&prepare(), listener.hooks()));
        let heard = &listener.heard;
        assert!(heard.iter().all(|(told, ..)| told == stage), "{stage}: {heard:?}");
        let (_, done, total) = heard.last().expect("told at least once");
        assert_eq!(done, total, "{stage}: {heard:?}");
        assert!(heard.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{stage}: {heard:?}");
        let here = std::thread::current().id();
        assert!(listener.threads.iter().all(|&thread| thread == here), "{stage}");
        let has_value = ["train", "kmeans"].contains(&stage);
        assert!(
            listener.values.iter().all(|&value| (value > 0.0) == has_value),
            "{stage}: {:?}",
            listener.values
        );
    }
}

#[test]
fn progress_non_zero_cancels_and_changes_nothing() {
    for Call { stage, prepare, run } in CALLS {
        let index = prepare();
        let before = index.info();
        let mut listener = Listener { stop: true, ..Listener::default() };
        fails(run(&index, listener.hooks()), IVF_E_CANCELLED, "cancelled");
        assert_eq!(listener.heard.len(), 1, "{stage}: told again after it asked to stop");
        let after = index.info();
        assert_eq!(
            (before.count, before.trained, before.next_id),
            (after.count, after.trained, after.next_id)
        );
    }
}

#[test]
fn cancel_flag_set_before_the_call_ends_it() {
    for Call { stage, prepare, run } in CALLS {
        let (index, cancel) = (prepare(), 1);
        let before = index.info();
        let hooks = Hooks { progress: None, progress_data: null_mut(), cancel: &raw const cancel };
        assert_eq!(run(&index, hooks), IVF_E_CANCELLED, "{stage}");
        let after = index.info();
        assert_eq!(
            (before.count, before.trained, before.next_id),
            (after.count, after.trained, after.next_id)
        );
    }
}

#[test]
fn cancel_flag_zero_changes_nothing() {
    for Call { prepare, run, .. } in CALLS {
        let cancel = 0;
        ok(run(&prepare(), Hooks { progress: None, progress_data: null_mut(), cancel: &raw const cancel }));
    }
}

#[test]
fn cancel_flag_set_by_another_thread_ends_a_long_call_soon() {
    const DIM: u32 = 64;
    let x = rows(40_000, DIM);
    let cancel = AtomicI32::new(0);
    let mut centroids = vec![0f32; 2000 * DIM as usize];
    let options = ivf_kmeans_options {
        iterations: 10_000,
        max_points_per_centroid: u32::MAX,
        cancel: cancel.as_ptr(),
        ..sized()
    };
    std::thread::scope(|scope| {
        let (cancel, set) = (&cancel, std::sync::mpsc::channel());
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            set.0.send(Instant::now()).expect("the test waits");
            cancel.store(1, Ordering::Relaxed);
        });
        let (x, to) = (x.as_ptr(), centroids.as_mut_ptr());
        fails(
            unsafe { ivf_kmeans(null(), x, 40_000, DIM, 2000, to, &options) },
            IVF_E_CANCELLED,
            "cancelled",
        );
        let late = set.1.recv().expect("it was set").elapsed();
        // 50 ms is the promise; a test machine may be busy with other work.
        assert!(late < Duration::from_millis(500), "{late:?}");
    });
}

#[test]
fn callback_into_its_own_index_is_refused() {
    for Call { stage, prepare, run } in
        CALLS.into_iter().filter(|call| !["load", "kmeans", "knn"].contains(&call.stage))
    {
        let index = prepare();
        let mut listener = Listener { index: Some(index.0), ..Listener::default() };
        ok(run(&index, listener.hooks()));
        assert!(!listener.inner.is_empty(), "{stage}");
        for (status, text) in &listener.inner {
            assert_eq!(*status, IVF_E_STATE, "{stage}: {text}");
            assert!(text.contains("progress callback"), "{stage}: {text}");
        }
        assert!(index.info().trained == 1, "{stage}: the index lives on");
    }
}

#[test]
fn callback_into_another_index_is_fine() {
    let other = filled();
    let mut listener = Listener { index: None, ..Listener::default() };
    unsafe extern "C" fn ask(_: *const ivf_progress, other: *mut c_void) -> i32 {
        unsafe { ivf_index_get_info(other.cast(), &mut sized()) }
    }
    let hooks = Hooks { progress: Some(ask), progress_data: other.0.cast(), ..listener.hooks() };
    for Call { prepare, run, .. } in CALLS {
        ok(run(&prepare(), hooks));
    }
}
