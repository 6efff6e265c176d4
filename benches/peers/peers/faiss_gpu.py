"""faiss's GpuIndexIVFFlat, where a faiss with a GPU part is installed in the bench's environment."""

from __future__ import annotations

from .base import Setting
from .faiss_cpu import Faiss


class FaissGpu(Faiss):
    """faiss's `IVFn,Flat` on the first GPU. Its packages and faiss-cpu are the same module, so that none is asked for
    here: `.venv-bench/bin/pip install faiss-gpu-cu12` puts one in faiss-cpu's place, for the reference, too.
    """

    name = "faiss-gpu"
    requirements = []
    storages = ("fp32",)
    filters = False

    def __init__(self, setting: Setting):
        super().__init__(setting)
        if not hasattr(self._faiss, "StandardGpuResources") or self._faiss.get_num_gpus() == 0:
            raise RuntimeError("this faiss has no GPU part, or sees no GPU; leave faiss-gpu out of --peers")
        self._resources = self._faiss.StandardGpuResources()
        self._move()

    def _move(self) -> None:
        self._index = self._faiss.index_cpu_to_gpu(self._resources, 0, self._index)
        self._index.nprobe = self.setting.nprobe

    def set_centroids(self, centroids):
        super().set_centroids(centroids)
        self._move()

    def centroids(self):
        return self._faiss.index_gpu_to_cpu(self._index).quantizer.reconstruct_n(0, self.setting.nlist)

    def modes(self, batch):
        return ["default"]

    def use(self, mode):
        pass
