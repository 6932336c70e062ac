"""Trying a number out on the page of a customer group: by the settings in the form, with nothing saved."""

from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cmphone.contacts.models import Contact, CustomerGroup, User
from cmphone.contacts.rebuilding import rebuild_stale_customer_groups
from cmphone.properties.services import set_property
from tests.admin_pages import NOWHERE, log_in_as, read, url_of
from tests.make import give_rights, make_company, make_customer_group, make_person

pytestmark = pytest.mark.django_db

URL = "try"


@pytest.fixture
def administrator(client: Client) -> User:
    return log_in_as(client, "admin", is_superuser=True)


@pytest.fixture
def agent(client: Client) -> User:
    """Somebody who may view customer groups, and so far no contact."""
    agent = log_in_as(client, "agent1")
    agent.user_permissions.set(Permission.objects.filter(codename="view_customergroup"))
    return agent


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group(country_prefix="49", area_prefix="211", company_line="339903")


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words += data.split()


def try_number(
    client: Client, number: str = "", *, group: CustomerGroup | None = None, way: str = "typed", **settings: str
) -> Any:
    """Send what the panel sends, and return what the result is made of."""
    response = client.post(
        url_of(URL, model="customergroup"),
        {"group": group.pk if group else "", "number": number, "way": way, **settings},
    )
    assert response.status_code == 200
    return response.context_data


def read_trial(client: Client, number: str, group: CustomerGroup, way: str = "typed") -> str:
    """Return the words of the result."""
    data = {"group": group.pk, "number": number, "way": way}
    text = _Text()
    text.feed(client.post(url_of(URL, model="customergroup"), data).content.decode())
    return " ".join(text.words)


def list_readings(result: Any) -> list[tuple[str, str]]:
    return [(reading.number.canonical, str(reading.number.reason)) for reading in result["readings"]]


# --- how it is read ---


def test_a_typed_number_is_read_with_kind_reason_dial_string_and_link(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    (reading,) = try_number(client, "12", group=group)["readings"]
    number = reading.number
    assert (number.display, number.canonical, str(number.kind)) == (
        "+49 211 33990312",
        "4921133990312",
        "public number",
    )
    assert str(number.reason) == ("an extension: country, area and company line of the customer group are put in front")
    assert str(reading.chance) == "valid"
    assert (reading.digits, reading.uri, reading.obstacle) == ("0021133990312", "phone:0021133990312", "")


def test_every_number_of_what_was_typed_is_read(client: Client, administrator: User, group: CustomerGroup) -> None:
    readings = try_number(client, "12 oder 0171 1234567 (Mobil)", group=group)["readings"]
    assert [reading.number.canonical for reading in readings] == ["4921133990312", "491711234567"]


def test_an_extension_stands_beside_a_number_abroad(client: Client, administrator: User, group: CustomerGroup) -> None:
    (reading,) = try_number(client, "+1 212 555 0100 ext. 7", group=group)["readings"]
    assert (reading.number.canonical, reading.number.extension) == ("12125550100", "7")
    assert reading.digits == "00012125550100,7"


def test_a_presented_number_has_all_its_readings_in_their_order(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    result = try_number(client, "0021133990312", group=group, way="presented")
    assert list_readings(result) == [
        ("4921133990312", "behind the outside-line code it is a number as one dials it within the country"),
        ("21133990312", "it says its country itself"),
        ("0021133990312", "no country has such a number: it is found by just these digits"),
    ]


@pytest.mark.parametrize(
    ("number", "way", "obstacle"),
    [
        ("keine", "typed", "It cannot be dialled, as it cannot be read."),
        ("anonymous", "presented", "There is no number to be dialled."),
    ],
)
def test_what_cannot_be_dialled_says_why(
    client: Client, administrator: User, group: CustomerGroup, number: str, way: str, obstacle: str
) -> None:
    (reading,) = try_number(client, number, group=group, way=way)["readings"]
    assert (reading.digits, reading.uri, str(reading.obstacle)) == ("", "", obstacle)


def test_a_country_without_one_way_abroad_says_which_property_is_missing(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    set_property(name="local.country.prefix", value="55")
    (reading,) = try_number(client, "12", group=group)["readings"]
    assert "international.access.prefix" in str(reading.obstacle)


# --- by the settings in the form ---


def test_it_is_read_by_the_settings_as_they_stand_in_the_form(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    saved, changed = try_number(client, "12", group=group), try_number(client, "12", group=group, area_prefix="30")
    assert [reading.number.canonical for reading in changed["readings"]] == ["493033990312"]
    assert (saved["is_saved"], changed["is_saved"]) == (True, False)
    group.refresh_from_db()
    assert group.area_prefix == "211"


def test_a_colleague_s_extension_is_read_by_the_form_too(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    result = try_number(client, "12", group=group, way="presented", area_prefix="30")
    assert [canonical for canonical, _ in list_readings(result)] == ["493033990312", "12"]


def test_a_group_that_is_not_saved_yet_can_be_tried(client: Client, administrator: User) -> None:
    result = try_number(client, "12", country_prefix="43", area_prefix="1", company_line="12345")
    assert list_readings(result)[0][0] == "4311234512"
    assert not result["is_saved"]
    presented = try_number(client, "12", way="presented", country_prefix="43", area_prefix="1", company_line="12345")
    assert list_readings(presented)[0][0] == "4311234512"
    assert CustomerGroup.objects.count() == 0


@pytest.mark.parametrize(
    ("settings", "errors"),
    [
        ({"area_prefix": "x"}, ["Area prefix: Enter digits only."]),
        (
            {"country_prefix": "0"},
            ["Country prefix: Enter a country code without + or zeros, for example 49."],
        ),
        ({"extension_min": "4", "extension_max": "2"}, ["The shortest extension is longer than the longest."]),
        ({"extension_max": "many"}, ["Longest extension: Enter a whole number."]),
    ],
)
def test_settings_that_cannot_be_are_refused_as_the_page_refuses_them(
    client: Client, administrator: User, group: CustomerGroup, settings: dict[str, str], errors: list[str]
) -> None:
    assert try_number(client, "12", group=group, **settings) == {"errors": errors}


def test_a_contradiction_is_told_before_a_number_is_typed(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    result = try_number(client, group=group, area_prefix="0211")
    assert result["doubts"] == [
        "Area prefix 0211 begins with 0, which is dialled before an area code and is no part of it. "
        "Probably 211 is meant."
    ]
    assert "readings" not in result


def test_trying_writes_nothing(client: Client, administrator: User, group: CustomerGroup) -> None:
    make_person(group, phone="12")
    with CaptureQueriesContext(connection) as queries:
        try_number(client, "12", group=group, area_prefix="30")
    assert len(queries) > 0
    assert [query["sql"] for query in queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))] == []


# --- who would be found ---


def test_who_has_the_number_is_found_with_a_link_to_the_page(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    company = make_company(group, phone="0211 339903-0")
    person = make_person(group, company=company, phone="12")
    for way, number in (("typed", "12"), ("typed", "0211 33990312"), ("presented", "0021133990312")):
        result = try_number(client, number, group=group, way=way)
        (found,) = result["found"]
        assert (found.name, found.url) == ("Maria Anders (Alfreds Futterkiste)", url_of("change", person.pk))
        assert (str(found.kind), found.group, found.field) == ("person", "customers en", "phone")
        assert result["match"] == "+49 211 33990312: who has exactly this number"
        assert not result["more"]


def test_a_company_is_found_by_its_line_with_the_extension(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    make_company(group, phone="0211 339903-0")
    result = try_number(client, "0211 339903 77", group=group)
    (found,) = result["found"]
    assert (found.name, found.extension) == ("Alfreds Futterkiste", "77")
    assert result["match"].endswith("nobody has this number, but it begins with the line of a company")


def test_an_uncertain_match_is_told_as_uncertain(client: Client, administrator: User) -> None:
    group = make_customer_group(country_prefix="49", area_prefix="211")
    make_person(group, phone="0211 7654321")
    result = try_number(client, "7654321", group=make_customer_group("other"), way="presented")
    assert [found.name for found in result["found"]] == ["Maria Anders"]
    assert "Nobody would be found." not in result["match"]


def test_more_than_are_listed_are_told(client: Client, administrator: User, group: CustomerGroup) -> None:
    for number in range(51):
        make_person(group, f"Anders {number}", phone="12")
    result = try_number(client, "12", group=group)
    assert (len(result["found"]), result["more"]) == (50, True)
    assert "There are more." in read_trial(client, "12", group)


def test_nobody_is_looked_for_by_what_is_not_public(client: Client, administrator: User, group: CustomerGroup) -> None:
    assert try_number(client, "keine", group=group)["match"] == "Only who has a public number is looked for by it."
    assert (
        try_number(client, "anonymous", group=group, way="presented")["match"]
        == "Nobody is looked for, as the number is withheld."
    )
    assert try_number(client, "0171 1234567", group=group)["match"] == "Nobody would be found."


def test_the_index_as_it_is_decides_who_would_be_found(
    client: Client, administrator: User, group: CustomerGroup
) -> None:
    make_person(group, phone="12")
    assert try_number(client, "12", group=group, area_prefix="30")["found"] == []
    CustomerGroup.objects.update(area_prefix="30")
    set_property(name="dial.uri.scheme", value="tel")
    rebuild_stale_customer_groups()
    group.refresh_from_db()
    assert len(try_number(client, "12", group=group)["found"]) == 1


# --- rights ---


@pytest.mark.parametrize("way", ["typed", "presented"])
@pytest.mark.parametrize(
    "number", ["12", "+49 211 33990312", "0211 339903 77", "33990312", "0021133990312", "+49 30 1234577"]
)
def test_a_hidden_contact_leaves_no_trace(client: Client, agent: User, way: str, number: str) -> None:
    group = make_customer_group(country_prefix="49", area_prefix="211", company_line="339903")
    hidden = make_customer_group("secret", country_prefix="49", area_prefix="30", company_line="12345")
    give_rights(agent, make_customer_group("third"))
    before = read_trial(client, number, group, way)
    for each in (group, hidden):
        company = make_company(each, "Hidden Company", phone="0")
        make_person(each, "Hidden", company=company, phone="12")
        make_person(each, "Hidden", phone="0211 33990312")
    assert read_trial(client, number, group, way) == before
    assert "Hidden" not in before
    assert "secret" not in before


def test_the_plan_of_a_hidden_group_reads_nothing(client: Client, agent: User, group: CustomerGroup) -> None:
    make_customer_group("secret", country_prefix="49", area_prefix="30", company_line="12345")
    visible = make_customer_group("visible", country_prefix="43", area_prefix="1", company_line="12345")
    give_rights(agent, visible)
    canonicals = [canonical for canonical, _ in list_readings(try_number(client, "12", group=group, way="presented"))]
    assert canonicals == ["4921133990312", "4311234512", "12"]


def test_a_contact_shows_with_the_right_to_view_it(client: Client, agent: User, group: CustomerGroup) -> None:
    make_person(group, phone="12")
    assert try_number(client, "12", group=group)["found"] == []
    give_rights(agent, group)
    assert len(try_number(client, "12", group=group)["found"]) == 1


def test_who_may_only_view_groups_tries_what_is_saved(client: Client, agent: User, group: CustomerGroup) -> None:
    assert 'id="try-it"' in read(client, url_of("change", group.pk, model="customergroup"))
    assert list_readings(try_number(client, "12", group=group))[0][0] == "4921133990312"


def test_who_may_not_view_groups_tries_nothing(client: Client, agent: User, group: CustomerGroup) -> None:
    agent.user_permissions.clear()
    give_rights(agent, group)
    assert client.post(url_of(URL, model="customergroup"), {"group": group.pk, "way": "typed"}).status_code == 403


def test_a_number_comes_by_post_with_a_token_only(administrator: User, group: CustomerGroup) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(administrator)
    url = url_of(URL, model="customergroup")
    assert strict.get(url, {"number": "12", "way": "typed"}).status_code == 405
    assert strict.post(url, {"number": "12", "way": "typed"}).status_code == 403


def test_a_group_that_is_not_there_is_not_found(client: Client, administrator: User) -> None:
    response = client.post(url_of(URL, model="customergroup"), {"group": NOWHERE, "way": "typed"})
    assert response.status_code == 404


def test_the_panel_stands_on_the_page_of_a_new_group_too(client: Client, administrator: User) -> None:
    page = read(client, url_of("add", model="customergroup"))
    assert 'id="try-it"' in page
    assert 'data-group=""' in page
    # What is tried is not sent with the form.
    assert 'name="number"' not in page
    assert Contact.objects.count() == 0
