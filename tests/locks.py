"""Races, tested by holding the lock: work in other threads, and waiting until somebody waits."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from django.db import connection, connections

T = TypeVar("T")


def start(threads: ThreadPoolExecutor, work: Callable[[], T]) -> "Future[T]":
    """Run `work` in another thread, which has a connection of its own."""

    def run() -> T:
        try:
            return work()
        finally:
            connections.close_all()

    return threads.submit(run)


def wait_for_waiting(count: int = 1) -> None:
    """Return when `count` connections wait for a lock."""
    give_up_at = time.monotonic() + 10
    while time.monotonic() < give_up_at:
        with connection.cursor() as cursor:
            # Else the view shows the same for as long as this transaction lasts.
            cursor.execute("select pg_stat_clear_snapshot()")
            cursor.execute(
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
            )
            if cursor.fetchone()[0] >= count:
                return
        time.sleep(0.01)
    raise AssertionError("Nobody waits.")
