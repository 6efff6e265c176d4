"""Neutral measures, the same code for every peer: exact neighbours, recall, agreement, objective.

A cost is what is to be small: the squared distance, or the negated inner product. All costs are
float64, computed from the vectors; no peer's own distances are trusted.
"""

from __future__ import annotations

import numpy as np

#: Two costs closer than this, relative, are a tie.
TIE = 1e-5
_BLOCK = 1 << 24  # numbers in a temporary


def costs(base: np.ndarray, queries: np.ndarray, ids: np.ndarray, metric: str) -> np.ndarray:
    """Float64 costs [nq, m] of the rows `ids` [nq, m]; infinity where the id is negative."""
    result = np.empty(ids.shape, np.float64)
    step = max(1, _BLOCK // (ids.shape[1] * base.shape[1]))
    for start in range(0, len(ids), step):
        part = slice(start, start + step)
        rows = base[np.maximum(ids[part], 0)].astype(np.float64)
        query = queries[part, None, :].astype(np.float64)
        result[part] = _cost(rows, query, metric)
    result[ids < 0] = np.inf
    return result


def _cost(rows: np.ndarray, query: np.ndarray, metric: str) -> np.ndarray:
    if metric == "ip":
        return -np.einsum("...d,...d->...", rows, np.broadcast_to(query, rows.shape))
    difference = rows - query
    return np.einsum("...d,...d->...", difference, difference)


def exact(base: np.ndarray, queries: np.ndarray, metric: str, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids and float64 costs [nq, k] of the k nearest; equal costs in the order of ids.

    faiss finds a generous set of candidates in float32, float64 orders it. Where float32's rounding
    might have kept a true neighbour out of the candidates, the query is solved in float64 whole.
    """
    import faiss

    count, dim = base.shape
    width = min(count, 2 * k + 32)
    flat = faiss.IndexFlat(dim, faiss.METRIC_INNER_PRODUCT if metric == "ip" else faiss.METRIC_L2)
    flat.add(base)
    rough, candidates = flat.search(queries, width)
    ids, values = _smallest(candidates, costs(base, queries, candidates, metric), k)
    if width < count:
        edge = rough[:, -1].astype(np.float64) * (-1 if metric == "ip" else 1)
        longest = np.sqrt(np.einsum("nd,nd->n", base, base).max())
        lengths = np.sqrt(np.einsum("nd,nd->n", queries, queries))
        rounding = dim * 2.0**-24 * (lengths + longest) ** 2
        for row in np.flatnonzero(values[:, -1] + rounding >= edge):
            whole = np.concatenate([
                _cost(base[start : start + 65536].astype(np.float64), queries[row].astype(np.float64), metric)
                for start in range(0, count, 65536)
            ])
            nearest = np.argsort(whole, kind="stable")[:k]
            ids[row], values[row] = nearest, whole[nearest]
    return ids, values


def _smallest(ids: np.ndarray, values: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.lexsort((ids, values), axis=1)[:, :k]
    return np.take_along_axis(ids, order, 1), np.take_along_axis(values, order, 1)


def recall(found: np.ndarray, found_costs: np.ndarray, truth_costs: np.ndarray, at: int) -> float:
    """Share of the `at` nearest that is among the first `at` found; a tie with the last counts."""
    first = found[:, :at]
    limit = truth_costs[:, at - 1 : at]
    good = found_costs[:, :at] <= limit + 1e-9 * np.abs(limit)
    ordered = np.sort(first, axis=1)
    repeated = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    hits = good.sum(axis=1) - repeated.sum(axis=1)
    return float(np.clip(hits, 0, at).mean() / at)


def agreement(
    a: np.ndarray, a_costs: np.ndarray, b: np.ndarray, b_costs: np.ndarray
) -> tuple[float, float]:
    """How alike two result sets [nq, k] are, in any order: (share of equal ids, the same with ties).

    With ties, ids that only one side has count as equal when their costs pair up within `TIE`.
    """
    columns = np.arange(a.shape[1])
    a, b = np.where(a < 0, -1 - columns, a), np.where(b < 0, -1 - columns, b)
    equal, tied = 0, 0
    step = max(1, _BLOCK // a.shape[1] ** 2)
    for start in range(0, len(a), step):
        part = slice(start, start + step)
        same = a[part, :, None] == b[part, None, :]
        only_a, only_b = ~same.any(axis=2), ~same.any(axis=1)
        missing = np.maximum(only_a.sum(axis=1), only_b.sum(axis=1))
        equal += int((a.shape[1] - missing).sum())
        for row in np.flatnonzero(missing):
            left = np.sort(a_costs[start + row][only_a[row]])
            right = np.sort(b_costs[start + row][only_b[row]])
            both = min(len(left), len(right))
            left, right = left[:both], right[:both]
            finite = np.isfinite(left) & np.isfinite(right)
            left, right = left[finite], right[finite]
            tied += int((np.abs(left - right) <= TIE * np.maximum(np.abs(left), np.abs(right))).sum())
    return equal / a.size, (equal + tied) / a.size


def objective(base: np.ndarray, centroids: np.ndarray, metric: str) -> float:
    """Mean cost of all base vectors to the centroid they belong to: for L2 the mean squared distance."""
    half_norms = 0.5 * np.einsum("nd,nd->n", centroids, centroids) if metric == "l2" else 0.0
    total = 0.0
    step = max(1, _BLOCK // max(base.shape[1], len(centroids)))
    for start in range(0, len(base), step):
        rows = base[start : start + step]
        nearest = (half_norms - rows @ centroids.T).argmin(axis=1)
        total += _cost(rows.astype(np.float64), centroids[nearest].astype(np.float64), metric).sum()
    return total / len(base)
