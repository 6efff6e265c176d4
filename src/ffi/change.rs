//! Section "vectors", continued: replacing vectors and removing them by a filter.

use super::arguments::{self, Out, check_dim, count, matrix, values};
use super::data::ivf_add_options;
use super::filter::ivf_filter;
use super::guard::guard;
use super::handle::{borrow, ivf_index};
use super::options;
use super::progress::Hooks;
use super::status::ivf_status;

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
/// hold; `IVF_E_OVERFLOW`; `IVF_E_MEMORY`; `IVF_E_CANCELLED`. After a failure nothing is changed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_update(
    index: *mut ivf_index,
    ids: *const i64,
    x: *const f32,
    n: u64,
    dim: u32,
    options: *const ivf_add_options,
) -> ivf_status {
    guard(|| {
        // SAFETY: NULL or a live handle, NULL or whole options, by the caller's promise.
        let (index, options) = unsafe { (borrow(index)?, options::read(options)?) };
        check_dim("x", index.dim(), dim)?;
        // SAFETY: `matrix`, `count` and `values` check the pointers and the sizes; their lengths are the
        // caller's promise.
        let (ids, x) = unsafe { (values("ids", ids, count::<i64>("ids", n, 1)?)?, matrix("x", x, n, dim)?) };
        let hooks = Hooks {
            progress: options.progress,
            progress_data: options.progress_data,
            cancel: options.cancel,
        };
        let mut core = index.write()?;
        // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
        unsafe { hooks.run(Some(index), |control| core.update(ids, x, options.threads as usize, control)) }
    })
}

/// Removes the vectors whose ids pass a filter, as `ivf_remove` does those of given ids.
///
/// - `removed`: receives the number of vectors removed; may be NULL.
///
/// Threads: changes the index. Errors: `IVF_E_NULL`; `IVF_E_MEMORY`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_remove_filter(
    index: *mut ivf_index,
    filter: *const ivf_filter,
    removed: *mut u64,
) -> ivf_status {
    guard(|| {
        // SAFETY: each helper checks what it is given; live handles are the caller's promise.
        let (index, filter, removed) = unsafe {
            (borrow(index)?, arguments::borrow("filter", filter)?, Out::optional("removed", removed)?)
        };
        removed.set(index.write()?.remove_filter(&filter.0)? as u64);
        Ok(())
    })
}
