"""ScaNN: a tree, anisotropic 4-bit codes, exact re-ranking."""

from __future__ import annotations

import importlib.metadata

from .base import Contestant, Task


class Scann(Contestant):
    """ScaNN as its guide sets it up: two dimensions a code, threshold 0.2."""

    library = "scann"
    requirements = [["scann==1.4.2"]]

    #: Candidates that are re-ranked.
    _REORDERED = (20, 40, 100, 200)

    def __init__(self, task: Task, index: str):
        super().__init__(task, index)
        from scann import scann_ops_pybind

        self._make = scann_ops_pybind.builder
        self._searcher = None
        self._settings, self._threads = {}, task.threads

    @staticmethod
    def candidates(task: Task):
        return ["tree-ah-reorder"]

    @property
    def version(self):
        return importlib.metadata.version("scann")

    def build(self, x):
        task = self.task
        builder = self._make(x, task.k, "dot_product" if task.cosine else "squared_l2")
        builder = builder.set_n_training_threads(task.threads)
        builder = builder.tree(num_leaves=task.nlist, num_leaves_to_search=1, training_sample_size=len(x))
        builder = builder.score_ah(2, anisotropic_quantization_threshold=0.2)
        self._searcher = builder.reorder(max(self._REORDERED)).build()
        self._searcher.set_num_threads(task.threads)

    def sweep(self):
        return [
            {"leaves_to_search": probes, "pre_reorder_num_neighbors": reordered}
            for probes in self._probes() for reordered in self._REORDERED
        ]

    def use(self, settings, threads):
        self._settings, self._threads = settings, threads

    def search(self, queries):
        searcher, options = self._searcher, {"final_num_neighbors": self.task.k, **self._settings}
        if len(queries) == 1:
            return searcher.search(queries[0], **options)[0][None]
        if self._threads == 1:
            return searcher.search_batched(queries, **options)[0]
        return searcher.search_batched_parallel(queries, **options)[0]
