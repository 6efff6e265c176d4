"""The indexes whose curves of recall against speed are drawn: a class a library, a name an index.

A new contestant is a class with `candidates`, which names its indexes for a data set.
"""

from .base import Contestant, Task
from .faiss_cpu import FaissIndex
from .graphs import Hnswlib, Usearch
from .libivf import LibivfIndex
from .scann import Scann

LIBRARIES: dict[str, type[Contestant]] = {
    library.library: library for library in (LibivfIndex, FaissIndex, Scann, Hnswlib, Usearch)
}
OURS = LibivfIndex.library

__all__ = ["LIBRARIES", "OURS", "Contestant", "Task"]
