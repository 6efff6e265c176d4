"""Searching one list: order, ties, padding, blocks, the three metrics. All numbers are small and whole."""

import numpy as np
from case import Case

SQUARE = [[0, 0], [2, 0], [0, 3], [4, 4], [-1, -1]]


def whole(seed, n, dim, size=20):
    """Random whole numbers; with them every float32 sum is exact, whatever its order."""
    return np.random.default_rng(seed).integers(-size, size + 1, (n, dim))


def cases():
    yield Case("flat_l2_squared_distances_rise", 2).add(SQUARE).search([[1, 0], [4, 3]], 3).info()
    yield Case("flat_ip_similarities_fall", 2, "ip").add(SQUARE).search([[1, 2], [-3, 1]], 5)
    yield (
        Case("flat_ip_negative_similarities_are_found", 2, "ip")
        .add([[1, 1], [2, 5], [3, 3]])
        .search([[-1, -2]], 3)
    )
    yield (
        Case("flat_cosine_lengths_do_not_matter", 2, "cosine")
        .add([[100, 0], [0.5, 0.5], [0, 7], [-3, 0]])
        .search([[3, 1], [0.01, 0]], 4)
    )
    yield from ties()
    yield from padding()
    yield from blocks()
    yield (
        Case("max_codes_flat_takes_the_first_added", 1)
        .add([[9], [8], [7], [1], [0]])
        .search([[0]], 2, max_codes=3)
        .search([[0]], 2, max_codes=5)
        .search([[0]], 3, max_codes=1)
        .search([[0]], 1, max_codes=100)
    )


def ties():
    same = [[1, 1]] * 6 + [[5, 5]]
    yield (
        Case("ties_l2_are_in_order_of_id", 2)
        .add(same, ids=[9, 3, 7, 1, 12, 5, 2])
        .search([[0, 1]], 3)
        .search([[0, 1]], 6)
        .search([[1, 1], [0, 1]], 7)
    )
    yield (
        Case("ties_ip_are_in_order_of_id", 2, "ip")
        .add([[2, 0], [0, 2], [1, 1], [2, 0]], ids=[40, 30, 20, 10])
        .search([[1, 1]], 2)
        .search([[1, 1]], 4)
        .search([[0, 0]], 3)
    )
    yield (
        Case("ties_cosine_are_in_order_of_id", 2, "cosine")
        .add([[8, 0], [2, 0], [0, 4], [1, 0]], ids=[4, 3, 2, 1])
        .search([[3, 0]], 2)
        .search([[0, 5]], 4)
    )
    circle = [[3, 4], [-3, 4], [4, -3], [5, 0], [0, -5], [-5, 0], [0, 5], [-4, -3]]
    yield (
        Case("ties_of_100_vectors_keep_the_smallest_ids", 2)
        .add([circle[place % 8] for place in range(100)], ids=[(37 * place) % 101 for place in range(100)])
        .search([[0, 0]], 10)
        .search([[0, 0]], 100)
        .search([[3, 4]], 20)
    )


def padding():
    for metric in ("l2", "ip", "cosine"):
        yield (
            Case(f"k_above_count_{metric}_pads", 2, metric)
            .add([[1, 0], [0, 1], [-1, 0]])
            .search([[4, 3], [1, 2]], 5)
        )
    yield Case("empty_flat_finds_nothing", 3).search([[1, 2, 3]], 2).info()
    yield (
        Case("no_rows_do_nothing", 3)
        .add([])
        .info()
        .add([[1, 2, 3]])
        .add([], ids=[])
        .search([], 4)
        .remove([])
        .reconstruct([])
        .info()
    )
    yield Case("k_far_above_count_pads", 1).add(np.arange(40)[:, None]).search([[7], [30]], 1000)


def blocks():
    pieces = Case("flat_added_in_pieces_equals_brute_force", 3)
    x = whole(1, 70, 3)
    sizes = [1, 14, 1, 1, 14, 1, 1, 31, 6]  # edges at 15, 16, 17, 31, 32, 33, 64
    for end, size in zip(np.cumsum(sizes), sizes):
        pieces.add(x[end - size : end]).search(whole(2, 2, 3), int(end))
    yield pieces
    for metric in ("l2", "ip"):
        for dim in (1, 5, 8, 33):
            yield (
                Case(f"flat_{metric}_dim_{dim}_equals_brute_force", dim, metric)
                .add(whole(dim, 70, dim))
                .search(whole(dim + 50, 3, dim), 70)
            )
    yield (
        Case("flat_many_queries_equal_single_ones", 4)
        .add(whole(3, 50, 4))
        .search(whole(4, 65, 4), 4)
        .search(whole(4, 65, 4)[64:], 4)
    )
