"""Refined indexes between libivf and the real faiss, both ways."""

from __future__ import annotations

import faiss
import numpy as np

import ivf
from support import K, METRICS, FilesCase, normalised, rows

BASES = ("Flat", "SQ8", "SQfp16", "IVF20,Flat", "IVF20,SQ8", "IVF20,SQ4", "PCA8,IVF20,SQ8", "RR21,SQ6", "IVF20,PQ7x4")
REFINES = ("RFlat", "Refine(SQ8)", "Refine(SQ6)", "Refine(SQ4)", "Refine(SQfp16)", "Refine(SQbf16)")
# Where 16 divides it, faiss with AVX-512 rounds queries to bfloat16 too.
DIM = 21


class RefineTest(FilesCase):
    def assert_same_refined(self, ours: ivf.Index, theirs: faiss.Index, nprobe=None, k_factor=None, queries=None, tolerance=1e-4) -> None:
        """Both find the same. Where their codes are searched, a candidate on the edge may be one here and not there."""
        queries = rows(200, DIM, 77) if queries is None else queries
        params = None
        if nprobe or k_factor:
            base = faiss.SearchParametersIVF(nprobe=nprobe) if nprobe else None
            if base and "PreTransform" in type(faiss.downcast_index(self.refine_of(theirs).base_index)).__name__:
                base = faiss.SearchParametersPreTransform(index_params=base)
            params = faiss.IndexRefineSearchParameters(k_factor=k_factor or self.refine_of(theirs).k_factor)
            params.base_index_params = base
        expected, expected_ids = theirs.search(queries, K, params=params)
        distances, ids = ours.search(queries, K, nprobe, k_factor=k_factor)
        np.testing.assert_array_equal(ids < 0, expected_ids < 0)
        same = ids == expected_ids
        # Behind scalar codes ours finds candidates by queries rounded to 8 bits: those on the edge are others, and as near.
        codes = ours.description.rsplit(",", 1)[0]
        self.assertGreater(same.mean(), 0.93 if "SQ" in codes else 0.995)
        found = ids >= 0
        np.testing.assert_allclose(distances[found].mean(), expected[found].mean(), rtol=5e-3)
        np.testing.assert_allclose(distances[same & (ids >= 0)], expected[same & (ids >= 0)], rtol=tolerance, atol=1e-4)

    @staticmethod
    def refine_of(index: faiss.Index) -> faiss.IndexRefine:
        index = faiss.downcast_index(index)
        return faiss.downcast_index(index.index) if isinstance(index, faiss.IndexIDMap) else index

    def test_refined_here_as_there_and_back_as_the_same_bytes(self) -> None:
        x = rows(3000, DIM)
        for number, base in enumerate(BASES):
            for refine in REFINES:
                metric = ("l2", "ip")[(number + REFINES.index(refine)) % 2]
                with self.subTest(base=base, refine=refine, metric=metric):
                    theirs = faiss.index_factory(DIM, f"{base},{refine}", METRICS[metric])
                    theirs.train(x)
                    theirs.add(x)
                    theirs.k_factor = 1 + number / 4
                    lists = faiss.try_extract_index_ivf(theirs.base_index)
                    if lists:
                        lists.nprobe = 4
                    ours = self.from_faiss(theirs)
                    self.assert_kept(ours, theirs, f"{base},{refine}")
                    self.assertEqual(ours.info.k_factor, theirs.k_factor)
                    self.assert_same_refined(ours, theirs)
                    self.assert_same_refined(ours, theirs, 20 if lists else None, 5)
                    np.testing.assert_allclose(ours.reconstruct(range(50)), theirs.reconstruct_n(0, 50), rtol=1e-5, atol=1e-5)
                    self.to_faiss(ours)
                    self.assertEqual(self.bytes, faiss.serialize_index(theirs).tobytes(), "there and back")
                    more = rows(200, DIM, 5)
                    theirs.add(more)
                    ours.add(more)
                    # A value on the edge of a step may become another code there.
                    self.assert_same_refined(ours, theirs, tolerance=1e-3)

    def test_refined_trained_here_opens_there(self) -> None:
        x = rows(3000, DIM)
        for base in ("IVF20,SQ4", "SQ8", "PCA8,IVF20,SQ8"):
            for refine in ("RFlat", "Refine(SQfp16)", "Refine(SQ8)"):
                for metric in METRICS:
                    with self.subTest(base=base, refine=refine, metric=metric):
                        ours = ivf.Index(DIM, f"{base},{refine}", metric, nprobe=3)
                        self.assertFalse(self.to_faiss(ours).is_trained)
                        ours.train(x)
                        ours.add(x)
                        theirs = self.to_faiss(ours)
                        self.assertEqual(self.refine_of(theirs).k_factor, ours.info.k_factor)
                        self.assert_same_refined(ours, theirs)
                        kind = faiss.IndexRefineFlat if refine == "RFlat" else faiss.IndexRefine
                        self.assertIs(type(theirs), kind)

    def test_refined_of_any_history_and_ids_opens_there(self) -> None:
        x = rows(3000, DIM)
        for base in ("IVF20,SQ8", "SQ8", "IVF20,Flat"):
            for own in (False, True):
                with self.subTest(base=base, own=own):
                    ours = ivf.Index(DIM, f"{base},RFlat", nprobe=4)
                    ours.train(x)
                    ours.add(x, ids=np.random.default_rng(3).permutation(3000) * (2**40 if own else 1))
                    theirs = self.to_faiss(ours)
                    # In an IVF index ids may come in any order; elsewhere they are places.
                    self.assertEqual(isinstance(theirs, faiss.IndexIDMap2), own or base == "SQ8")
                    self.assert_same_refined(ours, theirs)
                    again = self.from_faiss(theirs)
                    self.assert_same_refined(again, theirs, k_factor=3)
                    ours.remove(ours.search(x[:400], 1).ids[:, 0])
                    theirs = self.to_faiss(ours)
                    self.assertIsInstance(theirs, faiss.IndexIDMap2)
                    self.assertEqual(theirs.ntotal, len(ours))
                    self.assert_same_refined(ours, theirs)

    def test_refined_cosine_finds_the_same_for_normalised_queries(self) -> None:
        x = rows(3000, DIM) * np.linspace(0.1, 10, 3000, dtype=np.float32)[:, None]
        ours = ivf.Index(DIM, "IVF20,SQ8,RFlat", "cosine", nprobe=4)
        ours.train(x)
        ours.add(x)
        self.assert_same_refined(ours, self.to_faiss(ours), queries=normalised(rows(200, DIM, 5)))

    def test_refined_within_id_maps_and_empty_are_read(self) -> None:
        x = rows(3000, DIM)
        for description in ("IDMap,IVF20,SQ8,RFlat", "IDMap2,SQ8,Refine(SQfp16)"):
            theirs = faiss.index_factory(DIM, description)
            theirs.train(x)
            self.assertEqual(len(self.from_faiss(theirs)), 0)
            theirs.add_with_ids(x, np.arange(3000)[::-1] * 3 + 5)
            self.refine_of(theirs).k_factor = 4
            ours = self.from_faiss(theirs)
            self.assert_same_refined(ours, theirs)
            np.testing.assert_allclose(ours.reconstruct([5 + 3 * 2999]), x[:1], atol=2e-3)

    def test_refinements_behind_transforms_are_refused_by_name(self) -> None:
        inner = faiss.index_factory(8, "IVF4,SQ8,RFlat")
        index = faiss.IndexPreTransform(faiss.PCAMatrix(DIM, 8), inner)
        index.train(rows(500, DIM))
        index.add(rows(500, DIM))
        with self.assertRaises(ivf.UnsupportedError) as caught:
            self.from_faiss(index)
        self.assertIn("`IxRF` around `IxPT`", str(caught.exception))
