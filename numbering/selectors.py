"""The search by caller: one statement that knows who asks, what he may see, and who has the number.

It names the tables of other rooms, since a look-up that asked them one after the other would cost several round
trips while a telephone rings.  It reads rights where they are kept, so a change counts from the next call on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, cast

import orjson
import psycopg
from django.db import connection
from django.db.backends.utils import CursorWrapper

from numbering.reading import Reading

MAX_HITS = 50

Match = Literal["exact", "none", "withheld"]


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
    """What the statement saw.  `user_id` is None when the token is nobody's, and then nothing else holds.

    `reading` is the position of the reading that has hits, None without hits.  `more`: there are more than MAX_HITS.
    `version` is that of the configuration the statement saw: readings made under another one do not count.
    """

    version: str
    user_id: int | None
    language: str
    visible_groups: frozenset[int]
    creatable_groups: frozenset[int]
    case_groups: frozenset[int]
    reading: int | None
    hits: tuple[Hit, ...]
    more: bool


# One more than are told shows that there are more.
_FIND_CALLERS = f"""
with me as materialized (
    select s.id as session_id, s.last_seen_at, u.id as user_id, u.is_superuser, u.language
    from license_session s
    join contacts_user u on u.id = s.user_id
    where s.token_hash = %(token_hash)s and s.ended_at is null and u.is_active
      and s.last_seen_at > statement_timestamp() - %(timeout)s
), sign_of_life as (
    -- Every call is one, but a row is written seldom, and never waited for.
    update license_session set last_seen_at = statement_timestamp()
    where id = (
        select s.id from license_session s join me on me.session_id = s.id
        where s.ended_at is null and s.last_seen_at < statement_timestamp() - %(touch_after)s
        for update of s skip locked
    )
), roles as materialized (
    select group_id as role_id from contacts_user_groups where user_id = (select user_id from me)
), rights as materialized (
    select customer_group_id as id, bool_or(can_view) as can_view, bool_or(can_create) as can_create
    from (
        select r.customer_group_id, r.can_view, r.can_create
        from contacts_customergroupright r join roles on roles.role_id = r.role_id
        union all
        select g.id, true, true from contacts_customergroup g join me on me.is_superuser
    ) as every_right
    group by customer_group_id
), visible as materialized (
    select id from rights where can_view
), readings as (
    select *
    from unnest(%(canonicals)s::text[], %(plan_groups)s::text[]::bigint[])
         with ordinality as r (canonical, plan_group, position)
), matches as materialized (
    select r.position, n.id, n.contact_id, n.field, n.scope, n.extension
    from readings r
    join numbering_indexentry n on n.canonical = r.canonical
    where n.customer_group_id in (select id from visible)
      and (r.plan_group is null or r.plan_group in (select id from visible))
), best as materialized (
    select contact_id, bool_or(scope in ('unit', 'transitive')) as finds_persons, min(id) as entry_id
    from matches
    where position = (select min(position) from matches)
    group by contact_id
), found as (
    select c.id, c.kind, 1 + (c.kind = 'company')::int as place, m.field, m.extension
    from best b
    join matches m on m.id = b.entry_id
    join contacts_contact c on c.id = b.contact_id
    union all
    select p.id, p.kind, 3, m.field, m.extension
    from best b
    join matches m on m.id = b.entry_id
    join contacts_contact p on p.company_id = b.contact_id
    where b.finds_persons and p.is_active and p.customer_group_id in (select id from visible)
      and p.id not in (select contact_id from best)
), listed as (
    select f.place, f.field, f.extension, c.id, c.kind, c.name, c.name_details, c.name_list, c.customer_group_id,
           company.id as company_id, company.name as company_name
    from found f
    join contacts_contact c on c.id = f.id
    left join contacts_contact company on company.id = c.company_id
    order by f.place, c.name_list, c.id
    limit {MAX_HITS + 1}
)
select (select number from properties_configurationversion where id = 1),
       (select user_id from me),
       (select language from me),
       (select array_agg(id) from visible),
       (select array_agg(id) from rights where can_create),
       (select array_agg(distinct q.customergroup_id)
        from contacts_queue_customer_groups q
        where (select is_superuser from me)
           or q.queue_id in (select r.queue_id from contacts_queueright r join roles on roles.role_id = r.role_id
                             where r.can_create)),
       (select min(position) - 1 from matches),
       (select json_agg(json_build_array(id, kind, name_details, name_list, customer_group_id, company_id, company_name,
                                         field, nullif(extension, ''))
                        order by place, name_list, id)::text
        from listed)
"""  # noqa: S608


def _prepared_cursor() -> CursorWrapper:
    """Return a cursor with which PostgreSQL keeps the plan of a statement that comes again.

    Planning this statement takes several times as long as running it, and Django's own cursors plan each time.
    """
    connection.ensure_connection()
    cursor = cast(CursorWrapper, psycopg.Cursor(connection.connection))
    return connection.make_debug_cursor(cursor) if connection.queries_logged else connection.make_cursor(cursor)


def find_callers(
    *, token_hash: bytes, readings: Sequence[Reading], timeout: timedelta, touch_after: timedelta
) -> Found:
    """Return the contacts that have the number in the first reading that has any, of those the token's user may view.

    A person comes before a company, then the persons of a company whose field brings them.  A call counts as a sign
    of life, written at most every `touch_after`; a session without one for `timeout` is over.
    """
    searched = [(i, reading) for i, reading in enumerate(readings) if reading.canonical]
    parameters: dict[str, Any] = {
        "token_hash": token_hash,
        "timeout": timeout,
        "touch_after": touch_after,
        "canonicals": [reading.canonical for _, reading in searched],
        "plan_groups": [reading.plan_key or None for _, reading in searched],
    }
    with _prepared_cursor() as cursor:
        cursor.execute(_FIND_CALLERS, parameters)
        version, user_id, language, visible, creatable, cases, position, listed = cursor.fetchone()
    hits = tuple(Hit(*row) for row in orjson.loads(listed)) if listed else ()
    return Found(
        version=str(version or 0),
        user_id=user_id,
        language=language or "",
        visible_groups=frozenset(visible or ()),
        creatable_groups=frozenset(creatable or ()),
        case_groups=frozenset(cases or ()),
        reading=None if position is None else searched[position][0],
        hits=hits[:MAX_HITS],
        more=len(hits) > MAX_HITS,
    )
