//! Progress and cancellation of long calls.
//!
//! The callback runs on the calling thread only, between two pieces of parallel work; workers look at
//! [`Cancel`] alone.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicI32, Ordering};

use crate::error::{Error, Result};

/// How far a call is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// What is being done: "train", "add", "update", "remove", "merge", "compact", "clone", "reconstruct", "search", "knn", "kmeans", "tune", "save", "load".
    pub stage: &'static str,
    /// Units done, out of `total`.
    pub done: u64,
    /// All units.
    pub total: u64,
    /// k-means: the mean squared distance to the centroid; 0 elsewhere.
    pub value: f64,
}

/// A flag that any thread may set to end a call early.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cancel<'a>(Option<&'a AtomicI32>);

impl Cancel<'_> {
    /// Whether the flag is set.
    #[inline]
    pub fn is_set(self) -> bool {
        self.0.is_some_and(|flag| flag.load(Ordering::Relaxed) != 0)
    }

    /// Whether there is a flag.
    pub(crate) fn is_given(self) -> bool {
        self.0.is_some()
    }

    /// Fails if the flag is set.
    #[inline]
    pub(crate) fn check(self) -> Result<()> {
        if self.is_set() { Err(Error::Cancelled) } else { Ok(()) }
    }
}

/// A caller's progress callback: returns true to go on, false to cancel.
pub type Callback<'a> = &'a mut dyn FnMut(&Report) -> bool;

/// One call's progress callback and cancel flag. The default has neither.
#[derive(Default)]
pub struct Control<'a> {
    callback: Option<RefCell<Callback<'a>>>,
    cancel: Cancel<'a>,
    // A callback that said stop is not asked again.
    stopped: Cell<bool>,
}

impl<'a> Control<'a> {
    /// A control with a callback (returning false cancels), a flag (non-zero cancels), both or neither.
    pub fn new(callback: Option<Callback<'a>>, cancel: Option<&'a AtomicI32>) -> Self {
        Self { callback: callback.map(RefCell::new), cancel: Cancel(cancel), stopped: Cell::new(false) }
    }

    /// One with this flag and no callback.
    pub(crate) fn of(cancel: Cancel<'a>) -> Self {
        Self { callback: None, cancel, stopped: Cell::new(false) }
    }

    /// The flag, for workers.
    pub fn cancel(&self) -> Cancel<'a> {
        self.cancel
    }

    /// The same flag without the callback, for a step within a larger call.
    pub(crate) fn silent(&self) -> Control<'a> {
        Control { callback: None, cancel: self.cancel, stopped: Cell::new(self.stopped.get()) }
    }

    /// Does a step of a larger call: its reports count from `first` on, out of `total`.
    pub(crate) fn within<R>(&self, first: usize, total: usize, step: impl FnOnce(&Control<'_>) -> R) -> R {
        let mut callback = |report: &Report| {
            let done = usize::try_from(report.done).unwrap_or(usize::MAX);
            self.report(report.stage, first.saturating_add(done), total, report.value).is_ok()
        };
        let stopped = Cell::new(self.stopped.get());
        step(&Control { callback: Some(RefCell::new(&mut callback)), cancel: self.cancel, stopped })
    }

    /// Fails if the call is to end.
    pub fn check(&self) -> Result<()> {
        if self.stopped.get() { Err(Error::Cancelled) } else { self.cancel.check() }
    }

    /// Tells the callback, then checks.
    pub fn report(&self, stage: &'static str, done: usize, total: usize, value: f64) -> Result<()> {
        if let Some(callback) = &self.callback
            && !self.stopped.get()
        {
            let report = Report { stage, done: done as u64, total: total as u64, value };
            if !(callback.borrow_mut())(&report) {
                self.stopped.set(true);
            }
        }
        self.check()
    }
}
