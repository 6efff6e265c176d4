//! Whether a device computes what the CPU computes, bit by bit: seen on numbers that would tell.
//!
//! The shaders' additions are those of the CPU's fused kernels, in the same order. Then results are the same where the
//! device's fused multiply-add rounds once, as on every GPU since about 2010, and where the driver's compiler leaves
//! the order alone: each kind of kernel is tried once on a sample. One thing stays: GPUs flush numbers below the
//! smallest normal one to zero. If no factor but zero is below 2^-40, every product and every sum of products is a
//! multiple of 2^-126, so that there is no such number.

use super::assign;
use super::call::Call;
use super::device::{Engine, Fault, Gpu, Outcome};
use super::exact::Judge;
use super::held::{Form, Held};
use super::resident::Resident;
use super::scratch::Scratch;
use crate::backend::{
    Affine, AssignJob, Codes, DeviceSlot, ListSource, ListView, Number, Probes, Product, RaBitQ, Rounded,
    Rows, ScanJob, Version,
};
use crate::context::Context;
use crate::element::{Element, Scalar, with_element};
use crate::kernel::{Book, bitpack};
use crate::lists::block::{BLOCK, locate};
use crate::matrix::MatrixRef;
use crate::metric::Metric;
use crate::progress::Cancel;
use crate::random::Random;

/// The smallest factor but zero with which no sum is flushed: 2^-40.
pub(super) const LEAST: f32 = f32::from_bits((127 - 40) << 23);

/// What was seen of a device so far, by what lists hold.
#[derive(Default)]
pub(super) struct Verified {
    scans: [Option<bool>; Held::COUNT],
    assign: Option<bool>,
}

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
    held: Held,
) -> Outcome<bool> {
    if resident.least < LEAST {
        return Ok(false);
    }
    let place = held.place();
    if let Some(known) = engine.verified.scans[place] {
        return Ok(known);
    }
    let tried = match held {
        Held::Values(element) => {
            with_element!(element, E => scans_agree(&Sample::<E>::new(), context, gpu, engine))
        }
        Held::Codes => scans_agree(&Sample::of_codes(8), context, gpu, engine),
        // One of all numbers of bits: only how codes are read differs, and that is whole numbers' work.
        Held::Packed => scans_agree(&Sample::of_codes(6), context, gpu, engine),
        Held::Rounded => scans_agree(&Sample::of_codes(8).rounded(), context, gpu, engine),
        Held::Words => scans_agree(&Sample::of_words(4, true), context, gpu, engine),
        Held::Tables => scans_agree(&Sample::of_words(8, false), context, gpu, engine),
        Held::PackedRounded => scans_agree(&Sample::of_codes(6).rounded(), context, gpu, engine),
        Held::Signs => scans_agree(&Sample::of_estimates(1), context, gpu, engine),
        Held::Estimates => scans_agree(&Sample::of_estimates(5), context, gpu, engine),
    };
    remembered(tried, engine, |verified| &mut verified.scans[place])
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
) -> Outcome<bool> {
    if resident.least < LEAST {
        return Ok(false);
    }
    if let Some(known) = engine.verified.assign {
        return Ok(known);
    }
    let tried = assigning_agrees(&Sample::new(), context, gpu, engine);
    remembered(tried, engine, |verified| &mut verified.assign)
}

/// Whether the labels and keys of the sample are the CPU's.
fn assigning_agrees(
    sample: &Sample<f32>,
    context: &Context,
    gpu: &Gpu,
    engine: &mut Engine,
) -> Outcome<bool> {
    let job = AssignJob {
        rows: Rows { x: MatrixRef::new("rows", &sample.queries, QUERIES, DIM)?.into(), numbers: None },
        kept: None,
        centroids: sample,
        metric: Metric::L2,
        hints: None,
        near: None,
        workers: 1,
        cancel: Cancel::default(),
    };
    let mut copy = None;
    let centroids = Resident::sync(&mut copy, gpu, engine, context.kernels(), sample, Form::plain(DIM))?;
    assign::agrees(context, engine, centroids, &job)
}

/// Dimensions of the sample: more than are summed up at once.
const DIM: usize = 300;
/// Its vectors: as many as a tile of many queries has.
const VECTORS: usize = 2 * BLOCK;
/// Its queries: enough for a tile of many; then a few of them once more, for a tile of few.
const QUERIES: usize = 30;
const FEW: usize = 3;

/// Whether all keys of the sample are the CPU's.
fn scans_agree<E: Scalar>(
    sample: &Sample<E>,
    context: &Context,
    gpu: &Gpu,
    engine: &mut Engine,
) -> Outcome<bool> {
    let mut copy = None;
    let form = Form::of(&sample.job(1));
    let resident = Resident::sync(&mut copy, gpu, engine, context.kernels(), sample, form)?;
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
    let mut call = Call::new(context, engine, &job);
    while let Some(round) = call.plan(resident)? {
        let flight = call.launch(round, resident, VECTORS)?;
        if !judge.agrees(&call.land(flight)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A list, and queries.
pub(super) struct Sample<E> {
    vectors: Vec<E>,
    bias: Vec<f32>,
    ids: Vec<i64>,
    queries: Vec<f32>,
    /// Of codes the bits, the scale, the offset and the centroid.
    coded: Option<(u32, [Vec<f32>; 3])>,
    /// The middle of the codes, if queries are rounded.
    centre: Option<Vec<f32>>,
    /// Of RaBitQ codes the bits and the centroid.
    estimates: Option<(u32, Vec<f32>)>,
    /// Of codes by words the bits, whether tables are of bytes, the words, as many numbers as there are words, and the
    /// centroid.
    words: Option<(u32, bool, [Vec<f32>; 3])>,
    version: Version,
    device: DeviceSlot,
}

impl<E: Scalar> Sample<E> {
    fn new() -> Self {
        let mut random = Random::new(1);
        // Of bytes the whole range is meant.
        let scale = if E::values(&[]).element() == Element::U8 { 255.0 } else { 1.0 };
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        let mut number = |from: f64| (from + random.unit() * (1.0 - from)) as f32;
        let from = if scale == 1.0 { -1.0 } else { 0.0 };
        let wide: Vec<f32> = (0..VECTORS * DIM).map(|_| scale * number(from)).collect();
        let mut vectors = vec![E::zeroed(); wide.len()];
        let narrow = E::narrow(&wide, &mut vectors).to_vec();
        let bias = (0..VECTORS).map(|_| -40.0 * number(0.0)).collect();
        let queries = (0..QUERIES * DIM).map(|_| number(-1.0)).collect();
        Self {
            vectors: narrow,
            bias,
            ids: (0i64..).take(VECTORS).collect(),
            queries,
            coded: None,
            centre: None,
            estimates: None,
            words: None,
            version: Version::new(),
            device: DeviceSlot::default(),
        }
    }
}

impl Sample<u8> {
    /// One of codes of residuals, of so many bits.
    pub(super) fn of_codes(bits: u32) -> Self {
        let mut random = Random::new(2);
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        let mut numbers =
            |from: f64, to: f64| (0..DIM).map(|_| (from + random.unit() * (to - from)) as f32).collect();
        let coded = [numbers(0.01, 0.02), numbers(-2.0, -1.0), numbers(-1.0, 1.0)];
        Self::new().with_codes(bits, coded)
    }

    /// The same with codes that stand for this.
    fn with_codes(mut self, bits: u32, coded: [Vec<f32>; 3]) -> Self {
        let affine = Affine { bits, scale: &coded[0], offset: &coded[1], centroids: None };
        self.vectors.truncate(VECTORS * affine.columns());
        let bias = (0..VECTORS).map(|slot| {
            let values = affine.values(&self.list(0), 0, slot);
            -0.5 * values.map(|value| value * value).sum::<f32>()
        });
        self.bias = bias.collect();
        self.coded = Some((bits, coded));
        self
    }
}

impl Sample<u8> {
    /// The same for rounded queries.
    fn rounded(self) -> Self {
        let half = |(bits, _): &(u32, _)| 0.5 * f32::from(u8::MAX >> (8 - bits));
        let centre = self.coded.as_ref().map(|coded| vec![half(coded); DIM]);
        Self { centre, ..self }
    }
}

impl Sample<u8> {
    /// One of codes of residuals by words, of parts of six dimensions.
    pub(super) fn of_words(bits: u32, fast: bool) -> Self {
        let mut random = Random::new(3);
        let (parts, count) = (DIM / 6, 1 << bits);
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        let mut numbers = |count| (0..count).map(|_| (random.unit() * 2.0 - 1.0) as f32).collect();
        let words = Some((bits, fast, [numbers(DIM * count), numbers(parts * count), numbers(DIM)]));
        let mut sample = Self { words, ..Self::new() };
        sample.vectors.truncate(VECTORS * bitpack::columns(parts, bits));
        sample
    }
}

impl Sample<u8> {
    /// One of RaBitQ codes, of so many bits.
    fn of_estimates(bits: u32) -> Self {
        let mut random = Random::new(4);
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        let mut number = |from: f64, to: f64| (from + random.unit() * (to - from)) as f32;
        let centroid = (0..DIM).map(|_| number(-1.0, 1.0)).collect();
        let mut sample = Self { estimates: Some((bits, centroid)), ..Self::new() };
        let Codes::RaBitQ(codes) = sample.codes() else { unreachable!("invariant: given above") };
        let (columns, numbers) = (codes.columns(), [Number::Factor, Number::Length].map(|n| codes.column(n)));
        sample.vectors.truncate(VECTORS * columns);
        for slot in 0..VECTORS {
            let (base, stride) = locate(slot, VECTORS, columns);
            for (column, value) in numbers.into_iter().zip([number(0.001, 0.02), number(5.0, 9.0)]) {
                for (place, byte) in value.to_le_bytes().into_iter().enumerate() {
                    sample.vectors[base + (column + place) * stride] = byte;
                }
            }
        }
        sample
    }
}

impl<E: Scalar> Sample<E> {
    fn codes(&self) -> Codes<'_> {
        if let Some((bits, centroids)) = &self.estimates {
            return Codes::RaBitQ(RaBitQ {
                dim: DIM,
                bits: *bits,
                products: false,
                centroids,
                deviations: None,
            });
        }
        if let Some((bits, fast, [values, halves, centroid])) = &self.words {
            let book = Book { words: 1 << bits, values, halves };
            let (words, centroids) = (&values[..], Some(&centroid[..]));
            return Codes::Product(Product { dim: DIM, bits: *bits, fast: *fast, words, book, centroids });
        }
        match &self.coded {
            None => Codes::Plain,
            Some((bits, [scale, offset, centroid])) => {
                let affine = Affine { bits: *bits, scale, offset, centroids: Some(centroid) };
                match &self.centre {
                    Some(centre) => Codes::Rounded(Rounded { affine, centre, bounds: None }),
                    None => Codes::Affine(affine),
                }
            }
        }
    }

    /// All distances of the first `count` queries.
    pub(super) fn job(&self, count: usize) -> ScanJob<'_> {
        ScanJob {
            dim: DIM,
            metric: Metric::L2,
            queries: &self.queries[..count * DIM],
            count,
            probes: Probes::All,
            codes: self.codes(),
            lists: self,
            vectors: VECTORS,
            places: false,
            copies: false,
            filter: None,
            bars: None,
            keys: None,
            budget: None,
            max_codes: usize::MAX,
            workers: 1,
            cancel: Cancel::default(),
        }
    }
}

impl<E: Scalar> ListSource for Sample<E> {
    fn list_count(&self) -> usize {
        1
    }

    fn list(&self, _: usize) -> ListView<'_> {
        let vectors = E::values(&self.vectors);
        ListView { vectors, bias: &self.bias, ids: &self.ids, live: self.ids.len() }
    }

    fn version(&self, _: usize) -> [Version; 2] {
        [self.version; 2]
    }

    fn device(&self) -> Option<&DeviceSlot> {
        Some(&self.device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::device::DeviceKind;
    use crate::backend::gpu::adapter::adapters;
    use crate::backend::gpu::probe::Found;
    use crate::backend::gpu::scan;
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
        let trusted = Verified { scans: [Some(true); Held::COUNT], assign: Some(true) };
        let mut trusted = Some(trusted);
        gpu.with(|engine| {
            engine.verified = trusted.take().expect("once");
            Ok(())
        })
        .expect("no error")
        .expect("a device");

        let mut sample = Sample::<f32>::new();
        let numbers = sample.vectors.iter_mut().chain(&mut sample.queries).chain(&mut sample.bias);
        numbers.for_each(|number| *number = (*number * 8.0).round());
        finds_the_same(&sample, &context, &gpu);
        for bits in [8, 6, 4] {
            let mut codes = Sample::<u8>::new();
            if bits == 8 {
                codes.vectors.iter_mut().for_each(|code| *code /= 8);
            }
            codes.queries.clone_from(&sample.queries);
            let coded = [vec![1.0; DIM], vec![-7.0; DIM], sample.queries[DIM..2 * DIM].to_vec()];
            finds_the_same(&codes.with_codes(bits, coded), &context, &gpu);
        }
        let agree = gpu.with(|engine| assigning_agrees(&sample, &context, &gpu, engine)).expect("no error");
        assert_eq!(agree, Some(true), "{:?}", gpu.lost());
    }
    #[test]
    fn keys_of_any_arithmetic_tell_what_is_best() {
        let Some((gpu, context)) = emulated() else { return };
        is_proven(&Sample::<f32>::new(), &context, &gpu);
        for bits in [8, 6, 4] {
            is_proven(&Sample::of_codes(bits), &context, &gpu);
        }
        is_proven(&Sample::of_estimates(5), &context, &gpu);
        for bits in [8, 4] {
            is_proven(&Sample::of_words(bits, false), &context, &gpu);
        }
    }

    /// Of rounded queries and of tables of bytes all is whole numbers, sums and products apart, and exact quotients, of
    /// tables of floats sums alone: any device's keys are the CPU's.
    #[test]
    fn keys_of_whole_numbers_and_of_sums_are_the_cpus_everywhere() {
        let Some((gpu, context)) = emulated() else { return };
        for bits in [8, 6, 4] {
            finds_the_same(&Sample::of_codes(bits).rounded(), &context, &gpu);
        }
        for (bits, fast) in [(4, true), (4, false), (8, false)] {
            finds_the_same(&Sample::of_words(bits, fast), &context, &gpu);
        }
        finds_the_same(&Sample::of_estimates(1), &context, &gpu);
    }

    /// Fails unless what the device leaves out is proven to be none of the best, so that the CPU has nothing to search.
    fn is_proven<E: Scalar>(sample: &Sample<E>, context: &Context, gpu: &Gpu) {
        for count in [QUERIES, FEW] {
            let job = sample.job(count);
            let found = Found::new(count);
            let left = gpu.with(|engine| {
                let (mut copy, form) = (None, Form::of(&job));
                let resident = Resident::sync(&mut copy, gpu, engine, context.kernels(), sample, form)?;
                let judge = Judge::new(context, &job, resident.sizes(&job.codes), false);
                scan::best(&judge, &mut Call::new(context, engine, &job), resident, (5, 20), &found)
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
