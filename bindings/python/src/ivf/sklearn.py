"""A nearest-neighbour graph for scikit-learn: `IvfTransformer` in place of `KNeighborsTransformer`.

make_pipeline(IvfTransformer(n_neighbors=5, description="IVF256,Flat"),
              KNeighborsClassifier(n_neighbors=5, metric="precomputed"))

Needs scikit-learn, which ivf itself does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ._errors import ArgumentError
from .index import Index

# How each metric of scikit-learn is had: the library's own, and a distance of its values.
_METRICS: dict[str, tuple[str, Any]] = {
    "euclidean": ("l2", np.sqrt),
    "l2": ("l2", np.sqrt),
    "sqeuclidean": ("l2", lambda squared: squared),
    "cosine": ("cosine", lambda similarity: np.maximum(1 - similarity, 0)),
}


class IvfTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The (approximate) graph of the k nearest neighbours, as a sparse matrix `[queries, samples]`.

    n_neighbors: as in KNeighborsTransformer, `transform` gives one more where `mode` is "distance", since a sample
        is its own neighbour.
    mode: "distance", or "connectivity" for ones.
    metric: "euclidean", "sqeuclidean" or "cosine".
    description: the index, such as "Flat" (exact) or "IVF256,Flat".
    nprobe: lists that are searched; None = the index's own choice.
    seed: of the training; None = 1234.
    """

    def __init__(
        self,
        n_neighbors: int = 5,
        *,
        mode: str = "distance",
        metric: str = "euclidean",
        description: str = "Flat",
        nprobe: int | None = None,
        seed: int | None = None,
    ):
        self.n_neighbors = n_neighbors
        self.mode = mode
        self.metric = metric
        self.description = description
        self.nprobe = nprobe
        self.seed = seed

    def fit(self, X: Any, y: Any = None) -> IvfTransformer:
        """Builds the index of the samples `[n, dim]`."""
        if self.metric not in _METRICS:
            known = ", ".join(map(repr, _METRICS))
            raise ArgumentError(f"metric: expected one of {known}, got {self.metric!r}")
        if self.mode not in ("distance", "connectivity"):
            raise ArgumentError(f"mode: expected 'distance' or 'connectivity', got {self.mode!r}")
        rows = validate_data(self, X, dtype=[np.float32, np.float16, np.uint8], order="C")
        index = Index(rows.shape[1], self.description, _METRICS[self.metric][0])
        index.train(rows, seed=self.seed)
        index.add(rows)
        self.index_ = index
        self.n_samples_fit_ = len(rows)
        return self

    def transform(self, X: Any) -> csr_matrix:
        """The neighbours of the rows of `X`."""
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=[np.float32, np.float16, np.uint8], order="C", reset=False)
        k = min(self.n_neighbors + (self.mode == "distance"), self.n_samples_fit_)
        found = self.index_.search(rows, k, self.nprobe)
        # Lists too few for k neighbours leave places empty.
        there = found.ids >= 0
        values = _METRICS[self.metric][1](found.distances[there])
        if self.mode == "connectivity":
            values = np.ones_like(values)
        starts = np.concatenate(([0], np.cumsum(there.sum(axis=1))))
        return csr_matrix((values, found.ids[there], starts), shape=(len(rows), self.n_samples_fit_))

    @property
    def _n_features_out(self) -> int:
        return int(self.n_samples_fit_)
