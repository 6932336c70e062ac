"""Every way in which a number can be read is put in words."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmphone.contacts.admin import readings
from numbering.reading import Plan, Reading, read_presented, read_typed

SITE = Plan()
US = Plan("1", outside_codes=("9",), trunk="1")
COMPANY = Plan("49", "211", "339903", key="1")
AREA = Plan("49", "211", key="2")
PLANS = [SITE, US, COMPANY, AREA, Plan("39", trunk=""), Plan("7", "495", trunk="8"), Plan("36", "1", trunk="06")]

TYPED = [
    ("12", COMPANY, "company"),
    ("33990312", COMPANY, "area"),
    ("21133990312", COMPANY, "country"),
    ("4921133990312", COMPANY, "complete"),
    ("+49 211 33990312", SITE, "international"),
    ("0211 33990312", SITE, "national"),
    ("112", SITE, "service"),
    ("12", SITE, "internal"),
    ("999999999999999999999", SITE, "digits"),
    ("none", SITE, "no_digits"),
]
PRESENTED = [
    ("0021133990312", SITE, "outside_national"),
    ("00033142685300", SITE, "outside_international"),
    ("921133990312", Plan(outside_codes=("9",)), "national_without_trunk"),
    ("9" + "4921133990312", Plan(outside_codes=("9",)), "outside_complete"),
    ("anonymous", SITE, "withheld"),
]


def read_in_every_way(text: str) -> list[Reading]:
    return [
        reading
        for plan in PLANS
        for read in (read_typed(text, plan), read_presented(text, plan, PLANS[2:4]))
        for reading in read
    ]


def test_the_words_are_those_of_the_rules_there_are() -> None:
    found = {read_typed(text, plan)[0].rule for text, plan, _ in TYPED}
    found |= {reading.rule for text, plan, _ in PRESENTED for reading in read_presented(text, plan)}
    assert set(readings._rules) - found == set()
    assert found - set(readings._rules) == set()


@pytest.mark.parametrize(("text", "plan", "rule"), TYPED)
def test_a_typed_number_s_rule_has_words(text: str, plan: Plan, rule: str) -> None:
    assert read_typed(text, plan)[0].rule == rule
    assert readings._rules[rule]


@pytest.mark.parametrize(("text", "plan", "rule"), PRESENTED)
def test_a_presented_number_s_rule_has_words(text: str, plan: Plan, rule: str) -> None:
    assert rule in {reading.rule for reading in read_presented(text, plan)}
    assert readings._rules[rule]


@settings(max_examples=300)
@given(
    st.text("0123456789", min_size=1, max_size=18)
    | st.from_regex(r"\+?[0-9 ()/-]{1,20}", fullmatch=True)
    | st.text(max_size=12)
)
def test_no_number_is_read_by_a_rule_or_as_a_kind_without_words(text: str) -> None:
    for reading in read_in_every_way(text):
        assert reading.rule in readings._rules
        assert reading.kind in readings._kinds
