"""Imports contacts from a CSV file, line by line: what is good goes in, what is not is reported.

What a column means is for csv_columns.py to say, and how a file is read for csv_reading.py; every contact is
written by services.py.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cmphone.contacts.configuration import GroupRules, get_configuration, get_current_configuration
from cmphone.contacts.csv_columns import Columns, match_columns
from cmphone.contacts.csv_reading import CsvFile, CsvLine, read_lines
from cmphone.contacts.models import (
    COMPANY_NAME_INDEXED,
    Contact,
    ContactKind,
    CustomerGroup,
    company_name_start,
)
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

_kinds = {
    **dict.fromkeys(["person", "persons", "kontakt", "p"], ContactKind.PERSON),
    **dict.fromkeys(
        ["company", "companies", "firma", "unternehmen", "organisation", "organization", "c"], ContactKind.COMPANY
    ),
}
_truths = {
    **dict.fromkeys(["1", "true", "yes", "y", "ja", "j", "wahr", "active", "aktiv"], True),
    **dict.fromkeys(["0", "false", "no", "n", "nein", "falsch", "inactive", "inaktiv"], False),
}


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
    """How many lines there were and what became of them; then companies made for their persons, and numbers."""

    lines: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    companies_made: int = 0
    unreadable_numbers: int = 0
    impossible_numbers: int = 0


@dataclass(slots=True)
class _Entry:
    """A line on its way in.  `company` is the cell that names the person's company."""

    line: int
    draft: ContactDraft
    company: str
    numbers: Sequence[tuple[str, str]]


def import_contacts(
    file: CsvFile,
    *,
    customer_group: CustomerGroup,
    by: Author,
    column_map: Sequence[str] = (),
    dry_run: bool = False,
    report: Callable[[Finding], None],
    progress: Callable[[Totals], None] = lambda totals: None,
) -> Totals:
    """Make or change the contacts of a customer group by the lines of a file, BATCH lines a transaction.

    Safe to repeat where lines have an external id.  `dry_run` does the same and takes it back, in one transaction
    that lets nobody change the configuration.  `report` is told of every finding, those about columns last.
    Raises InvalidRequest, before anything is done, when it is not clear what the columns mean.
    """
    rules = get_current_configuration().groups[customer_group.id]
    columns = match_columns(file.header, rules=rules, column_map=column_map)
    run = _Run(customer_group.id, columns, by, report)
    if dry_run:
        with transaction.atomic():
            run.read(file, progress)
            transaction.set_rollback(True)
    else:
        run.read(file, progress)
    run.report_columns()
    return run.totals


class _Run:
    """One import: where the columns go, and what has been counted so far."""

    def __init__(self, group_id: int, columns: Columns, by: Author, report: Callable[[Finding], None]) -> None:
        self._group_id = group_id
        self._columns = columns
        self._by = by
        self._report = report
        self._counts: Counter[str] = Counter()
        self._left_out: Counter[tuple[int, str]] = Counter()

    @property
    def totals(self) -> Totals:
        return Totals(**self._counts)

    def read(self, file: CsvFile, progress: Callable[[Totals], None]) -> None:
        """Write every line of the file."""
        for lines in self._batches(file):
            # Outside the transaction it is kept; inside, it is only compared.
            get_current_configuration()
            with transaction.atomic():
                batch = _Batch(self._group_id, self._columns, self._by)
                batch.save(lines)
            self._counts += batch.counts
            self._left_out += batch.left_out
            for finding in sorted(batch.findings, key=lambda finding: finding.line):
                self._report(finding)
            progress(self.totals)

    def _batches(self, file: CsvFile) -> Iterator[list[CsvLine]]:
        """Yield lines in batches that name each external id once, so that its second line finds what the first made.

        Where the file has both kinds, its companies come first: a person may stand above its company.
        """
        index = self._columns.kind
        if self._columns.company is None or index is None:
            yield from self._cut(read_lines(file))
        else:
            yield from self._cut(line for line in read_lines(file) if self._is_company(line, index))
            yield from self._cut(line for line in read_lines(file) if not self._is_company(line, index))

    @staticmethod
    def _is_company(line: CsvLine, index: int) -> bool:
        return not line.error and _kinds.get(line.cells[index].strip().casefold()) == ContactKind.COMPANY

    def _cut(self, lines: Iterable[CsvLine]) -> Iterator[list[CsvLine]]:
        batch: list[CsvLine] = []
        seen: set[str] = set()
        for line in lines:
            external_id = _cell(line, self._columns.external_id)
            if len(batch) == BATCH or external_id in seen:
                yield batch
                batch, seen = [], set()
            batch.append(line)
            if external_id:
                seen.add(external_id)
        if batch:
            yield batch

    def report_columns(self) -> None:
        """Report which columns held values that went nowhere."""
        for (index, kind), count in sorted(self._left_out.items()):
            column = self._columns.header[index]
            message = ngettext(
                "%(count)d value is not imported, as there is no such field (%(kind)s). "
                "To import it: --map %(column)s=FIELD. To leave it out on purpose: --map %(column)s=",
                "%(count)d values are not imported, as there is no such field (%(kind)s). "
                "To import them: --map %(column)s=FIELD. To leave them out on purpose: --map %(column)s=",
                count,
            )
            kind_label = ContactKind(kind).label
            self._report(Finding(0, column, message % {"count": count, "column": column, "kind": kind_label}))


class _Batch:
    """Some lines, written in the transaction that is open."""

    def __init__(self, group_id: int, columns: Columns, by: Author) -> None:
        self._group_id = group_id
        self._columns = columns
        self._by = by
        self.counts: Counter[str] = Counter()
        self.left_out: Counter[tuple[int, str]] = Counter()
        self.findings: list[Finding] = []

    def save(self, lines: Sequence[CsvLine]) -> None:
        # First, as whoever writes contacts does it, so that two of them never wait for each other.
        groups = get_configuration(str(hold_configuration())).groups
        if (rules := groups.get(self._group_id)) is None:
            raise InvalidRequest(_("The customer group has been deleted."))
        self.counts["lines"] = len(lines)
        known = self._find_known(lines)
        entries = [entry for line in lines if (entry := self._read(line, rules, known))]
        for kind in (ContactKind.COMPANY, ContactKind.PERSON):
            of_kind = [entry for entry in entries if entry.draft.kind == kind]
            self._save_entries(self._link_companies(of_kind, rules), rules)

    def _find_known(self, lines: Sequence[CsvLine]) -> Mapping[str, Contact]:
        ids = {external_id for line in lines if (external_id := _cell(line, self._columns.external_id))}
        ids = {external_id for external_id in ids if is_storable(external_id)}
        if not ids:
            return {}
        known = Contact.objects.filter(customer_group_id=self._group_id, external_id__in=ids).order_by("id")
        # Locked: cells that are empty keep what is there, and nobody may change that meanwhile.
        return {each.external_id: each for each in known.select_related("company").select_for_update(of=("self",))}

    def _read(self, line: CsvLine, rules: GroupRules, known: Mapping[str, Contact]) -> _Entry | None:
        """Return what a line wants to be, or None after reporting why that cannot be."""
        columns = self._columns
        if line.error:
            self._refuse(line.number, "", line.error)
            return None
        external_id = _cell(line, columns.external_id)
        contact = known.get(external_id)
        kind: str | None = contact.kind if contact else ContactKind.PERSON if rules.has_persons else ContactKind.COMPANY
        if text := _cell(line, columns.kind):
            kind = _kinds.get(text.casefold())
        if kind is None:
            self._refuse(line.number, "kind", _("Write person or company."), text)
            return None
        is_active: bool | None = contact.is_active if contact else True
        if text := _cell(line, columns.active):
            is_active = _truths.get(text.casefold())
        if is_active is None:
            self._refuse(line.number, "active", _("Write 1 or 0, yes or no."), text)
            return None
        if contact and contact.kind != kind:
            self._refuse(line.number, "kind", _("The kind and the customer group of a contact stay as they are."), text)
            return None
        fields = columns.fields.get(kind, {})
        # As they are: only of our own columns the space around a value is nothing.
        given = {name: value for index, name in fields.items() if (value := line.cells[index]).strip()}
        draft = ContactDraft(self._group_id, kind, external_id=external_id)
        if contact:
            draft = draft_contact(contact, rules)
        draft.fields = {**draft.fields, **given}
        draft.is_active = is_active
        if errors := find_draft_errors(draft, rules):
            for key, messages in errors.items():
                column = columns.find(key, kind)
                value = given.get(key.removeprefix("fields/"), "")
                self.findings.append(Finding(line.number, column, " ".join(messages), value, is_error=True))
            self.counts["refused"] += 1
            return None
        for index in columns.list_unused(kind):
            if line.cells[index].strip():
                self.left_out[index, kind] += 1
        dialled = {rule.name for rule in rules.fields[kind] if rule.dialable or rule.indexed}
        numbers = [(columns.header[i], given[name]) for i, name in fields.items() if name in dialled and name in given]
        company = _cell(line, columns.company) if kind == ContactKind.PERSON else ""
        return _Entry(line.number, draft, company, numbers)

    # --- the companies of persons ---

    def _link_companies(self, entries: Sequence[_Entry], rules: GroupRules) -> Iterator[_Entry]:
        """Yield the entries with their companies, which are made where there are none."""
        wanted = list(dict.fromkeys(entry.company for entry in entries if entry.company))
        companies = self._find_companies(wanted, rules)
        name_field = _company_name_field(rules)
        missing = {
            name: ContactDraft(self._group_id, ContactKind.COMPANY, fields={name_field: name})
            for name in wanted
            if name not in companies
        }
        errors = {name: messages for name, draft in missing.items() if (messages := find_draft_errors(draft, rules))}
        drafts = {name: draft for name, draft in missing.items() if name not in errors}
        for name, made in zip(drafts, save_contacts(list(drafts.values()), by=self._by) if drafts else (), strict=True):
            companies[name] = [made]
        self.counts["companies_made"] += len(drafts)
        for entry in entries:
            if entry.company in errors:
                message = " ".join(each for several in errors[entry.company].values() for each in several)
                self._refuse(entry.line, "company", message, entry.company)
                continue
            if entry.company:
                found = companies[entry.company]
                entry.draft.company = found[0]
                if len(found) > 1:
                    message = _("%d companies have this name. The oldest is taken; an external id would tell which.")
                    self._warn(entry.line, "company", message % len(found), entry.company)
            yield entry

    def _find_companies(self, names: Sequence[str], rules: GroupRules) -> dict[str, list[Contact]]:
        """Return whom each cell may mean, oldest first: the company with this external id, else those so named."""
        names = [name for name in names if is_storable(name)]
        if not names:
            return {}
        of_group = Contact.objects.filter(customer_group_id=self._group_id, kind=ContactKind.COMPANY)
        name_field = _company_name_field(rules)
        starts = [name[:COMPANY_NAME_INDEXED] for name in names]
        found: dict[str, list[Contact]] = {}
        for company in of_group.alias(start=company_name_start(name_field)).filter(start__in=starts).order_by("id"):
            found.setdefault(company.fields[name_field].strip(), []).append(company)
        by_external_id = of_group.filter(external_id__in=names)
        found |= {company.external_id: [company] for company in by_external_id}
        return {name: found[name] for name in names if name in found}

    # --- writing ---

    def _save_entries(self, entries: Iterable[_Entry], rules: GroupRules) -> None:
        waiting, done = [], []
        for entry in entries:
            contact = entry.draft.contact
            if contact and entry.draft == draft_contact(contact, rules):
                self.counts["unchanged"] += 1
                done.append(entry)
            else:
                waiting.append(entry)
        try:
            written = waiting
            if waiting:
                save_contacts([entry.draft for entry in waiting], by=self._by)
        except (ValidationError, Conflict):
            # Somebody else was faster with one of them: the others go in without it.
            written = [entry for entry in waiting if self._save_alone(entry)]
        for entry in written:
            self.counts["changed" if entry.draft.contact else "created"] += 1
        for entry in (*done, *written):
            self._check_numbers(entry, rules.plan)

    def _save_alone(self, entry: _Entry) -> bool:
        try:
            save_contact(entry.draft, by=self._by)
        except ValidationError as error:
            self._refuse(entry.line, "", " ".join(error.messages))
        except Conflict as error:
            self._refuse(entry.line, "external_id", error.detail, entry.draft.external_id)
        else:
            return True
        return False

    def _check_numbers(self, entry: _Entry, plan: Plan) -> None:
        for column, value in entry.numbers:
            for reading in read_typed(value, plan):
                if reading.kind == "unreadable":
                    self.counts["unreadable_numbers"] += 1
                    message = _("This cannot be read as a number; it is kept as typed.")
                elif not reading.possible and reading.kind == "public":
                    self.counts["impossible_numbers"] += 1
                    message = _("Its country has no such number; it is kept as typed.")
                else:
                    continue
                self.findings.append(Finding(entry.line, column, message, reading.raw))

    # --- findings ---

    def _refuse(self, line: int, column: str, message: str, value: str = "") -> None:
        self.counts["refused"] += 1
        self.findings.append(Finding(line, self._columns.find(column, ""), message, value, is_error=True))

    def _warn(self, line: int, column: str, message: str, value: str) -> None:
        self.findings.append(Finding(line, self._columns.find(column, ""), message, value))


def _cell(line: CsvLine, index: int | None) -> str:
    return "" if index is None or line.error else line.cells[index].strip()


def _company_name_field(rules: GroupRules) -> str:
    names = [rule.name for rule in rules.fields.get(ContactKind.COMPANY, ())]
    return "name" if "name" in names else next(iter(names), "")
