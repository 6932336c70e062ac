"""What somebody means who types part of a number to find it: patterns over canonical numbers.  Pure.

Reading a whole number is reading.py's part.  Here one digit more or less is still the same search, since people look
at results while they type.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from numbering import countries
from numbering.cleaning import MAX_LENGTH, Written, clean, to_ascii
from numbering.reading import LONGEST_CANONICAL, Plan, read_typed

WILDCARD = "*"
# Fewer digits are in every other number, and an index of trigrams has nothing for them.
SHORTEST_SEARCH = 3
# A zero or nine in front may be an outside-line code or not: so many digits behind it make a number of it.
SHORTEST_BEHIND_OUTSIDE_CODE = 5
MAX_NUMBERS = 5

Where = Literal["anywhere", "start", "end"]
Obstacle = Literal["too_short", "wildcard_inside"]


@dataclass(frozen=True, slots=True)
class Pattern:
    """Digits that a canonical number has, and where in it."""

    digits: str
    where: Where = "anywhere"

    @property
    def like(self) -> str:
        """What SQL calls it; there are only digits to escape, so none."""
        before = "" if self.where == "start" else "%"
        after = "" if self.where == "end" else "%"
        return before + self.digits + after

    def matches(self, canonical: str) -> bool:
        """Say whether a number has the digits there."""
        match self.where:
            case "start":
                return canonical.startswith(self.digits)
            case "end":
                return canonical.endswith(self.digits)
        return self.digits in canonical

    def covers(self, other: "Pattern") -> bool:
        """Say whether every number that matches the other one matches this one."""
        return self.where in {"anywhere", other.where} and self.matches(other.digits)


@dataclass(frozen=True, slots=True)
class NumberSearch:
    """The patterns of which a number has to match one: without any, there is no number that could.

    `obstacle` says why it is no search at all: fewer than three digits, or a wildcard between them.
    """

    patterns: tuple[Pattern, ...] = ()
    obstacle: Obstacle | None = None

    def matches(self, canonical: str) -> bool:
        """Say whether it finds a number."""
        return any(pattern.matches(canonical) for pattern in self.patterns)


def read_number_search(text: str, site: Plan, groups: Sequence[Plan] = ()) -> NumberSearch:
    """Return what to search for when somebody types `text` to find a number, or several: any of them.

    The digits count wherever they stand in a number.  With `+` they are its beginning.  Where they begin like a
    number that is dialled abroad, nationally or from a telephone behind an outside-line code, by the plan of the site
    or one of `groups`, they are also the beginning of what that means.  `*` in front makes them the end, `*` behind
    the beginning, and both nothing but digits anywhere.
    """
    text = to_ascii(text[:MAX_LENGTH]).strip()
    body = text.lstrip(" \r\n" + WILDCARD)
    is_open_before = WILDCARD in text[: len(text) - len(body)]
    body, behind = body.rstrip(" \r\n" + WILDCARD), body
    is_open_behind = WILDCARD in behind[len(body) :]
    if WILDCARD in body:
        return NumberSearch(obstacle="wildcard_inside")
    plans = list(dict.fromkeys((site, *groups)))
    written = clean(body)[:MAX_NUMBERS]
    patterns: list[Pattern] = []
    is_long_enough = False
    for i, each in enumerate(written):
        digits = _choose_digits(each, plans)
        if len(digits) < SHORTEST_SEARCH:
            continue
        is_long_enough = True
        # A wildcard belongs to the number that it stands at.
        before, after = is_open_before and i == 0, is_open_behind and i == len(written) - 1
        if before:
            patterns.append(Pattern(digits, "anywhere" if after else "end"))
        else:
            patterns += _list_patterns(each, digits, plans, is_beginning=after)
    if not is_long_enough:
        return NumberSearch(obstacle="too_short")
    return NumberSearch(tuple(_without_covered(patterns)))


def _choose_digits(written: Written, plans: Iterable[Plan]) -> str:
    """Return the digits, with those that letters stand for where a number that is spelled so exists (0800 FLOWERS)."""
    if written.vanity:
        ending = written.vanity[-SHORTEST_SEARCH:]
        readings = (reading for plan in plans for reading in read_typed(written.raw, plan))
        if any(reading.valid and reading.canonical.endswith(ending) for reading in readings):
            return written.vanity
    return written.digits


def _list_patterns(written: Written, digits: str, plans: Sequence[Plan], *, is_beginning: bool) -> Iterator[Pattern]:
    if written.plus and not digits.startswith("0"):
        starts = [*_repair(digits), *_repair(written.digits_with_zero)]
    else:
        yield Pattern(digits, "start" if is_beginning else "anywhere")
        starts = list(_complete(digits, plans, is_beginning=is_beginning))
    # What a whole number means to reading.py may take more to see than its prefixes.
    starts += [
        reading.canonical
        for plan in plans
        for reading in read_typed(written.raw, plan)
        if reading.possible and (reading.rule == "international" or _after_trunk_prefix(digits, plan))
    ]
    for start in starts:
        # No country's code begins with a zero.
        if len(start) >= SHORTEST_SEARCH and not start.startswith("0"):
            yield Pattern(start, "start")


def _complete(digits: str, plans: Sequence[Plan], *, is_beginning: bool) -> Iterator[str]:
    """Yield what full numbers begin with, of which `digits` may be the beginning as people write or dial them."""
    for plan in plans:
        for abroad in _after_international_prefix(digits, plan):
            yield from _repair(abroad)
        if national := _after_trunk_prefix(digits, plan):
            yield plan.country + national
        # Where the trunk prefix is none or no zero, a national number is written without.
        if is_beginning and not plan.trunk.startswith("0"):
            yield plan.country + digits
    site = plans[0]
    for code in site.outside_codes:
        dialled = digits.removeprefix(code)
        if dialled == digits:
            continue
        for abroad in _after_international_prefix(dialled, site):
            if len(abroad) >= SHORTEST_BEHIND_OUTSIDE_CODE:
                yield from _repair(abroad)
        national = _after_trunk_prefix(dialled, site) if site.trunk else dialled
        if len(national) >= SHORTEST_BEHIND_OUTSIDE_CODE:
            yield site.country + national


def _after_international_prefix(digits: str, plan: Plan) -> list[str]:
    if plan.international and digits.startswith(plan.international):
        return [digits.removeprefix(plan.international)]
    return countries.strip_international_prefix(digits, plan.country)


def _after_trunk_prefix(digits: str, plan: Plan) -> str:
    national = digits.removeprefix(plan.trunk)
    # Two zeros are a prefix for calls abroad, or an outside-line code before the trunk zero.
    has_two_zeros = plan.trunk.startswith("0") and national.startswith("0")
    return "" if national == digits or has_two_zeros else national


def _repair(digits: str) -> Iterator[str]:
    """Yield digits that begin with a country code, and without the trunk zero that people write after it."""
    yield digits
    country = next((digits[:length] for length in (1, 2, 3) if countries.find_metadata(digits[:length])), "")
    trunk = countries.trunk_prefix(country)
    if country and trunk.startswith("0") and digits[len(country) :].startswith(trunk):
        yield country + digits[len(country) :].removeprefix(trunk)


def _without_covered(patterns: Iterable[Pattern]) -> list[Pattern]:
    """Return the patterns that find something which no other one finds, and which are not longer than any number."""
    distinct = [each for each in dict.fromkeys(patterns) if len(each.digits) <= LONGEST_CANONICAL]
    return [each for each in distinct if not any(other.covers(each) for other in distinct if other != each)]
