//! Section "filters": which ids a search may return.

use super::arguments::{self, count, give, take_back, values};
use super::guard::guard;
use super::status::ivf_status;
use crate::error::{Error, Result};
use crate::filter::Filter;

/// A set of ids that a search may return. Made by the functions below, given to searches by their options;
/// any number of calls and threads may use one at the same time.
pub struct ivf_filter(pub(super) Filter);

/// Makes a filter of the ids `from <= id < to`.
///
/// - `filter`: receives the handle; NULL on failure. Give it back with `ivf_filter_destroy`.
///
/// Errors: `IVF_E_NULL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_filter_create_range(
    from: i64,
    to: i64,
    filter: *mut *mut ivf_filter,
) -> ivf_status {
    // SAFETY: `give` checks the pointer.
    guard(|| unsafe { give("filter", filter, || Ok(ivf_filter(Filter::range(from, to)))) })
}

/// Makes a filter of the ids whose bit is set: id i is bit i % 8 (the lowest is 0) of byte i / 8.
///
/// - `bits`: `[(n + 7) / 8]` bytes, copied; NULL if `n` is 0.
/// - `n`: bits; ids from `n` on do not pass.
/// - `filter`: receives the handle; NULL on failure.
///
/// Errors: `IVF_E_NULL`; `IVF_E_OVERFLOW`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_filter_create_bitmap(
    bits: *const u8,
    n: u64,
    filter: *mut *mut ivf_filter,
) -> ivf_status {
    let make = || {
        // SAFETY: `values` checks pointer and size; the length is the caller's promise.
        let bytes = unsafe { values("bits", bits, count::<u8>("bits", n.div_ceil(8), 1)?) }?;
        let mut bytes = bytes.to_vec();
        if let (Some(last), 1..) = (bytes.last_mut(), n % 8) {
            *last &= (1 << (n % 8)) - 1;
        }
        Ok(ivf_filter(Filter::bitmap(&bytes)))
    };
    // SAFETY: `give` checks the pointer.
    guard(|| unsafe { give("filter", filter, make) })
}

/// Makes a filter of these ids.
///
/// - `ids`: `[n]`, in any order, copied; NULL if `n` is 0.
/// - `filter`: receives the handle; NULL on failure.
///
/// Errors: `IVF_E_NULL`; `IVF_E_OVERFLOW`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_filter_create_ids(
    ids: *const i64,
    n: u64,
    filter: *mut *mut ivf_filter,
) -> ivf_status {
    let make = || {
        // SAFETY: `values` checks pointer and size; the length is the caller's promise.
        let ids = unsafe { values("ids", ids, count::<i64>("ids", n, 1)?) }?;
        Ok(ivf_filter(Filter::ids(ids)))
    };
    // SAFETY: `give` checks the pointer.
    guard(|| unsafe { give("filter", filter, make) })
}

/// Makes a filter of the ids that pass both `a` and `b`, which may be destroyed afterwards.
///
/// Errors: `IVF_E_NULL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_filter_create_and(
    a: *const ivf_filter,
    b: *const ivf_filter,
    filter: *mut *mut ivf_filter,
) -> ivf_status {
    // SAFETY: `combine` and `give` check the pointers.
    guard(|| unsafe { give("filter", filter, || combine(a, b, Filter::and)) })
}

/// Makes a filter of the ids that pass `a` or `b` or both, which may be destroyed afterwards.
///
/// Errors: `IVF_E_NULL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_filter_create_or(
    a: *const ivf_filter,
    b: *const ivf_filter,
    filter: *mut *mut ivf_filter,
) -> ivf_status {
    // SAFETY: `combine` and `give` check the pointers.
    guard(|| unsafe { give("filter", filter, || combine(a, b, Filter::or)) })
}

/// Makes a filter of the ids that do not pass `a`, which may be destroyed afterwards.
///
/// Errors: `IVF_E_NULL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_filter_create_not(
    a: *const ivf_filter,
    filter: *mut *mut ivf_filter,
) -> ivf_status {
    // SAFETY: NULL or a live handle, by the caller's promise; `give` checks the other.
    guard(|| unsafe { give("filter", filter, || Ok(ivf_filter(arguments::borrow("a", a)?.0.negate()))) })
}

/// Gives a filter back; NULL is nothing. No call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_filter_destroy(filter: *mut ivf_filter) {
    guard(|| {
        // SAFETY: NULL or a handle that is given up, by the caller's promise.
        unsafe { take_back(filter) };
        Ok(())
    });
}

/// # Safety
/// `a` and `b` are NULL or live handles.
unsafe fn combine(
    a: *const ivf_filter,
    b: *const ivf_filter,
    by: fn(&Filter, &Filter) -> Filter,
) -> Result<ivf_filter> {
    // SAFETY: the caller's promise is the same.
    let (a, b) = unsafe { (arguments::borrow("a", a)?, arguments::borrow("b", b)?) };
    Ok(ivf_filter(by(&a.0, &b.0)))
}

/// The filter of a search's options.
///
/// # Safety
/// `filter` is NULL or a handle that lives as long as the call.
pub(super) unsafe fn optional<'a>(filter: *const ivf_filter) -> Result<Option<&'a Filter>> {
    if filter.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise is the same.
    let filter = unsafe { arguments::borrow("filter", filter) }?;
    Ok::<_, Error>(Some(&filter.0))
}
