"""A context on the adapter that the CPU emulates, where there is one."""

from __future__ import annotations

import os
import signal
import time

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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_search_in_the_child_of_a_fork_is_the_cpu_s() -> None:
    context = ivf.Context(device=adapter())
    x = np.random.default_rng(2).standard_normal((500, 8), dtype=np.float32)
    index = ivf.Index(8, context=context)
    index.add(x)
    want = index.search(x, 5).ids
    child = os.fork()
    if child == 0:
        status = 1
        try:
            same = np.array_equal(index.search(x, 5).ids, want)
            lost = context.info.device_lost
            index.close()
            status = 0 if same and lost else 2
        finally:
            os._exit(status)
    for _ in range(300):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.1)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pytest.fail("the child did not end within 30 seconds")
    assert status == 0
    np.testing.assert_array_equal(index.search(x, 5).ids, want)
    assert not context.info.device_lost
