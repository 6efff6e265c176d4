"""faiss's id selectors, for `SearchParameters(sel=...)` and `remove_ids`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..filter import Filter


class IDSelector:
    """Ids that a search may return."""

    def __init__(self, filter: Filter):
        self.filter = filter


class IDSelectorAll(IDSelector):
    """Every id."""

    def __init__(self) -> None:
        super().__init__(~Filter.of(range(0)))


class IDSelectorBatch(IDSelector):
    """These ids, `[n]`."""

    def __init__(self, ids: npt.ArrayLike):
        super().__init__(Filter.of(ids))


IDSelectorArray = IDSelectorBatch


class IDSelectorRange(IDSelector):
    """The ids imin <= id < imax."""

    def __init__(self, imin: int, imax: int):
        super().__init__(Filter.of(range(imin, imax)))


class IDSelectorBitmap(IDSelector):
    """The ids whose bit is set: id i is bit i % 8 of byte i // 8."""

    def __init__(self, bitmap: npt.NDArray[np.uint8]):
        super().__init__(Filter.of(np.unpackbits(bitmap, bitorder="little").astype(bool)))


class IDSelectorNot(IDSelector):
    """All but these."""

    def __init__(self, sel: IDSelector):
        super().__init__(~sel.filter)


class IDSelectorAnd(IDSelector):
    """Those in both."""

    def __init__(self, lhs: IDSelector, rhs: IDSelector):
        super().__init__(lhs.filter & rhs.filter)


class IDSelectorOr(IDSelector):
    """Those in one or both."""

    def __init__(self, lhs: IDSelector, rhs: IDSelector):
        super().__init__(lhs.filter | rhs.filter)


class IDSelectorXOr(IDSelector):
    """Those in one, but not in both."""

    def __init__(self, lhs: IDSelector, rhs: IDSelector):
        super().__init__((lhs.filter | rhs.filter) & ~(lhs.filter & rhs.filter))
