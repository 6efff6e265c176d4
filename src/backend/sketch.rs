//! Centroids rounded to a byte a dimension, a quarter of the memory that is read: a query's products with those, and how
//! far they may lie off, tell which centroids may be among the nearest. Only these are compared as they are.
//!
//! Of a product with a centroid all have that with their middle, `m`, in common. What is left is that with the difference
//! from it, `r`: `<q - m, r> + <m, r>`, of which the second is known beforehand. Codes stand for `r` rounded, which lies
//! `r - s` off; the query's factors for codes, `f`, are rounded to `g`. So the first lies within
//! `|f - g| |c| + |q - m| |r - s|` of `<g, c>`, where `c` are the codes less those of the middle.

use super::multiply::copy_scores;
use super::scan::Scratch;
use crate::kernel::{CHUNK, DotInput, GROUP, Kernels, MAX_BLOCKS, MAX_QUERIES, RoundInput, Rounded, pack};
use crate::lists::block::{BLOCK, lanes, part_end};
use crate::matrix::{MatrixRef, squared_norm};
use crate::metric::Metric;

/// Values from which on there is one: fewer stay in a core's own cache as they are.
const LEAST_VALUES: usize = 1 << 15;

/// Dimensions up to which sums of squares lie off by less than [`ABOVE`].
const MOST_DIMENSIONS: usize = 1 << 14;

/// The largest code, and the largest size of a query's rounded value.
const MOST_CODE: f64 = 255.0;
const MOST_VALUE: f32 = 127.0;

/// What sizes are multiplied with, so that what rounding took from them does not count.
const ABOVE: f32 = 1.0001;

/// Squared lengths beyond which nothing is rounded: bounds themselves would not be numbers, or be 0.
const SQUARES: std::ops::RangeInclusive<f32> = 1e-30..=1e30;

/// The least step of a query's rounded values whose squares are numbers.
const LEAST_STEP: f32 = 1e-17;

/// Codes that all queries meet before the next ones: they stay in a core's own cache.
const STRIPE: usize = 1 << 17;

/// Half of what 1 is rounded to.
const ROUNDING: f32 = f32::EPSILON / 2.0;

/// Rounded centroids.
pub(crate) struct Sketch {
    metric: Metric,
    /// The middle of all centroids, and what a code of 1 stands for: `[dim]`.
    middle: Vec<f32>,
    scale: Vec<f32>,
    /// By fours, as [`DotInput`] has them.
    codes: Vec<u8>,
    /// What a key starts from, `[lanes]`.
    bias: Vec<f32>,
    /// The most that codes lie from those of the middle, as a length, and what they stand for from the centroid.
    spread: f32,
    error: f32,
    /// The length of the longest centroid, and the size of the largest bias.
    longest: f32,
    most: f32,
}

/// Memory for queries, rounded.
#[derive(Default)]
pub(super) struct Rounding {
    factors: Vec<f32>,
    words: Vec<i32>,
    packed: Vec<i32>,
    steps: Vec<f32>,
    margins: Vec<Option<f32>>,
}

impl Sketch {
    /// Rounds centroids whose scores start from `bias` (`[lanes]`); `None` = they are few, or cannot be.
    pub(crate) fn new(centroids: MatrixRef<'_>, metric: Metric, bias: &[f32]) -> Option<Self> {
        let (count, dim) = (centroids.rows(), centroids.dim());
        let data = centroids.data();
        if data.len() < LEAST_VALUES || dim > MOST_DIMENSIONS {
            return None;
        }
        let longest = data.chunks_exact(dim).map(squared_norm).fold(0.0, f32::max);
        // Which NaN is not either.
        if !data.iter().chain(&bias[..count]).all(|value| value.is_finite()) || !SQUARES.contains(&longest) {
            return None;
        }
        let mut sums = vec![0f64; dim];
        for row in data.chunks_exact(dim) {
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "any middle will do"
        )]
        let middle: Vec<_> = sums.iter().map(|sum| (sum / count as f64) as f32).collect();
        let mut ranges = vec![(0f64, 0f64); dim];
        for row in data.chunks_exact(dim) {
            for ((range, &value), &middle) in ranges.iter_mut().zip(row).zip(&middle) {
                let value = f64::from(value) - f64::from(middle);
                *range = (range.0.min(value), range.1.max(value));
            }
        }
        #[expect(clippy::cast_possible_truncation, reason = "any scale will do")]
        let scale: Vec<_> = ranges.iter().map(|(low, high)| ((high - low) / MOST_CODE) as f32).collect();
        let groups = dim.div_ceil(GROUP);
        let lanes = lanes(count);
        let mut sketch = Self {
            metric,
            codes: vec![0; lanes * groups * GROUP],
            bias: vec![0.0; lanes],
            spread: 0.0,
            error: 0.0,
            longest: longest.sqrt() * ABOVE,
            most: 0.0,
            middle,
            scale,
        };
        for (slot, row) in data.chunks_exact(dim).enumerate() {
            sketch.put(slot, row, bias[slot], &ranges);
        }
        Some(sketch)
    }

    /// Rounds a centroid.
    fn put(&mut self, slot: usize, row: &[f32], bias: f32, ranges: &[(f64, f64)]) {
        let (block, lane) = (slot / BLOCK, slot % BLOCK);
        let width = (self.bias.len() - block * BLOCK).min(BLOCK);
        let columns = row.len().next_multiple_of(GROUP);
        let codes = &mut self.codes[block * BLOCK * columns..][..width * columns];
        let (mut product, mut spread, mut error) = (0f64, 0f64, 0f64);
        for (d, (&value, &(low, _))) in row.iter().zip(ranges).enumerate() {
            let (middle, scale) = (f64::from(self.middle[d]), f64::from(self.scale[d]));
            let value = f64::from(value) - middle;
            product += middle * value;
            // All have the same there, but for what is too little for a scale.
            let (mut code, mut centre) = (0.0, 0.0);
            if scale > 0.0 {
                centre = -low / scale;
                code = (value / scale + centre).round().clamp(0.0, MOST_CODE);
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
            let byte = code as u8;
            codes[(d / GROUP * width + lane) * GROUP + d % GROUP] = byte;
            spread += (code - centre).powi(2);
            error += (value - scale * (code - centre)).powi(2);
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "bounds are widened, and the bias's rounding counts"
        )]
        let [bias, spread, error] =
            [-f64::from(bias) - product, spread.sqrt(), error.sqrt()].map(|value| value as f32);
        self.bias[slot] = bias;
        self.spread = self.spread.max(spread * ABOVE);
        self.error = self.error.max(error * ABOVE);
        self.most = self.most.max(bias.abs());
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let floats = [&self.middle, &self.scale, &self.bias];
        self.codes.len() + floats.map(|values| size_of_val(&values[..])).iter().sum::<usize>()
    }

    /// Estimates the keys of `queries` (`[count, dim]`) into `keys` (`[count, centroids]`), less what all of a query have in
    /// common, and half of them for L2.
    pub(super) fn estimate(
        &self,
        kernels: &Kernels,
        queries: &[f32],
        scratch: &mut Scratch,
        rounding: &mut Rounding,
        keys: &mut [f32],
    ) {
        let dim = self.middle.len();
        let (count, groups) = (queries.len() / dim, dim.div_ceil(GROUP));
        self.round(kernels, queries, rounding);
        let Rounding { words, packed, steps, .. } = rounding;
        let centroids = keys.len() / count;
        let lanes = self.bias.len();
        let stripe = (STRIPE / (groups * GROUP)).next_multiple_of(MAX_BLOCKS * BLOCK);
        for begin in (0..lanes).step_by(stripe) {
            let end = lanes.min(begin + stripe);
            let tiles = words.chunks(MAX_QUERIES * groups).zip(steps.chunks(MAX_QUERIES));
            for ((words, steps), keys) in tiles.zip(keys.chunks_mut(MAX_QUERIES * centroids)) {
                let mut rows = [&[][..]; MAX_QUERIES];
                rows.iter_mut().zip(words.chunks_exact(groups)).for_each(|(to, row)| *to = row);
                pack(&rows[..steps.len()], groups, packed);
                let mut first = begin;
                while first < end {
                    let last = part_end(first, MAX_BLOCKS * BLOCK, end);
                    let input = DotInput {
                        count: steps.len(),
                        groups,
                        queries: packed,
                        steps,
                        thresholds: &[f32::NEG_INFINITY; MAX_QUERIES],
                        codes: &self.codes[first * groups * GROUP..last * groups * GROUP],
                        rows: None,
                        bias: &self.bias[first..last],
                    };
                    kernels.dots(input, &mut scratch.tile);
                    for (query, keys) in keys.chunks_exact_mut(centroids).enumerate() {
                        copy_scores(&scratch.tile, query, &mut keys[first..last.min(centroids)]);
                    }
                    first = last;
                }
            }
        }
    }

    /// Rounds queries.
    fn round(&self, kernels: &Kernels, queries: &[f32], rounding: &mut Rounding) {
        let dim = self.middle.len();
        let groups = dim.div_ceil(GROUP);
        let Rounding { factors, words, steps, margins, .. } = rounding;
        factors.resize(dim, 0.0);
        words.clear();
        words.resize(queries.len() / dim * groups, 0);
        steps.clear();
        margins.clear();
        for (query, words) in queries.chunks_exact(dim).zip(words.chunks_exact_mut(groups)) {
            let out: &mut [i8] = bytemuck::cast_slice_mut(words);
            let (centroid, scale) = (&self.middle[..], &self.scale[..]);
            // No use is made of its constant, and so none of the last two.
            let input = RoundInput { query, centroid, scale, offset: scale, centre: scale };
            let rounded = kernels.round(input, factors, &mut out[..dim]);
            margins.push(self.margin(query, rounded));
            // A key is less the larger the product is.
            steps.push(-rounded.step);
        }
    }

    /// How far estimates of a query's keys may lie off from those that a scan computes; `None` = that is not known.
    fn margin(&self, query: &[f32], rounded: Rounded) -> Option<f32> {
        let Rounded { norm, step, lost, .. } = rounded;
        if !SQUARES.contains(&norm) || step.is_nan() || step < LEAST_STEP {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "bounds")]
        let [dim, sums] =
            [query.len(), query.len().min(CHUNK) + query.len().div_ceil(CHUNK)].map(|n| n as f32);
        let length = squared_norm(query).sqrt() * ABOVE;
        // What the scan's own rounding may move: of distances, by their expansion and from differences.
        let scan = match self.metric {
            Metric::L2 => (dim + 32.0) * (length + self.longest).powi(2),
            Metric::InnerProduct | Metric::Cosine => 2.0 * (sums + 16.0) * length * self.longest,
        };
        #[expect(clippy::cast_possible_truncation, reason = "255")]
        let largest = step * MOST_VALUE * MOST_CODE as f32 * dim + self.most;
        // What is left of factors is rounded to a share of these, not of itself.
        let lost = lost.sqrt() + dim.sqrt() * step * 1e-4;
        let margin = lost * self.spread + norm.sqrt() * self.error + ROUNDING * (scan + 8.0 * largest);
        Some(margin * ABOVE).filter(|margin| margin.is_finite())
    }
}

impl Rounding {
    /// What [`Sketch::margin`] has of a query.
    pub(super) fn margin(&self, query: usize) -> Option<f32> {
        self.margins[query]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const DIM: usize = 131;
    const COUNT: usize = 300;

    /// Rows of normal numbers about a point that lies away from the origin, one of 7 so many times as long as the others.
    fn rows(seed: u64, count: usize, away: f64, scale: f64, longer: f64) -> Vec<f32> {
        let mut random = Random::new(seed);
        let mut row = |number: usize| -> Vec<f32> {
            let size = if number % 7 == 3 { longer * scale } else { scale };
            #[expect(clippy::cast_possible_truncation, reason = "rounds")]
            (0..DIM).map(|d| (size * (random.normal() + away * (d % 5) as f64)) as f32).collect()
        };
        (0..count).flat_map(&mut row).collect()
    }

    #[test]
    fn margin_holds_and_leaves_few() {
        for (kernels, metric) in Kernels::available()
            .into_iter()
            .flat_map(|kernels| [Metric::L2, Metric::InnerProduct].map(|metric| (kernels, metric)))
        {
            for (away, scale, longer) in [
                (0.0, 1.0, 1.0),
                (1.0, 1.0, 1.0),
                (1.0, 1.0, 3.0),
                (30.0, 1.0, 1.0),
                (1.0, 1e-5, 1.0),
                (1.0, 1e9, 20.0),
            ] {
                let centroids = rows(1, COUNT, away, scale, longer);
                let queries = rows(2, 3, away, scale, longer);
                let squares = centroids.chunks_exact(DIM).map(squared_norm);
                let bias: Vec<_> =
                    squares.map(|s| if metric == Metric::L2 { s * -0.5 } else { 0.0 }).collect();
                let matrix = MatrixRef::new("centroids", &centroids, COUNT, DIM).unwrap();
                let sketch = Sketch::new(matrix, metric, &bias).unwrap();
                let mut keys = vec![0.0; 3 * COUNT];
                let (mut scratch, mut rounding) = (Scratch::new(), Rounding::default());
                sketch.estimate(kernels, &queries, &mut scratch, &mut rounding, &mut keys);
                for (number, query) in queries.chunks_exact(DIM).enumerate() {
                    let keys = &keys[number * COUNT..][..COUNT];
                    let margin = rounding.margin(number).unwrap();
                    // The least and the most that estimates differ from keys by is what all have in common.
                    let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
                    for (&estimate, row) in keys.iter().zip(centroids.chunks_exact(DIM)) {
                        let pairs = query.iter().zip(row).map(|(&q, &v)| (f64::from(q), f64::from(v)));
                        let key = match metric {
                            Metric::L2 => pairs.map(|(q, v)| (q - v).powi(2)).sum::<f64>() / 2.0,
                            _ => -pairs.map(|(q, v)| q * v).sum::<f64>(),
                        };
                        let common = key - f64::from(estimate);
                        (least, most) = (least.min(common), most.max(common));
                    }
                    let what = (kernels.name, metric, away, scale, longer);
                    assert!(most - least <= 2.0 * f64::from(margin), "{what:?}: {least} {most} {margin}");
                    let mut bars = keys.to_vec();
                    bars.sort_unstable_by(f32::total_cmp);
                    let left = keys.iter().filter(|&&key| key <= bars[9] + 2.0 * margin).count();
                    // Far from the origin, and for the longest, there are more.
                    assert!(away * longer > 1.0 || left < COUNT / 4, "{what:?}: {left}");
                }
            }
        }
    }

    #[test]
    fn new_of_few_or_of_no_numbers_is_none() {
        let sketch = |centroids: &[f32], bias: &[f32]| {
            let matrix = MatrixRef::new("centroids", centroids, centroids.len() / DIM, DIM).unwrap();
            Sketch::new(matrix, Metric::InnerProduct, bias).is_some()
        };
        let (mut centroids, mut bias) = (rows(1, COUNT, 0.0, 1.0, 1.0), vec![0.0; COUNT]);
        assert!(sketch(&centroids, &bias));
        assert!(!sketch(&centroids[..100 * DIM], &bias));
        bias[5] = f32::NEG_INFINITY;
        assert!(!sketch(&centroids, &bias));
        bias[5] = 0.0;
        for not in [f32::NAN, f32::INFINITY, 1e20] {
            centroids[7 * DIM] = not;
            assert!(!sketch(&centroids, &bias));
        }
        assert!(!sketch(&vec![0.0; COUNT * DIM], &bias));
    }

    #[test]
    fn margin_of_a_query_that_cannot_be_rounded_is_not_known() {
        let centroids = rows(1, COUNT, 0.0, 1.0, 1.0);
        let matrix = MatrixRef::new("centroids", &centroids, COUNT, DIM).unwrap();
        let sketch = Sketch::new(matrix, Metric::InnerProduct, &[0.0; COUNT]).unwrap();
        let middle = sketch.middle.clone();
        let (mut scratch, mut rounding) = (Scratch::new(), Rounding::default());
        let mut keys = vec![0.0; COUNT];
        for query in [middle, vec![1e18; DIM]] {
            for kernels in Kernels::available() {
                sketch.estimate(kernels, &query, &mut scratch, &mut rounding, &mut keys);
                assert_eq!(rounding.margin(0), None);
            }
        }
    }
}
