"""The console and what its script asks for: who gets what, and by how many statements."""

import json
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cmphone.calls.models import Call, Line
from cmphone.calls.services import change_call, report_call
from cmphone.contacts.models import CustomerGroup, User
from tests.make import give_rights, make_company, make_customer_group, make_person, make_user

pytestmark = pytest.mark.django_db

JSON = {"Accept": "application/json"}
CALLS, CONTACTS, DONE, CALL_BACK = "/console/calls/", "/console/contacts/", "/console/done/", "/console/call-back/"


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group(country_prefix="49", area_prefix="211")


@pytest.fixture
def agent(group: CustomerGroup) -> User:
    agent = make_user("agent1")
    give_rights(agent, group, create=True)
    return agent


@pytest.fixture
def client(client: Client, agent: User) -> Client:
    client.force_login(agent)
    return client


def ring(user: User, call_id: str = "c1", number: str = "+492117654321", **values: Any) -> Call:
    return report_call(user, call_id=call_id, direction="incoming", number=number, **values)


def miss(user: User, call_id: str = "c1", number: str = "+492117654321", **values: Any) -> Call:
    ring(user, call_id, number, **values)
    return change_call(user, call_id, state="ended")


def list_ids(client: Client) -> list[str]:
    return [call["call_id"] for call in client.get(CALLS, headers=JSON).json()["calls"]]


def read_page(client: Client) -> str:
    return unescape(client.get("/").content.decode())


def test_who_is_not_logged_in_is_led_to_log_in_and_his_script_is_told_so() -> None:
    nobody = Client()

    assert nobody.get("/").headers["Location"] == "/login/?next=/"
    for path in (CALLS, CONTACTS):
        answer = nobody.get(path, headers=JSON)
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (401, "not-authenticated")
    for path in (DONE, CALL_BACK):
        assert nobody.post(path, {"call_id": "c1"}, headers=JSON).status_code == 401
        assert nobody.post(path, {"call_id": "c1"}).headers["Location"].startswith("/login/")


def test_the_page_shows_calls_of_now_missed_and_last_ones(client: Client, agent: User, group: CustomerGroup) -> None:
    make_person(group, company=make_company(group), phone="0211 7654321")
    ring(agent, "rings")
    miss(agent, "missed", "+49305551234", line="12")
    miss(agent, "withheld", "")

    context = client.get("/").context

    assert [(shown.kind, shown.who) for shown in context["now"]] == [
        ("Incoming call", "Maria Anders (Alfreds Futterkiste)")
    ]
    assert sorted((shown.who, shown.facts) for shown in context["missed"]) == [
        ("Number withheld", ()),
        ("Unknown caller", ("line 12",)),
    ]
    assert len(context["recent"]) == 3
    page = read_page(client)
    assert "Maria Anders (Alfreds Futterkiste)" in page
    assert "+49 30 5551234" in page


def test_the_script_gets_the_same_and_the_number_from_which_the_stream_goes_on(client: Client, agent: User) -> None:
    ring(agent)

    page = client.get("/").context["page"]
    state = client.get(CALLS, headers=JSON).json()

    assert json.loads(json.dumps(page["state"])) == state
    assert (state["user"], state["number"], state["more_missed"]) == (str(agent.pk), 1, False)
    assert page["events_url"].endswith("/api/v1/events")
    assert set(state["calls"][0]) >= {"call_id", "lookup", "popup", "call_back", "reported_by", "can_change"}


def test_a_user_gets_his_own_calls_and_those_of_his_lines_and_no_others(client: Client, agent: User) -> None:
    colleague, stranger = make_user("colleague"), make_user("stranger")
    Line.objects.create(name="12").users.set([agent, colleague])
    ring(agent, "own")
    ring(colleague, "of-my-line", line="12")
    ring(colleague, "of-his-own-line", line="13")
    ring(stranger, "strange")

    assert sorted(list_ids(client)) == ["of-my-line", "own"]
    assert "strange" not in read_page(client)
    for path in (DONE, CALL_BACK):
        assert client.post(path, {"call_id": "strange", "done": "true"}, headers=JSON).status_code == 404
    assert Call.objects.filter(done_at=None, called_back_at=None).count() == 4


def test_what_a_colleague_has_answered_is_no_call_of_now(client: Client, agent: User) -> None:
    colleague = make_user("colleague")
    Line.objects.create(name="12").users.set([agent, colleague])
    ring(colleague, "his", line="12")
    change_call(colleague, "his", state="answered")
    ring(agent, "mine")
    change_call(agent, "mine", state="answered")

    assert [shown.call["call_id"] for shown in client.get("/").context["now"]] == ["mine"]


def test_names_of_contacts_that_he_may_not_view_show_nowhere(client: Client, agent: User) -> None:
    make_person(make_customer_group("geheim", country_prefix="49"), "Verborgen", phone="0211 7654321")
    miss(agent)

    assert client.get("/").context["missed"][0].who == "Unknown caller"
    assert "Verborgen" not in read_page(client)
    assert "Verborgen" not in client.get(CALLS, headers=JSON).content.decode()
    assert client.get(CONTACTS, {"q": "Verborgen"}, headers=JSON).json() == {"results": [], "more": False}


@pytest.mark.django_db(transaction=True)
def test_many_calls_take_as_many_statements_as_one(client: Client, agent: User, group: CustomerGroup) -> None:
    make_person(group, phone="0211 7654321")
    miss(agent, "first")
    client.get(CALLS, headers=JSON)
    with CaptureQueriesContext(connection) as one:
        client.get(CALLS, headers=JSON)
    for number in range(25):
        miss(agent, f"c{number}", f"+492117654{number:03}")
    with CaptureQueriesContext(connection) as many:
        client.get("/")

    # Session, user, number of the last event, reach, three lists, and one look-up for all of them.
    assert (len(one), len(many)) == (8, 8)


def test_of_very_many_missed_calls_the_newest_are_shown(client: Client, agent: User) -> None:
    for number in range(31):
        miss(agent, f"c{number}")

    state = client.get(CALLS, headers=JSON).json()
    assert (len(state["calls"]), state["more_missed"]) == (30, True)
    assert "c0" not in {call["call_id"] for call in state["calls"]}
    assert len(client.get("/").context["missed"]) == 30


def test_a_missed_call_is_done_and_not_done_again(client: Client, agent: User) -> None:
    miss(agent, "a/b?c")
    form = {"call_id": "a/b?c", "reporter": str(agent.pk)}

    answer = client.post(DONE, {**form, "done": "true"}, headers=JSON)

    assert (answer.status_code, answer.json()["call"]["done"]) == (200, True)
    assert answer.json()["call"]["done_by"]["id"] == str(agent.pk)
    assert client.get("/").context["missed"] == []
    assert client.post(DONE, {**form, "done": "false"}).headers["Location"] == "/"
    assert Call.objects.get().done_at is None


def test_of_two_calls_with_one_id_the_one_is_done_that_is_named(client: Client, agent: User) -> None:
    colleague = make_user("colleague")
    Line.objects.create(name="12").users.set([agent, colleague])
    miss(agent, "1")
    miss(colleague, "1", line="12")

    client.post(DONE, {"call_id": "1", "reporter": str(colleague.pk), "done": "true"}, headers=JSON)
    assert [call.reporter for call in Call.objects.filter(done_by=agent)] == [colleague]
    client.post(CALL_BACK, {"call_id": "1", "reporter": str(agent.pk)}, headers=JSON)
    assert [call.reporter for call in Call.objects.filter(called_back_by=agent)] == [agent]


def test_calling_back_answers_the_link_that_dials_and_is_kept(client: Client, agent: User) -> None:
    miss(agent, "known")
    miss(agent, "withheld", "")

    answer = client.post(CALL_BACK, {"call_id": "known"}, headers=JSON)
    refusal = client.post(CALL_BACK, {"call_id": "withheld"}, headers=JSON)

    assert (answer.status_code, answer.json()) == (200, {"dial_uri": "phone:002117654321"})
    assert (refusal.status_code, refusal.json()["detail"]) == (409, "There is no number to be dialled.")
    assert [call.call_id for call in Call.objects.filter(called_back_by=agent)] == ["known"]


@pytest.mark.parametrize("reporter", ["x", "-1", "9" * 30, "١"])
def test_who_did_not_report_a_call_is_no_way_to_it(client: Client, agent: User, reporter: str) -> None:
    miss(agent)

    assert client.post(DONE, {"call_id": "c1", "reporter": reporter, "done": "true"}, headers=JSON).status_code == 404


def test_forms_from_elsewhere_change_nothing(agent: User) -> None:
    miss(agent)
    client = Client(enforce_csrf_checks=True)
    client.force_login(agent)

    for path in (DONE, CALL_BACK):
        answer = client.post(path, {"call_id": "c1", "done": "true"}, headers=JSON)
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (403, "permission-denied")
    assert Call.objects.filter(done_at=None, called_back_at=None).count() == 1


def test_the_api_stays_closed_to_the_cookie(client: Client, agent: User) -> None:
    miss(agent)

    assert client.get("/api/v1/calls").status_code == 401
    assert client.patch("/api/v1/calls/c1", {"done": True}, content_type="application/json").status_code == 401


def test_contacts_are_found_by_a_part_of_name_or_number(client: Client, group: CustomerGroup) -> None:
    company = make_company(group)
    make_person(group, "Anders", company=company, phone="0211 7654321", mobile="0171 1234567")
    for number in range(10):
        make_person(group, f"Berg {number}")

    found = client.get(CONTACTS, {"q": "765 43"}, headers=JSON).json()
    assert [(each["name"], each["detail"], each["numbers"]) for each in found["results"]] == [
        ("Anders, Maria", "Alfreds Futterkiste · customers en", ["+49 211 7654321", "+49 171 1234567"])
    ]
    many = client.get(CONTACTS, {"q": "berg"}, headers=JSON).json()
    assert (len(many["results"]), many["more"]) == (8, True)
    for nothing in ("", "  ", "\0"):
        assert client.get(CONTACTS, {"q": nothing}, headers=JSON).json() == {"results": [], "more": False}


def test_the_page_of_a_contact_shows_the_calls_that_the_user_may_see(
    client: Client, agent: User, group: CustomerGroup
) -> None:
    contact = make_person(group, phone="0211 7654321", mobile="0171 1234567")
    other = make_person(group, "Berg", phone="0211 111222")
    miss(agent, "missed")
    ring(agent, "by-mobile", "+491711234567")
    ring(agent, "of-somebody-else", "+49211111222")
    ring(make_user("stranger"), "strange")

    calls = client.get(f"/contacts/{contact.pk}/").context["calls"]
    assert [(call.call_id, number) for call, number in calls] == [
        ("by-mobile", "+49 171 1234567"),
        ("missed", "+49 211 7654321"),
    ]
    assert "Missed call" in client.get(f"/contacts/{contact.pk}/").content.decode()
    assert [call.call_id for call, _ in client.get(f"/contacts/{other.pk}/").context["calls"]] == ["of-somebody-else"]
    assert "calls" not in client.get(f"/contacts/{make_person(group, 'Numberless').pk}/").context
