"""What Redis tells of background jobs: the sign that the last one left, and how many wait.

All times are Redis's own: the clocks of web server and worker may differ.
"""

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from cmphone.celery import app

SIGN_KEY = "cmphone:worker-sign"
# A thread that hangs ends by itself soon after nobody waits for it any more.
SOCKET_SECONDS = 3.0


def connect() -> "redis.Redis":
    """Return a client for one look, to be used as a context: no attempt is repeated, and none waits for long."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_connect_timeout=SOCKET_SECONDS,
        socket_timeout=SOCKET_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def write_sign() -> None:
    """Leave the sign that a job runs at this moment."""
    with connect() as client:
        client.set(SIGN_KEY, _read_clock(client))


def find_sign_age() -> float | None:
    """Return for how many seconds no job has left its sign; None: none ever did."""
    with connect() as client:
        written_at = client.get(SIGN_KEY)
        return None if written_at is None else max(0.0, _read_clock(client) - float(written_at))


def count_waiting_jobs() -> int:
    """Return how many jobs wait for a worker; those that a worker has taken are not among them."""
    with connect() as client:
        return int(client.llen(app.conf.task_default_queue))


def _read_clock(client: "redis.Redis") -> float:
    seconds, microseconds = client.time()
    return float(seconds) + float(microseconds) / 1_000_000
