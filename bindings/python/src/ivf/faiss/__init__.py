"""A drop-in for code that says `import faiss`: `import ivf.faiss as faiss`.

It has flat and IVF indexes (float32, half precision, codes), refinements, transforms before them, id maps, id
selectors, range search, k-means and exact knn, files included. What it has not raises an error that says what to do. Different from faiss:
the quantizer has the index's own metric, and NaN is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .. import functions
from .._arrays import Ids, Rows, rows
from ..metric import METRIC_INNER_PRODUCT, METRIC_L2
from ._factory import index_factory
from ._hints import hint
from ._indexes import (
    Index,
    IndexFlat,
    IndexFlatCodes,
    IndexFlatIP,
    IndexFlatL2,
    SearchParameters,
    clone_index,
)
from ._io import IO_FLAG_MMAP, deserialize_index, read_index, serialize_index, write_index
from ._ivf import IndexIVF, IndexIVFFlat, SearchParametersIVF
from ._kmeans import ClusteringParameters, Kmeans, normalize_L2
from ._parameters import ParameterSpace, downcast_index, extract_index_ivf, try_extract_index_ivf
from ._product import IndexIVFPQ, IndexIVFPQFastScan, IndexPQ, IndexPQFastScan
from ._refine import IndexRefine, IndexRefineFlat, IndexRefineSearchParameters
from ._scalar import IndexIVFScalarQuantizer, IndexScalarQuantizer, ScalarQuantizer
from ._selectors import (
    IDSelector,
    IDSelectorAll,
    IDSelectorAnd,
    IDSelectorArray,
    IDSelectorBatch,
    IDSelectorBitmap,
    IDSelectorNot,
    IDSelectorOr,
    IDSelectorRange,
    IDSelectorXOr,
)
from ._settings import get_num_gpus, omp_get_max_threads, omp_set_num_threads, threads
from ._wrappers import IndexIDMap, IndexIDMap2, IndexPreTransform, SearchParametersPreTransform

__all__ = [
    "IO_FLAG_MMAP",
    "METRIC_INNER_PRODUCT",
    "METRIC_L2",
    "ClusteringParameters",
    "IDSelector",
    "IDSelectorAll",
    "IDSelectorAnd",
    "IDSelectorArray",
    "IDSelectorBatch",
    "IDSelectorBitmap",
    "IDSelectorNot",
    "IDSelectorOr",
    "IDSelectorRange",
    "IDSelectorXOr",
    "Index",
    "IndexFlat",
    "IndexFlatCodes",
    "IndexFlatIP",
    "IndexFlatL2",
    "IndexIDMap",
    "IndexIDMap2",
    "IndexIVF",
    "IndexIVFFlat",
    "IndexIVFPQ",
    "IndexIVFPQFastScan",
    "IndexIVFScalarQuantizer",
    "IndexPQ",
    "IndexPQFastScan",
    "IndexPreTransform",
    "IndexRefine",
    "IndexRefineFlat",
    "IndexRefineSearchParameters",
    "IndexScalarQuantizer",
    "Kmeans",
    "ParameterSpace",
    "ScalarQuantizer",
    "SearchParameters",
    "SearchParametersIVF",
    "SearchParametersPreTransform",
    "clone_index",
    "deserialize_index",
    "downcast_index",
    "extract_index_ivf",
    "get_num_gpus",
    "index_factory",
    "knn",
    "normalize_L2",
    "omp_get_max_threads",
    "omp_set_num_threads",
    "pairwise_distances",
    "read_index",
    "serialize_index",
    "try_extract_index_ivf",
    "write_index",
]


def knn(xq: npt.ArrayLike, xb: npt.ArrayLike, k: int, metric: int = METRIC_L2) -> tuple[Rows, Ids]:
    """The k nearest rows of xb for each row of xq, exactly: distances and row numbers, each `[n, k]`."""
    found = functions.knn(xq, xb, k, metric, threads=threads())
    worst = np.finfo(np.float32).max
    found.distances[found.ids < 0] = worst if metric == METRIC_L2 else -worst
    return found.distances, found.ids


def pairwise_distances(xq: npt.ArrayLike, xb: npt.ArrayLike, metric: int = METRIC_L2) -> Rows:
    """All distances of the rows of xq to those of xb, `[nq, nb]`."""
    a, b = rows("xq", xq), rows("xb", xb)
    products: Rows = a @ b.T
    if metric == METRIC_INNER_PRODUCT:
        return products
    if metric != METRIC_L2:
        raise NotImplementedError(f"metric: expected METRIC_L2 or METRIC_INNER_PRODUCT, got {metric}")
    lengths = np.einsum("nd,nd->n", a, a)[:, None] + np.einsum("nd,nd->n", b, b)
    distances: Rows = np.maximum(lengths - 2 * products, 0)
    return distances


def __getattr__(name: str) -> Any:
    raise AttributeError(hint(name) or f"ivf.faiss has no {name!r} (yet); it has {', '.join(__all__)}")
