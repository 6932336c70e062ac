"""What a typed part of a number is searched as: a table of cases, and the laws over all countries."""

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from numbering import countries
from numbering.reading import Plan, read_typed
from numbering.typed_search import NumberSearch, Pattern, read_number_search

GERMANY = Plan()
COLLEAGUES = Plan(area="211", company_line="339903", key="1")
HUNGARY = Plan(country="36", trunk="06", key="2")
DENMARK = Plan(country="45", trunk="", key="3")
ITALY = Plan(country="39", trunk="")
AMERICA = Plan(country="1", trunk="1", outside_codes=("9",), international="011")


def likes(text: str, site: Plan = GERMANY, *groups: Plan) -> list[str]:
    search = read_number_search(text, site, groups)
    assert search.obstacle is None
    return [pattern.like for pattern in search.patterns]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # Digits anywhere, whatever stands between them.
        ("339", ["%339%"]),
        ("33.99-03", ["%339903%"]),
        ("[33] 9", ["%339%"]),
        ("\t3 3\u00a09\u200b", ["%339%"]),
        ("３３９", ["%339%"]),
        ("٣٣٩", ["%339%"]),
        ("%339_", ["%339%"]),
        ("3\\39'\"", ["%339%"]),
        ("\x00339", ["%339%"]),
        # With +, the beginning; a trunk zero after the country code goes, but Italy's is part of the number.
        ("+49 211 33", ["4921133%"]),
        ("++49 211", ["49211%"]),
        ("tel:+49-211-33", ["4921133%"]),
        ("+49 (0)211 33", ["4921133%", "49021133%"]),
        ("+49 0211 33", ["49021133%", "4921133%"]),
        ("+39 06 397", ["3906397%"]),
        ("+39 (0)6 397", ["396397%", "3906397%"]),
        ("+491", ["491%"]),
        # International and national prefixes; the very same digits may also stand anywhere.
        ("0033 14", ["%003314%", "3314%"]),
        ("0049 0211 33", ["%0049021133%", "49021133%", "4921133%", "4949021133%"]),
        ("0049", ["%0049%"]),
        ("0211 339", ["%0211339%", "49211339%"]),
        ("(0211) 339", ["%0211339%", "49211339%"]),
        ("+0211 339", ["%0211339%", "49211339%"]),
        ("033", ["%033%", "4933%"]),
        ("007", ["%007%"]),
        # From five digits on, the first zero of two may also be an outside-line code.
        ("0033 1 42", ["%0033142%", "33142%", "4933142%"]),
        ("0 0211 339", ["%00211339%", "211339%", "49211339%"]),
        ("0 0033 1426", ["%000331426%", "331426%"]),
        ("0 0211", ["%00211%", "211%"]),
        # A wildcard anchors the other side.
        ("49211*", ["49211%"]),
        ("0211 339 *", ["0211339%", "49211339%"]),
        ("0049 211*", ["0049211%", "49211%", "4949211%"]),
        ("+49 211*", ["49211%"]),
        ("*0312", ["%0312"]),
        (" ＊ 0312", ["%0312"]),
        ("*+49 211", ["%49211"]),
        ("*3399*", ["%3399%"]),
        ("**0211**", ["%0211%"]),
        # Several numbers: any of them, each with the wildcard that stands at it.
        ("0211 12345 oder 339", ["%021112345%", "4921112345%", "%339%"]),
        ("*0312, 49211*", ["%0312", "49211%"]),
        ("0211 1234567, 12", ["%02111234567%", "492111234567%"]),
        # An extension that is written as one stands beside the number, or behind its digits.
        ("0211 1234567 Durchwahl 12", ["%02111234567%", "492111234567%"]),
        # Letters are digits only where such a number exists.
        ("0800 FLOWERS", ["%08003569377%", "498003569377%"]),
        ("0211 339 Buero", ["%0211339%", "49211339%"]),
        # More digits than any number has.
        ("1" * 40, ["%" + "1" * 40 + "%"]),
        ("1" * 41, []),
        ("1" * 5_000, []),
    ],
)
def test_a_text_means_these_patterns_in_germany(text: str, wanted: list[str]) -> None:
    assert likes(text) == wanted


@pytest.mark.parametrize(
    ("text", "obstacle"),
    [
        *((text, "too_short") for text in ("", " ", "*", "***", "12", "*12*", "+49", "1, 22, 33", "no digits", "☎️")),
        *((text, "wildcard_inside") for text in ("33*99", "*0211, 339*, 12", "*1*2*")),
    ],
)
def test_what_cannot_be_searched_for_says_why(text: str, obstacle: str) -> None:
    assert read_number_search(text, GERMANY) == NumberSearch(obstacle=obstacle)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "site", "groups", "wanted"),
    [
        # The plan of a group counts beside that of the site.
        ("06 1 23", GERMANY, [HUNGARY], ["%06123%", "496123%", "36123%"]),
        ("33 31", GERMANY, [DENMARK], ["%3331%"]),
        ("33 31*", GERMANY, [DENMARK], ["3331%", "453331%"]),
        ("33990312", GERMANY, [COLLEAGUES], ["%33990312%"]),
        ("06 397", ITALY, [], ["%06397%"]),
        ("06 397*", ITALY, [], ["06397%", "3906397%"]),
        ("0 06 39733434", ITALY, [], ["%00639733434%", "639733434%", "390639733434%"]),
        ("212 555", AMERICA, [], ["%212555%"]),
        ("1 212 555", AMERICA, [], ["%1212555%"]),
        ("212 555*", AMERICA, [], ["212555%", "1212555%"]),
        ("011 44 20", AMERICA, [], ["%0114420%", "4420%"]),
        ("9 1 212 555", AMERICA, [], ["%91212555%", "1212555%"]),
        ("9 011 44 207", AMERICA, [], ["%901144207%", "44207%"]),
        ("9122", AMERICA, [], ["%9122%"]),
    ],
)
def test_prefixes_are_those_of_the_site_and_of_the_groups(
    text: str, site: Plan, groups: list[Plan], wanted: list[str]
) -> None:
    assert likes(text, site, *groups) == wanted


def test_a_pattern_matches_where_it_says() -> None:
    for where, found in {"anywhere": [True, True, True, False], "start": [True, False, False, False]}.items():
        pattern = Pattern("211", where)  # type: ignore[arg-type]
        assert [pattern.matches(number) for number in ("2113", "42113", "4211", "4921")] == found
    assert [Pattern("211", "end").matches(number) for number in ("2113", "4211")] == [False, True]


# --- laws ---


def list_examples() -> list[tuple[str, str]]:
    numbers = [phonenumbers.example_number(region) for region in sorted(phonenumbers.SUPPORTED_REGIONS)]
    return [(str(n.country_code), phonenumbers.national_significant_number(n)) for n in numbers if n is not None]


EXAMPLES = list_examples()
SITES = [GERMANY, HUNGARY, ITALY, AMERICA, Plan(country="7", trunk="8", international="810")]
numbers = st.sampled_from(EXAMPLES)
sites = st.sampled_from(SITES)


@pytest.mark.parametrize(("country", "national"), EXAMPLES)
def test_a_number_of_any_country_is_found_as_people_write_it(country: str, national: str) -> None:
    group = Plan(country=country, trunk=countries.trunk_prefix(country), key="1")
    canonical = country + national
    for site in SITES:
        abroad = site.international or countries.international_prefix(site.country)
        outside = site.outside_codes[0]
        texts = [f"+{canonical}", f"+{country} (0){national}", f"{abroad} {canonical}", f"{group.trunk} {national}"]
        texts += [f"{outside} {abroad} {canonical}", canonical, national]
        for text in texts:
            assert read_number_search(text, site, [group]).matches(canonical), (text, site)


@given(numbers, sites, st.data())
def test_every_beginning_and_part_of_a_number_finds_it(
    number: tuple[str, str], site: Plan, data: st.DataObject
) -> None:
    country, national = number
    canonical = country + national
    group = Plan(country=country, trunk=countries.trunk_prefix(country), key="1")
    start = data.draw(st.integers(0, len(canonical) - 3))
    end = data.draw(st.integers(start + 3, len(canonical)))
    size = data.draw(st.integers(3, len(canonical)))

    for text in (
        canonical[start:end],
        f"*{canonical[start:end]}*",
        f"*{canonical[start:]}",
        f"{canonical[:size]}*",
        f"+{canonical[:size]}",
        f"+{canonical[:size]}*",
        f"{site.international or countries.international_prefix(site.country)}{canonical[:size]}",
        f"{group.trunk}{national[:size]}",
        f"{group.trunk}{national[:size]}*",
    ):
        assert read_number_search(text, site, [group]).matches(canonical), text


@given(st.text(alphabet="0123456789+ *()/-,", max_size=30) | st.text(max_size=30), sites)
def test_whatever_is_typed_gives_patterns_of_digits_none_of_which_covers_another(text: str, site: Plan) -> None:
    search = read_number_search(text, site, [HUNGARY, DENMARK, COLLEAGUES])

    for pattern in search.patterns:
        assert pattern.digits.isascii()
        assert pattern.digits.isdecimal()
        assert 3 <= len(pattern.digits) <= 40
        assert not any(other.covers(pattern) for other in search.patterns if other != pattern)
    assert not (search.patterns and search.obstacle)


@given(st.text(alphabet="0123456789+ ()/-xABC", max_size=25), st.sampled_from([GERMANY, COLLEAGUES, HUNGARY, DENMARK]))
def test_what_is_stored_as_typed_is_found_by_typing_the_same(text: str, plan: Plan) -> None:
    search = read_number_search(text, GERMANY, [plan])
    for reading in read_typed(text, plan)[:5]:
        if len(reading.raw) >= 3 and reading.kind == "public" and reading.possible and not search.obstacle:
            assert search.matches(reading.canonical) or sum(c.isdecimal() for c in reading.raw) < 3


@given(st.from_regex(r"[0-9]{3,12}", fullmatch=True), st.from_regex(r"[0-9]{3,15}", fullmatch=True), sites)
def test_a_wildcard_never_finds_what_the_digits_alone_do_not(digits: str, canonical: str, site: Plan) -> None:
    plain = read_number_search(digits, site)
    for text in (f"*{digits}", f"*{digits}*"):
        assert plain.matches(canonical) or not read_number_search(text, site).matches(canonical)
    anchored = read_number_search(f"{digits}*", site)
    if site.trunk.startswith("0"):
        assert plain.matches(canonical) or not anchored.matches(canonical)
