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

use super::ListView;
use crate::element::Values;
use crate::kernel::{Kernels, Residual, bitpack};
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
}

impl<'a> RaBitQ<'a> {
    /// Bytes of a vector.
    pub(crate) fn columns(&self) -> usize {
        self.column(if self.products { Number::Product } else { Number::Length }) + NUMBER
    }

    /// The first column of a number.
    pub(crate) fn column(&self, number: Number) -> usize {
        self.code_columns() + number as usize * NUMBER
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
        let Self { dim, bits, .. } = *self;
        let (base, stride) = locate(slot, view.bias.len(), self.columns());
        let Values::U8(bytes) = view.vectors else { unreachable!("invariant: codes are bytes") };
        let byte = move |column: usize| bytes[base + column * stride];
        let number = |number: Number| {
            let first = self.column(number);
            f32::from_le_bytes([0, 1, 2, 3].map(|place| byte(first + place)))
        };
        let centre = self.centre();
        let code = move |d: usize| f32::from(bitpack::code(bits, d, byte)) - centre;
        let squares: f32 = (0..dim).map(|d| code(d) * code(d)).sum();
        let (factor, length) = (number(Number::Factor), number(Number::Length));
        // factor = |r|^2 / <u, r>, so this is <u, r> / |u|^2.
        let scale = if factor == 0.0 { 0.0 } else { length / factor * (length / squares) };
        let centroid = self.centroid(list);
        (0..dim).map(move |d| centroid[d] + scale * code(d))
    }
}

/// What code 0 of so many bits stands for, the sign apart.
pub(crate) fn centre(bits: u32) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "at most 255")]
    let most = ((1u32 << bits) - 1) as f32;
    0.5 * most
}

/// A query as the codes of one list see it.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    /// The squared length of its residual, where distances are estimated.
    pub(super) norm: f32,
    /// What every score lacks.
    pub(super) constant: f32,
    /// What the products with the codes lack of those with the grid.
    pub(super) base: f32,
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
        match metric {
            Metric::L2 => Self { norm, constant: 0.0, base },
            _ => Self { norm: 0.0, constant: product, base },
        }
    }
}
