"""Indexes of a description, and the class of an index that is there already."""

from __future__ import annotations

import re
from typing import TypeVar

from ..index import Index as Core
from ..metric import METRIC_L2
from ._indexes import Index, IndexFlat, IndexFlatCodes, IndexFlatIP, IndexFlatL2
from ._ivf import IndexIVF, IndexIVFFlat
from ._product import IndexIVFPQ, IndexIVFPQFastScan, IndexPQ, IndexPQFastScan
from ._refine import REFINED, IndexRefine, IndexRefineFlat
from ._scalar import IndexIVFScalarQuantizer, IndexScalarQuantizer
from ._wrappers import IndexIDMap, IndexIDMap2, IndexPreTransform

# The end of a description behind its transforms: the lists, if any, how vectors are held in them, what refines.
_END = re.compile(
    r"(?P<lists>IVF\d*(_HNSW\d*)?,)?(?P<codes>Flat|SQ|PQ|RaBitQ)(?P<size>[^,]*)(,(?P<refine>RFlat|Refine.*))?$"
)


_LISTS: dict[str, type[IndexIVF]] = {
    "Flat": IndexIVFFlat,
    "SQ": IndexIVFScalarQuantizer,
    "PQ": IndexIVFPQ,
    "PQfs": IndexIVFPQFastScan,
}
_CODES: dict[str, type[IndexFlatCodes]] = {
    "SQ": IndexScalarQuantizer,
    "PQ": IndexPQ,
    "PQfs": IndexPQFastScan,
}


def index_factory(d: int, description: str, metric: int = METRIC_L2) -> Index:
    """An index of a description: "Flat", "IVF1024,Flat", "PCA64,IVF256,SQfp16", "IDMap2,Flat",
    "IVF1024,SQ8,RFlat", "IVF1024,PQ16x4fs,RFlat"."""
    for prefix, wrapper in (("IDMap,", IndexIDMap), ("IDMap2,", IndexIDMap2)):
        if description.startswith(prefix):
            return wrapper(_plain(d, description[len(prefix) :], metric))
    return _plain(d, description, metric)


def _plain(d: int, description: str, metric: int) -> Index:
    k_factor = 1 if REFINED.search(description) else None
    return _without_ids(Core(d, description, metric, nprobe=1, allow_duplicate_ids=True, k_factor=k_factor))


def of_core(core: Core) -> Index:
    """The class for an index that is there already."""
    index, info = _without_ids(core), core.info
    if info.next_id == info.count or (info.is_ivf and not info.k_factor):
        return index
    # Ids that do not count from 0: only an id map has those, or lists without a refinement.
    mapped = _made(IndexIDMap2, core)
    mapped.index = index
    return mapped


def _without_ids(core: Core) -> Index:
    end = _END.search(core.description)
    codes = end["codes"] if end else ""
    if end and codes == "PQ" and "fs" in end["size"]:
        codes = "PQfs"
    if core.info.is_ivf:
        index: Index = _made(_LISTS.get(codes, IndexIVF), core)
    elif codes == "Flat":
        index = _made({"l2": IndexFlatL2, "ip": IndexFlatIP}.get(core.metric, IndexFlat), core)
    else:
        index = _made(_CODES.get(codes, IndexFlatCodes), core)
    if end is not None and end.start() > 0:
        index = IndexPreTransform(core, index)
    if end is None or end["refine"] is None:
        return index
    kind = IndexRefineFlat if end["refine"] == "RFlat" else IndexRefine
    return kind._around(core, index)


AnyIndex = TypeVar("AnyIndex", bound=Index)


def _made(kind: type[AnyIndex], core: Core) -> AnyIndex:
    """An index of a class whose own constructor makes an empty one."""
    index = kind.__new__(kind)
    base = IndexIVF if issubclass(kind, IndexIVF) else Index
    base.__init__(index, core)
    return index
