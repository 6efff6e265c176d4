//! Section "streams": an index through the caller's own reading and writing.

use std::ffi::c_void;
use std::io::{self, Read, Write};

use super::arguments::give;
use super::context::{ivf_context, resolve};
use super::guard::guard;
use super::handle::{borrow, ivf_index};
use super::persist::{Call, ivf_io_options, read};
use super::status::ivf_status;
use crate::error::Error;
use crate::index::Index;

/// Takes the next `size` bytes of a stream, at least 1 and at most 1 MiB, in full, on the thread that made the
/// call. Returns 0 to go on; anything else ends the call with `IVF_E_IO`, and the callback is not called again.
/// It must not throw, `longjmp`, or call into the index that is saved (such a call fails with `IVF_E_STATE`).
/// `data` is gone when it returns.
pub type ivf_write_fn =
    Option<unsafe extern "C" fn(data: *const c_void, size: u64, user_data: *mut c_void) -> i32>;

/// Puts up to `size` bytes of a stream, at least 1, into `buffer`, on the thread that made the call. Returns how
/// many; 0 at the stream's end; a negative number ends the call with `IVF_E_IO`, and the callback is not called
/// again. It must not throw or `longjmp`.
pub type ivf_read_fn =
    Option<unsafe extern "C" fn(buffer: *mut c_void, size: u64, user_data: *mut c_void) -> i64>;

/// Saves the index into a stream: the bytes that `ivf_save` writes, front to back.
///
/// - `write`: gets them, piece after piece.
/// - `user_data`: passed on to `write`.
/// - `options`: NULL for the defaults.
///
/// Threads: searches go on meanwhile. Errors: `IVF_E_NULL`; `IVF_E_ARGUMENT`; `IVF_E_IO` if `write` failed;
/// `IVF_E_CANCELLED`. After a failure the stream holds the beginning of an index, which no load takes for a whole
/// one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_save_stream(
    index: *const ivf_index,
    write: ivf_write_fn,
    user_data: *mut c_void,
    options: *const ivf_io_options,
) -> ivf_status {
    guard(|| {
        // SAFETY: each helper checks what it is given; the rest is the caller's promise.
        let (index, (_, hooks)) = unsafe { (borrow(index)?, read(Call::Save, options)?) };
        let callback = write.ok_or(Error::Null { name: "write" })?;
        let core = index.read()?;
        let mut out = Output { index, callback, user_data };
        // SAFETY: the callback and the flag are as the header asks, by the caller's promise.
        unsafe { hooks.run(Some(index), |control| core.save_stream(&mut out, control)) }
    })
}

/// Loads an index from a stream of `ivf_save_stream`, or of the bytes of any file that `ivf_load` reads.
///
/// - `context`: NULL for the shared default one.
/// - `read`: asked for the bytes, piece after piece. Of the library's own format no byte beyond the index is asked
///   for, so that a stream may hold more; an index of faiss's has to be all that still comes.
/// - `user_data`: passed on to `read`.
/// - `options`: NULL for the defaults; `memory_map` must be 0.
/// - `index`: receives the handle; NULL on failure. Give it back with `ivf_index_destroy`.
///
/// Memory: the bytes are gathered before they become an index; never much more than have come. Errors: as
/// `ivf_load`; `IVF_E_IO` if `read` failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_load_stream(
    context: *const ivf_context,
    read: ivf_read_fn,
    user_data: *mut c_void,
    options: *const ivf_io_options,
    index: *mut *mut ivf_index,
) -> ivf_status {
    // SAFETY: each helper checks what it is given; the rest is the caller's promise.
    guard(|| unsafe {
        give("index", index, || {
            let callback = read.ok_or(Error::Null { name: "read" })?;
            let ((load, hooks), context) = (self::read(Call::Deserialize, options)?, resolve(context)?);
            let mut input = Input { callback, user_data };
            hooks
                .run(None, |control| Index::load_stream(context, &mut input, &load, control))
                .map(ivf_index::new)
        })
    })
}

/// A writer that is the caller's callback.
struct Output<'a> {
    index: &'a ivf_index,
    callback: unsafe extern "C" fn(*const c_void, u64, *mut c_void) -> i32,
    user_data: *mut c_void,
}

impl Write for Output<'_> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let _busy = self.index.busy();
        // SAFETY: `data` lives through the call; the rest is the promise of who made the call.
        match unsafe { (self.callback)(data.as_ptr().cast(), data.len() as u64, self.user_data) } {
            0 => Ok(data.len()),
            code => Err(failed(i64::from(code))),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that is the caller's callback.
struct Input {
    callback: unsafe extern "C" fn(*mut c_void, u64, *mut c_void) -> i64,
    user_data: *mut c_void,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = buffer.len();
        // SAFETY: `buffer` may be written through the call; the rest is the promise of who made the call.
        let code = unsafe { (self.callback)(buffer.as_mut_ptr().cast(), size as u64, self.user_data) };
        match usize::try_from(code) {
            Ok(read) if read <= size => Ok(read),
            Ok(read) => Err(io::Error::other(format!("expected at most {size} bytes, got {read}"))),
            Err(_) => Err(failed(code)),
        }
    }
}

fn failed(code: i64) -> io::Error {
    io::Error::other(format!("the callback returned {code}"))
}
