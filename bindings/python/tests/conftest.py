"""Data and indexes that the tests share."""

from __future__ import annotations

import numpy as np
import pytest

import ivf

METRICS = ["l2", "ip", "cosine"]


def normal(seed: int, n: int, dim: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


@pytest.fixture(scope="session")
def x() -> np.ndarray:
    return normal(1, 3000, 24)


@pytest.fixture(scope="session")
def queries() -> np.ndarray:
    return normal(2, 100, 24)


@pytest.fixture
def index(x) -> ivf.Index:
    """Three lists' worth of everything: 16 lists, 3000 vectors."""
    index = ivf.Index(24, "IVF16,Flat")
    index.train(x)
    index.add(x)
    return index


@pytest.fixture
def flat(x) -> ivf.Index:
    index = ivf.Index(24)
    index.add(x)
    return index


def brute_force(queries: np.ndarray, x: np.ndarray, k: int, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """Distances and ids in float64."""
    q, x = queries.astype(np.float64), x.astype(np.float64)
    if metric == "cosine":
        q = q / np.linalg.norm(q, axis=1, keepdims=True)
        x = x / np.linalg.norm(x, axis=1, keepdims=True)
    if metric == "l2":
        keys = ((q[:, None, :] - x[None, :, :]) ** 2).sum(2)
    else:
        keys = -(q @ x.T)
    ids = np.argsort(keys, axis=1, kind="stable")[:, :k]
    distances = np.take_along_axis(keys, ids, 1)
    return (distances if metric == "l2" else -distances), ids
