"""Shows a number as people write it internationally.  Pure, and without the map that display.py needs."""

from numbering import countries
from numbering.reading import Reading


def format_international(reading: Reading) -> str:
    """Return a number as people write it internationally; one that is not public, as its digits or as it was typed."""
    number = countries.parse(reading.canonical) if reading.kind == "public" else None
    if number is None:
        return "" if reading.kind == "withheld" else reading.canonical or reading.raw
    code, national = number
    return f"+{code.code} {code.format(national)}"
