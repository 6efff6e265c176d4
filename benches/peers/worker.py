"""One peer in a process of its own: its OpenMP, its memory and its crashes stay apart from the others.

`Worker` is the parent's side. `_serve` runs in the child and does one thing at a time as it is told,
so that only one peer uses the machine at any moment. `Bench` is what the child of a comparison does.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import time
import traceback
from pathlib import Path

import numpy as np

from peers import PEERS, Setting

_PROCESSES = multiprocessing.get_context("spawn")


class PeerError(Exception):
    """A peer failed in its process; the text is its traceback."""


class Worker:
    """A child process with one peer; a context manager. Calls are those of `bench`, made there of `arguments`."""

    def __init__(self, peer: str, threads: int, bench: type, *arguments):
        # OpenMP, and each BLAS, reads these when it is loaded.
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = str(threads)
        self.peer = peer
        self._pipe, other = _PROCESSES.Pipe()
        self._process = _PROCESSES.Process(target=_serve, args=(other, bench, arguments), daemon=True)
        self._process.start()
        other.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self._pipe.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()

    def __getattr__(self, name: str):
        def call(*arguments):
            try:
                self._pipe.send((name, arguments))
                good, result = self._pipe.recv()
            except (EOFError, BrokenPipeError):
                self._process.join(10)
                raise PeerError(f"{self.peer}: its process ended with status {self._process.exitcode}") from None
            if not good:
                raise PeerError(f"{self.peer}: {result}")
            return result

        return call


def _serve(pipe, make, of) -> None:
    bench = None
    while True:
        try:
            name, arguments = pipe.recv()
        except EOFError:
            return
        try:
            if bench is None:
                bench = make(*of)
            pipe.send((True, getattr(bench, name)(*arguments)))
        except Exception:
            pipe.send((False, traceback.format_exc()))


class Bench:
    """What the child does. Times are seconds, latencies milliseconds, memory bytes."""

    def __init__(self, peer: str, setting: Setting, base: Path, queries: Path, train_points: int):
        self._make = lambda: PEERS[peer](setting)
        self._peer = self._make()
        self._base, self._queries = np.load(base), np.load(queries)
        self._train = self._base[: train_points or len(self._base)]

    def version(self) -> str:
        return self._peer.version

    def build(self) -> dict:
        """Own training and adding, in a fresh index."""
        self._peer = self._make()
        trim_heap()
        before = reset_peak()
        start = time.perf_counter()
        self._peer.train(self._train)
        trained = time.perf_counter()
        self._peer.add(self._base)
        added = time.perf_counter()
        return {
            "train": trained - start,
            "add": added - trained,
            "peak": None if before is None else memory("VmHWM") - before,
            "centroids": self._peer.centroids(),
        }

    def fill(self, centroids) -> dict:
        """Given centroids and all vectors: what all the searches run on."""
        self._peer = self._make()
        trim_heap()
        before = memory("VmRSS")
        self._peer.set_centroids(centroids)
        self._peer.add(self._base)
        trim_heap()
        return {
            "resident": None if before is None else memory("VmRSS") - before,
            "stored": self._peer.stored_bytes(),
        }

    def upload(self) -> float:
        """Seconds by which the first search takes longer than the next: whatever makes the index resident."""
        times = []
        for _ in range(2):
            start = time.perf_counter()
            self._peer.search(self._queries[:1])
            times.append(time.perf_counter() - start)
        return max(times[0] - times[1], 0.0)

    def transfer(self, batch: int) -> float | None:
        """Milliseconds that such a batch and its results spend on the way; None if the peer does not tell."""
        times = [self._peer.transfer(self._slice(0, batch)) for _ in range(5)]
        return None if None in times else float(np.median(times)) * 1e3

    def restrict(self, selectivity: float | None) -> int:
        """Lets this share of the rows pass, drawn by lot, the same for every peer; how many pass."""
        mask = None
        if selectivity is not None:
            mask = np.random.default_rng(1234).random(len(self._base)) < selectivity
        self._peer.restrict(mask)
        return len(self._base) if mask is None else int(mask.sum())

    def choose_mode(self, batch: int) -> str:
        """The best of the peer's ways to search such batches; also warms all that they use."""
        speeds = {}
        for mode in self._peer.modes(batch):
            self._peer.use(mode)
            if len(self._peer.modes(batch)) > 1:
                speeds[mode] = 1 / np.median(self.measure(batch, 0.3, 0.37))
            else:
                self._peer.search(self._slice(0, batch))
                speeds[mode] = 0.0
        best = max(speeds, key=speeds.get)
        self._peer.use(best)
        return best

    def found(self, batch: int, count: int, seconds: float):
        """Ids [at most count, k] of the first queries, `batch` at a time; no new batch after `seconds`."""
        begin, parts = time.perf_counter(), []
        for at in range(0, count, batch):
            parts.append(self._peer.search(self._queries[at : min(at + batch, count)])[1])
            if time.perf_counter() - begin > seconds:
                break
        return np.concatenate(parts)

    def measure(self, batch: int, seconds: float, start: float):
        """Milliseconds of each call for at least `seconds`, at least one call.

        Every call takes the next queries, beginning at the share `start` of them, round and round.
        """
        at = int(start * len(self._queries))
        self._peer.search(self._slice(at, min(batch, 256)))
        latencies = []
        gc.collect()
        gc.disable()
        begin = now = time.perf_counter()
        while not latencies or now - begin < seconds:
            queries = self._slice(at, batch)
            before = time.perf_counter()
            self._peer.search(queries)
            now = time.perf_counter()
            latencies.append((now - before) * 1e3)
            at = (at + batch) % len(self._queries)
        gc.enable()
        return np.array(latencies)

    def _slice(self, at: int, batch: int):
        """`batch` queries from `at` on, past the end from the beginning again."""
        if at + batch <= len(self._queries):
            return self._queries[at : at + batch]
        return np.take(self._queries, range(at, at + batch), axis=0, mode="wrap")


def memory(field: str) -> int | None:
    """A line of /proc/self/status in bytes; None where there is no such file."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


def reset_peak() -> int | None:
    """Sets the high-water mark back to what is resident now, and returns that."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return memory("VmRSS")


def trim_heap() -> None:
    """Gives what is free back to the system, so that resident memory means memory in use."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        pass  # not glibc
