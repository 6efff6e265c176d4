"""Recall on demand: the curve that is measured, and searches that ask for a recall."""

import numpy as np
from case import Case
from codes import coded
from lists import CORNERS, QUERIES, clusters, cornered
from refine import Sq4RFlat, Sq8RFlat
from rounding import clear, clear_range

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
    yield from as_needed()
    yield from refined()


def as_needed():
    """Fewer lists for easy queries: as asked, then as tuned."""
    x = np.random.default_rng(91).standard_normal((90, 4)).astype(np.float32)
    for metric in ("l2", "ip", "cosine"):
        case = Case(f"probe_scale_{metric}_visits_the_lists_that_the_rule_names", 4, metric, "IVF10,Flat")
        case.set_centroids(x[:10]).add(x[10:])
        for scale in (0.05, 0.4, 3):
            clear(case, 6, 4, nprobe=8, scale=scale, stats=True)
        yield clear_range(case, 6, 2.5 if metric == "l2" else 0.5, nprobe=10, scale=0.3)
    yield (
        cornered("probe_scale_that_makes_no_sense_is_refused")
        .search(QUERIES, 3, nprobe=2, scale=-1, status="IVF_E_ARGUMENT", error="probe_scale: expected 0 or more, got -1")
        .tune(BETWEEN, 3, 1.0)
        .search(QUERIES, 3, scale=1, recall=0.5, status="IVF_E_ARGUMENT", error="probe_scale")
        .search([QUERIES[1]], 3, nprobe=4, scale=1e-3)
    )
    # Twenty towns in four rows; of the queries a few lie between towns.
    random = np.random.default_rng(92)
    towns = np.array([[x, y] for x in range(0, 500, 100) for y in range(0, 400, 100)]) + random.integers(-9, 10, (20, 2))
    points = towns[random.integers(0, 20, 300)] + random.integers(-30, 31, (300, 2))
    case = Case("recall_curve_of_lists_as_needed", 2, "l2", "IVF20,Flat").set_centroids(towns).add(points)
    inside = towns[random.integers(0, 20, 30)] + random.integers(-25, 26, (30, 2))
    between = towns[random.integers(0, 16, 4)] + [[49, 51], [48, 47], [50, 2], [3, 48]]
    case = tuned_clearly(case, np.concatenate([inside, between]), 5)
    assert case.model.curve["points"][-1].probe_scale > 0
    yield case.search(between, 5, recall=1.0).reload("save_load").curve().search(inside[:4], 3, recall=0.01)


def refined():
    x = np.random.default_rng(93).standard_normal((70, 8)).astype(np.float32)
    flat = coded(Sq4RFlat8)("recall_of_refined_chooses_candidates", 8, "l2", "SQ4,RFlat").train(x).add(x)
    flat = tuned_clearly(flat, random_rows(94, 12, 8), 6)
    assert len(flat.model.curve["points"]) > 1
    clear(flat, 3, 6, recall=1.0)
    yield clear(flat, 3, 3, recall=1.0).reload("stream_load").curve()
    lists = coded(Sq8RFlat8)("recall_of_refined_in_lists_chooses_both", 8, "ip", "IVF3,SQ8,RFlat")
    lists.set_centroids(x[[2, 9, 25]]).train(x[:40]).add(x)
    yield clear(tuned_clearly(lists, random_rows(95, 8, 8), 4), 3, 4, recall=1.0).reload().curve()


class Sq8RFlat8(Sq8RFlat):
    """Of 8 dimensions: kept rows have 4 times the bytes of the codes."""

    again = 4


class Sq4RFlat8(Sq4RFlat):
    again = 8


def random_rows(seed, n, dim):
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def tuned_clearly(case, queries, k):
    """Tuned by those of the queries whose answers no rounding can change."""
    kept = []
    for query in queries:
        try:
            case.tune([*kept, query], k, 1.0)
        except AssertionError:
            continue
        case.case["steps"].pop()
        kept.append(query)
    return case.tune(kept, k, 1.0).curve()
