"""Hears by Redis that there is something new.  Whatever gets lost here costs time, and never an event."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

import orjson
from django.conf import settings
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from cmphone.calls.events import CHANNEL

logger = logging.getLogger(__name__)

PING_SECONDS = 10
TRY_AGAIN_SECONDS = 1


class Listener(Protocol):
    """Who wants to hear of it."""

    is_listening: bool

    def wake(self, numbers: Mapping[int, int]) -> None:
        """Hear up to which number there is something for each of these users."""

    def wake_everybody(self) -> None:
        """Hear that there may be something for anybody."""


async def listen(listener: Listener) -> None:
    """Tell the listener what comes, for ever; whenever Redis is back, that it may have missed something."""
    while True:
        try:
            # It does not try again by itself: what got lost meanwhile would go unnoticed.
            async with (
                Redis.from_url(settings.REDIS_URL, retry=Retry(NoBackoff(), 0)) as redis,
                redis.pubsub() as heard,
            ):
                await heard.subscribe(CHANNEL)
                await _listen(heard, listener)
        except (RedisError, OSError) as error:
            if listener.is_listening:
                logger.warning("Redis is away (%s): events come late until it is back.", type(error).__name__)
        finally:
            listener.is_listening = False
        await asyncio.sleep(TRY_AGAIN_SECONDS)


async def _listen(heard: PubSub, listener: Listener) -> None:
    is_answer_due = False
    while True:
        message = await heard.get_message(timeout=PING_SECONDS)
        if message is None:
            # A host that is gone without a word says nothing for ever.
            if is_answer_due:
                raise TimeoutError
            await heard.ping()
            is_answer_due = True
            continue
        is_answer_due = False
        if message["type"] == "subscribe":
            # Only now: what is published from here on is heard.
            listener.is_listening = True
            listener.wake_everybody()
        elif message["type"] == "message":
            if (numbers := read_numbers(message["data"])) is None:
                listener.wake_everybody()
            else:
                listener.wake(numbers)


def read_numbers(text: bytes) -> dict[int, int] | None:
    """Return the last number of each user as it was published: `{"7": 17}`.  None: it is something else."""
    try:
        return {int(user_id): int(number) for user_id, number in orjson.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        return None
