"""What faiss keeps for the whole process: the number of threads."""

from __future__ import annotations

import os

from ..context import Context

_threads = 0


def omp_set_num_threads(threads: int) -> None:
    """Sets how many threads the calls of this module may use, from 1 to the machine's."""
    if threads < 1:
        raise ValueError(f"threads: expected 1 or more, got {threads}")
    global _threads
    _threads = threads


def omp_get_max_threads() -> int:
    """How many threads the calls of this module may use."""
    return _threads or Context().info.threads or os.cpu_count() or 1


def get_num_gpus() -> int:
    """0: this module computes on the CPU."""
    return 0


def threads() -> int:
    """The `threads` of a call; 0 = all."""
    return _threads
