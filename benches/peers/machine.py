"""What the numbers were taken on."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path

from environment import ROOT

#: The instruction sets that decide how fast a scan can be.
_FLAGS = (
    "sse4_2 avx avx2 fma f16c avx_vnni avx512f avx512dq avx512bw avx512vl avx512_vnni avx512_bf16 "
    "avx512_fp16 avx512_vpopcntdq amx_tile amx_int8 amx_bf16 asimd asimddp i8mm bf16 sve sve2"
).split()


def describe() -> dict:
    """Processor, memory and system; fields that the system does not tell are missing."""
    info = {"system": platform.platform(), "python": platform.python_version(), "cores": _cores()}
    fields = {}
    for line in _read("/proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    info["cpu"] = fields.get("model name") or platform.processor() or platform.machine()
    if "cpu family" in fields:
        info["cpu_family_model"] = f"{fields['cpu family']}/{fields.get('model', '?')}"
    present = set((fields.get("flags") or fields.get("Features") or "").split())
    info["flags"] = [flag for flag in _FLAGS if flag in present]
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        kind = _read(index / "type").strip()
        if kind != "Instruction":
            info[f"l{_read(index / 'level').strip()}_cache"] = _read(index / "size").strip()
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemTotal"):
            info["memory_gib"] = round(int(line.split()[1]) / 2**20, 1)
    busy = busy_cores()
    if busy is not None:
        info["busy_cores_before"] = round(busy, 2)
    return info


def busy_cores(seconds: float = 1.0) -> float | None:
    """How many cores others keep busy, while this process waits; None where that is not to be known."""
    before = _busy_ticks()
    time.sleep(seconds)
    after = _busy_ticks()
    if before is None or after is None:
        return None
    return (after - before) / os.sysconf("SC_CLK_TCK") / seconds


def _busy_ticks() -> int | None:
    """All cores' time so far outside idle and waiting for disks."""
    first = _read("/proc/stat").split("\n", 1)[0].split()
    if len(first) < 9:
        return None
    user, low, system, _idle, _wait, interrupts, soft, stolen = map(int, first[1:9])
    return user + low + system + interrupts + soft + stolen


def revision() -> str:
    """The tree's git revision, with `-dirty` where it has changes; `unknown` outside a checkout."""
    call = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
