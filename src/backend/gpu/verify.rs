//! Whether a device computes what the CPU computes, bit by bit: seen on numbers that would tell.
//!
//! The shaders' additions are those of the CPU's fused kernels, in the same order. Then results are the same where the
//! device's fused multiply-add rounds once, as on every GPU since about 2010, and where the driver's compiler leaves
//! the order alone: each kind of kernel is tried once on a sample. One thing stays: GPUs flush numbers below the
//! smallest normal one to zero. If no factor but zero is below 2^-40, every product and every sum of products is a
//! multiple of 2^-126, so that there is no such number.

use super::assign;
use super::call::under_way;
use super::device::Gpu;
use super::engine::Engine;
use super::exact::Judge;
use super::health::{Fault, Outcome};
use super::held::{Form, Held};
use super::pipelines::Width;
use super::resident::Resident;
use super::sample::{QUERIES, Sample, VECTORS};
use super::scratch::Scratch;
use super::sinks::Nobody;
use crate::backend::{AssignJob, Rows};
use crate::context::Context;
use crate::element::{Scalar, with_element};
use crate::matrix::MatrixRef;
use crate::metric::Metric;
use crate::progress::Cancel;

/// The smallest factor but zero with which no sum is flushed: 2^-40.
pub(super) const LEAST: f32 = f32::from_bits((127 - 40) << 23);

/// What was seen of a device so far, by how many dimensions there are and what lists hold.
#[derive(Default)]
pub(super) struct Verified {
    scans: [[Option<bool>; Held::COUNT]; Width::COUNT],
    assign: [Option<bool>; Width::COUNT],
}

/// Dimensions of the samples: fewer than are summed up at once, which have kernels of their own, and more.
const DIMS: [usize; Width::COUNT] = [102, 300];
/// Queries of the second time: a tile of few.
const FEW: usize = 3;

/// The smallest magnitude but zero of these values; infinity if there is none.
pub(super) fn least<E: Scalar>(values: &[E]) -> f32 {
    // Bits of magnitudes are in their order, and a zero's, less one, are the largest number.
    let bits = |&value: &E| (Into::<f32>::into(value).to_bits() << 1 >> 1).wrapping_sub(1);
    let least = values.iter().map(bits).fold(u32::MAX, u32::min).wrapping_add(1);
    if least == 0 { f32::INFINITY } else { f32::from_bits(least) }
}

/// Whether the keys of scans of `resident` are the CPU's, for queries without a factor below [`LEAST`] but zero.
pub(super) fn arithmetic_is_the_cpus(
    context: &Context,
    gpu: &Gpu,
    engine: &mut Engine,
    resident: &Resident,
    (held, dim): (Held, usize),
) -> Outcome<bool> {
    if resident.measured.least < LEAST {
        return Ok(false);
    }
    let (place, width) = (held.place(), Width::of(dim) as usize);
    let dim = DIMS[width];
    if let Some(known) = engine.verified.scans[width][place] {
        return Ok(known);
    }
    let tried = match held {
        Held::Values(element) => {
            with_element!(element, E => scans_agree(&Sample::<E>::new(dim), context, gpu, engine))
        }
        Held::Codes => scans_agree(&Sample::of_codes(dim, 8), context, gpu, engine),
        // One of all numbers of bits: only how codes are read differs, and that is whole numbers' work.
        Held::Packed => scans_agree(&Sample::of_codes(dim, 6), context, gpu, engine),
        Held::Rounded => scans_agree(&Sample::of_codes(dim, 8).rounded(), context, gpu, engine),
        Held::Words => scans_agree(&Sample::of_words(dim, 4, true), context, gpu, engine),
        Held::Tables => scans_agree(&Sample::of_words(dim, 8, false), context, gpu, engine),
        Held::PackedRounded => scans_agree(&Sample::of_codes(dim, 6).rounded(), context, gpu, engine),
        Held::Signs => scans_agree(&Sample::of_estimates(dim, 1), context, gpu, engine),
        Held::Estimates => scans_agree(&Sample::of_estimates(dim, 5), context, gpu, engine),
    };
    remembered(tried, engine, |verified| &mut verified.scans[width][place])
}

/// The result, noted in `place`; without memory to try it is not known, and taken for no.
fn remembered(
    tried: Outcome<bool>,
    engine: &mut Engine,
    place: impl FnOnce(&mut Verified) -> &mut Option<bool>,
) -> Outcome<bool> {
    match tried {
        Err(Fault::Memory) => {
            engine.scratch = Scratch::default();
            Ok(false)
        }
        tried => Ok(*place(&mut engine.verified).insert(tried?)),
    }
}

/// Whether the labels and keys of rows are the CPU's, but for rows with a factor below [`LEAST`] that is not zero.
pub(super) fn assigning_is_the_cpus(
    context: &Context,
    gpu: &Gpu,
    engine: &mut Engine,
    resident: &Resident,
    dim: usize,
) -> Outcome<bool> {
    if resident.measured.least < LEAST {
        return Ok(false);
    }
    let width = Width::of(dim) as usize;
    if let Some(known) = engine.verified.assign[width] {
        return Ok(known);
    }
    let tried = assigning_agrees(&Sample::new(DIMS[width]), context, gpu, engine);
    remembered(tried, engine, |verified| &mut verified.assign[width])
}

/// Whether the labels and keys of the sample are the CPU's.
fn assigning_agrees(
    sample: &Sample<f32>,
    context: &Context,
    gpu: &Gpu,
    engine: &mut Engine,
) -> Outcome<bool> {
    let job = AssignJob {
        rows: Rows { x: MatrixRef::new("rows", &sample.queries, QUERIES, sample.dim)?.into(), numbers: None },
        kept: None,
        centroids: sample,
        metric: Metric::L2,
        hints: None,
        near: None,
        workers: 1,
        cancel: Cancel::default(),
    };
    let mut copy = None;
    let centroids = Resident::sync(&mut copy, gpu, engine, (context, 1), sample, Form::plain(sample.dim))?;
    assign::agrees(context, engine, centroids, &job)
}

/// Whether all keys of the sample are the CPU's.
fn scans_agree<E: Scalar>(
    sample: &Sample<E>,
    context: &Context,
    gpu: &Gpu,
    engine: &mut Engine,
) -> Outcome<bool> {
    let mut copy = None;
    let form = Form::of(&sample.job(1));
    let resident = Resident::sync(&mut copy, gpu, engine, (context, 1), sample, form)?;
    for count in [QUERIES, FEW] {
        if !keys_agree(sample, count, context, engine, resident)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether all keys of the first queries are the CPU's.
fn keys_agree<E: Scalar>(
    sample: &Sample<E>,
    count: usize,
    context: &Context,
    engine: &mut Engine,
    resident: &Resident,
) -> Outcome<bool> {
    let job = sample.job(count);
    let judge = Judge::new(context, &job, resident.sizes(&job.codes), true);
    under_way(engine, context, &judge, resident, &Nobody, |call| {
        while let Some(round) = call.plan()? {
            let flight = call.launch(round, VECTORS)?;
            if !judge.agrees(&call.land(flight)?) {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::device::DeviceKind;
    use crate::backend::gpu::adapter::adapters;
    use crate::backend::gpu::scan;
    use crate::backend::gpu::sinks::Found;
    use crate::backend::{Backend, cpu};

    #[test]
    fn least_of_values_leaves_zeros_out() {
        assert_eq!(least(&[0.0, -0.0f32]), f32::INFINITY);
        assert_eq!(least(&[3.0, -0.0, -1e-40, 2.0f32]), 1e-40);
        assert_eq!(least(&[7u8, 0, 9]), 7.0);
    }

    /// The software adapter, and a context beside it; `None` where there is none.
    fn emulated() -> Option<(Gpu, Context)> {
        let adapter = adapters().into_iter().find(|adapter| adapter.info.kind == DeviceKind::Cpu);
        assert!(adapter.is_some() || std::env::var_os("IVF_REQUIRE_GPU").is_none(), "no software adapter");
        let gpu = Gpu::new(adapter?.adapter, "emulated".into(), 0, 0, None);
        Some((gpu, Context::new(&Default::default()).expect("a context")))
    }

    /// Products of small whole numbers are exact, fused or not, so that any device's keys are the CPU's: on such, what
    /// takes them as they are is tried where the arithmetic is not the CPU's otherwise.
    #[test]
    fn keys_taken_as_they_are_give_what_the_cpu_finds() {
        let Some((gpu, context)) = emulated() else { return };
        let trusted = Verified { scans: [[Some(true); Held::COUNT]; 2], assign: [Some(true); 2] };
        let mut trusted = Some(trusted);
        gpu.with(|engine| {
            engine.verified = trusted.take().expect("once");
            Ok(())
        })
        .expect("no error")
        .expect("a device");

        for dim in DIMS {
            takes_the_same(dim, &context, &gpu);
        }
    }

    /// Fails unless keys of small whole numbers are taken as they are, and what is found is what the CPU finds.
    fn takes_the_same(dim: usize, context: &Context, gpu: &Gpu) {
        let mut sample = Sample::<f32>::new(dim);
        let numbers = sample.vectors.iter_mut().chain(&mut sample.queries).chain(&mut sample.bias);
        numbers.for_each(|number| *number = (*number * 8.0).round());
        finds_the_same(&sample, context, gpu);
        for bits in [8, 6, 4] {
            let mut codes = Sample::<u8>::new(dim);
            if bits == 8 {
                codes.vectors.iter_mut().for_each(|code| *code /= 8);
            }
            codes.queries.clone_from(&sample.queries);
            let coded = [vec![1.0; dim], vec![-7.0; dim], sample.queries[dim..2 * dim].to_vec()];
            finds_the_same(&codes.with_codes(bits, coded), context, gpu);
        }
        let agree = gpu.with(|engine| assigning_agrees(&sample, context, gpu, engine)).expect("no error");
        assert_eq!(agree, Some(true), "{:?}", gpu.lost());
    }

    #[test]
    fn keys_of_any_arithmetic_tell_what_is_best() {
        let Some((gpu, context)) = emulated() else { return };
        for dim in DIMS {
            is_proven(&Sample::<f32>::new(dim), &context, &gpu);
            for bits in [8, 6, 4] {
                is_proven(&Sample::of_codes(dim, bits), &context, &gpu);
            }
            is_proven(&Sample::of_estimates(dim, 5), &context, &gpu);
            for bits in [8, 4] {
                is_proven(&Sample::of_words(dim, bits, false), &context, &gpu);
            }
        }
    }

    /// Of rounded queries and of tables of bytes all is whole numbers, sums and products apart, and exact quotients, of
    /// tables of floats sums alone: any device's keys are the CPU's.
    #[test]
    fn keys_of_whole_numbers_and_of_sums_are_the_cpus_everywhere() {
        let Some((gpu, context)) = emulated() else { return };
        for dim in DIMS {
            for bits in [8, 6, 4] {
                finds_the_same(&Sample::of_codes(dim, bits).rounded(), &context, &gpu);
            }
            for (bits, fast) in [(4, true), (4, false), (8, false)] {
                finds_the_same(&Sample::of_words(dim, bits, fast), &context, &gpu);
            }
            finds_the_same(&Sample::of_estimates(dim, 1), &context, &gpu);
        }
    }

    /// Fails unless what the device leaves out is proven to be none of the best, so that the CPU has nothing to search.
    fn is_proven<E: Scalar>(sample: &Sample<E>, context: &Context, gpu: &Gpu) {
        for count in [QUERIES, FEW] {
            let job = sample.job(count);
            let found = Found::new(count);
            let left = gpu.with(|engine| {
                let (mut copy, form) = (None, Form::of(&job));
                let resident = Resident::sync(&mut copy, gpu, engine, (context, 1), sample, form)?;
                let judge = Judge::new(context, &job, resident.sizes(&job.codes), false);
                under_way(engine, context, &judge, resident, &found, |call| scan::best(call, 5, 20))
            });
            assert_eq!(left.expect("no error"), Some(Vec::new()), "{:?}", gpu.lost());
            let want = Found::new(count);
            cpu::best(context, &job, 5, &want).expect("no error");
            assert_eq!(want.take(), found.take());
        }
    }

    /// Fails unless the keys that are taken as they are, and what is found, are the CPU's.
    fn finds_the_same<E: Scalar>(sample: &Sample<E>, context: &Context, gpu: &Gpu) {
        let agree = gpu.with(|engine| scans_agree(sample, context, gpu, engine)).expect("no error");
        assert_eq!(agree, Some(true), "{:?}", gpu.lost());
        for count in [QUERIES, FEW] {
            let job = sample.job(count);
            let (want, got) = (Found::new(count), Found::new(count));
            cpu::best(context, &job, 5, &want).expect("no error");
            assert!(gpu.best(context, &job, 5, &got).expect("no error"));
            assert_eq!(want.take(), got.take());
        }
    }
}
