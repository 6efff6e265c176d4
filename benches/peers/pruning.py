#!/usr/bin/env python3
"""What the triangle inequality could spare an exact search: vectors x of the lists visited that are farther than the
k-th best d for certain, because | |q - c| - |x - c| | > d by their distances from the list's centroid c.

    benches/peers/pruning.py [--data gaussian,glove,mnist] [--queries 1000]

Prints Markdown. The most that there is: d is taken as known from the start, where a search only closes in on it. With
lists ordered by |x - c|, whole blocks of 32 vectors are spared where the bound holds for all of them.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import environment

BLOCK = 32


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="gaussian,glove,mnist")
    parser.add_argument("--queries", type=int, default=1000)
    options = parser.parse_args(arguments)
    for data in options.data.split(","):
        environment.install(environment.DATA_REQUIREMENTS.get(data, []))
    os.environ["IVF_LIBRARY"] = str(environment.build_library())
    if not environment.is_inside():
        return environment.run_inside(Path(__file__).resolve(), arguments)
    measure(options)
    return 0


def measure(options: argparse.Namespace) -> None:
    import datasets
    import numpy as np
    from contestants.libivf import PACKAGE

    sys.path.insert(0, str(PACKAGE))
    import ivf

    print("| data | lists | blocks of 32 | vectors |\n|---|---|---|---|")
    for name in options.data.split(","):
        data = datasets.load(name)
        x, queries = data.base(), data.queries()[: options.queries]
        index = ivf.Index(x.shape[1], f"IVF{data.nlist},Flat")
        index.train(x[: data.train_points or len(x)])
        index.add(x)
        centroids = index.centroids
        far, lists = ivf.knn(x, centroids, 1)
        residual, lists = np.sqrt(far[:, 0]), lists[:, 0]
        # Of each list the residual norms, ascending, as an ordered list has them.
        order = np.lexsort((residual, lists))
        norms = np.split(residual[order], np.searchsorted(lists[order], np.arange(1, data.nlist)))
        near, probes = ivf.knn(queries, centroids, data.nprobe)
        kth = np.sqrt(index.search(queries, data.k, data.nprobe).distances[:, -1])
        spared, seen = np.zeros(3), np.zeros(3)
        for query in range(len(queries)):
            for to_centroid, number in zip(np.sqrt(near[query]), probes[query]):
                r, low, high = norms[number], to_centroid - kth[query], to_centroid + kth[query]
                if len(r):
                    starts = np.arange(0, len(r), BLOCK)
                    ends = np.minimum(starts + BLOCK, len(r)) - 1
                    blocks = (r[starts] > high) | (r[ends] < low)
                    spared += (r[0] > high or r[-1] < low), blocks.sum(), ((r > high) | (r < low)).sum()
                    seen += 1, len(starts), len(r)
        shares = " | ".join(f"{share:.2%}" for share in spared / seen)
        print(f"| {data.name} | {shares} |", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
