//! Queries a second by what lists hold and by batch: of the first code, and how many times as fast the others are. They
//! are measured in turn, so that a busy machine slows all of them; medians of the rounds. Behind that the share of the first
//! code's results that the others have, and a digest of the results, which must not depend on the batch, nor on how a scan
//! goes about it. `@` and a number behind a refined code are its `k_factor`, `@soar` behind any says that vectors lie in a
//! second list too, `RR,` before a code stands before the lists. With `IVF_ADD=1` vectors a second are measured instead, all
//! of them added to an empty index.
//!
//! ```text
//! cargo bench --bench codes -- Flat/SQ8/SQ8,RFlat      # 262144 x 128 normal numbers, two threads
//! cargo bench --bench codes -- RR,Flat/RR,RaBitQ4,RFlat@2/RR,RaBitQ4,RFlat@inf
//! cargo bench --bench codes -- Flat/SQ8 base.npy queries.npy NLIST NPROBE K   # float32, C order
//! IVF_ADD=1 cargo bench --bench codes -- Flat/Flat@soar/SQ8,RFlat/SQ8,RFlat@soar
//! ```
//!
//! `IVF_KERNEL=avx2` picks the instruction set, `IVF_METRIC=ip` inner products, `IVF_BATCH=2048` one batch, `IVF_K_FACTOR=inf` how many
//! candidates a refinement compares.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench: it prints, and ends where something is wrong"
)]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ivf::{
    Context, ContextOptions, Control, Index, IndexOptions, MatrixRef, Metric, SearchOptions, SearchOutput,
    TrainOptions,
};

const BATCHES: [usize; 5] = [1, 8, 32, 128, 2048];
/// How long a round of one code and batch is, and how many there are.
const ROUND: Duration = Duration::from_millis(60);
const ROUNDS: usize = 7;

struct Data {
    dim: usize,
    base: Vec<f32>,
    queries: Vec<f32>,
    /// nlist, nprobe, k.
    shape: (usize, usize, usize),
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (codes, files) = arguments.split_first().expect("codes, such as Flat/SQ8");
    let data = match files {
        [] => gaussian(),
        [base, queries, shape @ ..] => {
            let shape: Vec<usize> = shape.iter().map(|number| number.parse().unwrap()).collect();
            let ((base, dim), (queries, _)) = (npy(base), npy(queries));
            Data { dim, base, queries, shape: (shape[0], shape[1], shape[2]) }
        }
        _ => panic!("expected CODES base.npy queries.npy NLIST NPROBE K"),
    };
    let kernel = std::env::var("IVF_KERNEL").ok();
    let options = ContextOptions { threads: 2, kernel, ..Default::default() };
    let context = Arc::new(Context::new(&options).unwrap());
    let metric = match std::env::var("IVF_METRIC").as_deref() {
        Ok("ip") => Metric::InnerProduct,
        _ => Metric::L2,
    };
    println!("{} x {}, nlist, nprobe, k {:?}", data.base.len() / data.dim, data.dim, data.shape);
    let codes: Vec<&str> = codes.split('/').collect();
    if std::env::var_os("IVF_ADD").is_some() {
        measure_adding(&context, &data, &codes, metric);
    } else {
        measure(&context, &data, &codes, metric);
    }
}

fn measure(context: &Arc<Context>, data: &Data, codes: &[&str], metric: Metric) {
    let indexes: Vec<Tried> = codes.iter().map(|code| Tried::new(context, data, code, metric)).collect();
    let mut lines: Vec<String> = codes.iter().map(|code| format!("{metric:?} {code:20}")).collect();
    let (mut digests, mut shares) = (vec![None; codes.len()], vec![0.0; codes.len()]);
    let only: Option<usize> = std::env::var("IVF_BATCH").ok().map(|batch| batch.parse().unwrap());
    let batches = only.map_or(BATCHES.to_vec(), |only| vec![only]);
    for &batch in &batches {
        let mut found = Found::new(data, batch);
        let mut first = Vec::new();
        for ((index, digest), share) in indexes.iter().zip(&mut digests).zip(&mut shares) {
            found.search(index, data, 0);
            if first.is_empty() {
                first.clone_from(&found.ids);
            }
            *share = found.share(&first, data);
            if batch >= 32 {
                let got = found.digest(data);
                assert_eq!(*digest.get_or_insert(got), got, "results depend on the batch");
            }
        }
        let mut rates = vec![[0.0; ROUNDS]; codes.len()];
        for round in 0..ROUNDS {
            for (index, rates) in indexes.iter().zip(&mut rates) {
                rates[round] = found.rate(index, data);
            }
        }
        let first = rates[0];
        for (line, rates) in lines.iter_mut().zip(rates) {
            let ratio = median(std::array::from_fn(|round| rates[round] / first[round]));
            *line += &format!("{:9.0} {ratio:5.2}x", median(rates));
        }
    }
    let heads: String = batches.iter().map(|batch| format!("{batch:9}       ")).collect();
    println!("                         batch {heads}");
    for ((line, digest), share) in lines.iter().zip(digests).zip(shares) {
        println!("{line}  {share:.4} {:016x}", digest.unwrap_or(0));
    }
}

fn measure_adding(context: &Arc<Context>, data: &Data, codes: &[&str], metric: Metric) {
    let indexes: Vec<Index> = codes.iter().map(|code| trained(context, data, code, metric)).collect();
    let mut rates = vec![[0.0; ROUNDS]; codes.len()];
    for round in 0..ROUNDS {
        for (index, rates) in indexes.iter().zip(&mut rates) {
            let mut index = index.copy(context.clone()).unwrap();
            let start = Instant::now();
            add(&mut index, data);
            rates[round] = (data.base.len() / data.dim) as f64 / start.elapsed().as_secs_f64();
        }
    }
    let first = rates[0];
    for (code, rates) in codes.iter().zip(rates) {
        let ratio = median(std::array::from_fn(|round| rates[round] / first[round]));
        println!("{metric:?} {code:20} {:9.0} {ratio:5.2}x", median(rates));
    }
}

/// An index, and how many candidates its refinement compares, if it has one.
struct Tried {
    index: Index,
    k_factor: f32,
}

impl Tried {
    fn new(context: &Arc<Context>, data: &Data, code: &str, metric: Metric) -> Self {
        let mut index = trained(context, data, code, metric);
        add(&mut index, data);
        let own = code.split('@').skip(1).find(|&option| option != "soar");
        let all = std::env::var("IVF_K_FACTOR").ok();
        let k_factor = own.or(all.as_deref()).filter(|_| index.info().k_factor != 0.0);
        Self { index, k_factor: k_factor.map_or(0.0, |factor| factor.parse().unwrap()) }
    }
}

/// Still empty.
fn trained(context: &Arc<Context>, data: &Data, code: &str, metric: Metric) -> Index {
    let soar = if code.split('@').any(|option| option == "soar") { 1.0 } else { 0.0 };
    let code = code.split('@').next().unwrap();
    let (rotation, code) = code.strip_prefix("RR,").map_or(("", code), |code| ("RR,", code));
    let description = format!("{rotation}IVF{},{code}", data.shape.0);
    let options = IndexOptions { soar, ..Default::default() };
    let mut index = Index::new(context.clone(), data.dim, metric, &description, &options).unwrap();
    let sample = data.base.len().min(20480 * data.dim);
    index
        .train(matrix(&data.base[..sample], data.dim), &TrainOptions::default(), &Control::default())
        .unwrap();
    index
}

fn add(index: &mut Index, data: &Data) {
    index.add(matrix(&data.base, data.dim), None, 0, &Control::default()).unwrap();
}

fn median(mut rates: [f64; ROUNDS]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[ROUNDS / 2]
}

/// The results of a batch.
struct Found {
    batch: usize,
    distances: Vec<f32>,
    ids: Vec<i64>,
}

impl Found {
    fn new(data: &Data, batch: usize) -> Self {
        let places = batch * data.shape.2;
        Self { batch, distances: vec![0.0; places], ids: vec![0; places] }
    }

    /// Searches for the queries from `from` on.
    fn search(&mut self, Tried { index, k_factor }: &Tried, data: &Data, from: usize) {
        let (_, nprobe, k) = data.shape;
        let k_factor = *k_factor;
        let options = SearchOptions { nprobe, k_factor, ..Default::default() };
        let queries = &data.queries[from * data.dim..(from + self.batch) * data.dim];
        let output = SearchOutput { distances: &mut self.distances, ids: &mut self.ids, hits: None };
        index.search(matrix(queries, data.dim), k, &options, output, &Control::default()).unwrap();
    }

    /// Queries a second, in a round.
    fn rate(&mut self, index: &Tried, data: &Data) -> f64 {
        let (count, start) = (data.queries.len() / data.dim, Instant::now());
        let (mut from, mut done) = (0, 0);
        while start.elapsed() < ROUND {
            self.search(index, data, from);
            done += self.batch;
            from = if from + 2 * self.batch > count { 0 } else { from + self.batch };
        }
        done as f64 / start.elapsed().as_secs_f64()
    }

    /// The share of `first`, the ids that another index found, that were found.
    fn share(&self, first: &[i64], data: &Data) -> f64 {
        let queries = self.ids.chunks(data.shape.2).zip(first.chunks(data.shape.2));
        let found = queries.map(|(found, first)| first.iter().filter(|id| found.contains(id)).count());
        found.sum::<usize>() as f64 / first.len() as f64
    }

    /// Of the first queries' results.
    fn digest(&self, data: &Data) -> u64 {
        let mut hasher = DefaultHasher::new();
        let first = 32 * data.shape.2;
        self.ids[..first].hash(&mut hasher);
        self.distances[..first].iter().for_each(|distance| distance.to_bits().hash(&mut hasher));
        hasher.finish()
    }
}

fn matrix(rows: &[f32], dim: usize) -> MatrixRef<'_> {
    MatrixRef::new("rows", rows, rows.len() / dim, dim).unwrap()
}

/// Sums of twelve uniform numbers: near enough to normal.
fn gaussian() -> Data {
    let dim = 128;
    let mut state = 1u64;
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
    let base = (0..262_144 * dim).map(|_| number()).collect();
    let queries = (0..19_600 * dim).map(|_| number()).collect();
    Data { dim, base, queries, shape: (512, 32, 20) }
}

/// The values of a file of float32, and how many columns it has.
fn npy(path: &str) -> (Vec<f32>, usize) {
    let bytes = std::fs::read(path).unwrap();
    let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = String::from_utf8_lossy(&bytes[10..start]);
    assert!(
        header.contains("'<f4'") && header.contains("False"),
        "expected float32 in C order, got {header}"
    );
    let shape = header.split(['(', ')']).nth(1).unwrap();
    let dim = shape.split(',').nth(1).unwrap().trim().parse().unwrap();
    let values = bytes[start..].chunks_exact(4).map(|v| f32::from_le_bytes([v[0], v[1], v[2], v[3]]));
    (values.collect(), dim)
}
