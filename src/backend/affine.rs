//! Codes that stand for values by a scale and an offset a dimension, as seen by a scan.
//!
//! With `v = offset + scale * code` the products `q * v` are those of a scaled query with the codes, plus a constant a
//! query. So the tile of bytes does the scan, and nothing is decoded. Where codes are of residuals, L2 compares the
//! query's own residual with them, and an inner product adds that with the centroid.

use super::{ListView, Product, RaBitQ, Rounded};
use crate::element::Values;
use crate::kernel::bitpack;
use crate::lists::block::locate;
use crate::metric::Metric;

/// How a list's values stand for those of vectors.
#[derive(Clone, Copy)]
pub(crate) enum Codes<'a> {
    /// They are those.
    Plain,
    /// By a scale and an offset.
    Affine(Affine<'a>),
    /// The same, scanned in whole numbers; scores are estimates.
    Rounded(Rounded<'a>),
    /// By the words of a codebook.
    Product(Product<'a>),
    /// By a direction on a grid; scores are estimates.
    RaBitQ(RaBitQ<'a>),
}

/// `offset + scale * code` in each dimension, plus the centroid's value if there are centroids.
#[derive(Clone, Copy)]
pub(crate) struct Affine<'a> {
    /// Of a code; a vector's are packed by [`bitpack`].
    pub(crate) bits: u32,
    /// `[dim]`, none negative.
    pub(crate) scale: &'a [f32],
    /// `[dim]`.
    pub(crate) offset: &'a [f32],
    /// `[nlist, dim]`, where codes are of residuals.
    pub(crate) centroids: Option<&'a [f32]>,
}

impl<'a> Affine<'a> {
    pub(super) fn dim(&self) -> usize {
        self.scale.len()
    }

    /// Bytes of a vector.
    pub(super) fn columns(&self) -> usize {
        bitpack::columns(self.dim(), self.bits)
    }

    /// That of a list; empty where codes are not of residuals.
    pub(crate) fn centroid(&self, list: usize) -> &'a [f32] {
        let dim = self.dim();
        self.centroids.map_or(&[], |centroids| &centroids[list * dim..(list + 1) * dim])
    }

    /// The vector in `slot` of list number `list`, value by value.
    pub(crate) fn values<'v>(
        &self,
        view: &ListView<'v>,
        list: usize,
        slot: usize,
    ) -> impl Iterator<Item = f32> + use<'a, 'v> {
        let Self { bits, scale, offset, .. } = *self;
        let dim = self.dim();
        let (base, stride) = locate(slot, view.bias.len(), self.columns());
        let Values::U8(codes) = view.vectors else { unreachable!("invariant: codes are bytes") };
        let centroid = self.centroid(list);
        (0..dim).map(move |d| {
            let code = bitpack::code(bits, d, |column| codes[base + column * stride]);
            let value = offset[d] + scale[d] * f32::from(code);
            centroid.get(d).map_or(value, |centroid| centroid + value)
        })
    }
}

/// A query as the codes of one list see it.
#[derive(Clone, Copy)]
pub(super) struct Shifted {
    /// The squared length of what is compared with the codes (L2).
    pub(super) norm: f32,
    /// What every score lacks.
    pub(super) constant: f32,
    /// The most that the products of a score can add up to, in size.
    pub(super) reach: f32,
}

/// Sums side by side, so that the compiler can use vector registers.
const SUMS: usize = 8;

impl Shifted {
    /// Writes the factors for the codes of list number `list` into `factors`.
    pub(super) fn new(
        metric: Metric,
        affine: &Affine<'_>,
        list: usize,
        query: &[f32],
        factors: &mut [f32],
    ) -> Self {
        let centroid = affine.centroid(list);
        let sums = match (metric, centroid.is_empty()) {
            (Metric::L2, false) => Sums::of(affine, query, centroid, factors, |q, centroid, offset| {
                (q - centroid, (q - centroid) * offset)
            }),
            (_, false) => {
                Sums::of(affine, query, centroid, factors, |q, centroid, offset| (q, q * (centroid + offset)))
            }
            (_, true) => Sums::of(affine, query, query, factors, |q, _, offset| (q, q * offset)),
        };
        #[expect(clippy::cast_precision_loss, reason = "at most 255")]
        let most = ((1u32 << affine.bits) - 1) as f32;
        let norm = if metric == Metric::L2 { sums.norm.iter().sum() } else { 0.0 };
        Self { norm, constant: sums.constant.iter().sum(), reach: most * sums.factors.iter().sum::<f32>() }
    }
}

/// Squares of values, terms of the constant, sizes of factors.
#[derive(Default)]
struct Sums {
    norm: [f32; SUMS],
    constant: [f32; SUMS],
    factors: [f32; SUMS],
}

impl Sums {
    /// Writes the factors and adds up. `terms` makes of a dimension's values in query, centroid and offset the value
    /// to be compared and its term of the constant.
    #[inline(always)]
    fn of(
        affine: &Affine<'_>,
        query: &[f32],
        centroid: &[f32],
        factors: &mut [f32],
        terms: impl Fn(f32, f32, f32) -> (f32, f32),
    ) -> Self {
        let dim = affine.dim();
        let (scale, offset) = (&affine.scale[..dim], &affine.offset[..dim]);
        let (query, centroid, factors) = (&query[..dim], &centroid[..dim], &mut factors[..dim]);
        let mut sums = Self::default();
        let mut add = |lane: usize, d: usize| {
            let (value, constant) = terms(query[d], centroid[d], offset[d]);
            let factor = value * scale[d];
            factors[d] = factor;
            sums.norm[lane] += value * value;
            sums.constant[lane] += constant;
            sums.factors[lane] += factor.abs();
        };
        let whole = dim / SUMS * SUMS;
        for from in (0..whole).step_by(SUMS) {
            for lane in 0..SUMS {
                add(lane, from + lane);
            }
        }
        for d in whole..dim {
            add(d - whole, d);
        }
        sums
    }
}
