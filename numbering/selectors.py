"""The search by caller: one statement that knows who asks, what he may see, and who has the number.

It names the tables of other rooms, since a look-up that asked them one after the other would cost several round
trips while a telephone rings.  It reads rights where they are kept, so a change counts from the next call on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, cast

import orjson
import psycopg
from django.db import connection
from django.db.backends.utils import CursorWrapper

from numbering.reading import LONGEST_INTERNAL, Plan, Reading, list_endings
from numbering.services import TAIL_LENGTH

MAX_HITS = 50

Match = Literal["exact", "company", "tail", "none", "withheld"]
# By the number of the tier in the statement.
_matches: tuple[Match, ...] = ("none", "exact", "company", "tail")


@dataclass(frozen=True, slots=True)
class Hit:
    """A contact that has the number, or belongs to a company that has it.  `field` is where it stands."""

    contact_id: int
    kind: str
    name_details: str
    name_list: str
    customer_group_id: int
    company_id: int | None
    company_name: str | None
    field: str
    extension: str | None


@dataclass(frozen=True, slots=True)
class Found:
    """Who has one number.  `reading` is the position of the reading that has hits, None without hits, and for a
    match of its end only.  `more`: there are more than MAX_HITS.
    """

    match: Match
    reading: int | None
    hits: tuple[Hit, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Search:
    """What the statement saw.  `user_id` is None when nobody was to be found who asks, and then nothing else holds.

    `found` stands in the order of the numbers.  `version` is that of the configuration the statement saw: readings
    made under another one do not count.  `is_touch_due`: a sign of life of the session should be written.
    """

    version: str
    user_id: int | None
    language: str
    is_touch_due: bool
    can_create: bool
    visible_groups: frozenset[int]
    case_groups: frozenset[int]
    found: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class SessionToken:
    """Somebody who asks with the token of a session.

    One without a sign of life for `timeout` is over; a sign of life is due `touch_after` the last one.
    """

    token_hash: bytes
    timeout: timedelta
    touch_after: timedelta


@dataclass(frozen=True, slots=True)
class KnownUser:
    """Somebody who has shown otherwise who he is, such as an administrator with his cookie."""

    user_id: int


_ASKS_BY_SESSION = """
    select u.id as user_id, u.is_superuser, u.language,
           -- In the future: the clock of the database was set back.
           s.last_seen_at not between statement_timestamp() - %(touch_after)s and statement_timestamp() as is_touch_due
    from license_session s
    join contacts_user u on u.id = s.user_id
    where s.token_hash = %(token_hash)s and s.ended_at is null and u.is_active
      and s.last_seen_at > statement_timestamp() - %(timeout)s
"""
_ASKS_BY_ID = """
    select id as user_id, is_superuser, language, false as is_touch_due
    from contacts_user
    where id = %(user_id)s and is_active
"""
# Of several numbers at once (`n`).  A `position` is the place of a key among those of its number: the first one
# that has hits is the one that counts.  One hit more than are told shows that there are more.
_FIND_CALLERS = f"""
with me as materialized (
    {{who}}
), roles as materialized (
    select group_id as role_id from contacts_user_groups where user_id = (select user_id from me)
), rights as materialized (
    select r.customer_group_id as id, r.can_view, r.can_create
    from contacts_customergroupright r join roles on roles.role_id = r.role_id
    union all
    select g.id, true, true from contacts_customergroup g where (select is_superuser from me)
), visible as materialized (
    select id from rights where can_view group by id
), exact as materialized (
    select k.n, k.position, e.id, e.contact_id, e.field, e.scope, e.extension
    from unnest(%(exact_n)s::int[], %(exact_positions)s::int[], %(canonicals)s::text[], %(plan_groups)s::bigint[])
         as k (n, position, canonical, plan_group)
    join numbering_indexentry e on e.canonical = k.canonical
    where e.customer_group_id in (select id from visible)
      and (k.plan_group is null or k.plan_group in (select id from visible))
), company as materialized (
    select k.n, k.position, e.id, e.contact_id, e.field, e.scope, e.extension
    from unnest(%(block_n)s::int[], %(block_positions)s::int[], %(blocks)s::text[], %(block_plan_groups)s::bigint[])
         as k (n, position, block, plan_group)
    join numbering_indexentry e on e.block = k.block and e.block <> ''
    where e.customer_group_id in (select id from visible)
      and (k.plan_group is null or k.plan_group in (select id from visible))
      and k.n not in (select n from exact)
), tail as materialized (
    select k.n, k.position, e.id, e.contact_id, e.field, e.scope, e.extension
    from unnest(%(tail_n)s::int[], %(tail_positions)s::int[], %(endings)s::text[]) as k (n, position, ending)
    join numbering_indexentry e on e.tail = right(k.ending, {TAIL_LENGTH}) and e.tail <> ''
     -- The longer of the two ends with the shorter.
     and right(e.canonical, length(k.ending)) = right(k.ending, length(e.canonical))
    where e.customer_group_id in (select id from visible)
      and k.n not in (select n from exact) and k.n not in (select n from company)
), matches as (
    select tiers.*, rank() over (partition by n order by position) as place
    from (select 1 as tier, * from exact union all select 2, * from company union all select 3, * from tail) as tiers
), best as materialized (
    select n, tier, position, contact_id, min(id) as entry_id,
           tier <> 2 and bool_or(scope in ('unit', 'transitive')) as finds_persons
    from matches
    where place = 1
    group by n, tier, position, contact_id
), found as (
    select b.n, b.tier, b.position, c.id, 1 + (c.kind = 'company')::int as place, b.entry_id
    from best b
    join contacts_contact c on c.id = b.contact_id
    union all
    select b.n, b.tier, b.position, p.id, 3, b.entry_id
    from best b
    join contacts_contact p on p.company_id = b.contact_id
    where b.finds_persons and p.is_active and p.customer_group_id in (select id from visible)
      and not exists (select from best own where own.n = b.n and own.contact_id = p.id)
), listed as (
    select f.n, f.tier, f.position, c.id, c.kind, c.name_details, c.name_list, c.customer_group_id,
           company.id as company_id, company.name as company_name, e.field, e.extension,
           row_number() over (partition by f.n order by f.place, c.name_list, c.id) as row
    from found f
    join contacts_contact c on c.id = f.id
    join numbering_indexentry e on e.id = f.entry_id
    left join contacts_contact company on company.id = c.company_id
)
select (select number from properties_configurationversion where id = 1),
       (select user_id from me),
       (select language from me),
       (select is_touch_due from me),
       exists (select from rights where can_create),
       (select array_agg(id) from visible),
       (select array_agg(distinct q.customergroup_id)
        from contacts_queue_customer_groups q
        where (select is_superuser from me)
           or q.queue_id in (select r.queue_id from contacts_queueright r join roles on roles.role_id = r.role_id
                             where r.can_create)),
       (select json_agg(json_build_array(n, tier, position, id, kind, name_details, name_list, customer_group_id,
                                         company_id, company_name, field, nullif(extension, ''))
                        order by n, row)::text
        from listed where row <= {MAX_HITS + 1})
"""  # noqa: S608
_STATEMENTS = {
    SessionToken: _FIND_CALLERS.format(who=_ASKS_BY_SESSION),
    KnownUser: _FIND_CALLERS.format(who=_ASKS_BY_ID),
}


def _prepared_cursor() -> CursorWrapper:
    """Return a cursor with which PostgreSQL keeps the plan of a statement that comes again.

    Planning this statement takes several times as long as running it, and Django's own cursors plan each time.
    """
    connection.ensure_connection()
    cursor = cast(CursorWrapper, psycopg.Cursor(connection.connection))
    return connection.make_debug_cursor(cursor) if connection.queries_logged else connection.make_cursor(cursor)


@dataclass(frozen=True, slots=True)
class Tiers:
    """Which tiers are tried after `exact`."""

    company: bool = True
    tail: bool = True


ALL_TIERS = Tiers()


def find_callers(
    *, who: SessionToken | KnownUser, numbers: Sequence[Sequence[Reading]], site: Plan, tiers: Tiers = ALL_TIERS
) -> Search:
    """Return the contacts that have each number, of those who asks may view; one statement for all numbers.

    Of a number, its readings, best first.  The contacts of the best tier count, in it those of the first reading
    that has any.  A person comes before a company, then the persons of a company whose field brings them.
    """
    keys = _Keys()
    for n, readings in enumerate(numbers):
        keys.add(n, readings, site, tiers)
    parameters = keys.parameters
    if isinstance(who, SessionToken):
        parameters |= {"token_hash": who.token_hash, "timeout": who.timeout, "touch_after": who.touch_after}
    else:
        parameters["user_id"] = who.user_id
    with _prepared_cursor() as cursor:
        cursor.execute(_STATEMENTS[type(who)], parameters)
        version, user_id, language, is_touch_due, can_create, visible, cases, listed = cursor.fetchone()
    rows: list[list[list[Any]]] = [[] for _ in numbers]
    for n, *row in orjson.loads(listed) if listed else ():
        rows[n].append(row)
    return Search(
        version=str(version or 0),
        user_id=user_id,
        language=language or "",
        is_touch_due=bool(is_touch_due),
        can_create=can_create,
        visible_groups=frozenset(visible or ()),
        case_groups=frozenset(cases or ()),
        found=tuple(_read_rows(of_number, readings) for of_number, readings in zip(rows, numbers, strict=True)),
    )


class _Keys:
    """What the statement searches for, as the arrays that it takes."""

    def __init__(self) -> None:
        self.parameters: dict[str, Any] = {
            name: []
            for name in (
                *("exact_n", "exact_positions", "canonicals", "plan_groups"),
                *("block_n", "block_positions", "blocks", "block_plan_groups"),
                *("tail_n", "tail_positions", "endings"),
            )
        }

    def add(self, n: int, readings: Sequence[Reading], site: Plan, tiers: Tiers) -> None:
        """Add the keys of the number `n`."""
        for i, reading in enumerate(readings):
            if not reading.canonical:
                continue
            self._append(("exact_n", "exact_positions", "canonicals", "plan_groups"), n, i, reading, reading.canonical)
            if tiers.company and reading.kind == "public" and reading.possible:
                for position, block in _list_blocks(i, reading.canonical):
                    names = ("block_n", "block_positions", "blocks", "block_plan_groups")
                    self._append(names, n, position, reading, block)
        if tiers.tail:
            for position, ending in enumerate(list_endings(readings, site)):
                self.parameters["tail_n"].append(n)
                self.parameters["tail_positions"].append(position)
                self.parameters["endings"].append(ending)

    def _append(self, names: tuple[str, str, str, str], n: int, position: int, reading: Reading, key: str) -> None:
        values = (n, position, key, int(reading.plan_key) if reading.plan_key else None)
        for name, value in zip(names, values, strict=True):
            self.parameters[name].append(value)


def _list_blocks(i: int, canonical: str) -> Iterator[tuple[int, str]]:
    """Yield what may be a company's line in front of an extension, longest first, of the reading `i`."""
    for length in range(1, min(LONGEST_INTERNAL, len(canonical) - TAIL_LENGTH + 1) + 1):
        yield i * (LONGEST_INTERNAL + 1) + length, canonical[:-length]


def _read_rows(rows: Sequence[list[Any]], readings: Sequence[Reading]) -> Found:
    if not rows:
        withheld = any(reading.kind == "withheld" for reading in readings)
        return Found("withheld" if withheld else "none", None, (), more=False)
    match, position = _matches[rows[0][0]], rows[0][1]
    extension_length = 0
    reading: int | None = position
    if match == "company":
        reading, extension_length = divmod(position, LONGEST_INTERNAL + 1)
    elif match == "tail":
        reading = None
    hits = tuple(Hit(*row[2:]) for row in rows)
    if match == "company" and reading is not None:
        extension = readings[reading].canonical[-extension_length:]
        hits = tuple(_with_extension(hit, extension) for hit in hits)
    return Found(match, reading, hits[:MAX_HITS], more=len(hits) > MAX_HITS)


def _with_extension(hit: Hit, extension: str) -> Hit:
    return Hit(
        hit.contact_id,
        hit.kind,
        hit.name_details,
        hit.name_list,
        hit.customer_group_id,
        hit.company_id,
        hit.company_name,
        hit.field,
        extension,
    )
