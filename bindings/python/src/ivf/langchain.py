"""A vector store for LangChain: `IvfVectorStore` in place of its FAISS or in-memory store.

store = IvfVectorStore.from_documents(documents, embedding)
store.similarity_search("tea", k=4, filter={"language": "en"})
store.save_local("folder"), and IvfVectorStore.load_local("folder", embedding)

Needs langchain-core, which ivf itself does not.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Union

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from ._arrays import Rows, rows
from .filter import Filter
from .index import Index
from .metric import Metric

Where = Union[dict[str, Any], Callable[[Document], bool], None]
"""Which documents may be found: those whose metadata have these values, or for which the callable is true."""

_INDEX, _DOCUMENTS = "index.ivf", "documents.json"

# Scores from 0 to 1, the best, of each metric's values; those of similarities are meant for vectors of length 1.
_RELEVANCE: dict[str, Callable[[float], float]] = {
    "l2": lambda squared: 1 / (1 + squared),
    "ip": lambda similarity: min(max(similarity, 0.0), 1.0),
    "cosine": lambda similarity: max(similarity, 0.0),
}


class IvfVectorStore(VectorStore):  # type: ignore[misc]
    """Documents and their embeddings in an index.

    embedding: makes vectors of texts.
    description: the index, such as "Flat" (exact) or "IVF256,Flat", which the first documents added train.
    metric: "cosine", "l2" or "ip".
    nprobe: lists that are searched; None = the index's own choice.

    Scores are the metric's: similarities, the largest first, or squared distances. A filter applies inside the scan:
    k documents come back whenever k fit it.
    """

    def __init__(
        self,
        embedding: Embeddings,
        *,
        description: str = "Flat",
        metric: Metric = "cosine",
        nprobe: int | None = None,
    ):
        self._embedding = embedding
        self._description, self._metric, self._nprobe = description, metric, nprobe
        self._index: Index | None = None
        # By the numbers that they have in the index; and those numbers by the documents' ids.
        self._documents: dict[int, Document] = {}
        self._numbers: dict[str, int] = {}

    @property
    def embeddings(self) -> Embeddings:
        """What makes vectors of texts."""
        return self._embedding

    @property
    def index(self) -> Index | None:
        """The index; None before documents are added."""
        return self._index

    def __len__(self) -> int:
        return len(self._documents)

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **_: Any,
    ) -> list[str]:
        """Adds texts and returns their ids; a text takes the place of one that has its id."""
        given = list(texts)
        for name, values in (("metadatas", metadatas), ("ids", ids)):
            if values is not None and len(values) != len(given):
                raise ValueError(f"{name}: expected {len(given)}, one a text, got {len(values)}")
        if not given:
            return []
        names = [name or str(uuid.uuid4()) for name in ids or [None] * len(given)]
        meta = metadatas or [{} for _ in given]
        # Of an id that comes twice the last text counts.
        chosen = list({name: place for place, name in enumerate(names)}.values())
        x = rows("embeddings", self._embedding.embed_documents([given[place] for place in chosen]))
        if self._index is None:
            index = Index(x.shape[1], self._description, self._metric)
            index.train(x)
        else:
            index = self._index
        first = index.info.next_id
        index.add(x)
        self._index = index
        self.delete([names[place] for place in chosen])
        for number, place in enumerate(chosen, first):
            name = names[place]
            self._documents[number] = Document(id=name, page_content=given[place], metadata=meta[place])
            self._numbers[name] = number
        return names

    def delete(self, ids: list[str] | None = None, **_: Any) -> bool | None:
        """Deletes documents by id, all without ids; unknown ids are ignored."""
        names = list(self._numbers) if ids is None else ids
        numbers = [self._numbers.pop(name) for name in names if name in self._numbers]
        if numbers and self._index is not None:
            self._index.remove(numbers)
        for number in numbers:
            del self._documents[number]
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids; unknown ids are left out."""
        return [self._documents[self._numbers[name]] for name in ids if name in self._numbers]

    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, filter: Where = None, **_: Any
    ) -> list[tuple[Document, float]]:
        """The k best documents for a vector, with their scores."""
        return [(document, score) for document, score, _ in self._search(embedding, k, filter)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: Where = None, **_: Any
    ) -> list[tuple[Document, float]]:
        """The k best documents for a text, with their scores."""
        return self.similarity_search_with_score_by_vector(self._embedding.embed_query(query), k, filter)

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: Where = None, **_: Any
    ) -> list[Document]:
        """The k best documents for a vector."""
        return [document for document, _, _ in self._search(embedding, k, filter)]

    def similarity_search(self, query: str, k: int = 4, filter: Where = None, **_: Any) -> list[Document]:
        """The k best documents for a text."""
        return self.similarity_search_by_vector(self._embedding.embed_query(query), k, filter)

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Where = None,
        **_: Any,
    ) -> list[Document]:
        """k of the fetch_k best documents, each unlike the others; lambda_mult: 1 = the best, 0 = the most unlike."""
        found = self._search(embedding, fetch_k, filter, vectors=True)
        query = np.asarray(embedding, np.float32)
        vectors = [vector for _, _, vector in found]
        return [found[i][0] for i in maximal_marginal_relevance(query, vectors, lambda_mult, k)]

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, filter: Where = None, **_: Any
    ) -> list[Document]:
        """The same for a text."""
        embedding = self._embedding.embed_query(query)
        return self.max_marginal_relevance_search_by_vector(embedding, k, fetch_k, lambda_mult, filter)

    def _search(
        self, embedding: list[float], k: int, where: Where, vectors: bool = False
    ) -> list[tuple[Document, float, Rows | None]]:
        if self._index is None or not self._documents:
            return []
        x, k, filter = [embedding], min(k, len(self._documents)), self._filter(where)
        R: Rows | None = None
        if vectors:
            (D, I), R = self._index.search_and_reconstruct(x, k, self._nprobe, filter=filter)
        else:
            D, I = self._index.search(x, k, self._nprobe, filter=filter)
        return [
            (self._documents[int(number)], float(score), None if R is None else R[0, place])
            for place, (number, score) in enumerate(zip(I[0], D[0]))
            if number >= 0
        ]

    def _filter(self, where: Where) -> Filter | None:
        if where is None:
            return None
        if callable(where):
            fits = where
        else:
            wanted = where.items()

            def fits(document: Document) -> bool:
                return all(key in document.metadata and document.metadata[key] == value for key, value in wanted)

        return Filter.of(np.array([i for i, document in self._documents.items() if fits(document)], np.int64))

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        index = self._index
        return _RELEVANCE["cosine" if index is None else index.metric]

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **how: Any,
    ) -> IvfVectorStore:
        """A store of texts; `how` are the parameters of the class."""
        store = cls(embedding, **how)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    def save_local(self, folder: str | os.PathLike[str]) -> None:
        """Saves index and documents to a folder; metadata must be what JSON can hold."""
        if self._index is None:
            raise ValueError("save_local: expected a store of documents, got an empty one")
        entries = [[number, doc.id, doc.page_content, doc.metadata] for number, doc in self._documents.items()]
        content = json.dumps({"description": self._description, "nprobe": self._nprobe, "documents": entries})
        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        self._index.save(path / _INDEX)
        unfinished = path / (_DOCUMENTS + ".part")
        unfinished.write_text(content, encoding="utf-8")
        unfinished.replace(path / _DOCUMENTS)

    @classmethod
    def load_local(cls, folder: str | os.PathLike[str], embedding: Embeddings) -> IvfVectorStore:
        """The store that save_local saved."""
        path = Path(folder)
        content = json.loads((path / _DOCUMENTS).read_text(encoding="utf-8"))
        index = Index.load(path / _INDEX)
        store = cls(embedding, description=content["description"], metric=index.metric, nprobe=content["nprobe"])
        for number, name, text, metadata in content["documents"]:
            store._documents[number] = Document(id=name, page_content=text, metadata=metadata)
            store._numbers[name] = number
        if sorted(store._documents) != index.ids().tolist():
            raise ValueError(f"{path}: expected {_INDEX} and {_DOCUMENTS} of one save, got other documents")
        store._index = index
        return store
