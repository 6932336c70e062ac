"""Makes records to import of the lines of a CSV file.

What a column means is for csv_columns.py to say, and how a file is read for csv_reading.py; what becomes of a record
for importing.py.
"""

from collections.abc import Iterator, Sequence

from django.utils.translation import gettext as _

from cmphone.contacts.configuration import GroupRules
from cmphone.contacts.imports.csv_columns import Columns, match_columns
from cmphone.contacts.imports.csv_reading import CsvFile, CsvLine, read_lines
from cmphone.contacts.imports.types import ImportRecord, Source
from cmphone.contacts.models import ContactKind

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


def open_lines(file: CsvFile, *, rules: GroupRules, column_map: Sequence[str] = ()) -> Source:
    """Return the lines of a file as records.  Raises InvalidRequest when it is not clear what the columns mean."""
    columns = match_columns(file.header, rules=rules, column_map=column_map)
    return Source(_read_records(file, columns), columns.find, file.header)


def _read_records(file: CsvFile, columns: Columns) -> Iterator[ImportRecord]:
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
