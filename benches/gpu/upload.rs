//! The way of lists to the device, beside copying as many bytes from memory to memory.

use std::time::Duration;

use ivf::{Control, Index};
use rayon::prelude::*;

use crate::{Bench, DIM, Found, matrix, median, repeat, seconds};

/// How many times as many vectors the larger index has.
const LARGER: usize = 8;
/// How often lists of either size are sent after the first time.
const AGAIN: [usize; 2] = [5, 3];
/// How long the device searches other lists before: what was idle may be slow.
const WARM: Duration = Duration::from_millis(50);
/// Searches after the first of a copy, and times that memory is copied.
const TIMES: usize = 5;

/// Lists of all vectors, then of several times as many.
pub(crate) fn run(bench: &Bench) {
    let few = bench.few();
    let mut index = bench.filled("Flat");
    send(bench, &few, &index, AGAIN[0]);
    for _ in 1..LARGER {
        index.add(matrix(&bench.base), None, 0, &Control::default()).unwrap();
    }
    send(bench, &few, &index, AGAIN[1]);
}

/// What lists take to be there, the memory for them included: the first of this size, then the median of others.
fn send(bench: &Bench, few: &Index, index: &Index, again: usize) {
    let floats = index.info().count * DIM;
    let query = &bench.base[..DIM];
    let mut want = Found::new(1);
    want.search(index, query, None);
    let mut got = Found::new(1);
    let sent: Vec<f64> = (0..=again)
        .map(|_| {
            let copy = index.copy(bench.gpu.clone()).unwrap();
            repeat(WARM, || got.search(few, query, None));
            let first = seconds(|| got.search(&copy, query, None));
            assert!(got == want, "results differ");
            let later = [(); TIMES].map(|()| seconds(|| got.search(&copy, query, None)));
            assert!(got == want, "results differ");
            first - median(&later)
        })
        .collect();
    let [one, all] = copied(bench, floats);
    let rate = |seconds: f64| {
        format!("{:.1} ms, {:.1} GB/s", seconds * 1e3, (floats * size_of::<f32>()) as f64 / seconds / 1e9)
    };
    println!(
        "upload of {} MB: first {}; again {}; memory to memory {} by one thread, {} by {}",
        (floats * size_of::<f32>()) >> 20,
        rate(sent[0]),
        rate(median(&sent[1..])),
        rate(one),
        rate(all),
        bench.cpu.threads(),
    );
}

/// Seconds to copy so many floats to memory in use, with one thread and with all.
fn copied(bench: &Bench, floats: usize) -> [f64; 2] {
    /// What a thread takes at a time.
    const PART: usize = 1 << 18;
    let from = bench.base.repeat(floats / bench.base.len());
    let mut to = vec![1.0; floats];
    let one = [(); TIMES].map(|()| seconds(|| to.copy_from_slice(&from)));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(bench.cpu.threads()).build().unwrap();
    let all = pool.install(|| {
        [(); TIMES].map(|()| {
            seconds(|| {
                let parts = to.par_chunks_mut(PART).zip(from.par_chunks(PART));
                parts.for_each(|(to, from)| to.copy_from_slice(from));
            })
        })
    });
    assert!(to == from, "copies differ");
    [one, all].map(|times| median(&times))
}
