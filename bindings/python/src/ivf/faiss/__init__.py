"""A drop-in for code that says `import faiss`: `import ivf.faiss as faiss`.

It has flat and IVF-Flat indexes, id selectors, range search, k-means and exact knn, files included. What it
has not raises an error that says so. Different from faiss: the quantizer has the index's own metric, and NaN is
refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import functions
from .._arrays import Ids, Rows
from ..metric import METRIC_INNER_PRODUCT, METRIC_L2
from ._factory import index_factory
from ._indexes import Index, IndexFlat, IndexFlatIP, IndexFlatL2, IndexIDMap, IndexIDMap2, SearchParameters
from ._io import IO_FLAG_MMAP, deserialize_index, read_index, serialize_index, write_index
from ._ivf import IndexIVF, IndexIVFFlat, SearchParametersIVF
from ._kmeans import ClusteringParameters, Kmeans, normalize_L2
from ._selectors import (
    IDSelector,
    IDSelectorAnd,
    IDSelectorArray,
    IDSelectorBatch,
    IDSelectorBitmap,
    IDSelectorNot,
    IDSelectorOr,
    IDSelectorRange,
)
from ._settings import get_num_gpus, omp_get_max_threads, omp_set_num_threads, threads

__all__ = [
    "IO_FLAG_MMAP",
    "METRIC_INNER_PRODUCT",
    "METRIC_L2",
    "ClusteringParameters",
    "IDSelector",
    "IDSelectorAnd",
    "IDSelectorArray",
    "IDSelectorBatch",
    "IDSelectorBitmap",
    "IDSelectorNot",
    "IDSelectorOr",
    "IDSelectorRange",
    "Index",
    "IndexFlat",
    "IndexFlatIP",
    "IndexFlatL2",
    "IndexIDMap",
    "IndexIDMap2",
    "IndexIVF",
    "IndexIVFFlat",
    "Kmeans",
    "SearchParameters",
    "SearchParametersIVF",
    "deserialize_index",
    "get_num_gpus",
    "index_factory",
    "knn",
    "normalize_L2",
    "omp_get_max_threads",
    "omp_set_num_threads",
    "read_index",
    "serialize_index",
    "write_index",
]


def knn(xq: npt.ArrayLike, xb: npt.ArrayLike, k: int, metric: int = METRIC_L2) -> tuple[Rows, Ids]:
    """The k nearest rows of xb for each row of xq, exactly: distances and row numbers, each `[n, k]`."""
    found = functions.knn(xq, xb, k, metric, threads=threads())
    worst = np.finfo(np.float32).max
    found.distances[found.ids < 0] = worst if metric == METRIC_L2 else -worst
    return found.distances, found.ids


def __getattr__(name: str) -> Any:
    raise AttributeError(f"ivf.faiss has no {name!r} (yet); it has {', '.join(__all__)}")
