"""Writes files that spreadsheets open: cells that they would take for a formula are made text."""

import csv
from collections.abc import Iterable, Iterator, Sequence

BYTE_ORDER_MARK = "\ufeff"
# Spreadsheets begin a formula with the first four, in their full width too; the others they drop before they look.
FORMULA_STARTS = tuple("=+-@\t\r\n＝＋－＠")


class _Echo:
    """Hands back what is written to it."""

    def write(self, text: str) -> str:
        return text


def write_csv(chunks: Iterable[Sequence[Sequence[object]]], language: str) -> Iterator[str]:
    """Yield the text of a CSV file, chunk by chunk, in UTF-8 with a byte order mark: without it, spreadsheets guess.

    The separator is the one that spreadsheets in `language` expect.
    """
    writer = csv.writer(_Echo(), delimiter=";" if language.startswith("de") else ",", quoting=csv.QUOTE_MINIMAL)
    yield BYTE_ORDER_MARK
    for lines in chunks:
        # The writer returns what its file's write() returns.
        yield "".join(writer.writerow([defuse(cell) for cell in line]) for line in lines)


def defuse(cell: object) -> object:
    """Return a text that no spreadsheet runs: one that begins like a formula gets an apostrophe in front.

    So `+49 211 33990312` stays readable, and it comes back by taking the apostrophe off.
    """
    if not isinstance(cell, int) and (text := str(cell)).lstrip(" \u00a0").startswith(FORMULA_STARTS):
        return f"'{text}"
    return cell
