"""What training an index and k-means have in common."""

from __future__ import annotations

from . import _abi
from ._errors import ArgumentError

SEEDINGS = {
    "default": _abi.SEEDING_DEFAULT,
    "random": _abi.SEEDING_RANDOM,
    "k-means++": _abi.SEEDING_PLUS_PLUS,
    "hierarchical": _abi.SEEDING_HIERARCHICAL,
}


def seeding_of(name: str) -> int:
    """The number of a seeding."""
    if name not in SEEDINGS:
        raise ArgumentError(f"seeding: expected one of {', '.join(map(repr, SEEDINGS))}, got {name!r}")
    return SEEDINGS[name]
