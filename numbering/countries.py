"""Facts about countries and their numbers, as libphonenumber has them.  Pure; no country is hard-wired here."""

import re
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneMetadata, PhoneNumber, ValidationResult, shortnumberinfo


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


def international_prefix(country: str) -> str:
    """Return what is dialled before a country code; empty where the country has several, none of them preferred."""
    metadata = find_metadata(country)
    if metadata is None:
        return ""
    # `~` marks where to wait for a tone.
    preferred = (metadata.preferred_international_prefix or metadata.international_prefix or "").replace("~", "")
    return preferred if preferred.isdecimal() else ""


def split_country(canonical: str) -> tuple[str, str]:
    """Split a full number into country code and national number; both empty when it begins with no country's code."""
    number = parse(canonical)
    if number is None:
        return "", ""
    return str(number.country_code), phonenumbers.national_significant_number(number)


def strip_international_prefix(digits: str, country: str) -> str | None:
    """Return what follows the country's own prefix for calls abroad, or None where `digits` does not begin with it."""
    pattern = _international_pattern(country)
    match = pattern.match(digits) if pattern else None
    return digits[match.end() :] if match and match.end() < len(digits) else None


def read_full_number(digits: str) -> FullNumber | None:
    """Read `digits` as a number with its country code, repairing a trunk prefix after it (`490211…`).

    None when they begin with no country's code, or are too few or too many to be read at all.
    """
    number = parse(digits)
    if number is None:
        return None
    canonical = _canonical(number)
    # What remains after the repair has to read as itself.
    while canonical != digits:
        digits = canonical
        again = parse(digits)
        if again is None:
            return None
        number, canonical = again, _canonical(again)
    return _describe(number, canonical)


def read_national_number(digits: str, country: str) -> FullNumber | None:
    """Read `digits` as somebody in the country writes them: with or without trunk prefix, even with country code."""
    try:
        number = phonenumbers.parse(digits, phonenumbers.region_code_for_country_code(int(country)))
    except phonenumbers.NumberParseException:
        return None
    return _describe(number, _canonical(number))


def is_service_number(digits: str, country: str) -> bool:
    """Say whether `digits` is an emergency or service number of the country, such as 112 or 11880."""
    if len(digits) > 6:
        return False
    region = phonenumbers.region_code_for_country_code(int(country))
    if is_emergency_number(digits, country):
        return True
    number = PhoneNumber(country_code=int(country), national_number=int(digits))
    return not digits.startswith("0") and shortnumberinfo.is_valid_short_number_for_region(number, region)


def is_emergency_number(digits: str, country: str) -> bool:
    """Say whether `digits` calls for help in the country."""
    return shortnumberinfo.is_emergency_number(digits, phonenumbers.region_code_for_country_code(int(country)))


def parse(canonical: str) -> PhoneNumber | None:
    """Return libphonenumber's form of a number with its country code, or None where it has none."""
    if not 3 <= len(canonical) <= 20 or canonical.startswith("0"):
        return None
    try:
        return phonenumbers.parse("+" + canonical, None)
    except phonenumbers.NumberParseException:
        return None


def _canonical(number: PhoneNumber) -> str:
    return f"{number.country_code}{phonenumbers.national_significant_number(number)}"


def _describe(number: PhoneNumber, canonical: str) -> FullNumber:
    # is_possible_number() would also accept a number that can be dialled within its area only.
    possible = phonenumbers.is_possible_number_with_reason(number) == ValidationResult.IS_POSSIBLE
    return FullNumber(canonical, possible, possible and phonenumbers.is_valid_number(number))


def is_too_long(number: PhoneNumber) -> bool:
    """Say whether a number has more digits than, or a number of digits that never occurs in, its country."""
    reason = phonenumbers.is_possible_number_with_reason(number)
    return reason in {ValidationResult.TOO_LONG, ValidationResult.INVALID_LENGTH}
