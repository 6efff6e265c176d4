"""What searches return."""

from __future__ import annotations

import ctypes
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _abi
from ._arrays import Ids, Rows
from ._call import Handle, call, library


class _Pair(NamedTuple):
    distances: Rows
    ids: Ids


class Neighbors(_Pair):
    """The result of a search: `D, I = found`, or found.distances, found.ids, found.hits.

    distances: float32 `[n, k]`, best first: squared distances rising for "l2", similarities falling for "ip"
    and "cosine". ids: int64 `[n, k]`; equal distances are in order of id. hits: int64 `[n]`, how many of a
    query's k there are; the rest have id -1 and the distance +inf ("l2") or -inf.
    """

    @cached_property
    def hits(self) -> Ids:
        """Counted when first asked for: a single query would feel a third array."""
        return np.asarray(np.count_nonzero(self.ids >= 0, axis=1), np.int64)


class RangeNeighbors(NamedTuple):
    """The result of a range search. Query i has the results offsets[i] to offsets[i + 1], best first."""

    offsets: Ids
    """int64 `[n + 1]`"""
    distances: Rows
    """float32 `[offsets[n]]`"""
    ids: Ids
    """int64 `[offsets[n]]`"""


def room_for(n: int, k: int) -> Neighbors:
    """Uninitialised results of n queries with k each."""
    return Neighbors(np.empty((n, k), np.float32), np.empty((n, k), np.int64))


def view(pointer: int | None) -> RangeNeighbors:
    """The arrays of a range search's result, which they keep alive."""
    result = Handle(pointer, library.ivf_range_result_destroy)
    seen = _abi.RangeView()
    call(library.ivf_range_result_get, result, seen)
    return RangeNeighbors(
        _array(result, seen.offsets, seen.n + 1, ctypes.c_int64),
        _array(result, seen.distances, seen.total, ctypes.c_float),
        _array(result, seen.ids, seen.total, ctypes.c_int64),
    )


def _array(owner: Handle, address: int | None, count: int, kind: Any) -> npt.NDArray[Any]:
    if not count:
        return np.empty(0, kind)
    memory = (kind * count).from_address(address)
    # NumPy keeps what it borrows from alive, and that the owner.
    memory.owner = owner
    return np.frombuffer(memory, kind)
