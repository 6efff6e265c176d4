//! What calls can run on.

use std::time::Duration;

use super::work::Work;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::kernel::Kernels;

/// A kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceKind {
    /// The processor that the program runs on.
    Cpu,
    /// A GPU that shares the processor's memory.
    IntegratedGpu,
    /// A GPU with memory of its own.
    DiscreteGpu,
    /// A GPU of a virtual machine.
    VirtualGpu,
    /// Anything else.
    Other,
}

/// A device that a context can use.
#[derive(Clone, Debug)]
pub struct DeviceInfo {
    /// The kind of device.
    pub kind: DeviceKind,
    /// Its name, as its maker or driver gives it.
    pub name: String,
    /// Its maker; empty if unknown.
    pub vendor: String,
    /// "cpu", "vulkan", "metal" or "dx12".
    pub backend: &'static str,
    /// CPU: the kernels chosen.
    pub kernel: &'static str,
    /// Memory in bytes; 0 = unknown.
    pub memory_bytes: u64,
    /// CPU: cores that this process may use.
    pub threads: usize,
    /// GPU: the most bytes that a kernel can see of one buffer.
    pub max_binding_bytes: u64,
    /// GPU: how many lanes run in step, at least and at most.
    pub subgroup_sizes: (u32, u32),
    /// GPU: whether it computes in float16.
    pub f16: bool,
}

/// All devices; the first is the CPU, GPUs follow, those that a CPU emulates last.
pub fn devices() -> Vec<DeviceInfo> {
    #[cfg(feature = "gpu")]
    let gpus = super::gpu::infos();
    #[cfg(not(feature = "gpu"))]
    let gpus = Vec::new();
    std::iter::once(cpu()).chain(gpus).collect()
}

fn cpu() -> DeviceInfo {
    DeviceInfo {
        kind: DeviceKind::Cpu,
        name: cpu_name(),
        vendor: cpu_vendor(),
        backend: "cpu",
        kernel: Kernels::select(None).map_or("scalar", |kernels| kernels.name),
        memory_bytes: memory_bytes(),
        threads: usable_cores(),
        max_binding_bytes: 0,
        subgroup_sizes: (0, 0),
        f16: false,
    }
}

/// What a context runs on beside its threads.
pub(crate) struct Device {
    #[cfg(feature = "gpu")]
    choice: super::gpu::Choice,
}

impl Device {
    /// The device of this name: `None` or "auto" is whatever is faster, "gpu" is the first GPU, "gpu:1" the
    /// second, else a part of a name. Fails if there is none such.
    pub(crate) fn open(wanted: Option<&str>, budget: u64, timeout: Option<Duration>) -> Result<Self> {
        let lower = wanted.unwrap_or("auto").to_lowercase();
        let is_cpu = lower == "cpu" || (!lower.is_empty() && cpu_name().to_lowercase().contains(&lower));
        #[cfg(feature = "gpu")]
        {
            use super::gpu::Choice;
            let choice = match lower.as_str() {
                "" => return Err(Error::Device("device: expected a name, got \"\"".into())),
                "auto" => Choice::auto(budget, timeout),
                _ if is_cpu => Choice::Cpu,
                _ => Choice::named(&lower, budget, timeout)?,
            };
            Ok(Self { choice })
        }
        #[cfg(not(feature = "gpu"))]
        {
            let _ = (budget, timeout);
            if is_cpu || lower == "auto" {
                return Ok(Self {});
            }
            Err(Error::Device(format!(
                "device: this build sees only the CPU ({}); expected \"auto\" or \"cpu\", got {lower:?}",
                cpu_name()
            )))
        }
    }

    /// The software adapter as a test wants it.
    #[cfg(all(test, feature = "gpu"))]
    pub(crate) fn emulated(binding: u64, submissions: u64) -> Option<Self> {
        Some(Self { choice: super::gpu::Choice::emulated(binding, submissions)? })
    }

    /// What calls run on.
    pub(crate) fn status(&self) -> DeviceStatus {
        #[cfg(feature = "gpu")]
        if let Some(gpu) = self.choice.gpu() {
            let (memory_bytes, calls) = (gpu.memory_bytes(), gpu.calls());
            return DeviceStatus { name: gpu.name().into(), lost: gpu.lost(), memory_bytes, calls };
        }
        DeviceStatus { name: cpu_name(), lost: None, memory_bytes: 0, calls: 0 }
    }

    /// The backend that a call should try before the CPU.
    #[cfg(feature = "gpu")]
    pub(super) fn backend<'a>(
        &self,
        context: &Context,
        work: impl FnOnce() -> Work<'a>,
    ) -> Option<&dyn super::Backend> {
        use super::gpu::Choice;
        let gpu = match &self.choice {
            Choice::Cpu => None,
            Choice::Named(gpu) => Some(gpu),
            Choice::Auto(auto) => auto.choose(context, &work()),
        };
        gpu.map(|gpu| &**gpu as &dyn super::Backend)
    }

    /// Without GPUs there is none.
    #[cfg(not(feature = "gpu"))]
    pub(super) fn backend<'a>(
        &self,
        _: &Context,
        _: impl FnOnce() -> Work<'a>,
    ) -> Option<&dyn super::Backend> {
        None
    }

    /// Whether a GPU that works is in use.
    pub(crate) fn has_gpu(&self) -> bool {
        #[cfg(feature = "gpu")]
        return self.choice.gpu().is_some_and(|gpu| gpu.lost().is_none());
        #[cfg(not(feature = "gpu"))]
        false
    }

    /// Runs `work`, which is done on the CPU.
    pub(super) fn on_cpu<T>(&self, work: impl FnOnce() -> T) -> T {
        #[cfg(feature = "gpu")]
        if let super::gpu::Choice::Auto(auto) = &self.choice {
            return auto.on_cpu(work);
        }
        work()
    }

    /// Loses the GPU as a reset of its driver would.
    pub(crate) fn destroy(&self) {
        #[cfg(feature = "gpu")]
        if let Some(gpu) = self.choice.gpu() {
            gpu.destroy();
        }
    }
}

/// What a context runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceStatus {
    /// The device's name.
    pub name: String,
    /// Why the device is not used any more, and the CPU is; `None` = it is used.
    pub lost: Option<String>,
    /// GPU: bytes of its memory that the context holds.
    pub memory_bytes: u64,
    /// GPU: scans, assignments and rounds of sums that it has done.
    pub calls: u64,
}

/// Cores that this process may use (affinity and container limits included).
pub(crate) fn usable_cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The processor's brand string.
#[cfg(target_arch = "x86_64")]
pub(crate) fn cpu_name() -> String {
    use std::arch::x86_64::__cpuid;
    let bytes = |leaf: u32| {
        let r = __cpuid(leaf);
        [r.eax, r.ebx, r.ecx, r.edx].map(u32::to_le_bytes).concat()
    };
    if __cpuid(0x8000_0000).eax < 0x8000_0004 {
        return "x86-64 CPU".into();
    }
    let brand: Vec<u8> = (0x8000_0002..=0x8000_0004).flat_map(bytes).collect();
    text(&brand, "x86-64 CPU")
}

/// The processor's architecture: other systems have no common way to ask for a brand.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn cpu_name() -> String {
    format!("{} CPU", std::env::consts::ARCH)
}

#[cfg(target_arch = "x86_64")]
fn cpu_vendor() -> String {
    let r = std::arch::x86_64::__cpuid(0);
    text(&[r.ebx, r.edx, r.ecx].map(u32::to_le_bytes).concat(), "")
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_vendor() -> String {
    String::new()
}

#[cfg(target_arch = "x86_64")]
fn text(bytes: &[u8], default: &str) -> String {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(&bytes[..end]);
    if text.trim().is_empty() { default.into() } else { text.trim().into() }
}

/// The machine's memory; 0 where the system has no file that tells.
fn memory_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}
