"""Connections that the database has ended are noticed before they are used."""

from collections.abc import Callable, Iterable
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection

from cmphone.lost_connections import drop_lost_connection, drop_lost_connection_first

pytestmark = pytest.mark.django_db(transaction=True)


def ask_who_serves() -> int:
    with connection.cursor() as cursor:
        cursor.execute("select pg_backend_pid()")
        return int(cursor.fetchone()[0])


def end(backend: int) -> None:
    """End a connection at the database's side, and wait until it has ended."""
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s, 5000)", [backend])


def test_a_connection_that_is_alive_is_kept() -> None:
    before = ask_who_serves()
    drop_lost_connection()
    assert ask_who_serves() == before


def test_a_connection_that_the_database_ended_is_replaced() -> None:
    before = ask_who_serves()
    end(before)
    drop_lost_connection()
    assert ask_who_serves() != before


def test_without_that_look_the_next_statement_fails() -> None:
    end(ask_who_serves())
    with pytest.raises(OperationalError):
        ask_who_serves()
    drop_lost_connection()
    assert ask_who_serves()


def test_no_connection_is_opened_for_it() -> None:
    connection.close()
    drop_lost_connection()
    assert connection.connection is None


def test_it_happens_before_every_request() -> None:
    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        return [str(ask_who_serves()).encode()]

    answer = drop_lost_connection_first(application)
    (before,) = answer({}, lambda *_: None)
    end(int(before))
    (after,) = answer({}, lambda *_: None)
    assert after != before
