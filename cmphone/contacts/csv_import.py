"""Makes records to import of the lines of a CSV file.

What a column means is for csv_columns.py to say, and how a file is read for csv_reading.py; what becomes of a record
for importing.py.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.csv_columns import Columns, match_columns
from cmphone.contacts.csv_reading import CsvFile, CsvLine, read_lines
from cmphone.contacts.importing import BatchResult, Finding, ImportRecord, Totals, import_records
from cmphone.contacts.models import ContactKind, CustomerGroup
from cmphone.contacts.writing import Author

_kinds = {
    **dict.fromkeys(["person", "persons", "kontakt", "p"], ContactKind.PERSON.value),
    **dict.fromkeys(
        ["company", "companies", "firma", "unternehmen", "organisation", "organization", "c"], ContactKind.COMPANY.value
    ),
}
_truths = {
    **dict.fromkeys(["1", "true", "yes", "y", "ja", "j", "wahr", "active", "aktiv"], True),
    **dict.fromkeys(["0", "false", "no", "n", "nein", "falsch", "inactive", "inaktiv"], False),
}


def import_contacts(
    file: CsvFile,
    *,
    customer_group: CustomerGroup,
    by: Author,
    column_map: Sequence[str] = (),
    overwrite_empty: bool = False,
    dry_run: bool = False,
    report: Callable[[Finding], None],
    progress: Callable[[Totals], None] = lambda totals: None,
) -> Totals:
    """Make or change the contacts of a customer group by the lines of a file, as `import_records` does.

    `report` is told of every finding, those about columns last.  Raises InvalidRequest, before anything is done, when
    it is not clear what the columns mean.
    """
    rules = get_current_configuration().groups[customer_group.id]
    columns = match_columns(file.header, rules=rules, column_map=column_map)
    totals = Totals()
    left_out: Counter[tuple[str, str]] = Counter()

    def on_batch(result: BatchResult) -> None:
        nonlocal totals
        totals += result.totals
        left_out.update(result.left_out)
        for finding in result.findings:
            report(finding)
        progress(totals)

    import_records(
        read_records(file, columns),
        customer_group_id=customer_group.id,
        by=by,
        overwrite_empty=overwrite_empty,
        describe=columns.find,
        dry_run=dry_run,
        on_batch=on_batch,
    )
    for finding in describe_left_out(left_out, file.header):
        report(finding)
    return totals


def describe_left_out(left_out: Mapping[tuple[str, str], int], header: Sequence[str]) -> Iterator[Finding]:
    """Yield which columns held values that went nowhere, in the order of the header."""
    for (column, kind), count in sorted(left_out.items(), key=lambda item: (header.index(item[0][0]), item[0][1])):
        message = ngettext(
            "%(count)d value is not imported, as there is no such field (%(kind)s). "
            "To import it: --map %(column)s=FIELD. To leave it out on purpose: --map %(column)s=",
            "%(count)d values are not imported, as there is no such field (%(kind)s). "
            "To import them: --map %(column)s=FIELD. To leave them out on purpose: --map %(column)s=",
            count,
        )
        values = {"count": count, "column": column, "kind": ContactKind(kind).label}
        yield Finding(0, column, message % values)


def read_records(file: CsvFile, columns: Columns) -> Iterator[ImportRecord]:
    """Yield the lines of a file as records, always in the same order.

    Where the file has both kinds, its companies come first: a person may stand above its company.
    """
    make = _RecordMaker(columns)
    if columns.company is None or columns.kind is None:
        yield from map(make, read_lines(file))
    else:
        index = columns.kind
        yield from (make(line) for line in read_lines(file) if _is_company(line, index))
        yield from (make(line) for line in read_lines(file) if not _is_company(line, index))


def _is_company(line: CsvLine, index: int) -> bool:
    return not line.error and _kinds.get(line.cells[index].strip().casefold()) == ContactKind.COMPANY


class _RecordMaker:
    """Makes records of lines: where which cell goes is found out once."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._fields = {kind: [(name, index) for index, name in of.items()] for kind, of in columns.fields.items()}
        self._unused = {kind: indexes for kind in columns.fields if (indexes := columns.list_unused(kind))}

    def __call__(self, line: CsvLine) -> ImportRecord:
        columns = self._columns
        if line.error:
            return ImportRecord(line.number, {}, error=line.error)
        cells = line.cells
        kind: str | None = ""
        if text := _cell(cells, columns.kind):
            kind = _kinds.get(text.casefold())
        if kind is None:
            return self._refuse(line, columns.kind, _("Write person or company."))
        is_active: bool | None = None
        if text := _cell(cells, columns.active):
            is_active = _truths.get(text.casefold())
            if is_active is None:
                return self._refuse(line, columns.active, _("Write 1 or 0, yes or no."))
        by_kind = {
            of_kind: {name: cells[index] for name, index in fields}
            for of_kind, fields in self._fields.items()
            if not kind or of_kind == kind
        }
        left_out = {
            of_kind: [columns.header[index] for index in indexes if cells[index].strip()]
            for of_kind, indexes in self._unused.items()
        }
        return ImportRecord(
            line.number,
            {},
            kind,
            _cell(cells, columns.external_id),
            _cell(cells, columns.company),
            is_active,
            says_company=columns.company is not None,
            fields_by_kind=by_kind,
            left_out=left_out,
        )

    def _refuse(self, line: CsvLine, index: int | None, message: str) -> ImportRecord:
        column = "" if index is None else self._columns.header[index]
        # With its external id, after which the batches are cut.
        external_id = _cell(line.cells, self._columns.external_id)
        value = _cell(line.cells, index)
        return ImportRecord(
            line.number, {}, external_id=external_id, error=message, error_column=column, error_value=value
        )


def _cell(cells: Sequence[str], index: int | None) -> str:
    return "" if index is None else cells[index].strip()
