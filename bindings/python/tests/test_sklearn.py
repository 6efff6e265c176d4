"""The scikit-learn transformer beside scikit-learn's own."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier, KNeighborsTransformer
from sklearn.pipeline import make_pipeline

import ivf
from ivf.sklearn import IvfTransformer

X, Y = load_digits(return_X_y=True)


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_exact_graph_is_that_of_scikit_learn(mode, metric):
    ours = IvfTransformer(4, mode=mode, metric=metric).fit(X).transform(X[:200])
    own = KNeighborsTransformer(n_neighbors=4, mode=mode, metric=metric).fit(X).transform(X[:200])
    assert ours.shape == own.shape and ours.nnz == own.nnz
    # Equal distances may come in another order, so values are compared and not places.
    for a, b in zip(ours, own):
        np.testing.assert_allclose(np.sort(a.data), np.sort(b.data), rtol=1e-4, atol=1e-4)


def test_pipeline_classifies_as_well_as_scikit_learn():
    half = len(X) // 2
    pipeline = make_pipeline(
        IvfTransformer(5, description="IVF16,Flat", nprobe=8),
        KNeighborsClassifier(n_neighbors=5, metric="precomputed"),
    )
    score = pipeline.fit(X[:half], Y[:half]).score(X[half:], Y[half:])
    own = KNeighborsClassifier(n_neighbors=5).fit(X[:half], Y[:half]).score(X[half:], Y[half:])
    assert score > own - 0.01


def test_transformer_clones_pickles_and_names_its_columns():
    fitted = IvfTransformer(3, description="IVF8,Flat", seed=5).fit(X)
    assert clone(fitted).get_params() == fitted.get_params()
    again = pickle.loads(pickle.dumps(fitted))
    assert (again.transform(X[:9]) != fitted.transform(X[:9])).nnz == 0
    assert fitted.get_feature_names_out()[0] == "ivftransformer0"
    assert len(fitted.get_feature_names_out()) == len(X)


def test_transformer_takes_bytes_as_they_are():
    assert (IvfTransformer(3).fit(X.astype(np.uint8)).transform(X[:5]) != IvfTransformer(3).fit(X).transform(X[:5])).nnz == 0


def test_transformer_refuses_what_it_does_not_know():
    with pytest.raises(ivf.ArgumentError, match="metric: expected one of"):
        IvfTransformer(metric="manhattan").fit(X)
    with pytest.raises(ivf.ArgumentError, match="mode"):
        IvfTransformer(mode="graph").fit(X)
    with pytest.raises(ValueError, match="64 features"):
        IvfTransformer().fit(X).transform(X[:, 1:])
