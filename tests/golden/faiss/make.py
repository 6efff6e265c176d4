"""Makes the files beside it with the real faiss (they were made with faiss-cpu 1.15.1).

The rows are those of tests/persist_support: tests/persist_faiss.rs builds the same indexes and compares.
"""

from pathlib import Path

import faiss
import numpy as np

DIM = 6
HERE = Path(__file__).parent


def rows(seed, n):
    state = (seed * 2_654_435_761 + 12345) % 2**32
    values = []
    for _ in range(n * DIM):
        state = (state * 1_664_525 + 1_013_904_223) % 2**32
        values.append((state >> 23) / 64 - 4)
    return np.array(values, dtype=np.float32).reshape(n, DIM)


def save(name, index):
    faiss.write_index(index, str(HERE / f"{name}.faiss"))


def flat(metric, seed, n):
    index = faiss.IndexFlat(DIM, metric)
    index.add(rows(seed, n))
    return index


def ivf(metric, nlist, seed=0, n=0, ids=None, trained=True):
    quantizer = faiss.IndexFlat(DIM, metric)
    if trained:
        quantizer.add(rows(99, nlist))
    index = faiss.IndexIVFFlat(quantizer, DIM, nlist, metric)
    if n:
        index.add_with_ids(rows(seed, n), np.arange(n) if ids is None else np.array(ids))
    return index


L2, IP = faiss.METRIC_L2, faiss.METRIC_INNER_PRODUCT

save("flat_l2", flat(L2, 1, 40))
save("flat_ip", flat(IP, 2, 40))
save("flat_empty", flat(L2, 1, 0))
for kind in (faiss.IndexIDMap, faiss.IndexIDMap2):
    inner = flat(L2, 3, 0)
    index = kind(inner)
    index.add_with_ids(rows(3, 40), 1_000_000_007 * np.arange(40)[::-1])
    save("flat_idmap" if kind is faiss.IndexIDMap else "flat_idmap2", index)

index = ivf(L2, 5, 4, 90)
index.nprobe = 3
save("ivf_l2", index)
index.set_direct_map_type(faiss.DirectMap.Array)
save("ivf_l2_map_array", index)
index.set_direct_map_type(faiss.DirectMap.Hashtable)
save("ivf_l2_map_hash", index)
save("ivf_ip_sparse", ivf(IP, 16, 5, 4))
save("ivf_ids", ivf(L2, 3, 6, 30, [7 * i + 2 for i in range(30)]))
save("ivf_duplicate_ids", ivf(L2, 3, 7, 20, [42] * 20))
save("ivf_empty", ivf(IP, 4))
save("ivf_untrained", ivf(L2, 7, trained=False))
inner = ivf(L2, 5)
index = faiss.IndexIDMap2(inner)
index.add_with_ids(rows(8, 60), 5 * np.arange(60) + 3)
save("ivf_idmap2", index)

def refined(base, refine, k_factor):
    index = faiss.IndexRefine(base, refine)
    index.referenced_objects = [base, refine]
    index.k_factor = k_factor
    return index


FP16, BF16 = faiss.ScalarQuantizer.QT_fp16, faiss.ScalarQuantizer.QT_bf16
index = refined(ivf(L2, 5), faiss.IndexFlat(DIM, L2), 3)
index.add(rows(10, 20))
save("refine_ivf", index)
quantizer = faiss.IndexFlatIP(DIM)
quantizer.add(rows(99, 3))
codes = faiss.IndexIVFScalarQuantizer(quantizer, DIM, 3, FP16, IP, False)
codes.train(rows(99, 3))
inner = refined(codes, faiss.IndexFlat(DIM, IP), 1)
index = faiss.IndexIDMap2(inner)
index.add_with_ids(rows(11, 20), 5 * np.arange(20) + 3)
save("refine_idmap2", index)
index = refined(faiss.IndexScalarQuantizer(DIM, FP16, L2), faiss.IndexScalarQuantizer(DIM, BF16, L2), 2.5)
index.add(rows(12, 20))
save("refine_codes", index)

quantizer = faiss.IndexHNSWFlat(DIM, 4)
index = faiss.IndexIVFFlat(quantizer, DIM, 4, L2)
index.train(rows(99, 4 * 39))
save("ivf_hnsw", index)
index = faiss.IndexIVFFlat(faiss.IndexFlatL2(DIM), DIM, 4, IP)
save("ivf_mixed_metrics", index)
save("flat_l1", faiss.IndexFlat(DIM, faiss.METRIC_L1))


def product(index, words, n):
    """Its words are rows, in place of training."""
    faiss.copy_array_to_vector(words.ravel(), index.pq.centroids)
    index.is_trained = True
    index.add(rows(14, n))
    return index


save("pq", product(faiss.IndexPQ(DIM, 3, 4, IP), rows(13, 16), 20))
quantizer = faiss.IndexFlat(DIM, L2)
quantizer.add(rows(99, 3))
save("ivf_pq", product(faiss.IndexIVFPQ(quantizer, DIM, 3, 3, 4, L2), rows(13, 16) / 2, 70))
save("pq_fast", product(faiss.IndexPQFastScan(DIM, 3, 4, IP), rows(13, 16), 20))
quantizer = faiss.IndexFlat(DIM, L2)
quantizer.add(rows(99, 3))
index = faiss.IndexIVFPQFastScan(quantizer, DIM, 3, 3, 4, L2)
index.by_residual = True
save("ivf_pq_fast", product(index, rows(13, 16) / 2, 70))
