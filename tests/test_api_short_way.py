"""The short way of look-ups and manifests: the same answers as the long one, and only those that are answers."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import orjson
import pytest
from django.db import OperationalError
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from cmphone.api import short_way
from cmphone.api.short_way import Environ, StartResponse, take_short_way_first
from cmphone.contacts.models import CustomerGroup, User
from cmphone.properties.services import set_property
from license.models import Session
from templates_store import popup_sets
from templates_store.popup_store import ensure_published, get_popups, publish_popups
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


MANIFEST = "/api/v1/popup-templates"
# The long way also tells of other methods, and of languages that the answer does not depend on.
ONLY_LONG = {"Allow", "Vary", "Content-Language", "X-Request-ID"}


class TestManifest:
    @pytest.mark.parametrize("if_none_match", ["", "*", '"other"', "W/{etag}", "{etag}", '"other", {etag}', "nonsense"])
    @pytest.mark.parametrize("host", ["testserver", "cm.example.com:8443"])
    def test_both_ways_give_the_same_answer(self, client: Client, token: str, host: str, if_none_match: str) -> None:
        headers = {"Authorization": f"Bearer {token}", "Host": host}
        etag = client.get(MANIFEST, headers=headers).headers["ETag"]
        sent = if_none_match.format(etag=etag)
        long = client.get(MANIFEST, headers=headers | {"If-None-Match": sent})

        status, found, body = call(
            MANIFEST, HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_HOST=host, HTTP_IF_NONE_MATCH=sent
        )

        assert status == long.status_code == (304 if etag in sent or sent == "*" else 200)
        assert body == long.content
        assert {k: v for k, v in found.items() if k not in ONLY_LONG} == {
            k: v for k, v in long.headers.items() if k not in ONLY_LONG
        }

    def test_it_is_one_statement(
        self, client: Client, token: str, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        popups = get_popups()
        popup_sets._loaded = {int(popups.version): popups}

        with django_assert_num_queries(1):
            status, _, body = call(MANIFEST, HTTP_AUTHORIZATION=f"Bearer {token}")

        assert (status, orjson.loads(body)["version"]) == (200, popups.version)

    def test_it_counts_as_a_sign_of_life_when_that_is_due(self, token: str) -> None:
        ensure_published()
        before = timezone.now() - timedelta(minutes=2)
        Session.objects.update(last_seen_at=before)

        assert call(MANIFEST, HTTP_AUTHORIZATION=f"Bearer {token}")[0] == 200

        assert Session.objects.get().last_seen_at > before + timedelta(minutes=1)

    def test_a_new_version_counts_from_the_next_call(self, token: str) -> None:
        version = ensure_published()
        before = call(MANIFEST, HTTP_AUTHORIZATION=f"Bearer {token}")
        publish_popups(changes={("de", "match.html"): "<p>new</p>"}, by=None)

        after = call(MANIFEST, HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_IF_NONE_MATCH=before[1]["ETag"])

        assert orjson.loads(before[2])["version"] == str(version)
        assert (after[0], orjson.loads(after[2])["version"]) == (200, str(version.number + 1))

    def test_while_nothing_is_published_it_goes_the_long_way(self, token: str) -> None:
        assert call(MANIFEST, HTTP_AUTHORIZATION=f"Bearer {token}")[0] == 418

    @pytest.mark.parametrize(
        ("path", "environ"),
        [
            (f"{MANIFEST}?version=1", {}),
            (f"{MANIFEST}?", {"QUERY_STRING": "x=1"}),
            (f"{MANIFEST}/", {}),
            (f"{MANIFEST}.zip", {}),
            (f"{MANIFEST}/de/match.html", {}),
            (MANIFEST, {"REQUEST_METHOD": "HEAD"}),
            (MANIFEST, {"REQUEST_METHOD": "DELETE"}),
            (MANIFEST, {"HTTP_ACCEPT": "text/html"}),
            (MANIFEST, {"HTTP_AUTHORIZATION": ""}),
            (MANIFEST, {"HTTP_AUTHORIZATION": "Bearer nobody", "HTTP_IF_NONE_MATCH": "*"}),
            (MANIFEST, {"HTTP_AUTHORIZATION": "Api-Key nobody"}),
        ],
    )
    def test_what_is_no_plain_request_of_a_session_goes_the_long_way(
        self, token: str, path: str, environ: dict[str, str]
    ) -> None:
        ensure_published()

        assert call(path, **({"HTTP_AUTHORIZATION": f"Bearer {token}"} | environ))[0] == 418

    @pytest.mark.parametrize(
        "over",
        [
            {"ended_at": "2026-01-01T00:00Z", "end_reason": "ended-by-administrator"},
            {"last_seen_at": "2026-01-01T00:00Z"},
        ],
    )
    def test_a_session_that_is_over_goes_the_long_way(self, token: str, over: dict[str, str]) -> None:
        ensure_published()
        Session.objects.update(**over)

        assert call(MANIFEST, HTTP_AUTHORIZATION=f"Bearer {token}", HTTP_IF_NONE_MATCH="*")[0] == 418

    def test_a_user_who_is_not_active_any_more_goes_the_long_way(self, token: str) -> None:
        ensure_published()
        User.objects.update(is_active=False)

        assert call(MANIFEST, HTTP_AUTHORIZATION=f"Bearer {token}")[0] == 418

    @pytest.mark.parametrize("error", [OperationalError("gone"), RuntimeError("a fault")])
    def test_what_fails_goes_the_long_way(self, token: str, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
        def fail(*args: object, **kwargs: object) -> None:
            raise error

        ensure_published()
        monkeypatch.setattr(short_way, "get_popups", fail)

        assert call(MANIFEST, HTTP_AUTHORIZATION=f"Bearer {token}")[0] == 418
