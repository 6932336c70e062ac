"""What imports keep of contacts: lines of reports, values in them, names of files.  It is found, and it is erased.

Reports know a contact by its id where its line went in.  Of a line that did not they have only a value, which is taken
for the contact's when it is the same as one of its own.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from django.db import connection
from django.db.models import QuerySet

from cmphone.contacts.imports.models import ImportFileChunk, ImportReport, ImportRun, ImportSource, ImportState
from cmphone.contacts.imports.types import Finding
from cmphone.contacts.imports.work import MAX_VALUE

# Of contacts, or with one of these values.
_FIND = """
select id from contacts_importreport
where exists (select from jsonb_array_elements(outcomes) o where o ->> 2 = any(%s))
    or exists (select from jsonb_array_elements(findings) f where f ->> 3 = any(%s))
"""


@dataclass(frozen=True, slots=True)
class ReportedLine:
    """What became of a contact's line in one run."""

    run: ImportRun
    number: int
    outcome: str
    findings: Sequence[Finding]


def list_reported_lines(contact_id: int) -> Iterator[ReportedLine]:
    """Yield the lines that made or met a contact, the oldest first."""
    for report in _list_reports([contact_id]).select_related("run"):
        for number, outcome, id in report.outcomes:
            if id == contact_id:
                found = [Finding(*each) for each in report.findings if each[0] == number]
                yield ReportedLine(report.run, number, outcome, found)


def list_files(customer_group_id: int) -> QuerySet[ImportRun]:
    """Return the runs into a customer group whose file is still kept, because it is not imported yet."""
    ids = ImportFileChunk.objects.filter(run__customer_group_id=customer_group_id).values("run")
    return ImportRun.objects.filter(pk__in=ids).order_by("pk")


def erase_lines(contact_ids: Collection[int], values: Collection[str]) -> None:
    """Take contacts, and whatever is said of them, out of the reports, and these values out of lines that failed.

    What is counted, and that there was a line, stays.
    """
    ids, cut = set(contact_ids), {value[:MAX_VALUE] for value in values}
    for report in _list_reports(ids, cut).select_for_update():
        own = {number for number, _outcome, id in report.outcomes if id in ids}
        others = {number for number, _outcome, id in report.outcomes if id is not None and id not in ids}
        report.outcomes = [[number, what, None if id in ids else id] for number, what, id in report.outcomes]
        report.findings = [
            [line, column, message, "" if value in cut and line not in others else value, is_error]
            for line, column, message, value, is_error in report.findings
            if line not in own
        ]
        report.save(update_fields=["outcomes", "findings"])


def erase_from_runs(names: Collection[str], values: Collection[str]) -> None:
    """Take contacts out of what is kept of each run as a whole.

    That is the name of the file, where it is theirs (a vCard is often named after its person), and the first line,
    where that was no header.
    """
    named = [words for name in names if (words := _split(name))]
    # What is not over yet is read by them.
    over = ImportRun.objects.filter(state__in=[ImportState.FINISHED, ImportState.FAILED, ImportState.CANCELLED])
    for run in over.order_by("pk").select_for_update():
        was = run.file_name, run.error, run.options, run.left_out
        if any(words <= _split(run.file_name) for words in named):
            run.error = run.error.replace(run.file_name, "…")
            run.file_name = "…"
        if any(column in values for column in run.options.get("header", ())):
            header = ["" if column in values else column for column in run.options["header"]]
            run.options = {**run.options, "header": header}
        run.left_out = [["" if column in values else column, *rest] for column, *rest in run.left_out]
        if was != (run.file_name, run.error, run.options, run.left_out):
            run.save(update_fields=["file_name", "error", "options", "left_out"])


def erase_files(customer_group_id: int) -> None:
    """Remove the files kept for imports into a customer group, with the drafts of those that nobody has started."""
    of_group = ImportRun.objects.filter(customer_group_id=customer_group_id)
    of_group.filter(state=ImportState.DRAFT).delete()
    ImportFileChunk.objects.filter(run__in=of_group).delete()


def is_under_way(customer_group_id: int) -> bool:
    """Say whether a file is being imported into the customer group, or waits for its turn."""
    going = ImportRun.objects.filter(state__in=[ImportState.WAITING, ImportState.RUNNING])
    return going.exclude(source=ImportSource.DIRECTORY).filter(customer_group_id=customer_group_id).exists()


def _list_reports(contact_ids: Collection[int], values: Collection[str] = ()) -> QuerySet[ImportReport]:
    with connection.cursor() as cursor:
        cursor.execute(_FIND, [[str(id) for id in contact_ids], list(values)])
        found = [id for (id,) in cursor.fetchall()]
    return ImportReport.objects.filter(pk__in=found).order_by("pk")


def _split(name: str) -> set[str]:
    """Return the words of a name, of a person or of a file."""
    return {word for word in "".join(c if c.isalnum() else " " for c in name.casefold()).split() if len(word) > 1}
