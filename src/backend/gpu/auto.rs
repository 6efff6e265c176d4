//! A context that chooses for every call: the CPU until a GPU has been seen to be faster.
//!
//! Nothing of a driver is loaded before the context has computed for a while, so that a program of small calls never
//! pays for one. A GPU that a CPU emulates is not looked at.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::adapter::adapters;
use super::choice::open;
use super::cost::{Need, pays};
use super::device::Gpu;
use super::forms::factors;
use super::probe::{Measured, rates};
use super::resident::Resident;
use crate::backend::device::DeviceKind;
use crate::backend::work::Work;
use crate::context::Context;

/// How long calls compute on the CPU before a GPU is looked for: about what opening and measuring one takes.
const PATIENCE: Duration = Duration::from_secs(1);

/// The choice.
pub(crate) struct Auto {
    budget: u64,
    timeout: Option<Duration>,
    patience: Duration,
    /// Nanoseconds that calls took on the CPU.
    spent: AtomicU64,
    looking: AtomicBool,
    found: OnceLock<Option<Seen>>,
}

/// A GPU, and what was measured of it.
struct Seen {
    gpu: Arc<Gpu>,
    /// What else is measured goes by it.
    name: String,
    measured: Measured,
}

impl Auto {
    pub(super) fn new(budget: u64, timeout: Option<Duration>) -> Self {
        let (spent, looking, found) = Default::default();
        Self { budget, timeout, patience: PATIENCE, spent, looking, found }
    }

    /// The GPU, once it has been found worth it.
    pub(super) fn found(&self) -> Option<&Arc<Gpu>> {
        self.found.get()?.as_ref().map(|seen| &seen.gpu)
    }

    /// The device that should do this work before the CPU is asked.
    pub(crate) fn choose(&self, context: &Context, work: &Work<'_>) -> Option<&Arc<Gpu>> {
        if self.found.get().is_none() {
            if self.spent.load(Ordering::Relaxed) < u64::try_from(self.patience.as_nanos()).unwrap_or(u64::MAX)
                // Others go on meanwhile.
                || self.looking.swap(true, Ordering::AcqRel)
            {
                return None;
            }
            let _ = self.found.set(self.look(context));
        }
        let seen = self.found.get()?.as_ref()?;
        (seen.gpu.lost().is_none() && seen.is_faster(context, work)).then_some(&seen.gpu)
    }

    fn look(&self, context: &Context) -> Option<Seen> {
        let adapter = adapters().into_iter().find(|adapter| adapter.info.kind != DeviceKind::Cpu)?;
        let gpu = open(adapter, self.budget, self.timeout);
        let name = format!("{}, {}", gpu.name(), context.kernel_name());
        let measured = rates(context, &gpu, &name);
        context.inform(|| match measured {
            Some(Measured { cpu, device }) => format!(
                "device {}: used where it is faster; {:.0} billion multiply-adds of scans a second (the CPU {:.0}), {:.0} \
                 of assignments (the CPU {:.0}), {:.2} billion choices (the CPU {:.2}), {:.0} GB/s of lists read (the CPU \
                 {:.0}), {:.1} GB/s of queries and {:.1} of lists to it, {:.0} us a call",
                gpu.name(),
                device.scan / 1e9,
                cpu.all.scan / 1e9,
                device.assign / 1e9,
                cpu.all.assign / 1e9,
                device.choose / 1e9,
                cpu.all.choose / 1e9,
                device.read / 1e9,
                cpu.all.read / 1e9,
                device.sent / 1e9,
                device.lists / 1e9,
                device.call * 1e6,
            ),
            None => format!("device {}: not used, for it failed or found other results", gpu.name()),
        });
        Some(Seen { gpu, name, measured: measured? })
    }

    /// Does `work` on the CPU, and counts its time until a GPU is looked for.
    pub(crate) fn on_cpu<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.found.get().is_some() {
            return work();
        }
        let start = Instant::now();
        let result = work();
        let spent = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.spent.fetch_add(spent, Ordering::Relaxed);
        result
    }
}

impl Seen {
    /// Whether this GPU should do the work.
    fn is_faster(&self, context: &Context, work: &Work<'_>) -> bool {
        let Self { gpu, name, measured } = self;
        let Some(slot) = work.lists.device() else { return false };
        // To look at every list takes longer than a small search.
        let there = Need::of(work, 0.0);
        if work.filtered
            || (work.coded.is_none() && !measured.cpu.is_slower(&there, work.workers, &measured.device))
        {
            return false;
        }
        // Another call that syncs the copy right now will not be long, but is not waited for.
        let Ok(mut missed) = slot.missed.try_lock() else { return false };
        let missing = || {
            let copy = slot.copy.try_lock().ok()?;
            let missing = Resident::missing_bytes(copy.as_ref(), gpu, work.lists);
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            (missing <= gpu.room()).then_some(missing as f64)
        };
        let Some(bytes) = missing() else { return false };
        let mut need = Need::of(work, bytes);
        if work.coded.is_some() {
            let Some(factors) = factors(context, (name, gpu, measured), work, &need) else { return false };
            // To measure them the lists may have been sent.
            let Some(bytes) = missing() else { return false };
            need = Need { factors, ..Need::of(work, bytes) };
        }
        let mut counted = *missed;
        let pays = pays(&need, &measured.cpu, work.workers, &measured.device, &mut counted);
        if pays || !work.again {
            *missed = counted;
        }
        pays
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::choice::Choice;
    use crate::backend::gpu::cost::{Cpu, Rates};
    use crate::backend::{AssignJob, DeviceSlot, ListSource, ListView, Rows, Version};
    use crate::matrix::MatrixRef;
    use crate::metric::Metric;
    use crate::progress::Cancel;

    /// Of which the last field counts how often their versions were asked for.
    struct Centroids(Vec<f32>, Vec<f32>, Vec<i64>, DeviceSlot, AtomicU64);

    impl ListSource for Centroids {
        fn list_count(&self) -> usize {
            1
        }

        fn list(&self, _: usize) -> ListView<'_> {
            ListView { vectors: self.0.as_slice().into(), bias: &self.1, ids: &self.2, live: self.2.len() }
        }

        fn version(&self, _: usize) -> [Version; 2] {
            self.4.fetch_add(1, Ordering::Relaxed);
            [Version { now: 1, grown_since: 1 }; 2]
        }

        fn device(&self) -> Option<&DeviceSlot> {
            Some(&self.3)
        }
    }

    /// Calls `test` with work of 1000 rows and 32 centroids; how often it was looked at what a device has of them.
    fn with_work(test: impl FnOnce(&Work<'_>)) -> u64 {
        let (slot, looks) = (DeviceSlot::default(), AtomicU64::new(0));
        let centroids = Centroids(vec![0.5; 32 * 8], vec![0.0; 32], (0..32).collect(), slot, looks);
        let rows = vec![0.25; 1000 * 8];
        let x = MatrixRef::new("rows", &rows, 1000, 8).expect("rows");
        let job = AssignJob {
            rows: Rows { x: x.into(), numbers: None },
            kept: None,
            centroids: &centroids,
            metric: Metric::L2,
            hints: None,
            near: None,
            workers: 1,
            cancel: Cancel::default(),
        };
        test(&Work::from(&job));
        centroids.4.into_inner()
    }

    /// The software adapter; `None` where there is none.
    fn emulated() -> Option<Arc<Gpu>> {
        let adapter = adapters().into_iter().find(|adapter| adapter.info.kind == DeviceKind::Cpu);
        assert!(adapter.is_some() || std::env::var_os("IVF_REQUIRE_GPU").is_none(), "no software adapter");
        Some(open(adapter?, 0, None))
    }

    fn seen(gpu: &Arc<Gpu>, measured: Measured) -> Seen {
        Seen { gpu: gpu.clone(), name: "chosen rates".into(), measured }
    }

    fn context() -> Context {
        Context::new(&Default::default()).expect("a context")
    }

    #[test]
    fn auto_looks_for_a_gpu_only_after_a_while_and_never_takes_an_emulated_one() {
        let context = context();
        let auto = Auto { patience: Duration::from_millis(20), ..Auto::new(0, None) };
        with_work(|work| {
            assert!(auto.choose(&context, work).is_none());
            assert!(auto.found.get().is_none());
            auto.on_cpu(|| std::thread::sleep(Duration::from_millis(20)));
            let chosen = auto.choose(&context, work).cloned();
            assert!(auto.found.get().is_some());
            let real = adapters().iter().any(|adapter| adapter.info.kind != DeviceKind::Cpu);
            assert!(real || (chosen.is_none() && auto.found().is_none()));
        });
    }

    #[test]
    fn auto_goes_by_the_rates() {
        let Some(gpu) = emulated() else { return };
        let all_of = |call, rate| Rates {
            call,
            sent: rate,
            lists: rate,
            scan: rate,
            read: rate,
            choose: rate,
            assign: rate,
        };
        let (slow, fast) = (all_of(1.0, 1e3), all_of(1e-9, 1e15));
        let all = |rates| Cpu { one: rates, all: rates, workers: 1 };
        let context = context();
        for (cpu, device, chosen) in [(slow, fast, true), (fast, slow, false), (fast, fast, false)] {
            let auto = Auto::new(0, None);
            assert!(auto.found.set(Some(seen(&gpu, Measured { cpu: all(cpu), device }))).is_ok());
            let looks = with_work(|work| {
                assert_eq!(auto.choose(&context, work).is_some(), chosen);
                assert!(auto.choose(&context, &Work { filtered: true, ..*work }).is_none());
            });
            // With many lists that takes longer than a small search.
            assert_eq!(looks > 0, chosen);
        }
        // Not with less memory than its lists need.
        let adapter = adapters().into_iter().find(|adapter| adapter.info.kind == DeviceKind::Cpu);
        let small = open(adapter.expect("there was one"), 100, None);
        let auto = Auto::new(0, None);
        assert!(auto.found.set(Some(seen(&small, Measured { cpu: all(slow), device: fast }))).is_ok());
        with_work(|work| assert!(auto.choose(&context, work).is_none()));
    }

    #[test]
    fn probe_measures_a_device_once_and_finds_its_results_right() {
        let Some(gpu) = emulated() else { return };
        let context = context();
        let measured = rates(&context, &gpu, "tried").expect("a device that works");
        for rates in [measured.cpu.one, measured.cpu.all, measured.device] {
            assert!(rates.scan > 1e6 && rates.scan < 1e15, "{measured:?}");
            assert!(rates.assign > 1e6 && rates.assign < 1e15, "{measured:?}");
            assert!(rates.sent > 1e5 && rates.lists > 1e5, "{measured:?}");
            // What takes next to nothing beside the rest may seem to take none.
            assert!(rates.read > 1e5 && rates.choose > 1e3, "{measured:?}");
        }
        assert!(measured.device.call > 1e-6 && measured.device.call < 10.0, "{measured:?}");
        let calls = gpu.calls();
        let again = rates(&context, &gpu, "tried").expect("known");
        assert_eq!((again.cpu, again.device, gpu.calls()), (measured.cpu, measured.device, calls));
    }

    #[test]
    fn probe_of_a_device_that_fails_finds_none() {
        if emulated().is_none() {
            return;
        }
        let adapter = adapters().into_iter().find(|adapter| adapter.info.kind == DeviceKind::Cpu);
        let gpu = open(adapter.expect("there was one"), 1 << 20, None);
        // Its memory is too little for the sample: what it cannot do at all is no measure.
        assert!(super::super::probe::measure(&context(), &gpu).expect("no error").is_none());
    }

    #[test]
    fn choice_of_auto_is_the_cpu_until_then() {
        assert!(Choice::auto(0, None).gpu().is_none());
    }
}
