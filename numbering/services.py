"""Writes the index of numbers.  Knows contacts only by what they hand in."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connection, transaction

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
_DELETE = "delete from numbering_indexentry where contact_id = any(%s)"
_WRITE = f"copy numbering_indexentry ({_COLUMNS}) from stdin"


@transaction.atomic
def index_contacts(*, sources: Sequence[IndexSource], plan: Plan, are_new: bool = False) -> int:
    """Make the index entries of these contacts what their values say under `plan`; return how many contacts changed.

    Call it in the transaction that writes the contacts.  Safe to repeat.  `are_new` spares the look at old entries.
    """
    wanted = {source.contact_id: list(_build_entries(source, plan)) for source in sources}
    present: dict[int, list[Entry]] = {}
    # Past the ORM, which would cost several times as much as reading the numbers.
    with connection.cursor() as cursor:
        if not are_new:
            cursor.execute(_READ, [list(wanted)])
            for row in cursor.fetchall():
                present.setdefault(row[0], []).append(row)
        changed = [i for i, entries in wanted.items() if entries != present.get(i, [])]
        if outdated := [i for i in changed if i in present]:
            cursor.execute(_DELETE, [outdated])
        if rows := [entry for i in changed for entry in wanted[i]]:
            with cursor.copy(_WRITE) as copy:
                for row in rows:
                    copy.write_row(row)
    return len(changed)


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
