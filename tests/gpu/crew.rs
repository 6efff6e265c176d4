//! The CPU's part of a scan is shared out: results are the same on any number of threads, however rounds are cut, and
//! whenever it ends.

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use ivf::{ContextOptions, Control, Error, Filter, Index, Metric, SearchOptions, SearchOutput};

use crate::codes::twins_on;
use crate::support::{Twins, gpu, matrix, numbers, search};

const DIM: usize = 16;

/// An index of `rows` on so many threads, of a device of so much memory.
fn twins(description: &str, (threads, memory): (usize, u64), rows: &[f32]) -> Option<Twins> {
    let options = ContextOptions { threads, device_memory_bytes: memory, ..ContextOptions::default() };
    Some(twins_on(gpu(options)?, description, Metric::L2, DIM, rows))
}

fn nprobe(nprobe: usize) -> SearchOptions<'static> {
    SearchOptions { nprobe, ..SearchOptions::default() }
}

#[test]
fn search_on_one_thread_equals_the_cpu() {
    let rows = numbers(1, 3000 * DIM);
    let queries = numbers(2, 300 * DIM);
    for description in ["IVF16,Flat", "IVF16,SQ8", "IVF16,PQ4", "Flat"] {
        let Some(twins) = twins(description, (1, 0), &rows) else { return };
        for (k, probes) in [(1, 1), (10, 4), (500, 16)] {
            twins.check(&queries, k, &nprobe(probes));
            twins.check(&queries[..DIM], k, &nprobe(probes));
        }
        let steps = if description.starts_with("IVF") { 2 } else { 1 };
        assert_eq!(twins.calls(), 6 * steps, "{description}");
    }
}

/// More than twice as many as a round takes.
#[test]
fn search_of_more_queries_than_a_round_takes_equals_the_cpu() {
    let rows = numbers(3, 2000 * DIM);
    for threads in [1, 4] {
        let Some(twins) = twins("IVF16,Flat", (threads, 0), &rows) else { return };
        twins.check(&numbers(4, 20_000 * DIM), 5, &nprobe(2));
        assert_eq!(twins.calls(), 2, "{threads} threads");
    }
}

/// With little memory beside the lists a query's keys are several rounds', and so are its results.
#[test]
fn search_of_queries_that_are_cut_equals_the_cpu() {
    let rows = numbers(5, 20_000 * DIM);
    let queries = numbers(6, 100 * DIM);
    let filter = Filter::range(3000, 15_000);
    for description in ["IVF16,Flat", "Flat"] {
        // The vectors take 1.3 MB; half of what is left is for keys, at 29 bytes each: fewer than there are vectors.
        let Some(twins) = twins(description, (4, 2_000_000), &rows) else { return };
        for (k, probes) in [(10, 16), (3000, 16), (3000, 5)] {
            twins.check(&queries, k, &nprobe(probes));
            twins.check(&queries, k, &SearchOptions { filter: Some(&filter), ..nprobe(probes) });
        }
        twins.check(&queries, 2000, &SearchOptions { max_codes: 9000, ..nprobe(16) });
        let steps = if description.starts_with("IVF") { 2 } else { 1 };
        assert_eq!(twins.calls(), 7 * steps, "{description}");
    }
}

#[test]
fn search_that_is_cancelled_ends_and_the_next_is_right() {
    let rows = numbers(7, 20_000 * DIM);
    let queries = numbers(8, 100 * DIM);
    let options = nprobe(16);
    let Some(twins) = twins("IVF16,Flat", (4, 2_000_000), &rows) else { return };
    let want = search(&twins.cpu, &queries, 50, &options);
    assert_eq!(search(&twins.gpu, &queries, 50, &options), want);
    let start = Instant::now();
    assert_eq!(search(&twins.gpu, &queries, 50, &options), want);
    let whole = start.elapsed();
    let mut cancelled = 0;
    for percent in [10, 30, 50, 70] {
        cancelled += usize::from(is_cancelled(&twins.gpu, &queries, whole * percent / 100));
        assert_eq!(search(&twins.gpu, &queries, 50, &options), want, "after {percent} percent");
    }
    assert!(cancelled > 0);
    assert_eq!(twins.gpu.context().device_status().lost, None);
}

/// Whether a search whose flag is set after so long is cancelled.
fn is_cancelled(index: &Index, queries: &[f32], after: Duration) -> bool {
    let (flag, k) = (AtomicI32::new(0), 50);
    let count = queries.len() / DIM * k;
    let (mut distances, mut ids) = (vec![0.0; count], vec![0; count]);
    let output = SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(after);
            flag.store(1, Ordering::Relaxed);
        });
        index.search(matrix(queries, DIM), k, &nprobe(16), output, &Control::new(None, Some(&flag)))
    });
    assert!(matches!(result, Ok(()) | Err(Error::Cancelled)), "{result:?}");
    result.is_err()
}
