"""Many look-ups at once: each is what it would be alone."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.make import give_rights, log_in, make_company, make_customer_group, make_person, make_user

pytestmark = pytest.mark.django_db

NUMBERS = ["0021133990312", "", "+4921133990377", "anonymous", "nonsense", "3990312", "0021133990312", "+999", "12"]


@pytest.fixture
def headers() -> dict[str, str]:
    group = make_customer_group("customers", country_prefix="49", area_prefix="211")
    hidden = make_customer_group("hidden", country_prefix="49", area_prefix="211")
    company = make_company(group, phone="0211/339903-0")
    make_person(group, "Anders", company=company, phone="0211 33990312")
    make_person(group, "Zeisig", phone="0211 33990312")
    make_person(hidden, "Secret", phone="0211 33990312")
    agent = make_user()
    give_rights(agent, group)
    return log_in(agent)


def post(client: Client, headers: dict[str, str], body: object) -> Any:
    return client.post("/api/v1/lookup/batch", body, content_type="application/json", headers=headers)


def test_each_result_is_that_of_a_look_up_alone_in_order(client: Client, headers: dict[str, str]) -> None:
    alone = [client.get("/api/v1/lookup", {"number": number}, headers=headers).json() for number in NUMBERS]

    answer = post(client, headers, {"numbers": NUMBERS})

    assert answer.status_code == 200
    assert answer.json() == {"results": alone}
    assert [each["match"] for each in alone[:3]] == ["exact", "withheld", "company"]


def test_a_hundred_numbers_are_one_statement(client: Client, headers: dict[str, str]) -> None:
    numbers = [f"+49211339903{n}" for n in range(100)]

    with CaptureQueriesContext(connection) as statements:
        answer = post(client, headers, {"numbers": numbers})

    assert [each["number"]["raw"] for each in answer.json()["results"]] == numbers
    assert len([each for each in statements if "numbering_indexentry" in each["sql"]]) == 1


def test_no_number_is_no_result(client: Client, headers: dict[str, str]) -> None:
    assert post(client, headers, {"numbers": []}).json() == {"results": []}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"numbers": ["1"] * 101}, "#/numbers"),
        ({"numbers": "0211"}, "#/numbers"),
        ({"numbers": [211]}, "#/numbers/0"),
        ({"numbers": [None]}, "#/numbers/0"),
        ({"numbers": ["1", ["2"]]}, "#/numbers/1"),
        ({"numbers": ["1" * 501]}, "#/numbers/0"),
        ({"numbers": ["1\0"]}, "#/numbers/0"),
        ({}, "#/numbers"),
        ([], "#"),
    ],
)
def test_bad_input_is_refused_with_its_place(
    client: Client, headers: dict[str, str], body: object, pointer: str
) -> None:
    answer = post(client, headers, body)

    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_nobody_is_told_anything(client: Client) -> None:
    assert post(client, {}, {"numbers": ["12"]}).status_code == 401
    assert post(client, {"Authorization": "Bearer nobody"}, {"numbers": ["12"]}).status_code == 401
