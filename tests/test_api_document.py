"""The API document: what is served is what is committed, and what the service does."""

import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.test import Client
from hypothesis import HealthCheck, settings
from pytest_django.live_server_helper import LiveServer
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from cmphone.contacts.models import User
from tests.make import give_rights, log_in, make_customer_group, make_license, make_user

COMMITTED = Path(__file__).resolve().parent.parent / "docs" / "openapi.json"

# The stream of events is served by a process of its own, which has its own tests.
schema = schemathesis.openapi.from_dict(json.loads(COMMITTED.read_text(encoding="utf-8"))).exclude(
    path="/api/v1/events"
)


def test_the_document_is_served(client: Client) -> None:
    served = client.get("/api/v1/openapi.json")

    assert served.status_code == 200
    assert json.loads(served.content) == json.loads(COMMITTED.read_text(encoding="utf-8"))


def test_the_page_of_the_document_needs_nothing_from_elsewhere(client: Client) -> None:
    page = client.get("/api/docs/").content.decode()

    assert "/static/drf_spectacular_sidecar/" in page
    assert "//cdn" not in page


def test_every_operation_names_its_errors() -> None:
    for url, operations in json.loads(COMMITTED.read_text(encoding="utf-8"))["paths"].items():
        for method, operation in operations.items():
            assert {"400", "405", "500", "503"} <= set(operation["responses"]), (method, url)


@pytest.fixture
def user(live_server: LiveServer) -> User:
    make_license()
    user = make_user()
    give_rights(user, make_customer_group(area_prefix="211", company_line="339903"))
    return user


@schema.parametrize()
@settings(max_examples=12, suppress_health_check=list(HealthCheck))
def test_every_answer_is_as_the_document_says(
    case: schemathesis.Case[Any], live_server: LiveServer, user: User
) -> None:
    # Some of what a schema lets through is refused all the same: a NUL in a text, an empty number to read.
    excluded: list[Any] = [positive_data_acceptance]
    if case.method == "GET":
        # Parameters that nobody knows are passed over, as with every proxy that adds one; wrong values of known ones
        # have tests of their own.
        excluded.append(negative_data_rejection)
    case.call_and_validate(base_url=live_server.url, headers=log_in(user), excluded_checks=excluded)
