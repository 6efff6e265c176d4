//! How far a device's keys can lie from the CPU's, and which keys the CPU looks at again.
//!
//! Both add up the same terms, rounded otherwise. Each error is at most gamma times the size of all that is added up
//! (Higham, Accuracy and Stability of Numerical Algorithms, 3.1), with gamma = steps * epsilon for the longer of both
//! chains of additions.

use crate::backend::scorer::{CANCELLED, is_settled};
use crate::backend::{Affine, Codes, Product, RaBitQ, Rounded};
use crate::kernel::CHUNK;
use crate::metric::Metric;

/// How large what keys are made of can be.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// No vector's squared length is larger; of codes, that of no vector that they stand for, centroids apart.
    largest: f32,
    codes: Option<CodeSizes>,
    directions: Option<DirectionSizes>,
    /// Whether scores are estimates, of which the CPU looks at none again.
    estimates: bool,
}

/// Sizes of what RaBitQ codes estimate by.
#[derive(Clone, Copy)]
struct DirectionSizes {
    /// The longest vector of codes and that of what code 0 stands for.
    codes: f64,
    /// The longest centroid.
    centroid: f64,
    /// The largest factor and the longest residual.
    factor: f64,
    length: f64,
}

/// Lengths of vectors of what codes stand for.
#[derive(Clone, Copy)]
struct CodeSizes {
    /// Of the largest code in every dimension, scaled; of words, of the longest of each part, and the longest centroid.
    steps: f64,
    offset: f64,
    /// The longest centroid's, if a query's residuals are compared with codes.
    centroid: Option<f64>,
    /// Additions one after another, at most.
    chain: usize,
}

impl Sizes {
    /// Those of lists that hold this, of which no vector is known yet.
    pub(super) fn of(codes: &Codes<'_>) -> Self {
        match codes {
            Codes::Plain => Self::of_vectors(0.0),
            Codes::Affine(affine) | Codes::Rounded(Rounded { affine, .. }) => Self::of_codes(affine),
            Codes::Product(codes) if codes.fast => Self::of_estimates(),
            Codes::Product(codes) => Self::of_words(codes),
            Codes::RaBitQ(codes) => Self::of_directions(codes),
        }
    }

    /// Those of vectors.
    pub(super) fn of_vectors(largest: f32) -> Self {
        Self { largest, codes: None, directions: None, estimates: false }
    }

    fn of_estimates() -> Self {
        Self { largest: 0.0, codes: None, directions: None, estimates: true }
    }

    fn of_directions(codes: &RaBitQ<'_>) -> Self {
        let centroid = longest(codes.centroids, codes.dim);
        let most = 3.0 * f64::from(codes.centre()) * length(&vec![1.0; codes.dim]);
        let directions = DirectionSizes { codes: most, centroid, factor: 0.0, length: 0.0 };
        Self { directions: Some(directions), ..Self::of_estimates() }
    }

    /// The same with vectors of this largest factor and longest residual.
    pub(super) fn with_reach(self, [factor, length]: [f32; 2]) -> Self {
        let (factor, length) = (f64::from(factor), f64::from(length));
        let directions = self.directions.map(|sizes| DirectionSizes { factor, length, ..sizes });
        Self { directions, ..self }
    }

    /// The same with other vectors.
    pub(super) fn with_largest(self, largest: f32) -> Self {
        Self { largest, ..self }
    }

    fn of_codes(affine: &Affine<'_>) -> Self {
        let dim = affine.scale.len();
        let most = f64::from((1u32 << affine.bits) - 1);
        let (steps, offset) = (most * length(affine.scale), length(affine.offset));
        let centroid = affine.centroids.map(|centroids| longest(centroids, dim));
        // The number that a score lacks is added up eight terms apart.
        let chain = dim.min(CHUNK) + dim.div_ceil(CHUNK) + dim / 8 + 24;
        Self { codes: Some(CodeSizes { steps, offset, centroid, chain }), ..Self::of_vectors(0.0) }
    }

    /// No sum of a query's entries is larger than the product of its length and that of the longest words together. Entries
    /// are the CPU's, and so are the queries' products with centroids.
    fn of_words(codes: &Product<'_>) -> Self {
        let (parts, words) = (codes.parts(), codes.book.words);
        let longest_words = codes.words.chunks(words * codes.dim / parts);
        let squares = longest_words.map(|words| longest(words, codes.dim / parts).powi(2));
        let centroid = codes.centroids.map_or(0.0, |centroids| longest(centroids, codes.dim));
        let steps = squares.sum::<f64>().sqrt() + centroid;
        let codes = CodeSizes { steps, offset: 0.0, centroid: None, chain: parts + 24 };
        Self { codes: Some(codes), ..Self::of_vectors(0.0) }
    }

    /// The same for queries that are rounded: no factor by more than its own size.
    pub(super) fn rounded(self) -> Self {
        let codes = self.codes.map(|codes| CodeSizes { steps: 3.0 * codes.steps, ..codes });
        Self { codes, estimates: true, ..self }
    }

    /// How far the CPU's key and a device's can lie apart, for vectors whose key is at most `key`, and a query of
    /// squared length `norm`.
    pub(super) fn rounding(&self, metric: Metric, dim: usize, norm: f32, key: f32) -> f64 {
        if let Some(sizes) = &self.directions {
            return sizes.rounding(metric, dim, norm);
        }
        let Some(codes) = &self.codes else { return rounding(metric, dim, self.largest, norm, key) };
        let q = f64::from(norm).sqrt();
        let CodeSizes { steps, offset, centroid, chain } = *codes;
        let (size, close) = match metric {
            Metric::L2 => {
                let compared = self.compared(codes, norm, key);
                let size = compared * (compared + 2.0 * (steps + offset)) + f64::from(self.largest);
                // What cancels is summed again from differences of what codes stand for.
                let off = codes.off(q);
                (size, off * (2.0 * f64::from(key.max(0.0)).sqrt() + off))
            }
            _ => (q * (steps + offset + centroid.unwrap_or(0.0)), 0.0),
        };
        2.0 * gamma(chain) * checked(size * 1.01) + close + flushed(dim) * (300.0 + steps + offset)
    }

    /// Whether the CPU takes the keys of all vectors from `key` on as they are, of a query of squared length `norm`.
    pub(super) fn is_settled(&self, metric: Metric, dim: usize, norm: f32, key: f32) -> bool {
        if self.estimates {
            return true;
        }
        let Some(codes) = self.codes.as_ref().filter(|_| metric == Metric::L2) else {
            return is_settled(metric, key, norm, self.largest);
        };
        // A vector with this key or a smaller one is as near the query as that, or its key is off by more than keys are.
        let compared = self.compared(codes, norm, key);
        let size = compared * (compared + codes.steps) + f64::from(self.largest);
        let key64 = f64::from(key);
        key64 >= f64::from(CANCELLED) * 1.01 * size && key64 >= 20.0 * self.rounding(metric, dim, norm, key)
    }

    /// The most that a query's length can be as codes see it, where a squared distance is at most `key`.
    fn compared(&self, codes: &CodeSizes, norm: f32, key: f32) -> f64 {
        let q = f64::from(norm).sqrt();
        match codes.centroid {
            None => q,
            Some(_) => {
                (1.1 * f64::from(key.max(0.0))).sqrt() + f64::from(self.largest).sqrt() * 1.01 + codes.off(q)
            }
        }
    }
}

impl DirectionSizes {
    /// See [`Sizes::rounding`].
    fn rounding(&self, metric: Metric, dim: usize, norm: f32) -> f64 {
        let &Self { codes, centroid, factor, length } = self;
        let q = f64::from(norm).sqrt();
        let compared = q + centroid;
        let product = factor * compared * codes;
        let size = match metric {
            Metric::L2 => compared * compared + 2.0 * product + length * length,
            _ => q * centroid + product + length * centroid,
        };
        // What is added up before the sum of products is rounded alike.
        let chain = dim.min(CHUNK) + dim.div_ceil(CHUNK) + 16;
        2.0 * gamma(chain) * checked(size * 1.01) + flushed(dim) * (300.0 + factor)
    }
}

impl CodeSizes {
    /// By how much the difference of a query of length `q` and what a code stands for can be off.
    fn off(&self, q: f64) -> f64 {
        4.0 * f64::from(f32::EPSILON) * (q + self.centroid.unwrap_or(0.0) + self.steps + self.offset)
    }
}

/// How far the CPU's key and a device's can lie apart, for vectors whose key is at most `key` and squared length at most
/// `largest`, and a query of squared length `norm`.
pub(super) fn rounding(metric: Metric, dim: usize, largest: f32, norm: f32, key: f32) -> f64 {
    let q = f64::from(norm).sqrt();
    let size = match metric {
        // |v| <= |q| + |q - v|, whatever else the lists hold.
        Metric::L2 => (2.0 * q + (f64::from(key.max(0.0)) * 1.01).sqrt()).powi(2),
        Metric::InnerProduct | Metric::Cosine => q * f64::from(largest).sqrt() * 1.01,
    };
    // Within a chunk, then the chunks' sums, and a few more.
    2.0 * gamma(dim.min(CHUNK) + dim.div_ceil(CHUNK) + 16) * checked(size) + flushed(dim)
}

fn length(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

/// The length of the longest of these rows.
fn longest(rows: &[f32], dim: usize) -> f64 {
    rows.chunks(dim).map(length).fold(0.0, f64::max)
}

/// Where a sum might overflow on its way, nothing is known.
fn checked(size: f64) -> f64 {
    if size >= f64::from(f32::MAX) / 8.0 { f64::INFINITY } else { size }
}

#[expect(clippy::cast_precision_loss, reason = "a bound; a few thousand at most")]
fn gamma(steps: usize) -> f64 {
    f64::from(f32::EPSILON) * steps as f64
}

/// A product below float32's smallest normal number may be flushed to zero.
#[expect(clippy::cast_precision_loss, reason = "a bound")]
fn flushed(dim: usize) -> f64 {
    dim as f64 * 1e-37
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Book;

    /// What codes stand for, 4 dimensions, and a centroid.
    fn affine() -> Affine<'static> {
        Affine { bits: 8, scale: &[0.01; 4], offset: &[-1.0; 4], centroids: Some(&[3.0, 0.0, 4.0, 0.0]) }
    }

    #[test]
    fn rounding_of_codes_grows_with_what_is_added_up() {
        let sizes = Sizes::of_codes(&affine()).with_largest(4.0);
        let far = Affine { offset: &[-100.0; 4], ..affine() };
        let far = Sizes::of_codes(&far).with_largest(4.0);
        for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
            let near = sizes.rounding(metric, 4, 25.0, 1.0);
            assert!(near > 0.0 && near < 1e-3, "{metric:?}: {near}");
            assert!(far.rounding(metric, 4, 25.0, 1.0) > 5.0 * near);
        }
        assert_eq!(sizes.rounding(Metric::L2, 4, 25.0, f32::MAX), f64::INFINITY);
    }

    #[test]
    fn sizes_of_words_are_those_of_the_longest_of_all_parts_and_of_a_centroid() {
        let (words, halves) = ([3.0, 0.0, 0.0, 1.0, 0.0, -4.0, 0.0, 0.0], [0.0; 4]);
        let book = Book { words: 2, values: &words, halves: &halves };
        let centroids: Option<&[f32]> = Some(&[0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0]);
        let codes = Product { dim: 4, bits: 8, fast: false, words: &words, book, centroids };
        let sizes = Sizes::of(&Codes::Product(codes)).with_largest(49.0);
        assert_eq!(sizes.codes.map(|codes| codes.steps), Some(5.0 + 2.0));
        // A sum of entries and a product with a centroid are 7 times the query's length at most; from there on the CPU
        // takes keys as they are: at 1/64 of 25 + 5 * 7 + 49.
        assert!(!sizes.is_settled(Metric::L2, 4, 25.0, 109.0 / 64.0));
        assert!(sizes.is_settled(Metric::L2, 4, 25.0, 2.0));
        let fast = Sizes::of(&Codes::Product(Product { fast: true, ..codes }));
        assert!(fast.is_settled(Metric::L2, 4, 25.0, 0.0));
    }

    #[test]
    fn is_settled_only_far_keys_of_distances_are() {
        let sizes = Sizes::of_codes(&affine()).with_largest(4.0);
        assert!(sizes.is_settled(Metric::L2, 4, 25.0, 4.0));
        for near in [-1.0, 0.0, 1e-3, 0.1] {
            assert!(!sizes.is_settled(Metric::L2, 4, 25.0, near));
            assert!(sizes.is_settled(Metric::InnerProduct, 4, 25.0, near));
        }
    }
}
