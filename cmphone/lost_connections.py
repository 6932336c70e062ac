"""Notices that the database has ended a process's connection, as by a restart, before a request fails on it."""

import select
from collections.abc import Callable, Iterable
from typing import Any

from django.db import connection

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def drop_lost_connection_first(application: Application) -> Application:
    """Return the WSGI application that looks after the connection before every request."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        drop_lost_connection()
        return application(environ, start_response)

    return answer


def drop_lost_connection() -> None:
    """Close a connection whose other end is closed, so that the next statement opens a new one.

    This asks the operating system and not the database, as CONN_HEALTH_CHECKS would, at the price of a statement
    for every request.  A database whose machine is gone without a word is not noticed: that request gets its 503.
    """
    opened = connection.connection
    if opened is None:
        return
    if not opened.closed:
        # Between requests the database has nothing to say but its farewell.
        waiting = select.poll()
        waiting.register(opened.pgconn.socket, select.POLLIN)
        if not waiting.poll(0):
            return
    connection.close()
