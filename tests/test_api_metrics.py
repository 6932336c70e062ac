"""/metrics as Prometheus reads it: seats, look-ups of every process, jobs, and what of it is left in trouble."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import pytest
import redis
from django.conf import settings
from django.test import Client, override_settings
from django.utils import timezone
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from cmphone.access.models import Scope
from cmphone.access.services import create_api_key
from cmphone.api.short_way import take_short_way_first
from cmphone.celery import app
from cmphone.embedded import CHECKOUT, redis_url
from cmphone.management.commands.serve_demo import empty_metrics
from cmphone.monitoring import look_ups, worker
from cmphone.monitoring.tasks import write_worker_sign
from license.models import HourlyUsage, Pool
from numbering.selectors import Match
from tests.hanging import find_postgres, stopped, wait_for_threads_to_end
from tests.make import give_rights, log_in, make_company, make_customer_group, make_license, make_person, make_user

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "a-key-of-monitoring-42"
QUEUE = app.conf.task_default_queue

Sample = tuple[str, tuple[tuple[str, str], ...]]


@pytest.fixture(autouse=True)
def queue() -> Iterator["redis.Redis"]:
    """A client of this run's own Redis, without jobs and sign of other tests."""
    with redis.Redis.from_url(redis_url()) as queue:
        queue.delete(QUEUE, worker.SIGN_KEY)
        yield queue
        queue.delete(QUEUE, worker.SIGN_KEY)


def read_metrics(client: Client, **headers: str) -> dict[Sample, float]:
    """Return every sample by its name and labels."""
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200, answer.content
    families = text_string_to_metric_families(answer.content.decode())
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value for family in families for each in family.samples
    }


def sample(name: str, **labels: str) -> Sample:
    return f"cmphone_{name}", tuple(sorted(labels.items()))


def read_look_ups(client: Client) -> dict[str, float]:
    """Return how many look-ups were counted, by match, and as `timed` those whose time was taken."""
    samples = read_metrics(client)
    counts = {match: samples[sample("lookups_total", match=match)] for match in look_ups.MATCHES}
    return counts | {"timed": samples[sample("lookup_seconds_count")]}


def subtract(after: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    """Return what has grown."""
    return {name: after[name] - before[name] for name in after if after[name] != before[name]}


def test_every_match_of_a_look_up_has_a_counter() -> None:
    assert set(look_ups.MATCHES) == set(get_args(Match))


def test_a_site_in_order_is_told_in_figures(client: Client) -> None:
    make_license(licensed=2)
    log_in(make_user())
    write_worker_sign()

    samples = read_metrics(client)

    assert samples[sample("up", service="database")] == 1
    assert samples[sample("up", service="redis")] == 1
    assert samples[sample("license_seats", pool="REST_USERS")] == 2
    assert samples[sample("license_seats_in_use", pool="REST_USERS")] == 1
    assert samples[sample("license_days_left", pool="REST_USERS")] > 20_000
    assert samples[sample("jobs_waiting")] == 0
    assert 0 <= samples[sample("worker_sign_age_seconds")] < 5
    assert samples[sample("stale_customer_groups")] == 0
    assert samples[sample("health_status", section="worker")] == 0
    assert not [name for name, _ in samples if name == "cmphone_license_warning"]


def test_what_piles_up_is_told(client: Client, queue: "redis.Redis") -> None:
    make_license(licensed=1)
    log_in(make_user())
    make_customer_group()
    queue.delete(QUEUE)
    queue.rpush(QUEUE, *range(1200))

    samples = read_metrics(client)

    warning = sample("license_warning", code="seats-all-in-use", severity="warning", pool="REST_USERS")
    assert samples[warning] == 1
    assert samples[sample("jobs_waiting")] == 1200
    assert samples[sample("stale_customer_groups")] == 1
    assert sample("worker_sign_age_seconds") not in samples
    assert samples[sample("health_status", section="queue")] == 2


def test_no_licence_is_a_warning_without_a_pool(client: Client) -> None:
    samples = read_metrics(client)

    assert samples[sample("license_warning", code="license-missing", severity="error", pool="")] == 1


def test_claims_and_refusals_are_the_sums_of_all_hours(client: Client) -> None:
    make_license()
    before = read_metrics(client)
    for hours in range(3):
        HourlyUsage.objects.create(
            pool_name="REST_USERS",
            hour=timezone.now() - timedelta(hours=hours + 1),
            licensed=10,
            claims=2,
            refused=1,
        )

    after = read_metrics(client)

    grown = [
        after[sample(name, pool="REST_USERS")] - before[sample(name, pool="REST_USERS")]
        for name in ("license_claims_total", "license_refusals_total")
    ]
    assert grown == [6, 3]


def test_seats_that_nobody_counts_are_not_said_to_be_none(client: Client) -> None:
    pool = make_license()
    Pool.objects.filter(id=pool.id).update(name="TRACK_USERS")

    samples = read_metrics(client)

    assert samples[sample("license_seats", pool="TRACK_USERS")] == 10
    assert sample("license_seats_in_use", pool="TRACK_USERS") not in samples


@pytest.fixture
def header() -> dict[str, str]:
    """The header of a user who finds Anders at 0211 33990312 and his company with its line 0211 4444-0."""
    group = make_customer_group(area_prefix="211")
    user = make_user()
    give_rights(user, group)
    make_person(group, "Anders", phone="0211 33990312")
    make_company(group, "Alfreds Futterkiste", phone="0211 4444-0")
    return log_in(user)


@pytest.mark.parametrize(("number", "match"), [("0021133990312", "exact"), ("00211999999", "none"), ("", "withheld")])
def test_a_look_up_is_counted_by_its_match_and_its_time_is_taken(
    client: Client, header: dict[str, str], number: str, match: str
) -> None:
    before = read_look_ups(client)

    assert client.get("/api/v1/lookup", {"number": number}, headers=header).json()["match"] == match

    assert subtract(read_look_ups(client), before) == {match: 1, "timed": 1}


def test_the_short_way_counts_as_the_long_one_does(client: Client, header: dict[str, str]) -> None:
    before = read_look_ups(client)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/api/v1/lookup",
        "QUERY_STRING": "number=0021133990312",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "HTTP_AUTHORIZATION": header["Authorization"],
    }
    statuses: list[str] = []

    def leave_to_the_long_way(environ: object, start_response: object) -> list[bytes]:
        raise AssertionError

    body = take_short_way_first(leave_to_the_long_way)(environ, lambda status, headers: statuses.append(status))

    assert (statuses, b'"match":"exact"' in b"".join(body)) == (["200 OK"], True)
    assert subtract(read_look_ups(client), before) == {"exact": 1, "timed": 1}


def test_each_number_of_a_batch_is_counted_and_no_time_is_taken(client: Client, header: dict[str, str]) -> None:
    before = read_look_ups(client)

    numbers = {"numbers": ["0021133990312", "0021133990312", "00211999999", ""]}
    answer = client.post("/api/v1/lookup/batch", numbers, content_type="application/json", headers=header)

    assert answer.status_code == 200
    assert subtract(read_look_ups(client), before) == {"exact": 2, "none": 1, "withheld": 1}


def test_a_look_up_that_is_refused_is_none(client: Client) -> None:
    before = read_look_ups(client)

    assert client.get("/api/v1/lookup", {"number": "1"}, headers={"Authorization": "Bearer x"}).status_code == 401

    assert subtract(read_look_ups(client), before) == {}


COUNT = """
import django; django.setup()
from cmphone.monitoring.look_ups import count_look_up
for _ in range(3): count_look_up("tail", seconds=0.0007)
"""


def test_look_ups_of_all_processes_are_added_up_and_outlive_them(client: Client) -> None:
    before, samples_before = read_look_ups(client), read_metrics(client)

    environ = os.environ | {"CMPHONE_METRICS_DIR": str(settings.METRICS_DIR)}
    for _ in range(2):
        subprocess.run([sys.executable, "-W", "error", "-c", COUNT], cwd=CHECKOUT, env=environ, check=True)

    assert subtract(read_look_ups(client), before) == {"tail": 6, "timed": 6}
    samples = read_metrics(client)
    buckets = [sample("lookup_seconds_bucket", le=le) for le in ("0.0005", "0.001", "5.0", "+Inf")]
    assert [samples[bucket] - samples_before[bucket] for bucket in buckets] == [0, 6, 6, 6]


def test_where_nothing_can_be_counted_calls_are_answered_all_the_same(
    client: Client,
    header: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(settings, "METRICS_DIR", tmp_path / "file" / "metrics")
    counting = look_ups._make_instruments.__wrapped__
    monkeypatch.setattr(look_ups, "_make_instruments", counting)

    assert client.get("/api/v1/lookup", {"number": "1"}, headers=header).status_code == 200
    assert "Look-ups are not counted" in caplog.text
    assert sample("up", service="database") in read_metrics(client)


def test_a_command_that_looks_nobody_up_leaves_no_file(tmp_path: Path) -> None:
    environ = os.environ | {"CMPHONE_METRICS_DIR": str(tmp_path / "metrics")}

    subprocess.run(
        [sys.executable, "-c", "import django; django.setup(); import cmphone.urls"],
        cwd=CHECKOUT,
        env=environ,
        check=True,
    )

    assert not (tmp_path / "metrics").exists()


def test_only_counters_are_removed_from_the_folder(tmp_path: Path) -> None:
    for name in ("counter_7.db", "histogram_7.db", "notes.txt"):
        (tmp_path / name).touch()

    empty_metrics(tmp_path)
    empty_metrics(tmp_path / "not there")

    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]


def test_the_form_is_the_one_that_prometheus_asks_for(client: Client) -> None:
    plain = client.get("/metrics")
    asked = client.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"})

    assert plain.headers["Content-Type"].startswith("text/plain; version=")
    assert asked.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    parsed = parse_openmetrics(asked.content.decode())  # type: ignore[no-untyped-call]
    assert "cmphone_lookups" in {family.name for family in parsed}
    assert plain.headers["Cache-Control"] == "no-store"


def test_another_method_is_a_problem(client: Client) -> None:
    answer = client.post("/metrics")

    assert (answer.status_code, answer.headers["Content-Type"]) == (405, "application/problem+json")


def test_nothing_of_a_person_is_in_it(client: Client, header: dict[str, str]) -> None:
    client.get("/api/v1/lookup", {"number": "0021133990312"}, headers=header)

    page = client.get("/metrics").content.decode()

    for text in ("33990312", "Anders", "agent1", "customers", "client-1"):
        assert text not in page


@override_settings(MONITORING_KEY=KEY)
def test_with_a_monitoring_key_the_metrics_are_for_who_shows_one(client: Client) -> None:
    user = make_user()
    _, secret = create_api_key(name="watch", user=user, scopes=[Scope.MONITORING])
    _, other = create_api_key(name="telephone system", user=user, scopes=[Scope.LOOKUP])

    def ask(**headers: str) -> tuple[int, str]:
        answer = client.get("/metrics", headers=headers)
        return answer.status_code, answer.headers["Content-Type"].partition(";")[0]

    assert ask() == (401, "application/problem+json")
    assert ask(Authorization="Api-Key wrong") == (401, "application/problem+json")
    assert ask(Authorization=f"Api-Key {other}") == (403, "application/problem+json")
    assert ask(Authorization=f"Api-Key {KEY}") == (200, "text/plain")
    assert ask(Authorization=f"Api-Key {secret}") == (200, "text/plain")


def test_while_the_database_hangs_the_other_metrics_come_in_time(client: Client) -> None:
    write_worker_sign()
    read_look_ups(client)

    with stopped(find_postgres()):
        started = time.monotonic()
        samples = read_metrics(client)
        assert time.monotonic() - started < 3
        with override_settings(MONITORING_KEY=KEY):
            assert client.get("/metrics", headers={"Authorization": "Api-Key other"}).status_code == 503
            assert client.get("/metrics", headers={"Authorization": f"Api-Key {KEY}"}).status_code == 200

    assert samples[sample("up", service="database")] == 0
    assert samples[sample("up", service="redis")] == 1
    assert sample("jobs_waiting") in samples
    assert sample("lookup_seconds_count") in samples
    assert sample("license_seats", pool="REST_USERS") not in samples
    assert sample("stale_customer_groups") not in samples
    wait_for_threads_to_end({"check_database", "check_license", "check_index"})
