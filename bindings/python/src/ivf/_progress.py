"""What `progress=True` shows: a bar by tqdm, or lines in the log where tqdm is not installed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

log = logging.getLogger("ivf")


class Reporter:
    """A callable of the user's, or one of the two below."""

    def __init__(self, tell: Callable[[str, int, int, float], object]):
        self.tell = tell

    def __call__(self, stage: str, done: int, total: int, value: float) -> object:
        return self.tell(stage, done, total, value)

    def close(self) -> None:
        """The call is over."""


class Bar(Reporter):
    """A bar for each stage."""

    def __init__(self, tqdm: Any):
        self._tqdm = tqdm
        self._bar: Any = None

    def __call__(self, stage: str, done: int, total: int, value: float) -> object:
        if self._bar is None or self._bar.desc != f"{stage}: ":
            self.close()
            self._bar = self._tqdm(total=total, unit_scale=True)
            self._bar.set_description(stage, refresh=False)
        self._bar.total = total
        if value:
            self._bar.set_postfix(objective=f"{value:.5g}", refresh=False)
        self._bar.update(done - self._bar.n)
        return None

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Lines(Reporter):
    """A line of level INFO at most once a second, and at the end."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, stage: str, done: int, total: int, value: float) -> object:
        now = time.monotonic()
        if now >= self._next or done == total:
            self._next = now + 1
            log.info("%s: %d of %d%s", stage, done, total, f", objective {value:.5g}" if value else "")
        return None


def reporter(progress: bool | Callable[[str, int, int, float], object]) -> Reporter:
    """The reporter of a call's `progress` argument."""
    if callable(progress):
        return Reporter(progress)
    if progress is not True:
        raise TypeError(f"progress: expected True, False, None or a callable, got {progress!r}")
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return Lines()
    return Bar(tqdm)
