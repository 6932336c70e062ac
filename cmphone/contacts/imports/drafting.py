"""Makes drafts of records: the contact as it will be, with its company.  What cannot be one is refused here."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from cmphone.contacts.configuration import GroupRules
from cmphone.contacts.imports.journal import Journal
from cmphone.contacts.imports.matching import find_companies
from cmphone.contacts.imports.types import ImportRecord
from cmphone.contacts.models import Contact, ContactKind
from cmphone.contacts.services import ContactDraft, draft_contact, find_draft_errors, is_storable, save_contacts
from cmphone.contacts.writing import Author


@dataclass(slots=True)
class Entry:
    """A record on its way in.  `contact_id`: of the contact that it made or met, as soon as that is known.

    `given`: the values that the record says something by.
    """

    record: ImportRecord
    draft: ContactDraft
    given: Mapping[str, str]
    contact_id: int | None = None


def draft_record(
    record: ImportRecord,
    *,
    known: Mapping[str, Contact],
    rules: GroupRules,
    journal: Journal,
    overwrite_empty: bool,
) -> Entry | None:
    """Return what a record wants to be, or None after noting why that cannot be.

    `known`: the contacts that are there, by external id.
    """
    for column, message in record.warnings:
        journal.warn(record, column, message)
    if record.error:
        journal.refuse(record, record.error_column, record.error, record.error_value)
        return None
    contact = known.get(record.external_id)
    usual = contact.kind if contact else ContactKind.PERSON if rules.has_persons else ContactKind.COMPANY
    kind = record.kind or usual
    if contact and contact.kind != kind:
        message = _("The kind and the customer group of a contact stay as they are.")
        journal.refuse(record, journal.describe("kind", kind), message, record.kind)
        return None
    fields = record.fields_by_kind.get(kind, record.fields)
    # As they are: only of our own columns the space around a value is nothing.
    given = {name: value for name, value in fields.items() if overwrite_empty or value.strip()}
    if contact:
        draft = draft_contact(contact, rules)
        values = {**draft.fields, **given}
        draft.fields = {name: value for name, value in values.items() if value.strip()}
        if overwrite_empty and record.says_company and not record.company:
            draft.company = None
    else:
        values = {name: value for name, value in given.items() if value.strip()}
        draft = ContactDraft(rules.id, kind, values, external_id=record.external_id)
    if record.is_active is not None:
        draft.is_active = record.is_active
    if errors := find_draft_errors(draft, rules):
        journal.refuse_draft(record, errors, draft)
        return None
    journal.note_left_out(record.left_out.get(kind, ()), kind)
    return Entry(record, draft, given)


def link_companies(entries: Sequence[Entry], *, rules: GroupRules, journal: Journal, by: Author) -> Iterator[Entry]:
    """Yield the entries with their companies, which are made where there are none."""
    persons = [entry for entry in entries if entry.draft.kind == ContactKind.PERSON and entry.record.company]
    wanted = list(dict.fromkeys(entry.record.company for entry in persons))
    name_field = rules.company_name_field
    names = [name for name in wanted if is_storable(name)]
    companies = find_companies(names, customer_group_id=rules.id, name_field=name_field)
    missing = {
        name: ContactDraft(rules.id, ContactKind.COMPANY, fields={name_field: name})
        for name in wanted
        if name not in companies
    }
    errors = {name: messages for name, draft in missing.items() if (messages := find_draft_errors(draft, rules))}
    drafts = {name: draft for name, draft in missing.items() if name not in errors}
    for name, made in zip(drafts, save_contacts(list(drafts.values()), by=by) if drafts else (), strict=True):
        companies[name] = [made]
    journal.note_companies_made(len(drafts))
    for entry in entries:
        name = entry.record.company if entry.draft.kind == ContactKind.PERSON else ""
        column = journal.describe("company", ContactKind.PERSON) if name else ""
        if name in errors:
            message = " ".join(each for several in errors[name].values() for each in several)
            journal.refuse(entry.record, column, message, name)
            continue
        if name:
            found = companies[name]
            entry.draft.company = found[0]
            if len(found) > 1:
                message = _("%d companies have this name. The oldest is taken; an external id would tell which.")
                journal.warn(entry.record, column, message % len(found), name)
        yield entry
