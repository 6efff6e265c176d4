"""Ours, through the C ABI by the Python package of this source tree."""

from __future__ import annotations

import sys
from pathlib import Path

from .base import Peer, Setting

PACKAGE = Path(__file__).resolve().parents[3] / "bindings" / "python" / "src"


class Libivf(Peer):
    """libivf's `IVFn,Flat`; the library is the one that IVF_LIBRARY names."""

    name = "libivf"

    def __init__(self, setting: Setting):
        super().__init__(setting)
        if str(PACKAGE) not in sys.path:
            sys.path.insert(0, str(PACKAGE))
        import ivf

        self._ivf = ivf
        self._context = ivf.Context(threads=setting.threads, kernel=setting.kernel)
        self._index = ivf.Index(
            setting.dim, f"IVF{setting.nlist},Flat", metric=setting.metric, context=self._context
        )

    @property
    def version(self) -> str:
        return f"{self._ivf.version()}, kernel {self._context.info.kernel}"

    def train(self, x):
        self._index.train(x)

    def set_centroids(self, centroids):
        self._index.set_centroids(centroids)

    def centroids(self):
        return self._index.centroids

    def add(self, x):
        self._index.add(x)

    def search(self, queries):
        return self._index.search(queries, k=self.setting.k, nprobe=self.setting.nprobe)

    def stored_bytes(self):
        return self._index.info.vector_bytes
