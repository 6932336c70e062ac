"""Makes and checks API keys, and brakes log-ins after others have failed.  The clock is the database's."""

import hashlib
import math
from collections.abc import Collection
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractUser
from django.db import connection
from django.db.models import DateTimeField
from django.db.models.functions import Now
from django.utils.translation import gettext

from cmphone.access.brake import FORGOTTEN_AFTER, FREE_FAILURES_OF_ADDRESS, FREE_FAILURES_OF_NAME, wait_after
from cmphone.access.credentials import HINT_LENGTH, hash_key, make_key
from cmphone.access.models import ApiKey, FailedLogin, Scope
from cmphone.problems import NotAuthenticated, PermissionDenied

TOUCH_AFTER = timedelta(minutes=1)
_ANY_NAME = b""


def create_api_key(
    *,
    name: str,
    user: AbstractUser,
    scopes: Collection[str],
    expires_at: datetime | None = None,
    created_by: AbstractUser | None = None,
) -> tuple[ApiKey, str]:
    """Make a key with the rights of `user`, and return it with its secret, which is told only here.

    None: it never expires; it was made by command.  Raises ValidationError for scopes that do not exist, or none.
    """
    secret = make_key()
    key = ApiKey(
        name=name.strip(),
        user_id=user.pk,
        # In the order of the choices, each once.
        scopes=[scope for scope in Scope.values if scope in scopes] if set(scopes) <= set(Scope.values) else [*scopes],
        key_hash=hash_key(secret),
        hint=secret[:HINT_LENGTH],
        created_at=Now(),
        created_by_id=None if created_by is None else created_by.pk,
        expires_at=expires_at,
    )
    key.full_clean(exclude=["created_at", "user", "created_by"], validate_constraints=False)
    key.save()
    key.refresh_from_db()
    return key, secret


def revoke_api_key(key: ApiKey) -> bool:
    """End a key with its next call, for good, and say whether it was not revoked yet.  Safe to repeat."""
    return bool(ApiKey.objects.filter(id=key.id, revoked_at=None).update(revoked_at=Now()))


def authenticate_key(secret: str, *, scope: Scope | None = None) -> ApiKey:
    """Return the key in force whose secret this is, with its user, and write down that it was used.

    One statement, and once a minute a second.  Raises NotAuthenticated, for a key that was revoked or has expired
    with the member `reason`, and PermissionDenied for one that is not good for `scope`; None: for whatever it is.
    """
    key = (
        ApiKey.objects.select_related("user")
        .annotate(read_at=Now(output_field=DateTimeField()))  # type: ignore[no-redef]  # declared by the model
        .filter(key_hash=hash_key(secret))
        .first()
    )
    if key is None or not key.user.is_active:
        raise NotAuthenticated(gettext("There is no such API key."))
    if key.revoked_at is not None:
        raise NotAuthenticated(gettext("This API key was revoked."), reason="revoked")
    if key.expires_at is not None and key.expires_at <= key.read_at:
        raise NotAuthenticated(gettext("This API key has expired."), reason="expired")
    if scope is not None:
        require_scope(key, scope)
    _write_use(key)
    return key


def require_scope(key: ApiKey, *scopes: Scope) -> None:
    """Raise PermissionDenied unless the key has one of the scopes; with none of them, no key will do."""
    if not set(scopes) & set(key.scopes):
        if not scopes:
            raise PermissionDenied(gettext("No API key is good for this. Log in."))
        raise PermissionDenied(
            gettext("This API key is not good for this. It takes one with the scope %s.")
            % gettext(" or ").join(scope.value for scope in scopes)
        )


def _write_use(key: ApiKey) -> None:
    last = key.last_used_at
    # In the future: the clock of the database was set back.
    if last is None or not key.read_at - TOUCH_AFTER < last <= key.read_at:
        ApiKey.objects.filter(id=key.id).update(last_used_at=key.read_at)


def find_wait(*, username: str, address: str) -> tuple[timedelta, bool]:
    """Return how long a log-in of this name from this address has to wait, and whether any failed of late.

    One statement.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            select f.name_hash, f.failures, f.last_failed_at, statement_timestamp(),
                   f.name_hash = %(any)s and exists (
                       select from license_session s join contacts_user u on u.id = s.user_id
                       where u.username = %(username)s and s.address = f.address
                   )
            from access_failedlogin f
            where f.address = %(address)s and f.name_hash in (%(any)s, %(name)s)
              and f.last_failed_at > statement_timestamp() - make_interval(secs => %(forgotten)s)
              -- In the future: the clock of the database was set back.
              and f.last_failed_at <= statement_timestamp()
            """,
            {
                "username": username,
                "address": address,
                "any": _ANY_NAME,
                "name": _hash_name(username),
                "forgotten": FORGOTTEN_AFTER.total_seconds(),
            },
        )
        rows = cursor.fetchall()
    waits = [timedelta(0)]
    has_failed = False
    for name_hash, failures, last_failed_at, now, is_at_home in rows:
        is_of_name = bytes(name_hash) != _ANY_NAME
        has_failed = has_failed or is_of_name
        if not is_at_home:
            free = FREE_FAILURES_OF_NAME if is_of_name else FREE_FAILURES_OF_ADDRESS
            waits.append(last_failed_at + wait_after(failures, free=free) - now)
    return max(waits), has_failed


def count_failure(*, username: str, address: str) -> None:
    """Count a log-in that failed, for its name and for the address."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            insert into access_failedlogin as f (name_hash, address, failures, last_failed_at)
            values (%(any)s, %(address)s, 1, statement_timestamp()), (%(name)s, %(address)s, 1, statement_timestamp())
            on conflict (address, name_hash) do update
            set last_failed_at = excluded.last_failed_at,
                failures = case when f.last_failed_at > excluded.last_failed_at - make_interval(secs => %(forgotten)s)
                                then f.failures else 0 end + 1
            """,
            {
                "any": _ANY_NAME,
                "name": _hash_name(username),
                "address": address,
                "forgotten": FORGOTTEN_AFTER.total_seconds(),
            },
        )


def forget_failures(*, username: str, address: str) -> None:
    """Forget the failures of this name from this address: it has logged in.  Safe to repeat."""
    FailedLogin.objects.filter(address=address, name_hash=_hash_name(username)).delete()


def remove_forgotten_failures() -> None:
    """Remove failures that count no more.  Safe to repeat."""
    FailedLogin.objects.filter(last_failed_at__lt=Now() - FORGOTTEN_AFTER).delete()


def round_up(wait: timedelta) -> int:
    """Return whole seconds after which the wait is over."""
    return math.ceil(wait.total_seconds())


def _hash_name(username: str) -> bytes:
    return hashlib.sha256(username.encode(errors="replace")).digest()
