"""Vectors read back with results, mixed with queries, and rows of other types than float32."""

import numpy as np
from case import Case
from lists import CORNERS, QUERIES, clusters, cornered


def some(seed, n):
    """Random rows, no two of one direction."""
    return np.random.default_rng(seed).standard_normal((n, 3)).astype(np.float32)


def cases():
    yield from read_back()
    yield from expansions()
    yield from blends()
    yield from typed()


def read_back():
    yield (
        Case("search_and_reconstruct_has_nan_beside_a_missing_id", 2)
        .add([[0, 0], [3, 4], [6, 8]], ids=[7, 5, 9])
        .search_and_reconstruct([[3, 3], [7, 8]], 2)
        .search_and_reconstruct([[3, 3]], 5)
        .search_and_reconstruct([], 2)
        .search_and_reconstruct([[1, 2]], 0, status="IVF_E_ARGUMENT", error="k")
        .search_and_reconstruct([[1, float("nan")]], 1, status="IVF_E_NOT_FINITE", error="row 0")
    )
    yield (
        cornered("search_and_reconstruct_reads_from_lists", n=60)
        .remove([3, 40])
        .search_and_reconstruct(QUERIES, 7, nprobe=2)
        .search_and_reconstruct(QUERIES, 70, nprobe=4)
        .search_and_reconstruct(QUERIES, 9, nprobe=3, max_codes=21)
    )
    yield (
        Case("search_and_reconstruct_cosine_has_length_1", 2, "cosine")
        .add([[30, 40], [5, 0], [-1, 3]])
        .search_and_reconstruct([[3, 1], [-1, 7]], 4)
    )
    yield (
        Case("search_and_reconstruct_untrained_is_refused", 2, "l2", "IVF4,Flat").search_and_reconstruct(
            [[1, 2]], 1, status="IVF_E_NOT_TRAINED", error="train"
        )
    )


def expansions():
    for metric in ("l2", "ip", "cosine"):
        yield (
            Case(f"query_expansion_{metric}_is_the_weighted_mean", 3, metric)
            .add(some(81, 40))
            .query_expansion(some(82, 4), 5, 3)
            .query_expansion(some(82, 4), 1, 0)
            .query_expansion(some(83, 2), 60, 0.5)
            .query_expansion([], 3, 3)
            .query_expansion([[1, 2, 3]], 3, -1, status="IVF_E_ARGUMENT", error="alpha")
            .query_expansion([[1, 2, 3]], 0, 3, status="IVF_E_ARGUMENT", error="k")
        )
    yield cornered("query_expansion_looks_into_nprobe_lists", n=60).query_expansion(QUERIES, 20, 1, nprobe=1)
    yield (
        Case("query_expansion_without_neighbours_keeps_the_direction", 2, "ip")
        .query_expansion([[3, 4], [0, -2]], 2, 3)
        .add([[-3, -4]])
        .query_expansion([[3, 4]], 2, 3)
    )


def blends():
    for metric in ("l2", "cosine"):
        yield (
            Case(f"blend_{metric}_weighs_by_distance", 3, metric)
            .add(some(84, 40))
            .blend([[0.5, 1, 2.25], [3, -4.5, 1]], 8, 2, 0.75)
            .blend([[0.5, 1, 2.25], [3, -4.5, 1]], 3, 1, 1)
            .blend([[0.5, 1, 2.25]], 50, 0, 0.5)
            .blend([[0.5, 1, 2.25]], 4, 2, 0)
            .blend([], 4, 2, 1)
            .blend([[1, 2, 3]], 4, -1, 1, status="IVF_E_ARGUMENT", error="power")
            .blend([[1, 2, 3]], 4, 2, 1.5, status="IVF_E_ARGUMENT", error="ratio")
        )
    yield (
        Case("blend_at_distance_0_is_the_vector_itself", 2)
        .add([[1, 2], [1, 3], [8, 8], [1, 2]])
        .blend([[1, 2], [8, 8]], 4, 2, 1)
        .blend([[8, 8]], 2, 2, 0.5)
    )
    yield Case("blend_without_neighbours_is_the_query", 2).blend([[3, 4]], 8, 2, 1)
    yield (
        Case("blend_of_inner_products_is_refused", 2, "ip")
        .add([[1, 2]])
        .blend([[1, 2]], 1, 2, 1, status="IVF_E_ARGUMENT", error="inner product")
    )


def typed():
    random = np.random.default_rng(85)
    for element in ("f16", "bf16", "u8"):
        low = 0 if element == "u8" else -60
        x, queries = random.integers(low, 100, (70, 5)), random.integers(low, 100, (3, 5))
        yield (
            Case(f"typed_{element}_rows_are_their_values", 5)
            .add_typed(x[:33], element)
            .add_typed(x[33:], element, ids=list(range(100, 137)))
            .add_typed([], element)
            .search_typed(queries, element, 20)
            .search(queries, 20)
            .search_typed([], element, 3)
            .search_typed(queries, element, 0, status="IVF_E_ARGUMENT", error="k")
            .reconstruct([0, 32, 100, 136])
            .info()
        )
        yield (
            Case(f"typed_{element}_rows_train_lists", 5, "ip", "IVF4,Flat")
            .train_typed(x[:3], element, status="IVF_E_TOO_FEW_POINTS", error="expected 4 or more, got 3")
            .add_typed(x, element, status="IVF_E_NOT_TRAINED", error="train")
            .train_typed(x, element)
            .add_typed(x, element)
            .search_typed(queries, element, 30, nprobe=4)
            .info()
        )
        # The corners of the lists, and all else, moved to where bytes are.
        points, asked = clusters(7, 60) + 20, np.array(QUERIES) + 20
        case = Case(f"typed_{element}_rows_are_taken_by_every_call", 2, "l2", "IVF4,Flat").set_centroids(np.array(CORNERS) + 20)
        yield (
            case.add_typed(points, element)
            .update([3, 59, 20], asked[:3], element=element)
            .update([3, 60], asked[:2], element=element, status="IVF_E_NOT_FOUND", error="60")
            .update([], [], element=element)
            .list_sizes()
            .search_preassigned(asked, [[1, 0], [2, -1], [3, 2], [0, 1]], 4, element=element)
            .search_and_reconstruct(asked, 3, nprobe=2, element=element)
            .range_search(asked, 300, nprobe=2, element=element)
            .range_search([], 300, nprobe=2, element=element)
            .query_expansion(asked, 5, 3, nprobe=2, element=element)
            .blend(asked, 5, 2, 0.25, nprobe=2, element=element)
            .tune(asked, 3, 1, element=element)
            .curve()
        )
    fractions = random.standard_normal((30, 5))
    for element in ("f16", "bf16"):
        case = Case(f"typed_{element}_fractions_are_their_values", 5, "l2").add_typed(fractions, element)
        yield case.reconstruct(list(range(30))).search_typed(fractions[[4, 20]], element, 1)
        yield (
            Case(f"typed_{element}_infinity_is_refused_with_its_row", 5)
            .add_typed([[1] * 5, [1, 2, float("inf"), 4, 5]], element, status="IVF_E_NOT_FINITE", error="row 1")
            .search_typed([[float("-inf")] * 5], element, 1, status="IVF_E_NOT_FINITE", error="row 0")
            .add([[1] * 5])
            .update([0], [[float("inf")] * 5], element=element, status="IVF_E_NOT_FINITE", error="row 0")
            .blend([[1] * 5, [float("inf")] * 5], 1, 2, 1, element=element, status="IVF_E_NOT_FINITE", error="row 1")
            .info()
        )
