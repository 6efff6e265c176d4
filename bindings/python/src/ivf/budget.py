"""Candidate budgets and profiles: how many vectors of the lists visited a search looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from . import _abi
from ._errors import ArgumentError
from ._arrays import unsigned

Profile = Literal["exact", "speed", "approx_fast", "approx_balanced", "approx_quality"]
Sharing = Literal["uniform", "distance_weighted", "probe_order"]

_PROFILES = ("exact", "speed", "approx_fast", "approx_balanced", "approx_quality")
_SHARINGS = ("uniform", "distance_weighted", "probe_order")


@dataclass(frozen=True)
class Budget:
    """How many vectors a query looks at. What is set replaces what the profile has.

    codes: in all. share: in all, as a share of the vectors in the lists visited. sharing: over the lists; None =
    measured best for the index. list_min, list_max: of each list, at least and at most. dynamic_nprobe: leave
    lists out that would get less than 32 vectors, or less than list_min. strict: keep the budget to the vector.
    """

    codes: int | None = None
    share: float | None = None
    sharing: Sharing | None = None
    list_min: int | None = None
    list_max: int | None = None
    dynamic_nprobe: bool | None = None
    strict: bool | None = None

    def _set(self, options: _abi.SearchOptions) -> None:
        options.budget_codes = unsigned("codes", self.codes, 64)
        options.budget_share = 0.0 if self.share is None else float(self.share)
        options.budget_sharing = _number("sharing", self.sharing, _SHARINGS)
        options.list_min = unsigned("list_min", self.list_min)
        options.list_max = unsigned("list_max", self.list_max)
        options.dynamic_nprobe = _switch(self.dynamic_nprobe)
        options.strict_budget = _switch(self.strict)


def set_budget(options: _abi.SearchOptions, profile: Profile | None, budget: Budget | None) -> None:
    """Writes a profile and a budget into the options of a search."""
    options.profile = _number("profile", profile, _PROFILES)
    if budget is not None:
        budget._set(options)


def _number(what: str, name: str | None, names: tuple[str, ...]) -> int:
    if name is None:
        return 0
    if name not in names:
        raise ArgumentError(f"{what}: expected one of {', '.join(names)}, got {name!r}")
    return names.index(name) + 1


def _switch(on: bool | None) -> int:
    return 0 if on is None else 1 if on else 2
