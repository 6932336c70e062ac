"""Counts look-ups and the time they take, over all web processes together.

Each process counts in files of its own in METRICS_DIR, which cost a look-up some microseconds and survive the
process; who is asked for the metrics adds them up (metrics.py).
"""

import functools
import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.conf import settings
from prometheus_client import Counter, Histogram

logger = logging.getLogger(__name__)

MATCHES = ("exact", "company", "tail", "none", "withheld")
BUCKETS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


@dataclass(frozen=True)
class _Instruments:
    by_match: Mapping[str, Counter]
    seconds: Histogram


_lock = threading.Lock()


def begin_counting() -> bool:
    """Let counters that nobody has used yet show zero, and say whether anything can be counted."""
    return _get_instruments() is not None


def count_look_up(match: str, *, seconds: float) -> None:
    """Count a look-up and the time it took."""
    if (instruments := _get_instruments()) is not None:
        instruments.by_match[match].inc()
        instruments.seconds.observe(seconds)


def count_batch(matches: Iterable[str]) -> None:
    """Count look-ups that were made together: the time of each is not known."""
    if (instruments := _get_instruments()) is not None:
        for match in matches:
            instruments.by_match[match].inc()


def _get_instruments() -> _Instruments | None:
    # Twice made, each would forget what the other counted.
    with _lock:
        return _make_instruments()


@functools.cache
def _make_instruments() -> _Instruments | None:
    """Return what counts; None where it cannot, which is no reason not to answer a call.

    Not made when this is imported: commands that look nobody up leave no files.
    """
    try:
        settings.METRICS_DIR.mkdir(parents=True, exist_ok=True)
        counter = Counter("cmphone_lookups", "Numbers looked up, by what was found.", ["match"], registry=None)
        by_match = {match: counter.labels(match) for match in MATCHES}
        seconds = Histogram(
            "cmphone_lookup_seconds",
            "Time within the web process for one look-up; those of a batch are not in it.",
            registry=None,
            buckets=BUCKETS,
        )
    except OSError as error:
        logger.error("Look-ups are not counted: CMPHONE_METRICS_DIR cannot be used (%s).", error)  # noqa: TRY400
        return None
    return _Instruments(by_match, seconds)
