"""The profile: what everybody sees and changes of his own, and nobody of another's."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cmphone.contacts.models import User
from cmphone.problems import NotAuthenticated, NotFound
from license.models import Session
from license.services import (
    Claim,
    authenticate,
    claim_seat,
    end_own_session,
    end_own_sessions,
    end_session,
    release_seat,
)
from tests.make import PASSWORD, make_license, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def seats() -> None:
    make_license(100)


@pytest.fixture
def agent(client: Client) -> User:
    """Somebody without any right, who is logged in."""
    user = make_user("agent1", password=PASSWORD)
    client.force_login(user)
    return user


@pytest.fixture
def other() -> User:
    return make_user("agent2")


def take_seat(user: User, client_id: str = "PC-1", **values: str) -> Claim:
    return claim_seat(user=user, client_id=client_id, **values)


def let_time_out(session: Session) -> None:
    Session.objects.filter(id=session.id).update(last_seen_at=F("last_seen_at") - timedelta(hours=1))


def read(client: Client, **headers: str) -> str:
    answer = client.get("/profile/", headers=headers)
    assert answer.status_code == 200
    return str(answer.content.decode())


def list_rows(client: Client) -> list[str]:
    """Return the text of each row of the table of sessions."""
    (body,) = re.findall(r"<tbody>(.*)</tbody>", read(client), re.DOTALL)
    rows = re.findall(r"<tr.*?</tr>", body, re.DOTALL)
    return [" ".join(re.sub("<[^>]*>", " ", row).split()) for row in rows]


def end_url(session: Session) -> str:
    return f"/profile/sessions/{session.pk}/end/"


def told(answer: Any) -> list[str]:
    """Return what the user is told on the page that he comes to."""
    assert answer.redirect_chain == [("/profile/", 302)]
    return [str(message) for message in answer.context["messages"]]


def reason_of(claim: Claim) -> object:
    """Return why the token of this claim is dead."""
    with pytest.raises(NotAuthenticated) as caught:
        authenticate(claim.token)
    return caught.value.members["reason"]


# --- who he is ---


def test_it_says_who_one_is_and_leads_only_staff_to_the_administration(client: Client, agent: User) -> None:
    User.objects.filter(id=agent.pk).update(first_name="Maria", last_name="Anders")
    page = read(client)
    assert ("Maria Anders" in page, "agent1" in page, "/admin/" in page) == (True, True, False)

    User.objects.filter(id=agent.pk).update(is_staff=True)
    assert '<a href="/admin/">' in read(client)


def test_it_speaks_the_users_language_which_he_may_change(client: Client, agent: User) -> None:
    assert '<html lang="en">' in read(client, accept_language="de")

    client.post("/profile/", {"language": "de"})

    agent.refresh_from_db()
    assert agent.language == "de"
    assert '<html lang="de">' in read(client, accept_language="en")


@pytest.mark.parametrize("language", ["fr", "", "de\x00"])
def test_a_language_that_is_not_offered_changes_nothing(client: Client, agent: User, language: str) -> None:
    answer = client.post("/profile/", {"language": language, "is_staff": "on", "is_superuser": "on"})

    assert list(answer.context["form"].errors) == ["language"]
    agent.refresh_from_db()
    assert (agent.language, agent.is_staff, agent.is_superuser) == ("en", False, False)


def test_nothing_but_the_language_is_written(client: Client, agent: User) -> None:
    client.post("/profile/", {"language": "de", "is_staff": "on", "is_superuser": "on", "username": "root"})

    agent.refresh_from_db()
    assert (agent.language, agent.is_staff, agent.is_superuser, agent.username) == ("de", False, False, "agent1")


# --- the password ---


def change_password(client: Client, old: str, new: str) -> Any:
    form = {"old_password": old, "new_password1": new, "new_password2": new}
    return client.post("/profile/password/", form, follow=True)


def test_the_password_is_changed_and_other_browsers_are_logged_out(client: Client, agent: User) -> None:
    elsewhere = Client()
    elsewhere.force_login(agent)

    answer = change_password(client, PASSWORD, "a new and long one")

    assert told(answer) == ["Your password is changed. Other browsers are logged out."]
    assert Client().login(username="agent1", password="a new and long one")
    assert client.get("/profile/").status_code == 200
    assert elsewhere.get("/profile/").headers["Location"] == "/login/?next=/profile/"


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("wrong", "a new and long one", "old_password"),
        (PASSWORD, "short", "new_password2"),
        (PASSWORD, "agent123", "new_password2"),
    ],
)
def test_a_bad_password_is_refused(client: Client, agent: User, old: str, new: str, field: str) -> None:
    answer = change_password(client, old, new)

    assert list(answer.context["form"].errors) == [field]
    agent.refresh_from_db()
    assert agent.check_password(PASSWORD)


# --- his sessions ---


def test_it_shows_ones_own_sessions_and_nobody_elses(client: Client, agent: User, other: User) -> None:
    take_seat(agent, "PC-1", workstation="Reception", line="Line 12", client_version="6.18", address="10.0.0.7")
    Session.objects.update(started_at="2026-01-02T09:00Z")
    release_seat(take_seat(agent, "PC-2").session)
    let_time_out(take_seat(agent, "PC-3").session)
    take_seat(other, "PC-other", workstation="Secret")

    live, silent, left = sorted(list_rows(client), key=lambda row: ("PC-2" in row, "PC-3" in row))

    seen = Session.objects.get(client_id="PC-1").last_seen_at
    assert live.startswith("Reception PC-1 Line 12 6.18 2 Jan 2026 10:00 ")
    assert f"{seen.day} {seen:%b %Y}" in live
    assert live.endswith(" 10.0.0.7 active End")
    assert silent.startswith("PC-3 ")
    assert silent.endswith(" timed out")
    assert left.endswith(" logged out")
    assert "Secret" not in read(client)


def test_living_sessions_stand_first_and_of_the_others_the_last(client: Client, agent: User) -> None:
    take_seat(agent, "PC-live")
    for number in range(35):
        release_seat(take_seat(agent, f"PC-{number}").session)

    rows = list_rows(client)

    assert [row.split()[0] for row in rows] == ["PC-live", *(f"PC-{number}" for number in range(34, 5, -1))]


def test_many_sessions_cost_as_many_statements_as_one(client: Client, agent: User) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            read(client)
        return len(queries)

    take_seat(agent, "PC")
    one = count()
    for number in range(20):
        take_seat(agent, f"PC-{number}")

    # The session of the browser, the user, the client's installers, his sessions.
    assert (one, count()) == (4, 4)


def test_one_session_is_ended_and_its_client_learns_that_the_user_did_it(client: Client, agent: User) -> None:
    ended, kept = take_seat(agent, "PC-1"), take_seat(agent, "PC-2")

    answer = client.post(end_url(ended.session), follow=True)

    assert told(answer) == ["The session has ended. Its client is logged out."]
    assert reason_of(ended) == "ended-by-user"
    assert authenticate(kept.token)
    told_client = client.put("/api/v1/sessions/current", headers={"Authorization": f"Bearer {ended.token}"})
    assert (told_client.status_code, told_client.json()["reason"]) == (401, "ended-by-user")
    assert told_client.json()["detail"] == "The user ended this session in the profile."


def test_the_other_sessions_are_ended_and_the_browser_stays(client: Client, agent: User, other: User) -> None:
    mine = [take_seat(agent, "PC-1"), take_seat(agent, "PC-2")]
    another = take_seat(other)
    silent = take_seat(agent, "PC-3")
    let_time_out(silent.session)

    answer = client.post("/profile/sessions/end/", follow=True)

    assert told(answer) == ["2 sessions have ended."]
    assert [reason_of(claim) for claim in mine] == ["ended-by-user", "ended-by-user"]
    assert reason_of(silent) == "timed-out"
    assert authenticate(another.token)
    assert "/profile/sessions/end/" not in read(client)


def test_where_none_lives_there_is_nothing_to_end(client: Client, agent: User) -> None:
    claim = take_seat(agent)
    end_session(claim.session)

    assert told(client.post(end_url(claim.session), follow=True)) == ["This session was over already."]
    assert told(client.post("/profile/sessions/end/", follow=True)) == ["You have no other session."]
    assert reason_of(claim) == "ended-by-administrator"


# --- the wrong people ---


def test_the_session_of_another_does_not_exist_for_him(client: Client, agent: User, other: User) -> None:
    theirs = take_seat(other)

    hidden = client.post(end_url(theirs.session))
    missing = client.post("/profile/sessions/999999999/end/")
    impossible = client.post(f"/profile/sessions/{10**30}/end/")

    bodies = [{**answer.json(), "request_id": ""} for answer in (hidden, missing, impossible)]
    assert [body["status"] for body in bodies] == [404, 404, 404]
    assert bodies[0] == bodies[1] == bodies[2]
    assert authenticate(theirs.token)


def test_not_even_an_administrator_ends_anothers_session_by_way_of_his_profile(client: Client, other: User) -> None:
    client.force_login(make_user("admin", is_staff=True, is_superuser=True))
    theirs = take_seat(other)

    assert client.post(end_url(theirs.session)).status_code == 404
    assert told(client.post("/profile/sessions/end/", follow=True)) == ["You have no other session."]
    assert authenticate(theirs.token)


@pytest.mark.parametrize("is_active", [True, False])
def test_who_is_not_logged_in_sees_and_ends_nothing(client: Client, is_active: bool) -> None:
    user = make_user("agent3", is_active=is_active)
    if not is_active:
        client.force_login(user)
    session = take_seat(user).session

    for url in ("/profile/", "/profile/password/"):
        assert client.get(url).headers["Location"] == f"/login/?next={url}"
    for url in (end_url(session), "/profile/sessions/end/", "/profile/", "/profile/password/"):
        # What is sent there cannot be sent again by a log-in.
        assert client.post(url, {"language": "de"}).headers["Location"] == "/login/?next=/profile/"
    assert Session.objects.get().ended_at is None
    assert User.objects.get().language == "en"


def test_looking_ends_nothing(client: Client, agent: User) -> None:
    session = take_seat(agent).session

    for url in (end_url(session), "/profile/sessions/end/"):
        assert client.get(url).status_code == 405

    assert Session.objects.get().ended_at is None


def test_a_form_from_elsewhere_changes_nothing(agent: User) -> None:
    session = take_seat(agent).session
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(agent)

    for url in (end_url(session), "/profile/sessions/end/", "/profile/", "/profile/password/"):
        assert browser.post(url, {"language": "de"}).status_code == 403

    assert Session.objects.get().ended_at is None
    assert User.objects.get().language == "en"


def test_the_services_know_whose_session_it_is(agent: User, other: User) -> None:
    theirs, mine = take_seat(other).session, take_seat(agent).session

    with pytest.raises(NotFound):
        end_own_session(user=agent, session_id=theirs.pk)
    assert end_own_session(user=agent, session_id=mine.pk) is True
    assert end_own_session(user=agent, session_id=mine.pk) is False
    assert end_own_sessions(agent) == 0
    assert Session.objects.get(ended_at=None) == theirs
