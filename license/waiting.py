"""How long anybody waits for others that work on the licence."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg
from django.db import OperationalError, connection
from django.utils.translation import gettext

from cmphone.problems import Unavailable

# Then the client is told to try again.
WAIT_AT_MOST = timedelta(seconds=5)


@contextmanager
def bounded_wait() -> Iterator[None]:
    """Let no statement of this transaction run longer than WAIT_AT_MOST; one that does raises Unavailable."""
    with connection.cursor() as cursor:
        cursor.execute(limit_wait())
    with explain_long_wait():
        yield


def limit_wait() -> str:
    """Return the statement that makes later ones of its transaction end after WAIT_AT_MOST."""
    # Not lock_timeout: in a queue for a row PostgreSQL waits for two locks, and counts each alone.
    return f"set local statement_timeout = {round(WAIT_AT_MOST.total_seconds() * 1000)}"


@contextmanager
def explain_long_wait() -> Iterator[None]:
    """Raise Unavailable where a statement ran out of time."""
    try:
        yield
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise Unavailable(
                gettext("Others hold the licence for too long. Try again."),
                retry_after=math.ceil(WAIT_AT_MOST.total_seconds()),
            ) from error
        raise
