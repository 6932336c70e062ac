"""Notes what becomes of the records of a batch, and what people shall be told of them.  Writes nothing."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from django.utils.translation import gettext as _

from cmphone.contacts.configuration import GroupRules
from cmphone.contacts.imports.types import BatchResult, Finding, ImportRecord, Outcome, RecordOutcome, Totals
from cmphone.contacts.services import ContactDraft
from numbering.reading import read_typed


class Journal:
    """What became of the records of one batch.  `describe` and `vanishing_ids`: as Source and BatchResult have them."""

    def __init__(self, rules: GroupRules, describe: Callable[[str, str], str], vanishing_ids: int | None) -> None:
        self.describe = describe
        self._rules = rules
        self._vanishing_ids = vanishing_ids
        self._counts: Counter[str] = Counter()
        self._outcomes: list[RecordOutcome] = []
        self._findings: list[Finding] = []
        self._left_out: Counter[tuple[str, str]] = Counter()

    def close(self, *, lines: int) -> BatchResult:
        """Return what was noted of so many records, in their order."""
        return BatchResult(
            Totals(lines=lines, **self._counts),
            sorted(self._outcomes, key=lambda outcome: outcome.number),
            sorted(self._findings, key=lambda finding: finding.line),
            self._left_out,
            self._vanishing_ids,
        )

    def note_left_out(self, columns: Iterable[str], kind: str) -> None:
        """Note columns whose values no field of a contact of this kind takes."""
        for column in columns:
            self._left_out[column, kind] += 1

    def note_companies_made(self, count: int) -> None:
        """Note that so many companies were made for their persons."""
        self._counts["companies_made"] += count

    def note_written(
        self, record: ImportRecord, outcome: Outcome, contact_id: int, *, kind: str, given: Mapping[str, str]
    ) -> None:
        """Note what became of a record that went in, and what is wrong with the numbers that it gave."""
        self._counts[outcome.value] += 1
        self._outcomes.append(RecordOutcome(record.number, outcome, contact_id))
        for rule in self._rules.fields[kind]:
            if not (rule.dialable or rule.indexed) or rule.name not in given:
                continue
            for reading in read_typed(given[rule.name], self._rules.plan):
                if reading.kind == "unreadable":
                    self._counts["unreadable_numbers"] += 1
                    message = _("This cannot be read as a number; it is kept as typed.")
                elif not reading.possible and reading.kind == "public":
                    self._counts["impossible_numbers"] += 1
                    message = _("Its country has no such number; it is kept as typed.")
                else:
                    continue
                self.warn(record, self.describe(f"fields/{rule.name}", kind), message, reading.raw)

    def note_duplicate(self, record: ImportRecord, other_id: int) -> None:
        """Note that a new contact may be one that is there already, or that a record before it has made."""
        self._counts["duplicates"] += 1
        if self._vanishing_ids is None or other_id < self._vanishing_ids:
            message = _("Contact %d has the same name and the same number: perhaps it is the same one.") % other_id
        else:
            message = _("The contact of a line above has the same name and the same number.")
        self.warn(record, "", message)

    def warn(self, record: ImportRecord, column: str, message: str, value: str = "") -> None:
        """Note what people should look at; the record goes in."""
        self._findings.append(Finding(record.number, column, message, value))

    def refuse(self, record: ImportRecord, column: str, message: str, value: str = "") -> None:
        """Note why a record does not go in."""
        self._findings.append(Finding(record.number, column, message, value, is_error=True))
        self._note_refused(record)

    def refuse_draft(self, record: ImportRecord, errors: Mapping[str, Sequence[str]], draft: ContactDraft) -> None:
        """Note what the services say is wrong with a record's draft."""
        for key, messages in errors.items():
            value = draft.fields.get(key.removeprefix("fields/"), "")
            column = self.describe(key, draft.kind)
            self._findings.append(Finding(record.number, column, " ".join(messages), value, is_error=True))
        self._note_refused(record)

    def _note_refused(self, record: ImportRecord) -> None:
        self._counts["refused"] += 1
        self._outcomes.append(RecordOutcome(record.number, Outcome.REFUSED))
