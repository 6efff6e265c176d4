//! Section "range search": every vector within a radius.

use std::ffi::c_void;

use super::arguments::{self, check_dim, give, rows, take_back};
use super::guard::guard;
use super::handle::{borrow, ivf_index};
use super::options::{self, growing};
use super::search::{Search, ivf_search_options};
use super::status::ivf_status;
use super::typed::IVF_ELEMENT_F32;
use crate::error::Result;
use crate::index::{RangeOutput, SearchOptions};
use crate::progress::Control;

/// What a range search found: made by `ivf_range_search`, read by `ivf_range_result_get`, given back by
/// `ivf_range_result_destroy`.
pub struct ivf_range_result(RangeOutput);

/// A look at a range search's result. The arrays are the result's and live as long as it does.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ivf_range_view {
    /// `sizeof(ivf_range_view)`, set by the caller.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// Queries.
    pub n: u64,
    /// Hits of all queries.
    pub total: u64,
    /// `[n + 1]`: query i has the hits `offsets[i]` to `offsets[i + 1] - 1`.
    pub offsets: *const u64,
    /// `[total]`: squared distances rising (L2), or similarities falling, within each query.
    pub distances: *const f32,
    /// `[total]`: the ids that belong to them; equal distances are in order of id.
    pub ids: *const i64,
}

growing!(ivf_range_view, ids: *const i64);

/// Finds, for each query, every vector of the lists visited that is strictly better than `radius`: squared
/// distance below it (L2), similarity above it.
///
/// - `queries`: `[n, dim]`, row-major; NULL if `n` is 0.
/// - `dim`: the index's own.
/// - `radius`: squared for L2, as distances are.
/// - `options`: NULL for the defaults; `hits` must be NULL (the result has them), `target_recall` 0.
/// - `result`: receives the handle; NULL on failure. Give it back with `ivf_range_result_destroy`.
///
/// Behind a refinement ("SQ8,RFlat") those are found that are better both by their codes and by the kept rows, at the
/// distances of these.
///
/// Threads and cost: as `ivf_search`. Errors: as `ivf_search`; `IVF_E_ARGUMENT` for a radius of NaN.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_range_search(
    index: *const ivf_index,
    queries: *const f32,
    n: u64,
    dim: u32,
    radius: f32,
    options: *const ivf_search_options,
    result: *mut *mut ivf_range_result,
) -> ivf_status {
    // SAFETY: `give` checks the pointer; the caller's promise is the same.
    guard(|| unsafe {
        give("result", result, || find(index, queries.cast(), IVF_ELEMENT_F32, n, dim, radius, options))
    })
}

/// `ivf_range_search` for queries of any type.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn find(
    index: *const ivf_index,
    queries: *const c_void,
    element: i32,
    n: u64,
    dim: u32,
    radius: f32,
    options: *const ivf_search_options,
) -> Result<ivf_range_result> {
    // SAFETY: NULL or a live handle, by the caller's promise.
    let index = unsafe { borrow(index) }?;
    check_dim("queries", index.dim(), dim)?;
    // SAFETY: `rows` and `without_output` check pointers and sizes; lengths are the caller's promise.
    let (queries, search) =
        unsafe { (rows("queries", queries, element, n, dim)?, Search::without_output(options)?) };
    let core = index.read()?;
    let work = |options: &SearchOptions<'_>, control: &Control<'_>| {
        core.range_search(queries, radius, options, control)
    };
    // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
    unsafe { search.run(Some(index), work) }.map(ivf_range_result)
}

/// Fills `view` with what a range search found.
///
/// Errors: `IVF_E_NULL`; `IVF_E_ARGUMENT` for a wrong `struct_size`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_range_result_get(
    result: *const ivf_range_result,
    view: *mut ivf_range_view,
) -> ivf_status {
    guard(|| {
        // SAFETY: NULL or a live handle, by the caller's promise.
        let RangeOutput { offsets, distances, ids } = unsafe { &arguments::borrow("result", result)?.0 };
        let filled = ivf_range_view {
            n: offsets.len() as u64 - 1,
            total: ids.len() as u64,
            offsets: offsets.as_ptr(),
            distances: distances.as_ptr(),
            ids: ids.as_ptr(),
            ..options::zeroed()
        };
        // SAFETY: `write` checks it; `struct_size` writable bytes are the caller's promise.
        unsafe { options::write("view", view, &filled) }
    })
}

/// Gives a range search's result back; NULL is nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_range_result_destroy(result: *mut ivf_range_result) {
    guard(|| {
        // SAFETY: NULL or a handle that is given up, by the caller's promise.
        unsafe { take_back(result) };
        Ok(())
    });
}
