"""faiss's files."""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from typing import Any

import numpy as np
import numpy.typing as npt

from ..index import Index as Core
from ._factory import of_core
from ._indexes import Index
from ._ivf import IndexIVF
from ._wrappers import try_extract_index_ivf

IO_FLAG_MMAP = 2

# Where an IVF index has its nprobe: behind code, header and nlist.
_NPROBE_OFFSET = 4 + 33 + 8


def read_index(path: str | os.PathLike[str], io_flags: int = 0) -> Index:
    """Reads a file of faiss or of ivf. IO_FLAG_MMAP maps the lists, for files of ivf."""
    if io_flags not in (0, IO_FLAG_MMAP):
        raise NotImplementedError(f"io_flags: expected 0 or IO_FLAG_MMAP, got {io_flags}")
    return of_core(Core.load(path, memory_map=io_flags == IO_FLAG_MMAP))


def write_index(index: Index, path: str | os.PathLike[str]) -> None:
    """Writes a file that faiss reads, too."""
    index._whole.export_faiss(path)
    lists = try_extract_index_ivf(index)
    if lists is not None and lists.nprobe != index._core.nprobe:
        _write_nprobe(lists, path)


def _write_nprobe(lists: IndexIVF, path: str | os.PathLike[str]) -> None:
    """nprobe is an attribute here, and fixed in the core. The file is whole before and after."""
    code = b"IwFl" + struct.pack("<i3q", lists.d, lists.ntotal, 1 << 20, 1 << 20)
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as bytes:
        # Behind transforms and id maps, if any.
        at = bytes.find(code)
        bytes[at + _NPROBE_OFFSET : at + _NPROBE_OFFSET + 8] = struct.pack("<Q", lists.nprobe)


def serialize_index(index: Index) -> npt.NDArray[np.uint8]:
    """The bytes that write_index writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "index")
        write_index(index, path)
        return np.fromfile(path, np.uint8)


def deserialize_index(data: Any, io_flags: int = 0) -> Index:
    """The index of bytes of serialize_index, faiss's or ivf's own."""
    if io_flags:
        raise NotImplementedError(f"io_flags: expected 0, got {io_flags}")
    return of_core(Core.from_bytes(data))
