"""faiss's files."""

from __future__ import annotations

import os
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from ..index import Index as Core
from ._factory import of_core
from ._indexes import Index
from ._ivf import IndexIVF

IO_FLAG_MMAP = 2

# Where an IVF file has its nprobe: behind code, header and nlist.
_NPROBE_OFFSET = 4 + 33 + 8


def read_index(path: str | os.PathLike[str], io_flags: int = 0) -> Index:
    """Reads a file of faiss or of ivf. IO_FLAG_MMAP maps the lists, for files of ivf."""
    if io_flags not in (0, IO_FLAG_MMAP):
        raise NotImplementedError(f"io_flags: expected 0 or IO_FLAG_MMAP, got {io_flags}")
    return of_core(Core.load(path, memory_map=io_flags == IO_FLAG_MMAP))


def write_index(index: Index, path: str | os.PathLike[str]) -> None:
    """Writes a file that faiss reads, too."""
    index._core.export_faiss(path)
    if isinstance(index, IndexIVF) and index.nprobe != index._core.nprobe:
        # nprobe is an attribute here, and fixed in the core. The file is whole before and after.
        with open(path, "r+b") as file:
            file.seek(_NPROBE_OFFSET)
            file.write(struct.pack("<Q", index.nprobe))


def serialize_index(index: Index) -> npt.NDArray[np.uint8]:
    """The index as bytes, in the format of ivf; nprobe is not in it."""
    return index._core._bytes()


def deserialize_index(data: Any) -> Index:
    """The index of bytes of serialize_index, or of a faiss file."""
    return of_core(Core.from_bytes(data))
