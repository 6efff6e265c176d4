"""The protocol of benches/gpu.rs for benches/gpu_faiss.py and gpu_cuvs.py: data, rates by batch, a check."""

import time
from collections.abc import Callable

import numpy as np

COUNT, DIM, NLIST, NPROBE, K, TRAIN = 262144, 128, 512, 32, 20, 20480
BATCHES = [1, 32, 128, 1024, 4096, 10000, 19600]
# Seconds that a batch is repeated before it is timed, and then, and how often at least.
WARM, ROUND, LEAST = 0.5, 0.4, 3
# Queries whose results are compared.
CHECKED = 100


def normal() -> tuple[np.ndarray, np.ndarray]:
    """Vectors and queries."""
    random = np.random.default_rng(1)
    base = random.standard_normal((COUNT, DIM), dtype=np.float32)
    return base, random.standard_normal((BATCHES[-1], DIM), dtype=np.float32)


def timed(step: Callable[[], None]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def median(search: Callable[[], None]) -> float:
    """Seconds of a search, the median of some after others that are not timed."""
    begin = time.perf_counter()
    while time.perf_counter() - begin < WARM:
        search()
    begin = time.perf_counter()
    times: list[float] = []
    while len(times) < LEAST or time.perf_counter() - begin < ROUND:
        times.append(timed(search))
    return sorted(times)[len(times) // 2]


def table(ways: Callable[[np.ndarray], list[Callable[[], None]]], queries: np.ndarray) -> None:
    """Prints rates by batch of two searches: of NumPy arrays, of arrays on the device."""
    print("| batch | QPS | ms | QPS, left there | ms |\n|---|---|---|---|---|", flush=True)
    for batch in BATCHES:
        times = [median(search) for search in ways(queries[:batch])]
        cells = " | ".join(f"{batch / seconds:,.0f} | {seconds * 1e3:.3f}" for seconds in times)
        print(f"| {batch} | {cells} |", flush=True)


def distances_of(queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Squared distances, by NumPy."""
    lengths = np.square(queries).sum(1)[:, None] + np.square(rows).sum(1)
    return lengths - 2 * (queries @ rows.T)


def check(
    base: np.ndarray, queries: np.ndarray, centroids: np.ndarray, distances: np.ndarray, ids: np.ndarray
) -> None:
    """Compares results with NumPy's: of all vectors, and of those of the ``NPROBE`` nearest lists."""
    true = distances_of(queries, base)
    wrong = np.abs(np.take_along_axis(true, ids, 1) - distances).max()
    exact = np.argpartition(true, K)[:, :K]
    nearest = np.argpartition(distances_of(queries, centroids), NPROBE)[:, :NPROBE]
    probed = np.zeros((len(queries), len(centroids)), bool)
    np.put_along_axis(probed, nearest, True, 1)
    # In slices, for all of it takes half a gigabyte.
    lists = np.concatenate([distances_of(part, centroids).argmin(1) for part in np.array_split(base, 16)])
    true[~probed[:, lists]] = np.inf
    within = np.argpartition(true, K)[:, :K]
    share = [np.mean([len(set(a) & set(b)) / K for a, b in zip(ids, want)]) for want in (within, exact)]
    print(
        f"{len(queries)} queries: {share[0]:.4f} of the {K} nearest in the {NPROBE} nearest lists, "
        f"recall@{K} {share[1]:.4f}, distances off by at most {wrong:.1e}, "
        f"sorted: {bool((np.diff(distances, axis=1) >= 0).all())}",
        flush=True,
    )
