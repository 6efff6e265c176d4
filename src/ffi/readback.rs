//! Section "reading back": ids and vectors that an index holds.

use std::ffi::c_void;
use std::ptr::null;

use super::arguments::{check_dim, count, rows, values_mut};
use super::cancellable;
use super::guard::guard;
use super::handle::{borrow, ivf_index};
use super::search::{Search, ivf_search_options};
use super::status::ivf_status;
use super::typed::IVF_ELEMENT_F32;
use crate::error::{Error, Result};

/// Copies the ids of all vectors that can be found, ascending. With `ivf_reconstruct` it reads a whole index.
///
/// - `ids`: `[n]`; NULL if `n` is 0.
/// - `n`: `count` of `ivf_index_get_info`.
///
/// Cost: sorting them, 40 ms for a million. Errors: `IVF_E_NULL`; `IVF_E_OVERFLOW`; `IVF_E_ARGUMENT` if the index holds another number of vectors.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_ids(index: *const ivf_index, ids: *mut i64, n: u64) -> ivf_status {
    guard(|| {
        // SAFETY: NULL or a live handle, by the caller's promise.
        let index = unsafe { borrow(index) }?.read()?;
        let expected = index.info().count;
        if n != expected as u64 {
            return Err(Error::argument(format!("ids: expected room for {expected}, got {n}")));
        }
        // SAFETY: `count` bounds it, `values_mut` checks it; the length is the caller's promise.
        let ids = unsafe { values_mut("ids", ids, count::<i64>("ids", n, 1)?) }?;
        ids.copy_from_slice(&index.ids());
        Ok(())
    })
}

/// Reads back the vectors with the ids `first` to `first + n - 1`, as `ivf_reconstruct` does.
///
/// - `x`: `[n, dim]`, row-major, receives the vectors in the order of their ids; NULL if `n` is 0.
/// - `dim`: the index's own.
///
/// `ivf_reconstruct_range_v2` can be cancelled. Errors: as `ivf_reconstruct`; `IVF_E_NOT_FOUND` names the first id of these
/// that no vector has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_reconstruct_range(
    index: *const ivf_index,
    first: i64,
    n: u64,
    x: *mut f32,
    dim: u32,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { cancellable::reconstruct_range(index, first, n, x, dim, null()) })
}

/// Searches like `ivf_search` and reads back the vector of each result.
///
/// - `queries`, `n`, `dim`, `k`, `distances`, `ids`, `options`: as in `ivf_search`.
/// - `vectors`: `[n, k, dim]`, row-major, receives the vectors in the order of `ids`; of an id that several
///   vectors have, the first found. The vector of a missing result (id -1) is NaN throughout, as in faiss.
///
/// Errors: as `ivf_search`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_search_and_reconstruct(
    index: *const ivf_index,
    queries: *const f32,
    n: u64,
    dim: u32,
    k: u32,
    distances: *mut f32,
    ids: *mut i64,
    vectors: *mut f32,
    options: *const ivf_search_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe {
        find(index, (queries.cast(), IVF_ELEMENT_F32, n), dim, k, distances, ids, vectors, options)
    })
}

/// `ivf_search_and_reconstruct` for queries of any type.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn find(
    index: *const ivf_index,
    (queries, element, n): (*const c_void, i32, u64),
    dim: u32,
    k: u32,
    distances: *mut f32,
    ids: *mut i64,
    vectors: *mut f32,
    options: *const ivf_search_options,
) -> Result<()> {
    // SAFETY: NULL or a live handle, by the caller's promise.
    let index = unsafe { borrow(index) }?;
    check_dim("queries", index.dim(), dim)?;
    // SAFETY: each helper checks pointers and sizes; the lengths are the caller's promise.
    let (queries, (search, output), vectors) = unsafe {
        let search = Search::prepare(n, k, distances, ids, options)?;
        let hits = search.1.ids.len() as u64;
        let vectors = values_mut("vectors", vectors, count::<f32>("vectors", hits, u64::from(dim))?)?;
        (rows("queries", queries, element, n, dim)?, search, vectors)
    };
    let core = index.read()?;
    // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
    unsafe {
        search.run(Some(index), |options, control| {
            core.search_and_reconstruct(queries, k as usize, options, output, vectors, control)
        })
    }
}
