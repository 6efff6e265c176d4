//! x86-64: AVX2 with FMA, AVX-512, and AMX beside it.

#[cfg(target_os = "linux")]
mod amx;
mod avx2;
mod avx512;
mod bitmap;
mod dot;
mod lookup;
mod pair;
mod tables;
mod unpack;

use super::Kernels;

/// The kernels that this CPU can run, slowest first.
pub(super) fn available() -> impl Iterator<Item = &'static Kernels> {
    #[cfg(target_os = "linux")]
    let amx = amx::detect();
    #[cfg(not(target_os = "linux"))]
    let amx = None;
    [avx2::detect(), avx512::detect(), amx].into_iter().flatten()
}
