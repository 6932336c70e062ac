"""Writes contacts, with their names and index entries in the same transaction.

How both are built anew when the configuration changes belongs to rebuilding.py.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from cmphone.contacts.configuration import GroupRules, get_configuration, keep_configuration
from cmphone.contacts.erasures import refuse_erased
from cmphone.contacts.models import Contact, ContactKind, IndexScope
from cmphone.contacts.naming import rename
from cmphone.contacts.writing import Author, insert_contacts, update_contacts, write_names
from cmphone.problems import Conflict
from cmphone.properties.services import hold_configuration, mark_configuration_changed
from cmphone.webhooks.models import EventKind
from cmphone.webhooks.services import Event, announce
from numbering.reading import Plan
from numbering.services import IndexedValue, IndexSource, add_entries, replace_entries
from templates_store.rendering import Names

MAX_VALUE_LENGTH = 4_000
unstorable = re.compile("[\x00\ud800-\udfff]")
BATCH = 500


@dataclass(slots=True)
class ContactDraft:
    """A contact as somebody wants it to be.  `contact` is the one to change; None makes a new one.

    `fields` holds every value the contact will have; a field that is missing or empty has none.
    """

    customer_group_id: int
    kind: str
    fields: Mapping[str, str] = field(default_factory=dict)
    company: Contact | None = None
    external_id: str = ""
    is_active: bool = True
    contact: Contact | None = None


def draft_contact(contact: Contact, rules: GroupRules) -> ContactDraft:
    """Return the contact as it is, without values whose field the contact model has no more."""
    return ContactDraft(
        customer_group_id=contact.customer_group_id,
        kind=contact.kind,
        fields={r.name: contact.fields[r.name] for r in rules.fields.get(contact.kind, ()) if r.name in contact.fields},
        company=contact.company,
        external_id=contact.external_id,
        is_active=contact.is_active,
        contact=contact,
    )


def save_contact(draft: ContactDraft, *, by: Author) -> Contact:
    """Make or change one contact, findable by its numbers from the moment it is there.

    Raises ValidationError (keys: `fields/<name>`, `company`, `kind`, `external_id`) and changes nothing, or
    Conflict when another transaction took the external id meanwhile, or its contact was erased (ErasedContact).
    """
    return save_contacts([draft], by=by)[0]


def save_contacts(drafts: Sequence[ContactDraft], *, by: Author) -> list[Contact]:
    """Make or change contacts, all or none, in as few statements as for one.  Raises what `save_contact` does.

    What a draft does not change is not written, and its version stays.  A contact to be changed must be as it was read.
    """
    try:
        with transaction.atomic():
            version = hold_configuration()
            configuration = get_configuration(str(version))
            groups = configuration.groups
            for draft in drafts:
                if errors := find_draft_errors(draft, groups[draft.customer_group_id]):
                    raise ValidationError(errors)
            now = timezone.now()
            written = [_Written(draft, groups[draft.customer_group_id], now) for draft in drafts]
            new = [each for each in written if each.is_new]
            changed = [each for each in written if each.changes]
            insert_contacts([each.contact for each in new], by=by)
            if not update_contacts([(each.contact, each.changes) for each in changed], by=by):
                raise StaleContact(_("Somebody else has changed this contact meanwhile. Read it again."))
            if configuration.has_suppressions:
                refuse_erased(each.key for each in written if each.takes_external_id)
            for each in changed:
                each.contact.version += 1
            _index(new, write=add_entries)
            _index([each for each in changed if each.is_indexed_anew], write=replace_entries)
            _rename_persons([each.contact for each in changed if each.contact.kind == ContactKind.COMPANY], groups)
            announce(
                [tell(each.contact, EventKind.CONTACT_CREATED) for each in new]
                + [tell(each.contact, EventKind.CONTACT_CHANGED) for each in changed]
            )
        keep_configuration(str(version))
    except IntegrityError as error:
        if "one_contact_of_an_external_id" not in str(error):
            raise
        raise Conflict(_("The customer group has a contact with this external id already.")) from error
    return [each.contact for each in written]


def tell(contact: Contact, kind: EventKind) -> Event:
    """Return what webhooks are told of a contact."""
    told = {"external_id": contact.external_id, "version": contact.version}
    return Event(kind, str(contact.pk), contact.customer_group_id, told)


class StaleContact(Conflict):
    """Somebody else changed or deleted the contact since it was read."""


class _Written:
    """A draft on its way in: the contact as it will be, and what of it that changes (as ContactChange has it)."""

    def __init__(self, draft: ContactDraft, rules: GroupRules, now: datetime) -> None:
        was = draft.contact
        self.is_new = was is None
        self.rules = rules
        # A copy: where it does not go in after all, the caller still has the contact as it was read.
        self.contact = copy(was) or Contact(
            customer_group_id=draft.customer_group_id, kind=draft.kind, created_at=now, updated_at=now
        )
        self.contact.company = draft.company
        self.contact.external_id = draft.external_id
        self.contact.is_active = draft.is_active
        # Values of fields that the contact model has no more stay, in case it gets them back.
        specified = rules.names[self.contact.kind]
        unspecified = {name: value for name, value in self.contact.fields.items() if name not in specified}
        self.contact.fields = unspecified | {name: value for name, value in draft.fields.items() if value.strip()}
        self.changes = _compare(was, self.contact) if was else {}
        takes_other = self.is_new or "external_id" in self.changes
        self.takes_external_id = takes_other and self.contact.external_id != ""
        if self.is_new or self.changes:
            self.contact.updated_at = now
            rename(self.contact, rules)
        self.is_indexed_anew = bool(was and self.changes and self.source != _see(was, rules))

    @property
    def key(self) -> tuple[int, str]:
        return self.contact.customer_group_id, self.contact.external_id

    @property
    def source(self) -> IndexSource:
        return _see(self.contact, self.rules)


def _compare(was: Contact, now_is: Contact) -> dict[str, list[object]]:
    """Return what changes of a contact: by its name in the history, what it was and what it is."""
    before, after = _facts(was), _facts(now_is)
    names = (name for name in before | after if before.get(name) != after.get(name))
    return {name: [before.get(name), after.get(name)] for name in names}


def _facts(contact: Contact) -> dict[str, object]:
    """Return what somebody may change of a contact, by its name in the history."""
    company = {"company": str(contact.company_id)} if contact.company_id else {}
    values = {f"fields/{name}": value for name, value in contact.fields.items()}
    return {**company, "external_id": contact.external_id or None, "is_active": contact.is_active, **values}


def find_draft_errors(draft: ContactDraft, rules: GroupRules) -> dict[str, list[str]]:
    """Return what is wrong with a draft, by `kind`, `company`, `external_id` or `fields/<name>`; empty if nothing.

    Whether another contact has the external id is for the database to say.
    """
    errors: dict[str, list[str]] = {}
    specified = rules.names.get(draft.kind)
    if not specified:
        errors["kind"] = [_("The contact model has no contacts of this kind.")]
        return errors
    if draft.contact is not None and (
        draft.contact.kind != draft.kind or draft.contact.customer_group_id != draft.customer_group_id
    ):
        errors["kind"] = [_("The kind and the customer group of a contact stay as they are.")]
    for name, value in draft.fields.items():
        if message := _find_value_error(name, value, specified):
            errors[f"fields/{name}"] = [message]
    if not errors and not any(value.strip() for value in draft.fields.values()):
        errors["fields"] = [_("Fill in at least one field.")]
    if draft.company is not None:
        if draft.kind != ContactKind.PERSON:
            errors["company"] = [_("Only a person belongs to a company.")]
        elif draft.company.kind != ContactKind.COMPANY or draft.company.customer_group_id != draft.customer_group_id:
            errors["company"] = [_("Choose a company of the same customer group.")]
    if len(draft.external_id) > 200 or not is_storable(draft.external_id):
        errors["external_id"] = [_("At most 200 characters, without control characters.")]
    return errors


def _find_value_error(name: str, value: object, specified: Collection[str]) -> str | None:
    if name not in specified:
        return _("The contact model has no such field.")
    if not isinstance(value, str):
        return _("Enter text.")
    if len(value) > MAX_VALUE_LENGTH:
        return _("At most %d characters.") % MAX_VALUE_LENGTH
    return None if is_storable(value) else _("Leave out characters that cannot be stored.")


def is_storable(text: str) -> bool:
    """Say whether the database takes a text: it has no NUL in it and no half of a character."""
    return unstorable.search(text) is None


def _index(written: Sequence[_Written], *, write: Callable[[Sequence[IndexSource], Plan], None]) -> None:
    for rules in {each.rules.id: each.rules for each in written}.values():
        write([each.source for each in written if each.rules.id == rules.id], rules.plan)


def _see(contact: Contact, rules: GroupRules) -> IndexSource:
    return build_index_source(contact.pk, contact.kind, contact.is_active, contact.fields, rules)


def build_index_source(
    contact_id: int, kind: str, is_active: bool, fields: Mapping[str, str], rules: GroupRules
) -> IndexSource:
    """Return a contact of the group as the index sees it: with the values of its indexed fields, none if inactive."""
    return IndexSource(
        contact_id=contact_id,
        customer_group_id=rules.id,
        is_company=kind == ContactKind.COMPANY,
        values=[
            IndexedValue(rule.name, rule.indexed, fields[rule.name])
            for rule in rules.fields.get(kind, ())
            if rule.indexed != IndexScope.NONE and is_active and rule.name in fields
        ],
    )


def _rename_persons(companies: Sequence[Contact], groups: Mapping[int, GroupRules]) -> None:
    """Render the names of the companies' persons, which may contain those of the company."""
    if companies:
        persons = (
            Contact.objects.filter(company__in=companies).select_related("company").select_for_update(of=("self",))
        )
        renamed = [person for person in persons if rename(person, groups[person.customer_group_id])]
        write_names((each.pk, Names(each.name, each.name_details, each.name_list), each.names) for each in renamed)


# --- changes of the configuration by an administrator ---


@transaction.atomic
def save_configuration(objects: Iterable[object], *, delete: bool = False) -> None:
    """Save, or delete, records that the configuration is made of, so that it is in force with the commit."""
    mark_configuration_changed()
    for each in objects:
        each.delete() if delete else each.save()  # type: ignore[attr-defined]
