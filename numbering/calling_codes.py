"""libphonenumber's metadata, made ready for asking: one CallingCode a country code, compiled once per process.  Pure.

libphonenumber's public functions look everything up anew for each of their answers; asked about every reading of
every call, they cost more than the database.  What is here answers the same from the same metadata, which the tests
hold against those functions for every country.  No country is hard-wired.
"""

import re
from collections.abc import Iterator
from functools import cache, cached_property
from typing import Literal

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, REGION_CODE_FOR_NON_GEO_ENTITY, PhoneMetadata
from phonenumbers.phonemetadata import NumberFormat, PhoneNumberDesc

# Of a national number, as libphonenumber reads one.
SHORTEST_NATIONAL, LONGEST_NATIONAL = 2, 17

NumberType = Literal["fixed", "mobile", "fixed_or_mobile", "other"]
Length = Literal["possible", "local_only", "too_short", "too_long", "never"]


class _Shape:
    """The numbers of one type: which lengths they have, and what digits."""

    def __init__(self, desc: PhoneNumberDesc) -> None:
        self._lengths = frozenset(desc.possible_length)
        self._pattern = re.compile(desc.national_number_pattern or "")

    def fits(self, national: str) -> bool:
        return (not self._lengths or len(national) in self._lengths) and self._pattern.fullmatch(national) is not None


def _shape(desc: PhoneNumberDesc | None) -> _Shape | None:
    # No numbers of a type are told by a length of -1.
    return _Shape(desc) if desc and desc.national_number_pattern and desc.possible_length != (-1,) else None


class Region:
    """A country, or what has a country's place: `code` is its ISO 3166 code, or 001 where numbers belong to none."""

    def __init__(self, code: str, metadata: PhoneMetadata) -> None:
        self.code = code
        self.has_trunk_prefix = metadata.national_prefix is not None
        self._general = _shape(metadata.general_desc)
        self._fixed = _shape(metadata.fixed_line)
        self._is_mobile_like_fixed = metadata.same_mobile_and_fixed_line_pattern
        self._mobile = None if self._is_mobile_like_fixed else _shape(metadata.mobile)
        others = (
            *(metadata.premium_rate, metadata.toll_free, metadata.shared_cost, metadata.voip),
            *(metadata.personal_number, metadata.pager, metadata.uan, metadata.voicemail),
        )
        self._others = [shape for desc in others if (shape := _shape(desc))]
        self._leading_digits = re.compile(metadata.leading_digits) if metadata.leading_digits is not None else None

    def is_valid(self, national: str) -> bool:
        """Say whether the country has such a number."""
        if self._general is None or not self._general.fits(national):
            return False
        subscriber = (self._fixed, self._mobile)
        return any(shape is not None and shape.fits(national) for shape in (*subscriber, *self._others))

    def find_type(self, national: str) -> NumberType | None:
        """Return of which type a number is, None for one that the country does not have."""
        if self._general is None or not self._general.fits(national):
            return None
        if any(shape.fits(national) for shape in self._others):
            return "other"
        is_mobile = self._mobile is not None and self._mobile.fits(national)
        if self._fixed is not None and self._fixed.fits(national):
            return "fixed_or_mobile" if is_mobile or self._is_mobile_like_fixed else "fixed"
        return "mobile" if is_mobile else None

    def claims(self, national: str) -> bool:
        """Say whether a number of a country code that several share is this country's."""
        if self._leading_digits is not None:
            return self._leading_digits.match(national) is not None
        return self.is_valid(national)


class _Format:
    """One way to group the digits of a number."""

    def __init__(self, form: NumberFormat) -> None:
        leading = form.leading_digits_pattern
        # The last is the most detailed.
        self._leading = re.compile(leading[-1]) if leading else None
        self._pattern = re.compile(form.pattern or "")
        self._template = _read_template(form.format or "")

    def apply(self, national: str) -> str | None:
        """Return the digits in groups, or None where this is not the way for them."""
        if self._leading is not None and self._leading.match(national) is None:
            return None
        match = self._pattern.fullmatch(national)
        return self._template.format(*match.groups("")) if match else None


def _read_template(template: str) -> str:
    """Turn `\\1 \\2` into `{0} {1}`: filling in what Python has to parse anew each time takes five times as long."""
    return re.sub(r"\\(\d)", lambda group: f"{{{int(group[1]) - 1}}}", template)


class CallingCode:
    """A country code such as `49`, and what the numbers behind it look like."""

    def __init__(self, code: str) -> None:
        self.code = code
        self._metadata = [
            (region, _load(region, int(code))) for region in COUNTRY_CODE_TO_REGION_CODE.get(int(code), ())
        ]
        # What several countries share, the first has.
        _, main = self._metadata[0]
        numbers = main.general_desc or PhoneNumberDesc()
        self._possible = tuple(numbers.possible_length)
        self._local_only = frozenset(numbers.possible_length_local_only)
        self._general = re.compile(numbers.national_number_pattern or "")
        prefix = main.national_prefix_for_parsing
        self._prefix = re.compile(prefix) if prefix else None
        self._transform = main.national_prefix_transform_rule

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """Return the countries that have the code; the first is the main one."""
        return tuple(Region(region, metadata) for region, metadata in self._metadata)

    @cached_property
    def _formats(self) -> tuple[_Format, ...]:
        _, main = self._metadata[0]
        return tuple(_Format(form) for form in main.intl_number_format or main.number_format)

    def judge_length(self, national: str) -> Length:
        """Say whether the code has numbers of this length.  `never`: shorter and longer ones, but not these."""
        length = len(national)
        if length in self._local_only:
            return "local_only"
        if length in self._possible:
            return "possible"
        if length < self._possible[0]:
            return "too_short"
        return "too_long" if length > self._possible[-1] else "never"

    def matches_any(self, national: str) -> bool:
        """Say whether the digits are those of any number of the code."""
        return self._general.fullmatch(national) is not None

    def strip_trunk(self, national: str) -> str:
        """Return a national number as it is dialled within the country without what is dialled in front of it."""
        stripped = self.strip_trunk_of_any_length(national)
        # A number that would be too short without it may be a short number.
        return national if self.judge_length(stripped) in {"too_short", "local_only", "never"} else stripped

    def strip_trunk_of_any_length(self, national: str) -> str:
        """Do the same, also where the rest is too short for a number."""
        match = self._prefix.match(national) if self._prefix else None
        if match is None:
            return national
        if self._transform and match.groups()[-1] is not None:
            # Some countries have something put in its place.
            stripped = match.expand(self._transform) + national[match.end() :]
        else:
            stripped = national[match.end() :]
        return national if self.matches_any(national) and not self.matches_any(stripped) else stripped

    def find_region(self, national: str) -> Region | None:
        """Return whose number it is, None for one that could be nobody's."""
        if len(self.regions) == 1:
            return self.regions[0]
        return next((region for region in self.regions if region.claims(national)), None)

    def is_valid(self, national: str) -> bool:
        """Say whether a country with this code has such a number."""
        region = self.find_region(national)
        return region is not None and region.is_valid(national)

    def format(self, national: str) -> str:
        """Return the national number in the groups of its international notation."""
        grouped = (form.apply(national) for form in self._formats)
        return next((each for each in grouped if each is not None), national)


def _load(region: str, code: int) -> PhoneMetadata:
    is_nobodys = region == REGION_CODE_FOR_NON_GEO_ENTITY
    metadata = (
        PhoneMetadata.metadata_for_nongeo_region(code) if is_nobodys else PhoneMetadata.metadata_for_region(region)
    )
    if metadata is None:
        raise LookupError(f"libphonenumber knows {region}, but nothing of it.")
    return metadata


@cache
def _load_code(code: str) -> CallingCode:
    return CallingCode(code)


_codes = frozenset(str(code) for code in COUNTRY_CODE_TO_REGION_CODE)


def find_calling_code(code: str) -> CallingCode | None:
    """Return the country code, or None where there is no such."""
    return _load_code(code) if code in _codes else None


def split(digits: str) -> tuple[CallingCode, str] | None:
    """Split what stands behind a plus into country code and the rest; None where it begins with no country code."""
    for length in (1, 2, 3):
        if (code := digits[:length]) in _codes and len(digits) > length:
            return _load_code(code), digits[length:]
    return None


def list_calling_codes() -> Iterator[CallingCode]:
    """Yield every country code there is."""
    return (_load_code(code) for code in sorted(_codes))
