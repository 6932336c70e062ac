"""What of a directory's entry goes into a contact: which attribute fills which field.

Getting the entries is for reading.py; writing the contacts for contacts/services.py.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from cmphone.contacts.imports.types import ImportRecord
from cmphone.contacts.services import is_storable

# Of an entry, as the protocol has it: attributes have any number of values, and these are bytes.
Entry = Mapping[str, Sequence[bytes]]
GUID = "objectguid"
ACCOUNT_CONTROL = "userAccountControl"
_ACCOUNT_IS_DISABLED = 2
_attribute = re.compile(r"([A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)+)(;[A-Za-z0-9-]+)*")
_item = re.compile(r"\(\s*[A-Za-z0-9.;:-]+\s*([~<>]?=)([^()\\\0]|\\[0-9A-Fa-f]{2})*\)")
_joined = re.compile(r"\(\s*([&|]\s*(\0\s*)*|!\s*\0\s*)\)")


@dataclass(frozen=True, slots=True)
class AttributeMap:
    """Which attributes fill which field, the first that has a value; which one identifies an entry; and which ones
    hold the name or external id of a person's company.
    """

    fields: Mapping[str, Sequence[str]]
    external_id: str
    company: Sequence[str] = ()

    @property
    def attributes(self) -> list[str]:
        """Return what to ask a directory for."""
        of_fields = (attribute for several in self.fields.values() for attribute in several)
        return list(dict.fromkeys((self.external_id, *of_fields, *self.company, ACCOUNT_CONTROL)))


def parse_attribute_map(text: str) -> dict[str, tuple[str, ...]]:
    """Return the attributes by field out of lines as `telephoneNumber|ipPhone = phone`.

    Raises ValueError with the number of the line and what is wrong with it.
    """
    fields: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        left, equals, right = line.partition("=")
        field = right.strip()
        if not equals or not field:
            message = _("Line %d: write attribute = field, for example telephoneNumber|ipPhone = phone.")
            raise ValueError(message % number)
        try:
            attributes = parse_attributes(left)
        except ValueError as error:
            raise ValueError(_("Line %(number)d: %(error)s") % {"number": number, "error": error}) from error
        if not attributes:
            raise ValueError(_("Line %d: there is no attribute before the equals sign.") % number)
        if field in fields:
            message = _("Line %(number)d: %(field)s is filled already. Write all its attributes in one line: a|b = …")
            raise ValueError(message % {"number": number, "field": field})
        fields[field] = attributes
    return fields


def parse_attributes(text: str) -> tuple[str, ...]:
    """Return the attributes of `telephoneNumber|ipPhone`.  Raises ValueError for what is no name of one."""
    names = tuple(name.strip() for name in text.split("|")) if text.strip() else ()
    for name in names:
        if not _attribute.fullmatch(name):
            raise ValueError(_("“%s” is no name of an attribute.") % name)
    return names


def is_filter(text: str) -> bool:
    """Say whether a text is a filter as RFC 4515 writes it."""
    if "\0" in text:
        return False
    # From the inside: what is a filter becomes a mark, and what joins marks, too.
    before, text = "", _item.sub("\0", text.strip())
    while text != before:
        before, text = text, _joined.sub("\0", text)
    return text == "\0"


def read_entry(number: int, dn: str, entry: Entry, attribute_map: AttributeMap) -> ImportRecord:
    """Return what an entry says of a contact.  A field whose attributes have no value is empty; one whose value cannot
    be read is missing, which is reported.
    """
    # Servers answer with the names as their schema has them.
    values = {name.casefold(): list(several) for name, several in entry.items()}
    try:
        external_id = _read_external_id(values, attribute_map.external_id)
    except ValueError as error:
        return ImportRecord(number, {}, error=_("%(dn)s: %(error)s") % {"dn": dn, "error": error})
    fields: dict[str, str] = {}
    warnings: list[tuple[str, str]] = []
    for field, attributes in attribute_map.fields.items():
        value, unreadable = _read_first(values, attributes)
        if value or not unreadable:
            fields[field] = value
        warnings += unreadable
    company, unreadable = _read_first(values, attribute_map.company)
    return ImportRecord(
        number,
        fields,
        external_id=external_id,
        company=company,
        is_active=False if _is_disabled(values) else None,
        warnings=[*warnings, *unreadable],
    )


def _read_first(values: Entry, attributes: Sequence[str]) -> tuple[str, list[tuple[str, str]]]:
    """Return the text of the first of the attributes that has one, and what could not be read on the way."""
    unreadable: list[tuple[str, str]] = []
    for attribute in attributes:
        texts = set()
        for value in values.get(attribute.casefold(), ()):
            try:
                text = value.decode().strip()
            except UnicodeDecodeError:
                text = "\0"
            if is_storable(text):
                texts.add(text)
            else:
                unreadable.append((attribute, _("This value is no text and is left out.")))
        # Directories keep no order among the values of an attribute.
        if text := ", ".join(sorted(texts - {""})):
            return text, unreadable
    return "", unreadable


def _read_external_id(values: Entry, attribute: str) -> str:
    several = [value for value in values.get(attribute.casefold(), ()) if value.strip()]
    if not several:
        raise ValueError(_("The entry has no value, or none that may be read, of %s.") % attribute)
    if len(several) > 1:
        raise ValueError(_("The entry has several values of %s: it cannot identify it.") % attribute)
    (value,) = several
    if attribute.casefold() == GUID and len(value) == 16:
        # As Active Directory shows it.
        return str(uuid.UUID(bytes_le=value))
    try:
        text = value.decode().strip()
    except UnicodeDecodeError:
        text = "\0"
    if not is_storable(text) or len(text) > 200:
        raise ValueError(_("The value of %s is no text of at most 200 characters: it cannot identify it.") % attribute)
    return text


def _is_disabled(values: Entry) -> bool:
    """Say whether this is an account of Active Directory that has been disabled."""
    control = next(iter(values.get(ACCOUNT_CONTROL.casefold(), ())), b"")
    try:
        return bool(int(control) & _ACCOUNT_IS_DISABLED)
    except ValueError:
        return False
