"""Makes records to import of the cards of a vCard file: which field of a customer group each value goes to.

How a file becomes cards is for vcard_parsing.py to say, and what a field's name means for vcard_fields.py.
Knows no database.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from django.utils.translation import gettext as _

from cmphone.contacts.configuration import FieldRule, GroupRules
from cmphone.contacts.import_types import ImportRecord, Source, describe_plainly
from cmphone.contacts.models import ContactKind
from cmphone.contacts.services import MAX_VALUE_LENGTH
from cmphone.contacts.vcard_fields import (
    ACTIVE,
    COMPANY,
    KIND,
    OTHER,
    PARTS,
    Place,
    list_fields,
    list_names,
    plain,
)
from cmphone.contacts.vcard_parsing import VCard, read_cards
from cmphone.contacts.vcard_values import Value, compose_address, list_values
from cmphone.problems import InvalidRequest

# What people keep in them is looked for; of all others nothing is missed that has no field.
_contents = {
    *("N", "FN", "NICKNAME", "ORG", "TITLE", "ROLE", "TEL", "EMAIL", "URL", "NOTE", "ADR", "BDAY", "CATEGORIES"),
    OTHER,
}
_company_values = {"org", "organization", "company"}


@dataclass(frozen=True, slots=True)
class _Mapped:
    """An entry of the property map: the property, its types and its part, and the field that it is, empty for none."""

    name: str
    types: frozenset[str]
    part: str
    field: str


def open_vcards(path: Path, *, rules: GroupRules, property_map: Sequence[str] = ()) -> Source:
    """Return the cards of a file as records, companies before persons.

    `property_map` says by `PROPERTY=FIELD` where other values go than their names tell: `TEL;TYPE=cell=mobile`,
    `ADR;PART=city=town`, `X-NUMBER=customer_no`; `NOTE=` leaves one out.  Raises InvalidRequest, before anything is
    read, where it names no field, or the file has no card.
    """
    mapped = [_read_entry(entry, rules) for entry in property_map]
    try:
        with path.open("rb") as file:
            is_empty = next(read_cards(file), None) is None
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror}.") from error
    if is_empty:
        raise InvalidRequest(_("%s has no vCard in it: one begins with BEGIN:VCARD.") % path)
    if not (rules.has_persons and rules.has_companies):
        return Source(_read_records(path, rules, mapped, None), describe_plainly)
    # A person may stand above its company.
    kinds = (ContactKind.COMPANY, ContactKind.PERSON)
    records = chain.from_iterable(_read_records(path, rules, mapped, kind) for kind in kinds)
    return Source(records, describe_plainly)


def _read_records(
    path: Path, rules: GroupRules, mapped: Sequence[_Mapped], kind: ContactKind | None
) -> Iterator[ImportRecord]:
    """Yield the records of a kind, None: of all.  Cards without a kind come with the persons."""
    before: ImportRecord | None = None
    skipped: list[tuple[str, str]] = []
    with path.open("rb") as file:
        for card in read_cards(file):
            found = ContactKind.PERSON if card.error else _find_kind(card, rules)
            if kind and (found or ContactKind.PERSON) != kind:
                continue
            if not found:
                # Told with the record before or behind it, as it is none itself.
                message = _("Card %d is a list of others and no contact; it is left out.") % card.number
                skipped.append(("KIND", message))
                continue
            if before:
                yield replace(before, warnings=(*before.warnings, *skipped))
                skipped = []
            before = read_card(card, rules=rules, kind=found, mapped=mapped)
    if before:
        yield replace(before, warnings=(*before.warnings, *skipped))
    elif skipped:
        yield ImportRecord(1, {}, error=" ".join(message for _name, message in skipped[:1]))


def _find_kind(card: VCard, rules: GroupRules) -> str:
    """Return what contact a card is, as far as the contact model has such; empty for a list of others."""
    said = (card.find_text(KIND) or card.find_text("KIND") or card.find_text("X-ADDRESSBOOKSERVER-KIND")).lower()
    if said == "group":
        return ""
    if not rules.has_persons or not rules.has_companies:
        return ContactKind.PERSON if rules.has_persons else ContactKind.COMPANY
    if said in _company_values or card.find_text("X-ABSHOWAS").upper() == "COMPANY":
        return ContactKind.COMPANY
    if said:
        return ContactKind.PERSON
    # Many programs say of a company only that nobody's name stands beside its own.
    organization = next((card.split(each.value)[0].strip() for each in card.find_all("ORG")), "")
    has_name = any(part.strip() for each in card.find_all("N") for part in card.split(each.value))
    is_company = organization and not has_name and card.find_text("FN") in {"", organization}
    return ContactKind.COMPANY if is_company else ContactKind.PERSON


def read_card(card: VCard, *, rules: GroupRules, kind: str, mapped: Sequence[_Mapped] = ()) -> ImportRecord:
    """Return what a card says of a contact of this kind."""
    if card.error:
        return ImportRecord(card.number, {}, error=card.error, warnings=card.warnings)
    filling = _Filling(kind, rules, mapped)
    for value in list_values(card):
        filling.put(value)
    is_of_company = kind == ContactKind.PERSON and rules.has_companies
    return ImportRecord(
        card.number,
        filling.fields,
        kind=kind,
        external_id=filling.external_id or card.find_text("UID"),
        company=(card.find_text(COMPANY) or filling.company) if is_of_company else "",
        is_active={"0": False, "1": True}.get(card.find_text(ACTIVE)),
        warnings=(*card.warnings, *filling.warnings),
    )


# --- where they go ---


class _Filling:
    """The fields of a contact while its card is read."""

    def __init__(self, kind: str, rules: GroupRules, mapped: Sequence[_Mapped]) -> None:
        self.fields: dict[str, str] = {}
        self.warnings: list[tuple[str, str]] = []
        self.external_id = ""
        self.company = ""
        self._kind = kind
        self._rules: Mapping[str, FieldRule] = {rule.name: rule for rule in rules.fields.get(kind, ())}
        self._links_company = kind == ContactKind.PERSON and rules.has_companies
        self._mapped = mapped
        self._has_address = False

    def put(self, value: Value) -> None:
        """Take a value in, or say that it has no place."""
        if value.parts:
            self._put_address(value)
            return
        mapped = self._find_mapped(value)
        if mapped is not None:
            self._put_mapped(mapped.field, value)
        elif value.own is not None and (not value.own or value.own in self._rules):
            if value.own:
                self._join(value.own, value)
        elif value.place.name in _contents:
            self._put_by_name(value)

    def _find_mapped(self, value: Value) -> _Mapped | None:
        """Return the entry of the property map that fits a value best."""
        place = value.place
        fitting = (
            each
            for each in self._mapped
            if each.name == place.name and each.part in {"", place.part} and each.types <= value.words
        )
        return max(fitting, key=lambda each: (bool(each.part), len(each.types)), default=None)

    def _put_mapped(self, name: str, value: Value) -> None:
        if name in self._rules:
            self._join(name, value)
        elif name == "external_id":
            self.external_id = value.text
        elif name == "company" and self._links_company:
            self.company = value.text
        elif name:
            # Persons and companies have other fields.
            self._warn(value)

    def _put_by_name(self, value: Value) -> None:
        place = value.place
        if place == Place("ORG", "name") and self._links_company:
            if self.company:
                self._warn(value)
            self.company = self.company or value.text
            return
        fields = self._list_fields(place)
        if place.name == "N" and not fields and (self._list_fields(Place("FN")) or value.text in self.fields.values()):
            # The whole name has it, or it is that of the company.
            return
        if place.name == "FN":
            if self._has_name():
                return
            # A card that does not say what is what of a name.
            fields = fields or self._list_fields(Place("N", "family")) or self._list_fields(Place("ORG", "name"))
        if value.label and place.name in {"TEL", "EMAIL"}:
            labelled = [rule.name for rule in self._rules.values() if plain(value.label) in list_names(rule)]
            fields = labelled or fields
        if free := next((name for name in fields if name not in self.fields), ""):
            self._join(free, value)
        elif fields and place.name in {"TEL", "NOTE"}:
            self._join(fields[0], value)
        else:
            self._warn(value)

    def _put_address(self, value: Value) -> None:
        """Take an address in: the first one by its parts, or in one line where there is a single field for it."""
        parts = [
            replace(value, place=Place("ADR", part), text=text, parts=())
            for part, text in zip(PARTS["ADR"], value.parts, strict=False)
        ]
        for index, part in enumerate(parts):
            if part.text and (mapped := self._find_mapped(part)) and mapped.part:
                self._put_mapped(mapped.field, part)
                parts[index] = replace(part, text="")
        whole = replace(value, text=compose_address([part.text for part in parts]))
        if not whole.text:
            return
        streets = self._list_fields(Place("ADR", "street"))
        if mapped := self._find_mapped(whole):
            self._put_mapped(mapped.field, whole)
        elif self._has_address:
            self._warn(whole)
        elif self._list_fields(Place("ADR", "city")) or self._list_fields(Place("ADR", "zip")):
            for part in filter(lambda each: each.text, parts):
                self._put_by_name(part)
        elif streets:
            self._join(streets[0], whole)
        else:
            self._warn(whole)
        self._has_address = True

    def _list_fields(self, place: Place) -> list[str]:
        return list_fields(place, self._kind, list(self._rules.values()))

    def _has_name(self) -> bool:
        places = [Place("N", "family"), Place("N", "given"), Place("FN")]
        # The organization of a person does not name him.
        places += [Place("ORG", "name")] if self._kind == ContactKind.COMPANY else []
        return any(name in self.fields for place in places for name in self._list_fields(place))

    def _join(self, name: str, value: Value) -> None:
        had, text = self.fields.get(name), value.text
        if had == text:
            return
        joined = text if had is None else had + ("\n" if value.place.name == "NOTE" else "; ") + text
        if had is not None and len(joined) > MAX_VALUE_LENGTH:
            self._warn(value)
        else:
            self.fields[name] = joined

    def _warn(self, value: Value) -> None:
        message = _(
            "“%(value)s” is not imported: there is no field left for it. To import it: %(property)s=FIELD. "
            "To leave it out on purpose: %(property)s="
        )
        self.warnings.append((value.place.name, message % {"value": value.text[:60], "property": value.property}))


# --- the property map ---


def _read_entry(entry: str, rules: GroupRules) -> _Mapped:
    left, equals, name = (part.strip() for part in entry.rpartition("="))
    head, *parameters = (part.strip() for part in left.split(";"))
    types: Iterable[str] = ()
    part = ""
    for parameter in parameters:
        key, _equals, value = parameter.partition("=")
        if key.upper() == "TYPE" and value:
            types = (*types, *(each.strip().lower() for each in value.split(",")))
        elif key.upper() == "PART" and value.lower() in PARTS.get(head.upper(), ()):
            part = value.lower()
        else:
            head = ""
    if not equals or not re.fullmatch(r"[\w-]+", head):
        raise InvalidRequest(_("Write PROPERTY=FIELD, as in TEL;TYPE=cell=mobile, not “%s”.") % entry)
    known = [*dict.fromkeys(rule.name for fields in rules.fields.values() for rule in fields), "external_id"]
    if rules.has_persons and rules.has_companies:
        known.append("company")
    if name and name.lower() not in known:
        raise InvalidRequest(
            _("There is no field “%(field)s”. There are %(known)s.") % {"field": name, "known": ", ".join(known)}
        )
    return _Mapped(head.upper(), frozenset(types), part, name.lower())
