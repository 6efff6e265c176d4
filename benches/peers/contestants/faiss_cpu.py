"""faiss-cpu's IVF indexes, called from Python as its users do."""

from __future__ import annotations

from .base import Contestant, Task


class FaissIndex(Contestant):
    """An index string of faiss's. Strings that end in RFlat or Refine(...) search codes first and re-rank from rows."""

    library = "faiss"
    requirements = [["faiss-cpu==1.15.1"]]

    #: Candidates a result that are re-ranked.
    _FACTORS = (2, 4, 10, 20)

    def __init__(self, task: Task, index: str):
        super().__init__(task, index)
        import faiss

        self._faiss = faiss
        faiss.omp_set_num_threads(task.threads)
        metric = faiss.METRIC_INNER_PRODUCT if task.cosine else faiss.METRIC_L2
        self._index = faiss.index_factory(task.dim, index, metric)
        self._parameters = None

    @staticmethod
    def candidates(task):
        # Two dimensions a code; four where there are hundreds, which is faster there.
        codes = task.dim // (2 if task.dim < 128 else 4)
        return [
            f"IVF{task.nlist},{code}"
            for code in ("Flat", "FlatPanorama8", f"PQ{codes}x4fs,RFlat", "RaBitQfs,RFlat", "SQ8")
        ]

    @property
    def version(self):
        return f"{self._faiss.__version__}, {self._faiss.get_compile_options().strip()}"

    def build(self, x):
        self._index.train(x)
        self._index.add(x)

    def sweep(self):
        if not self.index.endswith(("RFlat", ")")):
            return [{"nprobe": probes} for probes in self._probes()]
        return [{"nprobe": probes, "k_factor": factor} for probes in self._probes() for factor in self._FACTORS]

    def use(self, settings, threads):
        self._faiss.omp_set_num_threads(threads)
        lists = self._faiss.SearchParametersIVF(nprobe=settings["nprobe"])
        self._parameters = lists
        if "k_factor" in settings:
            self._parameters = self._faiss.IndexRefineSearchParameters(
                k_factor=settings["k_factor"], base_index_params=lists
            )

    def search(self, queries):
        return self._index.search(queries, self.task.k, params=self._parameters)[1]
