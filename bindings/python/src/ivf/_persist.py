"""Saving, loading, bytes and pickling of an index."""

from __future__ import annotations

import ctypes
import os
import pickle
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from . import _abi
from ._arrays import text, unsigned
from ._call import LONG_CALL_ROWS, Cancel, Progress, call, call_long, library, make
from ._core import Core
from ._stream import Stream
from .context import Context, handle_of, handle_or_default

Self = TypeVar("Self", bound="Persistent")


class Persistent(Core):
    """What an index does with files and bytes."""

    def save(
        self,
        path: str | os.PathLike[str] | Any,
        *,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Saves to a file of the library's own format: checksums, and either the old file or the whole new one.

        path: or a binary file object (anything with `write`), which gets the same bytes; what it raises is raised.
        """
        if hasattr(path, "write"):
            options = _abi.IoOptions(threads=unsigned("threads", threads))
            stream = Stream(path)
            stream.run(
                *(library.ivf_save_stream, self._handle, stream.write, None, options),
                options=options,
                progress=progress,
                cancel=cancel,
            )
        else:
            self._save(library.ivf_save, path, threads, progress, cancel)

    def export_faiss(
        self,
        path: str | os.PathLike[str],
        *,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Saves to a file that faiss reads.

        "cosine" becomes faiss's inner product over the normalised vectors, to be searched with normalised
        queries. "Flat" with ids of your own becomes an IndexIDMap2.
        """
        self._save(library.ivf_export_faiss, path, threads, progress, cancel)

    def _save(self, function: Any, path: Any, threads: int, progress: Progress, cancel: Cancel | None) -> None:
        options = _abi.IoOptions(threads=unsigned("threads", threads))
        call_long(
            *(function, self._handle, text("path", path), options),
            options=options,
            rows=LONG_CALL_ROWS,
            progress=progress,
            cancel=cancel,
        )

    @classmethod
    def load(
        cls: type[Self],
        path: str | os.PathLike[str] | Any,
        *,
        memory_map: bool = False,
        verify: bool = True,
        context: Context | None = None,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> Self:
        """Loads an index from a file of `save` or of faiss; its first bytes tell which.

        path: or a binary file object (anything with `read`); what it raises is raised. Of the library's own format
        exactly the index is read, and what follows is left; an index of faiss's has to be all that still comes.
        memory_map: maps the lists instead of reading them; the file must stay as it is while the index lives.
        verify: False skips the lists' checksums, for files that are your own.
        """
        options = _abi.IoOptions(
            threads=unsigned("threads", threads), memory_map=int(memory_map), skip_verify=int(not verify)
        )
        pointer = ctypes.c_void_p()
        if hasattr(path, "read"):
            stream = Stream(path)
            stream.run(
                *(library.ivf_load_stream, handle_or_default(context), stream.read, None, options, ctypes.byref(pointer)),
                options=options,
                progress=progress,
                cancel=cancel,
            )
            return cls._of(pointer.value, context)
        call_long(
            *(library.ivf_load, handle_or_default(context), text("path", path), options, ctypes.byref(pointer)),
            options=options,
            rows=LONG_CALL_ROWS,
            progress=progress,
            cancel=cancel,
        )
        return cls._of(pointer.value, context)

    def to_bytes(self, *, progress: Progress = None, cancel: Cancel | None = None) -> bytes:
        """The bytes that `save` writes."""
        return self._bytes(progress, cancel).tobytes()

    def _bytes(self, progress: Progress = None, cancel: Cancel | None = None) -> npt.NDArray[np.uint8]:
        size = ctypes.c_uint64()
        call(library.ivf_serialize, self._handle, None, 0, ctypes.byref(size))
        buffer = np.empty(size.value, np.uint8)
        options = _abi.IoOptions()
        call_long(
            *(library.ivf_serialize_v2, self._handle, buffer, buffer.size, ctypes.byref(size), options),
            options=options,
            rows=LONG_CALL_ROWS,
            progress=progress,
            cancel=cancel,
        )
        return buffer

    @classmethod
    def from_bytes(cls: type[Self], data: Any, *, context: Context | None = None) -> Self:
        """Makes an index of the bytes of `to_bytes` or of a faiss file (anything with the buffer protocol)."""
        buffer = np.frombuffer(data, np.uint8)
        pointer = make(library.ivf_deserialize, handle_or_default(context), buffer, buffer.size, None)
        return cls._of(pointer, context)

    @classmethod
    def _of(cls: type[Self], pointer: int | None, context: Context | None) -> Self:
        index = cls.__new__(cls)
        index._adopt(pointer, context)
        return index

    def clone(
        self: Self,
        context: Context | None = None,
        *,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> Self:
        """A copy that is an index of its own, on the same context or on another."""
        own = self._context if context is None else context
        pointer = ctypes.c_void_p()
        options = _abi.IoOptions(threads=unsigned("threads", threads))
        call_long(
            *(library.ivf_index_clone_v2, self._handle, handle_of(context), ctypes.byref(pointer), options),
            options=options,
            rows=LONG_CALL_ROWS,
            progress=progress,
            cancel=cancel,
        )
        return self._of(pointer.value, own)

    def to(self: Self, context: Context) -> Self:
        """A copy on another context, such as one on a GPU."""
        return self.clone(context)

    def __copy__(self: Self) -> Self:
        return self.clone()

    def __deepcopy__(self: Self, _memo: Any) -> Self:
        return self.__copy__()

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """By bytes, without the context. From protocol 5 on out of band, so without another copy, where asked."""
        data = pickle.PickleBuffer(self._bytes().data) if int(protocol) >= 5 else self.to_bytes()
        return type(self).from_bytes, (data,)


def check(
    source: Any,
    *,
    context: Context | None = None,
    threads: int = 0,
    progress: Progress = None,
    cancel: Cancel | None = None,
) -> None:
    """Raises what loading would raise, without keeping the vectors; for files that nobody vouches for.

    source: a path, or the bytes themselves (anything with the buffer protocol).
    """
    options = _abi.IoOptions(threads=unsigned("threads", threads))
    on = handle_or_default(context)
    if isinstance(source, (str, os.PathLike)):
        call_long(
            *(library.ivf_check, on, text("path", source), options),
            options=options,
            rows=LONG_CALL_ROWS,
            progress=progress,
            cancel=cancel,
        )
    else:
        data = np.frombuffer(source, np.uint8)
        call_long(
            *(library.ivf_check_bytes, on, data, data.size, options),
            options=options,
            rows=LONG_CALL_ROWS,
            progress=progress,
            cancel=cancel,
        )
