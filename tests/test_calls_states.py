"""What is true of a call: the same reports end in the same call, whatever their order."""

from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmphone.calls.states import Facts, Report, State, assume_end, learn, read_clock

NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
LIMIT = timedelta(minutes=5)
CLOSE = "close"
Step = Report | str


def at(seconds: int) -> datetime:
    return NOON + timedelta(seconds=seconds)


def rings(seconds: int = 0) -> Report:
    return Report("ringing", at(seconds))


def answered(seconds: int) -> Report:
    return Report("answered", at(seconds))


def ended(seconds: int) -> Report:
    return Report("ended", at(seconds))


def take(known: Facts, step: Step) -> Facts:
    return learn(known, step) if isinstance(step, Report) else assume_end(known, LIMIT)


def tell(*steps: Step) -> Facts:
    return reduce(take, steps, Facts())


def show(facts: Facts) -> tuple[State, int | None, int | None, int | None, bool]:
    """Return the state, the times in seconds after noon, and whether the end is assumed."""

    def seconds(time: datetime | None) -> int | None:
        return None if time is None else int((time - NOON).total_seconds())

    times = seconds(facts.started_at), seconds(facts.answered_at), seconds(facts.ended_at)
    return facts.state, *times, facts.is_end_assumed


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        # as it should be
        ([rings()], ("ringing", 0, None, None, False)),
        ([rings(), answered(5)], ("answered", 0, 5, None, False)),
        ([rings(), answered(5), ended(60)], ("ended", 0, 5, 60, False)),
        ([rings(), ended(20)], ("ended", 0, None, 20, False)),
        # doubled: the first time counts
        ([rings(), rings(3)], ("ringing", 0, None, None, False)),
        ([rings(), answered(5), answered(9)], ("answered", 0, 5, None, False)),
        ([rings(), answered(5), ended(60), ended(63), answered(70)], ("ended", 0, 5, 60, False)),
        # out of order: a missed call was answered after all
        ([rings(), ended(60), answered(5)], ("ended", 0, 5, 60, False)),
        ([ended(60), answered(5), rings()], ("ended", 0, 5, 60, False)),
        ([answered(5)], ("answered", 5, 5, None, False)),
        ([ended(60)], ("ended", 60, None, 60, False)),
        # late, without a time of its own, so that it seems to be after the end
        ([rings(), ended(60), answered(90)], ("ended", 0, 60, 60, False)),
        # clocks that differ: nothing ends before it began
        ([rings(300), ended(60)], ("ended", 60, None, 60, False)),
        ([rings(300), answered(5), ended(60)], ("ended", 5, 5, 60, False)),
        # never: the end is assumed, and gives way to whatever is reported
        ([CLOSE], ("ringing", None, None, None, False)),
        ([rings(), CLOSE], ("ended", 0, None, 300, True)),
        ([rings(), CLOSE, CLOSE], ("ended", 0, None, 300, True)),
        ([rings(), answered(5), CLOSE], ("ended", 0, 5, 305, True)),
        ([rings(), CLOSE, ended(400)], ("ended", 0, None, 400, False)),
        ([rings(), CLOSE, ended(20)], ("ended", 0, None, 20, False)),
        ([rings(), CLOSE, answered(350)], ("answered", 0, 350, None, False)),
        ([rings(), CLOSE, answered(350), ended(400)], ("ended", 0, 350, 400, False)),
        # a doubled report does not open it again
        ([rings(), answered(5), CLOSE, answered(9)], ("ended", 0, 5, 305, True)),
        ([rings(), ended(20), CLOSE], ("ended", 0, None, 20, False)),
    ],
)
def test_reports_make_a_call(steps: list[Step], expected: tuple[object, ...]) -> None:
    assert show(tell(*steps)) == expected


seconds = st.integers(min_value=-1000, max_value=1000)
reports = st.builds(Report, st.sampled_from(["ringing", "answered", "ended"]), seconds.map(at))


@given(st.lists(reports, min_size=1, max_size=6).flatmap(lambda told: st.tuples(st.just(told), repeated(told))))
def test_every_order_and_repetition_of_the_same_reports_ends_in_the_same_call(
    both: tuple[list[Report], list[Report]],
) -> None:
    told, again = both
    assert tell(*told) == tell(*again)


def repeated(told: list[Report]) -> st.SearchStrategy[list[Report]]:
    """Every report at least once, some of them more often, in any order."""
    return st.lists(st.sampled_from(told), max_size=4).flatmap(lambda more: st.permutations(told + more))


@given(st.lists(reports, max_size=6), st.data())
def test_an_end_that_was_only_assumed_changes_nothing_once_the_end_is_reported(
    told: list[Report], data: st.DataObject
) -> None:
    told = [*told, ended(50)]
    steps: list[Step] = list(data.draw(repeated(told)))
    for place in data.draw(st.lists(st.integers(0, len(steps)), max_size=3)):
        steps.insert(place, CLOSE)

    assert tell(*steps) == tell(*told)


@given(st.lists(reports | st.just(CLOSE), max_size=8))
def test_times_are_always_in_order(steps: list[Step]) -> None:
    facts = tell(*steps)

    times = [time for time in (facts.started_at, facts.answered_at, facts.ended_at) if time is not None]
    assert times == sorted(times)
    assert facts.started_at is not None or not times
    assert facts.ended_at is not None or not facts.is_end_assumed


@given(st.lists(reports | st.just(CLOSE), max_size=6), reports | st.just(CLOSE))
def test_the_same_report_twice_is_the_same_as_once(steps: list[Step], last: Step) -> None:
    assert tell(*steps, last, last) == tell(*steps, last)


@given(st.lists(reports | st.just(CLOSE), max_size=6), st.lists(reports | st.just(CLOSE), max_size=3))
def test_who_has_answered_has_answered(before: list[Step], after: list[Step]) -> None:
    facts = tell(*before, answered(0), *after)

    assert facts.answered_at is not None
    assert not facts.is_unanswered


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        (None, NOON),
        (at(-30), at(-30)),
        (at(0), NOON),
        (at(1), NOON),
        (datetime(2099, 1, 1, tzinfo=UTC), NOON),
        (NOON - timedelta(days=7), NOON - timedelta(days=7)),
        (NOON - timedelta(days=7, seconds=1), NOON),
        (datetime(1970, 1, 1, tzinfo=UTC), NOON),
    ],
)
def test_a_clock_that_cannot_be_right_is_not_believed(said: datetime | None, taken: datetime) -> None:
    assert read_clock(said, now=NOON) == taken
