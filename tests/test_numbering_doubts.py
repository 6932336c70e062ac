"""Which settings of a plan are doubted, and that ordinary ones are not."""

import pytest

from numbering import countries
from numbering.doubts import Doubt, find_doubts, find_site_doubts
from numbering.reading import Plan

NONE = (None, None)


def make_plan(country: str, area: str = "", line: str = "", guard: tuple[int | None, int | None] = NONE) -> Plan:
    """A customer group's plan, with the country's own trunk prefix."""
    return Plan(country, area, line, *guard, trunk=countries.trunk_prefix(country))


@pytest.mark.parametrize(
    "plan",
    [
        # Germany: Düsseldorf, Berlin, Munich, Frankfurt; Emden's area begins with the country's code.
        make_plan("49"),
        make_plan("49", "211"),
        make_plan("49", "211", "339903"),
        make_plan("49", "211", "339903", (1, 4)),
        make_plan("49", "211", "339903", (None, 4)),
        make_plan("49", "211", "339903", (2, None)),
        make_plan("49", "30", "901820"),
        make_plan("49", "89", "7"),
        make_plan("49", "69", "12345", (3, 5)),
        make_plan("49", "4921", "12345"),
        make_plan("49", "", "211339903"),
        # Austria: Vienna's area is one digit, with which many a line begins.
        make_plan("43"),
        make_plan("43", "1", "12345"),
        make_plan("43", "1", "12345", (1, 4)),
        make_plan("43", "316", "8"),
        make_plan("43", "662", "8044", (4, 4)),
        make_plan("43", "5", "1766"),
        # USA and Canada: extensions fill the number up to ten digits.
        make_plan("1"),
        make_plan("1", "212"),
        make_plan("1", "212", "555"),
        make_plan("1", "212", "555", (4, 4)),
        make_plan("1", "780", "83"),
        make_plan("1", "", "212555"),
        # Italy: the zero is part of the area.
        make_plan("39"),
        make_plan("39", "02"),
        make_plan("39", "06", "39733"),
        make_plan("39", "06", "39733", (1, 4)),
        make_plan("39", "", "0639733"),
        # Denmark: no areas.
        make_plan("45"),
        make_plan("45", "", "3331"),
        make_plan("45", "", "3331", (4, 4)),
        # Hungary: the trunk prefix is 06, and the area 36 is the country's code too.
        make_plan("36"),
        make_plan("36", "1", "1234"),
        make_plan("36", "1", "123", (4, 4)),
        make_plan("36", "36", "512"),
        # Russia: the trunk prefix is 8, and so begin areas and lines; Kazakhstan has the same country code.
        make_plan("7"),
        make_plan("7", "495", "123"),
        make_plan("7", "495", "888", (4, 4)),
        make_plan("7", "812", "123"),
        make_plan("7", "812", "812"),
        make_plan("7", "843", "2"),
        make_plan("7", "727", "2"),
        # Others, each with a way of its own.
        make_plan("33", "1", "4268"),
        make_plan("34", "91", "123"),
        make_plan("41", "44", "632"),
        make_plan("44", "20", "7946", (4, 4)),
        make_plan("48", "22", "123"),
        make_plan("52", "55", "12"),
        make_plan("55", "11", "3"),
        make_plan("61", "2", "9"),
        make_plan("81", "3", "1234"),
        make_plan("86", "10", "8"),
        make_plan("852", "", "2"),
        make_plan("972", "3", "12"),
    ],
    ids=str,
)
def test_an_ordinary_plan_is_not_doubted(plan: Plan) -> None:
    assert find_doubts(plan) == ()


@pytest.mark.parametrize("trunk", ["", "0", "1"])
def test_a_trunk_prefix_that_is_the_site_s_mistake_makes_no_plan_doubtful(trunk: str) -> None:
    for plan in (Plan("39", "06", "39733", trunk=trunk), Plan("1", "212", "555", trunk=trunk)):
        assert find_doubts(plan) == ()


@pytest.mark.parametrize(
    ("plan", "doubt"),
    [
        (make_plan("999"), Doubt("no-such-country", "country", "999")),
        (make_plan("999", "0211", "0211"), Doubt("no-such-country", "country", "999")),
        (make_plan("49", "0211"), Doubt("begins-with-trunk-prefix", "area", "0211", "0", "211")),
        (make_plan("43", "01", "1234"), Doubt("begins-with-trunk-prefix", "area", "01", "0", "1")),
        (make_plan("1", "1212", "555"), Doubt("begins-with-trunk-prefix", "area", "1212", "1", "212")),
        (make_plan("36", "061"), Doubt("begins-with-trunk-prefix", "area", "061", "06", "1")),
        (make_plan("7", "8495"), Doubt("begins-with-trunk-prefix", "area", "8495", "8", "495")),
        (make_plan("49", "49211"), Doubt("begins-with-country", "area", "49211", "49", "211")),
        (make_plan("36", "361"), Doubt("begins-with-country", "area", "361", "36", "1")),
        (make_plan("39", "3906", "397"), Doubt("begins-with-country", "area", "3906", "39", "06")),
        (make_plan("7", "7495"), Doubt("begins-with-country", "area", "7495", "7", "495")),
        (make_plan("49", "0049211"), Doubt("begins-with-international-prefix", "area", "0049211", "00", "211")),
        (make_plan("49", "+49211"), Doubt("begins-with-international-prefix", "area", "+49211", "+", "211")),
        (make_plan("49", "00"), Doubt("begins-with-trunk-prefix", "area", "00", "0")),
        (make_plan("1", "0212"), Doubt("no-such-number", "area", "0212", "1")),
        (make_plan("45", "12345678"), Doubt("no-such-number", "area", "12345678", "45")),
        (
            make_plan("49", "211", "211339903"),
            Doubt("begins-with-area", "company_line", "211339903", "211", "339903"),
        ),
        (make_plan("49", "30", "301234"), Doubt("begins-with-area", "company_line", "301234", "30", "1234")),
        (make_plan("1", "212", "212555"), Doubt("begins-with-area", "company_line", "212555", "212", "555")),
        (
            make_plan("49", "211", "0339903"),
            Doubt("begins-with-trunk-prefix", "company_line", "0339903", "0", "339903"),
        ),
        (
            make_plan("49", "211", "0211339903"),
            Doubt("begins-with-trunk-prefix", "company_line", "0211339903", "0", "339903"),
        ),
        (
            make_plan("49", "", "0211339903"),
            Doubt("begins-with-trunk-prefix", "company_line", "0211339903", "0", "211339903"),
        ),
        (make_plan("36", "1", "061123"), Doubt("begins-with-trunk-prefix", "company_line", "061123", "06", "123")),
        (make_plan("1", "212", "1555"), Doubt("begins-with-trunk-prefix", "company_line", "1555", "1", "555")),
        (
            make_plan("49", "211", "0049211339903"),
            Doubt("begins-with-international-prefix", "company_line", "0049211339903", "00", "339903"),
        ),
        (
            make_plan("49", "211", "49211339903"),
            Doubt("begins-with-country", "company_line", "49211339903", "49", "339903"),
        ),
        (make_plan("1", "", "555"), Doubt("area-missing", "company_line", "555", "1")),
        (make_plan("7", "", "1234567"), Doubt("area-missing", "company_line", "1234567", "7")),
        (make_plan("1", "212", "5550100"), Doubt("too-long", "company_line", "5550100", "1212")),
        (make_plan("49", "211", "339903", (7, None)), Doubt("too-long", "company_line", "339903", "49211")),
        (make_plan("1", "212", "555", (3, 3)), Doubt("too-short", "company_line", "555", "1212")),
        (make_plan("45", "", "0123"), Doubt("no-such-number", "company_line", "0123", "45")),
        (make_plan("49", "211", "339903", (1, 9)), Doubt("no-such-number", "extension_max", "9", "49211339903")),
        (make_plan("1", "212", "555", (4, 6)), Doubt("no-such-number", "extension_max", "6", "1212555")),
        (make_plan("49", "211", "", (None, 4)), Doubt("without-effect", "extension_max", "4")),
    ],
    ids=str,
)
def test_a_contradiction_is_found_with_what_is_probably_meant(plan: Plan, doubt: Doubt) -> None:
    assert find_doubts(plan) == (doubt,)


def test_a_wrong_area_is_not_held_against_the_line_too() -> None:
    assert [doubt.setting for doubt in find_doubts(make_plan("49", "0211", "339903", (1, 4)))] == ["area"]


def test_area_and_line_that_are_wrong_in_themselves_are_both_named() -> None:
    doubts = find_doubts(make_plan("49", "0211", "0339903"))
    assert [(doubt.setting, doubt.instead) for doubt in doubts] == [("area", "211"), ("company_line", "")]


@pytest.mark.parametrize(
    ("country", "trunk", "international"),
    [
        ("49", "0", ""),
        ("49", "0", "00"),
        ("1", "1", "011"),
        ("39", "", ""),
        ("36", "06", "00"),
        ("7", "8", "810"),
        ("61", "0", "0011"),
        # Countries where it names a carrier.
        ("55", "0", "0015"),
        ("65", "", "001"),
    ],
)
def test_a_country_s_own_prefixes_are_not_doubted(country: str, trunk: str, international: str) -> None:
    assert find_site_doubts(Plan(country, trunk=trunk, international=international)) == ()


@pytest.mark.parametrize(
    ("country", "trunk", "international", "doubt"),
    [
        ("999", "0", "00", Doubt("no-such-country", "country", "999")),
        ("39", "0", "", Doubt("unlike-country", "trunk", "0", "39")),
        ("49", "", "", Doubt("unlike-country", "trunk", "", "49", "0")),
        ("1", "0", "", Doubt("unlike-country", "trunk", "0", "1", "1")),
        ("49", "0", "011", Doubt("unlike-country", "international", "011", "49", instead="00")),
        ("49", "0", "0", Doubt("unlike-country", "international", "0", "49", instead="00")),
        ("55", "0", "", Doubt("missing", "international", "", "55")),
    ],
)
def test_a_prefix_unlike_the_country_s_is_doubted_and_its_own_named(
    country: str, trunk: str, international: str, doubt: Doubt
) -> None:
    assert find_site_doubts(Plan(country, trunk=trunk, international=international)) == (doubt,)
