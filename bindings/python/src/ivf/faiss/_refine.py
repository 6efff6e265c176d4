"""Indexes whose best are compared again with rows kept beside: faiss's IndexRefine."""

from __future__ import annotations

import os
import re
import struct
import tempfile
from typing import Any, TypeVar

import numpy.typing as npt

from .._arrays import rows
from .._errors import DimensionError
from ..index import Index as Core
from ..metric import METRIC_INNER_PRODUCT, METRIC_L2
from ._indexes import Index, IndexFlat, IndexFlatCodes, SearchParameters
from ._ivf import IndexIVF
from ._scalar import IndexScalarQuantizer
from ._selectors import IDSelector
from ._wrappers import IndexPreTransform

# The descriptions of refined indexes.
REFINED = re.compile(r",(RFlat|Refine\(.*\))$")


class IndexRefineSearchParameters(SearchParameters):
    """Parameters of one search in a refined index: k_factor, and those of the index that finds the candidates."""

    __slots__ = ("base_index_params", "k_factor")

    def __init__(
        self,
        k_factor: float = 1.0,
        base_index_params: SearchParameters | None = None,
        sel: IDSelector | None = None,
    ):
        super().__init__(sel)
        self.k_factor = k_factor
        self.base_index_params = base_index_params


AnyRefined = TypeVar("AnyRefined", bound="IndexRefine")


class IndexRefine(Index):
    """The best of an index, k_factor times k of them, compared again with the rows of another one.

    base_index becomes a part of this one: nprobe and the like are set there, vectors go through the whole. The
    rows of refine_index are copied.
    """

    __slots__ = ("base_index", "k_factor")

    def __init__(self, base_index: Index, refine_index: Index):
        super().__init__(_joined(base_index, refine_index))
        self._take(base_index)

    @classmethod
    def _around(cls: type[AnyRefined], core: Core, base: Index) -> AnyRefined:
        """An index that is there already."""
        index = cls.__new__(cls)
        Index.__init__(index, core)
        index._take(base)
        return index

    def _take(self, base: Index) -> None:
        self.base_index = base
        """What finds the candidates: nprobe, quantizer, list sizes; vectors go through the whole."""
        self.k_factor = self._core.info.k_factor
        base._within = type(self).__name__
        part: Index | None = base
        while part is not None:
            part._core = self._core
            part = getattr(part, "index", None)

    def train(self, x: npt.ArrayLike) -> None:
        """Trains the index within, and the codes that its best are compared again with."""
        self.base_index.train(x)

    def add_with_ids(self, x: npt.ArrayLike, ids: npt.ArrayLike) -> None:
        """faiss has no ids of your own here."""
        raise NotImplementedError(f"add_with_ids: {type(self).__name__} takes none; use IndexIDMap2(index)")

    def remove_ids(self, x: npt.ArrayLike | IDSelector) -> int:
        """faiss removes nothing here: ids are the places of the rows."""
        raise NotImplementedError(f"remove_ids: ids are places in an {type(self).__name__}; use IndexIDMap2(index)")

    def merge_from(self, otherIndex: Index, add_id: int = 0) -> None:
        """faiss merges nothing here."""
        raise NotImplementedError(f"merge_from: {type(self).__name__} has none; use ivf.Index.merge")

    def _how(self, params: Any) -> dict[str, Any]:
        k_factor, base = self.k_factor, None
        if params is not None:
            if not isinstance(params, IndexRefineSearchParameters):
                raise NotImplementedError(
                    f"params: expected IndexRefineSearchParameters, got {type(params).__name__}"
                )
            if params.sel is not None:
                # faiss overlooks it.
                raise NotImplementedError("params.sel: give it to base_index_params")
            k_factor, base = params.k_factor, params.base_index_params
        if not k_factor >= 1:
            raise ValueError(f"k_factor: expected 1 or more, got {k_factor}")
        return {**self.base_index._how(base), "k_factor": k_factor}


class IndexRefineFlat(IndexRefine):
    """The best of an index compared again with the vectors themselves; `xb` `[ntotal, d]`, if it holds some already."""

    __slots__ = ()

    def __init__(self, base_index: Index, xb: npt.ArrayLike | None = None):
        kept = IndexFlat(base_index.d, base_index.metric_type)
        if xb is not None:
            kept.add(rows("xb", xb, base_index.d))
        super().__init__(base_index, kept)


def _joined(base: Index, refine: Index) -> Core:
    """The core of both, with what they have learnt and hold."""
    if not isinstance(base, (IndexFlatCodes, IndexIVF, IndexPreTransform)) or base._within:
        raise NotImplementedError(f"base_index: expected an index with vectors, got {type(base).__name__}")
    if not isinstance(refine, (IndexFlat, IndexScalarQuantizer)) or refine._within:
        raise NotImplementedError(
            f"refine_index: expected IndexFlat or IndexScalarQuantizer, got {type(refine).__name__}"
        )
    if base.d != refine.d:
        raise DimensionError(f"refine_index: expected {base.d} columns, got {refine.d}")
    for what in ("metric_type", "ntotal"):
        expected, got = getattr(base, what), getattr(refine, what)
        if expected != got:
            raise ValueError(f"refine_index: expected {what} {expected}, got {got}")
    metric = base.metric_type
    if metric not in (METRIC_L2, METRIC_INNER_PRODUCT):
        raise NotImplementedError("metric: expected METRIC_L2 or METRIC_INNER_PRODUCT; use ivf.Index for cosine")
    codes = refine._core.description
    description = f"{base._core.description},{'RFlat' if codes == 'Flat' else f'Refine({codes})'}"
    if base.ntotal == 0 and not any(index.is_trained and not _needs_none(index) for index in (base, refine)):
        context = base._core.context
        return Core(base.d, description, metric, nprobe=1, allow_duplicate_ids=True, k_factor=1, context=context)
    # As faiss joins their files: a header, both, and k_factor.
    trained = base.is_trained and refine.is_trained
    header = struct.pack("<4si3q?i", b"IxRF", base.d, base.ntotal, 1 << 20, 1 << 20, trained, metric)
    data = header + _exported(base._core) + _exported(refine._core) + struct.pack("<f", 1)
    return Core.from_bytes(data, context=base._core.context)


def _needs_none(index: Index) -> bool:
    """Whether there is nothing to train."""
    return index._core.description in ("Flat", "SQfp16", "SQbf16", "SQ8_direct")


def _exported(core: Core) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "index")
        core.export_faiss(path)
        with open(path, "rb") as file:
            return file.read()
