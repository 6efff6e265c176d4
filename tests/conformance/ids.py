"""Ids: handed out once, one's own, removed, repeated; reading vectors back."""

import numpy as np
from case import Case
from exact import whole
from lists import QUERIES, clusters, cornered

LARGE = 2**53


def cases():
    yield (
        Case("own_ids_come_back", 1)
        .add([[1], [2], [3]], ids=[700, 5, 0])
        .search([[2]], 3)
        .info()
        .add([[4]])
        .info()
        .search([[4]], 1)
    )
    yield (
        Case("ids_beyond_double_precision_are_exact", 1)
        .add([[1], [2], [3]], ids=[LARGE, LARGE + 1, LARGE + 2])
        .search([[2]], 3)
        .info()
        .remove([LARGE + 1])
        .add([[5]])
        .search([[2]], 4)
        .reconstruct([LARGE + 2, LARGE])
    )
    yield (
        Case("removed_ids_are_not_handed_out_again", 1)
        .add([[0], [1], [2]])
        .remove([2])
        .info()
        .add([[3]])
        .search([[3]], 3)
        .remove([0, 1, 3])
        .info()
        .add([[4]])
        .info()
        .search([[4]], 2)
    )
    yield (
        Case("largest_own_id_removed_is_not_handed_out_again", 1)
        .add([[0]], ids=[10])
        .remove([10])
        .add([[1]])
        .search([[0]], 2)
        .info()
    )
    yield (
        cornered("reset_keeps_training_and_next_id", n=10)
        .reset()
        .info()
        .list_sizes()
        .search(QUERIES, 2, nprobe=4)
        .add(clusters(10, 5))
        .info()
        .search(QUERIES, 6, nprobe=4)
    )
    yield (
        Case("remove_ignores_unknown_and_counts_once", 1)
        .add([[0], [1], [2], [3]])
        .remove([2, 77, 2, -5])
        .remove([2])
        .search([[2]], 4)
        .info()
    )
    yield (
        Case("removed_id_may_be_given_again", 1)
        .add([[0], [1]])
        .remove([0])
        .add([[7]], ids=[0])
        .search([[0]], 2)
        .reconstruct([0])
        .info()
    )
    yield from blocks()
    yield from duplicates()
    yield from reconstruction()


def blocks():
    for name, removed in (
        ("some", [0, 15, 16, 31, 32, 63, 64, 69]),
        ("most", [number for number in range(70) if number % 9]),
        ("first_block", list(range(32))),
        ("last_block", list(range(60, 70))),
        ("all", list(range(70))),
    ):
        yield (
            Case(f"removed_{name}_are_never_found", 3)
            .add(whole(31, 70, 3))
            .remove(removed)
            .search(whole(32, 3, 3), 70)
            .compact()
            .search(whole(32, 3, 3), 70)
            .add(whole(33, 40, 3))
            .search(whole(32, 3, 3), 110)
            .info()
        )
    yield (
        cornered("ivf_removed_are_never_found", n=90)
        .remove(list(range(0, 90, 3)))
        .list_sizes()
        .search(QUERIES, 90, nprobe=2)
        .compact()
        .search(QUERIES, 90, nprobe=2)
        .info()
    )


def duplicates():
    yield (
        Case("id_twice_in_a_batch_is_refused", 1)
        .add([[0], [1]])
        .add([[2], [3], [4]], ids=[8, 9, 8], status="IVF_E_DUPLICATE_ID", error="id 8")
        .info()
        .search([[3]], 4)
    )
    yield (
        Case("id_in_the_index_is_refused", 1)
        .add([[0], [1]])
        .add([[2], [3]], ids=[8, 1], status="IVF_E_DUPLICATE_ID", error="id 1")
        .info()
        .search([[3]], 4)
    )
    yield (
        cornered("ivf_id_in_the_index_is_refused", n=20)
        .add([[1, 1], [101, 1]], ids=[20, 7], status="IVF_E_DUPLICATE_ID", error="id 7")
        .list_sizes()
        .info()
    )
    yield (
        Case("allowed_duplicates_are_all_found_and_removed", 1, allow_duplicate_ids=True)
        .add([[0], [1]], ids=[4, 4])
        .add([[2], [9]], ids=[4, 5])
        .search([[0]], 4)
        .info()
        .remove([4])
        .search([[0]], 4)
        .info()
    )
    yield (
        Case("negative_id_is_refused", 1).add([[0], [1]], ids=[3, -1], status="IVF_E_ARGUMENT", error="-1").info()
    )


def reconstruction():
    x = np.random.default_rng(41).uniform(-1, 1, (40, 5)).astype(np.float32)
    yield (
        Case("reconstruct_gives_vectors_back_in_any_order", 5)
        .add(x)
        .reconstruct([39, 0, 16, 0, 31])
        .remove([16])
        .reconstruct([39, 31, 17])
    )
    yield (
        cornered("ivf_reconstruct_gives_vectors_back", n=50)
        .reconstruct([0, 49, 20])
        .remove([20])
        .compact()
        .reconstruct([49, 0, 19, 21])
    )
    yield (
        Case("reconstruct_cosine_has_length_1", 2, "cosine").add([[3, 4], [0, -9], [0, 0]]).reconstruct([0, 1, 2])
    )
    yield (
        Case("reconstruct_unknown_id_is_refused", 1)
        .add([[0], [1]])
        .remove([1])
        .reconstruct([0, 1], status="IVF_E_NOT_FOUND", error="1")
        .reconstruct([2], status="IVF_E_NOT_FOUND", error="2")
        .reconstruct([-1], status="IVF_E_NOT_FOUND", error="-1")
    )
