"""Files, bytes, copies, pickles."""

from __future__ import annotations

import copy
import gzip
import io
import mmap
import pickle

import numpy as np
import pytest
from conftest import METRICS

import ivf


@pytest.fixture(params=METRICS)
def full(request, x):
    """An index with a bit of everything that may be forgotten."""
    index = ivf.Index(24, "IVF16,Flat", request.param, nprobe=3, allow_duplicate_ids=True)
    index.train(x)
    index.add(x)
    index.add(x[:5], [7, 7, 2**40, 3, 3])
    index.remove([3, 11])
    return index


def check_same(a, b, queries):
    left, right = a.info.__dict__.copy(), b.info.__dict__.copy()
    for info in (left, right):
        # A copy has no room to grow.
        del info["memory_bytes"], info["vector_bytes"]
    assert left == right
    assert a.description == b.description
    for nprobe in (None, 16):
        for found, expected in zip(a.search(queries, 9, nprobe), b.search(queries, 9, nprobe)):
            np.testing.assert_array_equal(found, expected)


WAYS = {
    "to_bytes": lambda index, folder: ivf.from_bytes(index.to_bytes()),
    "memoryview": lambda index, folder: ivf.from_bytes(memoryview(bytearray(index.to_bytes()))),
    "copy": lambda index, folder: copy.copy(index),
    "deepcopy": lambda index, folder: copy.deepcopy({"index": index})["index"],
    **{
        f"pickle_{protocol}": lambda index, folder, protocol=protocol: pickle.loads(
            pickle.dumps(index, protocol=protocol)
        )
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
    "save": lambda index, folder: index.save(folder / "index.ivf") or ivf.load(folder / "index.ivf"),
    "save_str": lambda index, folder: index.save(f"{folder}/и索.ivf") or ivf.load(f"{folder}/и索.ivf"),
    "memory_map": lambda index, folder: index.save(folder / "x") or ivf.load(folder / "x", memory_map=True),
    "not_verified": lambda index, folder: index.save(folder / "x") or ivf.load(folder / "x", verify=False),
}


@pytest.mark.parametrize("way", WAYS)
def test_index_comes_back_whole(way, full, queries, tmp_path):
    check_same(WAYS[way](full, tmp_path), full, queries)


def test_copy_is_independent(full, x):
    other = copy.copy(full)
    other.add(x)
    assert len(other) == len(full) + 3000


def test_copy_keeps_the_context():
    context = ivf.Context(threads=1)
    assert copy.copy(ivf.Index(2, context=context)).context is context


def test_pickle_out_of_band_copies_no_bytes(full, queries):
    buffers = []
    data = pickle.dumps(full, protocol=5, buffer_callback=buffers.append)
    assert len(data) < 1000
    check_same(pickle.loads(data, buffers=buffers), full, queries)


def test_pickle_of_a_closed_index_is_refused(full):
    full.close()
    with pytest.raises(ivf.StateError):
        pickle.dumps(full)


def test_from_bytes_of_a_mapped_file(full, queries, tmp_path):
    full.save(tmp_path / "x")
    with open(tmp_path / "x", "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        check_same(ivf.from_bytes(data), full, queries)


def test_to_bytes_are_those_of_the_file(full, tmp_path):
    full.save(tmp_path / "x")
    assert full.to_bytes() == (tmp_path / "x").read_bytes()


def test_save_replaces_a_file_whole(full, queries, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"before")
    full.save(path)
    check_same(ivf.load(path), full, queries)
    assert [file.name for file in tmp_path.iterdir()] == ["x"]


def test_path_with_nul_is_refused(full):
    with pytest.raises(ivf.ArgumentError, match="path: expected no NUL"):
        full.save("a\0b")


def test_load_into_a_context(full, tmp_path):
    full.save(tmp_path / "x")
    context = ivf.Context(threads=1)
    assert ivf.load(tmp_path / "x", context=context).context is context
    assert ivf.from_bytes(full.to_bytes(), context=context).context is context


def test_check_answers_what_load_answers(full, tmp_path):
    path = tmp_path / "x"
    full.save(path)
    ivf.check(path)
    ivf.check(str(path), context=ivf.Context(threads=1))
    good = path.read_bytes()
    ivf.check(good)
    full.export_faiss(path)
    ivf.check(path)
    for bad in (b"", b"something else", good[:-1], good[:3000] + bytes([good[3000] ^ 1]) + good[3001:]):
        with pytest.raises(ivf.IvfError) as loaded:
            ivf.from_bytes(bad)
        with pytest.raises(type(loaded.value)) as checked:
            ivf.check(bad)
        assert str(checked.value) == str(loaded.value)
        path.write_bytes(bad)
        with pytest.raises(type(loaded.value), match="x: "):
            ivf.check(path)
    with pytest.raises(ivf.IoError):
        ivf.check(tmp_path / "absent")


class Slow(io.RawIOBase):
    """Takes and gives a few bytes at a time."""

    def __init__(self):
        self.data, self.at = bytearray(), 0

    def write(self, data):
        self.data += data[:999]
        return min(len(data), 999)

    def read(self, size=-1):
        piece = bytes(self.data[self.at : self.at + min(size, 777)])
        self.at += len(piece)
        return piece


def test_streams_hold_what_files_hold(full, queries, tmp_path):
    file = io.BytesIO()
    full.save(file)
    assert file.getvalue() == full.to_bytes()
    slow = Slow()
    full.save(slow)
    assert slow.data == file.getvalue()
    check_same(ivf.load(slow), full, queries)
    with gzip.open(tmp_path / "x.gz", "wb") as packed:
        full.save(packed)
    with gzip.open(tmp_path / "x.gz") as packed:
        check_same(ivf.load(packed, context=ivf.Context(threads=1)), full, queries)


def test_streams_leave_what_follows(full, queries):
    file = io.BytesIO()
    for part in (full, ivf.Index(3)):
        part.save(file)
    file.write(b"rest")
    file.seek(0)
    check_same(ivf.load(file), full, queries)
    assert ivf.load(file).dim == 3
    assert file.read() == b"rest"


def test_streams_of_faiss_are_read_to_the_end(full, tmp_path):
    full.export_faiss(tmp_path / "x")
    with open(tmp_path / "x", "rb") as file:
        assert len(ivf.load(file)) == len(full)


def test_streams_that_raise_are_heard_once(full):
    class Failing:
        calls = 0

        def write(self, data):
            self.calls += 1
            raise OSError("disk full")

        def read(self, size):
            self.calls += 1
            raise KeyError("gone")

    failing = Failing()
    with pytest.raises(OSError, match="disk full"):
        full.save(failing)
    with pytest.raises(KeyError, match="gone"):
        ivf.load(failing)
    assert failing.calls == 2


def test_streams_of_text_and_of_nonsense_are_refused(full):
    with pytest.raises(TypeError):
        full.save(io.StringIO())
    with pytest.raises(TypeError, match="expected bytes, got str"):
        ivf.load(io.StringIO("text"))
    with pytest.raises(ivf.FormatError):
        ivf.load(io.BytesIO(b"something else"))
    with pytest.raises(ivf.CorruptError, match="truncated"):
        ivf.load(io.BytesIO(full.to_bytes()[:-1]))
    with pytest.raises(ivf.ArgumentError, match="memory_map"):
        ivf.load(io.BytesIO(full.to_bytes()), memory_map=True)
