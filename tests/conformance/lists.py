"""Inverted lists: probing, max_codes, lists of one's own, training."""

import numpy as np
from case import Case
from exact import whole

CORNERS = [[0, 0], [100, 0], [0, 110], [130, 120]]


def cornered(name, metric="l2", n=60, **options):
    """A case of four clear lists."""
    case = Case(name, 2, metric, "IVF4,Flat", **options).set_centroids(CORNERS)
    return case.add(clusters(7, n)) if n else case


def clusters(seed, n, spread=20):
    """Points around the corners, unevenly."""
    random = np.random.default_rng(seed)
    corner = random.choice(4, n, p=[0.5, 0.3, 0.2, 0])
    return np.array(CORNERS)[corner] + random.integers(-spread, spread + 1, (n, 2))


QUERIES = [[10, 3], [90, -7], [31, 88], [125, 118]]


def cases():
    yield (
        cornered("ivf_l2_nprobe_limits_the_lists")
        .list_sizes()
        .search(QUERIES, 3, nprobe=1)
        .search(QUERIES, 30, nprobe=2)
        .search(QUERIES, 60, nprobe=3)
        .search(QUERIES, 60, nprobe=4)
    )
    yield (cornered("nprobe_above_nlist_means_all").search(QUERIES, 5, nprobe=5).search(QUERIES, 5, nprobe=10**6))
    yield cornered("ivf_batch_of_80_queries_equals_brute_force", n=90).search(clusters(8, 80), 4, nprobe=2)
    yield cornered("ivf_empty_list_finds_nothing").search([[130, 120]], 2, nprobe=1)
    yield (cornered("ivf_empty_trained_index_finds_nothing", n=0).info().list_sizes().search(QUERIES, 2, nprobe=2))
    yield (
        Case("ivf_one_list_equals_flat", 3, "l2", "IVF1,Flat")
        .set_centroids([[1, 2, 3]])
        .add(whole(11, 40, 3))
        .search(whole(12, 5, 3), 40, nprobe=1)
    )
    yield (
        Case("ivf_ties_over_lists_are_in_order_of_id", 1, "l2", "IVF2,Flat")
        .set_centroids([[-10], [11]])
        .add([[-5], [5], [-5], [5], [-6], [6]], ids=[6, 5, 4, 3, 2, 1])
        .search([[0]], 3, nprobe=2)
        .search([[0]], 6, nprobe=2)
    )
    axes = [[10, 0, 0], [0, 9, 0], [0, 0, 8]]
    points = np.abs(whole(13, 40, 3)) + [1, 0, 0]
    yield (
        Case("ivf_ip_probes_the_largest_products", 3, "ip", "IVF3,Flat")
        .set_centroids(axes)
        .add(np.array(axes) * 3)
        .add([[7, 1, 2], [1, 6, 3], [2, 2, 9], [-1, -2, -9]])
        .list_sizes()
        .search([[5, 1, 2], [0, 3, 1], [-5, -2, -1]], 3, nprobe=1)
        .search([[5, 1, 2], [0, 3, 1], [-5, -2, -1]], 7, nprobe=2)
        .search(points[:9], 7, nprobe=3)
    )
    yield (
        Case("ivf_cosine_probes_the_smallest_angles", 2, "cosine", "IVF2,Flat")
        .set_centroids([[1, 0], [0, 1]])
        .add([[5, 1], [1, 4], [300, 200], [0.1, 0.3], [-1, 0.5]])
        .list_sizes()
        .search([[30, 10], [1, 3]], 2, nprobe=1)
        .search([[30, 10], [1, 3]], 5, nprobe=2)
    )
    yield (
        Case("ivf_cosine_lengths_of_centroids_do_not_matter", 2, "cosine", "IVF2,Flat")
        .set_centroids([[50, 0], [1, 1]])
        .add([[10, 1], [3, 2], [1, 1.5]])
        .list_sizes()
        .search([[2, 1.9], [9, 1]], 3, nprobe=1)
    )
    yield from max_codes()
    yield from preassigned()
    yield from training()


def max_codes():
    near = cornered("max_codes_cuts_inside_a_list_in_probe_order")
    for codes in (1, 2, 5, 17, 31, 33, 45, 59, 60, 61):
        near.search(QUERIES, 4, nprobe=4, max_codes=codes)
    yield near.search(QUERIES, 60, nprobe=2, max_codes=40)
    batch = cornered("max_codes_batch_of_80_queries_cuts_the_same", n=90)
    yield batch.search(clusters(9, 80), 3, nprobe=3, max_codes=50).search(clusters(9, 80)[:1], 3, 3, 50)
    yield (
        cornered("max_codes_preassigned_cuts_the_same")
        .search_preassigned([[10, 3]], [[2, 1, 0]], 3, max_codes=20)
        .search_preassigned([[10, 3]], [[1, -1, 0]], 60, max_codes=25)
        .search_preassigned([[10, 3]], [[3, 0]], 60, max_codes=7)
    )


def preassigned():
    yield (
        cornered("preassigned_searches_the_lists_given")
        .search_preassigned(QUERIES, [[0], [0], [2], [1]], 3)
        .search_preassigned(QUERIES[:2], [[2, 0], [1, 2]], 60)
        .search_preassigned(QUERIES[:2], [[-1, 0], [1, -1]], 4)
        .search_preassigned(QUERIES[:2], [[-1, -1], [-1, 3]], 2)
    )
    yield (
        cornered("preassigned_list_that_does_not_exist_is_refused")
        .search_preassigned(QUERIES[:2], [[0], [4]], 3, status="IVF_E_ARGUMENT", error="4")
        .search_preassigned(QUERIES[:2], [[-2], [0]], 3, status="IVF_E_ARGUMENT", error="-2")
    )


def training():
    x = whole(21, 200, 4, 100)
    for metric in ("l2", "ip"):
        yield (
            Case(f"trained_{metric}_all_lists_equal_brute_force", 4, metric, "IVF4,Flat")
            .info()
            .train(x)
            .info()
            .add(x[:90])
            .info()
            .search(whole(22, 6, 4, 100), 12, nprobe=4)
        )
    yield (
        Case("trained_cosine_all_lists_equal_brute_force", 3, "cosine", "IVF2,Flat")
        .train(x[:, :3])
        .add(np.eye(3) * 7)
        .add([[1, 1, 0], [0, -2, 3]])
        .search([[1, 0.1, 0.01]], 5, nprobe=2)
    )
    trained = Case("trained_l2_vector_is_in_its_nearest_list", 4, "l2", "IVF8,Flat").train(x).add(x)
    # Its own list is the one that is probed first, so nprobe 1 finds the vector itself.
    copy = {"x": [float(value) for value in x[:30].ravel()], "n": 30, "k": 1, "nprobe": 1, "max_codes": 0}
    yield trained.step("search", **copy, ids=list(range(30)), distances=[0] * 30, hits=[1] * 30)
    yield Case("train_flat_is_nothing", 2).train([[1, 2]]).info().add([[3, 4]]).search([[3, 4]], 1)
    yield Case("train_as_many_points_as_lists_works", 1, "l2", "IVF3,Flat").train([[1], [5], [9]]).info()
    yield (
        Case("size_not_named_is_that_of_the_centroids", 1, "l2", "IVF,Flat")
        .info()
        .describe("IVF,Flat")
        .set_centroids([[0], [10], [20]])
        .info()
        .describe("IVF3,Flat")
        .add([[1], [11], [12]])
        .list_sizes()
    )
    yield (
        Case("centroids_of_an_empty_index_are_replaced", 1, "l2", "IVF2,Flat")
        .set_centroids([[0], [10]])
        .set_centroids([[0], [100]])
        .add([[20], [70]])
        .list_sizes()
    )
    yield Case("describe_gives_the_description_back", 5, "ip", "IVF12,Flat").describe("IVF12,Flat")
