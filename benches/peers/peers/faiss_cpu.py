"""faiss-cpu's IndexIVFFlat, or its half-precision sister: the reference."""

from __future__ import annotations

from .base import Peer, Setting


class Faiss(Peer):
    """faiss's `IVFn,Flat` or `IVFn,SQfp16`, called from Python as its users do."""

    name = "faiss"
    requirements = [["faiss-cpu==1.15.1"]]
    storages = ("fp32", "fp16")
    filters = True

    #: faiss's parallel_mode: by default a single query runs on one thread; 1 gives its lists to all.
    _MODES = {"over queries": 0, "over lists": 1}

    def __init__(self, setting: Setting):
        super().__init__(setting)
        import faiss

        self._faiss = faiss
        faiss.omp_set_num_threads(setting.threads)
        self._quantizer = None
        self._params = None
        codes = {"fp32": "Flat", "fp16": "SQfp16"}[setting.storage]
        self._index = faiss.index_factory(setting.dim, f"IVF{setting.nlist},{codes}", self._metric)
        self._index.nprobe = setting.nprobe

    @property
    def _metric(self) -> int:
        return {"l2": self._faiss.METRIC_L2, "ip": self._faiss.METRIC_INNER_PRODUCT}[self.setting.metric]

    @property
    def version(self) -> str:
        return f"{self._faiss.__version__}, {self._faiss.get_compile_options().strip()}"

    def train(self, x):
        self._index.train(x)

    def set_centroids(self, centroids):
        # A filled quantizer counts as trained. The index only points at it, so it is kept here.
        self._quantizer = self._faiss.IndexFlat(self.setting.dim, self._metric)
        self._quantizer.add(centroids)
        if self.setting.storage == "fp16":
            # The vectors themselves are rounded, as ours are, not what is left of them beside the centroid: then
            # the results can be compared id by id.
            self._index = self._faiss.IndexIVFScalarQuantizer(
                self._quantizer, self.setting.dim, self.setting.nlist, self._faiss.ScalarQuantizer.QT_fp16,
                self._metric, False,
            )
            self._index.train(centroids)
        else:
            self._index = self._faiss.IndexIVFFlat(
                self._quantizer, self.setting.dim, self.setting.nlist, self._metric
            )
        self._index.nprobe = self.setting.nprobe

    def centroids(self):
        return self._index.quantizer.reconstruct_n(0, self.setting.nlist)

    def add(self, x):
        self._index.add(x)

    def search(self, queries):
        return self._index.search(queries, self.setting.k, params=self._params)

    def restrict(self, mask):
        import numpy as np

        self._params = None
        if mask is not None:
            selector = self._faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
            self._params = self._faiss.SearchParametersIVF(sel=selector, nprobe=self.setting.nprobe)

    def modes(self, batch):
        return list(self._MODES) if batch <= 32 else ["over queries"]

    def use(self, mode):
        self._index.parallel_mode = self._MODES[mode]
