"""Train, add, search, save, load."""

import tempfile
from pathlib import Path

import numpy as np

import ivf

random = np.random.default_rng(0)
vectors = random.standard_normal((20_000, 64), dtype=np.float32)
queries = vectors[:5] + 0.01 * random.standard_normal((5, 64), dtype=np.float32)

index = ivf.Index(64, "IVF128,Flat", metric="l2")
index.train(vectors)
index.add(vectors)
print(index)

D, I = index.search(queries, k=3, nprobe=8)
for distances, ids in zip(D, I):
    print("  ".join(f"{number} at {distance:.4f}" for number, distance in zip(ids, distances)))

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "vectors.ivf"
    index.save(path)
    again = ivf.load(path)
print("loaded index answers the same:", np.array_equal(again.search(queries, k=3, nprobe=8).ids, I))
