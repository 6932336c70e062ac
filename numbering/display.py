"""Shows a number to people, to TAPI and to programs.  Pure."""

from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumber
from phonenumbers.geocoder import description_for_valid_number
from phonenumbers.geodata import GEOCODE_DATA, GEOCODE_LONGEST_PREFIX

from numbering import countries
from numbering.calling_codes import CallingCode
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
    code, national = number
    region = code.find_region(national) if reading.valid else None
    grouped = code.format(national)
    area = countries.find_area_length(code, region, national, grouped) if region else 0
    country = (region or code.regions[0]).code
    return Shown(
        display=f"+{code.code} {grouped}",
        tapi=f"+{code.code} ({national[:area]}) {national[area:]}" if area else f"+{code.code} {national}",
        e164=f"+{reading.canonical}",
        country=None if country == phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY else country,
        place=_find_place(code, national, language) if reading.valid else None,
    )


def _find_place(code: CallingCode, national: str, language: str) -> str | None:
    """Return the place or country of a valid number; None where it may belong to several."""
    canonical = code.code + national
    mobile_token = phonenumbers.country_mobile_token(int(code.code))
    if not (mobile_token and national.startswith(mobile_token)):
        for length in range(min(GEOCODE_LONGEST_PREFIX, len(canonical)), len(code.code), -1):
            if (names := GEOCODE_DATA.get(canonical[:length])) and (name := names.get(language) or names.get("en")):
                return str(name)
    number = PhoneNumber(
        country_code=int(code.code),
        national_number=int(national),
        italian_leading_zero=national.startswith("0") or None,
        number_of_leading_zeros=len(national) - len(national.lstrip("0")) if national.startswith("00") else None,
    )
    return description_for_valid_number(number, language) or None
