"""Writes a case step by step, each with what the model says must come out."""

from __future__ import annotations

import re

import numpy as np
from elements import TYPES
from mixing import blended, expanded
from model import Model


class Case:
    """One case. With `status` a step is expected to fail, with `error` in its text, and to change nothing."""

    def __init__(self, name, dim, metric="l2", index="Flat", allow_duplicate_ids=False, best_first=False):
        self.case = {"name": name, "dim": dim, "metric": metric, "index": index}
        if allow_duplicate_ids:
            self.case["allow_duplicate_ids"] = True
        if best_first:
            self.case["list_order"] = "best_first"
        self.case["steps"] = []
        lists = re.search(r"IVF(\d*),", index)
        nlist = 0 if not lists else int(lists[1]) if lists[1] else None
        self.index = index
        self.model = self.model_of(dim, metric, nlist)
        self.model.best_first = best_first

    @staticmethod
    def model_of(dim, metric, nlist):
        return Model(dim, metric, nlist)

    def step(self, op, status=None, error=None, **members):
        step = {"op": op, **members}
        if status:
            step["status"] = status
        if error:
            step["error"] = error
        self.case["steps"].append(step)
        return self

    def rows(self, x, dim=None):
        """x [n, dim] as the members of a step."""
        dim = dim or self.model.dim
        x = np.asarray(x, np.float32).reshape(-1, dim)
        members = {"x": [number(value) for value in x.ravel()], "n": len(x)}
        if dim != self.model.dim:
            members["dim"] = dim
        return x, members

    def given(self, op, x, dim=None, element=None):
        """x [n, dim] as an element has it, the members of a step, and its name."""
        if element:
            return *self.typed(x, element), f"{op}_typed"
        return *self.rows(x, dim), op

    def set_centroids(self, x, dim=None, **expected):
        x, members = self.rows(x, dim)
        members["nlist"] = members.pop("n")
        if not expected:
            self.model.set_centroids(x)
        return self.step("set_centroids", **members, **expected)

    def train(self, x, dim=None, **expected):
        x, members = self.rows(x, dim)
        if not expected:
            self.model.train(self.model.nlist)
        return self.step("train", **members, **expected)

    def add(self, x, ids=None, dim=None, **expected):
        x, members = self.rows(x, dim)
        if not expected:
            self.model.add(x, ids)
        return self.step("add", **members, ids=ids, **expected)

    def add_file(self, name, content, x=None, op="add_file", **expected):
        """A file of this name with these bytes (None = there is none), which hold the rows x."""
        members = {"file": name}
        if content is not None:
            members["content"] = list(content)
        if not expected:
            self.model.add(np.asarray(x, np.float32), None)
            members["added"] = len(x)
        return self.step(op, **members, **expected)

    def build_file(self, name, content, x=None, **expected):
        if not expected and not self.model.trained:
            self.model.train(self.model.nlist)
        return self.add_file(name, content, x, "build_file", **expected)

    def remove(self, ids):
        return self.step("remove", ids=ids, removed=self.model.remove(ids))

    def update(self, ids, x, element=None, **expected):
        x, members, op = self.given("update", x, element=element)
        if not expected:
            self.model.update(ids, x)
        return self.step(op, ids=ids, **members, **expected)

    def remove_range(self, start, end):
        """By a filter of the ids from start to end - 1."""
        gone = [number for number in self.model.ids() if start <= number < end]
        return self.step("remove_range", first=start, end=end, removed=self.model.remove(gone))

    def ids(self):
        return self.step("ids", ids=self.model.ids())

    def reconstruct_range(self, first, count, **expected):
        if expected:
            return self.step("reconstruct_range", first=first, count=count, **expected)
        x = self.model.reconstruct(range(first, first + count))
        return self.step("reconstruct_range", first=first, count=count, x=[number(value) for value in x])

    def merge_copy(self, add_id, **expected):
        """Takes in a copy of itself under shifted ids."""
        if expected:
            return self.step("merge_copy", add_id=add_id, **expected)
        return self.step("merge_copy", add_id=add_id, merged=self.model.merge_copy(add_id))

    def reset(self):
        self.model.reset()
        return self.step("reset")

    def compact(self):
        return self.step("compact")

    def search(
        self, x, k, nprobe=0, max_codes=0, dim=None, budget=None, filter=None, stats=False, k_factor=0, recall=0,
        scale=0, **expected,
    ):
        x, members = self.rows(x, dim)
        members.update(k=k, nprobe=nprobe, max_codes=max_codes, **self.limited(budget, filter))
        if k_factor:
            members["k_factor"] = k_factor
        if recall:
            members["target_recall"] = recall
        if scale:
            members["probe_scale"] = scale
        if not expected:
            if recall:
                nprobe, k_factor, scale = self.model.at_recall(recall, k)
            assert nprobe or not self.model.nlist, "the default nprobe is not part of the contract"
            self.model.factor = k_factor or None
            self.found(members, self.model.search(x, k, nprobe, max_codes, budget, scale), stats)
        return self.step("search", **members, **expected)

    def search_preassigned(
        self, x, lists, k, max_codes=0, budget=None, filter=None, stats=False, element=None, **expected
    ):
        """lists [n, nprobe]"""
        x, members, op = self.given("search_preassigned", x, element=element)
        members.update(k=k, nprobe=len(lists[0]), max_codes=max_codes, lists=sum(lists, []))
        members.update(self.limited(budget, filter))
        if not expected:
            self.found(members, self.model.scan(x, k, lists, max_codes, budget), stats)
        return self.step(op, **members, **expected)

    def range_search(
        self, x, radius, nprobe=0, max_codes=0, dim=None, budget=None, filter=None, element=None, scale=0, **expected
    ):
        x, members, op = self.given("range_search", x, dim, element)
        radius = np.float32(radius)
        members.update(radius=number(radius), nprobe=nprobe, max_codes=max_codes, **self.limited(budget, filter))
        if scale:
            members["probe_scale"] = scale
        if not expected:
            offsets, ids, distances = self.model.range_search(x, float(radius), nprobe, max_codes, budget, scale)
            members.update(offsets=offsets, ids=ids, distances=[number(value) for value in distances])
        return self.step(op, **members, **expected)

    def search_and_reconstruct(
        self, x, k, nprobe=0, max_codes=0, budget=None, filter=None, stats=False, element=None, **expected
    ):
        x, members, op = self.given("search_and_reconstruct", x, element=element)
        members.update(k=k, nprobe=nprobe, max_codes=max_codes, **self.limited(budget, filter))
        if not expected:
            result = self.model.search(x, k, nprobe, max_codes, budget)
            self.found(members, result, stats)
            missing = [float("nan")] * self.model.dim
            vectors = [self.model.reconstruct([id]) if id >= 0 else missing for id in result[0]]
            members["vectors"] = [number(value) for vector in vectors for value in vector]
        return self.step(op, **members, **expected)

    def tune(self, x, k, recall, truth=None, element=None, **expected):
        """truth [n, k]"""
        x, members, op = self.given("tune", x, element=element)
        members.update(k=k, recall=recall)
        if truth:
            members["truth"] = sum(truth, [])
        if not expected:
            chosen = self.model.tune(x, k, recall, truth)
            members.update(zip(("nprobe", "reached", "k_factor", "probe_scale"), chosen))
        return self.step(op, **members, **expected)

    def curve(self):
        """What `tune` measured: k, queries, count, changed, stale as `about`, then the columns of the points."""
        return self.step("curve", **self.model.curve_members())

    def nearest(self, x, k):
        self.model.filter = None
        return self.model.search([x], k, self.model.nlist, 0)[0]

    def query_expansion(self, x, k, alpha, nprobe=0, filter=None, element=None, **expected):
        x, members, op = self.given("query_expansion", x, element=element)
        members.update(k=k, alpha=alpha, nprobe=nprobe, **self.limited(None, filter))
        if not expected:
            members["out"] = [number(value) for value in expanded(self.model, x, k, alpha, nprobe)]
        return self.step(op, **members, **expected)

    def blend(self, x, k, power, ratio, nprobe=0, filter=None, element=None, **expected):
        x, members, op = self.given("blend", x, element=element)
        members.update(k=k, power=power, ratio=ratio, nprobe=nprobe, **self.limited(None, filter))
        if not expected:
            members["out"] = [number(value) for value in blended(self.model, x, k, power, ratio, nprobe)]
        return self.step(op, **members, **expected)

    def typed(self, x, element):
        """x as that type has it, and the members of a step: its bits."""
        x = np.asarray(x, np.float32).reshape(-1, self.model.dim)
        x, bits = TYPES[element](x)
        return x, {"element": element, "bits": [int(value) for value in bits.ravel()], "n": len(x)}

    def train_typed(self, x, element, **expected):
        x, members = self.typed(x, element)
        if not expected:
            self.model.train(self.model.nlist)
        return self.step("train_typed", **members, **expected)

    def add_typed(self, x, element, ids=None, **expected):
        x, members = self.typed(x, element)
        if not expected:
            self.model.add(x, ids)
        return self.step("add_typed", **members, ids=ids, **expected)

    def search_typed(self, x, element, k, nprobe=0, max_codes=0, filter=None, **expected):
        x, members = self.typed(x, element)
        members.update(k=k, nprobe=nprobe, max_codes=max_codes, **self.limited(None, filter))
        if not expected:
            self.found(members, self.model.search(x, k, nprobe, max_codes))
        return self.step("search_typed", **members, **expected)

    def limited(self, budget, filter):
        """The members of a search that has a budget or a filter."""
        self.model.filter = filter
        return {**(budget.members() if budget else {}), **({"filter": filter.member} if filter else {})}

    def found(self, members, result, stats=False):
        """`stats`: whether the step expects the statistics too: queries, lists, vectors."""
        ids, distances, hits = result
        if stats:
            members["stats"] = self.model.visited
        members["ids"] = ids
        members["distances"] = [value if value == "worst" else number(value) for value in distances]
        members["hits"] = hits

    def reconstruct(self, ids, dim=None, **expected):
        members = {} if dim is None else {"dim": dim}
        if not expected:
            members["x"] = [number(value) for value in self.model.reconstruct(ids)]
        return self.step("reconstruct", ids=ids, **members, **expected)

    def info(self, next_id=True):
        members = {"count": self.model.count, "trained": int(self.model.trained)}
        if self.model.nlist is not None:
            members["nlist"] = self.model.nlist or 1
        if next_id:
            members["next_id"] = self.model.next_id
        return self.step("info", **members)

    def list_sizes(self):
        assert self.model.certain
        return self.step("list_sizes", sizes=[len(entries) for entries in self.model.lists])

    def centroids(self, **expected):
        if expected:
            return self.step("centroids", **expected)
        return self.step("centroids", x=[number(value) for value in self.model.centroids.ravel()])

    def describe(self, text):
        return self.step("describe", text=text)

    def check(self, damage=None, at=0, **expected):
        """Its bytes, whole or damaged: "cut" keeps so many sixteenths of them, "flip" turns the bits of one byte so
        many sixteenths in. A check and a load have to answer alike, and loading never ends otherwise."""
        members = {damage: at} if damage else {}
        return self.step("check", **members, **expected)

    def reload(self, op="reload"):
        return self.step(op)


def refused(name, index, dim=4, status="IVF_E_DESCRIPTION", error=None):
    """A case that cannot be created."""
    case = {"name": name, "dim": dim, "metric": "l2", "index": index, "create_status": status}
    if error:
        case["error"] = error
    return case


def number(value):
    """A value as JSON, in no more digits than float32 has."""
    short = float(str(np.float32(value)))
    assert np.float32(short) == np.float32(value) or np.isnan(short)
    if np.isnan(short):
        return "nan"
    if np.isinf(short):
        return "inf" if short > 0 else "-inf"
    return int(short) if short.is_integer() and abs(short) < 1e15 else short
