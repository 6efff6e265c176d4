"""The index's own methods and properties."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import ivf


def test_new_index_is_empty():
    index = ivf.Index(128, "IVF512,Flat", metric="ip")
    assert (index.dim, index.metric, index.nlist, index.ntotal, len(index)) == (128, "ip", 512, 0, 0)
    assert not index.is_trained
    assert index.description == "IVF512,Flat"
    assert index.context is None
    assert repr(index) == "<ivf.Index IVF512,Flat dim=128 metric=ip count=0 untrained>"


def test_filled_index_tells_what_it_holds(index, x):
    assert index.is_trained
    assert len(index) == index.ntotal == 3000
    assert index.list_sizes.sum() == 3000
    assert index.centroids.shape == (16, 24)
    assert index.memory >= x.nbytes
    assert repr(index) == "<ivf.Index IVF16,Flat dim=24 metric=l2 count=3000>"
    info = index.info
    assert (info.dim, info.count, info.nlist, info.next_id, info.dead) == (24, 3000, 16, 3000, 0)
    assert info.trained is True
    assert info.is_ivf is True
    assert info.allow_duplicate_ids is False
    assert info.memory_bytes >= info.vector_bytes >= x.nbytes


def test_size_not_named_is_chosen_in_training(x):
    index = ivf.Index(24, "IVF,Flat")
    assert index.nlist == 0
    index.train(x)
    assert 1 <= index.nlist <= 3000 // 39
    assert index.description == f"IVF{index.nlist},Flat"


def test_nprobe_given_is_the_default(x, queries, index):
    own = ivf.Index(24, "IVF16,Flat", nprobe=3)
    own.set_centroids(index.centroids)
    own.add(x)
    assert own.nprobe == 3
    np.testing.assert_array_equal(own.search(queries, 5).ids, index.search(queries, 5, 3).ids)
    assert (own.search(queries, 5).ids != own.search(queries, 5, nprobe=16).ids).any()


def test_centroids_set_are_the_centroids(index, x):
    copy = ivf.Index(24, "IVF16,Flat")
    copy.set_centroids(index.centroids)
    np.testing.assert_array_equal(copy.centroids, index.centroids)
    copy.add(x)
    np.testing.assert_array_equal(copy.list_sizes, index.list_sizes)


def test_train_options_matter_and_repeat(x):
    def centroids(**options):
        index = ivf.Index(24, "IVF8,Flat")
        index.train(x, **options)
        return index.centroids

    default = centroids()
    np.testing.assert_array_equal(default, centroids(seed=1234, iterations=10, restarts=1))
    np.testing.assert_array_equal(default, centroids(threads=1))
    for options in ({"seed": 5}, {"iterations": 1}, {"max_points_per_centroid": 40}):
        assert (centroids(**options) != default).any(), options
    assert (centroids(seeding="random") != centroids(seeding="k-means++")).any()
    with pytest.raises(ivf.ArgumentError, match=r"'k-means\+\+', 'hierarchical', got 'best'"):
        centroids(seeding="best")


def test_add_vector_adds_one(flat, x):
    flat.add(x[7])
    assert len(flat) == 3001
    assert flat.search(x[7], 2).ids.tolist() == [[7, 3000]]


def test_remove_one_or_many(flat):
    assert flat.remove(5) == 1
    assert flat.remove([5, 6, 7, 99999]) == 2
    assert flat.remove([]) == 0
    assert len(flat) == 2997


def test_reconstruct_one_or_many(flat, x):
    np.testing.assert_array_equal(flat.reconstruct(3), x[3])
    np.testing.assert_array_equal(flat.reconstruct([9, 2, 9]), x[[9, 2, 9]])
    assert flat.reconstruct([]).shape == (0, 24)


def test_reconstruct_unknown_id_is_a_key_error(flat):
    with pytest.raises(KeyError) as raised:
        flat.reconstruct([1, 3000])
    assert isinstance(raised.value, ivf.NotFoundError)
    assert str(raised.value) == "no vector has the id 3000"


def test_compact_gives_dead_space_back(flat):
    flat.remove(range(500))
    assert flat.info.dead == 500
    flat.compact()
    assert flat.info.dead == 0
    assert len(flat) == 2500


def test_reset_keeps_the_training(index):
    before = index.centroids
    index.reset()
    assert len(index) == 0
    np.testing.assert_array_equal(index.centroids, before)


def test_closed_index_refuses_by_name(flat, x):
    with flat as same:
        assert same is flat
    assert repr(flat) == "<ivf.Index closed>"
    flat.close()
    for use in (lambda: flat.search(x[:1]), lambda: flat.add(x), lambda: len(flat), flat.to_bytes, flat.reset):
        with pytest.raises(ivf.StateError, match="the index is closed"):
            use()


def test_dropped_index_is_destroyed():
    index = ivf.Index(2)
    handle = weakref.ref(index._live)
    del index
    gc.collect()
    assert handle() is None


def test_index_keeps_its_context(x):
    context = ivf.Context(threads=1, kernel="scalar")
    index = ivf.Index(24, context=context)
    assert index.context is context
    del context
    gc.collect()
    index.add(x)
    assert index.search(x[:5], 1).ids.ravel().tolist() == [0, 1, 2, 3, 4]


def test_subclass_survives_loading(tmp_path):
    class Mine(ivf.Index):
        pass

    index = Mine(2)
    index.save(tmp_path / "mine")
    assert type(Mine.load(tmp_path / "mine")) is Mine
    assert type(Mine.from_bytes(index.to_bytes())) is Mine


def test_train_few_points_warns_in_the_log(x, caplog, capfd):
    index = ivf.Index(24, "IVF16,Flat")
    index.train(x[:100])
    assert "16 centroids: expected at least 624 points (39 each), got 100" in caplog.text
    caplog.clear()
    ivf.Index(24, "IVF16,Flat").train(x)
    ivf.Index(24).train(x[:1])
    assert caplog.text == ""
    assert capfd.readouterr() == ("", "")


def test_context_tells_what_it_runs_on():
    context = ivf.Context(threads=3, device="cpu", kernel="scalar")
    assert context.info[:3] == (3, ivf.devices()[0].name, "scalar")
    assert "threads=3" in repr(context)
    assert "'scalar'" in repr(context)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"device": "gpu:77"}, ivf.DeviceError),
        ({"kernel": "abacus"}, ivf.ArgumentError),
        ({"threads": -1}, ivf.ArgumentError),
        ({"threads": 10**6}, ivf.ArgumentError),
    ],
)
def test_context_impossible_is_refused(options, kind):
    with pytest.raises(kind):
        ivf.Context(**options)


def test_context_of_another_type_is_refused():
    with pytest.raises(TypeError, match=r"expected an ivf.Context or None, got int"):
        ivf.Index(2, context=2)


def test_devices_begin_with_the_cpu():
    first = ivf.devices()[0]
    assert (first.type, first.backend) == ("cpu", "cpu")
    assert first.name
    assert first.kernel in ("scalar", "avx2", "avx512", "neon")
    assert first.threads >= 1
    assert first.memory_bytes > 2**28


def test_centroids_behind_transforms_have_the_lists_width():
    x = np.random.default_rng(1).standard_normal((2000, 16), dtype=np.float32)
    index = ivf.Index(16, "PCA6,IVF8,Flat")
    index.train(x)
    assert (index.info.dim, index.info.list_dim) == (16, 6)
    assert index.centroids.shape == (8, 6)
    other = ivf.Index(16, "IVF8,Flat")
    other.train(x)
    assert other.info.list_dim == 16 and other.centroids.shape == (8, 16)
