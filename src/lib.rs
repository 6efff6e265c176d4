//! Approximate nearest-neighbour search with inverted files (IVF), for programs that ship their index.
//!
//! The crate is the core of a shared library with a C API; it can be used from Rust directly:
//!
//! ```
//! use std::sync::Arc;
//! use ivf::{Context, ContextOptions, Control, Index, IndexOptions, MatrixRef, Metric};
//! use ivf::{SearchOptions, SearchOutput, TrainOptions};
//!
//! # fn main() -> ivf::Result<()> {
//! let context = Arc::new(Context::new(&ContextOptions::default())?);
//! let rows: Vec<f32> = (0..4000u16).map(|i| f32::from(i % 97)).collect();
//! let x = MatrixRef::new("rows", &rows, 1000, 4)?;
//! let mut index = Index::new(context, 4, Metric::L2, "IVF8,Flat", &IndexOptions::default())?;
//! index.train(x, &TrainOptions::default(), &Control::default())?;
//! index.add(x, None, 0, &Control::default())?;
//! let (mut distances, mut ids) = (vec![0.0; 3], vec![0; 3]);
//! let output = SearchOutput { distances: &mut distances, ids: &mut ids, hits: None };
//! index.search(x.slice(7, 8), 3, &SearchOptions::default(), output, &Control::default())?;
//! assert_eq!(ids[0], 7);
//! # Ok(())
//! # }
//! ```
#![cfg_attr(
    not(feature = "gpu"),
    expect(dead_code, reason = "what only a device asks of lists is there without one")
)]

mod backend;
mod budget;
mod coarse;
mod codec;
mod collect;
mod context;
mod curve;
mod element;
mod error;
mod factory;
pub mod ffi;
mod filter;
mod index;
mod kernel;
mod kmeans;
mod lists;
mod log;
mod matrix;
mod metric;
mod output;
mod persist;
mod pool;
mod progress;
mod random;
mod rows;
mod topk;
mod transform;
mod vector_file;

pub use backend::device::{DeviceInfo, DeviceKind, DeviceStatus, devices};
pub use budget::{Budget, Profile, Sharing, Switch};
pub use context::{Context, ContextOptions};
pub use curve::{Curve, CurvePoint};
pub use element::{Element, Values, bf16, f16};
pub use error::{Error, Result};
pub use filter::Filter;
pub use index::{
    Index, IndexInfo, IndexOptions, ListOrder, RangeOutput, SearchOptions, SearchOutput, SearchStats,
    TrainOptions, TuneOptions, Tuned, knn,
};
pub use kmeans::{KMeans, KMeansOptions, Seeding, assign as kmeans_assign, kmeans};
pub use log::{Log, LogLevel};
pub use matrix::MatrixRef;
pub use metric::Metric;
pub use persist::LoadOptions;
pub use progress::{Callback, Cancel, Control, Report};
pub use rows::RowsRef;
