"""Recall on demand."""

import ivf
import numpy as np
import pytest


@pytest.fixture
def filled():
    rng = np.random.default_rng(3)
    x = rng.standard_normal((6000, 12), dtype=np.float32)
    index = ivf.Index(12, "IVF64,Flat")
    index.train(x[:5000])
    index.add(x[:5000])
    return index, x[5000:5500], x[5500:]


def share(index, queries, **options):
    true = index.search(queries, 10, nprobe=64)[1]
    found = index.search(queries, 10, **options)[1]
    return np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(true, found)])


def test_search_with_a_recall_finds_that_share(filled):
    index, sample, fresh = filled
    tuned = index.tune(sample, recall=0.9, k=10)
    assert 1 <= tuned.nprobe < 64 and tuned.recall >= 0.9
    assert share(index, fresh, recall=0.9) >= 0.89
    chosen = {"nprobe": tuned.nprobe, "probe_scale": tuned.probe_scale}
    assert np.array_equal(index.search(fresh, recall=0.9).ids, index.search(fresh, **chosen).ids)


def test_probe_scale_visits_fewer_lists_for_easy_queries(filled):
    index, _, fresh = filled
    stats, lists = ivf.SearchStats(), []
    for scale in (None, 0.2, 0.05):
        index.search(fresh, 10, nprobe=16, probe_scale=scale, stats=stats)
        lists.append(stats.lists)
    assert lists[0] == 16 * 500 > lists[1] > lists[2] > 500
    ranged = index.range_search(fresh, 5.0, 16, probe_scale=0.2, stats=stats)
    assert stats.lists == lists[1] and len(ranged.ids)
    with pytest.raises(ivf.ArgumentError, match="probe_scale: expected 0 or more, got -1"):
        index.search(fresh, probe_scale=-1)


def test_flat_refined_index_is_tuned_by_its_factor(filled):
    plain, sample, fresh = filled
    index = ivf.Index(12, "SQ4,RFlat")
    index.train(plain.reconstruct())
    index.add(plain.reconstruct())
    tuned = index.tune(sample, recall=0.9, k=10)
    assert tuned.nprobe == 1 and tuned.k_factor >= 1 and tuned.probe_scale == 0
    true, found = plain.search(fresh, 10, nprobe=64).ids, index.search(fresh, 10, recall=0.9).ids
    assert np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(true, found)]) >= 0.89


def test_refined_index_is_tuned_by_lists_and_factor(filled):
    plain, sample, fresh = filled
    index = ivf.Index(12, "IVF64,SQ4,RFlat")
    index.train(plain.reconstruct())
    index.add(plain.reconstruct())
    tuned = index.tune(sample, recall=0.9, k=10)
    assert tuned.nprobe < 64 and tuned.k_factor >= 1 and plain.tune(sample).k_factor == 0
    chosen = index.search(fresh, 10, tuned.nprobe, k_factor=tuned.k_factor, probe_scale=tuned.probe_scale)
    found = index.search(fresh, 10, recall=0.9)
    assert np.array_equal(found.ids, chosen.ids)
    true = plain.search(fresh, 10, nprobe=64).ids
    assert np.mean([len(np.intersect1d(a, b)) / 10 for a, b in zip(true, found.ids)]) >= 0.89


def test_curve_rises_and_comes_back_from_bytes(filled):
    index, sample, _ = filled
    assert index.curve is None
    index.tune(sample)
    curve = ivf.from_bytes(index.to_bytes()).curve
    assert (curve.k, curve.queries, curve.count, curve.changed, curve.stale) == (10, 500, 5000, 0, False)
    assert (np.diff(curve.nprobe.astype(int)) >= 0).all() and curve.recall[-1] == 1.0
    assert (curve.low <= curve.recall).all() and (np.diff(curve.cost) > 0).all()
    assert curve.k_factor.tolist() == [0] * len(curve.nprobe)
    assert np.array_equal(curve.probe_scale, index.curve.probe_scale) and (curve.probe_scale >= 0).all()


def test_own_truth_is_what_counts(filled):
    index, sample, _ = filled
    true = index.search(sample, 10, nprobe=64)[1]
    index.tune(sample)
    by_search = index.curve
    index.tune(sample, truth=true)
    assert np.array_equal(index.curve.recall, by_search.recall)
    with pytest.raises(ivf.DimensionError, match="truth"):
        index.tune(sample, truth=true[:, :5])


def test_curve_behind_a_refinement_has_factors():
    random = np.random.default_rng(4)
    x, sample = random.random((2000, 8), np.float32), random.random((200, 8), np.float32)
    index = ivf.Index(8, "IVF16,SQ4,RFlat")
    index.train(x)
    index.add(x)
    tuned = index.tune(sample, 0.9, 5)
    assert index.curve.k_factor.shape == index.curve.nprobe.shape and (index.curve.k_factor >= 1).all()
    assert tuned.k_factor <= index.curve.k_factor.max()


def test_recall_without_a_curve_says_what_to_call(filled):
    index, _, fresh = filled
    with pytest.raises(ivf.StateError, match="call tune first"):
        index.search(fresh, 10, recall=0.9)
    with pytest.raises(ivf.StateError, match="call tune first"):
        index.plot_curve()


def test_plot_draws_recall_against_cost(filled):
    index, sample, _ = filled
    index.tune(sample)

    class Axes:
        def __init__(self):
            self.calls = []

        def __getattr__(self, name):
            return lambda *a, **k: self.calls.append((name, a))

    axes = index.plot_curve(Axes())
    drawn = dict(axes.calls)["semilogx"]
    assert np.array_equal(drawn[0], index.curve.cost) and np.array_equal(drawn[1], index.curve.recall)
