//! Section "training and vectors": what changes an index, and reading vectors back.

use std::ffi::c_void;
use std::ptr::null;

use super::arguments::{check_dim, count, rows, values};
use super::cancellable;
use super::guard::guard;
use super::handle::{borrow, ivf_index};
use super::kmeans::seeding;
use super::options::{self, growing};
use super::progress::{Hooks, ivf_progress_fn};
use super::status::ivf_status;
use super::typed::IVF_ELEMENT_F32;
use crate::error::Result;
use crate::index::TrainOptions;
use crate::kmeans::KMeansOptions;

/// How an index is trained.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ivf_train_options {
    /// `sizeof(ivf_train_options)`.
    pub struct_size: u32,
    /// Threads of this call, at most the context's; 0 = all of them.
    pub threads: u32,
    /// Iterations of k-means; 0 = 10.
    pub iterations: u32,
    /// `IVF_SEEDING_*`.
    pub seeding: i32,
    /// Seed of all that is random; 0 = 1234. The same seed and data give the same centroids on any number of
    /// threads.
    pub seed: u64,
    /// Points used for each centroid, drawn at random if there are more; 0 = 256, UINT32_MAX = all.
    pub max_points_per_centroid: u32,
    /// Trainings from different seeds, of which the best is kept; 0 = 1.
    pub restarts: u32,
    /// NULL, or told after every iteration.
    pub progress: ivf_progress_fn,
    /// Passed on to `progress`.
    pub progress_data: *mut c_void,
    /// NULL, or a number that any thread may set non-zero to end the call.
    pub cancel: *const i32,
}

growing!(ivf_train_options, cancel: *const i32);

/// How vectors are added.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ivf_add_options {
    /// `sizeof(ivf_add_options)`.
    pub struct_size: u32,
    /// Threads of this call, at most the context's; 0 = all of them.
    pub threads: u32,
    /// NULL, or told now and then.
    pub progress: ivf_progress_fn,
    /// Passed on to `progress`.
    pub progress_data: *mut c_void,
    /// NULL, or a number that any thread may set non-zero to end the call.
    pub cancel: *const i32,
}

growing!(ivf_add_options, cancel: *const i32);

/// Trains an IVF index: chooses its centroids by k-means over points like those it will hold. Instead of it,
/// a coarse step of your own may give them by `ivf_set_centroids`. For a "Flat" index it only checks its
/// arguments.
///
/// - `x`: `[n, dim]`, row-major; a sample is drawn from it where there are more points than are used.
/// - `dim`: the index's own.
/// - `options`: NULL for the defaults.
///
/// Threads: changes the index, so other calls on it wait. Cost: O(iterations * points used * nlist * dim).
/// Errors: `IVF_E_NULL`; `IVF_E_DIMENSION`; `IVF_E_NOT_FINITE`; `IVF_E_STATE` if the index holds vectors
/// (`ivf_reset` it first); `IVF_E_TOO_FEW_POINTS`; `IVF_E_ARGUMENT`; `IVF_E_OVERFLOW`; `IVF_E_MEMORY`;
/// `IVF_E_CANCELLED`. After a failure the index is as before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_train(
    index: *mut ivf_index,
    x: *const f32,
    n: u64,
    dim: u32,
    options: *const ivf_train_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { train(index, x.cast(), IVF_ELEMENT_F32, n, dim, options) })
}

/// What training does, as the core wants it.
pub(super) fn train_options(options: &ivf_train_options) -> Result<TrainOptions> {
    Ok(TrainOptions {
        threads: options.threads as usize,
        kmeans: KMeansOptions {
            threads: options.threads as usize,
            iterations: options.iterations as usize,
            seeding: seeding(options.seeding)?,
            seed: options.seed,
            max_points_per_centroid: options.max_points_per_centroid as usize,
            restarts: options.restarts as usize,
            ..KMeansOptions::default()
        },
    })
}

/// `ivf_train` for rows of any type.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn train(
    index: *mut ivf_index,
    x: *const c_void,
    element: i32,
    n: u64,
    dim: u32,
    options: *const ivf_train_options,
) -> Result<()> {
    // SAFETY: NULL or a live handle, NULL or whole options, by the caller's promise.
    let (index, options) = unsafe { (borrow(index)?, options::read(options)?) };
    check_dim("x", index.dim(), dim)?;
    // SAFETY: `rows` checks the pointer and the size; its length is the caller's promise.
    let x = unsafe { rows("x", x, element, n, dim) }?;
    let train = train_options(&options)?;
    let hooks =
        Hooks { progress: options.progress, progress_data: options.progress_data, cancel: options.cancel };
    let mut core = index.write()?;
    // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
    unsafe { hooks.run(Some(index), |control| core.train(x, &train, control)) }
}

/// Sets the centroids of an IVF index, which is trained by that; an index that is trained but empty gets new
/// ones.
///
/// - `centroids`: `[nlist, dim]`, row-major.
/// - `nlist`: the number that the description names; any from 1 on if it names none ("IVF,Flat").
/// - `dim`: the index's own.
///
/// Threads: changes the index. `ivf_set_centroids_v2` can be cancelled, for grouping thousands of them takes a while
/// ("IVF65536_HNSW32": 0.2 s). Errors: `IVF_E_NULL`; `IVF_E_DIMENSION`; `IVF_E_ARGUMENT` for another number of lists;
/// `IVF_E_NOT_FINITE`; `IVF_E_STATE` if the index holds vectors or is "Flat"; `IVF_E_OVERFLOW`; `IVF_E_MEMORY`. After a
/// failure the index is as before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_set_centroids(
    index: *mut ivf_index,
    centroids: *const f32,
    nlist: u64,
    dim: u32,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { cancellable::set_centroids(index, centroids, nlist, dim, null()) })
}

/// Adds vectors.
///
/// - `x`: `[n, dim]`, row-major; NULL if `n` is 0. The index keeps a copy.
/// - `dim`: the index's own.
/// - `ids`: `[n]`, your own numbers from 0 on; or NULL, and they get the next free ones, `next_id` of
///   `ivf_index_get_info` being the first. No id is handed out twice, not even after its vector is removed.
/// - `options`: NULL for the defaults.
///
/// Threads: changes the index, so other calls on it wait. Cost: O(n * nlist * dim). Errors: `IVF_E_NULL`;
/// `IVF_E_NOT_TRAINED`; `IVF_E_DIMENSION`; `IVF_E_NOT_FINITE`; `IVF_E_DUPLICATE_ID` for an id that the batch
/// has twice or the index already, unless it was created to allow that; `IVF_E_ARGUMENT` for a negative id;
/// `IVF_E_OVERFLOW`; `IVF_E_MEMORY`; `IVF_E_CANCELLED`. After a failure nothing is added.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_add(
    index: *mut ivf_index,
    x: *const f32,
    n: u64,
    dim: u32,
    ids: *const i64,
    options: *const ivf_add_options,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { add(index, x.cast(), IVF_ELEMENT_F32, n, dim, ids, options) })
}

/// `ivf_add` for rows of any type.
///
/// # Safety
/// As the function in C.
pub(super) unsafe fn add(
    index: *mut ivf_index,
    x: *const c_void,
    element: i32,
    n: u64,
    dim: u32,
    ids: *const i64,
    options: *const ivf_add_options,
) -> Result<()> {
    // SAFETY: NULL or a live handle, NULL or whole options, by the caller's promise.
    let (index, options) = unsafe { (borrow(index)?, options::read(options)?) };
    check_dim("x", index.dim(), dim)?;
    // SAFETY: `rows`, `count` and `values` check the pointers and the sizes; their lengths are the
    // caller's promise.
    let (x, ids) = unsafe {
        let x = rows("x", x, element, n, dim)?;
        let ids = if ids.is_null() { None } else { Some(values("ids", ids, count::<i64>("ids", n, 1)?)?) };
        (x, ids)
    };
    let hooks =
        Hooks { progress: options.progress, progress_data: options.progress_data, cancel: options.cancel };
    let mut core = index.write()?;
    // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
    unsafe { hooks.run(Some(index), |control| core.add(x, ids, options.threads as usize, control)) }
}

/// Removes vectors by id. No search returns them from then on; their space comes back with `ivf_compact`,
/// which runs by itself once a fifth of the index is dead.
///
/// - `ids`: `[n]`; NULL if `n` is 0. Ids that no vector has are ignored; where ids may repeat, all of one id
///   go.
/// - `removed`: receives the number of vectors removed; may be NULL.
///
/// Threads: changes the index. `ivf_remove_v2` can be cancelled. Errors: `IVF_E_NULL`; `IVF_E_OVERFLOW`; `IVF_E_MEMORY`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_remove(
    index: *mut ivf_index,
    ids: *const i64,
    n: u64,
    removed: *mut u64,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { cancellable::remove(index, ids, n, removed, null()) })
}

/// Removes all vectors; the training stays, and so does the next id.
///
/// Threads: changes the index. Errors: `IVF_E_NULL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_reset(index: *mut ivf_index) -> ivf_status {
    guard(|| {
        // SAFETY: NULL or a live handle, by the caller's promise.
        unsafe { borrow(index) }?.write()?.reset();
        Ok(())
    })
}

/// Packs the lists: returns the space of removed vectors and the room that the lists keep to grow. On Linux 6.1 and later
/// their memory becomes huge pages where those can be had, which makes single queries faster.
///
/// Threads: changes the index. Cost: one copy of the vectors; `ivf_compact_v2` can be cancelled. Errors: `IVF_E_NULL`; `IVF_E_MEMORY`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_compact(index: *mut ivf_index) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { cancellable::compact(index, null()) })
}

/// Reads vectors back by id, as they were added; with the cosine metric they have length 1.
///
/// - `ids`: `[n]`; NULL if `n` is 0.
/// - `x`: `[n, dim]`, row-major, receives the vectors in the order of `ids`.
/// - `dim`: the index's own.
///
/// `ivf_reconstruct_v2` can be cancelled. Errors: `IVF_E_NULL`; `IVF_E_DIMENSION`; `IVF_E_NOT_FOUND` for an id that no
/// vector has; `IVF_E_OVERFLOW`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_reconstruct(
    index: *const ivf_index,
    ids: *const i64,
    n: u64,
    x: *mut f32,
    dim: u32,
) -> ivf_status {
    // SAFETY: the caller's promise is the same.
    guard(|| unsafe { cancellable::reconstruct(index, ids, n, x, dim, null()) })
}
