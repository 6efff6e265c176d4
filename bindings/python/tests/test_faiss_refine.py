"""Refined indexes: the same code on faiss and on ivf.faiss gives the same."""

from __future__ import annotations

import copy

import faiss
import ivf.faiss
import numpy as np
import pytest

LIBRARIES = (faiss, ivf.faiss)
BOTH = pytest.mark.parametrize("lib", LIBRARIES, ids=["faiss", "ivf.faiss"])
DESCRIPTIONS = [
    "IVF16,SQ8,RFlat",
    "IVF16,SQ4,Refine(SQfp16)",
    "SQ4,RFlat",
    "Flat,RFlat",
    "PCA8,IVF16,SQ8,RFlat",
    "IVF16,Flat,Refine(SQ8)",
]


def check_same(found, expected, share=0.995):
    """Distances, and ids but for candidates on the edge; where those may be others, they are as near on the whole."""
    (D, I), (E, J) = found, expected
    same = I == J
    assert same.mean() > share
    np.testing.assert_allclose(D[same], E[same], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(D.mean(), E.mean(), rtol=5e-3)


def with_nprobe(lib, index, nprobe):
    """Parameters of the base, where it has lists."""
    if lib.try_extract_index_ivf(index) is None:
        return None
    params = lib.SearchParametersIVF(nprobe=nprobe)
    if isinstance(lib.downcast_index(index.base_index), lib.IndexPreTransform):
        return lib.SearchParametersPreTransform(index_params=params)
    return params


@pytest.mark.parametrize("writer", LIBRARIES, ids=["faiss", "ivf.faiss"])
@pytest.mark.parametrize("description", DESCRIPTIONS)
def test_refined_files_of_either_give_the_same_in_both(writer, description, x, queries, tmp_path):
    path = str(tmp_path / "x")
    made = writer.index_factory(24, description)
    assert (made.k_factor, made.is_trained) == (1, description == "Flat,RFlat")
    made.train(x)
    made.add(x)
    made.k_factor = 2.5
    writer.ParameterSpace().set_index_parameters(made, "verbose=0" if "IVF" not in description else "nprobe=5")
    writer.write_index(made, path)
    results = []
    for lib in LIBRARIES:
        index = lib.read_index(path)
        assert type(index).__name__ == ("IndexRefineFlat" if description.endswith("RFlat") else "IndexRefine")
        assert (index.d, index.ntotal, index.k_factor, index.metric_type) == (24, 3000, 2.5, lib.METRIC_L2)
        if "IVF" in description:
            assert lib.extract_index_ivf(index).nprobe == 5
        if lib is writer:
            assert np.array_equal(index.search(queries, 5)[1], made.search(queries, 5)[1])
        found = [index.search(queries, 5)]
        params = lib.IndexRefineSearchParameters(k_factor=7, base_index_params=with_nprobe(lib, index, 16))
        found.append(index.search(queries, 5, params=params))
        index.k_factor = 1
        found.append(index.search(queries, 5))
        lib.ParameterSpace().set_index_parameter(index, "k_factor_rf", 3)
        assert index.k_factor == 3
        found.append(index.search(queries, 5))
        results.append((found, index.reconstruct_n(3, 4), index.reconstruct(7)))
    (found, *vectors), (expected, *rows) = results
    # Behind scalar codes ours finds candidates by queries rounded to 8 bits.
    share = 0.995 if description.startswith(("Flat", "IVF16,Flat")) else 0.93
    for a, b in zip(found, expected):
        check_same(a, b, share)
    for a, b in zip(vectors, rows):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@BOTH
def test_refined_by_its_constructors_finds_the_same(lib, x, queries):
    def made(base, *more):
        index = lib.IndexRefineFlat(base, *more)
        if not index.is_trained:
            index.train(x)
        if not index.ntotal:
            index.add(x)
        index.k_factor = 10
        lib.extract_index_ivf(index).nprobe = 16
        return index

    truth = x[:3000]
    base = lib.index_factory(24, "IVF16,SQ8")
    fresh = made(base)
    assert base.is_trained and base.ntotal == 3000
    trained = lib.index_factory(24, "IVF16,SQ8")
    trained.train(x)
    filled = lib.clone_index(trained)
    filled.add(x)
    kept = lib.IndexScalarQuantizer(24, lib.ScalarQuantizer.QT_fp16)
    kept.add(x)
    again = lib.clone_index(filled)
    with_kept = lib.IndexRefine(again, kept)
    with_kept.k_factor = 10
    lib.extract_index_ivf(with_kept).nprobe = 16
    flat = lib.IndexFlatL2(24)
    flat.add(truth)
    D, I = flat.search(queries, 5)
    for index in (fresh, made(trained), made(filled, faiss.swig_ptr(x) if lib is faiss else x)):
        check_same(index.search(queries, 5), (D, I))
        assert np.array_equal(index.reconstruct(5), x[5])
    assert (with_kept.search(queries, 5)[1] == I).mean() > 0.99
    base.nprobe = 1
    assert (fresh.search(queries, 5)[1] == I).mean() < 0.95


@BOTH
def test_refined_within_an_id_map_keeps_own_ids(lib, x, queries, tmp_path):
    index = lib.index_factory(24, "IDMap2,IVF16,SQ8,RFlat")
    index.train(x)
    ids = np.arange(3000)[::-1] * 5 + 7
    index.add_with_ids(x, ids)
    lib.ParameterSpace().set_index_parameters(index, "nprobe=16,k_factor_rf=10")
    D, I = lib.knn(queries, x, 5)
    path = str(tmp_path / "x")
    lib.write_index(index, path)
    for each in (index, lib.read_index(path), faiss.read_index(path), ivf.faiss.read_index(path)):
        own = faiss if isinstance(each, faiss.Index) else ivf.faiss
        assert isinstance(each, own.IndexIDMap2) and isinstance(own.downcast_index(each.index), own.IndexRefineFlat)
        check_same(each.search(queries, 5), (D, ids[I]))
        assert np.array_equal(each.reconstruct(7 + 5 * 2999), x[0])


def test_refined_range_search_tells_true_distances(x, queries, tmp_path):
    path = str(tmp_path / "x")
    made = faiss.index_factory(24, "IVF16,SQ4,RFlat")
    made.train(x)
    made.add(x)
    faiss.extract_index_ivf(made).nprobe = 16
    faiss.write_index(made, path)
    truth = faiss.pairwise_distances(queries, x)
    index = ivf.faiss.read_index(path)
    limits, D, I = index.range_search(queries, 18.0)
    rows = np.repeat(np.arange(len(queries)), np.diff(limits.astype(int)))
    np.testing.assert_allclose(D, truth[rows, I], rtol=1e-4)
    theirs = made.range_search(queries, 18.0)
    # faiss also tells what lies outside, but within by its code.
    assert 300 < len(I) <= (truth < 18).sum() + 1
    assert abs(len(I) - (theirs[1] < 18).sum()) <= 2


def test_refined_copies_are_independent(x, queries):
    index = ivf.faiss.index_factory(24, "PCA8,IVF16,SQ8,RFlat")
    index.train(x)
    index.add(x)
    other = copy.deepcopy(index)
    other.add(x[:10])
    other.base_index.index.nprobe = 16
    assert (index.ntotal, other.ntotal, index.base_index.index.nprobe) == (3000, 3010, 1)
    assert other.base_index.index.ntotal == other.base_index.ntotal == 3010
    index.reset()
    assert index.ntotal == 0
    again = ivf.faiss.deserialize_index(ivf.faiss.serialize_index(other))
    assert again.base_index.index.nprobe == 16
    check_same(again.search(queries, 5), other.search(queries, 5))


def refined(lib):
    index = lib.index_factory(4, "Flat,RFlat")
    index.add(np.eye(4))
    return index


@pytest.mark.parametrize(
    ("use", "kind", "text"),
    [
        (lambda lib: refined(lib).add_with_ids(np.eye(4), range(4)), NotImplementedError, "IndexIDMap2"),
        (lambda lib: refined(lib).remove_ids([1]), NotImplementedError, "IndexIDMap2"),
        (lambda lib: refined(lib).merge_from(refined(lib)), NotImplementedError, "ivf.Index.merge"),
        (lambda lib: refined(lib).base_index.search(np.eye(4), 1), NotImplementedError, "IndexRefineFlat itself"),
        (
            lambda lib: refined(lib).search(np.eye(4), 1, params=lib.SearchParameters()),
            NotImplementedError,
            "IndexRefineSearchParameters",
        ),
        (
            lambda lib: refined(lib).search(
                np.eye(4), 1, params=lib.IndexRefineSearchParameters(sel=lib.IDSelectorRange(0, 1))
            ),
            NotImplementedError,
            "base_index_params",
        ),
        (
            lambda lib: refined(lib).search(np.eye(4), 1, params=lib.IndexRefineSearchParameters(k_factor=0.5)),
            ValueError,
            "1 or more, got 0.5",
        ),
        (lambda lib: lib.IndexRefine(lib.IndexFlatL2(4), lib.IndexFlatL2(5)), ivf.DimensionError, "expected 4"),
        (lambda lib: lib.IndexRefine(lib.IndexFlatL2(4), lib.IndexFlatIP(4)), ValueError, "metric_type 1, got 0"),
        (lambda lib: lib.IndexRefineFlat(lib.IndexFlatL2(4), np.eye(4)), ValueError, "ntotal 0, got 4"),
        (lambda lib: lib.IndexRefineFlat(refined(lib)), NotImplementedError, "got IndexRefineFlat"),
        (
            lambda lib: lib.IndexRefine(lib.IndexFlatL2(4), lib.index_factory(4, "IVF2,Flat")),
            NotImplementedError,
            "got IndexIVFFlat",
        ),
        (
            lambda lib: lib.ParameterSpace().set_index_parameter(lib.IndexFlatL2(4), "k_factor_rf", 2),
            RuntimeError,
            "k_factor",
        ),
    ],
)
def test_what_a_refined_index_has_not_says_so(use, kind, text):
    with pytest.raises(kind, match=text):
        use(ivf.faiss)
