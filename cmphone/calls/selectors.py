"""Reads calls.  Who asks comes first; a call that is not his to see is not there.

A user sees the calls that he reported, and the incoming ones of his lines: these are his own, which he may change.
Those of others he sees, and no more, where one of his roles may see the calls of one of theirs.  A superuser sees all.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.db import connection
from django.db.models import Case, Q, QuerySet, Value, When
from django.utils.translation import gettext as _

from cmphone.calls.models import Call, Direction
from cmphone.calls.rows import SHOWN, find_report
from cmphone.contacts.models import User
from cmphone.problems import NotFound

Whose = Literal["all", "own", "team"]
_call_id = re.compile("[!-~]{1,200}", re.ASCII)

_READ_REACH = """
with team as (
    select distinct member.user_id
    from contacts_user_groups mine
    join calls_callright r on r.role_id = mine.group_id
    join contacts_user_groups member on member.group_id = r.seen_role_id
    where mine.user_id = %(user)s
)
select array(select line.name
             from calls_line line
             join calls_line_users member on member.line_id = line.id
             where member.user_id = %(user)s),
       array(select user_id from team),
       array(select distinct line.name
             from calls_line line
             join calls_line_users member on member.line_id = line.id
             where member.user_id in (select user_id from team))
"""


@dataclass(frozen=True, slots=True)
class _Reach:
    """Whose calls a user sees: those of his lines, and of the team, users (ids) and lines, that his roles give him."""

    lines: Sequence[str]
    team: Sequence[int]
    team_lines: Sequence[str]


def list_calls(
    user: User,
    *,
    whose: Whose = "all",
    missed: bool | None = None,
    done: bool | None = None,
    direction: str | None = None,
    line: str | None = None,
    since: datetime | None = None,
) -> QuerySet[Call]:
    """Return the calls that the user may see, newest first; `is_own` says of each whether he may change it.

    None: whatever it is.  `since`: those that began then or later.
    """
    calls = _limit(Call.objects.all(), user, whose)
    if missed is not None:
        calls = calls.filter(is_missed=missed)
    if done is not None:
        calls = calls.filter(done_at__isnull=not done)
    if direction is not None:
        calls = calls.filter(direction=direction)
    if line is not None:
        calls = calls.filter(line=line)
    if since is not None:
        calls = calls.filter(started_at__gte=since)
    return calls


def get_call(user: User, call_id: str) -> Call:
    """Return the call of this id that the user may see, and of several the one that he reported, else the newest.

    Raises NotFound.
    """
    own = find_report(user, call_id, lock=False) if is_call_id(call_id) else None
    return own or _find(user, call_id, Call.objects.select_related(*SHOWN))


def hold_call(user: User, call_id: str, reporter_id: int | None = None) -> Call:
    """Return the same, locked until the transaction ends; None: whoever reported it.  Raises NotFound."""
    is_own = reporter_id in {None, user.pk} and is_call_id(call_id)
    own = find_report(user, call_id, lock=True) if is_own else None
    if own is not None:
        return own
    calls = Call.objects.select_related(*SHOWN).select_for_update(of=("self",))
    return _find(user, call_id, calls if reporter_id is None else calls.filter(reporter=reporter_id))


def _find(user: User, call_id: str, calls: QuerySet[Call]) -> Call:
    call = _limit(calls, user).filter(call_id=call_id).first() if is_call_id(call_id) else None
    if call is not None:
        return call
    raise NotFound(_("There is no such call. Report it first, with POST /api/v1/calls."))


def is_call_id(text: str) -> bool:
    """Say whether a call may have this id."""
    return _call_id.fullmatch(text) is not None


def _limit(calls: QuerySet[Call], user: User, whose: Whose = "all") -> QuerySet[Call]:
    """Return those of the calls that the user may see, the newest first, with what `is_own` says."""
    if not user.is_active:
        return calls.none()
    # Read before and not as part of the statement: with plain values PostgreSQL has an index for each of them.
    reach = _read_reach(user)
    own = Q(reporter=user) | _came_in_on(reach.lines)
    calls = calls.annotate(is_own=Case(When(own, then=Value(True)), default=Value(False)))  # type: ignore[no-redef]
    team = Q(reporter__in=reach.team) | _came_in_on(reach.team_lines)
    if whose == "own":
        calls = calls.filter(own)
    elif not user.is_superuser:
        # Without a team there is none of a team: to say `own or team, and not own` would read all calls to find that.
        calls = calls.filter(team if whose == "team" else own | team)
    if whose == "team":
        calls = calls.exclude(own)
    return calls.order_by("-started_at", "-id")


def _read_reach(user: User) -> _Reach:
    with connection.cursor() as cursor:
        cursor.execute(_READ_REACH, {"user": user.pk})
        return _Reach(*cursor.fetchone())


def _came_in_on(lines: Sequence[str]) -> Q:
    return Q(direction=Direction.INCOMING, line__in=lines)
