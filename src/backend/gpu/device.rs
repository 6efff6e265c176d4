//! One opened device: its queue, its memory account, and how it fails.
//!
//! All work on a device goes through one lock: drivers are not trusted with more. Nothing waits without a time-out,
//! and a device that failed once is never used again: calls go on on the CPU. After a fork the child must not touch
//! the parent's device, not even to give memory back, so whatever holds any is forgotten there.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::pipelines::{Pipelines, SHARED_BYTES, STORAGE_BUFFERS, THREADS};
use super::scratch::Scratch;
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
    fn new(budget: u64) -> Self {
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

    fn lose(&self, reason: impl Into<String>) {
        let mut first = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_empty() {
            *first = reason.into();
        }
        self.lost.store(true, Ordering::Release);
    }

    fn is_parents(&self) -> bool {
        self.process != std::process::id()
    }
}

/// A buffer on the device, counted against its budget.
pub(super) struct Memory {
    buffer: Option<wgpu::Buffer>,
    bytes: u64,
    health: Arc<Health>,
}

impl Memory {
    pub(super) fn buffer(&self) -> &wgpu::Buffer {
        self.buffer.as_ref().expect("invariant: taken by drop only")
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

/// An open device and what calls use again and again.
pub(super) struct Engine {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) limits: wgpu::Limits,
    pub(super) pipelines: Pipelines,
    pub(super) scratch: Scratch,
    /// What rounds use again on the CPU's side.
    pub(super) spare: super::crew::Spare,
    /// Whether the device's arithmetic is the CPU's, as far as that was seen.
    pub(super) verified: super::verify::Verified,
    /// Multiply-adds a second of scans, from the last few submissions.
    pub(super) rate: f64,
    /// The same of assignments.
    pub(super) assign_rate: f64,
    health: Arc<Health>,
    timeout: Duration,
}

impl Engine {
    /// A buffer of at least `bytes`, uninitialised to us and zero to the device.
    pub(super) fn allocate(&self, bytes: u64, usage: wgpu::BufferUsages) -> Outcome<Memory> {
        let bytes = bytes.max(16).next_multiple_of(16);
        let health = &self.health;
        let used = health.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        // From here on `memory` gives the bytes back.
        let mut memory = Memory { buffer: None, bytes, health: health.clone() };
        if used > health.budget || bytes > self.limits.max_buffer_size {
            return Err(Fault::Memory);
        }
        let descriptor =
            wgpu::BufferDescriptor { label: None, size: bytes, usage, mapped_at_creation: false };
        memory.buffer = Some(self.device.create_buffer(&descriptor));
        self.check()?;
        Ok(memory)
    }

    /// The errors since the last look.
    pub(super) fn check(&self) -> Outcome<()> {
        if self.health.lost.load(Ordering::Acquire) {
            return Err(Fault::Lost(
                self.health.reason.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            ));
        }
        if self.health.memory_refused.swap(false, Ordering::AcqRel) { Err(Fault::Memory) } else { Ok(()) }
    }

    /// Submits what `encoder` holds and waits for it.
    pub(super) fn run(&self, encoder: wgpu::CommandEncoder) -> Outcome<()> {
        let index = self.submit(encoder)?;
        self.wait(index)
    }

    /// Submits what `encoder` holds.
    pub(super) fn submit(&self, encoder: wgpu::CommandEncoder) -> Outcome<wgpu::SubmissionIndex> {
        let commands = encoder.finish();
        self.check()?;
        let index = self.queue.submit([commands]);
        #[cfg(test)]
        if self.health.fuse.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.device.destroy();
        }
        Ok(index)
    }

    /// Waits for a submission.
    pub(super) fn wait(&self, index: wgpu::SubmissionIndex) -> Outcome<()> {
        let wait = wgpu::PollType::Wait { submission_index: Some(index), timeout: Some(self.timeout) };
        if let Err(error) = self.device.poll(wait) {
            // What is still running may write to any buffer: none of them is trusted again.
            self.health.lose(format!("no answer within {:?}: {error}", self.timeout));
        }
        self.check()
    }

    /// Sends what `write_buffer` has put aside, so that it does not pile up.
    pub(super) fn flush(&self) -> Outcome<()> {
        let index = self.queue.submit([]);
        self.wait(index)
    }

    /// Looks at what is done by now.
    pub(super) fn poll(&self) -> Outcome<()> {
        self.device.poll(wgpu::PollType::Poll).map_err(|error| self.fail(&error.to_string()))?;
        self.check()
    }

    pub(super) fn fail(&self, reason: &str) -> Fault {
        self.health.lose(reason);
        Fault::Lost(reason.into())
    }

    /// Bytes that may still be allocated.
    pub(super) fn room(&self) -> u64 {
        self.health.budget.saturating_sub(self.health.used.load(Ordering::Relaxed))
    }
}

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
        self.health.fuse.store(submissions, Ordering::Relaxed);
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
        let lost = self.health.lost.load(Ordering::Acquire);
        lost.then(|| self.health.reason.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Bytes of the device's memory in use.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.health.used.load(Ordering::Relaxed)
    }

    /// Bytes that it may still be used for.
    pub(super) fn room(&self) -> u64 {
        self.health.budget.saturating_sub(self.memory_bytes())
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

    /// Whether memory of `health` is this device's.
    pub(super) fn owns(&self, memory: &Memory) -> bool {
        Arc::ptr_eq(&self.health, &memory.health)
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
                let engine = open(adapter, &self.limits, &self.health, self.timeout)?;
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

fn open(
    adapter: &wgpu::Adapter,
    limits: &wgpu::Limits,
    health: &Arc<Health>,
    timeout: Duration,
) -> Outcome<Engine> {
    check_limits(limits)?;
    let descriptor = wgpu::DeviceDescriptor {
        label: None,
        required_features: wgpu::Features::empty(),
        required_limits: limits.clone(),
        experimental_features: wgpu::ExperimentalFeatures::disabled(),
        memory_hints: wgpu::MemoryHints::MemoryUsage,
        trace: wgpu::Trace::Off,
    };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
        .map_err(|error| Fault::Lost(format!("the device could not be opened: {error}")))?;
    // At once: without them an error ends in a panic.
    let of = health.clone();
    device.on_uncaptured_error(Arc::new(move |error| match error {
        wgpu::Error::OutOfMemory { .. } => of.memory_refused.store(true, Ordering::Release),
        error => of.lose(error.to_string()),
    }));
    let of = health.clone();
    device.set_device_lost_callback(move |reason, message| of.lose(format!("{reason:?}: {message}")));
    let pipelines = Pipelines::new(&device);
    let scratch = Scratch::default();
    let (limits, health) = (limits.clone(), health.clone());
    Ok(Engine {
        device,
        queue,
        limits,
        pipelines,
        scratch,
        spare: super::crew::Spare::default(),
        verified: super::verify::Verified::default(),
        rate: FIRST_RATE,
        assign_rate: FIRST_RATE,
        health,
        timeout,
    })
}

/// Fails on less than our shaders need. WebGPU grants all of it, but wgpu opens smaller devices too, and does not
/// check the shared memory of a kernel.
fn check_limits(limits: &wgpu::Limits) -> Outcome<()> {
    let needed = [
        ("storage buffers a kernel", limits.max_storage_buffers_per_shader_stage, STORAGE_BUFFERS),
        ("bytes of shared memory", limits.max_compute_workgroup_storage_size, SHARED_BYTES),
        ("threads a workgroup", limits.max_compute_invocations_per_workgroup, THREADS),
        ("threads in a row", limits.max_compute_workgroup_size_x, THREADS),
    ];
    for (what, got, expected) in needed {
        if got < expected {
            return Err(Fault::Lost(format!("the device's limits: expected {expected} {what}, got {got}")));
        }
    }
    Ok(())
}

/// Multiply-adds a second that a device is taken for until it has shown its own.
const FIRST_RATE: f64 = 2e9;
