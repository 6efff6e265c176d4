//! A query rounded to 8 bits, as codes of a scale and an offset a dimension see it.
//!
//! Written once, without intrinsics, to be inlined where an instruction set is enabled. Terms are added up side by
//! side in one order and rounded apart: all instruction sets give the same bits.

/// The largest size of a rounded value.
const MOST: f32 = 127.0;

/// Sums side by side, so that the compiler can use vector registers.
const SUMS: usize = 16;

/// A query and the codes of a list. All but `centroid` have a value a dimension.
#[derive(Clone, Copy)]
pub(crate) struct RoundInput<'a> {
    pub(crate) query: &'a [f32],
    /// The list's, where the query's difference from it is what codes are compared with; else empty.
    pub(crate) centroid: &'a [f32],
    pub(crate) scale: &'a [f32],
    pub(crate) offset: &'a [f32],
    /// The code about which those of each dimension lie.
    pub(crate) centre: &'a [f32],
}

/// What a query's rounded values stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rounded {
    /// The squared length of what is compared.
    pub(crate) norm: f32,
    /// What a score lacks: the product with the offsets, and what rounding takes from the product with the centre.
    pub(crate) constant: f32,
    /// What 1 stands for.
    pub(crate) step: f32,
    /// The squared length of what rounding took away, in units of the vectors.
    pub(crate) lost: f32,
}

/// See [`super::Kernels::round`].
pub(super) type RoundFn = fn(RoundInput<'_>, &mut [f32], &mut [i8]) -> Rounded;

impl RoundInput<'_> {
    /// Fails unless the slices are as long as told.
    pub(super) fn check(&self, factors: &[f32], out: &[i8]) {
        let dim = self.query.len();
        assert!(self.centroid.is_empty() || self.centroid.len() == dim);
        assert!([self.scale, self.offset, self.centre, factors].iter().all(|values| values.len() == dim));
        assert!(out.len() == dim);
    }
}

/// Values that are worked on side by side.
type Lanes<T> = [T; SUMS];

/// Adds this to a number below 2^22 and it is rounded to a whole one, whose lowest byte is that of the sum.
const SHIFT: f32 = 12_582_912.0;

/// What values add up to, lane by lane.
#[derive(Default)]
struct Sums {
    norm: Lanes<f32>,
    constant: Lanes<f32>,
    largest: Lanes<f32>,
    lost: Lanes<f32>,
}

impl Sums {
    /// Writes the factors of some values, the query's less the centroid's.
    #[inline(always)]
    fn weigh(
        &mut self,
        (query, centroid): (&Lanes<f32>, &Lanes<f32>),
        (scale, offset): (&Lanes<f32>, &Lanes<f32>),
        factors: &mut Lanes<f32>,
    ) {
        for lane in 0..SUMS {
            let value = query[lane] - centroid[lane];
            let factor = value * scale[lane];
            factors[lane] = factor;
            self.norm[lane] += value * value;
            self.constant[lane] += value * offset[lane];
            // A plain comparison: `max` would look for NaN.
            let size = factor.abs();
            self.largest[lane] = if size > self.largest[lane] { size } else { self.largest[lane] };
        }
    }

    /// Rounds some factors.
    #[inline(always)]
    fn round(
        &mut self,
        (step, inverse): (f32, f32),
        (factors, centre): (&Lanes<f32>, &Lanes<f32>),
        out: &mut Lanes<i8>,
    ) {
        for lane in 0..SUMS {
            let shifted = factors[lane] * inverse + SHIFT;
            out[lane] = shifted.to_bits().to_le_bytes()[0].cast_signed();
            let rest = factors[lane] - step * (shifted - SHIFT);
            self.constant[lane] += rest * centre[lane];
            self.lost[lane] += rest * rest;
        }
    }
}

/// Rounds a query's factors for the codes to `out`, with `factors` as memory.
#[inline(always)]
pub(super) fn round(input: RoundInput<'_>, factors: &mut [f32], out: &mut [i8]) -> Rounded {
    let RoundInput { query, centroid, scale, offset, centre } = input;
    let whole = query.len() / SUMS;
    let mut sums = Sums::default();
    let (queries, centroids) = (query.as_chunks().0, centroid.as_chunks().0);
    let (scales, offsets) = (scale.as_chunks().0, offset.as_chunks().0);
    for (at, factors) in factors.as_chunks_mut().0.iter_mut().enumerate() {
        let centroid = if centroid.is_empty() { &NOTHING } else { &centroids[at] };
        sums.weigh((&queries[at], centroid), (&scales[at], &offsets[at]), factors);
    }
    let mut rest = NOTHING;
    sums.weigh((&padded(query), &padded(centroid)), (&padded(scale), &padded(offset)), &mut rest);
    let largest = sums.largest.into_iter().fold(0.0, f32::max);
    // Smaller ones are as good as 0.
    let (step, inverse) = if largest > 1e-30 { (largest / MOST, MOST / largest) } else { (0.0, 0.0) };
    let (factors, centres) = (factors.as_chunks().0, centre.as_chunks().0);
    for ((factors, centre), out) in factors.iter().zip(centres).zip(out.as_chunks_mut().0) {
        sums.round((step, inverse), (factors, centre), out);
    }
    let mut last = [0; SUMS];
    sums.round((step, inverse), (&rest, &padded(centre)), &mut last);
    let out = &mut out[whole * SUMS..];
    out.copy_from_slice(&last[..out.len()]);
    let [norm, constant, lost] = [sums.norm, sums.constant, sums.lost].map(|sums| sums.iter().sum());
    Rounded { norm, constant, step, lost }
}

/// Values that add nothing.
const NOTHING: Lanes<f32> = [0.0; SUMS];

/// The values behind the last whole lanes, and nothing behind them.
#[inline(always)]
fn padded(values: &[f32]) -> Lanes<f32> {
    let rest = values.as_chunks::<SUMS>().1;
    std::array::from_fn(|lane| rest.get(lane).copied().unwrap_or(0.0))
}
