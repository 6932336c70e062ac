"""Opens the files that contacts are imported from: each kind of file chooses its reader here, and nowhere else."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cmphone.contacts.configuration import GroupRules
from cmphone.contacts.imports.csv_columns import guess_fields, locate_columns
from cmphone.contacts.imports.csv_import import open_lines
from cmphone.contacts.imports.csv_reading import decode_beginning, open_csv
from cmphone.contacts.imports.importing import import_records
from cmphone.contacts.imports.models import ImportSource
from cmphone.contacts.imports.types import BatchResult, Finding, Source, Totals
from cmphone.contacts.models import ContactKind, CustomerGroup
from cmphone.contacts.vcards.filling import AS_NAMED
from cmphone.contacts.vcards.reading import open_vcards
from cmphone.contacts.vcards.survey import survey_properties
from cmphone.contacts.writing import Author
from cmphone.problems import InvalidRequest

_CHUNK = 1 << 20
_CARD = b"BEGIN:VCARD"


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How a file is read.  Only a CSV file has an encoding, a delimiter and a header; None: told from the file.

    `column_map`: what its columns are, as `COLUMN=FIELD`; of vCards, what properties are, as `PROPERTY=FIELD`.
    """

    encoding: str | None = None
    delimiter: str | None = None
    column_map: Sequence[str] = ()


def tell_source(start: bytes) -> ImportSource:
    """Tell what kind of file begins so."""
    text = start.replace(b"\x00", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    return ImportSource.VCARD if text[: len(_CARD)].upper() == _CARD else ImportSource.CSV


def tell_source_of_file(path: Path) -> ImportSource:
    """Tell the kind of a file; one that cannot be read is for its reader to complain about."""
    try:
        with path.open("rb") as file:
            return tell_source(file.read(1000))
    except OSError:
        return ImportSource.CSV


def open_source(source: str, path: Path, *, rules: GroupRules, options: FileOptions) -> Source:
    """Open a file, to be read by the fields of a customer group.

    Raises InvalidRequest when it cannot be read, or when it is not clear what it means.
    """
    match ImportSource(source):
        case ImportSource.CSV:
            file = open_csv(path, encoding=options.encoding, delimiter=options.delimiter)
            return open_lines(file, rules=rules, column_map=options.column_map)
        case ImportSource.VCARD:
            return open_vcards(path, rules=rules, property_map=options.column_map)
        case ImportSource.DIRECTORY:
            raise InvalidRequest(_("A directory is no file."))
        case other:
            assert_never(other)


def guess_options(
    source: str, path: Path, *, rules: GroupRules, encoding: str | None = None, delimiter: str | None = None
) -> dict[str, Any]:
    """Return how a file seems to be read, and what its columns, or the properties of its cards, seem to be.

    Raises InvalidRequest when it cannot be read.
    """
    if source == ImportSource.VCARD:
        found = survey_properties(path, rules=rules)
        mapping = [AS_NAMED] * len(found)
        return {"header": list(found), "mapping": mapping, "recognized": list(found.values())}
    file = open_csv(path, encoding=encoding, delimiter=delimiter)
    locate_columns(file.header)
    mapping = guess_fields(file.header, rules)
    return {
        "encoding": file.encoding,
        "delimiter": file.delimiter,
        "header": list(file.header),
        "mapping": mapping,
    }


def read_options(options: Mapping[str, Any]) -> FileOptions:
    """Return the options of an import as a file is read by them."""
    columns = zip(options.get("header", ()), options.get("mapping", ()), strict=True)
    column_map = [f"{column}={field}" for column, field in columns]
    return FileOptions(options.get("encoding"), options.get("delimiter"), column_map)


@contextmanager
def name_file(path: Path, name: str) -> Iterator[None]:
    """Let errors name a file as people know it, rather than by its path."""
    try:
        yield
    except InvalidRequest as problem:
        raise InvalidRequest(problem.detail.replace(str(path), name)) from problem


def count_records(source: str, path: Path) -> int:
    """Return how many records a file has, about: cells may have line breaks."""
    mark = _CARD if source == ImportSource.VCARD else b"\n"
    count, rest = 0, b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            count += (rest + chunk.upper()).count(mark)
            rest = chunk[-len(mark) + 1 :].upper() if len(mark) > 1 else b""
    return count if source == ImportSource.VCARD else max(count - 1, 0)


def cut_beginning(source: str, data: bytes, encoding: str | None, *, is_all: bool) -> bytes:
    """Return the whole lines, or cards, that the beginning of a file has.  Those of a CSV file come in UTF-8.

    Raises InvalidRequest when it is not in this encoding.
    """
    if source == ImportSource.VCARD:
        end = len(data) if is_all else data.upper().rfind(b"END:VCARD") + len(b"END:VCARD")
        return data[:end] + b"\r\n"
    try:
        text = decode_beginning(data, encoding or "utf-8-sig")
    except (LookupError, UnicodeError) as error:
        raise InvalidRequest(_("The file is not in this encoding.")) from error
    return (text if is_all else text[: text.rfind("\n") + 1]).encode("utf-8-sig")


def import_all(
    source: Source,
    *,
    customer_group: CustomerGroup,
    by: Author,
    overwrite_empty: bool = False,
    dry_run: bool = False,
    report: Callable[[Finding], None],
    progress: Callable[[Totals], None] = lambda totals: None,
) -> Totals:
    """Make or change the contacts of a customer group by a source, as `import_records` does.

    `report` is told of every finding, those about columns last.
    """
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
        source.records,
        customer_group_id=customer_group.id,
        by=by,
        overwrite_empty=overwrite_empty,
        describe=source.describe,
        dry_run=dry_run,
        on_batch=on_batch,
    )
    for finding in _describe_left_out(left_out, source.header):
        report(finding)
    return totals


def _describe_left_out(left_out: Mapping[tuple[str, str], int], header: Sequence[str]) -> Iterator[Finding]:
    """Yield which columns held values that went nowhere, in the order of the header."""
    places = {column: place for place, column in enumerate(header)}
    for (column, kind), count in sorted(left_out.items(), key=lambda item: (places.get(item[0][0], 0), item[0])):
        message = ngettext(
            "%(count)d value is not imported, as there is no such field (%(kind)s). "
            "To import it: --map %(column)s=FIELD. To leave it out on purpose: --map %(column)s=",
            "%(count)d values are not imported, as there is no such field (%(kind)s). "
            "To import them: --map %(column)s=FIELD. To leave them out on purpose: --map %(column)s=",
            count,
        )
        values = {"count": count, "column": column, "kind": ContactKind(kind).label}
        yield Finding(0, column, message % values)
