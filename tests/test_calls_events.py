"""Events of calls: whom they are for, in which order they are numbered, and that Redis is only told of them."""

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import redis
from django.db import IntegrityError, connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from cmphone.calls.events import CHANNEL, add_event, last_number, list_events
from cmphone.calls.models import Call, CallEvent, CallFeed, EventKind, Line
from cmphone.calls.services import call_back, change_call, report_call
from cmphone.contacts.models import User
from cmphone.embedded import redis_url
from tests.hanging import silent_socket
from tests.locks import start, wait_for_waiting
from tests.make import make_user

pytestmark = pytest.mark.django_db

NUMBER = "0021133990312"


@pytest.fixture
def user() -> User:
    return make_user("agent1")


@pytest.fixture
def colleague() -> User:
    return make_user("agent2")


@pytest.fixture
def line(user: User, colleague: User) -> Line:
    line = Line.objects.create(name="12")
    line.users.add(user, colleague)
    return line


def ring(user: User, call_id: str = "c1", *, line: str = "", direction: str = "incoming") -> Call:
    return report_call(user, call_id=call_id, direction=direction, number=NUMBER, line=line)


def kinds_of(user: User) -> list[tuple[int, str, str]]:
    return [(event["number"], event["kind"], event["call_id"]) for event in list_events(user.pk, 0)]


def test_whatever_becomes_of_a_call_is_an_event(user: User) -> None:
    ring(user, "answered")
    change_call(user, "answered", state="answered")
    change_call(user, "answered", state="ended")
    ring(user, "missed")
    change_call(user, "missed", state="ended")
    call_back(user, "missed")
    change_call(user, "missed", done=True)
    change_call(user, "missed", done=False)

    assert kinds_of(user) == [
        (1, "call.ringing", "answered"),
        (2, "call.answered", "answered"),
        (3, "call.ended", "answered"),
        (4, "call.ringing", "missed"),
        (5, "call.missed", "missed"),
        (6, "call.called-back", "missed"),
        (7, "call.done", "missed"),
        (8, "call.done", "missed"),
    ]
    assert last_number(user.pk) == 8


def test_what_changes_nothing_is_no_event(user: User) -> None:
    ring(user)
    change_call(user, "c1", state="answered")
    change_call(user, "c1", state="ended", done=True)
    before = kinds_of(user)

    ring(user)
    change_call(user, "c1", state="answered")
    change_call(user, "c1", state="ended", at=datetime.now(UTC), done=True)

    assert kinds_of(user) == before


def test_an_event_is_plain_values_with_the_time_in_utc(user: User) -> None:
    ring(user)

    (event,) = list_events(user.pk, 0)
    at = event.pop("at")
    assert event == {"number": 1, "kind": "call.ringing", "call_id": "c1"}
    assert abs(datetime.fromisoformat(at) - datetime.now(UTC)) < timedelta(seconds=5)
    assert at.endswith("Z")


def test_events_are_read_on_from_the_last_one(user: User) -> None:
    for call_id in ("a", "b", "c"):
        ring(user, call_id)

    with CaptureQueriesContext(connection) as captured:
        assert [event["number"] for event in list_events(user.pk, 1)] == [2, 3]
        assert [event["number"] for event in list_events(user.pk, 0, limit=2)] == [1, 2]
        assert list_events(user.pk, 3) == []
        assert last_number(user.pk) == 3
    assert len(captured) == 4


def test_who_never_had_an_event_has_none(user: User) -> None:
    assert (last_number(user.pk), list_events(user.pk, 0)) == (0, [])


def test_an_event_is_for_the_reporter_and_the_active_users_of_the_line(user: User, colleague: User, line: Line) -> None:
    pbx, stranger, gone = make_user("pbx"), make_user("stranger"), make_user("gone", is_active=False)
    line.users.add(gone)
    Line.objects.create(name="13").users.add(stranger)

    ring(pbx, "in", line="12")
    ring(pbx, "out", line="12", direction="outgoing")

    assert kinds_of(pbx) == [(1, "call.ringing", "in"), (2, "call.ringing", "out")]
    assert kinds_of(user) == kinds_of(colleague) == [(1, "call.ringing", "in")]
    assert kinds_of(stranger) == kinds_of(gone) == []
    assert not CallFeed.objects.filter(user__in=[stranger, gone]).exists()


def test_who_left_the_line_is_told_no_more(user: User, colleague: User, line: Line) -> None:
    ring(user, line="12")
    line.users.remove(colleague)
    change_call(user, "c1", state="answered")

    assert kinds_of(colleague) == [(1, "call.ringing", "c1")]
    assert kinds_of(user) == [(1, "call.ringing", "c1"), (2, "call.answered", "c1")]


def test_that_a_call_was_missed_is_taken_back_when_it_was_answered(user: User, colleague: User, line: Line) -> None:
    ring(user, line="12")
    change_call(user, "c1", state="ended")
    assert [kind for _, kind, _ in kinds_of(colleague)] == ["call.ringing", "call.missed"]

    change_call(user, "c1", state="answered")

    for each in (user, colleague):
        assert kinds_of(each) == [(1, "call.ringing", "c1"), (3, "call.answered", "c1")]
        assert last_number(each.pk) == 3


def test_a_line_or_number_known_late_is_told_while_it_rings(user: User, colleague: User, line: Line) -> None:
    report_call(user, call_id="c1", direction="incoming", number="")
    assert kinds_of(colleague) == []

    ring(user, line="12")

    assert kinds_of(colleague) == [(1, "call.ringing", "c1")]
    assert kinds_of(user) == [(1, "call.ringing", "c1"), (2, "call.ringing", "c1")]


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_leaves_no_event_and_no_gap(user: User) -> None:
    ring(user, "a")
    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        ring(user, "b")
        raise ZeroDivisionError
    ring(user, "c")

    assert kinds_of(user) == [(1, "call.ringing", "a"), (2, "call.ringing", "c")]


@pytest.mark.django_db(transaction=True)
def test_events_are_numbered_in_the_order_in_which_they_are_committed(user: User, colleague: User, line: Line) -> None:
    with ThreadPoolExecutor() as threads:
        with transaction.atomic():
            ring(colleague, "first", line="12")
            second = start(threads, lambda: ring(user, "second", line="12"))
            third = start(threads, lambda: ring(user, "third"))
            wait_for_waiting(2)
            # Nobody reads an event before one that is still to be committed.
            assert start(threads, lambda: list_events(user.pk, 0)).result(timeout=10) == []
        second.result(timeout=10)
        third.result(timeout=10)

    events = kinds_of(user)
    assert events[0] == (1, "call.ringing", "first")
    assert [number for number, _, _ in events] == [1, 2, 3]
    assert {call_id for _, _, call_id in events[1:]} == {"second", "third"}


@pytest.mark.django_db(transaction=True)
def test_a_call_that_two_report_at_once_is_one(user: User) -> None:
    with ThreadPoolExecutor() as threads:
        with transaction.atomic():
            assert ring(user).is_new
            other = start(threads, lambda: ring(user).is_new)
            wait_for_waiting()
        assert other.result(timeout=10) is False

    assert kinds_of(user) == [(1, "call.ringing", "c1")]


@pytest.mark.django_db(transaction=True)
def test_of_two_changes_at_once_none_is_lost(user: User) -> None:
    ring(user)
    with ThreadPoolExecutor() as threads:
        with transaction.atomic():
            change_call(user, "c1", state="ended")
            other = start(threads, lambda: change_call(user, "c1", state="answered"))
            wait_for_waiting()
        other.result(timeout=10)

    call = Call.objects.get()
    assert (call.state, call.is_missed, call.answered_at is not None) == ("ended", False, True)
    assert [kind for _, kind, _ in kinds_of(user)] == ["call.ringing", "call.answered"]


def test_events_go_with_their_call_and_their_user(user: User, colleague: User, line: Line) -> None:
    ring(user, "a", line="12")
    ring(user, "b", line="12")

    Call.objects.get(call_id="a").delete()
    assert kinds_of(user) == kinds_of(colleague) == [(2, "call.ringing", "b")]
    assert last_number(user.pk) == 2

    colleague.delete()
    assert set(CallEvent.objects.values_list("user_id", flat=True)) == {user.pk}
    assert set(CallFeed.objects.values_list("user_id", flat=True)) == {user.pk}


def test_the_database_refuses_two_events_of_a_number(user: User) -> None:
    call = ring(user)
    with pytest.raises(IntegrityError), transaction.atomic():
        CallEvent.objects.create(user=user, number=1, call=call, kind="call.ended", at=datetime.now(UTC))


@pytest.mark.django_db(transaction=True)
def test_an_event_is_written_only_with_its_change(user: User) -> None:
    call = ring(user)

    with pytest.raises(transaction.TransactionManagementError):
        add_event(call, EventKind.ENDED)


# --- Redis ---


@pytest.fixture
def heard() -> Iterator[Callable[[], object]]:
    """Gives what is published next, None where nothing is."""
    with redis.Redis.from_url(redis_url()) as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe(CHANNEL)
        # That it is subscribed.
        subscription.get_message(timeout=5)

        def listen() -> object:
            give_up_at = time.monotonic() + 1
            while time.monotonic() < give_up_at:
                message = subscription.get_message(timeout=0.1)
                if message is not None:
                    return json.loads(message["data"])
            return None

        yield listen


@pytest.mark.django_db(transaction=True)
def test_who_listens_hears_the_last_numbers_after_the_commit(
    user: User, colleague: User, line: Line, heard: Callable[[], object]
) -> None:
    ring(colleague, "of-colleague")
    assert heard() == {str(colleague.pk): 1}

    with transaction.atomic():
        ring(user, line="12")
        assert heard() is None
    assert heard() == {str(user.pk): 1, str(colleague.pk): 2}

    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        ring(user, "b")
        raise ZeroDivisionError
    assert heard() is None


@pytest.mark.django_db(transaction=True)
@override_settings(REDIS_URL="redis://127.0.0.1:1/0")
def test_a_redis_that_is_away_costs_a_line_in_the_log(user: User, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "cmphone.calls.events"):
        ring(user)

    assert caplog.messages == ["Redis is away, and nobody was told of an event: ConnectionError."]
    assert kinds_of(user) == [(1, "call.ringing", "c1")]


@pytest.mark.django_db(transaction=True)
def test_a_redis_that_hangs_costs_little(user: User, caplog: pytest.LogCaptureFixture) -> None:
    with silent_socket("redis.sock") as path, override_settings(REDIS_URL=f"unix://{path}?db=0"):
        started = time.monotonic()
        ring(user)
        took = time.monotonic() - started

    assert took < 2
    assert caplog.messages == ["Redis is away, and nobody was told of an event: TimeoutError."]
    assert kinds_of(user) == [(1, "call.ringing", "c1")]


@pytest.mark.django_db(transaction=True)
def test_a_redis_that_was_restarted_is_told_at_once(user: User, caplog: pytest.LogCaptureFixture) -> None:
    ring(user, "before")
    with redis.Redis.from_url(redis_url()) as client:
        # As a restart does: every connection is closed behind the back of its process.
        client.client_kill_filter(_type="normal", skipme=True)

    with redis.Redis.from_url(redis_url()) as client, client.pubsub(ignore_subscribe_messages=True) as subscription:
        subscription.subscribe(CHANNEL)
        ring(user, "after")
        messages = [subscription.get_message(timeout=1) for _ in range(3)]
    assert [json.loads(each["data"]) for each in messages if each] == [{str(user.pk): 2}]
    assert caplog.messages == []
