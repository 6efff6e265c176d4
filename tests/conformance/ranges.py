"""Range searches: all that is strictly better than a radius, squared for L2."""

import numpy as np
from budget import Budget
from case import Case
from exact import SQUARE, whole
from filters import NOTHING, Filter
from lists import QUERIES, clusters, cornered

INF = float("inf")


def cases():
    yield (
        Case("range_l2_is_strict_and_squared", 2)
        .add(SQUARE)
        # From [1, 0]: 1, 1, 10, 25, 5.
        .range_search([[1, 0]], 1)
        .range_search([[1, 0]], 1.5)
        .range_search([[1, 0]], 10)
        .range_search([[1, 0], [4, 4], [50, 50]], 25)
        .range_search([[0, 0]], 0)
        .range_search([[0, 0]], 1e-30)
        .range_search([[0, 0]], -1)
        .range_search([[0, 0]], INF)
        .range_search([[0, 0]], -INF)
    )
    yield (
        Case("range_ip_is_strict", 2, "ip")
        .add(SQUARE)
        # With [1, 2]: 0, 2, 6, 12, -3.
        .range_search([[1, 2]], 2)
        .range_search([[1, 2]], -3)
        .range_search([[1, 2], [-1, -2]], -4)
        .range_search([[1, 2]], 12)
        .range_search([[1, 2]], -INF)
        .range_search([[1, 2]], INF)
    )
    yield (
        Case("range_cosine_is_of_directions", 2, "cosine")
        .add([[3, 4], [30, 41], [1, 0], [-5, 1], [0, 0]])
        .range_search([[6, 8.5], [0, 1]], 0.9)
        .range_search([[6, 8.5], [0, 1]], 0.5)
        .range_search([[6, 8.5]], -2)
        .range_search([[6, 8.5]], 1.5)
    )
    yield (
        Case("range_ties_are_in_order_of_id", 2)
        .add([[1, 1]] * 5 + [[2, 2]], ids=[9, 3, 7, 1, 12, 5])
        .range_search([[0, 1], [1, 1]], 5)
        .range_search([[1, 1]], 1)
    )
    yield (
        Case("range_of_nothing_is_empty", 2)
        .range_search([[1, 2], [3, 4]], 10)
        .add([[5, 5]])
        .range_search([], 10)
        .remove([0])
        .range_search([[5, 5]], 10)
    )
    yield from wrong()
    yield from lists()
    yield from filtered()


def wrong():
    yield (
        Case("range_asked_for_wrongly_is_refused", 2)
        .add(SQUARE)
        .range_search([[1, 2]], float("nan"), status="IVF_E_ARGUMENT", error="radius")
        .range_search([[0, 0], [1, float("nan")]], 1, status="IVF_E_NOT_FINITE", error="row 1")
        .range_search([[1, 2, 3]], 1, dim=3, status="IVF_E_DIMENSION", error="expected 2 columns, got 3")
    )
    yield Case("range_before_training_is_refused", 2, "l2", "IVF4,Flat").range_search(
        [[1, 2]], 1, status="IVF_E_NOT_TRAINED", error="train"
    )


def lists():
    yield (
        cornered("range_looks_into_nprobe_lists")
        .range_search(QUERIES, 300, nprobe=1)
        .range_search(QUERIES, 20_000, nprobe=1)
        .range_search(QUERIES, 20_000, nprobe=2)
        .range_search(QUERIES, 20_000, nprobe=4)
        .range_search(QUERIES, 20_000, nprobe=10**6)
        .remove([1, 2, 30, 31])
        .range_search(QUERIES, 600, nprobe=4)
        .reload()
        .range_search(QUERIES, 600, nprobe=3)
    )
    yield (
        cornered("range_keeps_to_max_codes_and_a_budget")
        .range_search(QUERIES, 20_000, nprobe=4, max_codes=13)
        .range_search(QUERIES, 20_000, nprobe=4, budget=Budget(budget_codes=23, strict_budget=True))
    )
    yield cornered("range_batch_of_130_queries_equals_brute_force", n=90).range_search(clusters(34, 130), 40, nprobe=2)
    case = Case("range_of_float16_lists", 2, "l2", "IVF4,SQfp16").set_centroids([[0, 0], [100, 0], [0, 110], [130, 120]])
    yield case.add(clusters(7, 60)).range_search(QUERIES, 300, nprobe=2)
    yield (
        Case("range_ip_probes_the_largest_products", 3, "ip", "IVF3,Flat")
        .set_centroids([[10, 0, 0], [0, 9, 0], [0, 0, 8]])
        .add(np.abs(whole(42, 40, 3)) + [1, 0, 0])
        .range_search([[5, 1, 2], [0, 3, 1]], 60, nprobe=3)
    )


def filtered():
    odd = Filter.bitmap(range(1, 60, 2), 8)
    case = cornered("range_finds_only_what_a_filter_passes")
    for filter in (odd, ~odd, Filter.range(10, 30) | Filter.ids([1, 2]), NOTHING):
        case.range_search(QUERIES, 500, nprobe=2, filter=filter).range_search(QUERIES, INF, nprobe=4, filter=filter)
    yield case
