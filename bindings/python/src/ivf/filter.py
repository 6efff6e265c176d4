"""Sets of ids that a search may return."""

from __future__ import annotations

from typing import Any, Union

import numpy as np
import numpy.typing as npt

from ._arrays import integers
from ._call import Handle, library, make
from ._errors import DimensionError


class Filter:
    """Ids that a search may return: `index.search(xq, k, filter=Filter.of(mask) & ~Filter.of([3, 7]))`.

    Any number of searches and threads may use one at the same time.
    """

    def __init__(self, pointer: int | None):
        self._handle = Handle(pointer, library.ivf_filter_destroy)

    @staticmethod
    def of(ids: Selection) -> Filter:
        """A filter of ids `[n]`; of a range with step 1; or of a mask, bool `[n]`: the ids where it is true."""
        if isinstance(ids, Filter):
            return ids
        if isinstance(ids, range):
            if ids.step != 1:
                raise ValueError(f"filter: expected a range with step 1, got {ids}")
            return Filter(make(library.ivf_filter_create_range, ids.start, ids.stop))
        array = np.asarray(ids)
        if array.dtype != bool:
            wanted = integers("filter", array, (None,))
            return Filter(make(library.ivf_filter_create_ids, wanted, len(wanted)))
        if array.ndim != 1:
            raise DimensionError(f"filter: expected a mask of shape [n], got {list(array.shape)}")
        bits = np.packbits(array, bitorder="little")
        return Filter(make(library.ivf_filter_create_bitmap, bits, len(array)))

    def __and__(self, other: Selection) -> Filter:
        return Filter(make(library.ivf_filter_create_and, self._handle, Filter.of(other)._handle))

    def __or__(self, other: Selection) -> Filter:
        return Filter(make(library.ivf_filter_create_or, self._handle, Filter.of(other)._handle))

    def __invert__(self) -> Filter:
        return Filter(make(library.ivf_filter_create_not, self._handle))

    __rand__, __ror__ = __and__, __or__
    # Keeps NumPy from spreading an array & filter over the array's elements.
    __array_ufunc__: Any = None


Selection = Union[Filter, range, npt.ArrayLike]
"""A Filter, or what Filter.of makes one of."""
