"""The acceptance cases again, through the API: each row with its own settings, as an integrator would set them."""

from typing import Any

import pytest
from django.test import Client

from cmphone.properties.services import set_property
from tests.make import give_rights, log_in, make_contact_model, make_customer_group, make_user
from tests.test_acceptance_shared_data import CASES, read_cases

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not CASES.exists(), reason=f"{CASES} is not there: its cases are not run"),
]


def post(client: Client, headers: dict[str, str], path: str, **body: object) -> dict[str, Any]:
    answer = client.post(f"/api/v1/numbers/{path}", body, content_type="application/json", headers=headers)
    assert answer.status_code == 200, answer.content
    return dict(answer.json())


def set_site(row: dict[str, str]) -> None:
    set_property(name="local.country.prefix", value=row["country"])
    set_property(name="internal.line.access.prefix", value=row["outside_access"])
    set_property(name="external.line.access.prefix", value=row["trunk"])
    set_property(name="international.access.prefix", value=row["international"])


def test_typed_cases_are_read_by_a_customer_group_with_their_settings(client: Client) -> None:
    agent, model = make_user(), make_contact_model()
    headers = log_in(agent)
    groups: dict[tuple[str, str, str], str] = {}
    wrong = []
    for row in read_cases("typed"):
        plan = (row["country"], row["area"], row["company_line"])
        if plan not in groups:
            name = "g" + "-".join(plan)
            settings = {"country_prefix": plan[0], "area_prefix": plan[1], "company_line": plan[2]}
            give_rights(agent, make_customer_group(name, model, **settings))
            groups[plan] = name
        read = post(client, headers, "canonicalize", number=row["input"], customer_group=groups[plan])
        if read["canonical"] != row["canonical_or_dial_string"]:
            wrong.append((row["input"], plan, read["canonical"], row["canonical_or_dial_string"]))

    assert wrong == []


@pytest.mark.parametrize("row", read_cases("presented"), ids=lambda row: row["input"] or "empty")
def test_a_presented_case_is_read_by_the_site(client: Client, row: dict[str, str]) -> None:
    headers = log_in(make_user())
    set_site(row)

    read = post(client, headers, "canonicalize", number=row["input"], direction="presented")

    if row["note"] == "withheld":
        assert read["kind"] == "withheld"
    else:
        assert row["canonical_or_dial_string"] in [reading["canonical"] for reading in read["readings"]]


@pytest.mark.parametrize("row", read_cases("dial"), ids=lambda row: f"{row['country']}-{row['input']}")
def test_a_dial_case_is_dialled_by_the_site(client: Client, row: dict[str, str]) -> None:
    headers = log_in(make_user())
    set_site(row)

    assert post(client, headers, "dial", number=row["input"])["dial_string"] == row["canonical_or_dial_string"]
