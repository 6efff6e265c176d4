//! Rows into the blocks of a list.

use super::words::Coder;
use super::{Scalar, product, rabitq};
use crate::backend::{Affine, Number, Product, RaBitQ};
use crate::element::{Element, Values, with_element};
use crate::kernel::{Kernels, bitpack};
use crate::lists::block::{BLOCK, scatter};
use crate::metric::Metric;

/// What turns rows into what the lists of one index hold.
#[derive(Clone, Copy)]
pub(crate) struct Encoder<'a> {
    /// Whether a score starts from minus half the squared length (L2), else from 0.
    by_length: bool,
    kind: Kind<'a>,
}

#[derive(Clone, Copy)]
enum Kind<'a> {
    /// With the kernels, where lengths are wanted.
    Plain {
        element: Element,
        kernels: Option<&'static Kernels>,
    },
    Scalar {
        scalar: &'a Scalar,
        affine: Affine<'a>,
        list: usize,
    },
    Product {
        coder: Coder<'a>,
        list: usize,
    },
    RaBitQ {
        codes: RaBitQ<'a>,
        list: usize,
    },
}

impl<'a> Encoder<'a> {
    /// The values themselves.
    pub(crate) fn plain(kernels: &'static Kernels, metric: Metric, element: Element) -> Self {
        Self { by_length: metric == Metric::L2, kind: Kind::Plain { element, kernels: Some(kernels) } }
    }

    /// The values themselves, with scores that start from 0.
    pub(crate) fn values(element: Element) -> Self {
        Self { by_length: false, kind: Kind::Plain { element, kernels: None } }
    }

    pub(super) fn scalar(metric: Metric, scalar: &'a Scalar, affine: Affine<'a>) -> Self {
        Self { by_length: metric == Metric::L2, kind: Kind::Scalar { scalar, affine, list: 0 } }
    }

    /// For inner products by words that lose the share `lost`, if that is known.
    pub(super) fn product(
        kernels: &'static Kernels,
        metric: Metric,
        codes: Product<'a>,
        lost: Option<f32>,
    ) -> Self {
        let by_length = metric == Metric::L2;
        let share = lost.filter(|_| !by_length).map(|lost| 1.0 - lost);
        Self { by_length, kind: Kind::Product { coder: Coder { kernels, codes, share }, list: 0 } }
    }

    pub(super) fn rabitq(codes: RaBitQ<'a>) -> Self {
        Self { by_length: !codes.products, kind: Kind::RaBitQ { codes, list: 0 } }
    }

    /// For list number `list`.
    pub(crate) fn at(self, list: usize) -> Self {
        match self.kind {
            Kind::Plain { .. } => self,
            Kind::Scalar { scalar, affine, .. } => {
                Self { kind: Kind::Scalar { scalar, affine, list }, ..self }
            }
            Kind::Product { coder, .. } => Self { kind: Kind::Product { coder, list }, ..self },
            Kind::RaBitQ { codes, .. } => Self { kind: Kind::RaBitQ { codes, list }, ..self },
        }
    }

    /// What lists hold.
    pub(crate) fn element(&self) -> Element {
        match self.kind {
            Kind::Plain { element, .. } => element,
            Kind::Scalar { .. } | Kind::Product { .. } | Kind::RaBitQ { .. } => Element::U8,
        }
    }

    /// How many elements a vector of `dim` dimensions has.
    pub(crate) fn columns(&self, dim: usize) -> usize {
        match self.kind {
            Kind::Plain { .. } => dim,
            Kind::Scalar { scalar, .. } => bitpack::columns(dim, scalar.bits),
            Kind::Product { coder, .. } => coder.codes.columns(),
            Kind::RaBitQ { codes, .. } => codes.columns(),
        }
    }

    /// Writes `rows` of `x` (`[n, dim]`) as neighbouring lanes of a block whose first one begins `out`; from one
    /// element to a vector's next it is `stride`.
    pub(crate) fn encode(&self, x: &[f32], dim: usize, rows: &[u32], out: &mut [u8], stride: usize) {
        match self.kind {
            Kind::Plain { element, .. } => with_element!(element, E => {
                scatter::<E>(x, dim, rows, bytemuck::cast_slice_mut(out), stride);
            }),
            Kind::Scalar { scalar, affine, list } => {
                let centroid = affine.centroid(list);
                scatter_codes(scalar, centroid, x, dim, rows, out, stride);
            }
            Kind::Product { coder, list } => coder.scatter(list, x, rows, out, stride),
            Kind::RaBitQ { codes, list } => rabitq::scatter(&codes, list, x, rows, out, stride),
        }
    }

    /// What each lane's score starts from, of a block as it is stored: `[columns][width]`, `out` `[width]`.
    pub(crate) fn bias(&self, block: Values<'_>, out: &mut [f32]) {
        if let (Kind::RaBitQ { codes, .. }, false, Values::U8(block)) = (self.kind, self.by_length, block) {
            codes.numbers(Number::Product, block, out);
            return;
        }
        if !self.by_length {
            out.fill(0.0);
            return;
        }
        match (self.kind, block) {
            (Kind::Plain { kernels: Some(kernels), .. }, block) => kernels.squares(block, out),
            (Kind::Scalar { affine, .. }, Values::U8(block)) => squares(&affine, block, out),
            (Kind::Product { coder, list }, Values::U8(block)) => {
                product::squares(&coder.codes, list, block, out);
            }
            (Kind::RaBitQ { codes, .. }, Values::U8(block)) => {
                codes.numbers(Number::Length, block, out);
                out.iter_mut().for_each(|length| *length *= *length);
            }
            (_, _) => {
                unreachable!("invariant: codes are bytes, and lengths have their kernels")
            }
        }
        out.iter_mut().for_each(|bias| *bias *= -0.5);
    }
}

/// The squared length of what each lane's codes stand for, without the centroid.
fn squares(affine: &Affine<'_>, block: &[u8], out: &mut [f32]) {
    let mut codes = [0u8; BLOCK];
    let codes = &mut codes[..out.len()];
    out.fill(0.0);
    for (d, (&scale, &offset)) in affine.scale.iter().zip(affine.offset).enumerate() {
        bitpack::unpack_row(affine.bits, d, block, codes);
        for (sum, &code) in out.iter_mut().zip(&*codes) {
            let value = offset + scale * f32::from(code);
            *sum += value * value;
        }
    }
}

/// Dimensions written at a time: the lines written stay in L1 while every row passes over them.
const STEP: usize = 16;

/// As [`scatter`], as codes.
fn scatter_codes(
    scalar: &Scalar,
    centroid: &[f32],
    x: &[f32],
    dim: usize,
    rows: &[u32],
    out: &mut [u8],
    stride: usize,
) {
    let (mut codes, mut bytes) = ([0; STEP], [0; STEP]);
    for from in (0..dim).step_by(STEP) {
        let to = (from + STEP).min(dim);
        // A step begins a byte.
        let first = bitpack::columns(from, scalar.bits);
        let (codes, bytes) =
            (&mut codes[..to - from], &mut bytes[..bitpack::columns(to - from, scalar.bits)]);
        for (lane, &row) in rows.iter().enumerate() {
            let row = row as usize * dim;
            scalar.encode(from, &x[row + from..row + to], centroid, codes);
            bitpack::pack(scalar.bits, codes, bytes);
            for (column, &byte) in bytes.iter().enumerate() {
                out[(first + column) * stride + lane] = byte;
            }
        }
    }
}
