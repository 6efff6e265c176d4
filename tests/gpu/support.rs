//! What these tests share.

use std::sync::Arc;

use ivf::{
    Context, ContextOptions, Control, DeviceInfo, DeviceKind, Index, IndexOptions, MatrixRef, Metric,
    SearchOptions, SearchOutput, TrainOptions, devices,
};

/// The software adapter, or with `IVF_REAL_GPU` the first of all others; `None` where there is none.
pub(crate) fn adapter() -> Option<DeviceInfo> {
    let real = std::env::var_os("IVF_REAL_GPU").is_some();
    let found = devices().into_iter().skip(1).find(|device| (device.kind == DeviceKind::Cpu) != real);
    if found.is_none() {
        assert!(
            std::env::var_os("IVF_REQUIRE_GPU").is_none(),
            "no software adapter: install mesa-vulkan-drivers"
        );
    }
    found
}

/// A context on the software adapter.
pub(crate) fn gpu(options: ContextOptions) -> Option<Arc<Context>> {
    let device = Some(adapter()?.name);
    Some(Arc::new(Context::new(&ContextOptions { device, ..options }).expect("a context")))
}

pub(crate) fn cpu() -> Arc<Context> {
    let device = Some("cpu".into());
    Arc::new(Context::new(&ContextOptions { device, ..ContextOptions::default() }).expect("a context"))
}

/// Numbers in [-1, 1), the same for the same seed.
pub(crate) fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

pub(crate) fn matrix(data: &[f32], dim: usize) -> MatrixRef<'_> {
    MatrixRef::new("rows", data, data.len() / dim, dim).expect("whole rows")
}

/// The same index on two contexts: trained on the first of them, then copied.
pub(crate) struct Twins {
    pub(crate) cpu: Index,
    pub(crate) gpu: Index,
    /// What the GPU had done when they were made.
    pub(crate) before: u64,
}

impl Twins {
    /// Both hold `rows`; `None` where there is no adapter.
    pub(crate) fn new(description: &str, metric: Metric, dim: usize, rows: &[f32]) -> Option<Self> {
        Self::on(gpu(ContextOptions::default())?, description, metric, dim, rows)
    }

    pub(crate) fn on(
        gpu: Arc<Context>,
        description: &str,
        metric: Metric,
        dim: usize,
        rows: &[f32],
    ) -> Option<Self> {
        let make = |context| {
            Index::new(context, dim, metric, description, &IndexOptions::default()).expect("an index")
        };
        let (mut cpu, mut gpu) = (make(cpu()), make(gpu));
        let x = matrix(rows, dim);
        cpu.train(x, &TrainOptions::default(), &Control::default()).expect("trained");
        if let Ok(centroids) = cpu.centroids() {
            gpu.set_centroids(matrix(centroids, dim)).expect("the same centroids");
        }
        let mut twins = Self { cpu, gpu, before: 0 };
        twins.both(|index| index.add(x, None, 0, &Control::default()).expect("added"));
        twins.before = twins.calls();
        Some(twins)
    }

    pub(crate) fn both(&mut self, mut change: impl FnMut(&mut Index)) {
        change(&mut self.cpu);
        change(&mut self.gpu);
    }

    /// Fails unless a search gives the same on both; what it gave.
    pub(crate) fn check(&self, queries: &[f32], k: usize, options: &SearchOptions<'_>) -> Found {
        let cpu = search(&self.cpu, queries, k, options);
        let gpu = search(&self.gpu, queries, k, options);
        assert_eq!(self.gpu.context().device_status().lost, None);
        if let Some(place) = (0..cpu.ids.len()).find(|&i| cpu.ids[i] != gpu.ids[i]) {
            let row = place / k * k..(place / k + 1) * k;
            panic!(
                "query {}, rank {}: cpu {:?} {:?}, gpu {:?} {:?}",
                place / k,
                place % k,
                &cpu.ids[row.clone()],
                &cpu.distances[row.clone()],
                &gpu.ids[row.clone()],
                &gpu.distances[row]
            );
        }
        assert_eq!(cpu, gpu);
        gpu
    }

    /// Scans and assignments that the GPU has done since they were made.
    pub(crate) fn calls(&self) -> u64 {
        self.gpu.context().device_status().calls - self.before
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) distances: Vec<f32>,
    pub(crate) ids: Vec<i64>,
    pub(crate) hits: Vec<u64>,
}

pub(crate) fn search(index: &Index, queries: &[f32], k: usize, options: &SearchOptions<'_>) -> Found {
    let queries = matrix(queries, index.info().dim);
    let count = queries.rows();
    let mut found =
        Found { distances: vec![7.0; count * k], ids: vec![-7; count * k], hits: vec![99; count] };
    let output =
        SearchOutput { distances: &mut found.distances, ids: &mut found.ids, hits: Some(&mut found.hits) };
    index.search(queries, k, options, output, &Control::default()).expect("a search");
    found
}
