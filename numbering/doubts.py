"""Finds settings of a plan that contradict each other, or what is known of the country.  Pure, and without words.

A doubt keeps nobody from anything: a country may have numbers that libphonenumber has not heard of.  So what may
well be meant is no doubt, however rare.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumberType

from numbering import countries
from numbering.reading import LONGEST_INTERNAL, Plan

Code = Literal[
    "no-such-country",
    "begins-with-international-prefix",
    "begins-with-trunk-prefix",
    "begins-with-country",
    "begins-with-area",
    "area-missing",
    "too-long",
    "too-short",
    "no-such-number",
    "without-effect",
    "unlike-country",
    "missing",
]
Setting = Literal["country", "area", "company_line", "extension_min", "extension_max", "trunk", "international"]

LONGEST_NATIONAL = 15
# An area of one digit is the first digit of many a company line by chance.
SHORTEST_REPETITION = 2


@dataclass(frozen=True, slots=True)
class Doubt:
    """The `value` of `setting` is doubtful, for the reason `code`.

    `other` is what it begins with, what stands before it, or the country whose it is not.  `instead` is what is
    probably meant; empty where that is nothing, or nobody can tell.
    """

    code: Code
    setting: Setting
    value: str
    other: str = ""
    instead: str = ""


@lru_cache(maxsize=1024)
def find_doubts(plan: Plan) -> tuple[Doubt, ...]:
    """Return what is doubtful in a customer group's plan, at most one doubt a setting; empty for an ordinary plan."""
    if countries.find_metadata(plan.country) is None:
        return (Doubt("no-such-country", "country", plan.country),)
    area = _doubt_area(plan)
    # With a wrong area, nothing that follows it is possible.
    found = (area, _doubt_line(plan, is_area_right=area is None), *_doubt_guard(plan, is_area_right=area is None))
    return tuple(doubt for doubt in found if doubt)


@lru_cache(maxsize=64)
def find_site_doubts(site: Plan) -> tuple[Doubt, ...]:
    """Return what is doubtful in the settings of the site's own telephone system."""
    country = site.country
    if countries.find_metadata(country) is None:
        return (Doubt("no-such-country", "country", country),)
    doubts = []
    if site.trunk != (own := countries.trunk_prefix(country)):
        doubts.append(Doubt("unlike-country", "trunk", site.trunk, country, own))
    own = countries.international_prefix(country)
    if site.international and not _is_international_prefix(site.international, country):
        doubts.append(Doubt("unlike-country", "international", site.international, country, own))
    if not site.international and not own:
        doubts.append(Doubt("missing", "international", "", country))
    return tuple(doubts)


def _doubt_area(plan: Plan) -> Doubt | None:
    area, country = plan.area, plan.country
    if not area:
        return None
    is_possible = _is_beginning(country, area)
    prefixes = [*_list_prefixes(area, plan), *_list_country(area, plan)]
    for code, prefix, rest in prefixes:
        instead = rest.removeprefix(country) if code == "begins-with-international-prefix" else rest
        is_meant = _is_beginning(country, instead)
        # The German area 4921 begins with 49 and the Russian 812 with 8; but 49211 and 8495 are no areas.
        if (not is_possible and code != "begins-with-country") or (
            is_meant and _is_area(country, instead) and not _is_area(country, area)
        ):
            return Doubt(code, "area", area, prefix, instead if is_meant else "")
    return None if is_possible else Doubt("no-such-number", "area", area, country)


def _list_country(digits: str, plan: Plan) -> Iterator[tuple[Code, str, str]]:
    if digits.startswith(plan.country) and digits != plan.country:
        yield "begins-with-country", plan.country, digits.removeprefix(plan.country)


def _doubt_line(plan: Plan, *, is_area_right: bool) -> Doubt | None:
    line, area, country = plan.company_line, plan.area, plan.country
    if not line:
        return None
    shortest, longest = _extension_lengths(plan)

    def is_possible(line: str, area: str = area) -> bool:
        return _is_beginning(country, area + line, shortest, longest)

    def doubt(code: Code, other: str, instead: str) -> Doubt:
        return Doubt(code, "company_line", line, other, instead if instead and is_possible(instead) else "")

    # Behind an area, no number begins with a prefix of zeros: whoever dials within the area could not tell it.
    is_line = _is_beginning(country, area + line, shortest, longest, valid=True)
    for code, prefix, rest in _list_prefixes(line, plan):
        if not is_line or (area and prefix.startswith("0")):
            return doubt(code, prefix, rest.removeprefix(country).removeprefix(area))
    if area and line.startswith(country + area):
        return doubt("begins-with-country", country, line.removeprefix(country + area))
    if area and line.startswith(area) and line != area:
        rest = line.removeprefix(area)
        if len(area) >= SHORTEST_REPETITION or (not is_possible(line) and is_possible(rest)):
            return doubt("begins-with-area", area, rest)
    if not area and _has_areas(country):
        is_whole = _is_beginning(country, line, shortest, min(longest, LONGEST_INTERNAL))
        return None if is_whole else Doubt("area-missing", "company_line", line, country)
    if not is_area_right or is_possible(line):
        return None
    return Doubt(_judge_length(country, area + line, shortest, longest), "company_line", line, country + area)


def _doubt_guard(plan: Plan, *, is_area_right: bool) -> Iterator[Doubt]:
    shortest, longest = plan.extension_min, plan.extension_max
    if not plan.company_line:
        if shortest is not None:
            yield Doubt("without-effect", "extension_min", str(shortest))
        if longest is not None:
            yield Doubt("without-effect", "extension_max", str(longest))
        return
    start = plan.area + plan.company_line
    is_line_right = is_area_right and _is_beginning(plan.country, start, *_extension_lengths(plan))
    if is_line_right and longest is not None and not _is_beginning(plan.country, start, longest, longest):
        yield Doubt("no-such-number", "extension_max", str(longest), plan.country + start)


def _extension_lengths(plan: Plan) -> tuple[int, int]:
    return plan.extension_min or 1, LONGEST_NATIONAL if plan.extension_max is None else plan.extension_max


def _list_prefixes(digits: str, plan: Plan) -> Iterator[tuple[Code, str, str]]:
    """Yield what `digits` begins with that is dialled before numbers and no part of them, and what follows it."""
    if digits.startswith("+"):
        yield "begins-with-international-prefix", "+", digits[1:]
    rests = countries.strip_international_prefix(digits, plan.country)
    if plan.international and digits.startswith(plan.international):
        rests = [digits.removeprefix(plan.international)]
    for rest in filter(None, rests):
        yield "begins-with-international-prefix", digits.removesuffix(rest), rest
    # Of 06 and 0, the longer.
    for trunk in sorted({plan.trunk, countries.trunk_prefix(plan.country)} - {""}, key=len, reverse=True):
        if digits.startswith(trunk):
            yield "begins-with-trunk-prefix", trunk, digits.removeprefix(trunk)


def _is_international_prefix(prefix: str, country: str) -> bool:
    # Some countries' prefixes go on with the code of a carrier: what follows must not be taken for it.
    numbers = (digit * 8 for digit in "1234567890")
    return any(number in countries.strip_international_prefix(prefix + number, country) for number in numbers)


# --- what numbers a country may have ---


@lru_cache(maxsize=4096)
def _is_beginning(
    country: str, start: str, shortest: int = 1, longest: int = LONGEST_NATIONAL, *, valid: bool = False
) -> bool:
    """Say whether the country may have a number that begins with `start`, a trunk prefix not counted, and goes on
    for `shortest` to `longest` digits; `valid`: one that libphonenumber knows to be in use.
    """
    if not start.isdecimal():
        return False
    patterns = _list_patterns(country)
    for national in _list_samples(country, start, shortest, longest):
        if any(pattern.fullmatch(national) for pattern in patterns):
            number = countries.read_full_number(country + national)
            if number and number.canonical == country + national and (number.valid if valid else number.possible):
                return True
    return False


def _list_samples(country: str, start: str, shortest: int, longest: int) -> Iterator[str]:
    for length in _possible_lengths(country):
        missing = length - len(start)
        if max(shortest, 0) <= missing <= longest:
            for digit in range(10):
                yield start + str(digit) * missing
                yield start + "".join(str((digit + i) % 10) for i in range(missing))


@lru_cache(maxsize=512)
def _possible_lengths(country: str) -> tuple[int, ...]:
    metadata = countries.find_metadata(country)
    numbers = metadata.general_desc if metadata else None
    return tuple(sorted(numbers.possible_length)) if numbers else ()


@lru_cache(maxsize=512)
def _list_patterns(country: str) -> tuple[re.Pattern[str], ...]:
    # Several countries may share a code, such as Russia and Kazakhstan.
    regions = phonenumbers.region_codes_for_country_code(int(country))
    metadata = [PhoneMetadata.metadata_for_region(region) for region in regions]
    descriptions = [each.general_desc for each in (*metadata, countries.find_metadata(country)) if each]
    patterns = {each.national_number_pattern: None for each in descriptions if each}
    return tuple(re.compile(pattern) for pattern in patterns if pattern)


def _judge_length(country: str, start: str, shortest: int, longest: int) -> Code:
    lengths = _possible_lengths(country)
    if len(start) + shortest > lengths[-1]:
        return "too-long"
    if len(start) + longest < lengths[0]:
        return "too-short"
    return "no-such-number" if any(shortest <= length - len(start) <= longest for length in lengths) else "too-short"


def _is_area(country: str, area: str) -> bool:
    """Say whether libphonenumber knows `area` as the area of a place, to the digit."""
    for national in _list_samples(country, area, 1, LONGEST_NATIONAL):
        if (number := countries.parse(country + national)) and (region := number[0].find_region(number[1])):
            code, read = number
            if countries.find_area_length(code, region, read, code.format(read)) == len(area):
                return read == national
    return False


@lru_cache(maxsize=512)
def _has_areas(country: str) -> bool:
    """Say whether numbers of places consist of an area, which people may leave out, and the rest."""
    region = phonenumbers.region_code_for_country_code(int(country))
    number = phonenumbers.example_number_for_type(region, PhoneNumberType.FIXED_LINE)
    return number is not None and phonenumbers.length_of_geographical_area_code(number) > 0
