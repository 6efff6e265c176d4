//! Which GPU a context uses, if any.

use std::sync::Arc;
use std::time::Duration;

use super::adapter::{Adapter, adapters};
use super::auto::Auto;
use super::device::Gpu;
use crate::backend::device::DeviceKind;
use crate::error::{Error, Result};

/// A context's choice.
pub(crate) enum Choice {
    /// None.
    Cpu,
    /// This one for every call.
    Named(Arc<Gpu>),
    /// Whatever is faster for a call.
    Auto(Box<Auto>),
}

impl Choice {
    /// "gpu" is the first that no CPU emulates, "gpu:1" the second; else a part of a name, in lower case, of any.
    pub(crate) fn named(wanted: &str, budget: u64, timeout: Option<Duration>) -> Result<Self> {
        let number = match wanted.split_once(':') {
            None if wanted == "gpu" => Some(0),
            Some(("gpu", number)) => Some(number.parse::<usize>().map_err(|_| {
                Error::Device(format!("device: expected a number after \"gpu:\", got {wanted:?}"))
            })?),
            _ => None,
        };
        let mut all = adapters();
        let names: Vec<_> = all.iter().map(|adapter| adapter.info.name.clone()).collect();
        let found = match number {
            Some(number) => {
                let real = |adapter: &Adapter| adapter.info.kind != DeviceKind::Cpu;
                (0..all.len()).filter(|&i| real(&all[i])).nth(number)
            }
            None => names.iter().position(|name| name.to_lowercase().contains(wanted)),
        };
        let Some(found) = found else {
            return Err(Error::Device(format!(
                "device: expected \"auto\", \"cpu\", \"gpu\" or a part of a device's name, got {wanted:?}; there \
                 are the CPU ({}) and {}",
                crate::backend::device::cpu_name(),
                if names.is_empty() { "no GPU".to_owned() } else { names.join(", ") }
            )));
        };
        Ok(Self::Named(open(all.swap_remove(found), budget, timeout)))
    }

    /// The CPU, and a GPU where that is faster.
    pub(crate) fn auto(budget: u64, timeout: Option<Duration>) -> Self {
        Self::Auto(Box::new(Auto::new(budget, timeout)))
    }

    /// The software adapter as if it could bind so many bytes, and destroyed after so many submissions; `None` where there
    /// is none.
    #[cfg(test)]
    pub(crate) fn emulated(binding: u64, submissions: u64) -> Option<Self> {
        let found = adapters().into_iter().find(|adapter| adapter.info.kind == DeviceKind::Cpu);
        assert!(found.is_some() || std::env::var_os("IVF_REQUIRE_GPU").is_none(), "no software adapter");
        let limits = wgpu::Limits {
            max_storage_buffer_binding_size: binding,
            max_buffer_size: binding,
            ..wgpu::Limits::defaults()
        };
        let gpu = Gpu::new(found?.adapter, "emulated".into(), 0, 0, None);
        Some(Self::Named(Arc::new(gpu.with_limits(limits).with_fuse(submissions))))
    }

    /// The GPU, if one is in use.
    pub(crate) fn gpu(&self) -> Option<&Arc<Gpu>> {
        match self {
            Self::Cpu => None,
            Self::Named(gpu) => Some(gpu),
            Self::Auto(auto) => auto.found(),
        }
    }
}

pub(super) fn open(adapter: Adapter, budget: u64, timeout: Option<Duration>) -> Arc<Gpu> {
    let Adapter { adapter, info } = adapter;
    Arc::new(Gpu::new(adapter, info.name, info.memory_bytes, budget, timeout))
}
