"""Ours, through the C ABI by the Python package of this source tree."""

from __future__ import annotations

import sys
from pathlib import Path

from .base import Peer, Setting

PACKAGE = Path(__file__).resolve().parents[3] / "bindings" / "python" / "src"


class Libivf(Peer):
    """libivf's `IVFn,Flat` or `IVFn,SQfp16`; the library is the one that IVF_LIBRARY names."""

    name = "libivf"
    storages = ("fp32", "fp16")
    filters = True

    def __init__(self, setting: Setting):
        super().__init__(setting)
        if str(PACKAGE) not in sys.path:
            sys.path.insert(0, str(PACKAGE))
        import ivf

        self._ivf = ivf
        self._context = ivf.Context(
            threads=setting.threads, kernel=setting.kernel, device=setting.device
        )
        self._filter = None
        codes = {"fp32": "Flat", "fp16": "SQfp16"}[self.storage]
        self._index = ivf.Index(
            setting.dim, f"IVF{setting.nlist},{codes}", metric=setting.metric, context=self._context
        )

    @property
    def storage(self) -> str:
        """What the lists hold vectors in."""
        return self.setting.storage

    @property
    def version(self) -> str:
        info = self._context.info
        device = "" if self.setting.device == "cpu" else f", on {info.device}"
        return f"{self._ivf.version()}, kernel {info.kernel}{device}"

    def train(self, x):
        self._index.train(x)

    def set_centroids(self, centroids):
        self._index.set_centroids(centroids)

    def centroids(self):
        return self._index.centroids

    def add(self, x):
        self._index.add(x)

    def search(self, queries):
        return self._index.search(queries, k=self.setting.k, nprobe=self.setting.nprobe, filter=self._filter)

    def restrict(self, mask):
        self._filter = None if mask is None else self._ivf.Filter.of(mask)

    def stored_bytes(self):
        return self._index.info.vector_bytes


class LibivfSingle(Libivf):
    """libivf's `IVFn,Flat`, beside one whose lists hold float16."""

    name = "libivf-fp32"

    @property
    def storage(self) -> str:
        return "fp32"
