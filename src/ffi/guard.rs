//! The edge that nothing but a status crosses: errors and panics become a code and this thread's text.
//!
//! A panic is a bug of ours. It is caught here; before that, Rust's panic hook writes a line with the place
//! to stderr, which a bug report needs. The hook belongs to the whole process where the crate is linked
//! into a Rust program, so the library never replaces it.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::status::{self, IVF_OK, ivf_status};
use crate::error::{Error, Result};

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::default();
}

/// Runs the body of an exported function; a failure leaves its text for `ivf_last_error`.
pub(super) fn guard(body: impl FnOnce() -> Result<()>) -> ivf_status {
    // Unwind-safe: what a body shares with later calls is behind a lock that a panic poisons.
    let error = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => return IVF_OK,
        Ok(Err(error)) => error,
        Err(payload) => caught(payload),
    };
    remember(&error);
    status::of(&error)
}

/// A panic's payload as an error. A payload that panics when dropped is not dropped.
fn caught(payload: Box<dyn Any + Send>) -> Error {
    let text = if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        std::mem::forget(payload);
        return Error::Panic("a panic without a text".to_owned());
    };
    Error::Panic(text)
}

fn remember(error: &Error) {
    // A C string ends at its first NUL, and an index string or a path in an error may hold none.
    let text = CString::new(error.to_string().replace('\0', "\u{fffd}")).unwrap_or_default();
    // While the thread ends its slot may be gone already; then there is nobody left to read it.
    let _ = LAST_ERROR.try_with(|slot| slot.replace(text));
}

/// This thread's last failure; valid until its next one.
pub(super) fn last_error() -> *const c_char {
    const NONE: &CStr = c"";
    LAST_ERROR.try_with(|slot| slot.borrow().as_ptr()).unwrap_or(NONE.as_ptr())
}

#[cfg(test)]
mod tests {
    use std::panic::resume_unwind;

    use super::*;
    use crate::ffi::status::{IVF_E_NOT_TRAINED, IVF_E_PANIC};

    fn text() -> String {
        // SAFETY: `last_error` never returns NULL, and no call on this thread fails meanwhile.
        unsafe { CStr::from_ptr(last_error()) }.to_str().expect("UTF-8").to_owned()
    }

    #[test]
    fn guard_panics_answer_the_status_and_the_text() {
        // `resume_unwind` panics without the hook, so that the test prints nothing.
        assert_eq!(guard(|| resume_unwind(Box::new("a str"))), IVF_E_PANIC);
        assert!(text().ends_with(": a str"), "{}", text());
        assert_eq!(guard(|| resume_unwind(Box::new("a String".to_owned()))), IVF_E_PANIC);
        assert!(text().ends_with(": a String"), "{}", text());
        assert_eq!(guard(|| resume_unwind(Box::new(7))), IVF_E_PANIC);
        assert!(text().ends_with(": a panic without a text"), "{}", text());
    }

    #[test]
    fn guard_payload_that_panics_on_drop_is_contained() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                resume_unwind(Box::new("dropped"));
            }
        }
        assert_eq!(guard(|| resume_unwind(Box::new(Bomb))), IVF_E_PANIC);
    }

    #[test]
    fn guard_success_leaves_the_last_text() {
        assert_eq!(guard(|| Err(Error::NotTrained)), IVF_E_NOT_TRAINED);
        let before = text();
        assert_eq!(guard(|| Ok(())), IVF_OK);
        assert_eq!(text(), before);
    }

    #[test]
    fn guard_text_with_nul_is_kept_whole() {
        let _ = guard(|| Err(Error::Format("before\0after".to_owned())));
        assert_eq!(text(), "before\u{fffd}after");
    }

    #[test]
    fn last_error_of_another_thread_stays_there() {
        let _ = guard(|| Err(Error::NotTrained));
        let other = std::thread::scope(|scope| scope.spawn(text).join()).expect("the thread ran");
        assert_eq!(other, "");
    }
}
