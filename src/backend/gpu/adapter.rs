//! Finding GPUs: through Vulkan, Metal or DX12, whichever the system has. None of them need be there.
//!
//! Libraries of the system are loaded when this is first called and not before; a machine without a loader or a
//! driver simply has no adapters.

use std::sync::Mutex;

use crate::backend::device::{DeviceInfo, DeviceKind};

/// A GPU, or what emulates one, that could be opened.
pub(super) struct Adapter {
    pub(super) adapter: wgpu::Adapter,
    pub(super) info: DeviceInfo,
}

/// What is known of all adapters.
pub(crate) fn infos() -> Vec<DeviceInfo> {
    adapters().into_iter().map(|adapter| adapter.info).collect()
}

/// All adapters, the fastest kind first and those that a CPU emulates last. The order is the same on every call.
pub(super) fn adapters() -> Vec<Adapter> {
    let Some(instance) = process_instance() else { return Vec::new() };
    let mut found = pollster::block_on(instance.enumerate_adapters(BACKENDS));
    found.sort_unstable_by_key(|adapter| {
        let info = adapter.get_info();
        (rank(info.device_type), u8::from(info.backend != wgpu::Backend::Vulkan))
    });
    // On Windows a GPU is there twice, through Vulkan and through DX12.
    let mut seen = std::collections::HashSet::new();
    found.retain(|adapter| {
        let info = adapter.get_info();
        let real = info.device_type != wgpu::DeviceType::Cpu;
        let first = seen.insert((info.backend, info.vendor, info.device, info.device_pci_bus_id.clone()));
        let other = (wgpu::Backend::Vulkan, info.vendor, info.device, info.device_pci_bus_id);
        first && !(real && info.backend == wgpu::Backend::Dx12 && seen.contains(&other))
    });
    found.into_iter().map(|adapter| Adapter { info: describe(&adapter), adapter }).collect()
}

/// The process's only instance, never destroyed: with the last of them a driver is unloaded, and some (NVIDIA's for one)
/// do not survive being loaded again and again. A process that was forked has its own.
fn process_instance() -> Option<wgpu::Instance> {
    static KEPT: Mutex<Option<(u32, wgpu::Instance)>> = Mutex::new(None);
    let process = std::process::id();
    // A lock that is taken is another thread's, which makes the one to be kept, or one that a fork left.
    let Ok(mut kept) = KEPT.try_lock() else { return instance() };
    if let Some((_, instance)) = kept.as_ref().filter(|(owner, _)| *owner == process) {
        return Some(instance.clone());
    }
    // The parent's is forgotten, not dropped: its driver's threads do not exist in this process.
    std::mem::forget(kept.take());
    let instance = instance()?;
    *kept = Some((process, instance.clone()));
    Some(instance)
}

const BACKENDS: wgpu::Backends =
    wgpu::Backends::VULKAN.union(wgpu::Backends::METAL).union(wgpu::Backends::DX12);

/// wgpu without validation layers, debug names and whatever the environment says; `None` where there is no loader.
#[cfg(any(not(unix), target_vendor = "apple", target_os = "android"))]
fn instance() -> Option<wgpu::Instance> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = BACKENDS;
    descriptor.flags = wgpu::InstanceFlags::empty();
    Some(wgpu::Instance::new(descriptor))
}

/// The same of Vulkan, the only one here, and without windows: asked for them, Mesa's device-select layer looks for
/// a display, and complains on the program's stderr where there is none.
#[cfg(all(unix, not(target_vendor = "apple"), not(target_os = "android")))]
#[expect(unsafe_code, reason = "wgpu always asks for windows")]
fn instance() -> Option<wgpu::Instance> {
    use wgpu::hal::vulkan;
    const WINDOWS: [&std::ffi::CStr; 3] =
        [c"VK_KHR_xlib_surface", c"VK_KHR_xcb_surface", c"VK_KHR_wayland_surface"];
    let descriptor = wgpu::hal::InstanceDescriptor {
        name: "ivf",
        flags: wgpu::InstanceFlags::empty(),
        memory_budget_thresholds: wgpu::MemoryBudgetThresholds::default(),
        backend_options: wgpu::BackendOptions::default(),
        telemetry: None,
        display: None,
    };
    let without_windows = |args: vulkan::CreateInstanceCallbackArgs<'_, '_, '_>| {
        args.extensions.retain(|extension| !WINDOWS.contains(extension));
    };
    // SAFETY: wgpu takes what it may not have for there only to make surfaces, which nobody can without asking for
    // one; VK_KHR_surface, on which the swapchain rests that it asks of devices, stays. wgpu owns the instance.
    unsafe {
        let instance =
            vulkan::Instance::init_with_callback(&descriptor, Some(Box::new(without_windows))).ok()?;
        Some(wgpu::Instance::from_hal::<wgpu::hal::api::Vulkan>(instance))
    }
}

fn rank(kind: wgpu::DeviceType) -> u8 {
    match kind {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    }
}

fn describe(adapter: &wgpu::Adapter) -> DeviceInfo {
    let info = adapter.get_info();
    let limits = adapter.limits();
    DeviceInfo {
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => DeviceKind::DiscreteGpu,
            wgpu::DeviceType::IntegratedGpu => DeviceKind::IntegratedGpu,
            wgpu::DeviceType::VirtualGpu => DeviceKind::VirtualGpu,
            wgpu::DeviceType::Cpu => DeviceKind::Cpu,
            wgpu::DeviceType::Other => DeviceKind::Other,
        },
        vendor: vendor(info.vendor).into(),
        backend: match info.backend {
            wgpu::Backend::Vulkan => "vulkan",
            wgpu::Backend::Metal => "metal",
            wgpu::Backend::Dx12 => "dx12",
            _ => "other",
        },
        name: info.name,
        kernel: "",
        memory_bytes: memory_bytes(adapter),
        threads: 0,
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        subgroup_sizes: (info.subgroup_min_size, info.subgroup_max_size),
        f16: adapter.features().contains(wgpu::Features::SHADER_F16),
    }
}

/// The makers by their PCI numbers (Mesa's software adapter has one of Khronos's).
fn vendor(number: u32) -> &'static str {
    match number {
        0x1002 | 0x1022 => "AMD",
        0x1010 => "Imagination",
        0x106b => "Apple",
        0x10de => "NVIDIA",
        0x13b5 => "ARM",
        0x1414 => "Microsoft",
        0x14e4 => "Broadcom",
        0x5143 => "Qualcomm",
        0x8086 => "Intel",
        0x1_0005 => "Mesa",
        _ => "",
    }
}

/// Bytes of the largest heap of the device's own; 0 where the system does not tell.
#[cfg(not(any(target_os = "macos", target_os = "ios")))]
#[expect(unsafe_code, reason = "wgpu does not pass on what Vulkan tells")]
fn memory_bytes(adapter: &wgpu::Adapter) -> u64 {
    const DEVICE_LOCAL: u32 = 1;
    // SAFETY: nothing of it is kept or destroyed; the adapter outlives the guard.
    let Some(vulkan) = (unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }) else { return 0 };
    let instance = vulkan.shared_instance().raw_instance();
    // SAFETY: the physical device is of this instance, both alive.
    let memory = unsafe { instance.get_physical_device_memory_properties(vulkan.raw_physical_device()) };
    let heaps = &memory.memory_heaps[..(memory.memory_heap_count as usize).min(memory.memory_heaps.len())];
    let own = heaps.iter().filter(|heap| heap.flags.as_raw() & DEVICE_LOCAL != 0);
    own.map(|heap| heap.size).max().unwrap_or(0)
}

/// Metal does not tell; memory is shared there.
#[cfg(any(target_os = "macos", target_os = "ios"))]
fn memory_bytes(_: &wgpu::Adapter) -> u64 {
    0
}
