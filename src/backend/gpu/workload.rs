//! The small jobs on which a device and the CPU are measured.

use crate::backend::{AssignJob, DeviceSlot, ListSource, ListView, Probes, Rows, ScanJob, Version};
use crate::error::Result;
use crate::lists::block::lanes;
use crate::matrix::MatrixRef;
use crate::metric::Metric;
use crate::progress::Cancel;
use crate::random::Random;

pub(super) const DIM: usize = 128;
pub(super) const K: usize = 10;

/// A workload's size: each query looks at `nprobe` of `lists` of `len` vectors each.
#[derive(Clone, Copy)]
pub(super) struct Size {
    pub(super) lists: usize,
    pub(super) len: usize,
    pub(super) queries: usize,
    pub(super) nprobe: usize,
    pub(super) k: usize,
    /// Whether lists are of vectors of their own, and not all in cache.
    pub(super) own: bool,
}

/// Next to nothing.
pub(super) const TINY: Size = Size { lists: 1, len: 32, queries: 1, nprobe: 1, k: K, own: false };
/// Hardly more than queries and their way.
pub(super) const WIDE: Size = Size { queries: QUERIES, k: 1, ..TINY };
/// Enough to keep a large device busy with products.
pub(super) const LARGE: Size = Size { lists: 64, len: 1024, queries: QUERIES, nprobe: 8, ..TINY };
/// Few vectors of which many are chosen: the lists to visit among all.
pub(super) const COARSE: Size = Size { lists: 1, len: 512, nprobe: 1, k: 32, ..LARGE };
/// Lists that a query each reads.
pub(super) const SPREAD: Size = Size { nprobe: 1, queries: 64, own: true, ..LARGE };

/// Queries of the large ones, and of them those that a worker of the CPU has, and a slow device.
pub(super) const QUERIES: usize = 8192;
pub(super) const FEWER: usize = 512;

/// Lists, each with biases of its own, so that there are no ties where their vectors are the same, and queries.
pub(super) struct Workload {
    pub(super) size: Size,
    vectors: Vec<f32>,
    bias: Vec<f32>,
    ids: Vec<i64>,
    queries: Vec<f32>,
    probes: Vec<i64>,
    version: Version,
    device: DeviceSlot,
}

/// The same for each vector of a list. Where keys are equal the CPU has to say who is first: then it would be measured
/// instead of the device.
fn biases(lists: usize, len: usize) -> Vec<f32> {
    let of = |list: usize| {
        #[expect(clippy::cast_precision_loss, reason = "a small number")]
        let bias = list as f32 * 0.0137;
        std::iter::repeat_n(bias, len)
    };
    (0..lists).flat_map(of).collect()
}

impl Workload {
    pub(super) fn new(size: Size) -> Self {
        let Size { lists, len, queries, nprobe, own, .. } = size;
        let mut random = Random::new(1);
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        let mut numbers = |count: usize| (0..count).map(|_| random.unit() as f32).collect::<Vec<_>>();
        assert!(lanes(len) == len, "invariant: whole blocks");
        let (mut vectors, queries) = (numbers(len * DIM), numbers(queries * DIM));
        if own {
            // The same numbers at other places make other vectors.
            let first = vectors.clone();
            for list in 1..lists {
                let (front, back) = first.split_at(list);
                vectors.extend_from_slice(back);
                vectors.extend_from_slice(front);
            }
        }
        let probes = (0i64..).take(queries.len() / DIM * nprobe).map(|i| i * 7 % lists as i64).collect();
        Self {
            size,
            bias: biases(lists, len),
            ids: (0i64..).take(len).collect(),
            vectors,
            queries,
            probes,
            version: Version::new(),
            device: DeviceSlot::default(),
        }
    }

    /// Of the first `count` queries; by inner product, which takes any biases.
    pub(super) fn with_job<T>(
        &self,
        count: usize,
        workers: usize,
        work: impl FnOnce(&ScanJob<'_>) -> T,
    ) -> T {
        let Size { lists, len, nprobe, .. } = self.size;
        let queries = &self.queries[..count * DIM];
        let all = ScanJob::of_all(Metric::InnerProduct, DIM, queries, self, lists * len);
        let probes = Probes::Lists { lists: &self.probes[..count * nprobe], nprobe };
        work(&ScanJob { probes, workers, ..all })
    }

    /// The nearest of the first list to rows, as many as `out` has room for, which are its vectors in another order of
    /// numbers.
    pub(super) fn assign(
        &self,
        out: &mut [(u32, f32)],
        workers: usize,
        work: impl FnOnce(&AssignJob<'_>, &mut [u32], &mut [f32]) -> Result<()>,
    ) -> Result<()> {
        let numbers: Vec<u32> = (0u32..).take(out.len()).map(|row| row % 1000).collect();
        let x = MatrixRef::new("rows", &self.vectors, self.vectors.len() / DIM, DIM)?;
        let job = AssignJob {
            rows: Rows { x: x.into(), numbers: Some(&numbers) },
            kept: None,
            centroids: self,
            metric: Metric::InnerProduct,
            hints: None,
            near: None,
            workers,
            cancel: Cancel::default(),
        };
        let (mut labels, mut keys) = (vec![0; out.len()], vec![0.0; out.len()]);
        work(&job, &mut labels, &mut keys)?;
        out.copy_from_slice(&labels.into_iter().zip(keys).collect::<Vec<_>>());
        Ok(())
    }
}

impl ListSource for Workload {
    fn list_count(&self) -> usize {
        self.size.lists
    }

    fn list(&self, list: usize) -> ListView<'_> {
        let len = self.size.len;
        let first = if self.size.own { list * len * DIM } else { 0 };
        let vectors = self.vectors[first..first + len * DIM].into();
        ListView { vectors, bias: &self.bias[list * len..][..len], ids: &self.ids, live: len }
    }

    fn version(&self, _: usize) -> [Version; 2] {
        [self.version; 2]
    }

    fn device(&self) -> Option<&DeviceSlot> {
        Some(&self.device)
    }
}
