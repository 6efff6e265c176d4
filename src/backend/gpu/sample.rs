//! Numbers on which a device is tried: they would tell if it computed what the CPU does not.

use crate::backend::{
    Affine, Codes, DeviceSlot, ListSource, ListView, Number, Product, RaBitQ, Rounded, ScanJob, Version,
};
use crate::element::{Element, Scalar};
use crate::kernel::{Book, bitpack};
use crate::lists::block::{BLOCK, locate};
use crate::metric::Metric;
use crate::random::Random;

/// Its vectors: as many as a tile of many queries has.
pub(super) const VECTORS: usize = 2 * BLOCK;
/// Its queries: enough for a tile of many.
pub(super) const QUERIES: usize = 30;

/// A list, and queries.
pub(super) struct Sample<E> {
    pub(super) dim: usize,
    pub(super) vectors: Vec<E>,
    pub(super) bias: Vec<f32>,
    ids: Vec<i64>,
    pub(super) queries: Vec<f32>,
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
    pub(super) fn new(dim: usize) -> Self {
        let mut random = Random::new(1);
        // Of bytes the whole range is meant.
        let scale = if E::values(&[]).element() == Element::U8 { 255.0 } else { 1.0 };
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        let mut number = |from: f64| (from + random.unit() * (1.0 - from)) as f32;
        let from = if scale == 1.0 { -1.0 } else { 0.0 };
        let wide: Vec<f32> = (0..VECTORS * dim).map(|_| scale * number(from)).collect();
        let mut vectors = vec![E::zeroed(); wide.len()];
        let narrow = E::narrow(&wide, &mut vectors).to_vec();
        let bias = (0..VECTORS).map(|_| -40.0 * number(0.0)).collect();
        let queries = (0..QUERIES * dim).map(|_| number(-1.0)).collect();
        Self {
            dim,
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
    pub(super) fn of_codes(dim: usize, bits: u32) -> Self {
        let mut random = Random::new(2);
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        let mut numbers =
            |from: f64, to: f64| (0..dim).map(|_| (from + random.unit() * (to - from)) as f32).collect();
        let coded = [numbers(0.01, 0.02), numbers(-2.0, -1.0), numbers(-1.0, 1.0)];
        Self::new(dim).with_codes(bits, coded)
    }

    /// The same with codes that stand for this.
    pub(super) fn with_codes(mut self, bits: u32, coded: [Vec<f32>; 3]) -> Self {
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
    pub(super) fn rounded(self) -> Self {
        let half = |(bits, _): &(u32, _)| 0.5 * f32::from(u8::MAX >> (8 - bits));
        let centre = self.coded.as_ref().map(|coded| vec![half(coded); self.dim]);
        Self { centre, ..self }
    }
}

impl Sample<u8> {
    /// One of codes of residuals by words, of parts of six dimensions.
    pub(super) fn of_words(dim: usize, bits: u32, fast: bool) -> Self {
        let mut random = Random::new(3);
        let (parts, count) = (dim / 6, 1 << bits);
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        let mut numbers = |count| (0..count).map(|_| (random.unit() * 2.0 - 1.0) as f32).collect();
        let words = Some((bits, fast, [numbers(dim * count), numbers(parts * count), numbers(dim)]));
        let mut sample = Self { words, ..Self::new(dim) };
        sample.vectors.truncate(VECTORS * bitpack::columns(parts, bits));
        sample
    }
}

impl Sample<u8> {
    /// One of RaBitQ codes, of so many bits.
    pub(super) fn of_estimates(dim: usize, bits: u32) -> Self {
        let mut random = Random::new(4);
        #[expect(clippy::cast_possible_truncation, reason = "any number will do")]
        let mut number = |from: f64, to: f64| (from + random.unit() * (to - from)) as f32;
        let centroid = (0..dim).map(|_| number(-1.0, 1.0)).collect();
        let mut sample = Self { estimates: Some((bits, centroid)), ..Self::new(dim) };
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
                dim: self.dim,
                bits: *bits,
                products: false,
                centroids,
                deviations: None,
            });
        }
        if let Some((bits, fast, [values, halves, centroid])) = &self.words {
            let book = Book { words: 1 << bits, values, halves };
            let (words, centroids) = (&values[..], Some(&centroid[..]));
            return Codes::Product(Product {
                dim: self.dim,
                bits: *bits,
                fast: *fast,
                words,
                book,
                centroids,
            });
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
        let queries = &self.queries[..count * self.dim];
        ScanJob { codes: self.codes(), ..ScanJob::of_all(Metric::L2, self.dim, queries, self, VECTORS) }
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
