"""What users of comparable systems complain of, each pain that concerns numbers with a test named after it.

End to end: a contact is saved as people type it, and a call comes in as a telephone system presents it.
"""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cmphone.contacts.models import Contact, CustomerGroup
from cmphone.contacts.rebuilding import find_stale, rebuild_stale_customer_groups
from cmphone.contacts.services import ContactDraft, save_contact, save_contacts
from cmphone.properties.services import set_property
from numbering.models import IndexEntry
from tests.make import (
    TESTS,
    give_rights,
    log_in,
    make_company,
    make_contact_model,
    make_customer_group,
    make_person,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group("customers", make_contact_model(), country_prefix="49", area_prefix="211")


@pytest.fixture
def headers(group: CustomerGroup) -> dict[str, str]:
    agent = make_user()
    give_rights(agent, group)
    return log_in(agent)


def look_up(client: Client, headers: dict[str, str], number: str) -> dict[str, Any]:
    answer = client.get("/api/v1/lookup", {"number": number}, headers=headers)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def names(answer: dict[str, Any]) -> list[str]:
    return [contact["name"] for contact in answer["contacts"]]


# --- 1 ---


@pytest.mark.parametrize("stored", ["+49 211 33990312", "0049 211 33990312", "0211 339903-12", "0211/33990312"])
@pytest.mark.parametrize(
    "presented",
    ["+4921133990312", "004921133990312", "021133990312", "0021133990312", "0211.339.903.12", "21133990312"],
)
def test_stored_and_presented_format_differ_so_nobody_is_found(
    client: Client, group: CustomerGroup, headers: dict[str, str], stored: str, presented: str
) -> None:
    make_person(group, "Anders", phone=stored)

    answer = look_up(client, headers, presented)

    assert (answer["match"], names(answer)) == ("exact", ["Maria Anders"])


# --- 2 ---


def test_the_wrong_person_because_tails_are_too_short(
    client: Client, group: CustomerGroup, headers: dict[str, str]
) -> None:
    make_person(group, "Anders", phone="0211 33990312")

    for presented in ("0312", "90312", "990312", "030 990312"):
        assert look_up(client, headers, presented)["match"] == "none", presented


def test_the_wrong_person_because_888_is_found_inside_a_mobile_number(
    client: Client, group: CustomerGroup, headers: dict[str, str]
) -> None:
    make_person(group, "Mobile", mobile="0171 8885678")
    colleagues = make_customer_group("colleagues", country_prefix="49", area_prefix="30", company_line="5550")
    agent = make_user("agent2")
    give_rights(agent, group)
    give_rights(agent, colleagues)
    make_person(colleagues, "Colleague", phone="888")

    assert look_up(client, headers, "888")["match"] == "none"
    assert names(look_up(client, log_in(agent, "client-2"), "888")) == ["Maria Colleague"]


# --- 3 ---


def test_one_number_of_several_contacts_gives_the_first_instead_of_a_choice(
    client: Client, group: CustomerGroup, headers: dict[str, str]
) -> None:
    for name in ("Zeisig", "Anders", "Meier"):
        make_person(group, name, phone="0211 33990312")

    answer = look_up(client, headers, "0021133990312")

    assert (answer["match"], answer["more"], names(answer)) == ("exact", False, ["Anders", "Meier", "Zeisig"])


def test_inactive_people_are_shown(client: Client, group: CustomerGroup, headers: dict[str, str]) -> None:
    person = make_person(group, phone="0211 33990312")
    save_contact(ContactDraft(group.id, "person", person.fields, is_active=False, contact=person), by=TESTS)

    assert look_up(client, headers, "0021133990312")["match"] == "none"


# --- 4 ---


def test_an_extension_behind_a_companys_number_is_not_recognised(
    client: Client, group: CustomerGroup, headers: dict[str, str]
) -> None:
    make_company(group, "Alfreds Futterkiste", phone="0211/339903-0")

    answer = look_up(client, headers, "0021133990377")

    assert (answer["match"], names(answer)) == ("company", ["Alfreds Futterkiste"])
    assert answer["contacts"][0]["extension"] == "77"


# --- 5 ---


def test_italys_leading_zero_is_lost(client: Client) -> None:
    italians = make_customer_group("italians", country_prefix="39")
    agent = make_user()
    give_rights(agent, italians)
    headers = log_in(agent)
    make_person(italians, "Rossi", phone="06 39733434")

    for presented in ("+390639733434", "00390639733434", "000390639733434"):
        answer = look_up(client, headers, presented)
        assert names(answer) == ["Maria Rossi"], presented
        assert answer["actions"]["call_back"] == "phone:000390639733434"


# --- 6 ---


@pytest.mark.parametrize(
    ("country", "trunk", "outside", "stored", "presented"),
    [
        ("1", "1", "9", "(212) 555-0100", "912125550100"),
        ("44", "0", "9", "020 7946 0958", "902079460958"),
        ("45", "", "0", "33 31 99 91", "033319991"),
        ("36", "06", "0", "06 1 234 5678", "00612345678"),
        ("7", "8", "9", "8 (495) 123-45-67", "984951234567"),
    ],
)
def test_the_country_is_hard_wired_so_calls_abroad_are_missed_silently(
    client: Client, country: str, trunk: str, outside: str, stored: str, presented: str
) -> None:
    set_property(name="local.country.prefix", value=country)
    set_property(name="external.line.access.prefix", value=trunk)
    set_property(name="internal.line.access.prefix", value=outside)
    group = make_customer_group("locals")
    agent = make_user()
    give_rights(agent, group)
    make_person(group, "Local", phone=stored)

    answer = look_up(client, log_in(agent), presented)

    assert (answer["match"], answer["number"]["canonical"][: len(country)]) == ("exact", country)


# --- 7 ---


def test_the_outside_line_prefix_and_the_plus_spoil_dialling(
    client: Client, group: CustomerGroup, headers: dict[str, str]
) -> None:
    person = make_person(group, phone="+1 (212) 555-0100", mobile="0171 5678901")

    dialled = [
        client.post(
            "/api/v1/numbers/dial",
            {"contact": str(person.id), "field": field},
            content_type="application/json",
            headers=headers,
        ).json()["dial_string"]
        for field in ("phone", "mobile")
    ]

    assert dialled == ["00012125550100", "001715678901"]


def test_the_dialled_prefix_comes_back_and_spoils_the_match(
    client: Client, group: CustomerGroup, headers: dict[str, str]
) -> None:
    make_person(group, "Anders", phone="+33 1 42 68 53 00", mobile="0171 5678901")

    for number in ("+33142685300", "+491715678901"):
        called_back = look_up(client, headers, number)["actions"]["call_back"].removeprefix("phone:")
        assert names(look_up(client, headers, called_back)) == ["Maria Anders"], called_back


# --- 8 ---


@pytest.fixture
def many(group: CustomerGroup) -> None:
    """So many contacts that going through them all is not what the database does for want of more."""
    save_contacts(
        [ContactDraft(group.id, "person", {"last_name": f"P{n}", "phone": f"0221 {n:07}"}) for n in range(3000)],
        by=TESTS,
    )
    with connection.cursor() as cursor:
        cursor.execute("analyze numbering_indexentry")


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("number", ["+492210001234", "0002210001234", "0001234", "+4922100012349", "+33142685300"])
def test_a_look_up_is_slow_with_many_contacts(client: Client, headers: dict[str, str], number: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select seq_scan from pg_stat_xact_user_tables where relname = 'numbering_indexentry'")
        before = cursor.fetchone()
        look_up(client, headers, number)
        cursor.execute("select seq_scan from pg_stat_xact_user_tables where relname = 'numbering_indexentry'")
        assert cursor.fetchone() == before


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("number", ["", "anonymous", "sip:anonymous@anonymous.invalid", "P"])
def test_an_empty_or_private_number_goes_through_all_contacts(
    client: Client, headers: dict[str, str], number: str
) -> None:
    with CaptureQueriesContext(connection) as statements:
        answer = look_up(client, headers, number)

    assert answer["match"] == "withheld"
    assert [each["sql"] for each in statements if "numbering_indexentry" in each["sql"]] == []


# --- 9: with the rebuild ---


def test_saving_floods_the_queue_to_keep_the_index(
    group: CustomerGroup, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    rebuild_stale_customer_groups()
    with django_capture_on_commit_callbacks() as jobs:
        for number in range(20):
            make_person(group, phone=f"0221 {number:07}")

    assert jobs == []
    assert find_stale() == []
    assert IndexEntry.objects.count() == 20


# --- 10 ---


def test_colleagues_are_not_found_by_their_internal_numbers(client: Client) -> None:
    colleagues = make_customer_group("colleagues", country_prefix="49", area_prefix="211", company_line="339903")
    agent = make_user()
    give_rights(agent, colleagues)
    make_person(colleagues, "Anders", phone="12")

    for presented in ("12", "33990312", "0021133990312"):
        assert names(look_up(client, log_in(agent), presented)) == ["Maria Anders"], presented


def test_contacts_with_a_number_and_no_name_are_found_without_words(
    client: Client, group: CustomerGroup, headers: dict[str, str]
) -> None:
    save_contact(ContactDraft(group.id, "person", {"phone": "0211 33990312"}, external_id="crm-17"), by=TESTS)

    (contact,) = look_up(client, headers, "0021133990312")["contacts"]

    assert contact["name"].strip(" ,()")
    assert Contact.objects.get().id == int(contact["id"])


# --- 11 ---


@pytest.mark.parametrize("number", ["", "anonymous", "Unbekannt", "sip:anonymous@anonymous.invalid", "withheld"])
def test_withheld_numbers_are_shown_as_garbage(client: Client, headers: dict[str, str], number: str) -> None:
    answer = look_up(client, headers, number)

    assert answer["match"] == "withheld"
    assert (answer["number"]["kind"], answer["number"]["display"], answer["number"]["canonical"]) == (
        "withheld",
        "",
        None,
    )
    assert answer["actions"]["call_back"] is None
