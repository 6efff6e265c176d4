"""The index: what a user trains, fills, searches and saves."""

from __future__ import annotations

import ctypes

import numpy as np
import numpy.typing as npt

from . import _abi
from ._arrays import Rows, integers, rows, text, unsigned
from ._call import Cancel, Progress, call, call_long, library, make
from ._info import Described
from ._persist import Persistent
from ._search import Searching
from ._train import seeding_of, warn_if_few
from .context import Context, handle_of
from .metric import Metric, number_of


class Index(Described, Searching, Persistent):
    """Vectors of `dim` columns in inverted lists, or in one list that is searched exactly.

    dim: columns of every vector and query.
    description: "Flat" (exact, no training), "IVF1024,Flat" (1024 lists), "IVF,Flat" (the number is chosen in
        training).
    metric: "l2" (squared distance), "ip" (inner product) or "cosine" (normalised inside).
    nprobe: lists that a search looks into unless it says; None = chosen from the number of lists.
    allow_duplicate_ids: whether your own ids may repeat.
    context: threads and device; None = the shared default.

    Rows may be given as anything that NumPy makes a two-dimensional array of numbers from; C-contiguous
    float32 is used as it is, anything else is copied to that once. Searches may run in many threads at once; a
    call that changes the index waits for them. A call that fails raises an IvfError and has changed nothing.
    """

    def __init__(
        self,
        dim: int,
        description: str = "Flat",
        metric: Metric = "l2",
        *,
        nprobe: int | None = None,
        allow_duplicate_ids: bool = False,
        context: Context | None = None,
    ):
        options = _abi.IndexOptions(
            nprobe=unsigned("nprobe", nprobe), allow_duplicate_ids=int(bool(allow_duplicate_ids))
        )
        pointer = make(
            library.ivf_index_create,
            handle_of(context),
            unsigned("dim", dim),
            number_of(metric),
            text("description", description),
            options,
        )
        self._adopt(pointer, context)

    def train(
        self,
        x: npt.ArrayLike,
        *,
        iterations: int | None = None,
        seeding: str = "default",
        seed: int | None = None,
        max_points_per_centroid: int | None = None,
        restarts: int | None = None,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Chooses the lists' centroids by k-means over `x` `[n, dim]`, points like those the index will hold.

        iterations: None = 10. seeding: "random" or "k-means++". seed: None = 1234; the same seed and data
        give the same centroids on any number of threads. max_points_per_centroid: points used, drawn at
        random where there are more; None = 256. restarts: trainings of which the best is kept; None = 1.
        """
        x = rows("x", x, self._dim)
        options = _abi.TrainOptions(
            threads=unsigned("threads", threads),
            iterations=unsigned("iterations", iterations),
            seeding=seeding_of(seeding),
            seed=unsigned("seed", seed, 64),
            max_points_per_centroid=unsigned("max_points_per_centroid", max_points_per_centroid),
            restarts=unsigned("restarts", restarts),
        )
        call_long(
            *(library.ivf_train, self._handle, x, len(x), self._dim, options),
            options=options,
            rows=len(x),
            progress=progress,
            cancel=cancel,
        )
        info = self.info
        if info.is_ivf:
            warn_if_few(len(x), info.nlist)

    def set_centroids(self, centroids: npt.ArrayLike) -> None:
        """Trains the index by giving its centroids, `[nlist, dim]`."""
        x = rows("centroids", centroids, self._dim)
        call(library.ivf_set_centroids, self._handle, x, len(x), self._dim)

    def add(
        self,
        x: npt.ArrayLike,
        ids: npt.ArrayLike | None = None,
        *,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Adds vectors: `[n, dim]`, or `[dim]` for one.

        ids: your own numbers `[n]` from 0 on, which must be new; None = the next free ones. No id is handed
        out twice, not even after its vector is removed.
        """
        x = rows("x", x, self._dim, one=True)
        own = None if ids is None else integers("ids", ids, (len(x),))
        options = _abi.AddOptions(threads=unsigned("threads", threads))
        call_long(
            *(library.ivf_add, self._handle, x, len(x), self._dim),
            *(own, options),
            options=options,
            rows=len(x),
            progress=progress,
            cancel=cancel,
        )

    def remove(self, ids: npt.ArrayLike) -> int:
        """Removes vectors by id, `[n]` or a single one, and returns how many. Unknown ids are ignored."""
        wanted = integers("ids", np.atleast_1d(ids), (None,))
        removed = ctypes.c_uint64()
        call(library.ivf_remove, self._handle, wanted, len(wanted), ctypes.byref(removed))
        return removed.value

    def reset(self) -> None:
        """Removes all vectors; the training stays, and so does the next id."""
        call(library.ivf_reset, self._handle)

    def compact(self) -> None:
        """Returns the space of removed vectors and the room that the lists keep to grow."""
        call(library.ivf_compact, self._handle)

    def reconstruct(self, ids: npt.ArrayLike) -> Rows:
        """The vectors of these ids, `[n, dim]`; of a single id, `[dim]`. For "cosine" they have length 1."""
        wanted = integers("ids", np.atleast_1d(ids), (None,))
        x = np.empty((len(wanted), self._dim), np.float32)
        call(library.ivf_reconstruct, self._handle, wanted, len(wanted), x, self._dim)
        return x if np.ndim(ids) else x[0]
