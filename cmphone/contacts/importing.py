"""Brings records of other systems in as contacts: what is good goes in, what is not is reported.

Where records come from is not known here: csv_import.py makes them of the lines of a file, and other sources of what
they have.  Every contact is written by services.py.

Which contact a record is: the one with its external id; of a record without any, the one without external id that has
exactly its kind, company and fields.  So what is imported again makes no contact again.  Whom only name and number
are alike is another contact, and reported.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import TextChoices
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cmphone.contacts.configuration import GroupRules, get_configuration, get_current_configuration
from cmphone.contacts.erasures import ErasedContact
from cmphone.contacts.import_matching import (
    Content,
    find_alike,
    find_by_external_id,
    find_companies,
    find_duplicates,
)
from cmphone.contacts.models import Contact, ContactKind
from cmphone.contacts.services import (
    ContactDraft,
    draft_contact,
    find_draft_errors,
    is_storable,
    save_contact,
    save_contacts,
)
from cmphone.contacts.writing import Author
from cmphone.problems import Conflict, InvalidRequest
from cmphone.properties.services import hold_configuration
from numbering.reading import Plan, read_typed

BATCH = 500


class Outcome(TextChoices):
    """What became of a record."""

    CREATED = "created", gettext_lazy("created")
    CHANGED = "changed", gettext_lazy("changed")
    UNCHANGED = "unchanged", gettext_lazy("unchanged")
    REFUSED = "refused", gettext_lazy("refused")


@dataclass(frozen=True, slots=True)
class ImportRecord:
    """What a source says of one contact.

    `number`: of the line, card or entry in its source, from 1.  `fields`: by internal name of the contact field; an
    empty value does not overwrite, unless the import says so.  `kind`: "person" or "company"; empty: as the contact
    is, else person where the model has persons, else company.  `company`: external id or name of the person's
    company, of the same group.  `is_active`: None leaves it as it is; a new contact is active.

    `error` says why the record has none of that (`error_column`, `error_value`: where): it is reported and refused.
    `warnings`, as (column, message), are reported with it.
    """

    number: int
    fields: Mapping[str, str]
    kind: str = ""
    external_id: str = ""
    company: str = ""
    is_active: bool | None = None
    error: str = ""
    warnings: Sequence[tuple[str, str]] = ()
    error_column: str = ""
    error_value: str = ""
    # That an empty `company` means none, where empty values overwrite.
    says_company: bool = False
    # In place of `fields` for a contact of another kind than the one that they are of.
    fields_by_kind: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    # By kind, the columns whose values have no field.
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about a line, or about a column as a whole (`line` 0).  `is_error`: the line did not go in."""

    line: int
    column: str
    message: str
    value: str = ""
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Totals:
    """How many records there were and what became of them; then companies made for their persons, numbers, and
    contacts that may be there twice.
    """

    lines: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    companies_made: int = 0
    unreadable_numbers: int = 0
    impossible_numbers: int = 0
    duplicates: int = 0

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(*map(sum, zip(astuple(self), astuple(other), strict=True)))


class RecordOutcome(NamedTuple):
    """What became of one record.  One that was refused has no contact."""

    number: int
    outcome: Outcome
    contact_id: int | None = None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of some records.  `left_out`: how many values had no field, by (column, kind).

    `vanishing_ids`: of a dry run, the first id of those that go when it is taken back.
    """

    totals: Totals
    outcomes: Sequence[RecordOutcome]
    findings: Sequence[Finding]
    left_out: Mapping[tuple[str, str], int]
    vanishing_ids: int | None = None

    def stays(self, contact_id: int) -> bool:
        """Say whether a contact is still there when the import has ended."""
        return self.vanishing_ids is None or contact_id < self.vanishing_ids


@dataclass(frozen=True, slots=True)
class Source:
    """Records, always in the same order, and how their source names what an error is about (`fields/phone`, and the
    kind of contact).  `header`: its columns, in their order; empty where it has none.
    """

    records: Iterable[ImportRecord]
    describe: Callable[[str, str], str]
    header: Sequence[str] = ()


def describe_plainly(key: str, kind: str) -> str:
    """Return the internal name of what an error is about (`kind`, `fields/phone` …)."""
    return key.removeprefix("fields/")


def import_records(
    records: Iterable[ImportRecord],
    *,
    customer_group_id: int,
    by: Author,
    overwrite_empty: bool = False,
    describe: Callable[[str, str], str] = describe_plainly,
    dry_run: bool = False,
    on_batch: Callable[[BatchResult], None] = lambda result: None,
) -> Totals:
    """Make or change the contacts of a customer group by records, BATCH of them a transaction.  Safe to repeat.

    `describe` names the source's column for an error of the services (`fields/phone`, and the kind of contact).
    `on_batch` is called inside the batch's transaction; what it raises takes the batch back and ends the import.
    `dry_run` does the same and takes it back, in one transaction that lets nobody change the configuration.
    Raises InvalidRequest when the customer group is gone.
    """

    def run(vanishing_ids: int | None = None) -> Totals:
        totals = Totals()
        for batch in _cut(records):
            # Outside the transaction it is kept; inside, it is only compared.
            get_current_configuration()
            with transaction.atomic():
                result = _Batch(customer_group_id, by, describe, overwrite_empty, vanishing_ids).save(batch)
                on_batch(result)
            totals += result.totals
        return totals

    if not dry_run:
        return run()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("select nextval(pg_get_serial_sequence('contacts_contact', 'id'))")
            (next_id,) = cursor.fetchone()
        totals = run(next_id)
        transaction.set_rollback(True)
    return totals


def _cut(records: Iterable[ImportRecord]) -> Iterator[list[ImportRecord]]:
    """Yield batches that name each external id once, so that its second record finds what the first made."""
    batch: list[ImportRecord] = []
    seen: set[str] = set()
    for record in records:
        if len(batch) == BATCH or record.external_id in seen:
            yield batch
            batch, seen = [], set()
        batch.append(record)
        if record.external_id:
            seen.add(record.external_id)
    if batch:
        yield batch


@dataclass(slots=True)
class _Entry:
    """A record on its way in.  `contact_id` is that of a contact that the record leaves as it is."""

    record: ImportRecord
    draft: ContactDraft
    given: Mapping[str, str]
    contact_id: int | None = None


class _Batch:
    """Some records, written in the transaction that is open."""

    def __init__(
        self,
        group_id: int,
        by: Author,
        describe: Callable[[str, str], str],
        overwrite_empty: bool,
        vanishing_ids: int | None,
    ) -> None:
        self._group_id = group_id
        self._by = by
        self._describe = describe
        self._overwrite_empty = overwrite_empty
        self._vanishing_ids = vanishing_ids
        self._counts: Counter[str] = Counter()
        self._outcomes: list[RecordOutcome] = []
        self._findings: list[Finding] = []
        self._left_out: Counter[tuple[str, str]] = Counter()

    def save(self, records: Sequence[ImportRecord]) -> BatchResult:
        # First, as whoever writes contacts does it, so that two of them never wait for each other.
        groups = get_configuration(str(hold_configuration())).groups
        if (rules := groups.get(self._group_id)) is None:
            raise InvalidRequest(_("The customer group has been deleted."))
        self._fields = rules.fields
        self._counts["lines"] = len(records)
        known = self._find_known(records)
        entries = [entry for record in records if (entry := self._read(record, rules, known))]
        for kind in (ContactKind.COMPANY, ContactKind.PERSON):
            if of_kind := [entry for entry in entries if entry.draft.kind == kind]:
                self._save_entries(list(self._link_companies(of_kind, rules)), rules)
        return BatchResult(
            Totals(**self._counts),
            sorted(self._outcomes, key=lambda outcome: outcome.number),
            sorted(self._findings, key=lambda finding: finding.line),
            self._left_out,
            self._vanishing_ids,
        )

    def _find_known(self, records: Sequence[ImportRecord]) -> Mapping[str, Contact]:
        ids = {record.external_id for record in records if record.external_id and is_storable(record.external_id)}
        return find_by_external_id(ids, customer_group_id=self._group_id)

    def _read(self, record: ImportRecord, rules: GroupRules, known: Mapping[str, Contact]) -> _Entry | None:
        """Return what a record wants to be, or None after reporting why that cannot be."""
        self._findings += [Finding(record.number, column, message) for column, message in record.warnings]
        if record.error:
            self._refuse(record, record.error_column, record.error, record.error_value)
            return None
        contact = known.get(record.external_id)
        usual = contact.kind if contact else ContactKind.PERSON if rules.has_persons else ContactKind.COMPANY
        kind = record.kind or usual
        if contact and contact.kind != kind:
            message = _("The kind and the customer group of a contact stay as they are.")
            self._refuse(record, self._describe("kind", kind), message, record.kind)
            return None
        fields = record.fields_by_kind.get(kind, record.fields)
        # As they are: only of our own columns the space around a value is nothing.
        given = {name: value for name, value in fields.items() if self._overwrite_empty or value.strip()}
        if contact:
            draft = draft_contact(contact, rules)
            values = {**draft.fields, **given}
            draft.fields = {name: value for name, value in values.items() if value.strip()}
            if self._overwrite_empty and record.says_company and not record.company:
                draft.company = None
        else:
            values = {name: value for name, value in given.items() if value.strip()}
            draft = ContactDraft(self._group_id, kind, values, external_id=record.external_id)
        if record.is_active is not None:
            draft.is_active = record.is_active
        if errors := find_draft_errors(draft, rules):
            self._report_errors(record, errors, draft)
            return None
        for column in record.left_out.get(kind, ()):
            self._left_out[column, kind] += 1
        return _Entry(record, draft, given)

    # --- the companies of persons ---

    def _link_companies(self, entries: Sequence[_Entry], rules: GroupRules) -> Iterator[_Entry]:
        """Yield the entries with their companies, which are made where there are none."""
        persons = [entry for entry in entries if entry.draft.kind == ContactKind.PERSON and entry.record.company]
        wanted = list(dict.fromkeys(entry.record.company for entry in persons))
        name_field = _company_name_field(rules)
        names = [name for name in wanted if is_storable(name)]
        companies = find_companies(names, customer_group_id=self._group_id, name_field=name_field)
        missing = {
            name: ContactDraft(self._group_id, ContactKind.COMPANY, fields={name_field: name})
            for name in wanted
            if name not in companies
        }
        errors = {name: messages for name, draft in missing.items() if (messages := find_draft_errors(draft, rules))}
        drafts = {name: draft for name, draft in missing.items() if name not in errors}
        for name, made in zip(drafts, save_contacts(list(drafts.values()), by=self._by) if drafts else (), strict=True):
            companies[name] = [made]
        self._counts["companies_made"] += len(drafts)
        for entry in entries:
            name = entry.record.company if entry.draft.kind == ContactKind.PERSON else ""
            column = self._describe("company", ContactKind.PERSON) if name else ""
            if name in errors:
                message = " ".join(each for several in errors[name].values() for each in several)
                self._refuse(entry.record, column, message, name)
                continue
            if name:
                found = companies[name]
                entry.draft.company = found[0]
                if len(found) > 1:
                    message = _("%d companies have this name. The oldest is taken; an external id would tell which.")
                    self._warn(entry.record, column, message % len(found), name)
            yield entry

    # --- writing ---

    def _save_entries(self, entries: Sequence[_Entry], rules: GroupRules) -> None:
        alike = _group_alike(entries)
        firsts = [first for first, *_others in alike]
        self._match_contents([entry for entry in firsts if not entry.draft.external_id], rules)
        waiting = []
        for entry in firsts:
            contact = entry.draft.contact
            if contact and entry.draft == draft_contact(contact, rules):
                entry.contact_id = contact.pk
            if entry.contact_id is None:
                waiting.append(entry)
            else:
                self._note(entry, Outcome.UNCHANGED, rules.plan)
        new = self._write(waiting, rules.plan)
        for first, *others in alike:
            for entry in others:
                entry.contact_id = first.contact_id
                if entry.contact_id is not None:
                    self._note(entry, Outcome.UNCHANGED, rules.plan)
                else:
                    new += self._write([entry], rules.plan)
        self._report_duplicates(new)

    def _match_contents(self, entries: Sequence[_Entry], rules: GroupRules) -> None:
        """Find the contacts of entries without external id by all that they hold.  They are of one kind."""
        if not entries:
            return
        drafts = [entry.draft for entry in entries]
        contents = [Content(draft.company.pk if draft.company else None, draft.fields) for draft in drafts]
        found = find_alike(contents, customer_group_id=self._group_id, kind=drafts[0].kind)
        changed: dict[int, _Entry] = {}
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
                entry.draft = draft_contact(contact, rules)
                entry.draft.is_active = is_active

    def _write(self, entries: Sequence[_Entry], plan: Plan) -> list[tuple[_Entry, Contact]]:
        """Write the entries, and return those that made a contact, with it."""
        if not entries:
            return []
        try:
            contacts: Sequence[Contact | None] = save_contacts([entry.draft for entry in entries], by=self._by)
        except ErasedContact as error:
            return self._write(list(self._refuse_erased(entries, error)), plan)
        except (ValidationError, Conflict):
            # Somebody else was faster with one of them: the others go in without it.
            contacts = [self._save_alone(entry) for entry in entries]
        written = [(entry, contact) for entry, contact in zip(entries, contacts, strict=True) if contact]
        for entry, contact in written:
            entry.contact_id = contact.pk
            self._note(entry, Outcome.CHANGED if entry.draft.contact else Outcome.CREATED, plan)
        return [(entry, contact) for entry, contact in written if not entry.draft.contact]

    def _refuse_erased(self, entries: Sequence[_Entry], error: ErasedContact) -> Iterator[_Entry]:
        """Refuse the entries of erased contacts, and yield the others."""
        for entry in entries:
            if own := error.find(self._group_id, entry.draft.external_id):
                # Without the external id: the report shall not name again who was erased.
                self._refuse(entry.record, self._describe("external_id", entry.draft.kind), own.detail)
            else:
                yield entry

    def _save_alone(self, entry: _Entry) -> Contact | None:
        try:
            return save_contact(entry.draft, by=self._by)
        except ValidationError as error:
            self._refuse(entry.record, "", " ".join(error.messages))
        except Conflict as error:
            column = self._describe("external_id", entry.draft.kind)
            self._refuse(entry.record, column, error.detail, entry.draft.external_id)
        return None

    def _report_duplicates(self, new: Sequence[tuple[_Entry, Contact]]) -> None:
        """Report new contacts whose name and one of whose numbers another contact of the group has."""
        if not new:
            return
        entries = {contact.pk: entry for entry, contact in new}
        found = find_duplicates([contact for _entry, contact in new], customer_group_id=self._group_id)
        for new_id, other_id in found:
            self._counts["duplicates"] += 1
            if self._vanishing_ids is None or other_id < self._vanishing_ids:
                message = _("Contact %d has the same name and the same number: perhaps it is the same one.")
                message %= other_id
            else:
                message = _("The contact of a line above has the same name and the same number.")
            self._warn(entries[new_id].record, "", message, "")

    def _note(self, entry: _Entry, outcome: Outcome, plan: Plan) -> None:
        """Note what became of an entry, and what is wrong with its numbers."""
        self._counts[outcome.value] += 1
        self._outcomes.append(RecordOutcome(entry.record.number, outcome, entry.contact_id))
        rules = self._fields[entry.draft.kind]
        for rule in rules:
            if not (rule.dialable or rule.indexed) or rule.name not in entry.given:
                continue
            for reading in read_typed(entry.given[rule.name], plan):
                if reading.kind == "unreadable":
                    self._counts["unreadable_numbers"] += 1
                    message = _("This cannot be read as a number; it is kept as typed.")
                elif not reading.possible and reading.kind == "public":
                    self._counts["impossible_numbers"] += 1
                    message = _("Its country has no such number; it is kept as typed.")
                else:
                    continue
                column = self._describe(f"fields/{rule.name}", entry.draft.kind)
                self._warn(entry.record, column, message, reading.raw)

    # --- findings ---

    def _report_errors(self, record: ImportRecord, errors: Mapping[str, Sequence[str]], draft: ContactDraft) -> None:
        """Refuse a record for what the services say is wrong with its draft."""
        for key, messages in errors.items():
            value = draft.fields.get(key.removeprefix("fields/"), "")
            column = self._describe(key, draft.kind)
            self._findings.append(Finding(record.number, column, " ".join(messages), value, is_error=True))
        self._note_refused(record)

    def _refuse(self, record: ImportRecord, column: str, message: str, value: str = "") -> None:
        self._findings.append(Finding(record.number, column, message, value, is_error=True))
        self._note_refused(record)

    def _note_refused(self, record: ImportRecord) -> None:
        self._counts["refused"] += 1
        self._outcomes.append(RecordOutcome(record.number, Outcome.REFUSED))

    def _warn(self, record: ImportRecord, column: str, message: str, value: str) -> None:
        self._findings.append(Finding(record.number, column, message, value))


def _group_alike(entries: Iterable[_Entry]) -> list[list[_Entry]]:
    """Put entries without external id that hold the same beside each other, in their order; every other is alone."""
    groups: dict[object, list[_Entry]] = {}
    for entry in entries:
        draft = entry.draft
        content = draft.external_id or (
            draft.company and draft.company.pk,
            draft.is_active,
            *sorted(draft.fields.items()),
        )
        groups.setdefault(content, []).append(entry)
    return list(groups.values())


def _company_name_field(rules: GroupRules) -> str:
    return rules.company_name_field
