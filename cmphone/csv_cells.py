"""Writes files that spreadsheets open: cells that they would take for a formula are made text, and back."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence

BYTE_ORDER_MARK = "\ufeff"
# Spreadsheets begin a formula with the first four, in their full width too; the others they drop before they look.
FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")
# Behind apostrophes, too: so that what is taken off is what was put in front.
_formula = re.compile(f"'*[ \u00a0]*[{re.escape(''.join(FORMULA_STARTS))}]")


class _Echo:
    """Hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def choose_delimiter(language: str) -> str:
    """Return what spreadsheets in a language expect between two cells."""
    return ";" if language.startswith("de") else ","


def write_csv(chunks: Iterable[Sequence[Sequence[object]]], *, delimiter: str) -> Iterator[str]:
    """Yield the text of a CSV file, chunk by chunk, in UTF-8 with a byte order mark: without it, spreadsheets guess."""
    writer = csv.writer(_Echo(), delimiter=delimiter, quoting=csv.QUOTE_MINIMAL)
    yield BYTE_ORDER_MARK
    for lines in chunks:
        # The writer returns what its file's write() returns.
        yield "".join(writer.writerow([defuse(cell) for cell in line]) for line in lines)


def defuse(cell: object) -> object:
    """Return a text that no spreadsheet runs: one that begins like a formula gets an apostrophe in front.

    So `+49 211 33990312` stays readable, and `restore` takes it back.
    """
    if not isinstance(cell, int) and _formula.match(text := str(cell)):
        return f"'{text}"
    return cell


def restore(cell: str) -> str:
    """Return what a cell of a file was before `defuse`."""
    return cell[1:] if cell.startswith("'") and _formula.match(cell, 1) else cell
