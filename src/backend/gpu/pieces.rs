//! What is sent of lists: some blocks of one, their vectors or their biases, and how large the numbers in them are.

use super::verify::least;
use crate::backend::{Codes, ListView, Number, RaBitQ};
use crate::element::{Values, with_values};
use crate::kernel::Kernels;
use crate::lists::block::lanes as lanes_of;
use crate::lists::block::{BLOCK, width};

/// Blocks of a list.
pub(super) struct Piece<'a> {
    pub(super) view: ListView<'a>,
    pub(super) blocks: std::ops::Range<usize>,
    /// Their biases, or else their vectors.
    pub(super) biases: bool,
}

/// How large numbers are.
#[derive(Clone, Copy)]
pub(super) struct Measured {
    /// No vector's squared length is larger.
    pub(super) norm: f32,
    /// The largest factor and the longest residual of RaBitQ codes.
    pub(super) reach: [f32; 2],
    /// No number but zero has a smaller magnitude.
    pub(super) least: f32,
}

impl Measured {
    pub(super) const NOTHING: Self = Self { norm: 0.0, reach: [0.0; 2], least: f32::INFINITY };

    /// Of both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            norm: self.norm.max(other.norm),
            reach: [0, 1].map(|number| self.reach[number].max(other.reach[number])),
            least: self.least.min(other.least),
        }
    }
}

impl Piece<'_> {
    /// Hands over its bytes, one part after another, all blocks 32 lanes wide; how large the numbers are, of lists with
    /// `columns` elements a vector.
    pub(super) fn write(
        &self,
        kernels: &Kernels,
        codes: &Codes<'_>,
        columns: usize,
        mut take: impl FnMut(&[u8]),
    ) -> Measured {
        let all = lanes_of(self.view.ids.len());
        let mut measured = Measured::NOTHING;
        for block in self.blocks.clone() {
            let lanes = width(block, all);
            measured = measured.and(match self.biases {
                true => self.write_biases(codes, block, lanes, &mut take),
                false => self.write_vectors(kernels, codes, (block, lanes, columns), &mut take),
            });
        }
        measured
    }

    fn write_biases(
        &self,
        codes: &Codes<'_>,
        block: usize,
        lanes: usize,
        take: &mut impl FnMut(&[u8]),
    ) -> Measured {
        let mut bias = [f32::NEG_INFINITY; BLOCK];
        bias[..lanes].copy_from_slice(&self.view.bias[block * BLOCK..][..lanes]);
        take(bytemuck::cast_slice(&bias));
        if matches!(codes, Codes::Plain) {
            return Measured::NOTHING;
        }
        // Half a squared length, where it counts.
        let finite = bias.iter().filter(|bias| bias.is_finite());
        let norm = finite.fold(0.0f32, |norm, &bias| norm.max(-2.0 * bias));
        Measured { norm, least: least(&bias), ..Measured::NOTHING }
    }

    fn write_vectors(
        &self,
        kernels: &Kernels,
        codes: &Codes<'_>,
        (block, lanes, columns): (usize, usize, usize),
        take: &mut impl FnMut(&[u8]),
    ) -> Measured {
        let values = self.view.vectors.slice(block * BLOCK * columns..(block * BLOCK + lanes) * columns);
        let bytes = with_values!(values, values => bytemuck::cast_slice::<_, u8>(values));
        if lanes == BLOCK {
            take(bytes);
        } else {
            let size = values.element().size();
            let mut spread = vec![0; BLOCK * columns * size];
            for (to, from) in spread.chunks_exact_mut(BLOCK * size).zip(bytes.chunks_exact(lanes * size)) {
                to[..lanes * size].copy_from_slice(from);
            }
            take(&spread);
        }
        match codes {
            Codes::Plain => of_vectors(kernels, values, columns),
            Codes::RaBitQ(codes) => of_estimates(codes, bytes, lanes),
            _ => Measured::NOTHING,
        }
    }
}

/// How large the vectors of a block are.
fn of_vectors(kernels: &Kernels, vectors: Values<'_>, columns: usize) -> Measured {
    let mut squares = [0.0; BLOCK];
    kernels.squares(vectors, &mut squares[..vectors.len() / columns]);
    let norm = squares.iter().fold(0.0f32, |norm, &square| norm.max(square));
    Measured { norm, least: with_values!(vectors, values => least(values)), ..Measured::NOTHING }
}

/// How large the numbers of a block of RaBitQ codes are.
fn of_estimates(codes: &RaBitQ<'_>, block: &[u8], lanes: usize) -> Measured {
    let mut measured = Measured::NOTHING;
    for (number, most) in [Number::Factor, Number::Length].into_iter().zip(&mut measured.reach) {
        let mut numbers = [0.0; BLOCK];
        codes.numbers(number, block, &mut numbers[..lanes]);
        *most = numbers.iter().fold(0.0, |most, number| number.abs().max(most));
        measured.least = measured.least.min(least(&numbers));
    }
    measured
}
