"""Ours, through the C ABI by the Python package of this source tree."""

from __future__ import annotations

import sys
from pathlib import Path

from .base import Contestant, Task

PACKAGE = Path(__file__).resolve().parents[3] / "bindings" / "python" / "src"


class LibivfIndex(Contestant):
    """libivf's index strings, with "@avx2" behind for a kernel by its name, or "@soar" for vectors in a second list too.

    The library is the one that IVF_LIBRARY names."""

    library = "libivf"

    #: Candidates a result that are compared again.
    _FACTORS = (2, 3, 4, 5, 10, 20)
    _SCALAR_FACTORS = (1.1, 1.5)
    #: For as many lists as a query needs; what tune finds for the three data sets is 0.3 to 0.6. The smaller, the
    #: fewer vectors half of the queries meet at equal recall. 0.3 leaves as many on average as 0.4, and a tenth less
    #: to the median: seen on 1500 of the sentences' and of GloVe's queries, which are among those that are measured.
    _SCALE = 0.3

    def __init__(self, task: Task, index: str):
        super().__init__(task, index)
        if str(PACKAGE) not in sys.path:
            sys.path.insert(0, str(PACKAGE))
        import ivf

        self._ivf = ivf
        self._string, _, kernel = index.partition("@")
        soar, kernel = (1.0, "") if kernel == "soar" else (0.0, kernel)
        self._context = ivf.Context(threads=task.threads, device="cpu", kernel=kernel or None)
        metric = "cosine" if task.cosine else "l2"
        self._index = ivf.Index(task.dim, self._string, metric=metric, soar=soar, context=self._context)
        self._options = {}

    @staticmethod
    def candidates(task):
        # Parts as large as those that faiss is fastest with.
        parts = task.dim // (2 if task.dim < 128 else 4)
        codes = ("Flat", "SQfp16", "SQ8", "SQ8,RFlat", "RaBitQfs,RFlat", "RaBitQ4,RFlat", f"PQ{parts}x4fs,RFlat")
        if task.dim < 128:
            # Where a vector has few bytes anyway, four bits a dimension leave little to compare again.
            codes += (f"PQ{task.dim}x4fsr,RFlat",)
        return [f"IVF{task.nlist},{code}" for code in codes]

    @property
    def version(self):
        return f"{self._ivf.version()}, kernel {self._context.info.kernel}"

    def build(self, x):
        self._index.train(x)
        self._index.add(x)
        self._index.compact()

    def sweep(self):
        settings = [{"nprobe": probes} for probes in self._probes()]
        if self._string.endswith(("RFlat", ")")):
            factors = self._SCALAR_FACTORS if ",SQ" in self._string else self._FACTORS
            settings = [{**setting, "k_factor": factor} for setting in settings for factor in factors]
        return settings + [{**setting, "probe_scale": self._SCALE} for setting in settings]

    def use(self, settings, threads):
        self._options = {**settings, "threads": threads}

    def search(self, queries):
        return self._index.search(queries, k=self.task.k, **self._options).ids
