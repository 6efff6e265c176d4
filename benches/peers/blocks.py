#!/usr/bin/env python3
"""What summaries of blocks could spare a search: of each block of 32 vectors of a list the mean, and neighbours in one block.

    benches/peers/blocks.py [--data glove,sentences,mnist]

A prototype in NumPy; prints Markdown: vectors met at recall@k .90, .95 and .99, those of summaries included, as shares of
what one nprobe for all queries meets. "Lists" is the library's rule (probe_scale), "blocks" the same rule for the blocks
of so many times the lists that are needed. Lists are halved where they lie widest until a block is left.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import environment

RECALLS = (0.90, 0.95, 0.99)
BLOCK = 32
SCALE = 0.6  #: of gaps between blocks
LISTS = (1.0, 1.25, 1.5, 2.0)  #: times those that one nprobe for all needs
QUERIES = 1000
RUNS = [("glove", "cosine"), ("sentences", "cosine"), ("mnist", "l2")]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="glove,sentences,mnist")
    options = parser.parse_args(arguments)
    chosen = options.data.split(",")
    for data in chosen:
        environment.install(environment.DATA_REQUIREMENTS.get(data, []))
    os.environ["IVF_LIBRARY"] = str(environment.build_library())
    if not environment.is_inside():
        return environment.run_inside(Path(__file__).resolve(), arguments)
    print("| vectors met, of those that one nprobe for all meets | lists | "
          + " | ".join(f"blocks of {times} times the lists" for times in LISTS) + " |\n|---" + "|---" * (1 + len(LISTS)) + "|")
    for name, metric in (run for run in RUNS if run[0] in chosen):
        shares = Run(name, metric).shares()
        row = (", ".join("-" if share is None else f"{share:.2f}" for share in each) for each in shares)
        print(f"| {name}, {metric} | " + " | ".join(row) + " |", flush=True)
    return 0


class Run:
    """One data set by one metric."""

    def __init__(self, name: str, metric: str) -> None:
        import datasets
        import numpy as np
        from contestants.libivf import PACKAGE

        sys.path.insert(0, str(PACKAGE))
        import ivf

        data = datasets.load(name)
        data = datasets.normalised(data) if metric == "cosine" else data
        self.x, queries = data.base(), data.queries()[:QUERIES]
        self.truth = data.truth("l2" if metric == "l2" else "ip", data.k)[0][:QUERIES]
        index = ivf.Index(self.x.shape[1], f"IVF{data.nlist},Flat", "l2", context=ivf.Context(device="cpu"))
        index.train(self.x)
        # Unit vectors: squared distances order as cosines do.
        labels = ivf.knn(self.x, index.centroids, 1).ids[:, 0]
        self.gaps, self.lists = ivf.knn(queries, index.centroids, data.nlist)
        by_list = np.split(np.argsort(labels, kind="stable"), np.cumsum(np.bincount(labels, minlength=data.nlist))[:-1])
        blocks = [self._halved(rows) for rows in by_list]
        self.first = np.cumsum([0] + [len(each) for each in blocks])
        rows = [block for each in blocks for block in each]
        self.size = np.array([len(block) for block in rows])
        means = np.stack([self.x[block].mean(axis=0) for block in rows])
        lengths = (queries**2).sum(axis=1)[:, None] + (means**2).sum(axis=1)
        self.far = np.maximum(lengths - 2 * queries @ means.T, 1e-9)
        of_row = np.empty(len(self.x), int)
        of_row[np.concatenate(rows)] = np.repeat(np.arange(len(rows)), self.size)
        self.sought = np.zeros(self.far.shape, np.int32)
        np.add.at(self.sought, (np.arange(len(queries))[:, None], of_row[self.truth]), 1)

    def _halved(self, rows):
        import numpy as np

        if len(rows) <= BLOCK:
            return [rows] if len(rows) else []
        x = self.x[rows] - self.x[rows].mean(axis=0)
        direction = x[0]
        for _ in range(6):
            direction = x.T @ (x @ direction)
            direction /= np.linalg.norm(direction) + 1e-12
        middle = -(-len(rows) // BLOCK) // 2 * BLOCK
        order = np.argpartition(x @ direction, middle)
        return self._halved(rows[order[:middle]]) + self._halved(rows[order[middle:]])

    def _blocks(self, query, count):
        """The blocks of a query's nearest lists, and the rank of each one's list."""
        import numpy as np

        lists = self.lists[query][:count]
        numbers = [np.arange(self.first[each], self.first[each + 1]) for each in lists]
        return np.concatenate(numbers), np.repeat(np.arange(count), [len(each) for each in numbers])

    def shares(self):
        import numpy as np

        def at(found, met, recalls):
            """Vectors met on average at these recalls, by blocks in the order in which all queries take them."""
            reached = np.cumsum(found) / self.truth.size
            places = np.searchsorted(reached, recalls)
            return [np.cumsum(met)[place] / len(self.truth) if place < len(met) else None for place in places]

        def taken(nlist, statistic):
            parts = [statistic(query, *self._blocks(query, nlist)) for query in range(len(self.truth))]
            number, query, value = (np.concatenate(each) for each in zip(*parts))
            order = np.argsort(value, kind="stable")
            return self.sought[query[order], number[order]], self.size[number[order]]

        def by_rank(query, number, rank):
            return number, np.full(len(number), query), rank

        def by_list(query, number, rank):
            near = self.gaps[query][rank] / self.gaps[query][0] - 1
            return number, np.full(len(number), query), np.log(rank + 1) + near / 0.4

        def by_block(query, number, _):
            far = self.far[query][number]
            rank = np.empty(len(far))
            rank[np.argsort(far, kind="stable")] = np.arange(1, len(far) + 1)
            return number, np.full(len(number), query), np.log(rank) + (far / far.min() - 1) / SCALE

        everything = self.lists.shape[1] // 2
        fixed = at(*taken(everything, by_rank), RECALLS)
        nprobes = [next(n for n in range(1, everything + 1) if self._recall(n) >= recall) for recall in RECALLS]
        yield [met / base for met, base in zip(at(*taken(everything, by_list), RECALLS), fixed)]
        for times in LISTS:
            shares = []
            for recall, nprobe, base in zip(RECALLS, nprobes, fixed):
                count = min(round(times * nprobe), everything)
                met = at(*taken(count, by_block), [recall])[0]
                summaries = np.mean([len(self._blocks(query, count)[0]) for query in range(len(self.truth))])
                shares.append(None if met is None else (met + summaries) / base)
            yield shares

    def _recall(self, nprobe):
        return sum(self.sought[query][self._blocks(query, nprobe)[0]].sum() for query in range(len(self.truth))) / self.truth.size


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
