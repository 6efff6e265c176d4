"""ivf.langchain, against LangChain's own in-memory store."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore

from ivf.langchain import IvfVectorStore

EMBEDDING = DeterministicFakeEmbedding(size=24)
WORDS = [f"word {i}" for i in range(200)]
DOCUMENTS = [
    Document(id=f"id {i}", page_content=word, metadata={"number": i, "even": i % 2 == 0})
    for i, word in enumerate(WORDS)
]
QUERIES = ["word 3", "another", "more"]


@pytest.fixture
def store():
    return IvfVectorStore.from_documents(DOCUMENTS, EMBEDDING)


@pytest.fixture
def theirs():
    return InMemoryVectorStore.from_documents(DOCUMENTS, EMBEDDING)


def test_search_finds_what_the_in_memory_store_finds(store, theirs):
    for query in QUERIES:
        assert store.similarity_search(query, k=7) == theirs.similarity_search(query, k=7)
        ours, others = (one.similarity_search_with_score(query, k=7) for one in (store, theirs))
        assert [score for _, score in ours] == pytest.approx([score for _, score in others], abs=1e-5)
        vector = EMBEDDING.embed_query(query)
        assert store.similarity_search_by_vector(vector, 5) == theirs.similarity_search_by_vector(vector, 5)
        for of_both in (0.0, 0.3, 1.0):
            how = {"k": 5, "fetch_k": 30, "lambda_mult": of_both}
            expected = theirs.max_marginal_relevance_search(query, **how)
            assert store.max_marginal_relevance_search(query, **how) == expected
    assert len(store.similarity_search("word 3", k=500)) == 200


def test_search_filter_gives_k_that_fit(store, theirs):
    def fits(document):
        return document.metadata["number"] % 20 == 3

    for query in QUERIES:
        expected = theirs.similarity_search(query, k=10, filter=fits)
        assert len(expected) == 10
        assert store.similarity_search(query, k=10, filter=fits) == expected
        # Not by half, where all would tie for a query that is a document itself.
        how = {"k": 3, "lambda_mult": 0.7, "filter": fits}
        assert store.max_marginal_relevance_search(query, **how) == theirs.max_marginal_relevance_search(query, **how)
    even = store.similarity_search("word 3", k=150, filter={"even": True})
    assert {document.metadata["number"] for document in even} == set(range(0, 200, 2))
    assert store.similarity_search("word 3", filter={"nothing": 1}) == []


def test_add_same_id_replaces_and_no_id_is_made(store):
    store.add_documents([Document(id="id 3", page_content="new", metadata={"a": 1})])
    assert len(store) == 200
    assert store.get_by_ids(["id 3"]) == [Document(id="id 3", page_content="new", metadata={"a": 1})]
    assert store.similarity_search("new", k=1)[0].id == "id 3"
    assert store.add_texts(["one", "two"], ids=["a", "a"]) == ["a", "a"]
    assert store.get_by_ids(["a"])[0].page_content == "two"
    made = store.add_texts(["x", "y"])
    assert len(set(made)) == 2
    assert [document.page_content for document in store.get_by_ids(made)] == ["x", "y"]
    assert store.add_texts([]) == []


def test_delete_ignores_unknown_ids(store, theirs):
    for one in (store, theirs):
        one.delete(["id 3", "id 5", "nobody"])
    assert store.similarity_search("word 3", k=9) == theirs.similarity_search("word 3", k=9)
    assert store.get_by_ids(["id 3", "id 4"]) == [DOCUMENTS[4]]
    assert store.delete() is True
    assert len(store) == 0
    assert store.similarity_search("word 3") == []
    store.add_documents(DOCUMENTS[:2])
    assert len(store.similarity_search("word 1", k=9)) == 2


def test_wrong_lengths_are_refused_and_add_nothing(store):
    with pytest.raises(ValueError, match="metadatas: expected 2, one a text, got 1"):
        store.add_texts(["a", "b"], [{}])
    with pytest.raises(ValueError, match="ids: expected 1, one a text, got 2"):
        store.add_texts(["a"], ids=["x", "y"])
    assert len(store) == store.index.ntotal == 200


def test_a_failed_embedding_changes_nothing(store):
    class Broken(DeterministicFakeEmbedding):
        def embed_documents(self, texts):
            return [[float("nan")] * 24 for _ in texts]

    store._embedding = Broken(size=24)
    with pytest.raises(ValueError):
        store.add_texts(["new"], ids=["id 3"])
    assert store.get_by_ids(["id 3"]) == [DOCUMENTS[3]]
    assert store.index.ntotal == 200


@pytest.mark.parametrize("metric", ["l2", "ip", "cosine"])
def test_metrics_and_relevance(metric):
    store = IvfVectorStore.from_texts(WORDS, EMBEDDING, metric=metric)
    found = store.similarity_search_with_relevance_scores("word 3", k=50)
    scores = [score for _, score in found]
    assert all(0 <= score <= 1 for score in scores)
    assert scores == sorted(scores, reverse=True)
    nearest = store.similarity_search_with_score("word 3", k=1)[0]
    x, q = np.array(EMBEDDING.embed_documents([nearest[0].page_content])[0]), np.array(EMBEDDING.embed_query("word 3"))
    value = {"l2": ((x - q) ** 2).sum(), "ip": x @ q, "cosine": x @ q / np.linalg.norm(x) / np.linalg.norm(q)}
    assert nearest[1] == pytest.approx(value[metric], abs=1e-4)


def test_lists_are_trained_by_the_first_documents():
    store = IvfVectorStore.from_texts(WORDS, EMBEDDING, description="IVF4,SQfp16", nprobe=4)
    assert store.index.description == "IVF4,SQfp16"
    assert store.similarity_search("word 77", k=1)[0].page_content == "word 77"


def test_save_and_load_keep_everything(store, tmp_path):
    store.delete(["id 7"])
    store.save_local(tmp_path / "store")
    again = IvfVectorStore.load_local(tmp_path / "store", EMBEDDING)
    for query in QUERIES:
        assert again.similarity_search_with_score(query, k=9) == store.similarity_search_with_score(query, k=9)
    again.add_texts(["more"], ids=["id 8"])
    assert len(again) == 199
    store.index.save(tmp_path / "other.ivf")
    again.save_local(tmp_path / "store")
    (tmp_path / "other.ivf").replace(tmp_path / "store" / "index.ivf")
    with pytest.raises(ValueError, match="of one save"):
        IvfVectorStore.load_local(tmp_path / "store", EMBEDDING)
    with pytest.raises(ValueError, match="an empty one"):
        IvfVectorStore(EMBEDDING).save_local(tmp_path / "empty")


def test_retriever_and_async_calls(store):
    retriever = store.as_retriever(search_kwargs={"k": 2, "filter": {"even": True}})
    assert retriever.invoke("word 4")[0].page_content == "word 4"

    async def program():
        await store.aadd_texts(["later"], ids=["z"])
        return await store.asimilarity_search("later", k=1)

    assert asyncio.run(program())[0].id == "z"
