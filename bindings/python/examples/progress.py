"""Watch a long call, and end one from another thread."""

import threading

import numpy as np

import ivf

vectors = np.random.default_rng(0).standard_normal((100_000, 64), dtype=np.float32)
index = ivf.Index(64, "IVF256,Flat")


def show(stage, done, total, value):
    """Called after each step; a true result would cancel."""
    print(f"{stage}: {done} of {total}, mean squared distance {value:.4f}")


index.train(vectors, iterations=5, progress=show)
index.add(vectors, progress=True)  # a bar, if tqdm is installed

stop = ivf.Cancel()
threading.Timer(0.05, stop.set).start()
try:
    index.search(np.tile(vectors, (10, 1)), k=10, nprobe=256, cancel=stop)
except ivf.CancelledError as reason:
    print(reason)
