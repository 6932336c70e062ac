"""What to dial to reach a number from the site's telephones.  Pure; numbering.md section 6."""

from numbering import countries
from numbering.reading import Plan, Reading


def find_dial_string(reading: Reading, site: Plan) -> str | None:
    """Return the digits to dial, or None for what cannot be dialled.

    That is a number nobody could read or nobody has, and one abroad where neither the property
    international.access.prefix nor the country says how to call abroad.
    """
    outside = site.outside_codes[0] if site.outside_codes else ""
    match reading.kind:
        case "internal":
            return reading.canonical
        case "service":
            is_emergency = countries.is_emergency_number(reading.canonical, site.country)
            return reading.canonical if is_emergency else outside + reading.canonical
        case "public":
            country, national = countries.split_country(reading.canonical)
            if country == site.country:
                return outside + site.trunk + national
            international = site.international or countries.international_prefix(site.country)
            return outside + international + reading.canonical if country and international else None
        case _:
            return None
