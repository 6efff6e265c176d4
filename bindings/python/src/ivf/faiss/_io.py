"""faiss's files."""

from __future__ import annotations

import mmap
import os
import re
import struct
import tempfile
from typing import Any

import numpy as np
import numpy.typing as npt

from ..index import Index as Core
from ._factory import of_core
from ._indexes import Index
from ._ivf import IndexIVF
from ._parameters import refined_within, try_extract_index_ivf
from ._refine import IndexRefine

IO_FLAG_MMAP = 2


def read_index(path: str | os.PathLike[str], io_flags: int = 0) -> Index:
    """Reads a file of faiss or of ivf. IO_FLAG_MMAP maps the lists, for files of ivf."""
    if io_flags not in (0, IO_FLAG_MMAP):
        raise NotImplementedError(f"io_flags: expected 0 or IO_FLAG_MMAP, got {io_flags}")
    return of_core(Core.load(path, memory_map=io_flags == IO_FLAG_MMAP))


def write_index(index: Index, path: str | os.PathLike[str]) -> None:
    """Writes a file that faiss reads, too."""
    index._whole.export_faiss(path)
    # Attributes here, and fixed in the core. The file is whole before and after.
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        lists, refined = try_extract_index_ivf(index), refined_within(index)
        if lists is not None:
            _put(data, _nprobe_offset(data, lists), struct.pack("<Q", lists.nprobe))
        if refined is not None:
            _put(data, _k_factor_offset(data, refined), struct.pack("<f", refined.k_factor))


def _put(data: mmap.mmap, at: int, value: bytes) -> None:
    if data[at : at + len(value)] != value:
        data[at : at + len(value)] = value


def _nprobe_offset(data: mmap.mmap, lists: IndexIVF) -> int:
    """Behind code, header and nlist of the IVF index, which may be within others."""
    header = struct.pack("<i3q", lists.d, lists.ntotal, 1 << 20, 1 << 20)
    found = re.search(b"Iw.." + re.escape(header), data, re.DOTALL)
    assert found is not None, "every file of an IVF index has its header"
    return found.start() + 4 + 33 + 8


def _k_factor_offset(data: mmap.mmap, refined: IndexRefine) -> int:
    """At the end, before the ids of an id map."""
    ids = 8 + 8 * refined.ntotal if data[:4] == b"IxM2" else 0
    return len(data) - ids - 4


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
