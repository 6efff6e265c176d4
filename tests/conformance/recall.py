"""Recall on demand: the curve that is measured, and searches that ask for a recall."""

from case import Case
from lists import CORNERS, QUERIES, clusters, cornered

BETWEEN = [[45, 10], [52, 8], [3, 61], [9, 52], [61, 57], [48, 3], [7, 6], [99, 4]]


def cases():
    case = cornered("recall_curve_is_the_share_found", n=90)
    case.tune(BETWEEN, 8, 1.0).curve().search(QUERIES, 5, recall=1.0).search(QUERIES, 8, recall=0.01)
    case.search(QUERIES, 9, recall=1.0, status="IVF_E_STATE", error="k = 9")
    case.tune(BETWEEN[:3], 3, 0.01).curve().search(QUERIES, 3, recall=1.0)
    yield case.reload("stream_load").curve().search(QUERIES, 2, recall=1.0)
    yield (
        cornered("recall_curve_of_inner_products", "ip", n=40)
        .tune([[3, 1], [-1, 4], [-2, -3]], 5, 1.0)
        .curve()
        .search([[1, 2], [-2, 1]], 5, recall=1.0)
    )
    case = cornered("recall_by_given_truth_counts_ids", n=90)
    # Ids of which no search finds one, of which all find one, and no id.
    truth = [[500, case.nearest(query, 1)[0], -1] for query in BETWEEN]
    yield case.tune(BETWEEN, 3, 0.01, truth=truth).curve()
    case = cornered("recall_curve_gets_stale", n=50).curve().tune(BETWEEN, 4, 1.0)
    case.add(clusters(92, 10)).curve().search(QUERIES, 4, recall=1.0).remove([0]).curve()
    case.search(QUERIES, 4, recall=1.0, status="IVF_E_STATE", error="tune again")
    yield case.tune(BETWEEN, 4, 1.0).curve().reset().curve()
    yield (
        cornered("recall_asked_for_wrongly_is_refused", n=50)
        .search(QUERIES, 4, recall=0.9, status="IVF_E_STATE", error="call tune")
        .tune(BETWEEN, 4, 1.0)
        .search(QUERIES, 4, nprobe=2, recall=0.9, status="IVF_E_ARGUMENT", error="nprobe 2")
        .search(QUERIES, 4, max_codes=9, recall=0.9, status="IVF_E_ARGUMENT", error="max_codes 9")
        .search(QUERIES, 4, recall=1.5, status="IVF_E_ARGUMENT", error="recall")
        .tune(BETWEEN, 4, 0, status="IVF_E_ARGUMENT", error="more than 0")
        .tune(BETWEEN, 4, 1.25, status="IVF_E_ARGUMENT", error="1.25")
        .tune(BETWEEN, 0, 1, status="IVF_E_ARGUMENT", error="k: expected 1 to the number of vectors, 50, got 0")
        .tune(BETWEEN, 51, 1, status="IVF_E_ARGUMENT", error="51")
        .tune([], 4, 1, status="IVF_E_ARGUMENT", error="at least 1 sample query")
        .tune([[1, float("inf")]], 4, 1, status="IVF_E_NOT_FINITE", error="row 0")
        .curve()
    )
    yield Case("recall_of_flat_has_nothing_to_choose", 1).add([[1], [2]]).tune(
        [[1]], 1, 1, status="IVF_E_STATE", error="Flat"
    )
    yield cornered("recall_of_nothing_is_refused", n=0).tune([[1, 2]], 1, 1, status="IVF_E_STATE", error="add")
    yield Case("recall_before_training_is_refused", 2, "l2", "IVF4,Flat").tune(
        CORNERS, 1, 1, status="IVF_E_NOT_TRAINED"
    )
