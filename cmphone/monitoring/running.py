"""Runs looks at what may hang, side by side, and waits for none of them longer than its limit."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import connections

LIMIT_SECONDS = 2.0

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What a look gave, or the error with which it failed: a TimeoutError when it was not done in time."""

    value: T | None
    error: BaseException | None
    seconds: float


@dataclass(frozen=True)
class _Run:
    started: float
    future: "Future[Any]"


_lock = threading.Lock()
_runs: dict[Callable[[], Any], _Run] = {}


def run_together(looks: Sequence[Callable[[], T]], *, limit: float = LIMIT_SECONDS) -> list[Outcome[T]]:
    """Run the looks at the same time, and return their outcomes in the same order, after `limit` seconds at most.

    Each look has at most one thread in this process: whoever asks meanwhile gets the outcome of the run that is
    under way, and where that has been hanging for longer than the limit, he is told so at once.  Database
    connections that a look opens are its thread's own, and closed after it.
    """
    runs = [_start(look) for look in looks]
    return [_wait(run, limit) for run in runs]


def _start(look: Callable[[], Any]) -> _Run:
    with _lock:
        run = _runs.get(look)
        if run is None or run.future.done():
            run = _runs[look] = _Run(time.monotonic(), Future())
            # A daemon: one that hangs does not keep the process from ending.
            threading.Thread(target=_fill, args=(run.future, look), name=look.__name__, daemon=True).start()
        return run


def _fill(future: "Future[Any]", look: Callable[[], Any]) -> None:
    started = time.monotonic()
    try:
        value, error = look(), None
    except Exception as caught:  # noqa: BLE001 (it is told to whoever asked)
        value, error = None, caught
    seconds = time.monotonic() - started
    try:
        connections.close_all()
    finally:
        future.set_result(Outcome(value, error, seconds))


def _wait(run: _Run, limit: float) -> Outcome[Any]:
    try:
        outcome: Outcome[Any] = run.future.result(timeout=max(0.0, run.started + limit - time.monotonic()))
    except TimeoutError as error:
        return Outcome(None, error, time.monotonic() - run.started)
    return outcome
