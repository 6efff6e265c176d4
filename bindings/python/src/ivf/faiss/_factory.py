"""Indexes of a description, and the class of an index that is there already."""

from __future__ import annotations

from ..index import Index as Core
from ..metric import METRIC_L2
from ._indexes import Index, IndexFlat, IndexFlatIP, IndexFlatL2, IndexIDMap, IndexIDMap2
from ._ivf import IndexIVF, IndexIVFFlat


def index_factory(d: int, description: str, metric: int = METRIC_L2) -> Index:
    """An index of a description: "Flat", "IVF1024,Flat", "IDMap,Flat", "IDMap2,Flat"."""
    for prefix, wrapper in (("IDMap,", IndexIDMap), ("IDMap2,", IndexIDMap2)):
        if description.startswith(prefix):
            return wrapper(_plain(d, description[len(prefix) :], metric))  # type: ignore[arg-type]
    return _plain(d, description, metric)


def _plain(d: int, description: str, metric: int) -> Index:
    core = Core(d, description, metric, nprobe=1, allow_duplicate_ids=True)
    return of_core(core)


def of_core(core: Core) -> Index:
    """The class for an index that is there already."""
    info = core.info
    if info.is_ivf:
        index: Index = IndexIVFFlat.__new__(IndexIVFFlat)
        IndexIVF.__init__(index, core)  # type: ignore[arg-type]
        return index
    flat = IndexFlat.__new__({"l2": IndexFlatL2, "ip": IndexFlatIP}.get(info.metric, IndexFlat))
    Index.__init__(flat, core)
    if info.next_id == info.count:
        return flat
    # Ids that do not count from 0: only an id map has those.
    mapped = IndexIDMap2.__new__(IndexIDMap2)
    Index.__init__(mapped, core)
    mapped.index = flat
    return mapped
