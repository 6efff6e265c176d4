//! What is listed, and in which order.

use ivf::{DeviceKind, devices};

use crate::support::adapter;

#[test]
fn devices_software_adapter_is_described() {
    let Some(found) = adapter() else { return };
    assert_eq!((found.backend, found.kernel, found.threads), ("vulkan", "", 0), "{found:?}");
    assert!(!found.name.is_empty() && found.memory_bytes > 1 << 26, "{found:?}");
    assert!(found.max_binding_bytes >= 128 << 20, "{found:?}");
    let (least, most) = found.subgroup_sizes;
    assert!(least >= 4 && most <= 128 && least <= most, "{found:?}");
}

#[test]
fn devices_the_cpu_is_first_and_what_it_emulates_last() {
    let kinds: Vec<_> = devices().iter().map(|device| device.kind).collect();
    assert_eq!(kinds[0], DeviceKind::Cpu);
    let emulated = kinds[1..].iter().position(|&kind| kind == DeviceKind::Cpu).unwrap_or(kinds.len() - 1);
    assert!(kinds[1 + emulated..].iter().all(|&kind| kind == DeviceKind::Cpu), "{kinds:?}");
}
