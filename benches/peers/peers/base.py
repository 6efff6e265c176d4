"""What the bench asks of a library.

A peer imports its library in `__init__`, never at the top of its file: the list of peers is read
before anything is installed, and each peer lives in a process of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Setting:
    """What all peers are given alike."""

    dim: int
    nlist: int
    nprobe: int
    k: int
    metric: str  # "l2" or "ip"
    threads: int
    kernel: str | None = None  # ours only: force a kernel level
    device: str = "cpu"  # or "gpu", or a part of a GPU's name
    storage: str = "fp32"  # what lists hold vectors in: "fp32" or "fp16"


class Peer:
    """One IVF index of one library, in a process of its own. Arrays are float32, C order."""

    #: The name on the command line and in the JSON.
    name: str
    #: What pip needs, one call a list.
    requirements: list[list[str]] = []
    #: What its lists can hold vectors in.
    storages: tuple[str, ...] = ("fp32",)
    #: Whether it can restrict searches to some ids.
    filters = False

    def __init__(self, setting: Setting):
        self.setting = setting

    @property
    def version(self) -> str:
        """The library's version and what it runs on."""
        raise NotImplementedError

    def train(self, x: np.ndarray) -> None:
        """The library's own training with its own defaults; x [n, dim]."""
        raise NotImplementedError

    def set_centroids(self, centroids: np.ndarray) -> None:
        """Takes these centroids [nlist, dim] in place of training."""
        raise NotImplementedError

    def centroids(self) -> np.ndarray:
        """The centroids [nlist, dim]."""
        raise NotImplementedError

    def add(self, x: np.ndarray) -> None:
        """Adds the rows of x [n, dim] under the ids 0 .. n-1."""
        raise NotImplementedError

    def search(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances and ids, [n, k] each, best first; -1 where there is no hit."""
        raise NotImplementedError

    def restrict(self, mask: np.ndarray | None) -> None:
        """Searches return only rows where the mask, bool [n], is true; None = all rows."""
        raise NotImplementedError

    def transfer(self, queries: np.ndarray) -> float | None:
        """Seconds that sending these queries to the device and results back takes; None if nobody can tell."""
        return None

    def modes(self, batch: int) -> list[str]:
        """Ways of searching that may be best for this batch: a short trial picks one."""
        return ["default"]

    def use(self, mode: str) -> None:
        """Switches to one of `modes`."""

    def stored_bytes(self) -> int | None:
        """What the library itself says that its vectors, ids and lists take; None if it does not say."""
        return None
