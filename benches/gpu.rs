//! A GPU beside the CPU of the same machine: searches by batch, of vectors and of codes, with the time of each stage;
//! training; the way of the index to the device. Results must be equal. A GPU lowers its clock when it has nothing to do,
//! so that short timings of a cold one tell nothing.
//!
//! ```text
//! cargo bench --bench gpu               # 262144 x 128 normal numbers, 512 lists, nprobe 32, k 20
//! IVF_DEVICE=llvmpipe cargo bench --bench gpu -- 20000     # another device, fewer vectors
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench: it prints, and ends where something is wrong"
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ivf::{
    Context, ContextOptions, Control, Index, IndexOptions, Log, MatrixRef, Metric, SearchOptions,
    SearchOutput, SearchStats, TrainOptions,
};

const DIM: usize = 128;
const NPROBE: usize = 32;
const K: usize = 20;
const BATCHES: [usize; 7] = [1, 32, 128, 1024, 4096, 10_000, 19_600];
/// What is measured of lists of codes.
const CODES: [&str; 3] = ["SQ8", "PQ32x4fs", "RaBitQ"];
const CODE_BATCHES: [usize; 3] = [128, 4096, 19_600];
/// How long a batch is repeated before it is timed (a GPU that was idle takes a while to reach its clock), how long then,
/// and how often at least.
const WARM: Duration = Duration::from_millis(500);
const ROUND: Duration = Duration::from_millis(400);
const LEAST: usize = 3;

fn main() {
    let count = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(262_144);
    let base = normal(1, count);
    let queries = normal(2, *BATCHES.last().unwrap());
    let device = std::env::var("IVF_DEVICE").unwrap_or_else(|_| "gpu".to_owned());
    let contexts = ["cpu", &device, "auto"].map(context);
    println!("{} | {}", contexts[0].kernel_name(), contexts[1].device_name());
    let mut cpu = index(&contexts[0], 512, "Flat");
    cpu.train(matrix(&base[..20_480.min(count) * DIM]), &TrainOptions::default(), &Control::default())
        .unwrap();
    cpu.add(matrix(&base), None, 0, &Control::default()).unwrap();
    let copies = [1, 2].map(|i| cpu.copy(contexts[i].clone()).unwrap());
    let start = Instant::now();
    Found::new(&queries[..DIM]).search(&copies[0], &queries[..DIM], None);
    println!("device opened, {} MB of lists sent: {:?}", (count * DIM * 4) >> 20, start.elapsed());
    let mut sent: Vec<_> = (0..3).map(|_| seconds_to_send(&cpu, &contexts[1], &queries[..DIM])).collect();
    sent.sort_by(f64::total_cmp);
    let bytes = (count * DIM * 4) as f64;
    println!("sent again: {:.1} ms, {:.1} GB/s", sent[1] * 1e3, bytes / sent[1] / 1e9);
    let [gpu, auto] = &copies;
    let indexes = [("cpu", &cpu), ("gpu", gpu), ("auto", auto)];
    for batch in BATCHES {
        let line = compare(&indexes, &queries[..batch * DIM], WARM, ROUND);
        println!("batch {batch:6}: {line}");
    }
    drop(copies);
    for code in CODES {
        let mut cpu = index(&contexts[0], 512, code);
        cpu.train(matrix(&base[..20_480.min(count) * DIM]), &TrainOptions::default(), &Control::default())
            .unwrap();
        cpu.add(matrix(&base), None, 0, &Control::default()).unwrap();
        let [gpu, auto] = [1, 2].map(|i| cpu.copy(contexts[i].clone()).unwrap());
        let indexes = [("cpu", &cpu), ("gpu", &gpu), ("auto", &auto)];
        for batch in CODE_BATCHES {
            // "auto" takes its time before it measures a code.
            let warm = if batch == CODE_BATCHES[0] { 4 * WARM } else { ROUND };
            let line = compare(&indexes, &queries[..batch * DIM], warm, ROUND);
            println!("{code:8} batch {batch:6}: {line}");
        }
    }
    for nlist in [1024, 4096].into_iter().filter(|nlist| nlist * 39 <= count) {
        let mut line = format!("train {nlist} lists on {count}, add: ");
        let mut all = Vec::new();
        for context in &contexts[..2] {
            let mut index = index(context, nlist, "Flat");
            for _ in 0..2 {
                let start = Instant::now();
                index.train(matrix(&base), &TrainOptions::default(), &Control::default()).unwrap();
                line += &format!("{:?} ", start.elapsed());
            }
            let start = Instant::now();
            index.add(matrix(&base), None, 0, &Control::default()).unwrap();
            line += &format!("+ {:?}; ", start.elapsed());
            all.push(index.centroids().unwrap().to_vec());
        }
        println!("{line}");
        assert!(all[0] == all[1], "centroids differ");
        let mut line = format!("the nearest of {nlist} centroids: ");
        let mut found = [(); 2].map(|()| (vec![1; count], vec![1.0; count]));
        for (context, (labels, keys)) in contexts.iter().zip(&mut found) {
            let mut times = [(); 3].map(|()| {
                let start = Instant::now();
                let centroids = matrix(&all[0]);
                ivf::kmeans_assign(
                    context,
                    matrix(&base),
                    centroids,
                    false,
                    0,
                    labels,
                    keys,
                    &Control::default(),
                )
                .unwrap();
                start.elapsed()
            });
            times.sort();
            let operations = 2.0 * (count * nlist * DIM) as f64;
            line += &format!("{:?} ({:.2} TFLOP/s); ", times[1], operations / times[1].as_secs_f64() / 1e12);
        }
        assert!(found[0] == found[1], "labels differ");
        println!("{line}");
    }
    let status = contexts[1].device_status();
    println!(
        "{} calls on the device, {} MB in use, lost: {:?}",
        status.calls,
        status.memory_bytes >> 20,
        status.lost
    );
}

/// Seconds that a copy's first search takes more than its second.
fn seconds_to_send(index: &Index, context: &Arc<Context>, query: &[f32]) -> f64 {
    let copy = index.copy(context.clone()).unwrap();
    let [first, second] = [(); 2].map(|()| {
        let start = Instant::now();
        Found::new(query).search(&copy, query, None);
        start.elapsed().as_secs_f64()
    });
    first - second
}

/// Queries a second of each index, whose results must be the first one's, and where the time goes.
fn compare(indexes: &[(&str, &Index)], queries: &[f32], warm: Duration, round: Duration) -> String {
    let mut want = Found::new(queries);
    want.search(indexes[0].1, queries, None);
    let mut line = String::new();
    for (name, index) in indexes {
        let mut got = Found::new(queries);
        got.search(index, queries, None);
        assert!(got == want, "results differ");
        let start = Instant::now();
        while start.elapsed() < warm {
            got.search(index, queries, None);
        }
        let start = Instant::now();
        let mut times = Vec::new();
        let stats = Mutex::new(SearchStats::default());
        while times.len() < LEAST || start.elapsed() < round {
            let start = Instant::now();
            got.search(index, queries, None);
            times.push(start.elapsed());
        }
        assert!(got == want, "results differ");
        // Counting what was looked at takes time of its own.
        got.search(index, queries, Some(&stats));
        times.sort();
        let time = times[times.len() / 2].as_secs_f64();
        let stats = stats.into_inner().unwrap();
        line += &format!(
            "{name} {:10.0} QPS ({:.3} ms: coarse {:.3}, scan {:.3})   ",
            (queries.len() / DIM) as f64 / time,
            time * 1e3,
            stats.coarse_ns as f64 / 1e6,
            stats.scan_ns as f64 / 1e6,
        );
    }
    line
}

fn context(device: &str) -> Arc<Context> {
    let log = Some(Log::new(|_, text| println!("{text}")));
    Arc::new(
        Context::new(&ContextOptions { device: Some(device.to_owned()), log, ..Default::default() }).unwrap(),
    )
}

fn index(context: &Arc<Context>, nlist: usize, code: &str) -> Index {
    let description = format!("IVF{nlist},{code}");
    Index::new(context.clone(), DIM, Metric::L2, &description, &IndexOptions::default()).unwrap()
}

/// Distances and ids, in memory that is used again.
#[derive(Clone, PartialEq)]
struct Found(Vec<f32>, Vec<i64>);

impl Found {
    fn new(queries: &[f32]) -> Self {
        let places = queries.len() / DIM * K;
        Self(vec![1.0; places], vec![1; places])
    }

    fn search(&mut self, index: &Index, queries: &[f32], stats: Option<&Mutex<SearchStats>>) {
        let options = SearchOptions { nprobe: NPROBE, stats, ..Default::default() };
        let output = SearchOutput { distances: &mut self.0, ids: &mut self.1, hits: None };
        index.search(matrix(queries), K, &options, output, &Control::default()).unwrap();
    }
}

fn matrix(rows: &[f32]) -> MatrixRef<'_> {
    MatrixRef::new("rows", rows, rows.len() / DIM, DIM).unwrap()
}

/// Sums of twelve uniform numbers: near enough to normal.
fn normal(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let mut number = || {
        let sum: u64 = (0..12)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state >> 40
            })
            .sum();
        sum as f32 / (1u64 << 24) as f32 - 6.0
    };
    (0..count * DIM).map(|_| number()).collect()
}
