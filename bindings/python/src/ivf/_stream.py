"""Binary file objects as the library's streams."""

from __future__ import annotations

import ctypes
import io
from typing import Any

from . import _abi
from ._call import LONG_CALL_ROWS, Cancel, Progress, call_long
from ._errors import IvfError


class Stream:
    """A file object behind the callbacks; what it raises ends the call and is raised again by `run`."""

    def __init__(self, file: Any):
        self._file = file
        self._failure: BaseException | None = None
        self.write = _abi.WriteFn(self._write)
        self.read = _abi.ReadFn(self._read)

    def run(self, *arguments: Any, options: _abi.IoOptions, progress: Progress, cancel: Cancel | None) -> None:
        """Makes the call."""
        try:
            call_long(*arguments, options=options, rows=LONG_CALL_ROWS, progress=progress, cancel=cancel)
        except IvfError:
            if self._failure is None:
                raise
        if self._failure is not None:
            raise self._failure

    def _write(self, data: Any, size: int, _user_data: Any) -> int:
        try:
            # A copy, because a file object may keep what it is given.
            left = memoryview(ctypes.string_at(data, size))
            while left:
                written = self._file.write(left)
                if written is None and isinstance(self._file, io.RawIOBase):
                    raise BlockingIOError("write: expected a blocking file, got one that would have to wait")
                # What is not of `io` may answer nothing and have written all.
                left = left[len(left) if written is None else written :]
            return 0
        except BaseException as failure:
            self._failure = failure
            return -1

    def _read(self, buffer: Any, size: int, _user_data: Any) -> int:
        try:
            data = self._file.read(size)
            if data is None:
                raise BlockingIOError("read: expected a blocking file, got one that would have to wait")
            if not isinstance(data, (bytes, bytearray, memoryview)):
                raise TypeError(f"read: expected bytes, got {type(data).__name__}; is the file opened as binary?")
            if len(data) > size:
                raise ValueError(f"read: expected at most {size} bytes, got {len(data)}")
            ctypes.memmove(buffer, bytes(data), len(data))
            return len(data)
        except BaseException as failure:
            self._failure = failure
            return -1
