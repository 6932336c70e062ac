"""Says which property of a vCard a contact field is: by what the field is called, in English or German.

For reading and writing alike.  Reads no file and no database.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cmphone.contacts.configuration import FieldRule
from cmphone.contacts.models import ContactKind

# Of our own cards: which field a value is (of a property with parts, a list; empty for none), and what no property of
# the standard has.
FIELD = "X-CMPHONE-FIELD"
OTHER = "X-CMPHONE"
COMPANY = "X-CMPHONE-COMPANY"
KIND = "X-CMPHONE-KIND"
ACTIVE = "X-CMPHONE-ACTIVE"

# The parts of properties that have some, in their order.
PARTS: Mapping[str, Sequence[str]] = {
    "N": ("family", "given", "additional", "prefix", "suffix"),
    "ADR": ("pobox", "extended", "street", "city", "region", "zip", "country"),
    "ORG": ("name", "unit"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """A property, or a part of it.  `use` tells telephone numbers and mail addresses apart: `cell`, `home` …"""

    name: str
    part: str = ""
    use: str = ""


# Of each place the names of fields, as `plain` makes them, best first.
_texts = {
    ("N", "family"): "lastname surname familyname nachname familienname zuname",
    ("N", "given"): "firstname givenname forename vorname",
    ("N", "additional"): "middlename middlenames zweitervorname weiterevornamen",
    ("TITLE", ""): "jobtitle job position function funktion berufsbezeichnung title titel",
    ("N", "prefix"): "nameprefix academictitle akademischertitel prefix salutation anrede title titel",
    ("N", "suffix"): "namesuffix namenszusatz suffix",
    ("NICKNAME", ""): "nickname spitzname rufname",
    ("ROLE", ""): "role rolle profession beruf",
    ("ORG", "name"): "companyname company organization organisation firmenname firma unternehmen",
    ("ORG", "unit"): "department abteilung",
    ("FN", ""): "fullname displayname name vollername anzeigename",
    ("URL", ""): "url website web homepage internet webseite webpage internetseite",
    ("NOTE", ""): "note notes remark remarks comment comments notiz notizen bemerkung bemerkungen kommentar anmerkung",
    ("BDAY", ""): "birthday birthdate dateofbirth geburtstag geburtsdatum",
    ("CATEGORIES", ""): "categories category kategorien kategorie tags",
    ("ADR", "pobox"): "pobox postfach",
    ("ADR", "extended"): "addressextra address2 addressline2 adresszusatz",
    ("ADR", "street"): "street streetaddress strasse address address1 addressline1 adresse anschrift",
    ("ADR", "city"): "city town locality ort stadt wohnort",
    ("ADR", "region"): "region state province bundesland",
    ("ADR", "zip"): "zip zipcode postalcode postcode plz postleitzahl",
    ("ADR", "country"): "country land staat",
}
_names: Mapping[tuple[str, str], Sequence[str]] = {place: names.split() for place, names in _texts.items()}
# A company has one name, and no parts of it.
_company_names = {**_names, ("ORG", "name"): ("name", *_names["ORG", "name"])}
_uses = {
    "fax": ("fax",),
    "pager": ("pager",),
    "cell": ("mobil", "handy", "cell", "iphone", "natel"),
    "home": ("privat", "home", "zuhause"),
}
_telephones = ("phone", "telefon", "mobil", "handy", "fax", "pager")
_mails = ("mail",)


def plain(text: str) -> str:
    """Return a name without case and whatever separates its words: `E-Mail`, `e_mail` and `email` are one."""
    return re.sub(r"[\W_]+", "", text.casefold())


def list_names(rule: FieldRule) -> list[str]:
    """Return what a field is called, plainly."""
    return [name for text in (rule.name, rule.label_de, rule.label_en) if (name := plain(text))]


def find_use(*texts: str) -> str:
    """Return what a telephone or mail address is for, by its types or what its field is called; empty for work."""
    plains = [plain(text) for text in texts]
    return next((use for use, parts in _uses.items() if any(part in text for text in plains for part in parts)), "")


def is_telephone(rule: FieldRule) -> bool:
    """Say whether a field is for telephone numbers, or is called so."""
    return rule.dialable or any(part in name for name in list_names(rule) for part in _telephones)


def is_mail(rule: FieldRule) -> bool:
    """Say whether a field is for mail addresses."""
    return not is_telephone(rule) and any(part in name for name in list_names(rule) for part in _mails)


def list_fields(place: Place, kind: str, rules: Sequence[FieldRule]) -> list[str]:
    """Return the fields that are this place, best first."""
    if place.name in {"TEL", "EMAIL"}:
        is_such = is_telephone if place.name == "TEL" else is_mail
        such = [rule for rule in rules if is_such(rule)]
        fitting = [rule.name for rule in such if find_use(*list_names(rule)) == place.use]
        # A fax is no telephone.
        general = [] if place.use in {"fax", "pager"} else [r.name for r in such if not find_use(*list_names(r))]
        return fitting or general
    wanted = _table(kind).get((place.name, place.part), ())
    found = [(wanted.index(name), rule.name) for rule in rules for name in list_names(rule) if name in wanted]
    return list(dict.fromkeys(name for _rank, name in sorted(found, key=lambda each: each[0])))


def find_place(rule: FieldRule, kind: str) -> Place:
    """Return where a card has the value of a field."""
    names = list_names(rule)
    for name, is_such in (("TEL", is_telephone), ("EMAIL", is_mail)):
        if is_such(rule):
            return Place(name, use=find_use(*names))
    for known in names:
        for (name, part), wanted in _table(kind).items():
            if known in wanted:
                return Place(name, part)
    return Place(OTHER)


def _table(kind: str) -> Mapping[tuple[str, str], Sequence[str]]:
    return _company_names if kind == ContactKind.COMPANY else _names
