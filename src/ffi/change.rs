//! Section "vectors", continued: replacing vectors, removing them by a filter, and what concerns whole indexes.

use std::ffi::c_void;
use std::ptr::null;

use super::arguments::{self, Out, check_dim, count, rows, values};
use super::cancellable::{self, ivf_index_clone_v2};
use super::context::ivf_context;
use super::data::ivf_add_options;
use super::filter::ivf_filter;
use super::guard::guard;
use super::handle::{borrow, ivf_index};
use super::options;
use super::progress::Hooks;
use super::status::ivf_status;
use super::typed::IVF_ELEMENT_F32;
use crate::error::{Error, Result};
use crate::progress::Control;

/// Replaces vectors under their ids, in place; each goes to the list that it now belongs to.
///
/// - `ids`: `[n]`, each once, all of which the index holds; NULL if `n` is 0. Where ids may repeat, one vector
///   takes the place of all that an id has.
/// - `x`: `[n, dim]`, row-major, in the order of `ids`; NULL if `n` is 0. The index keeps a copy.
/// - `dim`: the index's own.
/// - `options`: NULL for the defaults.
///
/// Threads: changes the index. Cost: O(n * nlist * dim), and one look at every id. Errors: `IVF_E_NULL`;
/// `IVF_E_NOT_TRAINED`; `IVF_E_DIMENSION`; `IVF_E_NOT_FINITE`; `IVF_E_NOT_FOUND` for an id that no vector has;
/// `IVF_E_DUPLICATE_ID` for one that the batch has twice; `IVF_E_ARGUMENT` for values that the lists cannot
/// hold; `IVF_E_OVERFLOW`; `IVF_E_MEMORY`; `IVF_E_CANCELLED`. After a failure nothing is changed. Vectors that stay
/// in their lists are written over last, and where these are more than 16 MB and a `cancel` is given, in copies of their
/// lists, which then take the lists' places: as much memory again until the call ends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_update(
    index: *mut ivf_index,
    ids: *const i64,
    x: *const f32,
    n: u64,
    dim: u32,
    options: *const ivf_add_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { update(index, ids, x.cast(), IVF_ELEMENT_F32, n, dim, options) })
}

/// `ivf_update` by rows of any type.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn update(
    index: *mut ivf_index,
    ids: *const i64,
    x: *const c_void,
    element: i32,
    n: u64,
    dim: u32,
    options: *const ivf_add_options,
) -> Result<()> {
    // SAFETY: NULL or a live handle, NULL or whole options, by the caller's promise.
    let (index, options) = unsafe { (borrow(index)?, options::read(options)?) };
    check_dim("x", index.dim(), dim)?;
    // SAFETY: `rows`, `count` and `values` check the pointers and the sizes; their lengths are the caller's promise.
    let (ids, x) =
        unsafe { (values("ids", ids, count::<i64>("ids", n, 1)?)?, rows("x", x, element, n, dim)?) };
    let hooks =
        Hooks { progress: options.progress, progress_data: options.progress_data, cancel: options.cancel };
    let mut core = index.write()?;
    // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
    unsafe { hooks.run(Some(index), |control| core.update(ids, x, options.threads as usize, control)) }
}

/// Removes the vectors whose ids pass a filter, as `ivf_remove` does those of given ids.
///
/// - `removed`: receives the number of vectors removed; may be NULL.
///
/// Threads: changes the index. `ivf_remove_filter_v2` can be cancelled. Errors: `IVF_E_NULL`; `IVF_E_MEMORY`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_remove_filter(
    index: *mut ivf_index,
    filter: *const ivf_filter,
    removed: *mut u64,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { cancellable::remove_filter(index, filter, removed, null()) })
}

/// Adds the vectors of another index, which keeps them, as they are: nothing is trained or rounded again.
///
/// - `other`: an index of the same dimension, metric, description and centroids, not `index` itself. To have
///   moved its vectors, `ivf_reset` it afterwards.
/// - `add_id`: added to the ids of `other`; 0 keeps them.
/// - `merged`: receives the number of vectors added; may be NULL.
/// - `options`: NULL for the defaults.
///
/// Threads: changes the index and reads `other`. Errors: `IVF_E_NULL`; `IVF_E_DIMENSION`; `IVF_E_ARGUMENT` if
/// the two differ, and the text says in what, or if an id plus `add_id` is negative or too large;
/// `IVF_E_DUPLICATE_ID` for an id that both have, unless the index was created to allow that;
/// `IVF_E_NOT_TRAINED`; `IVF_E_MEMORY`; `IVF_E_CANCELLED`. After a failure nothing is added.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_merge(
    index: *mut ivf_index,
    other: *const ivf_index,
    add_id: i64,
    merged: *mut u64,
    options: *const ivf_add_options,
) -> ivf_status {
    guard(|| {
        // SAFETY: each helper checks what it is given; live handles are the caller's promise.
        let (into, from, merged, options) = unsafe {
            let merged = Out::optional("merged", merged)?;
            (borrow(index)?, arguments::borrow("other", other)?, merged, options::read(options)?)
        };
        if std::ptr::eq(into, from) {
            return Err(Error::argument("other: expected another index, got the same"));
        }
        let hooks = Hooks {
            progress: options.progress,
            progress_data: options.progress_data,
            cancel: options.cancel,
        };
        // In the order of their addresses: two merges the other way round must not wait for each other.
        let (mut core, source);
        if std::ptr::from_ref(into) < std::ptr::from_ref(from) {
            core = into.write()?;
            source = from.read()?;
        } else {
            source = from.read()?;
            core = into.write()?;
        }
        let _busy = from.busy();
        let threads = options.threads as usize;
        let work = |control: &Control<'_>| -> Result<usize> { core.merge(&source, add_id, threads, control) };
        // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
        merged.set(unsafe { hooks.run(Some(into), work) }? as u64);
        Ok(())
    })
}

/// Makes a copy of an index, which from then on is an index of its own. Lists that are mapped from a file stay
/// there until they are changed, and the file must stay as it is while either index lives.
///
/// - `context`: what the copy runs on; NULL for the context of `index`.
/// - `clone`: receives the handle; NULL on failure. Give it back with `ivf_index_destroy`.
///
/// Threads: searches go on meanwhile. Cost: one copy of all memory; `ivf_index_clone_v2` can be cancelled. Errors: `IVF_E_NULL`; `IVF_E_MEMORY`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_index_clone(
    index: *const ivf_index,
    context: *const ivf_context,
    clone: *mut *mut ivf_index,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    unsafe { ivf_index_clone_v2(index, context, clone, null()) }
}
