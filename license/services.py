"""Gives seats to clients and takes them back.

Seats are counted under the lock of their pool's row, by the clock of the database.  A session whose time is
over holds no seat, whether or not its row says so already.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext

from cmphone.problems import NotAuthenticated, NotFound
from license.files import PRODUCT, REST_POOL, has_expired
from license.keys import is_accepted
from license.models import TOUCH_AFTER_AT_MOST, EndReason, ReplacedToken, Session
from license.problems import LicenseExpired, LicenseMissing, NoFreeLicense
from license.selectors import (
    ARCHIVE_SQL,
    ARCHIVED_UNTIL,
    CONFIG_VERSION_SQL,
    LIVE_SINCE,
    LIVE_SINCE_SQL,
    NOW,
    NOW_SQL,
    TAKEOVER_SQL,
    TEMPLATES_VERSION_SQL,
    TIMEOUT_SQL,
    find_session,
    list_sessions,
    site_day,
)
from license.tokens import hash_token, make_token
from license.waiting import explain_long_wait, limit_wait

_TIMED_OUT = f"ended_at = last_seen_at + {TIMEOUT_SQL}, end_reason = '{EndReason.TIMED_OUT.value}'"
# Signs of life in the future: the clock of the database was set back.  Left so, a client that crashed before would
# keep its seat until the clock is there again, and not for a time-out.
_PUT_CLOCK_RIGHT = f"""
    update license_session set last_seen_at = {NOW_SQL}
    where id in (
        select id from license_session where ended_at is null and last_seen_at > {NOW_SQL} for update skip locked
    )
"""  # noqa: S608 (constants only)
# Adds to the use of the hour; `rows` are (pool, time, licensed, in use, claims, refused).
_RECORD_USE = """
    insert into license_hourlyusage as u (pool_name, hour, licensed, peak, claims, refused)
    select pool, date_trunc('hour', at, 'UTC'), licensed, in_use, claims, refused
    from ({rows}) as now (pool, at, licensed, in_use, claims, refused)
    on conflict (pool_name, hour) do update
    set licensed = excluded.licensed, peak = greatest(u.peak, excluded.peak),
        claims = u.claims + excluded.claims, refused = u.refused + excluded.refused
"""


@dataclass(frozen=True)
class Claim:
    """A seat that was given.  `token` is told only here; `in_use` counts this seat."""

    session: Session
    token: str = field(repr=False)
    is_new: bool
    licensed: int
    in_use: int


def claim_seat(
    *,
    user: AbstractUser,
    client_id: str,
    client_version: str = "",
    workstation: str = "",
    line: str = "",
    address: str | None = None,
) -> Claim:
    """Give this client of this user a seat, or renew the one it holds.  Safe to repeat: it is also the login.

    Renewing takes no second seat and needs no free one; the token before is dead.  A client that crashed has
    its own seat back at once.  Where the property server.session.takeover allows it, a client that finds every
    seat taken gets the one of its own user's longest idle session.

    Raises NoFreeLicense when every seat is held by another client, LicenseMissing, LicenseExpired, and
    Unavailable when others held the pool for too long.
    """
    outcome = _claim_seat(
        user,
        client_id,
        {"client_version": client_version, "workstation": workstation, "line": line, "address": address},
    )
    if isinstance(outcome, NoFreeLicense):
        # Only now: nobody waits for it.
        _count_refusal(licensed=outcome.licensed, in_use=outcome.in_use)
        raise outcome
    return outcome


def _claim_seat(user: AbstractUser, client_id: str, client: dict[str, object]) -> Claim | NoFreeLicense:
    token = make_token()
    client["token_hash"] = hash_token(token)
    with transaction.atomic(), explain_long_wait():
        _lock_pool()
        count = _count_seats(user=user, client_id=client_id)
        if count is None or not is_accepted(count.public_key):
            raise LicenseMissing(gettext("Ask your administrator to import a licence for %s.") % PRODUCT)
        if has_expired(count.expires_on, today=site_day(count.read_at)):
            raise LicenseExpired(
                gettext("It was valid until %s. Ask your administrator to import a new one.")
                % f"{count.expires_on:%d.%m.%Y}"
            )
        in_use = count.in_use
        session = None
        if count.own_session_id is not None:
            session = _renew_seat(count.own_session_id, client)
            if session is None:
                # It was ended after the count.
                in_use -= 1
        is_new = session is None
        if session is None:
            taken_over_id = None
            if in_use >= count.licensed:
                # Above what is licensed, after a smaller licence came into force, nobody new comes in.
                if count.idle_session_id is None or in_use > count.licensed:
                    # Not raised: the signs of life that the count put right stay so.
                    return NoFreeLicense(
                        licensed=count.licensed,
                        in_use=in_use,
                        retry_after=count.seconds_until_a_seat_can_time_out,
                    )
                taken_over_id = count.idle_session_id
                in_use -= 1
            in_use += 1
            session = _give_seat(count, user, {"client_id": client_id, **client}, in_use, taken_over_id)
        session.read_at, session.timeout = count.read_at, count.timeout
        session.config_version, session.templates_version = count.config_version, count.templates_version
    return Claim(session=session, token=token, is_new=is_new, licensed=count.licensed, in_use=in_use)


def authenticate(token: str) -> Session:
    """Return the live session whose token this is, with its user, and count the call as a sign of life.

    One statement, and now and then a second that writes the sign of life.  Raises NotAuthenticated, with the
    member `reason` where the session ended otherwise than by logging out.
    """
    session = find_session(token)
    if session is None or session.ended_at is not None or session.is_timed_out or not session.user.is_active:
        raise _explain_dead_token(hash_token(token))
    renew_session(session)
    return session


def renew_session(session: Session) -> None:
    """Count a sign of life of a session just read.  It is written only when that is due.  Safe to repeat.

    Raises NotAuthenticated when the session has ended meanwhile.
    """
    if not session.is_touch_due:
        return
    # The conditions again: a claim may just have given the seat away, or an administrator taken it.
    alive = Session.objects.filter(
        id=session.id, token_hash=session.token_hash, ended_at=None, last_seen_at__gt=LIVE_SINCE
    )
    # As of now: a process that was held up since it read must not take back a later sign of life.
    if not alive.update(last_seen_at=NOW):
        raise _explain_dead_token(session.token_hash)
    session.last_seen_at = session.read_at


def renew_sessions(token_hashes: Collection[bytes]) -> set[bytes]:
    """Return which of these tokens are of living sessions, and count a sign of life of each.  Safe to repeat.

    One statement for all, which writes the signs of life that are due.
    """
    if not token_hashes:
        return set()
    # The rules are those of Session: is_timed_out and is_touch_due.
    is_touch_due = (
        f"(last_seen_at > {NOW_SQL} or last_seen_at <= {NOW_SQL} - "
        f"least({TIMEOUT_SQL} / 4, interval '{TOUCH_AFTER_AT_MOST.total_seconds()} seconds'))"
    )
    is_alive = f"ended_at is null and last_seen_at > {LIVE_SINCE_SQL}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            with alive as (
                select s.id, token_hash, last_seen_at from license_session s
                join {get_user_model()._meta.db_table} u on u.id = s.user_id
                where token_hash = any(%s) and {is_alive} and is_active
            ), renewed as (
                update license_session set last_seen_at = {NOW_SQL}
                where id in (select id from alive where {is_touch_due}) and {is_alive}
            )
            select token_hash from alive
            """,  # noqa: S608 (constants only)
            [list(token_hashes)],
        )
        return {bytes(hash) for (hash,) in cursor.fetchall()}


def release_seat(session: Session) -> bool:
    """End a session because its client logs out, and say whether it was alive.  Safe to repeat."""
    return bool(_end(_only(session), EndReason.LOGGED_OUT))


def end_session(session: Session) -> bool:
    """End a session because an administrator wants it, and say whether it was alive.  Safe to repeat.

    Its next request is refused; its seat is free at once.
    """
    return bool(_end(_only(session), EndReason.ENDED_BY_ADMINISTRATOR))


def end_own_session(*, user: AbstractUser, session_id: int) -> bool:
    """End a session of this user because he wants it himself, and say whether it was alive.  Safe to repeat.

    Raises NotFound when there is none, or none of his: the answer does not tell which.
    """
    session = Session.objects.filter(id=session_id, user_id=user.pk).first()
    if session is None:
        raise NotFound
    return bool(_end(_only(session), EndReason.ENDED_BY_USER))


def end_own_sessions(user: AbstractUser) -> int:
    """End every session of this user because he wants it himself, and say how many were alive.  Safe to repeat."""
    return _end(Session.objects.filter(user_id=user.pk), EndReason.ENDED_BY_USER)


def end_timed_out_sessions() -> int:
    """Write down the end of sessions whose time is over, and say of how many.  Safe to repeat.

    Nothing depends on it: they hold no seat before it either.
    """
    with connection.cursor() as cursor:
        cursor.execute(_PUT_CLOCK_RIGHT)
        # Rows that somebody works on are left for the next time.
        cursor.execute(
            f"update license_session set {_TIMED_OUT} where id in (select id from license_session "  # noqa: S608
            f"where ended_at is null and last_seen_at <= {LIVE_SINCE_SQL} for update skip locked)"
        )
        return int(cursor.rowcount)


def record_use() -> None:
    """Write down how many seats are in use, for the hour that it is.  Safe to repeat.

    Claims do so, too; this is for the hours in which nobody logs in.
    """
    with connection.cursor() as cursor:
        rows = (
            f"select name, {NOW_SQL}, licensed, (select count(*) from license_session "  # noqa: S608 (constants only)
            f"where ended_at is null and last_seen_at > {LIVE_SINCE_SQL}), 0, 0 "
            f"from license_pool where name = '{REST_POOL}'"
        )
        cursor.execute(_RECORD_USE.format(rows=rows))


def remove_archived_sessions() -> int:
    """Remove sessions that ended longer ago than server.session.archive.timeout, and say how many.  Safe to repeat.

    Tokens that were replaced so long ago go, too, those of living sessions as well.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"delete from license_replacedtoken where replaced_at < {NOW_SQL} - {ARCHIVE_SQL}")  # noqa: S608
    removed, _ = Session.objects.filter(ended_at__lt=ARCHIVED_UNTIL).delete()
    return removed


@dataclass(frozen=True)
class _SeatCount:
    read_at: datetime
    timeout: timedelta
    pool_id: int
    licensed: int
    expires_on: date
    public_key: str
    in_use: int
    oldest_last_seen_at: datetime | None
    own_session_id: int | None
    idle_session_id: int | None
    config_version: str
    templates_version: str

    @property
    def seconds_until_a_seat_can_time_out(self) -> int:
        # In the future: the clock of the database was set back.
        oldest = min(self.oldest_last_seen_at or self.read_at, self.read_at)
        return max(1, math.ceil((oldest + self.timeout - self.read_at).total_seconds()))


def _lock_pool() -> None:
    """Wait until nobody else counts seats, but no longer than WAIT_AT_MOST."""
    # One message: without parameters PostgreSQL takes several statements at once, and the limit counts for each.
    with connection.cursor() as cursor:
        cursor.execute(f"{limit_wait()}; select from license_pool where name = '{REST_POOL}' for no key update")


def _count_seats(*, user: AbstractUser, client_id: str) -> _SeatCount | None:
    """Return what a claim depends on; None: the licence in force has no REST pool."""
    # All in a statement after the lock: the one that waited for it still sees what was before its wait.
    # Timed-out sessions are ended, not passed over: a sign of life on its way at this moment either saves its
    # session, and then the count has it, or finds it ended.  Passed over, both clients would have the seat.
    # The idle session is locked for the same reason.
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            with timed_out as (
                update license_session set {_TIMED_OUT} where ended_at is null and last_seen_at <= {LIVE_SINCE_SQL}
                returning id
            ), ahead as ({_PUT_CLOCK_RIGHT}), idle as (
                select id from license_session
                where ended_at is null and user_id = %(user)s and client_id <> %(client)s and {TAKEOVER_SQL}
                  and last_seen_at > {LIVE_SINCE_SQL} and last_seen_at <= {NOW_SQL} - {TIMEOUT_SQL} / 2
                order by last_seen_at limit 1 for update
            ), live as (
                select * from license_session where ended_at is null and id not in (select id from timed_out)
            )
            select {NOW_SQL}, {TIMEOUT_SQL}, pool.id, pool.licensed, pool.expires_on, file.public_key,
                   (select count(*) from live), (select min(last_seen_at) from live),
                   (select id from live where user_id = %(user)s and client_id = %(client)s),
                   (select id from idle), {CONFIG_VERSION_SQL}, {TEMPLATES_VERSION_SQL}
            from license_pool pool join license_licensefile file on file.id = pool.license_file_id
            where pool.name = '{REST_POOL}'
            """,  # noqa: S608 (constants only)
            {"user": user.pk, "client": client_id},
        )
        row = cursor.fetchone()
    return None if row is None else _SeatCount(*row)


def _give_seat(
    count: _SeatCount, user: AbstractUser, client: Mapping[str, object], in_use: int, taken_over_id: int | None
) -> Session:
    """Write a new session, the use of this hour, and the end of the session whose seat it takes over, if any."""
    sessions = Session.objects.raw(
        f"""
        with taken_over as (
            update license_session set ended_at = %(now)s, end_reason = '{EndReason.REPLACED.value}'
            where id = %(taken_over)s and ended_at is null
        ), used as ({_RECORD_USE.format(rows="values (%(pool)s, %(now)s, %(licensed)s, %(in_use)s, 1, 0)")})
        insert into license_session (user_id, pool_id, client_id, client_version, workstation, line, address,
                                     token_hash, started_at, last_seen_at, end_reason)
        values (%(user)s, %(pool_id)s, %(client_id)s, %(client_version)s, %(workstation)s, %(line)s, %(address)s,
                %(token_hash)s, %(now)s, %(now)s, '')
        returning *
        """,  # noqa: S608 (constants only)
        {
            **client,
            "user": user.pk,
            "pool": REST_POOL,
            "pool_id": count.pool_id,
            "licensed": count.licensed,
            "in_use": in_use,
            "now": count.read_at,
            "taken_over": taken_over_id,
        },
    )
    return sessions[0]


def _renew_seat(session_id: int, client: Mapping[str, object]) -> Session | None:
    """Give a session a new token and what its client says of itself.  None: it has ended."""
    renewed = Session.objects.raw(
        f"""
        with replaced as (
            insert into license_replacedtoken (token_hash, session_id, replaced_at)
            select token_hash, id, {NOW_SQL} from license_session where id = %(id)s
        )
        update license_session
        set client_version = %(client_version)s, workstation = %(workstation)s, line = %(line)s,
            address = %(address)s, token_hash = %(token_hash)s, last_seen_at = {NOW_SQL}
        where id = %(id)s and ended_at is null
        returning *
        """,  # noqa: S608 (constants only)
        {"id": session_id, **client},
    )
    return next(iter(renewed), None)


def _count_refusal(*, licensed: int, in_use: int) -> None:
    rows = f"values ('{REST_POOL}', {NOW_SQL}, %s::integer, %s::integer, 0, 1)"
    with connection.cursor() as cursor:
        cursor.execute(_RECORD_USE.format(rows=rows), [licensed, in_use])


def _only(session: Session) -> QuerySet[Session]:
    return Session.objects.filter(id=session.id)


def _end(sessions: QuerySet[Session], reason: EndReason) -> int:
    alive = sessions.filter(ended_at=None, last_seen_at__gt=LIVE_SINCE)
    return alive.update(ended_at=NOW, end_reason=reason)


def _explain_dead_token(token_hash: bytes | memoryview) -> NotAuthenticated:
    session = list_sessions().filter(token_hash=token_hash).first()
    if session is None:
        if ReplacedToken.objects.filter(token_hash=token_hash).exists():
            return NotAuthenticated(gettext("This client has logged in again since."), reason="replaced")
        return NotAuthenticated()
    if session.end_reason == EndReason.ENDED_BY_ADMINISTRATOR:
        return NotAuthenticated(
            gettext("An administrator ended this session."), reason=EndReason.ENDED_BY_ADMINISTRATOR.value
        )
    if session.end_reason == EndReason.ENDED_BY_USER:
        return NotAuthenticated(
            gettext("The user ended this session in the profile."), reason=EndReason.ENDED_BY_USER.value
        )
    if session.end_reason == EndReason.REPLACED:
        return NotAuthenticated(
            gettext("Another client of yours has taken the seat over."), reason=EndReason.REPLACED.value
        )
    if session.end_reason == EndReason.TIMED_OUT or (session.ended_at is None and session.is_timed_out):
        return NotAuthenticated(gettext("This session has timed out."), reason=EndReason.TIMED_OUT.value)
    return NotAuthenticated()
