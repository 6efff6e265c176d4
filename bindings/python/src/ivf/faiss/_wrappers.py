"""Indexes around another one: own ids, and transforms before it."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from ..index import Index as Core
from ._indexes import Index, IndexFlatCodes, SearchParameters
from ._ivf import IndexIVF
from ._selectors import IDSelector


class IndexIDMap(Index):
    """Ids of your own for an empty index."""

    __slots__ = ("index",)

    def __init__(self, index: Index):
        if not isinstance(index, Index):
            raise NotImplementedError(f"IndexIDMap: expected an index of ivf.faiss, got {type(index).__name__}")
        if index.ntotal:
            raise ValueError(f"IndexIDMap: expected an empty index, got one of {index.ntotal} vectors")
        if isinstance(index, IndexFlatCodes):
            # Ids may repeat here, and there they are places.
            core = index._core
            index._core = Core(core.dim, core.description, core.metric, allow_duplicate_ids=True, context=core.context)
        super().__init__(index._core)
        # What is added here is seen there.
        self.index = index

    def train(self, x: npt.ArrayLike) -> None:
        """Trains the index within."""
        self.index.train(x)

    def add(self, x: npt.ArrayLike) -> None:
        """Makes no sense without ids, as in faiss."""
        raise NotImplementedError("add: an IndexIDMap wants ids; use add_with_ids(x, ids)")

    def _how(self, params: Any) -> dict[str, Any]:
        return self.index._how(params)


class IndexIDMap2(IndexIDMap):
    """As IndexIDMap, which reconstructs already."""

    __slots__ = ()


class SearchParametersPreTransform(SearchParameters):
    """Parameters of one search behind transforms: those of the index within."""

    __slots__ = ("index_params",)

    def __init__(self, index_params: SearchParameters | None = None, sel: IDSelector | None = None):
        super().__init__(sel)
        self.index_params = index_params


class IndexPreTransform(Index):
    """Transforms before an index, as index_factory("PCA64,IVF256,Flat") makes them."""

    __slots__ = ("index",)

    def __init__(self, core: Core, index: Index):
        super().__init__(core)
        index._behind = True
        self.index = index
        """What the transforms lead to: nprobe, quantizer, list sizes; vectors go through the whole."""

    def train(self, x: npt.ArrayLike) -> None:
        """Learns the transforms, then chooses the centroids."""
        self.index.train(x)

    def remove_ids(self, x: npt.ArrayLike | IDSelector) -> int:
        """Removes vectors by id, `[n]`, or those that a selector lets pass, and returns how many."""
        if isinstance(self.index, IndexFlatCodes):
            # faiss renumbers the others, whose vectors are not kept as they were.
            raise NotImplementedError('remove_ids: expected lists behind the transforms; use "IDMap2,..."')
        return super().remove_ids(x)

    def _how(self, params: Any) -> dict[str, Any]:
        if isinstance(params, SearchParametersPreTransform):
            params = params.index_params
        return self.index._how(params)


def try_extract_index_ivf(index: Index) -> IndexIVF | None:
    """The lists within an index, whose nprobe can be set; None if there are none."""
    while isinstance(index, (IndexIDMap, IndexPreTransform)):
        index = index.index
    return index if isinstance(index, IndexIVF) else None


def extract_index_ivf(index: Index) -> IndexIVF:
    """The lists within an index, whose nprobe can be set."""
    found = try_extract_index_ivf(index)
    if found is None:
        raise RuntimeError(f"extract_index_ivf: {type(index).__name__} has no lists")
    return found


def downcast_index(index: Index) -> Index:
    """The index itself: it has its class already."""
    return index


class ParameterSpace:
    """Sets parameters of an index by name, as in faiss: `set_index_parameters(index, "nprobe=16,max_codes=1000")`."""

    def set_index_parameter(self, index: Index, name: str, val: float) -> None:
        """Sets nprobe or max_codes, or verbose."""
        if name == "verbose":
            index.verbose = bool(val)
        elif name in ("nprobe", "max_codes"):
            setattr(extract_index_ivf(index), name, int(val))
        else:
            raise RuntimeError(f"set_index_parameter: expected nprobe, max_codes or verbose, got {name!r}")

    def set_index_parameters(self, index: Index, param_string: str) -> None:
        """Sets several: names and values by "=", parted by commas."""
        for setting in filter(None, param_string.split(",")):
            name, equals, value = setting.partition("=")
            try:
                number = float(value)
            except ValueError:
                raise RuntimeError(f"set_index_parameters: expected name=number, got {setting!r}") from None
            self.set_index_parameter(index, name.strip(), number)
