"""Reads CSV files as people's programs write them: finds out encoding and delimiter, and keeps count of the lines.

Knows no contacts and no database.  A line that cannot be read spoils no other, and no file is held in memory.
"""

import codecs
import csv
import io
import re
import unicodedata
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.utils.translation import gettext as _

from cmphone.csv_cells import restore
from cmphone.problems import InvalidRequest

DELIMITERS = ";\t|,"
# Of one record, whose cells may hold line breaks.  A quote that is never closed swallows no more than this.
MAX_LINES = 1_000
MAX_LENGTH = csv.field_size_limit()
# People choose a field for each: a page cannot show and send more.
MAX_COLUMNS = 500

_CHUNK = 1 << 20
_SAMPLE = 4_000
_byte_order_marks = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True)
class CsvFile:
    """A file that can be read: how, and the cells of its first line.  A file of one column has no delimiter."""

    path: Path
    encoding: str
    delimiter: str
    header: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CsvLine:
    """What one line holds, or several where a cell has line breaks.  `number` counts lines of the file, from 1.

    `error` says why it has no cells.
    """

    number: int
    cells: list[str]
    error: str = ""


def open_csv(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> CsvFile:
    """Find out how a file is to be read; None: from the file itself.  Its text is decoded once, to the end.

    Raises InvalidRequest when it is no CSV file, or not in this encoding.
    """
    try:
        if path.exists() and not path.is_file():
            raise InvalidRequest(_("%s is not a file.") % path)
        encoding = _find_encoding(path, encoding)
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror}.") from error
    if _is_binary(path, encoding):
        raise InvalidRequest(
            _("%s is not a text file, or its encoding cannot be told from it (then name it, such as utf-16-le).") % path
        )
    sample = CsvFile(path, encoding, delimiter or _find_delimiter(path, encoding), ())
    first = next((line for line in _read_records(sample) if line.error or any(map(str.strip, line.cells))), None)
    if first is None:
        raise InvalidRequest(_("%s is empty: its first line must name the columns.") % path)
    if first.error:
        raise InvalidRequest(_("Line %(line)d: %(error)s") % {"line": first.number, "error": first.error})
    header = [cell.strip().strip("\ufeff") for cell in first.cells]
    # Delimiters at the end of every line are how spreadsheets save columns that are empty.
    while header and not header[-1]:
        header.pop()
    if len(header) > MAX_COLUMNS:
        raise InvalidRequest(
            _("%(path)s has %(found)d columns; there may be %(most)d. Leave out those that are no fields of contacts.")
            % {"path": path, "found": len(header), "most": MAX_COLUMNS}
        )
    return CsvFile(path, encoding, sample.delimiter, tuple(header))


def _find_encoding(path: Path, wanted: str | None) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04":
        raise InvalidRequest(_("%s is a spreadsheet or an archive: save it as CSV.") % path)
    if wanted:
        try:
            # TextIOWrapper is the judge of what is an encoding of text.
            wanted = codecs.lookup(io.TextIOWrapper(io.BytesIO(), encoding=wanted).encoding).name
        except (LookupError, ValueError) as error:
            raise InvalidRequest(_("There is no encoding of the name %s.") % wanted) from error
        candidates = ["utf-8-sig" if wanted == "utf-8" else wanted]
    else:
        marked = next((name for mark, name in _byte_order_marks.items() if start.startswith(mark)), None)
        candidates = [marked] if marked else ["utf-8-sig", "cp1252"]
    for encoding in candidates:
        if _can_decode(path, encoding):
            return encoding
    if wanted:
        raise InvalidRequest(_("%(path)s is not encoded in %(name)s.") % {"path": path, "name": wanted})
    raise InvalidRequest(_("%s is neither UTF-8 nor Windows-1252: name its encoding, for example cp850.") % path)


def _can_decode(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    with path.open("rb") as file:
        try:
            while chunk := file.read(_CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeError:
            return False
    return True


def decode_beginning(data: bytes, encoding: str) -> str:
    """Return the text that a file begins with; a character that is cut off at the end is left out.

    Raises LookupError or UnicodeError.
    """
    return codecs.getincrementaldecoder(encoding)().decode(data)


def _is_binary(path: Path, encoding: str) -> bool:
    with path.open(encoding=encoding) as file:
        start = file.read(_SAMPLE)
    # One of them may have slipped into a text.
    return sum(unicodedata.category(c) == "Cc" and c not in "\t\n" for c in start) * 20 > len(start)


def _find_delimiter(path: Path, encoding: str) -> str:
    with path.open(encoding=encoding) as file:
        first = next((line for _number in range(MAX_LINES) if (line := file.readline(MAX_LENGTH)).strip()), "")
    if match := _spreadsheet_mark.fullmatch(first):
        return match[1]
    outside_quotes = re.sub(r'"[^"]*"', "", first)
    best = max(DELIMITERS, key=outside_quotes.count)
    # A file of one column: its values may hold whatever delimits elsewhere.
    return best if best in outside_quotes else "\x1f"


# Spreadsheets write and read this line before the header.
_spreadsheet_mark = re.compile(r"\"?sep=(.)\"?\s*", re.IGNORECASE)


def read_lines(file: CsvFile) -> Iterator[CsvLine]:
    """Yield the lines behind the header, without those that are empty."""
    records = (line for line in _read_records(file) if line.error or any(cell.strip() for cell in line.cells))
    next(records, None)
    width = len(file.header)
    for line in records:
        if line.error:
            yield line
        elif len(line.cells) < width or any(line.cells[width:]):
            yield CsvLine(
                line.number,
                [],
                _("This line has %(found)d cells; the header has %(expected)d.")
                % {"found": len(line.cells), "expected": width},
            )
        else:
            yield line


class _PhysicalLines:
    """The lines of a file.  Those of the record at hand are kept, to be read again if it comes to nothing."""

    def __init__(self, file: io.TextIOBase) -> None:
        self._file = file
        self._ahead: deque[str] = deque()
        self._taken: list[str] = []
        self._number = 0
        self._length = 0

    def begin_record(self) -> int:
        """Return the number of the line that comes next."""
        self._number += len(self._taken)
        self._taken.clear()
        self._length = 0
        return self._number + 1

    def find_error(self, failure: str) -> str:
        """Return what is wrong with the record, of which its reader says `failure`; empty if nothing."""
        if len(self._taken[0]) >= MAX_LENGTH:
            return _("This line is too long.")
        if self._is_full or failure == "unexpected end of data":
            return _("A quote opens here which nothing closes.")
        if failure:
            return _("The quotes do not fit: a cell in quotes begins and ends with one, and doubles those inside it.")
        return ""

    def go_back(self) -> None:
        """Make all lines of the record but its first come again."""
        self._ahead.extendleft(reversed(self._taken[1:]))
        del self._taken[1:]

    @property
    def _is_full(self) -> bool:
        return len(self._taken) == MAX_LINES or self._length >= MAX_LENGTH

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._is_full:
            raise csv.Error(_("This record is too long."))
        line = self._ahead.popleft() if self._ahead else self._read()
        if not line:
            raise StopIteration
        self._taken.append(line)
        self._length += len(line)
        return line

    def _read(self) -> str:
        line = self._file.readline(MAX_LENGTH)
        rest = line
        while len(rest) == MAX_LENGTH and not rest.endswith(("\n", "\r")):
            rest = self._file.readline(MAX_LENGTH)
        return line


def _read_records(file: CsvFile) -> Iterator[CsvLine]:
    with file.path.open(encoding=file.encoding, newline="") as text:
        lines = _PhysicalLines(text)
        reader = csv.reader(lines, delimiter=file.delimiter, strict=True)
        while True:
            number = lines.begin_record()
            try:
                cells, error = next(reader), lines.find_error("")
            except StopIteration:
                return
            except csv.Error as failure:
                cells, error = [], lines.find_error(str(failure))
            if error:
                yield CsvLine(number, [], error)
                lines.go_back()
                reader = csv.reader(lines, delimiter=file.delimiter, strict=True)
            elif not (number == 1 and _spreadsheet_mark.fullmatch(file.delimiter.join(cells))):
                yield CsvLine(number, [restore(cell) for cell in cells])
