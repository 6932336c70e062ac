"""The benchmark's own arithmetic: the data out of a seed, and the reading of what wrk prints."""

from collections import Counter

import pytest

from cmphone.contacts.configuration import build_group_plan
from cmphone.contacts.models import CustomerGroup
from numbering.reading import Plan, read_typed
from tests.bench.calls import CASES
from tests.bench.data import GROUPS, HOUSE, GroupData, GroupSpec, Site, list_styles
from tests.bench.wrk import Measurement, parse_output

NUMBERS = 12_000
# A server that refuses every fiftieth request, as wrk 4.1 tells of it.
WRK_OUTPUT = """\
Running 1s test @ http://127.0.0.1:39297
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    42.25ms    8.55ms  47.99ms   95.65%
    Req/Sec   161.20     27.26   210.00     80.00%
  Latency Distribution
     50%   43.97ms
     75%   44.00ms
     90%   44.04ms
     99%   47.96ms
  161 requests in 1.00s, 18.40KB read
  Non-2xx or 3xx responses: 3
Requests/sec:    160.84
Transfer/sec:     18.38KB
{"requests": 161, "microseconds": 1001023, "p50": 43971, "p95": 44746, "p99": 47961, "refused": 3, "failed": 2}
"""


@pytest.fixture(scope="module")
def site() -> Site:
    return Site(NUMBERS, seed=7)


def make_plan(spec: GroupSpec) -> Plan:
    """The plan that the product makes of the group."""
    group = CustomerGroup(
        id=1,
        name=spec.name,
        country_prefix=spec.country,
        area_prefix=spec.area,
        company_line=spec.company_line,
        extension_min=spec.extension_min,
        extension_max=spec.extension_max,
    )
    return build_group_plan(group, Plan())


def test_a_seed_always_makes_the_same_contacts_and_another_one_others(site: Site) -> None:
    def contacts(site: Site) -> list[object]:
        return [list(group.contacts(first_id=1)) for group in site.groups]

    assert contacts(Site(NUMBERS, seed=7)) == contacts(site)
    assert contacts(Site(NUMBERS, seed=8)) != contacts(site)


def test_the_calls_of_a_seed_are_always_the_same(site: Site) -> None:
    for case in CASES:
        assert case.make_calls(Site(NUMBERS, seed=7), 200) == case.make_calls(site, 200)


def test_groups_countries_and_shares_are_as_described(site: Site) -> None:
    assert len(site.groups) == 20
    assert {group.spec.country for group in site.groups} == {"49", "33", "1", "39", "44"}
    owners: Counter[str] = Counter()
    for group in site.groups:
        plan = make_plan(group.spec)
        for row in group.contacts(first_id=1):
            values = [value for name, value in row.fields.items() if name in {"phone", "mobile"}]
            assert len(values) == row.number_count in {1, 2}
            # Each typed number is one that people can dial, by the plan of the group.
            readings = [reading for value in values for reading in read_typed(value, plan)]
            assert [(r.kind, r.possible) for r in readings] == [("public", True)] * len(values)
            owners.update(reading.canonical for reading in readings)
    assert len(owners) == NUMBERS
    assert set(owners.values()) == {1, 2, 3}
    shared = sum(count > 1 for count in owners.values())
    assert shared / NUMBERS == pytest.approx(0.02, abs=0.004)


@pytest.mark.parametrize("place", range(len(GROUPS)))
def test_every_way_to_type_a_number_is_read_as_that_number(site: Site, place: int) -> None:
    group = site.groups[place]
    plan = make_plan(group.spec)
    for number in map(group.number, range(5 * HOUSE)):
        for text in list_styles(number, group.spec):
            (reading,) = read_typed(text, plan)
            assert (text, reading.canonical, reading.valid) == (text, number.canonical, True)
            assert reading.block == (number.line if number.has_switchboard else "")


def test_persons_belong_to_a_company_before_them(site: Site) -> None:
    def find_companies(group: GroupData) -> tuple[set[int], set[int]]:
        made: set[int] = set()
        named: set[int] = set()
        for row in group.contacts(first_id=100):
            if row.kind == "company":
                made.add(row.id)
            elif row.company_id is not None:
                assert row.company_id in made
                named.add(row.company_id)
        return made, named

    made, named = find_companies(site.groups[0])
    assert len(made) == NUMBERS // len(GROUPS) // HOUSE
    assert named == made


def test_what_wrk_measured_is_read_with_its_errors() -> None:
    assert parse_output(WRK_OUTPUT) == Measurement(
        requests=161, rate=161 / 1.001023, p50=43.971, p95=44.746, p99=47.961, errors=5
    )
