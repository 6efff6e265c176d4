"""What training an index and k-means have in common."""

from __future__ import annotations

import logging

from . import _abi
from ._errors import ArgumentError

log = logging.getLogger("ivf")

SEEDINGS = {
    "default": _abi.SEEDING_DEFAULT,
    "random": _abi.SEEDING_RANDOM,
    "k-means++": _abi.SEEDING_PLUS_PLUS,
    "hierarchical": _abi.SEEDING_HIERARCHICAL,
}

# Training with fewer points a centroid works, but the lists come out uneven; faiss warns below the same.
POINTS_A_CENTROID = 39


def seeding_of(name: str) -> int:
    """The number of a seeding."""
    if name not in SEEDINGS:
        raise ArgumentError(f"seeding: expected one of {', '.join(map(repr, SEEDINGS))}, got {name!r}")
    return SEEDINGS[name]


def warn_if_few(points: int, centroids: int) -> None:
    """Says in the log that training had few points."""
    if points < POINTS_A_CENTROID * centroids:
        log.warning(
            "training %d centroids wants at least %d points (%d each), got %d: the lists will be uneven",
            centroids,
            POINTS_A_CENTROID * centroids,
            POINTS_A_CENTROID,
            points,
        )
