//! What is listed, and in which order.

use std::process::{Command, Stdio};

use ivf::{DeviceKind, devices};

use crate::support::{Twins, adapter, numbers};

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

/// Set in the process that the test below starts.
const CHILD: &str = "IVF_TEST_SILENT_CHILD";

#[test]
fn devices_and_searches_print_nothing_without_a_session() {
    if adapter().is_none() {
        return;
    }
    if std::env::var_os(CHILD).is_some() {
        let twins = Twins::new("IVF4,Flat", ivf::Metric::L2, 4, &numbers(1, 800)).expect("an adapter");
        twins.check(&numbers(2, 8), 3, &ivf::SearchOptions::default());
        assert_eq!(twins.calls(), 2);
        return;
    }
    // This test again, alone, without what a desktop session sets.
    let name = "devices::devices_and_searches_print_nothing_without_a_session";
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.args([name, "--exact", "--nocapture", "--quiet"]).env(CHILD, "1").stdin(Stdio::null());
    for session in ["XDG_RUNTIME_DIR", "DISPLAY", "WAYLAND_DISPLAY"] {
        command.env_remove(session);
    }
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
