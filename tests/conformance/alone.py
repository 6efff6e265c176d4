"""What needs no index: k-means and exact neighbours of data in data. The steps stand in cases of empty indexes, of which
they take the metric.

Where a centroid comes among others is the library's business: labels are told by the order in which they appear.
"""

import numpy as np
from case import Case, number
from elements import TYPES
from exact import whole
from filters import Filter
from model import Model, apart

# Clusters far apart, of which k-means++ and Lloyd's iterations leave no other choice.
FAR = np.array([[0, 0], [5000, 0], [0, 6000], [-7000, -4000]])


class Alone(Case):
    """A case whose steps have nothing to do with its index."""

    def matrix(self, x, element=None):
        """x [n, dim] as a type has it, and its members."""
        x = np.asarray(x, np.float32).reshape(-1, self.model.dim)
        return self.typed(x, element) if element else self.rows(x)

    def kmeans(self, x, k, groups=None, element=None, exact=True, **options):
        """groups [n]: the cluster of each point; `exact`: whether the centroids are their means."""
        x, members = self.matrix(x, element)
        status = {key: options.pop(key) for key in ("status", "error") if key in options}
        members.update(k=k, **options)
        if groups is not None:
            order = list(dict.fromkeys(groups))
            members["labels"] = [order.index(group) for group in groups]
        if groups is not None and exact:
            spherical = options.get("spherical", False)
            centroids, objective = self.means(x.astype(np.float64), np.array(members["labels"]), k, spherical)
            members["centroids"] = [number(value) for value in centroids.ravel()]
            members["objective"] = objective
        return self.step("kmeans_typed" if element else "kmeans", **members, **status)

    @staticmethod
    def means(x, labels, k, spherical):
        """What Lloyd's iterations end at: the groups' means, to which each point is the nearest."""
        centroids = np.array([x[labels == group].mean(axis=0) for group in range(k)])
        if spherical:
            centroids /= np.sqrt((centroids * centroids).sum(axis=1, keepdims=True))
            keys = -(x @ centroids.T)
        else:
            keys = ((x[:, None] - centroids) ** 2).sum(axis=2)
        assert (keys.argmin(axis=1) == labels).all(), "not where the iterations end"
        own = keys[np.arange(len(x)), labels]
        return centroids, float(-own.mean() if spherical else own.mean())

    def knn(self, queries, x, k, elements=(None, None), filter=None, **expected):
        queries, members = self.matrix(queries, elements[0])
        x, base = self.matrix(x, elements[1])
        members.update(base=base, k=k, **({"filter": filter.member} if filter else {}))
        if not expected:
            rows = Model(self.model.dim, self.model.metric, 0)
            rows.add(x, None)
            rows.filter = filter
            self.found(members, rows.search(queries, k, 0, 0))
        return self.step("knn_typed" if elements[0] else "knn", **members, **expected)


def cases():
    yield from clusterings()
    yield from neighbours()


def clusterings():
    random = np.random.default_rng(81)
    groups = random.integers(0, 4, 60)
    x = FAR[groups] + random.integers(-9, 10, (60, 2))
    case = Alone("kmeans_far_clusters_are_found", 2).kmeans(x, 4, groups).kmeans(x, 4, groups, seed=99)
    case.kmeans(x, 4, groups, seeding="plus_plus", restarts=3).kmeans(x, 4, groups, seeding="random", restarts=9)
    case.kmeans(x, 4, groups, seeding="hierarchical", restarts=9)
    # Steps towards the means of samples come near them, no more.
    yield case.kmeans(x, 4, groups, mini_batch=32, exact=False)
    yield Alone("kmeans_one_centroid_is_the_mean", 2).kmeans(x, 1, [0] * 60).kmeans(x[:1], 1, [0])
    yield Alone("kmeans_as_many_centroids_as_points_are_the_points", 3).kmeans(whole(82, 7, 3), 7, range(7))
    ways = np.array([[1, 0], [0, 1], [-1, -1]])
    groups = random.integers(0, 3, 30)
    rays = ways[groups] * random.integers(1, 9, (30, 1)) * [[8, 8]] + random.integers(-1, 2, (30, 2))
    yield Alone("kmeans_spherical_goes_by_direction", 2).kmeans(rays, 3, groups, spherical=True)
    for element in TYPES:
        groups = random.integers(0, 2, 20)
        bytes_ = np.array([[3, 5, 4], [240, 200, 220]])[groups] + random.integers(-3, 4, (20, 3))
        yield Alone(f"kmeans_{element}_points_are_their_values", 3).kmeans(bytes_, 2, groups, element=element)
    nan = x.astype(np.float32)
    nan[33, 1] = np.nan
    yield (
        Alone("kmeans_bad_arguments_are_refused", 2)
        .kmeans(x, 0, status="IVF_E_ARGUMENT", error="k: expected at least 1 centroid, got 0")
        .kmeans(x[:3], 4, status="IVF_E_TOO_FEW_POINTS", error="4")
        .kmeans(nan, 4, status="IVF_E_NOT_FINITE", error="row 33")
        .kmeans(nan[20:], 4, element="f16", status="IVF_E_NOT_FINITE", error="row 13")
    )


def neighbours():
    queries = whole(83, 4, 5)
    for metric in ("l2", "ip", "cosine"):
        x = np.random.default_rng(84).permutation(np.unique(whole(84, 70, 5), axis=0))
        if metric == "cosine":
            x = clear_directions(queries, x)
        case = Alone(f"knn_{metric}_equals_brute_force", 5, metric).knn(queries, x, 3).knn(queries, x, 1)
        case.knn(queries, x, len(x) + 2).knn(queries, x, 4, filter=Filter.range(5, 30))
        yield case.knn(queries, x[:0], 2).knn(queries[:0], x, 2).knn(queries, x, 2, filter=Filter.ids([1, 900]))
    for of_queries in TYPES:
        for of_rows in TYPES:
            case = Alone(f"knn_{of_queries}_in_{of_rows}_is_of_their_values", 5)
            yield case.knn(abs(queries), abs(whole(85, 20, 5)), 4, elements=(of_queries, of_rows))
    nan, x = queries.astype(np.float32), whole(86, 6, 5)
    nan[2, 4] = np.inf
    yield (
        Alone("knn_bad_arguments_are_refused", 5)
        .knn(queries, x, 0, status="IVF_E_ARGUMENT", error="k: expected")
        .knn(nan, x, 2, status="IVF_E_NOT_FINITE", error="row 2")
        .knn(x, nan, 2, status="IVF_E_NOT_FINITE", error="row 2")
        .knn(nan, abs(x), 2, elements=("bf16", "u8"), status="IVF_E_NOT_FINITE", error="row 2")
    )


def clear_directions(queries, x):
    """Of x those rows whose angles with every query are clearly apart from the others' kept."""
    model = Model(5, "cosine", 0)
    kept = []
    for row in model.prepared(x):
        keys = [model.keys(query, [row, *kept], "ip") for query in model.prepared(queries)]
        if all(apart(first, other) for first, *rest in keys for other in rest):
            kept.append(row)
    return np.array(kept, np.float32)
