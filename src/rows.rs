//! Rows of vectors of any element type, borrowed, and read as float32 a few at a time.
//!
//! A data set is never copied as a whole: whoever computes asks for a row, or for a panel of them in a buffer of
//! its own. float32 rows are handed out where they lie.

use crate::element::{Element, Values};
use crate::error::{Error, Result};
use crate::matrix::{MatrixRef, squared_norm};

/// A row-major `[rows, dim]` matrix of float32, float16, bfloat16 or bytes whose length is known to fit.
#[derive(Clone, Copy, Debug)]
pub struct RowsRef<'a> {
    values: Values<'a>,
    rows: usize,
    dim: usize,
    /// Whether rows are scaled to length 1 as they are read.
    unit: bool,
}

impl<'a> RowsRef<'a> {
    /// A view of `values` as `rows` rows of `dim` columns; `what` names the argument in errors.
    pub fn new(what: &'static str, values: impl Into<Values<'a>>, rows: usize, dim: usize) -> Result<Self> {
        let values = values.into();
        if dim == 0 {
            return Err(Error::argument(format!("{what}: expected at least 1 column, got 0")));
        }
        let expected =
            rows.checked_mul(dim).ok_or(Error::Overflow { what, rows: rows as u64, dim: dim as u64 })?;
        if values.len() != expected {
            return Err(Error::Length { what, expected, got: values.len() });
        }
        Ok(Self { values, rows, dim, unit: false })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// What each value is held in.
    pub fn element(&self) -> Element {
        self.values.element()
    }

    /// The rows `from..to` as rows of their own.
    pub fn slice(&self, from: usize, to: usize) -> Self {
        Self { values: self.values.slice(from * self.dim..to * self.dim), rows: to - from, ..*self }
    }

    /// Fails with the first row that is not finite, or whose squared length is not.
    pub fn check_finite(&self, what: &'static str) -> Result<()> {
        if self.element() == Element::U8 {
            return Ok(());
        }
        // As they are: a row scaled to length 1 no longer tells that it was too long.
        let raw = Self { unit: false, ..*self };
        let mut buffer = Vec::new();
        match (0..self.rows).find(|&row| !squared_norm(raw.row(row, &mut buffer)).is_finite()) {
            Some(row) => Err(Error::NotFinite { what, row }),
            None => Ok(()),
        }
    }

    /// Fails unless there are `expected` columns.
    pub fn check_dim(&self, what: &'static str, expected: usize) -> Result<()> {
        if self.dim == expected { Ok(()) } else { Err(Error::Dimension { what, expected, got: self.dim }) }
    }

    /// The same rows, read with length 1; zero rows stay zero.
    pub(crate) fn normalized(self) -> Self {
        Self { unit: true, ..self }
    }

    /// The rows where they lie, if that is as float32.
    pub(crate) fn as_matrix(&self) -> Option<MatrixRef<'a>> {
        match self.values {
            Values::F32(data) if !self.unit => MatrixRef::new("rows", data, self.rows, self.dim).ok(),
            _ => None,
        }
    }

    /// One row, in `buffer` if it does not lie there as float32.
    #[inline]
    pub(crate) fn row<'b>(&self, row: usize, buffer: &'b mut Vec<f32>) -> &'b [f32]
    where
        'a: 'b,
    {
        let range = row * self.dim..(row + 1) * self.dim;
        match self.values {
            Values::F32(data) if !self.unit => &data[range],
            _ => {
                buffer.resize(self.dim, 0.0);
                self.read(row, buffer);
                buffer
            }
        }
    }

    /// All rows as one float32 matrix, in `buffer` if they do not lie there as that.
    pub(crate) fn matrix<'b>(&self, buffer: &'b mut Vec<f32>) -> &'b [f32]
    where
        'a: 'b,
    {
        match self.values {
            Values::F32(data) if !self.unit => data,
            _ => {
                self.gather(0..self.rows, buffer);
                buffer
            }
        }
    }

    /// Copies the rows of these numbers into `buffer`, one after another.
    pub(crate) fn gather(&self, numbers: impl ExactSizeIterator<Item = usize>, buffer: &mut Vec<f32>) {
        buffer.resize(numbers.len() * self.dim, 0.0);
        for (number, out) in numbers.zip(buffer.chunks_exact_mut(self.dim)) {
            self.read(number, out);
        }
    }

    /// Writes one row as float32.
    pub(crate) fn read(&self, row: usize, out: &mut [f32]) {
        self.values.slice(row * self.dim..(row + 1) * self.dim).widen(out);
        if self.unit {
            normalize(out);
        }
    }
}

impl<'a> From<MatrixRef<'a>> for RowsRef<'a> {
    fn from(x: MatrixRef<'a>) -> Self {
        Self { values: Values::F32(x.data()), rows: x.rows(), dim: x.dim(), unit: false }
    }
}

/// Scales a row to length 1; a zero row stays zero.
pub(crate) fn normalize(row: &mut [f32]) {
    // In float64: the square of a tiny value must not vanish.
    let norm = match squared_norm(row) {
        norm if norm >= f32::MIN_POSITIVE * 1e6 => f64::from(norm),
        _ => row.iter().map(|&v| f64::from(v) * f64::from(v)).sum(),
    };
    let scale = if norm > 0.0 { 1.0 / norm.sqrt() } else { 0.0 };
    for value in row {
        #[expect(clippy::cast_possible_truncation, reason = "rounding to float32 is meant")]
        (*value = (f64::from(*value) * scale) as f32);
    }
}
