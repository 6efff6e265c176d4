"""torch-ivf on PyTorch's CPU backend, or on a GPU (CUDA, ROCm)."""

from __future__ import annotations

import time

from .base import Peer, Setting


class TorchIvf(Peer):
    """torch-ivf's IndexIVFFlat; exact (no candidate budget), float32."""

    name = "torch-ivf"
    # PyPI's torch for Linux brings CUDA's libraries along: 5 GB, of which the CPU part is used here.
    # torch-ivf asks for Python 3.12 but runs on older ones.
    requirements = [
        ["torch==2.15.0"],
        ["--no-deps", "--ignore-requires-python", "torch-ivf==0.1.1"],
    ]

    def __init__(self, setting: Setting):
        super().__init__(setting)
        import torch
        from torch_ivf.index import IndexIVFFlat

        self._torch = torch
        torch.set_num_threads(setting.threads)
        torch.manual_seed(1234)
        torch.set_grad_enabled(False)
        if setting.device != "cpu" and not torch.cuda.is_available():
            raise RuntimeError("PyTorch sees no GPU; leave torch-ivf out by --peers faiss")
        # PyTorch calls ROCm's devices the same.
        self._device = "cpu" if setting.device == "cpu" else "cuda"
        self._index = IndexIVFFlat(
            setting.dim, metric=setting.metric, nlist=setting.nlist, nprobe=setting.nprobe, device=self._device
        )

    @property
    def version(self) -> str:
        from importlib.metadata import version

        cpu = self._device == "cpu"
        capability = self._torch.backends.cpu.get_cpu_capability() if cpu else self._torch.cuda.get_device_name()
        return f"{version('torch-ivf')}, torch {self._torch.__version__}, {capability}"

    def train(self, x):
        self._index.train(self._there(x))

    def set_centroids(self, centroids):
        # Its own way in: the state of a trained index without vectors.
        empty = self._torch.empty
        self._index.load_state_dict({
            "centroids": self._torch.from_numpy(centroids.copy()),
            "list_offsets": self._torch.zeros(self.setting.nlist + 1, dtype=self._torch.long),
            "packed_embeddings": empty((0, self.setting.dim)),
            "packed_norms": empty(0),
            "list_ids": empty(0, dtype=self._torch.long),
        })

    def centroids(self):
        return self._index.state_dict()["centroids"].cpu().numpy()

    def add(self, x):
        self._index.add(self._there(x))

    def search(self, queries):
        distances, ids = self._index.search(self._there(queries), self.setting.k)
        return distances.cpu().numpy(), ids.cpu().numpy()

    def _there(self, x):
        return self._torch.from_numpy(x).to(self._device)

    def transfer(self, queries):
        if self._device == "cpu":
            return None
        shape = (len(queries), self.setting.k)
        distances = self._torch.empty(shape, device=self._device)
        ids = self._torch.empty(shape, dtype=self._torch.long, device=self._device)
        self._torch.cuda.synchronize()
        start = time.perf_counter()
        self._there(queries)
        distances.cpu(), ids.cpu()
        self._torch.cuda.synchronize()
        return time.perf_counter() - start

    def modes(self, batch):
        # "matrix" is its path for tiny batches; above them it is 10 to 70 times slower than "csr".
        return ["matrix", "csr"] if batch <= 8 else ["csr"]

    def use(self, mode):
        self._index.search_mode = mode
