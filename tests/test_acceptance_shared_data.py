"""Acceptance data that may lie beside the checkout: number cases, and contacts that nobody here wrote."""

import csv
from pathlib import Path

import pytest

from numbering import countries
from numbering.dialing import dial
from numbering.reading import Plan, Reading, read_presented, read_typed

CASES = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "number-cases.csv"


def read_cases(direction: str) -> list[dict[str, str]]:
    if not CASES.exists():
        return []
    with CASES.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["direction"] == direction]


pytestmark = pytest.mark.skipif(not CASES.exists(), reason=f"{CASES} is not there: its cases are not run")


def site_of(row: dict[str, str]) -> Plan:
    codes = tuple(code for code in [row["outside_access"]] if code)
    return Plan(country=row["country"], outside_codes=codes, trunk=row["trunk"], international=row["international"])


def test_there_are_cases_of_every_direction() -> None:
    counts = {direction: len(read_cases(direction)) for direction in ("typed", "presented", "dial")}

    assert all(counts.values()), counts


@pytest.mark.parametrize("row", read_cases("typed"), ids=lambda row: row["input"])
def test_a_typed_case_is_read_as_the_table_says(row: dict[str, str]) -> None:
    plan = Plan(
        country=row["country"],
        area=row["area"],
        company_line=row["company_line"],
        trunk=countries.trunk_prefix(row["country"]),
    )

    assert read_typed(row["input"], plan)[0].canonical == row["canonical_or_dial_string"]


@pytest.mark.parametrize("row", read_cases("presented"), ids=lambda row: row["input"] or "empty")
def test_a_presented_case_is_read_as_the_table_says(row: dict[str, str]) -> None:
    readings = read_presented(row["input"], site_of(row))

    if row["note"] == "withheld":
        assert [reading.kind for reading in readings] == ["withheld"]
    else:
        assert row["canonical_or_dial_string"] in [reading.canonical for reading in readings]


@pytest.mark.parametrize("row", read_cases("dial"), ids=lambda row: f"{row['country']}-{row['input']}")
def test_a_dial_case_is_dialled_as_the_table_says(row: dict[str, str]) -> None:
    reading = Reading(row["input"], "public", "international", possible=True, valid=True)

    assert dial(reading, site_of(row)).string == row["canonical_or_dial_string"]
