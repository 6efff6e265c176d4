"""Calls into the library: statuses become exceptions, Ctrl-C and progress callables work."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any, Union

from . import _abi, _library
from ._errors import CancelledError, error
from ._progress import reporter

library = _library.load()

Progress = Union[None, bool, Callable[[str, int, int, float], object]]
"""True: a bar by tqdm, or lines in the log without it. Or a callable (stage, done, total, value) that returns
something true to cancel."""

# Below this many rows a call runs on the caller's thread without further ado: a helper thread costs about
# 0.1 ms, and Ctrl-C takes effect when the call returns.
LONG_CALL_ROWS = 64


class Cancel:
    """Ends calls early, from any thread: `index.search(..., cancel=stop)`, and elsewhere `stop.set()`.

    A call that it ends raises CancelledError within 50 ms. Ctrl-C sets it too.
    """

    def __init__(self) -> None:
        self._flag = ctypes.c_int32(0)

    def set(self) -> None:
        """Ends the calls that were given this, and all later ones until clear()."""
        self._flag.value = 1

    def clear(self) -> None:
        """Lets later calls run."""
        self._flag.value = 0

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._flag.value != 0


class Handle:
    """Owns a handle of the library, given back when nobody uses it any more.

    ctypes keeps the arguments of a running call alive, so a handle that another thread lets go of is not
    destroyed under a call.
    """

    def __init__(self, pointer: int | None, destroy: Callable[[ctypes.c_void_p], None]):
        self._as_parameter_ = ctypes.c_void_p(pointer)
        self._destroy = destroy

    def __del__(self) -> None:
        self._destroy(self._as_parameter_)


def make(function: Callable[..., int], *arguments: Any) -> int | None:
    """Calls a function whose last argument receives a new handle, and returns that."""
    pointer = ctypes.c_void_p()
    call(function, *arguments, ctypes.byref(pointer))
    return pointer.value


def of_c_types(name: str) -> Any:
    """A function of the library that is given objects of ctypes only. Nothing checks or converts them, which costs a third
    of a microsecond less."""
    function = library[name]
    function.restype, _ = _abi.FUNCTIONS[name]
    return function


def call(function: Callable[..., int], *arguments: Any) -> None:
    """Calls a short function of the library; raises if it fails."""
    status = function(*arguments)
    if status:
        raise error(status, last_error())


def call_long(
    function: Callable[..., int],
    *arguments: Any,
    options: Any,
    rows: int,
    progress: Progress = None,
    cancel: Cancel | None = None,
) -> None:
    """Calls a function whose arguments hold `options`, with progress and cancellation.

    On the main thread a call of many rows runs in a helper thread, so that Ctrl-C can cancel it: Python runs
    signal handlers on the main thread only, and never inside a foreign call.
    """
    if cancel is None:
        if rows < LONG_CALL_ROWS and not progress:
            # Nobody could set the flag.
            return call(function, *arguments)
        cancel = Cancel()
    options.point("cancel", ctypes.addressof(cancel._flag), cancel)
    if not progress:
        return _run(function, arguments, rows, cancel)
    report = reporter(progress)
    failures: list[BaseException] = []
    options.progress = _callback(report, failures)
    try:
        _run(function, arguments, rows, cancel)
    except CancelledError:
        if not failures:
            raise
    finally:
        report.close()
    if failures:
        raise failures[0]


def _run(function: Callable[..., int], arguments: tuple[Any, ...], rows: int, cancel: Cancel) -> None:
    if rows < LONG_CALL_ROWS or threading.current_thread() is not threading.main_thread():
        call(function, *arguments)
    else:
        _run_interruptibly(lambda: call(function, *arguments), cancel)


def _run_interruptibly(work: Callable[[], None], cancel: Cancel) -> None:
    """Runs `work` in a thread; an exception that a signal raises here cancels it, waits for it and goes on."""
    failures: list[BaseException] = []
    interruption: BaseException | None = None
    finished = threading.Event()

    def body() -> None:
        try:
            work()
        except BaseException as failure:
            failures.append(failure)
        finally:
            finished.set()

    # Not by Thread.join: a signal there makes Python take the thread for ended.
    threading.Thread(target=body, name="ivf-call", daemon=True).start()
    while True:
        try:
            # Windows wakes a waiting thread for Ctrl-C only when its wait is over.
            while not finished.wait(0.1):
                pass
            break
        except BaseException as signal:
            interruption = signal
            cancel.set()
    if interruption is not None:
        raise interruption
    if failures:
        raise failures[0]


def _callback(report: Callable[[str, int, int, float], object], failures: list[BaseException]) -> Any:
    """A C callback that passes a progress report on; what it raises cancels the call and is kept."""

    def tell(pointer: Any, _user_data: Any) -> int:
        progress = pointer.contents
        try:
            return bool(report(progress.stage.decode(), progress.done, progress.total, progress.value))
        except BaseException as failure:
            failures.append(failure)
            return 1

    return _abi.ProgressFn(tell)


def last_error() -> str:
    """The text of this thread's last failure."""
    message: bytes = library.ivf_last_error()
    return message.decode("utf-8", "replace")
