"""What an index says of itself."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from ._arrays import Ids, Rows
from ._call import call, library
from ._core import Core
from .context import Context
from .metric import NAMES

ListOrder = Literal["added", "best_first"]

#: By their numbers.
LIST_ORDERS = ("added", "best_first")


@dataclass(frozen=True)
class IndexInfo:
    """What an index says of itself."""

    dim: int
    metric: str
    trained: bool
    count: int
    """Vectors that can be found."""
    nlist: int
    """Inverted lists; 0 until chosen ("IVF,Flat" before training), 1 for "Flat"."""
    nprobe: int
    """Lists that a search looks into unless it says."""
    dead: int
    """Vectors removed whose space is not yet returned."""
    next_id: int
    """The id that add hands out next."""
    memory_bytes: int
    """All that the index holds."""
    vector_bytes: int
    """Of it vectors, norms and ids, with their lists' slack."""
    is_ivf: bool
    allow_duplicate_ids: bool
    list_dim: int
    """Columns of a centroid: dim, or what the transforms before the lists make of it."""
    k_factor: float
    """How many times k candidates a search compares again unless it says; 0 without a refinement."""
    list_order: str
    """ "added" or "best_first", as it was created."""
    soar: float
    """The lambda by which vectors are kept in a second list too, as it was created; 0 = they are not."""


class Described(Core):
    """The properties of an index."""

    @property
    def info(self) -> IndexInfo:
        """All numbers at once."""
        info = self._raw_info()
        values = {field.name: getattr(info, field.name) for field in fields(IndexInfo)}
        for name in ("trained", "is_ivf", "allow_duplicate_ids"):
            values[name] = bool(values[name])
        values["metric"] = NAMES[info.metric]
        values["list_order"] = LIST_ORDERS[info.list_order]
        return IndexInfo(**values)

    @property
    def dim(self) -> int:
        """Columns of a vector."""
        return self._dim

    @property
    def metric(self) -> str:
        """ "l2", "ip" or "cosine"."""
        return self.info.metric

    @property
    def description(self) -> str:
        """The index string, with the number of lists once it is chosen."""
        length = ctypes.c_uint64()
        call(library.ivf_index_describe, self._handle, None, 0, ctypes.byref(length))
        buffer = np.empty(length.value + 1, np.uint8)
        call(library.ivf_index_describe, self._handle, buffer, len(buffer), ctypes.byref(length))
        return buffer[:-1].tobytes().decode()

    @property
    def nlist(self) -> int:
        """Inverted lists; 0 until chosen, 1 for "Flat"."""
        return self.info.nlist

    @property
    def nprobe(self) -> int:
        """Lists that a search looks into unless it says."""
        return self.info.nprobe

    @property
    def ntotal(self) -> int:
        """Vectors that can be found; also len(index)."""
        return self.info.count

    @property
    def is_trained(self) -> bool:
        """Whether vectors can be added. A "Flat" index is always trained."""
        return self.info.trained

    @property
    def memory(self) -> int:
        """Bytes of memory that the index holds."""
        return self.info.memory_bytes

    @property
    def context(self) -> Context | None:
        """The context that it was made with; None = the shared default."""
        return self._context

    @property
    def centroids(self) -> Rows:
        """A copy of the lists' centroids, `[nlist, list_dim]`."""
        info = self.info
        x = np.empty((info.nlist, info.list_dim), np.float32)
        call(library.ivf_centroids, self._handle, x, len(x), info.list_dim)
        return x

    @property
    def list_sizes(self) -> Ids:
        """How many vectors each list holds, `[nlist]`."""
        sizes = np.empty(self.nlist, np.int64)
        call(library.ivf_list_sizes, self._handle, sizes, len(sizes))
        return sizes

    def __len__(self) -> int:
        return self.ntotal

    def __repr__(self) -> str:
        if self._live is None:
            return "<ivf.Index closed>"
        info = self.info
        trained = "" if info.trained else " untrained"
        return f"<ivf.Index {self.description} dim={info.dim} metric={info.metric} count={info.count}{trained}>"
