//! Section "devices": what calls can run on.

use std::ffi::c_char;

use super::arguments::Out;
use super::guard::guard;
use super::options::{self, fixed, growing};
use super::status::ivf_status;
use crate::backend::device::{DeviceKind, devices};
use crate::error::Error;

/// A CPU, or a GPU that is emulated on one.
pub const IVF_DEVICE_TYPE_CPU: i32 = 0;
/// A GPU that shares the CPU's memory.
pub const IVF_DEVICE_TYPE_INTEGRATED_GPU: i32 = 1;
/// A GPU with memory of its own.
pub const IVF_DEVICE_TYPE_DISCRETE_GPU: i32 = 2;
/// A GPU as a virtual machine shows it.
pub const IVF_DEVICE_TYPE_VIRTUAL_GPU: i32 = 3;
/// A device of another kind.
pub const IVF_DEVICE_TYPE_OTHER: i32 = 4;

/// What is known of a device.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ivf_device_info {
    /// `sizeof(ivf_device_info)`, set by the caller.
    pub struct_size: u32,
    /// `IVF_DEVICE_TYPE_*`.
    pub r#type: i32,
    /// Memory of the device in bytes; 0 = unknown.
    pub memory_bytes: u64,
    /// CPU: the cores that this process may use. GPU: 0.
    pub threads: u32,
    /// 0.
    pub reserved: u32,
    /// The device's name, such as "AMD Ryzen 7 7840U".
    pub name: [c_char; 128],
    /// Who made it; "" = unknown.
    pub vendor: [c_char; 64],
    /// By what it is reached: "cpu", "vulkan", "metal" or "dx12".
    pub backend: [c_char; 32],
    /// CPU: the kernels it runs, "scalar", "avx2", "avx512" or "neon". GPU: "".
    pub kernel: [c_char; 32],
    /// GPU: the most bytes that a kernel can see of one buffer; larger lists lie in several. CPU: 0.
    pub max_binding_bytes: u64,
    /// GPU: how many lanes run in step, at least. CPU: 0.
    pub subgroup_min: u32,
    /// GPU: how many lanes run in step, at most. CPU: 0.
    pub subgroup_max: u32,
    /// 1 = a GPU that computes in float16.
    pub f16: u32,
    /// 0.
    pub reserved2: u32,
}

growing!(ivf_device_info, kernel: [c_char; 32]);

/// Counts the devices of this machine: device 0 is the CPU, GPUs follow, those that a CPU emulates last. Looks for
/// drivers anew each time, which may take a tenth of a second.
///
/// - `count`: receives the number, at least 1.
///
/// Errors: `IVF_E_NULL`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_device_count(count: *mut u32) -> ivf_status {
    guard(|| {
        // SAFETY: `required` checks it; that it may be written is the caller's promise.
        let count = unsafe { Out::required("count", count) }?;
        count.set(u32::try_from(devices().len()).unwrap_or(u32::MAX));
        Ok(())
    })
}

/// Describes device number `device`.
///
/// - `device`: below the number that `ivf_device_count` gives.
/// - `info`: set its `struct_size` before; the rest is filled in.
///
/// Errors: `IVF_E_NULL`; `IVF_E_ARGUMENT` if there is no such device or `struct_size` is wrong.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ivf_device_get_info(device: u32, info: *mut ivf_device_info) -> ivf_status {
    guard(|| {
        let devices = devices();
        let found = devices.get(device as usize).ok_or_else(|| {
            Error::argument(format!("device: expected a number below {}, got {device}", devices.len()))
        })?;
        let filled = ivf_device_info {
            r#type: match found.kind {
                DeviceKind::Cpu => IVF_DEVICE_TYPE_CPU,
                DeviceKind::IntegratedGpu => IVF_DEVICE_TYPE_INTEGRATED_GPU,
                DeviceKind::DiscreteGpu => IVF_DEVICE_TYPE_DISCRETE_GPU,
                DeviceKind::VirtualGpu => IVF_DEVICE_TYPE_VIRTUAL_GPU,
                DeviceKind::Other => IVF_DEVICE_TYPE_OTHER,
            },
            memory_bytes: found.memory_bytes,
            threads: u32::try_from(found.threads).unwrap_or(u32::MAX),
            name: fixed(&found.name),
            vendor: fixed(&found.vendor),
            backend: fixed(found.backend),
            kernel: fixed(found.kernel),
            max_binding_bytes: found.max_binding_bytes,
            subgroup_min: found.subgroup_sizes.0,
            subgroup_max: found.subgroup_sizes.1,
            f16: u32::from(found.f16),
            ..options::zeroed()
        };
        // SAFETY: `write` checks it; `struct_size` writable bytes are the caller's promise.
        unsafe { options::write("info", info, &filled) }
    })
}
