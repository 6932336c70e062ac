"""Announces events to webhooks, and makes and changes these.

An announcement is a row in the transaction of what it tells of: what is rolled back is never told, and what is
committed is told at least once, whatever is killed in between.  How it is sent belongs to delivering.py.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import orjson
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext

from cmphone.celery import hasten
from cmphone.properties.registry import WEBHOOK_LOG
from cmphone.properties.selectors import load_properties
from cmphone.webhooks.models import TEST_KIND, Delivery, EventKind, PauseReason, State, Webhook
from cmphone.webhooks.signing import make_secret
from cmphone.webhooks.targets import read_target

SEND_TASK = "cmphone.webhooks.tasks.send_deliveries"


@dataclass(frozen=True, slots=True)
class Event:
    """That something happened to a contact, case or call.  `subject_id` is what the REST API has it by.

    `data` is told along; no names and no numbers of people: webhooks ask for those, with rights of their own.
    Without a customer group only webhooks for all groups are told.
    """

    kind: EventKind
    subject_id: str
    customer_group_id: int | None
    data: Mapping[str, object] = field(default_factory=dict)


_ANNOUNCE = """
insert into webhooks_delivery (event_id, webhook_id, kind, occurred_at, subject_id, customer_group_id,
                               customer_group_name, data, state, tries, next_try_at, last_failure)
select e.event_id, w.id, e.kind, statement_timestamp(), e.subject_id, e.customer_group_id, coalesce(g.name, ''),
       e.data, 'waiting', 0, statement_timestamp(), ''
from (
    -- Before the join: an event has one id for every webhook.
    select gen_random_uuid() as event_id, given.*
    from rows from (json_to_recordset(%s::json) as (kind text, subject_id text, customer_group_id bigint, data jsonb))
         with ordinality as given (kind, subject_id, customer_group_id, data, place)
    offset 0
) e
join webhooks_webhook w on w.is_active and e.kind = any (w.events) and (
    w.is_for_all_groups
    or exists (
        select from webhooks_webhook_customer_groups m
        where m.webhook_id = w.id and m.customergroup_id = e.customer_group_id
    )
)
left join contacts_customergroup g on g.id = e.customer_group_id
order by e.place
"""


def announce(events: Sequence[Event]) -> None:
    """Have the events told to every active webhook that wants them, if the transaction is committed.

    One statement, whatever the number of events and webhooks.
    """
    if not events:
        return
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("Events are announced in the transaction that they tell of.")
    with connection.cursor() as cursor:
        cursor.execute(_ANNOUNCE, [orjson.dumps(events).decode()])
        has_any = cursor.rowcount > 0
    if has_any:
        hasten(SEND_TASK)


def find_url_error(url: str) -> str | None:
    """Return what is wrong with the form of an address, or None.  Where it leads is seen when it is used."""
    try:
        read_target(url)
    except ValueError:
        return gettext(
            "Enter an address that begins with https:// or http:// and the name of a server: at most 500 characters, "
            "without a user, a password, spaces or a part behind #, and everything but plain ASCII percent-encoded."
        )
    return None


@transaction.atomic
def save_webhook(webhook: Webhook, *, customer_groups: Collection[int] | None) -> Webhook:
    """Make or change a webhook, for these customer groups or, with None, for all.  A new one without a secret gets one.

    One that was paused and is active now begins anew, without failures.  Raises ValidationError.
    """
    if message := find_url_error(webhook.url):
        raise ValidationError({"url": message})
    now = timezone.now()
    webhook.is_for_all_groups = customer_groups is None
    # Not what is counted or changed meanwhile.
    fields = ["name", "url", "events", "is_active", "is_for_all_groups"]
    if webhook.is_active and webhook.pause_reason:
        webhook.pause_reason = PauseReason.NONE
        webhook.failures, webhook.failing_since, webhook.waits_until = 0, None, None
        fields += ["pause_reason", "failures", "failing_since", "waits_until"]
    if webhook._state.adding:
        webhook.secret = webhook.secret or make_secret()
        webhook.secret_changed_at, webhook.created_at = now, now
        webhook.save()
    else:
        webhook.save(update_fields=fields)
    webhook.customer_groups.set(customer_groups or [])
    hasten(SEND_TASK)
    return webhook


@transaction.atomic
def change_secret(webhook: Webhook, *, secret: str | None = None) -> str:
    """Give the webhook this secret, or with None a new one, and return it.

    The one before signs along for a while (models.py).
    """
    locked = Webhook.objects.select_for_update().get(pk=webhook.pk)
    locked.previous_secret = locked.secret
    locked.secret, locked.secret_changed_at = secret or make_secret(), timezone.now()
    locked.save(update_fields=["secret", "previous_secret", "secret_changed_at"])
    return locked.secret


@transaction.atomic
def send_test(webhook: Webhook) -> Delivery:
    """Have a test event sent to the webhook, active or not, at once."""
    now = timezone.now()
    Webhook.objects.filter(pk=webhook.pk).update(waits_until=None)
    delivery = Delivery.objects.create(webhook=webhook, kind=TEST_KIND, occurred_at=now, next_try_at=now)
    hasten(SEND_TASK)
    return delivery


@transaction.atomic
def send_again(deliveries: Sequence[int]) -> int:
    """Have deliveries sent anew, with all their tries before them; return how many.  Those under way are left alone."""
    count = Delivery.objects.filter(~Q(state=State.SENDING), pk__in=deliveries).update(
        state=State.WAITING, tries=0, next_try_at=timezone.now()
    )
    hasten(SEND_TASK)
    return count


def remove_old_deliveries() -> int:
    """Remove deliveries of events older than the log is kept, sent or not; return how many.  Safe to repeat."""
    kept = timedelta(days=int(load_properties()[WEBHOOK_LOG]))
    return Delivery.objects.filter(occurred_at__lt=timezone.now() - kept).delete()[0]


def forget(kinds: Collection[EventKind], subject_ids: Collection[str]) -> None:
    """Remove what was told of these subjects, or has yet to be: what is told along may name who is erased."""
    Delivery.objects.filter(kind__in=kinds, subject_id__in=subject_ids).delete()
