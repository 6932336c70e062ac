"""The admin page of sessions: what it shows, and who may end whose."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from cmphone.contacts.models import User
from cmphone.problems import NotAuthenticated
from license.admin import sessions as sessions_admin
from license.models import Session
from license.services import authenticate, claim_seat, end_own_sessions, end_session, release_seat
from tests.make import make_license, make_user

pytestmark = pytest.mark.django_db

LIST = "/admin/license/session/"


@pytest.fixture(autouse=True)
def seats() -> None:
    make_license(100)


@pytest.fixture
def agent() -> User:
    return make_user("agent1")


@pytest.fixture
def staff(client: Client) -> User:
    """Somebody with staff status and without any permission, who is logged in."""
    user = make_user("boss", is_staff=True)
    client.force_login(user)
    return user


@pytest.fixture
def ender(staff: User) -> User:
    """The same with the permissions to see sessions and to end them."""
    permit(staff, "view_session", "end_session")
    return staff


def permit(user: User, *names: str) -> None:
    user.user_permissions.add(*Permission.objects.filter(content_type__app_label="license", codename__in=names))


def make_session(user: User, client_id: str = "PC-1", **values: str) -> Session:
    return claim_seat(user=user, client_id=client_id, **values).session


def let_time_out(session: Session) -> None:
    Session.objects.filter(id=session.id).update(last_seen_at=F("last_seen_at") - timedelta(hours=1))


def read(client: Client, url: str = LIST, **query: str) -> str:
    answer = client.get(url, query)
    assert answer.status_code == 200, answer.headers
    return str(answer.content.decode())


def list_clients(client: Client, **query: str) -> set[str]:
    answer = client.get(LIST, query)
    return {session.client_id for session in answer.context["cl"].result_list}


def read_columns(page: str, client_id: str) -> dict[str, str]:
    """Return the texts of the row of this client, by column."""
    row = next(row for row in re.findall(r"<tr>.*?</tr>", page, re.DOTALL) if client_id in row)
    cells = re.findall(r'<t[dh] class="field-(\w+)[^"]*">(.*?)</t[dh]>', row, re.DOTALL)
    return {name: " ".join(re.sub("<[^>]*>", " ", text).split()) for name, text in cells}


def end_url(session: Session) -> str:
    return f"{LIST}{session.pk}/end/"


def post_action(client: Client, *sessions: Session, **values: str) -> Any:
    selected = [str(session.pk) for session in sessions]
    return client.post(LIST, {"action": "end_sessions", "_selected_action": selected, **values})


def list_messages(client: Client) -> list[str]:
    return [str(message) for message in client.get("/admin/").context["messages"]]


# --- what it shows ---


def test_a_row_tells_who_where_since_when_and_how_it_stands(client: Client, ender: User, agent: User) -> None:
    User.objects.filter(id=agent.pk).update(first_name="Maria", last_name="Anders")
    make_session(agent, "PC-1", workstation="Reception", line="12", client_version="6.18", address="10.0.0.7")
    timed_out = make_session(agent, "PC-2")
    Session.objects.filter(id=timed_out.id).update(
        started_at="2026-01-02T09:00:00Z", last_seen_at="2026-01-02T10:00:30Z"
    )

    page = read(client)

    row = read_columns(page, "PC-1")
    times = [row.pop("start"), row.pop("last_activity")]
    assert [bool(re.fullmatch(r"\d\d:\d\d", time)) for time in times] == [True, True]
    assert row == {
        "who": "agent1 Maria Anders",
        "client_id": "PC-1",
        "client_version": "6.18",
        "workstation": "Reception",
        "line": "12",
        "at_address": "10.0.0.7",
        "state": "active",
        "end": "–",
        "end_button": "End",
    }
    # Nobody has tidied it, and it is over all the same; in the zone of the site.
    row = read_columns(page, "PC-2")
    assert [row[name] for name in ("start", "last_activity", "state", "end", "end_button")] == [
        "2 Jan 2026 10:00",
        "2 Jan 2026 11:00",
        "timed out",
        "2 Jan 2026 11:05",
        "",
    ]
    assert Session.objects.get(id=timed_out.id).ended_at is None


def test_sessions_are_filtered_by_state_and_by_why_they_ended(client: Client, ender: User, agent: User) -> None:
    make_session(agent, "live")
    let_time_out(make_session(agent, "silent"))
    tidied = make_session(agent, "tidied")
    Session.objects.filter(id=tidied.id).update(ended_at=F("last_seen_at"), end_reason="timed-out")
    release_seat(make_session(agent, "left"))
    end_session(make_session(agent, "thrown"))
    end_own_sessions(own := make_user("agent2"))
    make_session(own, "own")
    end_own_sessions(own)

    assert list_clients(client, state="live") == {"live"}
    assert list_clients(client, state="ended") == {"silent", "tidied", "left", "thrown", "own"}
    assert list_clients(client, reason="timed-out") == {"silent", "tidied"}
    assert list_clients(client, reason="logged-out") == {"left"}
    assert list_clients(client, reason="ended-by-administrator") == {"thrown"}
    assert list_clients(client, reason="ended-by-user") == {"own"}
    assert list_clients(client, reason="replaced") == set()
    assert len(list_clients(client, reason="")) == 6


@pytest.mark.parametrize("text", ["agent1", "maria", "anders", "PC-0815", "reception", "line 7", "10.0.0.7"])
def test_a_session_is_found_by_what_one_knows_of_it(client: Client, ender: User, agent: User, text: str) -> None:
    User.objects.filter(id=agent.pk).update(first_name="Maria", last_name="Anders")
    make_session(agent, "PC-0815", workstation="Reception", line="Line 7", address="10.0.0.7")
    make_session(make_user("other"), "PC-1", workstation="Stock", line="Line 8", address="10.0.0.8")

    assert list_clients(client, q=text) == {"PC-0815"}


@pytest.mark.parametrize("column", range(1, 11))
def test_every_column_sorts(client: Client, ender: User, agent: User, column: int) -> None:
    make_session(agent, "PC-1", workstation="A", line="1", client_version="1", address="10.0.0.1")
    end_session(make_session(agent, "PC-2", workstation="B", line="2", client_version="2", address="10.0.0.2"))
    make_session(make_user("agent2"), "PC-3", workstation="C", line="3", client_version="3", address="10.0.0.3")
    Session.objects.filter(client_id="PC-3").update(last_seen_at=F("last_seen_at") + timedelta(seconds=1))

    def first_and_last(direction: str) -> tuple[str, str]:
        rows = client.get(LIST, {"o": f"{direction}{column}"}).context["cl"].result_list
        return rows[0].client_id, rows[2].client_id

    assert first_and_last("") != first_and_last("-")


def test_many_sessions_cost_as_many_statements_as_one(client: Client, ender: User, agent: User) -> None:
    make_session(agent)
    read(client)

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            read(client)
        return len(queries)

    one = count()
    for number in range(40):
        make_session(make_user(f"user{number}"), f"PC-{number}")

    # Who asks (2), his permissions (2) and rights (2), how many there are, the rows, the days there are (2).
    assert (one, count()) == (10, 10)


def test_a_history_that_spans_years_is_narrowed_by_date(client: Client, ender: User, agent: User) -> None:
    make_session(agent, "new")
    Session.objects.filter(id=make_session(agent, "old").id).update(started_at="2020-05-01T00:00Z")

    assert list_clients(client, started_at__year="2020") == {"old"}


# --- ending one ---


def test_the_button_ends_a_session_with_the_next_request_of_its_client(
    client: Client, ender: User, agent: User
) -> None:
    claim = claim_seat(user=agent, client_id="PC-1")
    another = claim_seat(user=agent, client_id="PC-2")
    page = read(client, state="live")
    (url,) = re.findall(rf'formaction="({LIST}{claim.session.pk}/end/[^"]*)"', page)

    answer = client.post(url)

    # Back to the list as it was filtered.
    assert answer.headers["Location"] == f"{LIST}?state=live"
    assert list_messages(client) == ["The session agent1: PC-1 has ended. Its seat is free."]
    with pytest.raises(NotAuthenticated) as caught:
        authenticate(claim.token)
    assert caught.value.members == {"reason": "ended-by-administrator"}
    assert authenticate(another.token)


def test_the_history_names_who_ended_whose_session(client: Client, ender: User, agent: User) -> None:
    session = make_session(agent, "PC-1")

    client.post(end_url(session))
    client.post(end_url(session))

    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_repr, entry.change_message) == (ender, "agent1: PC-1", "Session ended.")
    assert "Session ended." in read(client, f"{LIST}{session.pk}/history/")


def test_the_page_of_a_session_has_the_button_while_it_lives(client: Client, ender: User, agent: User) -> None:
    session = make_session(agent, "PC-1")
    page = reverse("admin:license_session_change", args=[session.pk])
    assert end_url(session) in read(client, page)

    answer = client.post(end_url(session), {"_continue": "1"})

    assert answer.headers["Location"] == page
    assert end_url(session) not in read(client, page)
    assert "ended by an administrator" in read(client, page)


def test_what_is_over_is_not_ended_again(client: Client, ender: User, agent: User) -> None:
    session = make_session(agent, "PC-1")
    release_seat(session)
    silent = make_session(agent, "PC-2")
    let_time_out(silent)
    before = list(Session.objects.order_by("id").values_list())

    client.post(end_url(session))
    client.post(end_url(silent))

    assert list_messages(client) == [
        "The session agent1: PC-1 was over already.",
        "The session agent1: PC-2 was over already.",
    ]
    assert list(Session.objects.order_by("id").values_list()) == before
    assert not LogEntry.objects.exists()


def test_looking_ends_nothing(client: Client, ender: User, agent: User) -> None:
    session = make_session(agent)

    assert client.get(end_url(session)).headers["Location"] == f"{LIST}{session.pk}/change/"
    client.get(LIST, {"action": "end_sessions", "_selected_action": str(session.pk), "confirmed": "yes"})

    assert Session.objects.get().ended_at is None


@pytest.mark.parametrize("number", [0, 10**30])
def test_there_is_nothing_to_end_where_there_is_no_session(client: Client, ender: User, number: int) -> None:
    assert client.post(f"{LIST}{number}/end/").status_code == 404


# --- ending many ---


def test_the_action_names_whom_it_logs_out_and_then_does_so(client: Client, ender: User, agent: User) -> None:
    User.objects.filter(id=agent.pk).update(first_name="Maria", last_name="Anders")
    sessions = [make_session(agent, f"PC-{number}") for number in range(3)]
    gone = make_session(agent, "PC-gone")
    release_seat(gone)

    question = post_action(client, *sessions[:2], gone).content.decode()

    assert [name in question for name in ("PC-0", "PC-1", "PC-2", "PC-gone")] == [True, True, False, False]
    assert "Maria Anders" in question
    assert "1 other that was selected is over already." in question
    assert Session.objects.filter(ended_at=None).count() == 3

    assert post_action(client, *sessions[:2], gone, confirmed="yes").status_code == 302
    assert list_messages(client) == ["2 sessions ended. Their seats are free."]
    assert list(Session.objects.filter(ended_at=None)) == [sessions[2]]
    assert Session.objects.get(id=gone.id).end_reason == "logged-out"
    assert sorted(LogEntry.objects.values_list("object_repr", "user__username")) == [
        ("agent1: PC-0", "boss"),
        ("agent1: PC-1", "boss"),
    ]


def test_the_action_asks_nothing_where_all_is_over(client: Client, ender: User, agent: User) -> None:
    session = make_session(agent)
    let_time_out(session)

    assert post_action(client, session).status_code == 302

    assert list_messages(client) == ["No session was ended: those selected were over already."]


def test_too_many_at_once_are_refused_before_they_are_named(
    client: Client, ender: User, agent: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_admin, "SELECT_AT_MOST", 2)
    sessions = [make_session(agent, f"PC-{number}") for number in range(3)]

    for values in ({}, {"confirmed": "yes"}):
        post_action(client, *sessions, **values)
        assert list_messages(client) == [
            "No session was ended. Select at most 2 at once: filter by the state “active”."
        ]
    assert Session.objects.filter(ended_at=None).count() == 3


# --- the wrong people ---


def test_who_may_only_view_sees_no_button_and_ends_nothing(client: Client, staff: User, agent: User) -> None:
    permit(staff, "view_session")
    session = make_session(agent)

    page = read(client) + read(client, f"{LIST}{session.pk}/change/")
    assert "formaction" not in page
    assert "end_sessions" not in page

    assert client.post(end_url(session)).status_code == 403
    post_action(client, session, confirmed="yes")
    assert Session.objects.get().ended_at is None


def test_who_may_not_view_ends_nothing_either(client: Client, staff: User, agent: User) -> None:
    permit(staff, "end_session")
    session = make_session(agent)

    assert client.get(LIST).status_code == 403
    assert client.post(end_url(session)).status_code == 403
    assert post_action(client, session, confirmed="yes").status_code == 403
    assert Session.objects.get().ended_at is None


def test_agents_and_strangers_end_nothing_there(client: Client, agent: User) -> None:
    session = make_session(agent)
    for user in (None, agent):
        if user is not None:
            client.force_login(user)
        for url in (end_url(session), LIST):
            answer = client.post(url, {"action": "end_sessions", "_selected_action": session.pk, "confirmed": "yes"})
            assert answer.headers["Location"].startswith("/admin/login/")
    assert Session.objects.get().ended_at is None


def test_a_form_from_elsewhere_ends_nothing(ender: User, agent: User) -> None:
    session = make_session(agent)
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(ender)

    assert browser.post(end_url(session)).status_code == 403
    assert Session.objects.get().ended_at is None


def test_a_session_alone_is_never_deleted(client: Client, agent: User) -> None:
    session = make_session(agent)
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    for send in (client.get, client.post):
        assert send(f"{LIST}{session.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Session.objects.exists()
