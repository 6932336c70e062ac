"""A site's worth of contacts out of a seed: who has which number, and how somebody once typed it.

Pure, and nothing is kept: the n-th number of a customer group is computed, so that ten million of them take no
more memory than ten, and a caller can be made up without looking at what was loaded.
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import phonenumbers
from phonenumbers import PhoneNumberType

from numbering import countries

# Counted up when the same seed makes other data, so that nothing loaded before is taken for it.
VERSION = 1
# Of so many numbers of a group one is a company's; its persons have the others.
HOUSE = 12
SHARED_OF_1000 = 20
PERSON_STEMS, COMPANY_STEMS = 12, 4
# A stem is taken when so many of its numbers, chosen at random, are valid.
TRIALS = 60
# None of them is a service number in a country of these groups.
EXTENSIONS = range(6000, 8000)
# Digits without the country code.
LENGTHS = {"49": 11, "33": 9, "1": 10, "44": 10, "39": 10}
# There extensions of any length follow a company's line, whose number so has this length with the switchboard's zero.
WITH_SWITCHBOARD = frozenset({"49"})
SWITCHBOARD_LENGTH = 10
FIXED = frozenset({PhoneNumberType.FIXED_LINE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
EVERY_TYPE = FIXED | {PhoneNumberType.MOBILE}

FIRST_NAMES = ("Ada", "Ben", "Carla", "David", "Eva", "Felix", "Greta", "Hans", "Ida", "Jan", "Karin", "Leo", "Maria")
LAST_NAMES = ("Bauer", "Brown", "Dietz", "Graf", "Huber", "Jones", "Keller", "Lang", "Moser", "Rossi", "Weber")
TRADES = ("Bau", "Druck", "Elektro", "Farben", "Garten", "Holz", "Kaffee", "Logistik", "Metall", "Optik", "Papier")


@dataclass(frozen=True)
class GroupSpec:
    """A customer group; `is_visible`: whether the user of the benchmark may see it."""

    name: str
    country: str
    area: str = ""
    company_line: str = ""
    extension_min: int | None = None
    extension_max: int | None = None
    is_visible: bool = True


GROUPS = (
    GroupSpec("colleagues-dusseldorf", "49", "211", "339903", 1, 4),
    GroupSpec("colleagues-berlin", "49", "30", "2093"),
    GroupSpec("customers-munich", "49", "89"),
    GroupSpec("customers-cologne", "49", "221"),
    GroupSpec("customers-hamburg", "49", "40"),
    GroupSpec("customers-north", "49"),
    GroupSpec("customers-south", "49"),
    GroupSpec("customers-secret", "49", is_visible=False),
    GroupSpec("colleagues-paris", "33", "1", "4278", 4, 4),
    GroupSpec("customers-lyon", "33", "4"),
    GroupSpec("customers-france", "33"),
    GroupSpec("customers-new-york", "1", "212"),
    GroupSpec("customers-usa", "1"),
    GroupSpec("partners-usa", "1", is_visible=False),
    GroupSpec("customers-rome", "39", "06"),
    GroupSpec("customers-italy", "39"),
    GroupSpec("partners-italy", "39", is_visible=False),
    GroupSpec("customers-london", "44", "20"),
    GroupSpec("customers-britain", "44"),
    GroupSpec("partners-britain", "44"),
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number.  `area`: how many of the national digits people write as area code, a leading zero included.

    `has_switchboard`: the zero at its end is an extension of the company's line.  `extension`: what colleagues type.
    """

    country: str
    national: str
    area: int
    has_switchboard: bool = False
    extension: str = ""

    @property
    def canonical(self) -> str:
        return self.country + self.national

    @property
    def line(self) -> str:
        """The number without the extension of its switchboard: what is the same for all of the company."""
        return self.canonical[: -int(self.has_switchboard) or None]


@dataclass(frozen=True, slots=True)
class ContactRow:
    """A contact as it is loaded.  `number_count`: how many fields hold a number."""

    id: int
    kind: str
    company_id: int | None
    name: str
    name_details: str
    name_list: str
    fields: Mapping[str, str]
    number_count: int


@dataclass(frozen=True, slots=True)
class _Stem:
    """The digits that some numbers of a group begin with; the rest runs through all there are, in mixed order."""

    prefix: str
    rest: int
    factor: int
    offset: int
    area: int

    def number(self, index: int) -> str:
        if index >= 10**self.rest:
            raise ValueError(f"{self.prefix} has no {index} numbers")
        return f"{self.prefix}{(index * self.factor + self.offset) % 10**self.rest:0{self.rest}d}"


@dataclass(frozen=True)
class GroupData:
    """A customer group with `count` numbers, some of which are extensions of the company line."""

    spec: GroupSpec
    count: int
    salt: int
    stems: Sequence[_Stem]
    company_stems: Sequence[_Stem]

    def number(self, index: int) -> Number:
        """Return a number; those from `count` on are nobody's."""
        spec = self.spec
        if index % HOUSE == 0:
            house = index // HOUSE
            stem = self.company_stems[house % len(self.company_stems)]
            has_switchboard = spec.country in WITH_SWITCHBOARD
            digits = stem.number(house // len(self.company_stems)) + ("0" if has_switchboard else "")
            return Number(spec.country, digits, stem.area, has_switchboard)
        if spec.company_line and index < min(len(EXTENSIONS), self.count // 4):
            extension = str(EXTENSIONS[index])
            return Number(spec.country, spec.area + spec.company_line + extension, len(spec.area), extension=extension)
        stem = self.stems[index % len(self.stems)]
        return Number(spec.country, stem.number(index // len(self.stems)), stem.area)

    def chance(self, index: int, purpose: int, of: int) -> int:
        """Return a number below `of`, always the same for the same index and purpose."""
        mixed = (index * 16 + purpose + self.salt) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        return (mixed ^ mixed >> 31) % of

    def contacts(self, first_id: int) -> Iterator[ContactRow]:
        """Yield the contacts; companies before their persons, ids one after the other."""
        id = first_id
        company: ContactRow | None = None
        index = 0
        while index < self.count:
            owned = 1
            if index % HOUSE == 0:
                company = row = self._company(id, index)
            else:
                may_own_two = (index + 1) % HOUSE and index + 1 < self.count
                owned = 2 if may_own_two and self.chance(index, 0, 2) else 1
                row = self._person(id, range(index, index + owned), company, 1)
            yield row
            id += 1
            for shared in range(index, index + owned):
                for _ in range(self.sharers(shared)):
                    yield self._person(id, range(shared, shared + 1), company, id)
                    id += 1
            index += owned

    def sharers(self, index: int) -> int:
        """Return how many contacts have a number besides the first."""
        return 1 + self.chance(index, 2, 2) if self.chance(index, 1, 1000) < SHARED_OF_1000 else 0

    def _company(self, id: int, index: int) -> ContactRow:
        name = f"{LAST_NAMES[self.chance(index, 3, len(LAST_NAMES))]} {TRADES[self.chance(index, 4, len(TRADES))]} {id}"
        fields = {"name": name, "phone": self._typed(index, 0)}
        return ContactRow(id, "company", None, name, name, name, fields, 1)

    def _person(self, id: int, indexes: range, company: ContactRow | None, hand: int) -> ContactRow:
        first = FIRST_NAMES[self.chance(id, 5, len(FIRST_NAMES))]
        last = LAST_NAMES[self.chance(id, 6, len(LAST_NAMES))]
        fields = {"first_name": first, "last_name": last}
        fields |= {field: self._typed(index, hand) for field, index in zip(("phone", "mobile"), indexes, strict=False)}
        if self.chance(id, 7, 4) == 0:
            company = None
        details = f"{first} {last}" + (f" ({company.name})" if company else "")
        company_id = company.id if company else None
        return ContactRow(id, "person", company_id, f"{last}, {first}", details, last, fields, len(indexes))

    def _typed(self, index: int, hand: int) -> str:
        styles = list_styles(self.number(index), self.spec)
        return styles[self.chance(index + hand, 8, len(styles))]


def list_styles(number: Number, spec: GroupSpec) -> list[str]:
    """Return the ways in which people of the group type the number; the group's plan reads each as that number."""
    area, rest = number.national[: number.area], number.national[number.area :]
    abroad = countries.international_prefix(number.country)
    if number.has_switchboard:
        rest = f"{rest[:-1]}-{rest[-1]}"
        return [f"+{number.country} {area} {rest}", f"0{area}/{rest}", f"{abroad}{number.country} {area} {rest}"]
    styles = [
        f"+{number.country} {area} {rest}",
        f"{abroad} {number.country} {area} {rest[:3]} {rest[3:]}",
        f"+{number.canonical}",
    ]
    if countries.trunk_prefix(number.country) == "0":
        styles += [f"0{area}/{rest}", f"(0{area}) {rest}", f"+{number.country} (0) {area} {rest}"]
    elif number.country == "1":
        styles += [f"({area}) {rest[:3]}-{rest[3:]}", f"{area}.{rest[:3]}.{rest[3:]}"]
    elif area.startswith("0") or not spec.area:
        styles += [f"{area} {rest}", f"{area}/{rest}"]
    if number.extension:
        styles += [number.extension] * 3
    elif spec.area == area and not spec.company_line and not rest.startswith(("0", "1", area)):
        styles += [rest, f"{rest[:3]} {rest[3:]}"]
    return styles


@dataclass(frozen=True)
class Site:
    """All customer groups, with `numbers` numbers together."""

    numbers: int
    seed: int

    @cached_property
    def groups(self) -> tuple[GroupData, ...]:
        # By country, the beginnings that are taken: no two groups have a number in common.
        taken: dict[str, set[str]] = defaultdict(set)
        for spec in GROUPS:
            if spec.company_line:
                taken[spec.country].add(spec.area + spec.company_line)
        each, more = divmod(self.numbers, len(GROUPS))
        return tuple(
            _make_group(spec, each + (place < more), random.Random(f"{self.seed}/{spec.name}"), taken[spec.country])
            for place, spec in enumerate(GROUPS)
        )


def _make_group(spec: GroupSpec, count: int, chance: random.Random, taken: set[str]) -> GroupData:
    # A group with an area has a third of its numbers there.
    areas = [spec.area if spec.area and place % 3 == 0 else "" for place in range(PERSON_STEMS)]
    length = LENGTHS[spec.country]
    persons = [_make_stem(spec.country, area, length, EVERY_TYPE, chance, taken) for area in areas]
    zero = "0" if spec.country in WITH_SWITCHBOARD else ""
    length = SWITCHBOARD_LENGTH - 1 if zero else length
    companies = [_make_stem(spec.country, "", length, FIXED, chance, taken, zero) for _ in range(COMPANY_STEMS)]
    return GroupData(spec, count, chance.getrandbits(60), persons, companies)


def _make_stem(
    country: str,
    area: str,
    length: int,
    types: frozenset[int],
    chance: random.Random,
    taken: set[str],
    zero: str = "",
) -> _Stem:
    """Find digits that valid numbers of these types begin with, and none of those `taken`; add them to these.

    `zero` follows each of the numbers.
    """
    size = max(4, len(area) + 1)
    rest = length - size
    while True:
        prefix = area + _digits(chance, size - len(area))
        if any(prefix.startswith(other) or other.startswith(prefix) for other in taken):
            continue
        trials = (prefix + _digits(chance, rest) + zero for _ in range(TRIALS))
        if all(_is_of_type(country, national, types) for national in trials):
            taken.add(prefix)
            # Without a factor of ten: so it reaches every number once.
            factor = chance.randrange(10 ** (rest - 1), 10**rest) // 10 * 10 + chance.choice((1, 3, 7, 9))
            return _Stem(prefix, rest, factor, chance.randrange(10**rest), len(area) or 3)


def _is_of_type(country: str, national: str, types: frozenset[int]) -> bool:
    number = phonenumbers.parse(f"+{country}{national}")
    # Otherwise its first zero was taken for the one that is dialled before an area code.
    is_itself = phonenumbers.national_significant_number(number) == national
    return is_itself and phonenumbers.number_type(number) in types


def _digits(chance: random.Random, count: int) -> str:
    return f"{chance.randrange(10**count):0{count}d}"
