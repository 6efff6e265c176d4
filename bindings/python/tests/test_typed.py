"""float16, bfloat16 and uint8 rows: the same results as float32, and no copy to it."""

from __future__ import annotations

import numpy as np
import pytest

import ivf

RNG = np.random.default_rng(3)
BYTES = RNG.integers(0, 256, (2000, 24), dtype=np.uint8)
HALF = RNG.standard_normal((2000, 24)).astype(np.float16)
BITS = (RNG.standard_normal((2000, 24)).astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def wide(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


CASES = {
    "uint8": (BYTES, BYTES.astype(np.float32)),
    "float16": (HALF, HALF.astype(np.float32)),
    "bfloat16": (ivf.Bfloat16(BITS), wide(BITS)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_index_of_typed_rows_is_that_of_float32(name, metric):
    typed, floats = CASES[name]
    one, two = (ivf.Index(24, "IVF16,Flat", metric) for _ in range(2))
    one.train(typed)
    one.add(typed)
    two.train(floats)
    two.add(floats)
    assert one.to_bytes() == two.to_bytes()
    for a, b in zip(one.search(typed, 5, nprobe=3), two.search(floats, 5, nprobe=3)):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(one.range_search(typed, 0.5), two.range_search(floats, 0.5)):
        np.testing.assert_array_equal(a, b)
    lists = np.zeros((2000, 1), np.int64)
    for a, b in zip(one.search_preassigned(typed, lists, 3), two.search_preassigned(floats, lists, 3)):
        np.testing.assert_array_equal(a, b)
    (_, a), (_, b) = one.search_and_reconstruct(typed, 3), two.search_and_reconstruct(floats, 3)
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(one.query_expansion(typed, 3), two.query_expansion(floats, 3))
    blended = one.blend(typed, 3, ratio=0.5)
    np.testing.assert_array_equal(blended, two.blend(floats, 3, ratio=0.5))
    assert blended.dtype == np.float32 and blended.shape == floats.shape
    assert one.tune(typed, 0.9, 3) == two.tune(floats, 0.9, 3)
    ids = np.arange(2000)[::-1].copy()
    one.update(ids, typed)
    two.update(ids, floats)
    assert one.to_bytes() == two.to_bytes()


def test_one_typed_query_gives_one_row():
    index = ivf.Index(24)
    index.add(BYTES)
    for one in (BYTES[5], HALF[5], ivf.Bfloat16(BITS[5])):
        assert index.blend(one, 3).shape == index.query_expansion(one, 3).shape == (24,)


@pytest.mark.parametrize("name", CASES)
def test_functions_of_typed_rows_are_those_of_float32(name):
    typed, floats = CASES[name]
    np.testing.assert_array_equal(ivf.kmeans(typed, 8).centroids, ivf.kmeans(floats, 8).centroids)
    for a, b in zip(ivf.knn(typed, typed, 4), ivf.knn(floats, floats, 4)):
        np.testing.assert_array_equal(a, b)


def test_typed_rows_reach_the_library_where_they_lie(monkeypatch):
    from ivf import index as module

    seen = []
    real = module.call_long
    monkeypatch.setattr(module, "call_long", lambda *args, **kw: (seen.append(args[2]), real(*args, **kw)))
    index = ivf.Index(24)
    index.add(BYTES)
    index.add(HALF)
    index.add(ivf.Bfloat16(BITS))
    assert [np.shares_memory(a, b) for a, b in zip(seen, (BYTES, HALF, BITS))] == [True] * 3
    assert [array.dtype for array in seen] == [np.uint8, np.float16, np.uint16]


def test_ml_dtypes_bfloat16_is_taken_as_it_is():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    index = ivf.Index(24)
    index.add(BITS.view(ml_dtypes.bfloat16))
    np.testing.assert_array_equal(index.reconstruct([7]), wide(BITS[7:8]))


def test_typed_rows_of_other_layouts_are_copied_right():
    index = ivf.Index(24)
    index.add(np.asfortranarray(BYTES))
    index.add(HALF[::2].astype(">f2"))
    index.add(BYTES[3])
    np.testing.assert_array_equal(index.reconstruct([5, 2003, 3000]), [BYTES[5], HALF[6], BYTES[3]])


def test_typed_rows_that_are_wrong_say_so():
    index = ivf.Index(24)
    with pytest.raises(TypeError, match="bits of bfloat16 as uint16, got float32"):
        index.add(ivf.Bfloat16(wide(BITS)))
    with pytest.raises(ivf.DimensionError, match="expected 24 columns, got 23"):
        index.add(BYTES[:, 1:])
    with pytest.raises(ivf.NotFiniteError, match="row 1"):
        index.add(np.array([[0] * 24, [np.inf] * 24], np.float16))
    assert len(index) == 0
