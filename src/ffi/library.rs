//! Section "library": version, names of status codes, the last error's text.

use std::ffi::{CStr, c_char};

use super::guard::last_error;
use super::status::{NAMES, ivf_status};

/// The ABI's version: what a library's SONAME carries too. See `ivf_abi_version`.
pub const IVF_ABI_VERSION: u32 = 1;

const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => panic!("invariant: a version holds no NUL"),
};

/// The library's version, "major.minor.patch". Never NULL; lives for ever.
#[unsafe(no_mangle)]
pub extern "C" fn ivf_version() -> *const c_char {
    VERSION.as_ptr()
}

/// The version of the binary interface. A program compiled against a header of the same `IVF_ABI_VERSION`
/// runs with this library, be it older or newer.
#[unsafe(no_mangle)]
pub extern "C" fn ivf_abi_version() -> u32 {
    IVF_ABI_VERSION
}

/// The name of a status, such as "IVF_E_NULL"; "IVF_E_UNKNOWN" for a number that this library does not know.
/// Never NULL; lives for ever.
#[unsafe(no_mangle)]
pub extern "C" fn ivf_status_name(status: ivf_status) -> *const c_char {
    let name = usize::try_from(status).ok().and_then(|status| NAMES.get(status));
    name.copied().unwrap_or(c"IVF_E_UNKNOWN").as_ptr()
}

/// What went wrong in the calling thread's latest call that failed, in English, with what was expected and
/// what came; "" if none has failed. A call that succeeds leaves it as it is. Never NULL; UTF-8; valid until
/// this thread's next call that fails, or its end.
#[unsafe(no_mangle)]
pub extern "C" fn ivf_last_error() -> *const c_char {
    last_error()
}
