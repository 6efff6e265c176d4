"""faiss's index classes over ivf.Index.

Where the two differ, faiss's way is kept: ids count on from ntotal, "Flat" renumbers after a removal, a
missing hit has the largest float instead of infinity, nprobe is an attribute and 1 by default.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .._arrays import Ids, Rows, integers, rows
from .._errors import DimensionError
from ..index import Index as Core
from ..metric import METRIC_INNER_PRODUCT, METRIC_L2, number_of
from ._selectors import IDSelector, IDSelectorBatch
from ._settings import threads

_WORST = np.finfo(np.float32).max


class SearchParameters:
    """Parameters of one search: `index.search(x, k, params=SearchParameters(sel=IDSelectorBatch(ids)))`."""

    __slots__ = ("sel",)

    def __init__(self, sel: IDSelector | None = None):
        self.sel = sel


class Index:
    """What all indexes have. An attribute that does not exist cannot be set."""

    __slots__ = ("_core", "verbose")

    def __init__(self, core: Core):
        self._core = core
        self.verbose = False

    @property
    def d(self) -> int:
        """Columns of a vector."""
        return self._core.dim

    @property
    def ntotal(self) -> int:
        """Vectors in the index."""
        return self._core.ntotal

    @property
    def is_trained(self) -> bool:
        """Whether vectors can be added."""
        return self._core.is_trained

    @property
    def metric_type(self) -> int:
        """METRIC_L2 or METRIC_INNER_PRODUCT."""
        return number_of(self._core.metric)

    def train(self, x: npt.ArrayLike) -> None:
        """Chooses the centroids; "Flat" has none."""
        self._core.train(x, threads=threads(), progress=self.verbose)

    def add(self, x: npt.ArrayLike) -> None:
        """Adds rows under the ids ntotal, ntotal + 1, ..."""
        x = rows("x", x, self.d)
        info = self._core.info
        # The core never hands out an id twice; faiss counts from ntotal even after a removal.
        ids = None if info.next_id == info.count else np.arange(info.count, info.count + len(x))
        self._core.add(x, ids, threads=threads())

    def add_with_ids(self, x: npt.ArrayLike, ids: npt.ArrayLike) -> None:
        """Adds rows under ids of your own."""
        self._core.add(rows("x", x, self.d), ids, threads=threads())

    def search(
        self, x: npt.ArrayLike, k: int, *, params: Any = None, D: Rows | None = None, I: Ids | None = None
    ) -> tuple[Rows, Ids]:
        """Distances and ids, each `[n, k]`; written to D and I where given."""
        found = self._core.search(rows("x", x, self.d), k, threads=threads(), **self._how(params))
        missing = found.ids < 0 if (found.hits < k).any() else None
        if missing is not None:
            found.distances[missing] = _WORST if self.metric_type == METRIC_L2 else -_WORST
        return _into(D, found.distances), _into(I, found.ids)

    def range_search(self, x: npt.ArrayLike, thresh: float, *, params: Any = None) -> tuple[Ids, Rows, Ids]:
        """Limits `[n + 1]`, distances and ids of all that is better than `thresh`."""
        found = self._core.range_search(rows("x", x, self.d), thresh, threads=threads(), **self._how(params))
        return found.offsets, found.distances, found.ids

    def _how(self, params: Any) -> dict[str, Any]:
        """The core's search options."""
        if params is None:
            return {}
        if type(params) is not SearchParameters:
            raise NotImplementedError(f"params: expected SearchParameters, got {type(params).__name__}")
        return {"filter": params.sel and params.sel.filter}

    def assign(self, x: npt.ArrayLike, k: int, labels: Ids | None = None) -> Ids:
        """The ids alone of a search, `[n, k]`."""
        return self.search(x, k, I=labels)[1]

    def reconstruct(self, key: int) -> Rows:
        """The vector of an id, `[d]`."""
        return self._core.reconstruct(int(key))

    def reconstruct_batch(self, key: npt.ArrayLike) -> Rows:
        """The vectors of ids, `[n, d]`."""
        return self._core.reconstruct(integers("key", key, (None,)))

    def reconstruct_n(self, n0: int = 0, ni: int = -1) -> Rows:
        """The vectors of the ids n0, ..., n0 + ni - 1; -1 = up to ntotal."""
        count = self.ntotal - n0 if ni == -1 else ni
        return self._core.reconstruct(np.arange(n0, n0 + count))

    def remove_ids(self, x: npt.ArrayLike) -> int:
        """Removes vectors by id, `[n]`, and returns how many."""
        return self._core.remove(_plain_ids(x))

    def reset(self) -> None:
        """Removes all vectors; the training stays."""
        self._core.reset()

    def __repr__(self) -> str:
        return f"<ivf.faiss.{type(self).__name__} over {self._core!r}>"


class IndexFlat(Index):
    """Exact search."""

    __slots__ = ()

    def __init__(self, d: int, metric: int = METRIC_L2):
        super().__init__(Core(d, "Flat", metric))

    def add_with_ids(self, x: npt.ArrayLike, ids: npt.ArrayLike) -> None:
        """faiss's flat index has no ids of its own."""
        raise NotImplementedError(f"add_with_ids: {type(self).__name__} takes none; use IndexIDMap2(index)")

    def remove_ids(self, x: npt.ArrayLike) -> int:
        """Removes vectors by id, `[n]`; those behind them move up and are renumbered, as in faiss."""
        count = self.ntotal
        removed = super().remove_ids(x)
        if removed:
            self._core = _renumbered(self._core, np.setdiff1d(np.arange(count), np.asarray(_plain_ids(x))))
        return removed

    def reset(self) -> None:
        """Removes all vectors."""
        self._core = Core(self.d, "Flat", self.metric_type, context=self._core.context)


def _renumbered(core: Core, ids: Ids) -> Core:
    """A flat index of the vectors of these ids, numbered from 0 on."""
    fresh = Core(core.dim, "Flat", core.metric, context=core.context)
    fresh.add(core.reconstruct(ids))
    return fresh


class IndexFlatL2(IndexFlat):
    """Exact search by squared distance."""

    __slots__ = ()

    def __init__(self, d: int):
        super().__init__(d, METRIC_L2)


class IndexFlatIP(IndexFlat):
    """Exact search by inner product."""

    __slots__ = ()

    def __init__(self, d: int):
        super().__init__(d, METRIC_INNER_PRODUCT)


class IndexIDMap(Index):
    """Ids of your own for an empty flat index."""

    __slots__ = ("index",)

    def __init__(self, index: IndexFlat):
        if not isinstance(index, IndexFlat):
            raise NotImplementedError(f"IndexIDMap: expected a flat index, got {type(index).__name__}")
        if index.ntotal:
            raise ValueError(f"IndexIDMap: expected an empty index, got one of {index.ntotal} vectors")
        super().__init__(Core(index.d, "Flat", index.metric_type, allow_duplicate_ids=True))
        self.index = index
        # What is added here is seen there.
        index._core = self._core

    def add(self, x: npt.ArrayLike) -> None:
        """Makes no sense without ids, as in faiss."""
        raise NotImplementedError("add: an IndexIDMap wants ids; use add_with_ids(x, ids)")


class IndexIDMap2(IndexIDMap):
    """As IndexIDMap, which reconstructs already."""

    __slots__ = ()


def _plain_ids(x: Any) -> npt.ArrayLike:
    if isinstance(x, IDSelectorBatch):
        return x.ids
    if isinstance(x, IDSelector):
        raise NotImplementedError(f"remove_ids: expected ids or an IDSelectorBatch, got {type(x).__name__}")
    ids: npt.ArrayLike = x
    return ids


def _into(out: Any, values: Any) -> Any:
    if out is None:
        return values
    if out.shape != values.shape:
        raise DimensionError(f"D, I: expected arrays of shape {list(values.shape)}, got {list(out.shape)}")
    out[...] = values
    return out
