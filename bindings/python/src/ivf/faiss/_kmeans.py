"""faiss's Kmeans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .._arrays import Ids, Rows, rows
from .._errors import ArgumentError, DimensionError
from .._progress import reporter
from ..functions import kmeans
from ._lloyd import Lloyd
from ._settings import threads

if TYPE_CHECKING:
    from ._indexes import IndexFlat


class ClusteringParameters:
    """Parameters of k-means. One that does not exist here cannot be set."""

    __slots__ = ("max_points_per_centroid", "niter", "nredo", "seed", "spherical", "verbose")

    def __init__(
        self,
        niter: int = 25,
        nredo: int = 1,
        verbose: bool = False,
        spherical: bool = False,
        max_points_per_centroid: int = 256,
        seed: int = 1234,
    ):
        self.niter = niter
        self.nredo = nredo
        self.verbose = verbose
        self.spherical = spherical
        self.max_points_per_centroid = max_points_per_centroid
        self.seed = seed

    def train_options(self) -> dict[str, Any]:
        """As ivf.Index.train and ivf.kmeans name them."""
        return {
            "iterations": self.niter,
            "restarts": self.nredo,
            "max_points_per_centroid": self.max_points_per_centroid,
            "seed": self.seed,
        }


class Kmeans:
    """`Kmeans(d, k, niter=20).train(x)`, then centroids `[k, d]`, obj, index and assign(x)."""

    def __init__(self, d: int, k: int, **parameters: Any):
        if parameters.pop("gpu", False):
            raise NotImplementedError("Kmeans: gpu is not supported, this module computes on the CPU")
        self.d, self.k = d, k
        self.cp = ClusteringParameters(**parameters)
        self.centroids: Rows | None = None
        self.obj: npt.NDArray[np.float64] | None = None
        """The objective after each iteration: the sum of squared distances (spherical: of similarities)."""
        self.index: IndexFlat | None = None

    def train(
        self,
        x: npt.ArrayLike,
        weights: npt.ArrayLike | None = None,
        init_centroids: npt.ArrayLike | None = None,
    ) -> float:
        """Finds the centroids of `x` `[n, d]` and returns the last objective.

        weights: `[n]`, what a point counts for in the means. init_centroids: `[m, d]`, m at most k, where to begin; the
        others are drawn. With either it takes longer: the means are NumPy's.
        """
        x = rows("x", x, self.d)
        if weights is not None or init_centroids is not None:
            return self._lloyd(x, weights, init_centroids)
        runs: dict[int, list[float]] = {}
        shown = reporter(True) if self.cp.verbose else None

        def note(stage: str, done: int, total: int, value: float) -> None:
            # The iterations of all runs are counted on.
            runs.setdefault(max(done - 1, 0) // self.cp.niter, []).append(value)
            if shown is not None:
                shown(stage, done, total, value)

        try:
            found = kmeans(
                x,
                self.k,
                **self.cp.train_options(),
                spherical=self.cp.spherical,
                threads=threads(),
                progress=note,
            )
        finally:
            if shown is not None:
                shown.close()
        best = max if self.cp.spherical else min
        used = min(len(x), self.k * self.cp.max_points_per_centroid)
        return self._found(found.centroids, np.array(best(runs.values(), key=lambda run: run[-1])) * used)

    def _lloyd(self, x: Rows, weights: npt.ArrayLike | None, init_centroids: npt.ArrayLike | None) -> float:
        start = None if init_centroids is None else rows("init_centroids", init_centroids, self.d)
        if start is not None and len(start) > self.k:
            raise ArgumentError(f"init_centroids: expected at most k = {self.k} rows, got {len(start)}")
        cp = self.cp
        lloyd = Lloyd(x, self.k, weights, start, most=cp.max_points_per_centroid, seed=cp.seed, threads=threads())
        shown = reporter(True) if cp.verbose else None
        runs, done = [], 0

        def note(objective: float) -> None:
            nonlocal done
            done += 1
            if shown is not None:
                shown("kmeans", done, cp.niter * cp.nredo, objective)

        try:
            for _ in range(cp.nredo):
                runs.append(lloyd.run(cp.niter, cp.spherical, note))
        finally:
            if shown is not None:
                shown.close()
        best = max if cp.spherical else min
        centroids, objectives = best(runs, key=lambda run: run[1][-1])
        return self._found(centroids, np.array(objectives))

    def _found(self, centroids: Rows, objectives: npt.NDArray[np.float64]) -> float:
        self.centroids, self.obj = centroids, objectives
        self.index = self._centroid_index(centroids)
        return float(objectives[-1])

    def _centroid_index(self, centroids: Rows) -> IndexFlat:
        from ._indexes import IndexFlatIP, IndexFlatL2

        index: IndexFlat = IndexFlatIP(self.d) if self.cp.spherical else IndexFlatL2(self.d)
        index.add(centroids)
        return index

    def assign(self, x: npt.ArrayLike) -> tuple[Rows, Ids]:
        """The distance to the nearest centroid and its number for each row, `[n]` each."""
        if self.index is None:
            raise RuntimeError("Kmeans.assign: train first")
        D, I = self.index.search(x, 1)
        return D.ravel(), I.ravel()


def normalize_L2(x: Rows) -> None:
    """Scales the rows of `x`, float32 `[n, d]`, to length 1, in place; zero rows stay."""
    if x.dtype != np.float32 or x.ndim != 2 or not x.flags.writeable:
        raise DimensionError(
            f"x: expected a writable float32 array of shape [n, d], got {x.dtype} of shape {list(x.shape)}"
        )
    length = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))
    length[length == 0] = 1
    x /= length[:, None].astype(np.float32)
