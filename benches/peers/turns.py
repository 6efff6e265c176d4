#!/usr/bin/env python3
"""Two or more builds of the library by turns: the same saved index, the same queries, medians of the ratios.

    benches/peers/turns.py --data glove "IVF1024,PQ50x4fsr,Refine(SQfp16)" nprobe=24,k_factor=4,probe_scale=0.3 \\
        --library target/before/libivf.so --library target/release/libivf.so

How a change is judged where the machine's speed wobbles more than what the change brings. The first library trains and
adds; the index is kept beside the data and searched by all. Each round has every library once, in a process of its own:
batches of all queries on --threads threads, batches of --small of them, and one query a call on one thread; or `build`,
training and adding. "1.10" is a tenth faster than the first library. Ids that differ from the first library's are counted.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from pathlib import Path

import environment


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("index", help="an index string")
    parser.add_argument("settings", help="of the search: nprobe=24,k_factor=4,...")
    parser.add_argument("--data", default="glove", help="as of curves.py")
    parser.add_argument("--library", action="append", required=True, help="a built library; @avx2 behind for a kernel")
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2, help="threads of batches")
    parser.add_argument("--small", type=int, default=16, help="queries of a small batch")
    parser.add_argument("--only", default="batch,small,single", help="which of the three, or build")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.3, help="least time of each part of a round")
    options = parser.parse_args(arguments)
    environment.install(environment.DATA_REQUIREMENTS.get(options.data, []))
    if not environment.is_inside():
        return environment.run_inside(Path(__file__).resolve(), arguments)
    options.only = options.only.split(",")
    options.settings = {name: float(value) if "." in value else int(value)
                        for name, _, value in (pair.partition("=") for pair in options.settings.split(","))}
    _turns(options)
    return 0


def _turns(options: argparse.Namespace) -> None:
    import datasets
    import numpy as np
    from worker import Worker

    data, cosine = datasets.compared(options.data)
    key = hashlib.sha256(f"{options.data} {options.index}".encode()).hexdigest()[:12]
    path = environment.CACHE / f"turns-{Path(options.data).stem}-{key}.ivf"
    workers = []
    for library in options.library:
        file, _, kernel = library.partition("@")
        os.environ["IVF_LIBRARY"] = str(Path(file).resolve())
        workers.append(Worker(library, options.threads, Turn, options, kernel or None, path, data.base_path,
                              data.queries_path, "cosine" if cosine else "l2"))
        print(f"{library}: {workers[-1].ready()}", file=sys.stderr, flush=True)
    ids = [worker.found() for worker in workers]
    for part in options.only:
        taken = np.array([[worker.measure(part, number / options.rounds) for worker in workers]
                          for number in range(options.rounds)])
        for place, library in enumerate(options.library):
            ratios = taken[:, 0] / taken[:, place]
            low, ratio, high = np.percentile(ratios, [25, 50, 75])
            differ = int((ids[place] != ids[0]).sum())
            of_what = "vector" if part == "build" else "query"
            print(f"{part:6} {np.median(taken[:, place]) * 1e6:9.2f} us a {of_what}  {ratio:.3f} ({low:.3f} to {high:.3f})  "
                  f"{differ} ids differ  {library}", flush=True)


class Turn:
    """What the child of a library does."""

    def __init__(self, options, kernel, path, base_path, queries_path, metric):
        import numpy as np
        from contestants.libivf import PACKAGE

        sys.path.insert(0, str(PACKAGE))
        import ivf

        self._options, self._queries = options, np.load(queries_path)
        context = ivf.Context(threads=options.threads, device="cpu", kernel=kernel)
        self._base = np.load(base_path, mmap_mode="r")
        self._new = lambda: ivf.Index(self._base.shape[1], options.index, metric=metric, context=context)
        if not path.exists():
            self._build().save(path)
        self._index = ivf.Index.load(path, context=context)
        _compact_memory()
        self._index.compact()
        self._text = f"{ivf.version()}, kernel {context.info.kernel}"

    def ready(self) -> str:
        return self._text

    def _build(self):
        index, x = self._new(), self._base[:]
        index.train(x)
        index.add(x)
        return index

    def found(self):
        return self._search(self._queries, self._options.threads)

    def measure(self, part: str, start: float) -> float:
        """Seconds a query, of single queries the median; or seconds of a build a vector."""
        import numpy as np

        if part == "build":
            before = time.perf_counter()
            self._build()
            return (time.perf_counter() - before) / len(self._base)
        at = int(start * len(self._queries))
        count = {"batch": len(self._queries), "small": self._options.small, "single": 1}[part]
        threads = 1 if part == "single" else self._options.threads
        taken = []
        begin = now = time.perf_counter()
        while not taken or now - begin < self._options.seconds:
            at = at if at + count <= len(self._queries) else 0
            queries = self._queries[at : at + count]
            before = time.perf_counter()
            self._search(queries, threads)
            now = time.perf_counter()
            taken.append((now - before) / count)
            at += count
        return float(np.median(taken))

    def _search(self, queries, threads: int):
        return self._index.search(queries, k=self._options.k, threads=threads, **self._options.settings).ids


def _compact_memory() -> None:
    """Lets the kernel find huge pages, if it may be asked to: lists in them are searched 1.4 times as fast."""
    for name, value in (("drop_caches", "3"), ("compact_memory", "1")):
        try:
            Path("/proc/sys/vm", name).write_text(value)
        except OSError:
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
