"""What time does to calls: those whose end nobody reported are closed, and old ones removed."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from cmphone.calls import services
from cmphone.calls.events import list_events
from cmphone.calls.models import Call, CallEvent, Line
from cmphone.calls.selectors import get_call, list_calls
from cmphone.calls.services import change_call, close_overdue_calls, remove_old_calls, report_call
from cmphone.calls.tasks import close_overdue_calls as close_task
from cmphone.calls.tasks import remove_old_calls as remove_task
from cmphone.celery import app
from cmphone.contacts.models import User
from cmphone.problems import NotFound
from cmphone.properties.registry import ANSWERED_LIMIT, CALL_RETENTION, RINGING_LIMIT
from cmphone.properties.services import set_property
from tests.locks import start
from tests.make import make_user

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture
def user() -> User:
    return make_user("agent1")


def after(**duration: float) -> time_machine.travel:
    return time_machine.travel(NOON + timedelta(**duration), tick=False)


def ring(user: User, call_id: str = "c1", *, direction: str = "incoming", started_at: datetime | None = None) -> Call:
    return report_call(user, call_id=call_id, direction=direction, number="0021133990312", started_at=started_at)


def kinds_of(user: User) -> list[str]:
    return [event["kind"] for event in list_events(user.pk, 0)]


# --- closing ---


def test_a_call_that_rings_for_too_long_was_missed(user: User) -> None:
    with after():
        ring(user)
    with after(seconds=299):
        assert close_overdue_calls() == 0
    with after(seconds=300):
        assert close_overdue_calls() == 1
        assert close_overdue_calls() == 0

    call = get_call(user, "c1")
    assert (call.state, call.is_missed, call.is_end_assumed) == ("ended", True, True)
    assert call.ended_at == NOON + timedelta(seconds=300)
    assert kinds_of(user) == ["call.ringing", "call.missed"]


def test_a_call_that_went_out_has_ended_and_was_not_missed(user: User) -> None:
    with after():
        ring(user, direction="outgoing")
    with after(seconds=300):
        close_overdue_calls()

    assert (get_call(user, "c1").is_missed, kinds_of(user)) == (False, ["call.ringing", "call.ended"])


def test_a_call_that_was_answered_has_a_longer_limit(user: User) -> None:
    with after():
        ring(user)
    with after(seconds=10):
        change_call(user, "c1", state="answered")
    with after(hours=8):
        assert close_overdue_calls() == 0
    with after(hours=8, seconds=10):
        assert close_overdue_calls() == 1

    call = get_call(user, "c1")
    assert (call.is_missed, call.is_end_assumed) == (False, True)
    assert call.ended_at == NOON + timedelta(hours=8, seconds=10)
    assert kinds_of(user) == ["call.ringing", "call.answered", "call.ended"]


def test_the_limits_are_properties(user: User) -> None:
    set_property(name=RINGING_LIMIT, value="60")
    set_property(name=ANSWERED_LIMIT, value="3600")
    with after():
        ring(user, "ringing")
        ring(user, "answered")
        change_call(user, "answered", state="answered")
    with after(seconds=60):
        assert close_overdue_calls() == 1
    with after(hours=1):
        assert close_overdue_calls() == 1


def test_the_clock_of_a_client_that_is_behind_closes_nothing_at_once(user: User) -> None:
    with after():
        ring(user, started_at=NOON - timedelta(minutes=20))
        assert close_overdue_calls() == 0
    with after(seconds=300):
        close_overdue_calls()

    assert get_call(user, "c1").ended_at == NOON - timedelta(minutes=15)


def test_what_is_reported_afterwards_counts_rather_than_what_was_assumed(user: User) -> None:
    with after():
        ring(user)
    with after(seconds=300):
        close_overdue_calls()
    with after(seconds=330):
        call = change_call(user, "c1", state="answered")
        assert (call.state, call.is_missed, call.is_end_assumed) == ("answered", False, False)
        assert kinds_of(user) == ["call.ringing", "call.answered"]
    with after(seconds=400):
        assert close_overdue_calls() == 0
        call = change_call(user, "c1", state="ended")

    assert call.ended_at == NOON + timedelta(seconds=400)
    assert kinds_of(user) == ["call.ringing", "call.answered", "call.ended"]


@pytest.mark.django_db(transaction=True)
def test_a_call_that_is_being_answered_is_not_closed(user: User) -> None:
    with after():
        ring(user)
    with ThreadPoolExecutor() as threads, after(seconds=300), transaction.atomic():
        change_call(user, "c1", state="answered")
        assert start(threads, close_overdue_calls).result(timeout=10) == 0

    assert get_call(user, "c1").state == "answered"


# --- removing ---


def test_old_calls_are_removed_with_their_events(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "BATCH", 2)
    with after():
        for place in range(5):
            ring(user, f"old-{place}")
    with after(seconds=1):
        ring(user, "new")

    with after(days=90):
        assert remove_old_calls() == 0
    with after(days=90, seconds=1):
        assert remove_old_calls() == 5

    assert [call.call_id for call in list_calls(user)] == ["new"]
    assert CallEvent.objects.count() == 1
    # Who reads on afterwards is where he was.
    with after(days=90, seconds=2):
        ring(user, "next")
    assert [event["number"] for event in list_events(user.pk, 0)] == [6, 7]


@pytest.mark.parametrize(("value", "left"), [("1", 0), ("2", 1), ("0", 1)])
def test_for_how_long_calls_are_kept_is_a_property(user: User, value: str, left: int) -> None:
    set_property(name=CALL_RETENTION, value=value)
    with after():
        ring(user)
    with after(days=1.5):
        remove_old_calls()

    assert Call.objects.count() == left


@pytest.mark.parametrize("value", ["", "-1", "3651", "1.5", "00", "ever"])
def test_another_retention_is_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="from 1 to 3650, or 0"):
        set_property(name=CALL_RETENTION, value=value)


def test_the_clock_of_the_worker_does_both() -> None:
    scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}

    assert {close_task.name, remove_task.name} <= scheduled


# --- what the database holds to ---


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"state": "ended"}, "call_state_follows_from_times"),
        ({"state": "answered"}, "call_state_follows_from_times"),
        ({"ended_at": NOON}, "call_state_follows_from_times"),
        ({"is_missed": True}, "missed_follows_from_times"),
        ({"state": "ended", "ended_at": NOON}, "missed_follows_from_times"),
        ({"state": "answered", "answered_at": NOON - timedelta(seconds=1)}, "call_times_are_in_order"),
        ({"is_end_assumed": True}, "assumed_end_is_an_end"),
        ({"kind": "withheld"}, "withheld_number_is_not_kept"),
        ({"direction": "sideways"}, "call_direction_is_known"),
        ({"call_id": ""}, "call_has_an_id"),
    ],
)
def test_the_database_refuses_a_call_that_contradicts_itself(
    user: User, values: dict[str, object], constraint: str
) -> None:
    with after():
        ring(user)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Call.objects.update(**values)


def test_who_is_not_active_sees_no_call(user: User) -> None:
    Line.objects.create(name="12").users.add(user)
    report_call(make_user("pbx"), call_id="c1", direction="incoming", number="", line="12")
    assert list_calls(user).count() == 1

    user.is_active = False
    user.save()

    assert list_calls(user).count() == 0
    with pytest.raises(NotFound):
        get_call(user, "c1")
