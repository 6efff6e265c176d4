//! x86-64: AVX2 with FMA, and AVX-512.

mod avx2;
mod avx512;
mod bitmap;
mod dot;
mod eights;
mod lookup;
mod multiply;
mod pair;
mod permute;
mod rows;
mod sums;
mod tables;
mod unpack;

use super::Kernels;
#[cfg(test)]
pub(super) use {eights::ways as ways_of_fours, rows::ways as ways_of_rows};

/// The kernels that this CPU can run, slowest first.
pub(super) fn available() -> impl Iterator<Item = &'static Kernels> {
    [avx2::detect(), avx512::detect()].into_iter().flatten()
}
