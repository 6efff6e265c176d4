//! The GPU backend on an adapter that the CPU emulates (Mesa's llvmpipe): right results, no speed.
//!
//! Without such an adapter these tests pass without having run, unless `IVF_REQUIRE_GPU` is set: tests/gpu/run.sh installs
//! one and sets it. With `IVF_REAL_GPU` set they run on the first GPU that no CPU emulates.
#![cfg(feature = "gpu")]
#![allow(clippy::cast_possible_truncation, reason = "small numbers")]

mod at_once;
mod codes;
mod crew;
mod devices;
mod faults;
mod parity;
mod shaders;
mod stress;
mod support;
mod train;
