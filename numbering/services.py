"""Writes the index of numbers.  Knows contacts only by what they hand in, and writes in their transaction."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connection

from numbering.reading import SHORTEST_ENDING, Plan, Reading, read_typed

TAIL_LENGTH = SHORTEST_ENDING


@dataclass(frozen=True, slots=True)
class IndexedValue:
    """The text of one indexed field, and whom a number in it finds (`local`, `unit`, `transitive`)."""

    field: str
    scope: str
    text: str


@dataclass(frozen=True, slots=True)
class IndexSource:
    """A contact as the index sees it.  `values` are in the order of the contact model; none: it is not found."""

    contact_id: int
    customer_group_id: int
    is_company: bool
    values: Sequence[IndexedValue]


class Entry(NamedTuple):
    """A row of the index, without its id."""

    contact_id: int
    customer_group_id: int
    field: str
    scope: str
    raw: str
    canonical: str
    extension: str
    kind: str
    rule: str
    is_possible: bool
    tail: str
    block: str


_COLUMNS = ", ".join(Entry._fields)
_READ = f"select {_COLUMNS} from numbering_indexentry where contact_id = any(%s) order by contact_id, id"  # noqa: S608
_ADD = f"copy numbering_indexentry ({_COLUMNS}) from stdin"
_REPLACE = f"""
with outdated as (delete from numbering_indexentry where contact_id = any(%s))
insert into numbering_indexentry ({_COLUMNS})
select * from unnest(%s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::text[], %s::bool[], %s::text[], %s::text[])
"""  # noqa: S608 (constants only)
# Past the ORM, which would cost several times as much as reading the numbers.


def add_entries(sources: Sequence[IndexSource], plan: Plan) -> None:
    """Write the index entries of contacts that have none yet, as their values say under `plan`."""
    # Copies raise the driver's errors otherwise.
    with connection.wrap_database_errors, connection.cursor() as cursor, cursor.copy(_ADD) as copy:
        for source in sources:
            for entry in _build_entries(source, plan):
                copy.write_row(entry)


def replace_entries(sources: Sequence[IndexSource], plan: Plan) -> None:
    """Write the index entries of contacts in place of those that they have.  Safe to repeat."""
    _replace({source.contact_id: list(_build_entries(source, plan)) for source in sources})


def index_contacts(*, sources: Sequence[IndexSource], plan: Plan) -> int:
    """Make the index entries of these contacts what their values say under `plan`; return how many contacts changed.

    Safe to repeat.  What is so already is not written.
    """
    wanted = {source.contact_id: list(_build_entries(source, plan)) for source in sources}
    present: dict[int, list[Entry]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_READ, [list(wanted)])
        for row in cursor.fetchall():
            present.setdefault(row[0], []).append(row)
    changed = {i: entries for i, entries in wanted.items() if entries != present.get(i, [])}
    _replace(changed)
    return len(changed)


def _replace(entries: Mapping[int, Sequence[Entry]]) -> None:
    if entries:
        rows = [entry for of_contact in entries.values() for entry in of_contact]
        columns = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in Entry._fields]
        with connection.cursor() as cursor:
            cursor.execute(_REPLACE, [list(entries), *columns])


def _build_entries(source: IndexSource, plan: Plan) -> Iterator[Entry]:
    for value in source.values:
        seen = set()
        for reading in read_typed(value.text, plan):
            key = (reading.canonical, reading.extension, reading.raw if not reading.canonical else "")
            if key in seen:
                continue
            seen.add(key)
            yield Entry(
                source.contact_id,
                source.customer_group_id,
                value.field,
                value.scope,
                reading.raw[:200],
                reading.canonical,
                reading.extension,
                reading.kind,
                reading.rule,
                reading.possible,
                _tail(reading),
                _block(reading, source, plan),
            )


def _tail(reading: Reading) -> str:
    if reading.kind not in {"public", "unreadable"} or len(reading.canonical) < TAIL_LENGTH:
        return ""
    return reading.canonical[-TAIL_LENGTH:]


def _block(reading: Reading, source: IndexSource, plan: Plan) -> str:
    if not source.is_company or reading.kind != "public":
        return ""
    own_line = plan.country + plan.area + plan.company_line
    if plan.company_line and reading.canonical.startswith(own_line):
        return own_line
    return reading.block
