#!/usr/bin/env python3
"""Writes tests/conformance.json, which every language's tests run. With --check only compares. Needs NumPy.

The file: {"format": 1, "cases": [{name, dim, metric ("l2", "ip", "cosine"), index, allow_duplicate_ids?,
list_order?, steps | create_status}]}. A step has "op" and the arguments of that call as flat arrays; `ids` null means the
next free ones; `dim` overrides the case's. What it expects: ids and hits exactly, distances and x to 1e-5
relative ("worst" = +inf for l2, -inf else, beside id -1), so `vectors` and `out`; removed, sizes, text, the members of info. A step with
`status` must fail with it, with `error` in its text, and change nothing. Numbers that JSON has not are "nan",
"inf", "-inf". `reload` goes on with a copy by way of memory, `save_load` and `map_load` (mapped) by way of a file whose
name is not ASCII, `clone` goes on with a copy, `merge_copy` takes in one under shifted ids, `export_faiss_load` by way of
faiss's format.
The calls in `_typed` have `bits` [n, dim] of `element` ("f16", "bf16", "u8") in place of x. `stream_load` goes on with a
copy by way of a stream. `check` asks whether the index's bytes are sound, after "cut" sixteenths of them are kept or the
bits of the byte so many sixteenths in are turned ("flip"); a load has to answer the same, and a check of a file of them.
`add_file` and `build_file` take a file named `file` of the bytes `content`; without these there is none.
`kmeans` numbers `labels` by their first appearance, and `centroids` so; both and `objective` are compared where they are given.
`knn` has its rows in `base`, by members such as those of its queries.

A search may have the options of its call by their names; its `filter` is {"ids": [...]}, {"range": [from, to]}, {"bitmap":
bytes}, {"and": [a, b]}, {"or": [a, b]} or {"not": a}. `range_search` gives `offsets` [n + 1] into ids and distances. `stats` are queries, lists, vectors looked at. `tune`
gives `nprobe`, the recall `reached`, `k_factor` and `probe_scale`; `curve` has k, queries, count, changed, stale as `about`,
then the columns of its points.
"""

import json
import sys
from pathlib import Path

import alone
import changes
import codes
import exact
import files
import filters
import ids
import lists
import mixtures
import ranges
import recall
import refine
import refusals
import rounding
import shares
import turns
import vectors

FILE = Path(__file__).resolve().parent.parent / "conformance.json"


def text() -> str:
    """The whole file, a step a line."""
    cases = [
        getattr(case, "case", case)
        for part in (exact, rounding, lists, ids, changes, mixtures, refusals, files, codes, shares, refine, turns, recall,
                     filters, ranges, vectors, alone)
        for case in part.cases()
    ]
    names = [case["name"] for case in cases]
    assert len(set(names)) == len(names), "names must be unique"
    return '{"format": 1, "cases": [\n' + ",\n".join(map(case_text, cases)) + "\n]}\n"


def case_text(case: dict) -> str:
    head = {key: value for key, value in case.items() if key != "steps"}
    if "steps" not in case:
        return json.dumps(head)
    steps = ",\n".join("  " + json.dumps(step) for step in case["steps"])
    return json.dumps(head)[:-1] + ', "steps": [\n' + steps + "\n]}"


if __name__ == "__main__":
    wanted = text()
    if sys.argv[1:] != ["--check"]:
        FILE.write_text(wanted, encoding="utf-8")
    elif FILE.read_text(encoding="utf-8") != wanted:
        sys.exit(f"{FILE} differs from what {Path(__file__).name} writes: run it without --check")
