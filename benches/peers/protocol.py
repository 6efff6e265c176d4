"""How the numbers are taken: the peers in turn, one at work at a time.

1. Build: each peer trains and adds by itself, in a fresh process; time, peak memory, objective.
2. Fill: each peer takes the reference's centroids and all vectors; bytes a vector.
3. Search: for each batch size the results are compared with the reference's, then rounds of all
   peers in turn are timed on the same queries.
   On a GPU the index is resident by then; its way there, and that of queries and results where a peer can tell it
   from the search, are taken apart.
4. Filter, where asked for: the same again for each share of the vectors that may be returned.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from datetime import datetime, timezone

import numpy as np

import quality
from peers import OURS, REFERENCE, Setting
from worker import Bench, PeerError, Worker

__all__ = ["PeerError", "run"]

#: A peer that has spent this long on training and adding, or on a batch size, gets no further round
#: of it, so that a slow one cannot hold up the whole.
ENOUGH_SECONDS = 20.0
#: Queries whose results are compared at each batch size (at least one whole batch), and the time for it.
COMPARED, COMPARED_SECONDS = 1024, 5.0


def run(data, options) -> dict:
    """The report's measured part, ready for JSON."""
    base, queries = data.base(), data.queries()
    setting = Setting(
        dim=base.shape[1],
        nlist=options.nlist or data.nlist,
        nprobe=options.nprobe or data.nprobe,
        k=options.k or data.k,
        metric=options.metric,
        threads=options.threads,
        kernel=options.kernel,
        device=options.device,
        storage=options.storage,
    )
    _say(f"{data.name}: {len(base)} x {setting.dim}, exact neighbours of {len(queries)} queries")
    truth_ids, truth_costs = data.truth(setting.metric, setting.k)

    def start(name: str) -> Worker:
        return Worker(
            name, setting.threads, Bench, name, setting, data.base_path, data.queries_path, data.train_points
        )

    centroids, builds = _build(start, options, base, setting.metric)
    with ExitStack() as stack:
        workers = {name: stack.enter_context(start(name)) for name in options.peers}
        peers = {}
        for name, worker in workers.items():
            _say(f"filling {name}")
            peers[name] = {"version": worker.version(), "build": builds[name]}
            filled = worker.fill(centroids)
            if setting.device != "cpu":
                peers[name]["upload_seconds"] = worker.upload()
            peers[name]["bytes_a_vector"] = {
                kind: None if size is None else size / len(base) for kind, size in filled.items()
            }
        all_queries = (len(queries), len(queries), COMPARED_SECONDS)
        reference = workers[REFERENCE].found(*all_queries)
        reference_costs = quality.costs(base, queries, reference, setting.metric)
        for name, worker in workers.items():
            found = reference if name == REFERENCE else worker.found(*all_queries)
            found_costs = quality.costs(base, queries, found, setting.metric)
            peers[name]["recall"] = {
                str(at): quality.recall(found, found_costs, truth_costs, at)
                for at in sorted({1, 10, 100, setting.k}) if at <= setting.k
            }
            peers[name]["agreement"] = _agreement(found, found_costs, reference, reference_costs)
        searched = _search(workers, options, base, queries, setting.metric, (reference, reference_costs))
        for name, by_batch in searched.items():
            peers[name]["search"] = by_batch
        for selectivity in options.filter:
            _say(f"filter {selectivity:g}")
            passing = [worker.restrict(selectivity) for worker in workers.values()][0]
            reference = workers[REFERENCE].found(*all_queries)
            reference_costs = quality.costs(base, queries[: len(reference)], reference, setting.metric)
            searched = _search(workers, options, base, queries, setting.metric, (reference, reference_costs))
            for name, by_batch in searched.items():
                filtered = peers[name].setdefault("filtered", {})
                filtered[f"{selectivity:g}"] = {"passing": passing, "search": by_batch}
    return {
        "taken": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "data": {
            "name": data.name, "source": data.source, "vectors": len(base), "dim": setting.dim,
            "queries": len(queries), "train_points": data.train_points or len(base),
        },
        "parameters": {
            "metric": setting.metric, "nlist": setting.nlist, "nprobe": setting.nprobe, "k": setting.k,
            "threads": setting.threads, "kernel": setting.kernel, "rounds": options.rounds,
            "device": setting.device, "seconds": options.seconds, "quick": options.quick, "storage": setting.storage,
        },
        "peers": peers,
        "ratios": _ratios(peers),
    }


def _search(workers, options, base, queries, metric, reference) -> dict:
    """By peer and batch: the mode chosen, the agreement with the reference's results, the times."""
    reference, reference_costs = reference
    peers = {name: {} for name in workers}
    for batch in options.batch:
        _say(f"batch {batch}")
        count = min(len(reference), max(COMPARED, batch))
        for name, worker in workers.items():
            mode = worker.choose_mode(batch)
            found = worker.found(batch, count, COMPARED_SECONDS)
            found_costs = quality.costs(base, queries[: len(found)], found, metric)
            peers[name][str(batch)] = {
                "mode": mode,
                "agreement": _agreement(
                    found, found_costs, reference[: len(found)], reference_costs[: len(found)]
                ),
            }
            if options.device != "cpu":
                peers[name][str(batch)]["transfer_ms"] = worker.transfer(batch)
        for name, timed in _time(workers, batch, options).items():
            peers[name][str(batch)].update(timed)
    return peers


def _build(start, options, base, metric) -> tuple[np.ndarray, dict]:
    """The reference's centroids, and each peer's own training: seconds, objective, peak memory."""
    rounds = {name: [] for name in options.peers}
    with ExitStack() as stack:
        workers = {name: stack.enter_context(start(name)) for name in options.peers}
        for number in range(options.rounds):
            for name, worker in workers.items():
                if sum(one["train"] + one["add"] for one in rounds[name]) < ENOUGH_SECONDS:
                    _say(f"training {name}, round {number + 1}")
                    rounds[name].append(worker.build())
    builds = {}
    for name, taken in rounds.items():
        builds[name] = {
            "train_seconds": _spread([one["train"] for one in taken]),
            "add_seconds": _spread([one["add"] for one in taken]),
            "total_seconds": _spread([one["train"] + one["add"] for one in taken]),
            "objective": quality.objective(base, taken[0]["centroids"], metric),
            # Only the first build meets a process that has never held an index.
            "peak_bytes": taken[0]["peak"],
        }
    return np.ascontiguousarray(rounds[REFERENCE][0]["centroids"]), builds


def _time(workers, batch: int, options) -> dict:
    """Rounds in turn. Each round starts at other queries, the same ones for every peer."""
    latencies = {name: [] for name in workers}
    for number in range(options.rounds):
        for name, worker in workers.items():
            if sum(one.sum() for one in latencies[name]) < ENOUGH_SECONDS * 1e3:
                latencies[name].append(worker.measure(batch, options.seconds, number / options.rounds))
    result = {}
    for name, rounds in latencies.items():
        calls = np.concatenate(rounds)
        result[name] = {
            "qps": _spread([batch * len(one) / one.sum() * 1e3 for one in rounds]),
            "latency_ms": {
                "p50": float(np.percentile(calls, 50)), "p99": float(np.percentile(calls, 99)),
                "calls": len(calls),
            },
        }
    return result


def _agreement(found, found_costs, reference, reference_costs) -> dict:
    ids, tied = quality.agreement(found, found_costs, reference, reference_costs)
    return {"ids": ids, "with_ties": tied}


def _spread(values: list[float]) -> dict:
    return {
        "median": float(np.median(values)), "min": float(min(values)), "max": float(max(values)),
        "rounds": len(values),
    }


def _ratios(peers: dict) -> dict:
    """How many times faster ours is than each peer: medians of searches by batch, of train + add."""
    if OURS not in peers:
        return {}
    ours = peers[OURS]
    return {
        name: {
            "search": {
                batch: mine["qps"]["median"] / peer["search"][batch]["qps"]["median"]
                for batch, mine in ours["search"].items()
            },
            "build": peer["build"]["total_seconds"]["median"] / ours["build"]["total_seconds"]["median"],
        }
        for name, peer in peers.items() if name != OURS
    }


def _say(text: str) -> None:
    print(f"[bench] {text}", file=sys.stderr, flush=True)
