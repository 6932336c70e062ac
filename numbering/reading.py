"""What a telephone number means under a plan: typed by people, or presented by a telephone system.

Pure functions over immutable values: no Django, no database, no clock.  The facts about countries are
libphonenumber's (countries.py); taking a number out of what stands around it is cleaning.py's part.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from numbering import countries
from numbering.cleaning import Written, clean, to_ascii
from numbering.countries import FullNumber

Kind = Literal["public", "internal", "service", "withheld", "unreadable"]

# Counted up when the rules change, so that indexes built by older rules are built anew.
RULES_VERSION = 5
# Direct dialling into a telephone system: an extension is part of the public number.
DIRECT_DIALLING_COUNTRIES = frozenset({"49", "43"})
LONGEST_INTERNAL = 5
SHORTEST_RAW = 3
SHORTEST_ENDING = 7
LONGEST_CANONICAL = 40


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings that give an incomplete number its meaning.

    `area` is without trunk prefix; `extension_min` and `extension_max` (digits) are the guard, None for none.
    `international` is the configured prefix for calls abroad; the country's own is understood in any case.
    `key` says whose plan it is: a customer group's id, or empty for the site's.
    """

    country: str = "49"
    area: str = ""
    company_line: str = ""
    extension_min: int | None = None
    extension_max: int | None = None
    outside_codes: tuple[str, ...] = ("0",)
    trunk: str = "0"
    international: str = ""
    key: str = ""

    @property
    def has_guard(self) -> bool:
        return self.extension_min is not None or self.extension_max is not None


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to understand a number.

    `canonical`: digits without `+`; of an `internal`, `service` or `unreadable` number its own digits, or empty.
    `rule` names what happened.  `extension` stands beside the number.  `block` is the number without a direct-dial
    extension that was written apart from it, else empty.  `plan_key`: the one customer group whose pattern it took.
    """

    canonical: str
    kind: Kind
    rule: str
    possible: bool = False
    valid: bool = False
    extension: str = ""
    block: str = ""
    raw: str = ""
    plan_key: str = ""


# --- typed numbers: contact fields, what a user enters ---


# Whoever writes a number often reads it twice: to say what is wrong with it, and for the index.
@lru_cache(maxsize=2048)
def read_typed(text: str, plan: Plan) -> tuple[Reading, ...]:
    """Read every number that people typed into `text`.  Nothing in it that is a number is left out: what cannot be
    read is a reading of kind `unreadable`.  Empty where there is nothing but space.
    """
    if not text.strip():
        return ()
    written = clean(text)
    if not written:
        return (Reading("", "unreadable", "no_digits", raw=text.strip()),)
    return tuple(_read_written(each, plan) for each in written)


def _read_written(written: Written, plan: Plan) -> Reading:
    reading = _read_digits(written, plan)
    if written.vanity and not reading.possible:
        spelled = _read_digits(replace(written, digits=written.vanity, vanity=""), plan)
        if spelled.valid:
            reading = spelled
    reading = _with_extension(reading, written.extension)
    block = ""
    if written.direct_dial and reading.kind == "public":
        line = countries.read_full_number(reading.canonical[: -written.direct_dial])
        block = line.canonical if line and line.possible else ""
    return _with_raw(replace(reading, block=block) if block else reading, written.raw)


def _with_extension(reading: Reading, extension: str) -> Reading:
    if not extension:
        return reading
    if reading.kind == "public" and any(reading.canonical.startswith(c) for c in DIRECT_DIALLING_COUNTRIES):
        full = countries.read_full_number(reading.canonical + extension)
        if full and full.possible:
            return replace(
                reading, canonical=full.canonical, possible=full.possible, valid=full.valid, block=reading.canonical
            )
    return replace(reading, extension=extension)


def _read_digits(written: Written, plan: Plan) -> Reading:
    digits = written.digits
    if written.plus:
        return _read_international(written, plan)
    if countries.is_service_number(digits, plan.country) and (not plan.company_line or plan.has_guard):
        return Reading(digits, "service", "service", possible=True, valid=True)
    rests = _after_international_prefix(digits, plan)
    abroad = _choose_full_number(rests)
    # What is no zero may also be the beginning of something else.
    if abroad and abroad.possible:
        return _explicit(abroad, digits)
    if digits.startswith("0"):
        national = _read_behind_trunk_prefix(digits, plan)
        # Israel calls abroad by 015, and has numbers that begin with 15 and a trunk prefix in front.
        if rests and not (national and national.valid and not digits.startswith(plan.trunk * 2)):
            return _explicit(abroad, digits)
        return _accept(national, "national") or _unread(digits)
    if plan.company_line:
        return _read_by_company_line(digits, plan)
    if plan.area:
        return _read_by_area(digits, plan) or _unread(digits)
    return _accept(countries.read_national_number(digits, plan.country), "national") or _unread(digits)


def _read_behind_trunk_prefix(digits: str, plan: Plan) -> FullNumber | None:
    number = countries.read_full_number(plan.country + digits.removeprefix(plan.trunk))
    if number and number.possible:
        return number
    # In Brazil the code of a carrier may follow the trunk prefix.
    with_carrier = countries.read_national_number(digits, plan.country)
    return with_carrier if with_carrier and with_carrier.valid else number


def _read_international(written: Written, plan: Plan) -> Reading:
    candidates = []
    for digits in (written.digits, written.digits_with_zero):
        if digits:
            rests = _after_international_prefix(digits, plan) if digits.startswith("0") else []
            candidates.append(_choose_full_number(rests or [digits]))
    # A zero in brackets is a trunk zero, unless the number wants it, as Italy's do.
    numbers = [number for number in candidates if number]
    best = max(numbers, key=lambda number: (number.valid, number.possible), default=None)
    return _explicit(best, written.digits)


def _read_by_company_line(digits: str, plan: Plan) -> Reading:
    """Complete a number by the group's pattern, longest part first: the vendor's rule."""
    for start, missing, rule in (
        (plan.country + plan.area + plan.company_line, "", "complete"),
        (plan.area + plan.company_line, plan.country, "country"),
        (plan.company_line, plan.country + plan.area, "area"),
    ):
        if digits.startswith(start):
            return _derived(missing + digits, rule)
    if _fits_guard(digits, plan):
        return _derived(plan.country + plan.area + plan.company_line + digits, "company")
    local = _accept(countries.read_full_number(plan.country + plan.area + digits), "area") if plan.area else None
    return local or _accept(countries.read_national_number(digits, plan.country), "national") or _unread(digits)


def _fits_guard(digits: str, plan: Plan) -> bool:
    shortest = plan.extension_min if plan.extension_min is not None else 1
    longest = plan.extension_max if plan.extension_max is not None else len(digits)
    return shortest <= len(digits) <= longest


def _read_by_area(digits: str, plan: Plan) -> Reading | None:
    national = _accept(countries.read_full_number(plan.country + digits), "country")
    if digits.startswith(plan.area) and national:
        return national
    if plan.trunk and plan.trunk != "0" and digits.startswith(plan.trunk):
        rest = digits.removeprefix(plan.trunk)
        if reading := _accept(countries.read_full_number(plan.country + rest), "national"):
            return reading
    # A number that is too long behind the area is one with another area.
    return _accept(countries.read_full_number(plan.country + plan.area + digits), "area") or national


def _after_international_prefix(digits: str, plan: Plan) -> list[str]:
    rests = countries.strip_international_prefix(digits, plan.country)
    if plan.international and digits.startswith(plan.international) and len(digits) > len(plan.international):
        rests = [digits.removeprefix(plan.international), *rests]
    return list(dict.fromkeys(rests))


def _choose_full_number(every: Sequence[str]) -> FullNumber | None:
    """Return the first valid number, else the first possible, else the first of all."""
    numbers = [number for digits in every if (number := countries.read_full_number(digits))]
    return max(numbers, key=lambda number: (number.valid, number.possible), default=None)


def _accept(number: FullNumber | None, rule: str) -> Reading | None:
    if number is None or not number.possible:
        return None
    return Reading(number.canonical, "public", rule, number.possible, number.valid)


def _explicit(number: FullNumber | None, digits: str) -> Reading:
    """Keep a number that says its country itself even where it is too short or too long for it."""
    if number is None:
        return _unread(digits)
    return Reading(number.canonical, "public", "international", number.possible, number.valid)


def _derived(canonical: str, rule: str) -> Reading:
    """Keep what the group's pattern makes, possible or not, to the digit."""
    if len(canonical) > LONGEST_CANONICAL:
        return Reading("", "unreadable", "digits")
    number = countries.read_full_number(canonical)
    same = number is not None and number.canonical == canonical
    return Reading(
        canonical, "public", rule, same and bool(number and number.possible), same and bool(number and number.valid)
    )


def _unread(digits: str) -> Reading:
    if digits and len(digits) <= LONGEST_INTERNAL and not digits.startswith("0"):
        return Reading(digits, "internal", "internal")
    findable = SHORTEST_RAW <= len(digits) <= LONGEST_CANONICAL
    return Reading(digits if findable else "", "unreadable", "digits")


def read_to_dial(text: str, plan: Plan) -> Reading:
    """Read the first number of what somebody wants to dial: as people type it, or canonical as this system tells it.

    Digits alone that are a whole number with its country are taken for canonical, unless the plan's pattern
    completes them: what is told as 4921133990312 is dialled as that, and not as a number of the area 4921.
    """
    readings = read_typed(text, plan)
    if not readings:
        return Reading("", "unreadable", "no_digits", raw=text.strip())
    digits = text.strip()
    if digits.isascii() and digits.isdecimal() and readings[0].rule in {"national", "digits"}:
        number = countries.read_full_number(digits)
        if number and number.valid and number.canonical == digits:
            return Reading(digits, "public", "complete", possible=True, valid=True, raw=digits)
    return readings[0]


# --- presented numbers: what the telephone system reports for a caller ---

_withheld_words = frozenset(
    (
        *("anonymous", "anonymus", "anonym", "private", "privat", "unknown", "unavailable", "restricted", "withheld"),
        *("blocked", "unbekannt", "unterdrückt", "nicht_verfügbar", "not_available", "no_number", "number_withheld"),
        *("out_of_area", "clir", "none", "null", "p", "o"),
    )
)


def is_withheld(text: str) -> bool:
    """Say whether the telephone system reports that the caller hides, or has no, number."""
    plain = to_ascii(text).strip().lower()
    if plain.isdecimal():
        return False
    if "anonymous.invalid" in plain:
        return True
    inner = re.search(r"<([^<>]*)>", plain)
    plain = inner[1] if inner else plain
    plain = re.sub(r"\A(?:sips?|tel|callto|phone):", "", plain).split("@")[0].split(";")[0]
    word = re.sub(r"[\s_-]+", "_", plain.strip(" \"'()[]<>.-_"))
    return not word or word in _withheld_words


def read_presented(text: str, site: Plan, groups: Sequence[Plan] = ()) -> tuple[Reading, ...]:
    """Return every way to understand a caller's number as the site's telephone system presents it, best first.

    `groups`: the plans of customer groups with an area or a company line, for callers from inside.  A reading made
    by a group's plan alone carries its key.  Only a number that is not possible in any way has impossible ones
    before the last; never empty.
    """
    if is_withheld(text):
        return (Reading("", "withheld", "withheld", raw=text.strip()),)
    written = clean(text)
    if not written:
        return (Reading("", "unreadable", "no_digits", raw=text.strip()),)
    first = written[0]
    readings = [_read_international(first, site)] if first.plus else _read_bare(first.digits, site, groups)
    return tuple(_with_raw(_with_extension(reading, first.extension), first.raw) for reading in readings)


def _with_raw(reading: Reading, raw: str) -> Reading:
    # Not replace(): once a reading, it costs as much as making them.
    r = reading
    return Reading(r.canonical, r.kind, r.rule, r.possible, r.valid, r.extension, r.block, raw, r.plan_key)


def _read_bare(digits: str, site: Plan, groups: Sequence[Plan]) -> list[Reading]:
    numbers = [
        Reading(number.canonical, "public", rule, number.possible, number.valid)
        for rule, full in _complete_in_every_way(digits, site)
        if (number := countries.read_full_number(full))
    ]
    numbers += [
        Reading(dialled, "service", "service", possible=True, valid=True)
        for dialled in (digits, *_behind_outside_code(digits, site))
        if countries.is_service_number(dialled, site.country)
    ]
    possible = [reading for reading in numbers if reading.possible]
    possible += _read_by_groups(digits, groups)
    possible.sort(key=lambda reading: not reading.valid)
    # Last, what only a contact stored with just these digits can match: a number that its country does not have.
    impossible = [reading for reading in numbers if not reading.possible and _is_worth_a_look(reading)]
    return _without_doubles([*possible, *impossible, _unread(digits)])


def _is_worth_a_look(reading: Reading) -> bool:
    """Say whether an impossible reading may be what a contact has: its country is told, or only too long for it."""
    if len(reading.canonical) <= SHORTEST_RAW + LONGEST_INTERNAL:
        return False
    return reading.rule in {"international", "outside_international"} or countries.is_too_long(reading.canonical)


def _complete_in_every_way(digits: str, site: Plan) -> Iterator[tuple[str, str]]:
    """Yield (rule, the digits as a full number) in the order in which telephone systems are likely to mean it."""
    outside = _behind_outside_code(digits, site)
    for rest in _after_international_prefix(digits, site):
        yield "international", rest
    for behind in outside:
        for rest in _after_international_prefix(behind, site):
            yield "outside_international", rest
    for behind in outside:
        if behind.startswith(site.trunk):
            yield "outside_national", site.country + behind.removeprefix(site.trunk)
    if site.trunk and digits.startswith(site.trunk):
        yield "national", site.country + digits.removeprefix(site.trunk)
    yield "complete", digits
    for behind in outside:
        yield "outside_complete", behind
    for national in (digits, *outside):
        if not (site.trunk.startswith("0") and national.startswith("0")):
            yield "national_without_trunk", site.country + national


def _behind_outside_code(digits: str, site: Plan) -> list[str]:
    return [digits[len(code) :] for code in site.outside_codes if digits.startswith(code) and digits != code]


def _read_by_groups(digits: str, groups: Sequence[Plan]) -> Iterator[Reading]:
    if digits.startswith("0"):
        return
    written = Written(raw=digits, plus=False, digits=digits)
    for plan in groups:
        if plan.area or plan.company_line:
            reading = _read_digits(written, plan)
            if reading.possible and reading.rule in {"company", "area", "country", "complete"}:
                yield replace(reading, plan_key=plan.key)


def list_endings(readings: Sequence[Reading], site: Plan) -> tuple[str, ...]:
    """Return what the full number of the caller may end with, where he was presented without his country.

    Those are the digits as they came, and what follows an outside-line code, without zeros in front; from
    SHORTEST_ENDING digits on.
    """
    # Of what a customer group's plan makes of it nothing may show: the group may be hidden from who asks.
    first = next((reading for reading in readings if not reading.plan_key), readings[0])
    if first.rule in {"international", "outside_international"}:
        return ()
    digits = next((r.canonical for r in reversed(readings) if r.rule in {"digits", "complete"}), "")
    bare = (each.lstrip("0") for each in (digits, *_behind_outside_code(digits, site)))
    return tuple(dict.fromkeys(each for each in bare if len(each) >= SHORTEST_ENDING))


def _without_doubles(readings: Iterable[Reading]) -> list[Reading]:
    """Keep each canonical number once: for everybody where it is, else once a customer group."""
    kept: dict[tuple[str, str], Reading] = {}
    for reading in readings:
        if (reading.canonical, "") not in kept:
            kept.setdefault((reading.canonical, reading.plan_key), reading)
    return list(kept.values())
