"""What the curves ask of an index. Each lives in a process of its own and imports its library in `__init__`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Task:
    """What all are given alike. Cosine data are unit vectors: there the inner product is asked for."""

    dim: int
    count: int
    nlist: int
    k: int
    cosine: bool  # else L2
    threads: int


#: One way to search: what the library calls its parameters, with values.
Settings = dict[str, float]

#: How many lists are visited.
PROBES = (1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 32, 40, 48, 56, 64, 96, 128)


class Contestant:
    """One index of one library. Arrays are float32, C order; ids are the rows' numbers."""

    library: str
    #: What pip needs, one call a list.
    requirements: list[list[str]] = []

    def __init__(self, task: Task, index: str):
        self.task, self.index = task, index

    @staticmethod
    def candidates(task: Task) -> list[str]:
        """The library's indexes that may be best for this task, by what `__init__` calls `index`."""
        raise NotImplementedError

    @property
    def version(self) -> str:
        raise NotImplementedError

    def build(self, x: np.ndarray) -> None:
        """Trains on and adds all rows of x [n, dim]."""
        raise NotImplementedError

    def sweep(self) -> list[Settings]:
        """Its whole parameter range, roughly from fast to sure."""
        raise NotImplementedError

    def use(self, settings: Settings, threads: int) -> None:
        """What the next searches go by."""
        raise NotImplementedError

    def search(self, queries: np.ndarray) -> np.ndarray:
        """Ids [n, k], best first."""
        raise NotImplementedError

    def _probes(self) -> list[int]:
        """Numbers of lists to visit, at most a quarter of them."""
        return [probes for probes in PROBES if probes <= max(1, self.task.nlist // 4)]
