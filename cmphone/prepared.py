"""Statements that every call of a client runs: PostgreSQL keeps their plans."""

from typing import cast

import psycopg
from django.db import connection
from django.db.backends.utils import CursorWrapper


def prepared_cursor() -> CursorWrapper:
    """Return a cursor for statements with `$1` that PostgreSQL keeps the plan of.

    Planning such a statement takes several times as long as running it, and Django's own cursors plan each time.
    Looking for `%s` in it takes psycopg as long as running it takes PostgreSQL.
    """
    connection.ensure_connection()
    cursor = cast(CursorWrapper, psycopg.RawCursor(connection.connection))
    return connection.make_debug_cursor(cursor) if connection.queries_logged else connection.make_cursor(cursor)
