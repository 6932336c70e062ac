"""Warnings where settings contradict each other: on the pages, and never in the way of saving."""

from dataclasses import replace
from typing import Any, get_args

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from cmphone.contacts.admin import doubts
from cmphone.contacts.admin.doubts import describe_doubts, describe_site_doubts
from cmphone.contacts.models import CustomerGroup, User
from cmphone.properties.selectors import load_properties
from cmphone.properties.services import set_property
from numbering import countries
from numbering.doubts import Code, Doubt, Setting
from numbering.reading import Plan
from tests.admin_pages import log_in_as, read, read_messages, url_of
from tests.make import make_customer_group

pytestmark = pytest.mark.django_db

PROPERTIES = "admin:properties_systemproperty_changelist"
AREA_DOUBT = (
    "Area prefix 0211 begins with 0, which is dialled before an area code and is no part of it. Probably 211 is meant."
)
NO_TRUNK = "In the country +39 one dials nothing before an area code: leave it empty."


@pytest.fixture(autouse=True)
def administrator(client: Client) -> User:
    return log_in_as(client, "admin", is_superuser=True)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (("999",), "There is no country with the code 999."),
        (("49", "0211"), AREA_DOUBT),
        (
            ("49", "0049211"),
            "Area prefix 0049211 begins with 00, which is dialled before a country code and is no part of it. "
            "Probably 211 is meant.",
        ),
        (("49", "49211"), "Area prefix 49211 begins with the country prefix 49. Probably 211 is meant."),
        (
            ("49", "211", "211339903"),
            "Company line 211339903 begins with the area prefix 211, which is put in front anyway. "
            "Probably 339903 is meant.",
        ),
        (
            ("1", "", "555"),
            "Company line 555 has no area prefix before it, and +1 555 with an extension is no number of the country.",
        ),
        (
            ("1", "212", "5550100"),
            "Company line 5550100: with an extension, +1212 5550100 is longer than any number of the country.",
        ),
        (
            ("1", "212", "555", 3, 3),
            "Company line 555: with an extension, +1212 555 is shorter than a number of the country.",
        ),
        (
            ("45", "", "0123"),
            "Company line 0123: the country has no number that begins with +45 0123 and goes on.",
        ),
        (
            ("49", "211", "339903", 1, 9),
            "Longest extension 9: with so many digits behind it, +49211339903 is no number of the country.",
        ),
        (("49", "", "", None, 4), "Longest extension 4 has no effect, as there is no company line."),
    ],
)
def test_a_doubt_is_put_in_words(settings: tuple[Any, ...], text: str) -> None:
    plan = replace(Plan(*settings), trunk=countries.trunk_prefix(settings[0]), key="7")
    assert describe_doubts(plan) == [text]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, {}),
        (
            {"local.country.prefix": "999"},
            {"local.country.prefix": ["There is no country with the code 999."]},
        ),
        (
            {"local.country.prefix": "39"},
            {
                "external.line.access.prefix": [
                    "In the country +39 one dials nothing before an area code: leave it empty."
                ]
            },
        ),
        (
            {"local.country.prefix": "1"},
            {"external.line.access.prefix": ["In the country +1 one dials 1 before an area code."]},
        ),
        (
            {"international.access.prefix": "011"},
            {"international.access.prefix": ["From the country +49 one dials 00 to call abroad."]},
        ),
    ],
)
def test_a_property_unlike_the_country_s_is_told_with_the_country_s_own(
    values: dict[str, str], expected: dict[str, list[str]]
) -> None:
    assert describe_site_doubts({**load_properties(), **values}) == expected


def save_group(client: Client, group: CustomerGroup, **changes: str) -> None:
    data = {"name": group.name, "contact_model": group.contact_model_id, "country_prefix": "49", **changes}
    response = client.post(url_of("change", group.pk, model="customergroup"), data)
    assert response.status_code == 302


def test_a_doubtful_plan_is_saved_and_told(client: Client) -> None:
    group = make_customer_group()
    save_group(client, group, area_prefix="0211")
    assert read_messages(client)[0] == f"Customers: {AREA_DOUBT}"
    group.refresh_from_db()
    assert group.area_prefix == "0211"
    page = read(client, url_of("change", group.pk, model="customergroup"))
    # Above the settings, for good.
    assert page.index(AREA_DOUBT) < page.index('id="id_country_prefix"')


def test_an_ordinary_plan_is_saved_without_a_word(client: Client) -> None:
    group = make_customer_group()
    save_group(client, group, area_prefix="211", company_line="339903")
    assert [text for text in read_messages(client) if "was changed successfully" not in text] == []
    assert "doubts" not in read(client, url_of("change", group.pk, model="customergroup"))


def test_the_list_marks_the_groups_with_doubts(client: Client) -> None:
    make_customer_group(country_prefix="49", area_prefix="211")
    assert "⚠" not in read(client, url_of("changelist", model="customergroup"))
    make_customer_group("doubtful", country_prefix="49", area_prefix="0211", company_line="0339903")
    page = read(client, url_of("changelist", model="customergroup"))
    assert "⚠ 2" in page
    assert page.count(AREA_DOUBT) == 2


def test_the_page_of_the_properties_warns_at_the_property(client: Client) -> None:
    assert "doubts" not in read(client, reverse(PROPERTIES))
    client.post(reverse(PROPERTIES), {"local.country.prefix": "39"})
    assert f"external.line.access.prefix: {NO_TRUNK}" in read_messages(client)
    page = read(client, reverse(PROPERTIES))
    assert page.index('id="id_external.line.access.prefix_doubt"') < page.index(NO_TRUNK)
    set_property(name="external.line.access.prefix", value="")
    assert "doubts" not in read(client, reverse(PROPERTIES))


def test_every_doubt_has_words_in_both_languages() -> None:
    for code in get_args(Code):
        for setting in get_args(Setting):
            if code == "unlike-country" and setting not in {"trunk", "international"}:
                continue
            if code not in {"unlike-country", "missing"} and setting not in doubts._fields:
                continue
            for language in ("en", "de"):
                with translation.override(language):
                    assert "%" not in doubts._describe(Doubt(code, setting, "1", "2", "3"))
