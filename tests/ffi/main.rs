//! The C ABI, called as C calls it: through the exported functions, with raw pointers.
#![expect(unsafe_code, reason = "the functions under test are unsafe")]
#![allow(clippy::cast_possible_truncation, reason = "small numbers")]
#![expect(clippy::undocumented_unsafe_blocks, reason = "every pointer here is of the test's own making")]

mod arguments;
mod budget;
mod change;
mod context;
mod control;
mod filter;
mod index;
mod kmeans;
mod layout;
mod log;
mod options;
mod persist;
mod progress;
mod stats;
mod support;
mod threads;
mod typed;
mod vectors;
