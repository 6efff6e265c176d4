"""What needs no index: k-means, exact nearest neighbours, the version."""

from __future__ import annotations

import ctypes
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from . import _abi
from ._arrays import Bfloat16, Ids, Rows, address, typed_rows, unsigned
from ._call import Cancel, Progress, call_long, library
from ._train import seeding_of
from .context import Context, handle_or_default
from .filter import Filter, Selection
from .metric import Metric, number_of
from .neighbors import Neighbors, room_for


class Kmeans(NamedTuple):
    """What kmeans found."""

    centroids: Rows
    """float32 `[k, dim]`."""
    labels: Ids
    """int64 `[n]`: the nearest centroid of every point, used for training or not."""
    objective: float
    """The mean squared distance of all points to their centroids; spherical: the mean similarity."""


def kmeans(
    x: npt.ArrayLike | Bfloat16,
    k: int,
    *,
    iterations: int | None = None,
    seeding: str = "default",
    seed: int | None = None,
    max_points_per_centroid: int | None = None,
    restarts: int | None = None,
    spherical: bool = False,
    mini_batch: int | None = None,
    context: Context | None = None,
    threads: int = 0,
    progress: Progress = None,
    cancel: Cancel | None = None,
) -> Kmeans:
    """Finds k centroids of the points `x` `[n, dim]`.

    iterations: None = 25, with mini-batches 100. seeding: "random", "k-means++" or, for
    thousands of centroids, "hierarchical". seed: None = 1234.
    max_points_per_centroid: points used, drawn at random where there are more; None = 256, 2**32 - 1 = all.
    restarts: runs of which the best is kept; None = 1. spherical: centroids of length 1, assignment by inner
    product. mini_batch: points of each step of mini-batch k-means; None = the full algorithm.
    """
    points, element = typed_rows("x", x)
    k = unsigned("k", k)
    n, dim = points.shape
    labels, objective = np.empty(n, np.int64), ctypes.c_double()
    options = _abi.KmeansOptions(
        threads=unsigned("threads", threads),
        iterations=unsigned("iterations", iterations),
        seeding=seeding_of(seeding),
        seed=unsigned("seed", seed, 64),
        max_points_per_centroid=unsigned("max_points_per_centroid", max_points_per_centroid),
        restarts=unsigned("restarts", restarts),
        spherical=int(bool(spherical)),
        mini_batch=unsigned("mini_batch", mini_batch),
    )
    options.point("labels", address(labels), labels)
    options.point("objective", ctypes.addressof(objective), objective)
    centroids = np.empty((k, dim), np.float32)
    call_long(
        *(library.ivf_kmeans_typed, handle_or_default(context), points, element, n, dim, k, centroids, options),
        options=options,
        rows=n,
        progress=progress,
        cancel=cancel,
    )
    return Kmeans(centroids, labels, objective.value)


def knn(
    queries: npt.ArrayLike | Bfloat16,
    x: npt.ArrayLike | Bfloat16,
    k: int = 10,
    metric: Metric = "l2",
    *,
    filter: Selection | None = None,
    context: Context | None = None,
    threads: int = 0,
    progress: Progress = None,
    cancel: Cancel | None = None,
) -> Neighbors:
    """The k nearest rows of `x` `[n, dim]` for each query `[m, dim]`, exactly; ids are row numbers.

    filter: the rows that may be returned, as in Index.search.
    """
    base, of_base = typed_rows("x", x)
    dim = base.shape[1]
    wanted, of_wanted = typed_rows("queries", queries, dim, one=True)
    n, k = len(wanted), unsigned("k", k)
    found = room_for(n, k)
    options = _abi.SearchOptions(threads=unsigned("threads", threads))
    if filter is not None:
        made = Filter.of(filter)
        options.point("filter", made._handle._as_parameter_, made)
    call_long(
        *(library.ivf_knn_typed, handle_or_default(context), wanted, of_wanted, n, base, of_base, len(base), dim),
        *(number_of(metric), k, found.distances, found.ids, options),
        options=options,
        # Few queries against many rows take long, too.
        rows=max(n, len(base) // 1000),
        progress=progress,
        cancel=cancel,
    )
    return found


def version() -> str:
    """The library's version, such as "0.1.0"."""
    text: bytes = library.ivf_version()
    return text.decode()
