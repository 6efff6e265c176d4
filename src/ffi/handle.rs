//! The index behind its handle: readers in parallel, a writer alone, and no way back in from a callback.

use std::cell::{Cell, RefCell};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::arguments;
use crate::error::{Error, Result};
use crate::index::Index;

/// An index: its centroids, lists and vectors. Made by `ivf_index_create`, `ivf_load` or `ivf_deserialize`,
/// given back by `ivf_index_destroy`.
pub struct ivf_index {
    // Known without the lock: an index never changes its dimension.
    dim: usize,
    list_dim: usize,
    index: RwLock<Index>,
}

thread_local! {
    /// Whether this thread is in a log callback: which index is at work is not known there, so that none may be called.
    static TELLING: Cell<bool> = const { Cell::new(false) };
    /// Indexes whose calls have this thread in their progress callback right now: calling them from there
    /// would wait for itself.
    static BUSY: RefCell<Vec<*const ivf_index>> = const { RefCell::new(Vec::new()) };
}

impl ivf_index {
    pub(super) fn new(index: Index) -> Self {
        let info = index.info();
        Self { dim: info.dim, list_dim: info.list_dim, index: RwLock::new(index) }
    }

    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// Columns of a centroid.
    pub(super) fn list_dim(&self) -> usize {
        self.list_dim
    }

    /// The index for reading, at the same time as others who read.
    pub(super) fn read(&self) -> Result<RwLockReadGuard<'_, Index>> {
        self.check_not_busy()?;
        self.index.read().map_err(broken)
    }

    /// The index for changing, alone. A panic while it is held makes every later call fail.
    pub(super) fn write(&self) -> Result<RwLockWriteGuard<'_, Index>> {
        self.check_not_busy()?;
        self.index.write().map_err(broken)
    }

    pub(super) fn check_not_busy(&self) -> Result<()> {
        if TELLING.get() {
            return Err(Error::State("a log callback must not call into an index".to_owned()));
        }
        let busy = BUSY.try_with(|busy| busy.borrow().contains(&std::ptr::from_ref(self))).unwrap_or(false);
        if !busy {
            return Ok(());
        }
        Err(Error::State(
            "the index is at work: a progress callback must not call into its own index".to_owned(),
        ))
    }

    /// Marks the index as busy on this thread while a callback runs.
    pub(super) fn busy(&self) -> Busy {
        BUSY.with_borrow_mut(|busy| busy.push(self));
        Busy
    }
}

fn broken<T>(_: PoisonError<T>) -> Error {
    Error::Panic("an earlier call that changed this index broke off half-way; destroy the index".to_owned())
}

/// While it lives, the index that made it refuses this thread's calls. Dropped in the reverse order of
/// making.
pub(super) struct Busy;

impl Drop for Busy {
    fn drop(&mut self) {
        BUSY.with_borrow_mut(|busy| busy.pop());
    }
}

/// While it lives, every index refuses this thread's calls.
pub(super) struct Telling;

/// Marks this thread as one in a log callback.
pub(super) fn telling() -> Telling {
    TELLING.set(true);
    Telling
}

impl Drop for Telling {
    fn drop(&mut self) {
        TELLING.set(false);
    }
}

/// Borrows the index behind a handle, for reading or changing through its lock.
///
/// # Safety
/// `index` is NULL or a live handle.
pub(super) unsafe fn borrow<'a>(index: *const ivf_index) -> Result<&'a ivf_index> {
    // SAFETY: the caller's promise is the same.
    unsafe { arguments::borrow("index", index) }
}

// Any thread may call with the same handle.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<ivf_index>();
};

#[cfg(test)]
mod tests {
    use std::panic::resume_unwind;
    use std::sync::Arc;

    use super::*;
    use crate::context::{Context, ContextOptions};
    use crate::ffi::guard::guard;
    use crate::ffi::status::{IVF_E_PANIC, IVF_OK};
    use crate::index::IndexOptions;
    use crate::metric::Metric;

    fn handle() -> ivf_index {
        let context = Arc::new(Context::new(&ContextOptions::default()).expect("a context"));
        let options = IndexOptions::default();
        ivf_index::new(Index::new(context, 4, Metric::L2, "Flat", &options).expect("an index"))
    }

    #[test]
    fn write_panic_inside_breaks_the_index_for_good() {
        let handle = handle();
        let broken = guard(|| {
            let _index = handle.write()?;
            resume_unwind(Box::new("a bug"))
        });
        assert_eq!(broken, IVF_E_PANIC);
        let text = handle.read().map(|_| ()).expect_err("broken").to_string();
        assert!(text.contains("broke off half-way"), "{text}");
        assert!(handle.write().is_err());
    }

    #[test]
    fn read_panic_inside_leaves_the_index_whole() {
        let handle = handle();
        let panicked = guard(|| {
            let _index = handle.read()?;
            resume_unwind(Box::new("a bug"))
        });
        assert_eq!(panicked, IVF_E_PANIC);
        assert_eq!(guard(|| handle.write().map(|_| ())), IVF_OK);
    }

    #[test]
    fn busy_index_refuses_this_thread_only() {
        let (one, two) = (handle(), handle());
        let busy = one.busy();
        let inner = two.busy();
        assert!(one.read().is_err() && one.write().is_err() && two.read().is_err());
        std::thread::scope(|scope| scope.spawn(|| assert!(one.read().is_ok())).join()).expect("read");
        drop(inner);
        assert!(one.read().is_err() && two.read().is_ok());
        drop(busy);
        assert!(one.read().is_ok());
    }
}
