"""Sends what was announced: takes what is due, a few of each webhook, and posts it in threads, outside transactions.

Whoever takes a delivery has it for a while (LEASE).  If he is killed, it is due again when that is over, and may then
come twice: a receiver knows it by its id.  A receiver that hangs holds a few threads, or one once that is known, for
a few seconds; the others' deliveries go on in the rest.
"""

import logging
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from cmphone.webhooks.models import TEST_KIND, Delivery, Failure, PauseReason, State, Webhook
from cmphone.webhooks.posting import Outcome, post
from cmphone.webhooks.retrying import MAX_TRIES, delay_after, read_retry_after
from cmphone.webhooks.signing import sign

logger = logging.getLogger(__name__)

THREADS = 16
# Of one webhook at the same time; of one that fails, a single one.
SHARE = 4
# Longer than a try can take, with a name that resolves slowly.
LEASE = timedelta(minutes=2)
# A receiver that was not there, or did not answer, is left in peace for so long.
REST = timedelta(seconds=30)
# A webhook is paused when nothing has got through for so long, and that was not for lack of tries.
PAUSED_AFTER = timedelta(days=1)
PAUSED_AFTER_FAILURES = 20
_UNREACHABLE = {Failure.NAME, Failure.CONNECTION, Failure.CERTIFICATE, Failure.TIMEOUT, Failure.ANSWER}
_PATHS = {"contact": "/api/v1/contacts/", "case": "/api/v1/cases/", "call": "/api/v1/calls/"}


@dataclass(frozen=True, slots=True)
class Taken:
    """A delivery as its sender has it: what to send, where, and by which secrets."""

    id: int
    tries: int
    webhook_id: int
    event_id: UUID
    kind: str
    occurred_at: datetime
    subject_id: str
    customer_group_id: int | None
    customer_group_name: str
    data: dict[str, Any]


_TAKE = f"""
with room as (
    select w.id, w.is_active,
           case when w.failing_since is null then {SHARE} else 1 end - (
               select count(*) from webhooks_delivery u
               where u.webhook_id = w.id and u.state = 'sending' and u.next_try_at > statement_timestamp()
           ) as free
    from webhooks_webhook w
    where w.waits_until is null or w.waits_until <= statement_timestamp()
), due as (
    select d.id
    from room cross join lateral (
        select d.id, d.next_try_at
        from webhooks_delivery d
        where d.webhook_id = room.id and d.state in ('waiting', 'sending') and d.next_try_at <= statement_timestamp()
          and (room.is_active or d.kind = '{TEST_KIND}')
        order by d.next_try_at, d.id
        limit greatest(room.free, 0)
        for update skip locked
    ) d
    order by d.next_try_at, d.id
    limit %s
)
update webhooks_delivery d
set state = 'sending', tries = d.tries + 1, last_tried_at = statement_timestamp(),
    next_try_at = statement_timestamp() + make_interval(secs => %s)
from due
where d.id = due.id
returning d.id, d.tries, d.webhook_id, d.event_id, d.kind, d.occurred_at, d.subject_id, d.customer_group_id,
          d.customer_group_name, d.data::text
"""  # noqa: S608 (constants only)


def deliver(*, seconds: float = 10.0) -> bool:
    """Send what is due, and what becomes due meanwhile, for so long; say whether there is more.

    Safe to run many times at once: one of them takes deliveries, the others end.  It ends a try's time later.
    """
    if not _lock():
        return False
    stop_at = time.monotonic() + seconds
    is_taking = has_more = True
    with ThreadPoolExecutor(THREADS, thread_name_prefix="webhook") as threads:
        under_way: dict[Future[Outcome], Taken] = {}
        try:
            while True:
                if is_taking and time.monotonic() >= stop_at:
                    # Others may take now, while the slow ones of these are waited for.
                    is_taking = False
                    _unlock()
                taken = _take(THREADS - len(under_way)) if is_taking else []
                secrets = _list_secrets({each.webhook_id for each in taken})
                under_way |= {threads.submit(_send, each, *secrets[each.webhook_id]): each for each in taken}
                if not under_way:
                    has_more = not is_taking
                    break
                done, _ = wait(under_way, timeout=0.2 if is_taking else None, return_when=FIRST_COMPLETED)
                for future in done:
                    record(under_way.pop(future), future.result())
        finally:
            if is_taking:
                _unlock()
    return has_more


# Held by the connection, so that a killed process does not keep it.
def _lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("select pg_try_advisory_lock(hashtext('webhooks'))")
        return bool(cursor.fetchone()[0])


def _unlock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_unlock(hashtext('webhooks'))")


def _take(at_most: int) -> list[Taken]:
    if at_most <= 0:
        return []
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_TAKE, [at_most, LEASE.total_seconds()])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return [Taken(*(*row[:-1], orjson.loads(row[-1]))) for row in rows]


def _list_secrets(webhooks: Iterable[int]) -> dict[int, tuple[str, list[str]]]:
    """Return the address and the secrets of each of these webhooks."""
    ids = list(webhooks)
    now = timezone.now()
    return {each.pk: (each.url, each.list_secrets(now)) for each in Webhook.objects.filter(pk__in=ids)} if ids else {}


def describe_event(delivery: Taken | Delivery) -> str:
    """Return what is sent, for people to read."""
    return orjson.dumps(orjson.loads(write_body(delivery)), option=orjson.OPT_INDENT_2).decode()


def write_body(taken: Taken | Delivery) -> bytes:
    """Return what is sent: what happened to what, and where one may ask more."""
    data: dict[str, object] = {}
    if taken.kind != TEST_KIND:
        group = {"id": str(taken.customer_group_id), "name": taken.customer_group_name}
        url = str(settings.PUBLIC_URL) + _PATHS[taken.kind.partition(".")[0]] + quote(taken.subject_id, safe="")
        data = {
            "id": taken.subject_id,
            "customer_group": group if taken.customer_group_id is not None else None,
            **taken.data,
            "url": url,
        }
    at = taken.occurred_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return orjson.dumps({"id": str(taken.event_id), "type": taken.kind, "timestamp": at, "data": data})


def _send(taken: Taken, url: str, keys: list[str]) -> Outcome:
    """Send it.  In a thread, which has no business with the database."""
    body = write_body(taken)
    signature = sign(body, event_id=str(taken.event_id), timestamp=int(time.time()), keys=keys)
    headers = {"Content-Type": "application/json", "User-Agent": "cmphone-webhooks/1", **signature}
    return post(url, body, headers, networks=settings.WEBHOOK_ALLOWED_NETWORKS)


@transaction.atomic
def record(taken: Taken, outcome: Outcome) -> None:
    """Write down how a try went, and what follows from it for the delivery and for its webhook."""
    now = timezone.now()
    mine = Delivery.objects.filter(pk=taken.id)
    webhook = Webhook.objects.filter(pk=taken.webhook_id)
    facts = {"last_status": outcome.status, "last_failure": outcome.failure}
    if not outcome.failure:
        mine.update(state=State.DELIVERED, next_try_at=None, **facts)
        # Nothing to write, and nobody to wait for, where all is well anyway.
        webhook.filter(failing_since__isnull=False).update(failures=0, failing_since=None, waits_until=None)
        return
    asked = read_retry_after(outcome.retry_after, now=now)
    is_over = taken.tries >= MAX_TRIES or outcome.status == 410
    next_try_at = None if is_over else now + max(delay_after(taken.tries), asked)
    state = State.FAILED if is_over else State.WAITING
    # Unless somebody else took it meanwhile, for whom this try was over.
    mine.filter(tries=taken.tries, state=State.SENDING).update(state=state, next_try_at=next_try_at, **facts)
    webhook.update(failures=F("failures") + 1, failing_since=Coalesce("failing_since", now))
    rest = max(asked, REST) if outcome.failure in _UNREACHABLE else asked
    if rest:
        webhook.update(waits_until=now + rest)
    logger.info("Webhook %s: delivery %s failed (%s).", taken.webhook_id, taken.id, outcome.status or outcome.failure)
    if taken.kind == TEST_KIND:
        return
    is_failing = webhook.filter(failures__gte=PAUSED_AFTER_FAILURES, failing_since__lte=now - PAUSED_AFTER)
    reason = PauseReason.GONE if outcome.status == 410 else PauseReason.FAILING if is_failing.exists() else None
    if reason and webhook.filter(is_active=True).update(is_active=False, pause_reason=reason):
        logger.warning("Webhook %s is paused: %s.", taken.webhook_id, reason.value)
