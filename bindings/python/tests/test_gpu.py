"""A context on the adapter that the CPU emulates, where there is one."""

from __future__ import annotations

import numpy as np
import pytest

import ivf


def adapter() -> str:
    names = [device.name for device in ivf.devices()[1:] if device.type == "cpu"]
    if not names:
        pytest.skip("no software adapter (mesa-vulkan-drivers)")
    return names[0]


def test_search_on_a_gpu_equals_the_cpu() -> None:
    name = adapter()
    rng = np.random.default_rng(1)
    x = rng.standard_normal((3000, 24), dtype=np.float32)
    cpu = ivf.Index(24, "IVF16,Flat", context=ivf.Context(device="cpu"))
    cpu.train(x)
    cpu.add(x)
    context = ivf.Context(device=name)
    gpu = cpu.to(context)
    for k in (1, 10, 700):
        want, got = cpu.search(x[:50], k, nprobe=6), gpu.search(x[:50], k, nprobe=6)
        np.testing.assert_array_equal(got.ids, want.ids)
        np.testing.assert_array_equal(got.distances, want.distances)
    info = context.info
    assert info.device == name and info.device_calls == 6 and not info.device_lost
    assert info.device_memory_bytes > x.nbytes
