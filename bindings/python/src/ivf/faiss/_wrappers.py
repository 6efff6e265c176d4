"""Indexes around another one: own ids, and transforms before it."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from ..index import Index as Core
from ._indexes import Index, IndexFlatCodes, SearchParameters
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
        index._within = "IndexPreTransform"
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
