"""Gives seats to clients and takes them back.

Seats are counted under the lock of their pool's row, by the clock of the database.  A session whose time is
over holds no seat, whether or not its row says so already.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractUser
from django.db import connection, transaction
from django.utils.translation import gettext

from cmphone.problems import NotAuthenticated
from license.files import PRODUCT, REST_POOL, has_expired
from license.keys import is_accepted
from license.models import EndReason, Pool, ReplacedToken, Session
from license.problems import LicenseExpired, LicenseMissing, NoFreeLicense
from license.selectors import (
    LIVE_SINCE,
    LIVE_SINCE_SQL,
    NOW,
    NOW_SQL,
    TIMEOUT_SQL,
    find_session,
    list_sessions,
    site_day,
)
from license.tokens import hash_token, make_token
from license.waiting import bounded_wait

_TIMED_OUT = f"ended_at = last_seen_at + {TIMEOUT_SQL}, end_reason = '{EndReason.TIMED_OUT.value}'"


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
    its own seat back at once.

    Raises NoFreeLicense when every seat is held by another client, LicenseMissing, LicenseExpired, and
    Unavailable when others held the pool for too long.
    """
    token = make_token()
    with transaction.atomic(), bounded_wait():
        # Lock the pool, not the seats: two clients that come first have no seat row to lock yet.
        pool = Pool.objects.select_for_update(no_key=True).filter(name=REST_POOL).first()
        count = None if pool is None else _count_seats(pool, user=user, client_id=client_id)
        if pool is None or count is None or not is_accepted(count.public_key):
            raise LicenseMissing(gettext("Ask your administrator to import a licence for %s.") % PRODUCT)
        if has_expired(pool.expires_on, today=site_day(count.now)):
            raise LicenseExpired(
                gettext("It was valid until %s. Ask your administrator to import a new one.")
                % f"{pool.expires_on:%d.%m.%Y}"
            )
        client = {
            "client_version": client_version,
            "workstation": workstation,
            "line": line,
            "address": address,
            "token_hash": hash_token(token),
        }
        in_use = count.in_use
        session = None
        if count.own_session_id is not None:
            session = _renew_seat(count.own_session_id, client)
            if session is None:
                # It was ended after the count.
                in_use -= 1
        is_new = session is None
        if session is None:
            if in_use >= pool.licensed:
                raise NoFreeLicense(
                    gettext("All %(licensed)d seats are in use.") % {"licensed": pool.licensed},
                    retry_after=count.seconds_until_a_seat_can_time_out,
                    licensed=pool.licensed,
                    in_use=in_use,
                )
            session = Session.objects.create(
                user_id=user.pk,
                pool=pool,
                client_id=client_id,
                started_at=count.now,
                last_seen_at=count.now,
                **client,
            )
            in_use += 1
        session.pool, session.read_at, session.timeout = pool, count.now, count.timeout
    return Claim(session=session, token=token, is_new=is_new, licensed=pool.licensed, in_use=in_use)


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
    if not alive.update(last_seen_at=session.read_at):
        raise _explain_dead_token(session.token_hash)
    session.last_seen_at = session.read_at


def release_seat(session: Session) -> bool:
    """End a session because its client logs out, and say whether it was alive.  Safe to repeat."""
    return _end(session, EndReason.LOGGED_OUT)


def end_session(session: Session) -> bool:
    """End a session because an administrator wants it, and say whether it was alive.  Safe to repeat.

    Its next request is refused; its seat is free at once.
    """
    return _end(session, EndReason.ENDED_BY_ADMINISTRATOR)


def end_timed_out_sessions() -> int:
    """Write down the end of sessions whose time is over, and say of how many.  Safe to repeat.

    Nothing depends on it: they hold no seat before it either.
    """
    with connection.cursor() as cursor:
        # Rows that somebody works on are left for the next time.
        cursor.execute(
            f"update license_session set {_TIMED_OUT} where id in (select id from license_session "  # noqa: S608
            f"where ended_at is null and last_seen_at <= {LIVE_SINCE_SQL} for update skip locked)"
        )
        return int(cursor.rowcount)


@dataclass(frozen=True)
class _SeatCount:
    now: datetime
    timeout: timedelta
    in_use: int
    oldest_last_seen_at: datetime | None
    own_session_id: int | None
    public_key: str

    @property
    def seconds_until_a_seat_can_time_out(self) -> int:
        oldest = self.oldest_last_seen_at or self.now
        return max(1, math.ceil((oldest + self.timeout - self.now).total_seconds()))


def _count_seats(pool: Pool, *, user: AbstractUser, client_id: str) -> _SeatCount:
    # All in a statement after the lock: the one that waited for it still sees what was before its wait.
    # Timed-out sessions are ended, not passed over: a sign of life on its way at this moment either saves its
    # session, and then the count has it, or finds it ended.  Passed over, both clients would have the seat.
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            with timed_out as (
                update license_session set {_TIMED_OUT}
                where pool_id = %(pool)s and ended_at is null and last_seen_at <= {LIVE_SINCE_SQL}
                returning id
            )
            select {NOW_SQL}, {TIMEOUT_SQL}, count(*), min(last_seen_at),
                   max(id) filter (where user_id = %(user)s and client_id = %(client)s),
                   (select public_key from license_licensefile where id = %(file)s)
            from license_session
            where pool_id = %(pool)s and ended_at is null and id not in (select id from timed_out)
            """,  # noqa: S608
            {"pool": pool.pk, "file": pool.license_file_id, "user": user.pk, "client": client_id},
        )
        return _SeatCount(*cursor.fetchone())


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
        """,  # noqa: S608
        {"id": session_id, **client},
    )
    return next(iter(renewed), None)


def _end(session: Session, reason: EndReason) -> bool:
    alive = Session.objects.filter(id=session.id, ended_at=None, last_seen_at__gt=LIVE_SINCE)
    return bool(alive.update(ended_at=NOW, end_reason=reason))


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
    if session.end_reason == EndReason.TIMED_OUT or (session.ended_at is None and session.is_timed_out):
        return NotAuthenticated(gettext("This session has timed out."), reason=EndReason.TIMED_OUT.value)
    return NotAuthenticated()
