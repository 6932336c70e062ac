"""`manage.py call`: a client in the terminal, over real HTTP."""

import io

import pytest
from django.core.management import CommandError, call_command
from pytest_django.live_server_helper import LiveServer

from cmphone.api.client import Client, ClientError
from license.models import Session
from tests.make import (
    PASSWORD,
    give_rights,
    make_company,
    make_customer_group,
    make_license,
    make_person,
    make_queue,
    make_user,
)

pytestmark = pytest.mark.django_db(transaction=True)


def call(server: LiveServer, number: str, user: str = "agent1") -> str:
    output = io.StringIO()
    call_command("call", number, user=user, server=server.url, stdout=output)
    return output.getvalue()


@pytest.fixture(autouse=True)
def site(live_server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMPHONE_PASSWORD", PASSWORD)
    make_license(1)
    customers = make_customer_group("customers", area_prefix="211")
    company = make_company(customers, phone="0211 555000")
    make_person(customers, "Anders", company=company, phone="0211 339903-12")
    make_person(customers, "Berg", phone="0211 555001")
    make_person(customers, "Cramer", phone="0211 555001")
    user = make_user("agent1", password=PASSWORD)
    role = give_rights(user, customers, create=True)
    make_queue("helpdesk", [customers], role)
    make_user("stranger", password=PASSWORD, language="de")


def test_a_known_caller_is_shown_with_company_group_and_actions(live_server: LiveServer) -> None:
    shown = call(live_server, "0021133990312")

    assert shown.splitlines()[:4] == [
        "Incoming call from +49 211 33990312 (Düsseldorf)",
        "  Maria Anders (Alfreds Futterkiste)",
        "     Company: Alfreds Futterkiste",
        "     Customer group: customers en",
    ]
    assert f"     Open contact: {live_server.url}/contacts/" in shown
    assert f"     New case: {live_server.url}/cases/new/?contact=" in shown
    assert shown.splitlines()[-1] == "  Call back: phone:0021133990312"


def test_several_contacts_are_a_choice_list(live_server: LiveServer) -> None:
    shown = call(live_server, "0211555001")

    assert "  Several contacts have this number:\n  1. Berg\n" in shown
    assert "  2. Cramer\n" in shown


def test_nobody_and_a_withheld_number_are_shown_as_that(live_server: LiveServer) -> None:
    nobody = call(live_server, "+33142685300")

    assert "Nobody was found." in nobody
    assert f"New contact: {live_server.url}/contacts/new/?number=%2B33142685300" in nobody
    assert call(live_server, "anonymous") == "Incoming call, number withheld\n"


def test_a_stranger_sees_nobody_in_his_language(live_server: LiveServer) -> None:
    shown = call(live_server, "0021133990312", user="stranger")

    assert shown.splitlines()[:2] == ["Anruf von +49 211 33990312 (Düsseldorf)", "  Niemand gefunden."]
    assert "Anders" not in shown


def test_the_seat_is_given_back(live_server: LiveServer) -> None:
    for _ in range(2):
        call(live_server, "anonymous")

    assert set(Session.objects.values_list("end_reason", flat=True)) == {"logged-out"}


def test_what_goes_wrong_is_said_in_a_sentence(live_server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match=r"Log in first\. User name or password is wrong"):
        call(live_server, "1", user="nobody")
    with pytest.raises(CommandError, match=r"(?s)The request is not valid.*#/number: "):
        call(live_server, "1" * 1_000)
    holder = Client(live_server.url)
    holder.log_in(username="stranger", password=PASSWORD, client_id="other")
    with pytest.raises(CommandError, match="All 1 seats are in use"):
        call(live_server, "1")
    with pytest.raises(CommandError, match=r"No server answers at http://127.0.0.1:1 "):
        call_command("call", "1", user="agent1", server="http://127.0.0.1:1")


def test_a_server_that_is_not_cmphone_is_named(live_server: LiveServer) -> None:
    with pytest.raises(ClientError, match=r"\AThere is no such thing\.\Z"):
        Client(live_server.url + "/elsewhere").log_in(username="a", password="b", client_id="c")
