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


def test_ordered_lists_find_more_in_as_many_and_the_same_in_whole_lists(index, tmp_path):
    index, x = index
    ordered = ivf.Index(8, "IVF32,Flat", list_order="best_first")
    ordered.set_centroids(index.centroids)
    for batch in np.array_split(x, 5):
        ordered.add(batch)
    exact = index.search(x[:200], 10, nprobe=8)
    same = ordered.search(x[:200], 10, nprobe=8)
    assert np.array_equal(same.ids, exact.ids) and np.array_equal(same.distances, exact.distances)

    def found(of):
        ids = of.search(x[:200], 10, nprobe=8, profile="approx_fast").ids
        return sum(len(set(a) & set(b)) for a, b in zip(ids.tolist(), exact.ids.tolist()))

    assert found(ordered) > found(index)
    ordered.save(tmp_path / "ordered.ivf")
    again = ivf.load(tmp_path / "ordered.ivf")
    assert (index.info.list_order, ordered.info.list_order, again.info.list_order) == ("added", "best_first", "best_first")
    assert found(again) == found(ordered)


def test_unknown_list_order_is_refused():
    with pytest.raises(ivf.ArgumentError, match="list_order: expected one of added, best_first, got 'norm'"):
        ivf.Index(8, "IVF32,Flat", list_order="norm")
    with pytest.raises(ivf.ArgumentError, match="no inverted lists"):
        ivf.Index(8, "Flat", list_order="best_first")
