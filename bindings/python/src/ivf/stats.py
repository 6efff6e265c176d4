"""What a search did."""

from __future__ import annotations

import ctypes

from . import _abi


class SearchStats:
    """What a search did, summed over its queries: `stats = SearchStats(); index.search(x, stats=stats)`.

    Each search writes it anew; searches at the same time need one each.
    """

    def __init__(self) -> None:
        self._numbers = _abi.SearchStats()

    def _point(self, options: _abi.SearchOptions) -> None:
        """Lets a search write here."""
        options.point("stats", ctypes.pointer(self._numbers), self._numbers)

    @property
    def queries(self) -> int:
        """Queries answered."""
        return int(self._numbers.queries)

    @property
    def lists(self) -> int:
        """Lists visited that held anything to look at; of a flat index the one that it is."""
        return int(self._numbers.lists)

    @property
    def codes(self) -> int:
        """Vectors looked at in them, whether a filter let them pass or not.

        Removed ones do not count, nor what a budget or max_codes cut off.
        """
        return int(self._numbers.codes)

    @property
    def prepare_seconds(self) -> float:
        """Time spent on making queries ready: widened, normalised, transformed."""
        return float(self._numbers.prepare_ns) / 1e9

    @property
    def coarse_seconds(self) -> float:
        """Time in which the lists were found; 0 where a GPU finds and scans them at once, which
        :attr:`scan_seconds` tells of."""
        return float(self._numbers.coarse_ns) / 1e9

    @property
    def scan_seconds(self) -> float:
        """Time of the scan and of the selection."""
        return float(self._numbers.scan_ns) / 1e9

    @property
    def refine_seconds(self) -> float:
        """Time in which the best by their codes were compared again ("RFlat", "Refine(...)")."""
        return float(self._numbers.refine_ns) / 1e9

    def __repr__(self) -> str:
        return (
            f"SearchStats(queries={self.queries}, lists={self.lists}, codes={self.codes}, "
            f"prepare_seconds={self.prepare_seconds:.6f}, coarse_seconds={self.coarse_seconds:.6f}, "
            f"scan_seconds={self.scan_seconds:.6f}, refine_seconds={self.refine_seconds:.6f})"
        )
