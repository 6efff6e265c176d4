"""Programs for faiss do the same with ivf.faiss."""

from __future__ import annotations

import copy

import faiss
import numpy as np
import pytest

import ivf
import ivf.faiss

BOTH = pytest.mark.parametrize("lib", [faiss, ivf.faiss], ids=["faiss", "ivf.faiss"])


def ivf_flat(lib, x):
    quantizer = lib.IndexFlatL2(24)
    index = lib.IndexIVFFlat(quantizer, 24, 16, lib.METRIC_L2)
    assert not index.is_trained
    index.train(x)
    assert index.is_trained
    assert quantizer.ntotal == 16
    index.add(x)
    return index


@pytest.fixture
def centroids(x):
    return ivf.kmeans(x, 16).centroids


def given(lib, x, centroids, metric="METRIC_L2"):
    """An index of centroids that are known, as in faiss: those that the quantizer holds already."""
    quantizer = lib.IndexFlat(24, getattr(lib, metric))
    quantizer.add(centroids)
    index = lib.IndexIVFFlat(quantizer, 24, 16, getattr(lib, metric))
    if not index.is_trained:
        index.train(x)
    index.add(x)
    return index


@BOTH
def test_attributes_are_those_of_faiss(lib, x):
    index = ivf_flat(lib, x)
    assert (index.d, index.ntotal, index.nlist, index.nprobe, index.max_codes) == (24, 3000, 16, 1, 0)
    assert (index.metric_type, index.is_trained, index.verbose) == (lib.METRIC_L2, True, False)
    assert (index.cp.niter, index.cp.nredo, index.cp.seed, index.cp.spherical) == (10, 1, 1234, False)
    assert lib.index_factory(24, "IVF16,Flat", lib.METRIC_INNER_PRODUCT).cp.spherical
    with pytest.raises(AttributeError):
        index.n_probe = 3


def test_parameter_that_does_not_exist_cannot_be_set():
    # faiss forgives it in its parameter structs; a typing error would go unseen.
    with pytest.raises(AttributeError):
        ivf.faiss.index_factory(24, "IVF16,Flat").cp.iterations = 3
    with pytest.raises(AttributeError):
        ivf.faiss.SearchParametersIVF().n_probe = 3


@pytest.mark.parametrize("metric", ["METRIC_L2", "METRIC_INNER_PRODUCT"])
def test_ivf_search_gives_the_same(metric, x, queries, centroids):
    theirs, ours = (given(lib, x, centroids, metric) for lib in (faiss, ivf.faiss))
    for nprobe, max_codes, k in [(1, 0, 5), (8, 0, 5), (16, 100, 5), (1, 0, 700)]:
        results = []
        for lib, index in ((faiss, theirs), (ivf.faiss, ours)):
            index.nprobe, index.max_codes = nprobe, max_codes
            results.append(index.search(queries, k))
            params = lib.SearchParametersIVF(nprobe=nprobe, max_codes=max_codes)
            index.nprobe, index.max_codes = 2, 0
            for a, b in zip(results[-1], index.search(queries, k, params=params)):
                np.testing.assert_array_equal(a, b)
        (E, J), (D, I) = results
        np.testing.assert_array_equal(I, J)
        np.testing.assert_allclose(D, E, rtol=1e-5, atol=1e-5)


@BOTH
def test_flat_has_its_three_classes(lib, x, queries):
    for index in (lib.IndexFlat(24), lib.IndexFlatL2(24), lib.IndexFlatIP(24)):
        assert index.is_trained
        index.train(x)
        index.add(x)
        D, I = index.search(queries, 4)
        assert D.shape == I.shape == (100, 4)
    assert lib.IndexFlatIP(24).metric_type == lib.METRIC_INNER_PRODUCT
    assert isinstance(lib.IndexFlatL2(24), lib.IndexFlat)
    assert isinstance(lib.index_factory(24, "Flat"), lib.IndexFlat)


@BOTH
def test_missing_hits_are_the_largest_float(lib):
    for index, worst in ((lib.IndexFlatL2(3), 3.4028235e38), (lib.IndexFlatIP(3), -3.4028235e38)):
        index.add(np.eye(3, dtype=np.float32))
        D, I = index.search(np.eye(3, dtype=np.float32), 5)
        assert (I[:, 3:] == -1).all()
        assert (D[:, 3:] == np.float32(worst)).all()


@BOTH
def test_search_writes_into_given_arrays(lib, x, queries):
    index = ivf_flat(lib, x)
    D, I = np.empty((100, 3), np.float32), np.empty((100, 3), np.int64)
    E, J = index.search(queries, 3, D=D, I=I)
    assert E is D
    assert J is I
    np.testing.assert_array_equal(index.assign(queries, 3), I)


@BOTH
def test_ids_count_on_from_ntotal_after_removal(lib, x):
    index = ivf_flat(lib, x)
    assert index.remove_ids(np.array([2998, 2999])) == 2
    index.add(x[:1])
    index.nprobe = 16
    assert index.search(x[:1], 2)[1].tolist() == [[0, 2998]]
    index.reset()
    assert index.ntotal == 0
    index.add(x[5:7])
    assert index.search(x[5:7], 1)[1].tolist() == [[0], [1]]


@BOTH
def test_flat_renumbers_after_removal(lib, x):
    index = lib.IndexFlatL2(24)
    index.add(x)
    assert index.remove_ids(np.array([0, 1, 5])) == 3
    assert index.search(x[[2, 6]], 1)[1].tolist() == [[0], [3]]
    index.add(x[:1])
    assert index.search(x[:1], 1)[1].tolist() == [[2997]]
    np.testing.assert_array_equal(index.reconstruct(0), x[2])


@BOTH
def test_own_ids_and_reconstruction(lib, x):
    index = ivf_flat(lib, x[:1000])
    index.reset()
    index.add_with_ids(x[:50], np.arange(50) * 10)
    index.nprobe = 16
    assert index.search(x[7:8], 1)[1].tolist() == [[70]]
    flat = lib.IndexFlatL2(24)
    flat.add(x)
    np.testing.assert_array_equal(flat.reconstruct(7), x[7])
    np.testing.assert_array_equal(flat.reconstruct_n(5, 3), x[5:8])
    np.testing.assert_array_equal(flat.reconstruct_n(), x)
    np.testing.assert_array_equal(flat.reconstruct_batch([9, 1]), x[[9, 1]])
    with pytest.raises(RuntimeError if lib is faiss else NotImplementedError):
        flat.add_with_ids(x[:1], np.array([5]))


@BOTH
def test_id_map_keeps_own_ids(lib, x):
    index = lib.IndexIDMap2(lib.IndexFlatL2(24))
    index.add_with_ids(x, np.arange(3000) + 500)
    assert index.ntotal == index.index.ntotal == 3000
    assert index.search(x[3:4], 1)[1].tolist() == [[503]]
    np.testing.assert_array_equal(index.reconstruct(503), x[3])
    assert index.remove_ids(np.array([500, 503])) == 2
    assert index.search(x[[4]], 1)[1].tolist() == [[504]]
    with pytest.raises(RuntimeError):
        index.add(x)
    assert isinstance(lib.index_factory(24, "IDMap,Flat"), lib.IndexIDMap)


@BOTH
def test_selectors_let_only_their_ids_pass(lib, x, queries):
    index = ivf_flat(lib, x)
    numbers = np.arange(3000)
    bits = np.packbits(numbers % 2 == 0, bitorder="little")
    low = lib.IDSelectorRange(0, 100)
    even = lib.IDSelectorBitmap(bits)
    for selector, passes in [
        (lib.IDSelectorBatch([5, 6, 7]), [5, 6, 7]),
        (low, range(100)),
        (even, numbers[::2]),
        (lib.IDSelectorNot(low), numbers[100:]),
        (lib.IDSelectorAnd(low, even), range(0, 100, 2)),
        (lib.IDSelectorOr(low, even), np.flatnonzero((numbers < 100) | (numbers % 2 == 0))),
    ]:
        params = lib.SearchParametersIVF(sel=selector, nprobe=16)
        I = index.search(queries[:3], 3000, params=params)[1]
        for ids in I:
            assert np.sort(ids[ids >= 0]).tolist() == list(passes)


@BOTH
def test_range_search_gives_limits_distances_ids(lib, x):
    index = lib.IndexFlatL2(24)
    index.add(x)
    limits, D, I = index.range_search(x[:3], 1e-3)
    assert limits.tolist() == [0, 1, 2, 3]
    assert I.tolist() == [0, 1, 2]
    assert D.tolist() == [0, 0, 0]


@BOTH
def test_kmeans_has_faiss_s_results(lib, x):
    kmeans = lib.Kmeans(24, 8, niter=6, seed=3)
    final = kmeans.train(x)
    assert kmeans.centroids.shape == (8, 24)
    assert len(kmeans.obj) == 6
    assert kmeans.obj[-1] == pytest.approx(final)
    assert (np.diff(kmeans.obj) <= 1e-3 * kmeans.obj[0]).all()
    D, I = kmeans.assign(x)
    assert D.shape == I.shape == (3000,)
    assert kmeans.index.ntotal == 8
    # The objective is a sum over the points used: 8 * 256 of 3000.
    assert final == pytest.approx(D.mean() * 8 * 256, rel=0.05)


def test_kmeans_restarts_report_the_best(x):
    kmeans = ivf.faiss.Kmeans(24, 8, niter=5, nredo=3)
    final = kmeans.train(x)
    assert len(kmeans.obj) == 5
    assert final <= min(ivf.faiss.Kmeans(24, 8, niter=5).train(x), final)


@BOTH
def test_knn_and_normalize(lib, x, queries):
    assert lib.knn(x[:4], x, 2)[1][:, 0].tolist() == [0, 1, 2, 3]
    assert (lib.knn(queries, x[:2], 5)[1][:, 2:] == -1).all()
    rows = np.array([[3, 4], [0, 0], [0, -2]], np.float32)
    assert lib.normalize_L2(rows) is None
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 0], [0, -1]], rtol=1e-6)


@BOTH
def test_files_keep_nprobe(lib, x, queries, tmp_path):
    path = str(tmp_path / "x")
    index = ivf_flat(lib, x)
    index.nprobe = 9
    lib.write_index(index, path)
    for reader in (faiss, ivf.faiss):
        again = reader.read_index(path)
        assert (again.nprobe, again.ntotal, again.quantizer.ntotal) == (9, 3000, 16)
        np.testing.assert_array_equal(again.search(queries, 5)[1], index.search(queries, 5)[1])


@BOTH
def test_scalar_codes_behind_given_centroids_are_trained_and_filed(lib, x, queries, centroids, tmp_path):
    quantizer = lib.IndexFlatL2(24)
    quantizer.add(centroids)
    index = lib.IndexIVFScalarQuantizer(quantizer, 24, 16, lib.ScalarQuantizer.QT_8bit)
    index.train(x)
    assert np.array_equal(index.quantizer.reconstruct_n(0, 16), centroids)
    index.add(x)
    index.nprobe = 7
    lib.write_index(index, str(tmp_path / "x"))
    for reader in (faiss, ivf.faiss):
        again = reader.read_index(str(tmp_path / "x"))
        assert again.nprobe == 7
        assert (again.search(queries, 5)[1] == index.search(queries, 5)[1]).mean() > 0.99


@BOTH
def test_bytes_come_back(lib, x, queries):
    index = lib.index_factory(24, "Flat")
    index.add(x)
    data = lib.serialize_index(index)
    assert data.dtype == np.uint8
    again = lib.deserialize_index(data)
    np.testing.assert_array_equal(again.search(queries, 5)[1], index.search(queries, 5)[1])


@BOTH
def test_copies_are_independent(lib, x):
    index = lib.IndexFlatL2(24)
    index.add(x)
    other = copy.deepcopy(index) if lib is ivf.faiss else faiss.clone_index(index)
    other.add(x)
    assert (index.ntotal, other.ntotal) == (3000, 6000)


@BOTH
def test_number_of_threads_is_kept(lib, x, queries):
    before = lib.omp_get_max_threads()
    lib.omp_set_num_threads(1)
    assert lib.omp_get_max_threads() == 1
    lib.knn(queries, x, 3)
    lib.omp_set_num_threads(before)
    assert before >= 1
    assert lib.get_num_gpus() == 0


@pytest.mark.parametrize(
    ("use", "kind", "text"),
    [
        (lambda lib: lib.IndexHNSWFlat(24, 32), AttributeError, "ivf.faiss has no 'IndexHNSWFlat'"),
        (lambda lib: lib.StandardGpuResources(), AttributeError, "has no 'StandardGpuResources'"),
        (lambda lib: lib.index_factory(24, "IVF16,PX8"), ivf.DescriptionError, "PX8"),
        (lambda lib: lib.Kmeans(24, 4, gpu=True), NotImplementedError, "gpu"),
        (lambda lib: lib.Kmeans(24, 4, decode_block_size=4), TypeError, "decode_block_size"),
        (lambda lib: lib.Kmeans(2, 1).train(np.eye(2), weights=[1]), ivf.ArgumentError, "weights: expected 2"),
        (lambda lib: lib.Kmeans(2, 1).train(np.eye(2), weights=[1, -1]), ivf.ArgumentError, "0 or more"),
        (lambda lib: lib.Kmeans(2, 3).train(np.eye(2), weights=[1, 1]), ivf.TooFewPointsError, "3 or more, got 2"),
        (lambda lib: lib.Kmeans(2, 1).train(np.eye(2), init_centroids=np.eye(2)), ivf.ArgumentError, "at most k = 1"),
        (
            lambda lib: lib.IndexIVFFlat(lib.IndexFlatIP(24), 24, 4, lib.METRIC_L2),
            NotImplementedError,
            "metric 1, got 0",
        ),
        (
            lambda lib: lib.IndexIVFFlat(lib.IndexFlatL2(3), 24, 4),
            ivf.DimensionError,
            "expected 24 columns, got 3",
        ),
        (lambda lib: lib.IndexFlatL2(2).search(np.eye(2), 1, params=7), NotImplementedError, "got int"),
        (lambda lib: lib.read_index("x", 8), NotImplementedError, "io_flags"),
    ],
)
def test_what_is_not_there_says_so(use, kind, text):
    with pytest.raises(kind, match=text):
        use(ivf.faiss)
