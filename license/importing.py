"""Brings licences into force.

Pools are written under the lock of their rows, which is also the lock of those who count seats.
"""

from datetime import date

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db import connection, transaction

from license.files import (
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
from license.problems import LicenseRefused
from license.selectors import NOW_SQL, site_day
from license.waiting import bounded_wait


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
    with transaction.atomic(), bounded_wait():
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
