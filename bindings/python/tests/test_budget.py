"""Candidate budgets and profiles."""

import ivf
import numpy as np
import pytest


@pytest.fixture
def index():
    x = np.random.default_rng(3).standard_normal((4000, 8), dtype=np.float32)
    index = ivf.Index(8, "IVF32,Flat")
    index.train(x)
    index.add(x)
    return index, x


def test_profile_looks_at_its_share(index):
    index, x = index
    all_hits = index.search(x[:20], 4000, nprobe=8).hits
    fast = index.search(x[:20], 4000, nprobe=8, profile="approx_fast").hits
    assert (fast >= all_hits * 0.25).all() and (fast <= all_hits * 0.25 + 8 * 32).all()
    exact = index.search(x[:20], 10, nprobe=8, profile="exact")
    assert np.array_equal(exact.ids, index.search(x[:20], 10, nprobe=8).ids)


def test_budget_replaces_what_the_profile_sets(index):
    index, x = index
    budget = ivf.Budget(codes=333, strict=True)
    assert (index.search(x[:20], 4000, nprobe=8, profile="approx_fast", budget=budget).hits == 333).all()


def test_unknown_profile_or_idle_option_is_refused(index):
    index, x = index
    with pytest.raises(ivf.ArgumentError, match="profile"):
        index.search(x[:1], 5, profile="fastest")
    with pytest.raises(ivf.ArgumentError, match="budget"):
        index.search(x[:1], 5, budget=ivf.Budget(strict=True))
    index.tune(x[:300], k=5)
    with pytest.raises(ivf.ArgumentError, match="expected one of them"):
        index.search(x[:1], 5, recall=0.9, profile="approx_fast")
