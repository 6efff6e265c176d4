"""Devices, and the context: the threads and the device that calls run on."""

from __future__ import annotations

import ctypes
import logging
import threading
from typing import NamedTuple

from . import _abi
from ._arrays import text, unsigned
from ._call import Handle, call, library, make

_LEVELS = {_abi.LOG_LEVEL_WARNING: logging.WARNING, _abi.LOG_LEVEL_INFO: logging.INFO}


def _forward(level: int, message: bytes, _: object) -> None:
    try:
        logging.getLogger("ivf").log(_LEVELS.get(level, logging.INFO), "%s", message.decode())
    except Exception:  # a handler's: it must not reach the library, and ctypes would print it
        pass


# One for all contexts, held for ever: an index may outlive the context that it was made with.
_LOG = _abi.LogFn(_forward)

_DEVICE_TYPES = {
    _abi.DEVICE_TYPE_CPU: "cpu",
    _abi.DEVICE_TYPE_INTEGRATED_GPU: "integrated gpu",
    _abi.DEVICE_TYPE_DISCRETE_GPU: "discrete gpu",
    _abi.DEVICE_TYPE_VIRTUAL_GPU: "virtual gpu",
}


class Device(NamedTuple):
    """Something that calls can run on."""

    type: str
    """"cpu", "integrated gpu", "discrete gpu", "virtual gpu" or "other"."""
    name: str
    vendor: str
    """"" if unknown."""
    backend: str
    """"cpu", "vulkan", "metal" or "dx12"."""
    kernel: str
    """CPU: the kernels chosen, such as "avx2"."""
    memory_bytes: int
    """0 if unknown."""
    threads: int
    """CPU: cores that this process may use."""
    max_binding_bytes: int
    """GPU: the most bytes that a kernel can see of one buffer."""
    subgroup_sizes: tuple[int, int]
    """GPU: how many lanes run in step, at least and at most."""
    f16: bool
    """GPU: whether it computes in float16."""


class ContextInfo(NamedTuple):
    """What a context works with."""

    threads: int
    device: str
    kernel: str
    device_lost: bool
    """Whether calls run on the CPU because the device was lost; results are the same."""
    device_memory_bytes: int
    """GPU: bytes of its memory that the context holds."""
    device_calls: int
    """GPU: scans, assignments and rounds of sums that it has done."""


def devices() -> list[Device]:
    """All devices; the first is the CPU."""
    count = ctypes.c_uint32()
    call(library.ivf_device_count, ctypes.byref(count))
    return [_device(number) for number in range(count.value)]


def _device(number: int) -> Device:
    info = _abi.DeviceInfo()
    call(library.ivf_device_get_info, number, info)
    return Device(
        type=_DEVICE_TYPES.get(info.type, "other"),
        name=info.name.decode(),
        vendor=info.vendor.decode(),
        backend=info.backend.decode(),
        kernel=info.kernel.decode(),
        memory_bytes=info.memory_bytes,
        threads=info.threads,
        max_binding_bytes=info.max_binding_bytes,
        subgroup_sizes=(info.subgroup_min, info.subgroup_max),
        f16=bool(info.f16),
    )


class Context:
    """The threads and the device of the indexes that are made with it. Without one, all share the default.

    threads: what a call may use at most, the calling one included; 0 = one a core that this process may use.
    device: "auto" (for each call what is faster), "cpu", "gpu", "gpu:1", or part of a device's name.
    kernel: None = the best that the CPU has; "scalar", "avx2", "avx512" or "neon" for tests.
    device_memory_bytes: what a GPU may be used for; 0 = four fifths of what it has.

    Any number of threads may use one context; indexes keep it alive. What the library has to say (few points to train
    on, a device that was lost) goes to the logger "ivf".
    """

    def __init__(
        self,
        threads: int = 0,
        device: str = "auto",
        kernel: str | None = None,
        device_memory_bytes: int = 0,
    ):
        options = _abi.ContextOptions(
            threads=unsigned("threads", threads),
            device=text("device", device),
            kernel=None if kernel is None else text("kernel", kernel),
            device_memory_bytes=unsigned("device_memory_bytes", device_memory_bytes, 64),
            log=_LOG,
        )
        self._handle = Handle(make(library.ivf_context_create, options), library.ivf_context_destroy)

    @property
    def info(self) -> ContextInfo:
        """Threads, device and kernel in use."""
        info = _abi.ContextInfo()
        call(library.ivf_context_get_info, self._handle, info)
        return ContextInfo(
            threads=info.threads,
            device=info.device.decode(),
            kernel=info.kernel.decode(),
            device_lost=bool(info.device_lost),
            device_memory_bytes=info.device_memory_bytes,
            device_calls=info.device_calls,
        )

    def __repr__(self) -> str:
        info = self.info
        return f"<ivf.Context threads={info.threads} device={info.device!r} kernel={info.kernel!r}>"


_shared: Context | None = None
_shared_lock = threading.Lock()


def handle_or_default(context: Context | None) -> Handle | None:
    """The context's handle; for None that of one that all share."""
    global _shared
    if context is not None:
        return handle_of(context)
    with _shared_lock:
        if _shared is None:
            _shared = Context()
        return _shared._handle


def handle_of(context: Context | None) -> Handle | None:
    """The context's handle; None for None."""
    if context is not None and not isinstance(context, Context):
        raise TypeError(f"context: expected an ivf.Context or None, got {type(context).__name__}")
    return None if context is None else context._handle
