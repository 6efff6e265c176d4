"""Copies, removals and reading back tell their progress and can be cancelled."""

import numpy as np
import pytest

import ivf

N, DIM = 5000, 16


@pytest.fixture
def index():
    x = np.random.default_rng(1).random((N, DIM), np.float32)
    index = ivf.Index(DIM, "IVF16,Flat")
    index.train(x)
    index.add(x)
    return index


CALLS = {
    "clone": lambda index, **how: index.clone(**how),
    "save": lambda index, **how: index.to_bytes(**how),
    "reconstruct": lambda index, **how: index.reconstruct([3, 5], **how),
    "reconstruct range": lambda index, **how: index.reconstruct_range(0, 10, **how),
    "remove": lambda index, **how: index.remove([7], **how),
    "remove by filter": lambda index, **how: index.remove(ivf.Filter.of(range(8, 10)), **how),
    "compact": lambda index, **how: index.compact(**how),
}


@pytest.mark.parametrize("name", CALLS)
def test_progress_any_call_tells_its_stage(index, name):
    stages = set()
    CALLS[name](index, progress=lambda stage, done, total, value: stages.add(stage) or done > total)
    assert stages == {name.split()[0]}


def test_set_centroids_tells_of_grouping_and_can_be_cancelled():
    x = np.random.default_rng(3).random((5000, 4), dtype=np.float32)
    index = ivf.Index(4, "IVF5000_HNSW32,Flat")
    stop = ivf.Cancel()
    stop.set()
    with pytest.raises(ivf.CancelledError):
        index.set_centroids(x, cancel=stop)
    with pytest.raises(ivf.CancelledError):
        index.set_centroids(x, progress=lambda *report: True)
    assert not index.is_trained
    stages = set()
    index.set_centroids(x, progress=lambda stage, *report: stages.add(stage))
    assert stages == {"train"} and (index.centroids == x).all()


@pytest.mark.parametrize("name", CALLS)
def test_cancel_any_call_changes_nothing(index, name):
    before = index.to_bytes()
    stop = ivf.Cancel()
    stop.set()
    with pytest.raises(ivf.CancelledError):
        CALLS[name](index, cancel=stop)
    assert index.to_bytes() == before
