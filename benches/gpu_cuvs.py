#!/usr/bin/env python3
"""cuVS's IVF-Flat on a GPU, by the protocol of benches/gpu.rs: queries a second by batch, training, adding.

    pip install cupy-cuda13x cuvs-cu13==26.10.0
    benches/gpu_cuvs.py [--no-pool]

Each batch is timed with queries and results copied from and to NumPy arrays, and with both left on the device.
Memory comes from a pool, as cuVS advises. Results are compared with an exact search of the same lists.
"""

import sys
import time
from collections.abc import Callable

import cupy
import cuvs
import numpy as np
import rmm
from cuvs.common import Resources
from cuvs.neighbors import ivf_flat
from gpu_peers import CHECKED, NLIST, NPROBE, TRAIN, K, check, normal, table, timed

PARAMS = ivf_flat.SearchParams(n_probes=NPROBE)


def filled(rows: cupy.ndarray, resources: Resources) -> ivf_flat.Index:
    """An index of all vectors, which are on the device; prints how long that took."""
    params = ivf_flat.IndexParams(
        n_lists=NLIST, metric="sqeuclidean", kmeans_trainset_fraction=1.0, add_data_on_build=False
    )
    ids = cupy.arange(len(rows), dtype=cupy.int64)
    cupy.cuda.get_current_stream().synchronize()
    start = time.perf_counter()
    index = ivf_flat.build(params, rows[:TRAIN], resources=resources)
    resources.sync()
    trained = time.perf_counter()
    ivf_flat.extend(index, rows, ids, resources=resources)
    resources.sync()
    added = time.perf_counter()
    print(
        f"train {NLIST} lists on {TRAIN} {trained - start:.3f} s, add {len(rows)} {added - trained:.3f} s",
        flush=True,
    )
    return index


class Search:
    """A search of arrays and one of arrays on the device, into memory that is used again."""

    def __init__(self, index: ivf_flat.Index, queries: np.ndarray, resources: Resources) -> None:
        self.index, self.queries, self.resources = index, queries, resources
        self.distances = np.empty((len(queries), K), np.float32)
        self.ids = np.empty((len(queries), K), np.int64)
        self.there = [cupy.asarray(array) for array in (queries, self.distances, self.ids)]
        cupy.cuda.get_current_stream().synchronize()

    def begin(self) -> None:
        queries, distances, ids = self.there
        ivf_flat.search(
            PARAMS, self.index, queries, K, neighbors=ids, distances=distances, resources=self.resources
        )

    def arrays(self) -> None:
        self.there[0].set(self.queries)
        self.begin()
        self.resources.sync()
        self.there[1].get(out=self.distances)
        self.there[2].get(out=self.ids)

    def resident(self) -> None:
        self.begin()
        self.resources.sync()


def main() -> None:
    base, queries = normal()
    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    print(name, "cuVS", cuvs.__version__, "CuPy", cupy.__version__, flush=True)
    if "--no-pool" not in sys.argv:
        rmm.reinitialize(pool_allocator=True, initial_pool_size=1 << 31)
    resources = Resources()
    rows = cupy.asarray(base)
    filled(rows, resources)  # The first one waits for the device and its kernels.
    index = filled(rows, resources)
    few = Search(index, queries[:CHECKED], resources)
    print(f"first search, which links its kernels: {timed(few.arrays):.3f} s", flush=True)

    def ways(own: np.ndarray) -> list[Callable[[], None]]:
        search = Search(index, own, resources)
        return [search.arrays, search.resident]

    table(ways, queries)
    few.arrays()
    check(base, few.queries, cupy.asarray(index.centers).get(), few.distances, few.ids)


if __name__ == "__main__":
    main()
