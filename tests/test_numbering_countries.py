"""The facts about countries, taken from libphonenumber's metadata, held against libphonenumber's own functions."""

from functools import cache

import phonenumbers
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, ValidationResult, geocoder

from numbering import countries
from numbering.calling_codes import list_calling_codes
from numbering.countries import FullNumber
from numbering.display import Shown, show
from numbering.reading import Reading

CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
NOBODYS = phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY


@cache
def list_examples(code: int) -> list[str]:
    """Return a national number of every type that a country with this code has."""
    if phonenumbers.region_code_for_country_code(code) == NOBODYS:
        found = [phonenumbers.example_number_for_non_geo_entity(code)]
    else:
        regions = phonenumbers.region_codes_for_country_code(code)
        found = [phonenumbers.example_number_for_type(region, type_) for region in regions for type_ in range(11)]
    return sorted({phonenumbers.national_significant_number(number) for number in found if number})


@st.composite
def numbers(draw: st.DrawFn) -> tuple[int, str]:
    """A country code and national digits: real ones, ones with changed or missing ends, ones with a prefix, any."""
    code = draw(st.sampled_from(CODES))
    digits = st.text("0123456789", max_size=18)
    example = draw(st.sampled_from(list_examples(code)))
    kept = draw(st.integers(0, len(example)))
    changed = st.text("0123456789", max_size=len(example) - kept + 2).map(lambda end: example[:kept] + end)
    prefixed = st.sampled_from(["0", "1", "8", "00", "06", "15", "9"]).map(lambda prefix: prefix + example)
    return code, draw(st.one_of(st.just(example), changed, prefixed, digits))


def parse(digits: str, region: str | None) -> PhoneNumber | None:
    try:
        return phonenumbers.parse(digits, region)
    except NumberParseException:
        return None


def describe(number: PhoneNumber) -> FullNumber:
    possible = phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE
    canonical = f"{number.country_code}{phonenumbers.national_significant_number(number)}"
    return FullNumber(canonical, possible, possible and phonenumbers.is_valid_number(number))


def read_by_public_functions(digits: str) -> FullNumber | None:
    """Read a full number until it reads as itself."""
    while True:
        number = parse(f"+{digits}", None) if 3 <= len(digits) <= 20 and not digits.startswith("0") else None
        if number is None:
            return None
        described = describe(number)
        if described.canonical == digits:
            return described
        digits = described.canonical


@settings(max_examples=2000)
@given(numbers())
def test_a_full_number_is_judged_as_by_libphonenumbers_public_functions(number: tuple[int, str]) -> None:
    code, national = number

    assert countries.read_full_number(f"{code}{national}") == read_by_public_functions(f"{code}{national}")


@settings(max_examples=2000)
@given(numbers(), st.booleans())
def test_a_national_number_is_judged_as_by_libphonenumbers_public_functions(
    number: tuple[int, str], with_code: bool
) -> None:
    code, national = number
    digits = f"{code}{national}" if with_code else national
    region = phonenumbers.region_code_for_country_code(code)
    # libphonenumber refuses to read a number that is nobody's without its code; and one that begins as a call
    # abroad is read as one before anybody asks here.
    assume(region != NOBODYS and not countries.strip_international_prefix(digits, str(code)))

    read = countries.read_national_number(digits, str(code))

    expected = parse(digits, region)
    if expected is None:
        # Nothing but the prefix of calls abroad, for example.
        assert read is None or not read.possible
    else:
        assert read == describe(expected)


@settings(max_examples=2000)
@given(numbers(), st.sampled_from(["de", "en"]))
def test_a_number_is_shown_as_by_libphonenumbers_public_functions(number: tuple[int, str], language: str) -> None:
    code, national = number
    read = countries.read_full_number(f"{code}{national}")
    parsed = parse(f"+{read.canonical}", None) if read else None
    if read is None or parsed is None:
        return
    digits = phonenumbers.national_significant_number(parsed)
    area = phonenumbers.length_of_geographical_area_code(parsed) if read.possible else 0
    region = phonenumbers.region_code_for_number(parsed) if read.valid else None
    region = region or phonenumbers.region_code_for_country_code(code)

    shown = show(Reading(read.canonical, "public", "international", read.possible, read.valid), language)

    assert shown == Shown(
        display=phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL),
        tapi=f"+{parsed.country_code} " + (f"({digits[:area]}) {digits[area:]}" if area else digits),
        e164=f"+{read.canonical}",
        country=None if region == NOBODYS else region,
        place=(geocoder.description_for_valid_number(parsed, language) or None) if read.valid else None,
    )


def test_every_country_code_is_known() -> None:
    assert sorted(int(code.code) for code in list_calling_codes()) == CODES


@pytest.mark.parametrize(
    ("digits", "country", "expected"),
    [
        ("112", "49", True),
        ("110", "49", True),
        ("11880", "49", True),
        ("911", "1", True),
        ("999", "44", True),
        ("12", "49", False),
        ("0211", "49", False),
    ],
)
def test_service_numbers_are_the_countrys_own(digits: str, country: str, expected: bool) -> None:
    assert countries.is_service_number(digits, country) == expected
