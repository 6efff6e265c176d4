"""Training, against the real faiss: as good lists after as many iterations."""

from __future__ import annotations

import unittest
from pathlib import Path

import faiss
import numpy as np

import ivf

WORDS = Path(__file__).parent.parent / "data" / "glove.npy"


class TrainTest(unittest.TestCase):
    def objectives(self, metric: str, nlist: int) -> tuple[float, float]:
        """The mean cost of all rows with our centroids and with faiss's, by faiss."""
        x = np.ascontiguousarray(np.load(WORDS), dtype=np.float32)
        ours = ivf.Index(x.shape[1], f"IVF{nlist},Flat", metric=metric)
        ours.train(x)
        kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
        theirs = faiss.index_factory(x.shape[1], f"IVF{nlist},Flat", kind)
        theirs.train(x)

        def cost(centroids: np.ndarray) -> float:
            values, _ = faiss.knn(x, np.ascontiguousarray(centroids), 1, metric=kind)
            return float(values.astype(np.float64).mean()) * (1 if metric == "l2" else -1)

        return cost(ours.centroids), cost(theirs.quantizer.reconstruct_n(0, nlist))

    def test_objective_is_within_a_thousandth_of_faiss(self) -> None:
        # 256 and 512 lists are enough for passes among near centroids, 64 are not.
        for metric in ("l2", "ip"):
            for nlist in (64, 256, 512):
                with self.subTest(metric=metric, nlist=nlist):
                    ours, theirs = self.objectives(metric, nlist)
                    self.assertLessEqual(ours, theirs + 0.001 * abs(theirs))
