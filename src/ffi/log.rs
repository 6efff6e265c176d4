//! Section "log": what the library has to say beside results and errors.

use std::ffi::{CString, c_char, c_void};

use super::handle;
use crate::log::{Log, LogLevel};

/// Something goes on, but not as well as it could: training with few points, a device that was lost.
pub const IVF_LOG_LEVEL_WARNING: i32 = 1;
/// Good to know.
pub const IVF_LOG_LEVEL_INFO: i32 = 2;

/// Called with a message of a level (`IVF_LOG_LEVEL_*`) in UTF-8, which lives as long as the call, always on a thread that is
/// within a call of the context's. It must not throw or `longjmp`; calls into an index fail with `IVF_E_STATE` meanwhile.
/// `user_data` is the options' `log_data`.
pub type ivf_log_fn = Option<unsafe extern "C" fn(level: i32, text: *const c_char, user_data: *mut c_void)>;

/// Called once with the options' `log_data` when nothing is left that might say something: neither the context nor an
/// index made with it.
pub type ivf_log_free_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// A caller's functions.
struct Caller {
    log: unsafe extern "C" fn(i32, *const c_char, *mut c_void),
    data: *mut c_void,
    free: ivf_log_free_fn,
}

// SAFETY: the header asks for functions and data that any thread may use.
unsafe impl Send for Caller {}
// SAFETY: as above.
unsafe impl Sync for Caller {}

impl Caller {
    fn say(&self, level: LogLevel, text: &str) {
        let level = match level {
            LogLevel::Warning => IVF_LOG_LEVEL_WARNING,
            LogLevel::Info => IVF_LOG_LEVEL_INFO,
        };
        let text = CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default();
        let _telling = handle::telling();
        // SAFETY: the text lives through the call; the rest is the caller's promise.
        unsafe { (self.log)(level, text.as_ptr(), self.data) };
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if let Some(free) = self.free {
            // SAFETY: the caller's promise; nothing uses the data any more.
            unsafe { free(self.data) };
        }
    }
}

/// The caller's functions as a [`Log`]. Without `log`, `free` is called at once: nothing will be said.
///
/// # Safety
/// The functions may be called with `data`, from any thread.
pub(super) unsafe fn caller(log: ivf_log_fn, data: *mut c_void, free: ivf_log_free_fn) -> Option<Log> {
    let Some(log) = log else {
        if let Some(free) = free {
            // SAFETY: the caller's promise.
            unsafe { free(data) };
        }
        return None;
    };
    let caller = Caller { log, data, free };
    Some(Log::new(move |level, text| caller.say(level, text)))
}
