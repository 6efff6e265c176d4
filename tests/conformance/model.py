"""What an index must answer, by float64 brute force and plain reasoning; no library of vectors is asked.

The model refuses cases whose answer could depend on rounding: two distances must be equal or clearly apart.
"""

from __future__ import annotations

import math

import numpy as np
from budget import first
from tuning import Point, choice, measured

# Distances closer than this, relative to the larger, and not equal, make a case unfit.
APART = 1e-4


class Model:
    """An index: vectors in lists, in the order in which they were added."""

    def __init__(self, dim, metric, nlist):
        self.dim, self.metric = dim, metric
        self.nlist = nlist  # 0 = Flat; None = not chosen yet
        self.centroids = None  # float64 [nlist, dim]
        self.trained = nlist == 0
        self.lists = [[]] if nlist == 0 else []  # of (id, float64 [dim])
        # Whether some vector's list follows from the centroids alone (after k-means it does not).
        self.certain = True
        self.next_id = 0
        # What the search before did: queries, lists that had anything to look at, vectors looked at.
        self.visited = [0, 0, 0]
        self.curve, self.factor = None, None
        self.filter = None  # of the search at hand
        self.best_first = False  # how lists are ordered

    @property
    def count(self):
        return sum(map(len, self.lists))

    def set_centroids(self, x):
        self.centroids = self.prepared(x)
        self.nlist = len(self.centroids)
        self.lists = [[] for _ in range(self.nlist)]
        self.trained = self.certain = True
        self.curve = None

    def train(self, nlist):
        """Centroids that depend on how k-means goes."""
        if nlist:
            self.centroids, self.nlist, self.lists = None, nlist, [[] for _ in range(nlist)]
            self.trained, self.certain = True, False

    def add(self, x, ids):
        if ids is None:
            ids = range(self.next_id, self.next_id + len(x))
        for vector, number in zip(self.prepared(x), ids):
            at = self.list_of(vector)
            self.lists[at].append((number, self.held(vector, at)))
            self.next_id = max(self.next_id, number + 1)
        self.order_lists()
        self.age(len(x))

    def held(self, vector, at):
        """What list number `at` holds of a vector: all of it."""
        return vector

    def list_of(self, vector):
        if self.nlist == 0 or not self.certain:
            return 0
        keys = self.keys(vector, self.centroids, self.coarse_metric)
        order = np.argsort(keys, kind="stable")
        if self.nlist > 1 and not apart(keys[order[0]], keys[order[1]]):
            self.certain = False
        return int(order[0])

    def remove(self, ids):
        before = self.count
        self.lists = [[entry for entry in entries if entry[0] not in ids] for entries in self.lists]
        self.age(before - self.count)
        return before - self.count

    def update(self, ids, x):
        """In place where the list stays, else at the end of the new one."""
        for number, vector in zip(ids, self.prepared(x)):
            new = self.list_of(vector)
            for at, entries in enumerate(self.lists):
                places = [place for place, entry in enumerate(entries) if entry[0] == number]
                for place in places:
                    if at == new:
                        entries[place] = (number, self.held(vector, new))
                    else:
                        del entries[place]
                        self.lists[new].append((number, self.held(vector, new)))
                if places:
                    break
        self.order_lists()
        self.age(len(ids))

    def order_lists(self):
        """The likeliest first: those nearest to the list's centroid, of inner products the longest."""
        for at, entries in enumerate(self.lists if self.best_first else []):
            rank = lambda vector: self.rank(vector, at)  # noqa: B023, E731
            entries.sort(key=lambda entry: rank(entry[1]))
            for (_, a), (_, b) in zip(entries, entries[1:]):
                # Of equal vectors those come first that came first.
                assert rank(a) == rank(b) or apart(rank(a), rank(b)), "the order of a list must be clear"

    def rank(self, vector, at):
        if self.metric == "ip":
            return -float(vector @ vector)
        return self.keys(vector, self.centroids[[at]], "l2")[0]

    def merge_copy(self, add_id):
        merged = self.count
        self.lists = [
            entries + [(number + add_id, vector) for number, vector in entries] for entries in self.lists
        ]
        self.next_id = max([self.next_id] + [number + 1 for entries in self.lists for number, _ in entries])
        self.order_lists()
        self.age(merged)
        return merged

    def ids(self):
        return sorted(number for entries in self.lists for number, _ in entries)

    def reset(self):
        self.lists = [[] for _ in self.lists]
        self.curve = None

    def search(self, x, k, nprobe, max_codes, budget=None, scale=0):
        """ids, distances, hits; nprobe 0 stands for all lists."""
        if not self.nlist:
            return self.scan(x, k, [[0]] * len(x), max_codes, budget)
        nprobe = min(nprobe or self.nlist, self.nlist)
        if nprobe == self.nlist and not max_codes and not scale and not (budget and budget.limits):
            return self.scan(x, k, [range(self.nlist)] * len(x), 0)
        return self.scan(x, k, self.probes(x, nprobe, scale), max_codes, budget)

    def probes(self, x, nprobe, scale=0):
        """The lists of each query, nearest first; with a scale only those that it needs."""
        assert self.certain, "which list a vector is in must be known where not all are searched"
        probes = []
        for query in self.prepared(x):
            keys = np.array(self.keys(query, self.centroids, self.coarse_metric))
            order = np.argsort(keys, kind="stable")
            for a, b in zip(order[:nprobe], order[1:]):
                assert apart(keys[a], keys[b]), "the order of the lists must be clear"
            probes.append(self.needed(query, keys, order[:nprobe], scale) if scale else order[:nprobe])
        return probes

    def needed(self, query, keys, order, scale):
        """Of the nearest lists those before the first, the r-th, with r * exp(gap / scale) > 4 * nprobe."""
        nearest, unit = keys[order[0]], self.unit(query, keys[order[0]])
        for rank in range(2, len(order) + 1):
            gap, limit = keys[order[rank - 1]] - nearest, scale * math.log(4 * len(order) / rank) * unit
            assert apart(gap, limit), (gap, limit)
            if gap > limit:
                return order[: rank - 1]
        return order

    def unit(self, query, nearest):
        """What a query's gaps are measured in."""
        if self.metric == "ip":
            return math.sqrt(query @ query)
        return nearest if self.metric == "l2" else 1 + nearest

    def scan(self, x, k, probes, max_codes, budget=None):
        """The best k of each query in its lists, as far as a budget and `max_codes` in probe order let it look."""
        ids, distances, hits = [], [], []
        self.visited = [len(x), 0, 0]
        for query, lists in zip(self.prepared(x), probes):
            lists = [number for number in lists if number >= 0]
            sizes = [len(self.lists[number]) for number in lists]
            if budget and budget.limits:
                keys = self.keys(query, self.centroids[lists], self.coarse_metric) if self.nlist else [0]
                sharing = {"l2": "distance_weighted", "ip": "uniform"}.get(self.metric if self.best_first else None)
                sizes = budget.allot(sizes, keys, sharing or "probe_order")
            if max_codes:
                sizes = first(sizes, max_codes)
            self.visited[1] += sum(size > 0 for size in sizes)
            self.visited[2] += sum(sizes)
            seen = [entry for number, size in zip(lists, sizes) for entry in self.lists[number][:size]]
            # Inside the scan: what does not pass is looked at all the same.
            seen = [entry for entry in seen if self.filter is None or self.filter.passes(entry[0])]
            keys = self.keys(query, np.array([vector for _, vector in seen]), self.metric)
            order = sorted(range(len(seen)), key=lambda place: (keys[place], seen[place][0]))
            for a, b in zip(order[:k], order[1:]):
                assert keys[a] == keys[b] or apart(keys[a], keys[b]), (keys[a], keys[b])
            order = order[:k]
            missing = k - len(order)
            sign = 1 if self.metric == "l2" else -1
            ids += [seen[place][0] for place in order] + [-1] * missing
            distances += [sign * keys[place] for place in order] + ["worst"] * missing
            hits.append(len(order))
        return ids, distances, hits

    def range_search(self, x, radius, nprobe, max_codes, budget=None, scale=0):
        """offsets, ids, distances of all that is strictly better than the radius."""
        room = max(self.count, 1)
        found, values, hits = self.search(x, room, nprobe, max_codes, budget, scale)
        sign = 1 if self.metric == "l2" else -1
        offsets, ids, distances = [0], [], []
        for row, count in enumerate(hits):
            for place in range(row * room, row * room + count):
                key, bar = sign * values[place], sign * radius
                assert math.isinf(bar) or key == bar or apart(key, bar), (key, bar)
                if key < bar:
                    ids.append(found[place])
                    distances.append(values[place])
            offsets.append(len(ids))
        return offsets, ids, distances

    def tune(self, x, k, recall, truth):
        """nprobe, the recall that it reaches, k_factor and probe_scale."""
        points, chosen = measured(self, x, k, recall, truth)
        self.curve = {"about": [k, len(x), self.count, 0], "points": points}
        return chosen

    def at_recall(self, recall, k):
        """nprobe, k_factor and probe_scale of a search."""
        nprobe, _, factor, scale = choice(self.curve["points"], recall, self.nlist or 1)
        return nprobe, factor * self.curve["about"][0] / k, scale

    def age(self, changed):
        if self.curve:
            self.curve["about"][3] += changed

    def curve_members(self):
        columns = [[] for _ in Point._fields]
        about = [0, 0, 0, 0]
        if self.curve:
            columns, about = map(list, zip(*self.curve["points"])), self.curve["about"]
        return {"about": [*about, int(about[3] > about[2] // 5)], **dict(zip(Point._fields, columns))}

    def reconstruct(self, ids):
        vectors = {number: vector for entries in self.lists for number, vector in entries}
        return [value for number in ids for value in vectors[number]]

    @property
    def coarse_metric(self):
        return "l2" if self.metric == "l2" else "ip"

    def prepared(self, x):
        """Rows as the metric compares them."""
        x = np.asarray(x, np.float32).astype(np.float64)
        if self.metric != "cosine":
            return x
        length = np.sqrt((x * x).sum(axis=1, keepdims=True))
        return x / np.where(length == 0, 1, length)

    @staticmethod
    def keys(query, x, metric):
        """Smaller is better."""
        if len(x) == 0:
            return []
        if metric == "l2":
            return [math.fsum((a - b) ** 2 for a, b in zip(query, row)) for row in x]
        return [-math.fsum(a * b for a, b in zip(query, row)) for row in x]


def apart(a, b):
    """Whether no rounding of float32 can swap a and b: float32 is exact on sums of small whole numbers."""
    exact = float(a).is_integer() and float(b).is_integer() and max(abs(a), abs(b)) < 2**20
    return a != b if exact else abs(a - b) > APART * max(abs(a), abs(b))
