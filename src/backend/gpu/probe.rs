//! Measures a device and the CPU on the same small jobs, and whether both give the same.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use super::cost::{Cpu, Rates, costs};
use super::device::Gpu;
use super::sinks::{Found, Nobody};
use super::workload::{COARSE, DIM, FEWER, K, LARGE, QUERIES, SPREAD, Size, TINY, WIDE, Workload};
use crate::backend::work::choices;
use crate::backend::{Backend, cpu, nearest};
use crate::context::Context;
use crate::error::Result;

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
    let [tiny, wide, large, coarse, spread] = [TINY, WIDE, LARGE, COARSE, SPREAD].map(Workload::new);
    let workers = context.workers(0);
    let want = Found::new(FEWER);
    large.with_job(FEWER, workers, |job| cpu::best(context, job, K, &want))?;
    let mut want_assigned = vec![(0, 0.0); ROWS];
    let mut on_cpu = |workers: usize| -> Result<Rates> {
        let scan = |workload: &Workload, count: usize| {
            least(3, || {
                workload.with_job(count, workers, |job| cpu::best(context, job, workload.size.k, &Nobody))
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
    let on_device = |workload: &Workload, count| {
        workload.with_job(count, workers, |job| gpu.best(context, job, workload.size.k, &Nobody))
    };
    if !on_device(&tiny, 1)? {
        return Ok(None);
    }
    let call = least(3, || on_device(&tiny, 1).map(drop))?;
    large.with_job(FEWER, workers, |job| gpu.best(context, job, K, &found))?;
    let fewer = timed(|| on_device(&large, FEWER).map(drop))?;
    // A fast device has to have more to do, and a slow one need not be seen to be slow again.
    let (queries, rows, times) = if fewer < FAST { (QUERIES, MORE_ROWS, 3) } else { (FEWER, ROWS, 1) };
    let scan = |workload: &Workload| {
        // Once for the lists' way.
        on_device(workload, 1)?;
        least(times, || on_device(workload, queries).map(drop))
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
    /// From what so many queries of two workloads took, of which the first is products for the most part.
    fn of(workloads: [(&Size, usize); 2], seconds: [f64; 2]) -> Self {
        let amounts = workloads.map(|(size, count)| Self::amounts(size, count));
        let [product, choice] = costs(amounts, seconds);
        Self([product.max(seconds[0] / 4.0 / amounts[0][0]), choice])
    }

    /// The multiply-adds and choices of so many queries.
    fn amounts(size: &Size, count: usize) -> [f64; 2] {
        let (looked, count) = ((size.nprobe * size.len) as f64, count as f64);
        [count * looked * DIM as f64, count * choices(size.k, looked)]
    }

    /// Seconds for so many queries of a workload whose vectors are at hand.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::device::DeviceKind;
    use crate::backend::gpu::adapter::adapters;
    use crate::topk::Hit;

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
        let workload = Workload::new(Size { lists: 200, len: 64, queries: 40, nprobe: 200, ..TINY });
        let sort = |mut found: Vec<(u32, Hit)>| {
            found.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.order(&b.1)));
            found
        };
        workload.with_job(40, 2, |job| {
            let want = cpu::within(&context, job, -16.0).expect("no error");
            let got = gpu.within(&context, job, -16.0).expect("no error").expect("done");
            assert!(want.len() > 1000, "{}", want.len());
            assert_eq!(sort(want), sort(got));
        });
        assert_eq!(gpu.lost(), None);
    }

    #[test]
    fn workload_has_no_ties_that_the_cpu_would_have_to_break() {
        for size in [LARGE, COARSE, SPREAD] {
            let (workload, found, more) = (Workload::new(size), Found::new(50), size.k + 2);
            workload.with_job(50, 2, |job| cpu::best(&context(), job, more, &found)).expect("no error");
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
