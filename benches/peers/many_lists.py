#!/usr/bin/env python3
"""Many lists: training by levels, and lists looked up by groups (IVFn_HNSWm), beside the plain way and faiss.

    benches/peers/many_lists.py [--data glove] [--nlist 16384]

Prints Markdown. All indexes but those trained take the same centroids. Searches: all queries as one batch on the
threads, then one query at a time on one.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import environment

PROBES = (1, 16, 64, 256)
SINGLES = 500


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="glove")
    parser.add_argument("--nlist", type=int, default=16384)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)
    environment.install([["faiss-cpu==1.15.1"], *environment.DATA_REQUIREMENTS.get(options.data, [])])
    os.environ["IVF_LIBRARY"] = str(environment.build_library())
    if not environment.is_inside():
        return environment.run_inside(Path(__file__).resolve(), arguments)
    measure(options)
    return 0


def measure(options: argparse.Namespace) -> None:
    # faiss reads the number of threads when it is loaded.
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    import datasets
    import faiss
    import machine
    import quality
    from contestants.libivf import PACKAGE

    sys.path.insert(0, str(PACKAGE))
    import ivf

    data = datasets.load(options.data)
    x, queries = data.base(), data.queries()
    truth = data.truth("l2", 10)[1]
    context = ivf.Context(threads=options.threads, device="cpu")
    dim, nlist = x.shape[1], options.nlist

    def ours(kind: str) -> ivf.Index:
        return ivf.Index(dim, f"IVF{nlist}{kind},Flat", context=context)

    print(f"{data.name} {len(x)} x {dim}, L2, {nlist} lists, {options.threads} threads; {machine.describe()['cpu']}\n")
    print("| training | seconds | objective |\n|---|---|---|")
    trained = None
    for seeding in ("default", "hierarchical"):
        index = ours("")
        seconds = timed(lambda: index.train(x, seeding=seeding))
        print(f"| {seeding} | {seconds:.2f} | {quality.objective(x, index.centroids, 'l2'):.4g} |", flush=True)
        trained = index.centroids if trained is None else trained

    # Filled quantizers count as trained; the indexes only point at them.
    flat, graph = faiss.IndexFlatL2(dim), faiss.IndexHNSWFlat(dim, 32)
    indexes = {f"libivf IVF{nlist}": ours(""), f"libivf IVF{nlist}_HNSW32": ours("_HNSW32")}
    for name, quantizer in ((f"faiss IVF{nlist}", flat), (f"faiss IVF{nlist}_HNSW32", graph)):
        quantizer.add(trained)
        indexes[name] = faiss.IndexIVFFlat(quantizer, dim, nlist)
    columns = "".join(f" {probes}: recall@10, batch QPS, single ms |" for probes in PROBES)
    print(f"\n| same centroids | add s |{columns}\n|---|---|{'---|' * len(PROBES)}")
    for name, index in indexes.items():
        if isinstance(index, ivf.Index):
            index.set_centroids(trained)
        row = f"| {name} | {timed(lambda: index.add(x)):.2f} |"
        for probes in PROBES:

            def search(q, threads):
                if isinstance(index, ivf.Index):
                    return index.search(q, 10, probes, threads=threads).ids
                faiss.omp_set_num_threads(threads)
                return index.search(q, 10, params=faiss.SearchParametersIVF(nprobe=probes))[1]

            search(queries[:256], options.threads)
            found = search(queries, options.threads)
            batch = sorted(timed(lambda: search(queries, options.threads)) for _ in range(3))[1]
            single = sorted(timed(lambda: search(queries[i : i + 1], 1)) for i in range(SINGLES))[SINGLES // 2]
            recall = quality.recall(found, quality.costs(x, queries, found, "l2"), truth, 10)
            row += f" {recall:.4f}, {len(queries) / batch:,.0f}, {single * 1e3:.3f} |"
        print(row, flush=True)


def timed(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
