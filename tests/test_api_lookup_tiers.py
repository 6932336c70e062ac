"""The tiers of a look-up: who has the number, else whose company's line it is, else whose number ends with it."""

from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given, settings
from hypothesis import strategies as st

from cmphone.contacts.models import CustomerGroup, User
from cmphone.contacts.services import ContactDraft, save_contacts
from cmphone.properties.services import set_property
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
    return make_customer_group("customers", country_prefix="49", area_prefix="211")


@pytest.fixture
def agent(group: CustomerGroup) -> User:
    user = make_user("agent1")
    give_rights(user, group)
    return user


@pytest.fixture
def headers(agent: User) -> dict[str, str]:
    return log_in(agent)


def look_up(client: Client, headers: dict[str, str], number: str, **parameters: str) -> dict[str, Any]:
    answer = client.get("/api/v1/lookup", {"number": number, **parameters}, headers=headers)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def find(client: Client, headers: dict[str, str], number: str) -> tuple[str, list[tuple[str, str | None]]]:
    answer = look_up(client, headers, number)
    return answer["match"], [(contact["name"], contact["extension"]) for contact in answer["contacts"]]


# --- company ---


@pytest.mark.parametrize(
    ("typed", "presented", "extension"),
    [
        ("0211/339903-0", "0021133990377", "77"),
        ("0211 339903-12", "+4921133990377", "77"),
        ("+49 (211) 339903-0", "021133990377", "77"),
        ("0211 339903 DW 0", "+492113399031", "1"),
        ("0211/339903-0", "+4921133990354321", "54321"),
    ],
)
def test_an_extension_that_nobody_has_finds_the_company_behind_whose_line_it_is(
    client: Client, group: CustomerGroup, headers: dict[str, str], typed: str, presented: str, extension: str
) -> None:
    company = make_company(group, phone=typed)
    make_person(group, company=company, phone="0171 5678901")

    # The company alone, whatever its field would bring.
    assert find(client, headers, presented) == ("company", [("Alfreds Futterkiste", extension)])


@pytest.mark.parametrize("presented", ["+49211339903", "+49211339903543210", "+4921133990", "+4930339903777"])
def test_no_extension_and_one_of_six_digits_find_no_company(
    client: Client, group: CustomerGroup, headers: dict[str, str], presented: str
) -> None:
    make_company(group, phone="0211/339903-0")

    assert find(client, headers, presented) == ("none", [])


def test_a_company_whose_line_is_not_known_is_found_by_its_number_alone(
    client: Client, group: CustomerGroup, headers: dict[str, str]
) -> None:
    make_company(group, phone="0211 339903")

    assert find(client, headers, "+4921133990377")[0] == "none"
    assert find(client, headers, "+49211339903")[0] == "exact"


def test_of_two_companies_the_longer_line_wins(client: Client, group: CustomerGroup, headers: dict[str, str]) -> None:
    make_company(group, "Outer", phone="0211/3399-0")
    make_company(group, "Inner", phone="0211/339903-0")

    assert find(client, headers, "+4921133990377") == ("company", [("Inner", "77")])
    assert find(client, headers, "+4921133991177") == ("company", [("Outer", "1177")])


def test_who_has_the_number_is_found_without_the_company(
    client: Client, group: CustomerGroup, headers: dict[str, str]
) -> None:
    company = make_company(group, phone="0211/339903-0")
    make_person(group, "Anders", company=company, phone="0211 33990312")

    assert look_up(client, headers, "+4921133990312")["match"] == "exact"
    assert [each["kind"] for each in look_up(client, headers, "+4921133990312")["contacts"]] == ["person"]


def test_an_internal_call_finds_the_colleague_or_else_the_own_company(client: Client) -> None:
    colleagues = make_customer_group("colleagues", country_prefix="49", area_prefix="211", company_line="339903")
    agent = make_user()
    give_rights(agent, colleagues)
    headers = log_in(agent)
    company = make_company(colleagues, "We", phone="339903-0")
    make_person(colleagues, "Anders", company=company, phone="12")

    assert find(client, headers, "12") == ("exact", [("Maria Anders (We)", None)])
    assert find(client, headers, "77") == ("company", [("We", "77")])


def test_the_company_tier_can_be_switched_off(client: Client, group: CustomerGroup, headers: dict[str, str]) -> None:
    make_company(group, phone="0211/339903-0")
    set_property(name="lookup.match.company", value="false")

    assert find(client, headers, "+4921133990377") == ("none", [])


# --- tail ---


@pytest.fixture
def no_area(agent: User) -> CustomerGroup:
    """A group whose plan completes nothing, or a number without area would be read as a whole one."""
    CustomerGroup.objects.update(area_prefix="")
    group = make_customer_group("no-area", country_prefix="49")
    give_rights(agent, group)
    return group


@pytest.mark.parametrize("presented", ["33990312", "033990312", "3990312"])
def test_a_number_no_area_finds_uncertainly_who_has_one_that_ends_with_it(
    client: Client, no_area: CustomerGroup, headers: dict[str, str], presented: str
) -> None:
    make_person(no_area, "Anders", phone="0211 33990312")

    assert find(client, headers, presented) == ("tail", [("Maria Anders", None)])


@pytest.mark.parametrize(
    "presented",
    [
        *("990312", "12", "+4933990312", "004933990312", "43990312", "+33 33990312", "9933990312"),
        *("0030 33990312", "00433 3990312"),
    ],
)
def test_short_ends_other_ends_and_numbers_with_their_country_find_nobody(
    client: Client, no_area: CustomerGroup, headers: dict[str, str], presented: str
) -> None:
    make_person(no_area, "Anders", phone="0211 33990312")

    assert find(client, headers, presented) == ("none", [])


def test_the_longer_number_ends_with_the_shorter_whichever_is_stored(
    client: Client, no_area: CustomerGroup, headers: dict[str, str]
) -> None:
    # Nobody can read it: it has a digit too many in front of the area.
    make_person(no_area, "Short", phone="+999 33990312")

    assert find(client, headers, "99933990312")[0] == "exact"
    assert find(client, headers, "0733990312")[0] == "none"


def test_the_tail_tier_can_be_switched_off(client: Client, no_area: CustomerGroup, headers: dict[str, str]) -> None:
    make_person(no_area, phone="0211 33990312")
    set_property(name="lookup.match.tail", value="false")

    assert find(client, headers, "33990312") == ("none", [])


def test_a_company_is_found_before_any_end(client: Client, no_area: CustomerGroup, headers: dict[str, str]) -> None:
    make_company(no_area, phone="0211/339903-0")
    make_person(no_area, "Ends", phone="+43 1 21133990377")

    assert find(client, headers, "021133990377")[0] == "company"


# --- all of them ---


@pytest.mark.parametrize("number", ["12", "+4921133990312", "+4921133990377", "3990312", "", "0049301234567"])
def test_every_tier_is_the_same_one_statement(
    client: Client, group: CustomerGroup, headers: dict[str, str], number: str
) -> None:
    make_company(group, phone="0211/339903-0")
    make_person(group, phone="0211 33990312")
    look_up(client, headers, number)

    with CaptureQueriesContext(
        connection,
    ) as statements:
        look_up(client, headers, number)

    # Kept settings are compared in the statement; inside a test's transaction they are loaded anew each time.
    assert len([each for each in statements if "numbering_indexentry" in each["sql"]]) == (1 if number else 0)


def test_several_outside_line_codes_are_each_tried(
    client: Client, group: CustomerGroup, headers: dict[str, str]
) -> None:
    set_property(name="internal.line.access.prefix", value="9, 77")
    make_person(group, "Anders", phone="0211 33990312")

    for presented in ("9021133990312", "77021133990312", "7700 49 211 33990312", "021133990312"):
        assert find(client, headers, presented)[0] == "exact", presented


NUMBERS = st.sampled_from(
    ["0211 33990312", "0211/339903-0", "0211/339903-12", "+33 1 42 68 53 00", "33990312", "12", "0171 5678901"]
)
CONTACTS = st.lists(st.tuples(st.sampled_from(["person", "company"]), NUMBERS), max_size=4)


@settings(max_examples=40)
@given(CONTACTS, CONTACTS)
def test_hidden_contacts_change_no_byte_of_any_answer(
    shown: list[tuple[str, str]], hidden: list[tuple[str, str]]
) -> None:
    client = Client()
    with transaction.atomic():
        model = make_contact_model("m")
        visible = make_customer_group("visible", model, country_prefix="49", area_prefix="211")
        secret = make_customer_group("secret", model, country_prefix="49", area_prefix="211", company_line="339903")
        agent = make_user()
        give_rights(agent, visible)
        give_rights(agent, secret, view=False, create=True)
        headers = log_in(agent)

        def save(group: CustomerGroup, contacts: list[tuple[str, str]]) -> None:
            if drafts := [_draft(group, kind, number) for kind, number in contacts]:
                save_contacts(drafts, by=TESTS)

        save(visible, shown)
        before = [_ask(client, headers, number) for number in PRESENTED]
        save(secret, hidden)

        assert [_ask(client, headers, number) for number in PRESENTED] == before
        transaction.set_rollback(True)


PRESENTED = ("0021133990312", "+4921133990377", "3990312", "33990312", "12", "77", "00033142685300", "01715678901", "")


def _draft(group: CustomerGroup, kind: str, number: str) -> ContactDraft:
    name = {"name": "Company"} if kind == "company" else {"last_name": "Person"}
    return ContactDraft(group.id, kind, {**name, "phone": number})


def _ask(client: Client, headers: dict[str, str], number: str) -> bytes:
    answer = client.get("/api/v1/lookup", {"number": number, "explain": "true"}, headers=headers)
    return bytes(answer.content)
