"""k-means of weighted points, and from centroids that are given, as faiss's Clustering goes.

The library's own k-means has neither; here it assigns points to centroids, and the means are NumPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import Rows
from .._errors import ArgumentError, TooFewPointsError
from ..functions import knn

# By how much the two halves of a split centroid differ, as in faiss.
APART = 1 / 1024

Weights = npt.NDArray[np.float64]


class Lloyd:
    """Runs of Lloyd's algorithm over the same points `x` `[n, d]`, each with its weight."""

    def __init__(
        self, x: Rows, k: int, weights: npt.ArrayLike | None, start: Rows | None, *, most: int, seed: int, threads: int
    ):
        known = np.ones(len(x)) if weights is None else np.asarray(weights, np.float64)
        if known.shape != (len(x),) or not (np.isfinite(known) & (known >= 0)).all():
            raise ArgumentError(f"weights: expected {len(x)} numbers of 0 or more, got shape {list(known.shape)}")
        if len(x) < k:
            raise TooFewPointsError(f"training points: expected {k} or more, got {len(x)}")
        self.random = np.random.default_rng(seed)
        if len(x) > k * most:
            drawn = self.random.choice(len(x), k * most, replace=False)
            x, known = x[drawn], known[drawn]
        self.x, self.weights, self.k, self.start, self.threads = x, known, k, start, threads

    def run(
        self, iterations: int, spherical: bool, note: Callable[[float], Any]
    ) -> tuple[Rows, list[float]]:
        """Centroids, and the objective (the plain sum of distances, as in faiss) before each step."""
        centroids = np.empty((0, self.x.shape[1]), np.float32) if self.start is None else self.start
        if len(centroids) < self.k:
            drawn = self.random.choice(len(self.x), self.k - len(centroids), replace=False)
            centroids = np.concatenate([centroids, self.x[drawn]])
        centroids = directions(centroids) if spherical else centroids
        objectives = []
        for _ in range(iterations):
            D, I = knn(self.x, centroids, 1, "ip" if spherical else "l2", threads=self.threads)
            objectives.append(float(D.sum(dtype=np.float64)))
            note(objectives[-1] / len(self.x))
            centroids = self.means(I.ravel(), centroids)
            centroids = directions(centroids) if spherical else centroids
        return centroids, objectives

    def means(self, labels: npt.NDArray[np.int64], before: Rows) -> Rows:
        """The weighted means; a cluster without weight takes half of a heavy one."""
        total = np.bincount(labels, self.weights, self.k)
        order = np.argsort(labels, kind="stable")
        used, starts = np.unique(labels[order], return_index=True)
        sums = np.add.reduceat(self.x[order] * self.weights[order, None], starts)
        centroids = before.astype(np.float64)
        heavy = total[used] > 0
        centroids[used[heavy]] = sums[heavy] / total[used[heavy], None]
        for empty in np.flatnonzero(total == 0):
            full = int(total.argmax())
            push = np.where(np.arange(centroids.shape[1]) % 2 == 0, APART, -APART)
            centroids[empty], centroids[full] = centroids[full] * (1 + push), centroids[full] * (1 - push)
            total[empty] = total[full] = total[full] / 2
        return centroids.astype(np.float32)


def directions(x: Rows) -> Rows:
    """Rows of length 1."""
    length = np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    return (x / np.where(length == 0, 1, length)).astype(np.float32)
