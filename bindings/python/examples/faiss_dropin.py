"""A program for faiss, with another import."""

import os
import tempfile

import numpy as np

import ivf.faiss as faiss

d, nlist = 32, 64
random = np.random.default_rng(0)
xb = random.standard_normal((20_000, d), dtype=np.float32)
xq = random.standard_normal((4, d), dtype=np.float32)

quantizer = faiss.IndexFlatL2(d)
index = faiss.IndexIVFFlat(quantizer, d, nlist, faiss.METRIC_L2)
index.train(xb)
index.add(xb)
index.nprobe = 8
D, I = index.search(xq, 5)
print(I)

path = os.path.join(tempfile.mkdtemp(), "vectors.faiss")
faiss.write_index(index, path)  # faiss itself reads this file, too
same = faiss.read_index(path)
print(same.ntotal, same.nprobe, (same.search(xq, 5)[1] == I).all())
