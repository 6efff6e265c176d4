"""One index in many threads, and after a fork."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import ivf


def test_search_from_many_threads_gives_the_same(index, queries):
    expected = index.search(queries, 5, nprobe=4)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: index.search(queries, 5, nprobe=4), range(64)))
    for found in results:
        np.testing.assert_array_equal(found.ids, expected.ids)
        np.testing.assert_array_equal(found.distances, expected.distances)


def test_errors_of_many_threads_keep_their_own_texts(x):
    index = ivf.Index(24)

    def provoke(row):
        bad = x[:200].copy()
        bad[row, 0] = np.nan
        with pytest.raises(ivf.NotFiniteError) as raised:
            index.add(bad)
        return f"row {row} " in str(raised.value)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(provoke, range(200)))


def test_search_while_vectors_are_added_sees_whole_batches(x, queries):
    index = ivf.Index(24)
    counts = set()
    done = threading.Event()

    def look():
        while not done.is_set():
            counts.add(int(index.search(queries[0], 3000).hits[0]))

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for start in range(0, 3000, 100):
        index.add(x[start : start + 100])
    done.set()
    for thread in threads:
        thread.join()
    assert all(count % 100 == 0 for count in counts)


def test_close_while_others_search_is_safe(x, queries):
    for _ in range(20):
        index = ivf.Index(24)
        index.add(x)
        outcomes = []

        def search(index=index, outcomes=outcomes):
            try:
                while True:
                    outcomes.append(index.search(queries, 3).hits.min())
            except ivf.StateError:
                pass

        threads = [threading.Thread(target=search) for _ in range(4)]
        for thread in threads:
            thread.start()
        index.close()
        for thread in threads:
            thread.join()
        assert all(hits == 3 for hits in outcomes)


def search_in_child(index, queries, connection):
    connection.send(index.search(queries, 5, nprobe=4).ids)


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_search_in_another_process_gives_the_same(method, index, queries):
    expected = index.search(queries, 5, nprobe=4).ids
    here, there = multiprocessing.get_context(method).Pipe()
    child = multiprocessing.get_context(method).Process(target=search_in_child, args=(index, queries, there))
    child.start()
    try:
        assert here.poll(60), "the child hangs"
        np.testing.assert_array_equal(here.recv(), expected)
    finally:
        child.join(10)
        child.kill()
    assert child.exitcode == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")
def test_context_of_one_thread_starts_none(x, queries):
    index = ivf.Index(24, context=ivf.Context(threads=1))
    before = len(os.listdir("/proc/self/task"))
    index.add(x[:10])
    index.search(queries[:10])
    assert len(os.listdir("/proc/self/task")) == before
