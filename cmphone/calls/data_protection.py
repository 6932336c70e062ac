"""Data protection: hands out all that is stored of one contact, and erases it everywhere.

Both are for superusers alone, for whom nothing else is hidden either.  What one contact has in common with others stays
theirs: calls of a number that another contact has too, a company's persons, the names of users.  A table that holds
something of contacts belongs in here; a test that looks into every table of the database sees to that.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from cmphone.calls.models import Call, Case
from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.directories.models import DirectoryEntry
from cmphone.contacts.editing import delete_contacts
from cmphone.contacts.erasure_models import Erasure, ErasureReason
from cmphone.contacts.erasures import hold_suppressions, record_erasures
from cmphone.contacts.imports.traces import (
    erase_files,
    erase_from_runs,
    erase_lines,
    is_under_way,
    list_files,
    list_reported_lines,
)
from cmphone.contacts.models import Contact, ContactChange, User, Way
from cmphone.contacts.services import BATCH, draft_contact, save_contacts
from cmphone.contacts.writing import Author
from cmphone.problems import Conflict, NotFound
from cmphone.webhooks.models import EventKind
from cmphone.webhooks.services import forget
from numbering.models import IndexEntry
from numbering.reading import read_typed
from templates_store.rendering import put_number

_FIELD = "fields/"
_NAMES = ("name", "name_details", "name_list")
_OF_CONTACTS = (EventKind.CONTACT_CREATED, EventKind.CONTACT_CHANGED, EventKind.CONTACT_DELETED)


def get_person(user: User, contact_id: int) -> Contact:
    """Return a contact to whoever may export and erase it.  Raises NotFound."""
    contact = Contact.objects.select_related("customer_group", "company").filter(pk=contact_id).first()
    if contact is None or not (user.is_active and user.is_superuser):
        raise NotFound
    return contact


# --- what there is ---


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is stored of one contact.  `persons`: of the company that it is; `files`: that may hold it."""

    numbers: int
    changes: int
    cases: int
    calls: int
    shared_numbers: int
    reported_lines: int
    directories: int
    files: int
    persons: int


def measure_person(user: User, contact_id: int) -> Extent:
    """Return how much an erasure takes away.  Raises NotFound."""
    contact = get_person(user, contact_id)
    own, shared = _split_numbers(contact)
    return Extent(
        numbers=IndexEntry.objects.filter(contact=contact).count(),
        changes=ContactChange.objects.filter(contact=contact).count(),
        cases=Case.objects.filter(contact=contact).count(),
        calls=_list_calls(own).count(),
        shared_numbers=len(shared),
        reported_lines=sum(1 for _line in list_reported_lines(contact.pk)),
        directories=DirectoryEntry.objects.filter(contact=contact).count(),
        files=list_files(contact.customer_group_id).count(),
        persons=Contact.objects.filter(company=contact).count(),
    )


def export_person(user: User, contact_id: int) -> dict[str, Any]:
    """Return everything that is stored of one contact, as plain values of JSON.  Raises NotFound."""
    contact = get_person(user, contact_id)
    company = contact.company
    own, shared = _split_numbers(contact)
    return {
        "exported_at": timezone.now(),
        "contact": {
            "id": str(contact.pk),
            "kind": contact.kind,
            "customer_group": {"id": str(contact.customer_group_id), "name": str(contact.customer_group)},
            "company": {"id": str(company.pk), "name": company.name} if company else None,
            "external_id": contact.external_id,
            "active": contact.is_active,
            "fields": contact.fields,
            "names": _show_names(contact),
            "created_at": contact.created_at,
            "updated_at": contact.updated_at,
        },
        "numbers": list(
            IndexEntry.objects.filter(contact=contact)
            .order_by("id")
            .values("field", "raw", "canonical", "extension", "kind")
        ),
        # Who did it is nothing about this person.
        "history": [
            {
                "at": change.at,
                "by": "user" if change.user_name else "system",
                "way": change.way,
                "new": change.is_new,
                "changes": change.changes,
            }
            for change in ContactChange.objects.filter(contact=contact).order_by("id")
        ],
        "cases": [
            {
                "number": case.pk,
                "queue": str(case.queue),
                "subject": case.subject,
                "description": case.description,
                "created_at": case.created_at,
            }
            for case in Case.objects.filter(contact=contact).select_related("queue").order_by("id")
        ],
        "calls": list(
            _list_calls(own)
            .order_by("started_at", "id")
            .values("direction", "number", "canonical", "line", "started_at", "answered_at", "ended_at", "is_missed")
        ),
        # Whose calls these are cannot be told: other contacts have the number, too.
        "numbers_shared_with_others": sorted(shared),
        "imports": [
            {
                "source": line.run.source,
                "file": line.run.file_name,
                "at": line.run.created_at,
                "line": line.number,
                "outcome": line.outcome,
                "findings": [{"column": f.column, "message": f.message, "value": f.value} for f in line.findings],
            }
            for line in list_reported_lines(contact.pk)
        ],
        # They may hold the person, and go within a day.
        "files_waiting_for_import": list(list_files(contact.customer_group_id).values("file_name", "created_at")),
        "directories": [
            {
                "directory": entry.directory.name,
                "external_id": entry.external_id,
                "missing_since": entry.missing_since,
            }
            for entry in DirectoryEntry.objects.filter(contact=contact).select_related("directory").order_by("id")
        ],
    }


def _show_names(contact: Contact) -> dict[str, Any]:
    """Return its names; for the number of a call stands a mark in them."""
    standard = {"default": contact.name, "details": contact.name_details, "list": contact.name_list}
    return {
        language: {key: put_number(name, "…") for key, name in names.items()}
        for language, names in {"standard": standard, **contact.names}.items()
    }


# --- erasing ---


@transaction.atomic
def erase_person(user: User, contact_id: int, *, reason: ErasureReason, leaves_persons: bool = False) -> Erasure:
    """Erase a contact everywhere, and let no source bring it back by its external id.

    A company's persons stay without it if `leaves_persons`.  Raises NotFound; Conflict when a company has persons
    otherwise, or a file is being imported that may hold the contact; and ValidationError when one of the persons
    cannot be saved.  Nothing is erased then.
    """
    get_person(user, contact_id)
    hold_suppressions()
    contact = Contact.objects.select_for_update().filter(pk=contact_id).first()
    if contact is None:
        raise NotFound
    if is_under_way(contact.customer_group_id):
        raise Conflict(_("A file is being imported into this customer group. Wait until it is done, or cancel it."))
    if Contact.objects.filter(company=contact).exists():
        if not leaves_persons:
            text = _("Persons belong to this company. Erase them first, or say that they stay without a company.")
            raise Conflict(text)
        _release_persons(contact, by=Author(user, Way.ADMIN))
    erase_files(contact.customer_group_id)
    (erasure,) = _erase([contact], user=user, reason=reason, is_suppressed=True)
    return erasure


@transaction.atomic
def erase_expired(expired: QuerySet[Contact], *, limit: int) -> int:
    """Erase the first of the contacts whose time is over, and return how many.

    Their sources may bring them back: nobody has asked that they stay away.
    """
    ids = list(expired.order_by("pk").values_list("pk", flat=True)[:limit])
    list(Contact.objects.select_for_update().filter(pk__in=ids).order_by("pk"))
    # Anew, now that nobody can change them.
    contacts = list(expired.filter(pk__in=ids))
    return len(_erase(contacts, user=None, reason=ErasureReason.RETENTION, is_suppressed=False))


def _erase(
    contacts: Sequence[Contact], *, user: User | None, reason: ErasureReason, is_suppressed: bool
) -> list[Erasure]:
    if not contacts:
        return []
    ids = [contact.pk for contact in contacts]
    values = {value for contact in contacts for value in _list_values(contact)}
    cases = Case.objects.filter(contact__in=ids)
    calls = _list_calls({number for contact in contacts for number in _split_numbers(contact)[0]})
    forget(_OF_CONTACTS, [str(id) for id in ids])
    forget([EventKind.CASE_CREATED], [str(id) for id in cases.values_list("pk", flat=True)])
    forget([EventKind.CALL_MISSED], list(calls.values_list("call_id", flat=True)))
    cases.delete()
    calls.delete()
    erase_lines(ids, values)
    erase_from_runs([contact.name for contact in contacts], values)
    erasures = record_erasures(contacts, user=user, reason=reason, is_suppressed=is_suppressed)
    for contact in contacts:
        # Webhooks are told that it is gone, and that stays in their log for a while.
        contact.external_id = ""
    delete_contacts(contacts, user=user)
    return erasures


def _release_persons(company: Contact, *, by: Author) -> None:
    rules = get_current_configuration().groups[company.customer_group_id]
    persons = Contact.objects.filter(company=company).order_by("pk")
    while batch := list(persons.select_for_update()[:BATCH]):
        drafts = [draft_contact(person, rules) for person in batch]
        for draft in drafts:
            draft.company = None
        save_contacts(drafts, by=by)


# --- what is whose ---


def _list_calls(numbers: Collection[str]) -> QuerySet[Call]:
    return Call.objects.filter(canonical__in=numbers)


def _split_numbers(contact: Contact) -> tuple[set[str], set[str]]:
    """Return the numbers that the contact has or had, canonical: those that are its alone, and those of others, too."""
    rules = get_current_configuration().groups[contact.customer_group_id]
    phones = {r.name for r in rules.fields.get(contact.kind, ()) if r.dialable or r.indexed}
    texts = {value for name, value in _list_fields(contact) if name in phones}
    numbers = {reading.canonical for text in texts for reading in read_typed(text, rules.plan)} - {""}
    others = IndexEntry.objects.filter(canonical__in=numbers).exclude(contact=contact)
    shared = set(others.values_list("canonical", flat=True))
    return numbers - shared, shared


def _list_values(contact: Contact) -> set[str]:
    """Return every text that the contact has or had: values, external ids, names, and numbers as they are read."""
    texts = {value for _name, value in _list_fields(contact)} | {getattr(contact, key) for key in _NAMES}
    texts |= {name for of_language in contact.names.values() for name in of_language.values()} | {contact.external_id}
    texts |= {id for change in _list_changes(contact) for id in change.get("external_id", ()) if id}
    for entry in IndexEntry.objects.filter(contact=contact):
        texts |= {entry.raw, entry.canonical}
    return texts - {""}


def _list_fields(contact: Contact) -> Iterable[tuple[str, str]]:
    yield from contact.fields.items()
    for change in _list_changes(contact):
        for key, values in change.items():
            if key.startswith(_FIELD):
                yield from ((key.removeprefix(_FIELD), value) for value in values if value)


def _list_changes(contact: Contact) -> list[dict[str, Any]]:
    return list(ContactChange.objects.filter(contact=contact).values_list("changes", flat=True))
