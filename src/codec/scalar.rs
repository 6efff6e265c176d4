//! The scalar quantizer of 4, 6 or 8 bits a dimension, as in faiss (`QT_4bit`, `QT_6bit`, `QT_8bit`): the range of
//! each dimension in the training data is cut into as many equal steps as there are codes, and a code stands for
//! the middle of its step.

use crate::backend::Affine;
use crate::error::{Error, Result};
use crate::kernel::Coded;

/// A scalar quantizer, trained or not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scalar {
    /// Of a code: 4, 6 or 8.
    pub(crate) bits: u32,
    /// Whether the lists hold differences from their centroids.
    pub(crate) by_residual: bool,
    /// The least of each dimension; empty before training.
    minimum: Vec<f32>,
    /// From there to the greatest.
    range: Vec<f32>,
    /// What the steps are, and the middle of the first.
    scale: Vec<f32>,
    offset: Vec<f32>,
    /// The code about which those of each dimension lie: that of a residual of 0, else the middle one.
    centre: Vec<f32>,
}

impl Scalar {
    /// One that is not trained.
    pub(crate) fn new(bits: u8, by_residual: bool) -> Self {
        let (minimum, range, scale, offset, centre) = Default::default();
        Self { bits: bits.into(), by_residual, minimum, range, scale, offset, centre }
    }

    /// One of these ranges (`[dim]` each, finite).
    pub(crate) fn with_ranges(&self, minimum: Vec<f32>, range: Vec<f32>) -> Self {
        let steps = self.most();
        let scale: Vec<f32> = range.iter().map(|range| range / steps).collect();
        let offset: Vec<f32> =
            minimum.iter().zip(&scale).map(|(minimum, scale)| minimum + 0.5 * scale).collect();
        let centre = offset.iter().zip(&scale).map(|(&offset, &scale)| match self.by_residual {
            _ if scale == 0.0 => 0.0,
            true => (-offset / scale).clamp(0.0, steps),
            false => 0.5 * steps,
        });
        let centre = centre.collect();
        Self { minimum, range, scale, offset, centre, ..*self }
    }

    /// Fails unless these can be ranges for `dim` dimensions.
    pub(crate) fn check_ranges(dim: usize, minimum: &[f32], range: &[f32]) -> Result<()> {
        let sound = minimum.len() == dim
            && range.len() == dim
            && minimum
                .iter()
                .zip(range)
                .all(|(&minimum, &range)| range >= 0.0 && (minimum + range).is_finite());
        if sound {
            Ok(())
        } else {
            Err(Error::corrupt("scalar quantizer: expected a finite range a dimension"))
        }
    }

    /// The least of each dimension and the width of its range, or nothing before training.
    pub(crate) fn ranges(&self) -> (&[f32], &[f32]) {
        (&self.minimum, &self.range)
    }

    /// The same without ranges.
    pub(crate) fn untrained(&self) -> Self {
        Self::new(u8::try_from(self.bits).expect("invariant: at most 8"), self.by_residual)
    }

    /// The same for codes of residuals.
    pub(crate) fn of_residuals(self) -> Self {
        let Self { minimum, range, .. } = self;
        let residual = Self::new(u8::try_from(self.bits).expect("invariant: at most 8"), true);
        if minimum.is_empty() { residual } else { residual.with_ranges(minimum, range) }
    }

    pub(crate) fn is_trained(&self) -> bool {
        !self.minimum.is_empty()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        5 * size_of_val(&self.minimum[..])
    }

    /// What codes stand for; `centroids` (`[nlist, dim]`) count if the codes are of residuals.
    pub(crate) fn affine<'a>(&'a self, centroids: Option<&'a [f32]>) -> Affine<'a> {
        let centroids = centroids.filter(|_| self.by_residual);
        Affine { bits: self.bits, scale: &self.scale, offset: &self.offset, centroids }
    }

    /// A row of codes, which are not of residuals.
    #[inline]
    pub(super) fn coded<'a>(&'a self, codes: &'a [u8]) -> Coded<'a> {
        Coded { bits: self.bits, codes, scale: &self.scale, offset: &self.offset }
    }

    /// The code about which those of each dimension lie.
    pub(crate) fn centre(&self) -> &[f32] {
        &self.centre
    }

    /// The codes of some dimensions from `first` on of a row, or of its residual from `centroid` (empty = none).
    #[inline]
    pub(super) fn encode(&self, first: usize, row: &[f32], centroid: &[f32], codes: &mut [u8]) {
        let most = self.most();
        let ranges = self.minimum[first..].iter().zip(&self.range[first..]);
        for (i, ((code, &value), (&minimum, &range))) in codes.iter_mut().zip(row).zip(ranges).enumerate() {
            let value = centroid.get(first + i).map_or(value, |centroid| value - centroid);
            let share = if range == 0.0 { 0.0 } else { ((value - minimum) / range).clamp(0.0, 1.0) };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to 255; as faiss cuts"
            )]
            (*code = (share * most) as u8);
        }
    }

    /// The largest code.
    fn most(&self) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "at most 255")]
        let most = ((1u32 << self.bits) - 1) as f32;
        most
    }
}

/// The extremes of rows, dimension by dimension.
pub(crate) struct Extremes {
    minimum: Vec<f32>,
    maximum: Vec<f32>,
}

impl Extremes {
    pub(crate) fn new(dim: usize) -> Self {
        Self { minimum: vec![f32::INFINITY; dim], maximum: vec![f32::NEG_INFINITY; dim] }
    }

    /// Takes a row in.
    pub(crate) fn add(&mut self, row: impl Iterator<Item = f32>) {
        for ((minimum, maximum), value) in self.minimum.iter_mut().zip(&mut self.maximum).zip(row) {
            *minimum = minimum.min(value);
            *maximum = maximum.max(value);
        }
    }

    /// The least of each dimension and the width of its range.
    pub(crate) fn ranges(self) -> (Vec<f32>, Vec<f32>) {
        let range = self.minimum.iter().zip(&self.maximum).map(|(minimum, maximum)| maximum - minimum);
        let range = range.collect();
        (self.minimum, range)
    }
}
