"""Reading numbers, and listing customer groups, through the API."""

from typing import Any

import pytest
from django.test import Client

from tests.make import give_rights, log_in, make_customer_group, make_queue, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def headers() -> dict[str, str]:
    user = make_user("agent1", language="de")
    role = give_rights(user, make_customer_group("colleagues", area_prefix="211", company_line="339903"))
    give_rights(user, make_customer_group("america", country_prefix="1"), view=False, create=True)
    make_queue("helpdesk", [], role)
    return log_in(user)


def canonicalize(client: Client, headers: dict[str, str], **body: object) -> Any:
    return client.post("/api/v1/numbers/canonicalize", body, content_type="application/json", headers=headers)


def test_a_number_is_read_by_the_sites_plan(client: Client, headers: dict[str, str]) -> None:
    assert canonicalize(client, headers, number="0211 339903-12").json() == {
        "raw": "0211 339903-12",
        "canonical": "4921133990312",
        "e164": "+4921133990312",
        "display": "+49 211 33990312",
        "tapi": "+49 (211) 33990312",
        "kind": "public",
        "place": "Düsseldorf",
        "country": "DE",
        "rule": "national",
        "possible": True,
        "valid": True,
        "extension": None,
        "readings": [
            {
                "canonical": "4921133990312",
                "kind": "public",
                "rule": "national",
                "possible": True,
                "valid": True,
                "extension": None,
            }
        ],
    }


def test_a_number_is_read_by_a_groups_plan_named_by_id_or_internal_name(
    client: Client, headers: dict[str, str]
) -> None:
    groups = client.get("/api/v1/customer-groups", headers=headers).json()["results"]
    by_name = {group["internal_name"]: group["id"] for group in groups}

    for named in ("colleagues", by_name["colleagues"]):
        answer = canonicalize(client, headers, number="12", customer_group=named).json()
        assert (answer["canonical"], answer["rule"]) == ("4921133990312", "company")
    assert canonicalize(client, headers, number="212 555 0100", customer_group="america").json()["rule"] == "national"


def test_a_presented_number_has_all_its_readings(client: Client, headers: dict[str, str]) -> None:
    answer = canonicalize(client, headers, number="0021133990312", direction="presented").json()

    assert answer["rule"] == "outside_national"
    assert [r["canonical"] for r in answer["readings"]][:2] == ["4921133990312", "21133990312"]
    assert canonicalize(client, headers, number="12", direction="presented").json()["canonical"] == "4921133990312"


def test_a_withheld_presented_number_is_an_answer_and_an_empty_typed_one_an_error(
    client: Client, headers: dict[str, str]
) -> None:
    assert canonicalize(client, headers, number="", direction="presented").json()["kind"] == "withheld"

    answer = canonicalize(client, headers, number=" ")

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "#/number")
    assert answer.json()["errors"][0]["code"] == "blank"


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({}, 400, "#/number"),
        ({"number": None}, 400, "#/number"),
        ({"number": {"a": 1}}, 400, "#/number"),
        ({"number": "1" * 10_000}, 400, "#/number"),
        ({"number": "1", "direction": "sideways"}, 400, "#/direction"),
        ({"number": "1", "customer_group": "nosuch"}, 404, None),
        ({"number": "1", "customer_group": "999999"}, 404, None),
    ],
)
def test_bad_input_is_refused(
    client: Client, headers: dict[str, str], body: dict[str, object], status: int, pointer: str | None
) -> None:
    answer = canonicalize(client, headers, **body)

    assert answer.status_code == status
    assert [error["pointer"] for error in answer.json()["errors"]] == ([pointer] if pointer else [])


def test_a_group_without_rights_does_not_exist(client: Client) -> None:
    make_customer_group("hidden", area_prefix="211", company_line="339903")
    headers = log_in(make_user("stranger"))

    hidden = canonicalize(client, headers, number="12", customer_group="hidden")
    missing = canonicalize(client, headers, number="12", customer_group="missing")

    assert (hidden.status_code, missing.status_code) == (404, 404)
    assert {k: v for k, v in hidden.json().items() if k != "request_id"} == {
        k: v for k, v in missing.json().items() if k != "request_id"
    }
    assert client.get("/api/v1/customer-groups", headers=headers).json() == {"results": [], "next": None}
    presented = canonicalize(client, headers, number="12", direction="presented").json()
    assert [reading["canonical"] for reading in presented["readings"]] == ["12"]


def test_customer_groups_come_with_rights_and_fields_in_the_users_language(
    client: Client, headers: dict[str, str]
) -> None:
    groups = client.get("/api/v1/customer-groups", headers=headers).json()["results"]

    assert [(group["internal_name"], group["name"]) for group in groups] == [
        ("colleagues", "colleagues de"),
        ("america", "america de"),
    ]
    assert groups[0]["rights"] == {"view": True, "create": False, "edit": False, "create_case": False}
    assert groups[1]["rights"] == {"view": False, "create": True, "edit": False, "create_case": False}
    assert {
        "object": "person",
        "name": "phone",
        "label": "phone",
        "dialable": True,
        "indexed": "local",
    } in groups[0]["fields"]


def test_the_api_needs_a_token(client: Client) -> None:
    assert client.get("/api/v1/customer-groups").status_code == 401
    assert client.put("/api/v1/sessions/current").status_code == 401
    assert canonicalize(client, {}, number="12").status_code == 401
