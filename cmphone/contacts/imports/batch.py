"""Writes a batch of records: as drafts, past those that are there just so, and past those that others were faster with.

Every contact is written by contacts/services.py.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from cmphone.contacts.configuration import GroupRules, get_configuration
from cmphone.contacts.erasures import ErasedContact
from cmphone.contacts.imports.drafting import Entry, draft_record, link_companies
from cmphone.contacts.imports.journal import Journal
from cmphone.contacts.imports.matching import Content, find_alike, find_by_external_id, find_duplicates
from cmphone.contacts.imports.types import BatchResult, ImportRecord, Outcome
from cmphone.contacts.models import Contact, ContactKind
from cmphone.contacts.services import draft_contact, is_storable, save_contact, save_contacts
from cmphone.contacts.writing import Author
from cmphone.problems import Conflict, InvalidRequest
from cmphone.properties.services import hold_configuration


def save_batch(
    records: Sequence[ImportRecord],
    *,
    customer_group_id: int,
    by: Author,
    describe: Callable[[str, str], str],
    overwrite_empty: bool,
    vanishing_ids: int | None,
) -> BatchResult:
    """Make or change contacts by records that name each external id once, in the transaction that is open.

    Raises InvalidRequest when the customer group is gone.
    """
    # First, as whoever writes contacts does it, so that two of them never wait for each other.
    groups = get_configuration(str(hold_configuration())).groups
    if (rules := groups.get(customer_group_id)) is None:
        raise InvalidRequest(_("The customer group has been deleted."))
    ids = {record.external_id for record in records if record.external_id and is_storable(record.external_id)}
    known = find_by_external_id(ids, customer_group_id=customer_group_id)
    journal = Journal(rules, describe, vanishing_ids)
    drafted = (
        draft_record(record, known=known, rules=rules, journal=journal, overwrite_empty=overwrite_empty)
        for record in records
    )
    entries = [entry for entry in drafted if entry]
    writer = _Writer(rules, journal, by)
    for kind in (ContactKind.COMPANY, ContactKind.PERSON):
        if of_kind := [entry for entry in entries if entry.draft.kind == kind]:
            writer.save(list(link_companies(of_kind, rules=rules, journal=journal, by=by)))
    return journal.close(lines=len(records))


class _Writer:
    """Saves the entries of a batch, and notes what becomes of each."""

    def __init__(self, rules: GroupRules, journal: Journal, by: Author) -> None:
        self._rules = rules
        self._journal = journal
        self._by = by

    def save(self, entries: Sequence[Entry]) -> None:
        """Save entries of one kind, whose companies are there."""
        alike = _group_alike(entries)
        firsts = [first for first, *_others in alike]
        self._match_contents([entry for entry in firsts if not entry.draft.external_id])
        waiting = []
        for entry in firsts:
            contact = entry.draft.contact
            if contact and entry.draft == draft_contact(contact, self._rules):
                entry.contact_id = contact.pk
            if entry.contact_id is None:
                waiting.append(entry)
            else:
                self._note(entry, Outcome.UNCHANGED, entry.contact_id)
        new = self._write(waiting)
        for first, *others in alike:
            for entry in others:
                if first.contact_id is not None:
                    self._note(entry, Outcome.UNCHANGED, first.contact_id)
                else:
                    new += self._write([entry])
        self._report_duplicates(new)

    def _match_contents(self, entries: Sequence[Entry]) -> None:
        """Find the contacts of entries without external id by all that they hold."""
        if not entries:
            return
        drafts = [entry.draft for entry in entries]
        contents = [Content(draft.company.pk if draft.company else None, draft.fields) for draft in drafts]
        found = find_alike(contents, customer_group_id=self._rules.id, kind=drafts[0].kind)
        changed: dict[int, Entry] = {}
        for n, contact_id, is_active in found:
            entry = entries[n]
            if entry.record.is_active in {None, is_active}:
                entry.contact_id = contact_id
            else:
                changed[contact_id] = entry
        if changed:
            contacts = Contact.objects.filter(pk__in=changed).select_related("company").order_by("id")
            for contact in contacts.select_for_update(of=("self",)):
                entry = changed[contact.pk]
                is_active = entry.draft.is_active
                entry.draft = draft_contact(contact, self._rules)
                entry.draft.is_active = is_active

    def _write(self, entries: Sequence[Entry]) -> list[tuple[Entry, Contact]]:
        """Write the entries, and return those that made a contact, with it."""
        if not entries:
            return []
        try:
            contacts: Sequence[Contact | None] = save_contacts([entry.draft for entry in entries], by=self._by)
        except ErasedContact as error:
            return self._write(list(self._refuse_erased(entries, error)))
        except (ValidationError, Conflict):
            # Somebody else was faster with one of them: the others go in without it.
            contacts = [self._save_alone(entry) for entry in entries]
        written = [(entry, contact) for entry, contact in zip(entries, contacts, strict=True) if contact]
        for entry, contact in written:
            entry.contact_id = contact.pk
            self._note(entry, Outcome.CHANGED if entry.draft.contact else Outcome.CREATED, contact.pk)
        return [(entry, contact) for entry, contact in written if not entry.draft.contact]

    def _refuse_erased(self, entries: Sequence[Entry], error: ErasedContact) -> Iterator[Entry]:
        """Refuse the entries of erased contacts, and yield the others."""
        for entry in entries:
            if own := error.find(self._rules.id, entry.draft.external_id):
                # Without the external id: the report shall not name again who was erased.
                column = self._journal.describe("external_id", entry.draft.kind)
                self._journal.refuse(entry.record, column, own.detail)
            else:
                yield entry

    def _save_alone(self, entry: Entry) -> Contact | None:
        try:
            return save_contact(entry.draft, by=self._by)
        except ValidationError as error:
            self._journal.refuse(entry.record, "", " ".join(error.messages))
        except Conflict as error:
            column = self._journal.describe("external_id", entry.draft.kind)
            self._journal.refuse(entry.record, column, error.detail, entry.draft.external_id)
        return None

    def _report_duplicates(self, new: Sequence[tuple[Entry, Contact]]) -> None:
        """Report new contacts whose name and one of whose numbers another contact of the group has."""
        if not new:
            return
        entries = {contact.pk: entry for entry, contact in new}
        found = find_duplicates([contact for _entry, contact in new], customer_group_id=self._rules.id)
        for new_id, other_id in found:
            self._journal.note_duplicate(entries[new_id].record, other_id)

    def _note(self, entry: Entry, outcome: Outcome, contact_id: int) -> None:
        self._journal.note_written(entry.record, outcome, contact_id, kind=entry.draft.kind, given=entry.given)


def _group_alike(entries: Iterable[Entry]) -> list[list[Entry]]:
    """Put entries without external id that hold the same beside each other, in their order; every other is alone."""
    groups: dict[object, list[Entry]] = {}
    for entry in entries:
        draft = entry.draft
        content = draft.external_id or (
            draft.company and draft.company.pk,
            draft.is_active,
            *sorted(draft.fields.items()),
        )
        groups.setdefault(content, []).append(entry)
    return list(groups.values())
