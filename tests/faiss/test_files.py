"""Index files between libivf and the real faiss, both ways: everything that a file keeps has to arrive."""

from __future__ import annotations

import faiss
import numpy as np

import ivf
from support import K, METRICS, FilesCase, normalised, rows


class FilesTest(FilesCase):
    # ---- faiss's files here

    def test_flat_every_metric_and_dimension_finds_the_same(self) -> None:
        for metric, number in METRICS.items():
            for dim, n in [(1, 50), (3, 1000), (64, 2049), (100, 33), (768, 500)]:
                with self.subTest(metric=metric, dim=dim):
                    theirs = faiss.IndexFlat(dim, number)
                    theirs.add(rows(n, dim))
                    ours = self.from_faiss(theirs)
                    self.assert_kept(ours, theirs, "Flat")
                    self.assert_same(ours, theirs)
                    self.assertEqual(ours.info.next_id, n)
                    self.to_faiss(ours)
                    self.assertEqual(self.bytes, faiss.serialize_index(theirs).tobytes())

    def test_flat_empty_and_one_vector_find_the_same(self) -> None:
        theirs = faiss.IndexFlatL2(5)
        self.assert_same(self.from_faiss(theirs), theirs)
        theirs.add(rows(1, 5))
        self.assert_same(self.from_faiss(theirs), theirs)

    def test_flat_within_id_maps_keeps_the_ids(self) -> None:
        x = rows(500, 24)
        ids = 3 + np.arange(500) * 2**50 // 7
        for kind in (faiss.IndexIDMap, faiss.IndexIDMap2):
            with self.subTest(kind=kind.__name__):
                theirs = kind(faiss.IndexFlatIP(24))
                theirs.add_with_ids(x, ids[::-1].copy())
                ours = self.from_faiss(theirs)
                self.assert_kept(ours, theirs, "Flat")
                self.assert_same(ours, theirs)
                np.testing.assert_array_equal(ours.reconstruct(ids[::-1].copy()), x)

    def test_ivf_every_metric_and_dimension_finds_the_same(self) -> None:
        for metric, number in METRICS.items():
            for dim, n, nlist in [(2, 900, 7), (48, 5000, 64), (128, 20000, 100)]:
                with self.subTest(metric=metric, dim=dim):
                    theirs = faiss.index_factory(dim, f"IVF{nlist},Flat", number)
                    x = rows(n, dim)
                    theirs.train(x)
                    theirs.add(x)
                    theirs.nprobe = 5
                    ours = self.from_faiss(theirs)
                    self.assert_kept(ours, theirs, f"IVF{nlist},Flat")
                    for nprobe in (None, 1, nlist // 3, nlist):
                        self.assert_same(ours, theirs, nprobe)
                    self.assertEqual(ours.info.next_id, n)
                    self.to_faiss(ours)
                    self.assertEqual(self.bytes, faiss.serialize_index(theirs).tobytes(), "there and back")
                    # Vectors added later go where faiss puts them.
                    more = rows(500, dim, 5)
                    theirs.add(more)
                    ours.add(more)
                    self.assert_same(ours, theirs, 3)

    def test_ivf_direct_maps_of_every_type_are_read(self) -> None:
        x = rows(2000, 16)
        theirs = faiss.index_factory(16, "IVF20,Flat")
        theirs.train(x)
        theirs.add(x)
        for kind in (faiss.DirectMap.NoMap, faiss.DirectMap.Array, faiss.DirectMap.Hashtable):
            theirs.set_direct_map_type(kind)
            self.assert_same(self.from_faiss(theirs), theirs, 4)

    def test_ivf_mostly_empty_lists_are_read(self) -> None:
        x = rows(4000, 16)
        theirs = faiss.index_factory(16, "IVF100,Flat")
        theirs.train(x)
        theirs.add_with_ids(x[:9], np.arange(9) * 1000 + 7)
        ours = self.from_faiss(theirs)
        self.assertIn(b"sprs", self.bytes)
        self.assert_same(ours, theirs, 100)
        self.assertEqual(ours.info.next_id, 8008)
        self.to_faiss(ours)
        self.assertEqual(self.bytes, faiss.serialize_index(theirs).tobytes())

    def test_ivf_after_remove_is_read(self) -> None:
        x = rows(3000, 16)
        theirs = faiss.index_factory(16, "IVF20,Flat")
        theirs.train(x)
        theirs.add(x)
        theirs.remove_ids(np.arange(0, 3000, 3))
        ours = self.from_faiss(theirs)
        self.assert_kept(ours, theirs, "IVF20,Flat")
        self.assert_same(ours, theirs, 20)

    def test_ivf_trained_but_empty_goes_on_the_same(self) -> None:
        x = rows(3000, 16)
        theirs = faiss.index_factory(16, "IVF20,Flat")
        theirs.train(x)
        ours = self.from_faiss(theirs)
        self.assert_kept(ours, theirs, "IVF20,Flat")
        self.assert_same(ours, theirs)
        theirs.add(x)
        ours.add(x)
        self.assert_same(ours, theirs, 4)

    def test_ivf_untrained_can_be_trained_here(self) -> None:
        theirs = faiss.index_factory(16, "IVF20,Flat", faiss.METRIC_INNER_PRODUCT)
        ours = self.from_faiss(theirs)
        self.assert_kept(ours, theirs, "IVF20,Flat")
        x = rows(3000, 16)
        ours.train(x)
        ours.add(x)
        self.assertEqual(len(ours), 3000)

    def test_ivf_within_id_maps_keeps_the_ids(self) -> None:
        x = rows(3000, 16)
        for kind in (faiss.IndexIDMap, faiss.IndexIDMap2):
            with self.subTest(kind=kind.__name__):
                inner = faiss.index_factory(16, "IVF20,Flat")
                inner.train(x)
                inner.nprobe = 6
                theirs = kind(inner)
                theirs.add_with_ids(x, np.arange(3000) * 11 + 5)
                ours = self.from_faiss(theirs)
                self.assertEqual(ours.nprobe, 6)
                self.assert_same(ours, theirs)
                np.testing.assert_array_equal(ours.reconstruct([5, 16, 5 + 11 * 2999]), x[[0, 1, 2999]])

    def test_ivf_repeated_ids_are_allowed_as_they_were(self) -> None:
        x = rows(1000, 8)
        theirs = faiss.index_factory(8, "IVF5,Flat")
        theirs.train(x)
        theirs.add_with_ids(x, np.arange(1000) // 2)
        ours = self.from_faiss(theirs)
        self.assertTrue(ours.info.allow_duplicate_ids)
        self.assert_same(ours, theirs, 5)

    def test_ivf_old_codes_are_read_as_faiss_reads_them(self) -> None:
        x = rows(500, 4)
        new = faiss.index_factory(4, "IVF3,Flat")
        new.train(x)
        new.add(x)
        data = faiss.serialize_index(new).tobytes()
        lists = 4 + 33 + 16 + 4 + 33 + 8 + 3 * 4 * 4
        invlists = new.invlists
        ids, vectors = [], []
        for number in range(3):
            size = invlists.list_size(number)
            ids.append(faiss.rev_swig_ptr(invlists.get_ids(number), size).copy())
            vectors.append(faiss.rev_swig_ptr(invlists.get_codes(number), size * 16).copy())
        for code, unit in ((b"IvFl", 4), (b"IvFL", 1)):
            with self.subTest(code=code):
                old = code + data[4:lists]
                old += b"".join(np.uint64(len(part)).tobytes() + part.tobytes() for part in ids)
                old += data[lists : lists + 9]
                old += b"".join(np.uint64(len(part) // unit).tobytes() + part.tobytes() for part in vectors)
                theirs = faiss.deserialize_index(np.frombuffer(old, np.uint8))
                self.assertEqual(theirs.ntotal, 500)
                path = self.directory / "old.index"
                path.write_bytes(old)
                self.assert_same(ivf.load(path), theirs, 2)

    # ---- transforms

    TRANSFORMS = {
        "PCA12,Flat": "PCA12,Flat",
        "PCAR12,IVF16,Flat": "PCAR12,IVF16,Flat",
        "PCAW12,Flat": "PCAW12,Flat",
        "PCAWR12,IVF16,Flat": "PCAWR12,IVF16,Flat",
        "OPQ4,IVF16,Flat": "Linear24,IVF16,Flat",
        "OPQ4_12,Flat": "Linear12,Flat",
        "RR,IVF16,Flat": "RR24,IVF16,Flat",
        "RR40,Flat": "RR40,Flat",
        "HR,IVF16,Flat": "HR,IVF16,Flat",
        "L2norm,Flat": "L2norm,Flat",
        "ITQ,Flat": "ITQ24,Flat",
        "ITQ12,Flat": "ITQ12,Flat",
        "PCA20,RR16,L2norm,IVF16,Flat": "PCA20,RR16,L2norm,IVF16,Flat",
    }

    def test_transforms_of_every_type_find_the_same(self) -> None:
        x = rows(4000, 24) * np.linspace(0.2, 2, 24, dtype=np.float32) + 0.3
        for metric, number in METRICS.items():
            for theirs_as, ours_as in self.TRANSFORMS.items():
                with self.subTest(metric=metric, description=theirs_as):
                    theirs = faiss.index_factory(24, theirs_as, number)
                    untrained = self.from_faiss(theirs)
                    self.assertEqual(untrained.description, ours_as)
                    self.assertEqual(untrained.is_trained, theirs.is_trained)
                    theirs.train(x)
                    theirs.add(x)
                    if "IVF" in theirs_as:
                        faiss.extract_index_ivf(theirs).nprobe = 5
                    ours = self.from_faiss(theirs)
                    self.assert_kept(ours, theirs, ours_as)
                    self.assert_near(ours, theirs, x[:300] * 1.01)
                    back = self.to_faiss(ours)
                    self.assertIsInstance(back, faiss.IndexPreTransform)
                    self.assert_near(ours, back, x[:300] * 1.01)
                    if not theirs_as.startswith("ITQ"):
                        self.assertEqual(self.bytes, faiss.serialize_index(theirs).tobytes(), "there and back")
                    if theirs_as in ("OPQ4_12,Flat", "RR40,Flat", "L2norm,Flat"):
                        expected = theirs.reconstruct_n(0, 5)
                        np.testing.assert_allclose(ours.reconstruct(np.arange(5)), expected, atol=1e-4)

    def test_transforms_trained_here_find_the_same_there(self) -> None:
        x = rows(4000, 24) * np.linspace(0.2, 2, 24, dtype=np.float32) + 0.3
        for metric in METRICS:
            for description in [*self.TRANSFORMS, "Center,Flat"]:
                with self.subTest(metric=metric, description=description):
                    ours = ivf.Index(24, description, metric=metric)
                    untrained = self.to_faiss(ours)
                    self.assertEqual(untrained.is_trained, ours.is_trained)
                    ours.train(x)
                    ours.add(x, ids=np.arange(4000) * 3 + 1)
                    self.assert_near(ours, self.to_faiss(ours), x[:300] * 1.01)

    def test_transforms_keep_what_faiss_keeps(self) -> None:
        x = rows(6000, 32) * np.linspace(0.05, 2, 32, dtype=np.float32)
        x = (x @ np.linalg.qr(rows(32, 32, 3))[0]).astype(np.float32)
        mean = x.mean(axis=0)
        for dim in (4, 16):
            ours = ivf.Index(32, f"PCA{dim},Flat")
            ours.train(x)
            ours.add(x)
            theirs = faiss.index_factory(32, f"PCA{dim},Flat")
            theirs.train(x)
            both = []
            for index in (self.to_faiss(ours), theirs):
                pca = faiss.downcast_VectorTransform(index.chain.at(0))
                both.append(faiss.vector_to_array(pca.A).reshape(dim, 32))
            # The same subspace: the cosines of the angles between them are all 1.
            self.assertGreater(np.linalg.svd(both[0] @ both[1].T)[1].min(), 1 - 1e-4)
            kept = [np.var((x - mean) @ matrix.T, axis=0).sum() for matrix in both]
            self.assertGreater(kept[0], kept[1] * (1 - 1e-5))

    def test_opq_loses_no_more_than_that_of_faiss(self) -> None:
        x = rows(8000, 32) * np.linspace(0.05, 2, 32, dtype=np.float32)
        x = (x @ np.linalg.qr(rows(32, 32, 3))[0]).astype(np.float32)

        def error(index: faiss.Index) -> float:
            turned = index.chain.at(0).apply(x)
            pq = faiss.ProductQuantizer(32, 4, 8)
            pq.train(turned)
            return float(((turned - pq.decode(pq.compute_codes(turned))) ** 2).sum())

        ours = ivf.Index(32, "OPQ4,Flat")
        ours.train(x)
        theirs = faiss.index_factory(32, "OPQ4,Flat")
        theirs.train(x)
        a, b = error(self.to_faiss(ours)), error(theirs)
        self.assertLess(a, b * 1.01)

    # ---- scalar quantizers, both ways

    SCALAR = ("SQ8", "SQ6", "SQ4", "SQfp16", "SQbf16", "SQ8_direct")

    def scalar_rows(self, code: str, n: int, dim: int, seed: int = 0) -> np.ndarray:
        x = rows(n, dim, seed)
        return np.clip(np.round(x * 40 + 128), 0, 255) if code == "SQ8_direct" else x

    def scalar_index(self, code: str, dim: int, metric: int, nlist: int, by_residual: bool) -> faiss.Index:
        if nlist == 0:
            return faiss.index_factory(dim, code, metric)
        index = faiss.index_factory(dim, f"IVF{nlist},{code}", metric)
        index.by_residual = by_residual
        return index

    def test_scalar_quantizers_find_the_same_and_come_back_as_the_same_bytes(self) -> None:
        for code in self.SCALAR:
            for metric, number in METRICS.items():
                for dim, nlist, by_residual in [(21, 0, False), (64, 0, False), (7, 10, True), (64, 30, True), (64, 30, False)]:
                    if by_residual and code not in ("SQ8", "SQ6", "SQ4"):
                        continue
                    with self.subTest(code=code, metric=metric, dim=dim, nlist=nlist, by_residual=by_residual):
                        x = self.scalar_rows(code, 5000, dim)
                        theirs = self.scalar_index(code, dim, number, nlist, by_residual)
                        theirs.train(x)
                        theirs.add(x)
                        ours = self.from_faiss(theirs)
                        self.assert_kept(ours, theirs, f"IVF{nlist},{code}" if nlist else code)
                        queries = self.scalar_rows(code, 200, dim, 77)
                        for nprobe in (None, 3, nlist) if nlist else (None,):
                            # With AVX-512 faiss rounds queries to bfloat16 too, where 32 divides the dimension.
                            self.assert_same(ours, theirs, nprobe, queries, 5e-3 if code == "SQbf16" else 1e-5)
                        ids = np.arange(0, 5000, 17)
                        if nlist:
                            theirs.make_direct_map()
                        expected = theirs.reconstruct_batch(ids)
                        np.testing.assert_allclose(ours.reconstruct(ids), expected, rtol=1e-5, atol=1e-5)
                        if nlist:
                            theirs.set_direct_map_type(faiss.DirectMap.NoMap)
                        self.to_faiss(ours)
                        self.assertEqual(self.bytes, faiss.serialize_index(theirs).tobytes(), "there and back")
                        # Vectors added later get the same codes, but for those on the edge of a step.
                        more = self.scalar_rows(code, 500, dim, 5)
                        theirs.add(more)
                        ours.add(more)
                        self.to_faiss(ours)
                        mine, all_ = np.frombuffer(self.bytes, np.uint8), faiss.serialize_index(theirs)
                        self.assertEqual(mine.size, all_.size)
                        self.assertLess((mine != all_).mean(), 1e-4)

    def test_scalar_quantizers_trained_here_are_no_worse_than_theirs(self) -> None:
        x, queries = rows(20000, 48), rows(300, 48, 9)
        exact = faiss.IndexFlatL2(48)
        exact.add(x)
        truth = exact.search(queries, K)[1]
        recall = lambda ids: np.mean([len(set(a) & set(b)) for a, b in zip(ids, truth)]) / K
        for code in ("SQ8", "SQ6", "SQ4"):
            for lists in ("", "IVF64,"):
                with self.subTest(code=code, lists=lists):
                    theirs = faiss.index_factory(48, lists + code)
                    theirs.train(x)
                    theirs.add(x)
                    ours = ivf.Index(48, lists + code)
                    ours.train(x)
                    ours.add(x)
                    if lists:
                        theirs.nprobe = 64
                        theirs.make_direct_map()
                    error = lambda decoded: np.square(decoded - x).sum(1).mean()
                    ids = np.arange(len(x))
                    self.assertLess(error(ours.reconstruct(ids)), error(theirs.reconstruct_n(0, len(x))) * 1.02)
                    self.assertGreater(recall(ours.search(queries, K, 64)[1]), recall(theirs.search(queries, K)[1]) - 0.005)
                    self.assert_same(ours, self.to_faiss(ours), 5 if lists else None, queries)

    def test_scalar_quantizers_within_transforms_maps_and_untrained_are_read(self) -> None:
        x = rows(3000, 16)
        for description in ("PCA8,IVF10,SQ8", "IDMap,SQ6", "IDMap2,IVF10,SQ4"):
            theirs = faiss.index_factory(16, description)
            theirs.train(x)
            ids = np.arange(3000) * 5 + 2
            theirs.add(x) if description.startswith("PCA") else theirs.add_with_ids(x, ids)
            self.assert_near(self.from_faiss(theirs), theirs, rows(50, 16, 3))
        for description in ("SQ8", "IVF10,SQ8", "IVF10,SQ4"):
            ours = self.from_faiss(faiss.index_factory(16, description))
            self.assertFalse(ours.is_trained)
            ours.train(x)
            ours.add(x)
            self.assert_same(ours, self.to_faiss(ours))
            theirs = self.to_faiss(ivf.Index(16, description))
            self.assertFalse(theirs.is_trained)
            theirs.train(x)
            theirs.add(x)
        uniform = faiss.IndexScalarQuantizer(16, faiss.ScalarQuantizer.QT_8bit_uniform)
        uniform.train(x)
        uniform.add(x)
        self.assert_same(self.from_faiss(uniform), uniform)

    def test_scalar_quantizers_that_are_not_supported_say_why(self) -> None:
        for index, why in [
            (faiss.index_factory(8, "IVF4,SQfp16"), "by_residual"),
            (faiss.IndexScalarQuantizer(8, faiss.ScalarQuantizer.QT_8bit_direct_signed), "type 8"),
        ]:
            with self.assertRaises(ivf.UnsupportedError) as caught:
                self.from_faiss(index)
            self.assertIn(why, str(caught.exception))

    def test_types_that_are_not_supported_are_refused_by_name(self) -> None:
        names = {
            "LSH": "`IxHe` (LSH)",
            "IVF4,PQ2+2": "`IwQR` (IVF PQ with refinement)",
            "IVF4,FlatDedup": "`IwFd` (IVF Flat, deduplicated)",
            "IVF4,RaBitQ": "`Iwrq` (IVF RaBitQ)",
            "IVF4,RaBitQfs": "`Iwrn` (IVF RaBitQ fast scan)",
            "IVF4,FlatPanorama4": "`IwP2` (IVF Flat Panorama)",
            "IVF4_HNSW8,Flat": "`IHNf` (HNSW Flat)",
            "IMI2x2,Flat": "`Imiq` (inverted multi-index)",
            "HNSW8,Flat": "`IHNf` (HNSW Flat)",
            "NSG8,Flat": "`INSf` (NSG Flat)",
            "IVF4,Flat,Refine(PQ2)": "refine index of type `IxPq` (PQ)",
            "IVF4,RaBitQ,RFlat": "`Iwrq` (IVF RaBitQ)",
            "RaBitQ": "`Ixrq` (RaBitQ)",
            "RQ2x4": "`IxRq` (residual quantizer)",
            "MinMax,SQ8": "`IRMf` (row-wise min-max)",
        }
        for description, name in names.items():
            with self.subTest(description=description), self.assertRaises(ivf.UnsupportedError) as caught:
                self.from_faiss(faiss.index_factory(8, description))
            self.assertIn(name, str(caught.exception))
        with self.assertRaises(ivf.UnsupportedError) as caught:
            self.from_faiss(faiss.IndexFlat(8, faiss.METRIC_Lp))
        self.assertIn("metric 4 (Lp)", str(caught.exception))
        with self.assertRaises(ivf.UnsupportedError) as caught:
            self.from_faiss(faiss.IndexIVFFlat(faiss.IndexFlatL2(8), 8, 4, faiss.METRIC_INNER_PRODUCT))
        self.assertIn("metric", str(caught.exception))
        binary = faiss.IndexBinaryFlat(64)
        path = self.directory / "binary"
        path.write_bytes(faiss.serialize_index_binary(binary).tobytes())
        with self.assertRaises(ivf.UnsupportedError) as caught:
            ivf.load(path)
        self.assertIn("`IBxF` (binary Flat)", str(caught.exception))

    # ---- our files there

    def test_export_flat_finds_the_same(self) -> None:
        for metric in METRICS:
            for dim, n in [(1, 3), (17, 1000), (200, 700)]:
                with self.subTest(metric=metric, dim=dim):
                    ours = ivf.Index(dim, "Flat", metric=metric)
                    ours.add(rows(n, dim))
                    theirs = self.to_faiss(ours)
                    self.assertIsInstance(theirs, faiss.IndexFlat)
                    self.assert_same(ours, theirs)
                    self.assert_kept(ours, theirs, "Flat")

    def test_export_flat_with_own_ids_is_an_id_map(self) -> None:
        ours = ivf.Index(12, "Flat")
        ours.add(rows(400, 12), ids=np.arange(400) * 2**33 + 1)
        theirs = self.to_faiss(ours)
        self.assertIsInstance(theirs, faiss.IndexIDMap2)
        self.assert_same(ours, theirs)
        np.testing.assert_array_equal(theirs.reconstruct(1), rows(400, 12)[0])

    def test_export_flat_after_remove_finds_the_same(self) -> None:
        ours = ivf.Index(12, "Flat", metric="ip")
        ours.add(rows(400, 12))
        ours.remove(np.arange(0, 400, 7))
        self.assert_same(ours, self.to_faiss(ours))

    def test_export_ivf_trained_here_finds_the_same(self) -> None:
        for metric in METRICS:
            with self.subTest(metric=metric):
                x = rows(20000, 48)
                ours = ivf.Index(48, "IVF64,Flat", metric=metric, nprobe=9)
                ours.train(x)
                ours.add(x)
                theirs = self.to_faiss(ours)
                self.assertEqual(theirs.nprobe, 9)
                self.assert_kept(ours, theirs, "IVF64,Flat")
                for nprobe in (None, 1, 16, 64):
                    self.assert_same(ours, theirs, nprobe)
                more = rows(300, 48, 3)
                ours.add(more)
                theirs.add(more)
                self.assert_same(ours, theirs, 4)
                ours.remove(np.arange(100, 9000, 3))
                theirs.remove_ids(np.arange(100, 9000, 3))
                self.assert_same(ours, self.to_faiss(ours), 7)
                self.assert_same(ours, theirs, 7)

    def test_export_ivf_size_chosen_in_training_has_a_number(self) -> None:
        x = rows(5000, 8)
        ours = ivf.Index(8, "IVF,Flat")
        with self.assertRaises(ivf.StateError):
            ours.export_faiss(self.directory / "no")
        ours.train(x)
        ours.add(x)
        theirs = self.to_faiss(ours)
        self.assertEqual(theirs.nlist, ours.nlist)
        self.assertEqual(theirs.nprobe, ours.nprobe)
        self.assert_same(ours, theirs)

    def test_export_ivf_own_ids_keeps_them(self) -> None:
        x = rows(2000, 8)
        ours = ivf.Index(8, "IVF10,Flat")
        ours.train(x)
        ours.add(x, ids=2**62 - np.arange(2000) * 3)
        self.assert_same(ours, self.to_faiss(ours), 10)

    def test_export_ivf_empty_and_untrained_open_there(self) -> None:
        x = rows(2000, 8)
        ours = ivf.Index(8, "IVF10,Flat")
        theirs = self.to_faiss(ours)
        self.assertFalse(theirs.is_trained)
        theirs.train(x)
        theirs.add(x)
        self.assertEqual(theirs.ntotal, 2000)
        ours.train(x)
        theirs = self.to_faiss(ours)
        self.assertTrue(theirs.is_trained)
        theirs.add(x)
        ours.add(x)
        self.assert_same(ours, theirs, 3)

    def test_export_cosine_finds_the_same_for_normalised_queries(self) -> None:
        x = rows(5000, 32) * np.linspace(0.01, 100, 5000, dtype=np.float32)[:, None]
        queries = normalised(rows(200, 32, 9))
        for description in ("Flat", "IVF30,Flat"):
            with self.subTest(description=description):
                ours = ivf.Index(32, description, metric="cosine")
                ours.train(x)
                ours.add(x)
                theirs = self.to_faiss(ours)
                self.assertEqual(theirs.metric_type, faiss.METRIC_INNER_PRODUCT)
                self.assert_same(ours, theirs, queries=queries)
                back = ivf.load(self.directory / "plain.index")
                self.assertEqual(back.metric, "ip")
                self.assert_same(back, theirs, queries=queries)
