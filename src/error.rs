//! The one error type: an enum with data, so that every message names what was expected and what came.

use std::path::PathBuf;

/// What every fallible function of the crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// All that can go wrong, each with the numbers a user needs to mend it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A required pointer is null (C API only).
    #[error("`{name}` is NULL")]
    Null {
        /// The parameter's name.
        name: &'static str,
    },
    /// A value is outside its range.
    #[error("{0}")]
    Argument(String),
    /// Rows of another width than the index has.
    #[error("{what}: expected {expected} columns, got {got}")]
    Dimension {
        /// Which argument.
        what: &'static str,
        /// The index's dimension.
        expected: usize,
        /// The dimension given.
        got: usize,
    },
    /// A slice of another length than its shape asks for.
    #[error("{what}: expected {expected} values, got {got}")]
    Length {
        /// Which argument.
        what: &'static str,
        /// How many values the shape needs.
        expected: usize,
        /// How many were given.
        got: usize,
    },
    /// NaN, infinity, or a row whose squared length overflows float32.
    #[error("{what}: row {row} is not finite (NaN, infinity, or a squared length beyond float32)")]
    NotFinite {
        /// Which argument.
        what: &'static str,
        /// The first such row.
        row: usize,
    },
    /// A product of sizes that no memory can hold.
    #[error("{what}: {rows} rows of {dim} columns do not fit in this machine's address space")]
    Overflow {
        /// Which argument.
        what: &'static str,
        /// Rows given.
        rows: u64,
        /// Columns given.
        dim: u64,
    },
    /// The index has no centroids yet.
    #[error("the index is not trained: call train (or set_centroids) first")]
    NotTrained,
    /// The call does not fit the index's state.
    #[error("{0}")]
    State(String),
    /// Fewer training points than centroids.
    #[error(
        "training needs at least as many points as centroids: expected {expected} or more, got {got}; give more points, or ask for fewer centroids"
    )]
    TooFewPoints {
        /// Centroids wanted.
        expected: usize,
        /// Points given.
        got: usize,
    },
    /// An id twice, in a batch or in the index.
    #[error(
        "id {id} (row {row}) is already in the {place}; create the index with duplicate ids allowed, or remove it first"
    )]
    DuplicateId {
        /// The id.
        id: i64,
        /// Its row in the batch.
        row: usize,
        /// "index" or "batch".
        place: &'static str,
    },
    /// An id twice in a batch where each may stand once.
    #[error("id {id} (row {row}) is in the batch more than once: an update takes each id once")]
    RepeatedId {
        /// The id.
        id: i64,
        /// Its second row.
        row: usize,
    },
    /// An id that a merge cannot take over.
    #[error(
        "id {id} is {place}; shift the merged ids by add_id, or create the index with duplicate ids allowed"
    )]
    ClashingId {
        /// The id, shifted.
        id: i64,
        /// "in both indexes", or "twice in the index to merge".
        place: &'static str,
    },
    /// No vector with this id.
    #[error("no vector has the id {id}")]
    NotFound {
        /// The id.
        id: i64,
    },
    /// An index string that cannot be read; points at the place.
    #[error("index string {text:?}: at position {position}: {problem}")]
    Description {
        /// The whole string.
        text: String,
        /// Where, in bytes.
        position: usize,
        /// What is wrong there, and what is known.
        problem: String,
    },
    /// Memory that could not be had.
    #[error("out of memory: {bytes} bytes for {what}")]
    Memory {
        /// What for.
        what: &'static str,
        /// How much.
        bytes: u64,
    },
    /// The operating system's error.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// "opening", "writing", ...
        action: &'static str,
        /// The path, as given.
        path: PathBuf,
        /// The system's own error.
        source: std::io::Error,
    },
    /// Not a file that we read.
    #[error("{0}")]
    Format(String),
    /// A damaged file: truncated, failed checksum, inconsistent sizes.
    #[error("{0}")]
    Corrupt(String),
    /// Known, but not supported.
    #[error("{0}")]
    Unsupported(String),
    /// A callback or a flag asked to stop.
    #[error("cancelled by the caller")]
    Cancelled,
    /// A device is missing or lost.
    #[error("{0}")]
    Device(String),
    /// A bug of ours, caught at the boundary.
    #[error("internal error (a bug in libivf, please report it): {0}")]
    Panic(String),
}

impl Error {
    /// An [`Error::Argument`] of this text.
    pub(crate) fn argument(text: impl Into<String>) -> Self {
        Self::Argument(text.into())
    }

    /// An [`Error::Corrupt`] of this text.
    pub(crate) fn corrupt(text: impl Into<String>) -> Self {
        Self::Corrupt(text.into())
    }
}
