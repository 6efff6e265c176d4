"""What the tests of files between libivf and the real faiss have in common.

Rows are random float32. Results are equal if the distances agree to 1e-5 and the ids do wherever no two
distances are that close.
"""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

import faiss
import numpy as np

import ivf

METRICS = {"l2": faiss.METRIC_L2, "ip": faiss.METRIC_INNER_PRODUCT}
K = 10


def rows(n: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, dim), dtype=np.float32)


def normalised(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


class FilesCase(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def from_faiss(self, index: faiss.Index) -> ivf.Index:
        """What we make of faiss's file; its bytes are kept in `self.bytes`."""
        path = self.directory / "из faiss.index"
        # faiss cannot open every path on every system, so it writes to memory.
        self.bytes = faiss.serialize_index(index).tobytes()
        path.write_bytes(self.bytes)
        return ivf.load(path)

    def to_faiss(self, index: ivf.Index) -> faiss.Index:
        """What faiss makes of our file; its bytes are kept in `self.bytes`."""
        path = self.directory / "в faiss.index"
        index.export_faiss(path)
        self.bytes = path.read_bytes()
        opened = faiss.deserialize_index(np.frombuffer(self.bytes, np.uint8))
        plain = self.directory / "plain.index"
        plain.write_bytes(self.bytes)
        self.assertEqual(faiss.read_index(str(plain)).ntotal, opened.ntotal)
        self.assertEqual(faiss.serialize_index(opened).tobytes(), self.bytes, "faiss writes it the same way")
        return opened

    def assert_same(self, ours: ivf.Index, theirs: faiss.Index, nprobe: int | None = None, queries=None, tolerance=1e-5) -> None:
        """Both find the same: `nprobe` lists, or as many as each says by itself."""
        queries = rows(200, theirs.d, 77) if queries is None else queries
        params = faiss.SearchParametersIVF(nprobe=nprobe) if nprobe else None
        expected, expected_ids = theirs.search(queries, K, params=params)
        distances, ids = ours.search(queries, K, nprobe)
        missing = expected_ids < 0
        np.testing.assert_array_equal(ids < 0, missing)
        expected, distances = np.where(missing, 0, expected), np.where(missing, 0, distances)
        scale = np.maximum(1, np.abs(expected))
        self.assertLess(np.max(np.abs(distances - expected) / scale, initial=0), tolerance)
        for row, column in np.argwhere(ids != expected_ids):
            # Another id only where it is a tie, or where the k-th is one.
            near = np.abs(expected[row] - distances[row, column]) < tolerance * scale[row, column]
            self.assertTrue(near.sum() > 1 or near[-1], f"query {row}, place {column}")

    def assert_kept(self, ours: ivf.Index, theirs: faiss.Index, description: str) -> None:
        self.assertEqual(len(ours), theirs.ntotal)
        self.assertEqual(ours.dim, theirs.d)
        self.assertEqual(ours.description, description)
        self.assertEqual(METRICS[ours.metric], theirs.metric_type)
        self.assertEqual(ours.is_trained, theirs.is_trained)
        if hasattr(theirs, "nprobe"):
            self.assertEqual(ours.nprobe, min(theirs.nprobe, theirs.nlist))

    def assert_near(self, ours: ivf.Index, theirs: faiss.Index, queries: np.ndarray) -> None:
        """As assert_same, for distances whose digits the transform has moved."""
        expected, expected_ids = theirs.search(queries, K)
        distances, ids = ours.search(queries, K)
        missing = expected_ids < 0
        np.testing.assert_array_equal(ids < 0, missing)
        expected, distances = np.where(missing, 0, expected), np.where(missing, 0, distances)
        np.testing.assert_allclose(distances, expected, rtol=1e-4, atol=1e-4)
        self.assertGreater((ids == expected_ids).mean(), 0.998)
