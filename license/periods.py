"""Periods of whole hours or days where the site is.  Pure: no Django, no clock.

Every moment here is in UTC.  Python subtracts two moments of one zone by what the clocks there say, and is an hour
off where daylight saving begins or ends between them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Unit(StrEnum):
    """A stretch of time that a calendar knows."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


@dataclass(frozen=True)
class Period:
    """From `begins_at` up to, and without, `ends_at`.  Its days are those of `zone`."""

    begins_at: datetime
    ends_at: datetime
    zone: ZoneInfo

    @property
    def length(self) -> timedelta:
        return self.ends_at - self.begins_at

    @property
    def first_day(self) -> date:
        return self.begins_at.astimezone(self.zone).date()

    @property
    def last_day(self) -> date:
        return (self.ends_at - timedelta.resolution).astimezone(self.zone).date()

    def days(self) -> Iterator[date]:
        """Yield every day that has a part in it."""
        day = self.first_day
        while day <= self.last_day:
            yield day
            day += DAY


def last_hours(count: int, *, now: datetime, zone: ZoneInfo) -> Period:
    """Return the hour under way and those before it.  Hours begin where those of UTC do."""
    ends_at = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + HOUR
    return Period(ends_at - count * HOUR, ends_at, zone)


def last_days(count: int, *, today: date, zone: ZoneInfo) -> Period:
    """Return all of today and of the days before it."""
    return between(today - (count - 1) * DAY, today, zone)


def last_year(*, today: date, zone: ZoneInfo) -> Period:
    """Return the twelve months that end with today."""
    try:
        before = today.replace(year=today.year - 1)
    except ValueError:
        # The 29th of February.
        before = today.replace(year=today.year - 1, day=28)
    return between(before + DAY, today, zone)


def between(first: date, last: date, zone: ZoneInfo) -> Period:
    """Return the days from `first` to `last`, both of them whole: 23 to 25 hours each."""
    return Period(begin_of(first, zone), begin_of(last + DAY, zone), zone)


def begin_of(day: date, zone: ZoneInfo, hour: int = 0) -> datetime:
    """Return the moment at which the clocks of `zone` show this day and hour, for the first time."""
    return datetime.combine(day, time(hour), zone).astimezone(UTC)


def stretch_around(moment: datetime, unit: Unit, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return begin and end of the day or the month that this moment is in; of an hour, that it begins."""
    day = moment.astimezone(zone).date()
    match unit:
        case Unit.HOUR:
            return moment, moment + HOUR
        case Unit.DAY:
            return begin_of(day, zone), begin_of(day + DAY, zone)
        case Unit.MONTH:
            first = day.replace(day=1)
            # Wherever in the month after, its first day is found.
            return begin_of(first, zone), begin_of((first + 32 * DAY).replace(day=1), zone)
        case _:
            raise ValueError(unit)
