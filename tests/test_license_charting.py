"""The picture of use over time: where what is drawn, and what is one point of it."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from license.charting import Chart, Refusals, Scale, Usage, draw_chart, list_ticks, make_scale
from license.periods import HOUR, Period, Unit, between, last_days, last_hours, last_year

BERLIN = ZoneInfo("Europe/Berlin")
# Ten hours: each is a tenth of the width.
BEGIN = datetime(2026, 11, 24, 8, tzinfo=UTC)
TEN_HOURS = Period(BEGIN, BEGIN + 10 * HOUR, BERLIN)
DAYLIGHT_SAVING_BEGINS, DAYLIGHT_SAVING_ENDS = date(2026, 3, 29), date(2026, 10, 25)


def make_hour(number: int, peak: int = 0, licensed: int = 10, refused: int = 0, claims: int = 0) -> Usage:
    """The hour of this number after BEGIN."""
    begins_at = BEGIN + number * HOUR
    return Usage(begins_at, begins_at + HOUR, licensed=licensed, peak=peak, claims=claims, refused=refused)


def draw(hours: list[Usage], period: Period = TEN_HOURS) -> Chart:
    chart = draw_chart(hours, period)
    assert chart is not None
    return chart


def make_hours(period: Period, **values: int) -> list[Usage]:
    """Every hour of the period, all the same."""
    counts = {"licensed": 10, "peak": 5, "claims": 1, "refused": 0, **values}
    hours = []
    begins_at = period.begins_at
    while begins_at < period.ends_at:
        hours.append(Usage(begins_at, begins_at + HOUR, **counts))
        begins_at += HOUR
    return hours


# --- what is drawn ---


def test_a_known_case_is_drawn_to_scale() -> None:
    chart = draw([make_hour(0, peak=2), make_hour(1, peak=10), make_hour(2, peak=5)])
    assert chart.seats == Scale(top=10, step=2)
    assert chart.seats.ticks == [(0, 100), (2, 80), (4, 60), (6, 40), (8, 20), (10, 0)]
    assert [(point.left, point.right, point.width) for point in chart.points] == [
        (0, 10, 10),
        (10, 20, 10),
        (20, 30, 10),
    ]
    assert chart.peak_area == "M0 100V80H10V0H20V50H30V100Z"
    assert chart.licensed_line == "M0 0V0H10V0H20V0H30"
    assert chart.warning_line == "M0 10V10H10V10H20V10H30"


def test_hours_without_figures_are_a_gap_in_area_and_lines() -> None:
    chart = draw([make_hour(0, peak=5), make_hour(3, peak=10)])
    assert chart.peak_area == "M0 100V50H10V100ZM30 100V0H40V100Z"
    assert chart.licensed_line == "M0 0V0H10M30 0V0H40"
    assert chart.warning_line == "M0 10V10H10M30 10V10H40"


def test_an_hour_in_which_nobody_had_a_seat_is_no_gap() -> None:
    chart = draw([make_hour(0, peak=5), make_hour(1, peak=0), make_hour(2, peak=5)])
    assert chart.peak_area == "M0 100V50H10V100H20V50H30V100Z"


def test_a_changed_licence_is_a_step_and_a_peak_above_it_stays() -> None:
    chart = draw([make_hour(0, peak=20, licensed=20), make_hour(1, peak=20, licensed=10)])
    assert chart.seats == Scale(top=20, step=5)
    assert chart.licensed_line == "M0 0V0H10V50H20"
    assert chart.peak_area == "M0 100V0H10V0H20V100Z"


def test_without_licences_and_seats_everything_is_at_the_bottom() -> None:
    chart = draw([make_hour(0, licensed=0)])
    assert chart.seats == Scale(top=1, step=1)
    assert chart.peak_area == "M0 100V100H10V100Z"
    assert chart.licensed_line == chart.warning_line == "M0 100V100H10"


def test_one_hour_is_a_picture_and_none_is_not() -> None:
    assert draw([make_hour(9, peak=1, licensed=1)]).peak_area == "M90 100V0H100V100Z"
    assert draw_chart([], TEN_HOURS) is None


def test_refusals_have_a_scale_and_marks_of_their_own() -> None:
    chart = draw([make_hour(0, refused=5), make_hour(1), make_hour(2, refused=1)])
    assert chart.refused == Scale(top=5, step=5)
    assert chart.refusals == [Refusals(5, 0, 5, has_label=True), Refusals(25, 80, 1, has_label=True)]
    assert chart.refusals_unit is Unit.HOUR
    assert draw([make_hour(0)]).refusals == []


def test_where_marks_are_narrow_the_highest_keep_their_numbers() -> None:
    period = Period(BEGIN, BEGIN + 100 * HOUR, BERLIN)
    chart = draw([make_hour(number, refused=refused) for number, refused in enumerate([1, 3, 2, 1, 1])], period)
    assert [(mark.count, mark.has_label) for mark in chart.refusals] == [
        (1, False),
        (3, True),
        (2, False),
        (1, False),
        (1, True),
    ]


@pytest.mark.parametrize(
    ("highest", "top", "step"),
    [(0, 1, 1), (1, 1, 1), (5, 5, 1), (6, 6, 2), (11, 15, 5), (26, 30, 10), (99, 100, 20), (101, 150, 50)],
)
def test_a_scale_counts_by_1_2_or_5(highest: int, top: int, step: int) -> None:
    assert make_scale(highest) == Scale(top, step)


def test_the_largest_number_of_a_row_has_a_scale() -> None:
    assert make_scale(2**31) == Scale(2_500_000_000, 500_000_000)


# --- what is one point ---


def test_a_day_of_a_long_period_has_the_highest_peak_the_last_licences_and_the_sums() -> None:
    period = between(date(2026, 10, 1), date(2026, 11, 30), BERLIN)
    midnight = datetime(2026, 11, 2, 23, tzinfo=UTC)
    hours = [
        Usage(midnight - HOUR, midnight, licensed=30, peak=1, claims=1, refused=0),
        Usage(midnight, midnight + HOUR, licensed=20, peak=9, claims=2, refused=3),
        Usage(midnight + 23 * HOUR, midnight + 24 * HOUR, licensed=10, peak=4, claims=5, refused=1),
    ]
    chart = draw(hours, period)
    assert chart.unit is Unit.DAY
    assert [point.usage for point in chart.points] == [
        Usage(midnight - 24 * HOUR, midnight, licensed=30, peak=1, claims=1, refused=0),
        Usage(midnight, midnight + 24 * HOUR, licensed=10, peak=9, claims=7, refused=4),
    ]
    assert [(mark.count, chart.refusals_unit) for mark in chart.refusals] == [(4, Unit.DAY)]


def test_refusals_are_counted_by_month_where_days_are_narrow() -> None:
    period = between(date(2026, 1, 1), date(2026, 12, 31), BERLIN)
    chart = draw(make_hours(period, refused=1), period)
    assert (chart.unit, chart.refusals_unit) == (Unit.DAY, Unit.MONTH)
    assert [mark.count for mark in chart.refusals][:4] == [31 * 24, 28 * 24, 31 * 24 - 1, 30 * 24]


@pytest.mark.parametrize(
    ("period", "unit", "points"),
    [
        (last_hours(24, now=BEGIN, zone=BERLIN), Unit.HOUR, 24),
        (last_days(31, today=date(2026, 11, 24), zone=BERLIN), Unit.HOUR, 31 * 24 + 1),
        (last_year(today=date(2026, 11, 24), zone=BERLIN), Unit.DAY, 365),
        (between(date(2025, 1, 1), date(2026, 12, 31), BERLIN), Unit.DAY, 730),
        (between(date(2017, 1, 1), date(2026, 12, 31), BERLIN), Unit.MONTH, 120),
    ],
)
def test_the_number_of_points_is_bounded(period: Period, unit: Unit, points: int) -> None:
    chart = draw(make_hours(period, refused=1), period)
    assert (chart.unit, len(chart.points)) == (unit, points)
    assert (chart.points[0].left, chart.points[-1].right) == (0, 100)
    # Without a gap it is one area.
    assert chart.peak_area.count("M") == 1
    assert len(chart.refusals) <= 192
    assert len(chart.ticks) <= 14


def test_what_begins_before_the_period_or_ends_after_it_is_cut_off() -> None:
    chart = draw([make_hour(-1, peak=10), make_hour(10, peak=10)])
    assert [(point.left, point.right) for point in chart.points] == [(0, 0), (100, 100)]


# --- days and the clock ---


@pytest.mark.parametrize(
    ("day", "hours", "labels"),
    [
        # The clocks skip the hour from 2 to 3.
        (DAYLIGHT_SAVING_BEGINS, 23, [0, 3, 6, 9, 12, 15, 18, 21]),
        (DAYLIGHT_SAVING_ENDS, 25, [0, 3, 6, 9, 12, 15, 18, 21]),
    ],
)
def test_a_day_has_23_or_25_hours_where_the_clocks_change(day: date, hours: int, labels: list[int]) -> None:
    period = between(day, day, BERLIN)
    assert period.length == hours * HOUR
    assert (period.first_day, period.last_day, list(period.days())) == (day, day, [day])
    chart = draw(make_hours(period), period)
    assert len(chart.points) == hours
    assert {round(point.width, 1) for point in chart.points} == {round(100 / hours, 1)}
    assert [tick.at.astimezone(BERLIN).hour for tick in chart.ticks] == labels
    # At 3 o'clock two or four hours have gone by.
    assert chart.ticks[1].x == round(100 * (hours - 21) / hours, 3)


def test_a_long_period_has_days_of_23_and_25_hours() -> None:
    period = between(date(2026, 3, 1), date(2026, 10, 31), BERLIN)
    chart = draw(make_hours(period), period)
    lengths = {
        point.usage.begins_at.astimezone(BERLIN).date(): point.usage.ends_at - point.usage.begins_at
        for point in chart.points
    }
    assert {day: length for day, length in lengths.items() if length != 24 * HOUR} == {
        DAYLIGHT_SAVING_BEGINS: 23 * HOUR,
        DAYLIGHT_SAVING_ENDS: 25 * HOUR,
    }


def read_ticks(period: Period) -> list[tuple[str, str]]:
    return [(f"{tick.at.astimezone(period.zone):%Y-%m-%d %H}", tick.unit) for tick in list_ticks(period)]


def test_the_lines_of_24_hours_are_hours_and_a_midnight() -> None:
    period = last_hours(24, now=datetime(2026, 11, 24, 11, 20, tzinfo=UTC), zone=BERLIN)
    assert (period.begins_at, period.ends_at) == (
        datetime(2026, 11, 23, 12, tzinfo=UTC),
        datetime(2026, 11, 24, 12, tzinfo=UTC),
    )
    assert read_ticks(period) == [
        ("2026-11-23 15", "hour"),
        ("2026-11-23 18", "hour"),
        ("2026-11-23 21", "hour"),
        ("2026-11-24 00", "day"),
        ("2026-11-24 03", "hour"),
        ("2026-11-24 06", "hour"),
        ("2026-11-24 09", "hour"),
        ("2026-11-24 12", "hour"),
    ]


def test_the_lines_of_a_week_are_midnights_of_the_site() -> None:
    ticks = list_ticks(last_days(7, today=date(2026, 10, 27), zone=BERLIN))
    assert [tick.at.hour for tick in ticks] == [22, 22, 22, 22, 22, 23, 23]
    assert {tick.unit for tick in ticks} == {Unit.DAY}


def test_the_lines_of_a_month_are_mondays() -> None:
    period = last_days(31, today=date(2026, 11, 24), zone=BERLIN)
    days = ["2026-10-26", "2026-11-02", "2026-11-09", "2026-11-16", "2026-11-23"]
    assert read_ticks(period) == [(f"{day} 00", "week") for day in days]


def test_the_lines_of_a_year_are_months_and_those_of_ten_are_years() -> None:
    year = read_ticks(last_year(today=date(2026, 11, 24), zone=BERLIN))
    assert (len(year), year[0], year[-1]) == (12, ("2025-12-01 00", "month"), ("2026-11-01 00", "month"))
    two_years = read_ticks(between(date(2025, 1, 1), date(2026, 12, 31), BERLIN))
    assert [name[:7] for name, _ in two_years][:3] == ["2025-01", "2025-03", "2025-05"]
    ten_years = read_ticks(between(date(2017, 1, 1), date(2026, 12, 31), BERLIN))
    assert ten_years == [(f"{number}-01-01 00", "year") for number in range(2017, 2027)]


def test_a_year_ends_with_today_and_begins_a_day_after_it() -> None:
    def days(today: date) -> tuple[date, date]:
        period = last_year(today=today, zone=BERLIN)
        return period.first_day, period.last_day

    assert days(date(2026, 11, 24)) == (date(2025, 11, 25), date(2026, 11, 24))
    assert days(date(2028, 2, 29)) == (date(2027, 3, 1), date(2028, 2, 29))


def test_a_day_may_begin_in_the_middle_of_an_hour_of_utc() -> None:
    period = between(date(2026, 11, 24), date(2026, 11, 24), ZoneInfo("Asia/Kolkata"))
    assert period.begins_at == datetime(2026, 11, 23, 18, 30, tzinfo=UTC)
    begins_at = datetime(2026, 11, 23, 19, tzinfo=UTC) + timedelta(hours=23)
    chart = draw([Usage(begins_at, begins_at + HOUR, licensed=1, peak=1, claims=0, refused=0)], period)
    assert (chart.points[0].left, chart.points[0].right) == (round(100 * 23.5 / 24, 3), 100)
