#!/usr/bin/env python3
"""What balanced lists, and every vector in two lists (SOAR), would spare a search: a prototype in NumPy.

    benches/peers/better_lists.py [--data glove,sentences,mnist,gaussian]

Prints Markdown: the vectors that a query meets at recall@k .90, .95 and .99, as shares of what it meets in the lists of
plain k-means; a vector met twice counts twice. First with one nprobe for all queries, then with as many lists as a query
needs (adaptive.py). Balanced: centroids that many points belong to seem farther while k-means runs (distance times
(size / mean) ** 0.1 or 0.2); or the largest lists are split in two and the smallest give up their centroids. Vectors are
added to their nearest list in both. SOAR (Sun et al., NeurIPS 2023): a second list for each vector, near and with a
residual that is no continuation of the first one's. GloVe and the sentences by cosine, the others by L2.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import environment

RECALLS = (0.90, 0.95, 0.99)
COSINE = {"glove", "sentences"}
QUERIES = 2500
SCALE, REACH = 0.25, 4  #: as src/index/measure.rs and src/coarse/adapt.rs have them
ROWS = 2000  #: compared with the centroids at a time


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="glove,sentences,mnist,gaussian")
    options = parser.parse_args(arguments)
    for data in options.data.split(","):
        environment.install(environment.DATA_REQUIREMENTS.get(data, []))
    os.environ["IVF_LIBRARY"] = str(environment.build_library())
    if not environment.is_inside():
        return environment.run_inside(Path(__file__).resolve(), arguments)
    print("| data | lists | one nprobe for all | as many as needed | spread of sizes |\n|---|---|---|---|---|")
    for data in options.data.split(","):
        Prototype(data).compare()
    return 0


class Prototype:
    """One data set, and what its lists are made from."""

    def __init__(self, name: str) -> None:
        import datasets
        import numpy as np
        from contestants.libivf import PACKAGE

        sys.path.insert(0, str(PACKAGE))
        self.name, self.cosine = name, name in COSINE
        data = datasets.load(name)
        data = datasets.normalised(data) if self.cosine else data
        self.x, self.queries, self.nlist = data.base(), data.queries()[:QUERIES], data.nlist
        self.truth = data.truth("ip" if self.cosine else "l2", data.k)[0][:QUERIES]
        self.given = self.x[: data.train_points or len(self.x)]
        sample = np.random.default_rng(0).permutation(len(self.given))[: 256 * self.nlist]
        self.sample = self.given[np.sort(sample)]

    def compare(self) -> None:
        plain, twice = self.trained(self.nlist), self.trained(2 * self.nlist)
        self.show("k-means", plain)
        self.show("12 more iterations", self.settled(plain, 12))
        for power in (0.1, 0.2):
            self.show(f"balanced by distance, power {power}", self.penalised(plain, power))
        self.show("split and merged", self.split(plain))
        self.show("SOAR", plain, soar=True)
        self.show("twice as many", twice)
        self.show("twice as many, SOAR", twice, soar=True)

    def trained(self, nlist: int):
        import ivf

        index = ivf.Index(self.x.shape[1], f"IVF{nlist},Flat", "cosine" if self.cosine else "l2")
        index.train(self.given)
        return index.centroids

    def show(self, name: str, centroids, soar: bool = False) -> None:
        import ivf
        import numpy as np

        nlist = len(centroids)
        first = assign(self.x, centroids)
        labels = [first, second(self.x, centroids, first)] if soar else [first]
        sizes = sum(np.bincount(each, minlength=nlist) for each in labels)
        gaps, lists = ivf.knn(self.queries, centroids, nlist)
        met = np.cumsum(sizes[lists], axis=1)
        rank = np.argsort(lists, axis=1)
        needed = np.min([np.take_along_axis(rank, each[self.truth], axis=1) for each in labels], axis=0)
        far = (gaps - gaps[:, :1]) / np.maximum(gaps[:, :1], 1e-9)
        reached = np.log(np.arange(1, nlist + 1)) + far / (SCALE * np.median(far[:, nlist // 2]))
        probes = np.unique(np.geomspace(1, nlist, 90).astype(int))

        def at_recalls(counts):
            points = [((needed < n[:, None]).mean(), np.take_along_axis(met, n[:, None] - 1, axis=1).mean())
                      for n in counts]
            found, cost = np.array(sorted(points)).T
            return np.array([np.interp(r, found, cost) if found[-1] >= r else np.nan for r in RECALLS])

        fixed = at_recalls(np.full(len(met), n) for n in probes)
        adaptive = at_recalls(np.minimum((reached <= np.log(REACH * n)).sum(axis=1), n) for n in probes)
        if name == "k-means":
            self.base = fixed
            print(f"| {self.name} | its vectors | " + ", ".join(f"{each:,.0f}" for each in fixed) + " | | |")

        def row(costs):
            return ", ".join("-" if np.isnan(cost) else f"{cost:.2f}" for cost in costs / self.base)

        print(f"| {self.name} | {name} | {row(fixed)} | {row(adaptive)} | {sizes.std() / sizes.mean():.2f} |", flush=True)

    def settled(self, centroids, iterations: int):
        for _ in range(iterations):
            centroids = self.means(centroids, self.sample, assign(self.sample, centroids))
        return centroids

    def means(self, centroids, x, labels):
        import numpy as np

        counts = np.bincount(labels, minlength=len(centroids))[:, None]
        sums = np.zeros_like(centroids)
        order = np.argsort(labels, kind="stable")
        here = np.unique(labels)
        sums[here] = np.add.reduceat(x[order], np.searchsorted(labels[order], here), axis=0)
        made = np.where(counts > 0, sums / np.maximum(counts, 1), centroids)
        if self.cosine:
            made /= np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12)
        return made.astype(np.float32)

    def penalised(self, centroids, power: float):
        import numpy as np

        mean = len(self.sample) / len(centroids)

        def weights(labels):
            return np.maximum(np.bincount(labels, minlength=len(centroids)), 1) / mean

        weight = weights(assign(self.sample, centroids))
        for _ in range(8):
            labels = assign(self.sample, centroids, (weight**power).astype(np.float32))
            centroids = self.means(centroids, self.sample, labels)
            # The mean of the old and the new: sizes would swing.
            weight = np.sqrt(weight * weights(labels))
        return centroids

    def split(self, centroids):
        import numpy as np

        centroids = centroids.copy()
        for _ in range(3):
            labels = assign(self.sample, centroids)
            sizes = np.bincount(labels, minlength=len(centroids)) / (len(self.sample) / len(centroids))
            order = np.argsort(sizes)
            small = [i for i in order if sizes[i] < 0.6]
            for large, gone in zip([i for i in order[::-1] if sizes[i] > 1.8], small):
                points = self.sample[labels == large]
                pair = points[np.random.default_rng(large).choice(len(points), 2, replace=False)]
                for _ in range(6):
                    pair = self.means(pair, points, assign(points, pair))
                centroids[large], centroids[gone] = pair
            centroids = self.settled(centroids, 2)
        return centroids


def distances(x, centroids):
    return (x * x).sum(axis=1)[:, None] - 2 * x @ centroids.T + (centroids * centroids).sum(axis=1)


def assign(x, centroids, weight=1):
    """The nearest centroid of each row, by distances times the centroids' weights."""
    import numpy as np

    parts = [x[i : i + ROWS] for i in range(0, len(x), ROWS)]
    return np.concatenate([(distances(part, centroids) * weight).argmin(axis=1) for part in parts])


def second(x, centroids, first):
    """SOAR's second list of each row, with lambda = 1."""
    import numpy as np

    lists = []
    for i in range(0, len(x), ROWS):
        rows, own = x[i : i + ROWS], first[i : i + ROWS]
        residual = rows - centroids[own]
        along = (residual * rows).sum(axis=1)[:, None] - residual @ centroids.T
        loss = distances(rows, centroids) + along * along / np.maximum((residual * residual).sum(axis=1), 1e-12)[:, None]
        loss[np.arange(len(rows)), own] = np.inf
        lists.append(loss.argmin(axis=1))
    return np.concatenate(lists)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
