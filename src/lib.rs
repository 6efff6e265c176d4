//! Approximate nearest-neighbour search with inverted files (IVF).

pub mod context;
pub mod error;
pub mod metric;
pub mod progress;
