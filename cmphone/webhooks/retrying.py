"""When a delivery that failed is tried again.  Pure."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# The last try comes about a day after the first.
MAX_TRIES = 10
# In seconds.
_FIRST_DELAY = 15.0
_LONGEST_DELAY = 6 * 3_600.0
LONGEST_RETRY_AFTER = timedelta(days=1)


def delay_after(tries: int, *, jitter: float | None = None) -> timedelta:
    """Return how long to wait after so many tries: four times as long after each, up to six hours.

    `jitter`, from 0 to 1, moves it by a fifth at most, so that what failed together does not come again together.
    """
    jitter = random.random() if jitter is None else jitter  # noqa: S311 (no secret)
    seconds = min(_FIRST_DELAY * 4.0 ** min(tries - 1, 10), _LONGEST_DELAY)
    return timedelta(seconds=seconds * (0.8 + 0.4 * jitter))


def read_retry_after(header: str, *, now: datetime) -> timedelta:
    """Return how long the header Retry-After asks to wait, a day at most; nothing where it cannot be read."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return timedelta(0)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(timedelta(0), min(at - now, LONGEST_RETRY_AFTER))
