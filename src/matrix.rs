//! Rows of vectors, borrowed: shape and finiteness are checked once, at the door.

use crate::error::{Error, Result};

/// A row-major `[rows, dim]` float32 matrix whose length is known to fit.
#[derive(Clone, Copy, Debug)]
pub struct MatrixRef<'a> {
    data: &'a [f32],
    rows: usize,
    dim: usize,
}

impl<'a> MatrixRef<'a> {
    /// A view of `data` as `rows` rows of `dim` columns; `what` names the argument in errors.
    pub fn new(what: &'static str, data: &'a [f32], rows: usize, dim: usize) -> Result<Self> {
        if dim == 0 {
            return Err(Error::argument(format!("{what}: expected at least 1 column, got 0")));
        }
        let expected =
            rows.checked_mul(dim).ok_or(Error::Overflow { what, rows: rows as u64, dim: dim as u64 })?;
        if data.len() != expected {
            return Err(Error::Length { what, expected, got: data.len() });
        }
        Ok(Self { data, rows, dim })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All values, row after row.
    pub fn data(&self) -> &'a [f32] {
        self.data
    }

    /// One row.
    #[inline]
    pub fn row(&self, row: usize) -> &'a [f32] {
        &self.data[row * self.dim..(row + 1) * self.dim]
    }

    /// The rows `from..to` as a matrix of their own.
    pub fn slice(&self, from: usize, to: usize) -> MatrixRef<'a> {
        MatrixRef { data: &self.data[from * self.dim..to * self.dim], rows: to - from, dim: self.dim }
    }

    /// Fails with the first row that is not finite, or whose squared length is not.
    pub fn check_finite(&self, what: &'static str) -> Result<()> {
        // The squared length is non-finite if any value is.
        match (0..self.rows).find(|&row| !squared_norm(self.row(row)).is_finite()) {
            Some(row) => Err(Error::NotFinite { what, row }),
            None => Ok(()),
        }
    }

    /// Fails unless the matrix has `expected` columns.
    pub fn check_dim(&self, what: &'static str, expected: usize) -> Result<()> {
        if self.dim == expected { Ok(()) } else { Err(Error::Dimension { what, expected, got: self.dim }) }
    }
}

/// The squared length of a row. Sixteen sums side by side let the compiler use vector registers.
pub(crate) fn squared_norm(row: &[f32]) -> f32 {
    let mut sums = [0f32; 16];
    let chunks = row.chunks_exact(16);
    let tail: f32 = chunks.remainder().iter().map(|v| v * v).sum();
    for chunk in chunks {
        for (sum, v) in sums.iter_mut().zip(chunk) {
            *sum += v * v;
        }
    }
    sums.iter().sum::<f32>() + tail
}
