"""Curves of recall against speed, taken: every contestant over its whole parameter range.

1. Build: each trains and adds in a fresh process; seconds, peak and resident memory.
2. Survey: each of its settings answers some queries as a batch, and a few one by one: rough recall and speed.
   Settings that another of the same index beats in recall and in both speeds are left out from here on.
3. Rounds: all contestants' settings in turn, one process at work at a time; recall of all queries, medians.
"""

from __future__ import annotations

import gc
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

import quality
from contestants import LIBRARIES, Task
from worker import PeerError, Worker, memory, reset_peak, trim_heap

#: Settings beyond this recall are no longer timed: nobody asks for them.
ENOUGH_RECALL = 0.999
#: A setting below this recall is not worth a round.
LEAST_RECALL = 0.85
#: Queries of the survey, and those of them that are asked one by one.
SURVEYED, SINGLES = 1000, 50


def run(data, task: Task, names: list[tuple[str, str]], rounds: int, seconds: float) -> dict:
    """By contestant: version, build, and points with recall, batch QPS and the latency of single queries."""
    base, queries = data.base(), data.queries()
    metric = "ip" if task.cosine else "l2"
    _say(f"{data.name}: {len(base)} x {task.dim}, exact neighbours of {len(queries)} queries")
    _, truth = data.truth(metric, task.k)

    def recall(ids: np.ndarray) -> float:
        count = len(ids)
        found = quality.costs(base, queries[:count], ids, metric)
        return quality.recall(ids, found, truth[:count], task.k)

    result = {}
    with ExitStack() as stack:
        workers, settings = {}, {}
        for library, index in names:
            name = f"{library} {index}"
            _say(f"building {name}")
            worker = stack.enter_context(
                Worker(name, task.threads, Sweep, library, index, task, data.base_path, data.queries_path)
            )
            result[name] = {"version": worker.version(), "build": worker.build(), "points": []}
            points = []
            for number, setting in enumerate(worker.sweep()):
                if points and points[-1]["recall"] > ENOUGH_RECALL and _only_grows(setting, points[-1]["settings"]):
                    continue
                ids, batch, single = worker.survey(number)
                found = recall(ids)
                points.append({"number": number, "settings": setting, "recall": found, "rough": (1 / batch, 1 / single)})
            workers[name], settings[name] = worker, _worthwhile(points)
            for point in settings[name]:
                point["recall"] = recall(worker.found(point["number"]))
            _say(f"{name}: {len(settings[name])} of {len(points)} settings are worth timing")
        taken = {name: {point["number"]: [] for point in points} for name, points in settings.items()}
        for number in range(rounds):
            _say(f"round {number + 1} of {rounds}")
            for name, worker in workers.items():
                for point in settings[name]:
                    taken[name][point["number"]].append(
                        worker.measure(point["number"], seconds, number / rounds)
                    )
    for name, points in settings.items():
        for point in points:
            batches, singles = zip(*taken[name][point["number"]])
            singles = np.concatenate(singles) * 1e3
            result[name]["points"].append({
                "settings": point["settings"],
                "recall": point["recall"],
                "qps": {"median": float(np.median(batches)), "min": min(batches), "max": max(batches)},
                "single_ms": {"p50": float(np.percentile(singles, 50)), "p99": float(np.percentile(singles, 99))},
            })
    return result


def _only_grows(setting: dict, before: dict) -> bool:
    """Whether a setting does at least as much as one before it in everything."""
    return all(setting[name] >= value for name, value in before.items())


def _worthwhile(points: list[dict]) -> list[dict]:
    """Those with enough recall that no other beats in recall and in both speeds by a clear margin."""

    def beaten(point: dict) -> bool:
        return any(
            other["recall"] >= point["recall"]
            and all(theirs > 1.15 * mine for theirs, mine in zip(other["rough"], point["rough"]))
            for other in points
        )

    return [point for point in points if point["recall"] >= LEAST_RECALL and not beaten(point)]


class Sweep:
    """What the child does. Times are seconds, memory bytes."""

    def __init__(self, library: str, index: str, task: Task, base: Path, queries: Path):
        self._base, self._queries, self._task = np.load(base), np.load(queries), task
        self._contestant = LIBRARIES[library](task, index)

    def version(self) -> str:
        return self._contestant.version

    def build(self) -> dict:
        trim_heap()
        before = reset_peak()
        start = time.perf_counter()
        self._contestant.build(self._base)
        seconds = time.perf_counter() - start
        peak = None if before is None else memory("VmHWM") - before
        trim_heap()
        resident = None if before is None else memory("VmRSS") - before
        return {"seconds": seconds, "peak_bytes": peak, "resident_bytes": resident}

    def sweep(self) -> list[dict]:
        self._settings = self._contestant.sweep()
        return self._settings

    def survey(self, number: int):
        """Ids of the survey's queries, the seconds a query took in that batch, and alone."""
        queries = self._queries[:SURVEYED]
        self._contestant.use(self._settings[number], self._task.threads)
        self._contestant.search(queries[:256])
        start = time.perf_counter()
        ids = self._contestant.search(queries)
        batch = (time.perf_counter() - start) / len(queries)
        self._contestant.use(self._settings[number], 1)
        return np.asarray(ids, np.int64), batch, float(np.median(self._singles(0, 0.0)))

    def found(self, number: int):
        """Ids [n, k] of all queries."""
        self._contestant.use(self._settings[number], self._task.threads)
        return np.asarray(self._contestant.search(self._queries), np.int64)

    def measure(self, number: int, seconds: float, start: float):
        """Queries a second of whole batches, and the latencies of single queries on one thread."""
        self._contestant.use(self._settings[number], self._task.threads)
        calls, now = 0, time.perf_counter()
        begin = now
        while calls == 0 or now - begin < seconds:
            self._contestant.search(self._queries)
            calls, now = calls + 1, time.perf_counter()
        speed = calls * len(self._queries) / (now - begin)
        self._contestant.use(self._settings[number], 1)
        return speed, self._singles(int(start * len(self._queries)), seconds)

    def _singles(self, at: int, seconds: float):
        """Seconds of each query asked alone, at least `SINGLES` of them."""
        latencies = []
        gc.disable()
        begin = now = time.perf_counter()
        while len(latencies) < SINGLES or now - begin < seconds:
            query = self._queries[at : at + 1]
            before = time.perf_counter()
            self._contestant.search(query)
            now = time.perf_counter()
            latencies.append(now - before)
            at = (at + 1) % len(self._queries)
        gc.enable()
        return np.array(latencies)


def _say(text: str) -> None:
    print(f"[curves] {text}", file=sys.stderr, flush=True)


__all__ = ["PeerError", "run"]
