//! The rows of a two-stage search, as they are kept beside the codes.

use super::{Codec, Encoder};
use crate::context::Context;
use crate::element::{Element, Values};
use crate::kernel::Kernels;
use crate::metric::Metric;
use crate::rows::RowsRef;

/// What writes the rows of a batch as they are kept: each as one stretch of bytes.
pub(crate) struct Keeper<'a> {
    rows: RowsRef<'a>,
    encoder: Encoder<'a>,
}

impl<'a> Keeper<'a> {
    /// Of these rows, in these codes, which are not of residuals.
    pub(crate) fn new(rows: RowsRef<'a>, codec: &'a Codec, context: &Context) -> Self {
        Self { rows, encoder: codec.encoder(context.kernels(), Metric::InnerProduct, None) }
    }

    /// Of these bytes, as they are.
    pub(crate) fn of_bytes(rows: RowsRef<'a>) -> Self {
        Self { rows, encoder: Encoder::values(Element::U8) }
    }

    /// Writes the rows of these numbers one after another; `out` is as long as they are.
    pub(crate) fn keep(&self, numbers: &[u32], out: &mut [u8]) {
        if numbers.is_empty() {
            return;
        }
        let bytes = out.len() / numbers.len();
        let mut buffer = Vec::new();
        for (&number, out) in numbers.iter().zip(out.chunks_exact_mut(bytes)) {
            let row = self.rows.row(number as usize, &mut buffer);
            self.encoder.encode(row, row.len(), &[0], out, 1);
        }
    }
}

impl Codec {
    /// Bytes of a row of `dim` dimensions as it is kept.
    pub(crate) fn row_bytes(&self, dim: usize) -> usize {
        self.columns(dim) * self.element().size()
    }

    /// The vector that a kept row stands for: in place, if that is its values, else written to `out`.
    #[inline]
    pub(crate) fn row_values<'a>(&self, kernels: &Kernels, row: &'a [u8], out: &'a mut [f32]) -> &'a [f32] {
        if let Self::Plain(Element::F32) = self
            && let Ok(values) = bytemuck::try_cast_slice(row)
        {
            return values;
        }
        self.read_row(kernels, row, out);
        out
    }

    /// Whether kept rows are float16 values, in place.
    pub(crate) fn keeps_halves(&self) -> bool {
        matches!(self, Self::Plain(Element::F16))
    }

    /// Writes the vector that a kept row stands for.
    pub(crate) fn read_row(&self, kernels: &Kernels, row: &[u8], out: &mut [f32]) {
        match self {
            Self::Plain(element) => kernels.pairs.widen(Values::of_bytes(*element, row), out),
            Self::Scalar(scalar) => kernels.pairs.decode(scalar.coded(row), out),
            _ => unreachable!("invariant: rows are kept as values or by scalar codes"),
        }
    }
}
