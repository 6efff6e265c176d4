"""faiss's IVF index classes."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from .._arrays import Ids, Rows, rows
from .._errors import DimensionError
from ..index import Index as Core
from ..metric import METRIC_INNER_PRODUCT, METRIC_L2
from ._indexes import Index, IndexFlat, SearchParameters
from ._kmeans import ClusteringParameters
from ._selectors import IDSelector
from ._settings import threads


class SearchParametersIVF(SearchParameters):
    """Parameters of one search in an IVF index."""

    __slots__ = ("max_codes", "nprobe")

    def __init__(self, nprobe: int = 1, max_codes: int = 0, sel: IDSelector | None = None):
        super().__init__(sel)
        self.nprobe = nprobe
        self.max_codes = max_codes


class IndexIVF(Index):
    """Inverted lists. nprobe and max_codes are attributes, or the `params` of one search."""

    __slots__ = ("_quantizer", "cp", "max_codes", "nprobe")

    def __init__(self, core: Core, quantizer: IndexFlat | None = None):
        super().__init__(core)
        self._quantizer = quantizer
        self.nprobe = core.nprobe
        self.max_codes = 0
        self.cp = ClusteringParameters(niter=10, spherical=core.metric == "ip")

    @staticmethod
    def _made(quantizer: IndexFlat, d: int, nlist: int, codes: str, metric: int) -> tuple[Core, IndexFlat]:
        """The core that goes with a quantizer."""
        if not isinstance(quantizer, IndexFlat):
            raise NotImplementedError(f"quantizer: expected a flat index, got {type(quantizer).__name__}")
        if quantizer.d != d:
            raise DimensionError(f"quantizer: expected {d} columns, got {quantizer.d}")
        if quantizer.metric_type != metric:
            raise NotImplementedError(
                f"quantizer: expected the index's own metric {metric}, got {quantizer.metric_type}; "
                f"use IndexFlat(d, {metric})"
            )
        return Core(d, f"IVF{nlist},{codes}", metric, nprobe=1, allow_duplicate_ids=True), quantizer

    @property
    def nlist(self) -> int:
        """Inverted lists."""
        return self._core.nlist

    @property
    def quantizer(self) -> IndexFlat:
        """A flat index of the centroids."""
        if self._quantizer is None:
            self._quantizer = IndexFlat(self.d, self.metric_type)
            if self.is_trained:
                self._quantizer.add(self._core.centroids)
        return self._quantizer

    def train(self, x: npt.ArrayLike) -> None:
        """Chooses the centroids, and puts them into the quantizer; takes them from it if they are there."""
        if self.is_trained:
            return
        if self._take_centroids() and self.is_trained:
            return
        spherical = self.metric_type == METRIC_INNER_PRODUCT
        if self.cp.spherical != spherical:
            raise NotImplementedError(
                f"cp.spherical: expected {spherical} for metric {self._core.metric!r}, got {self.cp.spherical}"
            )
        self._core.train(x, **self.cp.train_options(), threads=threads(), progress=self.verbose or self.cp.verbose)
        if self._quantizer is not None:
            self._quantizer.reset()
            self._quantizer.add(self._core.centroids)

    def _take_centroids(self) -> bool:
        if self._quantizer is None or self._quantizer.ntotal != self.nlist:
            return False
        self._core.set_centroids(self._quantizer.reconstruct_n())
        return True

    def _how(self, params: Any) -> dict[str, Any]:
        if params is None:
            return {"nprobe": self.nprobe, "max_codes": self.max_codes}
        if not isinstance(params, SearchParametersIVF):
            raise NotImplementedError(f"params: expected SearchParametersIVF, got {type(params).__name__}")
        filter = params.sel and params.sel.filter
        return {"nprobe": params.nprobe, "max_codes": params.max_codes, "filter": filter}

    def search_preassigned(
        self,
        x: npt.ArrayLike,
        k: int,
        Iq: npt.ArrayLike,
        Dq: Any,
        *,
        params: Any = None,
        D: Rows | None = None,
        I: Ids | None = None,
    ) -> tuple[Rows, Ids]:
        """A search in lists of your own choice, Iq `[n, nprobe]`, -1 = none. Their distances Dq are not needed."""
        how = self._how(params)
        del how["nprobe"]
        found = self._whole.search_preassigned(rows("x", x, self.d), Iq, k, threads=threads(), **how)
        return self._given(found, D, I)

    def update_vectors(self, keys: npt.ArrayLike, x: npt.ArrayLike) -> None:
        """Replaces the vectors of the ids `keys` `[n]`, each once, by the rows of `x` `[n, d]`."""
        self._whole.update(keys, rows("x", x, self.d), threads=threads())

    def make_direct_map(self, new_maintain_direct_map: bool = True) -> None:
        """Nothing to do: every index finds vectors by id."""

    def set_direct_map_type(self, type: int) -> None:
        """Nothing to do: every index finds vectors by id."""

    def get_list_size(self, list_no: int) -> int:
        """Vectors in a list."""
        return int(self._core.list_sizes[list_no])


class IndexIVFFlat(IndexIVF):
    """Vectors as they are in inverted lists."""

    __slots__ = ()

    def __init__(self, quantizer: IndexFlat, d: int, nlist: int, metric: int = METRIC_L2):
        super().__init__(*self._made(quantizer, d, nlist, "Flat", metric))
        self._take_centroids()
