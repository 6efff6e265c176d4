//! Pointers from C as references, slices and strings: NULL, alignment and the product of the sizes are
//! checked here, before Rust sees any of it. That a buffer is as long as its shape says only the caller can
//! know.

use std::ffi::{CStr, c_char, c_void};

use super::typed::{IVF_ELEMENT_BF16, IVF_ELEMENT_F16, IVF_ELEMENT_F32, IVF_ELEMENT_U8};
use crate::element::{Values, bf16, f16};
use crate::error::{Error, Result};
use crate::matrix::MatrixRef;
use crate::rows::RowsRef;

/// Types of which any bytes are a value.
pub(super) trait Plain: Copy {}
impl Plain for u8 {}
impl Plain for f16 {}
impl Plain for bf16 {}
impl Plain for f32 {}
impl Plain for f64 {}
impl Plain for i64 {}
impl Plain for u64 {}

/// The number of values of a `[rows, columns]` buffer of `T`, if an address space can hold one.
pub(super) fn count<T>(what: &'static str, rows: u64, columns: u64) -> Result<usize> {
    rows.checked_mul(columns)
        .filter(|values| {
            values.checked_mul(size_of::<T>() as u64).is_some_and(|bytes| isize::try_from(bytes).is_ok())
        })
        .and_then(|values| usize::try_from(values).ok())
        .ok_or(Error::Overflow { what, rows, dim: columns })
}

fn check<T>(name: &'static str, pointer: *const T) -> Result<()> {
    if pointer.is_null() {
        return Err(Error::Null { name });
    }
    if !pointer.is_aligned() {
        return Err(Error::argument(format!(
            "{name}: expected an address that is a multiple of {}, got {pointer:p}",
            align_of::<T>()
        )));
    }
    Ok(())
}

/// A handle, borrowed for the call.
///
/// # Safety
/// `pointer` is NULL or points at a live `T`.
pub(super) unsafe fn borrow<'a, T>(name: &'static str, pointer: *const T) -> Result<&'a T> {
    check(name, pointer)?;
    // SAFETY: not NULL and aligned; that it is live is the caller's promise.
    Ok(unsafe { &*pointer })
}

/// `len` values to read; NULL is allowed when there are none.
///
/// # Safety `len` came from [`count`], and `pointer` is NULL or points at as many values, which nobody writes
/// meanwhile.
pub(super) unsafe fn values<'a, T: Plain>(
    name: &'static str,
    pointer: *const T,
    len: usize,
) -> Result<&'a [T]> {
    if len == 0 {
        return Ok(&[]);
    }
    check(name, pointer)?;
    // SAFETY: not NULL and aligned, `count` bounds the bytes by isize::MAX; the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(pointer, len) })
}

/// `len` values to write; NULL is allowed when there are none.
///
/// # Safety
/// As [`values`], and nobody reads them meanwhile either.
pub(super) unsafe fn values_mut<'a, T: Plain>(
    name: &'static str,
    pointer: *mut T,
    len: usize,
) -> Result<&'a mut [T]> {
    if len == 0 {
        return Ok(&mut []);
    }
    check(name, pointer)?;
    // SAFETY: not NULL and aligned, `count` bounds the bytes by isize::MAX; the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer, len) })
}

/// A row-major `[rows, dim]` matrix to read.
///
/// # Safety
/// `pointer` is NULL or points at `rows * dim` floats that nobody writes meanwhile.
pub(super) unsafe fn matrix<'a>(
    name: &'static str,
    pointer: *const f32,
    rows: u64,
    dim: u32,
) -> Result<MatrixRef<'a>> {
    let len = count::<f32>(name, rows, u64::from(dim))?;
    let rows =
        usize::try_from(rows).map_err(|_| Error::Overflow { what: name, rows, dim: u64::from(dim) })?;
    // SAFETY: `len` came from `count`; the rest is the caller's promise.
    MatrixRef::new(name, unsafe { values(name, pointer, len) }?, rows, dim as usize)
}

/// A row-major `[rows, dim]` matrix of the type `element` (`IVF_ELEMENT_*`) to read.
///
/// # Safety
/// `pointer` is NULL or points at `rows * dim` values of the type that nobody writes meanwhile.
pub(super) unsafe fn rows<'a>(
    name: &'static str,
    pointer: *const c_void,
    element: i32,
    rows: u64,
    dim: u32,
) -> Result<RowsRef<'a>> {
    /// # Safety
    /// As for `rows`.
    unsafe fn of<'a, T: Plain>(
        name: &'static str,
        pointer: *const c_void,
        rows: u64,
        dim: u32,
    ) -> Result<&'a [T]> {
        let len = count::<T>(name, rows, u64::from(dim))?;
        // SAFETY: `len` came from `count`; the rest is the caller's promise.
        unsafe { values(name, pointer.cast::<T>(), len) }
    }
    // SAFETY: the caller's promise is the same.
    let values = unsafe {
        match element {
            IVF_ELEMENT_F32 => Values::F32(of(name, pointer, rows, dim)?),
            IVF_ELEMENT_F16 => Values::F16(of(name, pointer, rows, dim)?),
            IVF_ELEMENT_BF16 => Values::Bf16(of(name, pointer, rows, dim)?),
            IVF_ELEMENT_U8 => Values::U8(of(name, pointer, rows, dim)?),
            got => {
                return Err(Error::argument(format!(
                    "element: expected 0 (float32), 1 (float16), 2 (bfloat16) or 3 (uint8), got {got}"
                )));
            }
        }
    };
    let rows =
        usize::try_from(rows).map_err(|_| Error::Overflow { what: name, rows, dim: u64::from(dim) })?;
    RowsRef::new(name, values, rows, dim as usize)
}

/// Fails unless rows of `got` columns are what the index holds. Asked before a buffer becomes a slice: of
/// rows narrower than `got`, the slice would reach beyond the caller's buffer.
pub(super) fn check_dim(what: &'static str, expected: usize, got: u32) -> Result<()> {
    let got = got as usize;
    if got == expected { Ok(()) } else { Err(Error::Dimension { what, expected, got }) }
}

/// A string to read.
///
/// # Safety
/// `pointer` is NULL or points at a NUL-terminated string.
pub(super) unsafe fn text<'a>(name: &'static str, pointer: *const c_char) -> Result<&'a str> {
    check(name, pointer)?;
    // SAFETY: not NULL; that it is terminated is the caller's promise.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    bytes.to_str().map_err(|error| {
        Error::argument(format!(
            "{name}: expected UTF-8, got an invalid byte at position {}",
            error.valid_up_to()
        ))
    })
}

/// A string to read, or `None` for NULL.
///
/// # Safety
/// As [`text`].
pub(super) unsafe fn optional_text<'a>(
    name: &'static str,
    pointer: *const c_char,
) -> Result<Option<&'a str>> {
    // SAFETY: the caller's promise is `text`'s own.
    if pointer.is_null() { Ok(None) } else { unsafe { text(name, pointer) }.map(Some) }
}

/// Where one value goes.
pub(super) struct Out<T>(*mut T);

impl<T: Copy> Out<T> {
    /// A required output.
    ///
    /// # Safety
    /// `pointer` is NULL or may be written during the call.
    pub(super) unsafe fn required(name: &'static str, pointer: *mut T) -> Result<Self> {
        check(name, pointer)?;
        Ok(Self(pointer))
    }

    /// An output that the caller need not want.
    ///
    /// # Safety
    /// As [`Out::required`].
    pub(super) unsafe fn optional(name: &'static str, pointer: *mut T) -> Result<Self> {
        if !pointer.is_null() {
            check(name, pointer)?;
        }
        Ok(Self(pointer))
    }

    pub(super) fn set(&self, value: T) {
        if !self.0.is_null() {
            // SAFETY: aligned (checked when made), and writable by the caller's promise.
            unsafe { self.0.write(value) };
        }
    }
}

/// Gives the caller what `make` makes, as a handle of its own; NULL if it fails.
///
/// # Safety
/// `slot` is NULL or may be written.
pub(super) unsafe fn give<T>(
    name: &'static str,
    slot: *mut *mut T,
    make: impl FnOnce() -> Result<T>,
) -> Result<()> {
    // SAFETY: the caller's promise is the same.
    let slot = unsafe { Out::required(name, slot) }?;
    slot.set(std::ptr::null_mut());
    slot.set(Box::into_raw(Box::new(make()?)));
    Ok(())
}

/// Takes a handle back and frees it; NULL is nothing.
///
/// # Safety
/// `handle` is NULL or came from [`give`], and is not used again.
pub(super) unsafe fn take_back<T>(handle: *mut T) {
    if !handle.is_null() {
        // SAFETY: `give` made it of a `Box`, and the caller gives it up.
        drop(unsafe { Box::from_raw(handle) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_beyond_the_address_space_overflows() {
        let limit = isize::MAX as u64 / 4;
        assert_eq!(count::<f32>("x", limit, 1).expect("fits") as u64, limit);
        for (rows, columns) in [(limit + 1, 1), (1 << 32, 1 << 31), (u64::MAX, u64::MAX), (u64::MAX, 2)] {
            let error = count::<f32>("x", rows, columns).expect_err("too many");
            assert!(matches!(error, Error::Overflow { .. }), "{error}");
        }
        assert_eq!(count::<f32>("x", u64::MAX, 0).expect("nothing"), 0);
    }

    #[test]
    fn values_of_a_misaligned_pointer_are_refused() {
        let buffer = [0u64; 2];
        let odd = (&raw const buffer).cast::<u8>().wrapping_add(1).cast::<f32>();
        // SAFETY: one float lies there; that it is not aligned is what is checked.
        let error = unsafe { values("x", odd, 1) }.expect_err("misaligned").to_string();
        assert!(error.starts_with("x: expected an address that is a multiple of 4"), "{error}");
    }

    #[test]
    fn text_not_utf8_names_the_byte() {
        // SAFETY: terminated.
        let error = unsafe { text("path", c"ab\xff".as_ptr()) }.expect_err("not UTF-8").to_string();
        assert_eq!(error, "path: expected UTF-8, got an invalid byte at position 2");
    }
}
