"""Indexes of a description, and the class of an index that is there already."""

from __future__ import annotations

import re
from typing import TypeVar

from ..index import Index as Core
from ..metric import METRIC_L2
from ._indexes import Index, IndexFlat, IndexFlatCodes, IndexFlatIP, IndexFlatL2
from ._ivf import IndexIVF, IndexIVFFlat
from ._scalar import IndexIVFScalarQuantizer, IndexScalarQuantizer
from ._wrappers import IndexIDMap, IndexIDMap2, IndexPreTransform

# The end of a description behind its transforms: the lists, if any, and how vectors are held in them.
_END = re.compile(r"(?P<lists>IVF\d*,)?(?P<codes>Flat|SQ|PQ\d|RaBitQ)")


def index_factory(d: int, description: str, metric: int = METRIC_L2) -> Index:
    """An index of a description: "Flat", "IVF1024,Flat", "PCA64,IVF256,SQfp16", "IDMap2,Flat"."""
    for prefix, wrapper in (("IDMap,", IndexIDMap), ("IDMap2,", IndexIDMap2)):
        if description.startswith(prefix):
            return wrapper(_plain(d, description[len(prefix) :], metric))
    return _plain(d, description, metric)


def _plain(d: int, description: str, metric: int) -> Index:
    return _without_ids(Core(d, description, metric, nprobe=1, allow_duplicate_ids=True))


def of_core(core: Core) -> Index:
    """The class for an index that is there already."""
    index, info = _without_ids(core), core.info
    if info.is_ivf or info.next_id == info.count:
        return index
    # Ids that do not count from 0: only an id map has those.
    mapped = _made(IndexIDMap2, core)
    mapped.index = index
    return mapped


def _without_ids(core: Core) -> Index:
    end = _END.search(core.description)
    codes = end["codes"] if end else ""
    if core.info.is_ivf:
        lists: dict[str, type[IndexIVF]] = {"Flat": IndexIVFFlat, "SQ": IndexIVFScalarQuantizer}
        index: Index = _made(lists.get(codes, IndexIVF), core)
    elif codes == "Flat":
        index = _made({"l2": IndexFlatL2, "ip": IndexFlatIP}.get(core.metric, IndexFlat), core)
    else:
        index = _made(IndexScalarQuantizer if codes == "SQ" else IndexFlatCodes, core)
    return index if end is None or end.start() == 0 else IndexPreTransform(core, index)


AnyIndex = TypeVar("AnyIndex", bound=Index)


def _made(kind: type[AnyIndex], core: Core) -> AnyIndex:
    """An index of a class whose own constructor makes an empty one."""
    index = kind.__new__(kind)
    base = IndexIVF if issubclass(kind, IndexIVF) else Index
    base.__init__(index, core)
    return index
