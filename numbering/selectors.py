"""The search by caller: one statement that knows who asks, what he may see, and who has the number.

It names the tables of other rooms, since a look-up that asked them one after the other would cost several round
trips while a telephone rings.  It reads rights where they are kept, so a change counts from the next call on.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import repeat
from typing import Any, Literal

import orjson

from cmphone.prepared import prepared_cursor
from numbering.reading import LONGEST_INTERNAL, Plan, Reading, list_endings
from numbering.services import TAIL_LENGTH

MAX_HITS = 50
# One hit more shows that there are more.  A contact has a row for each of its fields with the number.
MAX_ROWS = 10 * (MAX_HITS + 1)

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
    external_id: str
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
class KeyHash:
    """A program that asks with an API key.  Its use is written down `touch_after` the last time."""

    key_hash: bytes
    touch_after: timedelta


@dataclass(frozen=True, slots=True)
class KnownUser:
    """Somebody who has shown otherwise who he is, such as an administrator with his cookie."""

    user_id: int


Asker = SessionToken | KeyHash | KnownUser


# `visible`: the customer groups whose contacts the user may view.  The database keeps them beside the user, true at
# any time; to add up his rights here would take a third of the statement's time.
_ASKS_BY_SESSION = """
    select u.id, u.language, a.visible_groups as visible, a.case_groups, a.can_create,
           -- In the future: the clock of the database was set back.
           s.last_seen_at not between statement_timestamp() - %(touch_after)s and statement_timestamp() as is_touch_due
    from license_session s
    join contacts_user u on u.id = s.user_id
    join contacts_access a on a.user_id = u.id
    where s.token_hash = %(token_hash)s and s.ended_at is null and u.is_active
      and s.last_seen_at > statement_timestamp() - %(timeout)s
"""
_ASKS_BY_KEY = """
    select u.id, u.language, a.visible_groups as visible, a.case_groups, a.can_create,
           k.last_used_at is null
           or k.last_used_at not between statement_timestamp() - %(touch_after)s and statement_timestamp()
           as is_touch_due
    from access_apikey k
    join contacts_user u on u.id = k.user_id
    join contacts_access a on a.user_id = u.id
    where k.key_hash = %(key_hash)s and k.revoked_at is null and u.is_active and 'lookup' = any (k.scopes)
      and (k.expires_at is null or k.expires_at > statement_timestamp())
"""
_ASKS_BY_ID = """
    select u.id, u.language, a.visible_groups as visible, a.case_groups, a.can_create, false as is_touch_due
    from contacts_user u
    join contacts_access a on a.user_id = u.id
    where u.id = %(user_id)s and u.is_active
"""
# Of several numbers at once (`n`).  A `position` is the place of a key among those of its number: the first one
# that has hits is the one that counts.
# What it costs is the number of its steps, more than what they do: hence no step for what Python does as well.
_LISTED = f""", exact as materialized (
    select k.n, 1 as tier, k.position, e.id, e.contact_id, e.field, e.extension,
           e.scope in ('unit', 'transitive') as finds_persons
    from unnest(%(exact_n)s::int[], %(exact_positions)s::int[], %(canonicals)s::text[], %(plan_groups)s::bigint[])
         as k (n, position, canonical, plan_group)
    join numbering_indexentry e on e.canonical = k.canonical
    where e.customer_group_id = any ((select visible from me)::bigint[])
      and (k.plan_group is null or k.plan_group = any ((select visible from me)::bigint[]))
), company as materialized (
    select k.n, 2, k.position, e.id, e.contact_id, e.field, e.extension, false
    from unnest(%(block_n)s::int[], %(block_positions)s::int[], %(blocks)s::text[], %(block_plan_groups)s::bigint[])
         as k (n, position, block, plan_group)
    join numbering_indexentry e on e.block = k.block and e.block <> ''
    where e.customer_group_id = any ((select visible from me)::bigint[])
      and (k.plan_group is null or k.plan_group = any ((select visible from me)::bigint[]))
      and k.n not in (select n from exact)
), matches as (
    select * from exact
    union all
    select * from company
    union all
    select k.n, 3, k.position, e.id, e.contact_id, e.field, e.extension, e.scope in ('unit', 'transitive')
    from unnest(%(tail_n)s::int[], %(tail_positions)s::int[], %(endings)s::text[]) as k (n, position, ending)
    join numbering_indexentry e on e.tail = right(k.ending, {TAIL_LENGTH}) and e.tail <> ''
     -- The longer of the two ends with the shorter.
     and right(e.canonical, length(k.ending)) = right(k.ending, length(e.canonical))
    where e.customer_group_id = any ((select visible from me)::bigint[])
      and k.n not in (select n from exact) and k.n not in (select n from company)
), listed as (
    select m.n, m.tier, m.position, m.id as entry_id, m.contact_id, m.field, m.extension, c.id, c.kind,
           coalesce(c.names -> (select language from me) ->> 'details', c.name_details) as name_details,
           coalesce(c.names -> (select language from me) ->> 'list', c.name_list) as name_list,
           c.customer_group_id, company.id as company_id,
           coalesce(company.names -> (select language from me) ->> 'default', company.name) as company_name,
           c.external_id
    from matches m
    join contacts_contact c on c.id = m.contact_id
      or m.finds_persons and c.company_id = m.contact_id and c.is_active
         and c.customer_group_id = any ((select visible from me)::bigint[])
    left join contacts_contact company on company.id = c.company_id
)"""  # noqa: S608 (constants only)
# The best key's hits first; of them persons, companies, and the persons that a company brings.
_ORDER = "position, id <> contact_id, kind desc, name_list, id, entry_id"
# Alone, a number is listed in a step less than among others, each of which has a limit of its own.
_FIRST_ROWS = f"(select * from listed order by {_ORDER} limit {MAX_ROWS})"  # noqa: S608 (constants only)
_FIRST_ROWS_OF_EACH = f"""(
    select *
    from (select *, row_number() over (partition by n order by {_ORDER}) as row from listed) as numbered
    where row <= {MAX_ROWS}
    order by n, row
)"""  # noqa: S608 (constants only)
_ANSWER = """
select (select number from properties_configurationversion where id = 1),
       me.id, me.language, me.is_touch_due, me.can_create, me.visible, me.case_groups,
       {hits}
from (select) as one
left join me on true"""
_HITS = """(
    select json_agg(json_build_array(n, tier, position, id, kind, name_details, name_list, customer_group_id,
                                     company_id, company_name, external_id, field, nullif(extension, '')))::text
    from {rows} as first_rows
)"""


def _number_parameters(statement: str) -> tuple[str, tuple[str, ...]]:
    """Return the statement with its parameters as PostgreSQL itself writes them, `$1`, and their names in order."""
    names = tuple(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
    return re.sub(r"%\((\w+)\)s", lambda match: f"${names.index(match[1]) + 1}", statement), names


_ASKS = {
    SessionToken: f"with me as materialized ({_ASKS_BY_SESSION})",
    KeyHash: f"with me as materialized ({_ASKS_BY_KEY})",
    KnownUser: f"with me as materialized ({_ASKS_BY_ID})",
}
_FIND_CALLERS, _FIND_CALLERS_OF_MANY = (
    {
        type_: _number_parameters(who + _LISTED + _ANSWER.format(hits=_HITS.format(rows=rows)))
        for type_, who in _ASKS.items()
    }
    for rows in (_FIRST_ROWS, _FIRST_ROWS_OF_EACH)
)
# Where there is nothing to search for, as of a withheld number.
_FIND_NOBODY = {type_: _number_parameters(who + _ANSWER.format(hits="null")) for type_, who in _ASKS.items()}


@dataclass(frozen=True, slots=True)
class Tiers:
    """Which tiers are tried after `exact`."""

    company: bool = True
    tail: bool = True


ALL_TIERS = Tiers()

# The number's place, the key's place among those of the number, the key itself (digits), and whose plan made it.
_Key = tuple[int, int, str, str]


def find_callers(
    *,
    who: SessionToken | KeyHash | KnownUser,
    numbers: Sequence[Sequence[Reading]],
    site: Plan,
    tiers: Tiers = ALL_TIERS,
) -> Search:
    """Return the contacts that have each number, of those who asks may view; one statement for all numbers.

    Of a number, its readings, best first.  The contacts of the best tier count, in it those of the first reading
    that has any.  A person comes before a company, then the persons of a company whose field brings them.
    """
    keys = _Keys()
    for n, readings in enumerate(numbers):
        keys.add(n, readings, site, tiers)
    parameters: dict[str, Any] = dict(keys.make_parameters())
    match who:
        case SessionToken():
            parameters |= {"token_hash": who.token_hash, "timeout": who.timeout, "touch_after": who.touch_after}
        case KeyHash():
            parameters |= {"key_hash": who.key_hash, "touch_after": who.touch_after}
        case KnownUser():
            parameters["user_id"] = who.user_id
    find = _FIND_NOBODY if not keys else _FIND_CALLERS if len(numbers) == 1 else _FIND_CALLERS_OF_MANY
    statement, names = find[type(who)]
    with prepared_cursor() as cursor:
        cursor.execute(statement, [parameters[name] for name in names])
        version, user_id, language, is_touch_due, can_create, visible, cases, listed = cursor.fetchone()
    rows: list[list[list[Any]]] = [[] for _ in numbers]
    for n, *row in orjson.loads(listed) if listed else ():
        rows[n].append(row)
    return Search(
        version=str(version or 0),
        user_id=user_id,
        language=language or "",
        is_touch_due=bool(is_touch_due),
        can_create=bool(can_create),
        visible_groups=frozenset(visible or ()),
        case_groups=frozenset(cases or ()),
        found=tuple(_read_rows(of_number, readings) for of_number, readings in zip(rows, numbers, strict=True)),
    )


class _Keys:
    """What the statement searches for, as the arrays that it takes."""

    def __init__(self) -> None:
        self._exact: list[_Key] = []
        self._blocks: list[_Key] = []
        self._tails: list[_Key] = []

    def __bool__(self) -> bool:
        return bool(self._exact)

    def add(self, n: int, readings: Sequence[Reading], site: Plan, tiers: Tiers) -> None:
        """Add the keys of the number `n`."""
        for i, reading in enumerate(readings):
            if not reading.canonical:
                continue
            plan_group = reading.plan_key or "null"
            self._exact.append((n, i, reading.canonical, plan_group))
            if tiers.company and reading.kind == "public" and reading.possible:
                self._blocks += [(n, *key, plan_group) for key in _list_blocks(i, reading.canonical)]
        if tiers.tail:
            self._tails += [(n, i, ending, "null") for i, ending in enumerate(list_endings(readings, site))]

    def make_parameters(self) -> dict[str, str]:
        """Return the arrays as PostgreSQL writes them: in their parts there is nothing to quote, and a driver that
        looks for that costs more than the statement's own reading of them.
        """
        parameters = {}
        for keys, names in (
            (self._exact, ("exact_n", "exact_positions", "canonicals", "plan_groups")),
            (self._blocks, ("block_n", "block_positions", "blocks", "block_plan_groups")),
            (self._tails, ("tail_n", "tail_positions", "endings")),
        ):
            columns = zip(*keys, strict=True) if keys else repeat(())
            for name, column in zip(names, columns, strict=False):
                parameters[name] = f"{{{','.join(map(str, column))}}}"
        return parameters


def _list_blocks(i: int, canonical: str) -> Iterator[tuple[int, str]]:
    """Yield what may be a company's line in front of an extension, longest first, of the reading `i`."""
    for length in range(1, min(LONGEST_INTERNAL, len(canonical) - TAIL_LENGTH + 1) + 1):
        yield i * (LONGEST_INTERNAL + 1) + length, canonical[:-length]


def _read_rows(rows: Sequence[list[Any]], readings: Sequence[Reading]) -> Found:
    if not rows:
        withheld = any(reading.kind == "withheld" for reading in readings)
        return Found("withheld" if withheld else "none", None, (), more=False)
    tier, position, *_ = rows[0]
    # Each contact once, for the first of its fields, and for a number of its own rather than its company's.
    best: dict[int, list[Any]] = {}
    for row_tier, row_position, *hit in rows:
        if (row_tier, row_position) == (tier, position):
            best.setdefault(hit[0], hit)
    reading: int | None = position
    match = _matches[tier]
    if match == "company":
        reading, length = divmod(position, LONGEST_INTERNAL + 1)
        for hit in best.values():
            hit[-1] = readings[reading].canonical[-length:]
    elif match == "tail":
        reading = None
    hits = tuple(Hit(*hit) for hit in best.values())
    # Rows that were cut off may have been those of more contacts.
    return Found(match, reading, hits[:MAX_HITS], more=len(hits) > MAX_HITS or len(rows) >= MAX_ROWS)
