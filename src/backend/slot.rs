//! What a device keeps of some lists, stored with the lists: dropped with them, and never another's.

use std::sync::atomic::{AtomicU64, Ordering};

/// The state of some contents. No two states have the same number, whatever they are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// Changes whenever the contents may.
    pub(crate) now: u64,
    /// Since this version the contents only grew, apart from the last block of then.
    pub(crate) grown_since: u64,
}

impl Version {
    /// Nothing, as it begins.
    pub(crate) const EMPTY: Self = Self { now: 0, grown_since: 0 };

    /// A state that was never before.
    pub(crate) fn new() -> Self {
        // A number says nothing and is no state of its own: it only has to be another one each time.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let now = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { now, grown_since: now }
    }
}

/// A device's copy of some lists, of a type that only its backend knows.
#[derive(Default)]
pub(crate) struct DeviceSlot {
    #[cfg(feature = "gpu")]
    pub(super) copy: std::sync::Mutex<Option<super::gpu::Resident>>,
    /// Seconds that a copy would have saved so far.
    #[cfg(feature = "gpu")]
    pub(super) missed: std::sync::Mutex<f64>,
}

/// A device's copy of rows that many jobs are of, kept for as long as these.
#[derive(Default)]
pub(crate) struct RowsSlot {
    #[cfg(feature = "gpu")]
    pub(super) copy: std::sync::Mutex<Option<super::gpu::KeptRows>>,
}

impl RowsSlot {
    /// Whether there is a copy.
    pub(super) fn is_held(&self) -> bool {
        #[cfg(feature = "gpu")]
        return self.copy.try_lock().is_ok_and(|copy| copy.is_some());
        #[cfg(not(feature = "gpu"))]
        false
    }
}
