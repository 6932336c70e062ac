"""The sections of the health report: each looks at one thing that the service needs, and says how it is."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import redis
from django.db import Error, connection
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from cmphone.contacts.models import Rebuild
from cmphone.contacts.rebuilding import find_progress
from cmphone.monitoring import worker
from cmphone.monitoring.running import Outcome, run_together
from license.selectors import PoolState, list_pool_states
from license.warnings import Severity, list_warnings

logger = logging.getLogger(__name__)

LICENSE = "cmas-core-server-licence"
DATABASE = "database"
REDIS = "redis"

# A job leaves its sign every 15 seconds.
SIGN_TOO_OLD_SECONDS = 60
WARN_OF_WAITING_JOBS = 100
TOO_MANY_WAITING_JOBS = 1000
NOTHING_MOVED_SECONDS = 600


class Status(StrEnum):
    """From best to worst."""

    SUCCESS = "SUCCESS"
    WARNING = "WARNING"
    ERROR = "ERROR"


@dataclass(frozen=True)
class Finding:
    """How something is.  `describe` says it in the language that is active when it is asked.

    `figure` is what the section measures, in the unit of its metric (metrics.py).
    """

    status: Status
    describe: Callable[[], str]
    figure: float | None = None
    pools: Sequence[PoolState] | None = None


@dataclass(frozen=True)
class Section:
    """A finding, and how long the look took; of one that hangs, how long it has taken so far."""

    finding: Finding
    seconds: float


@dataclass(frozen=True)
class Report:
    """Every section by its name."""

    sections: Mapping[str, Section]

    @property
    def status(self) -> Status:
        """The worst of the sections."""
        return max((section.finding.status for section in self.sections.values()), key=list(Status).index)

    def is_up(self, name: str) -> bool:
        return self.sections[name].finding.status is not Status.ERROR


def check_health() -> Report:
    """Look at everything at the same time.  What does not answer within the limit is an ERROR."""
    outcomes = run_together(list(CHECKS.values()))
    return Report({name: _read(name, outcome) for name, outcome in zip(CHECKS, outcomes, strict=True)})


def _read(name: str, outcome: Outcome[Finding]) -> Section:
    match outcome.error:
        case None if outcome.value is not None:
            return Section(outcome.value, outcome.seconds)
        case TimeoutError():
            logger.warning("Health: %s does not answer in time.", name)
            finding = Finding(Status.ERROR, lambda: _("No answer within the time limit."))
        # Not the errors' own texts: they may name hosts.
        case Error() as error:
            logger.warning("Health: %s cannot be looked at (%s).", name, type(error).__name__)
            finding = Finding(Status.ERROR, lambda: _("The database does not answer."))
        case redis.RedisError() as error:
            logger.warning("Health: %s cannot be looked at (%s).", name, type(error).__name__)
            finding = Finding(Status.ERROR, lambda: _("Redis does not answer."))
        case error:
            logger.error("Health: the look at %s failed.", name, exc_info=error)
            finding = Finding(Status.ERROR, lambda: _("This could not be looked at; the log says why."))
    return Section(finding, outcome.seconds)


def check_license() -> Finding:
    """See whether there is a licence, for how long, and whether seats are free."""
    pools = list_pool_states()
    warnings = list_warnings(pools)
    if not warnings:
        return Finding(Status.SUCCESS, lambda: _("The licence is valid, and seats are free."), pools=pools)
    is_error = any(warning.severity is Severity.ERROR for warning in warnings)
    return Finding(
        Status.ERROR if is_error else Status.WARNING,
        lambda: " ".join(warning.text for warning in warnings),
        pools=pools,
    )


def find_days_until_next_expiry(pools: Sequence[PoolState]) -> int | None:
    """Return the days left of the counted pool that ends first; None without any."""
    return min((pool.days_left for pool in pools if pool.is_counted), default=None)


def check_database() -> Finding:
    """See whether the database answers, and has our tables."""
    with connection.cursor() as cursor:
        cursor.execute("select to_regclass('properties_configurationversion'), to_regclass('license_session')")
        if all(cursor.fetchone()):
            return Finding(Status.SUCCESS, lambda: _("The database answers."))
    return Finding(Status.ERROR, lambda: _("The database has no tables yet: run manage.py migrate."))


def check_redis() -> Finding:
    """See whether Redis answers."""
    with worker.connect() as client:
        client.ping()
    return Finding(Status.SUCCESS, lambda: _("Redis answers."))


def check_worker() -> Finding:
    """See whether jobs run: the clock, the queue and the worker are all needed for one to leave its sign."""
    age = worker.find_sign_age()
    if age is None:
        return Finding(Status.ERROR, lambda: _("No job has ever run: start the worker with its clock (celery … -B)."))
    values = {"seconds": round(age)}
    if age <= SIGN_TOO_OLD_SECONDS:
        return Finding(Status.SUCCESS, lambda: _("Jobs run; the last one %(seconds)d s ago.") % values, age)
    just_now = timezone.now() - timedelta(seconds=SIGN_TOO_OLD_SECONDS)
    if Rebuild.objects.filter(finished_at=None, updated_at__gt=just_now).exists():
        # Several large customer groups at once keep every thread of a small worker busy.
        return Finding(
            Status.WARNING, lambda: _("The worker builds customer groups anew; other jobs wait for it."), age
        )
    return Finding(
        Status.ERROR, lambda: _("No job has run for %(seconds)d s: see whether the worker runs.") % values, age
    )


def check_queue() -> Finding:
    """See whether jobs pile up."""
    count = worker.count_waiting_jobs()
    status = Status.SUCCESS
    if count >= WARN_OF_WAITING_JOBS:
        status = Status.ERROR if count >= TOO_MANY_WAITING_JOBS else Status.WARNING
    return Finding(
        status, lambda: ngettext("%(count)d job waits.", "%(count)d jobs wait.", count) % {"count": count}, count
    )


def check_index() -> Finding:
    """See whether every customer group is built from the settings in force, and whether what is not moves."""
    progress = find_progress()
    still_seconds = _measure_standstill(is_stale=bool(progress))
    if not progress:
        return Finding(Status.SUCCESS, lambda: _("Numbers and names are up to date."), 0)
    rows = [each.row for of_group in progress.values() for each in of_group]
    values = {"count": len(progress), "percent": sum(row.percent for row in rows if row is not None) // len(rows)}
    if still_seconds >= NOTHING_MOVED_SECONDS:
        return Finding(
            Status.ERROR,
            lambda: (
                ngettext(
                    "%(count)d customer group waits to be built anew, and nothing moves: see whether the worker runs.",
                    "%(count)d customer groups wait to be built anew, and nothing moves: see whether the worker runs.",
                    values["count"],
                )
                % values
            ),
            len(progress),
        )
    return Finding(
        Status.WARNING,
        lambda: (
            ngettext(
                "%(count)d customer group is being built anew: %(percent)d %% done.",
                "%(count)d customer groups are being built anew: %(percent)d %% done.",
                values["count"],
            )
            % values
        ),
        len(progress),
    )


def _measure_standstill(*, is_stale: bool) -> float:
    """Return for how many seconds this process has seen stale customer groups while no batch was built."""
    global _stale_since
    if not is_stale:
        _stale_since = None
        return 0.0
    # Nothing says since when a group has been stale, only whether it is: what counts is the first look that saw it.
    _stale_since = _stale_since or timezone.now()
    moved_at = Rebuild.objects.aggregate(at=Max("updated_at"))["at"] or _stale_since
    return (timezone.now() - max(_stale_since, moved_at)).total_seconds()


_stale_since: datetime | None = None

CHECKS: Mapping[str, Callable[[], Finding]] = {
    LICENSE: check_license,
    DATABASE: check_database,
    REDIS: check_redis,
    "worker": check_worker,
    "queue": check_queue,
    "index": check_index,
}
