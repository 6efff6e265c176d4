#!/usr/bin/env python3
"""The approximate profiles beside the exact search, and beside fewer lists: speed in batches, what they look at and find.

    benches/peers/budgets.py [--data gaussian,glove] [--metric l2]

Prints Markdown. Settings are timed in turn, medians of the rounds; each call takes the next queries.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

import environment

BATCH = 2048
ROUNDS = 7
ROUND_SECONDS = 0.2
#: Vectors added at a time; 0 = all. One by one only some are.
BATCHES = {"one by one, 2000 of them": 1, "10,000 at a time": 10_000, "at once": 0}
ONE_BY_ONE = 2000
PROFILES = {"approx_fast": 0.25, "approx_balanced": 0.5, "approx_quality": 0.75}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="gaussian,glove")
    parser.add_argument("--metric", default="l2", choices=("l2", "ip", "cosine"))
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    for data in options.data.split(","):
        environment.install(environment.DATA_REQUIREMENTS.get(data, []))
    os.environ["IVF_LIBRARY"] = str(environment.build_library())
    if not environment.is_inside():
        return environment.run_inside(Path(__file__).resolve(), arguments)
    for data in options.data.split(","):
        measure(data, options)
    return 0


def measure(name: str, options: argparse.Namespace) -> None:
    import datasets
    import quality
    from contestants.libivf import PACKAGE

    sys.path.insert(0, str(PACKAGE))
    import ivf

    data = datasets.load(name)
    # Of unit vectors cosines are inner products.
    data = datasets.normalised(data) if options.metric == "cosine" else data
    compared = "l2" if options.metric == "l2" else "ip"
    x, queries, k = data.base(), data.queries(), data.k
    truth = data.truth(compared, k)[1]
    context = ivf.Context(threads=options.threads, device="cpu")
    description = f"IVF{data.nlist},Flat"
    trained = ivf.Index(x.shape[1], description, options.metric, context=context)
    trained.train(x[: data.train_points or len(x)])

    def empty(order):
        index = ivf.Index(x.shape[1], description, options.metric, list_order=order, context=context)
        index.set_centroids(trained.centroids)
        return index

    times = {name: [] for name in BATCHES}
    for name, batch in BATCHES.items():
        for _ in range(3):
            added, ordered = empty("added"), empty("best_first")
            times[name].append([timed_add(index, x, batch) for index in (added, ordered)])
    settings = {"exact": (added, {"nprobe": data.nprobe}), "exact, best first": (ordered, {"nprobe": data.nprobe})}
    for profile, share in PROFILES.items():
        few = round(share * data.nprobe)
        settings[f"nprobe {few}"] = (added, {"nprobe": few})
        settings[profile] = (added, {"nprobe": data.nprobe, "profile": profile})
        settings[f"{profile}, best first"] = (ordered, {"nprobe": data.nprobe, "profile": profile})

    def found(index, setting):
        stats = ivf.SearchStats()
        result = index.search(queries, k, stats=stats, **setting)
        return result.ids, stats.codes

    exact, codes = found(*settings["exact"])
    rates = {name: [] for name in settings}
    for _ in range(ROUNDS):
        for name, (index, setting) in settings.items():
            rates[name].append(rate(lambda batch: index.search(batch, k, **setting), queries))
    print(f"{data.name} {len(x)} x {x.shape[1]}, {options.metric}, {data.nlist} lists, nprobe {data.nprobe}, k {k}, "
          f"batch {BATCH}, {options.threads} threads\n")
    print(f"| search | QPS | of exact | vectors | of exact's results | recall@{k} |\n|---|---|---|---|---|---|")
    for name, setting in settings.items():
        ids, seen = found(*setting)
        same = sum(len(set(a) & set(b)) for a, b in zip(ids.tolist(), exact.tolist())) / exact.size
        recall = quality.recall(ids, quality.costs(x, queries, ids, compared), truth, k)
        ratio = statistics.median(own / first for own, first in zip(rates[name], rates["exact"]))
        print(f"| {name} | {statistics.median(rates[name]):,.0f} | {ratio:.2f}x | {seen / codes:.2f} | {same:.3f} | {recall:.3f} |",
              flush=True)
    print("\n| added | s | best first, s | |\n|---|---|---|---|")
    for name, pairs in times.items():
        first, second = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
        ratio = statistics.median(pair[1] / pair[0] for pair in pairs)
        print(f"| {name} | {first:.3f} | {second:.3f} | {ratio:.2f}x |")
    print()


def timed_add(index, x, batch: int) -> float:
    """Seconds that adding takes, of all vectors, or of the last ones vector by vector."""
    if batch == 1:
        index.add(x[:-ONE_BY_ONE])
        x = x[-ONE_BY_ONE:]
    start = time.perf_counter()
    for first in range(0, len(x), batch or len(x)):
        index.add(x[first : first + batch] if batch else x)
    return time.perf_counter() - start


def rate(search, queries) -> float:
    """Queries a second, in a round."""
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < ROUND_SECONDS:
        first = done % (len(queries) // BATCH * BATCH)
        search(queries[first : first + BATCH])
        done += BATCH
    return done / (time.perf_counter() - start)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
