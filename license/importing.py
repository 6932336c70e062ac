"""Brings licences into force.

Pools are written under the lock of their rows, which is also the lock of those who count seats.
"""

from datetime import date, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db import connection, transaction

from license.files import (
    NAMED_POOL,
    License,
    LicenseFileError,
    Refusal,
    Section,
    format_public_key,
    parse_license,
    read_public_key,
    verify_license,
    verify_section,
)
from license.keys import find_accepted_key
from license.models import LicenseFile, Pool
from license.named_users import count_active_users
from license.problems import LicenseOvertaken, LicenseRefused
from license.selectors import NOW_SQL, find_last_file, site_day
from license.waiting import bounded_wait


def import_license(
    *, text: str | bytes, imported_by: AbstractUser | None, last_file_id: int | None = None
) -> LicenseFile:
    """Bring a licence into force instead of the one before, at once and with all its pools.

    Sessions keep their seats, also where the new licence has fewer.  `imported_by` None: by command.
    Raises LicenseRefused, with nothing changed: also for a licence that has expired already, and for one that
    names fewer users than are active.  With `last_file_id` (0: there was none) it raises LicenseOvertaken when
    another file has been imported since that one.
    """
    granted, key = read_license(text)
    with transaction.atomic(), bounded_wait():
        # One import after the other; claims go on until their pool's row is written.
        _lock_table(LicenseFile._meta.db_table)
        last_file = find_last_file()
        if last_file_id is not None and last_file_id != (last_file.pk if last_file else 0):
            raise LicenseOvertaken
        if granted.find_section(NAMED_POOL):
            # Users on their way to be active are waited for, and counted: a pool that is new has no row yet that
            # they could wait for.
            _lock_table(get_user_model()._meta.db_table)
        now = require_acceptable(granted, public_key=key)
        license_file = LicenseFile.objects.create(
            text=granted.text,
            public_key=format_public_key(key),
            imported_at=now,
            imported_by_name="" if imported_by is None else imported_by.get_username(),
        )
        for section in granted.sections:
            values = {**read_pool_values(section), "license_file": license_file}
            Pool.objects.update_or_create(name=section.name, defaults=values)
        # Only the REST pool ever has sessions, and every licence has that.
        Pool.objects.exclude(license_file=license_file).delete()
    return license_file


def read_license(text: str | bytes) -> tuple[License, Ed25519PublicKey]:
    """Return the licence, not verified, and the key to verify it with.  Raises LicenseRefused."""
    key = find_accepted_key()
    if key is None:
        raise LicenseRefused(Refusal.UNUSABLE_KEY)
    try:
        return parse_license(text), key
    except LicenseFileError as error:
        raise LicenseRefused(error.code, line=error.line, subject=error.subject) from error


def require_acceptable(granted: License, *, public_key: Ed25519PublicKey) -> datetime:
    """Raise LicenseRefused unless the licence may come into force now; return what time it is."""
    with connection.cursor() as cursor:
        cursor.execute(f"select {NOW_SQL}")
        now: datetime = cursor.fetchone()[0]
    _require_valid(granted, public_key=public_key, today=site_day(now))
    _require_names(granted.find_section(NAMED_POOL))
    return now


def read_pool_values(section: Section) -> dict[str, str | int | date]:
    """Return what the pool of this section has in its columns."""
    return {
        "contract_party": section.contract_party,
        "products": ", ".join(section.products),
        "version": section.version,
        "expires_on": section.expires_on,
        "licensed": section.licensed,
    }


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


def _require_names(named_users: Section | None) -> None:
    """Refuse a section that names fewer users than are active."""
    if named_users is None:
        return
    active, named = count_active_users(), named_users.licensed
    if active > named:
        raise LicenseRefused(
            Refusal.TOO_MANY_USERS,
            line=named_users.line_of("licenses"),
            subject=named_users.name,
            active=active,
            named=named,
            excess=active - named,
        )


def _lock_table(name: str) -> None:
    """Let nobody else write to the table until the transaction ends; reading goes on."""
    with connection.cursor() as cursor:
        cursor.execute(f"lock table {name} in share row exclusive mode")
