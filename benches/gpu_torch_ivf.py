#!/usr/bin/env python3
"""torch-ivf on PyTorch's GPU, by the protocol of benches/gpu.rs: queries a second by batch.

    pip install torch && pip install --no-deps --ignore-requires-python torch-ivf==0.1.1
    benches/gpu_torch_ivf.py

Each batch is timed with queries and results going to and fro as NumPy arrays, and with both left on the device.
"""

import time

import numpy as np
import torch
from torch_ivf.index import IndexIVFFlat

DIM, NLIST, NPROBE, K = 128, 512, 32, 20
BATCHES = [1, 32, 128, 1024, 4096, 10000, 19600]
# Seconds that a batch is repeated, and how often at least.
ROUND, LEAST = 0.4, 3


def search(index: IndexIVFFlat, queries: np.ndarray, there: torch.Tensor | None) -> None:
    """Searches, for queries that are on the device already if ``there`` is given."""
    distances, ids = index.search(torch.from_numpy(queries).cuda() if there is None else there, K)
    if there is None:
        distances.cpu(), ids.cpu()
    torch.cuda.synchronize()


def rate(index: IndexIVFFlat, queries: np.ndarray, there: torch.Tensor | None) -> float:
    """Queries a second, the median of some calls, in the fastest of its ways."""
    best = 0.0
    # Its way for tiny batches is 10 to 70 times slower above them.
    for index.search_mode in ["matrix", "csr"] if len(queries) <= 8 else ["csr"]:
        times: list[float] = []
        begin = time.perf_counter()
        while len(times) < LEAST or time.perf_counter() - begin < ROUND:
            start = time.perf_counter()
            search(index, queries, there)
            times.append(time.perf_counter() - start)
        best = max(best, len(queries) / sorted(times)[len(times) // 2])
    return best


def main() -> None:
    torch.set_grad_enabled(False)
    random = np.random.default_rng(1)
    base = torch.from_numpy(random.standard_normal((262144, DIM), dtype=np.float32)).cuda()
    queries = random.standard_normal((BATCHES[-1], DIM), dtype=np.float32)
    index = IndexIVFFlat(DIM, metric="l2", nlist=NLIST, nprobe=NPROBE, device="cuda")
    index.train(base[:20480])
    index.add(base)
    print(torch.cuda.get_device_name(), "torch", torch.__version__)
    for batch in BATCHES:
        own = queries[:batch]
        there = torch.from_numpy(own).cuda()
        print(f"batch {batch:6}: {rate(index, own, None):10.0f} QPS, {rate(index, own, there):10.0f} left there")


if __name__ == "__main__":
    main()
