//! Searches of the CPU, the device and `"auto"`, in turns: a clock that changes meanwhile changes for all of them.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use ivf::{Index, SearchStats};

use crate::{Bench, DIM, Found, median, normal, quantile, repeat};

const BATCHES: [usize; 7] = [1, 32, 128, 1024, 4096, 10_000, 19_600];
/// What is measured of lists of codes.
const CODES: [&str; 3] = ["SQ8", "PQ32x4fs", "RaBitQ"];
const CODE_BATCHES: [usize; 3] = [128, 4096, 19_600];

/// A turn of one of them: how long it searches before it is timed (a GPU that was idle takes a while to reach its clock), and
/// how long then. Each is one search at least.
const WARM: Duration = Duration::from_millis(30);
const TIMED: Duration = Duration::from_millis(40);
/// How long rounds of three turns go on, of vectors and of codes, in sixes: one for each order. Only what takes too long ends
/// before.
const ROUNDS: Duration = Duration::from_millis(2000);
const CODE_ROUNDS: Duration = Duration::from_millis(1000);
const ORDERS: usize = 6;
const TOO_LONG: Duration = Duration::from_millis(5000);

/// `"auto"` takes its time before it looks for a device, measures a code there, and sends lists. What is shown is what it
/// chooses then: it gets so long, with batches of this size.
const SETTLING: Duration = Duration::from_millis(2000);
const SETTLING_BATCH: usize = 4096;

/// Lists of vectors.
pub(crate) fn search(bench: &Bench) {
    compare(bench, "Flat", &BATCHES, ROUNDS);
}

/// Lists of codes.
pub(crate) fn codes(bench: &Bench) {
    for code in CODES {
        compare(bench, code, &CODE_BATCHES, CODE_ROUNDS);
    }
}

/// A line for each batch.
fn compare(bench: &Bench, code: &str, batches: &[usize], time: Duration) {
    let queries = normal(2, *batches.last().unwrap());
    let filled = bench.filled(code);
    let indexes = Indexes::of(bench, &filled);
    drop(filled);
    let many = &queries[..SETTLING_BATCH * DIM];
    let mut found = Found::new(SETTLING_BATCH);
    repeat(SETTLING, || found.search(&indexes.auto, many, None));
    for &batch in batches {
        let line = in_turns(&indexes, &queries[..batch * DIM], time);
        println!("{code:8} batch {batch:5}: {line}");
    }
}

/// Copies of one index. Where in memory lists lie makes a difference of some hundredths, and those made last were the faster:
/// the CPU has the first and the last.
struct Indexes {
    cpu: [Index; 2],
    gpu: Index,
    auto: Index,
}

impl Indexes {
    fn of(bench: &Bench, index: &Index) -> Self {
        let [first, auto, gpu, last] = [&bench.cpu, &bench.auto, &bench.gpu, &bench.cpu]
            .map(|context| index.copy(context.clone()).unwrap());
        Self { cpu: [first, last], gpu, auto }
    }

    /// Those that have their turn in a round, in an order that only the sixth round after has again.
    fn in_order(&self, round: usize) -> [(usize, &Index); 3] {
        let half = round / 3 % 2;
        let all = [&self.cpu[half], &self.gpu, &self.auto];
        [0, 1, 2].map(|turn| (round + turn * (1 + half)) % 3).map(|next| (next, all[next]))
    }
}

/// What the turns of one took, each number in seconds.
#[derive(Default)]
struct Turns {
    search: Vec<f64>,
    coarse: Vec<f64>,
    scan: Vec<f64>,
    /// Timed searches, and the device's calls meanwhile.
    searches: usize,
    calls: u64,
}

impl Turns {
    /// One turn, whose results must be those wanted.
    fn take(&mut self, index: &Index, queries: &[f32], got: &mut Found, want: &Found) {
        let mut stats = SearchStats::default();
        // To count what is looked at takes time of its own: stages are those of the searches that are not timed.
        repeat(WARM, || {
            let last = Mutex::new(SearchStats::default());
            got.search(index, queries, Some(&last));
            stats = last.into_inner().unwrap();
        });
        self.coarse.push(stats.coarse_ns as f64 / 1e9);
        self.scan.push(stats.scan_ns as f64 / 1e9);
        let calls = index.context().device_status().calls;
        let times = repeat(TIMED, || got.search(index, queries, None));
        self.calls += index.context().device_status().calls - calls;
        self.searches += times.len();
        self.search.push(median(&times));
        assert!(got == want, "results differ");
    }

    /// Median of the rounds of how many times as many queries a second these are as those of another in the same round, and
    /// the quartiles.
    fn beside(&self, other: &Self) -> String {
        let ratios: Vec<_> = self.search.iter().zip(&other.search).map(|(own, other)| other / own).collect();
        let [low, middle, high] = [0.25, 0.5, 0.75].map(|part| quantile(&ratios, part));
        format!("{middle:.2}x ({low:.2}-{high:.2})")
    }
}

/// Queries a second of the CPU, the device and `"auto"`, where the time goes, and how `"auto"` does beside the better of the
/// other two, and beside the CPU. Where it leaves all to the CPU, other numbers than 1 tell how uneven the machine is:
/// three runs on a virtual one of two threads had 0.95 to 1.05 where all six orders had been there.
fn in_turns(indexes: &Indexes, queries: &[f32], time: Duration) -> String {
    let count = queries.len() / DIM;
    let (mut want, mut got) = (Found::new(count), Found::new(count));
    want.search(&indexes.cpu[0], queries, None);
    // Memory and shaders for such a batch.
    for (_, index) in indexes.in_order(0) {
        Turns::default().take(index, queries, &mut got, &want);
    }
    let mut turns = [(); 3].map(|()| Turns::default());
    let start = Instant::now();
    let mut rounds = 0;
    while start.elapsed() < if rounds % ORDERS == 0 { time } else { TOO_LONG } {
        for (number, index) in indexes.in_order(rounds) {
            turns[number].take(index, queries, &mut got, &want);
        }
        rounds += 1;
    }
    let line: String = ["cpu", "gpu", "auto"]
        .iter()
        .zip(&turns)
        .map(|(name, turns)| {
            let [search, coarse, scan] = [&turns.search, &turns.coarse, &turns.scan].map(|all| median(all));
            format!(
                "{name} {:8.0} QPS ({:.3} ms: coarse {:.3}, scan {:.3})  ",
                count as f64 / search,
                search * 1e3,
                coarse * 1e3,
                scan * 1e3,
            )
        })
        .collect();
    let [cpu, gpu, auto] = &turns;
    let best = if median(&gpu.search) < median(&cpu.search) { gpu } else { cpu };
    format!(
        "{line}auto/best {}, auto/cpu {}, its calls on the device {:.1} a search; {rounds} rounds",
        auto.beside(best),
        auto.beside(cpu),
        auto.calls as f64 / auto.searches as f64,
    )
}
