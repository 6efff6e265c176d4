"""What `tune` measures, by its definition (src/index/measure.rs): points of rising nprobe, of rising k_factor behind a
refinement, and of lists that queries visit as they need them, where that meets fewer vectors."""

import math
from typing import NamedTuple

import numpy as np


class Point(NamedTuple):
    nprobe: int
    recall: float
    low: float
    cost: float
    k_factor: float
    probe_scale: float


def measured(model, x, k, recall, truth):
    """The points of the curve for this recall, and (nprobe, recall, k_factor, probe_scale) for it: of these only the clear
    answers are the contract, all lists for all of it and one list where that is far more than enough."""
    model.filter = None
    if truth is None:
        model.factor = 100
        _, bars, _ = model.search(x, k, model.nlist, 0)
        shares = lambda ids, distances: by_distance(model, distances, bars, k)  # noqa: E731
    else:
        shares = lambda ids, distances: by_ids(ids, truth, k)  # noqa: E731
    refined = getattr(model, "again", 0)
    points = ladder(model, x, k, shares, 0)
    if refined:
        points = worthwhile(points)
    scale = scale_of(model, x)
    if scale:
        adaptive = worthwhile(ladder(model, x, k, shares, scale))
        if cost_of(adaptive, recall) < cost_of(points, recall):
            points = adaptive
    model.factor = None
    return points, choice(points, recall, model.nlist or 1)


def choice(points, recall, nlist):
    if recall == 1:
        assert points[-1].recall == 1
        return nlist, 1.0, max(point.k_factor for point in points), 0.0
    first = points[0]
    assert first.low > recall, "between these the choice is the library's"
    return first.nprobe, first.recall, first.k_factor, first.probe_scale


def ladder(model, x, k, shares, scale):
    points, nprobe, now, nlist = [], 1, scale, model.nlist or 1
    while True:
        cost = cost_at(model, x, nprobe, now)
        best = factors(model, x, k, shares, nprobe, now, cost, points)
        if best >= 1 or (nprobe == nlist and now == 0):
            return points
        if nprobe == nlist:
            now = now * 1.5 if now < 8 * scale else 0
        # A fifth more each time.
        nprobe = min(nprobe + math.ceil(nprobe / 5), nlist)


def factors(model, x, k, shares, nprobe, scale, cost, points):
    """Points of rising factors, until one more finds next to nothing; the best recall."""
    again, factor, best = getattr(model, "again", 0), first_factor(model, k), 0.0
    while True:
        model.factor = factor
        ids, distances, _ = model.search(x, k, nprobe, 0, scale=scale)
        recalls = shares(ids, distances)
        recall, low = mean_and_low(recalls)
        points.append(Point(nprobe, recall, low, cost + factor * k * again, factor if again else 0, scale))
        gained, best = recall - best, max(recall, best)
        if not again or gained < 0.0005 or best >= 1 or factor * k >= model.count or factor >= 64:
            return best
        factor = next_factor(factor, k)


def first_factor(model, k):
    """Of scalar codes, which these all are: a tenth of candidates to spare, one at least."""
    return float(np.float32(1 + max(0.1, 1.5 / k)))


def next_factor(factor, k):
    """Of 1, 1.5, 2, 3, 4, 6, 8 and so on the first that is larger; 1.5 times one result are one candidate."""
    power = 2.0 ** math.floor(math.log2(factor))
    return 1.5 * power if factor < 1.5 * power and (k > 1 or power > 1) else 2 * power


def by_distance(model, distances, bars, k):
    """What is as far as the k-th is as good."""
    sign = 1 if model.metric == "l2" else -1
    recalls = []
    for at in range(0, len(distances), k):
        found = [value for value in distances[at : at + k] if value != "worst"]
        recalls.append(sum(sign * value <= sign * bars[at + k - 1] for value in found) / k)
    return recalls


def by_ids(ids, truth, k):
    recalls = []
    for row, wanted in enumerate(truth):
        wanted = {number for number in wanted if number >= 0}
        found = wanted & set(ids[row * k : row * k + k])
        recalls.append(len(found) / len(wanted) if wanted else 1.0)
    return recalls


def mean_and_low(recalls):
    """The mean, and the lower end of Wilson's interval, where queries alike count for more than coins."""
    recalls = np.array(recalls)
    mean, variance, n = recalls.mean(), recalls.var(), len(recalls)
    coins = n * max(mean * (1 - mean) / variance, 1) if variance > 0 else n
    z = 1.645**2 / coins
    spread = 1.645 * math.sqrt(mean * (1 - mean) / coins + z / (4 * coins))
    return float(mean), float(min(max((mean + z / 2 - spread) / (1 + z), 0), mean))


def cost_at(model, x, nprobe, scale):
    if not model.nlist:
        return float(model.count)
    met = [len(model.lists[at]) for lists in model.probes(x, nprobe, scale) for at in lists]
    return model.nlist + sum(met) / len(x)


def scale_of(model, x):
    """A quarter of the usual gap between a query's nearest list and the middle one; None with few lists."""
    if (model.nlist or 0) < 16:
        return None
    gaps = []
    for query in model.prepared(x):
        keys = sorted(model.keys(query, model.centroids, model.coarse_metric))
        gaps.append((keys[model.nlist // 2 - 1] - keys[0]) / model.unit(query, keys[0]))
    return sorted(gaps)[len(gaps) // 2] / 4


def worthwhile(points):
    kept = []
    for point in sorted(points, key=lambda point: (point.cost, -point.low)):
        more = not kept or point.low > kept[-1].low or point.recall > kept[-1].recall
        if more and (not kept or point.nprobe >= kept[-1].nprobe):
            kept.append(point)
    return kept


def cost_of(points, recall):
    if recall == 1:
        assert all(point.low < 1 for point in points)
        return points[-1].cost
    assert points[0].low >= recall, "between these the cost is the library's"
    return points[0].cost
