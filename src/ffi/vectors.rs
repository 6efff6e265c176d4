//! Section "files of vectors and new vectors": what is built from a file, and what is made of neighbours.

use std::ffi::{c_char, c_void};
use std::path::Path;

use super::arguments::{Out, check_dim, count, rows, text, values_mut};
use super::data::{ivf_add_options, ivf_train_options, train_options};
use super::guard::guard;
use super::handle::{borrow, ivf_index};
use super::options;
use super::progress::Hooks;
use super::search::{Search, ivf_search_options};
use super::status::ivf_status;
use super::typed::IVF_ELEMENT_F32;
use crate::error::Result;
use crate::progress::Control;

/// Adds the vectors of a file, read a piece at a time, under the next free ids.
///
/// - `path`: UTF-8. A `.npy` (little-endian float32 or float16, or uint8; two dimensions, C order), known by its first
///   bytes; or `.fvecs` or `.bvecs` by the name's end. Rows as wide as the index's.
/// - `options`: NULL for the defaults.
/// - `added`: receives the number of vectors; may be NULL.
///
/// Threads: changes the index. Errors: as `ivf_add`; `IVF_E_IO`; `IVF_E_FORMAT` for another file, or one of another
/// type; `IVF_E_CORRUPT` for a truncated or damaged one. After a failure nothing is added.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_add_file(
    index: *mut ivf_index,
    path: *const c_char,
    options: *const ivf_add_options,
    added: *mut u64,
) -> ivf_status {
    guard(|| {
        // SAFETY: each helper checks what it is given; live handle and text are the caller's promise.
        let (index, path, options, added) = unsafe {
            (borrow(index)?, text("path", path)?, options::read(options)?, Out::optional("added", added)?)
        };
        let hooks = Hooks {
            progress: options.progress,
            progress_data: options.progress_data,
            cancel: options.cancel,
        };
        let mut core = index.write()?;
        let work = |control: &Control<'_>| core.add_file(Path::new(path), options.threads as usize, control);
        // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
        added.set(unsafe { hooks.run(Some(index), work) }? as u64);
        Ok(())
    })
}

/// Builds an index from a file that need not fit in memory: trains it on a sample of the file's rows, unless it is
/// trained already, then adds all of them as `ivf_add_file` does. Memory: the sample (256 rows a list, unless the
/// options say), a piece of the file, and the index.
///
/// - `path`: as in `ivf_add_file`.
/// - `options`: those of the training, whose `threads`, `progress` and `cancel` hold for the adding as well; NULL for the
///   defaults.
/// - `added`: receives the number of vectors; may be NULL.
///
/// Threads: changes the index. Errors: as `ivf_train` and `ivf_add_file`. After a failure nothing is added, but the index
/// may be trained.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_build_file(
    index: *mut ivf_index,
    path: *const c_char,
    options: *const ivf_train_options,
    added: *mut u64,
) -> ivf_status {
    guard(|| {
        // SAFETY: each helper checks what it is given; live handle and text are the caller's promise.
        let (index, path, options, added) = unsafe {
            (borrow(index)?, text("path", path)?, options::read(options)?, Out::optional("added", added)?)
        };
        let train = train_options(&options)?;
        let hooks = Hooks {
            progress: options.progress,
            progress_data: options.progress_data,
            cancel: options.cancel,
        };
        let mut core = index.write()?;
        let work = |control: &Control<'_>| core.build_file(Path::new(path), &train, control);
        // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
        added.set(unsafe { hooks.run(Some(index), work) }? as u64);
        Ok(())
    })
}

/// Expands queries by their neighbours (alpha query expansion, as image retrieval does it): each becomes the mean of
/// itself, with weight 1, and its `k` best, each with the weight similarity^alpha. Searching again with the result finds
/// what the neighbours have in common.
///
/// - `queries`: `[n, dim]`, row-major; NULL if `n` is 0.
/// - `dim`: the index's own.
/// - `k`: neighbours a query, at least 1.
/// - `alpha`: from 0 (all weigh the same) on; 3 is usual. A similarity below 0 counts as 0; for L2 it is
///   1 / (1 + distance).
/// - `out`: `[n, dim]`, receives the new queries, of length 1 for inner product and cosine. Never NaN.
/// - `options`: NULL for the defaults; `hits` must be NULL.
///
/// Threads: as `ivf_search`. Vectors are read by id: where ids may repeat, the first of an id stands for all. Errors: as
/// `ivf_search`; `IVF_E_ARGUMENT` for another alpha.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_query_expansion(
    index: *const ivf_index,
    queries: *const f32,
    n: u64,
    dim: u32,
    k: u32,
    alpha: f32,
    out: *mut f32,
    options: *const ivf_search_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { expand(index, queries.cast(), IVF_ELEMENT_F32, n, dim, k, alpha, out, options) })
}

/// `ivf_query_expansion` for queries of any type.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn expand(
    index: *const ivf_index,
    queries: *const c_void,
    element: i32,
    n: u64,
    dim: u32,
    k: u32,
    alpha: f32,
    out: *mut f32,
    options: *const ivf_search_options,
) -> Result<()> {
    // SAFETY: NULL or a live handle, by the caller's promise.
    let index = unsafe { borrow(index) }?;
    check_dim("queries", index.dim(), dim)?;
    // SAFETY: each helper checks pointers and sizes; the lengths are the caller's promise.
    let (queries, out, search) = unsafe {
        let out = values_mut("out", out, count::<f32>("out", n, u64::from(dim))?)?;
        (rows("queries", queries, element, n, dim)?, out, Search::without_output(options)?)
    };
    let core = index.read()?;
    // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
    unsafe {
        search.run(Some(index), |options, control| {
            core.query_expansion(queries, k as usize, alpha, options, out, control)
        })
    }
}

/// Blends queries with their neighbours, as voice conversion does with features: each becomes
/// ratio * blend + (1 - ratio) * query, the blend being the mean of its `k` nearest vectors, each with the weight
/// 1 / distance^power.
///
/// - `queries`: `[n, dim]`, row-major; NULL if `n` is 0.
/// - `dim`: the index's own.
/// - `k`: neighbours a query, at least 1.
/// - `power`: from 0 (all weigh the same) on; of the squared distance for L2, of 1 - similarity for cosine. 2 is what
///   RVC does.
/// - `ratio`: 0 (the query) to 1 (the blend).
/// - `out`: `[n, dim]`, receives the result. Vectors at distance 0 share all the weight; missing results have none; a
///   query without any stays as it is. Never NaN.
/// - `options`: NULL for the defaults; `hits` must be NULL.
///
/// Threads: as `ivf_search`. Vectors are those of `ivf_reconstruct` (of length 1 for cosine); where ids may repeat, the
/// first of an id stands for all. Errors: as `ivf_search`; `IVF_E_ARGUMENT` for another power or ratio, and for inner
/// product, which is no distance.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_blend(
    index: *const ivf_index,
    queries: *const f32,
    n: u64,
    dim: u32,
    k: u32,
    power: f32,
    ratio: f32,
    out: *mut f32,
    options: *const ivf_search_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe {
        blend(index, (queries.cast(), IVF_ELEMENT_F32, n), dim, k, power, ratio, out, options)
    })
}

/// `ivf_blend` for queries of any type.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn blend(
    index: *const ivf_index,
    (queries, element, n): (*const c_void, i32, u64),
    dim: u32,
    k: u32,
    power: f32,
    ratio: f32,
    out: *mut f32,
    options: *const ivf_search_options,
) -> Result<()> {
    // SAFETY: NULL or a live handle, by the caller's promise.
    let index = unsafe { borrow(index) }?;
    check_dim("queries", index.dim(), dim)?;
    // SAFETY: each helper checks pointers and sizes; the lengths are the caller's promise.
    let (queries, out, search) = unsafe {
        let out = values_mut("out", out, count::<f32>("out", n, u64::from(dim))?)?;
        (rows("queries", queries, element, n, dim)?, out, Search::without_output(options)?)
    };
    let core = index.read()?;
    // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
    unsafe {
        search.run(Some(index), |options, control| {
            core.blend(queries, k as usize, power, ratio, options, out, control)
        })
    }
}
