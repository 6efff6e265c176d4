"""Product quantizers: the same code on faiss and on ivf.faiss finds as much, and each reads the other's files."""

from __future__ import annotations

import faiss
import ivf
import ivf.faiss
import numpy as np
import pytest

LIBRARIES = (faiss, ivf.faiss)
METRICS = pytest.mark.parametrize("metric", [faiss.METRIC_L2, faiss.METRIC_INNER_PRODUCT], ids=["l2", "ip"])


@pytest.fixture(scope="module")
def centroids(x):
    return ivf.kmeans(x, 16).centroids


def indexes(lib, centroids, metric):
    """One of each class, trained on nothing yet."""
    quantizer = lib.IndexFlat(24, metric)
    quantizer.add(centroids)
    return [
        lib.IndexPQ(24, 6, 8, metric),
        lib.IndexPQ(24, 12, 4, metric),
        lib.IndexPQFastScan(24, 12, 4, metric),
        lib.IndexIVFPQ(quantizer, 24, 16, 6, 8, metric),
        lib.IndexIVFPQFastScan(quantizer, 24, 16, 12, 4, metric),
    ]


@METRICS
def test_every_class_finds_as_much_as_faiss(metric, x, queries, centroids):
    exact = faiss.IndexFlat(24, metric)
    exact.add(x)
    truth = exact.search(queries, 10)[1]
    theirs, ours = ([], [])
    for lib, recalls in zip(LIBRARIES, (theirs, ours)):
        for index in indexes(lib, centroids, metric):
            index.train(x)
            index.add(x)
            if hasattr(index, "nprobe"):
                index.nprobe = 16
            found = index.search(queries, 10)[1]
            recalls.append(np.mean([np.isin(a, b).mean() for a, b in zip(found, truth)]))
    # The words are found by another k-means.
    assert all(own > other - 0.05 for own, other in zip(ours, theirs)), (ours, theirs)


@METRICS
def test_files_of_codes_are_read_by_the_other(metric, x, queries, centroids, tmp_path):
    path = str(tmp_path / "x")
    for writer, reader in (LIBRARIES, LIBRARIES[::-1]):
        for index in indexes(writer, centroids, metric):
            index.train(x)
            index.add(x)
            writer.write_index(index, path)
            read = reader.read_index(path)
            assert type(read).__name__ == type(index).__name__
            for side in (index, read):
                if hasattr(side, "nprobe"):
                    side.nprobe = 16
            (D, I), (E, J) = index.search(queries, 10), read.search(queries, 10)
            if type(index).__name__.endswith("FastScan"):
                # Each rounds its tables in its own way.
                assert np.mean([np.isin(a, b).mean() for a, b in zip(I, J)]) > 0.8
                continue
            assert (I == J).mean() > 0.99
            np.testing.assert_allclose(E[I == J], D[I == J], rtol=1e-4, atol=1e-4)


def test_factory_makes_the_class_that_faiss_makes():
    for text in ("PQ6", "PQ12x4", "PQ12x4fs", "IVF16,PQ6", "IVF16,PQ12x4fs"):
        made = [lib.index_factory(24, text) for lib in LIBRARIES]
        assert type(faiss.downcast_index(made[0])).__name__ == type(made[1]).__name__, text
    refined = ivf.faiss.index_factory(24, "OPQ6,IVF16,PQ6,RFlat")
    assert isinstance(refined, ivf.faiss.IndexRefineFlat)


def test_bits_that_there_are_not_are_refused():
    with pytest.raises(NotImplementedError, match="nbits: expected 4 or 8, got 6"):
        ivf.faiss.IndexPQ(24, 6, 6)
    with pytest.raises(NotImplementedError, match="nbits: expected 4, got 8"):
        ivf.faiss.IndexPQFastScan(24, 6, 8)
    with pytest.raises(ivf.ArgumentError, match="a number of parts that divides the 24 dimensions, got 7"):
        ivf.faiss.IndexPQ(24, 7, 8)
