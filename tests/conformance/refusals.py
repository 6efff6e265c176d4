"""Calls that must fail, say why, and change nothing."""

import numpy as np
from case import Case, refused
from exact import whole
from lists import cornered

NAN, INF = float("nan"), float("inf")


def cases():
    yield (
        Case("untrained_is_refused", 2, "l2", "IVF4,Flat")
        .add([[1, 2]], status="IVF_E_NOT_TRAINED", error="train")
        .search([[1, 2]], 1, status="IVF_E_NOT_TRAINED", error="train")
        .search_preassigned([[1, 2]], [[0]], 1, status="IVF_E_NOT_TRAINED")
        .info()
    )
    yield from dimensions()
    yield (
        cornered("k_0_is_refused", n=5)
        .search([[1, 2]], 0, 1, status="IVF_E_ARGUMENT", error="k")
        .search_preassigned([[1, 2]], [[0]], 0, status="IVF_E_ARGUMENT", error="k")
    )
    yield from not_finite()
    yield (
        Case("train_too_few_points_is_refused", 2, "l2", "IVF8,Flat")
        .train(whole(51, 5, 2), status="IVF_E_TOO_FEW_POINTS", error="expected 8 or more, got 5")
        .train([], status="IVF_E_TOO_FEW_POINTS", error="expected 8 or more, got 0")
        .info()
    )
    yield (
        cornered("train_with_vectors_inside_is_refused", n=5)
        .train(whole(52, 90, 2), status="IVF_E_STATE", error="5")
        .set_centroids([[1, 1], [2, 2], [3, 3], [4, 4]], status="IVF_E_STATE", error="5")
        .info()
        .list_sizes()
        .reset()
        .set_centroids([[1, 1], [20, 2], [3, 30], [40, 40]])
        .add([[1, 2], [39, 39]])
        .list_sizes()
    )
    yield (
        Case("train_after_all_are_removed_works", 1, "l2", "IVF2,Flat")
        .set_centroids([[0], [10]])
        .add([[1], [2]])
        .remove([0, 1])
        .set_centroids([[0], [100]])
        .add([[20], [70]])
        .list_sizes()
        .info()
    )
    yield (
        Case("centroids_of_another_number_are_refused", 1, "l2", "IVF3,Flat")
        .set_centroids([[1], [2]], status="IVF_E_ARGUMENT")
        .set_centroids([[1], [2], [3], [4]], status="IVF_E_ARGUMENT")
        .set_centroids([], status="IVF_E_ARGUMENT")
        .info()
    )
    yield (
        Case("centroids_of_flat_are_refused", 1).set_centroids([[1]], status="IVF_E_STATE", error="Flat").info()
    )
    yield from descriptions()


def dimensions():
    wrong = {"dim": 3, "status": "IVF_E_DIMENSION", "error": "expected 2 columns, got 3"}
    yield (
        cornered("another_dim_is_refused", n=5).add([[1, 2, 3]], **wrong).search([[1, 2, 3]], 1, 1, **wrong).info()
    )
    yield (
        Case("another_dim_in_training_is_refused", 2, "l2", "IVF2,Flat")
        .train(whole(53, 90, 3), **wrong)
        .set_centroids([[1, 2, 3], [4, 5, 6]], **wrong)
        .info()
    )
    yield Case("dim_below_is_refused", 4).add(
        [[1, 2]], dim=2, status="IVF_E_DIMENSION", error="expected 4 columns, got 2"
    )


def not_finite():
    good = whole(54, 40, 2).astype(np.float32)
    for name, value in (("nan", NAN), ("infinity", INF), ("minus_infinity", -INF)):
        bad = good.copy()
        bad[33, 1] = value
        wrong = {"status": "IVF_E_NOT_FINITE", "error": "row 33"}
        yield (
            Case(f"{name}_is_refused_with_its_row", 2, "l2", "IVF2,Flat")
            .train(bad, **wrong)
            .set_centroids([[1, 2], [value, 3]], status="IVF_E_NOT_FINITE", error="row 1")
            .set_centroids([[-5, 0], [5, 1]])
            .add(bad, **wrong)
            .search(bad, 1, 1, **wrong)
            .search_preassigned(bad[33:], [[0]] * 7, 1, status="IVF_E_NOT_FINITE", error="row 0")
            .info()
            .list_sizes()
        )
    yield (
        Case("row_whose_length_overflows_is_refused", 2)
        .add([[1, 2], [1e20, 0]], status="IVF_E_NOT_FINITE", error="row 1")
        .info()
    )


def descriptions():
    for name, text in {
        "empty": "",
        "lower_case": "flat",
        "without_number_and_code": "IVF",
        "without_code": "IVF16",
        "no_lists": "IVF0,Flat",
        "negative_lists": "IVF-4,Flat",
        "too_many_lists": "IVF99999999999999999999,Flat",
        "with_letters": "IVFx,Flat",
        "unknown": "nonsense",
        "trailing_comma": "IVF4,Flat,",
    }.items():
        yield refused(f"description_{name}_is_refused", text)
    yield refused("dim_0_is_refused", "Flat", dim=0, status="IVF_E_ARGUMENT")
