"""Showing and dialling numbers."""

import pytest

from numbering import countries
from numbering.dialing import dial
from numbering.display import show
from numbering.reading import Plan, Reading, read_typed


def public(canonical: str) -> Reading:
    return read_typed(f"+{canonical}", Plan())[0]


@pytest.mark.parametrize(
    ("canonical", "display", "tapi", "country", "place"),
    [
        ("4921133990312", "+49 211 33990312", "+49 (211) 33990312", "DE", "Düsseldorf"),
        ("33142685300", "+33 1 42 68 53 00", "+33 (1) 42685300", "FR", "Paris"),
        ("12125550100", "+1 212-555-0100", "+1 (212) 5550100", "US", "New York, NY"),
        ("4533319991", "+45 33 31 99 91", "+45 33319991", "DK", "Denmark"),
        ("80012345678", "+800 1234 5678", "+800 12345678", None, None),
    ],
)
def test_a_number_is_shown_to_people_and_to_tapi(
    canonical: str, display: str, tapi: str, country: str | None, place: str | None
) -> None:
    shown = show(public(canonical), "en")

    assert (shown.display, shown.tapi, shown.e164) == (display, tapi, f"+{canonical}")
    assert (shown.country, shown.place) == (country, place)


def test_what_is_not_public_is_shown_as_its_digits() -> None:
    shown = show(Reading("112", "service", "service", possible=True, valid=True), "de")

    assert (shown.display, shown.tapi, shown.e164, shown.country) == ("112", "112", None, None)


@pytest.mark.parametrize(
    ("country", "outside", "trunk", "international", "canonical", "dial_string"),
    [
        ("49", "0", "0", "", "4921133990312", "0021133990312"),
        ("49", "0", "0", "", "33142685300", "00033142685300"),
        ("1", "9", "1", "", "12125550100", "912125550100"),
        ("1", "9", "1", "", "442079460958", "9011442079460958"),
        ("39", "0", "", "", "390639733434", "00639733434"),
        ("45", "0", "", "", "4533319991", "033319991"),
        ("49", "", "0", "", "4921133990312", "021133990312"),
        # Singapore has several prefixes, and prefers none.
        ("65", "9", "", "", "4921133990312", None),
        ("65", "9", "", "001", "4921133990312", "90014921133990312"),
    ],
)
def test_a_number_is_dialled_as_the_site_dials(
    country: str, outside: str, trunk: str, international: str, canonical: str, dial_string: str | None
) -> None:
    codes = (outside,) if outside else ()
    site = Plan(country=country, outside_codes=codes, trunk=trunk, international=international)

    assert dial(public(canonical), site).string == dial_string


def test_an_emergency_number_is_dialled_as_it_is_and_another_service_from_outside() -> None:
    def service(digits: str) -> Reading:
        return Reading(digits, "service", "service", possible=True, valid=True)

    assert dial(service("112"), Plan()).string == "112"
    assert dial(service("11880"), Plan()).string == "011880"


def test_what_cannot_be_read_cannot_be_dialled() -> None:
    assert dial(Reading("999123", "unreadable", "digits"), Plan()).string is None
    assert dial(Reading("12", "internal", "internal"), Plan()).string == "12"


def test_the_facts_about_a_country_are_libphonenumbers() -> None:
    assert (countries.trunk_prefix("49"), countries.trunk_prefix("39"), countries.trunk_prefix("999")) == ("0", "", "")
    assert (countries.international_prefix("1"), countries.international_prefix("7")) == ("011", "810")
    assert countries.split_country("390639733434") == ("39", "0639733434")
