#!/usr/bin/env python3
"""faiss's IVF-Flat on a GPU, by the protocol of benches/gpu.rs: queries a second by batch, training, adding.

    pip install torch faiss-gpu==1.15.1
    benches/gpu_faiss.py

Vectors and the coarse step are in 32 bits. Each batch is timed with queries and results going to and fro as NumPy
arrays, and with both left on the device as tensors. Results are compared with an exact search of the same lists.
"""

from collections.abc import Callable

import faiss
import faiss.contrib.torch_utils
import numpy as np
import torch
from gpu_peers import CHECKED, DIM, NLIST, NPROBE, TRAIN, K, check, normal, table, timed


def filled(resources: faiss.StandardGpuResources, base: np.ndarray) -> faiss.GpuIndexIVFFlat:
    """An index of all vectors; prints how long that took."""
    config = faiss.GpuIndexIVFFlatConfig()
    config.flatConfig.useFloat16 = False
    index = faiss.GpuIndexIVFFlat(resources, DIM, NLIST, faiss.METRIC_L2, config)
    index.nprobe = NPROBE
    train, add = timed(lambda: index.train(base[:TRAIN])), timed(lambda: index.add(base))
    print(f"train {NLIST} lists on {TRAIN} {train:.3f} s, add {len(base)} {add:.3f} s", flush=True)
    return index


def ways(index: faiss.GpuIndexIVFFlat, queries: np.ndarray) -> list[Callable[[], None]]:
    """A search of arrays and one of tensors, into memory that is used again."""
    distances = np.empty((len(queries), K), np.float32)
    ids = np.empty((len(queries), K), np.int64)
    there = [torch.from_numpy(array).cuda() for array in (queries, distances, ids)]

    def resident() -> None:
        index.search(there[0], K, D=there[1], I=there[2])
        torch.cuda.synchronize()

    return [lambda: index.search(queries, K, D=distances, I=ids), resident]


def main() -> None:
    base, queries = normal()
    print(torch.cuda.get_device_name(), "faiss", faiss.__version__, "torch", torch.__version__, flush=True)
    resources = faiss.StandardGpuResources()
    filled(resources, base)  # The first one waits for the device and its kernels.
    index = filled(resources, base)
    table(lambda own: ways(index, own), queries)
    copy = faiss.index_gpu_to_cpu(index)  # Its quantizer does not outlive it.
    centroids = np.asarray(copy.quantizer.reconstruct_n(0, NLIST))
    check(base, queries[:CHECKED], centroids, *index.search(queries[:CHECKED], K))


if __name__ == "__main__":
    main()
