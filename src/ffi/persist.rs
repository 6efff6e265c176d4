//! Section "files and memory".

use std::ffi::{c_char, c_void};
use std::path::Path;
use std::ptr::null;

use super::arguments::{count, give, text, values};
use super::cancellable;
use super::context::{ivf_context, resolve};
use super::guard::guard;
use super::handle::{borrow, ivf_index};
use super::options::{self, flag, growing};
use super::progress::{Hooks, ivf_progress_fn};
use super::status::ivf_status;
use crate::error::{Error, Result};
use crate::index::Index;
use crate::persist::LoadOptions;

/// How an index is saved or loaded.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ivf_io_options {
    /// `sizeof(ivf_io_options)`.
    pub struct_size: u32,
    /// Threads of this call, at most the context's; 0 = all of them.
    pub threads: u32,
    /// `ivf_load`: 1 = map the lists into memory instead of reading them; the file must stay as it is while
    /// the index lives. Other calls: 0.
    pub memory_map: u32,
    /// `ivf_load`, `ivf_deserialize` and `ivf_load_stream`: 1 = do not check the lists' checksums (the bytes must be your own).
    /// Other calls: 0.
    pub skip_verify: u32,
    /// NULL, or told now and then.
    pub progress: ivf_progress_fn,
    /// Passed on to `progress`.
    pub progress_data: *mut c_void,
    /// NULL, or a number that any thread may set non-zero to end the call.
    pub cancel: *const i32,
}

growing!(ivf_io_options, cancel: *const i32);

/// What a call can honour of the options.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Call {
    Save,
    Load,
    Deserialize,
    Check,
}

/// Reads the options as the core wants them; one that `call` cannot honour is refused.
///
/// # Safety
/// `options` is NULL or points at as many readable bytes as its `struct_size` says.
pub(super) unsafe fn read(call: Call, options: *const ivf_io_options) -> Result<(LoadOptions, Hooks)> {
    // SAFETY: the caller's promise is the same.
    let options = unsafe { options::read(options) }?;
    let load = LoadOptions {
        threads: options.threads as usize,
        memory_map: flag("memory_map", options.memory_map)?,
        skip_verify: flag("skip_verify", options.skip_verify)?,
    };
    if load.memory_map && call != Call::Load {
        return Err(Error::argument("memory_map: only a load from a path can map; expected 0, got 1"));
    }
    if load.skip_verify && call == Call::Save {
        return Err(Error::argument("skip_verify: a save verifies nothing; expected 0, got 1"));
    }
    if load.skip_verify && call == Call::Check {
        return Err(Error::argument("skip_verify: a check is there to verify; expected 0, got 1"));
    }
    let hooks =
        Hooks { progress: options.progress, progress_data: options.progress_data, cancel: options.cancel };
    Ok((load, hooks))
}

/// Saves the index in the library's own format: versioned, with checksums, aligned for a memory map.
///
/// - `path`: UTF-8. The file is written beside it, synced and renamed, so that a crash leaves the old file or
///   the new.
/// - `options`: NULL for the defaults.
///
/// Vectors removed but not yet compacted are saved as they are; `ivf_compact` first to be rid of their data.
///
/// Threads: searches go on meanwhile. Errors: `IVF_E_NULL`; `IVF_E_ARGUMENT`; `IVF_E_IO`; `IVF_E_CANCELLED`.
/// After a failure the old file is untouched, and what was written beside it is removed. The space of that, and on Linux
/// of a file that is replaced and that nobody else has open, comes back a moment later; elsewhere giving it back takes the
/// call a while once the new file is whole (0.1 s for 768 MB).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_save(
    index: *const ivf_index,
    path: *const c_char,
    options: *const ivf_io_options,
) -> ivf_status {
    guard(|| {
        // SAFETY: each helper checks what it is given; the rest is the caller's promise.
        let (index, path, (_, hooks)) =
            unsafe { (borrow(index)?, text("path", path)?, read(Call::Save, options)?) };
        let core = index.read()?;
        // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
        unsafe { hooks.run(Some(index), |control| core.save(Path::new(path), control)) }
    })
}

/// Loads an index from a file of `ivf_save` or of faiss; its first bytes tell which.
///
/// - `context`: NULL for the shared default one.
/// - `path`: UTF-8.
/// - `options`: NULL for the defaults.
/// - `index`: receives the handle; NULL on failure. Give it back with `ivf_index_destroy`.
///
/// Nothing in a file can make this crash, hang, or allocate more than a small multiple of the file's size.
/// Errors: `IVF_E_NULL`; `IVF_E_ARGUMENT`; `IVF_E_IO`; `IVF_E_FORMAT` for a file of another kind or a later
/// version; `IVF_E_CORRUPT` for a damaged one; `IVF_E_UNSUPPORTED` for a faiss type not supported, by its
/// name; `IVF_E_MEMORY`; `IVF_E_CANCELLED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_load(
    context: *const ivf_context,
    path: *const c_char,
    options: *const ivf_io_options,
    index: *mut *mut ivf_index,
) -> ivf_status {
    // SAFETY: each helper checks what it is given; the rest is the caller's promise.
    guard(|| unsafe {
        give("index", index, || {
            let (path, (load, hooks), context) =
                (text("path", path)?, read(Call::Load, options)?, resolve(context)?);
            hooks
                .run(None, |control| Index::load(context, Path::new(path), &load, control))
                .map(ivf_index::new)
        })
    })
}

/// Saves the index as a file that faiss reads. "Flat" becomes IndexFlat, within an IndexIDMap2 unless the ids
/// count from 0; "IVFn,Flat" becomes IndexIVFFlat; a refinement ("RFlat") an IndexRefine around that, within an
/// IndexIDMap2 unless the ids are 0 to n - 1. faiss has no cosine: it becomes inner product over the
/// normalised vectors, which are then to be searched with normalised queries.
///
/// - `path`: UTF-8; written beside it and renamed, as by `ivf_save`.
/// - `options`: NULL for the defaults.
///
/// Errors: as `ivf_save`; `IVF_E_UNSUPPORTED` for what faiss cannot hold.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_export_faiss(
    index: *const ivf_index,
    path: *const c_char,
    options: *const ivf_io_options,
) -> ivf_status {
    guard(|| {
        // SAFETY: each helper checks what it is given; the rest is the caller's promise.
        let (index, path, (_, hooks)) =
            unsafe { (borrow(index)?, text("path", path)?, read(Call::Save, options)?) };
        let core = index.read()?;
        // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
        unsafe { hooks.run(Some(index), |control| core.export_faiss(Path::new(path), control)) }
    })
}

/// Writes into memory what `ivf_save` writes into a file.
///
/// - `buffer`: receives the bytes; or NULL, and only `size` is set.
/// - `capacity`: bytes that `buffer` has, at least `size`.
/// - `size`: receives the bytes needed, also where `capacity` is too small.
///
/// `ivf_serialize_v2` can be cancelled. Errors: `IVF_E_NULL`; `IVF_E_ARGUMENT` if `capacity` is too small;
/// `IVF_E_OVERFLOW`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_serialize(
    index: *const ivf_index,
    buffer: *mut c_void,
    capacity: u64,
    size: *mut u64,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { cancellable::serialize(index, buffer, capacity, size, null()) })
}

/// Makes an index of bytes in memory, of `ivf_serialize` or of a faiss file; `data` is copied and may go
/// afterwards.
///
/// - `context`: NULL for the shared default one.
/// - `data`: `size` bytes.
/// - `options`: NULL for the defaults.
/// - `index`: receives the handle; NULL on failure. Give it back with `ivf_index_destroy`.
///
/// Errors: as `ivf_load`, without `IVF_E_IO`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_deserialize(
    context: *const ivf_context,
    data: *const c_void,
    size: u64,
    options: *const ivf_io_options,
    index: *mut *mut ivf_index,
) -> ivf_status {
    // SAFETY: each helper checks what it is given; the rest is the caller's promise.
    guard(|| unsafe {
        give("index", index, || {
            let bytes = values("data", data.cast::<u8>(), count::<u8>("data", size, 1)?)?;
            let ((load, hooks), context) = (read(Call::Deserialize, options)?, resolve(context)?);
            hooks.run(None, |control| Index::deserialize(context, bytes, &load, control)).map(ivf_index::new)
        })
    })
}

/// Tells whether a file of `ivf_save` or of faiss is sound: answers what `ivf_load` would answer, without
/// making an index. For files from where nobody vouches for them.
///
/// - `context`: NULL for the shared default one.
/// - `path`: UTF-8.
/// - `options`: NULL for the defaults; `memory_map` and `skip_verify` must be 0. Progress is told as "load".
///
/// Success says that the file can be loaded, not that its vectors fit in memory. Memory: 12 bytes a vector and
/// the centroids. Cost: that of reading the file. Errors: as `ivf_load`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_check(
    context: *const ivf_context,
    path: *const c_char,
    options: *const ivf_io_options,
) -> ivf_status {
    guard(|| {
        // SAFETY: each helper checks what it is given; the rest is the caller's promise.
        let (path, (load, hooks), context) =
            unsafe { (text("path", path)?, read(Call::Check, options)?, resolve(context)?) };
        // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
        unsafe { hooks.run(None, |control| Index::check(context, Path::new(path), load.threads, control)) }
    })
}

/// `ivf_check` of bytes in memory: what `ivf_deserialize` would answer.
///
/// - `context`: NULL for the shared default one.
/// - `data`: `size` bytes.
/// - `options`: as in `ivf_check`.
///
/// Errors: as `ivf_deserialize`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_check_bytes(
    context: *const ivf_context,
    data: *const c_void,
    size: u64,
    options: *const ivf_io_options,
) -> ivf_status {
    guard(|| {
        // SAFETY: `count` bounds the bytes, the other helpers check what they are given; the rest is the
        // caller's promise.
        let (bytes, (load, hooks), context) = unsafe {
            (
                values("data", data.cast::<u8>(), count::<u8>("data", size, 1)?)?,
                read(Call::Check, options)?,
                resolve(context)?,
            )
        };
        // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
        unsafe { hooks.run(None, |control| Index::check_bytes(context, bytes, load.threads, control)) }
    })
}
