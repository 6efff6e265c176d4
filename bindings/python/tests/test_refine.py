"""Searches in two stages."""

import ivf
import numpy as np
import pytest


@pytest.fixture
def vectors():
    return np.random.default_rng(4).standard_normal((2000, 16), dtype=np.float32)


def test_refined_search_compares_with_the_rows_themselves(vectors, tmp_path):
    exact, refined = ivf.Index(16, "Flat"), ivf.Index(16, "IVF8,SQ4,RFlat")
    for index in (exact, refined):
        index.train(vectors)
        index.add(vectors)
    truth = exact.search(vectors[:50], 10)
    found = refined.search(vectors[:50], 10, nprobe=8, k_factor=200)
    assert np.array_equal(found.ids, truth.ids)
    # A row's terms are added up in another order than a block's.
    assert np.allclose(found.distances, truth.distances, rtol=3e-6, atol=3e-6)
    few = refined.search(vectors[:50], 10, nprobe=8, k_factor=1).ids
    chosen = refined.search(vectors[:50], 10, nprobe=8).ids
    assert (few == truth.ids).mean() < (chosen == truth.ids).mean()
    refined.save(tmp_path / "x.ivf")
    assert np.array_equal(ivf.load(tmp_path / "x.ivf").search(vectors[:50], 10, nprobe=8).ids, chosen)
    assert np.array_equal(refined.reconstruct([3, 5]), vectors[[3, 5]])


def test_k_factor_without_use_or_out_of_range_is_refused(vectors):
    index = ivf.Index(16, "Flat")
    index.add(vectors)
    with pytest.raises(ivf.ArgumentError, match="refinement"):
        index.search(vectors[:1], 5, k_factor=2)
    refined = ivf.Index(16, "SQfp16,RFlat")
    refined.add(vectors)
    with pytest.raises(ivf.ArgumentError, match="expected 1 or more"):
        refined.search(vectors[:1], 5, k_factor=0.5)


def test_k_factor_of_the_index_is_what_a_search_takes_and_a_file_keeps(vectors, tmp_path):
    index = ivf.Index(16, "IVF8,SQ4,RFlat", k_factor=1.5)
    index.train(vectors)
    index.add(vectors)
    assert (index.info.k_factor, ivf.Index(16, "SQ4,RFlat").info.k_factor, ivf.Index(16).info.k_factor) == (1.5, 4, 0)
    for save in (index.save, index.export_faiss):
        save(tmp_path / "x")
        loaded = ivf.load(tmp_path / "x")
        assert loaded.info.k_factor == 1.5 and loaded.description == "IVF8,SQ4,RFlat"
        for k_factor in (None, 1, 1.5, 3):
            expected = index.search(vectors[:50], 10, k_factor=k_factor or 1.5)
            found = loaded.search(vectors[:50], 10, nprobe=index.nprobe, k_factor=k_factor)
            assert np.array_equal(found.ids, expected.ids) and np.array_equal(found.distances, expected.distances)
    with pytest.raises(ivf.ArgumentError, match="k_factor: expected 1 or more"):
        ivf.Index(16, "SQ4,RFlat", k_factor=0.5)
