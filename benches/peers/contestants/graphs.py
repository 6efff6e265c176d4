"""Graphs: hnswlib and usearch, 16 neighbours a node."""

from __future__ import annotations

import importlib.metadata

from .base import Contestant, Task

_EXPANSIONS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


class Hnswlib(Contestant):
    library = "hnswlib"
    requirements = [["hnswlib==0.8.0"]]

    def __init__(self, task: Task, index: str):
        super().__init__(task, index)
        import hnswlib

        self._index = hnswlib.Index(space="ip" if task.cosine else "l2", dim=task.dim)
        self._threads = task.threads

    @staticmethod
    def candidates(task: Task):
        return ["M16-ef200"]

    @property
    def version(self):
        return importlib.metadata.version("hnswlib")

    def build(self, x):
        self._index.init_index(len(x), M=16, ef_construction=200, random_seed=1234)
        self._index.add_items(x, num_threads=self.task.threads)

    def sweep(self):
        return [{"ef": size} for size in _EXPANSIONS if size >= self.task.k]

    def use(self, settings, threads):
        self._index.set_ef(settings["ef"])
        self._threads = threads

    def search(self, queries):
        return self._index.knn_query(queries, self.task.k, num_threads=self._threads)[0]


class Usearch(Contestant):
    library = "usearch"
    requirements = [["usearch==2.26.6"]]

    def __init__(self, task: Task, index: str):
        super().__init__(task, index)
        from usearch.index import Index

        self._index = Index(
            ndim=task.dim, metric="ip" if task.cosine else "l2sq", dtype=index.split("-")[0], connectivity=16
        )
        self._threads = task.threads

    @staticmethod
    def candidates(task: Task):
        return ["f32-M16", "f16-M16"]

    @property
    def version(self):
        return f"{importlib.metadata.version('usearch')}, {self._index.hardware_acceleration}"

    def build(self, x):
        import numpy as np

        self._index.add(np.arange(len(x)), x, threads=self.task.threads)

    def sweep(self):
        return [{"expansion_search": size} for size in _EXPANSIONS]

    def use(self, settings, threads):
        self._index.expansion_search = settings["expansion_search"]
        self._threads = threads

    def search(self, queries):
        return self._index.search(queries, self.task.k, threads=self._threads).keys.reshape(len(queries), -1)
