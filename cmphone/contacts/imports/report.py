"""Reads what became of the records of an import: for its page, and as the lines of a file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override as override_language

from cmphone.contacts.imports.models import ImportReport, ImportRun, ImportSource
from cmphone.contacts.imports.types import Finding, Outcome, Totals
from cmphone.contacts.models import ContactKind

# What Totals counts, as people read it.
TOTALS: dict[str, str | Promise] = {
    "lines": _("records"),
    "created": _("created"),
    "changed": _("changed"),
    "unchanged": _("unchanged"),
    "refused": _("refused"),
    "companies_made": _("companies made for their persons"),
    "duplicates": _("possible duplicates"),
    "unreadable_numbers": _("numbers that cannot be read"),
    "impossible_numbers": _("impossible numbers"),
}
# What the number of a record counts.
PLACES: dict[str, str | Promise] = {
    ImportSource.CSV: _("line of the file"),
    ImportSource.VCARD: _("card of the file"),
    ImportSource.DIRECTORY: _("entry of the directory"),
}
_BATCHES = 10


@dataclass(frozen=True, slots=True)
class ReportedFinding:
    """A finding, with the contact that its record made or met."""

    finding: Finding
    contact_id: int | None


def read_totals(run: ImportRun) -> Totals:
    """Return what a run has counted."""
    return Totals(**run.counts)


def list_findings(run: ImportRun, *, limit: int) -> list[ReportedFinding]:
    """Return the first findings of a run, those about columns first."""
    found = [ReportedFinding(finding, None) for finding in list_left_out(run)]
    for batch in run.reports.exclude(findings=[]).order_by("id")[:limit]:
        contacts = {number: contact_id for number, _outcome, contact_id in batch.outcomes}
        found += [ReportedFinding(Finding(*each), contacts.get(each[0])) for each in batch.findings]
        if len(found) >= limit:
            break
    return found[:limit]


def list_left_out(run: ImportRun) -> list[Finding]:
    """Return which columns held values that no field of the contact takes."""
    found = []
    for column, kind, count in run.left_out:
        message = ngettext(
            "%(count)d value was left out: a contact of this kind (%(kind)s) has no field for it.",
            "%(count)d values were left out: contacts of this kind (%(kind)s) have no field for them.",
            count,
        )
        found.append(Finding(0, column, message % {"count": count, "kind": ContactKind(kind).label}))
    return found


def list_report_lines(run: ImportRun, language: str) -> Iterator[list[Sequence[object]]]:
    """Yield the report of a run as the lines of a file, in chunks, each read when the one before has been sent.

    A record has a line for each finding, and one if there is none.
    """
    with override_language(language):
        header = [str(PLACES[run.source]), gettext("outcome"), gettext("contact"), gettext("column"), gettext("level")]
        chunk: list[Sequence[object]] = [[*header, gettext("message"), gettext("value")]]
        chunk += [["", "", "", *_cells(finding)] for finding in list_left_out(run)]
    yield chunk
    last = 0
    while batches := list(run.reports.filter(pk__gt=last).order_by("pk")[:_BATCHES]):
        last = batches[-1].pk
        # Between two chunks, the thread may have worked for somebody else.
        with override_language(language):
            chunk = [line for batch in batches for line in _list_lines(batch)]
        yield chunk


def _list_lines(batch: ImportReport) -> Iterator[Sequence[object]]:
    labels = {outcome.value: str(outcome.label) for outcome in Outcome}
    findings: dict[int, list[Finding]] = {}
    for each in batch.findings:
        findings.setdefault(each[0], []).append(Finding(*each))
    for number, outcome, contact_id in batch.outcomes:
        record = [number, labels[outcome], contact_id or ""]
        for finding in findings.get(number, ()):
            yield [*record, *_cells(finding)]
        if number not in findings:
            yield [*record, "", "", "", ""]


def _cells(finding: Finding) -> list[str]:
    level = gettext("refused") if finding.is_error else gettext("warning")
    return [finding.column, level, finding.message, finding.value]
