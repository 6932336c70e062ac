"""Sending what was announced, to real receivers: retries, those that hang, workers that are killed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from cmphone.embedded import CHECKOUT
from cmphone.properties.services import set_property
from cmphone.webhooks import delivering
from cmphone.webhooks.delivering import LEASE, deliver
from cmphone.webhooks.models import PREVIOUS_SECRET_LASTS, Delivery, EventKind, Webhook
from cmphone.webhooks.services import (
    Event,
    announce,
    change_secret,
    remove_old_deliveries,
    save_webhook,
    send_again,
    send_test,
)
from tests.locks import start
from tests.make import make_customer_group
from tests.receivers import Receiver, receiver
from tests.test_webhooks_posting import load_example

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def allowed(settings: Settings) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = (ip_network("127.0.0.0/8"),)
    settings.PUBLIC_URL = "https://cm.example.com"


@pytest.fixture
def found() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def make_webhook(found: Receiver, name: str = "crm", **values: Any) -> Webhook:
    webhook = Webhook(name=name, url=found.url, events=[kind.value for kind in EventKind], **values)
    return save_webhook(webhook, customer_groups=None)


def happen(count: int = 1, *, group_id: int | None = None) -> None:
    with transaction.atomic():
        announce(
            [
                Event(EventKind.CONTACT_CHANGED, str(17 + n), group_id, {"external_id": "C-1", "version": 3})
                for n in range(count)
            ]
        )


def make_due() -> None:
    """Let what was put off be due, as if the time had passed."""
    Delivery.objects.filter(next_try_at__isnull=False).update(next_try_at=timezone.now())
    Webhook.objects.update(waits_until=None)


def states() -> list[str]:
    return list(Delivery.objects.order_by("id").values_list("state", flat=True))


def test_an_event_arrives_signed_and_names_no_one(found: Receiver) -> None:
    webhook, group = make_webhook(found), make_customer_group()
    happen(group_id=group.pk)
    deliver()

    request, delivery = found.wait(), Delivery.objects.get()
    assert request.path == "/hook"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["webhook-id"] == str(delivery.event_id)
    assert load_example()["verify"](request.body, request.headers, webhook.secret)
    assert request.event.pop("timestamp").startswith(delivery.occurred_at.strftime("%Y-%m-%dT%H:%M:%S."))
    assert {key: value for key, value in request.event.items() if key != "timestamp"} == {
        "id": str(delivery.event_id),
        "type": "contact.changed",
        "data": {
            "id": "17",
            "customer_group": {"id": str(group.pk), "name": "customers"},
            "external_id": "C-1",
            "version": 3,
            "url": "https://cm.example.com/api/v1/contacts/17",
        },
    }
    assert (delivery.state, delivery.tries, delivery.last_status, delivery.next_try_at) == ("delivered", 1, 204, None)
    deliver()
    assert len(found.requests) == 1


def test_what_a_call_is_called_is_no_path(found: Receiver) -> None:
    make_webhook(found)
    with transaction.atomic():
        announce([Event(EventKind.CALL_MISSED, "../a?b", None)])
    deliver()

    data = found.wait().event["data"]
    assert data == {"id": "../a?b", "customer_group": None, "url": "https://cm.example.com/api/v1/calls/..%2Fa%3Fb"}


def test_a_receiver_that_fails_three_times_gets_it_the_fourth_time(found: Receiver) -> None:
    webhook = make_webhook(found)
    found.answers = [(500, {})] * 3
    happen()
    for n, delay in enumerate((15, 60, 240), start=1):
        before = timezone.now()
        deliver()
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.tries, delivery.last_status, delivery.last_failure) == (
            "waiting",
            n,
            500,
            "status",
        )
        assert delivery.next_try_at is not None
        assert delay * 0.8 <= (delivery.next_try_at - before).total_seconds() <= delay * 1.2 + 5
        deliver()
        assert len(found.requests) == n
        make_due()
    webhook.refresh_from_db()
    assert webhook.failures == 3
    deliver()

    assert states() == ["delivered"]
    assert {request.headers["webhook-id"] for request in found.requests} == {str(Delivery.objects.get().event_id)}
    assert len(found.requests) == 4
    webhook.refresh_from_db()
    assert (webhook.failures, webhook.failing_since, webhook.is_active) == (0, None, True)


def test_after_ten_tries_it_is_given_up_and_can_be_sent_again(found: Receiver) -> None:
    make_webhook(found)
    found.answers = [(500, {})] * 10
    happen()
    for _ in range(12):
        deliver()
        make_due()

    assert (states(), len(found.requests)) == (["failed"], 10)
    assert send_again([Delivery.objects.get().pk]) == 1
    deliver()
    assert (states(), Delivery.objects.get().tries) == (["delivered"], 1)


def test_who_is_gone_is_left_alone(found: Receiver) -> None:
    webhook = make_webhook(found)
    found.answers = [(410, {})]
    happen()
    deliver()
    happen()
    webhook.refresh_from_db()

    assert (webhook.is_active, webhook.pause_reason) == (False, "gone")
    assert states() == ["failed"]
    webhook.is_active = True
    save_webhook(webhook, customer_groups=None)
    happen()
    deliver()
    webhook.refresh_from_db()
    assert (states(), webhook.pause_reason, webhook.failures) == (["failed", "delivered"], "", 0)


def test_a_receiver_that_fails_for_a_day_is_paused_and_not_before(found: Receiver) -> None:
    webhook = make_webhook(found)
    found.answers = [(500, {})] * 40
    happen(25)

    def fail() -> None:
        make_due()
        deliver(seconds=60)
        webhook.refresh_from_db()

    fail()
    assert (webhook.failures, webhook.is_active) == (25, True)
    Webhook.objects.update(failing_since=timezone.now() - timedelta(hours=25), failures=5)
    happen()
    Delivery.objects.exclude(pk=Delivery.objects.latest("id").pk).update(next_try_at=timezone.now() + LEASE)
    deliver()
    webhook.refresh_from_db()
    assert (webhook.failures, webhook.is_active) == (6, True)
    Webhook.objects.update(failures=19)
    fail()
    assert (webhook.is_active, webhook.pause_reason) == (False, "failing")
    waiting, asked = states().count("waiting"), len(found.requests)
    assert waiting > 0
    fail()
    assert len(found.requests) == asked


def test_retry_after_is_obeyed_for_all_that_the_receiver_gets(found: Receiver) -> None:
    webhook = make_webhook(found)
    found.answers = [(429, {"Retry-After": "3600"})]
    happen()
    before = timezone.now()
    deliver()
    happen()
    deliver()

    assert len(found.requests) == 1
    webhook.refresh_from_db()
    first = Delivery.objects.earliest("id")
    for at in (webhook.waits_until, first.next_try_at):
        assert at is not None
        assert 3_600 <= (at - before).total_seconds() < 3_610
    make_due()
    deliver()
    assert states() == ["delivered", "delivered"]


def test_a_redirect_leads_nowhere(found: Receiver) -> None:
    make_webhook(found)
    found.answers = [(302, {"Location": f"http://127.0.0.1:{found.port}/internal"})]
    happen()
    deliver()

    assert [request.path for request in found.requests] == ["/hook"]
    assert (states(), Delivery.objects.get().last_status) == (["waiting"], 302)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_internal_addresses_are_refused_unless_the_site_allows_them(
    found: Receiver, settings: Settings, host: str
) -> None:
    settings.WEBHOOK_ALLOWED_NETWORKS = ()
    webhook = make_webhook(found)
    Webhook.objects.update(url=f"http://{host}:{found.port}/")
    happen()
    deliver()

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.last_status, delivery.last_failure) == ("waiting", None, "address")
    assert delivery.answer == "the address is not allowed: it leads into an internal network"
    assert found.requests == []
    assert webhook.deliveries.count() == 1


def test_both_secrets_sign_until_receivers_had_the_time_to_change(found: Receiver) -> None:
    webhook = make_webhook(found)
    old, new, other = webhook.secret, change_secret(webhook), make_webhook(found, "other").secret
    verify = load_example()["verify"]

    def is_signed(*secrets: str) -> list[bool]:
        send_test(webhook)
        deliver()
        request = found.wait()
        return [verify(request.body, request.headers, secret) for secret in secrets]

    assert is_signed(old, new, other) == [True, True, False]
    Webhook.objects.update(secret_changed_at=timezone.now() - PREVIOUS_SECRET_LASTS)
    assert is_signed(old, new, other) == [False, True, False]


def test_a_test_event_is_sent_to_an_inactive_webhook_and_other_events_wait(found: Receiver) -> None:
    webhook = make_webhook(found)
    happen()
    Webhook.objects.update(is_active=False, waits_until=timezone.now() + timedelta(hours=1))
    send_test(webhook)
    deliver()

    assert found.wait().event["type"] == "webhook.test"
    assert (found.requests[0].event["data"], len(found.requests)) == ({}, 1)
    assert states() == ["waiting", "delivered"]


def test_the_log_is_kept_for_as_long_as_the_property_says(found: Receiver) -> None:
    make_webhook(found)
    happen(3)
    for delivery, days in zip(Delivery.objects.order_by("id"), (40, 29, 1), strict=True):
        Delivery.objects.filter(pk=delivery.pk).update(occurred_at=timezone.now() - timedelta(days=days))

    assert remove_old_deliveries() == 1
    set_property(name="webhook.log.days", value="7")
    assert (remove_old_deliveries(), remove_old_deliveries()) == (1, 0)
    assert Delivery.objects.count() == 1


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def is_lock_free() -> bool:
    """Say whether nobody takes deliveries: who was killed may still seem to, for a moment."""
    with connection.cursor() as cursor:
        cursor.execute("select count(*) from pg_locks where locktype = 'advisory'")
        return bool(cursor.fetchone()[0] == 0)


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_hangs_does_not_hold_up_another(found: Receiver) -> None:
    found.may_answer.clear()
    with receiver() as other, ThreadPoolExecutor(1) as threads:
        make_webhook(found, "hangs")
        make_webhook(other, "other")
        happen(10)
        run = start(threads, deliver)
        wait_until(lambda: len(other.requests) == 10)
        assert len(found.requests) == delivering.SHARE
        # What happens meanwhile is not held up either.
        happen()
        wait_until(lambda: len(other.requests) == 11)
        assert len(found.requests) == delivering.SHARE
        found.may_answer.set()
        run.result()
    assert set(states()) == {"delivered"}
    assert len(found.requests) == 11


@pytest.mark.django_db(transaction=True)
def test_once_a_receiver_fails_it_is_asked_one_thing_at_a_time(found: Receiver) -> None:
    found.may_answer.clear()
    webhook = make_webhook(found)
    Webhook.objects.update(failing_since=timezone.now())
    happen(5)
    with ThreadPoolExecutor(1) as threads:
        run = start(threads, deliver)
        found.wait()
        time.sleep(0.6)
        assert len(found.requests) == 1
        found.may_answer.set()
        run.result()
    assert set(states()) == {"delivered"}
    webhook.refresh_from_db()
    assert webhook.failing_since is None


@pytest.mark.django_db(transaction=True)
def test_while_a_run_waits_for_slow_ones_the_next_one_goes_on(found: Receiver) -> None:
    found.may_answer.clear()
    with receiver() as other, ThreadPoolExecutor(2) as threads:
        make_webhook(found, "hangs")
        happen()
        run = start(threads, lambda: deliver(seconds=1))
        found.wait()
        assert deliver() is False
        wait_until(is_lock_free)
        make_webhook(other, "other")
        happen()
        # Of the one that hangs it takes the new one, too, and waits for it.
        next_run = start(threads, lambda: deliver(seconds=1))
        other.wait()
        assert not run.done()
        found.may_answer.set()
        run.result()
        next_run.result()
    assert set(states()) == {"delivered"}


_WORKER = "import django; django.setup(); from cmphone.webhooks.delivering import deliver; deliver()"


def start_worker() -> "subprocess.Popen[bytes]":
    """Start a process that delivers out of the tests' database."""
    values = connection.settings_dict
    url = f"postgresql://{values['USER']}:{values['PASSWORD']}@/{values['NAME']}?host={values['HOST']}"
    if values["PORT"]:
        url += f"&port={values['PORT']}"
    environ = {"CMPHONE_DATABASE_URL": url, "CMPHONE_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8"}
    environ["CMPHONE_PUBLIC_URL"] = "https://cm.example.com"
    return subprocess.Popen([sys.executable, "-c", _WORKER], cwd=CHECKOUT, env=os.environ | environ)


@pytest.mark.django_db(transaction=True)
def test_what_a_killed_worker_was_sending_is_sent_again_after_its_time(found: Receiver) -> None:
    make_webhook(found)
    happen()
    found.may_answer.clear()
    with start_worker() as worker:
        first = found.wait()
        worker.kill()
        worker.wait()
    found.may_answer.set()

    wait_until(is_lock_free)
    deliver()
    delivery = Delivery.objects.get()
    assert (len(found.requests), delivery.state, delivery.tries) == (1, "sending", 1)
    assert delivery.next_try_at is not None
    assert timezone.now() + timedelta(seconds=60) < delivery.next_try_at <= timezone.now() + LEASE
    Delivery.objects.update(next_try_at=timezone.now())
    deliver()

    second = found.requests[1]
    assert second.headers["webhook-id"] == first.headers["webhook-id"]
    assert second.body == first.body
    assert (states(), Delivery.objects.get().tries) == (["delivered"], 2)


@pytest.mark.django_db(transaction=True)
def test_workers_at_the_same_time_send_each_event_once(found: Receiver) -> None:
    make_webhook(found)
    happen(60)
    workers = [start_worker() for _ in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]

    ids = [request.headers["webhook-id"] for request in found.requests]
    assert (len(ids), len(set(ids))) == (60, 60)
    assert set(states()) == {"delivered"}
