"""Names contacts: renders the templates of their contact model with the values that a template may name.

The standard names are those of all languages; a language has names of its own where they differ.  Lists, pages and
the search show and find contacts by their standard name, in one order for all; who is called is told in his language.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cmphone.contacts.configuration import LABEL_LANGUAGE, GroupRules
from cmphone.contacts.models import Contact
from numbering.international import format_international
from numbering.reading import Reading, read_typed
from templates_store.rendering import Names, display_names

NAMES = ["name", "name_details", "name_list", "names"]


@dataclass(frozen=True, slots=True)
class Named:
    """What a contact's names are rendered from.  `company`: its person's company, if he has one."""

    kind: str
    fields: Mapping[str, str]
    external_id: str
    company: "NamedCompany | None" = None


@dataclass(frozen=True, slots=True)
class NamedCompany:
    """A company, as the names of its persons have it: its standard name, and those in other languages."""

    fields: Mapping[str, str]
    name: str
    names: Mapping[str, Mapping[str, str]]


# The standard names, and those of other languages as the database has them.
AllNames = tuple[Names, dict[str, dict[str, str]]]


def rename(contact: Contact, rules: GroupRules) -> bool:
    """Render the contact's names, and say whether one changed.  What it renders from is loaded already."""
    before = (contact.name, contact.name_details, contact.name_list, contact.names)
    of_company = contact.company
    company = NamedCompany(of_company.fields, of_company.name, of_company.names) if of_company else None
    standard, contact.names = render_names(Named(contact.kind, contact.fields, contact.external_id, company), rules)
    contact.name, contact.name_details, contact.name_list = standard
    return before != (*standard, contact.names)


def render_names(contact: Named, rules: GroupRules) -> AllNames:
    """Return the standard names, and by language those that differ from them."""
    values: dict[str, Any] = {rule.name: contact.fields.get(rule.name) for rule in rules.fields.get(contact.kind, ())}

    def show_phone(text: str) -> str:
        return ", ".join(show_number(reading) for reading in read_typed(text, rules.plan))

    def render(language: str) -> Names:
        if company := contact.company:
            name = company.names.get(language, {}).get("default", company.name)
            values["company"] = {**company.fields, "name": name}
        values["customer_group"] = rules.label(language or LABEL_LANGUAGE)
        of_kind = rules.naming.languages[language] if language else rules.naming.standard
        return display_names(of_kind[contact.kind], values, contact.external_id, show_phone)

    standard = render("")
    others: dict[str, dict[str, str]] = {}
    for language in rules.naming.languages:
        names = render(language)
        if names != standard:
            pairs = zip(Names._fields, names, standard, strict=True)
            others[language] = {field: name for field, name, usual in pairs if name != usual}
    return standard, others


def show_number(reading: Reading) -> str:
    """Return a number as names have it: as people write it internationally, else as it was typed."""
    return format_international(reading)
