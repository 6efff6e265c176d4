//! An open device: its queue, and what calls use again and again.

use std::sync::Arc;
use std::time::Duration;

use super::health::{Fault, Health, Memory, Outcome};
use super::pipelines::{Pipelines, SHARED_BYTES, STORAGE_BUFFERS, THREADS};
use super::scratch::Scratch;

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
    /// Opens a device with these limits.
    pub(super) fn open(
        adapter: &wgpu::Adapter,
        limits: &wgpu::Limits,
        health: &Arc<Health>,
        timeout: Duration,
    ) -> Outcome<Self> {
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
            wgpu::Error::OutOfMemory { .. } => of.refuse_memory(),
            error => of.lose(error.to_string()),
        }));
        let of = health.clone();
        device.set_device_lost_callback(move |reason, message| of.lose(format!("{reason:?}: {message}")));
        let pipelines = Pipelines::new(&device);
        let scratch = Scratch::default();
        let (limits, health) = (limits.clone(), health.clone());
        Ok(Self {
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

    /// A buffer of at least `bytes`, uninitialised to us and zero to the device.
    pub(super) fn allocate(&self, bytes: u64, usage: wgpu::BufferUsages) -> Outcome<Memory> {
        let bytes = bytes.max(16).next_multiple_of(16);
        let memory = Memory::reserve(&self.health, bytes)?;
        if bytes > self.limits.max_buffer_size {
            return Err(Fault::Memory);
        }
        let descriptor =
            wgpu::BufferDescriptor { label: None, size: bytes, usage, mapped_at_creation: false };
        let memory = memory.filled(self.device.create_buffer(&descriptor));
        self.check()?;
        Ok(memory)
    }

    /// The errors since the last look.
    pub(super) fn check(&self) -> Outcome<()> {
        self.health.check()
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
        if self.health.burn() {
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
        self.health.room()
    }
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
