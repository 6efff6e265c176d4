#!/usr/bin/env python3
"""Writes conformance.json: what every language's binding must answer. Needs NumPy; python3 tests/make_conformance.py

Expected answers come from this file's own model, float64 and brute force, never from the library. Vectors are
small whole numbers (or such numbers over 8), so that float32 holds every distance exactly and equal distances
are equal: the order by id is then part of what is tested.
"""

import json
import pathlib

import numpy as np

WORST = "worst"


def numbers(values) -> list:
    """Numbers as JSON has them: whole ones without a point, the others as strings."""
    out = []
    for value in np.asarray(values, dtype=np.float64).ravel():
        if np.isnan(value):
            out.append("nan")
        elif np.isinf(value):
            out.append("inf" if value > 0 else "-inf")
        else:
            out.append(int(value) if value == int(value) else float(value))
    return out


def whole_rows(seed: int, n: int, dim: int, scale: int = 1) -> np.ndarray:
    """[n, dim] whole numbers from -9 to 9, over `scale`."""
    return np.random.default_rng(seed).integers(-9, 10, (n, dim)) / scale


class Case:
    """One case, and the model of the index that it describes."""

    def __init__(self, name: str, dim: int, metric: str, index: str, allow_duplicate_ids: bool = False):
        self.json = {
            "name": name,
            "dim": dim,
            "metric": metric,
            "index": index,
            "allow_duplicate_ids": allow_duplicate_ids,
            "steps": [],
        }
        self.dim, self.metric, self.description = dim, metric, index
        self.centroids = None
        self.rows = np.zeros((0, dim))  # in the order of adding
        self.ids = np.zeros(0, dtype=np.int64)
        self.lists = np.zeros(0, dtype=np.int64)
        self.next_id = 0

    # ---- the model ----

    def prepared(self, x) -> np.ndarray:
        x = np.asarray(x, dtype=np.float64).reshape(-1, self.dim)
        if self.metric != "cosine":
            return x
        length = np.linalg.norm(x, axis=1, keepdims=True)
        return x / np.where(length == 0, 1, length)

    def keys(self, queries, x) -> np.ndarray:
        """[queries, x]: smaller is nearer."""
        if self.metric == "l2":
            return ((queries[:, None, :] - x[None, :, :]) ** 2).sum(axis=2)
        return -(queries @ x.T)

    def probes(self, query, nprobe: int) -> np.ndarray:
        """The lists of one query, nearest first."""
        keys = self.keys(query[None], self.centroids)[0]
        return np.lexsort((np.arange(len(keys)), keys))[:nprobe]

    def answer(self, query, k: int, lists, max_codes: int):
        """Ids, distances and hits of one query; `lists` None = all vectors."""
        if lists is None:
            seen = np.arange(len(self.ids))
        else:
            seen = np.concatenate([np.flatnonzero(self.lists == one) for one in lists if one >= 0] or [[]]).astype(int)
        if max_codes:
            seen = seen[:max_codes]
        keys = self.keys(query[None], self.rows[seen])[0]
        best = np.lexsort((self.ids[seen], keys))[:k]
        values = keys[best] if self.metric == "l2" else -keys[best]
        missing = k - len(best)
        return (
            self.ids[seen][best].tolist() + [-1] * missing,
            numbers(values) + [WORST] * missing,
            len(best),
        )

    # ---- the steps ----

    def step(self, op: str, **fields) -> "Case":
        self.json["steps"].append({"op": op, **fields})
        return self

    def fails(self, status: str, error: str, op: str, **fields) -> "Case":
        """A call that must fail, leave the index alone and say this."""
        return self.step(op, **fields, status=status, error=error)

    def set_centroids(self, centroids) -> "Case":
        centroids = np.asarray(centroids, dtype=np.float64).reshape(-1, self.dim)
        self.centroids = self.prepared(centroids)
        return self.step("set_centroids", x=numbers(centroids), nlist=len(centroids))

    def train(self, x) -> "Case":
        """Afterwards only searches of all lists can be foretold."""
        return self.step("train", x=numbers(x), n=len(x))

    def add(self, x, ids=None) -> "Case":
        x = np.asarray(x, dtype=np.float64).reshape(-1, self.dim)
        given = np.arange(self.next_id, self.next_id + len(x)) if ids is None else np.asarray(ids, dtype=np.int64)
        self.step("add", x=numbers(x), n=len(x), ids=None if ids is None else given.tolist())
        rows = self.prepared(x)
        if self.centroids is not None:
            self.lists = np.append(self.lists, [self.probes(row, 1)[0] for row in rows]).astype(np.int64)
        self.rows = np.vstack([self.rows, rows])
        self.ids = np.append(self.ids, given)
        self.next_id = max([self.next_id, *(given + 1).tolist()])
        return self

    def remove(self, ids) -> "Case":
        gone = np.isin(self.ids, ids)
        self.step("remove", ids=list(ids), removed=int(gone.sum()))
        self.rows, self.ids = self.rows[~gone], self.ids[~gone]
        if self.centroids is not None:
            self.lists = self.lists[~gone]
        return self

    def reset(self) -> "Case":
        self.rows, self.ids, self.lists = self.rows[:0], self.ids[:0], self.lists[:0]
        return self.step("reset")

    def search(self, queries, k: int, nprobe: int = 0, max_codes: int = 0) -> "Case":
        queries = np.asarray(queries, dtype=np.float64).reshape(-1, self.dim)
        prepared = self.prepared(queries)
        answers = [
            self.answer(q, k, None if self.centroids is None else self.probes(q, nprobe), max_codes) for q in prepared
        ]
        return self.found("search", queries, k, answers, nprobe=nprobe, max_codes=max_codes)

    def search_preassigned(self, queries, k: int, lists, max_codes: int = 0) -> "Case":
        queries = np.asarray(queries, dtype=np.float64).reshape(-1, self.dim)
        lists = np.asarray(lists).reshape(len(queries), -1)
        prepared = self.prepared(queries)
        answers = [self.answer(q, k, row, max_codes) for q, row in zip(prepared, lists)]
        return self.found(
            "search_preassigned", queries, k, answers, nprobe=lists.shape[1], max_codes=max_codes, lists=lists.ravel().tolist()
        )

    def found(self, op: str, queries, k: int, answers, **fields) -> "Case":
        return self.step(
            op,
            x=numbers(queries),
            n=len(queries),
            k=k,
            **fields,
            ids=[i for a in answers for i in a[0]],
            distances=[d for a in answers for d in a[1]],
            hits=[a[2] for a in answers],
        )

    def reconstruct(self, ids) -> "Case":
        rows = [self.rows[np.flatnonzero(self.ids == i)[0]] for i in ids]
        return self.step("reconstruct", ids=list(ids), x=numbers(rows))

    def info(self, **more) -> "Case":
        return self.step("info", count=len(self.ids), next_id=self.next_id, **more)

    def list_sizes(self) -> "Case":
        sizes = np.bincount(self.lists, minlength=len(self.centroids)) if self.centroids is not None else [len(self.ids)]
        return self.step("list_sizes", sizes=[int(s) for s in sizes])


def refused_index(name: str, index: str, dim: int = 4) -> Case:
    case = Case(name, dim, "l2", index)
    case.json["create_status"] = "IVF_E_DESCRIPTION"
    return case


CORNERS = [[0, 0], [10, 0], [0, 10], [10, 10]]


def results() -> list:
    """Which neighbours, in which order, at which distance."""
    cases = []
    for metric in ("l2", "ip", "cosine"):
        # Odd widths and counts around the block of 32; one query, few, and enough for the batched path.
        for dim, count in ((1, 31), (3, 33), (17, 65), (33, 100)):
            x = whole_rows(dim, count, dim, scale=8)
            if metric == "cosine":  # no two at the same angle: rounding must not decide
                x = x + np.arange(count)[:, None] / 64 + np.arange(dim) / 16
            if metric == "cosine" and dim == 1:
                continue  # only two directions: all ties
            queries = whole_rows(dim + 100, 70, dim, scale=8)
            case = Case(f"flat_{metric}_{count}_rows_of_{dim}_are_searched_exactly", dim, metric, "Flat").add(x)
            cases.append(case.search(queries[:1], 5).search(queries[1:4], 5).search(queries, 3).list_sizes())
        x, queries = whole_rows(5, 160, 6, scale=8) + np.arange(160)[:, None] / 64, whole_rows(6, 40, 6, scale=8)
        case = Case(f"trained_{metric}_all_lists_equal_exact_search", 6, metric, "IVF4,Flat").train(x).add(x)
        cases.append(case.search(queries, 4, nprobe=4).search(queries[:1], 4, nprobe=1000).info(nlist=4, trained=1))

    case = Case("l2_distances_are_squared", 2, "l2", "Flat").add([[3, 4], [0, 0], [-6, 8]])
    cases.append(case.search([0, 0], 3))
    case = Case("ip_similarities_fall_below_zero", 2, "ip", "Flat").add([[1, 1], [-1, -1], [2, 0], [0, -3]])
    cases.append(case.search([[1, 1], [0, 1]], 4))
    case = Case("cosine_ignores_length_and_stays_within_one", 3, "cosine", "Flat")
    case.add([[1, 1, 1], [1000, 1000, 1001], [-7, -7, -7], [0, 0, 0], [1, 0, 0]])
    cases.append(case.search([[0.001, 0.001, 0.001], [5, 0, 0]], 5))

    ties = Case("equal_distances_are_ordered_by_id", 2, "l2", "IVF2,Flat").set_centroids([[0, 0], [20, 0]])
    ties.add([[9, 0], [11, 0], [11, 0], [9, 0], [10, 1], [10, 5]], ids=[50, 40, 7, 60, 3, 1])
    cases.append(ties.search([10, 0], 6, nprobe=2).search([10, 0], 2, nprobe=2).search([10, 0], 3, nprobe=2))
    many = Case("equal_distances_beyond_k_keep_the_smallest_ids", 1, "l2", "Flat")
    many.add(np.ones(100), ids=[int(i) for i in np.random.default_rng(1).permutation(1000)[:100]])
    cases.append(many.search([0], 5).search([1], 99).search(np.zeros(40), 2))
    return cases


def probing() -> list:
    """nprobe, max_codes, own coarse step, padding."""
    x = [[1, 1], [9, 1], [1, 9], [9, 9], [2, 1], [8, 1], [2, 9], [3, 1]]
    base = lambda name, metric="l2": Case(name, 2, metric, "IVF4,Flat").set_centroids(CORNERS).add(x)
    cases = [
        base("nprobe_looks_into_the_nearest_lists").search([[0, 0], [10, 1]], 3, nprobe=1).search([4, 1], 8, nprobe=2).list_sizes(),
        base("nprobe_above_nlist_means_all").search([0, 0], 8, nprobe=4).search([0, 0], 8, nprobe=4000000000),
        base("k_above_count_pads").search([[0, 0], [10, 10]], 10, nprobe=4).search([10, 10], 3, nprobe=1),
        base("k_above_count_pads_ip", "ip").search([1, 2], 9, nprobe=4).search([1, 2], 4, nprobe=1),
        base("max_codes_cuts_within_a_list_in_probe_order")
        .search([4, 1], 8, nprobe=4, max_codes=2)
        .search([4, 1], 8, nprobe=4, max_codes=4)
        .search([[4, 1], [0, 0]] * 20, 8, nprobe=4, max_codes=5)
        .search([4, 1], 8, nprobe=4, max_codes=1000),
        base("preassigned_lists_are_the_ones_searched")
        .search_preassigned([[0, 0], [0, 0]], 3, [[3, -1], [2, 1]])
        .search_preassigned([0, 0], 8, [[3, 1, 2, 0]])
        .search_preassigned([0, 0], 2, [[-1, -1]])
        .search_preassigned([0, 0], 8, [[-1, 1, 0]], max_codes=3)
        .fails("IVF_E_ARGUMENT", "4", "search_preassigned", x=[0, 0], n=1, k=1, nprobe=2, lists=[0, 4])
        .fails("IVF_E_ARGUMENT", "-2", "search_preassigned", x=[0, 0], n=1, k=1, nprobe=2, lists=[-2, 0]),
        Case("empty_trained_index_finds_nothing", 2, "l2", "IVF4,Flat")
        .set_centroids(CORNERS)
        .search([[1, 1], [2, 2]], 3, nprobe=2)
        .step("save_load")
        .search([1, 1], 3, nprobe=4)
        .step("reload")
        .info(nlist=4, trained=1)
        .add([5, 6])
        .search([5, 5], 1, nprobe=4),
        Case("empty_flat_index_finds_nothing", 3, "cosine", "Flat").search([1, 2, 3], 2).info(trained=1, nlist=1),
    ]
    return cases


def ids() -> list:
    """Ids, removal, duplicates."""
    x = whole_rows(9, 12, 3)
    most = 2**62
    return [
        Case("ids_follow_the_largest_own_one", 3, "l2", "Flat")
        .add(x[:2])
        .info()
        .add(x[2:4], ids=[100, 7])
        .info()
        .add(x[4:6])
        .info()
        .reconstruct([102, 7, 0, 101])
        .search(x[4], 6),
        Case("ids_removed_are_never_handed_out_again", 3, "l2", "Flat")
        .add(x[:3])
        .remove([2, 1])
        .add(x[3])
        .info()
        .search(x[3], 4)
        .reset()
        .info()
        .add(x[4])
        .reconstruct([4])
        .step("reload")
        .remove([4])
        .step("save_load")
        .info()
        .add(x[5])
        .reconstruct([5]),
        Case("ids_of_62_bits_come_back", 3, "l2", "Flat").add(x[:2], ids=[most, 3]).search(x[0], 2).step("save_load").search(x[0], 2).info(),
        Case("ids_repeated_are_refused", 3, "l2", "Flat")
        .add(x[:2], ids=[5, 6])
        .fails("IVF_E_DUPLICATE_ID", "6", "add", x=numbers(x[2:4]), n=2, ids=[8, 6])
        .fails("IVF_E_DUPLICATE_ID", "9", "add", x=numbers(x[2:4]), n=2, ids=[9, 9])
        .fails("IVF_E_ARGUMENT", "-1", "add", x=numbers(x[2:4]), n=2, ids=[9, -1])
        .info()
        .remove([6])
        .add(x[2], ids=[6])
        .search(x[2], 3),
        Case("ids_repeated_are_kept_where_allowed", 3, "l2", "Flat", allow_duplicate_ids=True)
        .add(x[:4], ids=[5, 5, 6, 5])
        .search(x[1], 4)
        .remove([5])
        .info()
        .search(x[1], 4),
        Case("remove_unknown_ids_are_passed_over", 2, "l2", "IVF4,Flat")
        .set_centroids(CORNERS)
        .add([[1, 1], [9, 9], [1, 2], [9, 8]])
        .remove([77, 1, -5])
        .remove([1])
        .remove([])
        .list_sizes()
        .search([10, 10], 4, nprobe=4)
        .step("compact")
        .info(dead=0)
        .list_sizes()
        .search([10, 10], 4, nprobe=4)
        .remove([0, 2, 3])
        .search([10, 10], 1, nprobe=4)
        .step("save_load")
        .info(),
        many_removed(),
        Case("reconstruct_gives_what_was_added", 3, "l2", "Flat")
        .add(x)
        .reconstruct([11, 0, 11])
        .step("reconstruct", ids=[], x=[])
        .fails("IVF_E_NOT_FOUND", "12", "reconstruct", ids=[0, 12]),
        Case("reconstruct_of_cosine_has_length_one", 2, "cosine", "Flat").add([[3, 4], [0, -2]]).reconstruct([0, 1]),
    ]


def many_removed() -> Case:
    """Enough removed for the lists to be packed by themselves, in several blocks."""
    x, queries = whole_rows(11, 150, 4), whole_rows(12, 20, 4)
    case = Case("removed_vectors_are_never_found", 4, "l2", "IVF2,Flat").set_centroids([[-5, 0, 0, 0], [5, 0, 0, 0]]).add(x)
    case.search(queries, 6, nprobe=2)
    for part in range(3):
        case.remove([int(i) for i in range(part, 150, 4)]).search(queries, 6, nprobe=1 + part % 2)
    return case.step("reload").search(queries, 6, nprobe=2).step("compact").search(queries, 40, nprobe=2).list_sizes()


def states() -> list:
    """Training, its order, files."""
    x = whole_rows(13, 90, 3)
    kept = Case("reset_keeps_the_training", 2, "l2", "IVF4,Flat").set_centroids(CORNERS).add(CORNERS).reset()
    kept.info(trained=1, nlist=4).list_sizes().search([1, 1], 1, nprobe=4).add([[9, 9]]).search([1, 1], 1, nprobe=1)
    return [
        Case("untrained_index_refuses", 3, "l2", "IVF4,Flat")
        .info(trained=0)
        .step("describe", text="IVF4,Flat")
        .fails("IVF_E_NOT_TRAINED", "train", "add", x=[1, 2, 3], n=1, ids=None)
        .fails("IVF_E_NOT_TRAINED", "train", "search", x=[1, 2, 3], n=1, k=1)
        .fails("IVF_E_TOO_FEW_POINTS", "3", "train", x=numbers(x[:3]), n=3)
        .train(x)
        .add(x[:2])
        .search(x[1], 1, nprobe=4),
        Case("trained_index_with_vectors_refuses_training", 3, "l2", "IVF4,Flat")
        .train(x)
        .add(x[:2])
        .fails("IVF_E_STATE", "", "train", x=numbers(x), n=90)
        .fails("IVF_E_STATE", "", "set_centroids", x=numbers(x[:4]), nlist=4)
        .reset()
        .train(x)
        .add(x[:1])
        .search(x[0], 1, nprobe=4),
        Case("set_centroids_of_another_number_is_refused", 2, "l2", "IVF3,Flat").fails(
            "IVF_E_ARGUMENT", "expected", "set_centroids", x=numbers(CORNERS), nlist=4
        ),
        kept,
        in_files("l2"),
        in_files("ip"),
        Case("cosine_index_comes_back_from_its_file", 2, "cosine", "IVF2,Flat")
        .set_centroids([[1, 0], [0, 1]])
        .add([[2, 1], [1, 3], [-1, 4]], ids=[4, 2, 9])
        .step("save_load")
        .search([[0, 5], [3, 0]], 3, nprobe=2)
        .step("reload")
        .info(nlist=2, trained=1)
        .search([[0, 5], [3, 0]], 3, nprobe=1),
        Case("flat_index_comes_back_from_faiss", 3, "l2", "Flat").add(x).step("export_faiss_load").search(x[:5], 4).info(),
        Case("description_is_told_back", 4, "l2", "IVF,Flat").step("describe", text="IVF,Flat").info(nlist=0, trained=0),
    ]


def in_files(metric: str) -> Case:
    case = Case(f"{metric}_index_comes_back_from_file_memory_and_faiss", 2, metric, "IVF4,Flat").set_centroids(CORNERS)
    case.add([[1, 1], [9, 1], [1, 9], [9, 9], [2, 1]], ids=[10, 3, 8, 1, 30])
    for way in ("save_load", "reload", "export_faiss_load"):
        case.step(way).info(nlist=4, trained=1).list_sizes().search([[1, 2], [8, 7]], 5, nprobe=2)
        case.reconstruct([30, 1]).step("describe", text="IVF4,Flat")
    return case.add([[5, 5]]).info()


def refusals() -> list:
    """Wrong input: a status, a text that names what came, nothing changed."""
    bad = lambda value: numbers([[1, 2], [3, value]])
    case = Case("input_wrong_changes_nothing", 2, "l2", "IVF4,Flat").set_centroids(CORNERS).add([[1, 1], [9, 9]])
    for value in (np.nan, np.inf, -np.inf):
        case.fails("IVF_E_NOT_FINITE", "row 1", "add", x=bad(value), n=2, ids=None)
        case.fails("IVF_E_NOT_FINITE", "row 1", "search", x=bad(value), n=2, k=1)
        case.fails("IVF_E_NOT_FINITE", "row 1", "search_preassigned", x=bad(value), n=2, k=1, nprobe=1, lists=[0, 0])
    case.fails("IVF_E_DIMENSION", "expected 2 columns, got 3", "add", x=[1, 2, 3], n=1, dim=3, ids=None)
    case.fails("IVF_E_DIMENSION", "expected 2 columns, got 1", "search", x=[1], n=1, dim=1, k=1)
    case.fails("IVF_E_DIMENSION", "expected 2 columns, got 3", "reconstruct", ids=[0], dim=3)
    case.fails("IVF_E_ARGUMENT", "k", "search", x=[1, 2], n=1, k=0)
    case.info().search([[1, 1]], 2, nprobe=4)

    training = Case("training_on_numbers_not_finite_is_refused", 2, "l2", "IVF1,Flat")
    training.fails("IVF_E_NOT_FINITE", "row 1", "train", x=bad(np.nan), n=2)
    training.fails("IVF_E_NOT_FINITE", "row 0", "set_centroids", x=numbers([np.inf, 0]), nlist=1)
    training.fails("IVF_E_DIMENSION", "expected 2 columns, got 4", "train", x=[1, 2, 3, 4], n=1, dim=4).info(trained=0)

    none = Case("zero_rows_do_nothing", 2, "ip", "Flat").add([[1, 2]])
    none.step("add", x=[], n=0, ids=None).step("add", x=[], n=0, ids=[])
    none.step("search", x=[], n=0, k=3, ids=[], distances=[], hits=[]).info().search([1, 1], 1)

    return [case, training, none] + [
        refused_index(f"index_string_{number}_is_refused", text)
        for number, text in enumerate(["", "IVF", "IVF4", "IVF0,Flat", "IVF-3,Flat", "flat", "IVF4,PQ8", "Flat,", "IVF9999999999999999999,Flat"])
    ]


def main() -> None:
    cases = results() + probing() + ids() + states() + refusals()
    lines = [json.dumps(case.json, separators=(",", ":")) for case in cases]
    names = [case.json["name"] for case in cases]
    if len(set(names)) != len(names):
        raise SystemExit("two cases of one name")
    target = pathlib.Path(__file__).with_name("conformance.json")
    target.write_text('{"format":1,"cases":[\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")
    print(f"{len(cases)} cases, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
