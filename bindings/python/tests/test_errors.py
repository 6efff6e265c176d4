"""Each failure is of its own class and of the built-in one that Python people catch."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import ivf
from ivf import _errors


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (ivf.ArgumentError, ValueError),
        (ivf.DimensionError, ValueError),
        (ivf.NotFiniteError, ValueError),
        (ivf.SizeOverflowError, OverflowError),
        (ivf.NotTrainedError, RuntimeError),
        (ivf.StateError, RuntimeError),
        (ivf.TooFewPointsError, ValueError),
        (ivf.DuplicateIdError, ValueError),
        (ivf.NotFoundError, KeyError),
        (ivf.DescriptionError, ValueError),
        (ivf.OutOfMemoryError, MemoryError),
        (ivf.IoError, OSError),
        (ivf.FileMissingError, FileNotFoundError),
        (ivf.CorruptError, ValueError),
        (ivf.UnsupportedError, NotImplementedError),
    ],
)
def test_error_is_of_both_kinds_and_keeps_its_text(kind, builtin):
    error = kind("the text")
    assert isinstance(error, builtin)
    assert isinstance(error, ivf.IvfError)
    assert str(error) == "the text"
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (kind, "the text")


def test_error_of_an_unknown_status_keeps_number_and_text():
    error = _errors.error(99, "what happened")
    assert type(error) is ivf.IvfError
    assert str(error) == "status 99, which this package does not know: what happened"


def test_error_text_is_the_library_s():
    with pytest.raises(ivf.DescriptionError) as raised:
        ivf.Index(4, "IVF16,PX8")
    assert "IVF16,PX8" in str(raised.value)
    assert "position 6" in str(raised.value)
    assert (raised.value.status, raised.value.status_name) == (11, "IVF_E_DESCRIPTION")


def test_load_missing_file_is_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nichts\.ivf"):
        ivf.load(tmp_path / "nichts.ivf")


def test_save_into_missing_folder_is_file_not_found(tmp_path):
    with pytest.raises(ivf.FileMissingError):
        ivf.Index(2).save(tmp_path / "no" / "folder.ivf")


def test_load_folder_is_an_os_error(tmp_path):
    with pytest.raises(OSError):
        ivf.load(tmp_path)


def test_load_foreign_file_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"%PDF-1.7 not an index at all, whatever its name may say")
    with pytest.raises(ivf.FormatError):
        ivf.load(tmp_path / "x")


def test_load_truncated_file_is_refused(tmp_path, index):
    data = index.to_bytes()
    (tmp_path / "x").write_bytes(data[: len(data) // 2])
    with pytest.raises(ivf.CorruptError):
        ivf.load(tmp_path / "x")
    with pytest.raises((ivf.CorruptError, ivf.FormatError)):
        ivf.from_bytes(data[:100])


def test_load_damaged_file_is_refused(index):
    data = bytearray(index.to_bytes())
    data[len(data) // 2] ^= 1
    with pytest.raises(ivf.CorruptError):
        ivf.from_bytes(data)


def test_failure_changes_nothing(index, x):
    before = index.to_bytes()
    bad = x.copy()
    bad[2999, 3] = np.nan
    for attempt in (
        lambda: index.add(bad),
        lambda: index.add(x[:2], [5000, 4]),
        lambda: index.train(x),
        lambda: index.set_centroids(x[:16]),
        lambda: index.add(x[:, :3]),
    ):
        with pytest.raises(ivf.IvfError):
            attempt()
    assert index.to_bytes() == before
