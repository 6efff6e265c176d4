//! `y = A x + b`, and back by the pseudo-inverse of `A`.

use std::sync::OnceLock;

use nalgebra::DMatrix;

use crate::backend::{self, ListView};
use crate::codec::Encoder;
use crate::context::Context;
use crate::element::{Element, Values};
use crate::error::{Error, Result};
use crate::lists::block::lanes;
use crate::lists::{Storage, fill_blocks};
use crate::matrix::MatrixRef;

/// A matrix and an offset.
pub(crate) struct Linear {
    d_in: usize,
    d_out: usize,
    /// `[d_out, d_in]`.
    matrix: Vec<f32>,
    /// `[d_out]`, or nothing.
    offset: Vec<f32>,
    /// Where rows lie in the directions that the matrix drops: `[d_in]`, or nothing for the origin.
    centre: Vec<f32>,
    forward: Packed,
    /// Built when first asked for; `None` = there is no way back.
    backward: OnceLock<Option<Packed>>,
}

/// A matrix in the blocks that the scan's tile reads, a row a lane.
struct Packed {
    rows: usize,
    blocks: Storage<u8>,
    bias: Vec<f32>,
}

impl Packed {
    /// Of `matrix` (`[rows, dim]`) and `offset` (`[rows]` or empty).
    fn new(matrix: &[f32], offset: &[f32], dim: usize) -> Result<Self> {
        let rows = matrix.len() / dim;
        let mut blocks = Storage::new();
        blocks.to_mut()?.resize(lanes(rows) * dim * size_of::<f32>())?;
        let mut bias = vec![0.0; lanes(rows)];
        let own = blocks.to_mut()?.as_mut_slice();
        fill_blocks(matrix, dim, own, &mut bias, &Encoder::values(Element::F32));
        bias[..offset.len()].copy_from_slice(offset);
        Ok(Self { rows, blocks, bias })
    }

    fn apply(&self, context: &Context, x: MatrixRef<'_>, workers: usize, out: &mut [f32]) -> Result<()> {
        let vectors = Values::of_bytes(Element::F32, &self.blocks);
        let view = ListView { vectors, bias: &self.bias, ids: &[], live: self.rows };
        backend::multiply(context, x, view, workers, out)
    }

    fn memory_bytes(&self) -> usize {
        self.blocks.memory_bytes() + size_of_val(&self.bias[..])
    }
}

impl Linear {
    /// Of `matrix` (`[d_out, d_in]`) and `offset` (`[d_out]`, or nothing), whose values are finite.
    pub(crate) fn new(matrix: Vec<f32>, offset: Vec<f32>, d_in: usize, d_out: usize) -> Result<Self> {
        assert!(matrix.len() == d_out * d_in && (offset.is_empty() || offset.len() == d_out));
        let forward = Packed::new(&matrix, &offset, d_in)?;
        Ok(Self { d_in, d_out, matrix, offset, centre: Vec::new(), forward, backward: OnceLock::new() })
    }

    /// The same for rows around `centre` (`[d_in]`), which the way back takes for what it cannot know.
    pub(crate) fn around(self, centre: &[f32]) -> Self {
        Self { centre: centre.to_vec(), backward: OnceLock::new(), ..self }
    }

    /// `[d_out, d_in]`.
    pub(crate) fn matrix(&self) -> &[f32] {
        &self.matrix
    }

    /// `[d_out]`, or nothing.
    pub(crate) fn offset(&self) -> &[f32] {
        &self.offset
    }

    pub(super) fn apply(
        &self,
        context: &Context,
        x: MatrixRef<'_>,
        workers: usize,
        out: &mut [f32],
    ) -> Result<()> {
        self.forward.apply(context, x, workers, out)
    }

    /// The rows nearest to the centre whose images are nearest to `y`.
    pub(super) fn reverse(
        &self,
        context: &Context,
        y: MatrixRef<'_>,
        workers: usize,
        out: &mut [f32],
    ) -> Result<()> {
        let backward = self.backward.get_or_init(|| self.invert());
        let backward = backward.as_ref().ok_or_else(|| {
            Error::Unsupported("the index's transform cannot be reversed: its matrix has no full rank".into())
        })?;
        backward.apply(context, y, workers, out)
    }

    /// The way back: the transpose of an orthonormal matrix, else the pseudo-inverse.
    #[expect(clippy::cast_possible_truncation, reason = "rounds to float32")]
    fn invert(&self) -> Option<Packed> {
        let matrix = DMatrix::from_row_slice(self.d_out, self.d_in, &self.matrix).map(f64::from);
        let wide = self.d_out <= self.d_in;
        let gram = if wide { &matrix * matrix.transpose() } else { matrix.tr_mul(&matrix) };
        let from_one = (&gram - DMatrix::identity(gram.nrows(), gram.ncols())).amax();
        let inverse = if from_one < ORTHONORMAL {
            matrix.transpose()
        } else {
            let largest = gram.diagonal().amax();
            let factor = gram.cholesky().filter(|factor| {
                // A rank that is lost in rounding is no rank.
                factor.l_dirty().diagonal().iter().all(|pivot| pivot * pivot > largest * 1e-12)
            })?;
            if wide { factor.solve(&matrix).transpose() } else { factor.solve(&matrix.transpose()) }
        };
        // x = c + A' (y - b - A c).
        let column = |values: &[f32], len: usize| {
            DMatrix::from_iterator(
                len,
                1,
                values.iter().map(|&v| f64::from(v)).chain(std::iter::repeat(0.0)).take(len),
            )
        };
        let centre = column(&self.centre, self.d_in);
        let offset = &centre - &inverse * (column(&self.offset, self.d_out) + &matrix * &centre);
        let offset: Vec<f32> = offset.iter().map(|&v| v as f32).collect();
        // Column-major of the transpose is row-major of the inverse.
        let rows: Vec<f32> = inverse.transpose().iter().map(|&v| v as f32).collect();
        Packed::new(&rows, &offset, self.d_out).ok()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let backward = self.backward.get().and_then(Option::as_ref).map_or(0, Packed::memory_bytes);
        size_of_val(&self.matrix[..]) + size_of_val(&self.offset[..]) + self.forward.memory_bytes() + backward
    }
}

/// How far the products of an orthonormal matrix's rows may be from 0 and 1.
const ORTHONORMAL: f64 = 1e-4;
