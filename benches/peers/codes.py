#!/usr/bin/env python3
"""What codes, and a learnt rotation before them, take to train and to add, and what they find: in libivf and faiss.

    benches/peers/codes.py --data glove OPQ25_50,IVF1024,PQ25x4fs IVF1024,PQ25x4fs --nprobe 64

Seconds of training and of adding on --threads threads, and recall@10 of the codes alone (no refinement) on 3000 queries.
One build each, by each library's own training.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import environment

QUERIES = 3000
K = 10


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("index", nargs="+", help="index strings with lists")
    parser.add_argument("--data", default="glove", help="as of curves.py")
    parser.add_argument("--nprobe", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--libraries", default="libivf,faiss")
    options = parser.parse_args(arguments)
    environment.install([["faiss-cpu==1.15.1"], *environment.DATA_REQUIREMENTS.get(options.data, [])])
    if not environment.is_inside():
        os.environ["IVF_LIBRARY"] = str(environment.build_library())
        return environment.run_inside(Path(__file__).resolve(), arguments)
    _measure(options)
    return 0


def _measure(options: argparse.Namespace) -> None:
    import datasets
    import numpy as np

    data, cosine = datasets.compared(options.data)
    base, queries = data.base(), data.queries()[:QUERIES]
    truth = data.truth("ip" if cosine else "l2", K)[0][:QUERIES]
    print(f"| {options.data} | | training, s | adding, s | recall@{K} |\n|---|---|---|---|---|")
    for index in options.index:
        for library in options.libraries.split(","):
            build = _libivf if library == "libivf" else _faiss
            trained, added, ids = build(options, index, cosine, base, queries)
            recall = np.mean([len(set(a) & set(b)) / K for a, b in zip(ids, truth)])
            print(f"| {library} | {index} | {trained:.1f} | {added:.2f} | {recall:.4f} |", flush=True)


def _libivf(options, index, cosine, base, queries):
    from contestants.libivf import PACKAGE

    sys.path.insert(0, str(PACKAGE))
    import ivf

    context = ivf.Context(threads=options.threads, device="cpu")
    ours = ivf.Index(base.shape[1], index, metric="cosine" if cosine else "l2", context=context)
    start = time.perf_counter()
    ours.train(base)
    middle = time.perf_counter()
    ours.add(base)
    added = time.perf_counter() - middle
    return middle - start, added, ours.search(queries, k=K, nprobe=options.nprobe).ids


def _faiss(options, index, cosine, base, queries):
    import faiss

    faiss.omp_set_num_threads(options.threads)
    theirs = faiss.index_factory(base.shape[1], index, faiss.METRIC_INNER_PRODUCT if cosine else faiss.METRIC_L2)
    start = time.perf_counter()
    theirs.train(base)
    middle = time.perf_counter()
    theirs.add(base)
    added = time.perf_counter() - middle
    faiss.extract_index_ivf(theirs).nprobe = options.nprobe
    return middle - start, added, theirs.search(queries, K)[1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
