"""RaBitQ codes against the real faiss's, of the same size, behind the same centroids: they lose no more."""

from __future__ import annotations

import unittest
from pathlib import Path

import faiss
import numpy as np

import ivf

WORDS = Path(__file__).parent.parent / "data" / "glove.npy"
METRICS = {"l2": faiss.METRIC_L2, "ip": faiss.METRIC_INNER_PRODUCT}
K = 10
NLIST = 64


def rotated_words() -> tuple[np.ndarray, np.ndarray]:
    """Rows and queries; faiss rotates nothing inside either."""
    x = np.load(WORDS).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((x.shape[1],) * 2))[0]
    x = np.ascontiguousarray(x @ rotation, dtype=np.float32)
    return x[:-300], x[-300:]


class RaBitQTest(unittest.TestCase):
    def test_recall_and_reconstruction_are_no_worse_than_theirs(self) -> None:
        x, queries = rotated_words()
        for metric, kind in METRICS.items():
            truth = faiss.knn(queries, x, K, metric=kind)[1]

            def recall(ids: np.ndarray) -> float:
                return float(np.mean([len(set(a) & set(b)) / K for a, b in zip(ids, truth)]))

            for bits in (1, 2, 4, 8):
                for lists in ("", f"IVF{NLIST},"):
                    description = f"{lists}RaBitQ{bits}"
                    with self.subTest(metric=metric, description=description):
                        theirs = faiss.index_factory(x.shape[1], description, kind)
                        theirs.train(x)
                        theirs.add(x)
                        # Queries that are not cut to a few bits: the best that theirs can.
                        theirs.qb = 0
                        ours = ivf.Index(x.shape[1], description, metric=metric)
                        if lists:
                            ours.set_centroids(theirs.quantizer.reconstruct_n(0, NLIST))
                            theirs.nprobe = NLIST
                            theirs.make_direct_map()
                        else:
                            ours.train(x)
                        ours.add(x)
                        got, expected = recall(ours.search(queries, K, NLIST)[1]), recall(theirs.search(queries, K)[1])
                        self.assertGreaterEqual(got, expected - 0.005)

                        def error(decoded: np.ndarray) -> float:
                            return float(np.square(decoded - x).sum(1).mean())

                        ids = np.arange(len(x))
                        self.assertLessEqual(error(ours.reconstruct(ids)), error(theirs.reconstruct_n(0, len(x))))

    def test_strings_are_those_that_faiss_takes(self) -> None:
        for code in ("RaBitQ", "RaBitQ2", "RaBitQ8", "RaBitQfs", "RaBitQfs4"):
            for lists in ("", "IVF4,"):
                with self.subTest(description=lists + code):
                    faiss.index_factory(8, lists + code)
                    self.assertEqual(ivf.Index(8, lists + code).description, lists + code)
