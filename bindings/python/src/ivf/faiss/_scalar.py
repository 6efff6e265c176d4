"""faiss's scalar quantizer classes: vectors in half the memory or a quarter of it."""

from __future__ import annotations

from ..index import Index as Core
from ..metric import METRIC_L2
from ._indexes import IndexFlat, IndexFlatCodes
from ._ivf import IndexIVF


class ScalarQuantizer:
    """Names of what a column is held in."""

    QT_8bit, QT_4bit, QT_fp16, QT_8bit_direct, QT_6bit, QT_bf16 = 0, 1, 4, 5, 6, 7


# As descriptions name them.
_NAMES = {
    ScalarQuantizer.QT_8bit: "SQ8",
    ScalarQuantizer.QT_4bit: "SQ4",
    ScalarQuantizer.QT_fp16: "SQfp16",
    ScalarQuantizer.QT_8bit_direct: "SQ8_direct",
    ScalarQuantizer.QT_6bit: "SQ6",
    ScalarQuantizer.QT_bf16: "SQbf16",
}


def _name_of(qtype: int) -> str:
    if qtype not in _NAMES:
        known = ", ".join(name for name in vars(ScalarQuantizer) if name.startswith("QT_"))
        raise NotImplementedError(f"qtype: expected one of {known}, got {qtype}")
    return _NAMES[qtype]


class IndexScalarQuantizer(IndexFlatCodes):
    """Search of all vectors, held in fewer bytes."""

    __slots__ = ()

    def __init__(self, d: int, qtype: int, metric: int = METRIC_L2):
        super().__init__(Core(d, _name_of(qtype), metric))


class IndexIVFScalarQuantizer(IndexIVF):
    """Vectors held in fewer bytes in inverted lists."""

    __slots__ = ()

    def __init__(self, quantizer: IndexFlat, d: int, nlist: int, qtype: int, metric: int = METRIC_L2):
        super().__init__(*self._made(quantizer, d, nlist, _name_of(qtype), metric))
        self._take_centroids()
