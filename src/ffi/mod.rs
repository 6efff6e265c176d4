//! The C ABI: `include/ivf.h` is generated from this module, one file a section of the header.
//!
//! Invariants: no panic crosses ([`guard`]), no pointer is used before it is checked ([`arguments`]), no
//! options struct is read beyond what its caller knows of it ([`options`]), and an index is reached only
//! through its lock ([`handle`]). What the caller must promise in turn (live handles, buffers as long as
//! their shapes say) is written once, under "Rules" at the head of the header.
#![expect(unsafe_code, reason = "pointers from C; every block names the check that makes it true")]
#![expect(non_camel_case_types, reason = "the names are C's")]
#![expect(clippy::missing_safety_doc, reason = "the contract of every function is the header's Rules")]

mod arguments;
mod budget;
mod cancellable;
mod change;
mod context;
mod data;
mod device;
mod filter;
mod guard;
mod handle;
mod index;
mod kmeans;
mod knn;
mod library;
mod log;
mod options;
mod persist;
mod progress;
mod range;
mod readback;
mod search;
mod stats;
mod status;
mod stream;
mod tune;
mod typed;
mod vectors;

pub use budget::*;
pub use cancellable::*;
pub use change::*;
pub use context::*;
pub use data::*;
pub use device::*;
pub use filter::*;
pub use handle::ivf_index;
pub use index::*;
pub use kmeans::*;
pub use knn::*;
pub use library::*;
pub use log::*;
pub use persist::*;
pub use progress::{ivf_progress, ivf_progress_fn};
pub use range::*;
pub use readback::*;
pub use search::*;
pub use stats::*;
pub use status::*;
pub use stream::*;
pub use tune::*;
pub use typed::*;
pub use vectors::*;
