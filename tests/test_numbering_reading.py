"""Reading numbers: the tables of numbering.md, what people really write, and the laws over all countries."""

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbering import countries
from numbering.cleaning import clean
from numbering.reading import Plan, Reading, is_withheld, list_endings, read_presented, read_typed


def plan(text: str = "49//", **values: object) -> Plan:
    """`49/211/339903` as a plan, by the country's own prefixes."""
    country, area, line = text.split("/")
    defaults = {"country": country, "area": area, "company_line": line, "trunk": countries.trunk_prefix(country)}
    return Plan(**(defaults | values))  # type: ignore[arg-type]


def read_one(typed: str, by: Plan) -> Reading:
    (reading,) = read_typed(typed, by)
    return reading


@pytest.mark.parametrize(
    ("by", "typed", "canonical", "rule"),
    [
        ("49/211/339903", "12", "4921133990312", "company"),
        ("49/211/339903", "33990312", "4921133990312", "area"),
        ("49/211/339903", "21133990312", "4921133990312", "country"),
        ("49/211/339903", "4921133990312", "4921133990312", "complete"),
        ("49/211/339903", "+49 (0) 211 / 339903-12", "4921133990312", "international"),
        ("49/211/339903", "0211 339903 12", "4921133990312", "national"),
        ("49/211/339903", "0049 211 33990312", "4921133990312", "international"),
        ("49/211/339903", "+33 1 42 68 53 00", "33142685300", "international"),
        ("49/211/339903", "0033142685300", "33142685300", "international"),
        # Without a guard, exactly the vendor's rule, to the digit.
        ("49/211/339903", "112", "49211339903112", "company"),
        ("49/211/339903", "8712345", "492113399038712345", "company"),
        ("49/211/", "8712345", "492118712345", "area"),
        ("49/211/", "2118712345", "492118712345", "country"),
        ("49//", "089 1234567", "49891234567", "national"),
        ("49//", "89 1234567", "49891234567", "national"),
        ("49//", "112", "112", "service"),
        ("49/211/", "110", "110", "service"),
        ("49//", "11880", "11880", "service"),
        ("1//", "1 (780) 836-9987", "17808369987", "national"),
        ("1//", "780-836-9987", "17808369987", "national"),
        ("1/780/", "836-9987", "17808369987", "area"),
        ("1/780/", "1 212 555 0100", "12125550100", "national"),
        ("1/780/", "212 555 0100", "12125550100", "country"),
        ("39//", "06 39733434", "390639733434", "national"),
        ("45//", "33 31 99 91", "4533319991", "national"),
        ("36//", "06 1 234 5678", "3612345678", "national"),
        # A carrier's code behind the trunk prefix; a number that begins like a call abroad.
        ("55//", "0 15 11 3033-5446", "551130335446", "national"),
        ("972//", "0151 1234 0000", "97215112340000", "national"),
        ("7//", "8 (495) 123-45-67", "74951234567", "national"),
    ],
)
def test_a_typed_number_is_completed_by_the_rule_of_the_table(by: str, typed: str, canonical: str, rule: str) -> None:
    reading = read_one(typed, plan(by))

    assert (reading.canonical, reading.rule) == (canonical, rule)


@pytest.mark.parametrize(
    ("typed", "canonical"),
    [
        ("+49 0711 284 2222", "497112842222"),
        ("+39 06 39733434", "390639733434"),
        ("(0)211 339903", "49211339903"),
        ("+54 (0)11 4311 4333", "541143114333"),
        # Dropping the zero would leave a number that Chile does not have.
        ("+56 (0)2 635 4444", "56026354444"),
        ("tel:+49-211-339903-12", "4921133990312"),
        ("tel:211-33990312;phone-context=+49", "4921133990312"),
        ("sip:+4921133990312@pbx.example;user=phone", "4921133990312"),
        ('"Maria Anders" <sip:+4921133990312@pbx.example>', "4921133990312"),
        ("callto://+4921133990312", "4921133990312"),
        ("sips:+4921133990312:5061@pbx.example", "4921133990312"),
        ("Tel.: 0211/33990312", "4921133990312"),
        ("Büro 2: 0211 33990312", "4921133990312"),
        ("0211 33990312 (Büro)", "4921133990312"),
        ("0211 33990312 mobil", "4921133990312"),
        ("\u0660\u0662\u0661\u0661 \u0663\u0663\u0669\u0669\u0660\u0663\u0661\u0662", "4921133990312"),
        ("\uff0b\uff14\uff19 211 33990312", "4921133990312"),
        ("+49\u00a0211\u2011339903\u201312", "4921133990312"),
        ("\u202a+49 211 33990312\u202c", "4921133990312"),
        ("📞 0211 33990312", "4921133990312"),
    ],
)
def test_what_stands_around_a_number_does_not_belong_to_it(typed: str, canonical: str) -> None:
    assert read_one(typed, plan()).canonical == canonical


@pytest.mark.parametrize(
    ("typed", "canonical", "extension"),
    [
        ("0211-339903 Durchwahl 12", "4921133990312", ""),
        ("0211 339903 DW 12", "4921133990312", ""),
        ("+43 1 5134505 Klappe 12", "431513450512", ""),
        ("+1 (212) 555-0100 ext. 12", "12125550100", "12"),
        ("+1 212 555 0100 x12", "12125550100", "12"),
        ("+1 212 555 0100 #12", "12125550100", "12"),
        ("tel:+1-212-555-0100;ext=12", "12125550100", "12"),
        ("+33 1 42 68 53 00 poste 12", "33142685300", "12"),
        ("+39 06 39733434 int. 12", "390639733434", "12"),
    ],
)
def test_an_extension_is_dialled_with_the_number_in_germany_and_austria_and_kept_beside_it_elsewhere(
    typed: str, canonical: str, extension: str
) -> None:
    reading = read_one(typed, plan())

    assert (reading.canonical, reading.extension) == (canonical, extension)


@pytest.mark.parametrize(
    ("typed", "canonicals"),
    [
        ("0211 1234567 / 0171 5678901", ["492111234567", "491715678901"]),
        ("0211 1234567; +33 1 42 68 53 00", ["492111234567", "33142685300"]),
        ("0211 1234567, 0171 5678901", ["492111234567", "491715678901"]),
        ("0211 1234567\n0171 5678901", ["492111234567", "491715678901"]),
        ("0211 1234567 oder 0171 5678901", ["492111234567", "491715678901"]),
        ("+49 211 1234567 +49 171 5678901", ["492111234567", "491715678901"]),
        ("0211 339903-12/13", ["4921133990312", "4921133990313"]),
        ("0211 33990310/-11/-12", ["4921133990310", "4921133990311", "4921133990312"]),
        ("0211 339903-10/-11", ["4921133990310", "4921133990311"]),
        ("Tel. 0211/1234567 Fax 0211/1234568", ["492111234567", "492111234568"]),
        ("0211 1234567 mobil: 0171 5678901", ["492111234567", "491715678901"]),
        ("0211 1234567 bis 70", ["492111234567"]),
        ("0211 1234567 (nur 8-12 Uhr)", ["492111234567"]),
        ("0211/1234567", ["492111234567"]),
        ("+49 (0) 211 / 339903-12", ["4921133990312"]),
    ],
)
def test_every_number_of_a_field_is_read(typed: str, canonicals: list[str]) -> None:
    assert [reading.canonical for reading in read_typed(typed, plan())] == canonicals


@pytest.mark.parametrize("uri", ["sip:anders42@pbx.example", '"Anonymous" <sip:c8oqz84zk7z@privacy.example>'])
def test_the_name_of_an_account_is_no_number(uri: str) -> None:
    assert [reading.canonical for reading in read_presented(uri, plan())] == [""]
    assert [reading.canonical for reading in read_typed(uri, plan())] == [""]


def test_the_plan_of_a_group_does_not_decide_whether_ends_are_compared() -> None:
    site, group = plan(international="1"), plan("49/211/", key="7")

    assert list_endings(read_presented("12905111", site, [group]), site) == list_endings(
        read_presented("12905111", site), site
    )


def test_an_extension_and_a_whole_number_in_one_field_are_two_numbers() -> None:
    readings = read_typed("12 / 0171 5678901", plan("49/211/339903"))

    assert [reading.canonical for reading in readings] == ["4921133990312", "491715678901"]


def test_a_zero_in_brackets_is_kept_where_the_number_wants_it() -> None:
    assert read_one("+39 (0)6 39733434", plan("49//")).canonical == "390639733434"
    assert read_one("+44 (0)20 7946 0958", plan("49//")).canonical == "442079460958"


def test_vanity_letters_are_digits_only_where_they_make_a_number() -> None:
    assert read_one("1-800-FLOWERS", plan("1//")).canonical == "18003569377"
    assert read_one("1-800-GO-FEDEX", plan("1//")).canonical == "18004633339"
    assert read_one("0211 1234567 Buero", plan()).canonical == "492111234567"


@pytest.mark.parametrize(
    ("typed", "shortest", "longest", "canonical", "rule"),
    [
        ("12", 1, 4, "4921133990312", "company"),
        ("8712345", 1, 4, "492118712345", "area"),
        ("8712345", None, 4, "492118712345", "area"),
        ("5", 2, None, "492115", "area"),
        ("112", 1, 4, "112", "service"),
    ],
)
def test_a_guard_keeps_what_is_no_extension_from_being_one(
    typed: str, shortest: int | None, longest: int | None, canonical: str, rule: str
) -> None:
    reading = read_one(typed, plan("49/211/339903", extension_min=shortest, extension_max=longest))

    assert (reading.canonical, reading.rule) == (canonical, rule)


@pytest.mark.parametrize(
    ("typed", "canonical", "kind", "possible"),
    [
        ("call me", "", "unreadable", False),
        ("📞", "", "unreadable", False),
        ("12", "12", "internal", False),
        ("+999 123 456", "999123456", "unreadable", False),
        ("0", "", "unreadable", False),
        ("9" * 60, "", "unreadable", False),
        # It says its country itself, so it stays that country's, if too long for it.
        ("+453 3331 9991", "45333319991", "public", False),
    ],
)
def test_what_cannot_be_read_is_kept_and_found_by_its_digits(
    typed: str, canonical: str, kind: str, possible: bool
) -> None:
    reading = read_one(typed, plan())

    assert (reading.canonical, reading.kind, reading.possible, reading.raw) == (canonical, kind, possible, typed)


def test_an_empty_field_has_no_number() -> None:
    assert read_typed("  \n", plan()) == ()


def test_a_company_line_is_known_from_a_direct_dial_extension_behind_a_dash() -> None:
    assert read_one("0211 339903-12", plan()).block == "49211339903"
    assert read_one("+49 211 339903-0", plan()).block == "49211339903"
    assert read_one("0211-339903", plan()).block == ""
    assert read_one("02151-33990", plan()).block == ""
    assert read_one("212-555-0100", plan("1//")).block == ""


GERMANY = plan()
US = plan("1//", outside_codes=("9",))
COLLEAGUES = plan("49/211/339903", key="7")


@pytest.mark.parametrize(
    ("site", "presented", "canonical", "rule"),
    [
        (GERMANY, "+4921133990312", "4921133990312", "international"),
        (GERMANY, "4921133990312", "4921133990312", "complete"),
        (GERMANY, "004921133990312", "4921133990312", "international"),
        (GERMANY, "0004921133990312", "4921133990312", "outside_international"),
        (GERMANY, "021133990312", "4921133990312", "national"),
        (GERMANY, "0021133990312", "4921133990312", "outside_national"),
        (GERMANY, "04921133990312", "4921133990312", "outside_complete"),
        (GERMANY, "0112", "112", "service"),
        (US, "912125550100", "12125550100", "outside_national"),
        (US, "2125550100", "12125550100", "national_without_trunk"),
        (US, "9011442079460958", "442079460958", "outside_international"),
        (plan("39//"), "00639733434", "390639733434", "outside_national"),
        (plan("45//"), "033319991", "4533319991", "outside_national"),
    ],
)
def test_a_presented_number_is_read_as_its_telephone_system_means_it(
    site: Plan, presented: str, canonical: str, rule: str
) -> None:
    rules = {reading.canonical: reading.rule for reading in reversed(read_presented(presented, site))}

    assert rules[canonical] == rule


def test_the_first_reading_is_the_one_that_a_german_telephone_system_means() -> None:
    readings = read_presented("0021133990312", GERMANY)

    assert readings[0].canonical == "4921133990312"
    # It would be a number of South Sudan, if that had numbers of this length.
    assert "21133990312" in [reading.canonical for reading in readings]


def test_several_outside_codes_are_each_tried() -> None:
    site = plan(outside_codes=("0", "99"))

    assert read_presented("99021133990312", site)[0].canonical == "4921133990312"
    assert read_presented("0021133990312", site)[0].canonical == "4921133990312"


def test_a_colleague_is_read_by_his_groups_plan_and_marked_with_it() -> None:
    reading = read_presented("12", GERMANY, [COLLEAGUES])[0]

    assert (reading.canonical, reading.rule, reading.plan_key) == ("4921133990312", "company", "7")


def test_a_short_number_is_guessed_to_be_no_countrys() -> None:
    assert [(r.canonical, r.kind) for r in read_presented("12", GERMANY)] == [("12", "internal")]


def test_a_number_with_a_plus_has_one_reading() -> None:
    assert len(read_presented("+453 3331 9991", GERMANY)) == 1
    assert len(read_presented("+49 (211) 33990312", GERMANY, [COLLEAGUES])) == 1


def test_impossible_readings_come_after_every_possible_one() -> None:
    possible = [reading.possible for reading in read_presented("0045333319991", GERMANY)]

    assert possible == sorted(possible, reverse=True)


@pytest.mark.parametrize(
    "presented",
    [
        *("", "  ", "anonymous", "Anonymous", "PRIVATE", "unknown", "unavailable", "Restricted", "withheld"),
        *("Unbekannt", "P", "O", "-", "sip:anonymous@anonymous.invalid", '"Anonymous" <sip:anonymous@10.0.0.1>'),
        *("Number withheld", "<anonymous>", "nicht verfügbar"),
    ],
)
def test_a_withheld_number_is_recognized(presented: str) -> None:
    assert is_withheld(presented)
    assert [reading.kind for reading in read_presented(presented, GERMANY)] == ["withheld"]


@pytest.mark.parametrize("presented", ["0211 1", "Peter", "sip:alice@example.com", "📞", "+", "12"])
def test_what_is_not_withheld_is_not_taken_for_it(presented: str) -> None:
    assert not is_withheld(presented) or presented == "+"


def test_a_sip_user_without_a_number_is_unreadable() -> None:
    assert [(r.kind, r.canonical) for r in read_presented("sip:alice@example.com", GERMANY)] == [("unreadable", "")]


# --- laws ---

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


def example_numbers() -> list[str]:
    numbers = (phonenumbers.example_number_for_type(region, 0) for region in REGIONS)
    return [f"{n.country_code}{phonenumbers.national_significant_number(n)}" for n in numbers if n is not None]


EXAMPLES = example_numbers()


def test_every_country_has_an_example() -> None:
    assert len(EXAMPLES) > 230


@pytest.mark.parametrize("site", [GERMANY, US, plan("39//"), plan("7//")], ids=lambda site: site.country)
def test_reading_a_full_number_of_any_country_gives_itself(site: Plan) -> None:
    assert [read_one(f"+{number}", site).canonical for number in EXAMPLES] == EXAMPLES


@given(st.from_regex(r"[1-9][0-9]{3,16}", fullmatch=True))
def test_reading_is_idempotent(digits: str) -> None:
    once = countries.read_full_number(digits)

    assert once is None or countries.read_full_number(once.canonical) == once


@settings(max_examples=300)
@given(
    st.sampled_from(EXAMPLES),
    st.sampled_from([GERMANY, US, plan("39//"), plan("45//"), plan("36//"), plan("44//", outside_codes=())]),
    st.data(),
)
def test_a_number_is_among_the_readings_of_each_of_its_presentations(
    number: str, site: Plan, data: st.DataObject
) -> None:
    country, national = countries.split_country(number)
    international = countries.international_prefix(site.country)
    forms = [f"+{number}", number, international + number, f"tel:+{number}", f"sip:+{number}@pbx.example"]
    forms += [code + international + number for code in site.outside_codes]
    if country == site.country:
        forms += [site.trunk + national, *(code + site.trunk + national for code in site.outside_codes)]
    presented = data.draw(st.sampled_from(forms))

    assert number in [reading.canonical for reading in read_presented(presented, site, [COLLEAGUES])]


ANY_PLAN = st.builds(
    Plan,
    country=st.from_regex(r"[1-9][0-9]{0,2}", fullmatch=True),
    area=st.from_regex(r"[0-9]{0,4}", fullmatch=True),
    company_line=st.from_regex(r"[0-9]{0,4}", fullmatch=True),
    extension_min=st.none() | st.integers(0, 4),
    extension_max=st.none() | st.integers(0, 4),
    outside_codes=st.lists(st.from_regex(r"[0-9]{1,2}", fullmatch=True), max_size=2).map(tuple),
    trunk=st.from_regex(r"[0-9]{0,2}", fullmatch=True),
    international=st.from_regex(r"[0-9]{0,3}", fullmatch=True),
    key=st.just("7"),
)
LIKE_A_NUMBER = st.text(alphabet="0123456789+()/-. ;x#,", max_size=30)


@settings(max_examples=500)
@given(st.text(max_size=60) | LIKE_A_NUMBER, ANY_PLAN, ANY_PLAN)
def test_no_text_and_no_plan_whatever_makes_reading_fail(text: str, plan: Plan, site: Plan) -> None:
    for reading in (*read_typed(text, plan), *read_presented(text, site, [plan])):
        assert reading.canonical == "" or (reading.canonical.isascii() and reading.canonical.isdecimal())
        assert len(reading.canonical) <= 40


def test_ten_thousand_characters_are_read_at_once() -> None:
    assert read_typed("1" * 10_000, GERMANY)[0].kind == "unreadable"
    assert read_presented("a" * 10_000, GERMANY)[0].kind == "unreadable"
    assert len(clean("1234567 or " * 1_000)) == 20
