"""Recall on demand: measuring what recall how many lists give, and the curve that an index keeps of it."""

from __future__ import annotations

import ctypes
import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _abi
from ._arrays import Bfloat16, address, integers, typed_rows, unsigned
from ._call import Cancel, Progress, call, call_long, library
from ._core import Core
from ._errors import StateError


@dataclass(frozen=True)
class Tuned:
    """What Index.tune chose."""

    nprobe: int
    """Lists that a search for this recall looks into, at most."""
    recall: float
    """The recall that the sample had so, or at the next point of the curve."""
    k_factor: float
    """How many times k candidates it compares again; 0 without a refinement."""
    probe_scale: float
    """By what its queries visit fewer lists, see search; 0 = none does."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Recall against cost, as Index.tune measured it; every array is `[points]`."""

    k: int
    """The k nearest that recall counts."""
    queries: int
    """Sample queries."""
    count: int
    """Vectors that the index held."""
    changed: int
    """Vectors added or removed since."""
    stale: bool
    """Whether these are more than a fifth of `count`: searches by recall then fail until tune measures again."""
    nprobe: npt.NDArray[np.uint64]
    """Lists looked into at most, never fewer than before."""
    recall: npt.NDArray[np.float64]
    """The share of the true k nearest that the sample found."""
    low: npt.NDArray[np.float64]
    """What other queries' recall is at least, with 95 % confidence."""
    cost: npt.NDArray[np.float64]
    """Vectors compared with a query on average, centroids included."""
    k_factor: npt.NDArray[np.float32]
    """How many times k candidates were compared again; 0 without a refinement."""
    probe_scale: npt.NDArray[np.float32]
    """By what queries visited fewer lists than nprobe; 0 = none did."""


class Tuning(Core):
    """Recall on demand."""

    def tune(
        self,
        queries: npt.ArrayLike | Bfloat16,
        recall: float = 0.95,
        k: int = 10,
        *,
        truth: npt.ArrayLike | None = None,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> Tuned:
        """Measures what recall of the k nearest how many lists give, on sample queries `[n, dim]`.

        The index keeps the curve, also when it is saved; `search(..., recall=0.95)` then chooses by it, for this k and
        smaller ones, how many lists a query visits (as many for all, or fewer for easy ones), and behind a refinement
        its k_factor, of a flat index that alone. The queries should be like those to come and not among the vectors;
        a thousand or two are plenty. truth: ids `[n, k]` of the true nearest, -1 for none; None = found by an
        exhaustive search.
        """
        x, element = typed_rows("queries", queries, self._dim, one=True)
        options = _abi.TuneOptions(threads=unsigned("threads", threads))
        if truth is not None:
            known = integers("truth", np.atleast_2d(truth), (len(x), unsigned("k", k)))
            options.point("truth", address(known), known)
        result = _abi.TuneResult()
        call_long(
            *(library.ivf_tune_typed, self._handle, x, element, len(x), self._dim, unsigned("k", k), float(recall)),
            *(options, ctypes.byref(result)),
            options=options,
            rows=len(x),
            progress=progress,
            cancel=cancel,
        )
        return Tuned(result.nprobe, result.recall, result.k_factor, result.probe_scale)

    @property
    def curve(self) -> Curve | None:
        """The curve that tune measured last; None before, and after training or reset."""
        info = _abi.CurveInfo()
        call(library.ivf_tune_curve, self._handle, ctypes.byref(info), None, None, None, None, 0)
        points = info.points
        if points == 0:
            return None
        nprobe = np.empty(points, np.uint64)
        recall, low, cost = (np.empty(points) for _ in range(3))
        call(library.ivf_tune_curve, self._handle, ctypes.byref(info), nprobe, recall, low, cost, points)
        k_factor, probe_scale = (np.empty(points, np.float32) for _ in range(2))
        call(library.ivf_tune_curve_k_factor, self._handle, k_factor, points)
        call(library.ivf_tune_curve_probe_scale, self._handle, probe_scale, points)
        return Curve(
            *(info.k, info.queries, info.count, info.changed, bool(info.stale)),
            *(nprobe, recall, low, cost, k_factor, probe_scale),
        )

    def plot_curve(self, axes: Any = None) -> Any:
        """Draws recall against cost with matplotlib (which must be installed); returns the axes."""
        curve = self.curve
        if curve is None:
            raise StateError("there is no curve to plot: call tune first")
        if axes is None:
            axes = importlib.import_module("matplotlib.pyplot").subplots()[1]
        axes.semilogx(curve.cost, curve.recall, marker="o", label=f"recall@{curve.k} of {curve.queries} queries")
        axes.fill_between(curve.cost, curve.low, curve.recall, alpha=0.2, label="at least, with 95 % confidence")
        axes.set(xlabel="vectors compared with a query", ylabel="recall")
        axes.legend()
        return axes
