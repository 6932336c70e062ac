"""What the settings of a directory mean, whether they can be, and what they would bring in.

Getting entries is for reading.py, and bringing them in for pulls.py.
"""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from cmphone.contacts.configuration import GroupRules, get_current_configuration
from cmphone.contacts.directories.line import DirectoryFailed, DirectoryServer, Patience
from cmphone.contacts.directories.mapping import (
    AttributeMap,
    is_filter,
    parse_attribute_map,
    parse_attributes,
    read_entry,
)
from cmphone.contacts.directories.models import Directory, DirectoryScope
from cmphone.contacts.directories.reading import DirectorySearch, read_entries
from cmphone.contacts.directories.sealing import BrokenSeal, seal, unseal
from cmphone.contacts.imports.types import ImportRecord
from cmphone.contacts.models import Contact, ContactKind, choose_label
from cmphone.contacts.naming import Named, NamedCompany, render_names

PURPOSE = "password of a directory"
PREVIEWED = 10
# A web process that waits answers nobody else.
OF_A_PAGE = Patience(connecting=3, answering=5, reading=10)
_REACHED_BY = ("uri", "start_tls", "is_plain_allowed", "ca_certificates", "bind_dn")


def set_password(directory: Directory, password: str) -> None:
    """Give the directory, which the caller saves, the password of its user."""
    directory.sealed_password = seal(password, purpose=PURPOSE)


def goes_elsewhere(before: Directory, after: Directory) -> bool:
    """Say whether the password would be shown to somebody else, or less well protected, than where it was meant for."""
    return any(getattr(before, name) != getattr(after, name) for name in _REACHED_BY)


def get_server(directory: Directory, patience: Patience | None = None) -> DirectoryServer:
    """Return how to reach the directory.  Raises DirectoryFailed when its password cannot be read any more."""
    try:
        password = unseal(directory.sealed_password, purpose=PURPOSE)
    except BrokenSeal as error:
        message = _("The password cannot be read, as CMPHONE_SECRET_KEY is another one now. Enter it again.")
        raise DirectoryFailed(message) from error
    return DirectoryServer(
        directory.uri,
        start_tls=directory.start_tls,
        is_plain_allowed=directory.is_plain_allowed,
        ca_certificates=directory.ca_certificates,
        bind_dn=directory.bind_dn,
        password=password,
        patience=patience or Patience(),
    )


def get_search(directory: Directory) -> DirectorySearch:
    """Return which entries are wanted."""
    return DirectorySearch(
        directory.base, directory.filter.strip(), is_deep=directory.scope == DirectoryScope.SUBTREE.value
    )


def get_attribute_map(directory: Directory) -> AttributeMap:
    """Return what of an entry goes where.  Raises ValueError."""
    return AttributeMap(
        parse_attribute_map(directory.attribute_map),
        directory.external_id_attribute.strip(),
        parse_attributes(directory.company_attribute),
    )


def list_due_directories() -> list[int]:
    """Return the ids of the directories whose regular pull should begin."""
    return [directory.pk for directory in Directory.objects.filter(is_active=True) if directory.is_due]


# --- whether the settings can be ---


def find_directory_errors(directory: Directory) -> dict[str, list[str]]:
    """Return what is wrong with the settings, by name; empty if nothing.  Nobody is asked but ourselves."""
    rules = get_current_configuration().groups.get(directory.customer_group_id)
    found = {
        "uri": _find_address_error(directory),
        "ca_certificates": _find_certificate_error(directory.ca_certificates),
        "filter": "" if is_filter(directory.filter) else _("This is no filter. Example: (objectClass=person)"),
        "attribute_map": _find_map_error(directory.attribute_map, rules),
        "external_id_attribute": _find_id_error(directory.external_id_attribute),
        "company_attribute": _find_company_error(directory.company_attribute, rules),
    }
    return {name: [message] for name, message in found.items() if message}


def _find_address_error(directory: Directory) -> str:
    try:
        parts = urlsplit(directory.uri)
        is_whole = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    rest = (parts.path.strip("/"), parts.query, parts.fragment, parts.username) if is_whole else ()
    if not is_whole or parts.scheme not in {"ldap", "ldaps"} or any(rest):
        return _("Write ldaps://host or ldap://host, with :port where it is not the usual one, and nothing else.")
    if parts.scheme == "ldaps" and directory.start_tls:
        return _("ldaps:// is encrypted from the beginning: use either that or StartTLS.")
    if parts.scheme == "ldap" and not directory.start_tls and not directory.is_plain_allowed:
        return _("This connection would not be encrypted. Use ldaps:// or StartTLS, or allow it.")
    return ""


def _find_certificate_error(text: str) -> str:
    if not text.strip():
        return ""
    try:
        ssl.create_default_context(cadata=text)
    except (ssl.SSLError, ValueError):
        return _("These are no certificates in PEM form.")
    return ""


def _find_map_error(text: str, rules: GroupRules | None) -> str:
    try:
        mapped = parse_attribute_map(text)
    except ValueError as error:
        return str(error)
    if not mapped:
        return _("Map at least one attribute.")
    if rules is None:
        return ""
    kind = ContactKind.PERSON if rules.has_persons else ContactKind.COMPANY
    names = [rule.name for rule in rules.fields.get(kind, ())]
    if unknown := [name for name in mapped if name not in names]:
        message = _("The contact model has no field %(unknown)s. It has: %(names)s.")
        return message % {"unknown": ", ".join(unknown), "names": ", ".join(names)}
    return ""


def _find_id_error(text: str) -> str:
    try:
        is_one = len(parse_attributes(text)) == 1
    except ValueError as error:
        return str(error)
    return "" if is_one else _("Name one attribute.")


def _find_company_error(text: str, rules: GroupRules | None) -> str:
    try:
        attributes = parse_attributes(text)
    except ValueError as error:
        return str(error)
    if attributes and rules and not (rules.has_persons and rules.has_companies):
        return _("Persons of this contact model belong to no company.")
    return ""


# --- what they would bring in ---


@dataclass(frozen=True, slots=True)
class PreviewedEntry:
    """An entry as the contact it would be.  `is_known`: such a contact is there already."""

    record: ImportRecord
    name: str
    is_known: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """The first entries of a directory; `fields` by which names people know their values."""

    fields: Mapping[str, str]
    entries: Sequence[PreviewedEntry]

    @property
    def rows(self) -> list[tuple[PreviewedEntry, list[tuple[str, str]]]]:
        """Each entry with its values, and by which names people know them."""
        return [
            (entry, [(label, entry.record.fields.get(name, "")) for name, label in self.fields.items()])
            for entry in self.entries
        ]


def preview_directory(directory: Directory) -> Preview:
    """Return the first entries as contacts.  Changes nothing.  Raises DirectoryFailed."""
    if errors := find_directory_errors(directory):
        raise DirectoryFailed(" ".join(message for several in errors.values() for message in several))
    attribute_map = get_attribute_map(directory)
    server, search = get_server(directory, OF_A_PAGE), get_search(directory)
    rules = get_current_configuration().groups[directory.customer_group_id]
    kind = ContactKind.PERSON if rules.has_persons else ContactKind.COMPANY
    records = [
        read_entry(number, dn, entry, attribute_map)
        for number, (dn, entry) in enumerate(
            read_entries(server, search, attribute_map.attributes, limit=PREVIEWED), start=1
        )
    ]
    ids = [record.external_id for record in records if record.external_id]
    of_group = Contact.objects.filter(customer_group_id=directory.customer_group_id)
    known = set(of_group.filter(external_id__in=ids).values_list("external_id", flat=True))
    labels = {
        rule.name: choose_label(de=rule.label_de, en=rule.label_en, name=rule.name)
        for rule in rules.fields[kind]
        if rule.name in attribute_map.fields
    }
    entries = [PreviewedEntry(record, _name(record, kind, rules), record.external_id in known) for record in records]
    return Preview(labels, entries)


def _name(record: ImportRecord, kind: str, rules: GroupRules) -> str:
    fields = {name: value for name, value in record.fields.items() if value}
    company = NamedCompany({}, record.company, {}) if record.company else None
    standard, _others = render_names(Named(kind, fields, record.external_id, company), rules)
    return standard.default
