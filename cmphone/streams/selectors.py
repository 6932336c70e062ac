"""Reads what streams tell: events, for all users at once, and calls as their users may see them."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db import connection
from django.utils import translation

from cmphone.api.calls import describe_looked_up
from cmphone.calls.rows import list_seen
from cmphone.contacts.callers import look_up_for_each
from cmphone.prepared import prepared_cursor
from cmphone.streams.stream import EVENTS_AT_ONCE, Versions


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a call, for one user: one number of his after the other."""

    user_id: int
    number: int
    kind: str
    at: datetime
    call_id: int


class Reader(NamedTuple):
    """A user at an address of the site, with which the links begin that he is told."""

    user_id: int
    base_url: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the events of a user are, and from which number on they are kept (None: there is none any more)."""

    last: int
    oldest: int | None
    versions: Versions

    def can_resume(self, number: int) -> bool:
        """Say whether all that came after `number` is still there."""
        if number == self.last:
            return True
        return number < self.last and self.oldest is not None and self.oldest <= number + 1


def find_standing(user_id: int) -> Standing:
    """Return where the events of this user stand.  One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select coalesce((select number from calls_callfeed where user_id = %(user)s), 0),
                   (select min(number) from calls_callevent where user_id = %(user)s),
                   (select number from properties_configurationversion where id = 1),
                   (select templates_number from properties_configurationversion where id = 1)
            """,
            {"user": user_id},
        )
        last, oldest, config, templates = cursor.fetchone()
    return Standing(last, oldest, _read_versions(config, templates))


def list_events(after: Mapping[int, int]) -> list[Event]:
    """Return what came for each of these users after his number, in its order; EVENTS_AT_ONCE for each at most.

    One statement.
    """
    with prepared_cursor() as cursor:
        cursor.execute(
            """
            select w.user_id, e.number, e.kind, e.at, e.call_id
            from unnest($1::bigint[], $2::bigint[]) as w (user_id, after)
            cross join lateral (
                select number, kind, at, call_id from calls_callevent
                where user_id = w.user_id and number > w.after order by number limit $3
            ) e
            order by w.user_id, e.number
            """,
            [list(after), list(after.values()), EVENTS_AT_ONCE],
        )
        return [Event(*row) for row in cursor.fetchall()]


def find_versions() -> Versions:
    """Return the versions in force."""
    with connection.cursor() as cursor:
        cursor.execute("select number, templates_number from properties_configurationversion where id = 1")
        return _read_versions(*(cursor.fetchone() or (None, None)))


def _read_versions(config: int | None, templates: int | None) -> Versions:
    return Versions(str(config or 0), str(templates or 0))


def describe_calls(wanted: Mapping[Reader, Collection[int]]) -> dict[Reader, dict[int, dict[str, object]]]:
    """Return these calls (ids) as the REST API answers them to each of these readers now; those that he may not see are
    left out.

    Who may see the same is not asked for anew: the ten of a line cost little more than one.
    """
    ids: defaultdict[int, set[int]] = defaultdict(set)
    for reader, calls in wanted.items():
        ids[reader.user_id].update(calls)
    seen = list_seen(ids)
    answers = look_up_for_each({user_id: {call.number for call in calls} for user_id, calls in seen.items()})
    # By all that makes them differ.
    described: dict[tuple[int, str, int, bool], dict[str, object]] = {}
    told: dict[Reader, dict[int, dict[str, object]]] = {reader: {} for reader in wanted}
    for reader, calls in wanted.items():
        answer = answers.get(reader.user_id)
        if answer is None:
            continue
        for call in seen[reader.user_id]:
            if call.pk not in calls:
                continue
            key = id(answer), reader.base_url, call.pk, call.is_own
            if key not in described:
                with translation.override(answer.search.language):
                    caller = answer.find(call.number)
                    described[key] = describe_looked_up(call, answer, caller, base_url=reader.base_url)
            told[reader][call.pk] = described[key]
    return told
