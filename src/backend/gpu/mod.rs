//! GPUs, through wgpu: Vulkan, Metal, DX12. No type of wgpu's leaves this module.

mod adapter;

pub(crate) use adapter::adapters;
