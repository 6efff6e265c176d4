"""The libraries that the bench knows: one small class each.

A new peer is one file with a subclass of `Peer`, and its line in `PEERS`.
"""

from .base import Peer, Setting
from .faiss_cpu import Faiss
from .faiss_gpu import FaissGpu
from .libivf import Libivf, LibivfSingle
from .torch_ivf import TorchIvf

#: By the name that the command line uses.
PEERS: dict[str, type[Peer]] = {peer.name: peer for peer in (Libivf, Faiss, TorchIvf, FaissGpu, LibivfSingle)}

OURS = Libivf.name
#: Ours with float32 lists, where ours has others.
OURS_SINGLE = LibivfSingle.name
#: Its centroids are given to all, and its result sets are what the others' are compared with.
REFERENCE = Faiss.name

__all__ = ["OURS", "OURS_SINGLE", "PEERS", "REFERENCE", "Peer", "Setting"]
