"""Building from files, query expansion and blends."""

from __future__ import annotations

import numpy as np
import pytest

import ivf

RNG = np.random.default_rng(5)
X = RNG.standard_normal((1500, 16)).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8])
def test_build_file_is_train_and_add(tmp_path, dtype):
    x = (X * 20 + 100).clip(0, 255).astype(dtype)
    path = tmp_path / "ж-ベクトル.npy"
    np.save(path, x)
    one, two = (ivf.Index(16, "IVF8,Flat") for _ in range(2))
    stages = []
    assert one.build_file(path, progress=lambda stage, *_: stages.append(stage)) == 1500
    assert {"train", "add"} <= set(stages)
    two.train(x)
    two.add(x)
    assert one.to_bytes() == two.to_bytes()
    assert one.add_file(str(path)) == 1500 and len(one) == 3000


def test_add_file_of_another_kind_says_so(tmp_path):
    index = ivf.Index(16)
    path = tmp_path / "x.npy"
    np.save(path, X.astype(np.float64))
    with pytest.raises(ivf.FormatError, match="got <f8"):
        index.add_file(path)
    np.save(path, np.asfortranarray(X))
    with pytest.raises(ivf.FormatError, match="Fortran"):
        index.add_file(path)
    path.write_bytes(path.read_bytes()[:-4])
    np.save(tmp_path / "y.npy", X)
    whole = (tmp_path / "y.npy").read_bytes()
    path.write_bytes(whole[:-4])
    with pytest.raises(ivf.CorruptError, match="truncated"):
        index.add_file(path)
    with pytest.raises(FileNotFoundError):
        index.add_file(tmp_path / "absent.npy")
    assert len(index) == 0


def test_blend_is_that_of_rvc():
    index = ivf.Index(16)
    index.add(X)
    queries = RNG.standard_normal((20, 16)).astype(np.float32)
    score, ix = index.search(queries, k=8)
    weight = np.square(1 / score)
    weight /= weight.sum(axis=1, keepdims=True)
    mean = np.sum(X[ix] * np.expand_dims(weight, axis=2), axis=1)
    np.testing.assert_allclose(index.blend(queries, 8), mean, rtol=1e-4, atol=1e-5)
    mixed = index.blend(queries, 8, ratio=0.75)
    np.testing.assert_allclose(mixed, 0.75 * mean + 0.25 * queries, rtol=1e-4, atol=1e-5)
    # 1 / 0 of RVC: the vector itself.
    np.testing.assert_array_equal(index.blend(X[3], 8), X[3])


def test_blend_without_hits_is_the_query():
    index = ivf.Index(16)
    np.testing.assert_array_equal(index.blend(X[:4]), X[:4])
    index.add(X)
    np.testing.assert_array_equal(index.blend(X[:4], filter=range(0)), X[:4])


def test_query_expansion_is_alpha_qe():
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    index = ivf.Index(16, metric="cosine")
    index.add(X)
    similarity, ids = index.search(unit[:20], k=6)
    sums = unit[:20] + np.sum(unit[ids] * (similarity.clip(0) ** 3)[:, :, None], axis=1)
    want = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    np.testing.assert_allclose(index.query_expansion(X[:20], 6, alpha=3), want, rtol=1e-4, atol=1e-5)
    with pytest.raises(ivf.ArgumentError, match="alpha"):
        index.query_expansion(X[:2], alpha=float("nan"))
