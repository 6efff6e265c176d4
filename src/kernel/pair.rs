//! A query against one row that lies in memory as it is: what the second stage of a search compares.
//!
//! Written once, without intrinsics, to be inlined where an instruction set is enabled. Terms are added up side by
//! side in one order and rounded apart: all instruction sets give the same bits.

/// Sums side by side: enough to hide the latency of the adds.
const SUMS: usize = 32;

/// The functions of one instruction set.
pub(crate) struct Pairs {
    pub(super) product: fn(&[f32], &[f32]) -> f32,
    pub(super) difference: fn(&[f32], &[f32]) -> f32,
}

/// Those of none in particular: the oracle.
pub(super) const SCALAR: Pairs = Pairs { product, difference };

impl Pairs {
    /// The product of two vectors.
    #[inline]
    pub(crate) fn product(&self, a: &[f32], b: &[f32]) -> f32 {
        assert!(a.len() == b.len());
        (self.product)(a, b)
    }

    /// The squared length of the difference of two vectors.
    #[inline]
    pub(crate) fn difference(&self, a: &[f32], b: &[f32]) -> f32 {
        assert!(a.len() == b.len());
        (self.difference)(a, b)
    }
}

/// Adds up what `term` makes of each pair of values.
#[inline(always)]
fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0f32; SUMS];
    let (whole_a, rest_a) = a.as_chunks::<SUMS>();
    let (whole_b, rest_b) = b.as_chunks::<SUMS>();
    for (a, b) in whole_a.iter().zip(whole_b) {
        for (sum, (&a, &b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += term(a, b);
        }
    }
    for (sum, (&a, &b)) in sums.iter_mut().zip(rest_a.iter().zip(rest_b)) {
        *sum += term(a, b);
    }
    let mut width = SUMS / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

/// See [`Pairs::product`].
#[inline(always)]
pub(super) fn product(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |a, b| a * b)
}

/// See [`Pairs::difference`].
#[inline(always)]
pub(super) fn difference(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |a, b| (a - b) * (a - b))
}

/// As much of what is soon to be read as has to be asked for: what follows comes by itself.
#[inline]
pub(crate) fn begin(bytes: &[u8]) -> &[u8] {
    const BYTES: usize = 2048;
    &bytes[..bytes.len().min(BYTES)]
}

/// Has bytes fetched that are soon to be read.
#[inline]
pub(crate) fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        const LINE: usize = 64;
        for line in bytes.chunks(LINE) {
            #[expect(unsafe_code, reason = "a hint")]
            // SAFETY: a prefetch of any address does no harm.
            unsafe {
                _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}
