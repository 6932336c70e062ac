"""Events of calls, for whoever keeps a stream of them open: numbered for each user, and told through Redis.

The table is the truth, and Redis only says that there is something new in it.  An event is written in the transaction
that changes the call, to the reporter and the users of the line who are active.
"""

import json
import logging
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

import redis
from django.conf import settings
from django.db import connection, transaction
from redis.backoff import NoBackoff
from redis.retry import Retry

from cmphone.calls.models import Call, CallEvent, CallFeed, EventKind
from cmphone.prepared import prepared_cursor

logger = logging.getLogger(__name__)

# What is published here is a JSON object: the number of the last event of every user who has a new one, by his id.
CHANNEL = "cmphone:calls"
# Of a call that rings somebody waits for the answer.
REDIS_SECONDS = 0.2

# Whoever has a feed's row waits for nobody before him in this order, so that no two transactions wait for each other.
_ADD = """
with told as (
    insert into calls_callfeed as feed (user_id, number)
    select u.id, 1
    from contacts_user u
    where u.is_active
      and (u.id = $1
           or u.id in (select member.user_id
                       from calls_line line
                       join calls_line_users member on member.line_id = line.id
                       where line.name = $2))
    order by u.id
    on conflict (user_id) do update set number = feed.number + 1
    returning user_id, number
)
insert into calls_callevent (user_id, number, call_id, kind, at)
select user_id, number, $3, $4, statement_timestamp() from told
returning user_id, number
"""


def add_event(call: Call, kind: EventKind) -> None:
    """Write the event for everybody whom the call concerns, and publish it when the transaction is committed.

    One statement.  The rows of the feeds are locked until then: the order of numbers is that of commits.
    """
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("An event is written in the transaction that changes the call.")
    line = call.line if call.direction == "incoming" else ""
    with prepared_cursor() as cursor:
        cursor.execute(_ADD, [call.reporter_id, line, call.pk, kind.value])
        numbers = dict(cursor.fetchall())
    if numbers:
        transaction.on_commit(partial(_publish, numbers), robust=True)


def take_back_missed(call: Call) -> None:
    """Remove the events that say that the call was missed: who has not read them yet shall not."""
    CallEvent.objects.filter(call=call, kind=EventKind.MISSED).delete()


def list_events(user_id: int, after: int, limit: int = 100) -> list[dict[str, Any]]:
    """Return the user's events with a number above `after`, in their order: `number`, `kind`, `at`, `call_id`.

    One statement.  Numbers may be missing: of events that were taken back, and of calls that are kept no longer.
    """
    events = CallEvent.objects.filter(user_id=user_id, number__gt=after).order_by("number")
    return [
        {"number": number, "kind": kind, "at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "call_id": call_id}
        for number, kind, at, call_id in events.values_list("number", "kind", "at", "call__call_id")[:limit]
    ]


def last_number(user_id: int) -> int:
    """Return the number of the user's last event, 0 before the first.  One statement."""
    return CallFeed.objects.filter(user_id=user_id).values_list("number", flat=True).first() or 0


def _publish(numbers: Mapping[int, int]) -> None:
    try:
        _connect(str(settings.REDIS_URL)).publish(CHANNEL, json.dumps({str(id): n for id, n in numbers.items()}))
    except redis.RedisError as error:
        logger.warning("Redis is away, and nobody was told of an event: %s.", type(error).__name__)


@lru_cache(maxsize=1)
def _connect(url: str) -> "redis.Redis":
    return redis.Redis.from_url(
        url, socket_connect_timeout=REDIS_SECONDS, socket_timeout=REDIS_SECONDS, retry=Retry(NoBackoff(), 0)
    )
