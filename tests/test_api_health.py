"""What load balancers and monitoring ask."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.db import OperationalError
from django.test import Client, override_settings

from cmphone.access.models import Scope
from cmphone.access.services import create_api_key
from cmphone.celery import app
from cmphone.contacts.models import User
from cmphone.embedded import redis_url
from cmphone.environment import SettingsError, read_key
from cmphone.monitoring import worker
from cmphone.monitoring.checks import CHECKS
from cmphone.monitoring.tasks import write_worker_sign
from license.models import Pool
from tests.hanging import find_postgres, new_connections_to, silent_socket, stopped, wait_for_threads_to_end
from tests.make import log_in, make_license, make_user

KEY = "a key of monitoring, 42".replace(" ", "-")


def test_a_process_that_answers_is_live(client: Client) -> None:
    answer = client.get("/health/live")

    assert (answer.status_code, answer.json()) == (200, {"status": "live"})


@pytest.mark.django_db
def test_with_database_and_redis_it_is_ready(client: Client) -> None:
    answer = client.get("/health/ready")

    assert answer.json() == {"status": "ready", "checks": {"database": "ok", "redis": "ok"}}


@pytest.mark.django_db
@override_settings(REDIS_URL="redis://127.0.0.1:1/0")
def test_without_redis_it_still_serves_and_says_so(client: Client) -> None:
    answer = client.get("/health/ready")

    assert (answer.status_code, answer.json()["checks"]["redis"]) == (200, "unavailable")


def test_without_a_database_it_is_not_ready_but_live(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OperationalError("could not connect to db-host-7")

    monkeypatch.setattr("cmphone.api.health.connection.cursor", fail)
    monkeypatch.setattr("cmphone.api.health.connection.close", lambda: None)

    answer = client.get("/health/ready")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["checks"]["database"] == "unavailable"
    assert "db-host-7" not in answer.content.decode()
    assert client.get("/health/live").status_code == 200


def test_a_redis_that_hangs_does_not_keep_a_load_balancer_waiting(client: Client, db: None) -> None:
    with silent_socket("redis.sock") as path, override_settings(REDIS_URL=f"unix://{path}?db=0"):
        started = time.monotonic()
        answer = client.get("/health/ready")
        assert (answer.status_code, answer.json()["checks"]["redis"]) == (200, "unavailable")
        assert time.monotonic() - started < 3
    wait_for_threads_to_end({"check_redis"})


def test_a_database_that_hangs_makes_it_unready_in_time(client: Client, db: None) -> None:
    with silent_socket(".s.PGSQL.5432") as path, new_connections_to(path.parent):
        started = time.monotonic()
        answer = client.get("/health/ready")
        assert (answer.status_code, answer.json()["checks"]["database"]) == (503, "unavailable")
        assert time.monotonic() - started < 3
    wait_for_threads_to_end({"check_database"})


@pytest.fixture
def site(transactional_db: None) -> Iterator["redis.Redis"]:
    """A site in order, with a licence and a worker that has left its sign; gives a client of its Redis."""
    make_license()
    write_worker_sign()
    with redis.Redis.from_url(redis_url()) as queue:
        queue.delete(app.conf.task_default_queue)
        yield queue
        queue.delete(worker.SIGN_KEY)


def read_report(client: Client, **headers: str) -> tuple[int, dict[str, Any]]:
    answer = client.get("/health/report", headers=headers)
    assert answer.headers["Content-Type"] == (
        "application/json" if answer.status_code == 200 else "application/problem+json"
    )
    return answer.status_code, answer.json()


def test_everybody_may_read_how_everything_is_in_a_word_each(client: Client, site: "redis.Redis") -> None:
    answer = client.get("/health/check")

    assert answer.status_code == 200
    assert answer.json() == {"status": "SUCCESS", "sections": {name: {"status": "SUCCESS"} for name in CHECKS}}
    assert answer.headers["Cache-Control"] == "no-store"


def test_what_is_wrong_is_an_answer_and_no_status_code(client: Client, site: "redis.Redis") -> None:
    site.delete(worker.SIGN_KEY)

    answer = client.get("/health/check")

    assert (answer.status_code, answer.json()["status"]) == (200, "ERROR")
    assert answer.json()["sections"]["worker"] == {"status": "ERROR"}


@override_settings(MONITORING_KEY=KEY)
def test_the_report_says_each_section_in_full(client: Client, site: "redis.Redis") -> None:
    log_in(make_user())

    status, report = read_report(client, Authorization=f"Api-Key {KEY}")

    assert (status, report["status"], list(report["sections"])) == (200, "SUCCESS", list(CHECKS))
    license = report["sections"]["cmas-core-server-licence"]
    assert license.pop("duration_ms") > 0
    assert license.pop("daysUntilNextExpiry") > 20_000
    assert license == {
        "status": "SUCCESS",
        "description": "The licence is valid, and seats are free.",
        "statistics": [{"pool": "REST_USERS", "bought": 10, "inUse": 1}],
    }
    queue = report["sections"]["queue"]
    assert queue.pop("duration_ms") > 0
    assert queue == {"status": "SUCCESS", "description": "0 jobs wait."}


@override_settings(MONITORING_KEY=KEY)
def test_seats_that_nobody_counts_are_not_said_to_be_none(client: Client, site: "redis.Redis") -> None:
    pool = make_license_pool("TRACK_USERS", expires_on="2030-01-01")

    _, report = read_report(client, Authorization=f"Api-Key {KEY}")

    license = report["sections"]["cmas-core-server-licence"]
    assert {"pool": pool, "bought": 5, "inUse": None} in license["statistics"]
    # It ends first, but does not count here.
    assert license["daysUntilNextExpiry"] > 20_000


def make_license_pool(name: str, *, expires_on: str) -> str:
    pool = Pool.objects.get()
    Pool.objects.create(
        name=name,
        license_file=pool.license_file,
        contract_party="Test",
        products="CM/Phone",
        version="1",
        expires_on=expires_on,
        licensed=5,
    )
    return name


def test_the_report_is_refused_to_who_shows_nothing(client: Client, site: "redis.Redis") -> None:
    status, problem = read_report(client)

    assert (status, problem["type"].rpartition("/")[2]) == (401, "not-authenticated")


@pytest.mark.parametrize("shown", ["Api-Key wrong", "Bearer wrong", "Basic YTpi", "Api-Key", "Api-Key \xfc"])
@pytest.mark.parametrize("configured", ["", KEY])
def test_the_report_is_refused_to_who_shows_something_wrong(
    client: Client, site: "redis.Redis", shown: str, configured: str
) -> None:
    with override_settings(MONITORING_KEY=configured):
        assert read_report(client, Authorization=shown)[0] == 401


def test_an_empty_key_opens_nothing_where_none_is_configured(client: Client, site: "redis.Redis") -> None:
    with override_settings(MONITORING_KEY=""):
        assert read_report(client, Authorization="Api-Key ")[0] == 401


@pytest.mark.parametrize(("is_staff", "status"), [(True, 200), (False, 403)])
def test_the_report_is_for_staff_in_the_browser_and_in_the_client(
    client: Client, site: "redis.Redis", is_staff: bool, status: int
) -> None:
    user = make_user(is_staff=is_staff)
    assert read_report(client, **log_in(user))[0] == status

    client.force_login(user)
    assert read_report(client)[0] == status


def test_staff_who_are_not_active_any_more_are_nobody(client: Client, site: "redis.Redis") -> None:
    user = make_user(is_staff=True)
    client.force_login(user)
    User.objects.update(is_active=False)

    assert read_report(client)[0] == 401


@pytest.mark.parametrize(("scope", "status"), [(Scope.MONITORING, 200), (Scope.LOOKUP, 403)])
def test_an_api_key_needs_the_scope_of_monitoring(
    client: Client, site: "redis.Redis", scope: Scope, status: int
) -> None:
    _, secret = create_api_key(name="watch", user=make_user(), scopes=[scope])

    assert read_report(client, Authorization=f"Api-Key {secret}")[0] == status


@override_settings(MONITORING_KEY=KEY)
def test_without_a_database_only_the_configured_key_reads_the_report(client: Client, site: "redis.Redis") -> None:
    staff = make_user(is_staff=True)
    header = log_in(staff)
    client.force_login(staff)

    with stopped(find_postgres()):
        started = time.monotonic()
        status, report = read_report(client, Authorization=f"Api-Key {KEY}")
        assert (status, report["sections"]["database"]["status"]) == (200, "ERROR")
        assert report["sections"]["database"]["description"] == "No answer within the time limit."
        assert report["sections"]["database"]["duration_ms"] >= 2000
        for headers in ({}, header, {"Authorization": "Api-Key another"}):
            status, problem = read_report(client, **headers)
            assert (status, problem["type"].rpartition("/")[2]) == (503, "unavailable")
        client.cookies.clear()
        assert read_report(client)[0] == 401
        assert time.monotonic() - started < 4
    wait_for_threads_to_end({"check_database", "check_license", "check_index"})


@override_settings(MONITORING_KEY=KEY)
def test_the_report_speaks_the_language_of_the_request(client: Client, site: "redis.Redis") -> None:
    _, report = read_report(client, Authorization=f"Api-Key {KEY}", **{"Accept-Language": "de"})

    assert report["sections"]["database"]["description"] == "Die Datenbank antwortet."


@pytest.mark.parametrize("text", ["", "x" * 20, "!~" * 10])
def test_a_monitoring_key_is_long_or_not_there(text: str) -> None:
    assert read_key("CMPHONE_MONITORING_KEY", shortest=20, environ={"CMPHONE_MONITORING_KEY": text}) == text
    assert read_key("CMPHONE_MONITORING_KEY", shortest=20, environ={}) == ""


@pytest.mark.parametrize("text", ["x" * 19, "x" * 19 + " ", "x y" * 10, "ü" * 20, "x" * 20 + "\n"])
def test_a_monitoring_key_that_cannot_serve_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="at least 20 ASCII characters"):
        read_key("CMPHONE_MONITORING_KEY", shortest=20, environ={"CMPHONE_MONITORING_KEY": text})
