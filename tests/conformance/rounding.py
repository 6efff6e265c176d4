"""Numbers that are hard on float32: large offsets, awkward fractions, very large and very small, zero vectors."""

import numpy as np
from case import Case


def cases():
    awkward = np.random.default_rng(5).uniform(-3, 3, (40, 7)).astype(np.float32)
    far = Case("l2_same_vector_is_exactly_0", 7).add(awkward).search(awkward[[0, 17, 39]], 1)
    yield far.search(awkward[3:6] * np.float32(1), 3)
    yield from offsets()
    yield from fractions()
    yield (
        Case("l2_very_large_values_do_not_overflow", 2)
        .add([[1e18, 0], [-1e18, 0], [0, 3e18]])
        .search([[1e18, 0]], 3)
    )
    yield (
        Case("l2_very_small_values_are_told_apart", 2)
        .add([[1e-15, 0], [-1e-15, 0], [0, 3e-15]])
        .search([[1e-15, 0]], 3)
    )
    yield (
        Case("cosine_zero_vector_is_0_to_everything", 2, "cosine")
        .add([[1, 0], [0, 0], [-1, 0], [0, 2]])
        .search([[3, 0]], 4)
        .search([[0, 0]], 4)
        .search([[0, -1]], 4)
    )
    yield (
        Case("cosine_same_direction_is_1_and_opposite_is_minus_1", 3, "cosine")
        .add([[0.1, 0.7, 1.3], [-0.3, -2.1, -3.9], [5, 0, 0]])
        .search([[0.1, 0.7, 1.3], [1e-3, 7e-3, 13e-3], [-1e6, -7e6, -13e6]], 3)
    )
    yield (
        Case("cosine_very_long_and_short_vectors_compare", 2, "cosine")
        .add([[1e18, 0], [1e-15, 1e-15], [0, 1e10]])
        .search([[3e-10, 1e-10], [1e15, 4e15]], 3)
    )


def fractions():
    """Random float32 numbers, without and with lists."""
    random = np.random.default_rng(8)
    for metric in ("l2", "ip", "cosine"):
        for dim in (3, 33):
            x = random.standard_normal((49, dim)).astype(np.float32)
            flat = Case(f"flat_{metric}_fractions_of_dim_{dim}_equal_brute_force", dim, metric).add(x)
            yield clear(flat, 3, 20)
        lists = Case(f"ivf_{metric}_fractions_equal_brute_force", 33, metric, "IVF5,Flat")
        lists.set_centroids(x[:5]).add(x[5:]).list_sizes()
        clear(lists, 6, 5, nprobe=2)
        yield clear(lists, 6, 44, nprobe=5)


def clear(case, count, k, **options):
    """Searches with random queries whose answers no rounding can change."""
    return clearly(case, case.search, count, k, options)


def clear_range(case, count, radius, **options):
    """The same within a radius."""
    return clearly(case, case.range_search, count, radius, options)


def clearly(case, search, count, what, options):
    random = np.random.default_rng(len(case.case["steps"]))
    found = []
    while len(found) < count:
        query = random.standard_normal((1, case.model.dim)).astype(np.float32)
        try:
            search(query, what, **options)
        except AssertionError:
            continue
        case.case["steps"].pop()
        found.append(query)
    return search(np.concatenate(found), what, **options)


def offsets():
    """Distances far below what the squared lengths of the vectors can resolve in float32."""
    steps = np.random.default_rng(6).integers(-8, 9, (40, 4)) / 16
    for offset in (1000, 4096):
        x = offset + steps
        yield (
            Case(f"l2_offset_{offset}_keeps_small_distances", 4)
            .add(x)
            .search(x[[0, 11]], 40)
            .search(x[:33], 3)
            .search([[offset + 1 / 64] * 4], 1)
        )
    x = 1000 + steps
    centroids = [[1000.5, 1000.5, 1000, 1000], [999.5, 999.5, 1000, 1000.1], [1000, 1000.2, 1000, 1001]]
    yield (
        Case("ivf_l2_offset_1000_keeps_small_distances", 4, "l2", "IVF3,Flat")
        .set_centroids(centroids)
        .add(x)
        .list_sizes()
        .search(x[:20], 2, nprobe=1)
        .search(x[5:9], 40, nprobe=3)
    )
