"""Writes contacts as vCards, so that other programs understand them and reading them gives the same fields again.

Where a value stands in a way that other programs would not understand, it is written twice: for them, and exactly, in
a property of our own.  Reads no file and no database.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Literal

from cmphone.contacts.configuration import FieldRule, GroupRules
from cmphone.contacts.models import Contact, ContactKind
from cmphone.contacts.vcards.fields import ACTIVE, COMPANY, FIELD, KIND, OTHER, PARTS, Place, find_place
from numbering.international import format_international
from numbering.reading import Plan, Reading, read_typed

Version = Literal["3.0", "4.0"]
# In octets, by the standard.
LONGEST_LINE = 75
_escapes = str.maketrans({"\\": r"\\", "\n": r"\n", "\r": r"\r", ",": r"\,", ";": r"\;"})
_uses = {"": "work,voice", "home": "home,voice"}


def write_card(contact: Contact, *, rules: GroupRules, company: Contact | None = None, version: Version = "4.0") -> str:
    """Return the card of a contact.  `company`: that of a person, if whoever reads the card may view it."""
    writer = _CardWriter(contact.kind, rules.plan, version)
    for rule in rules.fields.get(contact.kind, ()):
        if text := contact.fields.get(rule.name):
            writer.add_field(rule, text, has_link=company is not None)
    lines = ["BEGIN:VCARD", f"VERSION:{version}", "PRODID:-//CM/Phone//cmphone//EN"]
    if contact.external_id:
        lines.append(_line("UID;VALUE=text" if version == "4.0" else "UID", contact.external_id))
    is_company = contact.kind == ContactKind.COMPANY
    if version == "4.0":
        lines.append("KIND:org" if is_company else "KIND:individual")
    else:
        lines += [_line(KIND, contact.kind), *(["X-ABShowAs:COMPANY"] if is_company else [])]
    lines.append(_line(ACTIVE, "1" if contact.is_active else "0"))
    if company is not None:
        writer.parts.setdefault("ORG", {})["name"] = ("", _show(company.name))
        if key := name_company(company, rules):
            writer.lines.append(_line(COMPANY, key))
    lines += writer.finish(contact.name)
    return "".join(_fold(line) for line in [*lines, "END:VCARD"])


def name_company(company: Contact, rules: GroupRules) -> str:
    """Return by what an import finds a company: its external id, else its name; empty where it has neither."""
    return company.external_id or str(company.fields.get(rules.company_name_field, "")).strip()


class _CardWriter:
    """The values of a contact as lines, those of the parts of a property together."""

    def __init__(self, kind: str, plan: Plan, version: Version) -> None:
        self.lines: list[str] = []
        # By property and part: the field, empty where it is written exactly elsewhere, and the text.
        self.parts: dict[str, dict[str, tuple[str, str]]] = {}
        self._kind = kind
        self._plan = plan
        self._version = version
        self._name: tuple[str, str] | None = None

    def add_field(self, rule: FieldRule, text: str, *, has_link: bool) -> None:
        """Write the value of a field.  `has_link`: what the person's organization is called is that of its company."""
        place = find_place(rule, self._kind)
        if self._is_taken(place, has_link=has_link):
            place = Place(OTHER)
        numbers = read_typed(text, self._plan) if place.name == "TEL" else ()
        shown = [_show_number(each) for each in numbers] or [_show(text)]
        is_exact = shown == [text]
        name = rule.name if is_exact else ""
        if place.name == OTHER or not is_exact:
            self.lines.append(_line(f"{OTHER};{FIELD}={rule.name}", text))
        if place.name in PARTS:
            self.parts.setdefault(place.name, {})[place.part] = (name, shown[0])
        elif place.name == "FN":
            self._name = (name, shown[0])
        elif place.name != OTHER:
            head = f"{place.name}{self._write_types(place)};{FIELD}={name}"
            self.lines += [_line(head, each) for each in shown if each.strip()]

    def _is_taken(self, place: Place, *, has_link: bool) -> bool:
        if place == Place("ORG", "name") and has_link:
            return True
        # By the standard it is a date, which people write as they like.
        if place.name == "BDAY" and self._version == "3.0":
            return True
        return place.part in self.parts.get(place.name, {}) or (place.name == "FN" and self._name is not None)

    def _write_types(self, place: Place) -> str:
        if place.name == "TEL":
            return f";TYPE={_uses.get(place.use, place.use)}"
        if place.name == "EMAIL":
            return f";TYPE={place.use or 'work'}"
        return ";VALUE=text" if place.name == "BDAY" else ""

    def finish(self, display_name: str) -> list[str]:
        """Return all lines of values, first those of the name, which every card has."""
        field, text = self._name or ("", _show(display_name))
        lines = [_line(f"FN;{FIELD}={field}", text or "-")]
        if self._version == "3.0":
            self.parts.setdefault("N", {})
        for name, parts in PARTS.items():
            if name in self.parts:
                lines.append(_write_parts(name, parts, self.parts[name]))
        return lines + self.lines


def _write_parts(name: str, parts: Sequence[str], texts: Mapping[str, tuple[str, str]]) -> str:
    values = [texts.get(part, ("", "")) for part in parts]
    fields = ",".join(field for field, _text in values)
    return f"{name};{FIELD}={fields}:" + ";".join(text.translate(_escapes) for _field, text in values)


def _show(text: str) -> str:
    """Return a text as every program reads it: with one kind of line break, and no control characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(each for each in text if each in "\n\t" or unicodedata.category(each) != "Cc")


def _show_number(reading: Reading) -> str:
    """Return a number as everybody may dial it, or as it was typed, where that is not known."""
    if reading.kind != "public" or not reading.possible:
        return _show(reading.raw)
    number = format_international(reading)
    return f"{number} ext. {reading.extension}" if reading.extension else number


def _line(head: str, text: str) -> str:
    return f"{head}:{text.translate(_escapes)}"


def _fold(line: str) -> str:
    """Return a line with its end, folded where it is too long, between two characters."""
    if len(line) <= LONGEST_LINE and line.isascii():
        return f"{line}\r\n"
    pieces, start, size = [], 0, 0
    for index, character in enumerate(line):
        width = len(character.encode())
        if size + width > LONGEST_LINE:
            pieces.append(line[start:index])
            # The space in front of the rest counts.
            start, size = index, 1
        size += width
    return "\r\n ".join([*pieces, line[start:]]) + "\r\n"
