"""Reads what streams tell: events, for all users at once, and calls as their users may see them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.utils import translation

from cmphone.api.calls import describe_calls as answer_calls
from cmphone.calls.selectors import SHOWN, list_calls
from cmphone.contacts.models import User
from cmphone.streams.stream import EVENTS_AT_ONCE, Versions


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a call, for one user: one number of his after the other."""

    user_id: int
    number: int
    kind: str
    at: datetime
    call_id: int


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
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select w.user_id, e.number, e.kind, e.at, e.call_id
            from unnest(%s::bigint[], %s::bigint[]) as w (user_id, after)
            cross join lateral (
                select number, kind, at, call_id from calls_callevent
                where user_id = w.user_id and number > w.after order by number limit %s
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


def describe_calls(user_id: int, ids: Collection[int], base_url: str) -> dict[int, dict[str, object]]:
    """Return these calls as the REST API answers them to this user now; those that he may not see are left out."""
    user = User.objects.filter(pk=user_id).first()
    if user is None:
        return {}
    with translation.override(user.language):
        calls = list(list_calls(user).filter(pk__in=ids).select_related(*SHOWN))
        described = answer_calls(calls, user, base_url=base_url)
    return {call.pk: answer for call, answer in zip(calls, described, strict=True)}
