//! How a device fares, as any thread may ask, callbacks of the driver included: whether it is lost and why, and the account
//! of its memory.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;

/// Why a device could not do its part.
#[derive(Debug)]
pub(super) enum Fault {
    /// Memory beyond the budget, or that the driver does not give: this call is the CPU's, the next may fit.
    Memory,
    /// What it computes is not what the CPU does: such calls are the CPU's.
    Unfit,
    /// The device is of no more use.
    Lost(String),
    /// The call itself failed, for example because it was cancelled.
    Call(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

pub(super) type Outcome<T> = std::result::Result<T, Fault>;

/// What is told of a device from any thread, callbacks of the driver included.
pub(super) struct Health {
    process: u32,
    lost: AtomicBool,
    reason: Mutex<String>,
    memory_refused: AtomicBool,
    /// Bytes of buffers.
    used: AtomicU64,
    budget: u64,
    /// Submissions that are left until the device is destroyed under the last of them.
    #[cfg(test)]
    fuse: AtomicU64,
}

impl Health {
    /// That of a device which may have so many bytes of memory.
    pub(super) fn new(budget: u64) -> Self {
        Self {
            process: std::process::id(),
            lost: AtomicBool::new(false),
            reason: Mutex::new(String::new()),
            memory_refused: AtomicBool::new(false),
            used: AtomicU64::new(0),
            budget,
            #[cfg(test)]
            fuse: AtomicU64::new(u64::MAX),
        }
    }

    /// The device is of no more use; the first reason is kept.
    pub(super) fn lose(&self, reason: impl Into<String>) {
        let mut first = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_empty() {
            *first = reason.into();
        }
        self.lost.store(true, Ordering::Release);
    }

    /// Why the device is of no more use, if so.
    pub(super) fn lost(&self) -> Option<String> {
        let lost = self.lost.load(Ordering::Acquire);
        lost.then(|| self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Whether the device belongs to the process that this one was forked from.
    pub(super) fn is_parents(&self) -> bool {
        self.process != std::process::id()
    }

    /// The driver gave no memory.
    pub(super) fn refuse_memory(&self) {
        self.memory_refused.store(true, Ordering::Release);
    }

    /// The errors since the last look.
    pub(super) fn check(&self) -> Outcome<()> {
        if let Some(reason) = self.lost() {
            return Err(Fault::Lost(reason));
        }
        if self.memory_refused.swap(false, Ordering::AcqRel) { Err(Fault::Memory) } else { Ok(()) }
    }

    /// Bytes of buffers.
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes that may still be allocated.
    pub(super) fn room(&self) -> u64 {
        self.budget.saturating_sub(self.used())
    }

    /// Lets so many submissions pass until one is the last.
    #[cfg(test)]
    pub(super) fn set_fuse(&self, submissions: u64) {
        self.fuse.store(submissions, Ordering::Relaxed);
    }

    /// Counts a submission; whether it is the last.
    #[cfg(test)]
    pub(super) fn burn(&self) -> bool {
        self.fuse.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

/// A buffer on the device, counted against its budget.
pub(super) struct Memory {
    buffer: Option<wgpu::Buffer>,
    bytes: u64,
    health: Arc<Health>,
}

impl Memory {
    /// So many bytes of the account, whose buffer is still to be made; fails beyond the budget.
    pub(super) fn reserve(health: &Arc<Health>, bytes: u64) -> Outcome<Self> {
        let used = health.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // From here on it gives the bytes back.
        let memory = Self { buffer: None, bytes, health: health.clone() };
        if used > health.budget { Err(Fault::Memory) } else { Ok(memory) }
    }

    /// The same with its buffer.
    pub(super) fn filled(mut self, buffer: wgpu::Buffer) -> Self {
        self.buffer = Some(buffer);
        self
    }

    /// Whether it is on the account of this device.
    pub(super) fn is_of(&self, health: &Arc<Health>) -> bool {
        Arc::ptr_eq(&self.health, health)
    }

    pub(super) fn buffer(&self) -> &wgpu::Buffer {
        self.buffer.as_ref().expect("invariant: filled when handed out, taken by drop only")
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.health.is_parents() {
            std::mem::forget(self.buffer.take());
        }
        self.health.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
