"""What to dial, through the API: the table of numbering.md, section 6, and what cannot be dialled."""

from typing import Any

import pytest
from django.test import Client

from cmphone.contacts.models import Contact, CustomerGroup
from cmphone.properties.services import set_property
from tests.make import give_rights, log_in, make_customer_group, make_person, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group("colleagues", country_prefix="49", area_prefix="211", company_line="339903")


@pytest.fixture
def headers(group: CustomerGroup) -> dict[str, str]:
    agent = make_user()
    give_rights(agent, group)
    return log_in(agent)


def set_site(country: str, outside: str, trunk: str, international: str = "") -> None:
    set_property(name="local.country.prefix", value=country)
    set_property(name="internal.line.access.prefix", value=outside)
    set_property(name="external.line.access.prefix", value=trunk)
    set_property(name="international.access.prefix", value=international)


def dial(client: Client, headers: dict[str, str], **body: object) -> Any:
    return client.post("/api/v1/numbers/dial", body, content_type="application/json", headers=headers)


@pytest.mark.parametrize(
    ("site", "canonical", "dialled"),
    [
        (("49", "0", "0", "00"), "4921133990312", "0021133990312"),
        (("49", "0", "0", "00"), "33142685300", "00033142685300"),
        (("1", "9", "1", "011"), "12125550100", "912125550100"),
        (("1", "9", "1", "011"), "442079460958", "9011442079460958"),
        (("39", "0", "", "00"), "390639733434", "00639733434"),
        (("45", "0", "", "00"), "4533319991", "033319991"),
        (("49", "", "0", "00"), "4921133990312", "021133990312"),
        (("49", "9", "0", "00"), "4921133990312", "9021133990312"),
        (("49", "0, 9", "0", ""), "4921133990312", "0021133990312"),
    ],
)
def test_a_canonical_number_is_dialled_by_the_plan_of_the_site(
    client: Client, headers: dict[str, str], site: tuple[str, str, str, str], canonical: str, dialled: str
) -> None:
    set_site(*site)

    for number in (canonical, f"+{canonical}"):
        assert dial(client, headers, number=number).json() == {
            "canonical": canonical,
            "dial_string": dialled,
            "dial_uri": f"phone:{dialled}",
            "reason": None,
        }


@pytest.mark.parametrize(
    ("number", "canonical", "dialled"),
    [
        ("12", "4921133990312", "0021133990312"),
        ("33990312", "4921133990312", "0021133990312"),
        ("4921133990312", "4921133990312", "0021133990312"),
        ("+33 1 42 68 53 00", "33142685300", "00033142685300"),
        ("+1 212 555 0100 ext. 12", "12125550100", "00012125550100,12"),
    ],
)
def test_a_typed_number_is_read_by_the_plan_of_its_customer_group_first(
    client: Client, headers: dict[str, str], group: CustomerGroup, number: str, canonical: str, dialled: str
) -> None:
    for named in ("colleagues", str(group.id)):
        answer = dial(client, headers, number=number, customer_group=named).json()
        assert (answer["canonical"], answer["dial_string"]) == (canonical, dialled)


@pytest.mark.parametrize(
    ("number", "dialled", "reason"),
    [
        ("112", "112", None),
        ("110", "110", None),
        ("11880", "011880", None),
        ("089 1234567", "00891234567", None),
        ("nonsense", None, "unreadable"),
        ("00", None, "unreadable"),
        ("+999 123456", None, "unreadable"),
    ],
)
def test_service_numbers_and_what_cannot_be_dialled(
    client: Client, headers: dict[str, str], number: str, dialled: str | None, reason: str | None
) -> None:
    answer = dial(client, headers, number=number).json()

    assert (answer["dial_string"], answer["reason"]) == (dialled, reason)
    assert answer["dial_uri"] == (f"phone:{dialled}" if dialled else None)


def test_where_nothing_says_how_to_call_abroad_it_says_so(client: Client, headers: dict[str, str]) -> None:
    set_site("55", "0", "0")

    answer = dial(client, headers, number="+4921133990312").json()

    assert (answer["canonical"], answer["dial_string"], answer["reason"]) == (
        "4921133990312",
        None,
        "no-international-prefix",
    )


def test_within_the_own_line_only_the_extension_is_dialled_when_that_is_set(
    client: Client, headers: dict[str, str]
) -> None:
    set_property(name="dial.internal.shorten", value="true")

    assert dial(client, headers, number="+4921133990312").json()["dial_string"] == "12"
    assert dial(client, headers, number="12", customer_group="colleagues").json()["dial_string"] == "12"
    assert dial(client, headers, number="+49211339903").json()["dial_string"] == "00211339903"
    assert dial(client, headers, number="+4930339903").json()["dial_string"] == "0030339903"


def test_the_line_of_a_hidden_group_shortens_nothing(client: Client) -> None:
    make_customer_group("hidden", country_prefix="49", area_prefix="211", company_line="339903")
    set_property(name="dial.internal.shorten", value="true")

    answer = dial(client, log_in(make_user("stranger")), number="+4921133990312").json()

    assert answer["dial_string"] == "0021133990312"


def test_a_contacts_field_is_dialled(client: Client, headers: dict[str, str], group: CustomerGroup) -> None:
    person = make_person(group, phone="0211 339903-12 (Büro) / 0171 5678901")

    phone = dial(client, headers, contact=str(person.id), field="phone").json()
    empty = dial(client, headers, contact=str(person.id), field="mobile").json()

    assert phone["dial_uri"] == "phone:0021133990312"
    assert empty == {"canonical": None, "dial_string": None, "dial_uri": None, "reason": "unreadable"}


def test_a_hidden_contact_is_no_other_than_one_that_is_not_there(client: Client, headers: dict[str, str]) -> None:
    secret = make_person(make_customer_group("secret"), phone="0211 1234567")

    answers = [dial(client, headers, contact=id, field="phone") for id in (str(secret.id), "999999999", "x", str(-1))]
    bodies = [{**answer.json(), "request_id": ""} for answer in answers]

    assert [answer.status_code for answer in answers] == [404] * 4
    assert bodies == [bodies[0]] * 4


def test_a_field_that_the_contact_model_has_not_is_not_found(
    client: Client, headers: dict[str, str], group: CustomerGroup
) -> None:
    person = make_person(group)

    assert dial(client, headers, contact=str(person.id), field="nosuch").status_code == 404
    assert dial(client, headers, number="1", customer_group="nosuch").status_code == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "#"),
        ({"number": "1", "contact": "1"}, "#"),
        ({"contact": "1"}, "#"),
        ({"field": "phone"}, "#"),
        ({"contact": "1", "field": "phone", "customer_group": "colleagues"}, "#"),
        ({"number": 112}, "#/number"),
        ({"number": ""}, "#/number"),
        ({"number": "1" * 501}, "#/number"),
    ],
)
def test_bad_input_is_refused_with_its_place(
    client: Client, headers: dict[str, str], body: dict[str, object], pointer: str
) -> None:
    answer = dial(client, headers, **body)

    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert Contact.objects.count() == 0
