"""Vectors in a second list too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ivf

WORDS = Path(__file__).resolve().parents[3] / "tests/data/glove.npy"


@pytest.fixture(scope="module", params=["IVF64,Flat", "IVF64,SQ8,RFlat"])
def pair(request):
    """Two indexes of the same vectors and lists, the second with copies; the vectors; queries."""
    x = np.load(WORDS).astype(np.float32)
    base, queries = x[:12000], x[12000:13000]
    once, twice = (ivf.Index(50, request.param, "cosine", soar=soar) for soar in (0, 1))
    for index in (once, twice):
        index.train(base)
        index.add(base)
    return once, twice, queries


def found(index: ivf.Index, queries: np.ndarray, truth: np.ndarray, nprobe: int) -> float:
    ids = index.search(queries, 10, nprobe=nprobe).ids
    return sum(len(set(a) & set(b)) for a, b in zip(ids.tolist(), truth.tolist())) / truth.size


def test_vectors_in_two_lists_are_found_in_fewer(pair, tmp_path):
    once, twice, queries = pair
    truth = once.search(queries, 10, nprobe=64).ids
    for nprobe in (2, 5, 12):
        assert found(twice, queries, truth, nprobe) > found(once, queries, truth, nprobe) + 0.005
    assert found(twice, queries, truth, 64) > 0.999
    assert (once.info.soar, twice.info.soar) == (0.0, 1.0)
    assert len(once) == len(twice) == 12000
    assert np.array_equal(once.list_sizes, twice.list_sizes)
    twice.save(tmp_path / "twice.ivf")
    again = ivf.load(tmp_path / "twice.ivf")
    assert again.info.soar == 1.0
    assert np.array_equal(again.search(queries, 10, nprobe=5).ids, twice.search(queries, 10, nprobe=5).ids)


def test_no_vector_is_found_twice_nor_after_its_removal(pair):
    _, twice, queries = pair
    index = twice.clone()
    index.remove(np.arange(0, 12000, 3))
    ids = index.search(queries, 20, nprobe=5).ids
    assert all(len(set(row)) == 20 for row in ids.tolist())
    assert (ids % 3 != 0).all()
    tuned = index.tune(queries[:500], k=10, recall=0.95)
    assert 1 <= tuned.nprobe < 64


def test_what_does_not_go_with_it_is_refused():
    with pytest.raises(ivf.ArgumentError, match="soar: expected 0, for .* has no inverted lists, got 1"):
        ivf.Index(8, "Flat", soar=1)
    with pytest.raises(ivf.ArgumentError, match="soar: expected 0, for ids may repeat"):
        ivf.Index(8, "IVF32,Flat", soar=1, allow_duplicate_ids=True)
    with pytest.raises(ivf.ArgumentError, match="soar: expected 0 or more, got -1"):
        ivf.Index(8, "IVF32,Flat", soar=-1)
