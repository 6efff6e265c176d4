"""The same answers as the real faiss, and each other's files."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

import ivf

METRICS = {"l2": faiss.METRIC_L2, "ip": faiss.METRIC_INNER_PRODUCT}


@pytest.fixture(params=METRICS)
def metric(request):
    return request.param


@pytest.fixture
def theirs_ivf(metric, x):
    index = faiss.index_factory(24, "IVF32,Flat", METRICS[metric])
    index.train(x)
    index.add(x)
    return index


@pytest.fixture
def theirs_flat(metric, x):
    index = faiss.IndexFlat(24, METRICS[metric])
    index.add(x)
    return index


def check_same(found, expected):
    """Ids, but where two distances are closer than float32 can tell; distances."""
    (D, I), (E, J) = found, expected
    np.testing.assert_allclose(D[J >= 0], E[J >= 0], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(I >= 0, J >= 0)
    differ = I != J
    assert differ.mean() < 1e-3
    assert np.allclose(D[differ], E[differ], rtol=1e-5)


@pytest.mark.parametrize("nprobe", [1, 4, 32])
@pytest.mark.parametrize("k", [1, 10, 500])
def test_ivf_same_centroids_gives_the_same(metric, theirs_ivf, x, queries, nprobe, k):
    ours = ivf.Index(24, "IVF32,Flat", metric)
    ours.set_centroids(theirs_ivf.quantizer.reconstruct_n(0, 32))
    ours.add(x)
    theirs_ivf.nprobe = nprobe
    check_same(ours.search(queries, k, nprobe), theirs_ivf.search(queries, k))
    sizes = [theirs_ivf.invlists.list_size(number) for number in range(32)]
    assert ours.list_sizes.tolist() == sizes


@pytest.mark.parametrize("k", [1, 10, 3001])
def test_flat_gives_the_same(metric, theirs_flat, x, queries, k):
    ours = ivf.Index(24, "Flat", metric)
    ours.add(x)
    check_same(ours.search(queries, k), theirs_flat.search(queries, k))
    check_same(ivf.knn(queries, x, 10, metric), faiss.knn(queries, x, 10, METRICS[metric]))


@pytest.mark.parametrize("max_codes", [1, 77, 300, 1000])
def test_max_codes_cuts_where_faiss_cuts(metric, theirs_ivf, x, queries, max_codes, tmp_path):
    faiss.write_index(theirs_ivf, str(tmp_path / "x"))
    theirs_ivf.nprobe, theirs_ivf.max_codes = 16, max_codes
    found = ivf.load(tmp_path / "x").search(queries, 10, 16, max_codes=max_codes)
    check_same(found, theirs_ivf.search(queries, 10))


def test_preassigned_gives_the_same(metric, theirs_ivf, queries, tmp_path):
    faiss.write_index(theirs_ivf, str(tmp_path / "x"))
    theirs_ivf.nprobe = 5
    distances, lists = theirs_ivf.quantizer.search(queries, 5)
    lists[::7, 3:] = -1
    expected = theirs_ivf.search_preassigned(queries, 10, lists, distances)
    check_same(ivf.load(tmp_path / "x").search_preassigned(queries, lists, 10), expected)


def test_range_search_gives_the_same(metric, theirs_flat, queries, tmp_path):
    faiss.write_index(theirs_flat, str(tmp_path / "x"))
    radius = float(theirs_flat.search(queries, 10)[0][:, -1].mean())
    limits, _, ids = theirs_flat.range_search(queries, radius)
    found = ivf.load(tmp_path / "x").range_search(queries, radius)
    np.testing.assert_array_equal(found.offsets, limits)
    for start, end in zip(limits, limits[1:]):
        assert set(found.ids[start:end]) == set(ids[start:end])


def test_training_is_as_good(x):
    ours, theirs = ivf.kmeans(x, 32, iterations=20), faiss.Kmeans(24, 32, niter=20)
    theirs.train(x)
    distances, _ = theirs.assign(x)
    assert ours.objective <= distances.mean() * 1.02


def test_ivf_file_of_faiss_is_read(metric, theirs_ivf, queries, tmp_path):
    path = tmp_path / "theirs.faiss"
    theirs_ivf.nprobe = 3
    faiss.write_index(theirs_ivf, str(path))
    ours = ivf.load(path)
    assert (ours.description, ours.metric, ours.nprobe, len(ours)) == ("IVF32,Flat", metric, 3, 3000)
    check_same(ours.search(queries, 10), theirs_ivf.search(queries, 10))
    check_same(ivf.from_bytes(path.read_bytes()).search(queries, 10), theirs_ivf.search(queries, 10))


def test_flat_file_of_faiss_is_read(metric, theirs_flat, queries, tmp_path):
    path = tmp_path / "theirs.faiss"
    faiss.write_index(theirs_flat, str(path))
    ours = ivf.load(path)
    assert (ours.description, ours.metric, len(ours)) == ("Flat", metric, 3000)
    check_same(ours.search(queries, 10), theirs_flat.search(queries, 10))


def test_id_map_file_of_faiss_is_read(metric, x, queries, tmp_path):
    theirs = faiss.IndexIDMap2(faiss.IndexFlat(24, METRICS[metric]))
    theirs.add_with_ids(x, np.arange(3000) * 3 + 2**40)
    faiss.write_index(theirs, str(tmp_path / "x"))
    check_same(ivf.load(tmp_path / "x").search(queries, 10), theirs.search(queries, 10))


@pytest.mark.parametrize("description", ["Flat", "IVF16,Flat"])
def test_exported_file_is_read_by_faiss(metric, description, x, queries, tmp_path):
    ours = ivf.Index(24, description, metric, nprobe=4)
    ours.train(x)
    ours.add(x)
    ours.export_faiss(tmp_path / "ours.faiss")
    theirs = faiss.read_index(str(tmp_path / "ours.faiss"))
    assert (theirs.ntotal, theirs.d, theirs.metric_type, theirs.is_trained) == (3000, 24, METRICS[metric], True)
    check_same(ours.search(queries, 10), theirs.search(queries, 10))
    theirs.add(x[:7])
    assert theirs.ntotal == 3007


@pytest.mark.parametrize("description", ["Flat", "IVF16,Flat"])
def test_exported_file_with_own_and_removed_ids_is_read_by_faiss(metric, description, x, queries, tmp_path):
    ours = ivf.Index(24, description, metric, nprobe=4)
    ours.train(x)
    ours.add(x, np.arange(3000)[::-1] + 2**33)
    ours.remove(2**33 + np.arange(0, 3000, 7))
    ours.export_faiss(tmp_path / "ours.faiss")
    theirs = faiss.read_index(str(tmp_path / "ours.faiss"))
    assert theirs.ntotal == len(ours)
    check_same(ours.search(queries, 10), theirs.search(queries, 10))


def test_exported_cosine_is_inner_product_over_directions(x, queries, tmp_path):
    ours = ivf.Index(24, "IVF16,Flat", "cosine", nprobe=4)
    ours.train(x)
    ours.add(x)
    ours.export_faiss(tmp_path / "ours.faiss")
    theirs = faiss.read_index(str(tmp_path / "ours.faiss"))
    directions = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    check_same(ours.search(queries, 10), theirs.search(directions, 10))


def test_file_of_a_type_not_supported_is_refused_by_name(x, tmp_path):
    theirs = faiss.index_factory(24, "HNSW8,Flat")
    theirs.add(x[:100])
    faiss.write_index(theirs, str(tmp_path / "x"))
    with pytest.raises(ivf.UnsupportedError, match="HNSW"):
        ivf.load(tmp_path / "x")
