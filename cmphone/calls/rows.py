"""The rows of calls, by statements that PostgreSQL keeps the plan of: for one call that is reported or changed, Django
would take longer to build them than all else takes.

Whose call is whose is decided here for many users at once, by the rules that selectors.py has for one.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from itertools import islice
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, models

from cmphone.calls.models import Call
from cmphone.contacts.models import User
from cmphone.prepared import prepared_cursor

M = TypeVar("M", bound=models.Model)

# What an answer tells of a call beside its own columns.
SHOWN = ("reporter", "done_by", "called_back_by")
# Of a user, what he is called by; whatever else somebody wants to know of him is read then.
_NAMES = ("id", "username", "first_name", "last_name")

_ADD = """
insert into calls_call (call_id, reporter_id, line, direction, number, canonical, kind, started_at, reported_at, state,
                        is_missed, is_end_assumed)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'ringing', false, false)
on conflict (call_id, reporter_id) do nothing
returning id
"""
_ADDED = ("call_id", "reporter_id", "line", "direction", "number", "canonical", "kind", "started_at", "reported_at")

_SAVE_TIMES = """
update calls_call
set started_at = $2, answered_at = $3, ended_at = $4, is_end_assumed = $5, state = $6, is_missed = $7
where id = $1
"""
_TIMES = ("started_at", "answered_at", "ended_at", "is_end_assumed", "state", "is_missed")

# The rules are those of selectors.py.  `offset 0`: each is looked for by an index, where PostgreSQL would first gather
# what there is for all users.
_SEEN = """
join (
    select w.user_id, w.call_id, own.is_own
    from unnest($1::bigint[], $2::bigint[]) as w (user_id, call_id)
    join contacts_user u on u.id = w.user_id and u.is_active
    join calls_call c on c.id = w.call_id
    cross join lateral (
        select coalesce(c.reporter_id = u.id, false) or c.direction = 'incoming' and exists (
            select from calls_line line
            join calls_line_users answering on answering.line_id = line.id
            where line.name = c.line and answering.user_id = u.id
            offset 0
        ) as is_own
    ) own
    where own.is_own or u.is_superuser or exists (
        select from contacts_user_groups mine
        join calls_callright r on r.role_id = mine.group_id
        join contacts_user_groups member on member.group_id = r.seen_role_id
        where mine.user_id = u.id and (
            member.user_id = c.reporter_id
            or c.direction = 'incoming' and exists (
                select from calls_line line
                join calls_line_users answering on answering.line_id = line.id
                where line.name = c.line and answering.user_id = member.user_id
                offset 0
            )
        )
        offset 0
    )
) seen on seen.call_id = call.id
"""


def add_row(call: Call) -> int | None:
    """Write a new call that rings, and return its id; None: the reporter has one of this call id."""
    with prepared_cursor() as cursor:
        cursor.execute(_ADD, [getattr(call, name) for name in _ADDED])
        row = cursor.fetchone()
    return None if row is None else int(row[0])


def save_times(call: Call) -> None:
    """Write how far a call has come, whose row is locked."""
    with prepared_cursor() as cursor:
        cursor.execute(_SAVE_TIMES, [call.pk, *(getattr(call, name) for name in _TIMES)])


def find_report(user: User, call_id: str, *, lock: bool) -> Call | None:
    """Return the call that the user reported by this id, with who has done what; locked, if wanted, until the
    transaction ends.
    """
    with prepared_cursor() as cursor:
        cursor.execute(_find_report_sql(lock=lock), [call_id, user.pk])
        row = cursor.fetchone()
    if row is None:
        return None
    call = _read(iter(row))
    call.is_own = True
    return call


def list_seen(wanted: Mapping[int, Collection[int]]) -> dict[int, list[Call]]:
    """Return by each of these users (ids) those of his calls (ids) that he may see now, with who has done what and
    `is_own`.  One statement.
    """
    pairs = [(user_id, call_id) for user_id, calls in wanted.items() for call_id in calls]
    seen: dict[int, list[Call]] = defaultdict(list)
    with prepared_cursor() as cursor:
        cursor.execute(_list_seen_sql(), [[user_id for user_id, _ in pairs], [call_id for _, call_id in pairs]])
        for user_id, is_own, *row in cursor.fetchall():
            call = _read(iter(row))
            call.is_own = is_own
            seen[user_id].append(call)
    return seen


@cache
def _find_report_sql(*, lock: bool) -> str:
    return f"select {_columns()} {_from()} where call.call_id = $1 and call.reporter_id = $2" + (
        " for update of call" if lock else ""
    )


@cache
def _list_seen_sql() -> str:
    return f"select seen.user_id, seen.is_own, {_columns()} {_from()} {_SEEN}"


def _columns() -> str:
    own = [f"call.{field.column}" for field in Call._meta.concrete_fields]
    return ", ".join([*own, *(f"{who}.{name}" for who in SHOWN for name in _NAMES)])


def _from() -> str:
    joins = (f"left join {User._meta.db_table} {who} on {who}.id = call.{who}_id" for who in SHOWN)
    return f"from {Call._meta.db_table} call {' '.join(joins)}"


def _read(values: Iterator[Any]) -> Call:
    call = _take(Call, [field.attname for field in Call._meta.concrete_fields], values)
    for who in SHOWN:
        user = _take(User, _NAMES, values)
        setattr(call, who, user if user.pk is not None else None)
    return call


def _take(model: type[M], names: Collection[str], values: Iterator[Any]) -> M:
    return model.from_db(DEFAULT_DB_ALIAS, names, list(islice(values, len(names))))
