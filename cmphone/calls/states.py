"""What is true of a call, by the reports of its states.  Pure: no Django, no database, no clock.

Reports come late, doubled, out of order, or never.  So each only adds to what is known, and of two that contradict each
other the earlier time counts: whatever the order of the same reports, the call is the same in the end.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

State = Literal["ringing", "answered", "ended"]

# A call that is reported so long afterwards, or earlier by a clock that is wrong, began when it was reported.
EARLIEST = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a call: `started_at` ≤ `answered_at` ≤ `ended_at`, None what nobody has reported.

    `is_end_assumed`: nobody reported the end, it is only that nothing was heard for too long.
    """

    started_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    is_end_assumed: bool = False

    @property
    def state(self) -> State:
        if self.ended_at is not None:
            return "ended"
        return "ringing" if self.answered_at is None else "answered"

    @property
    def is_unanswered(self) -> bool:
        """Say whether it has ended without anybody having answered."""
        return self.ended_at is not None and self.answered_at is None


@dataclass(frozen=True, slots=True)
class Report:
    """That a call has come to `state` at this time."""

    state: State
    at: datetime


def learn(known: Facts, report: Report) -> Facts:
    """Return what is known after a report.  Repeating it changes nothing."""
    match report.state:
        case "ringing":
            return _order(replace(known, started_at=_earlier(known.started_at, report.at)))
        case "answered":
            if known.answered_at is None and known.is_end_assumed:
                # It had not ended: somebody has just answered.
                known = replace(known, ended_at=None, is_end_assumed=False)
            return _order(replace(known, answered_at=_earlier(known.answered_at, report.at)))
        case "ended":
            ended_at = None if known.is_end_assumed else known.ended_at
            return _order(replace(known, ended_at=_earlier(ended_at, report.at), is_end_assumed=False))


def assume_end(known: Facts, limit: timedelta) -> Facts:
    """Return what is taken for true of a call from which nothing was heard for so long; an end that is known stays."""
    if known.ended_at is not None or known.started_at is None:
        return known
    return replace(known, ended_at=(known.answered_at or known.started_at) + limit, is_end_assumed=True)


def read_clock(at: datetime | None, *, now: datetime) -> datetime:
    """Return the time that counts where a client says `at`, and None where it says nothing.

    What lies in the future by our own clock has not happened later than now, whatever the client's clock says.
    """
    return now if at is None or at > now or at < now - EARLIEST else at


def _order(facts: Facts) -> Facts:
    """Return the facts with no time before that of what came before it: the later report has the better clock."""
    answered_at = facts.answered_at
    if answered_at is not None and not facts.is_end_assumed:
        answered_at = _earliest([answered_at, facts.ended_at])
    started_at = _earliest([facts.started_at, answered_at, facts.ended_at])
    return replace(facts, started_at=started_at, answered_at=answered_at)


def _earlier(known: datetime | None, at: datetime) -> datetime:
    return at if known is None else min(known, at)


def _earliest(times: Iterable[datetime | None]) -> datetime | None:
    return min((time for time in times if time is not None), default=None)
