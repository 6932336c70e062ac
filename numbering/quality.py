"""Finds indexed numbers that nobody can be found by, or that find many: for people who keep contacts in order.

A page of a long list begins behind the last row of the one before, and costs what its own rows cost; so a download
goes through the same pages.  Only the customer groups that are handed in exist here.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.db import connection

from numbering.models import IndexEntry
from numbering.reading import Reading

Problem = Literal["unreadable", "impossible"]

_conditions: Mapping[Problem | None, str] = {
    "unreadable": "e.kind = 'unreadable'",
    "impossible": "e.kind = 'public' and not e.is_possible",
    # As the index `index_entry_doubtful` has it.
    None: "(e.kind = 'unreadable' or (e.kind = 'public' and not e.is_possible))",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look: customer groups by id, and a field by its internal name; empty for all fields."""

    customer_groups: Collection[int]
    field: str = ""


@dataclass(frozen=True, slots=True)
class DoubtfulEntry:
    """An entry that cannot be read, or that its country does not have, with the contact it belongs to."""

    reading: Reading
    id: int
    customer_group_id: int
    field: str
    contact_id: int
    contact_name: str

    @property
    def key(self) -> tuple[int, int]:
        """Where the next page goes on."""
        return self.customer_group_id, self.id


@dataclass(frozen=True, slots=True)
class SharedNumber:
    """A number with how many contacts have it, and in which customer groups.  `entry_id` is one of its entries."""

    reading: Reading
    contacts: int
    customer_groups: tuple[int, ...]
    entry_id: int

    @property
    def key(self) -> str:
        """Where the next page goes on."""
        return self.reading.canonical


def list_doubtful(
    place: Place, *, problem: Problem | None, limit: int, after: tuple[int, int] = (0, 0)
) -> list[DoubtfulEntry]:
    """Return the next entries behind the key `after`, by customer group and age; `problem` None for both."""
    rows = _fetch(
        f"""
        select e.canonical, e.kind, e.rule, e.is_possible, e.extension, e.raw,
               e.id, e.customer_group_id, e.field, c.id, c.name
        from numbering_indexentry e
        join contacts_contact c on c.id = e.contact_id
        where {_where(place)} and {_conditions[problem]}
          and (e.customer_group_id, e.id) > (%(after_group)s, %(after_id)s)
        order by e.customer_group_id, e.id
        limit %(limit)s
        """,  # noqa: S608 (constants only)
        place,
        {"after_group": after[0], "after_id": after[1], "limit": limit},
    )
    return [DoubtfulEntry(_read(row[:6]), *row[6:]) for row in rows]


def count_doubtful(place: Place) -> dict[str, int]:
    """Return how many entries have each Problem."""
    (row,) = _fetch(
        f"""
        select count(*) filter (where e.kind = 'unreadable'), count(*) filter (where e.kind = 'public')
        from numbering_indexentry e
        where {_where(place)} and {_conditions[None]}
        """,  # noqa: S608 (constants only)
        place,
    )
    return {"unreadable": row[0], "impossible": row[1]}


def list_shared(place: Place, *, at_least: int, limit: int, after: str = "") -> list[SharedNumber]:
    """Return the next numbers behind the key `after`, in the order of their digits, that so many contacts have."""
    rows = _fetch(
        f"""
        select e.canonical, e.kind, e.rule, e.is_possible, '', e.raw, shared.contacts, shared.customer_groups,
               e.id
        from ({_shared(place)} order by often.canonical limit %(limit)s) shared
        join numbering_indexentry e on e.id = shared.first_id
        order by e.canonical
        """,  # noqa: S608 (constants only)
        place,
        {"at_least": at_least, "after": after, "limit": limit},
    )
    return [SharedNumber(_read(row[:6]), row[6], tuple(row[7]), row[8]) for row in rows]


def find_canonical(place: Place, *, entry_id: int) -> str:
    """Return the number of an index entry, or nothing where these customer groups have no such entry.

    An address can name a number by an entry without telling it to every log on the way.
    """
    entries = IndexEntry.objects.filter(id=entry_id, customer_group__in=place.customer_groups)
    return entries.values_list("canonical", flat=True).first() or ""


def count_shared(place: Place, *, at_least: int) -> int:
    """Return how many numbers so many contacts have.  It goes through the whole index, in the order of the digits."""
    statement = f"select count(*) from ({_shared(place)}) shared"  # noqa: S608 (constants only)
    (row,) = _fetch(statement, place, {"at_least": at_least, "after": ""})
    return int(row[0])


def _shared(place: Place) -> str:
    # First from the index alone, in its order, what may be shared; then each of these few with its contacts, which
    # are in the table only.  A join instead would read all of the table.
    return f"""
        select often.canonical, shared.contacts, shared.customer_groups, shared.first_id
        from (
            select canonical
            from numbering_indexentry
            where canonical > %(after)s and customer_group_id = any(%(customer_groups)s)
            group by canonical
            having count(*) >= %(at_least)s
        ) often
        cross join lateral (
            select count(distinct e.contact_id) as contacts, min(e.id) as first_id,
                   array_agg(distinct e.customer_group_id) as customer_groups
            from numbering_indexentry e
            where e.canonical = often.canonical and {_where(place)}
        ) shared
        where shared.contacts >= %(at_least)s
    """  # noqa: S608 (constants only)


def _where(place: Place) -> str:
    return "e.customer_group_id = any(%(customer_groups)s)" + (" and e.field = %(field)s" if place.field else "")


def _fetch(statement: str, place: Place, values: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
    parameters: dict[str, Any] = {"customer_groups": sorted(place.customer_groups), "field": place.field}
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters | dict(values or {}))
        return list(cursor.fetchall())


def _read(row: Sequence[Any]) -> Reading:
    canonical, kind, rule, is_possible, extension, raw = row
    return Reading(canonical, kind, rule, possible=is_possible, extension=extension, raw=raw)
