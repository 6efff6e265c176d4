//! One device: opened when first needed, given up when it fails.
//!
//! All work on a device goes through one lock: drivers are not trusted with more. Nothing waits without a time-out,
//! and a device that failed once is never used again: calls go on on the CPU. After a fork the child must not touch
//! the parent's device, not even to give memory back, so whatever holds any is forgotten there.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::engine::Engine;
use super::health::{Fault, Health, Memory, Outcome};
use super::scratch::Scratch;
use crate::error::Error;

/// A device that a context may use: opened when first needed, given up when it fails.
pub(crate) struct Gpu {
    name: String,
    health: Arc<Health>,
    limits: wgpu::Limits,
    timeout: Duration,
    calls: AtomicU64,
    state: Mutex<State>,
    /// The open device, to be destroyed under a call that holds `state`.
    opened: OnceLock<wgpu::Device>,
}

enum State {
    Closed(wgpu::Adapter),
    Open(Box<Engine>),
    Lost,
}

/// How long the device may take for one submission, unless the context says.
const TIMEOUT: Duration = Duration::from_secs(30);

impl Gpu {
    /// A device of at most `budget` bytes (0 = four fifths of what it has).
    pub(super) fn new(
        adapter: wgpu::Adapter,
        name: String,
        memory: u64,
        budget: u64,
        timeout: Option<Duration>,
    ) -> Self {
        let budget = match (budget, memory) {
            (0, 0) => u64::MAX,
            (0, memory) => memory / 5 * 4,
            (budget, _) => budget,
        };
        Self {
            name,
            health: Arc::new(Health::new(budget)),
            limits: adapter.limits(),
            timeout: timeout.unwrap_or(TIMEOUT),
            calls: AtomicU64::new(0),
            state: Mutex::new(State::Closed(adapter)),
            opened: OnceLock::new(),
        }
    }

    /// The same as if the adapter had these limits.
    #[cfg(test)]
    pub(super) fn with_limits(mut self, limits: wgpu::Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The same, but destroyed as by a reset of the driver once so many submissions were sent.
    #[cfg(test)]
    pub(super) fn with_fuse(self, submissions: u64) -> Self {
        self.health.set_fuse(submissions);
        self
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Why the device is not used any more.
    pub(crate) fn lost(&self) -> Option<String> {
        if self.health.is_parents() {
            return Some("it belongs to the process that this one was forked from".into());
        }
        self.health.lost()
    }

    /// Bytes of the device's memory in use.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.health.used()
    }

    /// Bytes that it may still be used for.
    pub(super) fn room(&self) -> u64 {
        self.health.room()
    }

    /// Scans, assignments and rounds of sums that the device has finished.
    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Counts one more.
    pub(super) fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Destroys the device under whatever runs on it, as a reset of the driver does.
    pub(crate) fn destroy(&self) {
        if self.health.is_parents() {
            return;
        }
        if let Some(device) = self.opened.get() {
            device.destroy();
        }
    }

    /// Whether this memory is the device's.
    pub(super) fn owns(&self, memory: &Memory) -> bool {
        memory.is_of(&self.health)
    }

    /// Runs `work` on the device, once more if memory was short; `None` if it could not, and then the CPU has to. A panic
    /// of the driver's side loses the device and nothing else.
    pub(super) fn with<T>(
        &self,
        mut work: impl FnMut(&mut Engine) -> Outcome<T>,
    ) -> Result<Option<T>, Error> {
        if self.lost().is_some() {
            return Ok(None);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            if let State::Closed(adapter) = &*state {
                let engine = Engine::open(adapter, &self.limits, &self.health, self.timeout)?;
                // The only one: a lost device is not opened again.
                let _ = self.opened.set(engine.device.clone());
                *state = State::Open(Box::new(engine));
            }
            let State::Open(engine) = &mut *state else { return Err(Fault::Lost(String::new())) };
            match work(engine) {
                // What earlier calls left may be what this one lacked.
                Err(Fault::Memory) if engine.scratch.bytes() > 0 => {
                    engine.scratch = Scratch::default();
                    work(engine)
                }
                outcome => outcome,
            }
        }));
        match outcome {
            Ok(Ok(value)) => {
                self.count();
                return Ok(Some(value));
            }
            Ok(Err(Fault::Call(error))) => return Err(error),
            Ok(Err(Fault::Unfit)) => return Ok(None),
            Ok(Err(Fault::Memory)) => {
                // It is no use to this call, and may be to the next.
                if let State::Open(engine) = &mut *state {
                    engine.scratch = Scratch::default();
                }
                return Ok(None);
            }
            Ok(Err(Fault::Lost(reason))) => self.health.lose(reason),
            Err(_) => self.health.lose("the driver failed"),
        }
        // A device whose driver panicked may do so again when it is dropped.
        let lost = std::mem::replace(&mut *state, State::Lost);
        let _ = catch_unwind(AssertUnwindSafe(|| drop(lost)));
        Ok(None)
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        if self.health.is_parents() {
            let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(std::mem::replace(state, State::Lost));
            std::mem::forget(self.opened.take());
        }
    }
}
