//! Section "typed rows": the calls that read rows, for rows of other types than float32.
//!
//! One function a call with the type as a number, not one a type: a buffer's type is mostly known at run time (a
//! NumPy array, a mapped file), C has no half-precision type to name in a signature, and a further type adds a
//! constant instead of a dozen functions.

use std::ffi::c_void;

use super::arguments::give;
use super::change;
use super::context::ivf_context;
use super::data::{self, ivf_add_options, ivf_train_options};
use super::guard::guard;
use super::handle::ivf_index;
use super::kmeans::{self, ivf_kmeans_options};
use super::knn;
use super::range::{self, ivf_range_result};
use super::readback;
use super::search::{self, ivf_search_options};
use super::status::ivf_status;
use super::tune::{self, ivf_tune_options, ivf_tune_result};
use super::vectors;

/// float32.
pub const IVF_ELEMENT_F32: i32 = 0;
/// IEEE 754 binary16: `_Float16`, `half`, `System.Half`, `numpy.float16`.
pub const IVF_ELEMENT_F16: i32 = 1;
/// bfloat16: the upper half of a float32.
pub const IVF_ELEMENT_BF16: i32 = 2;
/// Bytes, as the whole numbers from 0 to 255.
pub const IVF_ELEMENT_U8: i32 = 3;

/// `ivf_train` from rows of any type. Wherever typed rows are taken, the result is that of the same values as
/// float32, bit for bit, and values are widened a few hundred rows at a time, never as a whole copy.
///
/// - `x`: `[n, dim]`, row-major, of the type `element`, aligned for it.
/// - `element`: `IVF_ELEMENT_*`.
/// - `dim`, `options`: as in `ivf_train`.
///
/// Errors: as `ivf_train`; `IVF_E_ARGUMENT` for an unknown element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_train_typed(
    index: *mut ivf_index,
    x: *const c_void,
    element: i32,
    n: u64,
    dim: u32,
    options: *const ivf_train_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { data::train(index, x, element, n, dim, options) })
}

/// `ivf_add` of rows of any type. What the index holds them in is its own: the description says that.
///
/// - `x`: `[n, dim]`, row-major, of the type `element`, aligned for it; NULL if `n` is 0.
/// - `element`: `IVF_ELEMENT_*`.
/// - `dim`, `ids`, `options`: as in `ivf_add`.
///
/// Errors: as `ivf_add`; `IVF_E_ARGUMENT` also for an unknown element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_add_typed(
    index: *mut ivf_index,
    x: *const c_void,
    element: i32,
    n: u64,
    dim: u32,
    ids: *const i64,
    options: *const ivf_add_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { data::add(index, x, element, n, dim, ids, options) })
}

/// `ivf_update` by rows of any type.
///
/// - `x`: `[n, dim]`, row-major, of the type `element`, aligned for it, in the order of `ids`; NULL if `n` is 0.
/// - `element`: `IVF_ELEMENT_*`.
/// - `ids`, `dim`, `options`: as in `ivf_update`.
///
/// Errors: as `ivf_update`; `IVF_E_ARGUMENT` also for an unknown element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_update_typed(
    index: *mut ivf_index,
    ids: *const i64,
    x: *const c_void,
    element: i32,
    n: u64,
    dim: u32,
    options: *const ivf_add_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { change::update(index, ids, x, element, n, dim, options) })
}

/// `ivf_search` with queries of any type.
///
/// - `queries`: `[n, dim]`, row-major, of the type `element`, aligned for it; NULL if `n` is 0.
/// - `element`: `IVF_ELEMENT_*`.
/// - `dim`, `k`, `distances`, `ids`, `options`: as in `ivf_search`.
///
/// Errors: as `ivf_search`; `IVF_E_ARGUMENT` also for an unknown element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_search_typed(
    index: *const ivf_index,
    queries: *const c_void,
    element: i32,
    n: u64,
    dim: u32,
    k: u32,
    distances: *mut f32,
    ids: *mut i64,
    options: *const ivf_search_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { search::search(index, queries, element, n, dim, k, distances, ids, options) })
}

/// `ivf_range_search` with queries of any type.
///
/// - `queries`: `[n, dim]`, row-major, of the type `element`, aligned for it; NULL if `n` is 0.
/// - `element`: `IVF_ELEMENT_*`.
/// - `dim`, `radius`, `options`, `result`: as in `ivf_range_search`.
///
/// Errors: as `ivf_range_search`; `IVF_E_ARGUMENT` also for an unknown element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_range_search_typed(
    index: *const ivf_index,
    queries: *const c_void,
    element: i32,
    n: u64,
    dim: u32,
    radius: f32,
    options: *const ivf_search_options,
    result: *mut *mut ivf_range_result,
) -> ivf_status {
    // SAFETY: `give` checks the pointer; the caller's promise is the same.
    guard(|| unsafe {
        give("result", result, || range::find(index, queries, element, n, dim, radius, options))
    })
}

/// `ivf_search_preassigned` with queries of any type.
///
/// - `queries`: `[n, dim]`, row-major, of the type `element`, aligned for it; NULL if `n` is 0.
/// - `element`: `IVF_ELEMENT_*`.
/// - `dim`, `k`, `lists`, `nprobe`, `distances`, `ids`, `options`: as in `ivf_search_preassigned`.
///
/// Errors: as `ivf_search_preassigned`; `IVF_E_ARGUMENT` also for an unknown element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_search_preassigned_typed(
    index: *const ivf_index,
    queries: *const c_void,
    element: i32,
    n: u64,
    dim: u32,
    k: u32,
    lists: *const i64,
    nprobe: u32,
    distances: *mut f32,
    ids: *mut i64,
    options: *const ivf_search_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe {
        search::preassigned(index, (queries, element, n), dim, k, lists, nprobe, distances, ids, options)
    })
}

/// `ivf_search_and_reconstruct` with queries of any type; the vectors come back as float32.
///
/// - `queries`: `[n, dim]`, row-major, of the type `element`, aligned for it; NULL if `n` is 0.
/// - `element`: `IVF_ELEMENT_*`.
/// - `dim`, `k`, `distances`, `ids`, `vectors`, `options`: as in `ivf_search_and_reconstruct`.
///
/// Errors: as `ivf_search_and_reconstruct`; `IVF_E_ARGUMENT` also for an unknown element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_search_and_reconstruct_typed(
    index: *const ivf_index,
    queries: *const c_void,
    element: i32,
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
        readback::find(index, (queries, element, n), dim, k, distances, ids, vectors, options)
    })
}

/// `ivf_tune` on queries of any type.
///
/// - `queries`: `[n, dim]`, row-major, of the type `element`, aligned for it; NULL if `n` is 0.
/// - `element`: `IVF_ELEMENT_*`.
/// - `dim`, `k`, `recall`, `options`, `result`: as in `ivf_tune`.
///
/// Errors: as `ivf_tune`; `IVF_E_ARGUMENT` also for an unknown element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_tune_typed(
    index: *mut ivf_index,
    queries: *const c_void,
    element: i32,
    n: u64,
    dim: u32,
    k: u32,
    recall: f64,
    options: *const ivf_tune_options,
    result: *mut ivf_tune_result,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { tune::tune(index, queries, element, n, dim, k, recall, options, result) })
}

/// `ivf_query_expansion` of queries of any type.
///
/// - `queries`: `[n, dim]`, row-major, of the type `element`, aligned for it; NULL if `n` is 0.
/// - `element`: `IVF_ELEMENT_*`.
/// - `dim`, `k`, `alpha`, `out` (float32), `options`: as in `ivf_query_expansion`.
///
/// Errors: as `ivf_query_expansion`; `IVF_E_ARGUMENT` also for an unknown element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_query_expansion_typed(
    index: *const ivf_index,
    queries: *const c_void,
    element: i32,
    n: u64,
    dim: u32,
    k: u32,
    alpha: f32,
    out: *mut f32,
    options: *const ivf_search_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { vectors::expand(index, queries, element, n, dim, k, alpha, out, options) })
}

/// `ivf_blend` of queries of any type.
///
/// - `queries`: `[n, dim]`, row-major, of the type `element`, aligned for it; NULL if `n` is 0.
/// - `element`: `IVF_ELEMENT_*`.
/// - `dim`, `k`, `power`, `ratio`, `out` (float32), `options`: as in `ivf_blend`.
///
/// Errors: as `ivf_blend`; `IVF_E_ARGUMENT` also for an unknown element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_blend_typed(
    index: *const ivf_index,
    queries: *const c_void,
    element: i32,
    n: u64,
    dim: u32,
    k: u32,
    power: f32,
    ratio: f32,
    out: *mut f32,
    options: *const ivf_search_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { vectors::blend(index, (queries, element, n), dim, k, power, ratio, out, options) })
}

/// `ivf_kmeans` of points of any type.
///
/// - `x`: `[n, dim]`, row-major, of the type `element`, aligned for it.
/// - `element`: `IVF_ELEMENT_*`.
/// - `context`, `k`, `centroids` (float32), `options`: as in `ivf_kmeans`.
///
/// Errors: as `ivf_kmeans`; `IVF_E_ARGUMENT` also for an unknown element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_kmeans_typed(
    context: *const ivf_context,
    x: *const c_void,
    element: i32,
    n: u64,
    dim: u32,
    k: u32,
    centroids: *mut f32,
    options: *const ivf_kmeans_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { kmeans::cluster(context, x, element, n, dim, k, centroids, options) })
}

/// `ivf_knn` of rows of any type; queries and rows may differ in theirs.
///
/// - `queries`: `[n_queries, dim]`, row-major, of the type `queries_element`; NULL if `n_queries` is 0.
/// - `x`: `[n, dim]`, row-major, of the type `x_element`; NULL if `n` is 0.
/// - `queries_element`, `x_element`: `IVF_ELEMENT_*`.
/// - `context`, `metric`, `k`, `distances`, `ids`, `options`: as in `ivf_knn`.
///
/// Errors: as `ivf_knn`; `IVF_E_ARGUMENT` also for an unknown element.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_knn_typed(
    context: *const ivf_context,
    queries: *const c_void,
    queries_element: i32,
    n_queries: u64,
    x: *const c_void,
    x_element: i32,
    n: u64,
    dim: u32,
    metric: i32,
    k: u32,
    distances: *mut f32,
    ids: *mut i64,
    options: *const ivf_search_options,
) -> ivf_status {
    let (queries, x) = ((queries, queries_element, n_queries), (x, x_element, n));
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { knn::find(context, queries, x, dim, metric, k, distances, ids, options) })
}
