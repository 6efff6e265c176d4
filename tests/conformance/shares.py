"""Searches that look at a part of the vectors, and what a search says that it did."""

import numpy as np
from budget import PROFILES, Budget
from case import Case
from exact import whole
from lists import QUERIES, cornered
from rounding import clear

# The lists of `spread` hold 100, 70, 50 and 8 vectors, their centroids in a row.
SIZES = (100, 70, 50, 8)
ALONG = [[1, 0], [37, 5], [205, 3], [291, -4]]


def spread(name, code="Flat"):
    """Four lists of unequal sizes."""
    case = Case(name, 2, "l2", f"IVF4,{code}")
    case.set_centroids([[100 * at, 0] for at in range(4)])
    rows = [[100 * at + 37 * n % 90 - 45, n] for at, size in enumerate(SIZES) for n in range(size)]
    return case.add(rows).list_sizes()


def cases():
    yield from sharing()
    yield from profiles()
    yield from statistics()
    yield from refused()
    yield from best_first()


def best_first():
    """Lists whose likeliest vectors come first, through whatever happens to them."""
    random = np.random.default_rng(96)
    for metric in ("l2", "ip"):
        x = random.standard_normal((130, 4)).astype(np.float32)
        case = Case(f"lists_best_first_{metric}_stay_so", 4, metric, "IVF3,Flat", best_first=True)
        case.set_centroids(x[:3] * 2).add(x[10:70]).list_sizes()
        within = Budget(budget_codes=20, strict_budget=True)
        for budget in (within, Budget(budget_share=0.25, sharing="probe_order"), Budget(list_max=9)):
            clear(case, 5, 4, nprobe=3, budget=budget, stats=True)
        clear(case.remove([3, 17, 40]).add(x[70:100]), 5, 4, nprobe=3, budget=within)
        clear(case.update([5, 9, 60], x[100:103]), 5, 4, nprobe=2, max_codes=15)
        clear(case.reload("map_load").add(x[103:]), 5, 4, nprobe=3, budget=within)
        clear(case.merge_copy(1000), 5, 4, nprobe=3, max_codes=31)
        yield clear(case.compact().reload("clone").reload("stream_load"), 5, 4, nprobe=3, budget=within)
    plain = Case("lists_best_first_of_flat_is_refused", 2, "l2", "Flat", best_first=True).case
    yield {key: value for key, value in plain.items() if key != "steps"} | {"create_status": "IVF_E_ARGUMENT"}


def sharing():
    case = spread("budget_probe_order_ends_after_so_many")
    for codes in (1, 60, 100, 131, 228, 1000):
        case.search(ALONG, 10, 4, budget=Budget(budget_codes=codes))
        case.search(ALONG, 10, 4, budget=Budget(budget_codes=codes, sharing="probe_order", strict_budget=True))
    yield case
    case = spread("budget_uniform_gives_lists_alike")
    # Whole shares, full lists that pass theirs on, and all of it.
    for codes in (16, 32, 92, 128, 158, 208, 227, 228):
        case.search(ALONG, 12, 4, budget=Budget(budget_codes=codes, sharing="uniform", strict_budget=True))
        case.search(ALONG, 12, 4, budget=Budget(budget_codes=codes, sharing="uniform"))
    case.search(ALONG, 20, 2, budget=Budget(budget_codes=40, sharing="uniform", strict_budget=True))
    yield case.search_preassigned(
        ALONG, [[3, 2], [2, 3], [0, -1], [1, 0]], 20, budget=Budget(budget_codes=30, sharing="uniform", strict_budget=True)
    )
    case = spread("budget_distance_weighted_gives_nearer_lists_more")
    for codes in (7, 43, 101, 127, 190):
        case.search(ALONG, 12, 4, budget=Budget(budget_codes=codes, sharing="distance_weighted", strict_budget=True))
        case.search(ALONG, 12, 4, budget=Budget(budget_codes=codes, sharing="distance_weighted"))
    case.search_preassigned(
        ALONG, [[3, 2, 0], [2, 3, 1], [0, 1, 2], [1, 0, 3]], 20,
        budget=Budget(budget_codes=50, sharing="distance_weighted", strict_budget=True),
    )
    yield case.search(ALONG, 12, 3, budget=Budget(budget_share=0.3, sharing="distance_weighted", strict_budget=True))
    case = spread("budget_list_min_and_list_max_hold_for_each_list")
    case.search(ALONG, 30, 4, budget=Budget(list_max=6))
    case.search(ALONG, 30, 4, budget=Budget(list_max=60, budget_codes=90))
    case.search(ALONG, 30, 4, budget=Budget(list_max=40, budget_codes=88, sharing="uniform", strict_budget=True))
    sized = {"sharing": "distance_weighted", "strict_budget": True, "budget_codes": 120}
    case.search(ALONG, 30, 4, budget=Budget(list_min=20, **sized))
    case.search(ALONG, 30, 4, budget=Budget(list_min=20, list_max=50, **sized))
    yield case.search(ALONG, 30, 4, budget=Budget(list_min=500, **sized))
    case = spread("budget_dynamic_nprobe_leaves_small_shares_out")
    for sharing in ("uniform", "distance_weighted", "probe_order"):
        for codes in (51, 101, 127):
            budget = {"sharing": sharing, "budget_codes": codes, "strict_budget": True}
            case.search(ALONG, 12, 4, budget=Budget(dynamic_nprobe=True, **budget))
            case.search(ALONG, 12, 4, budget=Budget(dynamic_nprobe=False, **budget))
    yield case.search(ALONG, 12, 4, budget=Budget(dynamic_nprobe=True, list_min=45, **budget))
    case = spread("budget_does_not_count_removed_vectors").remove(list(range(0, 228, 3)))
    case.search(ALONG, 20, 4, budget=Budget(budget_codes=90))
    yield case.search(ALONG, 20, 4, budget=Budget(budget_share=0.5, sharing="uniform", strict_budget=True))
    case = spread("budget_and_max_codes_hold_both")
    case.search(ALONG, 20, 4, 20, budget=Budget(budget_codes=90))
    case.search(ALONG, 20, 4, 90, budget=Budget(budget_codes=20))
    yield case.search(ALONG, 20, 4, 50, budget=Budget(budget_codes=92, sharing="uniform", strict_budget=True))
    flat = Case("budget_of_a_flat_index_takes_the_first_added", 1).add([[place] for place in range(50)])
    flat.search([[49], [0]], 3, budget=Budget(budget_codes=7)).search([[49]], 3, budget=Budget(list_max=11))
    yield flat.search([[49]], 3, budget=Budget(budget_share=0.5, sharing="uniform", strict_budget=True))
    case = Case("budget_ip_weighs_by_similarity", 2, "ip", "IVF3,Flat").set_centroids([[90, 1], [2, 90], [-80, -83]])
    case.add(whole(91, 90, 2, 400)).list_sizes()
    weighted = {"sharing": "distance_weighted", "strict_budget": True}
    yield case.search([[7, 3], [-1, 5]], 10, 3, budget=Budget(budget_codes=40, **weighted)).search(
        [[7, 3], [-1, 5]], 10, 2, budget=Budget(budget_share=0.4, **weighted)
    )
    yield spread("budget_of_codes_is_the_same", code="SQfp16").search(ALONG, 12, 4, budget=Budget(budget_codes=131))


def profiles():
    case = spread("profiles_look_at_their_share")
    for profile in PROFILES:
        case.search(ALONG, 12, 4, budget=Budget(profile=profile)).search(ALONG, 12, 2, budget=Budget(profile=profile))
    yield case.search_and_reconstruct(ALONG, 5, 3, budget=Budget(profile="approx_fast"))
    case = spread("profiles_give_way_to_what_is_set")
    case.search(ALONG, 12, 4, budget=Budget("approx_fast", budget_codes=140))
    case.search(ALONG, 12, 4, budget=Budget("approx_fast", budget_share=0.9))
    case.search(ALONG, 12, 4, budget=Budget("approx_balanced", "uniform", strict_budget=True))
    yield case.search(
        ALONG, 12, 4, budget=Budget("approx_balanced", "uniform", dynamic_nprobe=False, strict_budget=True)
    )


def statistics():
    yield (
        cornered("statistics_count_lists_and_vectors", n=90)
        .remove([3, 40, 41, 88])
        .search(QUERIES, 3, nprobe=1, stats=True)
        .search(QUERIES, 3, nprobe=3, stats=True)
        .search(QUERIES, 3, nprobe=4, max_codes=17, stats=True)
        .search(QUERIES[:1], 3, nprobe=4, stats=True)
        .search_preassigned(QUERIES[:2], [[0, -1], [3, 1]], 3, stats=True)
        .search_and_reconstruct(QUERIES[:2], 3, nprobe=2, stats=True)
        .search([], 3, nprobe=2, stats=True)
    )
    flat = Case("statistics_of_a_flat_index_count_one_list", 1).search([[1], [2]], 3, stats=True)
    yield flat.add([[place] for place in range(40)]).remove([7]).search([[1], [2], [5]], 3, stats=True)
    case = spread("statistics_tell_what_a_budget_left")
    case.search(ALONG, 3, 4, budget=Budget(budget_codes=60), stats=True)
    case.search(ALONG, 3, 4, budget=Budget(profile="approx_balanced"), stats=True)
    yield case.search(ALONG, 3, 4, budget=Budget(budget_codes=92, sharing="uniform"), stats=True)


def refused():
    wrong = {"status": "IVF_E_ARGUMENT"}
    case = spread("budget_that_contradicts_itself_is_refused")
    for budget, error in (
        (Budget(budget_codes=5, budget_share=0.5), "budget_codes or budget_share"),
        (Budget(budget_share=1.5), "budget_share: expected 0 to 1, got 1.5"),
        (Budget(budget_share=-0.5), "budget_share"),
        (Budget(sharing="uniform"), "budget_sharing"),
        (Budget(list_min=3), "list_min"),
        (Budget(dynamic_nprobe=True), "dynamic_nprobe"),
        (Budget("exact", strict_budget=True), "strict_budget"),
        (Budget(list_min=7, list_max=6, budget_codes=20), "list_min: expected at most list_max = 6, got 7"),
    ):
        case.search(ALONG, 3, 4, budget=budget, error=error, **wrong)
    yield case.reset().search(ALONG, 3, 4, budget=Budget(list_min=3), error="list_min", **wrong)
