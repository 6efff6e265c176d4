"""Progress, cancellation, Ctrl-C."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time

import numpy as np
import pytest
from conftest import normal

import ivf
from ivf import _call, _progress


@pytest.fixture(scope="module")
def long_work():
    """An index with a search of many seconds."""
    x = normal(7, 60000, 64)
    index = ivf.Index(64)
    index.add(x)
    return lambda **options: index.search(np.tile(x, (5, 1)), 10, **options)


@pytest.fixture
def ctrl_c():
    """Sends an interrupt after a while."""
    timers = []

    def after(seconds: float):
        timer = threading.Timer(seconds, signal.raise_signal, [signal.SIGINT])
        timers.append(timer)
        timer.start()

    # A shell starts what runs in the background with interrupts ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield after
    for timer in timers:
        timer.cancel()
        timer.join()
    signal.signal(signal.SIGINT, before)


def test_progress_callable_hears_of_every_iteration(x):
    heard = []
    ivf.Index(24, "IVF16,Flat").train(x, iterations=4, progress=lambda *report: heard.append(report))
    assert [report[:3] for report in heard] == [("train", done, 4) for done in (1, 2, 3, 4)]
    values = [report[3] for report in heard]
    assert values == sorted(values, reverse=True)
    assert values[-1] > 0


@pytest.mark.parametrize("stage", ["train", "add", "search", "save", "load", "kmeans", "knn"])
def test_progress_is_told_of_every_long_call(stage, x, queries, tmp_path):
    index = ivf.Index(24, "IVF16,Flat")
    heard = []

    def tell(*report):
        heard.append(report)

    def told(name):
        return {"progress": tell} if name == stage else {}

    index.train(x, **told("train"))
    index.add(x, **told("add"))
    index.search(queries, **told("search"))
    index.save(tmp_path / "x", **told("save"))
    ivf.load(tmp_path / "x", **told("load"))
    ivf.kmeans(x, 4, **told("kmeans"))
    ivf.knn(queries, x, **told("knn"))
    assert heard
    assert {report[0] for report in heard} == {stage}
    assert heard[-1][1] == heard[-1][2]


def test_progress_true_value_cancels(x):
    index = ivf.Index(24, "IVF16,Flat")
    with pytest.raises(ivf.CancelledError):
        index.train(x, progress=lambda stage, done, total, value: done == 2)
    assert not index.is_trained


def test_progress_exception_ends_the_call_and_arrives(x):
    def fail(*_):
        raise LookupError("mine")

    index = ivf.Index(24, "IVF16,Flat")
    with pytest.raises(LookupError, match="mine"):
        index.train(x, progress=fail)
    with pytest.raises(LookupError, match="mine"):
        index.train(x[:32], progress=fail)
    assert not index.is_trained


def test_progress_callable_may_not_use_its_index(x):
    index = ivf.Index(24, "IVF16,Flat")
    with pytest.raises(ivf.StateError, match="callback"):
        index.train(x, progress=lambda *_: index.ntotal)


def test_progress_of_another_kind_is_refused(x):
    with pytest.raises(TypeError, match="progress: expected True, False, None or a callable, got 7"):
        ivf.Index(24, "IVF16,Flat").train(x, progress=7)


def test_progress_true_shows_a_bar(x, capfd):
    pytest.importorskip("tqdm", reason="in requirements.txt")
    ivf.Index(24, "IVF16,Flat").train(x, progress=True)
    shown = capfd.readouterr().err
    assert "train" in shown
    assert "10/10" in shown.replace(".0", "")
    assert "objective" in shown


def test_progress_true_without_tqdm_logs(x, caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    caplog.set_level(logging.INFO, "ivf")
    ivf.Index(24, "IVF16,Flat").train(x, progress=True)
    assert "train: 10 of 10, objective" in caplog.text


def test_progress_lines_are_at_most_one_a_second(caplog):
    caplog.set_level(logging.INFO, "ivf")
    lines = _progress.Lines()
    for done in range(1, 100):
        lines("add", done, 100, 0.0)
    assert len(caplog.records) == 1
    lines("add", 100, 100, 0.0)
    assert caplog.records[-1].getMessage() == "add: 100 of 100"


def test_cancel_from_another_thread_ends_the_call(long_work):
    stop = ivf.Cancel()
    timer = threading.Timer(0.2, stop.set)
    timer.start()
    start = time.monotonic()
    with pytest.raises(ivf.CancelledError):
        long_work(cancel=stop)
    assert time.monotonic() - start < 1.5
    assert stop.is_set()
    timer.join()


def test_cancel_set_before_ends_at_once_until_cleared(x, queries, index):
    stop = ivf.Cancel()
    stop.set()
    with pytest.raises(ivf.CancelledError):
        index.search(queries, cancel=stop)
    with pytest.raises(ivf.CancelledError):
        index.add(x, cancel=stop)
    assert len(index) == 3000
    stop.clear()
    index.add(x, cancel=stop)
    assert len(index) == 6000


def test_ctrl_c_ends_a_long_call(long_work, ctrl_c):
    ctrl_c(0.3)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        long_work()
    assert time.monotonic() - start < 1.5


def test_ctrl_c_during_add_adds_nothing(ctrl_c):
    x = normal(8, 400000, 32)
    index = ivf.Index(32, "IVF8192,Flat")
    index.set_centroids(x[:8192])
    ctrl_c(0.15)
    with pytest.raises(KeyboardInterrupt):
        index.add(x)
    assert len(index) == 0
    index.add(x[:100])
    assert len(index) == 100


def test_ctrl_c_handler_of_the_program_that_does_not_raise_lets_the_call_go_on(ctrl_c, x, queries):
    index = ivf.Index(24)
    index.add(np.tile(x, (20, 1)))
    heard = []
    ctrl_c(0.05)
    before = signal.signal(signal.SIGINT, lambda number, _: heard.append(number))
    try:
        while not heard:
            assert index.search(np.tile(queries, (20, 1)), 3).hits.min() == 3
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT]


def test_small_call_runs_on_the_thread_of_the_caller(monkeypatch, flat, x):
    monkeypatch.setattr(_call, "_run_interruptibly", lambda *_: pytest.fail("a helper thread for a small call"))
    flat.search(x[: _call.LONG_CALL_ROWS - 1])


def test_ivf_error_of_a_helper_thread_has_its_own_text(x):
    bad = x.copy()
    bad[1234, 0] = np.inf
    with pytest.raises(ivf.NotFiniteError, match="row 1234"):
        ivf.Index(24).add(bad)
