//! RaBitQ with 1 to 8 bits a dimension: which vector of the grid a row becomes. What it stands for, and how it is
//! searched, is told in [`crate::backend::RaBitQ`].
//!
//! As in faiss nothing is rotated here: the estimate is unbiased over random rotations, so put `RR,` or `HR,` before
//! where single dimensions stand out.

use crate::backend::{self, Number};
use crate::kernel::bitpack;

/// RaBitQ codes, trained or not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RaBitQ {
    pub(crate) dim: usize,
    /// Of a code: 1 to 8.
    pub(crate) bits: u32,
    /// Whether products are estimated, else squared distances.
    pub(crate) products: bool,
    /// Whether residuals are those from the lists' centroids; else from the mean of the training data.
    pub(crate) by_list: bool,
    /// That mean; empty before training.
    mean: Vec<f32>,
}

impl RaBitQ {
    /// One that is not trained; codes by list need no training.
    pub(crate) fn new(dim: usize, bits: u32, products: bool, by_list: bool) -> Self {
        Self { dim, bits, products, by_list, mean: Vec::new() }
    }

    /// The same with this mean (`[dim]`, finite).
    pub(crate) fn with_mean(&self, mean: Vec<f32>) -> Self {
        Self { mean, ..*self }
    }

    /// The mean of the training data, or nothing.
    pub(crate) fn mean(&self) -> &[f32] {
        &self.mean
    }

    pub(crate) fn is_trained(&self) -> bool {
        self.by_list || !self.mean.is_empty()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        size_of_val(&self.mean[..])
    }

    /// What codes stand for; `centroids` (`[nlist, dim]`) count if the residuals are by list.
    pub(crate) fn view<'a>(&'a self, centroids: Option<&'a [f32]>) -> backend::RaBitQ<'a> {
        let centroids = centroids.filter(|_| self.by_list).unwrap_or(&self.mean);
        backend::RaBitQ {
            dim: self.dim,
            bits: self.bits,
            products: self.products,
            centroids,
            deviations: None,
        }
    }

    /// Bytes of a vector.
    pub(crate) fn columns(&self) -> usize {
        self.view(None).columns()
    }
}

/// Writes rows as the codes and the numbers of neighbouring lanes; see [`super::Encoder::encode`].
pub(super) fn scatter(
    codes: &backend::RaBitQ<'_>,
    list: usize,
    x: &[f32],
    rows: &[u32],
    out: &mut [u8],
    stride: usize,
) {
    let dim = codes.dim;
    let centroid = codes.centroid(list);
    let (mut residual, mut code) = (vec![0.0; dim], vec![0; dim]);
    let mut bytes = vec![0; codes.columns()];
    for (lane, &row) in rows.iter().enumerate() {
        let row = &x[row as usize * dim..][..dim];
        for ((residual, &value), &centroid) in residual.iter_mut().zip(row).zip(centroid) {
            *residual = value - centroid;
        }
        encode(codes.bits, &residual, &mut code);
        let numbers = Numbers::of(codes.bits, &residual, &code, centroid);
        bitpack::pack(codes.bits, &code, &mut bytes[..bitpack::columns(dim, codes.bits)]);
        let mut put = |number: Number, value: f32| {
            bytes[codes.column(number)..][..size_of::<f32>()].copy_from_slice(&value.to_le_bytes());
        };
        put(Number::Factor, numbers.factor);
        put(Number::Length, numbers.length);
        if codes.products {
            put(Number::Product, numbers.product);
        }
        for (column, &byte) in bytes.iter().enumerate() {
            out[column * stride + lane] = byte;
        }
    }
}

/// What is held of a vector beside its code.
struct Numbers {
    factor: f32,
    length: f32,
    product: f32,
}

impl Numbers {
    fn of(bits: u32, residual: &[f32], code: &[u8], centroid: &[f32]) -> Self {
        let centre = backend::centre(bits);
        let (mut squares, mut along, mut product) = (0f64, 0f64, 0f64);
        for ((&value, &code), &centroid) in residual.iter().zip(code).zip(centroid) {
            let value = f64::from(value);
            squares += value * value;
            along += value * f64::from(f32::from(code) - centre);
            product += value * f64::from(centroid);
        }
        let factor = if along > 0.0 { squares / along } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, reason = "rounded to what is held")]
        let [factor, length, product] = [factor, squares.sqrt(), product].map(|value| value as f32);
        Self { factor, length, product }
    }
}

/// Scales that are tried: from the one where the largest value fills the grid, so often down and up by this factor;
/// then about the best of them.
const TRIES: [(i32, f32); 2] = [(16, 1.1), (16, 1.00625)];

/// Steps from the best of these to its summit.
const CLIMBS: usize = 16;

/// The vector of the grid whose angle with `residual` is the smallest, or very nearly.
///
/// It is the nearest to some multiple of the residual: multiples are tried, and from the best of them each step takes
/// the multiple that is nearest to the grid's vector, then the grid's vector that is nearest to that; the angle only
/// gets smaller.
pub(super) fn encode(bits: u32, residual: &[f32], codes: &mut [u8]) {
    if bits == 1 {
        codes.iter_mut().zip(residual).for_each(|(code, &value)| *code = u8::from(value >= 0.0));
        return;
    }
    let half = 1u8 << (bits - 1);
    let most = f32::from(half - 1);
    let largest = residual.iter().fold(0f32, |most, value| most.max(value.abs()));
    let full = f32::from(half) / largest;
    if !full.is_finite() {
        codes.fill(half);
        return;
    }
    let mut best = Try::of(residual, full, most);
    for (tries, factor) in TRIES {
        let from = best.scale;
        for power in (-tries..=tries).filter(|&power| power != 0) {
            best = best.or(Try::of(residual, from * factor.powi(power), most));
        }
    }
    for _ in 0..CLIMBS {
        let next = Try::of(residual, best.squares / best.along, most);
        if next.quality() <= best.quality() {
            break;
        }
        best = next;
    }
    for (code, &value) in codes.iter_mut().zip(residual) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 127")]
        let step = step(value.abs() * best.scale, most) as u8;
        *code = if value >= 0.0 { half + step } else { half - 1 - step };
    }
}

/// A multiple of the residual, and how well the grid's vector nearest to it, `u`, points its way.
#[derive(Clone, Copy)]
struct Try {
    scale: f32,
    /// `<u, r>`.
    along: f32,
    /// `|u|^2`.
    squares: f32,
}

impl Try {
    fn of(residual: &[f32], scale: f32, most: f32) -> Self {
        const SUMS: usize = 16;
        let (mut along, mut squares) = ([0f32; SUMS], [0f32; SUMS]);
        for part in residual.chunks(SUMS) {
            for ((along, squares), value) in along.iter_mut().zip(&mut squares).zip(part) {
                let value = value.abs();
                let level = step(value * scale, most) + 0.5;
                *along += value * level;
                *squares += level * level;
            }
        }
        Self { scale, along: along.iter().sum(), squares: squares.iter().sum() }
    }

    /// Grows with the cosine.
    fn quality(&self) -> f32 {
        self.along * (self.along / self.squares)
    }

    fn or(self, other: Self) -> Self {
        if other.quality() > self.quality() { other } else { self }
    }
}

/// The step of the grid into which a value of 0 or more falls, rounded down: a whole number up to `most`. Adding and
/// taking away 2^23 rounds to a whole number in vector registers of any kind.
#[inline(always)]
fn step(value: f32, most: f32) -> f32 {
    const WHOLE: f32 = 8_388_608.0;
    ((value - 0.5).clamp(0.0, most) + WHOLE) - WHOLE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(seed: u64, count: usize) -> Vec<f32> {
        use rand_xoshiro::rand_core::{RngCore, SeedableRng};
        let mut rng = rand_xoshiro::SplitMix64::seed_from_u64(seed);
        let mut uniform = || (rng.next_u64() >> 40) as f32 / (1u64 << 24) as f32;
        // The sum of twelve is nearly Gaussian.
        (0..count).map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0).collect()
    }

    fn cosine(bits: u32, residual: &[f32], code: &[u8]) -> f64 {
        let (mut along, mut squares, mut lengths) = (0f64, 0f64, 0f64);
        for (&value, &code) in residual.iter().zip(code) {
            let (value, code) = (f64::from(value), f64::from(f32::from(code) - backend::centre(bits)));
            along += value * code;
            squares += code * code;
            lengths += value * value;
        }
        along / (squares * lengths).sqrt()
    }

    /// The best cosine of all: at every scale at which one value steps up.
    fn best_cosine(bits: u32, residual: &[f32]) -> f64 {
        let half = 1u32 << (bits - 1);
        let mut steps: Vec<(f64, usize)> = (1..half)
            .flat_map(|step| {
                let values = residual.iter().map(|value| f64::from(value.abs()));
                values.enumerate().map(move |(d, value)| (f64::from(step) / value, d))
            })
            .filter(|(scale, _)| scale.is_finite())
            .collect();
        steps.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut levels = vec![0.5f64; residual.len()];
        let values: Vec<f64> = residual.iter().map(|value| f64::from(value.abs())).collect();
        let length = values.iter().map(|value| value * value).sum::<f64>().sqrt();
        let mut along: f64 = values.iter().map(|value| 0.5 * value).sum();
        let mut squares = 0.25 * residual.len() as f64;
        let mut best = along / squares.sqrt();
        for (_, d) in steps {
            squares += 2.0 * levels[d] + 1.0;
            levels[d] += 1.0;
            along += values[d];
            best = best.max(along / squares.sqrt());
        }
        best / length
    }

    #[test]
    fn encode_any_bits_points_where_the_best_code_of_all_does() {
        for bits in 1..=8 {
            for (case, dim) in [1, 2, 3, 17, 64, 100, 784].into_iter().cycle().take(28).enumerate() {
                let mut residual = numbers(case as u64, dim);
                match case / 7 {
                    1 => residual[0] *= 40.0,
                    2 => residual.iter_mut().for_each(|value| *value = value.powi(5)),
                    3 => residual.iter_mut().skip(1).step_by(3).for_each(|value| *value = 0.0),
                    _ => {}
                }
                let mut code = vec![0; dim];
                encode(bits, &residual, &mut code);
                let (got, best) = (cosine(bits, &residual, &code), best_cosine(bits, &residual));
                // What is lost of the angle's square.
                let (lost, least) = (1.0 - got * got, 1.0 - best * best);
                // In a few dimensions the best may lie where no try comes by.
                let (more, slack) = if dim < 64 { (4.0, 1e-5) } else { (1.1, 0.0) };
                assert!(lost <= least * more + slack, "{bits} bits, dim {dim}, case {case}: {lost} {least}");
            }
        }
    }

    #[test]
    fn encode_nothing_or_next_to_it_stands_for_nothing() {
        for bits in 1..=8 {
            for value in [0.0, -0.0, 1e-45, -1e-40] {
                let (residual, mut code) = ([value; 5], [0; 5]);
                encode(bits, &residual, &mut code);
                let numbers = Numbers::of(bits, &residual, &code, &[1.0; 5]);
                assert!(numbers.factor.is_finite() && numbers.length < 1e-39, "{bits} bits, {value}");
            }
        }
    }
}
