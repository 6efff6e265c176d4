//! Section "knn": exact search of data against data, without an index.

use std::ffi::c_void;

use super::arguments::rows;
use super::context::{ivf_context, resolve};
use super::guard::guard;
use super::search::{Search, ivf_search_options};
use super::status::ivf_status;
use super::typed::IVF_ELEMENT_F32;
use crate::error::Result;
use crate::index::knn;
use crate::metric::Metric;

/// Finds the `k` nearest rows of `x` for each query, exactly, without building an index.
///
/// - `context`: NULL for the shared default one.
/// - `queries`: `[n_queries, dim]`, row-major; NULL if `n_queries` is 0.
/// - `x`: `[n, dim]`, row-major; NULL if `n` is 0. A result's id is its row in `x`.
/// - `metric`: `IVF_METRIC_*`.
/// - `k`, `distances`, `ids`: as in `ivf_search`, `[n_queries, k]`.
/// - `options`: NULL for the defaults; `nprobe`, `probe_scale`, `target_recall`, `max_codes`, the profile and the budget must be 0.
///
/// Cost: O(n_queries * n * dim). Errors: `IVF_E_NULL`; `IVF_E_ARGUMENT`; `IVF_E_NOT_FINITE`;
/// `IVF_E_OVERFLOW`; `IVF_E_MEMORY`; `IVF_E_CANCELLED`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_knn(
    context: *const ivf_context,
    queries: *const f32,
    n_queries: u64,
    x: *const f32,
    n: u64,
    dim: u32,
    metric: i32,
    k: u32,
    distances: *mut f32,
    ids: *mut i64,
    options: *const ivf_search_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe {
        let (queries, x) = ((queries.cast(), IVF_ELEMENT_F32, n_queries), (x.cast(), IVF_ELEMENT_F32, n));
        find(context, queries, x, dim, metric, k, distances, ids, options)
    })
}

/// `ivf_knn` for rows of any type: each pointer with its element and the number of rows.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn find(
    context: *const ivf_context,
    queries: (*const c_void, i32, u64),
    x: (*const c_void, i32, u64),
    dim: u32,
    metric: i32,
    k: u32,
    distances: *mut f32,
    ids: *mut i64,
    options: *const ivf_search_options,
) -> Result<()> {
    let metric = Metric::from_number(metric)?;
    // SAFETY: each helper checks what it is given; live handle and lengths are the caller's promise.
    let (context, queries, x, (search, output)) = unsafe {
        let search = Search::prepare(queries.2, k, distances, ids, options)?;
        let queries = rows("queries", queries.0, queries.1, queries.2, dim)?;
        (resolve(context)?, queries, rows("x", x.0, x.1, x.2, dim)?, search)
    };
    search.refuse("ivf_knn", true, true)?;
    // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
    unsafe {
        search.run(None, |options, control| {
            knn(&context, queries, x, metric, k as usize, options, output, control)
        })
    }
}
