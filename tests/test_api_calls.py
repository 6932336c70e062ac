"""Calls through the API: reported, answered, missed, seen to and called back, by whom they concern."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
import time_machine
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cmphone.access.models import Scope
from cmphone.access.services import create_api_key
from cmphone.calls.models import Call, CallRight, Line
from cmphone.contacts.models import User
from license.services import claim_seat
from tests.make import give_rights, log_in, make_company, make_customer_group, make_license, make_person, make_user

pytestmark = pytest.mark.django_db

URL = "/api/v1/calls"
NUMBER = "0021133990312"
NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture
def user() -> User:
    return make_user("agent1")


@pytest.fixture
def headers(user: User) -> dict[str, str]:
    return log_in(user)


@pytest.fixture
def other() -> User:
    return make_user("agent2")


@pytest.fixture
def others(other: User) -> dict[str, str]:
    return log_in(other)


def report(client: Client, headers: dict[str, str], call_id: str = "c1", **values: object) -> Any:
    body = {"call_id": call_id, "direction": "incoming", "number": NUMBER, **values}
    return client.post(URL, body, content_type="application/json", headers=headers)


def change(client: Client, headers: dict[str, str], call_id: str = "c1", **values: object) -> Any:
    return client.patch(f"{URL}/{call_id}", values, content_type="application/json", headers=headers)


def call_back(client: Client, headers: dict[str, str], call_id: str = "c1") -> Any:
    return client.post(f"{URL}/{call_id}/callback", headers=headers)


def read(client: Client, headers: dict[str, str], call_id: str = "c1") -> Any:
    return client.get(f"{URL}/{call_id}", headers=headers)


def list_ids(client: Client, headers: dict[str, str], **parameters: str | int) -> list[str]:
    answer = client.get(URL, parameters, headers=headers)
    assert answer.status_code == 200, answer.content
    return [call["call_id"] for call in answer.json()["results"]]


def list_errors(answer: Any) -> list[tuple[str, str]]:
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (400, "invalid-request"), answer.content
    return [(error["pointer"], error["code"]) for error in answer.json()["errors"]]


def key_of(user: User, *scopes: str) -> dict[str, str]:
    _, secret = create_api_key(name="pbx", user=user, scopes=scopes)
    return {"Authorization": f"Api-Key {secret}"}


# --- reporting ---


@time_machine.travel(NOON, tick=False)
def test_a_call_is_answered_with_who_it_is_and_the_popup_that_fits(
    client: Client, user: User, headers: dict[str, str]
) -> None:
    group = make_customer_group()
    give_rights(user, group)
    make_person(group, company=make_company(group), phone="0211 33990312")

    answer = report(client, headers, line="12", started_at="2026-03-31T13:59:58.7+02:00")

    looked_up = client.get("/api/v1/lookup", {"number": NUMBER}, headers=headers).json()
    assert answer.status_code == 201
    assert answer.json() == {
        "call_id": "c1",
        "direction": "incoming",
        "state": "ringing",
        "missed": False,
        "done": False,
        "line": "12",
        "number": looked_up["number"],
        "started_at": "2026-03-31T11:59:58Z",
        "answered_at": None,
        "ended_at": None,
        "end_assumed": False,
        "lookup": looked_up,
        "popup": "match.html",
        "call_back": "phone:0021133990312",
        "reported_by": {"id": str(user.pk), "display_name": "agent1"},
        "done_at": None,
        "done_by": None,
        "called_back_at": None,
        "called_back_by": None,
        "sort_key": f"20260331115958700000{Call.objects.get().pk:011}",
        "can_change": True,
    }
    assert [contact["name"] for contact in looked_up["contacts"]] == ["Maria Anders (Alfreds Futterkiste)"]
    assert read(client, headers).json() == answer.json()
    assert client.get(URL, headers=headers).json() == {"results": [answer.json()], "next": None}


def test_a_call_of_which_nothing_more_is_said_comes_in_now_on_the_line_of_the_session(
    client: Client, user: User
) -> None:
    make_license()
    token = claim_seat(user=user, client_id="c", line="12").token
    with time_machine.travel(NOON, tick=False):
        Call.objects.all().delete()
        body = {"call_id": "c1", "number": NUMBER}
        key = key_of(user, "calls")
        told = client.post(URL, body, content_type="application/json", headers=key).json()
    assert (told["direction"], told["line"], told["started_at"]) == ("incoming", "", "2026-03-31T12:00:00Z")

    of_session = client.post(
        URL,
        {"call_id": "c2", "number": NUMBER},
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert of_session.json()["line"] == "12"


def test_a_call_that_is_reported_again_stays_as_it_is(client: Client, headers: dict[str, str]) -> None:
    first = report(client, headers, line="12")
    change(client, headers, state="answered")
    before = read(client, headers).json()

    again = report(client, headers, number="0211999", line="13", direction="outgoing")

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == before
    assert Call.objects.count() == 1


def test_a_number_or_line_that_is_known_only_after_the_first_ring_is_added(
    client: Client, headers: dict[str, str]
) -> None:
    assert report(client, headers, number="", line="").json()["popup"] == "withheld.html"

    again = report(client, headers, line="12").json()

    assert (again["number"]["canonical"], again["line"], again["popup"]) == ("4921133990312", "12", "nomatch.html")
    withheld = report(client, headers, number="").json()
    assert (withheld["number"]["canonical"], withheld["line"]) == ("4921133990312", "12")


@pytest.mark.parametrize("number", ["", " ", "anonymous", "Unknown", "sip:anonymous@anonymous.invalid"])
def test_of_a_withheld_caller_nothing_is_kept(client: Client, headers: dict[str, str], number: str) -> None:
    answer = report(client, headers, number=number).json()

    call = Call.objects.get()
    assert (call.number, call.canonical, call.kind) == ("", "", "withheld")
    assert (answer["lookup"]["match"], answer["popup"], answer["call_back"]) == ("withheld", "withheld.html", None)
    assert answer["number"] == {
        "raw": "",
        "canonical": None,
        "e164": None,
        "display": "",
        "tapi": "",
        "kind": "withheld",
        "place": None,
        "country": None,
    }


def test_a_number_is_kept_as_it_was_presented(client: Client, headers: dict[str, str]) -> None:
    report(client, headers, "public")
    report(client, headers, "inside", number="12")
    report(client, headers, "garbage", number="x" * 500)

    kept = {call.call_id: (call.number, call.canonical, call.kind) for call in Call.objects.all()}
    assert kept == {
        "public": (NUMBER, "4921133990312", "public"),
        "inside": ("12", "12", "internal"),
        "garbage": ("x" * 500, "", "unreadable"),
    }


@pytest.mark.parametrize(
    ("values", "errors"),
    [
        ({"call_id": ""}, [("#/call_id", "blank")]),
        ({"call_id": "a b"}, [("#/call_id", "invalid")]),
        ({"call_id": "ä"}, [("#/call_id", "invalid")]),
        ({"call_id": "x" * 201}, [("#/call_id", "max_length")]),
        ({"number": None}, [("#/number", "null")]),
        ({"number": 21133990312}, [("#/number", "invalid")]),
        ({"number": "1" * 501}, [("#/number", "max_length")]),
        ({"number": "1\0"}, [("#/number", "null_characters_not_allowed")]),
        ({"line": "\ud800"}, [("#/line", "surrogate_characters_not_allowed")]),
        ({"line": "x" * 201}, [("#/line", "max_length")]),
        ({"direction": "sideways"}, [("#/direction", "invalid_choice")]),
        ({"started_at": "2026-03-31T12:00:00"}, [("#/started_at", "no_offset")]),
        ({"started_at": "yesterday"}, [("#/started_at", "invalid")]),
    ],
)
def test_what_is_wrong_with_a_report_is_told_and_nothing_kept(
    client: Client, headers: dict[str, str], values: dict[str, Any], errors: list[tuple[str, str]]
) -> None:
    assert list_errors(report(client, headers, **{"call_id": "c1", **values})) == errors
    assert not Call.objects.exists()


@pytest.mark.parametrize("call_id", ["{6F9619FF-8B86}", "3848276298220188511@10.0.0.1/2", "a%2Fb?c#d", "callback"])
def test_a_call_id_may_be_any_printable_text(client: Client, headers: dict[str, str], call_id: str) -> None:
    assert report(client, headers, call_id).status_code == 201
    assert read(client, headers, quote(call_id, safe="")).json()["call_id"] == call_id
    assert call_back(client, headers, quote(call_id, safe="")).status_code == 200


@time_machine.travel(NOON, tick=False)
def test_what_a_wrong_clock_says_is_not_believed(client: Client, headers: dict[str, str]) -> None:
    for call_id, said, taken in (
        ("a", "2026-03-31T12:04:00Z", "2026-03-31T12:00:00Z"),
        ("b", "2026-03-31T11:56:00Z", "2026-03-31T11:56:00Z"),
        ("c", "1970-01-01T00:00:00Z", "2026-03-31T12:00:00Z"),
        ("d", None, "2026-03-31T12:00:00Z"),
    ):
        assert report(client, headers, call_id, started_at=said).json()["started_at"] == taken
    assert set(Call.objects.values_list("reported_at", flat=True)) == {NOON}


@pytest.mark.django_db(transaction=True)
def test_a_call_that_rings_takes_four_statements(client: Client, user: User, headers: dict[str, str]) -> None:
    group = make_customer_group()
    give_rights(user, group)
    make_person(group, phone="0211 33990312")
    line = Line.objects.create(name="12")
    line.users.add(user, make_user("agent3"))
    # Loads the configuration.
    report(client, headers, "first")

    with CaptureQueriesContext(connection) as captured:
        assert report(client, headers, line="12").status_code == 201

    statements = [each["sql"] for each in captured if each["sql"] not in {"BEGIN", "COMMIT"}]
    assert len(statements) == 4, statements


# --- answered, ended, missed ---


@time_machine.travel(NOON, tick=False)
def test_a_call_is_answered_and_ends(client: Client, headers: dict[str, str]) -> None:
    report(client, headers)

    answered = change(client, headers, state="answered", at="2026-03-31T13:00:05+01:00")
    ended = change(client, headers, state="ended")

    assert (answered.status_code, answered.json()["state"]) == (200, "answered")
    # Later than now, by a clock that is ahead.
    assert answered.json()["answered_at"] == "2026-03-31T12:00:00Z"
    told = ended.json()
    assert (told["state"], told["ended_at"], told["missed"]) == ("ended", "2026-03-31T12:00:00Z", False)
    assert told["popup"] == "nomatch.html"


def test_a_call_that_ends_unanswered_is_missed_if_it_came_in(client: Client, headers: dict[str, str]) -> None:
    report(client, headers, "in")
    report(client, headers, "out", direction="outgoing")

    missed = change(client, headers, "in", state="ended").json()
    given_up = change(client, headers, "out", state="ended").json()

    assert (missed["missed"], missed["popup"]) == (True, "missed.html")
    assert (given_up["missed"], given_up["popup"]) == (False, "nomatch.html")
    assert list_ids(client, headers, missed="true") == ["in"]


def test_a_missed_call_that_was_answered_after_all_is_no_missed_one(client: Client, headers: dict[str, str]) -> None:
    now = datetime.now(UTC)
    report(client, headers, started_at=now - timedelta(seconds=60))
    change(client, headers, state="ended", at=now - timedelta(seconds=10))
    assert list_ids(client, headers, missed="true") == ["c1"]

    late = change(client, headers, state="answered", at=now - timedelta(seconds=50)).json()

    assert (late["state"], late["missed"], late["popup"]) == ("ended", False, "nomatch.html")
    assert late["answered_at"] < late["ended_at"]
    assert list_ids(client, headers, missed="true") == []


def test_doubled_and_late_reports_change_nothing(client: Client, headers: dict[str, str]) -> None:
    report(client, headers)
    change(client, headers, state="answered")
    before = change(client, headers, state="ended").json()

    for values in ({"state": "answered"}, {"state": "ended"}, {"state": "answered", "at": "2099-01-01T00:00:00Z"}):
        assert change(client, headers, **values).json() == before
    assert report(client, headers).json() == before


@pytest.mark.parametrize("call_id", ["%00", "a%20b", "%C3%A4", "%ED%A0%80", "x" * 201])
def test_what_is_no_id_is_that_of_no_call(client: Client, headers: dict[str, str], call_id: str) -> None:
    assert read(client, headers, call_id).status_code == 404
    assert change(client, headers, call_id, done=True).status_code == 404
    assert call_back(client, headers, call_id).status_code == 404


def test_a_state_of_a_call_that_nobody_reported_is_told_to_be_of_none(client: Client, headers: dict[str, str]) -> None:
    answer = change(client, headers, state="answered")

    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        "There is no such call. Report it first, with POST /api/v1/calls.",
    )
    assert not Call.objects.exists()


@pytest.mark.parametrize(
    ("values", "errors"),
    [
        ({}, [("#", "required")]),
        ({"at": "2026-03-31T12:00:00Z"}, [("#", "required")]),
        ({"at": "2026-03-31T12:00:00Z", "done": True}, [("#/state", "required")]),
        ({"state": "ringing"}, [("#/state", "invalid_choice")]),
        ({"state": None}, [("#/state", "null")]),
        ({"state": "ended", "at": "2026-03-31 12:00"}, [("#/at", "no_offset")]),
        ({"done": "perhaps"}, [("#/done", "invalid")]),
        ({"done": None}, [("#/done", "null")]),
    ],
)
def test_what_is_wrong_with_a_change_is_told_and_changes_nothing(
    client: Client, headers: dict[str, str], values: dict[str, Any], errors: list[tuple[str, str]]
) -> None:
    before = report(client, headers).json()

    assert list_errors(change(client, headers, **values)) == errors
    assert read(client, headers).json() == before


@time_machine.travel(NOON, tick=False)
def test_somebody_sees_to_a_missed_call_and_takes_that_back(
    client: Client, headers: dict[str, str], user: User
) -> None:
    report(client, headers)
    change(client, headers, state="ended")

    done = change(client, headers, done=True).json()

    me = {"id": str(user.pk), "display_name": "agent1"}
    assert (done["done"], done["done_at"], done["done_by"]) == (True, "2026-03-31T12:00:00Z", me)
    assert change(client, headers, done=True).json() == done
    assert list_ids(client, headers, missed="true", done="false") == []
    assert list_ids(client, headers, missed="true", done="true") == ["c1"]

    undone = change(client, headers, done=False).json()
    assert (undone["done"], undone["done_at"], undone["done_by"]) == (False, None, None)
    assert list_ids(client, headers, missed="true", done="false") == ["c1"]


def test_a_call_ends_and_is_done_with_at_once(client: Client, headers: dict[str, str]) -> None:
    report(client, headers)

    told = change(client, headers, state="ended", done=True).json()

    assert (told["missed"], told["done"]) == (True, True)


# --- calling back ---


@time_machine.travel(NOON, tick=False)
def test_who_called_back_is_kept(client: Client, headers: dict[str, str], user: User) -> None:
    report(client, headers)
    change(client, headers, state="ended")

    answer = call_back(client, headers)

    assert (answer.status_code, answer.json()) == (200, {"dial_uri": "phone:0021133990312"})
    told = read(client, headers).json()
    assert told["called_back_at"] == "2026-03-31T12:00:00Z"
    assert told["called_back_by"] == {"id": str(user.pk), "display_name": "agent1"}
    assert (told["missed"], told["done"]) == (True, False)


@pytest.mark.parametrize(
    ("number", "reason", "detail"),
    [
        ("anonymous", "withheld", "There is no number to be dialled."),
        ("x", "unreadable", "It cannot be dialled, as it cannot be read."),
    ],
)
def test_a_number_that_cannot_be_dialled_is_refused_with_the_reason(
    client: Client, headers: dict[str, str], number: str, reason: str, detail: str
) -> None:
    report(client, headers, number=number)

    answer = call_back(client, headers)

    body = answer.json()
    assert (answer.status_code, body["type"].rpartition("/")[2]) == (409, "conflict")
    assert (body["reason"], body["detail"]) == (reason, detail)
    assert read(client, headers).json()["called_back_at"] is None


# --- lists ---


def test_the_newest_call_comes_first_page_by_page(client: Client, headers: dict[str, str]) -> None:
    now = datetime.now(UTC)
    for age in (3, 1, 2, 1, 5):
        report(client, headers, f"{age}-{Call.objects.count()}", started_at=now - timedelta(minutes=age))
    expected = ["1-3", "1-1", "2-2", "3-0", "5-4"]
    assert list_ids(client, headers) == expected

    seen, url = [], f"{URL}?page_size=2"
    while url:
        page = client.get(url, headers=headers).json()
        seen.append([call["call_id"] for call in page["results"]])
        url = page["next"]
        # What comes in meanwhile neither repeats nor hides others.
        report(client, headers, f"new-{len(seen)}")
    assert seen == [expected[:2], expected[2:4], expected[4:]]


def test_a_cursor_is_of_one_list(client: Client, headers: dict[str, str], others: dict[str, str]) -> None:
    for place in range(3):
        report(client, headers, str(place))
    url = client.get(f"{URL}?page_size=1", headers=headers).json()["next"]

    assert client.get(url, headers=headers).status_code == 200
    for answer in (
        client.get(url + "&missed=true", headers=headers),
        client.get(url, headers=others),
        client.get(f"{URL}?cursor=x", headers=headers),
    ):
        assert list_errors(answer) == [("#/cursor", "invalid")]


def test_a_list_is_narrowed_down(client: Client, headers: dict[str, str]) -> None:
    now = datetime.now(UTC)
    report(client, headers, "old", line="12", started_at=now - timedelta(days=2))
    report(client, headers, "new", line="13")
    report(client, headers, "out", line="13", direction="outgoing")

    assert list_ids(client, headers, direction="outgoing") == ["out"]
    assert list_ids(client, headers, line="13") == ["out", "new"]
    assert list_ids(client, headers, line="1") == []
    assert list_ids(client, headers, since=(now - timedelta(days=1)).isoformat()) == ["out", "new"]
    assert list_ids(client, headers, line="13", direction="incoming", missed="false") == ["new"]
    for parameters, pointer in (
        ({"missed": "perhaps"}, "#/missed"),
        ({"since": "2026-03-31T12:00:00"}, "#/since"),
        ({"page_size": 101}, "#/page_size"),
        ({"whose": "mine"}, "#/whose"),
        ({"direction": ""}, "#/direction"),
    ):
        answer = client.get(URL, parameters, headers=headers)
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.django_db(transaction=True)
def test_a_list_looks_up_all_its_numbers_in_one_statement(client: Client, user: User, headers: dict[str, str]) -> None:
    group = make_customer_group()
    give_rights(user, group)

    def count(calls: int) -> int:
        for place in range(calls):
            make_person(group, f"Person {place}", phone=f"0211 5550{calls:02d}{place:02d}")
            report(client, headers, f"{calls}-{place}", number=f"002115550{calls:02d}{place:02d}")
        with CaptureQueriesContext(connection) as captured:
            page = client.get(URL, headers=headers).json()
        assert all(len(call["lookup"]["contacts"]) == 1 for call in page["results"])
        return len(captured)

    assert count(2) == count(20) == 4


def test_who_calls_is_looked_up_with_the_rights_of_the_moment(
    client: Client, user: User, headers: dict[str, str]
) -> None:
    group = make_customer_group()
    make_person(group, phone="0211 33990312")
    assert report(client, headers).json()["popup"] == "nomatch.html"

    role = give_rights(user, group)

    assert read(client, headers).json()["popup"] == "match.html"
    user.groups.remove(role)
    assert client.get(URL, headers=headers).json()["results"][0]["lookup"]["contacts"] == []


# --- whose calls one sees ---


def without_id(answer: Any) -> tuple[int, dict[str, object]]:
    return answer.status_code, {key: value for key, value in answer.json().items() if key != "request_id"}


def test_the_call_of_another_one_is_none(client: Client, headers: dict[str, str], others: dict[str, str]) -> None:
    report(client, headers, line="12")

    asked, of_none = (
        [
            read(client, others, call_id),
            change(client, others, call_id, state="answered"),
            change(client, others, call_id, done=True),
            call_back(client, others, call_id),
        ]
        for call_id in ("c1", "nowhere")
    )
    assert [without_id(answer) for answer in asked] == [without_id(answer) for answer in of_none]
    assert {answer.status_code for answer in asked} == {404}
    assert list_ids(client, others) == []
    # The same id is another call's.
    assert report(client, others, number="0211999").status_code == 201
    assert read(client, headers).json()["number"]["raw"] == NUMBER
    assert read(client, others).json()["number"]["raw"] == "0211999"


def test_the_calls_that_come_in_on_a_line_are_those_of_its_users(
    client: Client, user: User, headers: dict[str, str], other: User, others: dict[str, str]
) -> None:
    line = Line.objects.create(name="12")
    line.users.add(other)
    report(client, headers, "in", line="12")
    report(client, headers, "out", line="12", direction="outgoing")
    report(client, headers, "elsewhere", line="13")

    assert list_ids(client, others) == list_ids(client, others, whose="own") == ["in"]
    told = change(client, others, "in", state="ended", done=True).json()
    assert (told["missed"], told["done_by"]["display_name"], told["can_change"]) == (True, "agent2", True)
    assert told["reported_by"] == {"id": str(user.pk), "display_name": "agent1"}
    assert call_back(client, others, "in").status_code == 200
    assert read(client, others, "out").status_code == 404

    line.users.clear()
    assert list_ids(client, others) == []
    assert read(client, others, "in").status_code == 404


@pytest.fixture
def leads(user: User, other: User) -> CallRight:
    """That `other` has a role that may see the calls of a role of `user`."""
    leader, agent = Group.objects.create(name="leader"), Group.objects.create(name="agent")
    other.groups.add(leader)
    user.groups.add(agent)
    return CallRight.objects.create(role=leader, seen_role=agent)


def test_a_role_sees_the_calls_of_a_team_and_changes_none(
    client: Client, user: User, headers: dict[str, str], others: dict[str, str], leads: CallRight
) -> None:
    line = Line.objects.create(name="12")
    line.users.add(user)
    report(client, key_of(make_user("pbx"), "calls"), "of-line", line="12")
    report(client, headers, "of-agent", direction="outgoing")
    report(client, others, "of-leader")

    assert list_ids(client, others) == ["of-leader", "of-agent", "of-line"]
    assert list_ids(client, others, whose="own") == ["of-leader"]
    assert list_ids(client, others, whose="team") == ["of-agent", "of-line"]
    assert list_ids(client, headers) == ["of-agent", "of-line"]
    for call_id in ("of-agent", "of-line"):
        before = read(client, others, call_id)
        assert (before.status_code, before.json()["can_change"]) == (200, False)
        for answer in (
            change(client, others, call_id, state="answered"),
            change(client, others, call_id, done=True),
            call_back(client, others, call_id),
        ):
            assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (403, "permission-denied")
        assert read(client, others, call_id).json() == before.json()

    leads.delete()
    assert list_ids(client, others) == ["of-leader"]
    assert read(client, others, "of-agent").status_code == 404


def test_who_has_no_such_role_sees_no_team(client: Client, headers: dict[str, str], leads: CallRight) -> None:
    report(client, headers)

    third = make_user("agent3")
    # Another role with the same right on another team.
    role = Group.objects.create(name="leader of others")
    CallRight.objects.create(role=role, seen_role=Group.objects.create(name="others"))
    third.groups.add(role)
    assert list_ids(client, log_in(third)) == []


def test_a_superuser_sees_all_calls_and_changes_his_own(client: Client, headers: dict[str, str]) -> None:
    root = log_in(make_user("root", is_superuser=True))
    report(client, headers, "of-agent")
    report(client, root, "of-root")

    assert list_ids(client, root) == ["of-root", "of-agent"]
    assert list_ids(client, root, whose="own") == ["of-root"]
    assert list_ids(client, root, whose="team") == ["of-agent"]
    assert change(client, root, "of-agent", done=True).status_code == 403
    assert change(client, root, "of-root", done=True).status_code == 200


def test_one_sees_the_call_of_a_deleted_user_no_more_but_on_a_line(
    client: Client, user: User, headers: dict[str, str], other: User, others: dict[str, str]
) -> None:
    Line.objects.create(name="12").users.add(other)
    report(client, headers, line="12")
    user.delete()

    assert read(client, others).json()["reported_by"] is None


def test_it_takes_a_session_or_a_key_for_calls(client: Client, user: User, headers: dict[str, str]) -> None:
    report(client, headers)
    wrong = key_of(user, *(scope for scope in Scope.values if scope != "calls"))
    for credentials, statuses in (({}, {401}), (wrong, {403}), (key_of(user, "calls"), {200, 201})):
        answers = [
            report(client, credentials, "c2"),
            read(client, credentials),
            client.get(URL, headers=credentials),
            change(client, credentials, done=True),
            call_back(client, credentials),
        ]
        assert {answer.status_code for answer in answers} == statuses
