//! Section "context": threads and the device that calls run on.

use std::ffi::{c_char, c_void};
use std::sync::{Arc, OnceLock};

use super::arguments::{self, give, optional_text, take_back};
use super::guard::guard;
use super::log::{self, ivf_log_fn, ivf_log_free_fn};
use super::options::{self, fixed, growing};
use super::status::ivf_status;
use crate::context::{Context, ContextOptions};
use crate::error::Result;

/// The threads and the device that calls run on, shared by any number of indexes and calls. Wherever a
/// function takes a context, NULL means (unless it says otherwise) the one that the library makes for all who need no other: every core
/// that the process may use, and the best device.
pub struct ivf_context(Arc<Context>);

/// How a context is made.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ivf_context_options {
    /// `sizeof(ivf_context_options)`.
    pub struct_size: u32,
    /// Threads that a call may use, its own included; 0 = one a core that this process may use.
    pub threads: u32,
    /// NULL, "auto" (for each call what is faster), "cpu", "gpu", "gpu:1" (the second GPU), or part of a device's
    /// name. An adapter that the CPU emulates is used only by its name. On "auto" a GPU is looked for once calls
    /// have computed for a second.
    pub device: *const c_char,
    /// NULL = the best that the CPU has; "scalar", "avx2", "avx512" or "neon" for tests.
    pub kernel: *const c_char,
    /// Bytes that a GPU may be used for; 0 = four fifths of what it has. What does not fit is the CPU's.
    pub device_memory_bytes: u64,
    /// NULL, or told of what is worth a warning; nothing is ever printed. With `log_data` it has to work until the
    /// context and all indexes made with it are gone.
    pub log: ivf_log_fn,
    /// Passed on to `log`; any thread may be the one.
    pub log_data: *mut c_void,
    /// NULL, or called with `log_data` when that is no longer needed: also if no context could be made.
    pub log_free: ivf_log_free_fn,
}

growing!(ivf_context_options, kernel: *const c_char);

/// What a context runs on.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ivf_context_info {
    /// `sizeof(ivf_context_info)`, set by the caller.
    pub struct_size: u32,
    /// Threads that a call may use, its own included.
    pub threads: u32,
    /// The device's name.
    pub device: [c_char; 128],
    /// The CPU's kernels in use: "scalar", "avx2", "avx512" or "neon".
    pub kernel: [c_char; 32],
    /// 1 = the device was lost, or belongs to the process that this one was forked from: calls run on the CPU, with
    /// the same results.
    pub device_lost: u32,
    /// 0.
    pub reserved: u32,
    /// GPU: bytes of its memory that the context holds.
    pub device_memory_bytes: u64,
    /// GPU: scans, assignments and rounds of sums that it has done.
    pub device_calls: u64,
}

growing!(ivf_context_info, kernel: [c_char; 32]);

/// Makes a context. No thread starts before a call has work for more than one.
///
/// - `options`: NULL for the defaults.
/// - `context`: receives the handle; NULL on failure. Give it back with `ivf_context_destroy`.
///
/// Errors: `IVF_E_NULL`; `IVF_E_ARGUMENT` for a kernel that this CPU does not have, or too many threads;
/// `IVF_E_DEVICE` if there is no such device.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_context_create(
    options: *const ivf_context_options,
    context: *mut *mut ivf_context,
) -> ivf_status {
    // SAFETY: `give`, `read` and `optional_text` check what they are given; the rest is the caller's promise.
    guard(|| unsafe {
        give("context", context, || {
            let options = options::read(options)?;
            // First, so that the data is given back whatever fails.
            let log = log::caller(options.log, options.log_data, options.log_free);
            let options = ContextOptions {
                threads: options.threads as usize,
                device: optional_text("device", options.device)?.map(str::to_owned),
                kernel: optional_text("kernel", options.kernel)?.map(str::to_owned),
                device_memory_bytes: options.device_memory_bytes,
                log,
                ..ContextOptions::default()
            };
            Ok(ivf_context(Arc::new(Context::new(&options)?)))
        })
    })
}

/// Describes a context.
///
/// - `context`: NULL for the shared default one.
/// - `info`: set its `struct_size` before; the rest is filled in.
///
/// Errors: `IVF_E_NULL`; `IVF_E_ARGUMENT` if `struct_size` is wrong.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_context_get_info(
    context: *const ivf_context,
    info: *mut ivf_context_info,
) -> ivf_status {
    guard(|| {
        // SAFETY: NULL or a live handle, by the caller's promise.
        let context = unsafe { resolve(context) }?;
        let status = context.device_status();
        let filled = ivf_context_info {
            threads: u32::try_from(context.threads()).unwrap_or(u32::MAX),
            device: fixed(&status.name),
            device_lost: u32::from(status.lost.is_some()),
            device_memory_bytes: status.memory_bytes,
            device_calls: status.calls,
            kernel: fixed(context.kernel_name()),
            ..options::zeroed()
        };
        // SAFETY: `write` checks it; `struct_size` writable bytes are the caller's promise.
        unsafe { options::write("info", info, &filled) }
    })
}

/// Gives a context back; NULL is nothing. Indexes made with it stay valid and keep its threads until the last
/// of them is destroyed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_context_destroy(context: *mut ivf_context) {
    guard(|| {
        // SAFETY: NULL or a handle that is given up, by the caller's promise.
        unsafe { take_back(context) };
        Ok(())
    });
}

/// The context behind a handle; for NULL the default one, made when it is first asked for.
///
/// # Safety
/// `context` is NULL or a live handle.
pub(super) unsafe fn resolve(context: *const ivf_context) -> Result<Arc<Context>> {
    static DEFAULT: OnceLock<Arc<Context>> = OnceLock::new();
    if !context.is_null() {
        // SAFETY: the caller's promise is the same.
        return Ok(unsafe { arguments::borrow("context", context) }?.0.clone());
    }
    if let Some(context) = DEFAULT.get() {
        return Ok(context.clone());
    }
    // Two threads may both make one; the first stays, the other is dropped before it started anything.
    let made = Arc::new(Context::new(&ContextOptions::default())?);
    Ok(DEFAULT.get_or_init(|| made).clone())
}
