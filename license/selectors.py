"""Reads seats and sessions.  The clock is the database's; a new time-out counts at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from itertools import islice
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import (
    Case,
    Count,
    DateTimeField,
    DurationField,
    F,
    IntegerField,
    Q,
    QuerySet,
    Sum,
    When,
)
from django.db.models.expressions import RawSQL

from cmphone.prepared import prepared_cursor
from cmphone.properties.registry import (
    DEFINITIONS,
    REST_SESSION_TIMEOUT,
    SESSION_ARCHIVE,
    SESSION_TAKEOVER,
    SESSION_TIMEOUT,
    TRUE,
)
from license.files import COUNTED_SECTIONS, NAMED_POOL, REST_POOL
from license.keys import is_accepted
from license.models import TOUCH_AFTER_AT_MOST, EndReason, HourlyUsage, LicenseFile, Pool, Session
from license.tokens import hash_token

M = TypeVar("M", bound=models.Model)


def _property_sql(name: str) -> str:
    default = DEFINITIONS[name].default
    return f"coalesce((select value from properties_systemproperty where name = '{name}'), '{default}')"  # noqa: S608


# Read inside the statement that applies it: alone it would cost every call of a client a second statement.
TIMEOUT_SQL = (
    f"coalesce(nullif({_property_sql(REST_SESSION_TIMEOUT)}, ''), {_property_sql(SESSION_TIMEOUT)})::integer "
    "* interval '1 second'"
)
TAKEOVER_SQL = f"{_property_sql(SESSION_TAKEOVER)} = '{TRUE}'"
ARCHIVE_SQL = f"{_property_sql(SESSION_ARCHIVE)}::integer * interval '1 day'"
# What a client that logs in or shows that it lives is told along with it.
_VERSION_SQL = "coalesce((select {} from properties_configurationversion where id = 1), 0)::text"
CONFIG_VERSION_SQL, TEMPLATES_VERSION_SQL = map(_VERSION_SQL.format, ("number", "templates_number"))
# Not now(): that is when the transaction began, and it may have waited for a lock since.
NOW_SQL = "statement_timestamp()"
LIVE_SINCE_SQL = f"{NOW_SQL} - {TIMEOUT_SQL}"

NOW = RawSQL(NOW_SQL, (), output_field=DateTimeField())  # noqa: S611
TIMEOUT = RawSQL(TIMEOUT_SQL, (), output_field=DurationField())  # noqa: S611
LIVE_SINCE = RawSQL(LIVE_SINCE_SQL, (), output_field=DateTimeField())  # noqa: S611
IS_LIVE = Q(ended_at=None, last_seen_at__gt=LIVE_SINCE)
# Also where the row does not say so yet.
IS_TIMED_OUT = Q(end_reason=EndReason.TIMED_OUT) | Q(ended_at=None, last_seen_at__lte=LIVE_SINCE)
ARCHIVED_UNTIL = RawSQL(f"{NOW_SQL} - {ARCHIVE_SQL}", (), output_field=DateTimeField())  # noqa: S611


@dataclass(frozen=True)
class PoolState:
    """A pool of the licence in force.  `days_left` is 0 on the last day, and negative after it."""

    name: str
    licensed: int
    in_use: int
    expires_on: date
    days_left: int

    @property
    def is_counted(self) -> bool:
        """Say whether its use is counted here: `in_use` of another pool says nothing."""
        return self.name in COUNTED_SECTIONS

    @property
    def free(self) -> int:
        return max(0, self.licensed - self.in_use)


def list_pool_states() -> list[PoolState]:
    """Return every pool of the licence in force, by name."""
    return list(_read_states(list_pools()))


def find_pool_state(name: str = REST_POOL) -> PoolState | None:
    """Return the pool, or None when the licence in force has none of this name."""
    return next(_read_states(list_pools().filter(name=name)), None)


def find_last_file() -> LicenseFile | None:
    """Return the licence file that was imported last."""
    # By id, not by time: the clock may have been set back.
    return LicenseFile.objects.order_by("id").last()


def list_pools() -> QuerySet[Pool]:
    """Return every pool there is, also one that does not count here, with `in_use` and the time `read_at`.

    In use are the seats of living sessions; of NAMED_USERS, the users who are active.
    """
    live = Count("sessions", filter=Q(sessions__ended_at=None, sessions__last_seen_at__gt=LIVE_SINCE))
    users = get_user_model()._meta.db_table
    active = RawSQL(f"(select count(*) from {users} where is_active)", (), output_field=IntegerField())  # noqa: S608, S611
    return (
        Pool.objects.select_related("license_file")
        # The model declares these names for whoever reads them.
        .annotate(  # type: ignore[no-redef]
            in_use=Case(When(name=NAMED_POOL, then=active), default=live), read_at=NOW
        )
        .order_by("name")
    )


def _read_states(pools: QuerySet[Pool]) -> Iterator[PoolState]:
    for pool in pools:
        if not is_accepted(pool.license_file.public_key):
            continue
        yield PoolState(
            name=pool.name,
            licensed=pool.licensed,
            in_use=pool.in_use,
            expires_on=pool.expires_on,
            days_left=(pool.expires_on - site_day(pool.read_at)).days,
        )


def site_day(moment: datetime) -> date:
    """Return the day that it is at this moment where the site is."""
    return moment.astimezone(ZoneInfo(settings.TIME_ZONE)).date()


def find_session(token: str) -> Session | None:
    """Return the session whose token this is, ended or not, with its user, `read_at`, `timeout` and the versions."""
    with prepared_cursor() as cursor:
        cursor.execute(_find_session_sql(), [hash_token(token)])
        row = cursor.fetchone()
    if row is None:
        return None
    values = iter(row)
    session, user = _take(Session, values), _take(get_user_model(), values)
    session.user = user
    session.read_at, session.timeout, session.config_version, session.templates_version = values
    return session


@cache
def _find_session_sql() -> str:
    # Every call of a client runs it, and Django would build it anew each time, for longer than all else takes.
    users = get_user_model()
    columns = (f"{model._meta.db_table}.{field.column}" for model in (Session, users) for field in _fields(model))
    return (
        f"select {', '.join(columns)}, {NOW_SQL}, {TIMEOUT_SQL}, {CONFIG_VERSION_SQL}, {TEMPLATES_VERSION_SQL} "  # noqa: S608
        f"from license_session join {users._meta.db_table} on {users._meta.db_table}.id = user_id "
        "where token_hash = $1"
    )


@dataclass(frozen=True, slots=True)
class LiveSession:
    """What a client is let in with that only asks for what everybody gets."""

    templates_version: str
    is_touch_due: bool


def find_live_session(token: str) -> LiveSession | None:
    """Return the session whose token this is, while it lives and its user is active.  Takes half of find_session."""
    with prepared_cursor() as cursor:
        cursor.execute(_find_live_session_sql(), [hash_token(token)])
        row = cursor.fetchone()
    return row and LiveSession(*row)


@cache
def _find_live_session_sql() -> str:
    users = get_user_model()._meta.db_table
    # The rules are those of Session: is_timed_out and is_touch_due.
    touch_after = f"least(timeout / 4, interval '{TOUCH_AFTER_AT_MOST.total_seconds()} seconds')"
    return (
        f"select {TEMPLATES_VERSION_SQL}, last_seen_at > {NOW_SQL} or last_seen_at <= {NOW_SQL} - {touch_after} "  # noqa: S608
        f"from license_session join {users} on {users}.id = user_id "
        f"cross join (select {TIMEOUT_SQL} as timeout offset 0) as timeouts "
        f"where token_hash = $1 and ended_at is null and is_active and last_seen_at > {NOW_SQL} - timeout"
    )


def _take(model: type[M], values: Iterator[object]) -> M:
    """Return the row of a model, whose columns are the next of the values."""
    fields = _fields(model)
    return model.from_db(DEFAULT_DB_ALIAS, [field.attname for field in fields], list(islice(values, len(fields))))


def _fields(model: type[models.Model]) -> "Sequence[models.Field[Any, Any]]":
    return model._meta.concrete_fields


def list_sessions() -> QuerySet[Session]:
    """Return every session, ended or not, with its user, `read_at` and `timeout`."""
    # The model declares these names for whoever reads them.
    return Session.objects.select_related("user").annotate(  # type: ignore[no-redef]
        read_at=NOW, timeout=TIMEOUT
    )


def list_own_sessions(user: AbstractUser) -> QuerySet[Session]:
    """Return the sessions of this user: those that have not ended first, then those that ended last."""
    return list_sessions().filter(user_id=user.pk).order_by(F("ended_at").desc(nulls_first=True), "-started_at", "-id")


@dataclass(frozen=True)
class UseSums:
    """What happened to the seats of a pool since the first look at it."""

    claims: int
    refused: int


def sum_use() -> dict[str, UseSums]:
    """Return, by the name of the pool, what all hours together have seen."""
    sums = HourlyUsage.objects.order_by().values_list("pool_name").annotate(Sum("claims"), Sum("refused"))
    return {name: UseSums(claims, refused) for name, claims, refused in sums}
