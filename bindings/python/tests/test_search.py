"""Searches against float64 brute force."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import METRICS, brute_force, normal

import ivf


def kernels() -> list[str]:
    """The kernels that this machine has."""
    found = []
    for name in ("scalar", "avx2", "avx512", "neon"):
        try:
            ivf.Context(kernel=name)
            found.append(name)
        except ivf.IvfError:
            pass
    return found


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("description", ["Flat", "IVF16,Flat"])
@pytest.mark.parametrize("kernel", kernels())
@pytest.mark.parametrize("threads", [1, 2])
def test_search_all_lists_equals_brute_force(x, queries, metric, description, kernel, threads):
    index = ivf.Index(24, description, metric, context=ivf.Context(threads=threads, kernel=kernel))
    index.train(x)
    index.add(x)
    D, I = index.search(queries, 10, nprobe=16)
    distances, ids = brute_force(queries, x, 10, metric)
    np.testing.assert_allclose(D, distances, rtol=1e-5, atol=1e-5)
    # Where two candidates are closer than float32 can tell, their order may differ.
    assert ((ids == I) | (np.abs(D - distances) <= 1e-5 * np.abs(distances))).all()
    assert (ids == I).mean() > 0.999


@pytest.mark.parametrize("n", [1, 2, 5, 64, 100])
def test_search_of_any_batch_is_the_same(index, queries, n):
    whole = index.search(queries, 7, nprobe=4)
    part = index.search(queries[:n], 7, nprobe=4)
    np.testing.assert_array_equal(part.ids, whole.ids[:n])
    np.testing.assert_allclose(part.distances, whole.distances[:n], rtol=1e-6)


def test_search_results_are_arrays_and_a_pair(index, queries):
    found = index.search(queries, k=4, nprobe=32, threads=0)
    D, I = found
    assert D is found.distances
    assert I is found.ids
    assert D.dtype == np.float32
    assert I.dtype == np.int64
    assert D.shape == I.shape == (100, 4)
    assert found.hits.dtype == np.int64
    assert found.hits.tolist() == [4] * 100


def test_search_vector_is_one_query(index, queries):
    one = index.search(queries[0], 3)
    assert one.ids.shape == (1, 3)
    np.testing.assert_array_equal(one.ids, index.search(queries[:1], 3).ids)


def test_search_missing_hits_are_padded(x):
    for metric, worst in (("l2", np.inf), ("ip", -np.inf), ("cosine", -np.inf)):
        index = ivf.Index(24, metric=metric)
        index.add(x[:3])
        found = index.search(x[:2], 5)
        assert (found.ids[:, 3:] == -1).all()
        assert (found.distances[:, 3:] == worst).all()
        assert found.hits.tolist() == [3, 3]


def test_search_same_vector_is_exactly_0(index, x):
    D, I = index.search(x, 1, nprobe=1)
    assert (D == 0).all()
    np.testing.assert_array_equal(I.ravel(), np.arange(len(x)))


def test_search_cosine_stays_within_1(x):
    index = ivf.Index(24, metric="cosine")
    index.add(x)
    for queries in (x * 7, -x, x * 1e-6):
        D = index.search(queries[:300], 3000).distances
        assert D.min() >= -1
        assert D.max() <= 1


def test_search_default_k_is_10(index, queries):
    assert index.search(queries).ids.shape == (100, 10)


def test_search_preassigned_is_search_with_own_lists(index, queries):
    _, lists = ivf.knn(queries, index.centroids, 4)
    own = index.search_preassigned(queries, lists, 6)
    theirs = index.search(queries, 6, nprobe=4)
    np.testing.assert_array_equal(own.ids, theirs.ids)
    np.testing.assert_array_equal(own.distances, theirs.distances)
    one = index.search_preassigned(queries[0], lists[0], 6)
    np.testing.assert_array_equal(one.ids, theirs.ids[:1])


@pytest.mark.parametrize("lists", [[[0, 1]], [0, 1], [[0.5]] * 100])
def test_search_preassigned_wrong_lists_are_refused(index, queries, lists):
    with pytest.raises((ivf.DimensionError, TypeError), match="lists: expected"):
        index.search_preassigned(queries, lists, 3)


@pytest.mark.parametrize(
    "select",
    [
        lambda ids: ids % 3 == 0,
        lambda ids: ids[ids % 3 == 0],
        lambda ids: ids[ids % 3 == 0].tolist(),
        lambda ids: ivf.Filter.of(ids % 3 == 0),
        lambda ids: ~ivf.Filter.of(ids % 3 != 0),
        lambda ids: (ids % 3 == 0) & ivf.Filter.of(range(3000)),
        lambda ids: ivf.Filter.of(ids[ids % 6 == 0]) | (ids % 6 == 3),
    ],
    ids=["mask", "array", "list", "filter", "not", "and", "or"],
)
def test_search_filter_lets_only_its_ids_pass(index, x, queries, select):
    allowed = np.arange(3000) % 3 == 0
    found = index.search(queries, 10, nprobe=16, filter=select(np.arange(3000)))
    _, ids = brute_force(queries, x[allowed], 10, "l2")
    np.testing.assert_array_equal(found.ids, np.flatnonzero(allowed)[ids])


def test_search_filter_range_lets_only_its_ids_pass(index, queries):
    found = index.search(queries, 3000, nprobe=16, filter=range(700, 900))
    assert (np.sort(found.ids[:, :200]) == np.arange(700, 900)).all()
    assert (found.ids[:, 200:] == -1).all()


@pytest.mark.parametrize("filter", [range(0, 9, 2), np.zeros((2, 2), bool), [0.5], "abc"])
def test_filter_of_something_else_is_refused(index, queries, filter):
    with pytest.raises((ValueError, TypeError), match="filter: expected"):
        index.search(queries, 3, filter=filter)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("description", ["Flat", "IVF16,Flat"])
def test_range_search_finds_all_that_is_better(x, queries, metric, description):
    index = ivf.Index(24, description, metric)
    index.train(x)
    index.add(x)
    every, ids = brute_force(queries, x, 3000, metric)
    radius = float(np.median(every[:, 20]))
    found = index.range_search(queries, radius, nprobe=16)
    assert found.offsets.shape == (101,)
    assert len(found.ids) == len(found.distances) == found.offsets[-1]
    for query in range(100):
        part = slice(found.offsets[query], found.offsets[query + 1])
        better = every[query] < radius if metric == "l2" else every[query] > radius
        assert found.ids[part].tolist() == ids[query, better].tolist()
        np.testing.assert_allclose(found.distances[part], every[query, better], rtol=1e-5, atol=1e-5)


def test_range_search_result_outlives_the_index(flat, x):
    found = flat.range_search(x[:3], 1e-3)
    flat.close()
    del flat
    ids = found.ids
    del found
    ivf.Index(24).add(normal(9, 5000, 24))
    assert ids.tolist() == [0, 1, 2]


def test_range_search_of_nothing_is_empty(flat, queries):
    found = flat.range_search(queries, 0.0)
    assert found.offsets.tolist() == [0] * 101
    assert found.ids.shape == found.distances.shape == (0,)


def test_knn_equals_brute_force(x, queries):
    for metric in METRICS:
        D, I = ivf.knn(queries, x, 6, metric)
        distances, ids = brute_force(queries, x, 6, metric)
        np.testing.assert_array_equal(I, ids)
        np.testing.assert_allclose(D, distances, rtol=1e-5, atol=1e-5)
    assert ivf.knn(queries[0], x, 3).ids.shape == (1, 3)
    assert ivf.knn(queries, x[:2], 3).hits.tolist() == [2] * 100


def test_knn_other_dim_is_refused(x):
    with pytest.raises(ivf.DimensionError, match="queries: expected 24 columns, got 3"):
        ivf.knn(np.zeros((2, 3)), x)


def test_kmeans_finds_clear_clusters():
    centres = normal(5, 6, 8) * 100
    labels = np.repeat(np.arange(6), 60)
    x = centres[labels] + normal(6, 360, 8)
    found = ivf.kmeans(x, 6, seeding="k-means++", restarts=3)
    assert found.centroids.shape == (6, 8)
    assert len(set(zip(labels.tolist(), found.labels.tolist()))) == 6
    nearest = ((x - found.centroids[found.labels]) ** 2).sum(1)
    assert found.objective == pytest.approx(nearest.mean(), rel=1e-5)
    batch = ivf.kmeans(x, 6, seeding="k-means++", mini_batch=100, restarts=3)
    assert batch.objective < 2 * found.objective


def test_kmeans_spherical_centroids_have_length_1(x):
    found = ivf.kmeans(x, 5, spherical=True)
    np.testing.assert_allclose(np.linalg.norm(found.centroids, axis=1), 1, rtol=1e-5)
    assert found.objective == pytest.approx((x * found.centroids[found.labels]).sum(1).mean(), rel=1e-4)


def test_kmeans_bad_input_is_refused(x):
    with pytest.raises(ivf.TooFewPointsError, match="expected 9 or more, got 5"):
        ivf.kmeans(x[:5], 9)
    with pytest.raises(ivf.ArgumentError, match="k"):
        ivf.kmeans(x, 0)
    with pytest.raises(ivf.DimensionError, match=r"\[n, dim\], got \[24\]"):
        ivf.kmeans(x[0], 1)


def test_stats_tell_what_a_search_did(x):
    index = ivf.Index(24, "IVF8,Flat")
    index.train(x)
    index.add(x)
    stats = ivf.SearchStats()
    for search in (index.search, lambda *a, **b: index.range_search(a[0], 1.0, **b), index.search_and_reconstruct):
        search(x[:20], 5, nprobe=8, stats=stats)
        assert (stats.queries, stats.lists, stats.codes) == (20, 160, 20 * len(x))
    index.search(x[:1], 5, nprobe=3, max_codes=10, stats=stats)
    assert (stats.queries, stats.codes) == (1, 10)
    assert stats.coarse_seconds > 0 and stats.scan_seconds > 0 and "codes=10" in repr(stats)


def test_k_factor_more_candidates_find_more(x):
    index = ivf.Index(24, "IVF8,RaBitQ,RFlat")
    index.train(x)
    index.add(x)
    exact = ivf.knn(x[:50], x, 10).ids
    stats = ivf.SearchStats()
    shares = [
        np.mean([np.isin(a, b) for a, b in zip(index.search(x[:50], 10, 8, k_factor=k, stats=stats).ids, exact)])
        for k in (1, 5, 300)
    ]
    assert shares[0] < shares[1] <= shares[2] == 1.0
    assert stats.refine_seconds > 0
    with pytest.raises(ivf.ArgumentError, match="k_factor: expected 1 or more"):
        index.search(x[:1], 5, k_factor=0.5)
