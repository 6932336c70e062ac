"""Brings licences into force, gives seats to clients and takes them back.

Seats are counted under the lock of their pool's row, by the clock of the database.  A session whose time is
over holds no seat, whether or not its row says so already.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import OperationalError, connection, transaction
from django.utils.translation import gettext

from cmphone.problems import NotAuthenticated, Unavailable
from license.files import (
    PRODUCT,
    REST_POOL,
    License,
    LicenseFileError,
    Refusal,
    Section,
    format_public_key,
    has_expired,
    parse_license,
    read_public_key,
    verify_license,
    verify_section,
)
from license.keys import find_accepted_key, is_accepted
from license.models import EndReason, LicenseFile, Pool, ReplacedToken, Session
from license.problems import LicenseExpired, LicenseMissing, LicenseRefused, NoFreeLicense
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

# How long a statement waits for others that count the same seats; then the client is told to try again.
WAIT_AT_MOST = timedelta(seconds=5)

_TIMED_OUT = f"ended_at = last_seen_at + {TIMEOUT_SQL}, end_reason = '{EndReason.TIMED_OUT.value}'"


@dataclass(frozen=True)
class Claim:
    """A seat that was given.  `token` is told only here; `in_use` counts this seat."""

    session: Session
    token: str = field(repr=False)
    is_new: bool
    licensed: int
    in_use: int


def import_license(*, text: str | bytes, imported_by: AbstractUser | None) -> LicenseFile:
    """Bring a licence into force instead of the one before, at once and with all its pools.

    Sessions keep their seats, also where the new licence has fewer.  None: imported by command.
    Raises LicenseRefused, with nothing changed: also for a licence that has expired already.
    """
    key = find_accepted_key()
    if key is None:
        raise LicenseRefused(Refusal.UNUSABLE_KEY)
    try:
        granted = parse_license(text)
    except LicenseFileError as error:
        raise LicenseRefused(error.code, line=error.line, subject=error.subject) from error
    with transaction.atomic(), _bounded_wait():
        with connection.cursor() as cursor:
            # One import after the other; claims go on until their pool's row is written.
            cursor.execute("lock table license_licensefile in share row exclusive mode")
            cursor.execute(f"select {NOW_SQL}")
            (now,) = cursor.fetchone()
        _require_valid(granted, public_key=key, today=site_day(now))
        license_file = LicenseFile.objects.create(
            text=granted.text,
            public_key=format_public_key(key),
            imported_at=now,
            imported_by_id=None if imported_by is None else imported_by.pk,
        )
        for section in granted.sections:
            Pool.objects.update_or_create(name=section.name, defaults=_pool_values(section, license_file))
        # Only the REST pool ever has sessions, and every licence has that.
        Pool.objects.exclude(license_file=license_file).delete()
    return license_file


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
    with transaction.atomic(), _bounded_wait():
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


def _require_valid(granted: License, *, public_key: Ed25519PublicKey, today: date) -> None:
    try:
        verify_license(granted, public_key=public_key, today=today)
    except LicenseFileError as error:
        code = error.code
        if code is Refusal.BAD_SIGNATURE and settings.PRODUCTION and _is_signed_with_demo_key(granted):
            code = Refusal.DEMO_SIGNED
        raise LicenseRefused(code, line=error.line, subject=error.subject) from error


def _is_signed_with_demo_key(granted: License) -> bool:
    demo_key = read_public_key(settings.DEMO_LICENSE_PUBLIC_KEY)
    try:
        for section in granted.sections:
            verify_section(section, public_key=demo_key)
    except LicenseFileError:
        return False
    return True


def _pool_values(section: Section, license_file: LicenseFile) -> dict[str, object]:
    return {
        "license_file": license_file,
        "contract_party": section.contract_party,
        "products": ", ".join(section.products),
        "version": section.version,
        "expires_on": section.expires_on,
        "licensed": section.licensed,
    }


@contextmanager
def _bounded_wait() -> Iterator[None]:
    """Let no statement of this transaction run longer than WAIT_AT_MOST; one that does raises Unavailable."""
    # Not lock_timeout: in a queue for a row PostgreSQL waits for two locks, and counts each alone.
    with connection.cursor() as cursor:
        cursor.execute(f"set local statement_timeout = {round(WAIT_AT_MOST.total_seconds() * 1000)}")
    try:
        yield
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise Unavailable(
                gettext("Others hold the licence for too long. Try again."),
                retry_after=math.ceil(WAIT_AT_MOST.total_seconds()),
            ) from error
        raise
