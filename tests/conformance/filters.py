"""Filters: sets of ids inside a search, which finds k whenever k vectors pass."""

import numpy as np
from budget import Budget
from case import Case
from exact import whole
from lists import QUERIES, clusters, cornered
from rounding import clear


class Filter:
    """Ids that pass, and the member of a step that says which."""

    def __init__(self, member, passes):
        self.member, self.passes = member, passes

    @classmethod
    def ids(cls, ids):
        ids = [int(number) for number in ids]
        return cls({"ids": ids}, set(ids).__contains__)

    @classmethod
    def range(cls, start, end):
        return cls({"range": [start, end]}, lambda number: start <= number < end)

    @classmethod
    def bitmap(cls, ids, size):
        """Of so many bytes; ids beyond them do not pass."""
        bits = np.zeros(8 * size, bool)
        bits[list(ids)] = True
        return cls({"bitmap": np.packbits(bits, bitorder="little").tolist()}, set(ids).__contains__)

    def __and__(self, other):
        return Filter({"and": [self.member, other.member]}, lambda number: self.passes(number) and other.passes(number))

    def __or__(self, other):
        return Filter({"or": [self.member, other.member]}, lambda number: self.passes(number) or other.passes(number))

    def __invert__(self):
        return Filter({"not": self.member}, lambda number: not self.passes(number))


NOTHING = Filter.ids([])


def cases():
    yield from kinds()
    yield from shares()
    yield from beside_others()


def kinds():
    x, queries = whole(31, 70, 3), whole(32, 4, 3)
    ids = [3, 4, 17, 31, 32, 33, 63, 64, 69]
    case = Case("filter_of_ids_bitmap_and_range_pass_what_they_name", 3).add(x)
    for filter in (Filter.ids(ids), Filter.ids([69, 3, 3, 500]), Filter.bitmap(ids, 9), Filter.range(30, 34)):
        case.search(queries, 5, filter=filter)
    # Ids that end within a byte, begin below 0, or lie beyond all there are.
    for filter in (Filter.range(-5, 3), Filter.range(68, 2**62), Filter.range(40, 40), Filter.range(9, 2), NOTHING):
        case.search(queries, 5, filter=filter)
    # A bitmap shorter than the ids lets none beyond it pass, and its opposite all.
    for filter in (Filter.bitmap([0, 7], 1), ~Filter.bitmap([0, 7], 1), Filter.bitmap([], 0), ~Filter.bitmap([], 0)):
        case.search(queries, 3, filter=filter)
    yield case

    some, few = Filter.ids(range(0, 70, 3)), Filter.range(20, 50)
    case = Case("filter_and_or_not_combine", 3).add(x)
    for filter in (some & few, some | few, ~some, ~~few, some & ~few, ~(some | few), (some & few) | Filter.bitmap(ids, 9),
                   ~(~some & ~few) & ~Filter.ids([21]), some & NOTHING, ~NOTHING):
        case.search(queries, 6, filter=filter)
    yield case

    large = [2**62 + 5, 2**53 + 1, 2**53, 12, 0]
    case = Case("filter_of_large_ids_is_exact", 1).add([[1], [2], [3], [4], [5]], ids=large)
    for filter in (Filter.ids(large[:2]), ~Filter.ids([2**53]), Filter.range(2**53, 2**53 + 1), Filter.range(13, 2**63 - 1),
                   Filter.bitmap([0, 12], 2)):
        case.search([[0]], 5, filter=filter)
    yield case

    yield (
        Case("filter_passes_all_vectors_of_an_id", 1, allow_duplicate_ids=True)
        .add([[1], [2], [3], [4]], ids=[7, 8, 7, 9])
        .search([[0]], 4, filter=Filter.ids([7]))
        .search([[0]], 4, filter=~Filter.ids([7]))
    )
    yield (
        Case("filter_finds_no_removed_vector", 3)
        .add(x)
        .remove([3, 17, 64])
        .search(queries, 6, filter=Filter.ids(ids))
        .remove(list(range(35)))
        .search(queries, 6, filter=Filter.ids(ids))
        .compact()
        .reload("save_load")
        .search(queries, 6, filter=Filter.ids(ids))
    )


def shares():
    """Of all, half, a tenth, a hundredth and none of the vectors: min(k, passing) results."""
    random = np.random.default_rng(33)
    for metric in ("l2", "ip", "cosine"):
        x = random.standard_normal((105, 5)).astype(np.float32)
        flat = Case(f"filter_{metric}_of_any_share_finds_k_or_all_that_pass", 5, metric).add(x)
        lists = Case(f"filter_{metric}_in_lists_finds_k_or_all_that_pass", 5, metric, "IVF5,Flat")
        lists.set_centroids(x[:5]).add(x).list_sizes()
        for share in (1, 0.5, 0.1, 0.01, 0):
            filter = Filter.ids(sorted(random.permutation(105)[: int(105 * share)]))
            clear(flat, 3, 5, filter=filter)
            clear(lists, 3, 5, nprobe=2, filter=filter)
            clear(lists, 2, 5, nprobe=5, filter=filter)
        yield flat
        yield lists
    # As many queries as are searched list by list.
    case = cornered("filter_batch_of_130_queries_equals_brute_force", n=90)
    for filter in (Filter.range(10, 80), Filter.ids(range(0, 90, 7)), Filter.bitmap([50], 12), NOTHING):
        case.search(clusters(34, 130), 3, nprobe=2, filter=filter)
    yield case


def beside_others():
    odd, few = Filter.bitmap(range(1, 60, 2), 8), Filter.ids([2, 11, 30, 31, 45])
    for code in ("Flat", "SQfp16"):
        case = Case(f"filter_in_lists_of_{code.lower()}", 2, "l2", f"IVF4,{code}")
        case.set_centroids([[0, 0], [100, 0], [0, 110], [130, 120]]).add(clusters(7, 60))
        for filter in (odd, few, odd & few, ~odd):
            case.search(QUERIES, 4, nprobe=1, filter=filter).search(QUERIES, 4, nprobe=4, filter=filter)
        yield case
    yield (
        cornered("filter_does_not_widen_max_codes_or_a_budget")
        .search(QUERIES, 9, nprobe=4, max_codes=20, filter=odd)
        .search(QUERIES, 9, nprobe=2, max_codes=7, filter=few)
        .search(QUERIES, 9, nprobe=4, budget=Budget(budget_codes=23, strict_budget=True), filter=odd)
    )
    yield (
        cornered("filter_of_a_preassigned_search")
        .search_preassigned(QUERIES, [[1, 0], [2, -1], [3, 2], [0, 1]], 6, filter=odd)
        .search_preassigned(QUERIES, [[1, 0], [2, -1], [3, 2], [0, 1]], 6, filter=NOTHING)
    )
    yield (
        cornered("filter_of_a_search_that_reads_back")
        .search_and_reconstruct(QUERIES, 4, nprobe=4, filter=few)
        .search_and_reconstruct(QUERIES, 4, nprobe=1, filter=odd)
    )
    yield (
        Case("filter_of_a_search_with_bytes", 2)
        .add_typed(whole(35, 40, 2, 9) + 9, "u8")
        .search_typed([[3, 4], [18, 0]], "u8", 5, filter=odd)
        .search_typed([[3, 4], [18, 0]], "f16", 7, filter=few)
    )
    rows = np.random.default_rng(36).standard_normal((40, 3)).astype(np.float32)
    yield (
        Case("filter_of_query_expansion_and_blend", 3)
        .add(rows)
        .query_expansion(rows[:3] + np.float32(0.1), 4, 3, filter=odd)
        .query_expansion(rows[:3] + np.float32(0.1), 4, 3, filter=few)
        .blend(rows[:3] + np.float32(0.1), 4, 2, 0.5, filter=few)
        .blend(rows[:3] + np.float32(0.1), 4, 2, 0.5, filter=NOTHING)
    )
