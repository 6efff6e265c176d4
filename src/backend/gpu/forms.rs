//! How fast a device and the CPU scan codes, beside plain vectors: measured on a job at hand.
//!
//! A form's first use compiles shaders and sends lists. It has to have been worth that: jobs that went to the CPU would
//! have saved as much, if the device were as fast with codes as with plain vectors. Forms that it is not are left alone.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::cost::{Factors, MARGIN, Need};
use super::device::Gpu;
use super::held::{Held, has_numbers};
use super::probe::{FAST, Measured, least, timed};
use super::sinks::{Found, Nobody};
use super::workload::{FEWER, QUERIES};
use crate::backend::work::Work;
use crate::backend::{Backend, ScanJob, Subset, cpu};
use crate::context::Context;
use crate::error::Result;
use crate::metric::Metric;

/// What makes lists take longer or less long than others.
#[derive(Clone, Copy, PartialEq)]
struct Form {
    held: Held,
    dim: usize,
    columns: usize,
    metric: Metric,
    /// Whether queries meet each list in another way.
    by_list: bool,
}

impl Form {
    fn of(job: &ScanJob<'_>) -> Option<Self> {
        let element = (job.lists.list_count() > 0).then(|| job.lists.list(0).vectors.element())?;
        Some(Self {
            held: Held::of(&job.codes, element),
            dim: job.dim,
            columns: job.columns(),
            metric: job.metric,
            by_list: has_numbers(&job.codes),
        })
    }
}

/// What is known of a form.
#[derive(Clone, Copy)]
enum State {
    /// Seconds that jobs on the CPU would have saved.
    Waiting(f64),
    Measuring,
    /// `None` = it is the CPU's.
    Known(Option<Factors>),
}

/// What is known of forms on devices and kernels of these names.
static KNOWN: Mutex<Vec<(String, Form, State)>> = Mutex::new(Vec::new());

/// It is locked for moments only: a lock that stays taken is one that a fork left, and then nothing is known.
fn known() -> Option<MutexGuard<'static, Vec<(String, Form, State)>>> {
    (0..1000).find_map(|_| {
        let known = KNOWN.try_lock().ok();
        if known.is_none() {
            std::thread::yield_now();
        }
        known
    })
}

/// Seconds that a form's first use takes, its lists' way apart.
const FIRST: f64 = 1.0;

/// Seconds of the CPU, and then of the device, that a job takes to be measured by.
const SAMPLE: f64 = 0.03;

/// How long the job's form takes, if it is known or is to be by now; `None` = it is the CPU's, or nobody knows.
pub(super) fn factors(
    context: &Context,
    (name, gpu, measured): (&str, &Gpu, &Measured),
    work: &Work<'_>,
    need: &Need,
) -> Option<Factors> {
    let (job, k) = work.coded?;
    let form = Form::of(job)?;
    {
        let mut known = known()?;
        let place = known.iter().position(|known| (&*known.0, known.1) == (name, form));
        let place = place.unwrap_or_else(|| {
            known.push((name.to_owned(), form, State::Waiting(0.0)));
            known.len() - 1
        });
        let state = &mut known[place].2;
        match state {
            State::Known(factors) => return *factors,
            State::Measuring => return None,
            State::Waiting(saved) => {
                let there = measured.device.seconds(need) * MARGIN;
                let saves = measured.cpu.seconds(need, work.workers) - there;
                // What the device would not be faster at, however fast, tells nothing.
                *saved += saves.max(0.0);
                if saves.is_nan() || saves <= 0.0 || *saved < FIRST + need.lists / measured.device.lists {
                    return None;
                }
                *state = State::Measuring;
            }
        }
    }
    let found = measure(context, gpu, measured, job, k);
    let state = match found {
        Ok(factors) => State::Known(factors),
        // It was cancelled.
        Err(_) => State::Waiting(0.0),
    };
    if let Some(entry) = known()?.iter_mut().find(|known| (&*known.0, known.1) == (name, form)) {
        entry.2 = state;
    }
    let factors = found.ok()?;
    context.inform(|| {
        let codes = format!("device {}: codes of {} bytes a vector", gpu.name(), form.columns);
        match factors {
            Some(Factors { cpu, device }) => format!(
                "{codes} take it {device:.2} times as long as plain vectors, and the CPU {cpu:.2} times"
            ),
            None => format!("{codes} are left to the CPU, for it found other results"),
        }
    });
    let is_slower = |factors| {
        let need = Need { factors, ..*need };
        measured.device.seconds(&need) >= measured.cpu.seconds(&need, work.workers)
    };
    if factors.is_none_or(is_slower)
        && let Some(slot) = job.lists.device()
    {
        // A copy that is of no use.
        *slot.copy.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
    factors
}

/// How long scans of this job's kind take, beside those of plain vectors; `None` if the device cannot do them, or finds
/// anything else than the CPU. The queries are the job's, as often as it takes.
fn measure(
    context: &Context,
    gpu: &Gpu,
    measured: &Measured,
    job: &ScanJob<'_>,
    k: usize,
) -> Result<Option<Factors>> {
    let numbers: Vec<usize> = (0..job.count).cycle().take(QUERIES).collect();
    let of_one = Subset::of(job, &numbers[..1]);
    let one = measured.cpu.work(&need_of(&of_one.job(job), k), job.workers);
    let few = Subset::of(job, &numbers[..times(one, FEWER)]);
    let few = few.job(job);
    let (want, got) = (Found::new(few.count), Found::new(few.count));
    cpu::best(context, &few, k, &want)?;
    let on_cpu = least(2, || cpu::best(context, &few, k, &Nobody))?;
    // Lists are sent and shaders compiled.
    if !gpu.best(context, &few, k, &got)? || want.take() != got.take() {
        return Ok(None);
    }
    let first = timed(|| gpu.best(context, &few, k, &Nobody).map(drop))?;
    let more = if first < FAST { times(first / few.count as f64, QUERIES).max(few.count) } else { few.count };
    let many = Subset::of(job, &numbers[..more]);
    let many = many.job(job);
    let there = least(3, || gpu.best(context, &many, k, &Nobody).map(drop))?;
    if gpu.lost().is_some() {
        return Ok(None);
    }
    let (few, many) = (need_of(&few, k), need_of(&many, k));
    let way = measured.device.way(&many);
    Ok(Some(Factors {
        cpu: on_cpu / measured.cpu.work(&few, job.workers),
        device: (there - way).max(there / 4.0) / measured.device.work(&many),
    }))
}

/// How many times so many seconds fit into a sample's, at least once and at most `most` times.
fn times(seconds: f64, most: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let times = (SAMPLE / seconds) as usize;
    times.clamp(1, most)
}

/// What a job needs whose lists are there.
fn need_of(job: &ScanJob<'_>, k: usize) -> Need {
    Need::of(&Work::best(job, k), 0.0)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::backend::ListSource;
    use crate::backend::device::DeviceKind;
    use crate::backend::gpu::adapter::adapters;
    use crate::backend::gpu::choice::open;
    use crate::backend::gpu::cost::{Cpu, Rates};
    use crate::backend::gpu::sample::Sample;

    /// The software adapter with so much memory (0 = all), and a context beside it; `None` where there is none.
    fn emulated(budget: u64) -> Option<(Arc<Gpu>, Context)> {
        let adapter = adapters().into_iter().find(|adapter| adapter.info.kind == DeviceKind::Cpu);
        assert!(adapter.is_some() || std::env::var_os("IVF_REQUIRE_GPU").is_none(), "no software adapter");
        Some((open(adapter?, budget, None), Context::new(&Default::default()).expect("a context")))
    }

    /// Rates by which the device takes no time, and the CPU this many seconds for a multiply-add.
    fn measured(seconds: f64) -> Measured {
        let all_of = |rate| Rates {
            call: 0.0,
            sent: rate,
            lists: rate,
            scan: rate,
            read: f64::INFINITY,
            choose: f64::INFINITY,
            assign: rate,
        };
        let one = all_of(seconds.recip());
        Measured { cpu: Cpu { one, all: one, workers: 1 }, device: all_of(1e15) }
    }

    const DIM: usize = 300;

    #[test]
    fn form_is_measured_once_that_was_worth_it_and_then_known() {
        let Some((gpu, context)) = emulated(0) else { return };
        let sample = Sample::of_words(DIM, 4, true);
        let job = sample.job(30);
        let work = Work::best(&job, 5);
        // Each call would save 0.4 seconds.
        let measured = measured(0.4 / work.multiply_adds);
        let need = Need::of(&work, 0.0);
        let ask = || factors(&context, ("worth it", &gpu, &measured), &work, &need);
        assert_eq!((ask(), ask(), gpu.calls()), (None, None, 0));
        let factors = ask().expect("what was measured");
        let calls = gpu.calls();
        assert!(calls > 0 && gpu.lost().is_none());
        assert_eq!((ask(), gpu.calls()), (Some(factors), calls));
        assert!(sample.device().is_some_and(|slot| slot.copy.lock().is_ok_and(|copy| copy.is_none())));
        // By what was seen, and not by the rates, a device that the CPU emulates is slower.
        let need = Need { factors, ..need };
        let times = [measured.cpu.seconds(&need, 1), measured.device.seconds(&need)];
        assert!(times[0] > 1e-7 && times[0] < times[1] && times[1] < 10.0, "{times:?}");
        // Codes of another size are another form.
        let other = Sample::of_codes(DIM, 8);
        let job = other.job(30);
        let work = Work::best(&job, 5);
        let ask = super::factors(&context, ("worth it", &gpu, &measured), &work, &Need::of(&work, 0.0));
        assert_eq!((ask, gpu.calls()), (None, calls));
    }

    #[test]
    fn form_that_a_device_cannot_scan_is_the_cpus() {
        let Some((gpu, context)) = emulated(100) else { return };
        let sample = Sample::of_words(DIM, 4, true);
        let job = sample.job(30);
        let work = Work::best(&job, 5);
        let measured = measured(1.0);
        for _ in 0..2 {
            let need = Need::of(&work, 0.0);
            assert_eq!(factors(&context, ("too small", &gpu, &measured), &work, &need), None);
        }
        let form = Form::of(&job).expect("a list");
        let known = known().expect("no fork");
        let state =
            known.iter().find(|known| (&*known.0, known.1) == ("too small", form)).map(|known| known.2);
        assert!(matches!(state, Some(State::Known(None))));
    }
}
