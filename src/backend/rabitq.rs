//! Codes of RaBitQ as a scan sees them (Gao and Long, SIGMOD 2024; Gao et al., SIGMOD 2025).
//!
//! A vector `v` of a list with the centroid `c` is held as the direction of its residual `r = v - c`, a vector `u` of
//! a grid, and two numbers: its length `|r|` and the factor `|r|^2 / <u, r>`, by which `<u, y>` estimates `<r, y>` for
//! any `y`. Where the data was rotated at random the estimate is unbiased. What a query compares is its own residual
//! `y = q - c`:
//!
//! - `|q - v|^2 = |y|^2 + |r|^2 - 2 <r, y>`,
//! - `<q, v> = <q, c> + <r, c> + <r, y>`, for which `<r, c>` is a third number.
//!
//! Only `<r, y>` is estimated, and its error is a share of `|r| |y|`: the nearer the centroid, the smaller. Codes of one
//! bit are looked up, four dimensions at a time, in tables of bytes; what that rounds is small beside this error.
//!
//! With `x` the cosine of `u` and `r`, the error has the standard deviation `|r| |y| sqrt(1 / x^2 - 1) / sqrt(d - 1)` or
//! less (theorem 3.2 of the first paper): that of `<u, y>` times the factor, `|y|` times the distance of `u` from the line
//! of `r` over `sqrt(d - 1)`. So `<u, y>` plus so many deviations is a bound, and takes no more than the estimate.

use std::ops::Range;
use std::sync::Arc;

use super::ListView;
use crate::element::Values;
use crate::kernel::{Kernels, Residual, Steps, bitpack};
use crate::lists::block::locate;
use crate::metric::Metric;

/// Bytes of a number of a vector's: columns behind those of its code.
const NUMBER: usize = size_of::<f32>();

/// What the numbers of a vector are, in the order of their columns.
#[derive(Clone, Copy)]
pub(crate) enum Number {
    /// `|r|^2 / <u, r>`.
    Factor,
    /// `|r|`.
    Length,
    /// `<r, c>`, where products are estimated.
    Product,
}

/// A code `k` of `bits` stands for `k - (2^bits - 1) / 2` in its dimension of the grid.
#[derive(Clone, Copy)]
pub(crate) struct RaBitQ<'a> {
    pub(crate) dim: usize,
    /// Of a code; a vector's are packed by [`bitpack`].
    pub(crate) bits: u32,
    /// Whether products are estimated, else squared distances.
    pub(crate) products: bool,
    /// `[nlist, dim]`.
    pub(crate) centroids: &'a [f32],
    /// Of each list, where keys are to be the least that they can be by the bound.
    pub(crate) deviations: Option<&'a [Arc<Deviations>]>,
}

/// How many standard deviations an estimate is trusted to: of 100 one is off by more to the worse side. With 1.9, as in
/// the papers, it is 3, and of the 10 nearest of 128 normal numbers at 1 bit 1 in 100 is lost instead of 1 in 300.
pub(super) const CONFIDENCE: f32 = 2.3;

/// The standard deviations of `<u, y>` for a `y` of length 1, of the vectors of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Deviations {
    /// The largest.
    pub(super) most: f32,
    /// By slot.
    pub(super) each: Vec<f32>,
}

impl Deviations {
    /// Takes those of some slots in.
    pub(crate) fn put(&mut self, from: usize, part: &[f32]) {
        self.each.resize(self.each.len().max(from + part.len()), 0.0);
        self.each[from..from + part.len()].copy_from_slice(part);
        self.most = part.iter().copied().fold(self.most, f32::max);
    }
}

impl<'a> RaBitQ<'a> {
    /// The same, with keys that are the least that they can be by the bound.
    pub(crate) fn with_deviations(self, deviations: &'a [Arc<Deviations>]) -> Self {
        Self { deviations: Some(deviations), ..self }
    }

    /// Those of some slots of a list, see [`Deviations`].
    pub(crate) fn measure(&self, view: &ListView<'_>, slots: Range<usize>) -> Vec<f32> {
        let centre = f64::from(self.centre());
        let others = self.dim.saturating_sub(1).max(1);
        #[expect(clippy::cast_precision_loss, reason = "at most 2^20")]
        let others = others as f64;
        slots
            .map(|slot| {
                let vector = Vector::new(self, view, slot);
                let squares = vector.codes().map(|code| (f64::from(code) - centre).powi(2)).sum::<f64>();
                let [factor, length] =
                    [Number::Factor, Number::Length].map(|number| f64::from(vector.number(number)));
                // <u, r> / |r|; of a vector at the centroid nothing is estimated.
                let along = if factor == 0.0 { squares.sqrt() } else { length / factor };
                #[expect(clippy::cast_possible_truncation, reason = "rounded to what is held")]
                let deviation = ((squares - along * along).max(ROUNDED * squares) / others).sqrt() as f32;
                deviation
            })
            .collect()
    }

    /// Bytes of a vector.
    pub(crate) fn columns(&self) -> usize {
        self.column(if self.products { Number::Product } else { Number::Length }) + NUMBER
    }

    /// The first column of a number.
    pub(crate) fn column(&self, number: Number) -> usize {
        column(self.code_columns(), number)
    }

    /// That of a list.
    pub(crate) fn centroid(&self, list: usize) -> &'a [f32] {
        &self.centroids[list * self.dim..(list + 1) * self.dim]
    }

    /// Whether scores are looked up: of codes of one bit, unless sums of so many bytes would be too coarse.
    pub(super) fn looks_up(&self) -> bool {
        const MOST: usize = 1 << 13;
        self.bits == 1 && self.dim <= MOST
    }

    /// The standard deviation of what these steps round of the products with the codes: each of the query's values by up
    /// to half a step, and a code counts it by a half.
    pub(super) fn rounding(&self, steps: Steps) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let values = self.dim as f32;
        0.5 * steps.step * (values / 12.0).sqrt()
    }

    /// Columns of the codes alone.
    pub(super) fn code_columns(&self) -> usize {
        bitpack::columns(self.dim, self.bits)
    }

    /// What code 0 stands for, the sign apart.
    pub(crate) fn centre(&self) -> f32 {
        centre(self.bits)
    }

    /// A number of every lane of a block, `out.len()` of them.
    pub(crate) fn numbers(&self, number: Number, block: &[u8], out: &mut [f32]) {
        let width = out.len();
        let first = self.column(number);
        let row = |byte: usize| &block[(first + byte) * width..(first + byte + 1) * width];
        let lanes = row(0).iter().zip(row(1)).zip(row(2).iter().zip(row(3)));
        for (out, ((&a, &b), (&c, &d))) in out.iter_mut().zip(lanes) {
            *out = f32::from_le_bytes([a, b, c, d]);
        }
    }

    /// The vector in `slot` of list number `list`, value by value: of all multiples of its direction the one that is
    /// nearest.
    pub(crate) fn values<'v>(
        &self,
        view: &ListView<'v>,
        list: usize,
        slot: usize,
    ) -> impl Iterator<Item = f32> + use<'a, 'v> {
        let centre = self.centre();
        let vector = Vector::new(self, view, slot);
        let codes = move || vector.codes().map(move |code| f32::from(code) - centre);
        let squares: f32 = codes().map(|code| code * code).sum();
        let (factor, length) = (vector.number(Number::Factor), vector.number(Number::Length));
        // factor = |r|^2 / <u, r>, so this is <u, r> / |u|^2.
        let scale = if factor == 0.0 { 0.0 } else { length / factor * (length / squares) };
        codes().zip(self.centroid(list)).map(move |(code, centroid)| centroid + scale * code)
    }
}

/// What rounding takes from a difference of squares, as a share of those: of the factor and the length once each.
const ROUNDED: f64 = 2.5e-7;

/// One vector of a list.
#[derive(Clone, Copy)]
struct Vector<'v> {
    bits: u32,
    dim: usize,
    code_columns: usize,
    bytes: &'v [u8],
    base: usize,
    stride: usize,
}

impl<'v> Vector<'v> {
    fn new(codes: &RaBitQ<'_>, view: &ListView<'v>, slot: usize) -> Self {
        let (base, stride) = locate(slot, view.bias.len(), codes.columns());
        let Values::U8(bytes) = view.vectors else { unreachable!("invariant: codes are bytes") };
        Self { bits: codes.bits, dim: codes.dim, code_columns: codes.code_columns(), bytes, base, stride }
    }

    fn byte(self, column: usize) -> u8 {
        self.bytes[self.base + column * self.stride]
    }

    fn codes(self) -> impl Iterator<Item = u8> + use<'v> {
        (0..self.dim).map(move |d| bitpack::code(self.bits, d, |column| self.byte(column)))
    }

    fn number(self, number: Number) -> f32 {
        let first = column(self.code_columns, number);
        f32::from_le_bytes([0, 1, 2, 3].map(|place| self.byte(first + place)))
    }
}

/// The first column of a number behind those of a code.
fn column(code_columns: usize, number: Number) -> usize {
    code_columns + number as usize * NUMBER
}

/// What code 0 of so many bits stands for, the sign apart.
pub(crate) fn centre(bits: u32) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "at most 255")]
    let most = ((1u32 << bits) - 1) as f32;
    0.5 * most
}

/// A query as the codes of one list see it.
#[derive(Clone, Copy, Default)]
pub(super) struct Seen {
    /// The squared length of its residual, where distances are estimated.
    pub(super) norm: f32,
    /// What every score lacks.
    pub(super) constant: f32,
    /// What the products with the codes lack of those with the grid.
    pub(super) base: f32,
    /// The length of its residual, of RaBitQ.
    pub(super) length: f32,
}

impl Seen {
    /// Writes the query's residual from the centroid of list number `list`.
    pub(super) fn new(
        kernels: &Kernels,
        metric: Metric,
        codes: &RaBitQ<'_>,
        list: usize,
        query: &[f32],
        residual: &mut [f32],
    ) -> Self {
        let Residual { norm, product, sum } = kernels.residual(query, codes.centroid(list), residual);
        let base = -codes.centre() * sum;
        let length = norm.sqrt();
        match metric {
            Metric::L2 => Self { norm, constant: 0.0, base, length },
            _ => Self { norm: 0.0, constant: product, base, length },
        }
    }
}
