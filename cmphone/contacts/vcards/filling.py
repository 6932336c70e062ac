"""Puts the values of a card into the fields of a contact: as the property map says, else as their names tell.

What a field's name means is for fields.py to say.  Knows no database.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from django.utils.translation import gettext as _

from cmphone.contacts.configuration import FieldRule, GroupRules
from cmphone.contacts.models import ContactKind
from cmphone.contacts.services import MAX_VALUE_LENGTH
from cmphone.contacts.vcards.fields import OTHER, PARTS, Place, list_fields, list_names, plain
from cmphone.contacts.vcards.values import Value, compose_address
from cmphone.problems import InvalidRequest

# What people keep in them is looked for; of all others nothing is missed that has no field.
_contents = {
    *("N", "FN", "NICKNAME", "ORG", "TITLE", "ROLE", "TEL", "EMAIL", "URL", "NOTE", "ADR", "BDAY", "CATEGORIES"),
    OTHER,
}


# In place of a field: as its name tells, though another entry of the property map would fit, too.
AS_NAMED = "*"


@dataclass(frozen=True, slots=True)
class MappedProperty:
    """An entry of the property map: the property, its types and its part, and the field that it is, empty for none."""

    name: str
    types: frozenset[str]
    part: str
    field: str


def read_entry(entry: str, rules: GroupRules) -> MappedProperty:
    """Read an entry of the property map (`PROPERTY=FIELD`).  Raises InvalidRequest when it names no field."""
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
    known = list_targets(rules)
    if name and name.lower() not in {*known, AS_NAMED}:
        raise InvalidRequest(
            _("There is no field “%(field)s”. There are %(known)s.") % {"field": name, "known": ", ".join(known)}
        )
    return MappedProperty(head.upper(), frozenset(types), part, name.lower())


def list_targets(rules: GroupRules) -> list[str]:
    """Return the internal names that a property may be mapped to."""
    names = dict.fromkeys(rule.name for fields in rules.fields.values() for rule in fields)
    names["external_id"] = None
    if rules.has_persons and rules.has_companies:
        names["company"] = None
    return list(names)


class Filling:
    """The fields of a contact while its card is read."""

    def __init__(self, kind: str, rules: GroupRules, mapped: Sequence[MappedProperty]) -> None:
        self.fields: dict[str, str] = {}
        self.warnings: list[tuple[str, str]] = []
        self.external_id = ""
        self.company = ""
        # Where values went, in their order: to fields, or as `company`.
        self.reached: list[str] = []
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

    def _find_mapped(self, value: Value) -> MappedProperty | None:
        """Return the entry of the property map that fits a value best."""
        place = value.place
        fitting = (
            each
            for each in self._mapped
            if each.name == place.name and each.part in {"", place.part} and each.types <= value.words
        )
        best = max(fitting, key=lambda each: (bool(each.part), len(each.types)), default=None)
        return None if best is None or best.field == AS_NAMED else best

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
            self.reached.append("company")
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
        self.reached.append(name)
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
