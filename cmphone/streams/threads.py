"""Threads for what asks the database, which the event loop must not wait for."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connection

from cmphone.lost_connections import drop_lost_connection

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """A few threads, each with a connection of its own that it keeps."""

    def __init__(self, name: str, *, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do the work in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: _work(work, *args, **kwargs))

    def close(self) -> None:
        """Take no more work."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _work(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    drop_lost_connection()
    try:
        return work(*args, **kwargs)
    except (OperationalError, InterfaceError):
        # The next one begins with a new connection.
        connection.close()
        raise
