"""Facts about countries and their numbers, as libphonenumber has them.  Pure; no country is hard-wired here."""

import re
from dataclasses import dataclass
from functools import cache, lru_cache

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber, shortnumberinfo

from numbering.calling_codes import LONGEST_NATIONAL, SHORTEST_NATIONAL, CallingCode, Region, find_calling_code, split

# Of a full number.
SHORTEST, LONGEST = 3, 20


@dataclass(frozen=True, slots=True)
class FullNumber:
    """A number with its country code: digits without `+`, and what libphonenumber says of it."""

    canonical: str
    possible: bool
    valid: bool


@lru_cache(maxsize=512)
def find_metadata(country: str) -> PhoneMetadata | None:
    """Return what is known of a country code such as `49` (of its main region), or None for no country's code."""
    region = phonenumbers.region_code_for_country_code(int(country)) if country.isdecimal() else "ZZ"
    if region == "ZZ":
        return None
    if region == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY:
        return PhoneMetadata.metadata_for_nongeo_region(int(country))
    return PhoneMetadata.metadata_for_region(region)


def trunk_prefix(country: str) -> str:
    """Return what stands before an area code within the country; empty where it has no such prefix."""
    metadata = find_metadata(country)
    return (metadata.national_prefix or "") if metadata else ""


@lru_cache(maxsize=512)
def _international_pattern(country: str) -> re.Pattern[str] | None:
    metadata = find_metadata(country)
    return re.compile(metadata.international_prefix) if metadata and metadata.international_prefix else None


@lru_cache(maxsize=512)
def international_prefix(country: str) -> str:
    """Return what is dialled before a country code; empty where the country has several, none of them preferred."""
    metadata = find_metadata(country)
    if metadata is None:
        return ""
    # `~` marks where to wait for a tone.
    preferred = (metadata.preferred_international_prefix or metadata.international_prefix or "").replace("~", "")
    return preferred if preferred.isdecimal() else ""


def strip_international_prefix(digits: str, country: str) -> list[str]:
    """Return what follows the country's own prefix for calls abroad, nothing where `digits` does not begin with one.

    Where carriers have prefixes of their own it may be several: behind the usual 00 of Hong Kong a number of country
    1 reads as one behind the carrier's 001.
    """
    usual, pattern = international_prefix(country), _international_pattern(country)
    match = pattern.match(digits) if pattern else None
    ends = [len(usual)] if usual and digits.startswith(usual) else []
    if match and match.end() not in ends:
        ends.append(match.end())
    return [digits[end:] for end in ends if end < len(digits)]


def split_country(canonical: str) -> tuple[str, str]:
    """Split a full number into country code and national number; both empty when it begins with no country's code."""
    number = parse(canonical)
    return (number[0].code, number[1]) if number else ("", "")


# One look-up asks about the same digits again and again: to read, to show and to dial them.
@lru_cache(maxsize=4096)
def parse(digits: str) -> tuple[CallingCode, str] | None:
    """Split what stands behind a plus into country code and national number, without a trunk prefix between them.

    None when the digits begin with no country's code, or are too few or too many to be read at all.
    """
    if not SHORTEST <= len(digits) <= LONGEST or (parts := split(digits)) is None:
        return None
    code, rest = parts
    if len(rest) < SHORTEST_NATIONAL:
        return None
    national = code.strip_trunk(rest)
    return (code, national) if SHORTEST_NATIONAL <= len(national) <= LONGEST_NATIONAL else None


def read_full_number(digits: str) -> FullNumber | None:
    """Read `digits` as a number with its country code, repairing a trunk prefix after it (`490211…`).

    None when they begin with no country's code, or are too few or too many to be read at all.
    """
    number = parse(digits)
    # What remains after the repair has to read as itself.
    while number and (canonical := number[0].code + number[1]) != digits:
        digits = canonical
        number = parse(digits)
    return _describe(*number) if number else None


def read_national_number(digits: str, country: str) -> FullNumber | None:
    """Read `digits` as somebody in the country writes them: with or without trunk prefix, even with country code."""
    code = find_calling_code(country)
    if code is None or len(digits) < SHORTEST_NATIONAL:
        return None
    national = digits
    if digits.startswith(country):
        rest = code.strip_trunk_of_any_length(digits[len(country) :])
        # Only where it is a number without, and is none with, its first digits as part of it.
        if code.judge_length(digits) == "too_long" or (not code.matches_any(digits) and code.matches_any(rest)):
            national = rest
    if len(national) < SHORTEST_NATIONAL:
        return None
    national = code.strip_trunk(national)
    return _describe(code, national) if SHORTEST_NATIONAL <= len(national) <= LONGEST_NATIONAL else None


def _describe(code: CallingCode, national: str) -> FullNumber:
    possible = code.judge_length(national) == "possible"
    return FullNumber(code.code + national, possible, possible and code.is_valid(national))


def is_too_long(canonical: str) -> bool:
    """Say whether a number has more digits than, or a number of digits that never occurs in, its country."""
    number = parse(canonical)
    return number is not None and number[0].judge_length(number[1]) in {"too_long", "never"}


def find_area_length(code: CallingCode, region: Region, national: str, grouped: str) -> int:
    """Return how many digits of a valid number are its area code; `grouped` is the number as it is formatted."""
    number_type = region.find_type(national)
    if number_type in {None, "other"}:
        return 0
    has_fixed, has_mobile = _find_areas(code, region)
    is_mobile = number_type == "mobile"
    if not (has_mobile if is_mobile else has_fixed or national.startswith("0")):
        return 0
    groups = [len(group) for group in re.split(r"\D+", grouped)]
    if len(groups) < 2:
        return 0
    # Before the area some countries have a digit that says mobile.
    return groups[0] + groups[1] if is_mobile and phonenumbers.country_mobile_token(int(code.code)) else groups[0]


@cache
def _find_areas(code: CallingCode, region: Region) -> tuple[bool, bool]:
    """Say whether the country's fixed and mobile numbers have area codes, as libphonenumber says of examples."""

    def has_area(number_type: int) -> bool:
        example = phonenumbers.example_number_for_type(region.code, number_type)
        return example is not None and phonenumbers.length_of_geographical_area_code(example) > 0

    fixed, mobile = phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE
    return region.has_trunk_prefix or has_area(fixed), has_area(mobile)


# Service numbers are short.
LONGEST_SERVICE = 6


def is_service_number(digits: str, country: str) -> bool:
    """Say whether `digits` is an emergency or service number of the country, such as 112 or 11880."""
    return len(digits) <= LONGEST_SERVICE and _is_service_number(digits, country)


# There are not many of so few digits.
@lru_cache(maxsize=8192)
def _is_service_number(digits: str, country: str) -> bool:
    if is_emergency_number(digits, country):
        return True
    number = PhoneNumber(country_code=int(country), national_number=int(digits))
    region = phonenumbers.region_code_for_country_code(int(country))
    return not digits.startswith("0") and shortnumberinfo.is_valid_short_number_for_region(number, region)


def is_emergency_number(digits: str, country: str) -> bool:
    """Say whether `digits` calls for help in the country."""
    return shortnumberinfo.is_emergency_number(digits, phonenumbers.region_code_for_country_code(int(country)))
