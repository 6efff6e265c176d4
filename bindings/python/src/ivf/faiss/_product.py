"""faiss's product quantizer classes: of each part of a vector the nearest word of a codebook."""

from __future__ import annotations

from ..index import Index as Core
from ..metric import METRIC_L2
from ._indexes import IndexFlat, IndexFlatCodes
from ._ivf import IndexIVF

#: Vectors that fast scan packs together in faiss. Lists here are blocks of 32 whatever it says.
_BLOCK = 32


def _name_of(M: int, nbits: int, fast: bool) -> str:
    """As descriptions name them."""
    allowed = (4,) if fast else (4, 8)
    if nbits not in allowed:
        raise NotImplementedError(f"nbits: expected {' or '.join(map(str, allowed))}, got {nbits}")
    return f"PQ{M}" if nbits == 8 else f"PQ{M}x4{'fs' if fast else ''}"


class IndexPQ(IndexFlatCodes):
    """Search of all vectors, each in the words of M parts."""

    __slots__ = ()

    def __init__(self, d: int, M: int, nbits: int = 8, metric: int = METRIC_L2):
        super().__init__(Core(d, _name_of(M, nbits, fast=False), metric))


class IndexPQFastScan(IndexFlatCodes):
    """The same with 4 bits a part, looked up in registers: distances are rounded."""

    __slots__ = ()

    def __init__(self, d: int, M: int, nbits: int = 4, metric: int = METRIC_L2, bbs: int = _BLOCK):
        super().__init__(Core(d, _name_of(M, nbits, fast=True), metric))


class IndexIVFPQ(IndexIVF):
    """Residuals in the words of M parts, in inverted lists."""

    __slots__ = ()

    def __init__(
        self, quantizer: IndexFlat, d: int, nlist: int, M: int, nbits: int = 8, metric: int = METRIC_L2
    ):
        super().__init__(*self._made(quantizer, d, nlist, _name_of(M, nbits, fast=False), metric))
        self._take_centroids()


class IndexIVFPQFastScan(IndexIVF):
    """Vectors in the words of M parts of 4 bits, in inverted lists, looked up in registers: distances are rounded."""

    __slots__ = ()

    def __init__(
        self,
        quantizer: IndexFlat,
        d: int,
        nlist: int,
        M: int,
        nbits: int = 4,
        metric: int = METRIC_L2,
        bbs: int = _BLOCK,
    ):
        super().__init__(*self._made(quantizer, d, nlist, _name_of(M, nbits, fast=True), metric))
        self._take_centroids()
