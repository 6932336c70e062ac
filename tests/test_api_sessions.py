"""Logging in, staying, and logging out through the API."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cmphone.contacts.models import User
from cmphone.contacts.services import save_configuration
from cmphone.properties.services import set_property
from license.models import Pool, Session
from tests.make import PASSWORD, log_in, make_customer_group, make_license, make_user

pytestmark = pytest.mark.django_db


def post(client: Client, body: object, **headers: str) -> Any:
    return client.post("/api/v1/sessions", body, content_type="application/json", headers=headers)


def credentials(username: str = "agent1", client_id: str = "client-1", **values: object) -> dict[str, object]:
    return {"username": username, "password": PASSWORD, "client_id": client_id, **values}


@pytest.fixture
def agent() -> User:
    return make_user("agent1", password=PASSWORD, language="de")


def test_logging_in_takes_a_seat_and_tells_what_the_contract_says(client: Client, agent: User) -> None:
    make_license(10)

    answer = post(client, credentials(workstation="PC-7", line="Line 1", client_version="1.2"))

    body = answer.json()
    assert answer.status_code == 201
    assert set(body) == {
        *("id", "token", "heartbeat_seconds", "expires_at", "user", "license", "config_version", "templates_version")
    }
    assert body["user"] == {"id": str(agent.id), "username": "agent1", "display_name": "agent1", "language": "de"}
    assert body["license"] == {"pool": "REST_USERS", "licensed": 10, "in_use": 1}
    assert body["heartbeat_seconds"] == 75
    # In UTC, whatever the site's zone.
    assert body["expires_at"].endswith("Z")
    assert abs((datetime.fromisoformat(body["expires_at"]) - datetime.now(UTC)).total_seconds() - 300) < 30
    session = Session.objects.get()
    assert (session.workstation, session.line, session.client_version) == ("PC-7", "Line 1", "1.2")
    assert body["token"] not in str(session.token_hash)


def test_the_same_client_renews_its_seat_and_its_old_token_is_dead(client: Client, agent: User) -> None:
    make_license(1)
    first = post(client, credentials()).json()

    again = post(client, credentials())

    assert (again.status_code, again.json()["id"], again.json()["license"]["in_use"]) == (200, first["id"], 1)
    old = client.put("/api/v1/sessions/current", headers={"Authorization": f"Bearer {first['token']}"})
    assert (old.status_code, old.json()["reason"]) == (401, "replaced")
    new = client.put("/api/v1/sessions/current", headers={"Authorization": f"Bearer {again.json()['token']}"})
    assert new.status_code == 200


def test_a_full_pool_is_a_conflict_that_says_how_full(client: Client, agent: User) -> None:
    make_license(1)
    log_in(make_user("other"))

    answer = post(client, credentials())

    assert answer.status_code == 409
    body = answer.json()
    assert body["type"].endswith("/problems/no-free-license")
    assert (body["licensed"], body["in_use"]) == (1, 1)
    assert 0 < int(answer.headers["Retry-After"]) <= 300
    assert Session.objects.count() == 1


def test_without_a_licence_or_after_its_last_day_nobody_logs_in(client: Client, agent: User) -> None:
    assert post(client, credentials()).json()["type"].endswith("/problems/license-missing")
    make_license()
    Pool.objects.update(expires_on="2020-01-01")

    answer = post(client, credentials())

    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (403, "license-expired")


@pytest.mark.parametrize(
    ("username", "password"), [("agent1", "wrong"), ("nobody", PASSWORD), ("gone", PASSWORD), ("AGENT1", PASSWORD)]
)
def test_a_wrong_log_in_does_not_tell_what_is_wrong(client: Client, agent: User, username: str, password: str) -> None:
    make_license()
    make_user("gone", password=PASSWORD, is_active=False)

    answer = post(client, credentials(username) | {"password": password})

    assert answer.status_code == 401
    assert answer.json()["detail"] == "User name or password is wrong, or the user is not active."
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_heartbeat_tells_when_settings_have_changed(client: Client, agent: User) -> None:
    headers = log_in(agent)

    def beat() -> dict[str, str]:
        return dict(client.put("/api/v1/sessions/current", headers=headers).json())

    before = beat()
    assert set(before) == {"expires_at", "config_version", "templates_version"}
    set_property(name="local.country.prefix", value="43")
    after = beat()

    assert after["config_version"] != before["config_version"]
    assert after["templates_version"] == before["templates_version"]


def test_logging_out_gives_the_seat_back_and_ends_the_token(client: Client, agent: User) -> None:
    make_license(1)
    headers = log_in(agent)

    assert client.delete("/api/v1/sessions/current", headers=headers).status_code == 204

    assert client.delete("/api/v1/sessions/current", headers=headers).status_code == 401
    assert post(client, credentials(client_id="another")).status_code == 201


def test_a_changed_time_out_is_in_force_at_once(client: Client, agent: User) -> None:
    make_license()
    set_property(name="server.session.timeout.REST", value="60")

    assert post(client, credentials()).json()["heartbeat_seconds"] == 15


def test_without_a_time_out_of_its_own_the_api_has_the_general_one(client: Client, agent: User) -> None:
    make_license()
    set_property(name="server.session.timeout", value="120")
    set_property(name="server.session.timeout.REST", value="")

    answer = post(client, credentials())

    assert answer.json()["heartbeat_seconds"] == 30
    Session.objects.update(last_seen_at=Session.objects.get().last_seen_at - timedelta(seconds=121))
    headers = {"Authorization": f"Bearer {answer.json()['token']}"}
    assert client.get("/api/v1/lookup", {"number": "1"}, headers=headers).json()["reason"] == "timed-out"


def test_a_log_in_costs_one_password_hash_and_few_statements(client: Client, agent: User) -> None:
    make_license()
    post(client, credentials())

    with CaptureQueriesContext(connection) as queries:
        post(client, credentials())

    statements = [q["sql"] for q in queries if not q["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(statements) <= 6, statements


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({"password": "x", "client_id": "c"}, "#/username", "required"),
        ({"username": "a", "password": "x", "client_id": ""}, "#/client_id", "blank"),
        ({"username": "a", "password": "x", "client_id": "c" * 101}, "#/client_id", "max_length"),
        ({"username": "a", "password": "x", "client_id": ["c"]}, "#/client_id", "invalid"),
        ({"username": "a\x00", "password": "x", "client_id": "c"}, "#/username", "null_characters_not_allowed"),
        ([1, 2], "#", "invalid"),
    ],
)
def test_bad_input_is_refused_with_a_pointer(client: Client, body: object, pointer: str, code: str) -> None:
    answer = post(client, body)

    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (400, "invalid-request")
    assert (answer.json()["errors"][0]["pointer"], answer.json()["errors"][0]["code"]) == (pointer, code)


def test_what_is_not_json_or_not_text_is_refused(client: Client) -> None:
    broken = client.post("/api/v1/sessions", "{", content_type="application/json")
    surrogate = client.post(
        "/api/v1/sessions",
        '{"username": "\\ud800", "password": "x", "client_id": "c"}',
        content_type="application/json",
    )
    form = client.post("/api/v1/sessions", {"username": "a"})

    assert [answer.status_code for answer in (broken, surrogate, form)] == [400, 400, 415]
    assert {answer.headers["Content-Type"] for answer in (broken, surrogate, form)} == {"application/problem+json"}


def test_a_body_over_the_limit_is_refused(client: Client) -> None:
    answer = client.post("/api/v1/sessions", "x" * 2_700_000, content_type="application/json")

    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[1]) == (413, "too-large")


def test_config_version_moves_with_any_change_of_the_configuration(client: Client, agent: User) -> None:
    headers = log_in(agent)
    group = make_customer_group()
    before = client.put("/api/v1/sessions/current", headers=headers).json()["config_version"]
    group.area_prefix = "30"
    save_configuration([group])

    assert client.put("/api/v1/sessions/current", headers=headers).json()["config_version"] != before
