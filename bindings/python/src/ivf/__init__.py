"""libivf: vector search in inverted lists, exact and approximate.

index = ivf.Index(128, "IVF512,Flat", metric="l2")
index.train(xb)
index.add(xb)
D, I = index.search(xq, k=20, nprobe=32)
index.save("vectors.ivf")
index = ivf.load("vectors.ivf")
"""

import logging

from ._arrays import Bfloat16
from ._call import Cancel
from ._errors import (
    ArgumentError,
    CancelledError,
    CorruptError,
    DescriptionError,
    DeviceError,
    DimensionError,
    DuplicateIdError,
    FileMissingError,
    FormatError,
    InternalError,
    IoError,
    IvfError,
    NotFiniteError,
    NotFoundError,
    NotTrainedError,
    NullError,
    OutOfMemoryError,
    SizeOverflowError,
    StateError,
    TooFewPointsError,
    UnsupportedError,
)
from ._info import IndexInfo
from ._persist import check
from ._tune import Curve, Tuned
from .budget import Budget
from .context import Context, ContextInfo, Device, devices
from .filter import Filter
from .functions import Kmeans, kmeans, knn, version
from .index import Index
from .metric import METRIC_COSINE, METRIC_INNER_PRODUCT, METRIC_L2
from .neighbors import Neighbors, RangeNeighbors
from .stats import SearchStats

# Warnings (few training points) go where the program's own logging sends them, and nowhere if it has none.
logging.getLogger("ivf").addHandler(logging.NullHandler())

load = Index.load
from_bytes = Index.from_bytes
__version__ = version()

__all__ = [
    "METRIC_COSINE",
    "METRIC_INNER_PRODUCT",
    "METRIC_L2",
    "ArgumentError",
    "Bfloat16",
    "Budget",
    "Cancel",
    "CancelledError",
    "Context",
    "ContextInfo",
    "CorruptError",
    "Curve",
    "DescriptionError",
    "Device",
    "DeviceError",
    "DimensionError",
    "DuplicateIdError",
    "FileMissingError",
    "Filter",
    "FormatError",
    "Index",
    "IndexInfo",
    "InternalError",
    "IoError",
    "IvfError",
    "Kmeans",
    "Neighbors",
    "NotFiniteError",
    "NotFoundError",
    "NotTrainedError",
    "NullError",
    "OutOfMemoryError",
    "RangeNeighbors",
    "SearchStats",
    "SizeOverflowError",
    "StateError",
    "TooFewPointsError",
    "Tuned",
    "UnsupportedError",
    "check",
    "devices",
    "from_bytes",
    "kmeans",
    "knn",
    "load",
    "version",
]
