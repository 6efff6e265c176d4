"""Product codes between libivf and the real faiss, both ways, and of what quality ours are."""

from __future__ import annotations

import faiss
import numpy as np

import ivf
from support import K, METRICS, FilesCase, rows


def clustered(n: int, dim: int, seed: int = 0) -> np.ndarray:
    """Rows around 200 centres, whose dimensions differ in spread."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((200, dim))
    spread = np.linspace(0.2, 1, dim)
    return (centres[random.integers(200, size=n)] + spread * random.standard_normal((n, dim))).astype(np.float32)


def made(dim: int, description: str, metric: int, by_residual: bool | None = None) -> faiss.Index:
    """faiss's index of our index string: polysemous training ("np" has none) is of no use to us."""
    plain = "PQ" in description and not description.endswith(("fs", "fsr"))
    index = faiss.index_factory(dim, description + ("np" if plain else ""), metric)
    if by_residual is not None:
        index.by_residual = by_residual
    return index


def held(index: faiss.Index, n: int) -> np.ndarray:
    """What faiss's codes stand for, by id."""
    if hasattr(index, "make_direct_map"):
        index.make_direct_map()
    decoded = index.reconstruct_n(0, n)
    if hasattr(index, "make_direct_map"):
        index.set_direct_map_type(faiss.DirectMap.NoMap)
    return decoded


class ProductTest(FilesCase):
    def setUp(self) -> None:
        super().setUp()
        # Training of parts is many tiny steps, at which threads mostly wait for one another.
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)
        self.addCleanup(faiss.omp_set_num_threads, threads)

    # Dimensions, index string, by residual (None = as faiss has it).
    FILES = (
        (24, "PQ6", None),
        (24, "PQ24", None),
        (21, "PQ7x4", None),
        (24, "PQ6x4", None),
        (24, "IVF20,PQ6", None),
        (24, "IVF20,PQ6", False),
        (21, "IVF20,PQ7x4", None),
        (21, "IVF20,PQ7x4", False),
    )

    def test_files_find_the_same_and_come_back_as_the_same_bytes(self) -> None:
        for metric, number in METRICS.items():
            for dim, description, by_residual in self.FILES:
                with self.subTest(metric=metric, description=description, by_residual=by_residual):
                    x, queries = clustered(4000, dim), clustered(200, dim, 7)
                    theirs = made(dim, description, number, by_residual)
                    theirs.train(x)
                    theirs.add(x)
                    ours = self.from_faiss(theirs)
                    self.assert_kept(ours, theirs, description)
                    for nprobe in (None, 3, 20) if description.startswith("IVF") else (None,):
                        self.assert_same(ours, theirs, nprobe, queries, 1e-4)
                    ids = np.arange(4000)
                    np.testing.assert_allclose(ours.reconstruct(ids), held(theirs, 4000), rtol=1e-5, atol=1e-5)
                    self.to_faiss(ours)
                    self.assertEqual(self.bytes, faiss.serialize_index(theirs).tobytes(), "there and back")
                    # Vectors added later get the same codes, but for those between two words.
                    more = clustered(500, dim, 5)
                    theirs.add(more)
                    ours.add(more)
                    self.to_faiss(ours)
                    mine, all_ = np.frombuffer(self.bytes, np.uint8), faiss.serialize_index(theirs)
                    self.assertEqual(mine.size, all_.size)
                    self.assertLess((mine != all_).mean(), 1e-4)

    # Dimensions, index string, vectors of a block (None = as faiss has it): tables are rounded, there otherwise than
    # here, so that it is codes which are compared, and what they find only nearly.
    FAST = (
        (24, "PQ12x4fs", None),
        (21, "PQ7x4fs", None),
        (21, "PQ7x4fs", 96),
        (24, "IVF20,PQ12x4fs", None),
        (24, "IVF20,PQ12x4fsr", None),
        (21, "IVF20,PQ7x4fsr", None),
        (21, "IVF20,PQ7x4fs", 64),
    )

    def assert_nearly_same(self, ours: ivf.Index, theirs: faiss.Index, queries: np.ndarray) -> None:
        nprobe = 5 if "IVF" in ours.description else None
        params = faiss.SearchParametersIVF(nprobe=nprobe) if nprobe else None
        distances, ids = ours.search(queries, K, nprobe)
        expected, expected_ids = theirs.search(queries, K, params=params)
        common = np.mean([len(set(a) & set(b)) / K for a, b in zip(ids, expected_ids)])
        self.assertGreater(common, 0.85)
        self.assertLess(np.median(np.abs(distances - expected)) / np.median(np.abs(expected)), 0.02)

    def test_fast_scan_files_hold_the_same_and_come_back_as_the_same_bytes(self) -> None:
        for metric, number in METRICS.items():
            for dim, description, block in self.FAST:
                with self.subTest(metric=metric, description=description, block=block):
                    x, queries = clustered(4000, dim), clustered(200, dim, 7)
                    if block is None:
                        theirs = made(dim, description, number)
                    elif description.startswith("IVF"):
                        quantizer = faiss.IndexFlat(dim, number)
                        theirs = faiss.IndexIVFPQFastScan(quantizer, dim, 20, 7, 4, number, block)
                        theirs.by_residual = False
                    else:
                        theirs = faiss.IndexPQFastScan(dim, 7, 4, number, block)
                    untrained = self.from_faiss(theirs)
                    self.assert_kept(untrained, theirs, description)
                    theirs.train(x)
                    theirs.add(x)
                    ours = self.from_faiss(theirs)
                    self.assert_kept(ours, theirs, description)
                    self.assert_nearly_same(ours, theirs, queries)
                    if block is not None:
                        # Out of larger blocks faiss itself decodes other vectors than it has put in.
                        expected = theirs.pq.decode(theirs.pq.compute_codes(x))
                        np.testing.assert_allclose(ours.reconstruct(np.arange(4000)), expected, rtol=1e-5, atol=1e-5)
                        self.assert_nearly_same(ours, self.to_faiss(ours), queries)
                        continue
                    np.testing.assert_allclose(ours.reconstruct(np.arange(4000)), held(theirs, 4000), rtol=1e-5, atol=1e-5)
                    back = self.to_faiss(ours)
                    self.assertEqual(self.bytes, faiss.serialize_index(theirs).tobytes(), "there and back")
                    # faiss cannot decode what it has read from a file, so that bytes are compared.
                    more = clustered(500, dim, 5)
                    for index in (theirs, back, ours):
                        index.add(more)
                    all_ = faiss.serialize_index(theirs)
                    np.testing.assert_array_equal(faiss.serialize_index(back), all_)
                    self.to_faiss(ours)
                    mine = np.frombuffer(self.bytes, np.uint8)
                    self.assertEqual(mine.size, all_.size)
                    self.assertLess((mine != all_).mean(), 1e-3)

    def test_fast_scan_trained_here_holds_the_same_there(self) -> None:
        for metric in METRICS:
            for description in ("PQ8x4fs", "PQ7x4fs", "IVF20,PQ8x4fs", "IVF20,PQ7x4fsr", "IVF20,PQ8x4fs,RFlat"):
                with self.subTest(metric=metric, description=description):
                    dim = 21 if "PQ7" in description else 24
                    x, queries = clustered(4000, dim), clustered(200, dim, 7)
                    ours = ivf.Index(dim, description, metric=metric)
                    self.assertFalse(self.to_faiss(ours).is_trained)
                    ours.train(x)
                    self.assertEqual(self.to_faiss(ours).ntotal, 0)
                    ours.add(x, ids=np.arange(4000) * 3 + 1)
                    ours.remove(np.arange(1, 3000, 9))
                    theirs = self.to_faiss(ours)
                    again = ivf.load(self.directory / "plain.index")
                    self.assertEqual(again.description, description)
                    mine, kept = ours.search(queries, K, 20), again.search(queries, K, 20)
                    np.testing.assert_array_equal(mine.ids, kept.ids)
                    np.testing.assert_array_equal(mine.distances, kept.distances)
                    if "RFlat" in description:
                        self.assertIsInstance(theirs, faiss.IndexIDMap2)
                        continue
                    self.assert_nearly_same(ours, theirs, queries)
                    if "IVF" in description:
                        self.assertIs(type(theirs), faiss.IndexIVFPQFastScan)
                    else:
                        vectors = ours.reconstruct([4, 103, 11998])
                        np.testing.assert_allclose(theirs.reconstruct_batch([4, 103, 11998]), vectors, rtol=1e-5, atol=1e-5)

    def test_trained_here_finds_the_same_there(self) -> None:
        for metric in METRICS:
            for dim, description, by_residual in self.FILES:
                if by_residual is not None:
                    continue
                with self.subTest(metric=metric, description=description):
                    x, queries = clustered(4000, dim), clustered(200, dim, 7)
                    ours = ivf.Index(dim, description, metric=metric)
                    self.assertFalse(self.to_faiss(ours).is_trained)
                    ours.train(x)
                    ours.add(x, ids=np.arange(4000) * 3 + 1)
                    ours.remove(np.arange(1, 3000, 9))
                    theirs = self.to_faiss(ours)
                    inner = theirs.index if description.startswith("PQ") else theirs
                    inner = faiss.downcast_index(inner)
                    expected = faiss.IndexIVFPQ if description.startswith("IVF") else faiss.IndexPQ
                    self.assertIs(type(inner), expected)
                    for nprobe in (None, 20) if description.startswith("IVF") else (None,):
                        self.assert_same(ours, theirs, nprobe, queries, 1e-4)

    def test_untrained_empty_wrapped_and_polysemous_are_read(self) -> None:
        x = clustered(4000, 16)
        for description in ("PQ4", "PQ4x4", "IVF10,PQ4x4"):
            ours = self.from_faiss(made(16, description, faiss.METRIC_L2))
            self.assertFalse(ours.is_trained)
            self.assertEqual(ours.description, description)
            ours.train(x)
            self.assert_same(ours, self.to_faiss(ours))
            ours.add(x)
            self.assert_same(ours, self.to_faiss(ours), None, clustered(100, 16, 7), 1e-4)
        for description in ("PCA8,IVF10,PQ4x4np", "OPQ4,PQ4x4np", "IDMap,PQ4x4np", "IDMap2,IVF10,PQ4x4np", "PQ4x4", "IVF10,PQ4x4"):
            with self.subTest(description=description):
                theirs = faiss.index_factory(16, description)
                theirs.train(x)
                with_ids = description.startswith("IDMap")
                theirs.add_with_ids(x, np.arange(4000) * 5 + 2) if with_ids else theirs.add(x)
                self.assert_near(self.from_faiss(theirs), theirs, clustered(100, 16, 7))
        theirs = faiss.index_factory(16, "IVF10,PQ4x4np,RFlat")
        theirs.train(x)
        theirs.add(x)
        theirs.k_factor = 8
        ours = self.from_faiss(theirs)
        self.assertEqual(ours.description, "IVF10,PQ4x4,RFlat")
        self.assert_near(ours, theirs, clustered(100, 16, 7))
        self.to_faiss(ours)
        self.assertEqual(self.bytes, faiss.serialize_index(theirs).tobytes())

    def test_what_is_not_supported_says_why(self) -> None:
        polysemous = faiss.IndexPQ(8, 2, 4)
        polysemous.search_type = faiss.IndexPQ.ST_polysemous
        for index, whys in [
            (faiss.IndexPQ(8, 2, 6), ("`IxPq` (PQ)", "6 bits", "PQ2x4")),
            (faiss.IndexIVFPQ(faiss.IndexFlatL2(8), 8, 4, 2, 5), ("`IwPQ` (IVF PQ)", "5 bits", "PQ2x4")),
            (polysemous, ("`IxPq` (PQ)", "search_type 4", "ST_PQ")),
        ]:
            with self.assertRaises(ivf.UnsupportedError) as caught:
                self.from_faiss(index)
            for why in whys:
                self.assertIn(why, str(caught.exception))

    def test_codes_trained_here_lose_no_more_than_theirs(self) -> None:
        dim, nlist = 32, 32
        x, queries = clustered(12000, dim), clustered(1500, dim, 7)
        for metric, number in METRICS.items():
            truth = faiss.knn(queries, x, K, metric=number)[1]

            def recall(ids: np.ndarray) -> float:
                return float(np.mean([len(set(a) & set(b)) / K for a, b in zip(ids, truth)]))

            def error(decoded: np.ndarray) -> float:
                return float(np.square(decoded - x).sum(1).mean())

            for description in ("PQ8", "PQ16x4", "OPQ8,PQ8", "OPQ8,PQ8x4", "IVF32,PQ8", "IVF32,PQ16x4fs", "IVF32,PQ16x4fsr") if metric == "l2" else ("IVF32,PQ16x4", "PQ16x4fs"):
                with self.subTest(metric=metric, description=description):
                    theirs = made(dim, description, number)
                    theirs.train(x)
                    theirs.add(x)
                    ours = ivf.Index(dim, description, metric=metric)
                    if description.startswith("IVF"):
                        # From the same centroids: what differs is the codes.
                        ours.set_centroids(theirs.quantizer.reconstruct_n(0, nlist))
                        theirs.nprobe = nlist
                    ours.train(x)
                    ours.add(x)
                    self.assertLess(error(ours.reconstruct(np.arange(len(x)))), error(held(theirs, len(x))) * 1.02)
                    found, expected = recall(ours.search(queries, K, nlist)[1]), recall(theirs.search(queries, K)[1])
                    self.assertGreater(found, expected * 0.98)
