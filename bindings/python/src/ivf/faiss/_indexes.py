"""faiss's index classes over ivf.Index.

Where the two differ, faiss's way is kept: ids count on from ntotal, "Flat" renumbers after a removal, a
missing hit has the largest float instead of infinity, nprobe is an attribute and 1 by default.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .._arrays import Ids, Rows, integers, rows
from .._errors import DimensionError
from ..filter import Filter
from ..index import Index as Core
from ..metric import METRIC_INNER_PRODUCT, METRIC_L2, number_of
from ..neighbors import Neighbors
from ._selectors import IDSelector
from ._settings import threads

_WORST = np.finfo(np.float32).max


class SearchParameters:
    """Parameters of one search: `index.search(x, k, params=SearchParameters(sel=IDSelectorBatch(ids)))`."""

    __slots__ = ("sel",)

    def __init__(self, sel: IDSelector | None = None):
        self.sel = sel


class Index:
    """What all indexes have. An attribute that does not exist cannot be set."""

    __slots__ = ("_core", "_within", "verbose")

    def __init__(self, core: Core):
        self._core = core
        # The class of the index that this one is a part of, whose core it then has.
        self._within = ""
        self.verbose = False

    @property
    def _whole(self) -> Core:
        """The core, for calls that vectors go into or come out of."""
        if self._within:
            raise NotImplementedError(f"this is a part of another index: give {self._within} itself the vectors")
        return self._core

    @property
    def d(self) -> int:
        """Columns of a vector."""
        return self._core.info.list_dim if self._within == "IndexPreTransform" else self._core.dim

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
        self._whole.add(x, ids, threads=threads())

    def add_with_ids(self, x: npt.ArrayLike, ids: npt.ArrayLike) -> None:
        """Adds rows under ids of your own."""
        self._whole.add(rows("x", x, self.d), ids, threads=threads())

    def search(
        self, x: npt.ArrayLike, k: int, *, params: Any = None, D: Rows | None = None, I: Ids | None = None
    ) -> tuple[Rows, Ids]:
        """Distances and ids, each `[n, k]`; written to D and I where given."""
        return self._given(self._whole.search(rows("x", x, self.d), k, threads=threads(), **self._how(params)), D, I)

    def _given(self, found: Neighbors, D: Rows | None, I: Ids | None) -> tuple[Rows, Ids]:
        """Results as faiss pads them, in the caller's arrays where given."""
        k = found.ids.shape[1]
        if (found.hits < k).any():
            found.distances[found.ids < 0] = _WORST if self.metric_type == METRIC_L2 else -_WORST
        return _into(D, found.distances), _into(I, found.ids)

    def search_and_reconstruct(
        self,
        x: npt.ArrayLike,
        k: int,
        *,
        params: Any = None,
        D: Rows | None = None,
        I: Ids | None = None,
        R: Rows | None = None,
    ) -> tuple[Rows, Ids, Rows]:
        """A search and the vectors of its results, `[n, k, d]`: NaN throughout where one is missing."""
        x = rows("x", x, self.d)
        found, vectors = self._whole.search_and_reconstruct(x, k, threads=threads(), **self._how(params))
        return *self._given(found, D, I), _into(R, vectors)

    def range_search(self, x: npt.ArrayLike, thresh: float, *, params: Any = None) -> tuple[Ids, Rows, Ids]:
        """Limits `[n + 1]`, distances and ids of all that is better than `thresh`."""
        how = self._how(params)
        # All that is found is compared again.
        how.pop("k_factor", None)
        found = self._whole.range_search(rows("x", x, self.d), thresh, threads=threads(), **how)
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
        return self._whole.reconstruct(int(key))

    def reconstruct_batch(self, key: npt.ArrayLike) -> Rows:
        """The vectors of ids, `[n, d]`."""
        return self._whole.reconstruct(integers("key", key, (None,)))

    def reconstruct_n(self, n0: int = 0, ni: int = -1) -> Rows:
        """The vectors of the ids n0, ..., n0 + ni - 1; -1 = up to ntotal."""
        return self._whole.reconstruct_range(n0, self.ntotal - n0 if ni == -1 else ni)

    def remove_ids(self, x: npt.ArrayLike | IDSelector) -> int:
        """Removes vectors by id, `[n]`, or those that a selector lets pass, and returns how many."""
        ids: npt.ArrayLike | Filter = x.filter if isinstance(x, IDSelector) else x
        return self._core.remove(ids)

    def check_compatible_for_merge(self, otherIndex: Index) -> None:
        """Raises unless merge_from can take that index: of the same class, metric, description and dimension."""
        if type(otherIndex) is not type(self):
            raise TypeError(f"merge: expected another {type(self).__name__}, got {type(otherIndex).__name__}")
        ours, theirs = self._core, otherIndex._core
        for what in ("dim", "metric", "description"):
            if getattr(ours, what) != getattr(theirs, what):
                raise DimensionError(f"merge: expected {what} {getattr(ours, what)}, got {getattr(theirs, what)}")

    def merge_from(self, otherIndex: Index, add_id: int = 0) -> None:
        """Moves all vectors of another index here, add_id being added to their ids."""
        self.check_compatible_for_merge(otherIndex)
        self._core.merge(otherIndex._core, add_id, threads=threads())
        otherIndex.reset()

    def reset(self) -> None:
        """Removes all vectors; the training stays."""
        self._core.reset()

    def __repr__(self) -> str:
        return f"<ivf.faiss.{type(self).__name__} over {self._core!r}>"


class IndexFlatCodes(Index):
    """Vectors in one list, searched exactly, whose ids are their places."""

    __slots__ = ()

    def add_with_ids(self, x: npt.ArrayLike, ids: npt.ArrayLike) -> None:
        """faiss has no ids of your own here."""
        raise NotImplementedError(f"add_with_ids: {type(self).__name__} takes none; use IndexIDMap2(index)")

    def remove_ids(self, x: npt.ArrayLike | IDSelector) -> int:
        """Removes vectors by id, or by a selector; those behind them move up and are renumbered, as in faiss."""
        fresh = self._empty()
        if not fresh.is_trained:
            raise NotImplementedError(
                f"remove_ids: {type(self).__name__} cannot renumber codes that are trained; use IndexIDMap2(index)"
            )
        removed = super().remove_ids(x)
        if removed:
            fresh.add(self._core.reconstruct())
            self._core = fresh
        return removed

    def merge_from(self, otherIndex: Index, add_id: int = 0) -> None:
        """Moves all vectors of another index behind those of this one."""
        if add_id:
            raise ValueError(f"merge_from: expected add_id 0, for ids are places here, got {add_id}")
        super().merge_from(otherIndex, self.ntotal)

    def reset(self) -> None:
        """Removes all vectors."""
        fresh = self._empty()
        if fresh.is_trained:
            self._core = fresh
        else:
            super().reset()

    def _empty(self) -> Core:
        core = self._core
        return Core(core.dim, core.description, core.metric, context=core.context)


class IndexFlat(IndexFlatCodes):
    """Exact search."""

    __slots__ = ()

    def __init__(self, d: int, metric: int = METRIC_L2):
        super().__init__(Core(d, "Flat", metric))


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


AnyIndex = TypeVar("AnyIndex", bound=Index)


def clone_index(index: AnyIndex) -> AnyIndex:
    """A copy that is an index of its own."""
    return copy.deepcopy(index)


def _into(out: Any, values: Any) -> Any:
    if out is None:
        return values
    if out.shape != values.shape:
        raise DimensionError(f"D, I, R: expected arrays of shape {list(values.shape)}, got {list(out.shape)}")
    out[...] = values
    return out
