"""Looks at what may hang: side by side, each with its limit, and never a second one of the same."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from cmphone.monitoring.running import run_together

LIMIT = 0.2


@pytest.fixture
def hang() -> Iterator[Callable[[], str]]:
    """A look that hangs until the test is over, and counts in `hang.calls` how often it was begun."""
    over = threading.Event()

    def look() -> str:
        look.calls += 1  # type: ignore[attr-defined]
        over.wait(30)
        return "late"

    look.calls = 0  # type: ignore[attr-defined]
    yield look
    over.set()


def test_outcomes_come_in_the_order_of_the_looks() -> None:
    def wait() -> str:
        time.sleep(0.05)
        return "slow"

    slow, fast = run_together([wait, lambda: "fast"])

    assert (slow.value, slow.error, fast.value, fast.error) == ("slow", None, "fast", None)
    assert 0.05 <= slow.seconds < 1


def test_looks_run_side_by_side() -> None:
    together = threading.Barrier(2)

    outcomes = run_together([lambda: together.wait(5), lambda: together.wait(5)])

    assert [outcome.error for outcome in outcomes] == [None, None]


def test_an_error_is_the_outcome_of_its_look_alone() -> None:
    def fail() -> str:
        raise ValueError("no")

    failed, fine = run_together([fail, lambda: "fine"])

    assert (failed.value, type(failed.error), fine.value) == (None, ValueError, "fine")


def test_a_look_that_hangs_is_not_waited_for_longer_than_its_limit(hang: Callable[[], str]) -> None:
    started = time.monotonic()

    hanging, fine = run_together([hang, lambda: "fine"], limit=LIMIT)

    assert (type(hanging.error), fine.value) == (TimeoutError, "fine")
    assert LIMIT <= time.monotonic() - started < LIMIT + 1


def test_while_a_look_hangs_it_is_not_begun_again_and_nobody_waits(hang: Callable[[], str]) -> None:
    run_together([hang], limit=LIMIT)
    started = time.monotonic()

    for _ in range(5):
        (outcome,) = run_together([hang], limit=LIMIT)
        assert type(outcome.error) is TimeoutError
        assert outcome.seconds >= LIMIT

    assert time.monotonic() - started < LIMIT
    assert hang.calls == 1  # type: ignore[attr-defined]


def test_who_asks_during_a_look_gets_its_outcome() -> None:
    begun, go_on = threading.Event(), threading.Event()
    calls: list[int] = []

    def look() -> int:
        calls.append(1)
        begun.set()
        go_on.wait(5)
        return 42

    found: list[int | None] = []
    first, second = (threading.Thread(target=lambda: found.append(run_together([look])[0].value)) for _ in range(2))
    first.start()
    assert begun.wait(5)
    second.start()
    time.sleep(0.05)
    go_on.set()
    first.join(5)
    second.join(5)

    assert (found, len(calls)) == ([42, 42], 1)


def test_a_look_that_came_to_an_end_is_begun_anew() -> None:
    calls: list[int] = []

    def look() -> None:
        calls.append(1)

    run_together([look])
    run_together([look])

    assert len(calls) == 2


@pytest.mark.django_db
def test_a_look_has_a_database_connection_of_its_own_which_is_closed_after_it() -> None:
    def find_backend() -> int:
        with connection.cursor() as cursor:
            cursor.execute("select pg_backend_pid()")
            return int(cursor.fetchone()[0])

    (outcome,) = run_together([find_backend])

    assert outcome.value not in {None, find_backend()}
    deadline = time.monotonic() + 5
    with connection.cursor() as cursor:
        while True:
            cursor.execute("select count(*) from pg_stat_activity where pid = %s", [outcome.value])
            if cursor.fetchone()[0] == 0:
                break
            assert time.monotonic() < deadline
            # Inside a transaction the statistics stay as they were first read.
            cursor.execute("select pg_stat_clear_snapshot()")
            time.sleep(0.01)
