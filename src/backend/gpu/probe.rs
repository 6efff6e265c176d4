//! Measures a device and the CPU on the same small jobs, and whether both give the same.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::cost::{Cpu, Rates, costs};
use super::device::Gpu;
use crate::backend::work::choices;
use crate::backend::{
    AssignJob, Backend, Codes, DeviceSlot, ListSource, ListView, Probes, Rows, ScanJob, Version, cpu, nearest,
};
use crate::collect::Sink;
use crate::context::Context;
use crate::error::Result;
use crate::lists::block::lanes;
use crate::matrix::MatrixRef;
use crate::metric::Metric;
use crate::progress::Cancel;
use crate::random::Random;
use crate::topk::Hit;

const DIM: usize = 128;
const K: usize = 10;

/// A sample's size: each query looks at `nprobe` of `lists` of `len` vectors each.
#[derive(Clone, Copy)]
struct Size {
    lists: usize,
    len: usize,
    queries: usize,
    nprobe: usize,
    k: usize,
    /// Whether lists are of vectors of their own, and not all in cache.
    own: bool,
}

/// Next to nothing.
const TINY: Size = Size { lists: 1, len: 32, queries: 1, nprobe: 1, k: K, own: false };
/// Hardly more than queries and their way.
const WIDE: Size = Size { queries: QUERIES, k: 1, ..TINY };
/// Enough to keep a large device busy with products.
const LARGE: Size = Size { lists: 64, len: 1024, queries: QUERIES, nprobe: 8, ..TINY };
/// Few vectors of which many are chosen: the lists to visit among all.
const COARSE: Size = Size { lists: 1, len: 512, nprobe: 1, k: 32, ..LARGE };
/// Lists that a query each reads.
const SPREAD: Size = Size { nprobe: 1, queries: 64, own: true, ..LARGE };

/// Queries of the large samples, and of them those that a worker of the CPU has, and a slow device.
pub(super) const QUERIES: usize = 8192;
pub(super) const FEWER: usize = 512;

/// Rows of the assignment to the vectors of a list as centroids, and those that a fast device has.
const ROWS: usize = 8192;
const MORE_ROWS: usize = 4 * ROWS;

/// The rates of the CPU and of the device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) cpu: Cpu,
    pub(super) device: Rates,
}

/// What was measured on devices and kernels of these names.
static KNOWN: Mutex<Option<HashMap<String, Option<Measured>>>> = Mutex::new(None);

/// Rates of `gpu`, measured once a process and name; `None` if it is not to be used.
pub(super) fn rates(context: &Context, gpu: &Gpu, name: &str) -> Option<Measured> {
    // A lock that is taken may be one that a fork left: then it is measured again.
    if let Ok(known) = KNOWN.try_lock()
        && let Some(&measured) = known.as_ref().and_then(|known| known.get(name))
    {
        return measured;
    }
    let measured = measure(context, gpu).ok().flatten();
    if let Ok(mut known) = KNOWN.try_lock() {
        known.get_or_insert_default().insert(name.to_owned(), measured);
    }
    measured
}

/// `None` if the device fails, or finds anything else than the CPU.
pub(super) fn measure(context: &Context, gpu: &Gpu) -> Result<Option<Measured>> {
    let [tiny, wide, large, coarse, spread] = [TINY, WIDE, LARGE, COARSE, SPREAD].map(Sample::new);
    let workers = context.workers(0);
    let want = Found::new(FEWER);
    large.with_job(FEWER, workers, |job| cpu::best(context, job, K, &want))?;
    let mut want_assigned = vec![(0, 0.0); ROWS];
    let mut on_cpu = |workers: usize| -> Result<Rates> {
        let scan = |sample: &Sample, count: usize| {
            least(3, || {
                sample.with_job(count, workers, |job| cpu::best(context, job, sample.size.k, &Nobody))
            })
        };
        // Enough for each worker to have queries of its own.
        let chosen = (FEWER * workers).min(QUERIES);
        let seconds = [scan(&large, FEWER)?, scan(&coarse, chosen)?];
        let scans = Scans::of([(&LARGE, FEWER), (&COARSE, chosen)], seconds);
        let read = scan(&spread, SPREAD.queries)? - scans.seconds(&SPREAD, SPREAD.queries);
        let assign = least(3, || {
            large.assign(&mut want_assigned, workers, |job, labels, keys| {
                nearest::assign(context, job, labels, keys)
            })
        })?;
        Ok(scans.rates(Rates {
            read: bytes(&SPREAD) / read.max(0.0),
            assign: assigns(ROWS) / assign,
            ..FREE
        }))
    };
    let cpu = Cpu { one: on_cpu(1)?, all: on_cpu(workers)?, workers };

    let found = Found::new(FEWER);
    let on_device = |sample: &Sample, count| {
        sample.with_job(count, workers, |job| gpu.best(context, job, sample.size.k, &Nobody))
    };
    if !on_device(&tiny, 1)? {
        return Ok(None);
    }
    let call = least(3, || on_device(&tiny, 1).map(drop))?;
    large.with_job(FEWER, workers, |job| gpu.best(context, job, K, &found))?;
    let fewer = timed(|| on_device(&large, FEWER).map(drop))?;
    // A fast device has to have more to do, and a slow one need not be seen to be slow again.
    let (queries, rows, times) = if fewer < FAST { (QUERIES, MORE_ROWS, 3) } else { (FEWER, ROWS, 1) };
    let scan = |sample: &Sample| {
        // Once for the lists' way.
        on_device(sample, 1)?;
        least(times, || on_device(sample, queries).map(drop))
    };
    let sent = (scan(&wide)? - call).max(call / 10.0);
    // All of them have the same queries to send.
    let beside = call + sent;
    // Whatever else was measured, a call is not all way.
    let seconds = [scan(&large)?, scan(&coarse)?].map(|seconds| (seconds - beside).max(seconds / 4.0));
    let scans = Scans::of([(&LARGE, queries), (&COARSE, queries)], seconds);
    let spread_out = || timed(|| on_device(&spread, SPREAD.queries).map(drop));
    let (first, again) = (spread_out()?, spread_out()?.min(spread_out()?));
    let sent = (queries * DIM * size_of::<f32>()) as f64 / sent;
    let read = again - call - scans.seconds(&SPREAD, SPREAD.queries);
    let mut assigned = vec![(0, 0.0); rows];
    let mut assign = || {
        large.assign(&mut assigned, workers, |job, labels, keys| {
            let left = gpu.assign(context, job, labels, keys)?.unwrap_or_default();
            nearest::assign_some(context, job, &left, labels, keys)
        })
    };
    assign()?;
    let assign = least(times, assign)?;
    if gpu.lost().is_some()
        || gpu.calls() < 16
        || want.take() != found.take()
        || want_assigned != assigned[..ROWS]
    {
        return Ok(None);
    }
    let rows_sent = (rows * DIM * size_of::<f32>()) as f64 / sent;
    let device = scans.rates(Rates {
        call,
        sent,
        lists: bytes(&SPREAD) / (first - again).max(1e-6),
        read: bytes(&SPREAD) / read.max(0.0),
        // What else a call takes was measured too, and is at most half of it.
        assign: assigns(rows) / (assign - call - rows_sent).max(assign / 2.0),
        ..FREE
    });
    Ok(Some(Measured { cpu, device }))
}

/// Rates of what takes no time at all.
const FREE: Rates = Rates {
    call: 0.0,
    sent: f64::INFINITY,
    lists: f64::INFINITY,
    scan: f64::INFINITY,
    read: f64::INFINITY,
    choose: f64::INFINITY,
    assign: f64::INFINITY,
};

/// Seconds that a multiply-add and a choice take.
struct Scans([f64; 2]);

impl Scans {
    /// From what so many queries of two samples took, of which the first is products for the most part.
    fn of(samples: [(&Size, usize); 2], seconds: [f64; 2]) -> Self {
        let amounts = samples.map(|(size, count)| Self::amounts(size, count));
        let [product, choice] = costs(amounts, seconds);
        Self([product.max(seconds[0] / 4.0 / amounts[0][0]), choice])
    }

    /// The multiply-adds and choices of so many queries.
    fn amounts(size: &Size, count: usize) -> [f64; 2] {
        let (looked, count) = ((size.nprobe * size.len) as f64, count as f64);
        [count * looked * DIM as f64, count * choices(size.k, looked)]
    }

    /// Seconds for so many queries of a sample whose vectors are at hand.
    fn seconds(&self, size: &Size, count: usize) -> f64 {
        Self::amounts(size, count).into_iter().zip(self.0).map(|(amount, cost)| amount * cost).sum()
    }

    fn rates(&self, others: Rates) -> Rates {
        let [scan, choose] = self.0.map(f64::recip);
        Rates { scan, choose, ..others }
    }
}

/// Bytes of the vectors of all lists.
fn bytes(size: &Size) -> f64 {
    (size.lists * size.len * DIM * size_of::<f32>()) as f64
}

/// Multiply-adds of the assignment of so many rows.
fn assigns(rows: usize) -> f64 {
    (rows * LARGE.len * DIM) as f64
}

/// Seconds that a fast device takes at most for the few queries.
pub(super) const FAST: f64 = 0.005;

/// The least time of some: a device that was idle takes a while to be as fast as it can.
pub(super) fn least(times: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..times {
        least = least.min(timed(&mut work)?);
    }
    Ok(least)
}

pub(super) fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

/// Lists, each with biases of its own, so that there are no ties where their vectors are the same, and queries.
struct Sample {
    size: Size,
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

impl Sample {
    fn new(size: Size) -> Self {
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
    fn with_job<T>(&self, count: usize, workers: usize, work: impl FnOnce(&ScanJob<'_>) -> T) -> T {
        let Size { lists, len, nprobe, .. } = self.size;
        work(&ScanJob {
            dim: DIM,
            metric: Metric::InnerProduct,
            queries: &self.queries[..count * DIM],
            count,
            probes: Probes::Lists { lists: &self.probes[..count * nprobe], nprobe },
            codes: Codes::Plain,
            lists: self,
            vectors: lists * len,
            places: false,
            copies: false,
            filter: None,
            bars: None,
            keys: None,
            budget: None,
            max_codes: usize::MAX,
            workers,
            cancel: Cancel::default(),
        })
    }

    /// The nearest of the first list to rows, as many as `out` has room for, which are its vectors in another order of
    /// numbers.
    fn assign(
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

impl ListSource for Sample {
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

/// Takes hits and forgets them: a lock around them would be measured too.
pub(super) struct Nobody;

impl Sink for Nobody {
    fn take(&self, _: usize, _: &[Hit]) {}
}

/// All hits of a job.
pub(super) struct Found(Mutex<Vec<Vec<Hit>>>);

impl Found {
    pub(super) fn new(queries: usize) -> Self {
        Self(Mutex::new(vec![Vec::new(); queries]))
    }

    pub(super) fn take(&self) -> Vec<Vec<Hit>> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Sink for Found {
    fn take(&self, query: usize, hits: &[Hit]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[query] = hits.to_vec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::device::DeviceKind;
    use crate::backend::gpu::adapter::adapters;

    /// The software adapter as if it had these limits; `None` where there is none.
    fn limited(change: impl FnOnce(&mut wgpu::Limits)) -> Option<Gpu> {
        let found = adapters().into_iter().find(|adapter| adapter.info.kind == DeviceKind::Cpu);
        assert!(found.is_some() || std::env::var_os("IVF_REQUIRE_GPU").is_none(), "no software adapter");
        let adapter = found?.adapter;
        let mut limits = wgpu::Limits::defaults();
        change(&mut limits);
        Some(Gpu::new(adapter, "limited".into(), 0, 0, None).with_limits(limits))
    }

    fn context() -> Context {
        Context::new(&Default::default()).expect("a context")
    }

    /// Fails unless all kinds of jobs give what they give on the CPU.
    fn check(gpu: &Gpu) {
        let context = context();
        let measured = measure(&context, gpu).expect("no error");
        assert!(measured.is_some(), "{:?}", gpu.lost());
        let sample = Sample::new(Size { lists: 200, len: 64, queries: 40, nprobe: 200, ..TINY });
        let sort = |mut found: Vec<(u32, Hit)>| {
            found.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.order(&b.1)));
            found
        };
        sample.with_job(40, 2, |job| {
            let want = cpu::within(&context, job, -16.0).expect("no error");
            let got = gpu.within(&context, job, -16.0).expect("no error").expect("done");
            assert!(want.len() > 1000, "{}", want.len());
            assert_eq!(sort(want), sort(got));
        });
        assert_eq!(gpu.lost(), None);
    }

    #[test]
    fn sample_has_no_ties_that_the_cpu_would_have_to_break() {
        for size in [LARGE, COARSE, SPREAD] {
            let (sample, found, more) = (Sample::new(size), Found::new(50), size.k + 2);
            sample.with_job(50, 2, |job| cpu::best(&context(), job, more, &found)).expect("no error");
            for hits in found.take() {
                assert_eq!(hits.len(), more);
                assert!(hits.windows(2).all(|two| two[0].key < two[1].key), "{hits:?}");
            }
        }
    }

    #[test]
    fn device_with_webgpu_s_least_limits_gives_the_same() {
        let Some(gpu) = limited(|_| ()) else { return };
        check(&gpu);
    }

    #[test]
    fn device_that_binds_little_works_in_segments_and_rounds() {
        let Some(gpu) = limited(|limits| {
            limits.max_storage_buffer_binding_size = 1 << 20;
            limits.max_buffer_size = 1 << 20;
        }) else {
            return;
        };
        check(&gpu);
    }

    #[test]
    fn device_with_less_than_the_shaders_need_is_not_used() {
        let Some(gpu) = limited(|limits| *limits = wgpu::Limits::downlevel_defaults()) else { return };
        assert!(measure(&context(), &gpu).expect("no error").is_none());
        let lost = gpu.lost();
        assert!(
            lost.as_ref().is_some_and(|reason| reason.contains("expected 8 storage buffers")),
            "{lost:?}"
        );
    }
}
