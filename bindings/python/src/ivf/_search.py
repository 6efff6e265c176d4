"""Searching an index."""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy import empty, ndarray

from . import _abi
from ._arrays import FLOAT, INT, Bfloat16, Rows, borrow, integers, typed_rows, unsigned
from ._call import LONG_CALL_ROWS, Cancel, Progress, call_long, last_error, of_c_types, library
from ._core import Core
from ._errors import error
from .budget import Budget, Profile, set_budget
from .filter import Filter, Selection
from .neighbors import Neighbors, RangeNeighbors, room_for, view
from .stats import SearchStats


class Searching(Core):
    """The searches of an index."""

    def search(
        self,
        queries: npt.ArrayLike | Bfloat16,
        k: int = 10,
        nprobe: int | None = None,
        *,
        filter: Selection | None = None,
        recall: float | None = None,
        max_codes: int | None = None,
        profile: Profile | None = None,
        budget: Budget | None = None,
        k_factor: float | None = None,
        probe_scale: float | None = None,
        stats: SearchStats | None = None,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> Neighbors:
        """The k nearest vectors of each query, `[n, dim]` or `[dim]` for one: `D, I`, each `[n, k]`.

        nprobe: lists to look into, nearest first; None = the index's own. filter: the ids that may be
        returned; see Filter.of. recall: instead of nprobe, the share of the true nearest that is to be found; wants
        a curve of tune for this k or a larger one. max_codes: a query ends after this many vectors, in probe order; None = no
        limit. profile: a named set of budget options, "exact", "speed" (the same results), "approx_fast",
        "approx_balanced" or "approx_quality" (a quarter, half, three quarters of the vectors). budget: what to set
        beside or instead of it. k_factor: how many times k candidates are compared again behind a refinement ("RFlat"),
        None = the index's own, chosen by the code unless it was given, math.inf = all that the search looks at (the
        kept rows' own results), behind RaBitQ codes all that their error bound leaves in question (a few in 1000 results
        are missing). probe_scale: of its nprobe nearest lists a query
        visits the r-th only while `r * exp(gap / probe_scale) <= 4 * nprobe`, so that queries in the midst of a list
        visit few; the gap is how much farther that list is than the nearest, as a share of the nearest's squared
        distance (for inner products the difference over the query's length); None = every query visits nprobe lists.
        tune finds what is good, and recall takes it. stats: receives what the search did. threads: 0 = all of the
        context's.
        """
        special = filter is not None or profile is not None or budget is not None or stats is not None
        if not special and cancel is None and not progress:
            few = self._search_few(queries, k, threads, max_codes, nprobe, recall, probe_scale, k_factor)
            if few is not None:
                return few
        options = _search_options(
            *(threads, filter, max_codes, nprobe, recall, probe_scale),
            profile=profile,
            budget=budget,
            k_factor=k_factor,
            stats=stats,
        )
        return self._search(queries, k, None, options, progress, cancel)

    def _search_few(self, queries: npt.ArrayLike | Bfloat16, k: int, *given: Any) -> Neighbors | None:
        """Searches for a few float32 queries, with nothing that a single one would feel; None = no such case."""
        # A carray lies as C has it, aligned and writable: `borrow` wants that.
        if type(queries) is not ndarray or queries.dtype is not FLOAT or not queries.flags.carray:
            return None
        shape, live = queries.shape, self._live
        if len(shape) == 1:
            shape = (1, *shape)
        if len(shape) != 2:
            return None
        n, columns = shape
        if columns != self._dim or not 0 < n < LONG_CALL_ROWS or live is None:
            return None
        try:
            k, count, options = _plain_options(k, *given)
        except (TypeError, ValueError):
            # Options that are not numbers.
            return None
        distances, ids = empty((n, k), FLOAT), empty((n, k), INT)
        rows = _ONE if n == 1 else ctypes.c_uint64(n)
        status = _search_typed(
            *(live._as_parameter_, borrow(queries), _F32, rows, self._c_dim, count),
            *(borrow(distances), borrow(ids), options),
        )
        if status:
            raise error(status, last_error())
        return tuple.__new__(Neighbors, (distances, ids))

    def search_and_reconstruct(
        self,
        queries: npt.ArrayLike | Bfloat16,
        k: int = 10,
        nprobe: int | None = None,
        *,
        filter: Selection | None = None,
        recall: float | None = None,
        max_codes: int | None = None,
        profile: Profile | None = None,
        budget: Budget | None = None,
        k_factor: float | None = None,
        probe_scale: float | None = None,
        stats: SearchStats | None = None,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> tuple[Neighbors, Rows]:
        """A search and the vectors of its results, `[n, k, dim]`: NaN throughout where a result is missing.

        The parameters are those of search.
        """
        options = _search_options(
            *(threads, filter, max_codes, nprobe, recall, probe_scale),
            profile=profile,
            budget=budget,
            k_factor=k_factor,
            stats=stats,
        )
        x, element = typed_rows("queries", queries, self._dim, one=True)
        n, k = len(x), unsigned("k", k)
        found = room_for(n, k)
        vectors = np.empty((n, k, self._dim), np.float32)
        call_long(
            *(library.ivf_search_and_reconstruct_typed, self._handle, x, element, n, self._dim, k),
            *(found.distances, found.ids, vectors, options),
            options=options,
            rows=n,
            progress=progress,
            cancel=cancel,
        )
        return found, vectors

    def search_preassigned(
        self,
        queries: npt.ArrayLike | Bfloat16,
        lists: npt.ArrayLike,
        k: int = 10,
        *,
        filter: Selection | None = None,
        max_codes: int | None = None,
        profile: Profile | None = None,
        budget: Budget | None = None,
        k_factor: float | None = None,
        stats: SearchStats | None = None,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> Neighbors:
        """Searches in lists that you chose: int64 `[n, nprobe]`, in the order to look into them, -1 = none."""
        options = _search_options(
            threads, filter, max_codes, profile=profile, budget=budget, k_factor=k_factor, stats=stats
        )
        return self._search(queries, k, lists, options, progress, cancel)

    def _search(
        self,
        queries: npt.ArrayLike | Bfloat16,
        k: int,
        lists: npt.ArrayLike | None,
        options: _abi.SearchOptions,
        progress: Progress,
        cancel: Cancel | None,
    ) -> Neighbors:
        x, element = typed_rows("queries", queries, self._dim, one=True)
        n, k = len(x), unsigned("k", k)
        found = room_for(n, k)
        function = library.ivf_search_typed
        given: tuple[Any, ...] = ()
        if lists is not None:
            # A single query's lists may be given as one row, as the query itself.
            own = integers("lists", np.atleast_2d(lists), (n, None))
            function, given = library.ivf_search_preassigned_typed, (own, own.shape[1])
        call_long(
            *(function, self._handle, x, element, n, self._dim, k, *given),
            *(found.distances, found.ids, options),
            options=options,
            rows=n,
            progress=progress,
            cancel=cancel,
        )
        return found

    def range_search(
        self,
        queries: npt.ArrayLike | Bfloat16,
        radius: float,
        nprobe: int | None = None,
        *,
        filter: Selection | None = None,
        max_codes: int | None = None,
        profile: Profile | None = None,
        budget: Budget | None = None,
        probe_scale: float | None = None,
        stats: SearchStats | None = None,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> RangeNeighbors:
        """All vectors strictly better than `radius` (squared for "l2") in the lists looked into.

        The parameters are those of search.
        """
        x, element = typed_rows("queries", queries, self._dim, one=True)
        options = _search_options(
            threads, filter, max_codes, nprobe, probe_scale=probe_scale, profile=profile, budget=budget, stats=stats
        )
        result = ctypes.c_void_p()
        call_long(
            *(library.ivf_range_search_typed, self._handle, x, element, len(x), self._dim, radius, options),
            ctypes.byref(result),
            options=options,
            rows=len(x),
            progress=progress,
            cancel=cancel,
        )
        return view(result.value)


    def query_expansion(
        self,
        queries: npt.ArrayLike | Bfloat16,
        k: int = 10,
        alpha: float = 3.0,
        nprobe: int | None = None,
        *,
        filter: Selection | None = None,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> Rows:
        """Alpha query expansion: each query's mean with its k best, weighted by similarity**alpha, `[n, dim]`.

        The query weighs 1. Results of "ip" and "cosine" have length 1; for "l2" the similarity is
        1 / (1 + distance).
        """
        options = _search_options(threads, filter, None, nprobe)
        function = library.ivf_query_expansion_typed
        return self._mix(function, queries, k, (alpha,), options, progress, cancel)

    def blend(
        self,
        queries: npt.ArrayLike | Bfloat16,
        k: int = 8,
        power: float = 2.0,
        ratio: float = 1.0,
        nprobe: int | None = None,
        *,
        filter: Selection | None = None,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> Rows:
        """ratio * blend + (1 - ratio) * query, `[n, dim]`.

        The blend is the mean of the k nearest, weighted by 1 / distance**power (of the squared distance for "l2", of
        1 - similarity for "cosine"). Vectors at distance 0 share all the weight; a query without hits stays.
        """
        options = _search_options(threads, filter, None, nprobe)
        return self._mix(library.ivf_blend_typed, queries, k, (power, ratio), options, progress, cancel)

    def _mix(
        self,
        function: Any,
        queries: npt.ArrayLike | Bfloat16,
        k: int,
        how: tuple[float, ...],
        options: _abi.SearchOptions,
        progress: Progress,
        cancel: Cancel | None,
    ) -> Rows:
        x, element = typed_rows("queries", queries, self._dim, one=True)
        out = np.empty(x.shape, np.float32)
        call_long(
            *(function, self._handle, x, element, len(x), self._dim, unsigned("k", k), *how, out, options),
            options=options,
            rows=len(x),
            progress=progress,
            cancel=cancel,
        )
        given = queries.bits if isinstance(queries, Bfloat16) else queries
        return out if np.ndim(given) > 1 else out[0]


#: The same function, whose arguments are of C's types already.
_search_typed = of_c_types("ivf_search_typed")
_F32, _ONE = ctypes.c_int32(_abi.ELEMENT_F32), ctypes.c_uint64(1)


@lru_cache(maxsize=64, typed=True)
def _plain_options(
    k: int,
    threads: int,
    max_codes: int | None,
    nprobe: int | None,
    recall: float | None,
    probe_scale: float | None,
    k_factor: float | None,
) -> tuple[int, ctypes.c_uint32, Any]:
    """k, and for C k and options that hold no pointer, which nobody writes to: single queries ask for the same again and
    again."""
    options = _search_options(threads, None, max_codes, nprobe, recall, probe_scale, k_factor=k_factor)
    k = unsigned("k", k)
    return k, ctypes.c_uint32(k), ctypes.byref(options)


def _search_options(
    threads: int,
    filter: Selection | None,
    max_codes: int | None,
    nprobe: int | None = None,
    recall: float | None = None,
    probe_scale: float | None = None,
    *,
    profile: Profile | None = None,
    budget: Budget | None = None,
    k_factor: float | None = None,
    stats: SearchStats | None = None,
) -> _abi.SearchOptions:
    options = _abi.SearchOptions()
    # What was not given stays 0: a single query feels every field that is set.
    if threads:
        options.threads = unsigned("threads", threads)
    if nprobe is not None:
        options.nprobe = unsigned("nprobe", nprobe)
    if recall is not None:
        options.target_recall = float(recall)
    if max_codes is not None:
        options.max_codes = unsigned("max_codes", max_codes, 64)
    if k_factor is not None:
        options.k_factor = float(k_factor)
    if probe_scale is not None:
        options.probe_scale = float(probe_scale)
    if profile is not None or budget is not None:
        set_budget(options, profile, budget)
    if stats is not None:
        stats._point(options)
    if filter is not None:
        made = Filter.of(filter)
        options.point("filter", made._handle._as_parameter_, made)
    return options
