"""Turns the use of a pool into the geometry of a picture.  Pure: no Django, no text, no colour.

Every place is in percent of the picture's width, from the left, or of a panel's height, from the top, as SVG counts.
So the picture can be as wide as the window while its letters keep their size.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count, groupby
from zoneinfo import ZoneInfo

from license.periods import DAY, HOUR, Period, Unit, begin_of, stretch_around

Lengths = tuple[timedelta, timedelta]

# Up to which length of the period a point stands for an hour, and up to which for a day; after that for a month.
# It bounds the number of points by about 770.
POINTS: Lengths = (32 * DAY, 740 * DAY)
# Marks are wider than points.
MARKS: Lengths = (8 * DAY, 100 * DAY)

TICKS_AT_MOST = 5
# Two counts closer than this would be written over each other.
LABELS_APART = 3
WARNING_SHARE = 0.9


@dataclass(frozen=True)
class Usage:
    """How a pool was used from one moment to another.  `peak` may be above `licensed`: after a smaller licence."""

    begins_at: datetime
    ends_at: datetime
    licensed: int
    peak: int
    claims: int
    refused: int


@dataclass(frozen=True)
class Scale:
    """Counts from 0, at the bottom of a panel, to `top`, in steps of `step`."""

    top: int
    step: int

    def place(self, number: float) -> float:
        return _percent(1 - number / self.top)

    @property
    def ticks(self) -> list[tuple[int, float]]:
        """Numbers and their places."""
        return [(number, self.place(number)) for number in range(0, self.top + 1, self.step)]


@dataclass(frozen=True)
class Tick:
    """A line where a `unit` begins, the largest that does so."""

    x: float
    at: datetime
    unit: Unit


@dataclass(frozen=True)
class Point:
    """The use in one stretch of time, which goes from `left` to `right`."""

    left: float
    right: float
    usage: Usage

    @property
    def width(self) -> float:
        return round(self.right - self.left, 3)


@dataclass(frozen=True)
class Refusals:
    """A mark: how many clients were refused in a stretch of time.  It has its number beside it where that has room."""

    x: float
    y: float
    count: int
    has_label: bool


@dataclass(frozen=True)
class Chart:
    """The whole picture.  Peaks are an area, licences and their warning lines; each has a gap where nothing is known.

    An area or a line is the `d` of an SVG path.
    """

    unit: Unit
    points: Sequence[Point]
    seats: Scale
    peak_area: str
    licensed_line: str
    warning_line: str
    refused: Scale
    refusals: Sequence[Refusals]
    refusals_unit: Unit
    ticks: Sequence[Tick]


def draw_chart(hours: Iterable[Usage], period: Period) -> Chart | None:
    """Return the picture of these hours, which are in order.  None: there are none."""
    unit, refusals_unit = choose_unit(period, POINTS), choose_unit(period, MARKS)
    usages = merge_hours(hours, unit, period.zone)
    if not usages:
        return None
    points = _place_all(usages, period)
    seats = make_scale(max(max(each.peak, each.licensed) for each in usages))
    refusing = [each for each in merge_hours(usages, refusals_unit, period.zone) if each.refused]
    refused = make_scale(max((each.refused for each in refusing), default=0), ticks_at_most=1)
    return Chart(
        unit=unit,
        points=points,
        seats=seats,
        peak_area=_trace(points, lambda usage: seats.place(usage.peak), is_area=True),
        licensed_line=_trace(points, lambda usage: seats.place(usage.licensed)),
        warning_line=_trace(points, lambda usage: seats.place(usage.licensed * WARNING_SHARE)),
        refused=refused,
        refusals=_mark_refusals(_place_all(refusing, period), refused),
        refusals_unit=refusals_unit,
        ticks=list_ticks(period),
    )


def choose_unit(period: Period, lengths: Lengths) -> Unit:
    """Return hour, day or month."""
    hours_up_to, days_up_to = lengths
    if period.length <= hours_up_to:
        return Unit.HOUR
    return Unit.DAY if period.length <= days_up_to else Unit.MONTH


def merge_hours(hours: Iterable[Usage], unit: Unit, zone: ZoneInfo) -> list[Usage]:
    """Return one use for each `unit` that has an hour: the highest peak, the last number of licences, and sums."""
    merged = []
    by_stretch = groupby(hours, key=lambda hour: stretch_around(hour.begins_at, unit, zone))
    for (begins_at, ends_at), group in by_stretch:
        of_stretch = list(group)
        merged.append(
            Usage(
                begins_at=begins_at,
                ends_at=ends_at,
                licensed=of_stretch[-1].licensed,
                peak=max(each.peak for each in of_stretch),
                claims=sum(each.claims for each in of_stretch),
                refused=sum(each.refused for each in of_stretch),
            )
        )
    return merged


def make_scale(highest: int, *, ticks_at_most: int = TICKS_AT_MOST) -> Scale:
    """Return the smallest scale for numbers up to `highest` whose step is 1, 2 or 5, or one of these by powers of 10.

    `ticks_at_most` does not count the one at 0.
    """
    steps = (factor * 10**power for power in count() for factor in (1, 2, 5))
    step = next(step for step in steps if step * ticks_at_most >= highest)
    return Scale(top=max(1, -(-highest // step)) * step, step=step)


def list_ticks(period: Period) -> list[Tick]:
    """Return the lines of a period: hours, days, weeks, months or years, so that at most about 14 are written."""
    length = period.length
    if length <= 3 * DAY:
        step = 3 if length <= 30 * HOUR else 6
        moments = {(day, hour): Unit.HOUR if hour else Unit.DAY for day in period.days() for hour in range(0, 24, step)}
    elif length <= 15 * DAY:
        moments = {(day, 0): Unit.DAY for day in period.days()}
    elif length <= 100 * DAY:
        moments = {(day, 0): Unit.WEEK for day in period.days() if day.isoweekday() == 1}
    else:
        # In a longer period, every second month, every third and so on.
        step = next(step for step in (1, 2, 3, 6, 12) if step == 12 or length <= step * timedelta(days=400))
        unit = Unit.YEAR if step == 12 else Unit.MONTH
        moments = {(day, 0): unit for day in period.days() if day.day == 1 and (day.month - 1) % step == 0}
    ticks = ((begin_of(day, period.zone, hour), unit) for (day, hour), unit in moments.items())
    return [Tick(_place(at, period), at, unit) for at, unit in ticks if period.begins_at <= at < period.ends_at]


def _place(at: datetime, period: Period) -> float:
    """Return where a moment is; outside of the period, at its edge."""
    return _percent(min(1, max(0, (at - period.begins_at) / period.length)))


def _place_all(usages: Sequence[Usage], period: Period) -> list[Point]:
    return [Point(_place(each.begins_at, period), _place(each.ends_at, period), each) for each in usages]


def _percent(share: float) -> float:
    return round(100 * share, 3)


def _trace(points: Sequence[Point], level: Callable[[Usage], float], *, is_area: bool = False) -> str:
    """Return the steps through these points as a path, lifting the pen over gaps."""
    path = []
    for run in _find_runs(points):
        steps = "".join(f"V{level(point.usage):g}H{point.right:g}" for point in run)
        start = 100 if is_area else level(run[0].usage)
        path.append(f"M{run[0].left:g} {start:g}{steps}{'V100Z' if is_area else ''}")
    return "".join(path)


def _find_runs(points: Sequence[Point]) -> list[list[Point]]:
    """Return the points in runs without a gap."""
    runs: list[list[Point]] = []
    for point in points:
        if runs and runs[-1][-1].usage.ends_at == point.usage.begins_at:
            runs[-1].append(point)
        else:
            runs.append([point])
    return runs


def _mark_refusals(points: Sequence[Point], scale: Scale) -> list[Refusals]:
    places = [(_percent((point.left + point.right) / 200), point.usage.refused) for point in points]
    labelled: set[float] = set()
    # Where it is narrow, the highest keep their numbers.
    for x, _ in sorted(places, key=lambda place: -place[1]):
        if all(abs(x - other) >= LABELS_APART for other in labelled):
            labelled.add(x)
    return [Refusals(x, scale.place(refused), refused, x in labelled) for x, refused in places]
