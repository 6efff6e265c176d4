//! Structs that grow: each begins with `struct_size`, by which caller and library know what the other has.
//!
//! A caller compiled against an older header sends a shorter struct, and gets the defaults for the rest. One
//! compiled against a newer header sends a longer one, which is fine as long as what this library does not
//! know is zero, that is, at its default.

use std::ffi::c_char;

use crate::error::{Error, Result};

/// A struct of the C ABI that begins with `uint32_t struct_size`.
///
/// # Safety
/// The type is `repr(C)`, begins with a `u32` that is its `struct_size`, and is valid with all bytes zero.
pub(super) unsafe trait Growing: Copy {
    /// Its name in C.
    const NAME: &'static str;
    /// Where its first published version ended; no caller can have a shorter one.
    const FIRST_SIZE: usize;
}

/// Makes a struct [`Growing`]; `$last` is the last field of its first published version.
macro_rules! growing {
    ($type:ident, $last:ident: $last_type:ty) => {
        // SAFETY: repr(C), `struct_size` first; integers, pointers and arrays of them, for which zero is
        // valid.
        unsafe impl $crate::ffi::options::Growing for $type {
            const NAME: &'static str = stringify!($type);
            const FIRST_SIZE: usize = std::mem::offset_of!($type, $last) + size_of::<$last_type>();
        }
    };
}
pub(super) use growing;

/// Far above what any of our structs can grow to, and far below what an uninitialised field mostly holds.
const LARGEST: usize = 4096;

/// All fields at their defaults.
pub(super) fn zeroed<T: Growing>() -> T {
    // SAFETY: `Growing` promises that zero bytes are valid.
    unsafe { std::mem::zeroed() }
}

/// The caller's options, or the defaults for NULL. Fails if a part beyond what this library knows is set.
///
/// # Safety
/// `options` is NULL or points at as many readable bytes as its `struct_size` says.
pub(super) unsafe fn read<T: Growing>(options: *const T) -> Result<T> {
    let mut known = zeroed::<T>();
    if options.is_null() {
        return Ok(known);
    }
    let bytes = options.cast::<u8>();
    // SAFETY: not NULL; the caller promises `struct_size` bytes, of which the first four are itself. Bytes
    // are copied, so no alignment is asked for.
    let size = check_size::<T>(unsafe { options.cast::<u32>().read_unaligned() })?;
    let shared = size.min(size_of::<T>());
    // SAFETY: `shared` is within both structs, and `Growing` allows any zero tail.
    unsafe { bytes.copy_to_nonoverlapping((&raw mut known).cast::<u8>(), shared) };
    // SAFETY: `shared..size` is within the caller's struct.
    let tail = unsafe { std::slice::from_raw_parts(bytes.add(shared), size - shared) };
    match tail.iter().position(|&byte| byte != 0) {
        None => Ok(known),
        Some(offset) => Err(Error::argument(format!(
            "{}: an option at byte {} is set that this library (version {}, {} bytes) does not know; it is \
             older than the header the caller was compiled with",
            T::NAME,
            shared + offset,
            env!("CARGO_PKG_VERSION"),
            size_of::<T>(),
        ))),
    }
}

/// Writes `value` into the caller's struct, as far as it reaches; what the library does not know is zeroed.
/// `struct_size` stays the caller's.
///
/// # Safety
/// `out` is NULL or points at as many writable bytes as its `struct_size` says.
pub(super) unsafe fn write<T: Growing>(name: &'static str, out: *mut T, value: &T) -> Result<()> {
    if out.is_null() {
        return Err(Error::Null { name });
    }
    // SAFETY: not NULL; the caller promises `struct_size` bytes, of which the first four are itself.
    let size = check_size::<T>(unsafe { out.cast::<u32>().read_unaligned() })?;
    let shared = size.min(size_of::<T>());
    let head = size_of::<u32>();
    // SAFETY: `head..shared` is within both structs and `shared..size` within the caller's; the two do not
    // overlap, since `value` is ours.
    unsafe {
        let from = std::ptr::from_ref(value).cast::<u8>();
        let to = out.cast::<u8>();
        to.add(head).copy_from_nonoverlapping(from.add(head), shared - head);
        to.add(shared).write_bytes(0, size - shared);
    }
    Ok(())
}

fn check_size<T: Growing>(size: u32) -> Result<usize> {
    let got = size as usize;
    if (T::FIRST_SIZE..=LARGEST).contains(&got) {
        return Ok(got);
    }
    Err(Error::argument(format!(
        "{name}.struct_size: expected sizeof({name}) = {expected}, got {got}",
        name = T::NAME,
        expected = size_of::<T>(),
    )))
}

/// A field that holds 0 or 1.
pub(super) fn flag(name: &'static str, value: u32) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        got => Err(Error::argument(format!("{name}: expected 0 or 1, got {got}"))),
    }
}

/// Copies `text` into a fixed array of C characters, cut at a character's edge where it is too long.
pub(super) fn fixed<const N: usize>(text: &str) -> [c_char; N] {
    let mut out = [0; N];
    let mut end = text.len().min(N - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    for (to, byte) in out.iter_mut().zip(text[..end].bytes()) {
        *to = byte as c_char;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a caller knows: version 2 of a struct whose version 1 the library has, or the other way round.
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(C)]
    struct Old {
        struct_size: u32,
        first: u32,
    }
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(C)]
    struct New {
        struct_size: u32,
        first: u32,
        second: u64,
    }
    growing!(Old, first: u32);
    growing!(New, first: u32);

    #[test]
    fn read_from_an_older_caller_leaves_the_default() {
        let old = Old { struct_size: 8, first: 3 };
        // SAFETY: `struct_size` bytes are there.
        let read = unsafe { read((&raw const old).cast::<New>()) };
        assert_eq!(read.expect("a prefix"), New { struct_size: 8, first: 3, second: 0 });
    }

    #[test]
    fn read_from_a_newer_caller_takes_zeros_only() {
        let mut new = New { struct_size: 16, first: 3, second: 0 };
        // SAFETY: `struct_size` bytes are there, here and below.
        let known = unsafe { read((&raw const new).cast::<Old>()) };
        assert_eq!(known.expect("a zero tail"), Old { struct_size: 16, first: 3 });
        new.second = 1 << 56;
        // SAFETY: as above.
        let refused = unsafe { read((&raw const new).cast::<Old>()) }.expect_err("a set tail").to_string();
        assert!(refused.contains("byte 15"), "{refused}");
    }

    #[test]
    fn read_of_null_is_all_defaults() {
        // SAFETY: NULL is allowed.
        let read = unsafe { read::<New>(std::ptr::null()) };
        assert_eq!(read.expect("defaults"), New { struct_size: 0, first: 0, second: 0 });
    }

    #[test]
    fn read_of_an_absurd_size_is_refused() {
        for size in [0, 4, 7, 4097, u32::MAX] {
            let options = New { struct_size: size, first: 0, second: 0 };
            // SAFETY: the size is refused before anything beyond it is read.
            let error = unsafe { read(&raw const options) }.expect_err("a bad size").to_string();
            assert!(error.contains("sizeof(New) = 16"), "{error}");
        }
    }

    #[test]
    fn write_reaches_as_far_as_the_caller_knows() {
        let value = New { struct_size: 0, first: 5, second: 6 };
        let mut two = [Old { struct_size: 8, first: 0 }, Old { struct_size: 77, first: 77 }];
        // SAFETY: `struct_size` bytes are there, here and below.
        unsafe { write("out", two.as_mut_ptr().cast::<New>(), &value) }.expect("a prefix");
        assert_eq!(two, [Old { struct_size: 8, first: 5 }, Old { struct_size: 77, first: 77 }]);
        let mut new = New { struct_size: 16, first: 0, second: 9 };
        // SAFETY: as above.
        unsafe { write("out", (&raw mut new).cast::<Old>(), &Old { struct_size: 0, first: 5 }) }
            .expect("longer");
        assert_eq!(new, New { struct_size: 16, first: 5, second: 0 });
    }

    #[test]
    fn fixed_long_text_is_cut_between_characters() {
        let text = fixed::<6>("ab\u{e9}\u{e9}c");
        assert_eq!(text.map(|c| c.to_ne_bytes()[0]), *b"ab\xc3\xa9\0\0");
        assert_eq!(fixed::<4>("abc").map(|c| c.to_ne_bytes()[0]), *b"abc\0");
    }
}
