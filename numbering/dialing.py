"""What to dial to reach a number from the site's telephones.  Pure; numbering.md section 6."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from numbering import countries
from numbering.reading import LONGEST_INTERNAL, Plan, Reading

# A telephone system takes it for a pause, after which what follows is sent as tones.
PAUSE = ","

Obstacle = Literal["unreadable", "withheld", "no-country", "no-international-prefix"]


@dataclass(frozen=True, slots=True)
class Dialling:
    """The digits to dial; None where an obstacle keeps the number from being dialled, which `obstacle` names.

    `no-international-prefix`: neither the property international.access.prefix nor the country says how to call
    abroad.
    """

    string: str | None
    obstacle: Obstacle | None = None


def dial(reading: Reading, site: Plan, own_lines: Sequence[str] = ()) -> Dialling:
    """Return what to dial.

    `own_lines`: full numbers up to the extension, behind which the site's own telephones dial the extension alone.
    """
    outside = site.outside_codes[0] if site.outside_codes else ""
    match reading.kind:
        case "internal":
            return Dialling(reading.canonical)
        case "service":
            is_emergency = countries.is_emergency_number(reading.canonical, site.country)
            return Dialling(reading.canonical if is_emergency else outside + reading.canonical)
        case "withheld":
            return Dialling(None, "withheld")
        case "unreadable":
            return Dialling(None, "unreadable")
    if extension := _find_own_extension(reading.canonical, own_lines):
        return Dialling(extension)
    country, national = countries.split_country(reading.canonical)
    if not country:
        return Dialling(None, "no-country")
    if country == site.country:
        number = site.trunk + national
    else:
        international = site.international or countries.international_prefix(site.country)
        if not international:
            return Dialling(None, "no-international-prefix")
        number = international + reading.canonical
    return Dialling(outside + number + (PAUSE + reading.extension if reading.extension else ""))


def _find_own_extension(canonical: str, own_lines: Sequence[str]) -> str:
    # Of a line that begins with another one, the longer.
    for line in sorted(own_lines, key=len, reverse=True):
        if canonical.startswith(line) and len(canonical) - len(line) <= LONGEST_INTERNAL:
            return canonical[len(line) :]
    return ""
