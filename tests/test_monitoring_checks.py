"""The sections of the health report, over real services that work, are away, or hang."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.db import OperationalError
from django.test import override_settings
from django.utils import timezone, translation

from cmphone.celery import app
from cmphone.contacts.models import CustomerGroup, Rebuild
from cmphone.contacts.rebuilding import rebuild_stale_customer_groups
from cmphone.embedded import CHECKOUT
from cmphone.monitoring import checks, worker
from cmphone.monitoring.checks import (
    CHECKS,
    Status,
    check_health,
    check_index,
    check_license,
    check_queue,
    check_worker,
)
from cmphone.monitoring.tasks import write_worker_sign
from tests.hanging import (
    find_postgres,
    find_valkey,
    new_connections_to,
    silent_socket,
    stopped,
    wait_for_threads_to_end,
)
from tests.make import log_in, make_customer_group, make_license, make_user

pytestmark = pytest.mark.django_db(transaction=True)

QUEUE = app.conf.task_default_queue
NOWHERE = "redis://127.0.0.1:1/0"
OF_DATABASE = {"cmas-core-server-licence", "database", "index"}
OF_REDIS = {"redis", "worker", "queue"}


@pytest.fixture(autouse=True)
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator["redis.Redis"]:
    """A client of this run's own Redis, without sign and jobs of other tests."""
    monkeypatch.setattr(checks, "_stale_since", None)
    with worker.connect() as client, translation.override("en"):
        client.delete(QUEUE, worker.SIGN_KEY)
        yield client
        client.delete(QUEUE, worker.SIGN_KEY)


def list_errors() -> set[str]:
    return {name for name, section in check_health().sections.items() if section.finding.status is Status.ERROR}


def test_a_site_in_order_is_a_success_in_every_section() -> None:
    make_license()
    write_worker_sign()

    report = check_health()

    assert {name: section.finding.status for name, section in report.sections.items()} == dict.fromkeys(
        ["cmas-core-server-licence", "database", "redis", "worker", "queue", "index"], "SUCCESS"
    )
    assert report.status == "SUCCESS"


def test_the_worst_section_is_the_status_of_the_whole(client: "redis.Redis") -> None:
    make_license(licensed=10)
    write_worker_sign()
    client.rpush(QUEUE, *range(100))
    assert check_health().status == "WARNING"

    client.delete(worker.SIGN_KEY)
    assert check_health().status == "ERROR"


def test_the_licence_section_says_its_warnings_and_keeps_every_pool() -> None:
    make_license(licensed=1)
    log_in(make_user())

    finding = check_license()

    assert (finding.status, finding.describe()) == ("WARNING", "Every seat of REST_USERS is in use: 1 of 1.")
    assert [(pool.name, pool.licensed, pool.in_use) for pool in finding.pools or ()] == [("REST_USERS", 1, 1)]


def test_no_licence_is_an_error() -> None:
    assert check_license().status == "ERROR"


def test_without_a_sign_of_a_job_the_worker_is_an_error() -> None:
    finding = check_worker()

    assert (finding.status, finding.figure) == ("ERROR", None)


@pytest.mark.parametrize(("age", "status"), [(0, "SUCCESS"), (58, "SUCCESS"), (62, "ERROR")])
def test_the_sign_of_a_job_counts_for_a_minute(client: "redis.Redis", age: int, status: str) -> None:
    write_worker_sign()
    client.incrbyfloat(worker.SIGN_KEY, -age)

    finding = check_worker()

    assert finding.status == status
    assert finding.figure == pytest.approx(age, abs=1.5)


def test_a_worker_that_builds_groups_anew_is_busy_and_not_away(client: "redis.Redis") -> None:
    make_customer_group()
    rebuild_stale_customer_groups()
    write_worker_sign()
    client.incrbyfloat(worker.SIGN_KEY, -300)
    assert check_worker().status == "ERROR"

    Rebuild.objects.update(finished_at=None, updated_at=timezone.now() - timedelta(seconds=30))
    assert check_worker().status == "WARNING"

    Rebuild.objects.update(updated_at=timezone.now() - timedelta(seconds=90))
    assert check_worker().status == "ERROR"


@pytest.mark.parametrize(
    ("count", "status"), [(0, "SUCCESS"), (99, "SUCCESS"), (100, "WARNING"), (999, "WARNING"), (1000, "ERROR")]
)
def test_jobs_that_pile_up_are_told(client: "redis.Redis", count: int, status: str) -> None:
    if count:
        client.rpush(QUEUE, *range(count))

    finding = check_queue()

    assert (finding.status, finding.figure) == (status, count)


def test_a_job_that_is_sent_waits_in_the_queue_that_is_counted() -> None:
    write_worker_sign.delay()

    assert check_queue().figure == 1


def test_a_worker_that_starts_with_the_clock_leaves_its_sign(tmp_path: Path) -> None:
    command = f"-m celery -A cmphone worker --pool solo --without-gossip --without-mingle --beat -s {tmp_path}/schedule"
    process = subprocess.Popen(
        [sys.executable, *command.split()],
        cwd=CHECKOUT,
        env=dict(os.environ),
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while worker.find_sign_age() is None:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        # The clock is a process of its own.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert check_worker().status == "SUCCESS"


@pytest.fixture
def group() -> CustomerGroup:
    group = make_customer_group()
    rebuild_stale_customer_groups()
    return group


def test_an_index_that_is_up_to_date_is_a_success(group: CustomerGroup) -> None:
    assert (check_index().status, check_index().figure) == ("SUCCESS", 0)


def test_a_rebuild_under_way_is_a_warning_with_its_percent(group: CustomerGroup) -> None:
    Rebuild.objects.filter(subject="numbers").update(finished_at=None, done=50, total=100)
    Rebuild.objects.filter(subject="names").update(finished_at=None, done=25, total=100)

    finding = check_index()

    assert (finding.status, finding.figure) == ("WARNING", 1)
    assert finding.describe() == "1 customer group is being built anew: 37 % done."


def test_what_waits_without_any_movement_for_ten_minutes_is_an_error(
    group: CustomerGroup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def see_it_since(minutes: float) -> None:
        monkeypatch.setattr(checks, "_stale_since", timezone.now() - timedelta(minutes=minutes))

    # The last batch is long ago; but that settings have changed is seen only now.
    Rebuild.objects.update(updated_at=timezone.now() - timedelta(days=1), fingerprint="of other settings")
    assert check_index().status == "WARNING"

    see_it_since(9.5)
    assert check_index().status == "WARNING"
    see_it_since(10.5)
    assert check_index().status == "ERROR"

    # Anything that moves, if only in another group, is work that goes on.
    Rebuild.objects.filter(subject="names").update(updated_at=timezone.now())
    assert check_index().status == "WARNING"

    rebuild_stale_customer_groups()
    assert check_index().status == "SUCCESS"
    Rebuild.objects.update(updated_at=timezone.now() - timedelta(days=1), fingerprint="of other settings")
    assert check_index().status == "WARNING"


@override_settings(REDIS_URL=NOWHERE)
def test_without_redis_its_sections_are_errors_that_name_no_address() -> None:
    make_license()

    report = check_health()

    assert {name for name in CHECKS if not report.is_up(name)} == OF_REDIS
    assert {report.sections[name].finding.describe() for name in OF_REDIS} == {"Redis does not answer."}


def test_without_a_database_its_sections_are_errors(tmp_path: Path) -> None:
    write_worker_sign()

    with new_connections_to(tmp_path):
        report = check_health()

    assert {name for name in CHECKS if not report.is_up(name)} == OF_DATABASE
    assert {report.sections[name].finding.describe() for name in OF_DATABASE} == {"The database does not answer."}


def test_a_fault_of_a_check_is_an_error_of_its_section_and_stands_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(checks, "list_pool_states", fail)
    write_worker_sign()

    assert list_errors() == {"cmas-core-server-licence"}
    assert "ZeroDivisionError" in caplog.text


def measure_hanging_report() -> tuple[set[str], float]:
    started = time.monotonic()
    return list_errors(), time.monotonic() - started


def test_a_frozen_database_is_an_error_in_time_and_then_at_once() -> None:
    make_license()
    write_worker_sign()

    with stopped(find_postgres()):
        errors, seconds = measure_hanging_report()
        assert errors == OF_DATABASE
        assert 2 <= seconds < 3
        errors, seconds = measure_hanging_report()
        assert errors == OF_DATABASE
        assert seconds < 1

    wait_for_threads_to_end({"check_database", "check_license", "check_index"})
    assert list_errors() == set()


def test_a_frozen_redis_is_an_error_in_time_and_then_at_once() -> None:
    make_license()
    write_worker_sign()

    with stopped(find_valkey()):
        errors, seconds = measure_hanging_report()
        assert errors == OF_REDIS
        assert 2 <= seconds < 3
        errors, seconds = measure_hanging_report()
        assert errors == OF_REDIS
        assert seconds < 1

    wait_for_threads_to_end({"check_redis", "check_worker", "check_queue"})
    assert list_errors() == set()


def test_what_takes_calls_and_never_answers_is_an_error_in_time() -> None:
    with silent_socket(".s.PGSQL.5432") as database, silent_socket("redis.sock") as silent:
        with new_connections_to(database.parent), override_settings(REDIS_URL=f"unix://{silent}?db=0"):
            errors, seconds = measure_hanging_report()
        assert errors == OF_DATABASE | OF_REDIS
        assert 2 <= seconds < 3
    wait_for_threads_to_end({look.__name__ for look in CHECKS.values()})


def test_the_worker_check_asks_the_database_only_where_the_sign_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise OperationalError

    write_worker_sign()
    monkeypatch.setattr(Rebuild.objects, "filter", fail)

    assert check_worker().status == "SUCCESS"
