"""Says which properties a vCard file has, and which fields they seem to be, so that people can say otherwise."""

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path

from cmphone.contacts.configuration import GroupRules
from cmphone.contacts.vcards.fields import ACTIVE, COMPANY, KIND
from cmphone.contacts.vcards.filling import Filling
from cmphone.contacts.vcards.parsing import read_cards
from cmphone.contacts.vcards.reading import find_kind
from cmphone.contacts.vcards.values import list_values

# People wait for it.
SURVEYED = 1_000
MAX_PROPERTIES = 100
# What says something of the card rather than of the contact, pictures, and what is always taken for the same.
_others = {
    *("VERSION", "PRODID", "REV", "SOURCE", "PROFILE", "CALSCALE", "MAILER", "CLIENTPIDMAP", "MEMBER"),
    *("PHOTO", "LOGO", "SOUND", "KEY"),
    *("UID", "KIND", "X-ADDRESSBOOKSERVER-KIND", "X-ABSHOWAS", "X-ABLABEL", KIND, ACTIVE, COMPANY),
}


def survey_properties(path: Path, *, rules: GroupRules) -> Mapping[str, Sequence[str]]:
    """Return the properties of a file's first cards, as the property map names them, and the fields they went to.

    A field is `company` where it links a person to its company.  A property that went to none has an empty list.
    """
    found: dict[str, dict[str, None]] = {}
    with path.open("rb") as file:
        for card in islice(read_cards(file), SURVEYED):
            kind = "" if card.error else find_kind(card, rules)
            filling = Filling(kind, rules, ())
            for value in list_values(card) if kind else ():
                before = len(filling.reached)
                filling.put(value)
                if value.place.name in _others or not re.fullmatch(r"[\w-]{1,60}", value.place.name):
                    continue
                if value.property in found or len(found) < MAX_PROPERTIES:
                    found.setdefault(value.property, {}).update(dict.fromkeys(filling.reached[before:]))
    return {name: list(fields) for name, fields in found.items()}
