//! Status codes: append-only, 0 is success; [`of`] is the one place where an [`Error`] becomes a number.

use std::ffi::CStr;

use crate::error::Error;

/// What every function that can fail returns: `IVF_OK` or one of `IVF_E_*`. The text of a failure is in
/// `ivf_last_error`. Numbers are never reused; new ones may be added, so treat an unknown one as a failure.
pub type ivf_status = i32;

/// Success.
pub const IVF_OK: i32 = 0;
/// A required pointer is NULL.
pub const IVF_E_NULL: i32 = 1;
/// A value is outside its range: k = 0, an unknown metric, an option that does not exist.
pub const IVF_E_ARGUMENT: i32 = 2;
/// Rows have another width than the index: "expected 128 columns, got 96".
pub const IVF_E_DIMENSION: i32 = 3;
/// NaN or infinity among the vectors; the text names the first such row.
pub const IVF_E_NOT_FINITE: i32 = 4;
/// A shape such as `[n, dim]` that no memory of this machine can hold.
pub const IVF_E_OVERFLOW: i32 = 5;
/// The index has no centroids yet: call `ivf_train` or `ivf_set_centroids` first.
pub const IVF_E_NOT_TRAINED: i32 = 6;
/// The call does not fit the index's state, such as training while it holds vectors.
pub const IVF_E_STATE: i32 = 7;
/// Training with fewer points than centroids; the text has both numbers.
pub const IVF_E_TOO_FEW_POINTS: i32 = 8;
/// An id twice, in the batch or in the index.
pub const IVF_E_DUPLICATE_ID: i32 = 9;
/// No vector has this id.
pub const IVF_E_NOT_FOUND: i32 = 10;
/// An index string that is not understood; the text points at the place.
pub const IVF_E_DESCRIPTION: i32 = 11;
/// Memory that could not be had.
pub const IVF_E_MEMORY: i32 = 12;
/// The operating system's error, with the path.
pub const IVF_E_IO: i32 = 13;
/// Neither a file of this library nor one of faiss, or a version that this library does not know.
pub const IVF_E_FORMAT: i32 = 14;
/// A damaged file: truncated, a failed checksum, sizes that contradict each other.
pub const IVF_E_CORRUPT: i32 = 15;
/// Known, but not supported; the text has its name (a faiss index type, say).
pub const IVF_E_UNSUPPORTED: i32 = 16;
/// The progress callback or the cancel flag ended the call.
pub const IVF_E_CANCELLED: i32 = 17;
/// A device that is missing, lost, or refuses to work.
pub const IVF_E_DEVICE: i32 = 18;
/// A bug in the library, caught at its edge after a line on stderr that says where. An index that was being
/// changed answers this from then on and can only be destroyed.
pub const IVF_E_PANIC: i32 = 19;

/// Each code's name, at its own number.
pub(super) const NAMES: [&CStr; 20] = [
    c"IVF_OK",
    c"IVF_E_NULL",
    c"IVF_E_ARGUMENT",
    c"IVF_E_DIMENSION",
    c"IVF_E_NOT_FINITE",
    c"IVF_E_OVERFLOW",
    c"IVF_E_NOT_TRAINED",
    c"IVF_E_STATE",
    c"IVF_E_TOO_FEW_POINTS",
    c"IVF_E_DUPLICATE_ID",
    c"IVF_E_NOT_FOUND",
    c"IVF_E_DESCRIPTION",
    c"IVF_E_MEMORY",
    c"IVF_E_IO",
    c"IVF_E_FORMAT",
    c"IVF_E_CORRUPT",
    c"IVF_E_UNSUPPORTED",
    c"IVF_E_CANCELLED",
    c"IVF_E_DEVICE",
    c"IVF_E_PANIC",
];

/// The status of an error.
pub(super) fn of(error: &Error) -> ivf_status {
    match error {
        Error::Null { .. } => IVF_E_NULL,
        Error::Argument(_) | Error::Length { .. } => IVF_E_ARGUMENT,
        Error::Dimension { .. } => IVF_E_DIMENSION,
        Error::NotFinite { .. } => IVF_E_NOT_FINITE,
        Error::Overflow { .. } => IVF_E_OVERFLOW,
        Error::NotTrained => IVF_E_NOT_TRAINED,
        Error::State(_) => IVF_E_STATE,
        Error::TooFewPoints { .. } => IVF_E_TOO_FEW_POINTS,
        Error::DuplicateId { .. } | Error::RepeatedId { .. } | Error::ClashingId { .. } => IVF_E_DUPLICATE_ID,
        Error::NotFound { .. } => IVF_E_NOT_FOUND,
        Error::Description { .. } => IVF_E_DESCRIPTION,
        Error::Memory { .. } => IVF_E_MEMORY,
        Error::Io { .. } => IVF_E_IO,
        Error::Format(_) => IVF_E_FORMAT,
        Error::Corrupt(_) => IVF_E_CORRUPT,
        Error::Unsupported(_) => IVF_E_UNSUPPORTED,
        Error::Cancelled => IVF_E_CANCELLED,
        Error::Device(_) => IVF_E_DEVICE,
        Error::Panic(_) => IVF_E_PANIC,
    }
}
