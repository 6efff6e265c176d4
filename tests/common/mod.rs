//! What the integration tests share: numbers, contexts, and a float64 oracle.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "shared by test binaries, each of which uses its own part"
)]

use std::sync::Arc;

use ivf::{
    Context, ContextOptions, Control, Index, IndexOptions, MatrixRef, Metric, SearchOptions, SearchOutput,
    TrainOptions,
};

/// `count` numbers in [-1, 1), the same for the same seed.
pub fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// The word vectors of tests/data, `[20000, 50]`: a .npy file of float16 behind its header.
pub fn words() -> Vec<f32> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/glove.npy");
    let bytes = std::fs::read(path).expect("tests/data/glove.npy");
    let data = bytes.len() - 20_000 * 50 * 2;
    bytes[data..].chunks_exact(2).map(|b| ivf::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
}

pub fn context(threads: usize, kernel: Option<&str>) -> Arc<Context> {
    // Never "auto", which looks for a GPU after a second of work: on a busy machine that took the memory of a driver.
    let (device, kernel) = (Some("cpu".into()), kernel.map(Into::into));
    Arc::new(Context::new(&ContextOptions { threads, device, kernel, ..Default::default() }).unwrap())
}

/// The kernels that this CPU has.
pub fn kernels() -> Vec<&'static str> {
    let has = |name: &&str| {
        Context::new(&ContextOptions { kernel: Some((*name).into()), ..Default::default() }).is_ok()
    };
    ["avx512", "avx2", "neon", "scalar"].into_iter().filter(has).collect()
}

/// The metrics, one after another.
pub const METRICS: [Metric; 3] = [Metric::L2, Metric::InnerProduct, Metric::Cosine];

/// Numbers as rows of `dim`.
pub fn matrix(rows: &[f32], dim: usize) -> MatrixRef<'_> {
    MatrixRef::new("rows", rows, rows.len() / dim, dim).unwrap()
}

/// Neither trained nor filled.
pub fn empty(context: Arc<Context>, description: &str, metric: Metric, dim: usize) -> Index {
    Index::new(context, dim, metric, description, &IndexOptions::default()).unwrap()
}

/// Trained on `x`, empty.
pub fn trained(context: Arc<Context>, description: &str, metric: Metric, x: &[f32], dim: usize) -> Index {
    let mut index = empty(context, description, metric, dim);
    index.train(matrix(x, dim), &TrainOptions::default(), &Control::default()).unwrap();
    index
}

/// Trained on `x`, which it holds.
pub fn filled(context: Arc<Context>, description: &str, metric: Metric, x: &[f32], dim: usize) -> Index {
    let mut index = trained(context, description, metric, x, dim);
    index.add(matrix(x, dim), None, 0, &Control::default()).unwrap();
    index
}

/// What the index holds of the ids 0 to n.
pub fn decoded(index: &Index) -> Vec<f32> {
    let info = index.info();
    let mut out = vec![0.0; info.count * info.dim];
    index.reconstruct_range(0, info.count, &mut out).unwrap();
    out
}

/// A search that visits every list.
pub fn all() -> SearchOptions<'static> {
    SearchOptions { nprobe: 1000, ..Default::default() }
}

/// A search's output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    pub distances: Vec<f32>,
    pub ids: Vec<i64>,
    pub hits: Vec<u64>,
}

impl Found {
    pub fn append(&mut self, other: Self) {
        self.distances.extend(other.distances);
        self.ids.extend(other.ids);
        self.hits.extend(other.hits);
    }
}

pub fn search(index: &Index, queries: &[f32], k: usize, options: &SearchOptions) -> Found {
    let dim = index.info().dim;
    let count = queries.len() / dim;
    let mut found =
        Found { distances: vec![7.0; count * k], ids: vec![-7; count * k], hits: vec![99; count] };
    let output =
        SearchOutput { distances: &mut found.distances, ids: &mut found.ids, hits: Some(&mut found.hits) };
    let queries = MatrixRef::new("queries", queries, count, dim).unwrap();
    index.search(queries, k, options, output, &Control::default()).unwrap();
    found
}

/// Exact search in float64, straight from the definition.
pub struct Brute<'a> {
    metric: Metric,
    dim: usize,
    rows: &'a [f32],
}

impl<'a> Brute<'a> {
    pub fn new(metric: Metric, dim: usize, rows: &'a [f32]) -> Self {
        Self { metric, dim, rows }
    }

    /// The value of every row for a query.
    pub fn values(&self, query: &[f32]) -> Vec<f64> {
        let dot = |a: &[f32], b: &[f32]| -> f64 {
            a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
        };
        let value = |row: &[f32]| match self.metric {
            Metric::L2 => row.iter().zip(query).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum(),
            Metric::InnerProduct => dot(row, query),
            _ => {
                let norms = (dot(row, row) * dot(query, query)).sqrt();
                if norms > 0.0 { dot(row, query) / norms } else { 0.0 }
            }
        };
        self.rows.chunks(self.dim).map(value).collect()
    }

    /// Fails unless `found` are the k best: right distances, in order, and none left out that is better
    /// by more than rounding.
    pub fn check(&self, queries: &[f32], k: usize, found: &Found) {
        let count = self.rows.len() / self.dim;
        for (q, query) in queries.chunks(self.dim).enumerate() {
            let values = self.values(query);
            let ids = &found.ids[q * k..(q + 1) * k];
            let distances = &found.distances[q * k..(q + 1) * k];
            let hits = k.min(count);
            assert_eq!(found.hits[q], hits as u64);
            assert!(ids[hits..].iter().all(|&id| id == -1));
            assert!(distances[hits..].iter().all(|&d| d == self.metric.worst()));
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by(|&a, &b| {
                let by_value = values[a].total_cmp(&values[b]);
                (if self.metric.is_similarity() { by_value.reverse() } else { by_value }).then(a.cmp(&b))
            });
            // Distances are right to 1e-5 of themselves, sums that may cancel to 1e-6 of their terms.
            let floor = if self.metric.is_similarity() { self.dim as f64 * 0.3 } else { 0.0 };
            let scale = if self.metric.is_similarity() { 1e-6 } else { 1e-5 };
            let near = |a: f64, b: f64| (a - b).abs() <= scale * a.abs().max(b.abs()).max(floor).max(1e-9);
            let mut seen = std::collections::HashSet::new();
            for rank in 0..hits {
                let id = usize::try_from(ids[rank]).unwrap();
                assert!(seen.insert(id), "id {id} twice");
                let got = f64::from(distances[rank]);
                assert!(near(got, values[id]), "rank {rank}: {got} is not {}", values[id]);
                let want = values[order[rank]];
                assert!(near(got, want), "rank {rank}: {got}, but the best is {want}");
                if rank > 0 {
                    let before = (distances[rank - 1], ids[rank - 1]);
                    let ordered = if self.metric.is_similarity() {
                        before.0 > distances[rank]
                    } else {
                        before.0 < distances[rank]
                    };
                    assert!(ordered || (before.0 == distances[rank] && before.1 < ids[rank]));
                }
            }
        }
    }
}
