"""A call is described once for all listeners who may see the same, and for nobody who may not."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cmphone.calls.models import Call, CallRight, Line
from cmphone.calls.rows import list_seen
from cmphone.calls.selectors import list_calls
from cmphone.calls.services import change_call, report_call
from cmphone.contacts.callers import look_up_for_each
from cmphone.contacts.models import CustomerGroup, CustomerGroupRight, User
from cmphone.streams import hub
from cmphone.streams.hub import Hub
from cmphone.streams.selectors import Reader, describe_calls
from tests.make import give_rights, log_in, make_customer_group, make_person, make_queue, make_user

pytestmark = pytest.mark.django_db

NUMBER = "0021133990312"
SITE = "http://testserver"


@pytest.fixture
def group() -> CustomerGroup:
    group = make_customer_group()
    make_person(group, phone="0211 33990312")
    return group


@pytest.fixture
def line() -> Line:
    return Line.objects.create(name="12")


@pytest.fixture
def agents(group: CustomerGroup, line: Line) -> list[User]:
    """Three of the line, who may see the same."""
    agents = [make_user(f"agent{number}") for number in (1, 2, 3)]
    role = give_rights(agents[0], group)
    for agent in agents:
        agent.groups.add(role)
    line.users.set(agents)
    return agents


def ring(
    user: User, call_id: str = "c1", *, line: str = "12", number: str = NUMBER, direction: str = "incoming"
) -> int:
    call = report_call(user, call_id=call_id, direction=direction, number=number, line=line)
    return int(call.pk)


def tell(users: Collection[User], *calls: int, base_url: str = SITE) -> list[Any]:
    """Return what the users are told of the calls: of each his calls by their ids."""
    told = describe_calls({Reader(user.pk, base_url): set(calls) for user in users})
    return [told[Reader(user.pk, base_url)] for user in users]


def names(told: Mapping[int, Any]) -> list[str]:
    return [contact["name"] for call in told.values() for contact in call["lookup"]["contacts"]]


def changing_after(statement: str, change: Callable[[], object]) -> Any:
    """Have the change come right after the first statement with this in it, as if another process had made it."""
    is_due = True

    def run(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal is_due
        result = execute(sql, params, many, context)
        if is_due and statement in sql:
            is_due = False
            rows = context["cursor"].fetchall()
            change()
            execute(sql, params, many, context)
            assert context["cursor"].fetchall() != rows
            # What the process had read before.
            context["cursor"].fetchall = lambda: rows
        return result

    return connection.execute_wrapper(run)


# --- whose call is whose ---


def test_calls_are_seen_by_the_same_rules_as_in_lists(line: Line) -> None:
    agent, colleague, chief, stranger, gone = (make_user(each) for each in ("a", "b", "chief", "stranger", "gone"))
    outside = make_user("outside")
    line.users.add(colleague)
    other_line = Line.objects.create(name="13")
    other_line.users.add(outside)
    team, chiefs, far_team, far_chiefs = (Group.objects.create(name=name) for name in ("t", "c", "ft", "fc"))
    colleague.groups.add(team)
    chief.groups.add(chiefs)
    outside.groups.add(far_team)
    CallRight.objects.create(role=chiefs, seen_role=team)
    CallRight.objects.create(role=far_chiefs, seen_role=far_team)
    far_chief = make_user("far-chief")
    far_chief.groups.add(far_chiefs)
    administrator = make_user("root", is_superuser=True)
    retired = make_user("retired", is_active=False, is_superuser=True)
    calls = [
        ring(reporter, f"{reporter.username}-{name}-{direction}", line=name, direction=direction)
        for reporter in (agent, colleague, outside, gone, retired)
        for name in ("", "12", "13", "14")
        for direction in ("incoming", "outgoing")
    ]
    gone.delete()
    users = [agent, colleague, chief, far_chief, stranger, outside, administrator, retired]

    seen = list_seen({user.pk: calls for user in users})

    by_rule = {user.pk: {(call.pk, call.is_own) for call in list_calls(user)} for user in users}
    assert {user.pk: {(call.pk, call.is_own) for call in seen[user.pk]} for user in users} == by_rule
    assert [len(by_rule[user.pk]) for user in users] == [8, 12, 12, 12, 0, 12, 40, 0]


def test_only_calls_that_were_asked_for_are_told(agents: list[User]) -> None:
    first, second = ring(agents[0], "first"), ring(agents[0], "second")
    told = describe_calls({Reader(agents[0].pk, SITE): {first}, Reader(agents[1].pk, SITE): {second}})
    assert [list(calls) for calls in told.values()] == [[first], [second]]


def test_a_user_who_is_not_there_any_more_is_told_nothing(agents: list[User]) -> None:
    call = ring(agents[0])
    assert describe_calls({Reader(0, SITE): {call}, Reader(agents[0].pk, SITE): {0}}) == {
        Reader(0, SITE): {},
        Reader(agents[0].pk, SITE): {},
    }


# --- what they are told ---


def test_everybody_is_told_what_the_api_answers_him(client: Client, agents: list[User], group: CustomerGroup) -> None:
    german, creator, blind, caser = (make_user(name, language=language) for name, language in (
        ("german", "de"), ("creator", "en"), ("blind", "en"), ("caser", "en")
    ))  # fmt: skip
    for user in (german, creator, caser):
        give_rights(user, group, create=user == creator)
    make_queue("support", [group], give_rights(caser, group))
    chief, chiefs, team = make_user("chief"), Group.objects.create(name="chiefs"), Group.objects.create(name="team")
    CallRight.objects.create(role=chiefs, seen_role=team)
    agents[0].groups.add(team)
    chief.groups.add(chiefs, *agents[1].groups.all())
    Line.objects.get().users.add(german, creator, blind, caser)
    users = [*agents, german, creator, blind, caser, chief]
    calls = [ring(agents[0], "c1"), ring(agents[0], "c2", number="+49 30 1234567"), ring(agents[0], "c3", number="")]
    change_call(agents[1], "c1", state="ended")
    change_call(agents[1], "c1", done=True)

    told = tell(users, *calls)

    for user, his in zip(users, told, strict=True):
        answers = [
            client.get(f"/api/v1/calls/{call_id}", headers=log_in(user, f"client-{user.pk}")).json()
            for call_id in ("c1", "c2", "c3")
        ]
        assert [his[call] for call in calls] == answers, user
    # Else it would all be one answer.
    assert len({str(his) for his in told}) == 6


@pytest.mark.django_db(transaction=True)
def test_ten_of_a_line_take_as_many_statements_as_one(agents: list[User], line: Line) -> None:
    call = ring(agents[0])
    for number in range(7):
        agent = make_user(f"more-{number}")
        agent.groups.set(agents[0].groups.all())
        line.users.add(agent)
    tell(agents, call)

    def count(users: list[User]) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert all(names(his) == ["Maria Anders"] for his in tell(users, call))
        return len(captured)

    assert count(agents[:1]) == count(list(User.objects.all())) == 3


def test_links_begin_with_the_address_that_each_listener_knows(agents: list[User]) -> None:
    call = ring(agents[0])
    inside, outside = Reader(agents[0].pk, "http://inside"), Reader(agents[0].pk, "https://outside.example.com")
    told = describe_calls({inside: {call}, outside: {call}})
    urls = [told[reader][call]["lookup"]["contacts"][0]["url"] for reader in (inside, outside)]  # type: ignore[index]
    assert [url.partition("/contacts/")[0] for url in urls] == ["http://inside", "https://outside.example.com"]


# --- what changes between two events ---


def test_a_right_that_was_taken_away_counts_from_the_next_event_on(agents: list[User]) -> None:
    call = ring(agents[0])
    assert [names(his) for his in tell(agents, call)] == [["Maria Anders"]] * 3
    agents[1].groups.clear()
    assert [names(his) for his in tell(agents, call)] == [["Maria Anders"], [], ["Maria Anders"]]
    CustomerGroupRight.objects.update(can_view=False)
    assert [names(his) for his in tell(agents, call)] == [[], [], []]


def test_who_left_the_line_is_told_no_more(agents: list[User], line: Line) -> None:
    call = ring(agents[0])
    line.users.remove(agents[1])
    assert [list(his) for his in tell(agents, call)] == [[call], [], [call]]


def test_who_is_not_active_any_more_is_told_no_more(agents: list[User]) -> None:
    call = ring(agents[0])
    User.objects.filter(pk=agents[1].pk).update(is_active=False)
    assert [list(his) for his in tell(agents, call)] == [[call], [], [call]]


def test_another_language_counts_from_the_next_event_on(agents: list[User]) -> None:
    call = ring(agents[0], number="+49 89 1234567")

    def list_places() -> list[str]:
        return [his[call]["number"]["place"] for his in tell(agents, call)]

    assert list_places() == ["Munich", "Munich", "Munich"]
    User.objects.filter(pk=agents[1].pk).update(language="de")
    assert list_places() == ["Munich", "München", "Munich"]


# --- what changes while they are told ---


def test_nobody_is_told_by_the_rights_that_another_one_was_just_given(agents: list[User], line: Line) -> None:
    first, second, _third = agents
    other = make_customer_group("other")
    make_person(other, "Berglund", phone="0211 33990312")

    with changing_after("array_agg", lambda: [give_rights(agent, other) for agent in (first, second)]):
        told = look_up_for_each({agent.pk: {NUMBER} for agent in agents})

    found = [{hit.name_details for hit in told[agent.pk].find(NUMBER).found.hits} for agent in agents]
    assert found == [{"Maria Anders", "Maria Berglund"}, {"Maria Anders", "Maria Berglund"}, {"Maria Anders"}]


def test_who_asked_for_all_and_may_not_any_more_keeps_nothing_from_the_others(agents: list[User]) -> None:
    with changing_after("array_agg", lambda: User.objects.filter(pk=agents[0].pk).update(is_active=False)):
        told = look_up_for_each({agent.pk: {NUMBER} for agent in agents})
    assert sorted(told) == [agents[1].pk, agents[2].pk]


def test_a_call_that_cannot_be_described_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = Reader(1, SITE), Reader(2, SITE)

    def describe(wanted: Mapping[Reader, Collection[int]]) -> dict[Reader, dict[int, dict[str, object]]]:
        if bad in wanted:
            raise ZeroDivisionError
        return {reader: {call: {"call_id": str(call)} for call in calls} for reader, calls in wanted.items()}

    monkeypatch.setattr(hub, "describe_calls", describe)

    async def ask() -> Any:
        return await Hub()._describe({good: {7}, bad: {7}})

    assert asyncio.run(ask()) == {good: {7: {"call_id": "7"}}, bad: {7: None}}


# --- the row of a call ---


def test_a_call_that_is_read_for_its_reporter_tells_who_has_done_what(agents: list[User]) -> None:
    ring(agents[0])
    change_call(agents[1], "c1", state="ended")
    change_call(agents[1], "c1", done=True)

    call = change_call(agents[0], "c1", state="answered")

    with CaptureQueriesContext(connection) as captured:
        assert (call.reporter, call.done_by, call.called_back_by) == (agents[0], agents[1], None)
        assert call.done_by is not None
        assert call.done_by.display_name == "agent2"
    assert len(captured) == 0
    known = Call.objects.get()
    assert (known.state, known.is_missed, known.done_by) == ("ended", False, agents[1])
