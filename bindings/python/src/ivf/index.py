"""The index: what a user trains, fills, searches and saves."""

from __future__ import annotations

import ctypes
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _abi
from ._arrays import Bfloat16, Ids, Rows, integers, rows, text, typed_rows, unsigned
from ._call import LONG_CALL_ROWS, Cancel, Progress, call, call_long, library, make
from ._errors import ArgumentError
from ._info import LIST_ORDERS, Described, ListOrder
from ._persist import Persistent
from ._search import Searching
from ._train import seeding_of
from ._tune import Tuning
from .context import Context, handle_or_default
from .filter import Filter
from .metric import Metric, number_of


class Index(Described, Searching, Tuning, Persistent):
    """Vectors of `dim` columns in inverted lists, or in one list that is searched exactly.

    dim: columns of every vector and query.
    description: "Flat" (exact, no training), "IVF1024,Flat" (1024 lists), "IVF,Flat" (the number is chosen in
        training).
    metric: "l2" (squared distance), "ip" (inner product) or "cosine" (normalised inside).
    nprobe: lists that a search looks into unless it says; None = chosen from the number of lists.
    allow_duplicate_ids: whether your own ids may repeat.
    k_factor: how many times k candidates a search compares again unless it says, behind a refinement ("RFlat"); None =
        chosen.
    list_order: "added", or "best_first": those first that are likeliest to be results, the nearest to the list's centroid
        (of inner products the longest), kept up whenever vectors come or change. Searches that look at the first of
        each list only (budget, profile) find more in as many, for cosine next to nothing; adding costs more, the most
        where few are added at a time.
    soar: above 0, each vector is kept in a second list too (SOAR, Sun et al. 2023), so that a search of as many lists
        finds more; 0 = in its nearest alone. The number is the paper's lambda, 1 is usual. It gains where vectors are
        clustered, as embeddings are, and loses where they are not; codes and ids are held twice, rows for a refinement
        once, and searches run on the CPU.
    context: threads and device; None = the shared default.

    Rows may be given as anything that NumPy makes a two-dimensional array of numbers from; C-contiguous
    float32 is used as it is, and so are float16, uint8 and bfloat16 (of ml_dtypes, or bits in a Bfloat16) where
    vectors are trained on, added or searched for; anything else is copied to float32 once. Searches may run in many threads at once; a
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
        k_factor: float | None = None,
        list_order: ListOrder = "added",
        soar: float = 0.0,
        context: Context | None = None,
    ):
        if list_order not in LIST_ORDERS:
            raise ArgumentError(f"list_order: expected one of {', '.join(LIST_ORDERS)}, got {list_order!r}")
        options = _abi.IndexOptions(
            nprobe=unsigned("nprobe", nprobe),
            allow_duplicate_ids=int(bool(allow_duplicate_ids)),
            k_factor=0.0 if k_factor is None else float(k_factor),
            list_order=LIST_ORDERS.index(list_order),
            soar=float(soar),
        )
        pointer = make(
            library.ivf_index_create,
            handle_or_default(context),
            unsigned("dim", dim),
            number_of(metric),
            text("description", description),
            options,
        )
        self._adopt(pointer, context)

    def train(
        self,
        x: npt.ArrayLike | Bfloat16,
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

        iterations: None = 10. seeding: "random", "k-means++" or, for thousands of
        lists, "hierarchical". seed: None = 1234; the same seed and data
        give the same centroids on any number of threads. max_points_per_centroid: points used, drawn at
        random where there are more; None = 256. restarts: trainings of which the best is kept; None = 1.
        """
        points, element = typed_rows("x", x, self._dim)
        options = _abi.TrainOptions(
            threads=unsigned("threads", threads),
            iterations=unsigned("iterations", iterations),
            seeding=seeding_of(seeding),
            seed=unsigned("seed", seed, 64),
            max_points_per_centroid=unsigned("max_points_per_centroid", max_points_per_centroid),
            restarts=unsigned("restarts", restarts),
        )
        call_long(
            *(library.ivf_train_typed, self._handle, points, element, len(points), self._dim, options),
            options=options,
            rows=len(points),
            progress=progress,
            cancel=cancel,
        )

    def build_file(
        self,
        path: str | os.PathLike[str],
        *,
        iterations: int | None = None,
        seeding: str = "default",
        seed: int | None = None,
        max_points_per_centroid: int | None = None,
        restarts: int | None = None,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> int:
        """Trains on a sample of a file unless the index is trained, then adds all of it as add_file does.

        Returns how many vectors came. The parameters are those of train.
        """
        options = _abi.TrainOptions(
            threads=unsigned("threads", threads),
            iterations=unsigned("iterations", iterations),
            seeding=seeding_of(seeding),
            seed=unsigned("seed", seed, 64),
            max_points_per_centroid=unsigned("max_points_per_centroid", max_points_per_centroid),
            restarts=unsigned("restarts", restarts),
        )
        return self._from_file(library.ivf_build_file, path, options, progress, cancel)

    def add_file(
        self,
        path: str | os.PathLike[str],
        *,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> int:
        """Adds the vectors of a .npy (float32, float16, uint8), .fvecs or .bvecs file; returns how many.

        The file is read a piece at a time and need not fit in memory.
        """
        options = _abi.AddOptions(threads=unsigned("threads", threads))
        return self._from_file(library.ivf_add_file, path, options, progress, cancel)

    def _from_file(
        self,
        function: Any,
        path: str | os.PathLike[str],
        options: _abi.TrainOptions | _abi.AddOptions,
        progress: Progress,
        cancel: Cancel | None,
    ) -> int:
        added = ctypes.c_uint64()
        call_long(
            *(function, self._handle, text("path", path), options, ctypes.byref(added)),
            options=options,
            # Reading takes long, whatever the file's size.
            rows=1 << 20,
            progress=progress,
            cancel=cancel,
        )
        return added.value

    def set_centroids(
        self,
        centroids: npt.ArrayLike,
        *,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Trains the index by giving its centroids, `[nlist, list_dim]`.

        Thousands of them are grouped where the description asks for that ("IVF65536_HNSW32"), which takes its time.
        """
        dim = self.info.list_dim
        x = rows("centroids", centroids, dim)
        options = _abi.AddOptions(threads=unsigned("threads", threads))
        call_long(
            *(library.ivf_set_centroids_v2, self._handle, x, len(x), dim, options),
            options=options,
            rows=len(x),
            progress=progress,
            cancel=cancel,
        )

    def add(
        self,
        x: npt.ArrayLike | Bfloat16,
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
        vectors, element = typed_rows("x", x, self._dim, one=True)
        n = len(vectors)
        own = None if ids is None else integers("ids", ids, (n,))
        options = _abi.AddOptions(threads=unsigned("threads", threads))
        call_long(
            *(library.ivf_add_typed, self._handle, vectors, element, n, self._dim),
            *(own, options),
            options=options,
            rows=n,
            progress=progress,
            cancel=cancel,
        )

    def update(
        self,
        ids: npt.ArrayLike,
        x: npt.ArrayLike | Bfloat16,
        *,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Replaces the vectors of `ids` `[n]` by the rows of `x` `[n, dim]`; or one, by `[dim]`.

        Each goes to the list that it now belongs to. An id that no vector has raises NotFoundError, one that is
        given twice DuplicateIdError, and then nothing is changed.
        """
        vectors, element = typed_rows("x", x, self._dim, one=True)
        n = len(vectors)
        own = integers("ids", np.atleast_1d(ids), (n,))
        options = _abi.AddOptions(threads=unsigned("threads", threads))
        call_long(
            *(library.ivf_update_typed, self._handle, own, vectors, element, n, self._dim, options),
            options=options,
            rows=n,
            progress=progress,
            cancel=cancel,
        )

    def remove(
        self,
        ids: npt.ArrayLike | Filter,
        *,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> int:
        """Removes vectors by id, `[n]` or a single one, or by a Filter; returns how many. Unknown ids are ignored."""
        removed = ctypes.c_uint64()
        options = _abi.AddOptions(threads=unsigned("threads", threads))
        which: tuple[Any, ...]
        if isinstance(ids, Filter):
            which, rows = (library.ivf_remove_filter_v2, self._handle, ids._handle), LONG_CALL_ROWS
        else:
            wanted = integers("ids", np.atleast_1d(ids), (None,))
            which, rows = (library.ivf_remove_v2, self._handle, wanted, len(wanted)), len(wanted)
        call_long(
            *(*which, ctypes.byref(removed), options),
            options=options,
            rows=rows,
            progress=progress,
            cancel=cancel,
        )
        return removed.value

    def merge(
        self,
        other: Index,
        add_id: int = 0,
        *,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> int:
        """Adds the vectors of another index, which keeps them, and returns how many.

        Both must have the same dimension, metric, description and centroids. add_id is added to the other's ids,
        which must be new here unless ids may repeat.
        """
        options = _abi.AddOptions(threads=unsigned("threads", threads))
        merged = ctypes.c_uint64()
        call_long(
            *(library.ivf_merge, self._handle, other._handle, add_id, ctypes.byref(merged), options),
            options=options,
            rows=LONG_CALL_ROWS,
            progress=progress,
            cancel=cancel,
        )
        return merged.value

    def reset(self) -> None:
        """Removes all vectors; the training stays, and so does the next id."""
        call(library.ivf_reset, self._handle)

    def compact(
        self,
        *,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> None:
        """Returns the space of removed vectors and the room that the lists keep to grow.

        On Linux 6.1 and later their memory becomes huge pages where those can be had: single queries are faster then.
        """
        options = _abi.AddOptions(threads=unsigned("threads", threads))
        call_long(
            *(library.ivf_compact_v2, self._handle, options),
            options=options,
            rows=LONG_CALL_ROWS,
            progress=progress,
            cancel=cancel,
        )

    def ids(self) -> Ids:
        """The ids of all vectors, ascending: `[len(index)]`."""
        while True:
            found = np.empty(len(self), np.int64)
            try:
                call(library.ivf_ids, self._handle, found, len(found))
                return found
            except ArgumentError:
                # Another thread added or removed vectors since the number was asked for.
                if len(self) == len(found):
                    raise

    def reconstruct_range(
        self,
        first: int,
        n: int,
        *,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> Rows:
        """The vectors of the ids `first` to `first + n - 1`, `[n, dim]`."""
        n = unsigned("n", n, 63)
        x = np.empty((n, self._dim), np.float32)
        options = _abi.IoOptions(threads=unsigned("threads", threads))
        call_long(
            *(library.ivf_reconstruct_range_v2, self._handle, first, n, x, self._dim, options),
            options=options,
            rows=n,
            progress=progress,
            cancel=cancel,
        )
        return x

    def reconstruct(
        self,
        ids: npt.ArrayLike | None = None,
        *,
        threads: int = 0,
        progress: Progress = None,
        cancel: Cancel | None = None,
    ) -> Rows:
        """The vectors of these ids, `[n, dim]`; of a single id, `[dim]`; None = all, in the order of `ids()`.

        For "cosine" they have length 1.
        """
        if ids is None:
            ids = self.ids()
        wanted = integers("ids", np.atleast_1d(ids), (None,))
        x = np.empty((len(wanted), self._dim), np.float32)
        options = _abi.IoOptions(threads=unsigned("threads", threads))
        call_long(
            *(library.ivf_reconstruct_v2, self._handle, wanted, len(wanted), x, self._dim, options),
            options=options,
            rows=len(wanted),
            progress=progress,
            cancel=cancel,
        )
        return x if np.ndim(ids) else x[0]
