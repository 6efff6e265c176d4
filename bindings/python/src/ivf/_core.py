"""The handle that every index has, and its life."""

from __future__ import annotations

import ctypes
from typing import Any, TypeVar

from . import _abi
from ._call import Handle, call, library
from ._errors import StateError
from .context import Context

Self = TypeVar("Self", bound="Core")


class Core:
    """An index of the library until it is closed."""

    def _adopt(self, pointer: int | None, context: Context | None) -> None:
        self._live: Handle | None = Handle(pointer, library.ivf_index_destroy)
        self._context = context
        self._dim: int = self._raw_info().dim
        self._c_dim = ctypes.c_uint32(self._dim)

    @property
    def _handle(self) -> Handle:
        if self._live is None:
            raise StateError("the index is closed")
        return self._live

    def _raw_info(self) -> _abi.IndexInfo:
        info = _abi.IndexInfo()
        call(library.ivf_index_get_info, self._handle, info)
        return info

    def close(self) -> None:
        """Gives the memory back once calls in other threads have ended; so does `with ivf.Index(...) as x:`."""
        self._live = None

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
