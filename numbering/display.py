"""Shows a number to people, to TAPI and to programs.  Pure."""

from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumberFormat, geocoder

from numbering import countries
from numbering.reading import Reading


@dataclass(frozen=True, slots=True)
class Shown:
    """A number in its written forms.  `e164`, `country` (ISO 3166 code) and `place` are None where it has none."""

    display: str
    tapi: str
    e164: str | None
    country: str | None
    place: str | None


def show(reading: Reading, language: str) -> Shown:
    """Return the written forms of what was read; of a number that is not public, just its digits."""
    digits = reading.canonical or reading.raw
    if reading.kind == "withheld":
        return Shown("", "", None, None, None)
    number = countries.parse(reading.canonical) if reading.kind == "public" else None
    if number is None:
        return Shown(digits, digits, None, None, None)
    national = phonenumbers.national_significant_number(number)
    area = phonenumbers.length_of_geographical_area_code(number) if reading.possible else 0
    tapi = f"({national[:area]}) {national[area:]}" if area else national
    region = phonenumbers.region_code_for_number(number) if reading.valid else None
    region = region or phonenumbers.region_code_for_country_code(number.country_code or 0)
    is_country = region not in {None, "ZZ", phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY}
    return Shown(
        display=phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL),
        tapi=f"+{number.country_code} {tapi}",
        e164=f"+{reading.canonical}",
        country=region if is_country else None,
        place=(geocoder.description_for_valid_number(number, language) or None) if reading.valid else None,
    )
