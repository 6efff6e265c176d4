"""Vectors replaced, removed by filter, merged; copies, ids and vectors read back."""

from case import Case
from exact import whole
from lists import QUERIES, clusters, cornered


def cases():
    yield (
        Case("update_replaces_under_the_id", 2)
        .add([[0, 0], [10, 0], [20, 0]])
        .update([1, 0], [[5, 5], [30, 0]])
        .search([[5, 5], [30, 0]], 3)
        .ids()
        .info()
        .update([], [])
        .update([2, 7], [[1, 1], [2, 2]], status="IVF_E_NOT_FOUND", error="7")
        .update([2, 2], [[1, 1], [2, 2]], status="IVF_E_DUPLICATE_ID", error="id 2")
        .update([2], [[float("nan"), 2]], status="IVF_E_NOT_FINITE", error="row 0")
    )
    yield (
        cornered("update_moves_between_lists", n=60)
        .update([3, 59, 0, 31], [[101, 2], [2, 109], [128, 121], [1, 1]])
        .list_sizes()
        .search(QUERIES, 60, nprobe=4)
        .search(QUERIES, 9, nprobe=2, max_codes=23)
        .reconstruct([31, 0, 3])
        .reload()
        .search(QUERIES, 60, nprobe=2)
    )
    yield (
        Case("update_cosine_is_normalised", 2, "cosine")
        .add([[1, 0], [0, 1]])
        .update([0], [[-30, 40]])
        .search([[-3, 4], [0, 2]], 2)
        .reconstruct([0])
    )
    yield (
        Case("update_unlike_add_wants_training", 2, "l2", "IVF4,Flat").update(
            [0], [[1, 2]], status="IVF_E_NOT_TRAINED", error="train"
        )
    )
    yield (
        cornered("remove_range_takes_what_the_filter_passes", n=70)
        .remove_range(10, 40)
        .list_sizes()
        .ids()
        .search(QUERIES, 70, nprobe=4)
        .remove_range(10, 40)
        .remove_range(69, 1000)
        .remove_range(5, 5)
        .add([[1, 2]])
        .ids()
        .info()
    )
    yield (
        Case("reconstruct_range_has_rows_in_order", 3)
        .add(whole(71, 40, 3))
        .reconstruct_range(0, 40)
        .reconstruct_range(17, 3)
        .reconstruct_range(40, 0)
        .remove([18])
        .reconstruct_range(17, 3, status="IVF_E_NOT_FOUND", error="18")
        .reconstruct_range(38, 3, status="IVF_E_NOT_FOUND", error="40")
        .reconstruct_range(-1, 2, status="IVF_E_NOT_FOUND", error="-1")
    )
    for name, index in (("flat", "Flat"), ("ivf", "IVF4,Flat")):
        case = Case(f"merge_{name}_takes_shifted_ids", 2, "l2", index)
        if index != "Flat":
            case.set_centroids([[0, 0], [100, 0], [0, 110], [130, 120]])
        yield (
            case.add(clusters(72, 45))
            .remove([44, 0, 7])
            .merge_copy(0, status="IVF_E_DUPLICATE_ID", error="in both")
            .merge_copy(100)
            .info()
            .ids()
            .search(QUERIES, 90, nprobe=4)
            .add([[1, 1]])
            .search([[1, 1]], 3, nprobe=4)
            .merge_copy(-2, status="IVF_E_ARGUMENT", error="add_id")
        )
    yield (
        Case("merge_of_an_empty_copy_adds_nothing", 2).merge_copy(0).add([[1, 2]]).remove([0]).merge_copy(5).info()
    )
    yield (
        cornered("clone_goes_on_alike", n=50)
        .remove([4, 9])
        .reload("clone")
        .info()
        .list_sizes()
        .ids()
        .search(QUERIES, 50, nprobe=3)
        .add([[1, 2]])
        .ids()
    )
