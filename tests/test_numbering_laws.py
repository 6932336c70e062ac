"""The laws of numbers, over every country that libphonenumber knows and any plan."""

from functools import cache

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from numbering import countries
from numbering.calling_codes import list_calling_codes
from numbering.dialing import PAUSE, dial
from numbering.display import show
from numbering.reading import SHORTEST_ENDING, Plan, Reading, list_endings, read_presented, read_typed

CODES = [code.code for code in list_calling_codes()]
DIGITS = "0123456789"


@cache
def list_valid(code: str) -> list[str]:
    """Return a full valid number of every type and country behind the code."""
    if phonenumbers.region_code_for_country_code(int(code)) == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY:
        found = [phonenumbers.example_number_for_non_geo_entity(int(code))]
    else:
        regions = phonenumbers.region_codes_for_country_code(int(code))
        found = [phonenumbers.example_number_for_type(region, kind) for region in regions for kind in range(11)]
    numbers = sorted({f"{code}{phonenumbers.national_significant_number(number)}" for number in found if number})
    return [number for number in numbers if is_valid(number)]


def is_valid(canonical: str) -> bool:
    number = countries.read_full_number(canonical)
    return number is not None and number.valid and number.canonical == canonical


@st.composite
def valid_numbers(draw: st.DrawFn) -> str:
    """A full valid number: an example, or one with other last digits."""
    code = draw(st.sampled_from(CODES))
    number = draw(st.sampled_from(list_valid(code)))
    end = draw(st.text(DIGITS, min_size=4, max_size=4))
    changed = number[:-4] + end
    return changed if is_valid(changed) else number


@st.composite
def sites(draw: st.DrawFn) -> Plan:
    """The plan of a site in any country that has regions, with or without outside-line code."""
    code = draw(st.sampled_from([each for each in CODES if countries.international_prefix(each)]))
    outside = draw(st.sampled_from([(), ("0",), ("9",), ("00",), ("0", "9"), ("8", "0")]))
    own = countries.trunk_prefix(code)
    return Plan(country=code, outside_codes=outside, trunk=own)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Any plan, sensible or not."""
    short = st.text(DIGITS, max_size=4)
    shortest = draw(st.none() | st.integers(0, 5))
    longest = draw(st.none() | st.integers(shortest or 0, 8))
    return Plan(
        country=draw(st.sampled_from(CODES)),
        area=draw(short),
        company_line=draw(st.text(DIGITS, max_size=7)),
        extension_min=shortest,
        extension_max=longest,
        outside_codes=tuple(draw(st.lists(short.filter(bool), max_size=3))),
        trunk=draw(st.text(DIGITS, max_size=2)),
        international=draw(short),
        key=draw(st.sampled_from(["", "7"])),
    )


TEXTS = st.text(max_size=60) | st.text("0123456789+-/() .*#x,;", max_size=40)


@settings(max_examples=500)
@given(valid_numbers(), plans())
def test_reading_a_canonical_number_gives_itself(canonical: str, plan: Plan) -> None:
    (reading,) = read_typed(f"+{canonical}", plan)

    assert (reading.canonical, reading.kind, reading.possible, reading.valid) == (canonical, "public", True, True)


@settings(max_examples=500)
@given(TEXTS, plans(), plans())
def test_reading_what_was_read_gives_itself(text: str, plan: Plan, other: Plan) -> None:
    for reading in read_typed(text, plan):
        if reading.kind == "public" and reading.possible:
            (again,) = read_typed(f"+{reading.canonical}", other)
            assert (again.canonical, again.possible, again.valid) == (reading.canonical, True, reading.valid)


@settings(max_examples=1000)
@given(TEXTS, plans(), st.lists(plans(), max_size=3))
def test_any_text_is_read_without_failing_and_nothing_of_it_is_lost(text: str, plan: Plan, groups: list[Plan]) -> None:
    typed = read_typed(text, plan)
    presented = read_presented(text, plan, groups)

    assert bool(typed) == bool(text.strip())
    assert presented
    for reading in (*typed, *presented):
        assert reading.kind in {"public", "internal", "service", "withheld", "unreadable"}
        assert reading.canonical == "" or reading.canonical.isdecimal()
        assert reading.kind in {"unreadable", "withheld"} or reading.canonical
        dial(reading, plan)
        show(reading, "de")


@settings(max_examples=1500)
@given(valid_numbers(), sites())
@example("4921133990312", Plan())
@example("390639733434", Plan(country="39", trunk=""))
@example("390639733434", Plan(country="39", outside_codes=(), trunk=""))
@example("12125550100", Plan(country="1", outside_codes=("9",), trunk="1"))
def test_what_is_dialled_reads_as_the_same_number_when_it_is_presented_back(canonical: str, site: Plan) -> None:
    (reading,) = read_typed(f"+{canonical}", site)
    dialled = dial(reading, site).string
    assert dialled is not None

    assert canonical in [each.canonical for each in read_presented(dialled, site)]


@settings(max_examples=500)
@given(valid_numbers(), sites(), st.sampled_from(["00", "011", "0011", "810", "9"]))
def test_what_is_dialled_by_a_prefix_of_the_sites_own_reads_as_the_same_number(
    canonical: str, site: Plan, international: str
) -> None:
    site = Plan(site.country, outside_codes=site.outside_codes, trunk=site.trunk, international=international)
    (reading,) = read_typed(f"+{canonical}", site)
    dialled = dial(reading, site).string
    assert dialled is not None

    assert canonical in [each.canonical for each in read_presented(dialled, site)]


@settings(max_examples=300)
@given(valid_numbers(), sites(), st.text(DIGITS, min_size=1, max_size=5))
def test_an_extension_beside_a_number_is_dialled_after_a_pause(canonical: str, site: Plan, extension: str) -> None:
    reading = Reading(canonical, "public", "international", possible=True, valid=True, extension=extension)
    plain = dial(Reading(canonical, "public", "international", possible=True, valid=True), site).string

    assert dial(reading, site).string == f"{plain}{PAUSE}{extension}"


@settings(max_examples=1000)
@given(valid_numbers(), sites())
def test_a_number_is_found_in_each_of_its_presentations(canonical: str, site: Plan) -> None:
    country, national = countries.split_country(canonical)
    shown = show(read_typed(f"+{canonical}", site)[0], "en")
    abroad = countries.international_prefix(site.country)
    presented = [
        *(f"+{canonical}", shown.display, shown.tapi, f"tel:+{canonical}", f"sip:+{canonical}@pbx.example;user=phone"),
        *(f'"Somebody" <sip:+{canonical}@pbx.example>', canonical, abroad + canonical),
        *(code + abroad + canonical for code in site.outside_codes),
        *(code + canonical for code in site.outside_codes),
    ]
    if country == site.country:
        presented += [site.trunk + national, *(code + site.trunk + national for code in site.outside_codes)]

    missed = [
        each for each in presented if canonical not in [reading.canonical for reading in read_presented(each, site)]
    ]

    assert missed == []


@settings(max_examples=500)
@given(st.text(DIGITS, max_size=20) | TEXTS, plans(), st.lists(plans(), max_size=2))
def test_no_number_is_found_by_the_end_of_a_short_one(text: str, site: Plan, groups: list[Plan]) -> None:
    endings = list_endings(read_presented(text, site, groups), site)

    assert all(len(ending) >= SHORTEST_ENDING for ending in endings)


@settings(max_examples=500)
@given(st.text(DIGITS, min_size=1, max_size=6), sites())
def test_no_country_is_guessed_for_too_few_digits(digits: str, site: Plan) -> None:
    for reading in read_presented(digits, site):
        if reading.kind == "public" and not reading.rule.endswith("international"):
            number = countries.parse(reading.canonical)
            assert number is not None
            assert number[0].judge_length(number[1]) not in {"too_short", "local_only"}


@settings(max_examples=500)
@given(valid_numbers(), plans())
def test_a_number_as_it_is_shown_reads_as_itself(canonical: str, plan: Plan) -> None:
    shown = show(Reading(canonical, "public", "international", possible=True, valid=True), "de")

    for text in (shown.display, shown.tapi, shown.e164):
        assert text is not None
        assert [each.canonical for each in read_typed(text, plan)] == [canonical]


@pytest.mark.parametrize("code", [code for code in CODES if not countries.international_prefix(code)])
def test_where_nobody_says_how_to_call_abroad_the_obstacle_is_named(code: str) -> None:
    foreign = "4921133990312" if code != "49" else "33142685300"
    reading = Reading(foreign, "public", "international", possible=True, valid=True)

    dialling = dial(reading, Plan(country=code, trunk=countries.trunk_prefix(code)))

    assert (dialling.string, dialling.obstacle) == (None, "no-international-prefix")


def test_every_country_has_numbers_to_try() -> None:
    assert [code for code in CODES if not list_valid(code)] == []
