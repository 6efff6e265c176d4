//! The caller's progress callback and cancel flag as a [`Control`].

use std::ffi::{CStr, c_void};
use std::sync::atomic::AtomicI32;

use super::arguments;
use super::handle::ivf_index;
use crate::error::Result;
use crate::progress::{Control, Report};

/// How far a call is; the library fills it and the callback reads it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ivf_progress {
    /// `sizeof(ivf_progress)` in the library. A newer library may send a longer struct, never a shorter one.
    pub struct_size: u32,
    /// 0.
    pub reserved: u32,
    /// What is being done: "train", "add", "update", "remove", "merge", "compact", "clone", "reconstruct", "search", "knn",
    /// "kmeans", "tune", "save" or "load". Lives for ever.
    pub stage: *const std::ffi::c_char,
    /// Units done, out of `total`.
    pub done: u64,
    /// All units: iterations of k-means, vectors, queries, or bytes of a file.
    pub total: u64,
    /// "train" and "kmeans": the mean squared distance of a point to its centroid (spherical k-means: the
    /// mean similarity), after this iteration. Else 0.
    pub value: f64,
}

/// Called now and then by a long call, always on the thread that made the call. Returns 0 to go on; anything
/// else ends the call with `IVF_E_CANCELLED`. It must not throw, `longjmp`, or call into the index that is at
/// work (such a call fails with `IVF_E_STATE`). `user_data` is the options' `progress_data`.
pub type ivf_progress_fn =
    Option<unsafe extern "C" fn(progress: *const ivf_progress, user_data: *mut c_void) -> i32>;

/// The last three fields of the options of every long call.
pub(super) struct Hooks {
    pub(super) progress: ivf_progress_fn,
    pub(super) progress_data: *mut c_void,
    pub(super) cancel: *const i32,
}

impl Hooks {
    /// Runs `work` under a [`Control`] that listens to both. `index` is the one at work, if there is one.
    ///
    /// # Safety `cancel` is NULL or a live int32 that is only written whole; `progress` may be called with
    /// `progress_data`.
    pub(super) unsafe fn run<T>(
        &self,
        index: Option<&ivf_index>,
        work: impl FnOnce(&Control<'_>) -> Result<T>,
    ) -> Result<T> {
        let cancel = if self.cancel.is_null() {
            None
        } else {
            // SAFETY: not NULL, aligned by `borrow`'s check, of AtomicI32's own layout, and only ever loaded
            // here.
            Some(unsafe { arguments::borrow("cancel", self.cancel.cast::<AtomicI32>()) }?)
        };
        let Some(callback) = self.progress else {
            return work(&Control::new(None, cancel));
        };
        #[expect(clippy::cast_possible_truncation, reason = "a struct of 40 bytes")]
        const SIZE: u32 = size_of::<ivf_progress>() as u32;
        let mut tell = |report: &Report| {
            let progress = ivf_progress {
                struct_size: SIZE,
                reserved: 0,
                stage: stage(report.stage).as_ptr(),
                done: report.done,
                total: report.total,
                value: report.value,
            };
            let _busy = index.map(ivf_index::busy);
            // SAFETY: the struct lives through the call; the rest is the caller's promise.
            unsafe { callback(&raw const progress, self.progress_data) == 0 }
        };
        work(&Control::new(Some(&mut tell), cancel))
    }
}

/// The stage's name as C wants it.
fn stage(name: &str) -> &'static CStr {
    match name {
        "train" => c"train",
        "add" => c"add",
        "update" => c"update",
        "remove" => c"remove",
        "merge" => c"merge",
        "compact" => c"compact",
        "clone" => c"clone",
        "reconstruct" => c"reconstruct",
        "search" => c"search",
        "knn" => c"knn",
        "kmeans" => c"kmeans",
        "tune" => c"tune",
        "save" => c"save",
        "load" => c"load",
        _ => c"work",
    }
}
