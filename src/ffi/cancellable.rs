//! Section "cancellable": calls that were published without options, with them.

use std::ffi::c_void;

use super::arguments::{self, Out, check_dim, count, give, matrix, values, values_mut};
use super::context::{ivf_context, resolve};
use super::data::ivf_add_options;
use super::filter::ivf_filter;
use super::guard::guard;
use super::handle::{borrow, ivf_index};
use super::options;
use super::persist::{Call, ivf_io_options, read};
use super::progress::Hooks;
use super::status::ivf_status;
use crate::error::{Error, Result};
use crate::progress::Control;

/// `ivf_remove` with progress and cancel.
///
/// - `ids`, `n`, `removed`: as in `ivf_remove`.
/// - `options`: NULL for the defaults.
///
/// Errors: as `ivf_remove`; `IVF_E_CANCELLED`, and then nothing is removed. A cancel that comes while lists are packed
/// leaves the others unpacked, and the call succeeds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_remove_v2(
    index: *mut ivf_index,
    ids: *const i64,
    n: u64,
    removed: *mut u64,
    options: *const ivf_add_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { remove(index, ids, n, removed, options) })
}

/// `ivf_remove`, with options or without.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn remove(
    index: *mut ivf_index,
    ids: *const i64,
    n: u64,
    removed: *mut u64,
    options: *const ivf_add_options,
) -> Result<()> {
    // SAFETY: each helper checks what it is given; live handle and lengths are the caller's promise.
    let (index, ids, removed, (threads, hooks)) = unsafe {
        let ids = values("ids", ids, count::<i64>("ids", n, 1)?)?;
        (borrow(index)?, ids, Out::optional("removed", removed)?, changing(options)?)
    };
    let mut core = index.write()?;
    // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
    removed
        .set(unsafe { hooks.run(Some(index), |control| core.remove_under(ids, threads, control)) }? as u64);
    Ok(())
}

/// `ivf_remove_filter` with progress and cancel.
///
/// - `filter`, `removed`: as in `ivf_remove_filter`.
/// - `options`: NULL for the defaults.
///
/// Errors: as `ivf_remove_filter`; `IVF_E_CANCELLED` as in `ivf_remove_v2`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_remove_filter_v2(
    index: *mut ivf_index,
    filter: *const ivf_filter,
    removed: *mut u64,
    options: *const ivf_add_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { remove_filter(index, filter, removed, options) })
}

/// `ivf_remove_filter`, with options or without.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn remove_filter(
    index: *mut ivf_index,
    filter: *const ivf_filter,
    removed: *mut u64,
    options: *const ivf_add_options,
) -> Result<()> {
    // SAFETY: each helper checks what it is given; live handles are the caller's promise.
    let (index, filter, removed, (threads, hooks)) = unsafe {
        let filter = arguments::borrow("filter", filter)?;
        (borrow(index)?, filter, Out::optional("removed", removed)?, changing(options)?)
    };
    let mut core = index.write()?;
    let work = |control: &Control<'_>| core.remove_filter_under(&filter.0, threads, control);
    // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
    removed.set(unsafe { hooks.run(Some(index), work) }? as u64);
    Ok(())
}

/// `ivf_compact` with progress and cancel.
///
/// - `options`: NULL for the defaults.
///
/// Errors: as `ivf_compact`; `IVF_E_CANCELLED`, and then the index holds what it held, some of it packed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_compact_v2(
    index: *mut ivf_index,
    options: *const ivf_add_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { compact(index, options) })
}

/// `ivf_compact`, with options or without.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn compact(index: *mut ivf_index, options: *const ivf_add_options) -> Result<()> {
    // SAFETY: NULL or a live handle, NULL or whole options, by the caller's promise.
    let (index, (threads, hooks)) = unsafe { (borrow(index)?, changing(options)?) };
    let mut core = index.write()?;
    // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
    unsafe { hooks.run(Some(index), |control| core.compact_under(threads, control)) }
}

/// `ivf_set_centroids` with progress and cancel, for thousands of centroids that are grouped ("IVF65536_HNSW32"): progress
/// is told as "train".
///
/// - `centroids`, `nlist`, `dim`: as in `ivf_set_centroids`.
/// - `options`: NULL for the defaults.
///
/// Errors: as `ivf_set_centroids`; `IVF_E_CANCELLED`, and then the index is as before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_set_centroids_v2(
    index: *mut ivf_index,
    centroids: *const f32,
    nlist: u64,
    dim: u32,
    options: *const ivf_add_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { set_centroids(index, centroids, nlist, dim, options) })
}

/// `ivf_set_centroids`, with options or without.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn set_centroids(
    index: *mut ivf_index,
    centroids: *const f32,
    nlist: u64,
    dim: u32,
    options: *const ivf_add_options,
) -> Result<()> {
    // SAFETY: NULL or a live handle, NULL or whole options, by the caller's promise.
    let (index, (threads, hooks)) = unsafe { (borrow(index)?, changing(options)?) };
    check_dim("centroids", index.list_dim(), dim)?;
    // SAFETY: `matrix` checks the pointer and the size; its length is the caller's promise.
    let centroids = unsafe { matrix("centroids", centroids, nlist, dim) }?;
    let mut core = index.write()?;
    // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
    unsafe { hooks.run(Some(index), |control| core.set_centroids_under(centroids, threads, control)) }
}

/// `ivf_index_clone` with progress and cancel.
///
/// - `context`, `clone`: as in `ivf_index_clone`.
/// - `options`: NULL for the defaults; `memory_map` and `skip_verify` must be 0.
///
/// Errors: as `ivf_index_clone`; `IVF_E_ARGUMENT`; `IVF_E_CANCELLED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_index_clone_v2(
    index: *const ivf_index,
    context: *const ivf_context,
    clone: *mut *mut ivf_index,
    options: *const ivf_io_options,
) -> ivf_status {
    // SAFETY: each helper checks what it is given; the rest is the caller's promise.
    guard(|| unsafe {
        give("clone", clone, || {
            let ((load, hooks), index) = (read(Call::Save, options)?, borrow(index)?);
            let core = index.read()?;
            let context = if context.is_null() { core.context().clone() } else { resolve(context)? };
            let work = |control: &Control<'_>| core.copy_under(context, load.threads, control);
            hooks.run(Some(index), work).map(ivf_index::new)
        })
    })
}

/// `ivf_reconstruct` with progress and cancel.
///
/// - `ids`, `n`, `x`, `dim`: as in `ivf_reconstruct`.
/// - `options`: NULL for the defaults; `memory_map` and `skip_verify` must be 0.
///
/// Errors: as `ivf_reconstruct`; `IVF_E_ARGUMENT`; `IVF_E_CANCELLED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_reconstruct_v2(
    index: *const ivf_index,
    ids: *const i64,
    n: u64,
    x: *mut f32,
    dim: u32,
    options: *const ivf_io_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { reconstruct(index, ids, n, x, dim, options) })
}

/// `ivf_reconstruct`, with options or without.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn reconstruct(
    index: *const ivf_index,
    ids: *const i64,
    n: u64,
    x: *mut f32,
    dim: u32,
    options: *const ivf_io_options,
) -> Result<()> {
    // SAFETY: NULL or a live handle, by the caller's promise.
    let index = unsafe { borrow(index) }?;
    check_dim("x", index.dim(), dim)?;
    // SAFETY: `count` and the others check pointers and sizes; the lengths are the caller's promise.
    let (ids, x, (load, hooks)) = unsafe {
        let ids = values("ids", ids, count::<i64>("ids", n, 1)?)?;
        (ids, values_mut("x", x, count::<f32>("x", n, u64::from(dim))?)?, read(Call::Save, options)?)
    };
    let core = index.read()?;
    // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
    unsafe { hooks.run(Some(index), |control| core.reconstruct_under(ids, x, load.threads, control)) }
}

/// `ivf_reconstruct_range` with progress and cancel.
///
/// - `first`, `n`, `x`, `dim`: as in `ivf_reconstruct_range`.
/// - `options`: NULL for the defaults; `memory_map` and `skip_verify` must be 0.
///
/// Errors: as `ivf_reconstruct_range`; `IVF_E_ARGUMENT`; `IVF_E_CANCELLED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_reconstruct_range_v2(
    index: *const ivf_index,
    first: i64,
    n: u64,
    x: *mut f32,
    dim: u32,
    options: *const ivf_io_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { reconstruct_range(index, first, n, x, dim, options) })
}

/// `ivf_reconstruct_range`, with options or without.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn reconstruct_range(
    index: *const ivf_index,
    first: i64,
    n: u64,
    x: *mut f32,
    dim: u32,
    options: *const ivf_io_options,
) -> Result<()> {
    // SAFETY: NULL or a live handle, by the caller's promise.
    let index = unsafe { borrow(index) }?;
    check_dim("x", index.dim(), dim)?;
    // SAFETY: `count` and `values_mut` check pointer and size; the length is the caller's promise.
    let (x, (load, hooks)) =
        unsafe { (values_mut("x", x, count::<f32>("x", n, u64::from(dim))?)?, read(Call::Save, options)?) };
    let (core, rows) = (index.read()?, x.len() / index.dim());
    let work = |control: &Control<'_>| core.reconstruct_range_under(first, rows, x, load.threads, control);
    // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
    unsafe { hooks.run(Some(index), work) }
}

/// `ivf_serialize` with progress and cancel; progress is told as "save".
///
/// - `buffer`, `capacity`, `size`: as in `ivf_serialize`.
/// - `options`: NULL for the defaults; `memory_map` and `skip_verify` must be 0.
///
/// Errors: as `ivf_serialize`; `IVF_E_CANCELLED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_serialize_v2(
    index: *const ivf_index,
    buffer: *mut c_void,
    capacity: u64,
    size: *mut u64,
    options: *const ivf_io_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { serialize(index, buffer, capacity, size, options) })
}

/// `ivf_serialize`, with options or without.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn serialize(
    index: *const ivf_index,
    buffer: *mut c_void,
    capacity: u64,
    size: *mut u64,
    options: *const ivf_io_options,
) -> Result<()> {
    // SAFETY: the helpers check; the rest is the caller's promise.
    let (index, size, (_, hooks)) =
        unsafe { (borrow(index)?, Out::required("size", size)?, read(Call::Save, options)?) };
    let core = index.read()?;
    let needed = core.serialized_size()?;
    size.set(needed);
    if buffer.is_null() {
        return Ok(());
    }
    if capacity < needed {
        return Err(Error::argument(format!("capacity: expected at least {needed} bytes, got {capacity}")));
    }
    // SAFETY: `count` bounds it, `values_mut` checks it; its length is the caller's promise.
    let mut room = unsafe { values_mut("buffer", buffer.cast::<u8>(), count::<u8>("buffer", needed, 1)?) }?;
    // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
    unsafe { hooks.run(Some(index), |control| core.serialize_under(&mut room, control)) }
}

/// Threads and hooks of a call that changes the index.
///
/// # Safety
/// NULL or whole options.
unsafe fn changing(options: *const ivf_add_options) -> Result<(usize, Hooks)> {
    // SAFETY: the caller's promise is the same.
    let options = unsafe { options::read(options) }?;
    let hooks =
        Hooks { progress: options.progress, progress_data: options.progress_data, cancel: options.cancel };
    Ok((options.threads as usize, hooks))
}
