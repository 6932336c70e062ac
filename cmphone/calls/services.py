"""Takes what clients report of calls, and what people do about them.

A call is changed while its row is locked, and whoever it concerns has an event of it in the same transaction
(events.py).  What is true of it by the reports is decided in states.py.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cmphone.calls.events import add_event, take_back_missed
from cmphone.calls.models import Call, CallState, Direction, EventKind
from cmphone.calls.rows import add_row, save_times
from cmphone.calls.selectors import hold_call
from cmphone.calls.states import Facts, Report, State, assume_end, learn, read_clock
from cmphone.contacts.callers import look_up
from cmphone.contacts.configuration import get_configuration
from cmphone.contacts.models import User
from cmphone.problems import Conflict, PermissionDenied
from cmphone.properties.registry import ANSWERED_LIMIT, CALL_RETENTION, RINGING_LIMIT
from cmphone.properties.selectors import load_properties
from cmphone.webhooks.models import EventKind as WebhookEvent
from cmphone.webhooks.services import Event, announce
from numbering.dialing import Obstacle
from numbering.reading import read_presented

BATCH = 1000
WITHHELD = "withheld"

_obstacles: dict[Obstacle, str | Promise] = {
    "unreadable": gettext_lazy("It cannot be dialled, as it cannot be read."),
    "withheld": gettext_lazy("There is no number to be dialled."),
    "no-country": gettext_lazy("It cannot be dialled: no country has such a number."),
    "no-international-prefix": gettext_lazy(
        "It cannot be dialled: neither the property international.access.prefix nor the country of the site says how "
        "to call abroad."
    ),
}


# --- what clients report ---


def report_call(
    user: User, *, call_id: str, direction: str, number: str, line: str = "", started_at: datetime | None = None
) -> Call:
    """Take in that a call rings, as presented, and return it; `is_new` says whether it was not known yet.

    Safe to repeat: what is known stays, a number or line that was not is added.  Without `started_at` it began now.
    """
    now = timezone.now()
    call = Call(
        call_id=call_id,
        reporter=user,
        line=line,
        direction=direction,
        **_read_number(number),
        started_at=read_clock(started_at, now=now),
        reported_at=now,
        state=CallState.RINGING,
    )
    with transaction.atomic():
        call.pk = add_row(call)
        call.is_new, call.is_own = call.pk is not None, True
        if call.is_new:
            add_event(call, EventKind.RINGING)
            return call
        known = hold_call(user, call_id)
        _add_what_was_missing(known, call)
        known.is_new = False
        return known


def change_call(
    user: User,
    call_id: str,
    reporter_id: int | None = None,
    *,
    state: State | None = None,
    at: datetime | None = None,
    done: bool | None = None,
) -> Call:
    """Take in that one of the user's calls was answered or has ended, or that somebody has seen to it.

    Without `reporter_id` it is the one that he reported by this id, else the newest.  Safe to repeat.  Without `at` it
    happened now.  Raises NotFound, and PermissionDenied for a call that he only sees.
    """
    now = timezone.now()
    with transaction.atomic():
        call = _hold_own(user, call_id, reporter_id)
        if state is not None:
            _change(call, learn(_read_facts(call), Report(state, read_clock(at, now=now))))
        if done is not None and done != (call.done_at is not None):
            call.done_at, call.done_by = (now, user) if done else (None, None)
            call.save(update_fields=["done_at", "done_by"])
            add_event(call, EventKind.DONE)
    return call


def call_back(user: User, call_id: str, reporter_id: int | None = None) -> str:
    """Return the link that dials the number of one of the user's calls, and keep who called back, the last one.

    Without `reporter_id` it is the one that he reported by this id, else the newest.  Raises NotFound, PermissionDenied
    for a call that he only sees, and Conflict with the member `reason` for a number that cannot be dialled.
    """
    with transaction.atomic():
        call = _hold_own(user, call_id, reporter_id)
        answer = look_up([call.number], who=user)
        dialling = answer.dial(answer.calls[0])
        dial_uri = answer.configuration.make_dial_uri(dialling)
        if dial_uri is None:
            obstacle = dialling.obstacle or "unreadable"
            raise Conflict(str(_obstacles[obstacle]), reason=obstacle)
        call.called_back_at, call.called_back_by = timezone.now(), user
        call.save(update_fields=["called_back_at", "called_back_by"])
        add_event(call, EventKind.CALLED_BACK)
    return dial_uri


# --- what time does ---


def close_overdue_calls() -> int:
    """End calls of which nothing was heard for longer than the limits, and say how many.  Safe to repeat."""
    properties = load_properties()
    limits = {
        CallState.RINGING: timedelta(seconds=int(properties[RINGING_LIMIT])),
        CallState.ANSWERED: timedelta(seconds=int(properties[ANSWERED_LIMIT])),
    }
    now = timezone.now()
    # By our own clock: that of a client may be behind, and its call would end at once.
    overdue = Q(state=CallState.RINGING, reported_at__lte=now - limits[CallState.RINGING]) | Q(
        state=CallState.ANSWERED,
        answered_at__lte=now - limits[CallState.ANSWERED],
        reported_at__lte=now - limits[CallState.ANSWERED],
    )
    closed = 0
    for pk in Call.objects.filter(overdue).order_by("reported_at").values_list("pk", flat=True):
        with transaction.atomic():
            # Of one that somebody works on there is just some news.
            call = Call.objects.select_for_update(skip_locked=True).filter(overdue, pk=pk).first()
            if call is not None:
                _change(call, assume_end(_read_facts(call), limits[CallState(call.state)]))
                closed += 1
    return closed


def remove_old_calls() -> int:
    """Remove the calls that began longer ago than calls.retention.days, with their events, and say how many.

    Safe to repeat.
    """
    days = int(load_properties()[CALL_RETENTION])
    if not days:
        return 0
    old = Call.objects.filter(started_at__lt=timezone.now() - timedelta(days=days)).order_by("started_at")
    removed = 0
    while batch := list(old.values_list("pk", flat=True)[:BATCH]):
        count, _by_kind = Call.objects.filter(pk__in=batch).delete()
        removed += count
    return removed


# --- the row of a call ---


def _read_number(number: str) -> dict[str, str]:
    """Return a number as a call keeps it: as the site reads it, since whoever reads it later may not know the plans
    that its reporter knows.
    """
    reading, *_ = read_presented(number, get_configuration().site, ())
    if reading.kind == WITHHELD:
        return {"number": "", "canonical": "", "kind": WITHHELD}
    return {"number": number, "canonical": reading.canonical, "kind": reading.kind}


def _hold_own(user: User, call_id: str, reporter_id: int | None) -> Call:
    call = hold_call(user, call_id, reporter_id)
    if not call.is_own:
        raise PermissionDenied(_("You may see this call, but not change it."))
    return call


def _add_what_was_missing(known: Call, reported: Call) -> None:
    """Add what a repeated report knows more: telephone systems often present the number only after the first ring."""
    fields = []
    if known.kind == WITHHELD and reported.kind != WITHHELD:
        fields += ["number", "canonical", "kind"]
    if not known.line and reported.line:
        fields.append("line")
    for field in fields:
        setattr(known, field, getattr(reported, field))
    if fields:
        known.save(update_fields=fields)
        if known.state == CallState.RINGING:
            add_event(known, EventKind.RINGING)
    _change(known, learn(_read_facts(known), Report("ringing", reported.started_at)))


def _read_facts(call: Call) -> Facts:
    return Facts(call.started_at, call.answered_at, call.ended_at, call.is_end_assumed)


def _change(call: Call, facts: Facts) -> None:
    """Write what is known of a call, and tell whom it concerns what has become of it."""
    before = _read_facts(call)
    if facts == before:
        return
    was_missed = call.is_missed
    call.started_at = facts.started_at or call.started_at
    call.answered_at, call.ended_at, call.is_end_assumed = facts.answered_at, facts.ended_at, facts.is_end_assumed
    call.state = facts.state
    call.is_missed = call.direction == Direction.INCOMING and facts.is_unanswered
    save_times(call)
    if was_missed and not call.is_missed:
        take_back_missed(call)
    if call.is_missed and not was_missed:
        add_event(call, EventKind.MISSED)
        # Of no customer group: whose number it is depends on who asks.
        announce([Event(WebhookEvent.CALL_MISSED, call.call_id, None)])
    elif facts.answered_at is not None and before.answered_at is None:
        add_event(call, EventKind.ANSWERED)
    elif facts.ended_at is not None and before.ended_at is None:
        add_event(call, EventKind.ENDED)
