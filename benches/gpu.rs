//! A GPU beside the CPU of the same machine, in sections: the way of the lists to the device (`upload`); searches by batch
//! with the time of each stage, of vectors (`search`) and of codes (`codes`); training and adding (`train`); one iteration of
//! k-means (`step`). Results must be equal. A GPU lowers its clock when it has nothing to do, so that short timings of a cold
//! one tell nothing: whatever is timed, it has worked just before.
//!
//! ```text
//! cargo bench --bench gpu               # 262144 x 128 normal numbers, 512 lists, nprobe 32, k 20
//! cargo bench --bench gpu -- --only upload,step            # some of the sections
//! IVF_DEVICE=llvmpipe cargo bench --bench gpu -- 20000     # another device, fewer vectors
//! IVF_DEVICE=cpu cargo bench --bench gpu -- --only search  # the CPU beside itself: how uneven the machine is
//! ```
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench: it prints, and ends where something is wrong"
)]

// Beside this file they would be benches of their own.
#[path = "gpu/train.rs"]
mod train;
#[path = "gpu/turns.rs"]
mod turns;
#[path = "gpu/upload.rs"]
mod upload;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ivf::{
    Context, ContextOptions, Control, Index, IndexOptions, Log, MatrixRef, Metric, SearchOptions,
    SearchOutput, SearchStats, TrainOptions,
};

const DIM: usize = 128;
const NLIST: usize = 512;
const NPROBE: usize = 32;
const K: usize = 20;
/// Vectors that the lists' centroids, and codes, are trained on at most.
const TRAINED_ON: usize = 20_480;

type Section = (&'static str, fn(&Bench));

const SECTIONS: [Section; 5] = [
    // First, for it tells what the first use in a process takes.
    ("upload", upload::run),
    ("search", turns::search),
    ("codes", turns::codes),
    ("train", train::run),
    ("step", train::step),
];

fn main() {
    let (count, only) = arguments();
    let device = std::env::var("IVF_DEVICE").unwrap_or_else(|_| "gpu".to_owned());
    let [cpu, gpu, auto] = ["cpu", &device, "auto"].map(context);
    println!("{}, {} threads | {}", cpu.kernel_name(), cpu.threads(), gpu.device_name());
    let bench = Bench { count, base: normal(1, count), cpu, gpu, auto };
    let few = bench.few();
    let opening = seconds(|| Found::new(1).search(&few, &bench.base[..DIM], None));
    println!("device opened, {} vectors sent and searched: {opening:.2} s", few.info().count);
    drop(few);
    for (name, run) in SECTIONS {
        if only.as_ref().is_none_or(|only| only.iter().any(|wanted| wanted == name)) {
            let start = Instant::now();
            run(&bench);
            println!("-- {name}: {:.1} s", start.elapsed().as_secs_f64());
        }
    }
    let status = bench.gpu.device_status();
    println!(
        "{} calls on the device, {} MB in use, lost: {:?}",
        status.calls,
        status.memory_bytes >> 20,
        status.lost
    );
}

/// How many vectors, and the sections wanted (`None` = all).
fn arguments() -> (usize, Option<Vec<String>>) {
    let (mut count, mut only) = (262_144, None);
    // Cargo adds `--bench` of its own.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        if argument == "--only" {
            let names: Vec<_> = arguments.next().unwrap_or_default().split(',').map(str::to_owned).collect();
            let known = |name: &String| SECTIONS.iter().any(|section| section.0 == name);
            let all = SECTIONS.map(|section| section.0);
            assert!(names.iter().all(known), "--only: expected some of {all:?}, got {names:?}");
            only = Some(names);
        } else {
            count = argument.parse().ok().filter(|&count| count >= LEAST).unwrap_or_else(|| {
                panic!("expected a number of vectors, {LEAST} or more, or --only SECTIONS, got {argument:?}")
            });
        }
    }
    (count, only)
}

/// Enough for [`NLIST`] lists.
const LEAST: usize = NLIST * 39;

/// What all sections work with.
struct Bench {
    count: usize,
    /// `[count, DIM]`.
    base: Vec<f32>,
    cpu: Arc<Context>,
    gpu: Arc<Context>,
    auto: Arc<Context>,
}

impl Bench {
    /// Rows to train with.
    fn sample(&self) -> MatrixRef<'_> {
        matrix(&self.base[..TRAINED_ON.min(self.count) * DIM])
    }

    /// An empty index of the CPU.
    fn trained(&self, code: &str) -> Index {
        let mut index = index(&self.cpu, NLIST, code);
        index.train(self.sample(), &TrainOptions::default(), &Control::default()).unwrap();
        index
    }

    /// A small index of the device.
    fn few(&self) -> Index {
        let mut index = self.trained("Flat");
        index.add(self.sample(), None, 0, &Control::default()).unwrap();
        index.copy(self.gpu.clone()).unwrap()
    }

    /// The CPU's index of all vectors.
    fn filled(&self, code: &str) -> Index {
        let mut index = self.trained(code);
        index.add(matrix(&self.base), None, 0, &Control::default()).unwrap();
        index
    }
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
    fn new(queries: usize) -> Self {
        Self(vec![1.0; queries * K], vec![1; queries * K])
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

/// Does `work` until so much time has passed, but once at least; the seconds of each.
fn repeat(time: Duration, mut work: impl FnMut()) -> Vec<f64> {
    let start = Instant::now();
    let mut taken = Vec::new();
    while taken.is_empty() || start.elapsed() < time {
        taken.push(seconds(&mut work));
    }
    taken
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn median(numbers: &[f64]) -> f64 {
    quantile(numbers, 0.5)
}

/// What so great a part of the numbers is below, between two of them if need be.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a slice")]
fn quantile(numbers: &[f64], part: f64) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() - 1) as f64 * part;
    let (low, high) = (sorted[place as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
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
