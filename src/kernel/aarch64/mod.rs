//! 64-bit Arm: NEON, which every such CPU has.

mod dot;
mod lookup;
mod neon;
mod unpack;

use super::Kernels;

/// The kernels that this CPU can run, slowest first.
pub(super) fn available() -> impl Iterator<Item = &'static Kernels> {
    neon::detect().into_iter()
}
