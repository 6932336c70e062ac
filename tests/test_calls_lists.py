"""Lists of calls read what they show, however many calls there are."""

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from cmphone.calls.models import Call, CallRight, Line
from cmphone.calls.selectors import list_calls
from cmphone.contacts.models import User
from tests.make import make_user

pytestmark = pytest.mark.django_db

NOBODYS = "nobody's"

_ADD_CALLS = """
insert into calls_call (call_id, reporter_id, line, direction, number, canonical, kind, started_at, ended_at,
                        answered_at, reported_at, state, is_missed, is_end_assumed)
select 'c' || i, (array[%s, %s, %s])[1 + i %% 3], case i %% 2 when 0 then '12' else '' end,
       case i %% 5 when 0 then 'outgoing' else 'incoming' end, '0' || n, '49' || n, 'public', t, t, t, t, 'ended',
       false, false
from (select i, now() - i * interval '1 minute' as t, 2110000000 + i %% 10000 as n from generate_series(1, 30000) i) x
"""


@pytest.fixture
def users() -> list[User]:
    """One of a line, one with a team, and one who may see all; they have made 30,000 calls."""
    agent, chief, administrator = make_user("agent"), make_user("chief"), make_user("root", is_superuser=True)
    Line.objects.create(name="12").users.add(agent)
    team, chiefs = Group.objects.create(name="team"), Group.objects.create(name="chiefs")
    agent.groups.add(team)
    chief.groups.add(chiefs)
    CallRight.objects.create(role=chiefs, seen_role=team)
    users = [agent, chief, administrator]
    with connection.cursor() as cursor:
        cursor.execute(_ADD_CALLS, [user.pk for user in users])
        cursor.execute("analyze calls_call")
    return users


def explain(calls: QuerySet[Call]) -> str:
    """Return how PostgreSQL finds the first page."""
    return calls[:51].explain()


def test_the_calls_of_a_contact_are_found_by_its_numbers(users: list[User]) -> None:
    for user in users:
        for numbers in (["492110000007"], ["492110000007", "492110000008"], ["4930"]):
            assert "call_number_order" in explain(list_calls(user).filter(canonical__in=numbers))


def test_the_calls_of_a_line_are_found_by_the_line(users: list[User]) -> None:
    for user in users:
        for direction in (None, "incoming", "outgoing"):
            assert "call_line_order" in explain(list_calls(user, line=NOBODYS, direction=direction))


def test_the_first_page_of_no_list_reads_all_calls(users: list[User]) -> None:
    for user in users:
        for calls in (
            list_calls(user),
            list_calls(user, whose="own"),
            list_calls(user, missed=False),
            list_calls(user, done=False),
            list_calls(user, direction="outgoing"),
            list_calls(user, line="12"),
        ):
            assert "Seq Scan on calls_call" not in explain(calls)


def test_who_has_no_team_has_no_calls_of_a_team_without_a_look_at_any(users: list[User]) -> None:
    agent, chief, administrator = users
    with CaptureQueriesContext(connection) as captured:
        assert list(list_calls(agent, whose="team")) == []
    # His reach.
    assert len(captured) == 1
    # What the agent reported, and of the administrator's 10,000 the two fifths that came in on the agent's line.
    assert list_calls(chief, whose="team").count() == 10_000 + 4_000
    assert list_calls(administrator, whose="team").count() == 20_000
