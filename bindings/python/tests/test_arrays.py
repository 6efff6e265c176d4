"""What goes through without a copy, what is converted, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import ivf
from ivf import _arrays


def unaligned(x: np.ndarray) -> np.ndarray:
    buffer = np.zeros(x.nbytes + 1, np.uint8)
    array = buffer[1:].view(x.dtype).reshape(x.shape)
    array[...] = x
    assert not array.flags.aligned
    return array


def read_only(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


WHOLE = np.random.default_rng(3).integers(-50, 50, (40, 6)).astype(np.float32)
VARIANTS = {
    "list": WHOLE.tolist(),
    "tuple_of_arrays": tuple(WHOLE),
    "float16": WHOLE.astype(np.float16),
    "float64": WHOLE.astype(np.float64),
    "longdouble": WHOLE.astype(np.longdouble),
    "int8": WHOLE.astype(np.int8),
    "int64": WHOLE.astype(np.int64),
    "columns_first": np.asfortranarray(WHOLE),
    "slice": np.repeat(WHOLE, 2, axis=1)[:, ::2],
    "reversed_view": WHOLE[::-1][::-1],
    "big_endian": WHOLE.astype(">f4"),
    "unaligned": unaligned(WHOLE),
    "read_only": read_only(WHOLE),
    "matrix_of_float32": WHOLE,
}


@pytest.mark.parametrize("name", VARIANTS)
def test_rows_of_any_kind_give_the_same_results(name):
    given = VARIANTS[name]
    index = ivf.Index(6, "IVF2,Flat")
    index.set_centroids(given[:2])
    index.add(given)
    D, I = index.search(given, 3, nprobe=2)
    expected = ivf.knn(WHOLE, WHOLE, 3)
    np.testing.assert_array_equal(I, expected.ids)
    np.testing.assert_array_equal(D, expected.distances)


@pytest.mark.parametrize("x", [WHOLE, read_only(WHOLE), WHOLE[5:20]], ids=["own", "read_only", "rows_of_another"])
def test_rows_contiguous_float32_are_not_copied(x):
    assert _arrays.rows("x", x, 6) is x
    assert _arrays.address(x) == x.ctypes.data


def test_rows_vector_is_a_view_of_one_row():
    row = _arrays.rows("x", WHOLE[3], 6, one=True)
    assert row.shape == (1, 6)
    assert np.shares_memory(row, WHOLE)


def test_integers_contiguous_int64_are_not_copied():
    ids = np.arange(9)
    assert _arrays.integers("ids", ids, (None,)) is ids


def test_search_does_not_change_its_arguments():
    x = WHOLE.copy()
    index = ivf.Index(6, metric="cosine")
    index.add(x)
    index.search(x, 2)
    np.testing.assert_array_equal(x, WHOLE)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.zeros((3, 5)), "x: expected 6 columns, got 5"),
        (np.zeros(5), r"x: expected an array of shape \[n, 6\] or \[6\], got \[5\]"),
        (np.zeros((2, 3, 6)), r"x: expected an array of shape \[n, 6\] or \[6\], got \[2, 3, 6\]"),
        (7.0, r"x: expected an array of shape \[n, 6\] or \[6\], got a single float64"),
        ([], r"x: expected an array of shape \[n, 6\] or \[6\], got \[0\]"),
    ],
)
def test_add_wrong_shape_says_expected_and_got(x, text):
    with pytest.raises(ivf.DimensionError, match=text):
        ivf.Index(6).add(x)


def test_train_vector_is_refused():
    with pytest.raises(ivf.DimensionError, match=r"expected an array of shape \[n, 6\], got \[6\]"):
        ivf.Index(6, "IVF2,Flat").train(np.zeros(6))


@pytest.mark.parametrize("x", [np.zeros((2, 6), complex), np.full((2, 6), "a"), np.full((2, 6), None)])
def test_add_of_no_numbers_is_refused(x):
    with pytest.raises(TypeError, match="x: expected numbers, got an array of"):
        ivf.Index(6).add(x)


def test_add_beyond_float32_is_refused_with_its_row():
    x = np.zeros((3, 6))
    x[2, 1] = 1e60
    with pytest.raises(ivf.NotFiniteError, match="row 2"):
        ivf.Index(6).add(x)


@pytest.mark.parametrize(
    "ids", [[5, 6, 7], (5, 6, 7), np.array([5, 6, 7], np.uint8), np.array([5, 0, 6, 0, 7, 0])[::2]]
)
def test_ids_of_any_kind_are_taken(ids):
    index = ivf.Index(6)
    index.add(WHOLE[:3], ids)
    assert index.search(WHOLE[:3], 1).ids.ravel().tolist() == [5, 6, 7]


@pytest.mark.parametrize(
    ("ids", "kind", "text"),
    [
        ([1.0, 2.0, 3.0], TypeError, "ids: expected integers, got an array of float64"),
        ([True, False, True], TypeError, "ids: expected integers"),
        ([1, 2], ivf.DimensionError, r"ids: expected an array of shape \[3\], got \[2\]"),
        ([[1, 2, 3]], ivf.DimensionError, r"ids: expected an array of shape \[3\], got \[1, 3\]"),
        (np.array([1, 2, 2**63], np.uint64), ivf.ArgumentError, "63 bits, got 9223372036854775808"),
        ([1, 2, -3], ivf.ArgumentError, "-3"),
    ],
)
def test_ids_wrong_are_refused(ids, kind, text):
    index = ivf.Index(6)
    with pytest.raises(kind, match=text):
        index.add(WHOLE[:3], ids)
    assert len(index) == 0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"k": -1}, "k: expected 0 to 4294967295, got -1"),
        ({"k": 2**32}, "k: expected 0 to 4294967295, got 4294967296"),
        ({"k": 0}, "k"),
        ({"nprobe": -1}, "nprobe: expected 0 to"),
        ({"threads": -1}, "threads: expected 0 to"),
        ({"max_codes": 2**64}, "max_codes: expected 0 to 18446744073709551615"),
    ],
)
def test_search_number_outside_its_range_is_refused(options, text):
    index = ivf.Index(6)
    index.add(WHOLE)
    with pytest.raises(ivf.ArgumentError, match=text):
        index.search(WHOLE, **options)


def test_search_k_that_is_no_whole_number_is_refused():
    with pytest.raises(TypeError):
        ivf.Index(6).search(WHOLE, 2.5)


@pytest.mark.parametrize("text", ["Flat\0junk", "IVF4"])
def test_description_wrong_is_refused(text):
    with pytest.raises(ValueError, match=r"NUL|IVF4"):
        ivf.Index(6, text)


def test_metric_by_name_or_number():
    assert [ivf.Index(2, metric=m).metric for m in ("l2", "L2", "ip", "inner_product", "cosine", 0, 1, 2)] == [
        *("l2", "l2", "ip", "ip", "cosine", "ip", "l2", "cosine")
    ]
    with pytest.raises(ivf.ArgumentError, match='expected "l2", "ip" or "cosine", got \'hamming\''):
        ivf.Index(2, metric="hamming")
