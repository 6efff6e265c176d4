"""New vectors made of neighbours, by their definitions in float64. A query's neighbours are the model's."""

import numpy as np


def neighbours(model, x, k, nprobe):
    """Of each query the distances and the vectors of its hits."""
    ids, distances, hits = model.search(x, k, nprobe, 0)
    for row, count in enumerate(hits):
        found = ids[row * k : row * k + count]
        vectors = np.array([model.reconstruct([number]) for number in found]).reshape(-1, model.dim)
        yield np.array(distances[row * k : row * k + count], np.float64), vectors


def expanded(model, x, k, alpha, nprobe):
    """Alpha query expansion (Radenovic et al. 2018): sum of w v over the hits and the query of weight 1."""
    rows = []
    for query, (distances, vectors) in zip(model.prepared(x), neighbours(model, x, k, nprobe)):
        similarity = 1 / (1 + distances) if model.metric == "l2" else np.maximum(distances, 0)
        weights = similarity**alpha
        mixed = query + weights @ vectors
        rows.append(mixed / (1 + weights.sum() if model.metric == "l2" else np.sqrt(mixed @ mixed)))
    return np.ravel(rows)


def blended(model, x, k, power, ratio, nprobe):
    """ratio * (mean of the hits, weighted 1 / distance^power) + (1 - ratio) * query."""
    rows = []
    for query, (distances, vectors) in zip(np.asarray(x, np.float64), neighbours(model, x, k, nprobe)):
        if len(distances) == 0:
            rows.append(query)
            continue
        distances = distances if model.metric == "l2" else 1 - distances
        same = distances == 0
        weights = same.astype(float) if same.any() else distances**-power
        rows.append(ratio * (weights @ vectors) / weights.sum() + (1 - ratio) * query)
    return np.ravel(rows)
