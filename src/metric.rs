//! Metrics and the one order that selection works in: smaller keys are better, whatever the metric.

use crate::error::{Error, Result};

/// How two vectors are compared. The numbers are faiss's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// Inner product: a similarity, largest first.
    InnerProduct = 0,
    /// Squared Euclidean distance: smallest first, never negative.
    L2 = 1,
    /// Cosine similarity within `[-1, 1]`, largest first; vectors are normalised inside.
    Cosine = 2,
}

impl Metric {
    /// The metric of this number.
    pub fn from_number(number: i32) -> Result<Self> {
        match number {
            0 => Ok(Self::InnerProduct),
            1 => Ok(Self::L2),
            2 => Ok(Self::Cosine),
            got => Err(Error::argument(format!(
                "metric: expected 0 (inner product), 1 (L2) or 2 (cosine), got {got}"
            ))),
        }
    }

    /// Whether larger values are better.
    pub fn is_similarity(self) -> bool {
        self != Self::L2
    }

    /// The value that stands for a missing hit: `+inf` for distances, `-inf` for similarities.
    pub fn worst(self) -> f32 {
        if self.is_similarity() { f32::NEG_INFINITY } else { f32::INFINITY }
    }

    /// A selection key (smaller is better) as the value that users see.
    #[inline]
    pub fn value_of_key(self, key: f32) -> f32 {
        match self {
            // An estimate may lie below 0.
            Self::L2 => key.max(0.0),
            Self::InnerProduct => 0.0 - key,
            // What codes stand for may be a little longer than 1.
            Self::Cosine => (0.0 - key).clamp(-1.0, 1.0),
        }
    }
}
