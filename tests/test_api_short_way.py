"""The short way of a look-up: the same answers as the long one, and only those that are answers."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory

from cmphone.api import short_way
from cmphone.api.short_way import Environ, StartResponse, take_short_way_first
from cmphone.contacts.models import CustomerGroup
from cmphone.properties.services import set_property
from license.models import Session
from tests.make import give_rights, log_in, make_company, make_customer_group, make_person, make_queue, make_user

pytestmark = pytest.mark.django_db

LONG = [b"the long way"]


def go_long(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    start_response("418 I'm a teapot", [])
    return LONG


def call(path: str, **environ: str) -> tuple[int, dict[str, str], bytes]:
    """Ask by the short way; status 418 is the long one."""
    seen: list[Any] = []
    request = RequestFactory().generic("GET", path, **environ)  # type: ignore[arg-type]
    body = take_short_way_first(go_long)(request.environ, lambda *args: seen.extend(args))
    return int(seen[0][:3]), dict(seen[1]), b"".join(body)


@pytest.fixture
def group() -> CustomerGroup:
    return make_customer_group("customers", country_prefix="49", area_prefix="211", company_line="339903")


@pytest.fixture
def token(group: CustomerGroup) -> str:
    agent = make_user("agent", language="de")
    role = give_rights(agent, group, create=True)
    make_queue("helpdesk", [group], role)
    company = make_company(group, phone="0211 555 66-0")
    make_person(group, "Anders", company=company, phone="12")
    make_person(group, "Ärger <&>", phone="+33 1 42 68 53 00", mobile="0171 5678901")
    make_person(group, "Öller", mobile="0171 5678901")
    return log_in(agent)["Authorization"].removeprefix("Bearer ")


@pytest.mark.parametrize(
    "number",
    [
        *("0021133990312", "+4921133990312", "12", "00033142685300", "01715678901", "+49 211 55566-33", "5678901"),
        *("", "anonymous", "nonsense", "+999999", "0211/339903-12", "💥", "+49%20", "a=b&c", "1" * 500),
    ],
)
def test_both_ways_give_the_same_answer(client: Client, token: str, number: str) -> None:
    path = f"/api/v1/lookup?number={quote(number)}"
    long = client.get(path, headers={"Authorization": f"Bearer {token}"})

    status, headers, body = call(path, HTTP_AUTHORIZATION=f"Bearer {token}")

    assert (status, body) == (200, long.content)
    # The long way also tells of other methods, and of languages that the answer does not depend on.
    kept = set(long.headers) - {"Allow", "Vary", "Content-Language"}
    assert set(headers) == kept
    assert {name: headers[name] for name in kept - {"X-Request-ID"}} == {
        name: long.headers[name] for name in kept - {"X-Request-ID"}
    }


def test_a_request_keeps_its_id(token: str) -> None:
    _, headers, _ = call("/api/v1/lookup?number=12", HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_X_REQUEST_ID="proxy-17")

    assert headers["X-Request-ID"] == "proxy-17"


@pytest.mark.parametrize(
    ("path", "environ"),
    [
        ("/api/v1/lookup", {}),
        ("/api/v1/lookup?number=12&explain=true", {}),
        ("/api/v1/lookup?number=1&number=2", {}),
        ("/api/v1/lookup?Number=1", {}),
        (f"/api/v1/lookup?number={'1' * 501}", {}),
        ("/api/v1/lookup?number=%00", {}),
        ("/api/v1/lookup/?number=12", {}),
        ("/api/v1/lookup?number=12", {"REQUEST_METHOD": "POST"}),
        ("/api/v1/lookup?number=12", {"REQUEST_METHOD": "HEAD"}),
        ("/api/v1/lookup?number=12", {"HTTP_ACCEPT": "text/html"}),
        ("/api/v1/lookup?number=12", {"HTTP_AUTHORIZATION": ""}),
        ("/api/v1/lookup?number=12", {"HTTP_AUTHORIZATION": "Bearer nobody"}),
        ("/api/v1/lookup?number=12", {"HTTP_AUTHORIZATION": "Basic YTpi"}),
        ("/api/v1/sessions/current", {}),
    ],
)
def test_what_is_no_plain_look_up_goes_the_long_way(token: str, path: str, environ: dict[str, str]) -> None:
    assert call(path, **({"HTTP_AUTHORIZATION": f"Bearer {token}"} | environ))[0] == 418


def test_an_ended_session_goes_the_long_way(token: str) -> None:
    Session.objects.update(ended_at="2026-01-01T00:00Z", end_reason="ended-by-administrator")

    assert call("/api/v1/lookup?number=12", HTTP_AUTHORIZATION=f"Bearer {token}")[0] == 418


def test_a_host_that_is_not_ours_goes_the_long_way(token: str, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["cmphone.example.com"]
    authorization = f"Bearer {token}"

    assert call("/api/v1/lookup?number=12", HTTP_AUTHORIZATION=authorization, HTTP_HOST="evil.example")[0] == 418
    assert call("/api/v1/lookup?number=12", HTTP_AUTHORIZATION=authorization, HTTP_HOST="cmphone.example.com")[0] == 200


def test_in_production_an_unencrypted_look_up_goes_the_long_way(token: str, settings: Any) -> None:
    settings.PRODUCTION = True
    settings.SECURE_HSTS_SECONDS = 3600
    authorization = f"Bearer {token}"

    assert call("/api/v1/lookup?number=12", HTTP_AUTHORIZATION=authorization)[0] == 418
    status, headers, _ = call(
        "/api/v1/lookup?number=12", HTTP_AUTHORIZATION=authorization, **{"wsgi.url_scheme": "https"}
    )
    assert status == 200
    assert headers["Strict-Transport-Security"].startswith("max-age=3600")


@pytest.mark.parametrize("error", [OperationalError("gone"), RuntimeError("a fault")])
def test_what_fails_goes_the_long_way(token: str, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(short_way, "look_up", fail)

    assert call("/api/v1/lookup?number=12", HTTP_AUTHORIZATION=f"Bearer {token}")[0] == 418


def test_a_changed_property_counts_from_the_next_call(token: str) -> None:
    before = call("/api/v1/lookup?number=%2B33142685300", HTTP_AUTHORIZATION=f"Bearer {token}")[2]
    set_property(name="dial.uri.scheme", value="tel")

    after = call("/api/v1/lookup?number=%2B33142685300", HTTP_AUTHORIZATION=f"Bearer {token}")[2]

    assert b'"phone:' in before
    assert after == before.replace(b'"phone:', b'"tel:')
