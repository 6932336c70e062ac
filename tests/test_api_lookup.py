"""The look-up through real HTTP handling: who is found, in which order, for whom, and in how many statements."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cmphone.contacts.models import Contact, CustomerGroup, CustomerGroupRight, User
from cmphone.contacts.rebuilding import rebuild_stale_customer_groups
from cmphone.contacts.services import ContactDraft, save_configuration, save_contact
from cmphone.properties.services import set_property
from license.models import Session
from license.services import end_session
from tests.make import (
    TESTS,
    give_rights,
    log_in,
    make_company,
    make_contact_model,
    make_customer_group,
    make_person,
    make_queue,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def customers() -> CustomerGroup:
    return make_customer_group("customers", area_prefix="211")


@pytest.fixture
def agent(customers: CustomerGroup) -> User:
    user = make_user("agent1")
    give_rights(user, customers)
    return user


@pytest.fixture
def headers(agent: User) -> dict[str, str]:
    return log_in(agent)


def look_up(client: Client, headers: dict[str, str], number: str, **parameters: str) -> dict[str, Any]:
    answer = client.get("/api/v1/lookup", {"number": number, **parameters}, headers=headers)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def test_the_answer_to_a_known_caller_is_the_contract(
    client: Client, customers: CustomerGroup, agent: User, headers: dict[str, str]
) -> None:
    role = give_rights(agent, customers, create=True)
    make_queue("helpdesk", [customers], role)
    company = make_company(customers)
    person = make_person(customers, "Anders", company=company, phone="0211/339903-12")

    assert look_up(client, headers, "0021133990312") == {
        "number": {
            "raw": "0021133990312",
            "canonical": "4921133990312",
            "e164": "+4921133990312",
            "display": "+49 211 33990312",
            "tapi": "+49 (211) 33990312",
            "kind": "public",
            "place": "Düsseldorf",
            "country": "DE",
        },
        "match": "exact",
        "more": False,
        "contacts": [
            {
                "id": str(person.id),
                "kind": "person",
                "name": "Maria Anders (Alfreds Futterkiste)",
                "customer_group": {"id": str(customers.id), "name": "customers en", "internal_name": "customers"},
                "company": {"id": str(company.id), "name": "Alfreds Futterkiste"},
                "field": "phone",
                "extension": None,
                "url": f"http://testserver/contacts/{person.id}/",
                "can_create_case": True,
                "create_case_url": f"http://testserver/cases/new/?contact={person.id}",
            }
        ],
        "actions": {
            "create_contact": "http://testserver/contacts/new/?number=%2B4921133990312",
            "call_back": "phone:0021133990312",
        },
    }


@pytest.mark.django_db(transaction=True)
def test_a_look_up_is_one_statement(client: Client, customers: CustomerGroup, headers: dict[str, str]) -> None:
    make_person(customers, phone="0211 339903-12")
    look_up(client, headers, "0021133990312")

    for number in ("0021133990312", "+33142685300", "anonymous"):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            look_up(client, headers, number)
        assert len(queries) == 1, queries.captured_queries


def test_an_unknown_caller_is_an_answer(client: Client, headers: dict[str, str]) -> None:
    answer = look_up(client, headers, "+33142685300")

    assert (answer["match"], answer["contacts"], answer["number"]["canonical"]) == ("none", [], "33142685300")
    assert answer["actions"] == {"create_contact": None, "call_back": "phone:00033142685300"}


def test_a_withheld_number_finds_nobody_and_offers_no_call_back(client: Client, headers: dict[str, str]) -> None:
    answer = look_up(client, headers, "anonymous", explain="true")

    assert (answer["match"], answer["contacts"], answer["number"]["kind"]) == ("withheld", [], "withheld")
    assert answer["actions"]["call_back"] is None
    assert [reading["kind"] for reading in answer["readings"]] == ["withheld"]


def test_several_contacts_give_a_choice_with_their_list_names(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    make_person(customers, "Zorn", phone="0211 1234567")
    make_person(customers, "Adam", phone="+49 211 1234567")

    answer = look_up(client, headers, "02111234567")

    assert [contact["name"] for contact in answer["contacts"]] == ["Adam", "Zorn"]


def test_one_contact_with_the_number_in_two_fields_is_one_hit(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    make_person(customers, phone="0211 1234567", mobile="+492111234567")

    contacts = look_up(client, headers, "02111234567")["contacts"]

    assert [contact["field"] for contact in contacts] == ["phone"]


def test_a_company_comes_after_the_persons_with_the_number_and_before_those_it_brings(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    company = make_company(customers, "Alfreds Futterkiste", phone="0211 1234567")
    make_person(customers, "Brought", company=company)
    make_person(customers, "Direct", phone="0211 1234567")

    contacts = look_up(client, headers, "02111234567")["contacts"]

    assert [contact["name"] for contact in contacts] == ["Direct", "Alfreds Futterkiste", "Brought"]


def test_a_company_field_that_is_indexed_for_itself_alone_brings_nobody(
    client: Client, agent: User, headers: dict[str, str]
) -> None:
    group = make_customer_group("local", make_contact_model("local", company_scope="local"))
    give_rights(agent, group)
    company = make_company(group, phone="0211 1234567")
    make_person(group, "Brought", company=company)

    assert [c["kind"] for c in look_up(client, headers, "02111234567")["contacts"]] == ["company"]


def test_a_number_in_a_field_that_is_not_indexed_finds_nobody(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    make_person(customers, private_phone="0211 1234567")

    assert look_up(client, headers, "02111234567")["match"] == "none"


def test_an_inactive_contact_is_no_hit_not_even_by_its_company(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    company = make_company(customers, phone="0211 1234567")
    person = make_person(customers, "Gone", company=company, phone="0211 7654321")
    save_contact(
        ContactDraft(customers.id, "person", person.fields, company=company, is_active=False, contact=person), by=TESTS
    )

    assert look_up(client, headers, "02117654321")["match"] == "none"
    assert [c["kind"] for c in look_up(client, headers, "02111234567")["contacts"]] == ["company"]


def test_a_colleague_is_found_by_his_extension(client: Client, agent: User, headers: dict[str, str]) -> None:
    group = make_customer_group("colleagues", area_prefix="211", company_line="339903")
    give_rights(agent, group)
    make_person(group, "Anders", phone="12")

    assert [c["name"] for c in look_up(client, headers, "12")["contacts"]] == ["Maria Anders"]
    assert [c["name"] for c in look_up(client, headers, "0021133990312")["contacts"]] == ["Maria Anders"]


def test_at_most_fifty_contacts_are_listed_and_more_is_said(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    for number in range(50):
        make_person(customers, f"P{number:02}", phone="0211 1234567")
    assert look_up(client, headers, "02111234567")["more"] is False

    make_person(customers, "P50", phone="0211 1234567")
    answer = look_up(client, headers, "02111234567")

    assert (len(answer["contacts"]), answer["more"]) == (50, True)
    assert [c["name"] for c in answer["contacts"]] == [f"P{number:02}" for number in range(50)]


def test_an_extension_beside_the_number_is_told(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    make_person(customers, phone="+1 212 555 0100 ext. 12")

    assert look_up(client, headers, "+12125550100")["contacts"][0]["extension"] == "12"


def test_explain_tells_every_reading(client: Client, headers: dict[str, str]) -> None:
    readings = look_up(client, headers, "0021133990312", explain="true")["readings"]

    assert readings[0] == {
        "canonical": "4921133990312",
        "kind": "public",
        "rule": "outside_national",
        "possible": True,
        "valid": True,
        "extension": None,
    }
    assert "21133990312" in [reading["canonical"] for reading in readings]
    assert "readings" not in look_up(client, headers, "0021133990312")


# --- rights ---


def test_a_hidden_contact_changes_no_byte_of_the_answer(client: Client, headers: dict[str, str]) -> None:
    hidden = make_customer_group("hidden", area_prefix="211", company_line="339903")
    # Warm: the configuration is the same before and after.
    before = {n: look_up(client, headers, n, explain="true") for n in ("12", "0021133990312", "02111234567")}
    company = make_company(hidden, phone="0211 1234567")
    make_person(hidden, company=company, phone="12")

    assert {n: look_up(client, headers, n, explain="true") for n in before} == before
    assert all(answer["match"] == "none" for answer in before.values())


def test_the_plan_of_a_hidden_group_is_not_told(client: Client, headers: dict[str, str]) -> None:
    make_customer_group("hidden", area_prefix="211", company_line="339903")

    answer = look_up(client, headers, "12", explain="true")

    # 211 is the area of the group that the agent may view, too.
    assert [reading["canonical"] for reading in answer["readings"]] == ["4921112", "12"]
    assert answer["number"]["canonical"] == "4921112"


def test_a_hidden_reading_does_not_hide_a_visible_contact(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    hidden = make_customer_group("hidden", area_prefix="30", company_line="55")
    make_person(hidden, phone="12")
    own = make_customer_group("own", area_prefix="211", company_line="339903")
    give_rights(User.objects.get(username="agent1"), own)
    make_person(own, "Visible", phone="12")

    assert [c["name"] for c in look_up(client, headers, "12")["contacts"]] == ["Maria Visible"]


def test_rights_of_several_roles_add_up_and_a_revoked_one_counts_from_the_next_call(
    client: Client, customers: CustomerGroup, agent: User, headers: dict[str, str]
) -> None:
    make_person(customers, phone="0211 1234567")
    second = give_rights(agent, customers, view=False, create=True)
    assert look_up(client, headers, "02111234567")["actions"]["create_contact"] is not None

    CustomerGroupRight.objects.filter(can_view=True).delete()

    answer = look_up(client, headers, "02111234567")
    assert (answer["match"], answer["contacts"]) == ("none", [])
    CustomerGroupRight.objects.filter(role=second).update(can_view=True)
    assert look_up(client, headers, "02111234567")["match"] == "exact"


def test_the_right_to_create_cases_is_that_of_a_queue_of_the_group(
    client: Client, customers: CustomerGroup, agent: User, headers: dict[str, str]
) -> None:
    make_person(customers, phone="0211 1234567")
    other = make_customer_group("other")
    role = give_rights(agent, customers)
    queue = make_queue("helpdesk", [other], role)
    assert look_up(client, headers, "02111234567")["contacts"][0]["can_create_case"] is False

    queue.customer_groups.add(customers)

    assert look_up(client, headers, "02111234567")["contacts"][0]["can_create_case"] is True


def test_a_superuser_finds_everybody(client: Client, customers: CustomerGroup) -> None:
    make_person(customers, phone="0211 1234567")
    headers = log_in(make_user("root", is_superuser=True))

    assert look_up(client, headers, "02111234567")["match"] == "exact"


# --- settings are in force at once ---


def test_a_changed_property_counts_from_the_next_call(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    make_person(customers, phone="+1 212 555 0100")
    assert look_up(client, headers, "912125550100")["match"] == "tail"

    set_property(name="local.country.prefix", value="1")
    set_property(name="external.line.access.prefix", value="1")
    set_property(name="internal.line.access.prefix", value="9")

    answer = look_up(client, headers, "912125550100")
    assert answer["match"] == "exact"
    assert answer["actions"]["call_back"] == "phone:912125550100"


def test_a_changed_plan_counts_for_stored_numbers_once_they_are_read_anew(
    client: Client, customers: CustomerGroup, headers: dict[str, str]
) -> None:
    make_person(customers, phone="8712345")
    assert look_up(client, headers, "+492118712345")["match"] == "exact"
    customers.area_prefix = "30"
    save_configuration([customers])

    # Old entries are served until they are replaced.
    assert look_up(client, headers, "+492118712345")["match"] == "exact"
    rebuild_stale_customer_groups()

    assert look_up(client, headers, "+492118712345")["match"] == "none"
    assert look_up(client, headers, "+49308712345")["match"] == "exact"


# --- who may not ---


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic abc", "Bearer nonsense", "Bearer " + "x" * 5_000, "Bearer \u00fc"],
)
def test_without_a_token_that_somebody_holds_nobody_is_told_anything(client: Client, authorization: str) -> None:
    answer = client.get("/api/v1/lookup", {"number": "0021133990312"}, headers={"Authorization": authorization})

    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "http://testserver/problems/not-authenticated"
    assert "reason" not in answer.json()


def test_a_withheld_number_needs_a_token_too(client: Client) -> None:
    answer = client.get("/api/v1/lookup", {"number": ""}, headers={"Authorization": "Bearer nonsense"})

    assert answer.status_code == 401


def test_a_user_deactivated_while_logged_in_is_unknown(client: Client, agent: User, headers: dict[str, str]) -> None:
    User.objects.filter(id=agent.id).update(is_active=False)

    answer = client.get("/api/v1/lookup", {"number": "1"}, headers=headers)

    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (401, "not-authenticated")


def test_an_ended_session_is_told_why(client: Client, headers: dict[str, str]) -> None:
    end_session(Session.objects.get())

    answer = client.get("/api/v1/lookup", {"number": "1"}, headers=headers)

    assert (answer.status_code, answer.json()["reason"]) == (401, "ended-by-administrator")


def test_a_timed_out_session_is_over_and_a_replaced_token_dead(
    client: Client, agent: User, headers: dict[str, str]
) -> None:
    new = log_in(agent)
    assert client.get("/api/v1/lookup", {"number": "1"}, headers=headers).json()["reason"] == "replaced"

    Session.objects.update(last_seen_at="2020-01-01T00:00:00Z")

    assert client.get("/api/v1/lookup", {"number": "1"}, headers=new).json()["reason"] == "timed-out"


def test_a_look_up_is_a_sign_of_life_written_at_most_once_a_minute(client: Client, headers: dict[str, str]) -> None:
    before = Session.objects.get().last_seen_at
    look_up(client, headers, "1")
    assert Session.objects.get().last_seen_at == before
    with connection.cursor() as cursor:
        cursor.execute("update license_session set last_seen_at = now() - interval '61 seconds'")

    look_up(client, headers, "1")

    assert (Session.objects.get().last_seen_at - before).total_seconds() > -1


# --- bad input ---


def test_a_number_is_required_and_has_a_limit(client: Client, headers: dict[str, str]) -> None:
    for parameters, code in (({}, "required"), ({"number": "1" * 10_000}, "max_length")):
        answer = client.get("/api/v1/lookup", parameters, headers=headers)
        assert answer.status_code == 400
        (error,) = answer.json()["errors"]
        assert (error["pointer"], error["code"]) == ("#/number", code)


@pytest.mark.parametrize(
    "number", ["📞📞", "Peter", "\x01\x02", "%", "'; drop table", "+", "(((", "0", "00", "9" * 400]
)
def test_a_number_of_any_characters_finds_nobody_and_breaks_nothing(
    client: Client, customers: CustomerGroup, headers: dict[str, str], number: str
) -> None:
    make_person(customers, phone="no number at all", mobile="0211 1234567")

    assert look_up(client, headers, number)["contacts"] == []


def test_bytes_that_are_no_text_find_nobody(client: Client, headers: dict[str, str]) -> None:
    answer = client.get("/api/v1/lookup?number=%ff%fe%00%80", headers=headers)

    assert answer.status_code in {200, 400}
    assert answer.json().get("contacts", []) == []


@pytest.fixture
def broken_database(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def fail(*args: object, **kwargs: object) -> None:
        raise OperationalError("connection to server on socket failed: secret-host")

    monkeypatch.setattr("cmphone.prepared.connection.ensure_connection", fail)


@pytest.mark.usefixtures("broken_database")
def test_could_not_look_is_not_nobody_found(client: Client) -> None:
    answer = client.get("/api/v1/lookup", {"number": "1"}, headers={"Authorization": "Bearer x"})

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["type"].endswith("/problems/unavailable")
    assert "secret-host" not in answer.content.decode()


def test_a_contact_is_findable_only_after_its_transaction(customers: CustomerGroup) -> None:
    person = make_person(customers, phone="0211 1234567")

    assert [entry.canonical for entry in person.index_entries.all()] == ["492111234567"]
    assert Contact.objects.get(id=person.id).name == "Anders, Maria"
