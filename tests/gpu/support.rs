//! What these tests share.

use ivf::{DeviceInfo, DeviceKind, devices};

/// The software adapter; `None` where there is none.
pub(crate) fn adapter() -> Option<DeviceInfo> {
    let found = devices().into_iter().skip(1).find(|device| device.kind == DeviceKind::Cpu);
    if found.is_none() {
        assert!(
            std::env::var_os("IVF_REQUIRE_GPU").is_none(),
            "no software adapter: install mesa-vulkan-drivers"
        );
    }
    found
}
