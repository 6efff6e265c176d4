//! Many threads on one resident index that changes all the time. `IVF_STRESS_SECONDS` makes it longer.

use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ivf::{ContextOptions, Control, Metric, SearchOptions};

use crate::support::{Twins, gpu, matrix, numbers};

const DIM: usize = 16;
const SEARCHERS: u64 = 16;

fn seconds() -> u64 {
    std::env::var("IVF_STRESS_SECONDS").map_or(3, |text| text.parse().expect("whole seconds"))
}

#[test]
fn searches_from_sixteen_threads_while_another_adds_and_removes_are_right() {
    let Some(context) = gpu(ContextOptions::default()) else { return };
    let rows = numbers(1, 4000 * DIM);
    let make = || Twins::on(context.clone(), "IVF16,Flat", Metric::L2, DIM, &rows).expect("an adapter");
    let used = || context.device_status().memory_bytes;
    let options = |nprobe| SearchOptions { nprobe, ..SearchOptions::default() };
    // What calls leave behind for the next ones is not the index's.
    make().check(&numbers(2, 8 * DIM), 20, &options(16));
    let start = used();

    let twins = RwLock::new(make());
    let (stop, searches) = (AtomicBool::new(false), AtomicU64::new(0));
    let end = Instant::now() + Duration::from_secs(seconds());
    let mut changes = 0u64;
    std::thread::scope(|scope| {
        for thread in 0..SEARCHERS {
            let (twins, stop, searches) = (&twins, &stop, &searches);
            scope.spawn(move || {
                let mut step = 0;
                while !stop.load(Ordering::Relaxed) {
                    step += 1;
                    let queries = numbers(thread * 1_000_003 + step, (1 + step as usize % 8) * DIM);
                    let (k, nprobe) = (1 + step as usize % 20, 1 + (thread + step) as usize % 16);
                    // The same states of both: a change waits until they have been compared.
                    twins.read().expect("no panic").check(&queries, k, &options(nprobe));
                    searches.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Ends the searchers also when a check fails.
        let _stop = StopOnDrop(&stop);
        while Instant::now() < end {
            changes += 1;
            let more = numbers(changes + 77, 60 * DIM);
            let mut twins = twins.write().expect("no search failed");
            let next = twins.cpu.info().next_id;
            // The oldest of those that were added, and some that are there from the beginning.
            let gone: Vec<i64> =
                (0..60).map(|i| (next - 600 + i).max(4000)).chain([changes as i64 % 4000]).collect();
            twins.both(|index| {
                index.add(matrix(&more, DIM), None, 0, &Control::default()).expect("added");
                index.remove(&gone).expect("removed");
            });
            drop(twins);
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    let twins = twins.into_inner().expect("no search failed");
    twins.check(&numbers(3, 8 * DIM), 20, &options(16));
    // How many changes come through depends on how fast searches follow each other: few on a fast device.
    assert!(searches.into_inner() > SEARCHERS && changes > 1, "{changes} changes");
    // Each search is two scans, and none of them was left to the CPU.
    assert_eq!(context.device_status().lost, None);
    // What lists no longer use is given up once it is half of all.
    let rows_bytes = (DIM * 32 * size_of::<f32>()) as u64 * (twins.cpu.info().count as u64 / 32 + 16);
    assert!(used() < start + 4 * rows_bytes, "{} with {rows_bytes} of rows", used());
    drop(twins);
    // The calls' own buffers grow by halves.
    assert!(used() <= start * 2, "{} left, {start} at the start", used());
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
