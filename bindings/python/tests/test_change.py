"""Updating, removing by a filter, and reading back."""

from __future__ import annotations

import numpy as np
import pytest

import ivf


def test_updated_vectors_are_found_under_their_ids(index, x):
    new = x[:3] + np.float32(0.25)
    index.update([2999, 0, 1500], new)
    np.testing.assert_array_equal(index.search(new, 1, nprobe=16).ids[:, 0], [2999, 0, 1500])
    np.testing.assert_array_equal(index.reconstruct([2999, 0, 1500]), new)
    assert len(index) == index.info.next_id == 3000
    index.update(7, new[0])
    np.testing.assert_array_equal(index.reconstruct(7), new[0])


def test_update_refused_changes_nothing(index, x):
    before = index.to_bytes()
    with pytest.raises(ivf.NotFoundError, match="3000"):
        index.update([1, 3000], x[:2])
    with pytest.raises(ivf.DuplicateIdError, match=r"id 1 \(row 1\)"):
        index.update([1, 1], x[:2])
    with pytest.raises(ivf.DimensionError, match=r"expected an array of shape \[2\], got \[1\]"):
        index.update([1], x[:2])
    with pytest.raises(ivf.NotFiniteError, match="row 1"):
        index.update([1, 2], [x[0], x[1] * np.nan])
    assert index.to_bytes() == before


def test_update_tells_its_progress(index, x):
    told = []
    index.update(np.arange(100), x[:100], progress=lambda *report: told.append(report))
    assert told == [("update", 100, 100, 0.0)]


def test_remove_by_a_filter(index):
    assert index.remove(ivf.Filter.of(range(10, 2990)) & ~ivf.Filter.of([500])) == 2979
    np.testing.assert_array_equal(index.ids(), [*range(10), 500, *range(2990, 3000)])


def test_reconstruct_ranges_and_all(index, x):
    np.testing.assert_array_equal(index.reconstruct_range(100, 50), x[100:150])
    assert index.reconstruct_range(0, 0).shape == (0, 24)
    with pytest.raises(ivf.NotFoundError, match="3000"):
        index.reconstruct_range(2990, 11)
    np.testing.assert_array_equal(index.reconstruct(), x)
    index.remove(range(0, 3000, 2))
    np.testing.assert_array_equal(index.reconstruct(), x[1::2])


def test_search_and_reconstruct_gives_the_vectors_of_the_hits(index, x, queries):
    found, vectors = index.search_and_reconstruct(queries, 5, nprobe=16)
    np.testing.assert_array_equal(found.ids, index.search(queries, 5, nprobe=16).ids)
    np.testing.assert_array_equal(vectors, x[found.ids])
    found, vectors = index.search_and_reconstruct(queries[0], 4, nprobe=16, filter=[3, 9])
    assert (found.ids[0, 2:] == -1).all()
    assert np.isnan(vectors[0, 2:]).all()
    assert np.isfinite(vectors[0, :2]).all()


def test_merge_adds_the_others_vectors(index, x, queries):
    first, second = ivf.Index(24, "IVF16,Flat"), ivf.Index(24, "IVF16,Flat")
    for part, vectors in ((first, x[:1000]), (second, x[1000:])):
        part.set_centroids(index.centroids)
        part.add(vectors)
    with pytest.raises(ivf.DuplicateIdError, match="in both indexes"):
        first.merge(second)
    assert first.merge(second, add_id=1000) == 2000
    for got, want in zip(first.search(queries, 5, 4), index.search(queries, 5, 4)):
        np.testing.assert_array_equal(got, want)
    assert len(second) == 2000
    with pytest.raises(ivf.ArgumentError, match='expected "IVF16,Flat", got "Flat"'):
        first.merge(ivf.Index(24))


def test_clone_is_apart_and_may_run_elsewhere(index, queries):
    before = index.search(queries, 5)
    context = ivf.Context(threads=1)
    clones = [index.clone(), index.clone(context)]
    assert clones[1].context is context
    index.reset()
    for clone in clones:
        np.testing.assert_array_equal(clone.search(queries, 5).ids, before.ids)
