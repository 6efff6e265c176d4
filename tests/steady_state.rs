//! A search allocates nothing that grows with its input once its workspaces are warm, and starts no thread.
//!
//! What is left is rayon's own: a job a helper thread, and a queue block every few dozen calls.
#![expect(unsafe_code, reason = "a counting global allocator")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use ivf::{Control, Index, IndexOptions, MatrixRef, Metric, SearchOptions, SearchOutput};

struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Threads of this process, where the system tells.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

#[test]
fn search_warm_allocates_nothing_of_its_own_and_starts_no_thread() {
    let (dim, k) = (32, 10);
    let rows = common::numbers(1, 20_000 * dim);
    let x = MatrixRef::new("rows", &rows, 20_000, dim).unwrap();
    let cases =
        [(Metric::L2, "IVF64,Flat"), (Metric::Cosine, "IVF64,Flat"), (Metric::Cosine, "IVF64,SQfp16,RFlat")];
    for (metric, description) in cases {
        let context = common::context(2, None);
        let mut index = Index::new(context, dim, metric, description, &IndexOptions::default()).unwrap();
        index.set_centroids(x.slice(0, 64)).unwrap();
        index.add(x, None, 0, &Control::default()).unwrap();
        let mut distances = vec![0.0; 4000 * k];
        let mut ids = vec![0; 4000 * k];
        for count in [1, 50, 4000] {
            let mut run = || {
                let output = SearchOutput {
                    distances: &mut distances[..count * k],
                    ids: &mut ids[..count * k],
                    hits: None,
                };
                let options = SearchOptions { nprobe: 8, ..Default::default() };
                index.search(x.slice(0, count), k, &options, output, &Control::default()).unwrap();
            };
            for _ in 0..20 {
                run();
            }
            let started = threads();
            // On a busy machine a worker may come late to a part that it has never done, and warm up then.
            let each = (0..5).map(|_| {
                let before = BYTES.load(Ordering::Relaxed);
                (0..20).for_each(|_| run());
                (BYTES.load(Ordering::Relaxed) - before) / 20
            });
            let each = each.min().unwrap();
            assert!(each <= 1024, "{each} bytes a search of {count}");
            assert_eq!(threads(), started);
        }
    }
}
