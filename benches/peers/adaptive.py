#!/usr/bin/env python3
"""As many lists as a query needs (probe_scale), beside one nprobe for all queries.

    benches/peers/adaptive.py [--data glove,sentences,mnist,gaussian] [--codes SQ8,RFlat]

Prints Markdown, two tables. Rules: what each that says when a query's visit of lists ends, nearest first, meets of the
vectors that one nprobe for all meets at the same recall; the best of each rule's scales. The last is the library's, cut
at nprobe. Searches by recall: tuned on half of the queries, measured on the other half, beside the fewest lists for all
that find as much. `--codes`: of "IVFn,SQ8,RFlat" and the like, where tune chooses k_factor too and the others have the
index's own. GloVe and the sentences by cosine, GloVe also and the others by L2.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

import environment

RECALLS = (0.90, 0.95, 0.99)
SCALES = (0.5, 0.35, 0.25, 0.18, 0.125)
REACH = 4  #: times nprobe, as src/coarse/adapt.rs has it
RUNS = [("glove", "cosine"), ("glove", "l2"), ("sentences", "cosine"), ("mnist", "l2"), ("gaussian", "l2")]
ROUNDS = 7
SINGLES = 100  #: queries of a round that are asked one by one


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="glove,sentences,mnist,gaussian")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--codes", default="Flat", help="what the lists hold in the table of searches")
    parser.add_argument("--only", choices=("rules", "searches"), help="one of the tables")
    options = parser.parse_args(arguments)
    chosen = options.data.split(",")
    for data in chosen:
        environment.install(environment.DATA_REQUIREMENTS.get(data, []))
    os.environ["IVF_LIBRARY"] = str(environment.build_library())
    if not environment.is_inside():
        return environment.run_inside(Path(__file__).resolve(), arguments)
    runs = [Run(*run, options.threads, options.codes) for run in RUNS if run[0] in chosen]
    if options.only != "searches":
        print("| vectors met, of those that one nprobe for all meets at recall .90, .95, .99 | "
              + " | ".join(run.title for run in runs) + " |\n|---" + "|---" * len(runs) + "|")
        shares = [run.rules() for run in runs]
        for rule in shares[0]:
            print(f"| {rule} | " + " | ".join(share[rule] for share in shares) + " |")
        print(flush=True)
    if options.only != "rules":
        print("| | asked | got | vectors | one nprobe for all | vectors | batch QPS | single query, ms |\n|---|---|---|---|---|---|---|---|")
        for run in runs:
            run.searches()
    return 0


class Run:
    """One data set by one metric."""

    def __init__(self, name: str, metric: str, threads: int, codes: str) -> None:
        import datasets
        from contestants.libivf import PACKAGE

        sys.path.insert(0, str(PACKAGE))
        import ivf

        data = datasets.load(name)
        data = datasets.normalised(data) if metric == "cosine" else data
        self.title, self.nlist, self.k = f"{name}, {metric}", data.nlist, data.k
        self.x, self.queries = data.base(), data.queries()[:10000]
        self.truth = data.truth("l2" if metric == "l2" else "ip", self.k)[0][: len(self.queries)]
        context = ivf.Context(threads=threads, device="cpu")
        self.index = ivf.Index(self.x.shape[1], f"IVF{self.nlist},{codes}", metric, context=context)
        self.index.train(self.x[: data.train_points or len(self.x)])
        self.index.add(self.x)

    def rules(self) -> dict[str, str]:
        import ivf
        import numpy as np

        # Unit vectors and unit centroids: squared distances order as cosines do.
        queries, truth = self.queries[:4000], self.truth[:4000]
        labels = ivf.knn(self.x, self.index.centroids, 1).ids[:, 0]
        gaps, lists = ivf.knn(queries, self.index.centroids, self.nlist)
        met = np.cumsum(np.bincount(labels, minlength=self.nlist)[lists], axis=1)
        rank = np.argsort(lists, axis=1)
        needed = np.take_along_axis(rank, labels[truth], axis=1)

        def curve(counts):
            """Recalls and vectors met by rising counts [settings, nq] of lists."""
            points = [((needed < n[:, None]).mean(), np.take_along_axis(met, n[:, None] - 1, axis=1).mean())
                      for n in counts]
            return np.array(sorted(points)).T

        def at(curve, recall):
            return np.interp(recall, *curve) if curve[0][-1] >= recall else np.inf

        ranks = np.arange(1, self.nlist + 1)
        fixed = curve(np.full(len(met), n) for n in np.unique(np.geomspace(1, self.nlist, 80).astype(int)))
        base = np.array([at(fixed, recall) for recall in RECALLS])
        nearest = np.maximum(gaps[:, :1], np.float32(1e-9))
        far = gaps - nearest
        units = {
            "difference": np.ones_like(nearest), "difference / spread": far.mean(axis=1, keepdims=True),
            "ratio": nearest,
        }
        shares = {}
        for name, unit in units.items():
            gap = far / unit
            middle = np.median(gap[:, self.nlist // 2])
            ends = np.quantile(gap, np.geomspace(1e-4, 1, 60))
            shares[name] = [curve(np.maximum((gap <= end).sum(axis=1), 1) for end in ends)]
            reached = [np.log(ranks) + gap / (scale * middle) for scale in SCALES]
            ends = np.geomspace(1, self.nlist * 200, 50)
            shares[f"rank * exp({name})"] = [
                curve((each <= np.log(end)).sum(axis=1) for end in ends) for each in reached
            ]
            if name == "ratio":
                ends = np.unique(np.geomspace(1, self.nlist, 50).astype(int))
                shares[f"rank * exp({name}), at most nprobe"] = [
                    curve(np.minimum((each <= np.log(REACH * end)).sum(axis=1), end) for end in ends) for each in reached
                ]
        best = {name: np.min([[at(each, r) for r in RECALLS] for each in tried], axis=0) for name, tried in shares.items()}
        return {
            name: ", ".join(f"{share:.2f}" if np.isfinite(share) else "-" for share in row / base)
            for name, row in best.items()
        }

    def searches(self) -> None:
        import ivf
        import numpy as np

        half = len(self.queries) // 2
        fresh, truth = self.queries[half:], self.truth[half:]
        truth_sets = [set(row) for row in truth.tolist()]

        def found(**how):
            stats = ivf.SearchStats()
            ids = self.index.search(fresh, self.k, stats=stats, **how).ids
            hits = sum(len(wanted & set(got)) for wanted, got in zip(truth_sets, ids.tolist()))
            return hits / truth.size, stats.codes / len(fresh)

        for recall in RECALLS:
            tuned = self.index.tune(self.queries[:half], recall, self.k)
            got, met = found(recall=recall)
            low, high = 1, self.nlist
            while low < high:
                middle = (low + high) // 2
                low, high = (low, middle) if found(nprobe=middle)[0] >= got else (middle + 1, high)
            base = found(nprobe=low)[1]
            ways = {"adaptive": {"recall": recall}, "fixed": {"nprobe": low}}
            rates, singles = ({name: [] for name in ways} for _ in range(2))
            for turn in range(ROUNDS):
                for name, how in ways.items():
                    rates[name].append(len(fresh) / timed(lambda: self.index.search(fresh, self.k, **how)))
                    singles[name] += [timed(lambda: self.index.search(fresh[i : i + 1], self.k, threads=1, **how))
                                      for i in range(turn * SINGLES, (turn + 1) * SINGLES)]
            own, other = (statistics.median(rates[name]) for name in ways)
            one, another = (statistics.mean(singles[name]) * 1e3 for name in ways)
            how = f"nprobe {tuned.nprobe}" + (f", scale {tuned.probe_scale:.3g}" if tuned.probe_scale else "")
            how += f", k_factor {tuned.k_factor:.3g}" if tuned.k_factor else ""
            print(f"| {self.title} | {recall} | {got:.4f} ({how}) | {met:,.0f} | nprobe {low} | {base:,.0f}, {met / base:.2f}x "
                  f"| {own:,.0f}, {own / other:.2f}x | {one:.3f}, {one / another:.2f}x |", flush=True)


def timed(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
