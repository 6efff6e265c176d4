"""faiss-cpu's IndexIVFFlat: the reference."""

from __future__ import annotations

from .base import Peer, Setting


class Faiss(Peer):
    """faiss's `IVFn,Flat`, called from Python as its users do."""

    name = "faiss"
    requirements = [["faiss-cpu==1.15.1"]]

    #: faiss's parallel_mode: by default a single query runs on one thread; 1 gives its lists to all.
    _MODES = {"over queries": 0, "over lists": 1}

    def __init__(self, setting: Setting):
        super().__init__(setting)
        import faiss

        self._faiss = faiss
        faiss.omp_set_num_threads(setting.threads)
        self._quantizer = None
        self._index = faiss.index_factory(setting.dim, f"IVF{setting.nlist},Flat", self._metric)
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
        self._index = self._faiss.IndexIVFFlat(
            self._quantizer, self.setting.dim, self.setting.nlist, self._metric
        )
        self._index.nprobe = self.setting.nprobe

    def centroids(self):
        return self._index.quantizer.reconstruct_n(0, self.setting.nlist)

    def add(self, x):
        self._index.add(x)

    def search(self, queries):
        return self._index.search(queries, self.setting.k)

    def modes(self, batch):
        return list(self._MODES) if batch <= 32 else ["over queries"]

    def use(self, mode):
        self._index.parallel_mode = self._MODES[mode]
