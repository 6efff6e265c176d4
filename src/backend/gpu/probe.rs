//! Measures a device and the CPU on the same small jobs, and whether both give the same.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::cost::{Cpu, Rates};
use super::device::Gpu;
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

/// (lists, vectors of each, queries, lists of each query): next to nothing, and enough to keep a large device busy.
const TINY: [usize; 4] = [1, 32, 1, 1];
const LARGE: [usize; 4] = [64, 1024, 8192, 8];

/// Queries of it that the CPU has, and a slow device.
const FEWER: usize = 512;

/// Rows of the assignment, and the vectors of a list as centroids.
const ROWS: usize = 8192;

/// The rates of the CPU and of the device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) cpu: Cpu,
    pub(super) device: Rates,
}

/// What was measured on devices and kernels of these names.
static KNOWN: Mutex<Option<HashMap<String, Option<Measured>>>> = Mutex::new(None);

/// Rates of `gpu`, measured once a process; `None` if it is not to be used.
pub(super) fn rates(context: &Context, gpu: &Gpu) -> Option<Measured> {
    let name = format!("{}, {}", gpu.name(), context.kernel_name());
    // A lock that is taken may be one that a fork left: then it is measured again.
    if let Ok(known) = KNOWN.try_lock()
        && let Some(&measured) = known.as_ref().and_then(|known| known.get(&name))
    {
        return measured;
    }
    let measured = measure(context, gpu).ok().flatten();
    if let Ok(mut known) = KNOWN.try_lock() {
        known.get_or_insert_default().insert(name, measured);
    }
    measured
}

/// `None` if the device fails, or finds anything else than the CPU.
pub(super) fn measure(context: &Context, gpu: &Gpu) -> Result<Option<Measured>> {
    let (tiny, large) = (Sample::new(TINY), Sample::new(LARGE));
    let want = Found::new(LARGE[2]);
    let mut want_assigned = vec![(0, 0.0); ROWS];
    let mut on_cpu = |workers: usize| -> Result<Rates> {
        let scan = least(3, || large.with_job(FEWER, workers, |job| cpu::best(context, job, K, &Nobody)))?;
        let assign = least(3, || {
            large.assign(&mut want_assigned, workers, |job, labels, keys| {
                nearest::assign(context, job, labels, keys)
            })
        })?;
        Ok(Rates { call: 0.0, bytes: f64::INFINITY, scan: scans(FEWER) / scan, assign: ASSIGNS / assign })
    };
    let workers = context.workers(0);
    large.with_job(FEWER, workers, |job| cpu::best(context, job, K, &want))?;
    let cpu = Cpu { one: on_cpu(1)?, all: on_cpu(workers)?, workers };

    let found = Found::new(LARGE[2]);
    let on_device =
        |sample: &Sample, count| sample.with_job(count, workers, |job| gpu.best(context, job, K, &Nobody));
    if !on_device(&tiny, 1)? {
        return Ok(None);
    }
    let call = least(3, || on_device(&tiny, 1).map(drop))?;
    large.with_job(FEWER, workers, |job| gpu.best(context, job, K, &found))?;
    let fewer = timed(|| on_device(&large, FEWER).map(drop))?;
    // A fast device has to have more to do, and a slow one need not be seen to be slow again.
    let (queries, times) = if fewer < FAST { (LARGE[2], 3) } else { (FEWER, 1) };
    let scan = least(times, || on_device(&large, queries).map(drop))?;
    // The same lists, but for the device others.
    let other = Sample::new(LARGE);
    let with_lists = timed(|| on_device(&other, FEWER).map(drop))?;
    let mut assigned = vec![(0, 0.0); ROWS];
    let mut assign = || {
        large.assign(&mut assigned, workers, |job, labels, keys| {
            let left = gpu.assign(context, job, labels, keys)?.unwrap_or_default();
            nearest::assign_some(context, job, &left, labels, keys)
        })
    };
    assign()?;
    let assign = least(times, assign)?;
    if gpu.lost().is_some()
        || gpu.calls() < 8
        || want.take()[..FEWER] != found.take()[..FEWER]
        || want_assigned != assigned
    {
        return Ok(None);
    }
    let bytes = (LARGE[0] * LARGE[1] * DIM * size_of::<f32>()) as f64 / (with_lists - fewer).max(1e-6);
    let sent = (ROWS * DIM * size_of::<f32>()) as f64 / bytes;
    let device = Rates {
        call,
        bytes,
        // What else a call takes was measured too, and is at most half of it.
        scan: scans(queries) / (scan - call).max(scan / 2.0),
        assign: ASSIGNS / (assign - call - sent).max(assign / 2.0),
    };
    Ok(Some(Measured { cpu, device }))
}

/// Multiply-adds of so many queries of the large sample.
fn scans(queries: usize) -> f64 {
    (queries * LARGE[3] * LARGE[1] * DIM) as f64
}

/// Multiply-adds of the assignment.
const ASSIGNS: f64 = (ROWS * LARGE[1] * DIM) as f64;

/// Seconds that a fast device takes at most for the few queries.
const FAST: f64 = 0.005;

/// The least time of some: a device that was idle takes a while to be as fast as it can.
fn least(times: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..times {
        least = least.min(timed(&mut work)?);
    }
    Ok(least)
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

/// Lists, all of the same vectors but each with biases of its own, so that there are no ties, and queries.
struct Sample {
    vectors: Vec<f32>,
    bias: Vec<f32>,
    ids: Vec<i64>,
    lists: usize,
    queries: Vec<f32>,
    probes: Vec<i64>,
    nprobe: usize,
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
    fn new([lists, len, queries, nprobe]: [usize; 4]) -> Self {
        let mut random = Random::new(1);
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        let mut numbers = |count: usize| (0..count).map(|_| random.unit() as f32).collect::<Vec<_>>();
        assert!(lanes(len) == len, "invariant: whole blocks");
        let (vectors, queries) = (numbers(len * DIM), numbers(queries * DIM));
        let probes = (0i64..).take(queries.len() / DIM * nprobe).map(|i| i * 7 % lists as i64).collect();
        Self {
            bias: biases(lists, len),
            ids: (0i64..).take(len).collect(),
            vectors,
            lists,
            queries,
            probes,
            nprobe,
            version: Version::new(),
            device: DeviceSlot::default(),
        }
    }

    /// Of the first `count` queries; by inner product, which takes any biases.
    fn with_job<T>(&self, count: usize, workers: usize, work: impl FnOnce(&ScanJob<'_>) -> T) -> T {
        work(&ScanJob {
            dim: DIM,
            metric: Metric::InnerProduct,
            queries: &self.queries[..count * DIM],
            count,
            probes: Probes::Lists { lists: &self.probes[..count * self.nprobe], nprobe: self.nprobe },
            codes: Codes::Plain,
            lists: self,
            vectors: self.lists * self.ids.len(),
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

    /// The nearest of the first list to rows, which are its vectors in another order of numbers.
    fn assign(
        &self,
        out: &mut [(u32, f32)],
        workers: usize,
        work: impl FnOnce(&AssignJob<'_>, &mut [u32], &mut [f32]) -> Result<()>,
    ) -> Result<()> {
        let numbers: Vec<u32> = (0u32..).take(ROWS).map(|row| row % 1000).collect();
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
        let (mut labels, mut keys) = (vec![0; ROWS], vec![0.0; ROWS]);
        work(&job, &mut labels, &mut keys)?;
        out.copy_from_slice(&labels.into_iter().zip(keys).collect::<Vec<_>>());
        Ok(())
    }
}

impl ListSource for Sample {
    fn list_count(&self) -> usize {
        self.lists
    }

    fn list(&self, list: usize) -> ListView<'_> {
        let vectors = self.vectors.as_slice().into();
        let len = self.ids.len();
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
struct Nobody;

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
        let sample = Sample::new([200, 64, 40, 200]);
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
        let (sample, found) = (Sample::new(LARGE), Found::new(LARGE[2]));
        sample.with_job(100, 2, |job| cpu::best(&context(), job, K + 2, &found)).expect("no error");
        for hits in &found.take()[..100] {
            assert_eq!(hits.len(), K + 2);
            assert!(hits.windows(2).all(|two| two[0].key < two[1].key), "{hits:?}");
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
